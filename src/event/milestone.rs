//! Milestones, of projects and of groups.

use serde::Deserialize;

use super::read::{lenient, number, object, object_or_null, parse};
use super::{Decoded, GroupRef, Payload, Trigger};

/// A milestone was created, closed, reopened or deleted. The payload does not say by whom.
#[derive(Clone, Debug, Default)]
pub struct Milestone {
    pub iid: i64,
    pub title: String,
    pub description: String,
    /// `active`, `closed`.
    pub state: String,
    /// `create`, `close`, `reopen`, `delete`.
    pub action: String,
    /// Days, as `2025-06-30`; empty where none is set.
    pub start_date: String,
    pub due_date: String,
    /// The full path of the group that it belongs to, if it belongs to a group.
    group_path: Option<String>,
}

impl Milestone {
    /// The group whose own integrations are notified; `None` for a project's milestone.
    pub(super) fn group(&self) -> Option<GroupRef> {
        let path = self.group_path.clone()?;
        Some(GroupRef { path, url: String::new() })
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "lenient")]
    action: String,
    #[serde(default, deserialize_with = "object_or_null")]
    project: Option<serde::de::IgnoredAny>,
    #[serde(default, deserialize_with = "lenient")]
    group: Group,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Group {
    #[serde(deserialize_with = "lenient")]
    full_path: String,
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
    state: String,
    #[serde(deserialize_with = "lenient")]
    start_date: String,
    #[serde(deserialize_with = "lenient")]
    due_date: String,
}

pub(super) fn decode(json: &str, _: &str) -> Result<Decoded, String> {
    let Raw { action, project, group, object_attributes: attributes } = parse(json)?;
    let of_group = project.is_none() && !group.full_path.is_empty();
    let milestone = Milestone {
        iid: attributes.iid,
        title: attributes.title,
        description: attributes.description,
        state: attributes.state,
        action,
        start_date: attributes.start_date,
        due_date: attributes.due_date,
        group_path: of_group.then_some(group.full_path),
    };
    Ok(Decoded {
        trigger: Some(Trigger::Milestone),
        subject: format!("milestone:{}", milestone.iid),
        payload: Payload::Milestone(Box::new(milestone)),
    })
}
