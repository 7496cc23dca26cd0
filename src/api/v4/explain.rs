//! `POST /events/explain`: who would hear of an event, and why the others would not. Nothing is sent, and nothing kept.

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;

use super::ApiError;
use super::authorized::{Authorized, Read};
use super::response;
use super::scope::trusted_event;
use crate::api::State;
use crate::api::error::Missing;
use crate::event::{Event, EventId};
use crate::pipeline::dispatch::verdicts;
use crate::pipeline::explain::explanation;
use crate::store::registry::ScopeKey;

pub(super) async fn explain(mut authorized: Authorized<Read>) -> Result<Response, ApiError> {
    let body = authorized.body().await?;
    let state = &authorized.state;
    let event = told(state, authorized.reach(), body, authorized.now)?;
    let verdicts = verdicts(&event, &*state.catalog, &state.switches, authorized.now);
    Ok(response::json(StatusCode::OK, &explanation(&event, &verdicts)))
}

/// The event in a body, of a project or group that the token reaches, as far as it is trusted_event.
pub(super) fn told(state: &State, reach: ScopeKey, body: Bytes, now: Timestamp) -> Result<Event, ApiError> {
    let event = decode(body, now)?;
    let missing = if event.group.is_some() { Missing::Group } else { Missing::Project };
    trusted_event(&state.catalog, reach, event).ok_or(ApiError::NotFound(missing))
}

fn decode(body: Bytes, now: Timestamp) -> Result<Event, ApiError> {
    if body.is_empty() {
        return Err(ApiError::Unreadable("the body is no event: it is empty".to_owned()));
    }
    let id =
        EventId::new(&format!("asked-{}", now.as_nanosecond())).expect("a number is printable and short");
    Event::decode(id, now, body).map_err(|why| ApiError::Unprocessable(why.to_string()))
}
