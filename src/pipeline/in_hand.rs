//! Events whose deliveries are attempted before a row is written. Pure.
//!
//! An event stays here until each of its deliveries is decided: an attempt settled it, or it must become an open row.
//! Then the event is kept (written to the store), and its message may be acknowledged. An event is *spilled* when it is
//! kept earlier: its undecided deliveries become open rows, leased to this node, and go on in memory.
//!
//! Within a lane, rows are written in event order: if an event is kept with open rows, the earlier events of these
//! lanes are spilled too.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashMap;
use jiff::Timestamp;

use crate::event::EventId;
use crate::store::{DeliveryId, DestinationKey, Fate, Kept, Lane, Lease, NewState, Settled, ShareKey};

/// The events in hand, by their numbers in the order of the hand-over.
#[derive(Debug, Default)]
pub(super) struct InHand {
    events: BTreeMap<u64, Held>,
    deliveries: HashMap<DeliveryId, u64>,
    /// The events that have deliveries in a lane, in their order.
    lanes: HashMap<Lane, Vec<u64>>,
    next: u64,
}

#[derive(Debug)]
struct Held {
    kept: Kept,
    /// When it was handed over.
    since: Timestamp,
    /// Deliveries that are not decided.
    unfinished: Vec<DeliveryId>,
}

impl InHand {
    /// Takes an event in hand. None of its deliveries is decided.
    pub(super) fn take(&mut self, kept: Kept, now: Timestamp) {
        self.next += 1;
        let number = self.next;
        let unfinished = kept.deliveries.iter().map(|delivery| delivery.id).collect();
        for delivery in &kept.deliveries {
            self.deliveries.insert(delivery.id, number);
            let of_lane = self.lanes.entry(delivery.new.lane).or_default();
            if of_lane.last() != Some(&number) {
                of_lane.push(number);
            }
        }
        self.events.insert(number, Held { kept, since: now, unfinished });
    }

    /// Whether this delivery has no row yet.
    pub(super) fn contains(&self, id: DeliveryId) -> bool {
        self.deliveries.contains_key(&id)
    }

    /// Changes the destination of a delivery in hand.
    pub(super) fn redirect(&mut self, id: DeliveryId, destination: &DestinationKey, share: &ShareKey) {
        let held = self.deliveries.get(&id).and_then(|number| self.events.get_mut(number));
        let mut deliveries = held.into_iter().flat_map(|held| &mut held.kept.deliveries);
        if let Some(delivery) = deliveries.find(|delivery| delivery.id == id) {
            delivery.new.destination.clone_from(destination);
            delivery.new.share.clone_from(share);
        }
    }

    /// Notes the outcome of a delivery in hand. Returns the events that are to be kept now.
    pub(super) fn settle(&mut self, settled: Box<Settled>, lease: &Lease) -> Vec<Kept> {
        let (id, waits) = (settled.delivery, matches!(settled.state, NewState::Waiting(_)));
        self.decide(id, Fate::Attempted(settled), waits, lease)
    }

    /// Decides that a delivery in hand becomes a row without a lease. Returns the events that are to be kept now.
    pub(super) fn release(&mut self, id: DeliveryId, lease: &Lease) -> Vec<Kept> {
        self.decide(id, Fate::Open, true, lease)
    }

    /// A delivery that will wait as a row must be written before later rows of its lane, so its event is kept at once.
    fn decide(&mut self, id: DeliveryId, fate: Fate, waits: bool, lease: &Lease) -> Vec<Kept> {
        let Some(number) = self.deliveries.get(&id).copied() else { return Vec::new() };
        let Some(held) = self.events.get_mut(&number) else { return Vec::new() };
        held.unfinished.retain(|unfinished| *unfinished != id);
        if let Some(delivery) = held.kept.deliveries.iter_mut().find(|delivery| delivery.id == id) {
            delivery.fate = fate;
        }
        if waits {
            return self.spill(number, lease);
        }
        if held.unfinished.is_empty() { self.remove(number, lease).into_iter().collect() } else { Vec::new() }
    }

    /// Spills the event of this delivery.
    pub(super) fn spill_event_of(&mut self, id: DeliveryId, lease: &Lease) -> Vec<Kept> {
        match self.deliveries.get(&id).copied() {
            Some(number) => self.spill(number, lease),
            None => Vec::new(),
        }
    }

    /// Spills the events that were handed over before this moment.
    pub(super) fn spill_before(&mut self, moment: Timestamp, lease: &Lease) -> Vec<Kept> {
        let mut kept = Vec::new();
        while let Some((number, _)) = self.events.first_key_value().filter(|(_, held)| held.since <= moment) {
            kept.extend(self.spill(*number, lease));
        }
        kept
    }

    /// Spills the oldest events until at most this many are left.
    pub(super) fn spill_down_to(&mut self, most: usize, lease: &Lease) -> Vec<Kept> {
        let mut kept = Vec::new();
        while let Some((number, _)) = self.events.first_key_value().filter(|_| self.events.len() > most) {
            kept.extend(self.spill(*number, lease));
        }
        kept
    }

    /// Spills the event of this id, if it is in hand.
    pub(super) fn spill_event(&mut self, id: &EventId, lease: &Lease) -> Vec<Kept> {
        let number =
            self.events.iter().find(|(_, held)| held.kept.event.id == *id).map(|(number, _)| *number);
        number.map_or_else(Vec::new, |number| self.spill(number, lease))
    }

    /// Spills all events.
    pub(super) fn spill_all(&mut self, lease: &Lease) -> Vec<Kept> {
        self.spill_down_to(0, lease)
    }

    /// Spills the events that have deliveries in these lanes.
    pub(super) fn spill_lanes(&mut self, lanes: &[Lane], lease: &Lease) -> Vec<Kept> {
        let numbers: BTreeSet<u64> =
            lanes.iter().filter_map(|lane| self.lanes.get(lane)).flatten().copied().collect();
        numbers.into_iter().flat_map(|number| self.spill(number, lease)).collect()
    }

    /// When the oldest event was handed over.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.events.first_key_value().map(|(_, held)| held.since)
    }

    /// Takes an event out, after the earlier events whose rows must be written first.
    fn spill(&mut self, number: u64, lease: &Lease) -> Vec<Kept> {
        let mut numbers = BTreeSet::from([number]);
        let mut unseen = vec![number];
        while let Some(number) = unseen.pop() {
            for earlier in self.earlier_in_lanes_of(number) {
                if numbers.insert(earlier) {
                    unseen.push(earlier);
                }
            }
        }
        numbers.into_iter().filter_map(|number| self.remove(number, lease)).collect()
    }

    /// Earlier events of the lanes in which this event will have open rows.
    fn earlier_in_lanes_of(&self, number: u64) -> Vec<u64> {
        let Some(held) = self.events.get(&number) else { return Vec::new() };
        let open = held.kept.deliveries.iter().filter(|delivery| match &delivery.fate {
            Fate::Open => true,
            Fate::Attempted(settled) => matches!(settled.state, NewState::Waiting(_)),
        });
        let lanes = open.filter_map(|delivery| self.lanes.get(&delivery.new.lane));
        lanes.flatten().copied().filter(|other| *other < number).collect()
    }

    /// Takes an event out. Its unfinished deliveries become rows that are leased to this node.
    fn remove(&mut self, number: u64, lease: &Lease) -> Option<Kept> {
        let Held { mut kept, unfinished, .. } = self.events.remove(&number)?;
        for delivery in &mut kept.deliveries {
            self.deliveries.remove(&delivery.id);
            if let Some(numbers) = self.lanes.get_mut(&delivery.new.lane) {
                numbers.retain(|other| *other != number);
                if numbers.is_empty() {
                    self.lanes.remove(&delivery.new.lane);
                }
            }
            delivery.new.lease = unfinished.contains(&delivery.id).then(|| lease.clone());
        }
        Some(kept)
    }
}

#[cfg(test)]
mod tests;
