//! Merge requests.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::read::{lenient, number, number_or_none, object, parse};
use super::{Commit, Decoded, Label, Payload, Trigger, User};

/// Something happened to a merge request.
#[derive(Clone, Debug, Default)]
pub struct MergeRequest {
    pub iid: i64,
    pub title: String,
    pub description: String,
    pub url: String,
    /// The state after the event: `opened`, `closed`, `merged`, `locked`.
    pub state: String,
    /// `open`, `close`, `reopen`, `update`, `merge`, `approved`, `unapproved`, `approval`, `unapproval`.
    pub action: Option<String>,
    /// The project of the source branch; another one for a fork's.
    pub source_project_id: Option<i64>,
    pub source_branch: String,
    pub target_branch: String,
    pub draft: bool,
    pub last_commit: Option<Commit>,
    /// The commit before a push to the source branch; present only on an `update` made by such a push.
    pub oldrev: Option<String>,
    pub labels: Option<Vec<Label>>,
    /// The user in whose session it happened; see `by_system`.
    pub user: Option<User>,
    /// What GitLab did by itself; `None` where the user did it.
    pub by_system: Option<SystemAction>,
    /// Whether this event changed the title or the description.
    pub text_changed: bool,
    /// Whether it is a draft now, where this event changed that.
    pub draft_changed: Option<bool>,
    /// The reviewers before and after, where this event changed them.
    pub reviewers_changed: Option<ReviewersChanged>,
}

/// Why GitLab changed a merge request by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemAction {
    /// New commits were pushed, and the project's settings take approvals back then.
    ApprovalsReset,
    Other,
}

/// Reviewers before and after an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ReviewersChanged {
    #[serde(deserialize_with = "lenient")]
    pub previous: Vec<Reviewer>,
    #[serde(deserialize_with = "lenient")]
    pub current: Vec<Reviewer>,
}

/// A reviewer, and how far their review is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Reviewer {
    #[serde(flatten)]
    pub user: User,
    /// `unreviewed`, `review_started`, `reviewed`, `requested_changes`, `approved`, `unapproved`.
    #[serde(deserialize_with = "lenient")]
    pub state: String,
    /// Whether this event asks for another review.
    #[serde(deserialize_with = "lenient")]
    pub re_requested: bool,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    user: Option<User>,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
    #[serde(default)]
    labels: Option<Vec<Label>>,
    #[serde(default, deserialize_with = "lenient")]
    changes: Changes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Changes {
    reviewers: Option<ReviewersChanged>,
    draft: Option<Value>,
    title: Option<IgnoredAny>,
    description: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "number")]
    iid: i64,
    #[serde(deserialize_with = "lenient")]
    title: String,
    #[serde(deserialize_with = "lenient")]
    description: String,
    #[serde(deserialize_with = "lenient")]
    url: String,
    #[serde(deserialize_with = "lenient")]
    state: String,
    action: Option<String>,
    #[serde(deserialize_with = "number_or_none")]
    source_project_id: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    source_branch: String,
    #[serde(deserialize_with = "lenient")]
    target_branch: String,
    #[serde(deserialize_with = "lenient")]
    draft: bool,
    last_commit: Option<Commit>,
    oldrev: Option<String>,
    labels: Option<Vec<Label>>,
    #[serde(deserialize_with = "lenient")]
    system: bool,
    #[serde(deserialize_with = "lenient")]
    system_action: String,
}

impl SystemAction {
    fn named(name: &str) -> Self {
        match name {
            "approvals_reset_on_push" | "code_owner_approvals_reset_on_push" => Self::ApprovalsReset,
            _ => Self::Other,
        }
    }
}

pub(super) fn decode(json: &str, _: &str) -> Result<Decoded, String> {
    let raw: Raw = parse(json)?;
    let attributes = raw.object_attributes;
    let merge_request = MergeRequest {
        iid: attributes.iid,
        title: attributes.title,
        description: attributes.description,
        url: attributes.url,
        state: attributes.state,
        action: attributes.action,
        source_project_id: attributes.source_project_id,
        source_branch: attributes.source_branch,
        target_branch: attributes.target_branch,
        draft: attributes.draft,
        last_commit: attributes.last_commit,
        oldrev: attributes.oldrev,
        labels: raw.labels.or(attributes.labels),
        user: raw.user,
        by_system: attributes.system.then(|| SystemAction::named(&attributes.system_action)),
        text_changed: raw.changes.title.is_some() || raw.changes.description.is_some(),
        draft_changed: raw.changes.draft.and_then(|change| change["current"].as_bool()),
        reviewers_changed: raw.changes.reviewers,
    };
    Ok(Decoded {
        trigger: Some(Trigger::MergeRequest),
        subject: format!("merge_request:{}", merge_request.iid),
        payload: Payload::MergeRequest(Box::new(merge_request)),
    })
}
