//! Whether a delivery whose turn it is may be attempted now: it is bound where its integration's settings lead, and the
//! rate limits of the service allow it. Otherwise it goes to its new destination, or waits.

use std::sync::Arc;

use jiff::Timestamp;

use super::Deliverer;
use crate::pipeline::after;
use crate::pipeline::attempt::Prepared;
use crate::pipeline::outbox_writer::Command;
use crate::pipeline::scheduler::{After, Job, SHORT_REST};
use crate::store::Redirected;

impl Deliverer {
    /// Starts an attempt, if it is bound for where it was written for, and the pace allows it now.
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

    /// The settings of its integration changed: it goes to another destination, whose holds, pace and concurrency
    /// count.
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

    /// The rate limit allows the attempt only then. For a long wait, the rows go back to the store.
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
