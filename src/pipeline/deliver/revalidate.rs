//! Rows that contradict this node's catalogue: their integration is missing, not active, or has another address.
//! Another node may have newer settings or know a new project, which reach this node a moment later. So the catalogue
//! is read again before such a row is cancelled or sent to another address.
//!
//! Meanwhile the row counts as in flight in the scheduler. Where the catalogue can't be read, the row waits.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use jiff::Timestamp;

use super::{Completed, Deliverer, Finished};
use crate::pipeline::attempt::Report;
use crate::pipeline::retry::Outcome;
use crate::pipeline::scheduler::{After, Job};
use crate::store::{Delivery, DeliveryId};

/// The rows for which the catalogue is being read, and whose leases this node still has.
pub(super) type Revalidations = HashSet<DeliveryId>;

/// The result of reading the catalogue for a row.
pub(super) struct CatalogRefresh {
    pub(super) job: Job,
    outcome: Result<(), String>,
}

impl Deliverer {
    /// Reads the catalogue for a row.
    pub(super) fn revalidate(&mut self, job: Job) {
        self.revalidations.insert(job.delivery.id);
        let catalog = self.deps.attempts.catalog.clone();
        let refresh = async move {
            let read = AssertUnwindSafe(catalog.refresh()).catch_unwind().await;
            let outcome = match read {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(format!("cannot read the integrations: {error}")),
                Err(_) => Err("a bug of ours: reading the integrations ended in a panic".to_owned()),
            };
            Completed::CatalogRefresh(Box::new(CatalogRefresh { job, outcome }))
        };
        self.under_way.push(refresh.boxed());
    }

    /// Goes on with the row: the catalogue is up to date now, or the row has to wait.
    pub(super) fn on_catalog_refreshed(&mut self, refresh: CatalogRefresh) {
        let CatalogRefresh { mut job, outcome } = refresh;
        let now = self.now();
        if !self.revalidations.remove(&job.delivery.id) {
            // The reading took longer than the lease: another node has the row.
            return self.put_back(&job.delivery, now);
        }
        match outcome {
            Ok(()) => {
                job.catalog_is_fresh = true;
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
