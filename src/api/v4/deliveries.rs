//! `…/integrations/:slug/deliveries`: what an integration sent, with every attempt, and retries.

use axum::Json;
use axum::http::StatusCode;
use utoipa_axum::routes;

use super::Route;
use super::authorized::{Authorized, Read, Write};
use super::extract::IntegrationRequest;
use super::page::{Page, PageRequest};
use crate::api::error::responses::Unprocessable;
use crate::api::error::{ApiError, Missing};
use crate::api::resources::{Delivery, DeliveryDetail};
use crate::catalog::Catalog as _;
use crate::integration::IntegrationId;
use crate::store::registry::AuditEntry;
use crate::store::{self, DeliveryFilter, DeliveryId, Ledger, REPLACED, State as DeliveryState};

/// The routes of one level; see [`super::integrations::routes`].
pub(super) fn routes() -> Vec<Route> {
    vec![routes!(list), routes!(show), routes!(retry)]
}

/// List what an integration sent
#[utoipa::path(
    get, path = "/{slug}/deliveries", operation_id = "list{Level}Deliveries", params(PageRequest),
    responses(
        (
            status = 200, description = "Newest first.", body = [Delivery],
            headers(("Link" = String, description = "The next page, if there is one."))
        ),
        IntegrationRequest<Read>
    )
)]
pub(super) async fn list(mut request: IntegrationRequest<Read>) -> Result<Page<Delivery>, ApiError> {
    let integration = integration(&request)?;
    let page = PageRequest::read(&request.authorized.params().await?)?;
    let before = page.before.map(DeliveryId);
    let filter = DeliveryFilter { integration: Some(integration), before, limit: page.limit, state: None };
    let lines = request.authorized.state.ledger.deliveries(filter).await?;
    Ok(page.of(&request.authorized.head.uri, lines.iter().map(|line| (line.id.0, line.into()))))
}

/// Show a delivery with its attempts
#[utoipa::path(
    get, path = "/{slug}/deliveries/{delivery_id}", operation_id = "get{Level}Delivery",
    responses((status = 200, description = "The delivery.", body = DeliveryDetail), IntegrationRequest<Read>)
)]
pub(super) async fn show(request: IntegrationRequest<Read>) -> Result<Json<DeliveryDetail>, ApiError> {
    let Authorized { state, now, .. } = &request.authorized;
    let _turn = state.turn().await;
    let mut detail = find(&*state.ledger, &named(&request)?).await?;
    let line = &detail.line;
    detail.hold = None;
    if line.state == DeliveryState::Waiting {
        let integration = state.catalog.integration(&line.integration);
        let pace = integration.and_then(|found| request.entry.pace(&found.settings, &line.target));
        detail.hold = state.holds.snapshot().longest(line, pace.as_ref(), *now).cloned();
    }
    Ok(Json((&detail).into()))
}

/// Send a delivery again
///
/// A delivery that is still waiting, or that a newer one replaced, is answered with 422.
#[utoipa::path(
    post, path = "/{slug}/deliveries/{delivery_id}/retry", operation_id = "retry{Level}Delivery",
    responses(
        (status = 201, description = "It is due now.", body = Delivery),
        IntegrationRequest<Write>, Unprocessable
    )
)]
pub(super) async fn retry(
    request: IntegrationRequest<Write>,
) -> Result<(StatusCode, Json<Delivery>), ApiError> {
    let named = named(&request)?;
    let state = &request.authorized.state;
    let store::DeliveryDetail { line, .. } = find(&*state.ledger, &named).await?;
    let (actor, object) = (request.authorized.actor(), format!("delivery {}", line.id));
    let audit = AuditEntry::whole(request.authorized.now, &actor.0, "delivery.retry", object);
    if !state.ledger.resend(line.id, audit).await? {
        let why = if line.state == DeliveryState::Waiting { "it is still on its way" } else { REPLACED };
        return Err(ApiError::Unprocessable(why.to_owned()));
    }
    state.end_holds(&line.integration, &line.target, &line.destination, request.authorized.now).await;
    (state.stored)(line.destination.as_str().into());
    let store::DeliveryDetail { line, .. } = find(&*state.ledger, &named).await?;
    Ok((StatusCode::CREATED, Json((&line).into())))
}

const MISSING: ApiError = ApiError::NotFound(Missing::Delivery);

/// The delivery that a path names.
struct Named {
    integration: IntegrationId,
    id: DeliveryId,
}

fn named<I>(request: &IntegrationRequest<I>) -> Result<Named, ApiError> {
    let integration = integration(request)?;
    let id = request.authorized.path.number("delivery_id").ok_or(MISSING)?;
    Ok(Named { integration, id: DeliveryId(id) })
}

async fn find(ledger: &dyn Ledger, named: &Named) -> Result<store::DeliveryDetail, ApiError> {
    let detail = ledger.delivery(named.id).await?;
    detail.filter(|detail| detail.line.integration == named.integration).ok_or(MISSING)
}

/// The id under which the store keeps an integration's deliveries.
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
