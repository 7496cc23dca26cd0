//! A request whose token is known and whose right is enough. What it asks for is looked at after that.
//!
//! The body is read where the head has no token, since the token may be in it, or else when it is asked for.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::request::Parts;
use jiff::Timestamp;

use super::credentials::{Credential, Need, sufficient};
use super::log_in::log_in;
use super::params::{Params, read_body};
use super::scope::Unknown;
use super::{Refusal, Segments};
use crate::api::State;
use crate::catalog::Who;
use crate::store::registry::{ScopeKey, StoredToken};

/// What a handler does. Which checks go before it follows from that, and it is said in the type of what it is handed.
pub(super) trait Intent: Send + 'static {
    const NEED: Need;
    const UNKNOWN: Unknown = Unknown::IsMissing;
    /// How it is told that there is no adapter of a slug.
    const NO_ADAPTER: Refusal = Refusal::UnknownSlug;
}

pub(super) struct See;

pub(super) struct Change;

/// A change that may be the first that is heard of its place.
pub(super) struct Set;

impl Intent for See {
    const NEED: Need = Need::See;
}

impl Intent for Change {
    const NEED: Need = Need::Change;
}

impl Intent for Set {
    const NEED: Need = Need::Change;
    const UNKNOWN: Unknown = Unknown::IsNew;
    /// To GitLab each slug that can be set has a route of its own.
    const NO_ADAPTER: Refusal = Refusal::NoSuchRoute;
}

/// Such a request.
pub(super) struct Admitted<I> {
    pub(super) state: Arc<State>,
    pub(super) token: StoredToken,
    pub(super) head: Parts,
    pub(super) segments: Segments,
    pub(super) now: Timestamp,
    /// Whether it can be read is told to those who are let in, and where its parameters matter.
    query: Result<Params, Refusal>,
    body: Unread,
    intent: PhantomData<I>,
}

enum Unread {
    Body(Body),
    Bytes(Bytes),
}

/// Lets a request in, or refuses it with 401, 403 or 429.
impl<I: Intent> FromRequest<Arc<State>> for Admitted<I> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, Refusal> {
        let now = (state.clock)();
        let (mut head, body) = request.into_parts();
        let query = Params::of_query(head.uri.query().unwrap_or_default());
        // What can't be read holds no token that we know: that is the answer then.
        let mut params = query.clone().unwrap_or_default();
        let mut body = Unread::Body(body);
        let mut credential = Credential::of(&head.headers, &params);
        if credential.is_none() {
            let bytes = body.bytes(&head, state).await?;
            if params.add_body(&head.headers, bytes).await.is_ok() {
                credential = Credential::of(&head.headers, &params);
            }
        }
        let token = log_in(state, &head, credential.as_ref(), now).await?;
        sufficient(token.access.right, I::NEED)?;
        let Ok(segments) = Segments::from_request_parts(&mut head, state).await;
        Ok(Self { state: Arc::clone(state), token, head, segments, now, query, body, intent: PhantomData })
    }
}

impl<I> Admitted<I> {
    /// Query and body together.
    pub(super) async fn params(&mut self) -> Result<Params, Refusal> {
        let mut params = self.query.clone()?;
        let bytes = self.body.bytes(&self.head, &self.state).await?;
        params.add_body(&self.head.headers, bytes).await?;
        Ok(params)
    }

    pub(super) fn query(&self) -> Result<&Params, Refusal> {
        self.query.as_ref().map_err(Clone::clone)
    }

    /// The body as it came.
    pub(super) async fn body(&mut self) -> Result<Bytes, Refusal> {
        self.body.bytes(&self.head, &self.state).await
    }

    /// What its token may know of.
    pub(super) fn reach(&self) -> ScopeKey {
        self.token.access.reach
    }

    /// Refuses a token that does not reach everything.
    pub(super) fn for_the_instance(&self) -> Result<(), Refusal> {
        if self.reach() == ScopeKey::Instance { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    /// For the audit log.
    pub(super) fn who(&self) -> Who {
        Who(format!("token {} ({})", self.token.name, self.token.id))
    }
}

impl Unread {
    async fn bytes(&mut self, head: &Parts, state: &State) -> Result<Bytes, Refusal> {
        if let Self::Body(body) = self {
            let body = std::mem::take(body);
            *self = Self::Bytes(read_body(head, body, state.config.body_timeout).await?);
        }
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::Body(_) => Err(Refusal::BrokenOff), // it was put in place above
        }
    }
}
