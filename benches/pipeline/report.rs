//! The order of the measurements, and what is printed. Each scenario ends with a line `bench NAME ratio=… target=…`.

use anyhow::Result;

use crate::bench::{Bench, Drained, Health, Load, Paced};
use crate::contender::Contender;
use crate::events::Mix;
use crate::figures::{count, median};

/// A steady load lasts this long at most.
const SECONDS: f64 = 6.0;
/// The rate at which the CPU time of a quiet day is measured.
const STEADY: f64 = 500.0;

/// The last line of a scenario, for programs to read.
pub fn verdict(name: &str, ratio: f64, target: &str, more: &str) {
    println!("\nbench {name} ratio={ratio:.2} target={target} {more}");
}

/// What a scenario compares the ratio with.
#[derive(Clone, Copy, Debug)]
pub struct Aim {
    pub name: &'static str,
    pub target: &'static str,
}

/// What is compared with what, in this order.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub base: Contender,
    pub ours: Contender,
}

const BESIDE_BARE: Pair = Pair { base: Contender::Bare, ours: Contender::Forgebell };
const HTTP_BESIDE_BROKER: Pair = Pair { base: Contender::Forgebell, ours: Contender::OverHttp };

/// The medians of both contenders, and of their ratios.
pub struct Compared {
    pub base: Drained,
    pub ours: Drained,
    pub ratio: f64,
}

/// Both in turn, with the queue full.
async fn side_by_side(
    bench: &mut Bench,
    title: &str,
    load: Load,
    rounds: usize,
    pair: Pair,
) -> Result<Compared> {
    println!("\n{title}\n\n  round  contender     events/s  CPU s/10,000  peak MB  connections");
    let (mut base, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        for contender in turns(round, pair) {
            let drained = bench.drain(contender, load).await?;
            row(&format!("{round}"), contender, &drained);
            if contender == pair.base { base.push(drained) } else { ours.push(drained) }
        }
    }
    println!("  ------");
    let (of_base, of_ours) = (middle(&base), middle(&ours));
    row("all", pair.base, &of_base);
    row("all", pair.ours, &of_ours);
    let ratios: Vec<_> =
        base.iter().zip(&ours).map(|(base, ours)| ours.per_second / base.per_second).collect();
    let each: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    let Pair { base, ours } = pair;
    println!("\n  {ours} / {base}: {:.2} (median of {})", median(ratios.clone()), each.join(", "));
    Ok(Compared { base: of_base, ours: of_ours, ratio: median(ratios) })
}

pub fn row(round: &str, contender: Contender, drained: &Drained) {
    let Drained { per_second, cpu, peak, connections } = drained;
    println!("  {round:>5}  {contender:12} {per_second:9.0}  {cpu:12.2}  {peak:7.1}  {connections:11}");
}

fn middle(drained: &[Drained]) -> Drained {
    let of = |figure: fn(&Drained) -> f64| median(drained.iter().map(figure));
    let mut connections: Vec<_> = drained.iter().map(|one| one.connections).collect();
    connections.sort_unstable();
    Drained {
        per_second: of(|one| one.per_second),
        cpu: of(|one| one.cpu),
        peak: of(|one| one.peak),
        connections: connections.get(connections.len() / 2).copied().unwrap_or_default(),
    }
}

/// The contenders take turns at being first, since the first run changes the state of the machine.
fn turns(round: usize, Pair { base, ours }: Pair) -> [Contender; 2] {
    if round % 2 == 1 { [base, ours] } else { [ours, base] }
}

/// Both in turn, with the queue full, and what the aim is.
pub async fn throughput(bench: &mut Bench, title: &str, load: Load, rounds: usize, aim: Aim) -> Result<()> {
    let Compared { base: bare, ours, ratio } = side_by_side(bench, title, load, rounds, BESIDE_BARE).await?;
    let more = format!(
        "cpu={:.2} cpu_ratio={:.2} peak={:.1} connections={}",
        ours.cpu,
        ours.cpu / bare.cpu,
        ours.peak,
        ours.connections
    );
    verdict(aim.name, ratio, aim.target, &more);
    Ok(())
}

/// As [`throughput`], where only the processor time counts: the rate is the destinations' own.
pub async fn slow(bench: &mut Bench, events: usize, rounds: usize) -> Result<()> {
    let load = Load { health: Health::AllSlow, in_flight: 1024, ..bench.load(events) };
    let title = "Each answer takes 300 ms, so that every delivery becomes a row first";
    let Compared { base: bare, ours, .. } = side_by_side(bench, title, load, rounds, BESIDE_BARE).await?;
    let more = format!("cpu={:.2} peak={:.1} events_per_second={:.0}", ours.cpu, ours.peak, ours.per_second);
    verdict("slow", ours.cpu / bare.cpu, "as-before", &more);
    Ok(())
}

/// Events over HTTP into the inbox, beside the same events from a broker.
pub async fn over_http(bench: &mut Bench, events: usize, rounds: usize) -> Result<()> {
    let (load, title) = (bench.load(events), "Events over HTTP, beside events from a broker");
    let Compared { base: broker, ours, ratio } =
        side_by_side(bench, title, load, rounds, HTTP_BESIDE_BROKER).await?;
    let more = format!("cpu={:.2} peak={:.1} by_rate={ratio:.2}", ours.cpu, ours.peak);
    verdict("http", ours.cpu / broker.cpu, "1.50", &more);
    Ok(())
}

/// So many events at this rate as fit into the time of a steady load.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
fn steadily(events: usize, rate: f64) -> usize {
    count(events).min(rate * SECONDS) as usize
}

fn milliseconds(paced: Paced) -> [f64; 2] {
    [paced.p50, paced.p99].map(|took| took.as_secs_f64() * 1000.0)
}

fn print_paced(what: &str, paced: Paced) {
    let [p50, p99] = milliseconds(paced);
    println!("  {what:12} {p50:5.1} ms  {p99:5.1} ms  {:12.2}", paced.cpu);
}

/// Both under the same steady load, in turns: medians of the rounds.
async fn paced(bench: &mut Bench, events: usize, rate: f64, rounds: usize) -> Result<[Vec<Paced>; 2]> {
    println!("\nA steady {rate:.0} events/s: from published to received\n");
    println!("  contender         p50       p99  CPU s/10,000");
    let load = bench.load(steadily(events, rate));
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        for contender in turns(round, BESIDE_BARE) {
            let paced = bench.pace(contender, load, rate, Health::AllWell).await?;
            print_paced(&contender.to_string(), paced);
            if contender == Contender::Bare { bare.push(paced) } else { ours.push(paced) }
        }
    }
    Ok([bare, ours])
}

fn median_of(paced: &[Paced], figure: impl Fn(Paced) -> f64) -> f64 {
    median(paced.iter().map(|one| figure(*one)))
}

/// The latency of both at this rate.
pub async fn latency(bench: &mut Bench, events: usize, rate: f64, rounds: usize) -> Result<()> {
    let [bare, ours] = paced(bench, events, rate, rounds).await?;
    let p50 = |of: &[Paced]| median_of(of, |one| milliseconds(one)[0]);
    let p99 = |of: &[Paced]| median_of(of, |one| milliseconds(one)[1]);
    let more = format!(
        "rate={rate:.0} p50={:.1}ms p99={:.1}ms bare_p50={:.1}ms bare_p99={:.1}ms",
        p50(&ours),
        p99(&ours),
        p50(&bare),
        p99(&bare)
    );
    verdict("latency", p99(&ours) / p99(&bare), "p50<=1.5ms,p99<=4ms", &more);
    Ok(())
}

/// The processor time of both on a quiet day.
pub async fn steady(bench: &mut Bench, events: usize, rounds: usize) -> Result<()> {
    let [bare, ours] = paced(bench, events, STEADY, rounds).await?;
    let cpu = |of: &[Paced]| median_of(of, |one| one.cpu);
    let p99 = median_of(&ours, |one| milliseconds(one)[1]);
    let more = format!("cpu={:.2} bare_cpu={:.2} p99={p99:.1}ms", cpu(&ours), cpu(&bare));
    verdict("steady", cpu(&ours) / cpu(&bare), "1.50", &more);
    Ok(())
}

/// One destination of all is dead: the latency of the others beside what it is when all are well.
pub async fn dead(bench: &mut Bench, events: usize, rate: f64, rounds: usize) -> Result<()> {
    for (name, health) in [("dead-refuses", Health::OneRefuses), ("dead-hangs", Health::OneHangs)] {
        println!("\n{name}: one of {} destinations; the others at {rate:.0}/s\n", bench.projects);
        println!("  destinations      p50       p99  CPU s/10,000");
        let load = bench.load(steadily(events, rate));
        let (mut well, mut beside) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            for is_dead in [round % 2 == 0, round % 2 == 1] {
                let of = Load { health: if is_dead { health } else { Health::AllWell }, ..load };
                let paced = bench.pace(Contender::Forgebell, of, rate, health).await?;
                print_paced(if is_dead { "one dead" } else { "all well" }, paced);
                if is_dead { beside.push(paced) } else { well.push(paced) }
            }
        }
        let p99 = |of: &[Paced]| median_of(of, |one| milliseconds(one)[1]);
        let more = format!("p99={:.1}ms all_well_p99={:.1}ms", p99(&beside), p99(&well));
        verdict(name, p99(&beside) / p99(&well), "1.10", &more);
    }
    Ok(())
}

/// A fifth of the destinations is dead: what do the others get of a full queue?
pub async fn many_dead(bench: &mut Bench, events: usize, rounds: usize) -> Result<()> {
    println!(
        "\nDead destinations: one in ten refuses connections, one in ten never answers; the rest gets, events/s\n\n  \
         round  all alive  some dead"
    );
    let mut ratios = Vec::new();
    let load = bench.load(events);
    let some_dead = Load { health: Health::SomeDead, ..load };
    for round in 1..=rounds {
        let (alive, dead) = if round % 2 == 1 {
            let alive = bench.drain_beside(load, Health::SomeDead).await?;
            (alive, bench.drain_beside(some_dead, Health::SomeDead).await?)
        } else {
            let dead = bench.drain_beside(some_dead, Health::SomeDead).await?;
            (bench.drain_beside(load, Health::SomeDead).await?, dead)
        };
        println!("  {round:5}  {alive:9.0}  {dead:9.0}");
        ratios.push(dead / alive);
    }
    verdict("many-dead", median(ratios), "-", "");
    Ok(())
}

/// One event, ten deliveries.
pub fn fanout(bench: &Bench, events: usize) -> Load {
    Load { copies: 10, ..bench.load(events) }
}

/// Each delivery waits for the one before.
pub fn lane(bench: &Bench, events: usize) -> Load {
    Load { mix: Mix::OneLane, ..bench.load(events) }
}

/// Events that nothing wants.
pub fn unmatched(bench: &Bench, events: usize) -> Load {
    Load { mix: Mix::Unmatched, ..bench.load(events) }
}
