//! What the deliverer has to say to the store, said in order and in batches.
//!
//! Settlements go first, then rows that are given back, then claims: so that a claim never brings a later row of a lane
//! whose earlier row has only just begun to wait. While the store is away, what was said waits here, in order; the
//! deliverer goes on with what it has in memory and then stands still, because nothing new can be claimed or enqueued.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Clock, after, store_calls};
use crate::store::{
    Claim, Claimed, DeliveryId, DestinationKey, Hold, HoldKey, Lease, NodeId, Outbox, Portion, Settled,
    StoreError,
};

/// Something to do to the store.
#[derive(Debug)]
pub(super) enum Command {
    Settle(Box<Settled>),
    /// Mark the row as started before its attempt, and tell whether the attempt may be made.
    Start(DeliveryId, oneshot::Sender<Marked>),
    Release(DeliveryId),
    Claim(DestinationKey),
    /// Prolong the leases of what is in memory.
    Renew(Vec<DeliveryId>),
    /// Find destinations whose rows wait, and what is held.
    PollDue,
    /// Asks to be told when all is written that was sent before.
    Flush(oneshot::Sender<()>),
}

/// Whether an attempt that must not be repeated may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// The mark is on disk.
    Started,
    /// Another node has the row by now.
    Lost,
    /// The store is broken.
    Unknown,
}

/// What the store answered.
#[derive(Debug)]
pub(super) enum Event {
    Claimed(Vec<Claimed>),
    /// These claims did not come about.
    NotClaimed(Vec<DestinationKey>),
    Waiting(Vec<(DestinationKey, Timestamp)>),
    /// So many settlements are safe, and with them the changes of these holds.
    Written {
        count: usize,
        holds: Vec<HoldKey>,
    },
    /// All holds that have not ended.
    Holds(Vec<Hold>),
    /// Leases were prolonged, asked for at this moment; these rows are somebody else's by now.
    Renewed {
        asked: Timestamp,
        lost: Vec<DeliveryId>,
    },
}

pub(super) struct OutboxWriter {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) node: NodeId,
    pub(super) lease: Duration,
    /// What one claim brings for one destination.
    pub(super) portion: Portion,
    pub(super) clock: Clock,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// The store said that it is broken: until then, nothing is claimed or polled.
    pub(super) broken_until: Option<Timestamp>,
}

/// Destinations found in one look.
const DUE_LIMIT: usize = 10_000;
/// Commands taken at once.
const AT_ONCE: usize = 1024;
/// Destinations claimed for in one call: what it brings is read into memory whole.
const CLAIMS_AT_ONCE: usize = 32;

/// Commands of one batch, sorted.
#[derive(Default)]
struct Batch {
    settle: Vec<Settled>,
    start: Vec<(DeliveryId, oneshot::Sender<Marked>)>,
    release: Vec<DeliveryId>,
    claim: Vec<DestinationKey>,
    renew: Option<Vec<DeliveryId>>,
    poll_due: bool,
    flushes: Vec<oneshot::Sender<()>>,
}

impl Batch {
    fn sorted(commands: Vec<Command>) -> Self {
        let mut batch = Self::default();
        for command in commands {
            match command {
                Command::Settle(settled) => batch.settle.push(*settled),
                Command::Start(row, marked) => batch.start.push((row, marked)),
                Command::Release(row) => batch.release.push(row),
                Command::Claim(key) => batch.claim.push(key),
                Command::Renew(rows) => batch.renew = Some(rows),
                Command::PollDue => batch.poll_due = true,
                Command::Flush(flushed) => batch.flushes.push(flushed),
            }
        }
        batch
    }
}

impl OutboxWriter {
    /// Says everything that comes, until nobody can say anything more; then all was written.
    pub(super) async fn run(mut self) {
        let mut commands = Vec::with_capacity(AT_ONCE);
        while self.commands.recv_many(&mut commands, AT_ONCE).await > 0 {
            self.write(Batch::sorted(std::mem::take(&mut commands))).await;
        }
    }

    async fn write(&mut self, batch: Batch) {
        if !batch.settle.is_empty() {
            self.settle(&batch.settle).await;
        }
        if !batch.start.is_empty() {
            self.start(batch.start).await;
        }
        if !batch.release.is_empty() {
            self.insist("give leases back", || self.outbox.release(&self.node, &batch.release)).await;
        }
        for flushed in batch.flushes {
            let _ = flushed.send(()); // whoever asked may have lost patience
        }
        if let Some(rows) = batch.renew {
            self.renew(rows).await;
        }
        if !batch.claim.is_empty() {
            for destinations in batch.claim.chunks(CLAIMS_AT_ONCE) {
                if self.is_broken() {
                    let _ = self.events.send(Event::NotClaimed(destinations.to_vec()));
                } else {
                    self.claim(destinations.to_vec()).await;
                }
            }
        }
        if batch.poll_due && !self.is_broken() {
            self.poll_due().await;
        }
    }

    /// Writes settlements; where the store takes them for broken, those that it can take are written all the same, and the
    /// leases of the others are given back, so that they are found again.
    async fn settle(&self, settlements: &[Settled]) {
        if !self.insist("settle", || self.outbox.settle(&self.node, settlements.to_vec())).await {
            for settled in settlements {
                let one = || self.outbox.settle(&self.node, vec![settled.clone()]);
                if !self.insist("settle", one).await {
                    let row = [settled.delivery];
                    self.insist("give a lease back", || self.outbox.release(&self.node, &row)).await;
                }
            }
        }
        let ended = settlements.iter().flat_map(|settled| &settled.end);
        let begun = settlements.iter().flat_map(|settled| &settled.begin).map(|hold| &hold.key);
        let holds = ended.chain(begun).cloned().collect();
        let _ = self.events.send(Event::Written { count: settlements.len(), holds });
    }

    /// Marks rows as started. Their attempts wait for the answer.
    async fn start(&self, asked: Vec<(DeliveryId, oneshot::Sender<Marked>)>) {
        let rows: Vec<DeliveryId> = asked.iter().map(|(row, _)| *row).collect();
        let call = || self.outbox.start(self.new_lease(), &rows);
        let own = store_calls::insist("mark attempts as started", &CancellationToken::new(), call).await;
        for (row, answer) in asked {
            let marked = match &own {
                Ok(own) if own.contains(&row) => Marked::Started,
                Ok(_) => Marked::Lost,
                Err(_) => Marked::Unknown,
            };
            let _ = answer.send(marked); // the attempt is gone when `shutdown_timeout` is over
        }
    }

    /// Calls until it is done; `false` where the store says that it is broken. What is in hand at a stop is written first.
    async fn insist<F>(&self, what: &str, call: impl FnMut() -> F) -> bool
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        store_calls::insist(what, &CancellationToken::new(), call).await.is_ok()
    }

    async fn claim(&mut self, destinations: Vec<DestinationKey>) {
        let claim = Claim {
            destinations: destinations.clone(),
            portion: self.portion,
            lease: self.new_lease(),
            now: self.clock.now(),
        };
        let event = match self.outbox.claim(claim).await {
            Ok(claimed) => Event::Claimed(claimed),
            Err(error) => {
                self.failed(&error, "claim deliveries");
                Event::NotClaimed(destinations)
            }
        };
        // The deliverer is gone only when the whole is stopping; its leases are given back then.
        let _ = self.events.send(event);
    }

    /// Not insisted on: the next renewal comes before the leases lapse.
    async fn renew(&mut self, mut rows: Vec<DeliveryId>) {
        let asked = self.clock.now();
        match self.outbox.renew(self.new_lease(), &rows).await {
            Ok(own) => {
                let own: HashSet<DeliveryId> = own.into_iter().collect();
                rows.retain(|row| !own.contains(row));
                let _ = self.events.send(Event::Renewed { asked, lost: rows });
            }
            Err(error) => self.failed(&error, "renew leases"),
        }
    }

    async fn poll_due(&mut self) {
        match self.outbox.holds(self.clock.now()).await {
            Ok(holds) => drop(self.events.send(Event::Holds(holds))),
            Err(error) => return self.failed(&error, "read what is held"),
        }
        match self.outbox.waiting(self.clock.now(), DUE_LIMIT).await {
            Ok(waiting) => drop(self.events.send(Event::Waiting(waiting))),
            Err(error) => self.failed(&error, "find waiting deliveries"),
        }
    }

    /// What was asked for in vain is asked for again, later of a broken store.
    fn failed(&mut self, error: &StoreError, what: &str) {
        store_calls::log(error, what);
        if store_calls::is_broken(error) {
            self.broken_until = Some(after(self.clock.now(), store_calls::BROKEN));
        }
    }

    fn is_broken(&self) -> bool {
        self.broken_until.is_some_and(|until| self.clock.now() < until)
    }

    fn new_lease(&self) -> Lease {
        Lease { node: self.node.clone(), until: after(self.clock.now(), self.lease) }
    }
}
