//! What Forgebell uses while nothing happens, how soon it is ready, and how large the program is.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::bench::Bench;
use crate::broker::Queue;
use crate::contender::{Contender, Running};
use crate::figures::{count, median};
use crate::report::verdict;

/// After the start, the first work is over by then.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// The time in which the CPU time is counted. Linux counts in hundredths of a second.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// How long a start may take.
const READY_WITHIN: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// Starts Forgebell with an integration for each project, on a new store and then on the same store again.
pub async fn idle(bench: &Bench, rounds: usize, is_quick: bool) -> Result<()> {
    println!("\nIdle, with {} integrations and without a broker\n", bench.projects);
    println!("  round  ready ms: new store  again  resident MB  CPU %");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://127.0.0.1:{}/readyz", bench.http_port);
    let (mut starts, mut resident, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds {
        let started = Instant::now();
        let queue = Queue("unused".to_owned());
        let mut running = bench.start(Contender::OverHttp, &queue, bench.load(0))?;
        let new = ready(&client, &url, &mut running, started).await?;
        let started = Instant::now();
        running.crash()?;
        let again = ready(&client, &url, &mut running, started).await?;
        tokio::time::sleep(SETTLED_AFTER).await;
        let before = running.usage()?;
        let idle_for = if is_quick { Duration::from_secs(1) } else { IDLE_FOR };
        tokio::time::sleep(idle_for).await;
        let after = running.usage()?;
        running.stop(false).await?;
        let share = after.cpu.saturating_sub(before.cpu).as_secs_f64() / idle_for.as_secs_f64() * 100.0;
        let megabytes = count(after.resident_kb) / 1000.0;
        println!("  {round:>5}  {new:19.0}  {again:5.0}  {megabytes:11.1}  {share:5.2}");
        starts.push(again);
        resident.push(megabytes);
        shares.push(share);
    }
    let program = program_megabytes(bench)?;
    let share = median(shares);
    let more =
        format!("ready={:.0}ms resident={:.1}MB program={program:.1}MB", median(starts), median(resident));
    verdict("idle", share / 0.1, "1.00,ready<100ms,resident<25MB,program<20MB", &more);
    Ok(())
}

/// Milliseconds until it says that it is ready.
async fn ready(client: &reqwest::Client, url: &str, running: &mut Running, started: Instant) -> Result<f64> {
    let asked = async {
        loop {
            if client.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    };
    tokio::select! {
        () = asked => Ok(started.elapsed().as_secs_f64() * 1000.0),
        broken = running.broken() => Err(broken),
        () = tokio::time::sleep(READY_WITHIN) => Err(anyhow!("it was not ready within {READY_WITHIN:?}")),
    }
}

/// The size of the program without its symbols.
fn program_megabytes(bench: &Bench) -> Result<f64> {
    let folder = tempfile::tempdir_in(&bench.disk)?;
    let stripped = folder.path().join("stripped");
    let done = Command::new("strip").arg("-o").arg(&stripped).arg(&bench.forgebell).status();
    ensure!(done.context("cannot run `strip`")?.success(), "`strip` failed");
    Ok(count(usize::try_from(stripped.metadata()?.len())?) / 1_000_000.0)
}
