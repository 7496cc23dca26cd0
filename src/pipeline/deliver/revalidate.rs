//! Rows that are not as this node knows their integration: it is not there, not active, or bound for another address.
//! Another node may know better: what was set there a moment ago is here a moment later, and so is a project that it was
//! the first to hear of. So before such a row is cancelled, or told somewhere else, the catalogue is read anew.
//!
//! The row stays in hand meanwhile, in flight as far as the scheduler knows. Where the catalogue can't be read, it waits.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use jiff::Timestamp;

use super::{Completed, Deliverer, Finished};
use crate::pipeline::attempt::Report;
use crate::pipeline::retry::Outcome;
use crate::pipeline::scheduler::{After, Job};
use crate::store::{Delivery, DeliveryId};

/// The rows in doubt whose leases are still ours.
pub(super) type Revalidations = HashSet<DeliveryId>;

/// The catalogue was read for a row, or why not.
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

    /// What this node knows of the row's integration is certain now, or has to wait.
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

    /// What is gone as far as this node's files tell may be there in another's: for a while it is not cancelled.
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

    /// These rows are leased to other nodes by now.
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
