//! `…/deliveries/:id/retry` and `…/cancel`, and both for all deliveries of an integration that pass a filter.

use axum::Json;
use axum::http::StatusCode;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa_axum::routes;

use super::Route;
use super::auth::Need;
use super::authorized::Write;
use super::caller::Caller;
use super::deliveries::{self, ListQuery, Named, find, integration, named};
use super::extract::IntegrationRequest;
use super::page::{MAX_SIZE, Page, PageRequest, query_parameter};
use crate::api::error::ApiError;
use crate::api::error::responses::Unprocessable;
use crate::api::resources::{Delivery, Step, one_of};
use crate::store::registry::AuditEntry;
use crate::store::{
    self, Cancel, DeliveryFilter, DeliveryId, DeliveryLine, JSON_GONE, REPLACED, Resend,
    State as DeliveryState,
};

/// The routes of one level; see [`super::integrations::routes`].
pub(super) fn routes() -> Vec<Route> {
    vec![routes!(retry), routes!(cancel), routes!(retry_all), routes!(cancel_all)]
}

const STILL_WAITING: &str = "it is still on its way";
const UNDER_WAY: &str = "it is being sent now; try again if it fails";
const ENDED: &str = "it has ended already";

/// Send a delivery again
///
/// A delivery that is still waiting, that a newer one replaced, or whose event's JSON is not kept, is answered with 422.
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
    let line = changed(named(&request)?, &request.authorized, Change::Retry).await?;
    Ok((StatusCode::CREATED, Json(line)))
}

/// Cancel a delivery
///
/// One that waits is not sent. A dead letter (failed or expired) is cancelled too, and not counted any more. One that is being sent
/// now, or that has ended otherwise, is answered with 422.
#[utoipa::path(
    post, path = "/{slug}/deliveries/{delivery_id}/cancel", operation_id = "cancel{Level}Delivery",
    responses(
        (status = 201, description = "It is cancelled.", body = Delivery),
        IntegrationRequest<Write>, Unprocessable
    )
)]
pub(super) async fn cancel(
    request: IntegrationRequest<Write>,
) -> Result<(StatusCode, Json<Delivery>), ApiError> {
    let line = changed(named(&request)?, &request.authorized, Change::Cancel).await?;
    Ok((StatusCode::CREATED, Json(line)))
}

/// The query of a change to many deliveries, for annotations.
pub(super) struct EndedQuery;

impl IntoParams for EndedQuery {
    fn into_params(location: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let ended = DeliveryState::ALL.into_iter().filter(|state| *state != DeliveryState::Waiting);
        with_state(location, &ended.collect::<Vec<_>>(), DeliveryState::Failed)
    }
}

/// The states of deliveries that can be cancelled.
const CANCELLABLE: [DeliveryState; 3] =
    [DeliveryState::Waiting, DeliveryState::Failed, DeliveryState::Expired];

/// The query of a cancellation of many deliveries, for annotations.
pub(super) struct CancelledQuery;

impl IntoParams for CancelledQuery {
    fn into_params(location: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        with_state(location, &CANCELLABLE, DeliveryState::Waiting)
    }
}

/// The query of a list, with these states.
fn with_state(
    location: impl Fn() -> Option<ParameterIn>,
    states: &[DeliveryState],
    default: DeliveryState,
) -> Vec<Parameter> {
    let state = one_of(states.iter().copied().map(DeliveryState::name)).default(Some(default.name().into()));
    let mut params = ListQuery::into_params(location);
    params.retain(|param| param.name != "state");
    params.insert(0, query_parameter("state", "Those in this state.", state));
    params
}

/// Send deliveries again that have ended
///
/// Without `state`, those that failed. The newest 100 at most, in the order of their events; `Link` leads to the next.
#[utoipa::path(
    post, path = "/{slug}/deliveries/retry", operation_id = "retry{Level}Deliveries", params(EndedQuery, PageRequest),
    responses(
        (
            status = 200, description = "What was done with each, newest first.", body = [Step],
            headers(("Link" = String, description = "The request for the next page, if there is one."))
        ),
        IntegrationRequest<Write>
    )
)]
pub(super) async fn retry_all(mut request: IntegrationRequest<Write>) -> Result<Page<Step>, ApiError> {
    let (page, mut filter) = selected(&mut request).await?;
    match filter.state {
        None => filter.state = Some(DeliveryState::Failed),
        Some(DeliveryState::Waiting) => {
            return Err(ApiError::InvalidParams(vec!["state does not have a valid value".to_owned()]));
        }
        Some(_) => {}
    }
    let steps = all_changed(filter, &request.authorized, Change::Retry).await?;
    Ok(paged(&request, page, steps))
}

/// Cancel deliveries
///
/// Without `state`, those that wait: they are not sent. Dead letters (`failed`, `expired`) are not counted any more. The
/// newest 100 at most; `Link` leads to the next.
#[utoipa::path(
    post, path = "/{slug}/deliveries/cancel", operation_id = "cancel{Level}Deliveries", params(CancelledQuery, PageRequest),
    responses(
        (
            status = 200, description = "What was done with each, newest first.", body = [Step],
            headers(("Link" = String, description = "The request for the next page, if there is one."))
        ),
        IntegrationRequest<Write>
    )
)]
pub(super) async fn cancel_all(mut request: IntegrationRequest<Write>) -> Result<Page<Step>, ApiError> {
    let (page, filter) = selected(&mut request).await?;
    let state = filter.state.unwrap_or(DeliveryState::Waiting);
    if !CANCELLABLE.contains(&state) {
        return Err(ApiError::InvalidParams(vec!["state does not have a valid value".to_owned()]));
    }
    let filter = DeliveryFilter { state: Some(state), ..filter };
    let steps = all_changed(filter, &request.authorized, Change::Cancel).await?;
    Ok(paged(&request, page, steps))
}

/// The page and the filter that a request names. Where it names no size, the page is as large as it can be.
async fn selected(
    request: &mut IntegrationRequest<Write>,
) -> Result<(PageRequest, DeliveryFilter), ApiError> {
    let integration = integration(request)?;
    let params = request.authorized.params().await?;
    let mut page = PageRequest::read(&params)?;
    if !params.has("per_page") {
        page.limit = MAX_SIZE;
    }
    let project_id =
        request.authorized.state.catalog.read(|snapshot| deliveries::owner_of(snapshot, &integration));
    let filter = DeliveryFilter {
        integrations: vec![integration],
        project_id,
        before: page.before.map(DeliveryId),
        limit: page.limit,
        ..ListQuery::read(&params)?
    };
    Ok((page, filter))
}

/// Changes the delivery that the path names. Returns its state afterwards.
async fn changed(named: Named, caller: &Caller, change: Change) -> Result<Delivery, ApiError> {
    let store::DeliveryDetail { line, .. } = find(caller, &named).await?;
    change.apply(caller, &line).await?.map_err(|why| ApiError::Unprocessable(why.to_owned()))?;
    let store::DeliveryDetail { line, .. } = find(caller, &named).await?;
    Ok((&line).into())
}

/// Changes a delivery by its number alone, if the caller reaches its integration.
pub(in crate::api) async fn change_reached(
    caller: &Caller,
    id: DeliveryId,
    change: Change,
) -> Result<(), ApiError> {
    caller.require(Need::Write)?;
    let detail = deliveries::found(caller, id).await?;
    change.apply(caller, &detail.line).await?.map_err(|why| ApiError::Unprocessable(why.to_owned()))
}

/// Changes all deliveries that pass a filter. Returns what was done with each, newest first.
async fn all_changed(filter: DeliveryFilter, caller: &Caller, change: Change) -> Result<Vec<Step>, ApiError> {
    let lines = caller.state.ledger.deliveries(filter).await?;
    let mut steps = Vec::with_capacity(lines.len());
    // Oldest first, as their events came.
    for line in lines.iter().rev() {
        let refused = change.apply(caller, line).await?.err();
        let result = refused.unwrap_or(change.done()).to_owned();
        steps.push(Step { id: line.id.0, done: refused.is_none(), result });
    }
    steps.reverse();
    Ok(steps)
}

fn paged(request: &IntegrationRequest<Write>, page: PageRequest, steps: Vec<Step>) -> Page<Step> {
    page.of(&request.authorized.head.uri, steps.into_iter().map(|step| (step.id, step)))
}

/// A change of a delivery.
#[derive(Clone, Copy)]
pub(in crate::api) enum Change {
    Retry,
    Cancel,
}

impl Change {
    /// The delivery's state after the change.
    const fn done(self) -> &'static str {
        match self {
            Self::Retry => "due again",
            Self::Cancel => "cancelled",
        }
    }

    /// Makes the change, or returns why it can't be made.
    async fn apply(self, caller: &Caller, line: &DeliveryLine) -> Result<Result<(), &'static str>, ApiError> {
        let state = &caller.state;
        let note = |action| {
            AuditEntry::whole(caller.now, &caller.actor().0, action, format!("delivery {}", line.id))
        };
        match self {
            Self::Retry => {
                match state.ledger.resend(line.id, note("delivery.retry")).await? {
                    Resend::Done => {}
                    Resend::JsonGone => return Ok(Err(JSON_GONE)),
                    Resend::NotSettled if line.state == DeliveryState::Waiting => {
                        return Ok(Err(STILL_WAITING));
                    }
                    Resend::NotSettled => return Ok(Err(REPLACED)),
                }
                state.end_holds(&line.integration, &line.target, &line.destination, caller.now).await;
                Ok(Ok(()))
            }
            Self::Cancel => Ok(match state.ledger.cancel(line.id, note("delivery.cancel")).await? {
                Cancel::Done => Ok(()),
                Cancel::UnderWay => Err(UNDER_WAY),
                Cancel::NotWaiting => Err(ENDED),
            }),
        }
    }
}
