//! `/quarantine`: what could not be understood. Whose it would have been nobody knows: it is for tokens of the instance.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

use super::admitted::Admitted;
use super::answer::{self, Page};
use super::credentials::Need;
use super::object::moment;
use super::refusal::Missing;
use super::{Refusal, Segments};
use crate::api::State;
use crate::event::EventId;
use crate::pipeline::quarantine::{Again, again};
use crate::store::Quarantined;

const MISSING: Refusal = Refusal::NotFound(Missing::Quarantined);

/// `GET /quarantine`, newest first.
pub(super) async fn list(Extract(state): Extract<Arc<State>>, request: Request) -> Result<Response, Refusal> {
    let mut admitted = Admitted::admit(&state, request, Need::See).await?;
    admitted.for_the_instance()?;
    let page = Page::read(&admitted.params(&state).await?)?;
    let list = state.quarantine.list_quarantined(page.before, page.limit).await?;
    let items: Vec<Json> = list.iter().map(item_json).collect();
    Ok(page.answer(&admitted.head.uri, &items, list.iter().map(|item| item.number)))
}

/// `GET /quarantine/:number`
pub(super) async fn show(
    Extract(state): Extract<Arc<State>>,
    segments: Segments,
    request: Request,
) -> Result<Response, Refusal> {
    Admitted::admit(&state, request, Need::See).await?.for_the_instance()?;
    let number = segments.number("number").ok_or(MISSING)?;
    let (item, raw) = state.quarantine.quarantined(number).await?.ok_or(MISSING)?;
    let mut json = item_json(&item);
    json["body"] = String::from_utf8_lossy(&raw).into();
    Ok(answer::json(StatusCode::OK, &json))
}

/// `DELETE /quarantine/:number`
pub(super) async fn delete(
    Extract(state): Extract<Arc<State>>,
    segments: Segments,
    request: Request,
) -> Result<Response, Refusal> {
    Admitted::admit(&state, request, Need::Change).await?.for_the_instance()?;
    let number = segments.number("number").ok_or(MISSING)?;
    let removed = state.quarantine.remove_quarantined(number).await?;
    if removed { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(MISSING) }
}

/// `POST /quarantine/:number/retry`
pub(super) async fn retry(
    Extract(state): Extract<Arc<State>>,
    segments: Segments,
    request: Request,
) -> Result<Response, Refusal> {
    let admitted = Admitted::admit(&state, request, Need::Change).await?;
    admitted.for_the_instance()?;
    let number = segments.number("number").ok_or(MISSING)?;
    match again(&*state.inbox, &*state.quarantine, number, admitted.now).await? {
        Again::NotThere => return Err(MISSING),
        Again::NotUnderstood(why) => {
            return Err(Refusal::Unprocessable(format!("still not understood: {why}")));
        }
        Again::Understood(_) => state.arrived.notify_one(),
        Again::Repeated(_) => {}
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn item_json(item: &Quarantined) -> Json {
    json!({
        "number": item.number,
        "source": item.source,
        "event": item.id.as_ref().map(EventId::as_str),
        "reason": item.reason,
        "received_at": moment(item.received_at),
        "size": item.size,
    })
}
