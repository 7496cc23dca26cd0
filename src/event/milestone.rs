//! Milestones, of projects and of groups.

use serde::Deserialize;

use super::frame::{Body, Frame};
use super::read::{lenient, number, object};
use super::{Decoded, GroupRef, Payload, SharedStr, Trigger};

/// A milestone was created, closed, reopened or deleted. The payload does not say by whom.
#[derive(Clone, Debug, Default)]
pub struct Milestone {
    pub iid: i64,
    pub title: SharedStr,
    pub description: SharedStr,
    /// `active`, `closed`.
    pub state: SharedStr,
    /// `create`, `close`, `reopen`, `delete`.
    pub action: SharedStr,
    /// Days, as `2025-06-30`; empty where none is set.
    pub start_date: SharedStr,
    pub due_date: SharedStr,
    /// The full path of the group that it belongs to, if it belongs to a group.
    group_path: Option<SharedStr>,
}

impl Milestone {
    /// The group whose own integrations are notified; `None` for a project's milestone.
    pub(super) fn group(&self) -> Option<GroupRef> {
        let path = self.group_path.clone()?;
        Some(GroupRef { path, url: SharedStr::default() })
    }
}

#[derive(Deserialize)]
pub(super) struct Raw {
    #[serde(default, deserialize_with = "lenient")]
    action: SharedStr,
    #[serde(default, deserialize_with = "lenient")]
    group: Group,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Group {
    #[serde(deserialize_with = "lenient")]
    full_path: SharedStr,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "number")]
    iid: i64,
    #[serde(deserialize_with = "lenient")]
    title: SharedStr,
    #[serde(deserialize_with = "lenient")]
    description: SharedStr,
    #[serde(deserialize_with = "lenient")]
    state: SharedStr,
    #[serde(deserialize_with = "lenient")]
    start_date: SharedStr,
    #[serde(deserialize_with = "lenient")]
    due_date: SharedStr,
}

impl Body for Raw {
    fn decoded(self, frame: &Frame) -> Result<Decoded, String> {
        let Self { action, group, object_attributes: attributes } = self;
        let of_group = frame.project.is_none() && !group.full_path.is_empty();
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
}
