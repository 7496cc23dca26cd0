//! `…/integrations/:slug/deliveries`: what was sent, what came of it, and once more.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value as Json, json};

use super::ApiError;
use super::authorized::{Read, Write};
use super::extract::IntegrationRequest;
use super::object::moment;
use super::response::{self, Page};
use crate::api::error::Missing;
use crate::integration::IntegrationId;
use crate::store::registry::AuditEntry;
use crate::store::{
    DeliveryDetail, DeliveryFilter, DeliveryId, DeliveryLine, Ledger, REPLACED, State as DeliveryState,
};

/// `GET …/deliveries`, newest first.
pub(super) async fn list(mut request: IntegrationRequest<Read>) -> Result<Response, ApiError> {
    let integration = integration(&request)?;
    let page = Page::read(&request.authorized.params().await?)?;
    let before = page.before.map(DeliveryId);
    let filter = DeliveryFilter { integration: Some(integration), before, limit: page.limit, state: None };
    let lines = request.authorized.state.ledger.deliveries(filter).await?;
    let items: Vec<Json> = lines.iter().map(line_json).collect();
    Ok(page.answer(&request.authorized.head.uri, &items, lines.iter().map(|line| line.id.0)))
}

/// `GET …/deliveries/:delivery_id`
pub(super) async fn show(request: IntegrationRequest<Read>) -> Result<Response, ApiError> {
    let named = named(&request)?;
    let detail = detail(&*request.authorized.state.ledger, &named).await?;
    Ok(response::json(StatusCode::OK, &detail_json(&detail)))
}

/// `POST …/deliveries/:delivery_id/retry`
pub(super) async fn retry(request: IntegrationRequest<Write>) -> Result<Response, ApiError> {
    let named = named(&request)?;
    let state = &request.authorized.state;
    let DeliveryDetail { line, .. } = detail(&*state.ledger, &named).await?;
    let (who, object) = (request.authorized.actor(), format!("delivery {}", line.id));
    let audit = AuditEntry::whole(request.authorized.now, &who.0, "delivery.retry", object);
    if !state.ledger.resend(line.id, audit).await? {
        let why = if line.state == DeliveryState::Waiting { "it is still on its way" } else { REPLACED };
        return Err(ApiError::Unprocessable(why.to_owned()));
    }
    (state.stored)(line.destination.as_str().into());
    let DeliveryDetail { line, .. } = detail(&*state.ledger, &named).await?;
    Ok(response::json(StatusCode::CREATED, &line_json(&line)))
}

const MISSING: ApiError = ApiError::NotFound(Missing::Delivery);

/// The delivery that a path names.
struct Named {
    integration: IntegrationId,
    number: DeliveryId,
}

fn named<I>(request: &IntegrationRequest<I>) -> Result<Named, ApiError> {
    let integration = integration(request)?;
    let number = request.authorized.path.number("delivery_id").ok_or(MISSING)?;
    Ok(Named { integration, number: DeliveryId(number) })
}

async fn detail(ledger: &dyn Ledger, named: &Named) -> Result<DeliveryDetail, ApiError> {
    let detail = ledger.delivery(named.number).await?;
    detail.filter(|detail| detail.line.integration == named.integration).ok_or(MISSING)
}

/// The name under which an integration's deliveries are kept.
fn integration<I>(request: &IntegrationRequest<I>) -> Result<IntegrationId, ApiError> {
    let (scope, slug) = (&request.scope, request.entry.about.slug);
    request.authorized.state.catalog.read(|snapshot| {
        let inheritance = snapshot.inheritance(scope, slug);
        if inheritance.own.is_none() && inheritance.default.is_none() {
            return Err(ApiError::NotFound(Missing::Integration));
        }
        Ok(snapshot.id_at(scope, slug))
    })
}

fn line_json(line: &DeliveryLine) -> Json {
    json!({
        "id": line.id.0,
        "state": line.state.name(),
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
