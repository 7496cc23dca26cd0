//! A group was mentioned (`@group`): the group's own integrations hear of it.

use serde::Deserialize;

use super::push::first_line;
use super::{Commit, Decoded, GroupRef, Payload, Trigger, User, lenient};

/// Somebody mentioned a group in an issue, a merge request or a comment.
#[derive(Clone, Debug, Default)]
pub struct GroupMention {
    pub group_path: String,
    pub group_url: String,
    /// The page that mentions it.
    pub url: String,
    /// In words: `issue #17`, `merge request !1`, `commit cfe32cf6`.
    pub source: String,
    pub title: String,
    /// The description or comment.
    pub text: String,
    pub user: Option<User>,
}

impl GroupMention {
    pub(super) fn group(&self) -> Option<GroupRef> {
        let named = !self.group_path.is_empty();
        named.then(|| GroupRef { path: self.group_path.clone(), url: self.group_url.clone() })
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    user: Option<User>,
    #[serde(default, deserialize_with = "lenient")]
    mentioned: Mentioned,
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
    name: String,
    #[serde(deserialize_with = "lenient")]
    url: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "lenient")]
    object_kind: String,
    #[serde(deserialize_with = "lenient")]
    iid: i64,
    #[serde(deserialize_with = "lenient")]
    title: String,
    #[serde(deserialize_with = "lenient")]
    description: String,
    note: Option<String>,
    #[serde(deserialize_with = "lenient")]
    url: String,
    target_branch: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct On {
    #[serde(deserialize_with = "lenient")]
    iid: i64,
    #[serde(deserialize_with = "lenient")]
    title: String,
}

pub(super) fn decode(raw: &[u8], event_type: Option<&str>) -> Result<Decoded, serde_json::Error> {
    let wire: Wire = serde_json::from_slice(raw)?;
    let (source, title) = source_of(&wire);
    let attributes = wire.object_attributes;
    let mention = GroupMention {
        group_path: wire.mentioned.name,
        group_url: wire.mentioned.url,
        url: attributes.url,
        title: first_line(&title).to_owned(),
        source,
        text: attributes.note.unwrap_or(attributes.description),
        user: wire.user,
    };
    let confidential = event_type == Some(Trigger::GroupConfidentialMention.name());
    let trigger = if confidential { Trigger::GroupConfidentialMention } else { Trigger::GroupMention };
    Ok(Decoded {
        trigger: Some(trigger),
        subject: format!("mention:{}", mention.source),
        payload: Payload::GroupMention(Box::new(mention)),
    })
}

/// A note names the thing it stands on beside it; an issue or merge request is the `object_attributes` itself.
fn source_of(wire: &Wire) -> (String, String) {
    let attributes = &wire.object_attributes;
    if let Some(commit) = &wire.commit {
        return (format!("commit {}", commit.short_id()), first_line(&commit.message).to_owned());
    }
    if let Some(issue) = &wire.issue {
        return (format!("issue #{}", issue.iid), issue.title.clone());
    }
    if let Some(merge_request) = &wire.merge_request {
        return (format!("merge request !{}", merge_request.iid), merge_request.title.clone());
    }
    let is_merge_request = attributes.object_kind == "merge_request" || attributes.target_branch.is_some();
    let source = if is_merge_request {
        format!("merge request !{}", attributes.iid)
    } else {
        format!("issue #{}", attributes.iid)
    };
    (source, attributes.title.clone())
}
