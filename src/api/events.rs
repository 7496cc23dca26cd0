//! The door for events: takes webhooks as a GitLab sends them, and answers 202 only when they are safe.
//!
//! Point a GitLab webhook (of a project, a group or the whole instance) at `POST /events`, with the secret token that is
//! configured as `http.webhook_token`. The event's id is the `Idempotency-Key` that GitLab sends (the same on each of its
//! retries). Where there is none it is `X-Gitlab-Event-UUID` and the body together: all that one request to GitLab sets
//! off, and what webhooks set off in turn, bears the same UUID, so alone it would make one event of several. Else it is a
//! new id. Without a configured token, everybody who can reach the server may send events, which is only sensible on the
//! loopback interface. API tokens that may send events (`forgebell token create`) are accepted too, for events within
//! their scope. For a project that is not known yet, an event with a group's token is trusted in its path, if that is
//! within the group, but not in its id. Such a project has the group's defaults. It is known once an event or request with
//! a token for everything names it.
//!
//! What is no event is refused with the reason, so that GitLab's own list of recent deliveries shows it, and is kept in
//! quarantine, so that nothing is lost if the mistake is ours.
//!
//! Headers: <https://docs.gitlab.com/user/project/integrations/webhooks/#delivery-headers>.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State as Extract};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::v4::{self, Credential, Need, Params};
use super::{ApiError, State};
use crate::digest::Digest;
use crate::event::{Event, EventId, Undecodable};
use crate::metrics;
use crate::settings::Secret;
use crate::store::registry::ScopeKey;
use crate::store::{self, NewQuarantined, token};

/// GitLab hangs up after ten seconds: this is the time in which it can still be told to come again.
const STORE_PATIENCE: Duration = Duration::from_secs(8);

/// `POST /events`.
pub(super) async fn receive(
    Extract(state): Extract<Arc<State>>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), ApiError> {
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

async fn accept(
    state: &State,
    event: &Event,
    now: jiff::Timestamp,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let answer =
        |result: &str| (StatusCode::ACCEPTED, Json(json!({ "id": event.id.as_str(), "result": result })));
    if event.trigger.is_none() {
        // No integration can ever want it: there is nothing to keep.
        metrics::event("http", event.kind(), "unrouted");
        return Ok(answer("dropped: no integration hears of this kind"));
    }
    let new = committed(state.inbox.push(event, now)).await?;
    if new {
        state.arrived.notify_one();
    }
    Ok(answer(if new { "accepted" } else { "known: it came before" }))
}

/// Keeps what is no event. The sender is told why by a refusal; of a kind that we don't know it is told with a 202, since
/// GitLab switches a hook off after a few refusals, and the events that we do know would be lost with it.
async fn quarantine(
    state: &State,
    id: Option<EventId>,
    raw: Bytes,
    why: Undecodable,
    received_at: jiff::Timestamp,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let reason = why.to_string();
    tracing::warn!(source = "http", event = ?id, reason, "put in quarantine");
    metrics::event("http", "unknown", "quarantined");
    let item = NewQuarantined { source: "http", id, reason: reason.clone(), received_at, raw };
    committed(state.quarantine.quarantine(vec![item])).await?;
    match why {
        Undecodable::UnknownKind(_) => {
            Ok((StatusCode::ACCEPTED, Json(json!({ "result": format!("quarantined: {reason}") }))))
        }
        _ => Err(ApiError::NotAnEvent(reason)),
    }
}

/// The store's word that it is kept. It counts as away where the word does not come while the sender still listens; should
/// it be kept after all, the sender's next attempt is known as a repeat.
async fn committed<T>(kept: impl Future<Output = store::Result<T>>) -> Result<T, ApiError> {
    match tokio::time::timeout(STORE_PATIENCE, kept).await {
        Ok(kept) => Ok(kept?),
        Err(_) => Err(ApiError::EventNotStored("it does not answer".to_owned())),
    }
}

/// Whose events a sender may hand in: everybody's with the token of the door, or those that a token of the API reaches.
async fn authenticate(state: &State, head: &Parts, now: jiff::Timestamp) -> Result<ScopeKey, ApiError> {
    let Some(token) = &state.config.webhook_token else { return Ok(ScopeKey::Instance) };
    let sent = head.headers.get("x-gitlab-token").map(HeaderValue::as_bytes).unwrap_or_default();
    if is_same(sent, token) {
        return Ok(ScopeKey::Instance);
    }
    // A GitLab can say a token in this header alone; others have the API's.
    let shown = std::str::from_utf8(sent).ok().filter(|sent| sent.starts_with(token::PREFIX));
    let credential = shown.and_then(Credential::of_webhook);
    let credential = credential.or_else(|| Credential::of(&head.headers, &Params::default()));
    let Some(credential) = credential else {
        // Who shows none tries none.
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

/// A sender that names no type is given the benefit of the doubt.
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

/// The id that the sender gave; the same for each attempt at the same event, and no other event's.
fn sent_id(headers: &HeaderMap, body: &[u8]) -> Option<EventId> {
    let sent = |name: &str| {
        let value = headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default().trim_ascii();
        (!value.is_empty()).then_some(value)
    };
    if let Some(key) = sent("idempotency-key") {
        // A key that can't be kept as it is (too long, not ASCII) is known by its digest.
        let plain = std::str::from_utf8(key).ok().and_then(EventId::new);
        return plain.or_else(|| EventId::new(&Digest::of([key]).hex(16)));
    }
    let uuid = sent("x-gitlab-event-uuid")?;
    EventId::new(&Digest::of([uuid, body]).hex(16))
}

/// The time in it is ours, so that fresh ids sort as their events came.
fn fresh_id(now: jiff::Timestamp) -> EventId {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds);
    EventId::new(&Uuid::new_v7(time).to_string()).expect("a UUID is short and printable")
}
