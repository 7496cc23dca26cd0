//! The project's addresses for alerts: monitoring systems post them here, as to a GitLab.
//!
//! [`address`] reads the path; the adapter reads the body; [`report()`] turns each alert into a report for the store,
//! which decides whether the alert is new. The order of checks and their statuses are GitLab's: a body that is too
//! large (400), a body that is not a report (422), the token (401), a switched-off endpoint (403, at the generic
//! address only). Only the project's own alert tokens admit alerts, sent as `Bearer` or as the password of `Basic`. An
//! unknown project and a token of another one are answered like a wrong token, so that no answer shows which projects
//! exist; all three count as a wrong token. A client that sent too many wrong tokens is the exception to the order: its
//! token is checked before its body is read, so that guesses cost no memory and no decoding.
//!
//! Addresses and statuses: <https://docs.gitlab.com/operations/incident_management/integrations/>.

mod address;
mod report;

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Extract};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use hyper::body::Body as _;
use jiff::Timestamp;
use serde::Serialize;
use tracing::{error, info, warn};

use self::address::{Address, Door};
use self::report::{AlertProject, report};
use super::events::{committed, fresh_id, refusal_as_answer};
use super::v4::{self, Credential};
use super::{ApiError, State};
use crate::adapters;
use crate::adapters::contract::{InboundRequest, Reaction, ReportedAlerts};
use crate::catalog::Snapshot;
use crate::metrics;
use crate::store::registry::{Right, ScopeKey, StoredToken};
use crate::store::{AlertChange, NotedAlert};

/// The largest report; GitLab's limit.
pub(super) const BODY_LIMIT: usize = 1024 * 1024;

/// An alert that was taken, as GitLab answers it.
#[derive(Clone, Debug, Serialize)]
struct Taken {
    /// The number of its occurrence.
    iid: i64,
    title: String,
}

/// Handles requests that no other route takes: alerts, at any depth of groups, or a 404.
pub(super) async fn fallback(Extract(state): Extract<Arc<State>>, request: Request) -> Response {
    let address = Address::of(request.uri().path()).filter(|_| request.method() == Method::POST);
    let Some(address) = address else { return ApiError::NoSuchRoute.into_response() };
    match receive(&state, &address, request).await {
        Ok(taken) => Json(taken).into_response(),
        Err(refusal) => {
            metrics::alerts_refused(reason(&refusal));
            refusal.into_response()
        }
    }
}

async fn receive(state: &State, address: &Address, request: Request) -> Result<Vec<Taken>, ApiError> {
    let now = (state.clock)();
    let (head, body) = request.into_parts();
    let admitted =
        if v4::is_limited(state, &head, now) { Some(admit(state, &head, address, now).await?) } else { None };
    let body = read_body(&head, body, state).await?;
    let reported = read(address.door, body)?;
    let project = match admitted {
        Some(project) => project,
        None => admit(state, &head, address, now).await?,
    };
    let operator = state.tests.operator.get();
    let forge = operator.forge.url.as_str();
    let fresh = || fresh_id(now).to_string();
    let reports: Vec<_> =
        reported.alerts.iter().filter_map(|alert| report(alert, &project, forge, &fresh, now)).collect();
    let titles: Vec<String> = reports.iter().map(|report| report.title.clone()).collect();
    let noted = match committed(refusal_as_answer(state.alerts.note_alerts(reports, now))).await? {
        Ok(noted) => noted,
        Err(why) => {
            error!(project = project.id, why, "the store does not take an alert");
            return Err(ApiError::Unprocessable(
                "the store does not take an alert; the log has the reason".to_owned(),
            ));
        }
    };
    if noted.iter().flatten().any(|noted| noted.change == AlertChange::New) {
        state.arrived.notify_one();
    }
    log(&project, &reported, &noted);
    let taken =
        titles.into_iter().zip(noted).filter_map(|(title, noted)| Some(Taken { iid: noted?.number, title }));
    Ok(taken.collect())
}

/// Counts the alerts, and logs those that were left out.
fn log(project: &AlertProject, reported: &ReportedAlerts, noted: &[Option<NotedAlert>]) {
    let changes = noted.iter().map(|noted| noted.map_or("unknown", |noted| noted.change.name()));
    changes.for_each(|change| metrics::alerts(change, 1));
    metrics::alerts("unusable", reported.unusable.len());
    metrics::alerts("beyond_limit", reported.beyond_limit);
    let (id, alerts) = (project.id, noted.len());
    info!(project = id, alerts, "alerts came in");
    if let Some(why) = reported.unusable.first() {
        let unusable = reported.unusable.len();
        warn!(
            project = id,
            unusable, why, "some alerts of a report can't be used; correct the monitoring system's template"
        );
    }
    if reported.beyond_limit > 0 {
        let left_out = reported.beyond_limit;
        warn!(
            project = id,
            left_out, "a report has more alerts than are read; let Alertmanager send fewer (`max_alerts`)"
        );
    }
}

/// The reason of a refusal, for the metric: one of a fixed set.
fn reason(refusal: &ApiError) -> &'static str {
    match refusal {
        ApiError::AlertsTooLarge(_) => "too_large",
        ApiError::Unprocessable(_) => "malformed",
        ApiError::Unauthorized { .. } => "token",
        ApiError::AlertsNotActive => "not_active",
        ApiError::TooManyAttempts(_) => "limited",
        ApiError::BodyTooSlow(_) | ApiError::BodyIncomplete => "incomplete",
        _ => "unavailable",
    }
}

async fn read_body(head: &Parts, body: Body, state: &State) -> Result<Bytes, ApiError> {
    let limit = BODY_LIMIT.min(state.config.get().body_limit);
    let announced =
        head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    // A body that is announced as too large is refused before it is sent.
    if body.size_hint().lower() > limit as u64 || announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(ApiError::AlertsTooLarge(limit));
    }
    let reading = async {
        let (mut read, mut chunks) = (BytesMut::new(), body.into_data_stream());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| ApiError::BodyIncomplete)?;
            if read.len() + chunk.len() > limit {
                return Err(ApiError::AlertsTooLarge(limit));
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read.freeze())
    };
    let timeout = state.config.get().body_timeout;
    tokio::time::timeout(timeout, reading).await.unwrap_or(Err(ApiError::BodyTooSlow(timeout)))
}

fn read(door: Door, body: Bytes) -> Result<ReportedAlerts, ApiError> {
    let entry = adapters::find(door.slug()).ok_or(ApiError::NoSuchRoute)?;
    let request = InboundRequest { body, ..InboundRequest::default() };
    match entry.receive(&request) {
        Ok(Reaction::Alerts(alerts)) => Ok(alerts),
        Ok(Reaction::Command(_)) => Err(ApiError::NoSuchRoute),
        Err(failure) => Err(ApiError::Unprocessable(failure.why().to_owned())),
    }
}

/// The project whose alert token came with a request, if it is the one of the address.
async fn admit(
    state: &State,
    head: &Parts,
    address: &Address,
    now: Timestamp,
) -> Result<AlertProject, ApiError> {
    const REFUSED: ApiError = ApiError::Unauthorized { bearer: false };
    let credential = credential(&head.headers);
    let project =
        |token: &StoredToken| state.catalog.read(|snapshot| project_of(snapshot, token, &address.project));
    match v4::authenticate(state, head, credential.as_ref(), now).await {
        Ok(token) => {
            if let Some(project) = project(&token) {
                return Ok(project);
            }
            v4::record_wrong_token(state, head, now)?;
            Err(REFUSED)
        }
        Err(ApiError::TokenRevoked) if address.door == Door::Generic => {
            let hash = credential.map(|credential| credential.hash());
            let token = hash.and_then(|hash| state.catalog.read(|snapshot| snapshot.token(&hash).cloned()));
            let is_off = token.is_some_and(|token| {
                let is_its_own = project(&token).is_some();
                is_its_own
                    && !state.catalog.read(|snapshot| has_live_token(snapshot, token.access.reach, now))
            });
            Err(if is_off { ApiError::AlertsNotActive } else { REFUSED })
        }
        Err(ApiError::TokenRevoked | ApiError::TokenExpired | ApiError::Unauthorized { .. }) => Err(REFUSED),
        Err(other) => Err(other),
    }
}

/// The token as `Bearer`, or as the password of `Basic`.
fn credential(headers: &HeaderMap) -> Option<Credential> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    Credential::bearer(value).or_else(|| Credential::basic_password(value))
}

/// The project of an alert token, if it has this path. If the project's path is unknown and no known project has the
/// path, the token is accepted, and the project has only its number.
fn project_of(snapshot: &Snapshot, token: &StoredToken, path: &str) -> Option<AlertProject> {
    let ScopeKey::Project(id) = token.access.reach else { return None };
    if token.access.right != Right::Alerts {
        return None;
    }
    let directory = snapshot.directory();
    let known = directory.project(id);
    let default_branch = known.and_then(|project| {
        project.corrected.default_branch.clone().or_else(|| project.learned.default_branch.clone())
    });
    match known.and_then(|project| project.path.as_deref()) {
        Some(known) if known.eq_ignore_ascii_case(path) => {
            Some(AlertProject { id, path: known.to_owned(), default_branch })
        }
        None if directory.project_by_path(path).is_none() => {
            Some(AlertProject { id, path: String::new(), default_branch })
        }
        _ => None,
    }
}

fn has_live_token(snapshot: &Snapshot, reach: ScopeKey, now: Timestamp) -> bool {
    snapshot.tokens().any(|token| token.admits_alerts_of(reach) && token.is_live(now))
}
