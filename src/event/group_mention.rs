//! A group was mentioned (`@group`): the group's own integrations are notified.

use serde::Deserialize;

use super::frame::{Body, Frame};
use super::push::first_line;
use super::read::{excerpt, lenient, number, object};
use super::{Commit, Decoded, GroupRef, Payload, SharedStr, Trigger, User};

/// A group was mentioned in an issue, a merge request or a comment.
#[derive(Clone, Debug, Default)]
pub struct GroupMention {
    pub group_path: SharedStr,
    pub group_url: SharedStr,
    /// The page with the mention.
    pub url: SharedStr,
    /// Where the mention is, for people: `issue #17`, `merge request !1`, `commit cfe32cf6`.
    pub source: String,
    pub title: SharedStr,
    /// The description or comment.
    pub text: SharedStr,
    pub user: Option<User>,
    /// The kind of object with the mention, where it is one that is not notified: an epic, a comment on a design.
    pub elsewhere: Option<String>,
}

impl GroupMention {
    pub(super) fn group(&self) -> GroupRef {
        GroupRef { path: self.group_path.clone(), url: self.group_url.clone() }
    }
}

#[derive(Deserialize)]
pub(super) struct Raw {
    #[serde(default)]
    user: Option<User>,
    #[serde(default, deserialize_with = "lenient")]
    mentioned: Mentioned,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
    #[serde(default)]
    commit: Option<Commit>,
    #[serde(default)]
    issue: Option<On>,
    #[serde(default)]
    merge_request: Option<On>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Mentioned {
    #[serde(deserialize_with = "lenient")]
    name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    url: SharedStr,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "lenient")]
    object_kind: SharedStr,
    #[serde(deserialize_with = "lenient")]
    noteable_type: SharedStr,
    #[serde(deserialize_with = "number")]
    iid: i64,
    #[serde(deserialize_with = "lenient")]
    title: SharedStr,
    #[serde(deserialize_with = "lenient")]
    description: SharedStr,
    note: Option<SharedStr>,
    #[serde(deserialize_with = "lenient")]
    url: SharedStr,
    target_branch: Option<SharedStr>,
    #[serde(deserialize_with = "lenient")]
    confidential: bool,
    #[serde(deserialize_with = "lenient")]
    internal: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct On {
    #[serde(deserialize_with = "number")]
    iid: i64,
    #[serde(deserialize_with = "lenient")]
    title: SharedStr,
    #[serde(deserialize_with = "lenient")]
    confidential: bool,
}

impl Body for Raw {
    fn decoded(self, frame: &Frame) -> Result<Decoded, String> {
        let raw = self;
        // Without its group, the event would be taken for an event of the project, whose integrations must not get it.
        if raw.mentioned.name.is_empty() {
            return Err("`mentioned.name` is missing or empty".to_owned());
        }
        let (source, title) = source_of(&raw);
        let elsewhere = elsewhere(&raw);
        let of_issue = raw.issue.as_ref().is_some_and(|issue| issue.confidential);
        let attributes = raw.object_attributes;
        let is_marked = of_issue || attributes.confidential || attributes.internal;
        let mention = GroupMention {
            group_path: raw.mentioned.name,
            group_url: raw.mentioned.url,
            url: attributes.url,
            title: first_line(&title).into(),
            source,
            text: attributes.note.unwrap_or(attributes.description),
            user: raw.user,
            elsewhere,
        };
        let confidential = is_marked || frame.event_type == Trigger::GroupConfidentialMention.name();
        let trigger = if confidential { Trigger::GroupConfidentialMention } else { Trigger::GroupMention };
        Ok(Decoded {
            trigger: Some(trigger),
            subject: format!("mention:{}", mention.source),
            payload: Payload::GroupMention(Box::new(mention)),
        })
    }
}

/// The kind of object that the mention is in, where GitLab knows no message for it
/// (<https://gitlab.com/gitlab-org/gitlab/-/blob/master/app/models/integrations/chat_message/group_mention_message.rb>).
fn elsewhere(raw: &Raw) -> Option<String> {
    let attributes = &raw.object_attributes;
    let kind = match attributes.object_kind.as_str() {
        "note" if raw.commit.is_some() || raw.issue.is_some() || raw.merge_request.is_some() => return None,
        "note" => &attributes.noteable_type,
        kind => kind,
    };
    let is_notified = matches!(
        kind,
        "" | "issue" | "work_item" | "incident" | "merge_request" | "Issue" | "MergeRequest" | "Commit"
    );
    (!is_notified).then(|| excerpt(kind, super::KIND_MAX_CHARS))
}

/// Where the mention is. A note's payload has its issue, merge request or commit in a field of its own; otherwise the
/// issue or merge request is in `object_attributes`.
fn source_of(raw: &Raw) -> (String, SharedStr) {
    let attributes = &raw.object_attributes;
    if let Some(commit) = &raw.commit {
        return (format!("commit {}", commit.short_id()), first_line(&commit.message).into());
    }
    if let Some(issue) = &raw.issue {
        return (format!("issue #{}", issue.iid), issue.title.clone());
    }
    if let Some(merge_request) = &raw.merge_request {
        return (format!("merge request !{}", merge_request.iid), merge_request.title.clone());
    }
    let source = match attributes.object_kind.as_str() {
        "merge_request" => format!("merge request !{}", attributes.iid),
        "note" => "a comment".to_owned(),
        _ if attributes.target_branch.is_some() => format!("merge request !{}", attributes.iid),
        _ => format!("issue #{}", attributes.iid),
    };
    (source, attributes.title.clone())
}
