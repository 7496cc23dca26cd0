//! The states of merge requests from events: see `pipeline::open_requests`.
//!
//! Each merge request has one row with the state from its latest event. The row is written in the same commit as the
//! event's deliveries ([`super::Remembered::seen`]). A state older than [`REMEMBERED`] does not count, and is swept.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use super::columns::key_of;

/// How long a state counts. A later event with another state may have been lost.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// The state of a merge request in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMergeRequest {
    /// The target project. Together with `iid`, it identifies the row.
    pub project_id: i64,
    pub iid: i64,
    /// The project of the source branch. It differs from `project_id` for a fork.
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
    /// Merged, or about to be: GitLab locks a merge request while it merges.
    Merged,
}

impl MergeRequestState {
    /// Reads GitLab's name of a state. An unknown state counts as not open.
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

/// The key by which a branch is looked up, because a branch's name may have any length.
pub(super) fn branch_key(branch: &str) -> i64 {
    key_of(&[branch])
}

/// The states of merge requests from events.
#[async_trait]
pub trait MergeRequests: Send + Sync {
    /// The open merge request with the lowest number that would merge this branch of a project into the same project,
    /// by events at or after `since`.
    async fn open_merge_request(
        &self,
        project_id: i64,
        source_branch: &str,
        since: Timestamp,
    ) -> Result<Option<i64>>;
}
