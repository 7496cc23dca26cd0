//! A machine with the package, as far as the pages' commands see it: the paths of the package are folders of the test, `systemctl`
//! starts and stops the real daemon, and `sudo` runs what follows it.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::page::Block;
use super::repository;
use crate::harness::ports::free_port;
use crate::harness::receiver::Receiver;

const PATIENCE: Duration = Duration::from_secs(120);

const SYSTEMCTL: &str = r#"#!/bin/bash
set -eu
gone() { [ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }
case "$1 ${2%.service}" in
  "start forgebell")
    forgebell serve >>"$ROOT/log" 2>&1 </dev/null &
    echo $! >"$ROOT/pid"
    for _ in $(seq 600); do
      curl -fsS -o /dev/null "http://$LISTEN/readyz" 2>/dev/null && exit 0
      gone "$(cat "$ROOT/pid")" && break
      sleep 0.1
    done
    cat "$ROOT/log" >&2
    exit 1 ;;
  "stop forgebell")
    [ -e "$ROOT/pid" ] || exit 0
    pid=$(cat "$ROOT/pid")
    kill -TERM "$pid" 2>/dev/null || true
    until gone "$pid"; do sleep 0.1; done
    rm "$ROOT/pid" ;;
  "reload forgebell") kill -HUP "$(cat "$ROOT/pid")" ;;
  *) echo "systemctl $*: not known here" >&2; exit 1 ;;
esac
"#;

const SUDO: &str = "#!/bin/bash\n[ \"$1\" = -u ] && shift 2\nexec \"$@\"\n";

pub struct Stage {
    root: tempfile::TempDir,
    listen: String,
    /// What is written in the pages, and what it is here.
    instead: Vec<(String, String)>,
}

impl Stage {
    pub fn new(receiver: &Receiver) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let listen = format!("127.0.0.1:{}", free_port());
        let at = |path: &str| root.path().join(path).display().to_string();
        let instead = [
            ("/etc/forgebell", at("etc")),
            ("/usr/share/doc/forgebell/examples", at("payloads")),
            ("/var/lib/forgebell", at("lib")),
            ("127.0.0.1:8090", listen.clone()),
            ("https://hooks.slack.com/services/…", receiver.slack_like("/services/T0/B0/pages").url()),
            ("https://chat.example.com/hooks/…", receiver.slack_like("/hooks/pages").url()),
            ("webhook=https://…", "webhook=https://hooks.slack.com/services/T0/B0/x".to_owned()),
            // There is no such group on this machine.
            (" -g forgebell", String::new()),
        ];
        let instead = instead.map(|(written, here)| (written.to_owned(), here)).to_vec();
        let stage = Self { root, listen, instead };
        stage.furnish();
        stage
    }

    fn furnish(&self) {
        let file = |path: &str, text: &str, mode: u32| {
            let path = self.root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("ours");
            std::fs::write(&path, text).expect("ours");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("ours");
        };
        let shipped = |path: &str| std::fs::read_to_string(repository(path)).expect("it is shipped");
        // The package's own settings, and what a test needs besides.
        let settings = self.here(&shipped("deploy/deb/forgebell.toml"));
        file(
            "etc/forgebell.toml",
            &format!("{settings}\n[wire]\nallow_networks = [\"127.0.0.0/8\"]\n"),
            0o644,
        );
        let page = super::Page::read("docs/operators.md");
        let block = page.blocks.iter().find(|block| block.text.starts_with("[[integration]]"));
        file("etc/integrations.toml", &self.here(&block.expect("an integration").text), 0o644);
        file("etc/secrets/webhook-token", "open-sesame\n", 0o640);
        let slack = self.here("https://hooks.slack.com/services/…");
        file("etc/secrets/slack-webhook", &format!("{slack}\n"), 0o640);
        file("bin/systemctl", SYSTEMCTL, 0o755);
        file("bin/sudo", SUDO, 0o755);
        let program = env!("CARGO_BIN_EXE_forgebell");
        let wrapper = format!("#!/bin/bash\nexec {program:?} --config \"$ROOT/etc/forgebell.toml\" \"$@\"\n");
        file("bin/forgebell", &wrapper, 0o755);
        std::os::unix::fs::symlink(repository("payloads"), self.root.path().join("payloads")).expect("ours");
        std::os::unix::fs::symlink("payloads/push.json", self.root.path().join("push.json")).expect("ours");
    }

    fn here(&self, text: &str) -> String {
        self.instead.iter().fold(text.to_owned(), |text, (written, here)| text.replace(written, here))
    }

    /// Runs the blocks of a page, one after the other, with the daemon running.
    pub async fn run(&self, page: &str, blocks: &[&Block]) {
        let mut script = String::from(
            "set -euo pipefail\ntrap 'systemctl stop forgebell' EXIT\nsystemctl start forgebell\n",
        );
        for block in blocks {
            let _ = write!(script, "echo '== {page}:{}' >&2\n{}", block.line, self.here(&block.text));
        }
        let mut bash = Command::new("bash");
        bash.args(["-c", &script]).env_clear().current_dir(self.root.path()).kill_on_drop(true);
        let path =
            format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin", self.root.path().join("bin").display());
        bash.env("PATH", path).env("ROOT", self.root.path()).env("LISTEN", &self.listen);
        bash.env("TOKEN", "open-sesame").env("NO_PROXY", "*").stdin(Stdio::null());
        let output = tokio::time::timeout(PATIENCE, bash.output()).await;
        let output =
            output.unwrap_or_else(|_| panic!("the commands of {page} do not end")).expect("there is a bash");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{page}:\n{}\n{}\n{}",
            text(&output.stdout),
            text(&output.stderr),
            self.log()
        );
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.root.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Stage {
    /// A page whose commands hang leaves its daemon behind.
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(Path::new(self.root.path()).join("pid"));
        if let Ok(pid) = pid {
            let _ = std::process::Command::new("kill").arg(pid.trim()).status();
        }
    }
}
