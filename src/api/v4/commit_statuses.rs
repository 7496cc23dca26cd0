//! `GET /projects/:id/repository/commits/:sha/statuses`: the results of build services for a commit.

use axum::Json;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::authorized::Read;
use super::extract::ScopeRequest;
use super::{PROJECTS, Route};
use crate::adapters;
use crate::api::error::{ApiError, Missing};
use crate::api::resources::CommitStatus;
use crate::catalog::ResolvedScope;
use crate::store::Watch;

pub(super) fn routes() -> Vec<Route> {
    vec![routes!(list)]
}

/// The filters, as GitLab names them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what list() reads")]
struct Filters {
    /// Only the builds of this branch or tag.
    r#ref: Option<String>,
    /// Only the builds of this service.
    name: Option<String>,
}

/// List the statuses of a commit
///
/// One status for each build service and branch that a build was triggered for, the oldest first. A commit that is not
/// known has none.
#[utoipa::path(
    get, path = "/projects/{id}/repository/commits/{sha}/statuses", operation_id = "listCommitStatuses", tag = PROJECTS,
    params(Filters),
    responses((status = 200, description = "The statuses.", body = [CommitStatus]), ScopeRequest<Read>)
)]
pub(super) async fn list(
    ScopeRequest { mut authorized, scope }: ScopeRequest<Read>,
) -> Result<Json<Vec<CommitStatus>>, ApiError> {
    let ResolvedScope::Project { id: Some(project), .. } = scope else {
        return Err(ApiError::NotFound(Missing::Project));
    };
    let params = authorized.params().await?;
    let sha = authorized.path.sha().to_ascii_lowercase();
    let watches = authorized.state.watches.commit_statuses(project, &sha).await?;
    let read = |field: &str| {
        let invalid = |_| ApiError::InvalidParams(vec![format!("{field} is invalid")]);
        params.text(field).map_err(invalid)
    };
    let (ref_name, name) = (read("ref")?, read("name")?);
    let statuses = watches.iter().map(|watch| CommitStatus::new(watch, service(watch)));
    let asked_for = statuses.filter(|status| {
        let is_of_ref = ref_name.as_ref().is_none_or(|wanted| *wanted == status.ref_name);
        is_of_ref && name.as_ref().is_none_or(|wanted| *wanted == status.name)
    });
    Ok(Json(asked_for.collect()))
}

/// The service's slug: what follows the project in an integration's id.
fn service(watch: &Watch) -> &str {
    let slug = watch.integration.0.rsplit(':').next().unwrap_or_default();
    adapters::find(slug).map_or(slug, |entry| entry.about.slug)
}
