//! Watches: the outcomes of builds and the health of services are polled after events. See `pipeline::status_poller`.
//!
//! A watch waits in the store until it is due. A claim postpones the watch, so that no other node asks meanwhile, and
//! so that the watch is due again if the claiming node ends.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use super::{HealthRecord, Hold, NewHealth, Result, StoreError};
use crate::call::{BuildState, CommitStatus};
use crate::digest::Digest;
use crate::event::Event;
use crate::integration::IntegrationId;

/// What is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// The outcome of a build.
    Build,
    /// Whether the service can be reached. There is one such watch for an integration, without commit and ref.
    Probe,
}

impl WatchKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Probe => "probe",
        }
    }

    /// # Errors
    /// This version knows no such kind.
    pub(super) fn of_name(name: &str) -> Result<Self> {
        let known = [Self::Build, Self::Probe].into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| StoreError::Broken(format!("a watch is of the unknown kind {name}")))
    }
}

/// A build to be watched, identified by integration, commit and branch or tag; or a service to be probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWatch {
    pub kind: WatchKind,
    pub integration: IntegrationId,
    pub project_id: i64,
    /// The project's full path.
    pub project: String,
    pub sha: String,
    /// The branch, without `refs/heads/`; or the tag, as `refs/tags/…`; or, for a merge request from a fork, its
    /// hidden ref in the project.
    pub ref_name: String,
    /// The event's `project` object as JSON: an announced result is an event of the same project.
    /// `pipeline::build_watch` adds the branch of a fork.
    pub project_json: Bytes,
    /// When the build was triggered: a watch that ended before begins again.
    pub since: Timestamp,
    /// When to ask for the first time.
    pub due: Timestamp,
}

impl NewWatch {
    /// The unique key of a watch, with a fixed length.
    pub(super) fn key(&self) -> String {
        let parts = [&*self.integration.0, self.sha.as_str(), self.ref_name.as_str()];
        Digest::of(parts.map(str::as_bytes)).hex(16)
    }
}

/// A build that is watched, or whose outcome is known; or a service that is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub number: i64,
    pub kind: WatchKind,
    pub integration: IntegrationId,
    pub project_id: i64,
    pub project: String,
    pub sha: String,
    pub ref_name: String,
    pub project_json: Bytes,
    pub since: Timestamp,
    /// How often the service was asked.
    pub polls: u32,
    /// The service's last answer.
    pub seen: Option<CommitStatus>,
    /// Why the last question was not answered, or why the watch ended without a final state. Empty otherwise.
    pub note: String,
    pub checked_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

impl Watch {
    /// The name of the branch or tag, or the hidden ref.
    pub fn short_ref(&self) -> &str {
        self.ref_name.strip_prefix("refs/tags/").unwrap_or(&self.ref_name)
    }
}

/// Watches that a claim got.
#[derive(Clone, Debug, Default)]
pub struct ClaimedWatches {
    pub watches: Vec<Watch>,
    /// When the next one is due.
    pub next: Option<Timestamp>,
}

/// The result of a question.
#[derive(Clone, Debug)]
pub struct SettledWatch {
    pub number: i64,
    pub polls: u32,
    /// `None` where the service did not answer: its last answer stays.
    pub seen: Option<CommitStatus>,
    pub note: String,
    pub at: Timestamp,
    /// When to ask again; `None` where the watch ends.
    pub again: Option<Timestamp>,
    /// The event that tells people of the result. It is put in the inbox in the same commit.
    pub announce: Option<Event>,
    /// Holds that begin or get longer with this result.
    pub begin: Vec<Hold>,
}

/// The watches and their answers.
#[async_trait]
pub trait Watches: Send + Sync {
    /// Claims due watches, the most urgent first, and postpones them until `hidden_until`.
    async fn claim_watches(
        &self,
        now: Timestamp,
        hidden_until: Timestamp,
        limit: usize,
    ) -> Result<ClaimedWatches>;

    /// Writes the result of a question. A watch that has ended meanwhile is not changed, and nothing is announced.
    /// Returns whether an event was put in the inbox.
    async fn settle_watch(&self, settled: SettledWatch) -> Result<bool>;

    /// The known builds of a commit, the oldest first.
    async fn commit_statuses(&self, project_id: i64, sha: &str) -> Result<Vec<Watch>>;

    /// The result of the previous build of the same integration and ref that passed or failed; `None` where none is
    /// known any more.
    async fn outcome_before(&self, watch: &Watch) -> Result<Option<BuildState>>;

    /// Writes the answer to a probe. An answer that is older than the last one changes nothing.
    async fn note_health(&self, health: NewHealth) -> Result<()>;

    /// The known health of these integrations' services, in any order.
    async fn health(&self, integrations: &[IntegrationId]) -> Result<Vec<HealthRecord>>;
}

/// A state as it was written.
pub(super) fn seen(state: Option<&str>, page: Option<String>) -> Option<CommitStatus> {
    // A later version may have more states. An unknown state is read as not seen.
    Some(CommitStatus { state: BuildState::of_name(state?)?, page })
}
