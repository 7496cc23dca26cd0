//! The daemon as a process of its own, the program itself: its memory can be measured, and its clients' threads are not
//! its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::daemon::Home;
use super::ports::free_port;
use super::wait::eventually;

pub struct DaemonProcess {
    child: Child,
    address: SocketAddr,
    pub home: Home,
}

/// What a process has of memory, in megabytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// At most, since it started.
    pub peak: u64,
    pub now: u64,
}

impl DaemonProcess {
    /// Starts the program with these settings (`section.key=value`) on loopback, and waits until it is ready. Every address
    /// of the loopback network reaches it.
    pub async fn start(settings: &[&str]) -> Self {
        let home = Home::new("");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let file = |name: &str| home.path().join(name);
        // Neither the machine's file nor its environment.
        std::fs::write(file("forgebell.toml"), "").expect("the folder is ours");
        let log = std::fs::File::create(file("log")).expect("the folder is ours");
        let mut command = Command::new(env!("CARGO_BIN_EXE_forgebell"));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        command.arg("--config").arg(file("forgebell.toml")).arg("serve");
        let own =
            [format!("http.listen={address}"), format!("store.path={}", file("forgebell.db").display())];
        for setting in own.iter().map(String::as_str).chain(settings.iter().copied()) {
            command.args(["--option", setting]);
        }
        let child = command.spawn().expect("the program starts");
        let client = super::client();
        eventually("the daemon is ready", Duration::from_secs(30), async || {
            let answer = client.get(format!("http://{address}/readyz")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        Self { child, address, home }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).expect("the log can be read")
    }

    /// From `/proc/<pid>/status`: `VmHWM` and `VmRSS`.
    pub fn memory(&self) -> Memory {
        let id = self.child.id().expect("it runs");
        let status = Path::new("/proc").join(id.to_string()).join("status");
        let status = std::fs::read_to_string(status).expect("the process can be looked at");
        let megabytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
            kilobytes.expect("a size in kB") / 1024
        };
        Memory { peak: megabytes("VmHWM"), now: megabytes("VmRSS") }
    }
}
