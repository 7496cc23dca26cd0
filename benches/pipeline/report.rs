//! The order of the measurements, and what is printed.

use anyhow::Result;

use crate::bench::{Bench, Drained, Health};
use crate::contender::Contender;
use crate::figures::{count, median};

/// A steady load lasts this long at most.
const SECONDS: f64 = 6.0;

/// Both in turn, with the queue full; answers with the speed of the slower one.
pub async fn throughput(bench: &mut Bench, events: usize, rounds: usize) -> Result<f64> {
    println!("\nA full queue\n\n  round  contender     events/s  CPU s/10,000  peak MB");
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        for contender in turns(round) {
            let drained = bench.drain(contender, events).await?;
            let Drained { per_second, cpu, peak } = drained;
            println!("  {round:5}  {contender:12} {per_second:9.0}  {cpu:12.2}  {peak:7.1}");
            match contender {
                Contender::Bare => bare.push(drained),
                Contender::Forgebell => ours.push(drained),
            }
        }
    }
    println!("  ------");
    for (contender, drained) in [(Contender::Bare, &bare), (Contender::Forgebell, &ours)] {
        let of = |figure: fn(&Drained) -> f64| median(drained.iter().map(figure));
        println!(
            "  median {contender:12} {:9.0}  {:12.2}  {:7.1}",
            of(|one| one.per_second),
            of(|one| one.cpu),
            of(|one| one.peak)
        );
    }
    let ratios: Vec<_> =
        bare.iter().zip(&ours).map(|(bare, ours)| ours.per_second / bare.per_second).collect();
    let all: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    println!("\n  forgebell / bare loop: {:.2} (median of {})", median(ratios), all.join(", "));
    let speed = |of: &[Drained]| median(of.iter().map(|one| one.per_second));
    Ok(speed(&bare).min(speed(&ours)))
}

/// The contenders take turns at being first, since the first run changes the state of the machine.
fn turns(round: usize) -> [Contender; 2] {
    if round % 2 == 1 {
        [Contender::Bare, Contender::Forgebell]
    } else {
        [Contender::Forgebell, Contender::Bare]
    }
}

/// Both under the same steady load.
pub async fn latency(bench: &mut Bench, events: usize, rate: f64) -> Result<()> {
    println!(
        "\nA steady {rate:.0} events/s, half of what the slower one can do: from published to received\n"
    );
    println!("  contender         p50       p99");
    let longest = count(events).min(rate * SECONDS);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    let events = longest as usize;
    for contender in turns(1) {
        let latency = bench.pace(contender, events, rate).await?;
        let [p50, p99] = [latency.p50, latency.p99].map(|took| took.as_secs_f64() * 1000.0);
        println!("  {contender:12} {p50:5.1} ms  {p99:5.1} ms");
    }
    Ok(())
}

/// Forgebell alone, with a fifth of the destinations alive or dead: what do the others get?
pub async fn dead(bench: &mut Bench, events: usize, rounds: usize) -> Result<()> {
    println!(
        "\nDead destinations: one in ten refuses connections, one in ten never answers; the rest gets, events/s\n\n  \
         round  all alive  some dead"
    );
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let (alive, dead) = if round % 2 == 1 {
            let alive = bench.drain_beside(Health::AllWell, events).await?;
            (alive, bench.drain_beside(Health::SomeDead, events).await?)
        } else {
            let dead = bench.drain_beside(Health::SomeDead, events).await?;
            (bench.drain_beside(Health::AllWell, events).await?, dead)
        };
        println!("  {round:5}  {alive:9.0}  {dead:9.0}");
        ratios.push(dead / alive);
    }
    println!("\n  some dead / all alive: {:.2} (median)", median(ratios));
    Ok(())
}
