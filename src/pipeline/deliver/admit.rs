//! Checks whether the next delivery may be attempted now: its destination must be that of the integration's current
//! settings, and the rate limits of the service must allow the attempt. Otherwise the delivery moves to its new
//! destination, or waits.

use std::sync::Arc;

use jiff::Timestamp;

use super::Deliverer;
use crate::pipeline::after;
use crate::pipeline::attempt::Prepared;
use crate::pipeline::outbox_writer::Command;
use crate::pipeline::scheduler::{After, Job, SHORT_REST};
use crate::store::Redirected;

impl Deliverer {
    /// Starts an attempt if the destination is still the one in the row, and the pace allows the attempt now.
    pub(super) fn admit(&mut self, job: Job, prepared: Prepared, now: Timestamp) {
        let Some(pace) = prepared.pace(&job.delivery) else { return self.start(job, prepared) };
        let is_bound_elsewhere = *pace.destination.key.0 != *job.delivery.destination;
        match (is_bound_elsewhere, job.catalog_is_fresh) {
            (false, _) => {}
            (true, true) => return self.redirect(job, &prepared, now),
            (true, false) => return self.revalidate(job),
        }
        if let Some(until) = self.deps.attempts.holds.buckets_until(pace.buckets(), now) {
            return self.put_off(job, until, now);
        }
        if let Err(wait) = self.deps.pace.admit(&pace) {
            return self.put_off(job, after(now, wait), now);
        }
        self.start(job, prepared);
    }

    /// Moves a delivery to another destination after the settings of its integration changed. The holds, pace and
    /// concurrency of the new destination apply.
    fn redirect(&mut self, mut job: Job, prepared: &Prepared, now: Timestamp) {
        let settings = &prepared.integration.settings;
        let (destination, share) = prepared.entry.destination_and_share(settings, &job.delivery.target);
        let id = job.delivery.id;
        let former = std::mem::replace(&mut job.delivery.destination, Arc::clone(&destination));
        if self.in_hand.contains(id) {
            self.in_hand.redirect(id, &destination, &share);
        } else {
            let key = Arc::clone(&destination);
            self.send(Command::Redirect(Redirected { delivery: id, destination: key, share }));
        }
        let back = self.scheduler.redirect(job, &former, now);
        self.give_back(back);
        self.note_backlogged(&former);
        self.note_backlogged(&destination);
    }

    /// Puts an attempt off until the rate limit allows it. If the wait is long, the destination's rows go back to the
    /// store.
    fn put_off(&mut self, job: Job, until: Timestamp, now: Timestamp) {
        if until <= now + SHORT_REST {
            return self.scheduler.defer(job, until, now);
        }
        let key = Arc::clone(&job.delivery.destination);
        self.release(job.delivery.id);
        let mut back = self.scheduler.finish(&job.delivery, After::Waiting(until), now);
        back.extend(self.scheduler.rest_by_pace(&key, until, now));
        self.give_back(back);
    }
}
