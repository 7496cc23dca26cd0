//! What people would use instead of Forgebell, as contenders: a Node script, a Python script with Apprise, and Alertmanager.
//! `benches/peers/install.sh` installs what they need.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::bench::{Bench, Drained, Load};
use crate::contender::{Contender, Job};
use crate::events::Mix;
use crate::figures::median;
use crate::kill::{Dice, Harm, harmed};
use crate::report::{row, verdict};

const ALERTMANAGER: &str = "/usr/bin/prometheus-alertmanager";
/// The contenders, and what part of the events each gets: Apprise takes a hundred times as long as the others.
const ALL: [(Contender, usize); 5] = [
    (Contender::Bare, 1),
    (Contender::Forgebell, 1),
    (Contender::Node, 1),
    (Contender::Apprise, 20),
    (Contender::Alertmanager, 1),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

/// What a script reads: where to consume and where to post.
fn orders(job: &Job, folder: &Path) -> Result<PathBuf> {
    let file = folder.join("orders.json");
    let orders = json!({
        "broker": job.broker, "queue": job.queue, "addresses": job.addresses, "in_flight": job.in_flight,
    });
    fs::write(&file, orders.to_string())?;
    Ok(file)
}

/// A Node script over amqplib and undici.
pub fn node(job: &Job, of_run: &Path) -> Result<Command> {
    ensure!(folder().join("node_modules").exists(), "run benches/peers/install.sh first");
    let mut command = Command::new("node");
    command.arg(folder().join("consumer.mjs")).arg(orders(job, of_run)?);
    Ok(command)
}

/// A Python script over pika and Apprise.
pub fn apprise(job: &Job, of_run: &Path) -> Result<Command> {
    let python = folder().join("python/bin/python");
    ensure!(python.exists(), "run benches/peers/install.sh first");
    let mut command = Command::new(python);
    command.arg(folder().join("consumer.py")).arg(orders(job, of_run)?);
    Ok(command)
}

/// Alertmanager, with a receiver for each project. It notifies of each alert by itself and at once.
pub fn alertmanager(job: &Job, of_run: &Path) -> Result<Command> {
    ensure!(Path::new(ALERTMANAGER).exists(), "run benches/peers/install.sh first");
    let name = |project: usize| format!("project-{project}");
    let numbered = || job.addresses.iter().enumerate().map(|(at, address)| (at + 1, address));
    let routes: Vec<_> = numbered()
        .map(|(project, _)| json!({ "receiver": name(project), "match": { "project": project.to_string() } }))
        .collect();
    let receivers: Vec<_> = numbered()
        .map(|(project, url)| {
            json!({ "name": name(project), "webhook_configs": [{ "url": url, "send_resolved": false }] })
        })
        .collect();
    let configuration = json!({
        "route": {
            "receiver": name(1), "group_by": ["..."], "group_wait": "0s", "group_interval": "1m",
            "repeat_interval": "24h", "routes": routes,
        },
        "receivers": receivers,
    });
    // JSON is YAML too.
    let file = of_run.join("alertmanager.yml");
    fs::write(&file, configuration.to_string())?;
    let mut command = Command::new(ALERTMANAGER);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", of_run.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{}", job.http_port))
        .arg("--cluster.listen-address=")
        .env("NO_PROXY", "*");
    Ok(command)
}

/// All contenders on the same kinds of events and the same sink, in turns; then what each loses when it is killed.
pub async fn side_by_side(bench: &mut Bench, events: usize, rounds: usize, seed: Option<u64>) -> Result<()> {
    println!("\nA full queue\n\n  round  contender     events/s  CPU s/10,000  peak MB  connections");
    let mut speeds: Vec<(Contender, Vec<Drained>)> = ALL.map(|(of, _)| (of, Vec::new())).into();
    for round in 1..=rounds {
        // Each round begins with another contender.
        for at in 0..ALL.len() {
            let at = (at + round - 1) % ALL.len();
            let (contender, part) = ALL[at];
            let load = Load { mix: Mix::MergeRequests, ..bench.load((events / part).max(50)) };
            let drained = bench.drain(contender, load).await?;
            row(&round.to_string(), contender, &drained);
            speeds[at].1.push(drained);
        }
    }
    println!("\nKilled once, at a random moment\n");
    let mut dice = Dice::new(seed);
    let mut harms = Vec::new();
    for (contender, part) in ALL {
        let harm = harmed(bench, contender, (events / part).max(50), 1, &mut dice).await?;
        let Harm { lost, repeated, disordered } = harm;
        println!("  {contender:12} lost {lost}, repeated {repeated}, out of order {disordered}");
        harms.push(harm);
    }
    let speed = |at: usize| median(speeds[at].1.iter().map(|one| one.per_second));
    let cpu = |at: usize| median(speeds[at].1.iter().map(|one| one.cpu));
    for (at, (contender, _)) in ALL.iter().enumerate().skip(2) {
        let Harm { lost, repeated, disordered } = harms[at];
        let more = format!(
            "cpu_ratio={:.2} lost={lost} repeated={repeated} disordered={disordered}",
            cpu(1) / cpu(at)
        );
        verdict(&format!("beside-{contender}"), speed(1) / speed(at), "1.00", &more);
    }
    Ok(())
}
