//! What a contender loses, repeats and tells out of order when it is killed at random moments.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench::{Bench, Load};
use crate::contender::Contender;
use crate::events::{Event, EventNumber, Mix};
use crate::figures::{count, now_nanos};
use crate::report::verdict;
use crate::sink::Receipt;

/// After the last kill, so long without a receipt is the end.
const QUIET: Duration = Duration::from_secs(20);
/// Between the receipt that a kill waits for and the kill, at most.
const AFTER: u64 = 20;

/// What came of a run with kills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harm {
    /// Events that never came.
    pub lost: usize,
    /// Receipts beyond the first of an event.
    pub repeated: usize,
    /// Receipts after a newer one of their lane.
    pub disordered: usize,
}

impl Harm {
    /// What the receipts, in the order of their arrival, say of these events.
    pub fn of(events: &[Event], receipts: &[Receipt]) -> Self {
        let lanes: HashMap<EventNumber, (u32, u32)> =
            events.iter().map(|event| (event.number, event.lane)).collect();
        let mut seen = HashSet::new();
        let mut newest: HashMap<(u32, u32), EventNumber> = HashMap::new();
        let mut harm = Self::default();
        for receipt in receipts {
            let Some(lane) = lanes.get(&receipt.event) else { continue };
            harm.repeated += usize::from(!seen.insert(receipt.event));
            let newest = newest.entry(*lane).or_insert(receipt.event);
            harm.disordered += usize::from(receipt.event < *newest);
            *newest = receipt.event.max(*newest);
        }
        harm.lost = lanes.len() - seen.len();
        harm
    }
}

/// Random numbers from a seed, which is printed so that a run can be made again.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(now_nanos);
        println!("  seed {seed}");
        Self(seed)
    }

    /// A number below the bound (`SplitMix64`).
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound.max(1)
    }
}

/// Kills Forgebell so many times while it empties a queue.
pub async fn kill(bench: &mut Bench, events: usize, kills: usize, seed: Option<u64>) -> Result<()> {
    println!("\nKilled {kills} times, {events} events in lanes of a merge request each\n");
    let mut dice = Dice::new(seed);
    let harm = harmed(bench, Contender::Forgebell, events, kills, &mut dice).await?;
    let Harm { lost, repeated, disordered } = harm;
    println!("  lost {lost}, repeated {repeated}, out of order {disordered}");
    // What is under way at a kill may be told again.
    let in_flight = count(kills * bench.in_flight);
    let more = format!("lost={lost} repeated={repeated} disordered={disordered} kills={kills}");
    verdict("kill", count(repeated) / in_flight.max(1.0), "1.00,lost=0,disordered=0", &more);
    Ok(())
}

/// Kills a contender at random moments while it empties a queue, and answers what came of it.
pub async fn harmed(
    bench: &mut Bench,
    contender: Contender,
    events: usize,
    kills: usize,
    dice: &mut Dice,
) -> Result<Harm> {
    let load = Load { mix: Mix::MergeRequests, ..bench.load(events) };
    let made = bench.events.make(load.events, load.mix);
    let mut moments: Vec<_> = (0..kills).map(|_| below(dice, made.len())).collect();
    moments.sort_unstable();
    let mut session = bench.begin(contender, load, &made).await?;
    for moment in moments {
        bench.sink.expect(moment.max(1), 1).await?;
        bench.done(&mut session.running).await.with_context(|| format!("the {contender} is stuck"))?;
        tokio::time::sleep(Duration::from_millis(dice.below(AFTER))).await;
        session.running.crash()?;
    }
    bench.sink.expect(made.len(), 1).await?;
    let receipts = bench.until_quiet(QUIET).await?;
    session.running.stop(true).await?;
    let late = bench.sink.take().await?.receipts;
    bench.broker.remove(&session.queue).await?;
    let receipts: Vec<_> = receipts.into_iter().chain(late).collect();
    Ok(Harm::of(&made, &receipts))
}

fn below(dice: &mut Dice, bound: usize) -> usize {
    usize::try_from(dice.below(bound as u64)).unwrap_or_default()
}
