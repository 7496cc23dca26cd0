//! Issues, and the kinds that share their format: work items and incidents.

use serde::Deserialize;

use super::frame::{Body, Frame};
use super::read::{lenient, number, object};
use super::{Decoded, Label, Payload, SharedStr, Trigger, User};

/// Something happened to an issue, a work item or an incident.
#[derive(Clone, Debug, Default)]
pub struct Issue {
    pub kind: IssueKind,
    pub iid: i64,
    pub title: SharedStr,
    pub description: SharedStr,
    pub url: SharedStr,
    /// The state after the event: `opened`, `closed`.
    pub state: SharedStr,
    /// What was done: `open`, `close`, `reopen`, `update`; test payloads have none.
    pub action: Option<SharedStr>,
    /// `Issue`, `Incident`, `Task` …: GitLab's type of the issue.
    pub issue_type: Option<SharedStr>,
    pub confidential: bool,
    /// The labels to filter by; `None` where the payload has no list of labels.
    pub labels: Option<Vec<Label>>,
    pub user: Option<User>,
}

/// Which of the three event kinds the issue came with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IssueKind {
    #[default]
    Issue,
    WorkItem,
    /// Sent *in addition* to the issue event when the issue is an incident.
    Incident,
}

impl IssueKind {
    /// The forge's `object_kind`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::WorkItem => "work_item",
            Self::Incident => "incident",
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Raw {
    #[serde(default)]
    user: Option<User>,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
    #[serde(default)]
    labels: Option<Vec<Label>>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Attributes {
    #[serde(deserialize_with = "number")]
    iid: i64,
    #[serde(deserialize_with = "lenient")]
    title: SharedStr,
    #[serde(deserialize_with = "lenient")]
    description: SharedStr,
    #[serde(deserialize_with = "lenient")]
    url: SharedStr,
    #[serde(deserialize_with = "lenient")]
    state: SharedStr,
    action: Option<SharedStr>,
    #[serde(rename = "type")]
    issue_type: Option<SharedStr>,
    #[serde(deserialize_with = "lenient")]
    confidential: bool,
    labels: Option<Vec<Label>>,
}

impl Body for Raw {
    fn decoded(self, frame: &Frame) -> Result<Decoded, String> {
        let attributes = self.object_attributes;
        let kind = match frame.object_kind.as_str() {
            "work_item" | "confidential_work_item" => IssueKind::WorkItem,
            "incident" => IssueKind::Incident,
            _ => IssueKind::Issue,
        };
        let has_confidential_type =
            [&frame.event_type, &frame.object_kind].iter().any(|name| name.starts_with("confidential_"));
        let issue = Issue {
            kind,
            iid: attributes.iid,
            title: attributes.title,
            description: attributes.description,
            url: attributes.url,
            state: attributes.state,
            action: attributes.action,
            issue_type: attributes.issue_type.filter(|name| !name.is_empty()),
            confidential: attributes.confidential || has_confidential_type,
            labels: self.labels.or(attributes.labels),
            user: self.user,
        };
        let trigger = match (kind, issue.confidential) {
            (IssueKind::Incident, _) => Trigger::Incident,
            (_, true) => Trigger::ConfidentialIssue,
            (_, false) => Trigger::Issue,
        };
        Ok(Decoded {
            trigger: Some(trigger),
            subject: format!("issue:{}", issue.iid),
            payload: Payload::Issue(issue),
        })
    }
}
