//! `/quarantine`: messages that are not events. They can't be assigned to a project, so they are for tokens of the
//! instance.

use axum::Json;
use axum::http::StatusCode;
use utoipa_axum::routes;

use super::auth::Need;
use super::authorized::{Authorized, Read, Write};
use super::caller::Caller;
use super::extract::InstanceRequest;
use super::page::{Page, PageRequest};
use super::scope::event_of_sender;
use super::{EVENTS, Route};
use crate::api::error::responses::{NotFound, Unprocessable};
use crate::api::error::{ApiError, Missing};
use crate::api::resources::{Quarantined, QuarantinedDetail};
use crate::pipeline::quarantine::{self, Retried, audit_entry};
use crate::store::StoreError;

pub(super) fn routes() -> Vec<Route> {
    vec![routes!(list), routes!(show, delete), routes!(retry)]
}

const MISSING: ApiError = ApiError::NotFound(Missing::Quarantined);

/// List messages that are not events
///
/// For tokens of the instance.
#[utoipa::path(
    get, path = "/quarantine", operation_id = "listQuarantine", tag = EVENTS, params(PageRequest),
    responses(
        (
            status = 200, description = "Newest first.", body = [Quarantined],
            headers(("Link" = String, description = "The next page, if there is one."))
        ),
        InstanceRequest<Read>
    )
)]
pub(super) async fn list(
    InstanceRequest(mut authorized): InstanceRequest<Read>,
) -> Result<Page<Quarantined>, ApiError> {
    let page = PageRequest::read(&authorized.params().await?)?;
    let items = authorized.state.quarantine.list_quarantined(page.before, page.limit).await?;
    Ok(page.of(&authorized.head.uri, items.iter().map(|item| (item.number, item.into()))))
}

/// Show one message
#[utoipa::path(
    get, path = "/quarantine/{id}", operation_id = "getQuarantined", tag = EVENTS,
    responses((status = 200, description = "The message.", body = QuarantinedDetail), InstanceRequest<Read>, NotFound)
)]
pub(super) async fn show(
    InstanceRequest(authorized): InstanceRequest<Read>,
) -> Result<Json<QuarantinedDetail>, ApiError> {
    found(&authorized, id(&authorized)?).await.map(Json)
}

/// A message, for a caller that reaches everything.
pub(in crate::api) async fn found(caller: &Caller, id: i64) -> Result<QuarantinedDetail, ApiError> {
    caller.require_instance()?;
    let _turn = caller.state.turn().await;
    let found = caller.state.quarantine.quarantined(id).await?;
    let (item, raw) = found.ok_or(MISSING)?;
    Ok(QuarantinedDetail::new(&item, &raw))
}

/// Delete a message
#[utoipa::path(
    delete, path = "/quarantine/{id}", operation_id = "deleteQuarantined", tag = EVENTS,
    responses((status = 204, description = "It is deleted."), InstanceRequest<Write>, NotFound)
)]
pub(super) async fn delete(
    InstanceRequest(authorized): InstanceRequest<Write>,
) -> Result<StatusCode, ApiError> {
    dropped(&authorized, id(&authorized)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a message, for a caller that reaches everything.
pub(in crate::api) async fn dropped(caller: &Caller, id: i64) -> Result<(), ApiError> {
    caller.require_instance()?;
    caller.require(Need::Write)?;
    let audit = audit_entry("quarantine.drop", id, &caller.actor().0, caller.now);
    let removed = caller.state.quarantine.remove_quarantined(id, audit).await?;
    if removed { Ok(()) } else { Err(MISSING) }
}

/// Try to decode a message again
///
/// A message that still can't be decoded stays in quarantine: the answer is 422, with the reason. So does an event that
/// the token of its `sender` does not reach.
#[utoipa::path(
    post, path = "/quarantine/{id}/retry", operation_id = "retryQuarantined", tag = EVENTS,
    responses(
        (status = 204, description = "It was decoded, and is dispatched like any event."),
        InstanceRequest<Write>, NotFound, Unprocessable
    )
)]
pub(super) async fn retry(
    InstanceRequest(authorized): InstanceRequest<Write>,
) -> Result<StatusCode, ApiError> {
    retried(&authorized, id(&authorized)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tries to decode a message again, for a caller that reaches everything.
pub(in crate::api) async fn retried(caller: &Caller, id: i64) -> Result<(), ApiError> {
    caller.require_instance()?;
    caller.require(Need::Write)?;
    let (state, actor) = (&caller.state, caller.actor().0);
    let admit = |sender: String, event| async move {
        Ok::<_, StoreError>(event_of_sender(&state.catalog, &sender, event))
    };
    match quarantine::retry(&*state.inbox, &*state.quarantine, id, &actor, caller.now, admit).await? {
        Retried::NotThere => return Err(MISSING),
        Retried::NotUnderstood(why) => {
            return Err(ApiError::Unprocessable(format!("still not understood: {why}")));
        }
        Retried::NotAdmitted(why) => return Err(ApiError::Unprocessable(why)),
        Retried::Understood(_) => state.arrived.notify_one(),
        Retried::Repeated(_) => {}
    }
    Ok(())
}

fn id<I>(authorized: &Authorized<I>) -> Result<i64, ApiError> {
    authorized.path.number("id").ok_or(MISSING)
}
