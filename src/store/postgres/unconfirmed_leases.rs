//! Leases that were requested and not confirmed: the database may have granted them.

use std::sync::{Mutex, PoisonError};

use super::Postgres;
use crate::store::{Claim, Dispatched, NodeId, Result, StoreError};

/// The unanswered calls. Their number is bounded by the calls under way when the connection broke, because they are
/// settled before the next call.
#[derive(Default)]
pub(super) struct UnconfirmedLeases(Mutex<Vec<Call>>);

/// A call, with what identifies the rows that it leased.
#[derive(Clone, PartialEq, Eq)]
struct Call {
    node: NodeId,
    /// In milliseconds, as they are written.
    until: Vec<i64>,
    events: Vec<String>,
    destinations: Vec<String>,
}

impl UnconfirmedLeases {
    /// Notes a write of a batch without an answer. It may have been committed. `until` are the ends of the deliveries'
    /// leases, as they were written.
    pub(super) fn note_written(
        &self,
        batch: &[Dispatched],
        until: impl Iterator<Item = i64>,
        error: &StoreError,
    ) {
        let mut deliveries = batch.iter().flat_map(|dispatched| &dispatched.deliveries);
        let Some(lease) = deliveries.find_map(|delivery| delivery.lease.as_ref()) else { return };
        let node = &lease.node;
        let mut until: Vec<_> = until.collect();
        until.dedup();
        let events = batch.iter().map(|dispatched| dispatched.event.id.to_string()).collect();
        self.note(Call { node: node.clone(), until, events, destinations: Vec::new() }, error);
    }

    /// Notes a claim without an answer. It may have been committed. `until` is the end of its leases, as it was
    /// written.
    pub(super) fn note_claimed(&self, claim: &Claim, until: i64, error: &StoreError) {
        let node = &claim.lease.node;
        let destinations = claim.destinations.iter().map(ToString::to_string).collect();
        self.note(Call { node: node.clone(), until: vec![until], events: Vec::new(), destinations }, error);
    }

    fn note(&self, call: Call, error: &StoreError) {
        // An error that the database itself reports means that nothing was done.
        if matches!(error, StoreError::Unavailable(_)) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        }
    }

    fn oldest(&self) -> Option<Call> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    /// Forgets a call. Two tasks may have settled it at the same time.
    fn done(&self, call: &Call) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| other != call);
    }
}

impl Postgres {
    /// Releases unconfirmed leases.
    pub(super) async fn release_unconfirmed(&self) -> Result<()> {
        while let Some(call) = self.unconfirmed.oldest() {
            let Call { node, until, events, destinations } = &call;
            let sql = "SELECT release_unconfirmed($1, $2, $3, $4)";
            self.writer.query(sql, &[&&*node.0, until, events, destinations]).await?;
            self.unconfirmed.done(&call);
        }
        Ok(())
    }
}
