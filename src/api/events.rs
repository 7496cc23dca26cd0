//! `POST /events`: takes webhooks as a GitLab sends them, and answers 202 when they are stored.
//!
//! Point a GitLab webhook (of a project, a group or the whole instance) at `POST /events`, with the secret token that is
//! configured as `http.webhook_token`, with the signing token that is configured as `http.webhook_signing_key`, or with
//! both. A request that has a signature must have a valid one, even if its token is valid; one without a signature must have a
//! token. Where neither is configured, any client that reaches the server may send events, which is only sensible on the
//! loopback interface. API tokens that may send events (`forgebell token create`) also admit events, of the projects
//! and groups that they reach. If a group's token sends an event of an unknown project, the path is trusted if it is in
//! the group, but the project's id is not: the project gets the group's defaults. The project becomes known by an event
//! with a token that reaches everything.
//!
//! The event's id is the `Idempotency-Key` that GitLab sends (the same on each of its retries). In a signed request it is
//! `webhook-id`, which GitLab gives the same value: otherwise, a copy of the request with another key in the unsigned
//! header would count as another event. Without these headers, the id is made of `X-Gitlab-Event-UUID` and the body:
//! one request to GitLab, and the webhooks that it causes in turn, have the same UUID for all their events. Otherwise
//! the id is new. If the token has a limited reach, the id gets that reach as a prefix (`project-42:…`), so that a
//! project's token can't make another project's event count as a repeat. Senders that may send all events, and the
//! broker, use ids without a prefix, so an event that arrives both ways is one event.
//!
//! A body that is not an event is refused with the reason, so that GitLab's list of recent deliveries shows it, and is kept in
//! quarantine, so that nothing is lost if Forgebell is wrong.
//!
//! Headers: <https://docs.gitlab.com/user/project/integrations/webhooks/#delivery-headers>.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State as Extract};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::body::Body as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::OwnedSemaphorePermit;
use tracing::error;
use uuid::Uuid;

use super::client_addr::{Peer, client_address};
use super::resources::EventReceived;
use super::v4::{self, Credential, Need, Params};
use super::webhook_signature::{BadSignature, SignedHeaders, SigningKeys};
use super::{ApiError, Config, State};
use crate::catalog::Catalog as _;
use crate::digest::Digest;
use crate::event::{Event, EventId, Undecodable};
use crate::integration::rules::why_untriggered;
use crate::metrics;
use crate::settings::Secret;
use crate::store::registry::ScopeKey;
use crate::store::{self, NewQuarantined, StoreError, token};

/// GitLab gives up after ten seconds: within this time it can still be answered with 503, and tries again.
const STORE_TIMEOUT: Duration = Duration::from_secs(8);

/// An event of at least this size is handled one at a time.
const LARGE: usize = 1024 * 1024;

/// The error for an unsigned request where only signed ones are accepted.
const NO_SIGNATURE: ApiError = ApiError::BadSignature(BadSignature::NoSignature);

/// `POST /events`. A refusal is counted by its reason, and logged.
pub(super) async fn receive(
    Extract(state): Extract<Arc<State>>,
    request: Request,
) -> Result<Accepted, ApiError> {
    let peer = request.extensions().get::<Peer>();
    let trusted = &state.config.get().trusted_proxies;
    let client = peer.map(|Peer(peer)| client_address(*peer, request.headers(), trusted));
    let taken = take(&state, request).await;
    if let Err(error) = &taken {
        state.event_refusals.record(error, client);
    }
    taken
}

async fn take(state: &Arc<State>, request: Request) -> Result<Accepted, ApiError> {
    let now = (state.clock)();
    let (head, body) = request.into_parts();
    let headers = &head.headers;
    let config = state.config.get();
    let signed =
        signed_headers(&config, headers, now).or_else(|why| refuse_signature(state, &head, why, now))?;
    let (reach, sender) = match &signed {
        // The signature covers the body, so it is checked after the body is read.
        Some(_) => (ScopeKey::Instance, None),
        None => authenticate(state, &head, now).await?,
    };
    check_content_type(headers)?;
    let body = read_body(Request::from_parts(head.clone(), body), state).await?;
    if let Some((signed, keys)) = &signed
        && let Err(why) = signed.verify(keys, &body)
    {
        return refuse_signature(state, &head, why, now);
    }
    let id = match &signed {
        Some((signed, _)) => Some(key_id(signed.id)),
        None => sent_id(headers, &body).map(|id| within_reach(reach, id)),
    };
    let _turn = turn(state, body.len()).await?;
    let event_id = id.clone().unwrap_or_else(|| fresh_id(now));
    match state.catalog.decode(event_id, now, body.clone()) {
        Ok(event) => {
            let event = v4::trusted_event(&state.catalog, reach, event).ok_or(ApiError::EventNotReached)?;
            accept(state, sender, &event, now).await
        }
        Err(why) => quarantine(state, sender, id, body, why, now).await,
    }
}

/// 202, with the result.
type Accepted = (StatusCode, Json<EventReceived>);

fn accepted(id: Option<&EventId>, result: impl Into<String>) -> Accepted {
    let id = id.map(|id| id.as_str().to_owned());
    (StatusCode::ACCEPTED, Json(EventReceived { id, result: result.into() }))
}

async fn accept(
    state: &State,
    sender: Option<String>,
    event: &Event,
    now: jiff::Timestamp,
) -> Result<Accepted, ApiError> {
    let answer = |result: String| accepted(Some(&event.id), result);
    // An event that no integration takes is stored too, so that dispatch counts and logs it.
    let new = match committed(refusal_as_answer(state.inbox.push(event, now))).await? {
        Ok(new) => new,
        Err(why) => return set_aside(state, sender, event, why, now).await,
    };
    if new {
        state.arrived.notify_one();
    }
    Ok(match (event.trigger, new) {
        (None, _) => answer(format!("dropped: {}", why_untriggered(event))),
        (Some(_), true) => answer("accepted".to_owned()),
        (Some(_), false) => answer("known: it came before".to_owned()),
    })
}

/// Keeps a body that is not an event, and refuses it with the reason. An event of an unknown kind is answered with 202
/// instead: GitLab disables a webhook after a few refusals, and then events of known kinds would be lost too.
async fn quarantine(
    state: &State,
    sender: Option<String>,
    id: Option<EventId>,
    raw: Bytes,
    why: Undecodable,
    received_at: jiff::Timestamp,
) -> Result<Accepted, ApiError> {
    let reason = why.to_string();
    metrics::event("http", "unknown", "quarantined");
    let item = NewQuarantined { source: "http", sender, id, reason: reason.clone(), received_at, raw };
    let is_kept = committed(state.junk.keep(vec![item], received_at)).await? > 0;
    let result = if is_kept { "quarantined" } else { "not kept, because the quarantine is full" };
    match why {
        Undecodable::UnknownKind(_) => Ok(accepted(None, format!("{result}: {reason}"))),
        _ => Err(ApiError::NotAnEvent(reason)),
    }
}

/// Quarantines an event with a value that the store refuses. Sending the event again would not help, so it is accepted.
async fn set_aside(
    state: &State,
    sender: Option<String>,
    event: &Event,
    reason: String,
    received_at: jiff::Timestamp,
) -> Result<Accepted, ApiError> {
    tracing::error!(event = %event.id, reason, "the store does not take this event; it is put in quarantine");
    metrics::event("http", event.kind(), "quarantined");
    let (id, raw) = (Some(event.id.clone()), event.raw.clone());
    let item = NewQuarantined { source: "http", sender, id, reason, received_at, raw };
    committed(state.junk.keep(vec![item], received_at)).await?;
    Ok(accepted(Some(&event.id), "quarantined: the store does not take it"))
}

/// The result of a write, or why the store refused a value.
pub(super) async fn refusal_as_answer<T>(
    write: impl Future<Output = store::Result<T>>,
) -> store::Result<Result<T, String>> {
    match write.await {
        Ok(answer) => Ok(Ok(answer)),
        Err(StoreError::Refused(why)) => Ok(Err(why)),
        Err(failed) => Err(failed),
    }
}

/// Waits for the store's confirmation of a write. If the confirmation does not come in time for the client, the store
/// counts as unavailable. If the write succeeds later, the client's next attempt is recognized as a repeat.
pub(super) async fn committed<T>(write: impl Future<Output = store::Result<T>>) -> Result<T, ApiError> {
    match tokio::time::timeout(STORE_TIMEOUT, write).await {
        // The store's own words name files and hosts.
        Ok(Err(error)) => {
            error!(%error, "the store does not take what was sent over HTTP");
            Err(ApiError::EventNotStored("the store is unavailable".to_owned()))
        }
        Ok(Ok(written)) => Ok(written),
        Err(_) => Err(ApiError::EventNotStored("the store does not answer".to_owned())),
    }
}

/// Waits until no other large event is being handled, if this one is large.
async fn turn(state: &State, size: usize) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
    if size < LARGE {
        return Ok(None);
    }
    let turn = tokio::time::timeout(STORE_TIMEOUT, state.turn()).await;
    turn.map_err(|_| ApiError::EventNotStored("too many large events come at once".to_owned()))
}

/// The headers and keys for verifying a signed request. Without signing keys, signatures are ignored and a token is
/// required.
fn signed_headers<'a>(
    config: &'a Config,
    headers: &'a HeaderMap,
    now: jiff::Timestamp,
) -> Result<Option<(SignedHeaders<'a>, &'a SigningKeys)>, BadSignature> {
    let Some(keys) = &config.signing_keys else { return Ok(None) };
    let signed = SignedHeaders::read(headers, now)?;
    Ok(signed.map(|signed| (signed, keys)))
}

/// Refuses a signed request. A signature by no known key counts as a wrong token.
fn refuse_signature<T>(
    state: &State,
    head: &Parts,
    why: BadSignature,
    now: jiff::Timestamp,
) -> Result<T, ApiError> {
    if why == BadSignature::NoMatch {
        v4::record_wrong_token(state, head, now)?;
    }
    Err(ApiError::BadSignature(why))
}

/// The scope whose events the sender may send: the instance for the webhook token, or the reach of an API token. The
/// token's name for the quarantine is returned too, if the token does not reach everything.
async fn authenticate(
    state: &State,
    head: &Parts,
    now: jiff::Timestamp,
) -> Result<(ScopeKey, Option<String>), ApiError> {
    let config = state.config.get();
    let Config { webhook_token, signing_keys, .. } = &*config;
    let sent = head.headers.get("x-gitlab-token").map(HeaderValue::as_bytes).unwrap_or_default();
    let is_admitted = match webhook_token {
        Some(token) => is_same(sent, token),
        // Without a token, a page of another site could have a browser on this machine send events. Browsers send `Origin` with
        // every POST; no forge does.
        None => signing_keys.is_none() && !head.headers.contains_key(header::ORIGIN),
    };
    if is_admitted {
        return Ok((ScopeKey::Instance, None));
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
        return Err(match (webhook_token, signing_keys) {
            (Some(_), _) => ApiError::WrongWebhookToken,
            (None, Some(_)) => NO_SIGNATURE,
            (None, None) => ApiError::Forbidden,
        });
    };
    let token = v4::authenticate(state, head, Some(&credential), now).await?;
    v4::check_right(token.access.right, Need::Ingest)?;
    let reach = token.access.reach;
    Ok((reach, (reach != ScopeKey::Instance).then(|| token.as_sender())))
}

/// Compares digests in constant time, so that timing reveals neither a correct prefix of the token nor its length.
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
    let config = state.config.get();
    let limit = config.body_limit;
    // A body that is announced as too large is refused before it is sent.
    if request.body().size_hint().lower() > limit as u64 {
        return Err(ApiError::BodyTooLarge { limit, setting: Some("http.body_limit") });
    }
    let reading = Bytes::from_request(request, &());
    match tokio::time::timeout(config.body_timeout, reading).await {
        Err(_) => Err(ApiError::BodyTooSlow(config.body_timeout)),
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
        return Some(key_id(key));
    }
    let uuid = sent("x-gitlab-event-uuid")?;
    EventId::new(&Digest::of([uuid, body]).hex(16))
}

/// A key as an id. A key that is not a valid id (too long, not ASCII) is replaced by its digest.
fn key_id(key: &[u8]) -> EventId {
    let plain = std::str::from_utf8(key).ok().and_then(EventId::new);
    plain
        .unwrap_or_else(|| EventId::new(&Digest::of([key]).hex(16)).expect("a digest is short and printable"))
}

/// The id of an event, where the sender may send only the events of this reach.
fn within_reach(reach: ScopeKey, id: EventId) -> EventId {
    match reach {
        ScopeKey::Instance => id,
        reach => key_id(format!("{}:{id}", reach.to_string().replace(' ', "-")).as_bytes()),
    }
}

/// A new id. It contains the server's time, so that new ids sort in the order of arrival.
pub(super) fn fresh_id(now: jiff::Timestamp) -> EventId {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds);
    EventId::new(&Uuid::new_v7(time).to_string()).expect("a UUID is short and printable")
}
