//! `GET /projects/:id/external_tracker` and `…/external_issues/:reference`: where a project's issues are, if they are not in
//! the forge.

use axum::Json;
use utoipa_axum::routes;

use super::authorized::Read;
use super::extract::ScopeRequest;
use super::{PROJECTS, Route};
use crate::adapters::Linking;
use crate::api::error::{ApiError, Missing};
use crate::api::resources::{ExternalIssue, ExternalTracker};

pub(super) fn routes() -> Vec<Route> {
    vec![routes!(tracker), routes!(issue)]
}

/// Show the external issue tracker
///
/// The active one of the integrations of this kind, of which a project has at most one.
#[utoipa::path(
    get, path = "/projects/{id}/external_tracker", operation_id = "getExternalTracker", tag = PROJECTS,
    responses((status = 200, description = "The tracker.", body = ExternalTracker), ScopeRequest<Read>)
)]
pub(super) async fn tracker(request: ScopeRequest<Read>) -> Result<Json<ExternalTracker>, ApiError> {
    let tracker = of_project(&request)?;
    Ok(Json(ExternalTracker {
        tracker: tracker.entry.about.slug,
        title: tracker.name(),
        project_url: tracker.project(),
        new_issue_url: tracker.new_issue(),
    }))
}

/// Find an issue of the external tracker
///
/// The address of the issue that people call so. The tracker is not asked whether it has such an issue.
#[utoipa::path(
    get, path = "/projects/{id}/external_issues/{reference}", operation_id = "getExternalIssue", tag = PROJECTS,
    responses((status = 200, description = "The issue's address.", body = ExternalIssue), ScopeRequest<Read>)
)]
pub(super) async fn issue(request: ScopeRequest<Read>) -> Result<Json<ExternalIssue>, ApiError> {
    let tracker = of_project(&request)?;
    let reference = request.authorized.path.reference().trim();
    let url = tracker.issue(reference).ok_or(ApiError::NotFound(Missing::ExternalIssue))?;
    Ok(Json(ExternalIssue {
        reference: reference.to_owned(),
        url,
        tracker: tracker.entry.about.slug,
        title: tracker.name(),
    }))
}

fn of_project(ScopeRequest { authorized, scope }: &ScopeRequest<Read>) -> Result<Linking, ApiError> {
    let tracker = authorized.state.catalog.read(|snapshot| snapshot.links_at(scope).tracker());
    tracker.ok_or(ApiError::NotFound(Missing::ExternalTracker))
}
