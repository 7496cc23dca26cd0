//! The door for events: takes webhooks as a GitLab sends them, and answers 202 only when they are safe.
//!
//! Point a GitLab webhook (of a project, a group or the whole instance) at `POST /events`, with the secret token that is
//! configured as `http.webhook_token`. The event's id is the `Idempotency-Key` that GitLab sends (the same on each of its
//! retries), else `X-Gitlab-Event-UUID`, else a fresh one. Without a token the door is open to whoever reaches it, which
//! is only sensible on the loopback interface.
//!
//! What is no event is refused with the reason, so that GitLab's own list of recent deliveries shows it, and is kept in
//! quarantine, so that nothing is lost if the mistake is ours.
//!
//! Headers: <https://docs.gitlab.com/user/project/integrations/webhooks/#delivery-headers>.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::{ApiError, State};
use crate::event::{Event, EventId, Undecodable};
use crate::metrics;
use crate::settings::Secret;
use crate::store::NewQuarantined;

/// `POST /events`.
pub(super) async fn receive(
    Extract(state): Extract<Arc<State>>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let headers = request.headers().clone();
    authenticate(&headers, state.config.webhook_token.as_ref())?;
    check_content_type(&headers)?;
    let body = read_body(request, &state).await?;
    let id = sent_id(&headers);
    let now = (state.clock)();
    let event_id = id.clone().unwrap_or_else(fresh_id);
    match Event::decode(event_id, now, body.clone()) {
        Ok(event) => accept(&state, &event, now).await,
        Err(why) => Err(quarantine(&state, id, body, why, now).await?),
    }
}

async fn accept(
    state: &State,
    event: &Event,
    now: jiff::Timestamp,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let answer = |fate: &str| (StatusCode::ACCEPTED, Json(json!({ "id": event.id.as_str(), "fate": fate })));
    if event.trigger.is_none() {
        // No integration can ever want it: there is nothing to keep.
        metrics::event("http", event.kind(), "unrouted");
        return Ok(answer("dropped: no integration hears of this kind"));
    }
    let new = state.inbox.push(event, now).await?;
    if new {
        state.arrived.notify_one();
    }
    Ok(answer(if new { "accepted" } else { "known: it came before" }))
}

/// Keeps what is no event; answers with the refusal that tells the sender why.
async fn quarantine(
    state: &State,
    id: Option<EventId>,
    raw: Bytes,
    why: Undecodable,
    received_at: jiff::Timestamp,
) -> Result<ApiError, ApiError> {
    let reason = why.to_string();
    tracing::warn!(source = "http", event = ?id, reason, "put in quarantine");
    metrics::event("http", "unknown", "quarantined");
    let item = NewQuarantined { source: "http", id, reason: reason.clone(), received_at, raw };
    state.quarantine.quarantine(vec![item]).await?;
    Ok(match why {
        Undecodable::UnknownKind(_) => ApiError::UnknownKind(reason),
        _ => ApiError::NoEvent(reason),
    })
}

/// Compares digests, in constant time: neither how much of the token is right nor how long it is can be measured.
fn authenticate(headers: &HeaderMap, token: Option<&Secret>) -> Result<(), ApiError> {
    let Some(token) = token else { return Ok(()) };
    let sent = headers.get("x-gitlab-token").map(axum::http::HeaderValue::as_bytes).unwrap_or_default();
    let same = Sha256::digest(sent).ct_eq(&Sha256::digest(token.expose().as_bytes()));
    if bool::from(same) { Ok(()) } else { Err(ApiError::Unauthorized) }
}

/// A sender that names no type is given the benefit of the doubt.
fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let value = value.to_str().unwrap_or("(unreadable)");
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = essence == "application/json" || essence.ends_with("+json");
    if is_json { Ok(()) } else { Err(ApiError::NotJson(value.chars().take(60).collect())) }
}

async fn read_body(request: Request, state: &State) -> Result<Bytes, ApiError> {
    let limit = state.config.body_limit;
    let reading = Bytes::from_request(request, &());
    match tokio::time::timeout(state.config.body_timeout, reading).await {
        Err(_) => Err(ApiError::TooSlow(state.config.body_timeout)),
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(ApiError::TooLarge(limit))
        }
        Ok(Err(_)) => Err(ApiError::BrokenOff),
    }
}

fn sent_id(headers: &HeaderMap) -> Option<EventId> {
    ["idempotency-key", "x-gitlab-event-uuid"]
        .into_iter()
        .filter_map(|name| headers.get(name)?.to_str().ok())
        .find_map(EventId::new)
}

fn fresh_id() -> EventId {
    EventId::new(&Uuid::now_v7().to_string()).expect("a UUID is short and printable")
}
