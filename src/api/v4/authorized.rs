//! A request whose token is valid and has a sufficient right for the handler. The names in the path are checked later.
//!
//! If the head has no token, the body is read at once, because the token may be in the body. Otherwise it is read when
//! the handler asks for it.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::request::Parts;
use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

use super::PathParams;
use super::auth::{Credential, Need, authenticate};
use super::caller::Caller;
use super::params::{Params, read_body};
use super::scope::Unknown;
use crate::api::State;
use crate::api::error::ApiError;
use crate::api::error::responses::{Any, responses_of};

/// The intent of a handler. The type is part of the handler's signature, and decides which checks precede the handler.
pub(super) trait Intent: Send + 'static {
    const NEED: Need;
    const UNKNOWN: Unknown = Unknown::IsMissing;
    /// The answer where no adapter has the slug in the path.
    const NO_ADAPTER: ApiError = ApiError::UnknownSlug;
}

/// Returns the token's user or the server's version. Clients ask for these first, with tokens of every kind.
pub(super) struct Introduce;

pub(super) struct Read;

pub(super) struct Write;

/// A change that may name a project or group for the first time.
pub(super) struct Upsert;

impl Intent for Introduce {
    const NEED: Need = Need::AnyRight;
}

impl Intent for Read {
    const NEED: Need = Need::Read;
}

impl Intent for Write {
    const NEED: Need = Need::Write;
}

impl Intent for Upsert {
    const NEED: Need = Need::Write;
    const UNKNOWN: Unknown = Unknown::IsNew;
    /// GitLab has one route for each slug that can be set, so that an unknown slug is an unknown route.
    const NO_ADAPTER: ApiError = ApiError::NoSuchRoute;
}

/// An authorized request.
pub(super) struct Authorized<I> {
    pub(super) caller: Caller,
    pub(super) head: Parts,
    pub(super) path: PathParams,
    /// An unreadable query is reported where parameters are checked, after authorization.
    query: Result<Params, ApiError>,
    body: RequestBody,
    intent: PhantomData<I>,
}

enum RequestBody {
    Unread(Body),
    Read(Bytes),
}

/// Accepts a request, or refuses it with 401, 403 or 429.
impl<I: Intent> FromRequest<Arc<State>> for Authorized<I> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, ApiError> {
        let now = (state.clock)();
        let (mut head, body) = request.into_parts();
        let query = Params::of_query(head.uri.query().unwrap_or_default());
        // An unreadable query or body holds no known token: the answer is 401.
        let mut params = query.clone().unwrap_or_default();
        let mut body = RequestBody::Unread(body);
        let mut credential = Credential::of(&head.headers, &params);
        if credential.is_none() {
            let bytes = body.bytes(&head, state).await?;
            if params.add_body(&head.headers, bytes).await.is_ok() {
                credential = Credential::of(&head.headers, &params);
            }
        }
        let token = authenticate(state, &head, credential.as_ref(), now).await?;
        let caller = Caller { state: Arc::clone(state), token, now };
        caller.require(I::NEED)?;
        let Ok(path) = PathParams::from_request_parts(&mut head, state).await;
        Ok(Self { caller, head, path, query, body, intent: PhantomData })
    }
}

/// The answers of the checks before the handler.
impl<I: Intent> IntoResponses for Authorized<I> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut responses = Any::responses();
        responses.extend(responses_of(["401"]));
        if I::NEED != Need::AnyRight {
            responses.extend(responses_of(["403"]));
        }
        // A body is only read for a token where the method may have one.
        if I::NEED == Need::Write {
            responses.extend(responses_of(["408", "413"]));
        }
        responses
    }
}

impl<I> Authorized<I> {
    /// The parameters of query and body together.
    pub(super) async fn params(&mut self) -> Result<Params, ApiError> {
        let mut params = self.query.clone()?;
        let bytes = self.body.bytes(&self.head, &self.caller.state).await?;
        params.add_body(&self.head.headers, bytes).await?;
        Ok(params)
    }

    pub(super) fn query(&self) -> Result<&Params, ApiError> {
        self.query.as_ref().map_err(Clone::clone)
    }

    /// The body as it came.
    pub(super) async fn body(&mut self) -> Result<Bytes, ApiError> {
        self.body.bytes(&self.head, &self.caller.state).await
    }
}

impl<I> Deref for Authorized<I> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl RequestBody {
    async fn bytes(&mut self, head: &Parts, state: &State) -> Result<Bytes, ApiError> {
        if let Self::Unread(body) = self {
            let body = std::mem::take(body);
            *self = Self::Read(read_body(head, body, state.config.get().body_timeout).await?);
        }
        match self {
            Self::Read(bytes) => Ok(bytes.clone()),
            Self::Unread(_) => Err(ApiError::BodyIncomplete), // unreachable: it was read above
        }
    }
}
