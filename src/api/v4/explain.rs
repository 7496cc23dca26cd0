//! `POST /events/explain`: who would hear of an event, and why the others would not. Nothing is sent, and nothing kept.

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;

use super::Refusal;
use super::admitted::{Admitted, See};
use super::answer;
use super::refusal::Missing;
use super::scope::believed;
use crate::api::State;
use crate::event::{Event, EventId};
use crate::pipeline::dispatch::verdicts;
use crate::pipeline::explanation::explanation;
use crate::store::registry::ScopeKey;

pub(super) async fn explain(mut admitted: Admitted<See>) -> Result<Response, Refusal> {
    let body = admitted.body().await?;
    let state = &admitted.state;
    let event = told(state, admitted.reach(), body, admitted.now)?;
    let verdicts = verdicts(&event, &*state.catalog, &state.switches, admitted.now);
    Ok(answer::json(StatusCode::OK, &explanation(&event, &verdicts)))
}

/// The event in a body, of a project or group that the token reaches, as far as it is believed.
pub(super) fn told(state: &State, reach: ScopeKey, body: Bytes, now: Timestamp) -> Result<Event, Refusal> {
    let event = decode(body, now)?;
    let missing = if event.group.is_some() { Missing::Group } else { Missing::Project };
    believed(&state.catalog, reach, event).ok_or(Refusal::NotFound(missing))
}

fn decode(body: Bytes, now: Timestamp) -> Result<Event, Refusal> {
    if body.is_empty() {
        return Err(Refusal::Unreadable("the body is no event: it is empty".to_owned()));
    }
    let id =
        EventId::new(&format!("asked-{}", now.as_nanosecond())).expect("a number is printable and short");
    Event::decode(id, now, body).map_err(|why| Refusal::Unprocessable(why.to_string()))
}
