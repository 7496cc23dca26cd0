//! Merge requests that events told of: see `pipeline::open_requests`.
//!
//! One row for each merge request has what its latest event said. It is written with the event's deliveries, in the same
//! commit ([`super::Dispatched::seen`]). What was said more than [`REMEMBERED`] ago does not count, and is swept.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use super::columns::key_of;

/// How long an event's word counts. An event that says otherwise may have been lost.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// What an event said of a merge request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMergeRequest {
    /// The project that it is to be merged into. With `iid`, it is what the row is unique by.
    pub project_id: i64,
    pub iid: i64,
    /// The project of its source branch; another one for a fork's.
    pub source_project_id: i64,
    pub source_branch: String,
    pub state: MergeRequestState,
    /// When the forge sent the event. An older event does not replace a newer one.
    pub seen_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeRequestState {
    Opened,
    Closed,
    /// Or about to be: GitLab locks it meanwhile.
    Merged,
}

impl MergeRequestState {
    /// GitLab's name of a state. One that is unknown is not open.
    pub fn of_name(name: &str) -> Self {
        match name {
            "opened" => Self::Opened,
            "merged" | "locked" => Self::Merged,
            _ => Self::Closed,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Merged => "merged",
        }
    }
}

/// A branch as it is looked up: a branch may have any length.
pub(super) fn branch_key(branch: &str) -> i64 {
    key_of(&[branch])
}

/// Merge requests that events told of.
#[async_trait]
pub trait MergeRequests: Send + Sync {
    /// The open merge request with the lowest number that would merge this branch of a project into the same project, as
    /// events at or after `since` said.
    async fn open_merge_request(
        &self,
        project_id: i64,
        source_branch: &str,
        since: Timestamp,
    ) -> Result<Option<i64>>;
}
