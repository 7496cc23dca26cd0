//! `POST /events/explain`: which integrations would deliver an event, and why the others would not. Nothing is sent or
//! stored.

use axum::Json;
use bytes::Bytes;
use jiff::Timestamp;
use utoipa_axum::routes;

use super::authorized::{Authorized, Read};
use super::caller::Caller;
use super::scope::trusted_event;
use super::{EVENTS, Route};
use crate::api::State;
use crate::api::error::responses::{NotFound, ReadsBody, Unprocessable};
use crate::api::error::{ApiError, Missing};
use crate::api::resources::Explanation;
use crate::catalog::Catalog as _;
use crate::event::{Event, EventId};
use crate::pipeline::dispatch::verdicts;
use crate::pipeline::explain::heed;
use crate::store::registry::ScopeKey;

pub(super) fn routes() -> Vec<Route> {
    vec![routes!(explain)]
}

/// Show which integrations would deliver an event
///
/// Nothing is sent or stored. A body that is not an event is answered with 422 and the reason; an event of a project or
/// group that the token does not reach, with 404.
#[utoipa::path(
    post, path = "/events/explain", operation_id = "explainEvent", tag = EVENTS,
    request_body(content = Object, content_type = "application/json", description = "An event, as a webhook sends it."),
    responses(
        (status = 200, description = "Each integration's verdict, with the reason.", body = Explanation),
        Authorized<Read>, NotFound, ReadsBody, Unprocessable
    )
)]
pub(super) async fn explain(mut authorized: Authorized<Read>) -> Result<Json<Explanation>, ApiError> {
    let body = authorized.body().await?;
    let event = event_in(&authorized.state, authorized.reach(), body, authorized.now)?;
    explained(&authorized, &event).await.map(Json)
}

/// What each integration does with an event that the caller reaches, under the current settings.
pub(in crate::api) async fn explained(caller: &Caller, event: &Event) -> Result<Explanation, ApiError> {
    let Caller { state, now, .. } = caller;
    let mut verdicts = verdicts(event, &*state.catalog, &state.holds.snapshot(), *now);
    heed(&mut verdicts, event, &state.tests.operator.get(), &*state.merge_requests, *now).await?;
    Ok(Explanation::new(event, &verdicts))
}

/// The event in a body, of a project or group that the token reaches, as far as its content can be trusted.
pub(super) fn event_in(
    state: &State,
    reach: ScopeKey,
    body: Bytes,
    now: Timestamp,
) -> Result<Event, ApiError> {
    let event = decode(state, body, now)?;
    let missing = if event.group.is_some() { Missing::Group } else { Missing::Project };
    trusted_event(&state.catalog, reach, event).ok_or(ApiError::NotFound(missing))
}

fn decode(state: &State, body: Bytes, now: Timestamp) -> Result<Event, ApiError> {
    if body.is_empty() {
        return Err(ApiError::Unreadable("the body is no event: it is empty".to_owned()));
    }
    let id =
        EventId::new(&format!("asked-{}", now.as_nanosecond())).expect("a number is printable and short");
    state.catalog.decode(id, now, body).map_err(|why| ApiError::Unprocessable(why.to_string()))
}
