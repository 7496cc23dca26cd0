//! `/user`, `/version` and `/metadata`, which GitLab's clients ask for first, and `/audit_events`.

use axum::Json;
use utoipa_axum::routes;

use super::authorized::{Authorized, Introduce, Read};
use super::caller::Caller;
use super::extract::InstanceRequest;
use super::page::{Page, PageRequest};
use super::{ABOUT, AUDIT, Route};
use crate::api::error::ApiError;
use crate::api::resources::{AuditEvent, Metadata, User};
use crate::store::registry::ScopeKey;

pub(super) fn routes() -> Vec<Route> {
    vec![routes!(audit_events), routes!(user), routes!(version), routes!(metadata)]
}

/// Show who changed what
///
/// For tokens of the instance.
#[utoipa::path(
    get, path = "/audit_events", operation_id = "listAuditEvents", tag = AUDIT, params(PageRequest),
    responses(
        (
            status = 200, description = "Newest first.", body = [AuditEvent],
            headers(("Link" = String, description = "The next page, if there is one."))
        ),
        InstanceRequest<Read>
    )
)]
pub(super) async fn audit_events(
    InstanceRequest(mut authorized): InstanceRequest<Read>,
) -> Result<Page<AuditEvent>, ApiError> {
    let page = PageRequest::read(&authorized.params().await?)?;
    let lines = authorized.state.registry.audit_log(page.before, page.limit).await?;
    Ok(page.of(&authorized.head.uri, lines.iter().map(|line| (line.id, line.into()))))
}

/// Show the token's user
///
/// Each token is a bot user, as GitLab has one for each token of a project or group. Clients ask for it to see whether
/// their token is valid.
#[utoipa::path(
    get, path = "/user", operation_id = "getUser", tag = ABOUT,
    responses((status = 200, description = "The bot user of the token.", body = User), Authorized<Introduce>)
)]
pub(super) async fn user(Authorized { caller, .. }: Authorized<Introduce>) -> Json<User> {
    let Caller { state, token, .. } = &caller;
    let group = match token.access.reach {
        ScopeKey::Group(key) => state.catalog.read(|snapshot| snapshot.directory().group(key)?.id),
        ScopeKey::Project(_) | ScopeKey::Instance | ScopeKey::File(_) => None,
    };
    Json(User::of_token(token, group))
}

/// Show the version
///
/// The same as `/metadata`.
#[utoipa::path(
    get, path = "/version", operation_id = "getVersion", tag = ABOUT,
    responses((status = 200, description = "Forgebell's version.", body = Metadata), Authorized<Introduce>)
)]
pub(super) async fn version(_: Authorized<Introduce>) -> Json<Metadata> {
    Json(Metadata::OURS)
}

/// Show what answers
///
/// The version is Forgebell's, not a GitLab's.
#[utoipa::path(
    get, path = "/metadata", operation_id = "getMetadata", tag = ABOUT,
    responses((status = 200, description = "Forgebell's version.", body = Metadata), Authorized<Introduce>)
)]
pub(super) async fn metadata(_: Authorized<Introduce>) -> Json<Metadata> {
    Json(Metadata::OURS)
}
