//! Decides which delivery is next. Pure.
//!
//! The [`Scheduler`] keeps for each destination: the jobs that this node has leased (in memory, in order), whether more
//! rows wait in the store, and until when the pace allows no start. It reads the holds from [`Holds`]. It answers three
//! questions: which job is next, which destinations want a claim, and when to look again. It makes no call and has no
//! clock.
//!
//! Two rules keep order. First, a job does not start while an earlier job of its lane, for any destination, is in
//! memory or has an outcome that is not on disk. Otherwise the earlier message would be sent again after the later one
//! if the daemon crashed. Second, while rows of a destination wait in the store, new jobs for it go back to the store,
//! behind these rows. They come again with a claim, which knows the order of all rows.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use super::holds::Holds;
use crate::event::Event;
use crate::store::{Delivery, DeliveryId, DestinationKey, Lane, Portion, StoredEvent};
use lanes::Lanes;

/// A delivery that this node has leased, with its event.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) delivery: Delivery,
    pub(super) event: JobEvent,
    /// When the event came to us, as far as this process knows.
    pub(super) entered: Timestamp,
    /// The most attempts under way to its destination at once.
    pub(super) concurrency: usize,
    /// Whether the catalogue is known to be as new as the row. Then the catalogue decides about the row's integration.
    pub(super) catalog_is_fresh: bool,
    /// Whether the holds are known to be as new as the row. Then they decide whether the row's address is switched off.
    pub(super) holds_are_fresh: bool,
    /// Its place in memory, free again when the job is dropped.
    pub(super) _permit: Option<OwnedSemaphorePermit>,
}

/// An event as the deliverer got it: decoded by dispatch, or raw from the store.
#[derive(Clone, Debug)]
pub(super) enum JobEvent {
    Decoded(Arc<Event>),
    Stored(Arc<StoredEvent>),
}

/// The bytes of an event's JSON that fit into one place in memory. Most events fit; larger ones take several places. So
/// the bound on places bounds the memory.
const PERMIT_BYTES: usize = 16 << 10;

/// The places in memory that an event of so many bytes takes.
pub(super) fn permits(bytes: usize) -> usize {
    bytes.div_ceil(PERMIT_BYTES).max(1)
}

impl Job {
    fn bytes(&self) -> usize {
        match &self.event {
            JobEvent::Decoded(event) => event.raw.len(),
            JobEvent::Stored(event) => event.raw.len(),
        }
    }
}

/// The places that these jobs take.
fn permits_of<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> usize {
    jobs.into_iter().map(|job| permits(job.bytes())).sum()
}

/// How a job left the scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The delivery is settled.
    Settled,
    /// The delivery is a row in the store again, due at this moment.
    Waiting(Timestamp),
}

/// The scheduler's bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The most attempts under way at once.
    pub(super) concurrency: usize,
    /// The most jobs in memory for one destination.
    pub(super) per_destination: usize,
    /// Places in memory for all waiting jobs. It limits claims.
    pub(super) buffer: usize,
    /// What one claim brings for one destination.
    pub(super) portion: Portion,
}

/// In a longer rest than this, the destination's jobs go back to the store, to free memory.
pub(super) const SHORT_REST: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);

#[derive(Debug)]
pub(super) struct Scheduler {
    bounds: Bounds,
    /// No job starts for a destination while it is held.
    holds: Holds,
    destinations: HashMap<DestinationKey, Destination>,
    /// The jobs by their lanes.
    lanes: Lanes,
    /// The deliveries that are queued or in flight. If the store hands out such a row again, because its lease lapsed,
    /// the row is not taken twice.
    held: HashSet<DeliveryId>,
    /// Destinations that may have a job to start, in turn.
    ready: VecDeque<DestinationKey>,
    /// Moments at which a destination is to be considered again.
    timers: BinaryHeap<Reverse<(Timestamp, DestinationKey)>>,
    /// Destinations that want a claim, in turn.
    claims: VecDeque<DestinationKey>,
    /// Destinations with a claim under way.
    claiming: HashSet<DestinationKey>,
    /// Places that the jobs in all queues take.
    queued: usize,
    in_flight: usize,
    /// Deliveries that ended and are not on disk yet, for which a later job of their lanes waits.
    awaited: Vec<DeliveryId>,
}

#[derive(Debug, Default)]
struct Destination {
    /// Jobs leased to this node, in the order of their ids.
    queue: VecDeque<Job>,
    /// Attempts under way.
    in_flight: usize,
    /// Whether open rows without a lease wait in the store, or may wait there.
    more_in_store: bool,
    wants_claim: bool,
    claim: ClaimState,
    /// Set by the pace: nothing starts before this moment.
    paced_until: Option<Timestamp>,
    /// Whether the destination is in `ready`.
    listed: bool,
    /// The earliest timer of the destination.
    timer: Option<Timestamp>,
}

/// Whether a claim is under way, and the changes since it began that its answer may not contain.
#[derive(Debug, Default)]
enum ClaimState {
    #[default]
    None,
    UnderWay {
        /// Rows were written or went back to the store.
        outdated: bool,
        /// Lanes in which a row began to wait, or in which a newer row replaces older ones. Rows of these lanes that
        /// the claim brings must go back.
        waiting_lanes: Vec<Lane>,
    },
}

impl Destination {
    fn mark_backlog(&mut self) {
        self.more_in_store = true;
        if let ClaimState::UnderWay { outdated, .. } = &mut self.claim {
            *outdated = true;
        }
    }

    /// The first job whose lane is free. Where the last attempts failed, it is the one that failed least often: a message
    /// that the service can't take must not keep the others waiting.
    fn startable(&self, lanes: &Lanes, has_failed: bool) -> Option<usize> {
        let is_free = |job: &Job| lanes.is_free(&job.delivery);
        let first = self.queue.iter().position(is_free)?;
        if !has_failed || self.queue.get(first).is_none_or(|job| job.delivery.attempts == 0) {
            return Some(first);
        }
        let firsts = self.queue.iter().enumerate().filter(|(_, job)| is_free(job));
        firsts.min_by_key(|(_, job)| job.delivery.attempts).map(|(at, _)| at)
    }

    /// A destination that failed lately gets one probe at a time.
    fn has_room(&self, has_failed: bool) -> bool {
        let concurrency = self.queue.front().map_or(1, |job| job.concurrency.max(1));
        self.in_flight < if has_failed { 1 } else { concurrency }
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.in_flight == 0
            && !self.more_in_store
            && matches!(self.claim, ClaimState::None)
    }

    fn insert(&mut self, job: Job) {
        let in_order = self.queue.back().is_none_or(|last| last.delivery.id < job.delivery.id);
        self.queue.push_back(job);
        if !in_order {
            self.queue.make_contiguous().sort_by_key(|job| job.delivery.id);
        }
    }
}

impl Scheduler {
    pub(super) fn new(bounds: Bounds, holds: Holds) -> Self {
        Self {
            bounds,
            holds,
            destinations: HashMap::default(),
            lanes: Lanes::default(),
            held: HashSet::default(),
            ready: VecDeque::new(),
            timers: BinaryHeap::new(),
            claims: VecDeque::new(),
            claiming: HashSet::default(),
            queued: 0,
            in_flight: 0,
            awaited: Vec::new(),
        }
    }

    /// Queues a job that dispatch wrote with a lease. Returns the jobs that go back to the store: this one, if it must
    /// wait behind rows in the store, and queued jobs that it replaces, which the store cancels.
    pub(super) fn enqueue(&mut self, job: Job, now: Timestamp) -> Vec<Job> {
        let mut back = self.replaced_by(&job.delivery);
        let key = Arc::clone(&job.delivery.destination);
        let destination = self.destinations.entry(Arc::clone(&key)).or_default();
        let held_until = self.holds.destination_until(&key, now);
        let resting_long = held_until.is_some_and(|until| until > now + SHORT_REST);
        if destination.more_in_store || resting_long || destination.queue.len() >= self.bounds.per_destination
        {
            destination.mark_backlog();
            destination.wants_claim = true;
            self.reschedule(&key, now);
            back.push(job);
            return back;
        }
        self.held.insert(job.delivery.id);
        self.queued += permits(job.bytes());
        self.awaited.extend(self.lanes.unwritten(job.delivery.lane));
        self.lanes.queue(&job.delivery);
        destination.insert(job);
        self.reschedule(&key, now);
        back
    }

    /// Notes a new row that stays in the store. Returns the queued jobs that it replaces. They go back, and the store
    /// cancels them.
    pub(super) fn note_written(&mut self, delivery: &Delivery, now: Timestamp) -> Vec<Job> {
        let replaced = self.replaced_by(delivery);
        self.note_backlog(&delivery.destination, now, now);
        replaced
    }

    /// Takes out the queued jobs that this delivery replaces. Such rows from a claim under way will go back too.
    fn replaced_by(&mut self, newer: &Delivery) -> Vec<Job> {
        if !newer.replaces {
            return Vec::new();
        }
        if let Some(destination) = self.destinations.get_mut(&newer.destination)
            && let ClaimState::UnderWay { outdated, .. } = &mut destination.claim
        {
            *outdated = true;
        }
        // After a change of settings, older rows of the lane may be bound for another destination.
        self.note_waiting_lane(newer.lane);
        self.take_from_lane(newer.lane, |job| job.delivery.id < newer.id)
    }

    /// Notes that rows of this destination wait in the store, and may be claimed from `at` on.
    pub(super) fn note_backlog(&mut self, key: &DestinationKey, at: Timestamp, now: Timestamp) {
        let destination = self.destinations.entry(Arc::clone(key)).or_default();
        destination.mark_backlog();
        if at <= now {
            destination.wants_claim = true;
        } else {
            self.set_timer(key, at);
        }
        self.reschedule(key, now);
    }

    /// Notes that a hold of this destination began. Returns the jobs that go back to the store.
    pub(super) fn rest(&mut self, key: &DestinationKey, now: Timestamp) -> Vec<Job> {
        let until = self.resting_until(key, now);
        let destination = self.destinations.entry(Arc::clone(key)).or_default();
        let mut back = Vec::new();
        if let Some(until) = until.filter(|until| *until > now + SHORT_REST && !destination.queue.is_empty())
        {
            back.extend(destination.queue.drain(..));
            self.queued -= permits_of(&back);
            destination.mark_backlog();
            self.let_go(&back);
            back.extend(self.follow(&back, until));
        }
        let destination = self.destinations.entry(Arc::clone(key)).or_default();
        destination.wants_claim |= destination.more_in_store;
        self.reschedule(key, now);
        back
    }

    /// Notes that the pace lets nothing start for a longer time. Returns the jobs that go back to the store.
    pub(super) fn rest_by_pace(
        &mut self,
        key: &DestinationKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Vec<Job> {
        let destination = self.destinations.entry(Arc::clone(key)).or_default();
        destination.paced_until = destination.paced_until.max(Some(until));
        self.rest(key, now)
    }

    /// Notes that the hold of this destination ended early.
    pub(super) fn resume(&mut self, key: &DestinationKey, now: Timestamp) {
        if let Some(destination) = self.destinations.get_mut(key) {
            destination.wants_claim = destination.more_in_store;
        }
        self.reschedule(key, now);
    }

    fn resting_until(&self, key: &DestinationKey, now: Timestamp) -> Option<Timestamp> {
        let paced = self.destinations.get(key).and_then(|destination| destination.paced_until);
        self.holds.destination_until(key, now).max(paced).filter(|until| *until > now)
    }

    /// The next job to start, if there is one and room for it.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Job> {
        self.fire_timers(now);
        while self.in_flight < self.bounds.concurrency {
            let key = self.ready.pop_front()?;
            let resting_until = self.resting_until(&key, now);
            let Some(destination) = self.destinations.get_mut(&key) else { continue };
            destination.listed = false;
            if let Some(until) = resting_until {
                self.set_timer(&key, until);
                continue;
            }
            let has_failed = self.holds.has_failed(&key);
            if !destination.has_room(has_failed) {
                continue; // it is listed again when one of its attempts ends
            }
            let startable = destination.startable(&self.lanes, has_failed);
            let Some(job) = startable.and_then(|at| destination.queue.remove(at)) else { continue };
            self.lanes.begin(&job.delivery);
            destination.in_flight += 1;
            self.queued -= permits(job.bytes());
            self.in_flight += 1;
            self.reschedule(&key, now);
            return Some(job);
        }
        None
    }

    /// Queues a job again that the pace did not let start before `until`.
    pub(super) fn defer(&mut self, job: Job, until: Timestamp, now: Timestamp) {
        let key = Arc::clone(&job.delivery.destination);
        self.free_lane(&key, &job.delivery);
        let destination = self.destinations.entry(Arc::clone(&key)).or_default();
        destination.paced_until = Some(until);
        self.queued += permits(job.bytes());
        self.lanes.queue(&job.delivery);
        destination.insert(job);
        self.reschedule(&key, now);
    }

    /// Notes the end of an attempt. Its lane stays busy until [`Scheduler::written`]. Returns the jobs that must go
    /// back to the store behind it.
    pub(super) fn end(&mut self, delivery: &Delivery, how: After, now: Timestamp) -> Vec<Job> {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(destination) = self.destinations.get_mut(&delivery.destination) {
            destination.in_flight = destination.in_flight.saturating_sub(1);
        }
        if self.lanes.end(delivery) {
            self.awaited.push(delivery.id);
        }
        self.leave(delivery, how, now)
    }

    /// Notes that the outcome of an attempt of this lane is on disk.
    pub(super) fn written(&mut self, key: &DestinationKey, lane: Lane, delivery: DeliveryId, now: Timestamp) {
        self.lanes.free(lane, delivery, key);
        self.reschedule(key, now);
    }

    /// Takes the ended deliveries whose outcomes must be written before later jobs can start.
    pub(super) fn take_awaited(&mut self) -> Vec<DeliveryId> {
        std::mem::take(&mut self.awaited)
    }

    /// Removes a job that was not attempted. Returns the jobs that must go back to the store behind it.
    pub(super) fn finish(&mut self, delivery: &Delivery, how: After, now: Timestamp) -> Vec<Job> {
        self.free_lane(&delivery.destination, delivery);
        self.leave(delivery, how, now)
    }

    fn leave(&mut self, delivery: &Delivery, how: After, now: Timestamp) -> Vec<Job> {
        let (key, lane) = (&delivery.destination, delivery.lane);
        self.held.remove(&delivery.id);
        let Some(destination) = self.destinations.get_mut(key) else { return Vec::new() };
        let mut back = Vec::new();
        if let After::Waiting(until) = how {
            destination.mark_backlog();
            self.note_waiting_lane(lane);
            back.extend(self.take_from_lane(lane, |_| true));
            self.wait_in_store(&back, until);
            self.set_timer(key, until);
        }
        self.reschedule(key, now);
        back
    }

    /// Notes that a row of this lane waits in the store. Later rows of the lane from claims under way, for any
    /// destination, go back.
    fn note_waiting_lane(&mut self, lane: Lane) {
        for key in self.claiming.iter().chain(&self.claims) {
            if let Some(destination) = self.destinations.get_mut(key)
                && let ClaimState::UnderWay { waiting_lanes, .. } = &mut destination.claim
            {
                waiting_lanes.push(lane);
            }
        }
    }

    /// The deliveries in memory, queued or in flight.
    pub(super) fn rows(&self) -> Vec<DeliveryId> {
        self.held.iter().copied().collect()
    }

    /// Removes queued rows that other nodes have leased, without releasing the leases in the store.
    pub(super) fn forget(&mut self, lost: &[DeliveryId], now: Timestamp) {
        if lost.is_empty() {
            return;
        }
        let lost: HashSet<DeliveryId> = lost.iter().copied().collect();
        let mut touched = Vec::new();
        for (key, destination) in &mut self.destinations {
            let before = destination.queue.len();
            destination.queue.retain(|job| {
                let is_lost = lost.contains(&job.delivery.id) && self.held.remove(&job.delivery.id);
                if is_lost {
                    self.queued -= permits(job.bytes());
                    self.lanes.unqueue(&job.delivery);
                }
                !is_lost
            });
            if destination.queue.len() < before {
                destination.mark_backlog();
                touched.push(Arc::clone(key));
            }
        }
        for key in touched {
            self.reschedule(&key, now);
        }
    }

    fn let_go(&mut self, jobs: &[Job]) {
        for job in jobs {
            self.held.remove(&job.delivery.id);
            self.lanes.unqueue(&job.delivery);
        }
    }

    /// The destinations to claim for now, as far as there is room in memory; they count as being claimed until
    /// [`Scheduler::claimed`] or [`Scheduler::claim_failed`] says otherwise.
    pub(super) fn take_claims(&mut self) -> Vec<DestinationKey> {
        // The most places that a claim takes: one for each row, and those for the portion's bytes. Only the last event
        // may exceed them.
        let one_claim = self.bounds.portion.rows + self.bounds.portion.bytes / PERMIT_BYTES;
        let expected = self.queued + self.claiming.len() * one_claim;
        let room = self.bounds.buffer.saturating_sub(expected) / one_claim;
        // If no claim is under way, one is always allowed, so that a full buffer of waiting jobs does not stop all
        // other destinations. A limit remains, because jobs that the pace delays must not accumulate without bound.
        let may_exceed = self.claiming.is_empty() && self.queued < 2 * self.bounds.buffer;
        let room = if may_exceed { room.max(1) } else { room };
        let taken: Vec<_> = self.claims.drain(..room.min(self.claims.len())).collect();
        self.claiming.extend(taken.iter().cloned());
        taken
    }

    /// Takes the jobs that a claim brought. Returns those that go back, because an earlier row of their lane began to
    /// wait during the claim.
    pub(super) fn claimed(
        &mut self,
        key: &DestinationKey,
        jobs: Vec<Job>,
        more: bool,
        now: Timestamp,
    ) -> Vec<Job> {
        let full = self.bounds.portion.is_full(jobs.len(), jobs.iter().map(Job::bytes).sum());
        self.claiming.remove(key);
        let destination = self.destinations.entry(Arc::clone(key)).or_default();
        let state = std::mem::take(&mut destination.claim);
        let (outdated, waiting_lanes) = match state {
            ClaimState::UnderWay { outdated, waiting_lanes } => (outdated, waiting_lanes),
            ClaimState::None => (false, Vec::new()),
        };
        let goes_back =
            |job: &Job| waiting_lanes.contains(&job.delivery.lane) && !self.held.contains(&job.delivery.id);
        let (back, mine): (Vec<_>, Vec<_>) = jobs.into_iter().partition(goes_back);
        let mut replaced = Vec::new();
        for job in mine {
            replaced.extend(self.replaced_by(&job.delivery));
            if !self.held.insert(job.delivery.id) {
                continue;
            }
            self.queued += permits(job.bytes());
            self.lanes.queue(&job.delivery);
            self.destinations.entry(Arc::clone(key)).or_default().insert(job);
        }
        let destination = self.destinations.entry(Arc::clone(key)).or_default();
        destination.more_in_store = more || outdated || !back.is_empty();
        // After a full claim, more rows are due. After another one, the rows left are not due yet, and a timer or a
        // poll finds them.
        destination.wants_claim |= destination.more_in_store && (full || outdated);
        self.reschedule(key, now);
        back.into_iter().chain(replaced).collect()
    }

    /// Notes that the claim failed. The next poll leads to another one.
    pub(super) fn claim_failed(&mut self, key: &DestinationKey) {
        self.claiming.remove(key);
        if let Some(destination) = self.destinations.get_mut(key) {
            destination.claim = ClaimState::None;
        }
    }

    /// Whether new rows of this destination should stay in the store.
    pub(super) fn has_backlog(&self, key: &DestinationKey) -> bool {
        self.destinations.get(key).is_some_and(|destination| destination.more_in_store)
    }

    /// When to consider the scheduler again, if nothing happens before.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Takes all jobs that were not started, to be given back.
    pub(super) fn drain(&mut self) -> Vec<DeliveryId> {
        self.queued = 0;
        self.held.clear();
        let queues = self.destinations.values_mut().flat_map(|destination| destination.queue.drain(..));
        queues.map(|job| job.delivery.id).collect()
    }

    fn free_lane(&mut self, key: &DestinationKey, delivery: &Delivery) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.lanes.free(delivery.lane, delivery.id, key);
        if let Some(destination) = self.destinations.get_mut(key) {
            destination.in_flight = destination.in_flight.saturating_sub(1);
        }
    }

    pub(super) fn fire_timers(&mut self, now: Timestamp) {
        while self.timers.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Some(Reverse((at, key))) = self.timers.pop() else { return };
            let Some(destination) = self.destinations.get_mut(&key) else { continue };
            if destination.timer == Some(at) {
                destination.timer = None;
                destination.wants_claim |= destination.more_in_store;
                self.reschedule(&key, now);
            }
        }
    }

    /// Sets a timer, unless an earlier one is set: that one leads to the next timer.
    fn set_timer(&mut self, key: &DestinationKey, at: Timestamp) {
        let Some(destination) = self.destinations.get_mut(key) else { return };
        if destination.timer.is_none_or(|set| at < set) {
            destination.timer = Some(at);
            self.timers.push(Reverse((at, Arc::clone(key))));
        }
    }

    /// Considers a destination after a change, and the destinations of later jobs in the same lanes.
    fn reschedule(&mut self, key: &DestinationKey, now: Timestamp) {
        self.consider(key, now);
        for other in self.lanes.take_touched() {
            self.consider(&other, now);
        }
    }

    /// Updates a destination: lists it as ready, requests a claim, sets its timer, or forgets the destination.
    fn consider(&mut self, key: &DestinationKey, now: Timestamp) {
        let held_until = self.holds.destination_until(key, now);
        let Some(destination) = self.destinations.get_mut(key) else { return };
        let paced_until = destination.paced_until.filter(|until| *until > now);
        if destination.is_idle() && paced_until.is_none() {
            self.destinations.remove(key);
            return;
        }
        if let Some(until) = held_until.max(paced_until) {
            // Nothing can start, so a claim is useful only in a short rest by the pace, to fill the queue.
            if held_until.is_none() && until <= now + SHORT_REST {
                Self::schedule_claim(&mut self.claims, destination, key, self.bounds.portion.rows);
            }
            self.set_timer(key, until);
            return;
        }
        if !destination.listed
            && destination.has_room(self.holds.has_failed(key))
            && destination.startable(&self.lanes, false).is_some()
        {
            destination.listed = true;
            self.ready.push_back(Arc::clone(key));
        }
        Self::schedule_claim(&mut self.claims, destination, key, self.bounds.portion.rows);
    }

    fn schedule_claim(
        claims: &mut VecDeque<DestinationKey>,
        destination: &mut Destination,
        key: &DestinationKey,
        portion_rows: usize,
    ) {
        let low = destination.queue.len() <= portion_rows / 4;
        if destination.wants_claim && low && matches!(destination.claim, ClaimState::None) {
            destination.wants_claim = false;
            destination.claim = ClaimState::UnderWay { outdated: false, waiting_lanes: Vec::new() };
            claims.push_back(Arc::clone(key));
        }
    }
}

mod clock;
mod lanes;
#[cfg(test)]
mod tests;
