//! The whole way, measured: a queue full of real payloads, emptied by Forgebell and, in turn, by a bare loop that only
//! consumes, posts and acknowledges.
//!
//! `cargo bench --bench pipeline` says how fast each was, what it used, and the ratio; `benches/README.md` says how to
//! read it. Everything is on loopback. It ends with 1 where an event was lost or came twice.
//!
//! * [`events`]: what is published. [`broker`]: where, and how fast.
//! * [`sink`]: what is posted to, and [`served`], how it serves; [`bare`]: what there is to compare with. Both are this
//!   executable, started again.
//! * [`contender`]: a program as a process; [`forgebell`] and [`peers`]: which ones; [`usage`]: what they used.
//! * [`bench`]: the measuring. [`report`]: the order of it, and what is printed. [`kill`]: what a crash costs. [`nodes`]: what
//!   several nodes do. [`idle`]: what is used while nothing happens. [`posting`]: events over HTTP.
//!   [`machine`]: what it ran on.

#![expect(
    clippy::disallowed_methods,
    reason = "the bans keep the daemon honest; a bench has a clock and tasks of its own"
)]

mod bare;
mod bench;
mod broker;
mod contender;
mod events;
mod figures;
mod forgebell;
mod idle;
mod kill;
mod machine;
mod nodes;
mod peers;
mod posting;
mod report;
mod served;
mod sink;
mod usage;

#[path = "../../tests/it/harness"]
#[expect(dead_code, reason = "the tests' harness; not all of it is needed here")]
mod harness {
    pub mod authority;
    pub mod payloads;
    pub mod ports;
    #[path = "../../../src/store/suite/private_postgres.rs"]
    pub mod postgres;
    pub mod rabbit;
    pub mod wait;
}

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};

use crate::bench::Bench;
use crate::broker::Broker;
use crate::events::Events;
use crate::harness::ports::free_port;
use crate::harness::rabbit::RabbitNode;
use crate::report::Aim;
use crate::sink::{Protocol, Sink};

/// Measures Forgebell beside a bare loop that only consumes, posts and acknowledges.
#[derive(Debug, Parser)]
#[command(name = "pipeline")]
struct Args {
    /// Events in one round.
    #[arg(long, default_value_t = 10_000)]
    events: usize,
    /// Rounds; in each, all contenders have their turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What to measure; without it, all but `peers`.
    #[arg(long, value_enum)]
    scenario: Vec<Scenario>,
    /// Events a second where a steady load is measured.
    #[arg(long, default_value_t = 2000.0)]
    rate: f64,
    /// How often Forgebell is killed.
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// Makes a run with kills again.
    #[arg(long)]
    seed: Option<u64>,
    /// What the sink speaks.
    #[arg(long, value_enum, default_value_t)]
    wire: Protocol,
    /// One short round of each: to see that it works, not how fast. The default where cargo doesn't bench (`cargo test`).
    #[arg(long)]
    quick: bool,
    /// A broker to use, instead of a private node (a loopback one, or the network is what is measured).
    #[arg(long)]
    amqp: Option<String>,
    /// Projects, each with one integration and a webhook of its own.
    #[arg(long, default_value_t = 200)]
    destinations: u32,
    /// Requests in flight, of each contender.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Messages that the broker may send ahead, to each contender.
    #[arg(long, default_value_t = 512)]
    prefetch: u16,
    /// Another build of Forgebell to measure.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_forgebell"))]
    forgebell: PathBuf,
    /// A setting of Forgebell, `section.key=value`.
    #[arg(long)]
    set: Vec<String>,
    /// Said by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    /// Benches to run, as `cargo bench NAME` hands it to all of them.
    #[arg(hide = true)]
    name: Option<String>,
}

impl Args {
    fn is_quick(&self) -> bool {
        self.quick || !self.bench
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// As fast as it goes.
    Throughput,
    /// From published to received, at a steady rate.
    Latency,
    /// The processor time of 500 events a second.
    Steady,
    /// All events are of one lane, so that each waits for the one before.
    Lane,
    /// Events over HTTP, beside the same from the broker.
    Http,
    /// Nothing happens.
    Idle,
    /// One event goes to ten channels.
    Fanout,
    /// No integration wants the events.
    Unmatched,
    /// Every answer takes 300 ms.
    Slow,
    /// One destination is dead: the latency of the others.
    Dead,
    /// One destination in five is dead: what do the others get?
    ManyDead,
    /// Killed at random moments: what is lost, repeated, out of order?
    Kill,
    /// One and two nodes over PostgreSQL.
    Nodes,
    /// Beside what people would use instead.
    Peers,
}

const ALL: [Scenario; 13] = [
    Scenario::Throughput,
    Scenario::Latency,
    Scenario::Steady,
    Scenario::Http,
    Scenario::Idle,
    Scenario::Lane,
    Scenario::Fanout,
    Scenario::Unmatched,
    Scenario::Slow,
    Scenario::Dead,
    Scenario::ManyDead,
    Scenario::Kill,
    Scenario::Nodes,
];

/// A round that only shows that it works.
const QUICK: usize = 500;
/// Nothing that is measured takes this long, unless it hangs.
const BOUND: Duration = Duration::from_secs(120);
/// Where one event is ten deliveries, or where each waits for the one before, fewer are enough.
const FEWER: usize = 5;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((role, rest)) if role == sink::ROLE => return sink::run(rest),
        Some((role, rest)) if role == bare::ROLE => return bare::run(&bare::Order::read(rest)?),
        _ => {}
    }
    let mut args = Args::parse();
    if args.name.as_ref().is_some_and(|name| !"pipeline".contains(name.as_str())) {
        return Ok(ExitCode::SUCCESS);
    }
    if args.is_quick() {
        (args.events, args.rounds) = (args.events.min(QUICK), 1);
        (args.rate, args.kills) = (args.rate.min(100.0), args.kills.min(3));
    }
    let outcome = tokio::runtime::Runtime::new()?.block_on(measure(&args));
    if let Err(error) = outcome {
        eprintln!("\nFAILED: {error:#}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &Args) -> Result<()> {
    ensure!(
        args.events >= 10 && args.destinations >= 10,
        "too few events or destinations to measure anything"
    );
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let node = if args.amqp.is_none() { Some(RabbitNode::start().await) } else { None };
    let url = args.amqp.clone().or_else(|| node.as_ref().map(RabbitNode::url)).unwrap_or_default();
    machine::describe(disk, &broker::version(&url).await?)?;
    println!(
        "settings  {} events a round, {} destinations over {:?}, {} requests in flight, prefetch {} {}",
        args.events,
        args.destinations,
        args.wire,
        args.in_flight,
        args.prefetch,
        args.set.join(" ")
    );
    let mut bench = Bench {
        broker: Broker::connect(url).await?,
        sink: Sink::start(args.wire).await?,
        events: Events::new(args.destinations),
        projects: args.destinations,
        in_flight: args.in_flight,
        prefetch: args.prefetch,
        disk: disk.to_owned(),
        closed_port: free_port(),
        http_port: free_port(),
        forgebell: args.forgebell.clone(),
        settings: args.set.clone(),
        bound: BOUND,
    };
    let scenarios = if args.scenario.is_empty() { ALL.to_vec() } else { args.scenario.clone() };
    for scenario in scenarios {
        run(scenario, &mut bench, args).await?;
    }
    Ok(())
}

async fn run(scenario: Scenario, bench: &mut Bench, args: &Args) -> Result<()> {
    let (events, rounds) = (args.events, args.rounds);
    let fewer = (events / FEWER).max(10);
    let (title, load, aim) = match scenario {
        Scenario::Throughput => {
            let aim = Aim { name: "end-to-end", target: "0.62" };
            ("A full queue", bench.load(events), aim)
        }
        Scenario::Lane => {
            let aim = Aim { name: "lane", target: "-" };
            ("One lane, beside a bare loop with one request at a time", report::lane(bench, fewer), aim)
        }
        Scenario::Fanout => {
            let aim = Aim { name: "fanout", target: "0.80" };
            ("Ten deliveries of each event", report::fanout(bench, fewer), aim)
        }
        Scenario::Unmatched => {
            let aim = Aim { name: "unmatched", target: "0.80" };
            ("Events that nothing wants", report::unmatched(bench, events), aim)
        }
        Scenario::Latency => return report::latency(bench, events, args.rate, rounds).await,
        Scenario::Http => return report::over_http(bench, events, rounds).await,
        Scenario::Idle => return idle::idle(bench, rounds, args.is_quick()).await,
        Scenario::Steady => return report::steady(bench, events, rounds).await,
        Scenario::Slow => return report::slow(bench, fewer, rounds).await,
        Scenario::Dead => return report::dead(bench, events, args.rate, rounds).await,
        Scenario::ManyDead => return report::many_dead(bench, events, rounds).await,
        Scenario::Kill => return kill::kill(bench, events, args.kills, args.seed).await,
        Scenario::Nodes => return nodes::side_by_side(bench, events, rounds).await,
        Scenario::Peers => return peers::side_by_side(bench, events, rounds, args.seed).await,
    };
    report::throughput(bench, title, load, rounds, aim).await
}
