//! What a process used, as Linux counts it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// What a process has used since it began.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// The most memory that it ever had, in kilobytes.
    pub peak_kb: usize,
    /// The memory that it has now, in kilobytes.
    pub resident_kb: usize,
}

impl Usage {
    pub fn of(pid: u32) -> Result<Self> {
        let gone = || format!("process {pid} is gone");
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(gone)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(gone)?;
        Ok(Self {
            cpu: cpu(&stat).context("unreadable /proc/PID/stat")?,
            peak_kb: kilobytes(&status, "VmHWM:").context("unreadable /proc/PID/status")?,
            resident_kb: kilobytes(&status, "VmRSS:").context("unreadable /proc/PID/status")?,
        })
    }
}

/// `utime` and `stime` (proc(5)), which Linux gives in hundredths of a second on every architecture.
fn cpu(stat: &str) -> Option<Duration> {
    // The name before it, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks()? + ticks()?)))
}

fn kilobytes(status: &str, name: &str) -> Option<usize> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
