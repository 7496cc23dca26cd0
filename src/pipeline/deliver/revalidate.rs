//! Rows that contradict what this node knows: their integration is missing, not active, has another address, or is
//! switched off. Another node may have newer settings, know a new project or have ended a hold, which reaches this node
//! a moment later. So the catalogue and the holds are read again before such a row is cancelled, sent to another address
//! or put off for hours.
//!
//! Meanwhile the row counts as in flight in the scheduler. Where the store can't be read, the row waits.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use jiff::Timestamp;

use super::{Completed, Deliverer, Finished};
use crate::pipeline::attempt::Report;
use crate::pipeline::retry::Outcome;
use crate::pipeline::scheduler::{After, Job};
use crate::store::{Delivery, DeliveryId, Hold};

/// The rows for which the store is being read, and whose leases this node still has.
pub(super) type Revalidations = HashSet<DeliveryId>;

/// The result of reading the catalogue and the holds for a row.
pub(super) struct Revalidated {
    pub(super) job: Job,
    /// All holds that have not ended.
    holds: Result<Vec<Hold>, String>,
}

impl Deliverer {
    /// Reads the catalogue and the holds for a row.
    pub(super) fn revalidate(&mut self, job: Job) {
        self.revalidations.insert(job.delivery.id);
        let (catalog, outbox) = (self.deps.attempts.catalog.clone(), self.deps.outbox.clone());
        let now = self.now();
        let read = async move {
            catalog.refresh().await.map_err(|error| format!("cannot read the integrations: {error}"))?;
            outbox.holds(now).await.map_err(|error| format!("cannot read what is held: {error}"))
        };
        let revalidated = async move {
            let holds = AssertUnwindSafe(read).catch_unwind().await.unwrap_or_else(|_| {
                Err("a bug of ours: reading the integrations and the holds ended in a panic".to_owned())
            });
            Completed::Revalidated(Box::new(Revalidated { job, holds }))
        };
        self.under_way.push(revalidated.boxed());
    }

    /// Goes on with the row: what this node knows of it is up to date now, or the row has to wait.
    pub(super) fn on_revalidated(&mut self, revalidated: Revalidated) {
        let Revalidated { mut job, holds } = revalidated;
        let now = self.now();
        if !self.revalidations.remove(&job.delivery.id) {
            // The reading took longer than the lease: another node has the row.
            return self.put_back(&job.delivery, now);
        }
        match holds {
            Ok(holds) => {
                self.deps.attempts.holds.forget_ended_address(&job.delivery, &holds);
                job.catalog_is_fresh = true;
                job.holds_are_fresh = true;
                self.scheduler.defer(job, now, now);
            }
            Err(why) => {
                let report = Report::unsent(Outcome::StoreUnavailable(why));
                self.settle(Finished { job, integration: None, report, at: now });
            }
        }
    }

    /// Lets a row wait for a while if its integration is not in this node's files, because another node's files may
    /// have it.
    pub(super) fn leave_to_other_nodes(
        &mut self,
        delivery: &Delivery,
        report: Report,
        now: Timestamp,
    ) -> Report {
        let Outcome::Cancelled(why) = &report.outcome else { return report };
        if !self.deps.attempts.catalog.hangs_on_files(&delivery.integration) {
            return report;
        }
        let Some(until) = self.unknown_integrations.wait(&delivery.integration, now) else { return report };
        Report::unsent(Outcome::UnknownIntegration(format!(
            "{why}, as far as the files of this node tell; those of another may know better, until {until:.0}"
        )))
    }

    /// Forgets rows that other nodes have leased by now.
    pub(super) fn forget_revalidations(&mut self, lost: &[DeliveryId]) {
        for row in lost {
            self.revalidations.remove(row);
        }
    }

    pub(super) fn put_back(&mut self, delivery: &Delivery, now: Timestamp) {
        self.release(delivery.id);
        let back = self.scheduler.finish(delivery, After::Waiting(now), now);
        self.give_back(back);
    }
}
