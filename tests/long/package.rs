//! The Debian package, in a clean Debian: built, installed, started as its unit says, upgraded and purged; and the proxy of the
//! operators' page in front of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::authority::Authority;

const PATIENCE: Duration = Duration::from_secs(60);

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a program to its end, which must be a good one, and returns what it printed.
fn ran(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}\n{out}\n{err}", output.status);
    out
}

/// Builds the package with this version from the program of the tests.
fn build(version: &str, folder: &Path) -> PathBuf {
    let mut build = Command::new(repository("deploy/deb/build.sh"));
    build.arg(env!("CARGO_BIN_EXE_forgebell")).arg(version).arg(folder).current_dir(repository(""));
    build.env("COMPRESSION", "gzip");
    let printed = ran(&mut build);
    PathBuf::from(printed.lines().last().expect("the path of the package"))
}

/// A clean root of the machine's own release, as `debootstrap` makes it. Making it takes minutes, so it is kept in `target`.
fn clean_root(to: &Path) {
    let cached = repository("target/clean-root.tar");
    if !cached.exists() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("root");
        let release = std::fs::read_to_string("/etc/os-release").expect("a Debian");
        let name = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).expect("its name");
        let more = "--include=systemd,adduser,ca-certificates,curl";
        ran(Command::new("debootstrap").args(["--variant=minbase", more, name]).arg(&root));
        ran(Command::new("tar").arg("-cf").arg(&cached).arg("-C").arg(&root).arg("."));
    }
    ran(Command::new("tar").arg("-xpf").arg(&cached).arg("-C").arg(to));
}

/// It needs root, for the namespaces of a systemd of its own.
#[test]
fn the_package_is_installed_started_upgraded_and_purged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (root, built) = (folder.path().join("root"), folder.path().join("built"));
    std::fs::create_dir_all(&root).expect("ours");
    let (first, second) = (build("0.1.0-1", &built), build("0.1.0-2", &built));
    let listed = ran(Command::new("dpkg-deb").arg("--contents").arg(&first));
    println!("{} has {} files", first.display(), listed.lines().count());
    clean_root(&root);
    let packages = root.join("packages");
    std::fs::create_dir_all(&packages).expect("ours");
    std::fs::copy(&first, packages.join("first.deb")).expect("ours");
    std::fs::copy(&second, packages.join("second.deb")).expect("ours");
    for file in ["payloads/push.json", "tests/long/package/walk.sh"] {
        let file = repository(file);
        std::fs::copy(&file, packages.join(file.file_name().expect("a file"))).expect("ours");
    }
    let booted = Booted::new(&root);
    let said = ran(&mut booted.run("/packages/walk.sh"));
    assert!(said.ends_with("== done\n"), "{said}");
    println!("{said}");
}

/// A clean root whose systemd runs. It ends with this.
struct Booted {
    child: std::process::Child,
    systemd: String,
    groups: PathBuf,
}

impl Booted {
    fn new(root: &Path) -> Self {
        let mut boot = Command::new("bash");
        boot.arg(repository("tests/long/package/boot.sh"))
            .arg(root)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut child = boot.spawn().expect("there is a bash");
        let id = child.id();
        let kind = if Path::new("/sys/fs/cgroup/systemd").exists() { "systemd/" } else { "" };
        let groups = PathBuf::from(format!("/sys/fs/cgroup/{kind}forgebell-package-{id}"));
        // The first process of the namespace is the child of `unshare`, into which the script turned.
        let children = format!("/proc/{id}/task/{id}/children");
        let begun = Instant::now();
        let systemd = loop {
            let first = std::fs::read_to_string(&children).unwrap_or_default();
            let first = first.split_whitespace().next().unwrap_or_default().to_owned();
            let name = std::fs::read_to_string(format!("/proc/{first}/comm")).unwrap_or_default();
            if name.trim() == "systemd" {
                break first;
            }
            assert!(
                child.try_wait().expect("a child can be asked").is_none(),
                "systemd does not boot: are we root?"
            );
            assert!(begun.elapsed() < PATIENCE, "systemd does not boot");
            std::thread::yield_now();
        };
        Self { child, systemd, groups }
    }

    /// A script of the root, in its namespaces.
    fn run(&self, script: &str) -> Command {
        let mut enter = Command::new("nsenter");
        enter.args([
            "--target",
            &self.systemd,
            "--mount",
            "--pid",
            "--net",
            "--uts",
            "--ipc",
            "--cgroup",
            "bash",
        ]);
        enter.arg(script);
        enter
    }
}

impl Drop for Booted {
    fn drop(&mut self) {
        // With `unshare` goes systemd, and with it all that it started.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Control groups are removed from the leaves on, as soon as their processes have gone.
        let _ = Command::new("find")
            .arg(&self.groups)
            .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"])
            .output();
    }
}

/// What stands in `page` after ```` ```LANGUAGE ````.
fn block(page: &str, language: &str) -> String {
    let page = std::fs::read_to_string(repository(page)).expect("the page");
    let (_, after) = page.split_once(&format!("```{language}\n")).expect("a block");
    after.split_once("```").expect("it ends").0.to_owned()
}

/// The site of the operators' page, word for word but for its ports and the places of its certificate.
#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_the_operators_page_speaks_tls_and_says_who_the_client_is() {
    use crate::harness::daemon::Home;
    use crate::harness::payloads::payload;
    use crate::harness::ports::free_port;

    let home = Home::new("").with(&[
        "http.trusted_proxies=127.0.0.1/32,::1/128",
        "http.webhook_token=open sesame",
        "http.login_failures=1",
    ]);
    let daemon = home.start().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let authority = Authority::new();
    let (certificate, key) = authority.certify(&["forgebell.example.com"]);
    for (name, text) in [("site.pem", &certificate), ("site.key", &key), ("ca.pem", &authority.pem)] {
        std::fs::write(file(name), text).expect("ours");
    }
    let port = free_port();
    let upstream = daemon.base().trim_start_matches("http://").to_owned();
    let site = block("docs/operators.md", "nginx");
    let site = [
        ("listen [::]:443 ssl http2;", String::new()),
        ("listen 443 ssl", format!("listen 127.0.0.1:{port} ssl")),
        ("/etc/ssl/forgebell.example.com.pem", file("site.pem")),
        ("/etc/ssl/private/forgebell.example.com.key", file("site.key")),
        ("127.0.0.1:8090", upstream),
    ]
    .iter()
    .fold(site, |site, (written, here)| {
        assert!(site.contains(written), "{written}");
        site.replace(written, here)
    });
    let whole = format!(
        "daemon off;\npid {};\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\nclient_body_temp_path {};\nproxy_temp_path {};\n\
         fastcgi_temp_path {2};\nuwsgi_temp_path {2};\nscgi_temp_path {2};\n{site}\n}}\n",
        file("pid"),
        file("body"),
        file("temp")
    );
    std::fs::write(file("nginx.conf"), whole).expect("ours");
    let mut nginx = tokio::process::Command::new("nginx");
    nginx.args(["-p", &file(""), "-c", &file("nginx.conf")]).kill_on_drop(true);
    let mut nginx = nginx.spawn().expect("nginx is installed");

    let client = reqwest::Client::builder()
        .no_proxy()
        // The proxy's own address is trusted, so the client has another.
        .local_address(std::net::IpAddr::from([127, 0, 0, 5]))
        .tls_certs_merge([reqwest::Certificate::from_pem(authority.pem.as_bytes()).expect("PEM")])
        .resolve("forgebell.example.com", std::net::SocketAddr::from(([127, 0, 0, 1], port)))
        .build()
        .expect("a client");
    let at = |path: &str| format!("https://forgebell.example.com:{port}{path}");
    crate::harness::wait::eventually("the proxy answers", std::time::Duration::from_secs(20), async || {
        client.get(at("/healthz")).send().await.ok().filter(|answer| answer.status().is_success())
    })
    .await;
    let send = async |token: &str, from: Option<&str>| {
        let mut request = client
            .post(at("/events"))
            .header("x-gitlab-token", token)
            .header("content-type", "application/json");
        if let Some(from) = from {
            request = request.header("x-forwarded-for", from);
        }
        request.body(payload("push.json")).send().await.expect("it answers").status().as_u16()
    };
    assert_eq!(send("open sesame", None).await, 202);
    assert_eq!(client.get(at("/metrics")).send().await.expect("it answers").status().as_u16(), 403);
    // The proxy adds the real client behind what a client claims: claiming other addresses does not give more tries.
    assert_eq!(send("wrong", Some("192.0.2.1")).await, 401);
    assert_eq!(send("wrong", Some("192.0.2.2")).await, 429);
    let large = vec![b' '; 11 * 1024 * 1024];
    let refused = client.post(at("/events")).header("x-gitlab-token", "open sesame").body(large).send().await;
    assert_eq!(refused.expect("it answers").status().as_u16(), 413);
    nginx.kill().await.expect("it is ours");
    daemon.stop().await;
}
