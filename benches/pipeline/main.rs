//! The whole way, measured: a queue full of real payloads, emptied by Forgebell and, in turn, by a bare loop that only
//! consumes, posts and acknowledges.
//!
//! `cargo bench --bench pipeline` says how fast each was, what it used, and the ratio; `benches/README.md` says how to
//! read it. Everything is on loopback. It ends with 1 where an event was lost or came twice.
//!
//! * [`events`]: what is published. [`broker`]: where, and how fast.
//! * [`sink`]: what is posted to; [`bare`]: what there is to compare with. Both are this executable, started again.
//! * [`contender`], [`forgebell`]: the two of them as processes; [`usage`]: what they used.
//! * [`bench`]: the measuring. [`report`]: the order of it, and what is printed. [`machine`]: what it ran on.

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
mod machine;
mod report;
mod sink;
mod usage;

#[path = "../../tests/it/harness"]
#[expect(dead_code, reason = "the tests' harness; not all of it is needed here")]
mod harness {
    pub mod payloads;
    pub mod ports;
    pub mod rabbit;
    pub mod wait;
}

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::bench::Bench;
use crate::broker::Broker;
use crate::events::Events;
use crate::harness::ports::free_port;
use crate::harness::rabbit::RabbitNode;
use crate::sink::Sink;

/// Measures Forgebell beside a bare loop that only consumes, posts and acknowledges.
#[derive(Debug, Parser)]
#[command(name = "pipeline")]
struct Args {
    /// Events in one round.
    #[arg(long, default_value_t = 10_000)]
    events: usize,
    /// Rounds; in each, both contenders have their turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What to measure.
    #[arg(long, value_enum, default_value_t)]
    scenario: Scenario,
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
    /// Said by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    /// Benches to run, as `cargo bench NAME` hands it to all of them.
    #[arg(hide = true)]
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// All that follow.
    #[default]
    All,
    /// As fast as it goes, and how long it takes at half of that.
    Throughput,
    /// One destination in five is dead: what do the others get?
    Dead,
}

/// A round that only shows that it works.
const QUICK: usize = 500;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((role, _)) if role == sink::ROLE => return sink::run(),
        Some((role, rest)) if role == bare::ROLE => return bare::run(&bare::Order::read(rest)?),
        _ => {}
    }
    let mut args = Args::parse();
    if args.name.as_ref().is_some_and(|name| !"pipeline".contains(name.as_str())) {
        return Ok(ExitCode::SUCCESS);
    }
    if args.quick || !args.bench {
        (args.events, args.rounds) = (args.events.min(QUICK), 1);
    }
    let outcome = tokio::runtime::Runtime::new()?.block_on(measure(&args));
    if let Err(error) = outcome {
        eprintln!("\nFAILED: {error:#}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &Args) -> Result<()> {
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let node = if args.amqp.is_none() { Some(RabbitNode::start().await) } else { None };
    let url = args.amqp.clone().or_else(|| node.as_ref().map(RabbitNode::url)).unwrap_or_default();
    machine::describe(disk, &broker::version(&url).await?)?;
    println!(
        "settings  {} events a round, {} destinations, {} requests in flight, prefetch {}",
        args.events, args.destinations, args.in_flight, args.prefetch
    );
    let mut bench = Bench {
        broker: Broker::connect(url).await?,
        sink: Sink::start().await?,
        events: Events::new(args.destinations),
        projects: args.destinations,
        in_flight: args.in_flight,
        prefetch: args.prefetch,
        disk: disk.to_owned(),
        closed_port: free_port(),
        forgebell: args.forgebell.clone(),
    };
    if args.scenario != Scenario::Dead {
        let speed = report::throughput(&mut bench, args.events, args.rounds).await?;
        report::latency(&mut bench, args.events, speed / 2.0).await?;
    }
    if args.scenario != Scenario::Throughput {
        report::dead(&mut bench, args.events, args.rounds).await?;
    }
    println!("\nEvery event that could be delivered was, once.");
    Ok(())
}
