//! Outcomes of attempts that the store refused. They are kept in memory and written later; their rows are never
//! released, because the messages would be sent again.
//!
//! [`Unwritten`] keeps them in the order of the attempts and says when to try again. [`Stopped`] tells the deliverer
//! what must not start: jobs of their lanes and destinations, and all jobs when there are too many.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{AttemptRecord, Delivery, DeliveryId, DestinationKey, Kept, Lane, Settled};

/// The pauses between attempts to write them: the first and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// The highest bound of unwritten outcomes at any concurrency. After a crash, their messages are sent again.
const MOST: usize = 16;

/// The outcome of an attempt, with the lane and destination that wait until it is written.
#[derive(Clone, Debug)]
pub(super) struct Settlement {
    pub(super) settled: Settled,
    pub(super) destination: DestinationKey,
    pub(super) lane: Lane,
}

impl Settlement {
    /// The outcome of an attempt of this delivery.
    pub(super) fn of(delivery: &Delivery, settled: Settled) -> Self {
        Self { settled, destination: delivery.destination.clone(), lane: delivery.lane }
    }

    /// The same outcome without details that the store may refuse: the holds, the watch of a build, and the reason in
    /// words.
    pub(super) fn plain(&self) -> Settled {
        let note = "the store did not take the details of this attempt".to_owned();
        Settled {
            record: AttemptRecord { note, ..self.settled.record.clone() },
            end: Vec::new(),
            begin: Vec::new(),
            watch: None,
            ..self.settled.clone()
        }
    }
}

/// The outcomes that are not written.
#[derive(Debug)]
pub(super) struct Unwritten {
    settlements: Vec<Settlement>,
    rows: HashSet<DeliveryId>,
    /// Why the last attempt to write them failed.
    why: String,
    pause: Duration,
    next: Instant,
}

impl Unwritten {
    pub(super) fn new(now: Instant) -> Self {
        Self { settlements: Vec::new(), rows: HashSet::new(), why: String::new(), pause: PAUSE.0, next: now }
    }

    pub(super) fn len(&self) -> usize {
        self.settlements.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.settlements.is_empty()
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }

    /// Whether the outcome of this row is unwritten.
    pub(super) fn contains(&self, row: DeliveryId) -> bool {
        self.rows.contains(&row)
    }

    /// The rows of the outcomes. Their leases have to be renewed.
    pub(super) fn rows(&self) -> impl Iterator<Item = DeliveryId> + '_ {
        self.settlements.iter().map(|settlement| settlement.settled.delivery)
    }

    /// The destinations and lanes of the outcomes.
    pub(super) fn stopped(&self) -> Stopped {
        let mut stopped = Stopped { settlements: self.settlements.len(), ..Stopped::default() };
        for settlement in &self.settlements {
            stopped.destinations.insert(settlement.destination.clone());
            stopped.lanes.insert(settlement.lane.0);
        }
        stopped
    }

    /// Keeps an outcome behind the others.
    pub(super) fn keep(&mut self, settlement: Settlement, why: &str) {
        self.rows.insert(settlement.settled.delivery);
        self.settlements.push(settlement);
        why.clone_into(&mut self.why);
    }

    /// Whether it is time to try again.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_empty() && now >= self.next
    }

    /// Takes all outcomes out, to be written. Outcomes that the store refuses again must be kept again.
    pub(super) fn take(&mut self, now: Instant) -> Vec<Settlement> {
        self.next = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE.1);
        self.rows.clear();
        std::mem::take(&mut self.settlements)
    }

    /// Notes that all outcomes are written.
    pub(super) fn reset(&mut self, now: Instant) {
        (self.pause, self.next) = (PAUSE.0, now);
    }
}

/// Events in hand whose outcomes the store refused, and why.
#[derive(Debug, Default)]
pub(super) struct Unkept {
    pub(super) events: Vec<Kept>,
    pub(super) why: String,
}

impl Unkept {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn keep(&mut self, events: &[Kept], why: &str) {
        self.events.extend_from_slice(events);
        why.clone_into(&mut self.why);
    }
}

/// What must not start while outcomes are not written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stopped {
    settlements: usize,
    destinations: HashSet<DestinationKey>,
    lanes: HashSet<i64>,
}

impl Stopped {
    /// Whether an attempt of this delivery must wait.
    pub(super) fn includes(&self, delivery: &Delivery) -> bool {
        self.settlements > 0
            && (self.destinations.contains(&delivery.destination) || self.lanes.contains(&delivery.lane.0))
    }

    /// Whether so many outcomes are unwritten that no attempt may start.
    pub(super) fn is_all(&self, concurrency: usize) -> bool {
        self.settlements >= bound(concurrency)
    }
}

/// The number of unwritten outcomes at which a node of this concurrency starts no more attempts.
pub(super) fn bound(concurrency: usize) -> usize {
    (concurrency / 4).clamp(1, MOST)
}
