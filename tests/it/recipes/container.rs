//! A container without a container's engine: a root folder, a mount namespace, an environment and a user.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::harness::program::finished;

/// What the Dockerfile says of a container.
pub struct Image {
    pub variables: Vec<(String, String)>,
    pub user: u32,
    pub entry: String,
    pub port: Option<u64>,
}

impl Image {
    /// Reads the last stage.
    pub fn read(dockerfile: &str) -> Self {
        let joined = dockerfile.replace("\\\n", " ");
        let last = joined.rsplit("\nFROM ").next().expect("a stage");
        let value = |key: &str| {
            last.lines().find_map(|line| line.strip_prefix(key)).expect("it is set").trim().to_owned()
        };
        let pairs = value("ENV ");
        let pairs = pairs.split_whitespace().filter_map(|pair| pair.split_once('='));
        Self {
            variables: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            user: value("USER ").parse().expect("a number"),
            entry: value("ENTRYPOINT ").trim_matches(['[', ']', '"']).to_owned(),
            port: value("EXPOSE ").parse().ok(),
        }
    }
}

pub struct Container {
    root: tempfile::TempDir,
    variables: Vec<(String, String)>,
    hosts: String,
    user: u32,
    entry: String,
    /// Where its published port is.
    pub base: String,
    child: Option<Child>,
}

impl Container {
    pub fn new(image: &Image, port: u16) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        for folder in ["usr/bin", "usr/lib", "etc", "run/secrets", "var/lib", "tmp", "proc", "dev"] {
            fs::create_dir_all(root.path().join(folder)).expect("ours");
        }
        Self {
            root,
            variables: image.variables.clone(),
            hosts: "127.0.0.1 localhost\n".to_owned(),
            user: image.user,
            entry: image.entry.clone(),
            base: format!("http://127.0.0.1:{port}"),
            child: None,
        }
    }

    /// A path of the container, seen from outside.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub fn variable(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub fn host(&mut self, name: &str, address: &str) {
        let _ = writeln!(self.hosts, "{address} {name}");
    }

    pub fn file(&mut self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("ours");
        fs::write(&path, content).expect("ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("ours");
    }

    /// A file that only the container's user may read.
    pub fn secret(&mut self, path: &str, content: &str) {
        self.file(path, content);
        let path = self.path(path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("ours");
        self.give(&path);
    }

    /// A folder of the machine.
    pub fn copy(&mut self, from: &Path, at: &str) {
        for entry in fs::read_dir(from).expect("the folder").map(|entry| entry.expect("an entry").path()) {
            let name = entry.file_name().and_then(|name| name.to_str()).expect("a name");
            self.file(&format!("{at}/{name}"), &fs::read_to_string(&entry).expect("a text"));
        }
    }

    /// An empty volume, which belongs to the container's user.
    pub fn volume(&mut self, at: &str) {
        let path = self.path(at);
        fs::create_dir_all(&path).expect("ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("ours");
        self.give(&path);
    }

    fn give(&self, path: &Path) {
        // Without root, the container runs as this test's user.
        if is_root() {
            chown(path, Some(self.user), Some(self.user)).expect("root may");
        }
    }

    fn prepared(&self, words: &[&str]) -> Command {
        self.write_hosts();
        // Mounts end with the namespace, which ends with its last process.
        let script = r#"
            set -e
            root=$1; program=$2; entry=$3; user=$4; shift 4
            for folder in usr/lib; do mount --rbind "/$folder" "$root/$folder"; done
            for link in bin lib lib64 sbin; do
                if [ -L "/$link" ]; then ln -sfn "$(readlink "/$link")" "$root/$link"; fi
            done
            if [ -d /usr/lib64 ]; then mkdir -p "$root/usr/lib64"; mount --rbind /usr/lib64 "$root/usr/lib64"; fi
            mount --rbind /dev "$root/dev"
            # The image has ca-certificates.
            for folder in etc/ssl usr/share/ca-certificates; do
                mkdir -p "$root/$folder"; mount --bind "/$folder" "$root/$folder"
            done
            touch "$root$entry"; mount --bind "$program" "$root$entry"
            if [ "$user" = - ]; then exec chroot "$root" "$entry" "$@"; fi
            exec chroot --userspec="$user:$user" "$root" "$entry" "$@"
        "#;
        let user = if is_root() { self.user.to_string() } else { "-".to_owned() };
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !is_root() {
            command.arg("--map-root-user");
        }
        command.args(["bash", "-c", script, "bash"]).arg(self.root.path());
        command.arg(env!("CARGO_BIN_EXE_forgebell")).args([&self.entry, &user]);
        // The port is published elsewhere, and the stand-ins for services are on loopback.
        let listen = self.base.trim_start_matches("http://");
        let options = [format!("http.listen={listen}"), "wire.allow_networks=127.0.0.0/8".to_owned()];
        for option in options {
            command.args(["-o", option.as_str()]);
        }
        command.args(words).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn write_hosts(&self) {
        fs::write(self.path("/etc/hosts"), &self.hosts).expect("ours");
        fs::write(self.path("/etc/nsswitch.conf"), "hosts: files\n").expect("ours");
    }

    /// Starts what the image's entry point runs.
    pub fn start(&mut self, words: &[&str]) {
        let log = File::create(self.root.path().join("log")).expect("ours");
        let mut command = self.prepared(words);
        self.child = Some(
            command.stdout(Stdio::null()).stderr(log).spawn().expect("unshare is installed (util-linux)"),
        );
    }

    pub fn expect_running(&mut self) {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("a child can be asked"));
        assert!(ended.is_none(), "it ended: {}", self.log());
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.root.path().join("log")).unwrap_or_default()
    }

    /// A command of the program in the container, and what it printed.
    pub async fn command(&self, words: &[&str]) -> String {
        finished(self.prepared(words).into()).await
    }

    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = crate::harness::client().get(format!("{}{path}", self.base)).send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // The process is the daemon itself: each program before it executed the next.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
}
