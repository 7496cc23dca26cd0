//! The lanes of the jobs in memory, over all destinations. After a change of an integration's settings, rows of one
//! lane may have two destinations, and their order must still be kept.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::HashMap;
use jiff::Timestamp;

use super::{After, Job, SHORT_REST, Scheduler, permits, permits_of};
use crate::store::{Delivery, DeliveryId, DestinationKey, Lane};

impl Scheduler {
    /// Queues a job from [`Scheduler::next`] at another destination than the `former` one, in the order of its lane.
    /// Returns the jobs that go back because the new destination rests.
    pub(in crate::pipeline) fn redirect(
        &mut self,
        job: Job,
        former: &DestinationKey,
        now: Timestamp,
    ) -> Vec<Job> {
        self.free_lane(former, &job.delivery);
        self.reschedule(former, now);
        let key = Arc::clone(&job.delivery.destination);
        let resting_until = self.resting_until(&key, now);
        let destination = self.destinations.entry(Arc::clone(&key)).or_default();
        if let Some(until) = resting_until.filter(|until| *until > now + SHORT_REST) {
            let mut back = self.leave(&job.delivery, After::Waiting(until), now);
            back.insert(0, job);
            return back;
        }
        self.queued += permits(job.bytes());
        self.lanes.queue(&job.delivery);
        destination.insert(job);
        self.reschedule(&key, now);
        Vec::new()
    }

    /// Takes queued jobs of a lane out, whatever their destinations.
    pub(super) fn take_from_lane(&mut self, lane: Lane, is_taken: impl Fn(&Job) -> bool) -> Vec<Job> {
        let mut taken = Vec::new();
        for key in self.lanes.destinations(lane) {
            let Some(destination) = self.destinations.get_mut(&key) else { continue };
            let (these, others): (VecDeque<_>, VecDeque<_>) =
                destination.queue.drain(..).partition(|job| job.delivery.lane == lane && is_taken(job));
            destination.queue = others;
            taken.extend(these);
        }
        self.queued -= permits_of(&taken);
        self.let_go(&taken);
        taken
    }

    /// Takes out the jobs for other destinations that are behind these jobs in their lanes. They wait in the store
    /// until `until`.
    pub(super) fn follow(&mut self, back: &[Job], until: Timestamp) -> Vec<Job> {
        let mut behind = Vec::new();
        for first in back {
            self.note_waiting_lane(first.delivery.lane);
            let is_behind = |job: &Job| job.delivery.id > first.delivery.id;
            behind.extend(self.take_from_lane(first.delivery.lane, is_behind));
        }
        self.wait_in_store(&behind, until);
        behind
    }

    /// Notes that these jobs are rows again, behind earlier rows of their lanes, which wait until `until`.
    pub(super) fn wait_in_store(&mut self, jobs: &[Job], until: Timestamp) {
        for job in jobs {
            if let Some(destination) = self.destinations.get_mut(&job.delivery.destination) {
                destination.mark_backlog();
                self.set_timer(&job.delivery.destination, until);
            }
        }
    }
}

/// The lanes that have jobs in memory.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    members: HashMap<Lane, Members>,
    /// Destinations whose jobs may start now, because a job of another destination left their lane.
    touched: Vec<DestinationKey>,
}

/// The jobs of one lane.
#[derive(Debug, Default)]
struct Members {
    queued: Vec<(DeliveryId, DestinationKey)>,
    /// Attempts under way, and ended attempts whose outcomes are not on disk. While there is one, no job of the lane
    /// starts.
    busy: Vec<Busy>,
}

#[derive(Clone, Copy, Debug)]
struct Busy {
    delivery: DeliveryId,
    /// Whether the attempt ended. Its outcome is not on disk yet.
    has_ended: bool,
}

impl Lanes {
    /// Notes that a job was queued.
    pub(super) fn queue(&mut self, delivery: &Delivery) {
        let members = self.members.entry(delivery.lane).or_default();
        members.queued.push((delivery.id, Arc::clone(&delivery.destination)));
    }

    /// Notes that a job left its queue.
    pub(super) fn unqueue(&mut self, delivery: &Delivery) {
        let Some(members) = self.members.get_mut(&delivery.lane) else { return };
        members.queued.retain(|(id, _)| *id != delivery.id);
        self.touch(delivery.lane, &delivery.destination);
    }

    /// Notes that the attempt of a queued job begins.
    pub(super) fn begin(&mut self, delivery: &Delivery) {
        let members = self.members.entry(delivery.lane).or_default();
        members.queued.retain(|(id, _)| *id != delivery.id);
        members.busy.push(Busy { delivery: delivery.id, has_ended: false });
    }

    /// Notes that the attempt ended. Returns whether jobs of its lane are queued.
    pub(super) fn end(&mut self, delivery: &Delivery) -> bool {
        let Some(members) = self.members.get_mut(&delivery.lane) else { return false };
        if let Some(busy) = members.busy.iter_mut().find(|busy| busy.delivery == delivery.id) {
            busy.has_ended = true;
        }
        !members.queued.is_empty()
    }

    /// Notes that the attempt does not block its lane any more.
    pub(super) fn free(&mut self, lane: Lane, id: DeliveryId, destination: &DestinationKey) {
        let Some(members) = self.members.get_mut(&lane) else { return };
        members.busy.retain(|busy| busy.delivery != id);
        self.touch(lane, destination);
    }

    /// Whether this job is the next of its lane, and no attempt of the lane is under way or unwritten.
    pub(super) fn is_free(&self, delivery: &Delivery) -> bool {
        self.members.get(&delivery.lane).is_none_or(|members| {
            members.busy.is_empty() && members.queued.iter().all(|(id, _)| *id >= delivery.id)
        })
    }

    /// A delivery of this lane that ended and whose outcome is not on disk yet, if there is one.
    pub(super) fn unwritten(&self, lane: Lane) -> Option<DeliveryId> {
        let busy = self.members.get(&lane)?.busy.iter().find(|busy| busy.has_ended);
        busy.map(|busy| busy.delivery)
    }

    /// The destinations for which jobs of this lane are queued.
    pub(super) fn destinations(&self, lane: Lane) -> Vec<DestinationKey> {
        let queued = self.members.get(&lane).map(|members| members.queued.as_slice()).unwrap_or_default();
        let mut keys: Vec<_> = queued.iter().map(|(_, key)| Arc::clone(key)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The destinations that must be considered again.
    pub(super) fn take_touched(&mut self) -> Vec<DestinationKey> {
        std::mem::take(&mut self.touched)
    }

    /// Notes that a job for this destination left the lane.
    fn touch(&mut self, lane: Lane, destination: &DestinationKey) {
        let Some(members) = self.members.get(&lane) else { return };
        if members.queued.is_empty() && members.busy.is_empty() {
            self.members.remove(&lane);
            return;
        }
        let others = members.queued.iter().filter(|(_, key)| key != destination);
        self.touched.extend(others.map(|(_, key)| Arc::clone(key)));
    }

    #[cfg(test)]
    pub(super) fn busy(&self, lane: Lane) -> Option<DeliveryId> {
        Some(self.members.get(&lane)?.busy.first()?.delivery)
    }
}
