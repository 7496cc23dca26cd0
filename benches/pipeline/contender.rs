//! The contenders: programs that do the same job, each started as a process of its own, watched, killed and stopped.

use std::fmt;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::bare::Order;
use crate::forgebell;
use crate::harness::rabbit::{Process, Watchdog};
use crate::peers;
use crate::usage::Usage;

/// How long one may take to stop.
const STOP_BOUND: Duration = Duration::from_secs(15);
/// The number of the signal that asks a process to end.
const TERM: i32 = 15;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    Bare,
    Forgebell,
    /// Forgebell without a broker. The bench posts the events to it.
    OverHttp,
    /// `benches/peers/consumer.mjs`.
    Node,
    /// `benches/peers/consumer.py`.
    Apprise,
    /// Debian's `prometheus-alertmanager`. It reads no queue: the bench posts its alerts.
    Alertmanager,
}

impl Contender {
    /// Whether it reads the queue. The bench posts the events to the others.
    pub const fn reads_queue(self) -> bool {
        !matches!(self, Self::OverHttp | Self::Alertmanager)
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bare => "bare loop",
            Self::Forgebell => "forgebell",
            Self::OverHttp => "over http",
            Self::Node => "node",
            Self::Apprise => "apprise",
            Self::Alertmanager => "alertmanager",
        })
    }
}

/// What a contender is to do.
pub struct Job {
    pub broker: String,
    pub queue: String,
    /// Where each project's news go: the first one's first.
    pub addresses: Vec<String>,
    pub in_flight: usize,
    pub prefetch: u16,
    /// How often each event is to be posted.
    pub copies: u32,
    /// The authority behind the sink's certificate, in PEM.
    pub authority: String,
    /// The program, where it is Forgebell.
    pub forgebell: PathBuf,
    /// More of its settings, `section.key=value`.
    pub settings: Vec<String>,
    /// Where events are posted, if it reads no queue.
    pub http_port: u16,
}

/// A running contender. It is killed when this is dropped, or when the bench ends in any way.
pub struct Running {
    process: Process,
    watchdog: Watchdog,
    folder: TempDir,
    contender: Contender,
    job: Job,
}

impl Running {
    /// Starts one; what it needs on disk lies in a folder within `disk`.
    pub fn start(contender: Contender, job: Job, disk: &Path) -> Result<Self> {
        let folder = TempDir::with_prefix_in("bench-", disk)?;
        let command = command(contender, &job, folder.path())?;
        let mut watchdog = Watchdog::over(folder.path());
        let process = Process::start(command, &folder.path().join("log"));
        watchdog.guard(&[&process]);
        Ok(Self { process, watchdog, folder, contender, job })
    }

    /// Kills it as a crash would, and starts it again on what it has on disk.
    pub fn crash(&mut self) -> Result<()> {
        self.process.kill();
        let command = command(self.contender, &self.job, self.folder.path())?;
        self.process = Process::start(command, &self.folder.path().join("log"));
        self.watchdog.guard(&[&self.process]);
        Ok(())
    }

    /// Returns only if it ends by itself, which it should not.
    pub async fn broken(&mut self) -> anyhow::Error {
        loop {
            if let Some(status) = self.process.exited() {
                return anyhow::anyhow!("it ended ({status}); it said:\n{}", self.said());
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.process.id())
    }

    /// The end of its log.
    pub fn said(&self) -> String {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(4000)..]).into_owned()
    }

    /// Asks it to stop, and waits until it has. Where destinations hang, or it was started a moment ago (`in_disorder`), it
    /// may say that it couldn't wait for them, or end before it listens to signals.
    pub async fn stop(mut self, in_disorder: bool) -> Result<()> {
        ensure!(self.process.exited().is_none(), "it ended before it was asked to:\n{}", self.said());
        self.process.signal("TERM");
        let stopped = async {
            loop {
                if let Some(status) = self.process.exited() {
                    return status;
                }
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
        };
        match tokio::time::timeout(STOP_BOUND, stopped).await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) if in_disorder && (status.code() == Some(1) || status.signal() == Some(TERM)) => {
                Ok(())
            }
            Ok(status) => bail!("it did not stop in order ({status}):\n{}", self.said()),
            Err(_) => bail!("it did not stop within {STOP_BOUND:?}:\n{}", self.said()),
        }
    }
}

fn command(contender: Contender, job: &Job, folder: &Path) -> Result<Command> {
    match contender {
        Contender::Bare => bare(job),
        Contender::Forgebell => forgebell::command(job, folder),
        Contender::OverHttp => forgebell::without_broker(job, folder),
        Contender::Node => peers::node(job, folder),
        Contender::Apprise => peers::apprise(job, folder),
        Contender::Alertmanager => peers::alertmanager(job, folder),
    }
}

fn bare(job: &Job) -> Result<Command> {
    let address = job.addresses.first().context("there is nowhere to post to")?;
    let order = Order {
        broker: job.broker.clone(),
        queue: job.queue.clone(),
        address: address.clone(),
        in_flight: job.in_flight,
        prefetch: job.prefetch,
        copies: job.copies,
        authority: job.authority.clone(),
    };
    let mut command = Command::new(std::env::current_exe()?);
    command.args(order.arguments()?);
    Ok(command)
}
