//! `…/integrations/:slug/deliveries`: what was sent, what came of it, and once more.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value as Json, json};

use super::admitted::Admitted;
use super::answer::{self, Page};
use super::credentials::Need;
use super::object::moment;
use super::place::{Level, Unknown, find};
use super::refusal::Missing;
use super::{Refusal, Segments, address};
use crate::api::State;
use crate::catalog::{Snapshot, integration_id};
use crate::integration::IntegrationId;
use crate::store::registry::Owner;
use crate::store::{DeliveryDetail, DeliveryFilter, DeliveryId, DeliveryLine};

/// `GET …/deliveries`, newest first.
pub(super) async fn list(
    Extract(state): Extract<Arc<State>>,
    level: Level,
    segments: Segments,
    request: Request,
) -> Result<Response, Refusal> {
    let mut admitted = Admitted::admit(&state, request, Need::See).await?;
    let integration = integration(&state, level, &segments, admitted.access().reach)?;
    let page = Page::read(&admitted.params(&state).await?)?;
    let before = page.before.map(DeliveryId);
    let filter = DeliveryFilter { integration: Some(integration), before, limit: page.limit, state: None };
    let lines = state.ledger.deliveries(filter).await?;
    let items: Vec<Json> = lines.iter().map(line_json).collect();
    Ok(page.answer(&admitted.head.uri, &items, lines.iter().map(|line| line.id.0)))
}

/// `GET …/deliveries/:delivery_id`
pub(super) async fn show(
    Extract(state): Extract<Arc<State>>,
    level: Level,
    segments: Segments,
    request: Request,
) -> Result<Response, Refusal> {
    let admitted = Admitted::admit(&state, request, Need::See).await?;
    let detail = detail(&state, level, &segments, admitted.access().reach).await?;
    Ok(answer::json(StatusCode::OK, &detail_json(&detail)))
}

/// `POST …/deliveries/:delivery_id/retry`
pub(super) async fn retry(
    Extract(state): Extract<Arc<State>>,
    level: Level,
    segments: Segments,
    request: Request,
) -> Result<Response, Refusal> {
    let admitted = Admitted::admit(&state, request, Need::Change).await?;
    let reach = admitted.access().reach;
    let DeliveryDetail { line, .. } = detail(&state, level, &segments, reach).await?;
    if !state.ledger.resend(line.id, admitted.now).await? {
        return Err(Refusal::Unprocessable("it is still on its way".to_owned()));
    }
    (state.stored)(line.destination.as_str().into());
    let DeliveryDetail { line, .. } = detail(&state, level, &segments, reach).await?;
    Ok(answer::json(StatusCode::CREATED, &line_json(&line)))
}

/// The delivery that a path names, of the integration that it names.
async fn detail(
    state: &State,
    level: Level,
    segments: &Segments,
    reach: Owner,
) -> Result<DeliveryDetail, Refusal> {
    let integration = integration(state, level, segments, reach)?;
    let missing = Refusal::NotFound(Missing::Delivery);
    let Some(number) = segments.number("delivery_id") else { return Err(missing) };
    let detail = state.ledger.delivery(DeliveryId(number)).await?;
    detail.filter(|detail| detail.line.integration == integration).ok_or(missing)
}

/// The name under which an integration's deliveries are kept.
fn integration(
    state: &State,
    level: Level,
    segments: &Segments,
    reach: Owner,
) -> Result<IntegrationId, Refusal> {
    state.catalog.read(|snapshot: &Snapshot| {
        let place = find(snapshot, level, segments.id(), reach, Unknown::IsMissing)?;
        let entry = address::adapter(segments.slug()).ok_or(Refusal::UnknownSlug)?;
        let slug = entry.about.slug;
        let standing = snapshot.standing(&place, slug);
        if standing.own.is_none() && standing.default.is_none() {
            return Err(Refusal::NotFound(Missing::Integration));
        }
        let present = snapshot.at(&place, slug).map(|integration| integration.id.clone());
        Ok(present.unwrap_or_else(|| integration_id(&place.scope(), slug)))
    })
}

fn line_json(line: &DeliveryLine) -> Json {
    json!({
        "id": line.id.0,
        "state": line.state.word(),
        "event": line.event.as_str(),
        "trigger": line.trigger,
        "subject": line.subject,
        "target": line.target,
        "attempts": line.attempts,
        "due": line.due.map(moment),
        "created_at": moment(line.created_at),
        "settled_at": line.settled_at.map(moment),
        "note": line.last_note,
    })
}

fn detail_json(detail: &DeliveryDetail) -> Json {
    let attempts = detail.attempts.iter().map(|(number, attempt)| {
        json!({
            "number": number,
            "at": moment(attempt.at),
            "outcome": attempt.outcome,
            "status": attempt.status,
            "latency_ms": attempt.latency_ms,
            "note": attempt.note,
        })
    });
    let hold = detail.hold.as_ref().map(|hold| json!({ "until": moment(hold.until), "why": hold.why }));
    let as_text = || Json::from(String::from_utf8_lossy(&detail.raw));
    let mut json = line_json(&detail.line);
    json["attempt_records"] = attempts.collect();
    json["hold"] = hold.into();
    json["payload"] = serde_json::from_slice(&detail.raw).unwrap_or_else(|_| as_text());
    json
}
