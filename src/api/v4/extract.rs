//! The arguments of handlers: an authorized request and the objects in its path, checked in GitLab's order.
//!
//! A handler's signature tells which checks precede it. [`Authorized`] has a valid token; [`InstanceRequest`] has a token
//! that reaches everything; [`ScopeRequest`] names a project, a group or the instance that its token reaches;
//! [`IntegrationRequest`] names an adapter there as well. An object out of the token's reach is answered like one that
//! does not exist, so parameters are read only after this check.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

use super::Level;
use super::address;
use super::auth::Need;
use super::authorized::{Authorized, Intent};
use super::caller::{Caller, Named};
use super::scope::{Unknown, find, named, named_at};
use crate::adapters::Entry;
use crate::api::State;
use crate::api::error::responses::NotFound;
use crate::api::error::{ApiError, Missing};
use crate::catalog::ResolvedScope;

/// A request for tokens that reach the whole instance.
pub(super) struct InstanceRequest<I>(pub(super) Authorized<I>);

/// A request about a project, a group or the instance.
pub(super) struct ScopeRequest<I> {
    pub(super) authorized: Authorized<I>,
    pub(super) scope: ResolvedScope,
}

/// A request about one adapter's integration of a scope, configured or not.
pub(super) struct IntegrationRequest<I> {
    pub(super) authorized: Authorized<I>,
    pub(super) scope: ResolvedScope,
    pub(super) entry: &'static Entry,
}

impl<I> IntegrationRequest<I> {
    pub(super) fn named(&self) -> Named<'_> {
        Named { caller: &self.authorized, scope: &self.scope, entry: self.entry }
    }
}

/// The scope of a level that a caller names. A caller who may write may name an unknown scope.
pub(in crate::api) fn scope_at(caller: &Caller, level: Level, id: &str) -> Result<ResolvedScope, ApiError> {
    let unknown = if caller.require(Need::Write).is_ok() { Unknown::IsNew } else { Unknown::IsMissing };
    caller.state.catalog.read(|snapshot| {
        let scope = named_at(snapshot.directory(), level, id)?;
        find(snapshot, &scope, caller.reach(), unknown)
    })
}

impl<I: Intent> FromRequest<Arc<State>> for InstanceRequest<I> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, ApiError> {
        let authorized = Authorized::<I>::from_request(request, state).await?;
        authorized.require_instance()?;
        Ok(Self(authorized))
    }
}

impl<I: Intent> FromRequest<Arc<State>> for ScopeRequest<I> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, ApiError> {
        let authorized = Authorized::<I>::from_request(request, state).await?;
        let path = authorized.head.uri.path();
        let scope = state.catalog.read(|snapshot| {
            let scope = named(snapshot.directory(), path, authorized.path.id())?;
            find(snapshot, &scope, authorized.reach(), I::UNKNOWN)
        })?;
        Ok(Self { authorized, scope })
    }
}

impl<I: Intent> FromRequest<Arc<State>> for IntegrationRequest<I> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, ApiError> {
        let ScopeRequest { authorized, scope } = ScopeRequest::<I>::from_request(request, state).await?;
        let slug = authorized.path.slug();
        let entry = address::adapter(slug).ok_or_else(|| {
            // GitLab's clients can handle a missing service, because the answer is that of an integration that was
            // never set.
            let is_known = address::is_known_to_gitlab(slug);
            if is_known { ApiError::NotFound(Missing::Integration) } else { I::NO_ADAPTER }
        })?;
        Ok(Self { authorized, scope, entry })
    }
}

impl<I: Intent> IntoResponses for InstanceRequest<I> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        Authorized::<I>::responses()
    }
}

impl<I: Intent> IntoResponses for ScopeRequest<I> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut responses = Authorized::<I>::responses();
        responses.extend(NotFound::responses());
        responses
    }
}

impl<I: Intent> IntoResponses for IntegrationRequest<I> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        ScopeRequest::<I>::responses()
    }
}
