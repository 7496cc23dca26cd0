//! `POST /events`: takes webhooks as a GitLab sends them, and answers 202 when they are stored.
//!
//! Point a GitLab webhook (of a project, a group or the whole instance) at it, with the secret token that is configured as
//! `http.webhook_token`. The event's id is the `Idempotency-Key` that GitLab sends, which is the same on each of its
//! retries. Without one it is made of `X-Gitlab-Event-UUID` and the body: all webhooks that one action triggers, directly or
//! not, have the same UUID, so the UUID alone would make one event of several. Without either it is a fresh id.
//!
//! Without a configured token any client that reaches the server may send events, which is only sensible on the loopback
//! interface. The API's tokens that may send events (`forgebell token create`) are accepted too, for the projects that they
//! reach. Of a project that is not known yet, a group's token is trusted with the path, if that lies in the group, but not
//! with the number: the project gets the group's defaults, and is known once a token of the instance names it.
//!
//! A body that is not an event is refused with the reason, so that GitLab's list of recent deliveries shows it, and is kept in
//! quarantine, so that nothing is lost if the error is ours.
//!
//! Headers: <https://docs.gitlab.com/user/project/integrations/webhooks/#delivery-headers>.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State as Extract};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::resources::EventReceived;
use super::v4::{self, Credential, Need, Params};
use super::{ApiError, State};
use crate::digest::Digest;
use crate::event::{Event, EventId, Undecodable};
use crate::metrics;
use crate::settings::Secret;
use crate::store::registry::ScopeKey;
use crate::store::{self, NewQuarantined, token};

/// GitLab gives up after ten seconds: within this time it can still be answered with 503, and tries again.
const STORE_TIMEOUT: Duration = Duration::from_secs(8);

/// `POST /events`
pub(super) async fn receive(
    Extract(state): Extract<Arc<State>>,
    request: Request,
) -> Result<Accepted, ApiError> {
    let now = (state.clock)();
    let (head, body) = request.into_parts();
    let reach = authenticate(&state, &head, now).await?;
    let headers = &head.headers;
    check_content_type(headers)?;
    let body = read_body(Request::from_parts(head.clone(), body), &state).await?;
    let id = sent_id(headers, &body);
    let event_id = id.clone().unwrap_or_else(|| fresh_id(now));
    match Event::decode(event_id, now, body.clone()) {
        Ok(event) => {
            let event = v4::trusted_event(&state.catalog, reach, event).ok_or(ApiError::EventNotReached)?;
            accept(&state, &event, now).await
        }
        Err(why) => quarantine(&state, id, body, why, now).await,
    }
}

/// 202, with what was done with the event.
type Accepted = (StatusCode, Json<EventReceived>);

fn accepted(id: Option<&EventId>, result: impl Into<String>) -> Accepted {
    let id = id.map(|id| id.as_str().to_owned());
    (StatusCode::ACCEPTED, Json(EventReceived { id, result: result.into() }))
}

async fn accept(state: &State, event: &Event, now: jiff::Timestamp) -> Result<Accepted, ApiError> {
    let answer = |result: &str| accepted(Some(&event.id), result);
    if event.trigger.is_none() {
        // No integration takes events of this kind, so there is nothing to store.
        metrics::event("http", event.kind(), "unrouted");
        return Ok(answer("dropped: no integration hears of this kind"));
    }
    let new = committed(state.inbox.push(event, now)).await?;
    if new {
        state.arrived.notify_one();
    }
    Ok(answer(if new { "accepted" } else { "known: it came before" }))
}

/// Keeps a body that is not an event, and refuses it with the reason. An event of an unknown kind is answered with 202
/// instead: GitLab disables a webhook after a few refusals, and events of known kinds would be lost with it.
async fn quarantine(
    state: &State,
    id: Option<EventId>,
    raw: Bytes,
    why: Undecodable,
    received_at: jiff::Timestamp,
) -> Result<Accepted, ApiError> {
    let reason = why.to_string();
    tracing::warn!(source = "http", event = ?id, reason, "put in quarantine");
    metrics::event("http", "unknown", "quarantined");
    let item = NewQuarantined { source: "http", id, reason: reason.clone(), received_at, raw };
    committed(state.quarantine.quarantine(vec![item])).await?;
    match why {
        Undecodable::UnknownKind(_) => Ok(accepted(None, format!("quarantined: {reason}"))),
        _ => Err(ApiError::NotAnEvent(reason)),
    }
}

/// Waits for the store's confirmation of a write. If it does not come while the client still waits, the store counts as
/// unavailable; if the write succeeds after all, the client's next attempt is recognized as a repeat.
async fn committed<T>(write: impl Future<Output = store::Result<T>>) -> Result<T, ApiError> {
    match tokio::time::timeout(STORE_TIMEOUT, write).await {
        Ok(written) => written.map_err(|error| ApiError::EventNotStored(error.to_string())),
        Err(_) => Err(ApiError::EventNotStored("it does not answer".to_owned())),
    }
}

/// What the sender's events may be about: everything with the webhook token, else what its API token reaches.
async fn authenticate(state: &State, head: &Parts, now: jiff::Timestamp) -> Result<ScopeKey, ApiError> {
    let Some(token) = &state.config.webhook_token else { return Ok(ScopeKey::Instance) };
    let sent = head.headers.get("x-gitlab-token").map(HeaderValue::as_bytes).unwrap_or_default();
    if is_same(sent, token) {
        return Ok(ScopeKey::Instance);
    }
    // A GitLab can send a token in this header only; other clients may use the API's headers.
    let sent_token = std::str::from_utf8(sent).ok().filter(|sent| sent.starts_with(token::PREFIX));
    let credential = sent_token.and_then(Credential::of_webhook);
    let credential = credential.or_else(|| Credential::of(&head.headers, &Params::default()));
    let Some(credential) = credential else {
        // A missing token is not a guess.
        if !sent.is_empty() {
            v4::record_wrong_token(state, head, now)?;
        }
        return Err(ApiError::WrongWebhookToken);
    };
    let token = v4::authenticate(state, head, Some(&credential), now).await?;
    v4::check_right(token.access.right, Need::Ingest)?;
    Ok(token.access.reach)
}

/// Compares digests, in constant time: neither how much of the token is right nor how long it is can be measured.
fn is_same(sent: &[u8], token: &Secret) -> bool {
    Sha256::digest(sent).ct_eq(&Sha256::digest(token.expose().as_bytes())).into()
}

/// A request without a content type is accepted.
fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let value = value.to_str().unwrap_or("(unreadable)");
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = essence == "application/json" || essence.ends_with("+json");
    if is_json { Ok(()) } else { Err(ApiError::EventNotJson(value.chars().take(60).collect())) }
}

async fn read_body(request: Request, state: &State) -> Result<Bytes, ApiError> {
    let limit = state.config.body_limit;
    let reading = Bytes::from_request(request, &());
    match tokio::time::timeout(state.config.body_timeout, reading).await {
        Err(_) => Err(ApiError::BodyTooSlow(state.config.body_timeout)),
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(ApiError::BodyTooLarge { limit, setting: Some("http.body_limit") })
        }
        Ok(Err(_)) => Err(ApiError::BodyIncomplete),
    }
}

/// The id that the sender gave: the same for each attempt at an event, and different for each event.
fn sent_id(headers: &HeaderMap, body: &[u8]) -> Option<EventId> {
    let sent = |name: &str| {
        let value = headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default().trim_ascii();
        (!value.is_empty()).then_some(value)
    };
    if let Some(key) = sent("idempotency-key") {
        // A key that is not a valid id (too long, not ASCII) is replaced by its digest.
        let plain = std::str::from_utf8(key).ok().and_then(EventId::new);
        return plain.or_else(|| EventId::new(&Digest::of([key]).hex(16)));
    }
    let uuid = sent("x-gitlab-event-uuid")?;
    EventId::new(&Digest::of([uuid, body]).hex(16))
}

/// It has our time in it, so that fresh ids sort in the order of arrival.
fn fresh_id(now: jiff::Timestamp) -> EventId {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds);
    EventId::new(&Uuid::new_v7(time).to_string()).expect("a UUID is short and printable")
}
