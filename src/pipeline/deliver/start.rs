//! Starts attempts.
//!
//! A build that is triggered twice is worse than one that is not triggered. So an attempt that must not be repeated
//! (`retry_ambiguous = false`) is marked as started in the store before anything is sent. If a row is found marked,
//! after a crash or by another node, it becomes a dead letter. Where the adapter can ask whether the service has the
//! message ([`LOOKS_FIRST`](crate::adapters::contract::Deliver::LOOKS_FIRST)), the row is attempted again instead, and
//! the attempt asks first.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{Completed, Deliverer, Finished};
use crate::pipeline::attempt::{Attempter, Prepared, Report};
use crate::pipeline::outbox_writer::{Command, Marked};
use crate::pipeline::retry::Outcome;
use crate::pipeline::scheduler::Job;

impl Deliverer {
    /// Gives up a row whose attempt began and whose outcome is unknown.
    pub(super) fn give_up_started(&mut self, job: Job, now: Timestamp) {
        let integration = self.deps.attempts.catalog.integration(&job.delivery.integration);
        let report = Report::unsent(Outcome::MayHaveBeenSent);
        self.settle(Finished { job, integration, report, at: now });
    }

    pub(super) fn start(&mut self, job: Job, prepared: Prepared) {
        let attempts = self.deps.attempts.clone();
        if !prepared.is_marked() {
            let attempt =
                async move { Completed::Attempt(Box::new(attempted(attempts, job, prepared).await)) };
            return self.under_way.push(attempt.boxed());
        }
        // The mark needs a row.
        self.make_rows(job.delivery.id);
        let (marked, answer) = oneshot::channel();
        self.send(Command::Start(job.delivery.id, marked));
        let attempt = async move {
            match answer.await.unwrap_or(Marked::Unknown) {
                Marked::Started => Completed::Attempt(Box::new(attempted(attempts, job, prepared).await)),
                Marked::Lost => Completed::Lost(Box::new(job)),
                Marked::Unknown => {
                    let why = "the store did not take the mark that the attempt begins".to_owned();
                    let report = Report::unsent(Outcome::StoreUnavailable(why));
                    let at = attempts.clock.now();
                    let integration = Some(prepared.integration);
                    Completed::Attempt(Box::new(Finished { job, integration, report, at }))
                }
            }
        };
        self.under_way.push(attempt.boxed());
    }
}

async fn attempted(attempts: Attempter, job: Job, prepared: Prepared) -> Finished {
    let attempt = AssertUnwindSafe(attempts.make(&job, &prepared)).catch_unwind().await;
    // A panic fails this one message visibly, and does not stop the whole destination.
    let report = attempt.unwrap_or_else(|_| Report::of_a_bug());
    let at = attempts.clock.now();
    Finished { job, integration: Some(Arc::clone(&prepared.integration)), report, at }
}
