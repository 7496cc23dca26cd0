//! The known builds of a commit, in GitLab's form.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Schema;

use super::{Moment, one_of};
use crate::call::BuildState;
use crate::store::Watch;

fn statuses() -> Schema {
    one_of(["pending", "running", "success", "failed", "canceled", "skipped"]).into()
}

/// The build of one service for a commit (<https://docs.gitlab.com/api/commits/#list-the-statuses-of-a-commit>).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CommitStatus {
    pub id: i64,
    pub sha: String,
    /// The branch or tag.
    #[serde(rename = "ref")]
    pub ref_name: String,
    #[schema(schema_with = statuses)]
    pub status: &'static str,
    /// The service.
    pub name: String,
    /// The build's page.
    #[schema(required)]
    pub target_url: Option<String>,
    /// What there is to say beyond the status: that it passed with warnings, or why the service was not understood.
    #[schema(required)]
    pub description: Option<String>,
    /// When the build was triggered.
    pub created_at: Moment,
    /// When the service was asked last.
    #[schema(required)]
    pub updated_at: Option<Moment>,
    #[schema(required)]
    pub finished_at: Option<Moment>,
    pub allow_failure: bool,
}

impl CommitStatus {
    /// `name` is the service's.
    pub fn new(watch: &Watch, name: &str) -> Self {
        let state = watch.seen.as_ref().map_or(BuildState::Pending, |seen| seen.state);
        let description = match state {
            BuildState::SuccessWithWarnings => Some("passed with warnings".to_owned()),
            _ => Some(watch.note.clone()).filter(|note| !note.is_empty()),
        };
        Self {
            id: watch.number,
            sha: watch.sha.clone(),
            ref_name: watch.short_ref().to_owned(),
            status: match state {
                // GitLab has no such status.
                BuildState::SuccessWithWarnings => BuildState::Success.name(),
                state => state.name(),
            },
            name: name.to_owned(),
            target_url: watch.seen.as_ref().and_then(|seen| seen.page.clone()),
            description,
            created_at: Moment(watch.since),
            updated_at: watch.checked_at.map(Moment),
            finished_at: watch.ended_at.filter(|_| state.is_final()).map(Moment),
            allow_failure: false,
        }
    }
}
