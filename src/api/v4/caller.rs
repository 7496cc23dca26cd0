//! The caller: the token of a request, its reach, and the time. The API and the page answer callers by the same
//! functions.

use std::sync::Arc;

use jiff::Timestamp;

use super::auth::{Need, check_right};
use super::scope::reaches;
use crate::adapters::Entry;
use crate::api::State;
use crate::api::error::ApiError;
use crate::catalog::{Actor, ResolvedScope, Snapshot};
use crate::integration::IntegrationId;
use crate::pipeline::standing::scope_of;
use crate::store::registry::{ScopeKey, StoredToken};

/// One adapter's integration of a scope that a caller reaches, configured or not.
#[derive(Clone, Copy)]
pub(in crate::api) struct Named<'a> {
    pub(in crate::api) caller: &'a Caller,
    pub(in crate::api) scope: &'a ResolvedScope,
    pub(in crate::api) entry: &'static Entry,
}

/// The holder of a valid token.
pub(in crate::api) struct Caller {
    pub(in crate::api) state: Arc<State>,
    pub(in crate::api) token: StoredToken,
    pub(in crate::api) now: Timestamp,
}

impl Caller {
    /// The token's reach: a project, a group or everything.
    pub(in crate::api) fn reach(&self) -> ScopeKey {
        self.token.access.reach
    }

    /// Refuses a token that does not reach everything.
    pub(in crate::api) fn require_instance(&self) -> Result<(), ApiError> {
        if self.reach() == ScopeKey::Instance { Ok(()) } else { Err(ApiError::Forbidden) }
    }

    /// Refuses a token whose right is not enough.
    pub(in crate::api) fn require(&self, need: Need) -> Result<(), ApiError> {
        check_right(self.token.access.right, need)
    }

    /// Whether the token reaches a scope.
    pub(in crate::api) fn reaches(&self, snapshot: &Snapshot, scope: &ResolvedScope) -> bool {
        reaches(snapshot.directory(), self.reach(), scope)
    }

    /// Whether the token reaches the owner of an integration.
    pub(in crate::api) fn reaches_integration(&self, snapshot: &Snapshot, id: &IntegrationId) -> bool {
        self.reaches(snapshot, &scope_of(snapshot, id))
    }

    /// The token's name for the audit log.
    pub(in crate::api) fn actor(&self) -> Actor {
        Actor(format!("token {} ({})", self.token.name, self.token.id))
    }
}
