//! Kinds for which no message is composed. Most go to no integration (in GitLab, only webhooks and system hooks get
//! them): they are read only as far as needed to recognise and count them; then they are dropped on purpose. Those with
//! a trigger are forwarded as raw JSON.
//!
//! Their names: <https://docs.gitlab.com/administration/system_hooks/> and
//! <https://docs.gitlab.com/user/project/integrations/webhook_events/>.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::frame::{Body, Frame};
use super::read::{lenient, number, number_or_none, object};
use super::{Decoded, GroupRef, Payload, SharedStr, Trigger};

/// An emoji reaction was added or removed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Emoji {
    #[serde(deserialize_with = "lenient")]
    pub name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub action: SharedStr,
}

/// An access token is about to expire.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AccessToken {
    #[serde(deserialize_with = "lenient")]
    pub name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub expires_at: SharedStr,
}

/// A member joined, left, requested access, or changed role.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Member {
    #[serde(skip)]
    pub event_name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub user_username: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub group_path: SharedStr,
}

/// A subgroup or project was created, changed or removed in a group. One integration takes these, as raw JSON; changes of
/// a group itself go to system hooks only.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GroupChange {
    #[serde(skip)]
    pub event_name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub name: SharedStr,
    /// The forge's number of the group.
    #[serde(deserialize_with = "number_or_none")]
    pub group_id: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    pub full_path: SharedStr,
    /// The forge's number of the parent group.
    #[serde(deserialize_with = "number_or_none")]
    pub parent_group_id: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    pub parent_full_path: SharedStr,
    /// The path of a project.
    #[serde(deserialize_with = "lenient")]
    path_with_namespace: SharedStr,
}

impl GroupChange {
    /// The groups that exist after it, by the forge's number and full path.
    pub fn groups(&self) -> impl Iterator<Item = (i64, &str)> {
        let own = self.group_id.filter(|_| !self.event_name.ends_with("_destroy"));
        let named = [(own, &self.full_path), (self.parent_group_id, &self.parent_full_path)];
        named.into_iter().filter_map(|(id, path)| Some((id?, path.as_str())))
    }

    /// The flag that selects it, and the group whose own integrations are notified: the one that the subgroup or project is
    /// directly in. `None` for changes of a group itself, and where no group is named.
    fn routed(&self) -> Option<(Trigger, GroupRef)> {
        let (trigger, path) = match self.event_name.as_str() {
            name if happened_to("subgroup_", name) => (Trigger::Subgroup, self.parent_full_path.as_str()),
            name if happened_to("project_", name) => {
                (Trigger::Project, self.path_with_namespace.rsplit_once('/')?.0)
            }
            _ => return None,
        };
        (!path.is_empty()).then(|| (trigger, GroupRef { path: path.into(), url: SharedStr::default() }))
    }

    /// The group or project that changed. Its number stays the same where it is renamed or moved, and its name may be
    /// that of another one.
    fn subject(&self, frame: &Frame) -> String {
        let (kind, id, path) = if happened_to("project_", &self.event_name) {
            ("project", frame.project_id, &self.path_with_namespace)
        } else {
            ("group", self.group_id, &self.full_path)
        };
        match id.filter(|id| *id != 0) {
            Some(id) => format!("{kind}:{id}"),
            None if path.is_empty() => format!("{kind}:{}", self.name),
            None => format!("{kind}:{path}"),
        }
    }

    pub(super) fn parent_group(&self) -> Option<GroupRef> {
        self.routed().map(|(_, group)| group)
    }
}

/// Kinds whose name is the only part that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrouted {
    /// `user_create`, `user_failed_login` …: a person's account.
    User,
    /// `key_create`, `key_destroy`: a person's SSH key.
    Key,
    /// Sent once for a whole push, in addition to one `push` or `tag_push` event for each ref.
    RepositoryUpdate,
    /// A member's promotion to a role that needs a licence seat was requested, approved or denied.
    MemberApproval,
    /// A deploy token is about to expire.
    DeployToken,
}

impl Unrouted {
    /// The word for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Key => "key",
            Self::RepositoryUpdate => "repository_update",
            Self::MemberApproval => "member_approval",
            Self::DeployToken => "deploy_token",
        }
    }

    /// The kind with this `object_kind` or `event_name`.
    pub(super) fn of(kind: &str) -> Option<Self> {
        match kind {
            "repository_update" => Some(Self::RepositoryUpdate),
            "gitlab_subscription_member_approval" | "gitlab_subscription_member_approvals" => {
                Some(Self::MemberApproval)
            }
            "deploy_token" => Some(Self::DeployToken),
            _ if happened_to("user_", kind) => Some(Self::User),
            _ if happened_to("key_", kind) => Some(Self::Key),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(super) struct Raw<T> {
    #[serde(deserialize_with = "object")]
    object_attributes: T,
}

impl Body for Raw<Emoji> {
    fn decoded(self, _: &Frame) -> Result<Decoded, String> {
        Ok(unrouted("emoji".to_owned(), Payload::Emoji(self.object_attributes)))
    }
}

impl Body for Raw<AccessToken> {
    fn decoded(self, _: &Frame) -> Result<Decoded, String> {
        Ok(unrouted("access_token".to_owned(), Payload::AccessToken(self.object_attributes)))
    }
}

impl Body for Member {
    fn decoded(self, frame: &Frame) -> Result<Decoded, String> {
        let member = Self { event_name: frame.event_name.clone(), ..self };
        Ok(unrouted(format!("member:{}", member.user_username), Payload::Member(member)))
    }
}

impl Body for GroupChange {
    fn decoded(self, frame: &Frame) -> Result<Decoded, String> {
        let change = Self { event_name: frame.event_name.clone(), ..self };
        let trigger = change.routed().map(|(trigger, _)| trigger);
        Ok(Decoded { trigger, ..unrouted(change.subject(frame), Payload::GroupChange(change)) })
    }
}

/// A job's archived log. The JSON is not read here; one integration sends it unchanged.
#[derive(Deserialize)]
pub(super) struct ArchiveTrace {
    #[serde(default, deserialize_with = "number")]
    build_id: i64,
}

impl Body for ArchiveTrace {
    fn decoded(self, _: &Frame) -> Result<Decoded, String> {
        let trigger = Some(Trigger::ArchiveTrace);
        let subject = match self.build_id {
            0 => "archive_trace".to_owned(),
            id => format!("job:{id}"),
        };
        Ok(Decoded { trigger, ..unrouted(subject, Payload::ArchiveTrace) })
    }
}

/// A payload whose kind is the only part that is read.
#[derive(Deserialize)]
pub(super) struct KindAlone {}

impl Body for KindAlone {
    fn decoded(self, frame: &Frame) -> Result<Decoded, String> {
        let kind = frame.kind().and_then(Unrouted::of).ok_or("its kind is not known")?;
        Ok(unrouted(kind.name().to_owned(), Payload::Unrouted(kind)))
    }
}

fn unrouted(subject: String, payload: Payload) -> Decoded {
    Decoded { trigger: None, subject, payload }
}

/// `user_add_to_group`, `user_access_request_denied_for_project` …
pub(super) fn is_member_event(event_name: &str) -> bool {
    event_name.starts_with("user_")
        && (event_name.contains("_group") || event_name.contains("_team") || event_name.contains("_project"))
}

/// `subgroup_create`, `project_destroy` …
pub(super) fn is_group_event(event_name: &str) -> bool {
    ["subgroup_", "project_", "group_"].iter().any(|of| happened_to(of, event_name))
}

/// Whether a name is this prefix and a verb. The verb is not looked up in a list: later releases of GitLab add verbs
/// (`project_archived`), and none of them makes such an event one for integrations.
fn happened_to(prefix: &str, event_name: &str) -> bool {
    event_name.strip_prefix(prefix).is_some_and(|verb| !verb.is_empty())
}
