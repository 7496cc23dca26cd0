//! `/audit_events` and `/version`.

use axum::Json;
use utoipa_axum::routes;

use super::authorized::{Authorized, Read};
use super::extract::InstanceRequest;
use super::page::{Page, PageRequest};
use super::{ABOUT, AUDIT, Route};
use crate::api::error::ApiError;
use crate::api::resources::{AuditEvent, Version};

pub(super) fn routes() -> Vec<Route> {
    vec![routes!(audit_events), routes!(version)]
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

/// Show the version
///
/// GitLab's clients ask for it; it is Forgebell's, not a GitLab's.
#[utoipa::path(
    get, path = "/version", operation_id = "getVersion", tag = ABOUT,
    responses((status = 200, description = "Forgebell's version.", body = Version), Authorized<Read>)
)]
pub(super) async fn version(_: Authorized<Read>) -> Json<Version> {
    Json(Version { version: env!("CARGO_PKG_VERSION"), revision: "forgebell" })
}
