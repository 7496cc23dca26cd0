//! The deliverer's handle: dispatch hands it rows that it wrote leased, so that an ordinary first attempt needs no query.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Deps;
use crate::event::Event;
use crate::pipeline::after;
use crate::pipeline::outbox_writer::logged_bytes;
use crate::pipeline::scheduler::{self, Job, JobEvent};
use crate::pipeline::store_calls::NotWritten;
use crate::store::{Delivery, DestinationKey, Kept, Lane, Lease, LoggedEvent, NodeId};

/// How long is waited for the store to take what was ruled.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

/// An event whose deliveries are attempted before they are rows, with a place in memory for each of them.
pub(in crate::pipeline) struct Fresh {
    pub(in crate::pipeline) kept: Kept,
    pub(in crate::pipeline) permits: Vec<OwnedSemaphorePermit>,
    /// The deliveries that must stand behind rows which wait in the store, by their places in the event: they become rows at
    /// once. Those of which the scheduler itself knows that need not be named here.
    pub(in crate::pipeline) behind: Vec<usize>,
}

/// The most bytes of events that wait to be written to the event log. While the store is away, further ones are missing
/// there.
const LOGGED_BYTES: usize = 16 << 20;
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Where dispatch hands over events, and rows that it wrote.
#[derive(Clone)]
pub struct DelivererHandle {
    inputs: mpsc::UnboundedSender<Input>,
    permits: Arc<Semaphore>,
    backlogged: Backlogged,
    node: NodeId,
    lease: Duration,
    /// The bytes of events that wait to be written to the event log.
    logged: Arc<AtomicUsize>,
    missing: Arc<Mutex<Missing>>,
}

/// Events that are missing in the event log. That is said at once, and then every ten seconds at most.
#[derive(Default)]
struct Missing {
    unsaid: usize,
    said_at: Option<Instant>,
}

impl Missing {
    fn add(&mut self, events: usize, now: Instant) {
        self.unsaid += events;
        if self.unsaid > 0 && self.said_at.is_none_or(|at| now >= at + SAY_EVERY) {
            let events = std::mem::take(&mut self.unsaid);
            warn!(events, "the store takes its time: these events are missing in the event log");
            self.said_at = Some(now);
        }
    }
}

/// What comes in by the handle.
pub(super) enum Input {
    /// Events whose deliveries are attempted before they are rows.
    Fresh(Vec<Fresh>),
    /// Keep the events in hand that have deliveries in these lanes, and tell when that is written.
    KeepLanes(Vec<Lane>, oneshot::Sender<()>),
    /// A source brings at most so many events before one of them is acknowledged, and so many as it said before.
    Prefetch {
        before: usize,
        is: usize,
    },
    Log(Vec<LoggedEvent>),
    Job(Box<Job>),
    /// A delivery that was written without a lease.
    Written(Box<Delivery>),
    Backlog(DestinationKey),
    /// Holds in the store began or ended otherwise than by a settlement of ours.
    HoldsChanged,
    /// The wall clock stepped.
    ClockStepped,
    /// Asks to be told when all is written that was decided before.
    Flush(oneshot::Sender<()>),
}

/// Destinations for which rows wait in the store: new ones had better be written to wait behind them. Only a hint; the
/// scheduler keeps the order in any case.
pub(super) type Backlogged = Arc<Mutex<HashSet<DestinationKey>>>;

impl DelivererHandle {
    pub(super) fn open(
        deps: &Deps,
        backlogged: Backlogged,
        logged: &Arc<AtomicUsize>,
    ) -> (Self, mpsc::UnboundedReceiver<Input>) {
        let (inputs, receiver) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(deps.config.buffer));
        let (node, lease) = (deps.node.clone(), deps.config.lease);
        let logged = Arc::clone(logged);
        (Self { inputs, permits, backlogged, node, lease, logged, missing: Arc::default() }, receiver)
    }

    /// Room in memory for a delivery of an event of so many bytes, where there is any.
    pub(in crate::pipeline) fn memory_permit(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let permits = u32::try_from(scheduler::permits(bytes)).unwrap_or(u32::MAX);
        Arc::clone(&self.permits).try_acquire_many_owned(permits).ok()
    }

    pub(in crate::pipeline) fn has_backlog(&self, destination: &DestinationKey) -> bool {
        self.backlogged.lock().unwrap_or_else(PoisonError::into_inner).contains(destination)
    }

    /// A lease for rows that are handed over as soon as they are written.
    pub(in crate::pipeline) fn lease(&self, now: Timestamp) -> Lease {
        Lease { node: self.node.clone(), until: after(now, self.lease) }
    }

    /// Hands over events whose deliveries are attempted before they are rows, in their order.
    pub(in crate::pipeline) fn hand_over(&self, events: Vec<Fresh>) {
        if !events.is_empty() {
            // Once the deliverer has stopped, they come again at the next start.
            let _ = self.inputs.send(Input::Fresh(events));
        }
    }

    /// A source of events brings at most so many before one of them is acknowledged, and no longer as many as `before`.
    pub(in crate::pipeline) fn note_prefetch(&self, before: usize, is: usize) {
        let _ = self.inputs.send(Input::Prefetch { before, is });
    }

    /// Waits until events in hand that have deliveries in these lanes are rows, so that later rows stand behind them.
    ///
    /// # Errors
    /// Told to stop.
    pub(in crate::pipeline) async fn keep_lanes(
        &self,
        lanes: Vec<Lane>,
        stop: &CancellationToken,
    ) -> Result<(), NotWritten> {
        let (kept, written) = oneshot::channel();
        let _ = self.inputs.send(Input::KeepLanes(lanes, kept));
        tokio::select! {
            () = stop.cancelled() => Err(NotWritten::Stopped),
            // An error says that the deliverer has stopped: then nothing is in hand any more.
            _ = written => Ok(()),
        }
    }

    /// Events for the event log. No message waits until they are written.
    pub(in crate::pipeline) fn log(&self, mut events: Vec<LoggedEvent>) {
        let count = events.len();
        events.retain(|event| self.has_room_to_log(logged_bytes(event)));
        let missing = count - events.len();
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).add(missing, Instant::now());
        if !events.is_empty() {
            let _ = self.inputs.send(Input::Log(events));
        }
    }

    /// Takes room for so many bytes. An event of any size has room where none waits.
    fn has_room_to_log(&self, bytes: usize) -> bool {
        let before = self.logged.fetch_add(bytes, Ordering::Relaxed);
        let has_room = before == 0 || before + bytes <= LOGGED_BYTES;
        if !has_room {
            self.logged.fetch_sub(bytes, Ordering::Relaxed);
        }
        has_room
    }

    pub(in crate::pipeline) fn enqueue(
        &self,
        delivery: Delivery,
        event: Arc<Event>,
        permit: Option<OwnedSemaphorePermit>,
        entered: Timestamp,
    ) {
        let event = JobEvent::Decoded(event);
        // Dispatch went by this node's catalogue: where it says another thing since, that is news.
        let catalog_is_fresh = true;
        let job = Job { concurrency: 1, delivery, event, entered, catalog_is_fresh, _permit: permit };
        // Once the deliverer has stopped, the row's lease lapses or is given back with the rest at the next start.
        let _ = self.inputs.send(Input::Job(Box::new(job)));
    }

    /// A delivery was written without a lease: it waits in the store.
    pub(in crate::pipeline) fn note_written(&self, delivery: Delivery) {
        let _ = self.inputs.send(Input::Written(Box::new(delivery)));
    }

    /// Rows of this destination wait in the store.
    pub fn note_backlog(&self, destination: DestinationKey) {
        let _ = self.inputs.send(Input::Backlog(destination));
    }

    /// Waits until all is written that was ruled up to now, but not for ever. What is ruled after new settings are known
    /// goes by those; what was ruled before and is not written yet would be written over what [`end_outdated_holds`](crate::store::Outbox::end_outdated_holds) set right.
    pub async fn flush(&self) {
        let (flushed, written) = oneshot::channel();
        // Once the deliverer has stopped, there is nothing more to wait for.
        let _ = self.inputs.send(Input::Flush(flushed));
        if tokio::time::timeout(WRITTEN_WITHIN, written).await.is_err() {
            warn!("the store takes its time: what was found out under the old settings may outlast them");
        }
    }

    /// The wall clock stepped, and what waits in the store was shortened accordingly.
    pub fn clock_stepped(&self) {
        let _ = self.inputs.send(Input::ClockStepped);
    }

    /// Holds in the store began or ended otherwise than by a settlement of this deliverer.
    pub fn holds_changed(&self) {
        let _ = self.inputs.send(Input::HoldsChanged);
    }
}
