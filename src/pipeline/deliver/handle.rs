//! The deliverer's handle. Dispatch hands over rows that it wrote with a lease, so that an ordinary first attempt needs
//! no query.

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
use crate::event::{Event, EventId};
use crate::pipeline::after;
use crate::pipeline::outbox_writer::logged_bytes;
use crate::pipeline::scheduler::{self, Job, JobEvent};
use crate::pipeline::store_calls::NotWritten;
use crate::store::{Delivery, DestinationKey, Kept, Lane, Lease, LoggedEvent, NodeId};

/// How long [`DelivererHandle::flush`] waits for the store.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

/// An event whose deliveries are attempted before they are rows, with a place in memory for each of them.
pub(in crate::pipeline) struct Fresh {
    pub(in crate::pipeline) kept: Kept,
    pub(in crate::pipeline) permits: Vec<OwnedSemaphorePermit>,
    /// The indexes of the event's deliveries that must queue behind rows in the store. They become rows at once.
    /// Deliveries whose backlog the scheduler already knows need not be listed.
    pub(in crate::pipeline) behind: Vec<usize>,
}

/// The most bytes of events that wait to be written to the event log. While the store is unavailable, further events
/// are missing in the log.
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

/// Counts events that are missing in the event log. They are logged at once, and then at most every ten seconds.
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

/// What the handle sends to the deliverer.
pub(super) enum Input {
    /// Events whose deliveries are attempted before they are rows.
    Fresh(Vec<Fresh>),
    /// Keep the events in hand that have deliveries in these lanes, and tell when that is written.
    KeepLanes(Vec<Lane>, oneshot::Sender<()>),
    /// The prefetch of a source: the most events that it brings before one is acknowledged, now and before.
    Prefetch {
        before: usize,
        is: usize,
    },
    /// Keep this event, if it is in hand: too many later messages of its source wait for it.
    Spill(EventId),
    Log(Vec<LoggedEvent>),
    Job(Box<Job>),
    /// A delivery that was written without a lease.
    Written(Box<Delivery>),
    Backlog(DestinationKey),
    /// Holds in the store began or ended, but not by a settlement of this deliverer.
    HoldsChanged,
    /// The wall clock stepped.
    ClockStepped,
    /// Asks for a notice when everything is written that was decided before.
    Flush(oneshot::Sender<()>),
}

/// Destinations with rows that wait in the store. New rows for them should be written without a lease, behind those.
/// This is only a hint; the scheduler keeps the order in any case.
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
            // After the deliverer has stopped, an error is ignored: the events come again at the next start.
            let _ = self.inputs.send(Input::Fresh(events));
        }
    }

    /// Notes that the prefetch of a source changed from `before` to `is`.
    pub(in crate::pipeline) fn note_prefetch(&self, before: usize, is: usize) {
        let _ = self.inputs.send(Input::Prefetch { before, is });
    }

    /// Has an event become rows, if it is in hand.
    pub(in crate::pipeline) fn spill(&self, event: EventId) {
        let _ = self.inputs.send(Input::Spill(event));
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
            // An error means that the deliverer has stopped: then nothing is in hand any more.
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

    /// Reserves room for so many bytes. An event of any size has room when no other event waits.
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
        // Dispatch used this node's catalogue. If the catalogue differs by now, the difference is a newer setting.
        let catalog_is_fresh = true;
        // A hold that this node still has may have ended, and the row would wait for hours then.
        let holds_are_fresh = false;
        let job = Job {
            concurrency: 1,
            delivery,
            event,
            entered,
            catalog_is_fresh,
            holds_are_fresh,
            _permit: permit,
        };
        // After the deliverer has stopped, an error is ignored: the row's lease lapses, or is released at the next
        // start.
        let _ = self.inputs.send(Input::Job(Box::new(job)));
    }

    /// Notes that a delivery was written without a lease and waits in the store.
    pub(in crate::pipeline) fn note_written(&self, delivery: Delivery) {
        let _ = self.inputs.send(Input::Written(Box::new(delivery)));
    }

    /// Notes that rows of this destination wait in the store.
    pub fn note_backlog(&self, destination: DestinationKey) {
        let _ = self.inputs.send(Input::Backlog(destination));
    }

    /// Waits, for a limited time, until all decisions up to now are written. Decisions made under the old settings that
    /// were written later would undo what [`end_outdated_holds`](crate::store::Outbox::end_outdated_holds) corrected.
    pub async fn flush(&self) {
        let (flushed, written) = oneshot::channel();
        // After the deliverer has stopped, there is nothing to wait for.
        let _ = self.inputs.send(Input::Flush(flushed));
        if tokio::time::timeout(WRITTEN_WITHIN, written).await.is_err() {
            warn!("the store takes its time: what was found out under the old settings may outlast them");
        }
    }

    /// Notes that the wall clock stepped, and that the waits in the store were shortened accordingly.
    pub fn clock_stepped(&self) {
        let _ = self.inputs.send(Input::ClockStepped);
    }

    /// Notes that holds in the store began or ended, but not by a settlement of this deliverer.
    pub fn holds_changed(&self) {
        let _ = self.inputs.send(Input::HoldsChanged);
    }
}
