//! Events whose deliveries are attempted before they are rows. Dispatch hands them over. An event is kept when each of
//! its deliveries is decided.
//!
//! An event that takes longer than [`ROWS_AFTER`], or that blocks a large part of its source's prefetch, becomes rows,
//! so that the source goes on. Events to be kept are written together: at [`KEPT_AT`] events, after [`KEPT_WITHIN`], or
//! as soon as the number of later deliveries that wait for the write reaches the number of attempts under way.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Deliverer, Fresh};
use crate::event::Event;
use crate::pipeline::after;
use crate::pipeline::outbox_writer::Command;
use crate::pipeline::scheduler::{Job, JobEvent};
use crate::pipeline::unwritten::Settlement;
use crate::store::{Delivery, DeliveryId, Kept, KeptDelivery, Lease, Settled};

/// After this time in hand, an event's unfinished deliveries become rows.
const ROWS_AFTER: SignedDuration = SignedDuration::from_millis(250);
/// Events are written when there are so many of them.
const KEPT_AT: usize = 64;
/// The longest time for which an event to be kept waits for others.
const KEPT_WITHIN: Duration = Duration::from_millis(10);

impl Deliverer {
    /// Takes an event in hand, and schedules its deliveries.
    pub(super) fn take_in_hand(&mut self, event: Fresh, now: Timestamp) {
        let Fresh { kept, permits, behind } = event;
        let jobs: Vec<_> =
            kept.deliveries.iter().map(|new| delivery(&kept.event, new)).zip(permits).collect();
        let (event, entered) = (Arc::clone(&kept.event), kept.received_at);
        self.in_hand.take(kept, now);
        for (at, (delivery, permit)) in jobs.into_iter().enumerate() {
            let key = Arc::clone(&delivery.destination);
            if behind.contains(&at) {
                self.scheduler.note_backlog(&key, now, now);
            }
            let job = Job {
                concurrency: self.concurrency(&delivery),
                delivery,
                event: JobEvent::Decoded(Arc::clone(&event)),
                entered,
                catalog_is_fresh: true,
                holds_are_fresh: false,
                _permit: Some(permit),
            };
            let back = self.scheduler.enqueue(job, now);
            if !back.is_empty() {
                self.give_back(back);
                self.note_backlogged(&key);
            }
        }
    }

    /// Writes the outcome of an attempt, at once or together with its event.
    pub(super) fn write_outcome(&mut self, delivery: &Delivery, settled: Settled, now: Timestamp) {
        self.unwritten += 1;
        if self.in_hand.contains(delivery.id) {
            let kept = self.in_hand.settle(Box::new(settled), &self.new_lease(now));
            self.keep(kept, now);
        } else {
            let settlement = Settlement::of(delivery, settled);
            self.send(Command::Settle(Box::new(settlement)));
        }
    }

    /// Makes a delivery a row that no node has leased.
    pub(super) fn release(&mut self, id: DeliveryId) {
        if self.in_hand.contains(id) {
            let now = self.now();
            let kept = self.in_hand.release(id, &self.new_lease(now));
            self.keep(kept, now);
        } else {
            self.send(Command::Release(id));
        }
    }

    /// Turns the event of this delivery into rows now, if the event is in hand.
    pub(super) fn make_rows(&mut self, id: DeliveryId) {
        let now = self.now();
        let kept = self.in_hand.spill_event_of(id, &self.new_lease(now));
        self.keep(kept, now);
    }

    pub(super) fn keep(&mut self, kept: Vec<Kept>, now: Timestamp) {
        if !kept.is_empty() {
            self.to_keep_since.get_or_insert(now);
            self.to_keep.extend(kept);
        }
    }

    /// Sends events to the writer: those that are in hand for too long, and full, late or awaited batches.
    pub(super) fn keep_what_is_due(&mut self, now: Timestamp) {
        let old = now.checked_sub(ROWS_AFTER).unwrap_or(Timestamp::MIN);
        let mut spilled = self.in_hand.spill_before(old, &self.new_lease(now));
        spilled.extend(self.in_hand.spill_down_to(self.most_in_hand, &self.new_lease(now)));
        self.keep(spilled, now);
        let awaited = self.scheduler.take_awaited();
        for delivery in &awaited {
            self.make_rows(*delivery);
        }
        self.awaited += awaited.len();
        let is_late = self.to_keep_since.is_some_and(|since| after(since, KEPT_WITHIN) <= now);
        // While most attempts go on, a lane may wait for a larger commit. A commit for each lane would cost more time
        // than it saves.
        let is_held_up = self.awaited > 0 && self.awaited >= self.under_way.len();
        if is_late || self.to_keep.len() >= KEPT_AT || is_held_up {
            self.keep_now();
        }
    }

    /// Sends the events to be kept to the writer.
    pub(super) fn keep_now(&mut self) {
        self.to_keep_since = None;
        self.awaited = 0;
        if !self.to_keep.is_empty() {
            let kept = std::mem::take(&mut self.to_keep);
            // Can't fail: the writer ends after the deliverer.
            let _ = self.commands.send(Command::Keep(kept));
        }
    }

    /// When to call [`Self::keep_what_is_due`] again.
    pub(super) fn keep_at(&self) -> Option<Timestamp> {
        let written = self.to_keep_since.map(|since| after(since, KEPT_WITHIN));
        let spilled = self.in_hand.oldest().and_then(|oldest| oldest.checked_add(ROWS_AFTER).ok());
        [written, spilled].into_iter().flatten().min()
    }

    pub(super) fn new_lease(&self, now: Timestamp) -> Lease {
        Lease { node: self.deps.node.clone(), until: after(now, self.deps.config.lease) }
    }
}

/// A delivery in hand, as the scheduler and the attempts know it.
fn delivery(event: &Event, new: &KeptDelivery) -> Delivery {
    let KeptDelivery { id, new, .. } = new;
    Delivery {
        id: *id,
        event: event.id.clone(),
        integration: new.integration.clone(),
        target: new.target.clone(),
        destination: new.destination.clone(),
        lane: new.lane,
        replaces: new.replaces,
        attempts: 0,
        fresh_since: event.occurred_at,
        started: false,
        leased: true,
    }
}
