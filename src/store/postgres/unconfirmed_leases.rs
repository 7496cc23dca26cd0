//! Leases that were asked for, and no answer came: the database may have given them all the same.

use std::sync::{Mutex, PoisonError};

use super::Postgres;
use super::rows::ms;
use crate::store::{Claim, Dispatched, Lease, NodeId, Result, StoreError};

/// The calls whose answer is missing. There are as many as were under way at once when it broke off: none is made before
/// these are seen to.
#[derive(Default)]
pub(super) struct UnconfirmedLeases(Mutex<Vec<Call>>);

/// What the rows that a call leased are known by.
#[derive(Clone, PartialEq, Eq)]
struct Call {
    node: NodeId,
    /// In milliseconds, as they are written.
    until: Vec<i64>,
    events: Vec<String>,
    destinations: Vec<String>,
}

impl UnconfirmedLeases {
    /// Notes that a batch was to be written, and may have been.
    pub(super) fn note_written(&self, batch: &[Dispatched], error: &StoreError) {
        let leases = || {
            let deliveries = batch.iter().flat_map(|dispatched| &dispatched.deliveries);
            deliveries.filter_map(|delivery| delivery.lease.as_ref())
        };
        let Some(Lease { node, .. }) = leases().next() else { return };
        let mut until: Vec<_> = leases().map(|lease| ms(lease.until)).collect();
        until.dedup();
        let events = batch.iter().map(|dispatched| dispatched.event.id.to_string()).collect();
        self.note(Call { node: node.clone(), until, events, destinations: Vec::new() }, error);
    }

    /// Notes that rows were to be handed out, and may have been.
    pub(super) fn note_claimed(&self, claim: &Claim, error: &StoreError) {
        let Lease { node, until } = &claim.lease;
        let destinations = claim.destinations.iter().map(ToString::to_string).collect();
        self.note(
            Call { node: node.clone(), until: vec![ms(*until)], events: Vec::new(), destinations },
            error,
        );
    }

    fn note(&self, call: Call, error: &StoreError) {
        // What the database refuses, it has not done.
        if matches!(error, StoreError::Unavailable(_)) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        }
    }

    fn oldest(&self) -> Option<Call> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    /// It is seen to, perhaps by two at once.
    fn done(&self, call: &Call) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| other != call);
    }
}

impl Postgres {
    /// Releases the leases that were not confirmed.
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
