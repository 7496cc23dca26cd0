//! `GET /status`: everything that is held, throttled, blocked or switched off, the dead letters, and the state of the
//! daemon's parts.

use axum::Json;
use utoipa_axum::routes;

use super::authorized::{Authorized, Read};
use super::caller::Caller;
use super::{Route, STATUS};
use crate::api::error::ApiError;
use crate::api::resources::Status;
use crate::pipeline::standing::Standing;
use crate::store::registry::ScopeKey;

pub(super) fn routes() -> Vec<Route> {
    vec![routes!(status)]
}

/// Show what is wrong now
///
/// Everything that is held, throttled, blocked or switched off, with its reason and the command that helps; dead letters by
/// cause; and the daemon's parts, as far as they are configured. A token of a project or a group sees what concerns it, and
/// no parts.
#[utoipa::path(
    get, path = "/status", operation_id = "getStatus", tag = STATUS,
    responses((status = 200, description = "What is wrong now.", body = Status), Authorized<Read>)
)]
pub(super) async fn status(authorized: Authorized<Read>) -> Result<Json<Status>, ApiError> {
    Ok(Json((&standing(&authorized).await?).into()))
}

/// The current problems that a caller may see.
pub(in crate::api) async fn standing(caller: &Caller) -> Result<Standing, ApiError> {
    let (state, now) = (&caller.state, caller.now);
    let overview = state.ledger.overview().await?;
    let holds = state.holds.snapshot();
    if caller.reach() != ScopeKey::Instance {
        let standing = state.catalog.read(|snapshot| {
            let reached = |scope: &_| caller.reaches(snapshot, scope);
            Standing::within(snapshot, &holds, overview, now, reached)
        });
        return Ok(standing);
    }
    let mut parts = vec![state.store_part().await];
    parts.extend(state.broker_part());
    parts.extend((state.parts)().await);
    parts.extend(state.last_reload.get().as_ref().clone());
    let mut standing = state.catalog.read(|snapshot| Standing::new(snapshot, &holds, overview, now));
    parts.append(&mut standing.parts);
    standing.parts = parts;
    Ok(standing)
}
