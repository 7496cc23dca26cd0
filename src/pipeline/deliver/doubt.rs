//! Rows that are not as this node knows their integration: it is not there, not active, or bound for another address.
//! Another node may know better: what was set there a moment ago is here a moment later, and so is a project that it was
//! the first to hear of. So before such a row is cancelled, or told somewhere else, the catalogue is read anew.
//!
//! The row stays in hand meanwhile, in flight as far as the board knows. Where the catalogue can't be read, it waits.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use jiff::Timestamp;

use super::{Done, Ended, Work};
use crate::pipeline::attempt::Report;
use crate::pipeline::board::{Job, Left};
use crate::pipeline::retry::Outcome;
use crate::pipeline::writer::Word;
use crate::store::{Delivery, DeliveryId};

/// The rows in doubt whose leases are still ours.
pub(super) type Doubts = HashSet<DeliveryId>;

/// The catalogue was read for a row, or why not.
pub(super) struct Reading {
    pub(super) job: Job,
    outcome: Result<(), String>,
}

impl Work {
    /// Reads the catalogue for a row.
    pub(super) fn doubt(&mut self, job: Job) {
        self.doubts.insert(job.delivery.id);
        let (catalog, done) = (self.parts.attempts.catalog.clone(), self.done.clone());
        self.parts.tasks.spawn(async move {
            let read = AssertUnwindSafe(catalog.refresh()).catch_unwind().await;
            let outcome = match read {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(format!("cannot read the integrations: {error}")),
                Err(_) => Err("a bug of ours: reading the integrations ended in a panic".to_owned()),
            };
            // Nobody listens any more only when the grace period is over.
            let _ = done.send(Ended::Reading(Box::new(Reading { job, outcome })));
        });
    }

    /// What this node knows of the row's integration is certain now, or has to wait.
    pub(super) fn take_up_reading(&mut self, reading: Reading) {
        let Reading { mut job, outcome } = reading;
        let now = self.now();
        if !self.doubts.remove(&job.delivery.id) {
            // The reading took longer than the lease: somebody else has the row.
            return self.put_back(&job.delivery, now);
        }
        match outcome {
            Ok(()) => {
                job.certain = true;
                self.board.paced(job, now, now);
            }
            Err(why) => {
                let report = Report::unsent(Outcome::Unsure(why));
                self.settle(Done { job, integration: None, report, at: now });
            }
        }
    }

    /// What is gone as far as this node's files tell may be there in another's: for a while it is not cancelled.
    pub(super) fn left_to_others(&mut self, delivery: &Delivery, report: Report, now: Timestamp) -> Report {
        let Outcome::Cancelled(why) = &report.outcome else { return report };
        if !self.parts.attempts.catalog.hangs_on_files(&delivery.integration) {
            return report;
        }
        let Some(until) = self.strangers.wait(&delivery.integration, now) else { return report };
        Report::unsent(Outcome::LeftToOthers(format!(
            "{why}, as far as the files of this node tell; those of another may know better, until {until:.0}"
        )))
    }

    /// These rows are somebody else's by now.
    pub(super) fn forget_doubts(&mut self, lost: &[DeliveryId]) {
        for row in lost {
            self.doubts.remove(row);
        }
    }

    pub(super) fn put_back(&mut self, delivery: &Delivery, now: Timestamp) {
        self.say(Word::Release(delivery.id));
        let back = self.board.left(delivery, Left::Waits(now), now);
        self.give_back(back);
    }
}
