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
use tracing::{error, warn};

use super::{Clock, after};
use crate::store::{
    Claim, Claimed, DeliveryId, DestinationKey, Lease, NodeId, Outbox, Portion, Settled, StoreError,
};

/// Something to do to the store.
#[derive(Debug)]
pub(super) enum Command {
    Settle(Box<Settled>),
    Release(DeliveryId),
    Claim(DestinationKey),
    /// Prolong the leases of what is in memory.
    Renew(Vec<DeliveryId>),
    /// Find destinations whose rows wait.
    PollDue,
    /// Asks to be told when all is written that was sent before.
    Flush(oneshot::Sender<()>),
}

/// What the store answered.
#[derive(Debug)]
pub(super) enum Event {
    Claimed(Vec<Claimed>),
    /// These claims did not come about.
    NotClaimed(Vec<DestinationKey>),
    Waiting(Vec<(DestinationKey, Timestamp)>),
    /// So many settlements are safe.
    Written(usize),
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
}

/// Destinations found in one look.
const DUE_LIMIT: usize = 10_000;
/// Commands taken at once.
const AT_ONCE: usize = 1024;
/// Destinations claimed for in one call: what it brings is read into memory whole.
const CLAIMS_AT_ONCE: usize = 32;
const STORE_AWAY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Commands of one batch, sorted.
#[derive(Default)]
struct Batch {
    settle: Vec<Settled>,
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

    async fn write(&self, batch: Batch) {
        if !batch.settle.is_empty() {
            self.settle(&batch.settle).await;
        }
        if !batch.release.is_empty() {
            insist("give leases back", || self.outbox.release(&self.node, &batch.release)).await;
        }
        for flushed in batch.flushes {
            let _ = flushed.send(()); // whoever asked may have lost patience
        }
        if let Some(rows) = batch.renew {
            self.renew(rows).await;
        }
        if !batch.claim.is_empty() {
            for destinations in batch.claim.chunks(CLAIMS_AT_ONCE) {
                self.claim(destinations.to_vec()).await;
            }
        }
        if batch.poll_due {
            self.poll_due().await;
        }
    }

    /// Writes settlements; where the store takes them for broken, those that it can take are written all the same, and the
    /// leases of the others are given back, so that they are found again.
    async fn settle(&self, settlements: &[Settled]) {
        if !insist("settle", || self.outbox.settle(&self.node, settlements.to_vec())).await {
            for settled in settlements {
                let one = || self.outbox.settle(&self.node, vec![settled.clone()]);
                if !insist("settle", one).await {
                    let row = [settled.delivery];
                    insist("give a lease back", || self.outbox.release(&self.node, &row)).await;
                }
            }
        }
        let _ = self.events.send(Event::Written(settlements.len()));
    }

    async fn claim(&self, destinations: Vec<DestinationKey>) {
        let claim = Claim {
            destinations: destinations.clone(),
            portion: self.portion,
            lease: self.new_lease(),
            now: self.clock.now(),
        };
        let event = match self.outbox.claim(claim).await {
            Ok(claimed) => Event::Claimed(claimed),
            Err(error) => {
                warn!(%error, "cannot claim deliveries; trying again at the next look");
                Event::NotClaimed(destinations)
            }
        };
        // The deliverer is gone only when the whole is stopping; its leases are given back then.
        let _ = self.events.send(event);
    }

    /// Not insisted on: the next renewal comes before the leases lapse.
    async fn renew(&self, mut rows: Vec<DeliveryId>) {
        let asked = self.clock.now();
        match self.outbox.renew(self.new_lease(), &rows).await {
            Ok(own) => {
                let own: HashSet<DeliveryId> = own.into_iter().collect();
                rows.retain(|row| !own.contains(row));
                let _ = self.events.send(Event::Renewed { asked, lost: rows });
            }
            Err(error) => warn!(%error, "cannot renew leases"),
        }
    }

    async fn poll_due(&self) {
        match self.outbox.waiting(self.clock.now(), DUE_LIMIT).await {
            Ok(waiting) => drop(self.events.send(Event::Waiting(waiting))),
            Err(error) => warn!(%error, "cannot look for waiting deliveries"),
        }
    }

    fn new_lease(&self) -> Lease {
        Lease { node: self.node.clone(), until: after(self.clock.now(), self.lease) }
    }
}

/// Calls until it is done. Only a store that takes it for broken ends it, with `false`.
async fn insist<F>(what: &'static str, mut call: impl FnMut() -> F) -> bool
where
    F: Future<Output = Result<(), StoreError>>,
{
    let mut wait = STORE_AWAY.0;
    loop {
        match call().await {
            Ok(()) => return true,
            Err(error @ StoreError::Broken(_)) => {
                error!(%error, "cannot {what}");
                return false;
            }
            Err(error) => {
                warn!(%error, retry_in = ?wait, "cannot {what}; trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(STORE_AWAY.1);
            }
        }
    }
}
