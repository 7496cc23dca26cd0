//! What handlers are handed: a request that is let in, with what its path names, looked up in this API's order of checks.
//!
//! A handler's signature tells which of them it is behind. [`Admitted`] is let in by its token, and names nothing that
//! anybody might not know; [`ForInstance`] has a token that reaches everything; [`AtPlace`] names a project, a group or
//! the instance that its token reaches; [`OfIntegration`] names an adapter there as well. What is not reached is not
//! there, whatever else is wrong with the request: so no parameter is read before.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};

use super::admitted::{Admitted, Intent};
use super::scope::{find, named};
use super::{Refusal, address};
use crate::adapters::Entry;
use crate::api::State;
use crate::catalog::ResolvedScope;

/// It is for tokens of the instance.
pub(super) struct ForInstance<I>(pub(super) Admitted<I>);

/// It is about a project, a group or the instance.
pub(super) struct AtPlace<I> {
    pub(super) admitted: Admitted<I>,
    pub(super) scope: ResolvedScope,
}

/// It is about one adapter's integration of a scope, whether or not that is configured.
pub(super) struct OfIntegration<I> {
    pub(super) admitted: Admitted<I>,
    pub(super) scope: ResolvedScope,
    pub(super) entry: &'static Entry,
}

impl<I: Intent> FromRequest<Arc<State>> for ForInstance<I> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, Refusal> {
        let admitted = Admitted::<I>::from_request(request, state).await?;
        admitted.for_the_instance()?;
        Ok(Self(admitted))
    }
}

impl<I: Intent> FromRequest<Arc<State>> for AtPlace<I> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, Refusal> {
        let admitted = Admitted::<I>::from_request(request, state).await?;
        let path = admitted.head.uri.path();
        let scope = state.catalog.read(|snapshot| {
            let scope = named(snapshot.directory(), path, admitted.segments.id())?;
            find(snapshot, &scope, admitted.reach(), I::UNKNOWN)
        })?;
        Ok(Self { admitted, scope })
    }
}

impl<I: Intent> FromRequest<Arc<State>> for OfIntegration<I> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, Refusal> {
        let AtPlace { admitted, scope } = AtPlace::<I>::from_request(request, state).await?;
        let entry = address::adapter(admitted.segments.slug()).ok_or(I::NO_ADAPTER)?;
        Ok(Self { admitted, scope, entry })
    }
}
