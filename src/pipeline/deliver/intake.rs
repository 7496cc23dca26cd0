//! The deliverer's door: dispatch hands it rows that it wrote leased, so that an ordinary first attempt needs no query.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::warn;

use super::Parts;
use crate::event::Event;
use crate::pipeline::after;
use crate::pipeline::board::{self, Job, JobEvent};
use crate::store::{Delivery, DestinationKey, Hold, Lease, NodeId};

/// How long is waited for the store to take what was ruled.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

/// Where dispatch hands over what it wrote.
#[derive(Clone)]
pub struct Intake {
    handed: mpsc::UnboundedSender<Handed>,
    places: Arc<Semaphore>,
    crowded: Crowded,
    node: NodeId,
    lease: Duration,
}

/// What comes in by that door.
pub(super) enum Handed {
    Leased(Box<Job>),
    Stored(DestinationKey),
    /// The settings changed: of the rests, only these are left.
    Healed(Vec<Hold>),
    /// Whoever waits for this wants all to be written that was ruled before.
    Mark(oneshot::Sender<()>),
}

/// Destinations for which rows wait in the store: new ones had better be written to wait behind them. Only a hint; the
/// board keeps the order in any case.
pub(super) type Crowded = Arc<Mutex<HashSet<DestinationKey>>>;

impl Intake {
    pub(super) fn open(parts: &Parts, crowded: Crowded) -> (Self, mpsc::UnboundedReceiver<Handed>) {
        let (handed, receiver) = mpsc::unbounded_channel();
        let places = Arc::new(Semaphore::new(parts.config.buffer));
        let (node, lease) = (parts.node.clone(), parts.config.lease);
        (Self { handed, places, crowded, node, lease }, receiver)
    }

    /// Room in memory for a delivery of an event of so many bytes, where there is any.
    pub(in crate::pipeline) fn place(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let places = u32::try_from(board::places(bytes)).unwrap_or(u32::MAX);
        Arc::clone(&self.places).try_acquire_many_owned(places).ok()
    }

    pub(in crate::pipeline) fn is_crowded(&self, destination: &DestinationKey) -> bool {
        self.crowded.lock().unwrap_or_else(PoisonError::into_inner).contains(destination)
    }

    /// A lease for rows that are handed over as soon as they are written.
    pub(in crate::pipeline) fn lease(&self, now: Timestamp) -> Lease {
        Lease { node: self.node.clone(), until: after(now, self.lease) }
    }

    pub(in crate::pipeline) fn hand(
        &self,
        delivery: Delivery,
        event: Arc<Event>,
        place: Option<OwnedSemaphorePermit>,
        entered: Timestamp,
    ) {
        let event = JobEvent::Decoded(event);
        // Dispatch went by this node's catalogue: where it says another thing since, that is news.
        let certain = true;
        let job = Job { concurrency: 1, delivery, event, entered, certain, _place: place };
        // Once the deliverer has stopped, the row's lease lapses or is given back with the rest at the next start.
        let _ = self.handed.send(Handed::Leased(Box::new(job)));
    }

    /// Rows of this destination wait in the store.
    pub fn stored(&self, destination: DestinationKey) {
        let _ = self.handed.send(Handed::Stored(destination));
    }

    /// Waits until all is written that was ruled up to now, but not for ever. What is ruled after new settings are known
    /// goes by those; what was ruled before and is not written yet would be written over what [`heal`](crate::store::Outbox::heal) set right.
    pub async fn written(&self) {
        let (mark, passed) = oneshot::channel();
        // Once the deliverer has stopped, there is nothing more to wait for.
        let _ = self.handed.send(Handed::Mark(mark));
        if tokio::time::timeout(WRITTEN_WITHIN, passed).await.is_err() {
            warn!("the store takes its time: what was found out under the old settings may outlast them");
        }
    }

    /// The settings changed, and these holds are left; see [`heal`](crate::store::Outbox::heal).
    pub fn healed(&self, holds: Vec<Hold>) {
        let _ = self.handed.send(Handed::Healed(holds));
    }
}
