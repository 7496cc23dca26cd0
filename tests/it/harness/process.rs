//! The daemon as a process of its own, the program itself: its memory can be measured, and its clients' threads are not
//! its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::daemon::Home;
use super::ports::free_port;
use super::wait::eventually;

/// The program in a home that outlives it.
pub struct Process {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Process {
    /// Starts the program in this home on loopback, and waits until it answers.
    pub async fn start(home: &Home) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        // Neither the machine's file nor its environment.
        let (file, log) = (home.path().join("forgebell.toml"), home.path().join("log"));
        std::fs::write(&file, "").expect("the folder is ours");
        let output = File::options().create(true).append(true).open(&log).expect("the folder is ours");
        let mut command = Command::new(env!("CARGO_BIN_EXE_forgebell"));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).kill_on_drop(true);
        command.arg("--config").arg(file).arg("serve");
        for setting in [format!("http.listen={address}")].iter().chain(&home.options()) {
            command.args(["--option", setting]);
        }
        let process = Self { child: command.spawn().expect("the program starts"), address, log };
        eventually("the daemon answers", Duration::from_secs(60), async || process.get("/healthz").await)
            .await;
        process
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log can be read")
    }

    /// Requests a page: its status and text. `None` where there is no answer.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let response = super::client().get(format!("http://{}{path}", self.address)).send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.text().await.ok()?))
    }

    /// Waits until it is ready.
    pub async fn until_ready(&self) {
        eventually("the daemon is ready", Duration::from_secs(60), async || {
            self.get("/readyz").await.filter(|(status, _)| *status == 200).map(drop)
        })
        .await;
    }

    /// Sends it a signal, as `kill` names it.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([format!("-{name}"), id]).status().await;
        assert!(sent.expect("kill runs").success(), "the signal {name} is sent");
    }

    /// Ends it as a first signal does, and waits for that.
    pub async fn stop(mut self) {
        self.signal("TERM").await;
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        assert!(ended.expect("it ends in time").expect("it can be waited for").success(), "{}", self.log());
    }

    /// Ends it at once, and waits for that.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it is killed");
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

/// The program in a home of its own.
pub struct DaemonProcess {
    process: Process,
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
    /// Starts the program with these settings (`section.key=value`), and waits until it is ready. Every address of the
    /// loopback network reaches it.
    pub async fn start(settings: &[&str]) -> Self {
        let home = Home::bare().with(settings);
        let process = Process::start(&home).await;
        process.until_ready().await;
        Self { process, home }
    }

    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    pub fn memory(&self) -> Memory {
        self.process.memory()
    }
}
