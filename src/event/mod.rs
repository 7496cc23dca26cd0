//! Events: a forge's webhook JSON, decoded once when it arrives.
//!
//! [`Event`] is the decoded event. Its [`Payload`] has one variant, and one file in this folder, for each kind of
//! event. [`Trigger`] is the integration flag that enables an event. Kinds that no integration takes have no
//! trigger; they are dropped on purpose, not by accident.
//! A new kind is declared in this file, in a file of its own, and by a sample in `samples`.
//! [`Undecodable`] explains to a person why bytes are not an event; such bytes go to quarantine.
//!
//! Decoding is lenient where GitLab's releases differ (absent and `null` fields read as empty). It is strict where
//! a wrong guess would produce a false notification (a push without a ref, JSON that is cut off).
//! This module must not use a clock or do IO, and it must not know which integrations want an event.
//!
//! The formats: <https://docs.gitlab.com/user/project/integrations/webhook_events/>.

mod alert;
mod deployment;
mod feature_flag;
mod frame;
mod group_mention;
mod issue;
mod job;
mod merge_request;
mod merge_request_action;
mod milestone;
mod note;
mod pipeline;
mod project;
mod push;
mod read;
mod release;
mod sample;
mod shared_str;
pub(crate) mod size;
#[cfg(test)]
mod tests;
mod time;
mod trigger;
mod unrouted;
mod vulnerability;
mod wiki_page;

use bytes::Bytes;
use bytestring::ByteString;
use jiff::Timestamp;
use serde_json::Value;

use frame::{Frame, Reader};
use read::excerpt;
use size::{MAX_ITEMS, MAX_VALUES};
use trigger::triggers;

pub use alert::Alert;
pub use deployment::{Decision, Deployment};
pub use feature_flag::FeatureFlag;
pub use group_mention::GroupMention;
pub use issue::{Issue, IssueKind};
pub use job::Job;
pub use merge_request::{Changed, MergeRequest, Replaced, Reviewer, ReviewersChanged, SystemAction};
pub use merge_request_action::MergeRequestAction;
pub use milestone::Milestone;
pub use note::{Note, Noteable};
pub use pipeline::{Build, ExternalBuild, Pipeline, PipelineMergeRequest, Upstream};
pub use project::{GroupRef, Label, Project, User};
pub use push::{Author, Commit, Push, RefChange, RefType};
pub use release::{AssetLink, Release};
pub use sample::{sample, sample_in};
pub use shared_str::SharedStr;
pub(crate) use shared_str::reading;
pub use time::parse_time;
pub use trigger::Triggers;
pub use unrouted::{AccessToken, Emoji, GroupChange, Member, Unrouted};
pub use vulnerability::Vulnerability;
pub use wiki_page::WikiPage;

triggers! {
    Push { name: "push", flag: "push_events", on_by_default: true }
    TagPush { name: "tag_push", flag: "tag_push_events", on_by_default: true }
    Issue { name: "issue", flag: "issues_events", on_by_default: true }
    ConfidentialIssue { name: "confidential_issue", flag: "confidential_issues_events", on_by_default: true }
    MergeRequest { name: "merge_request", flag: "merge_requests_events", on_by_default: true }
    Note { name: "note", flag: "note_events", on_by_default: true }
    ConfidentialNote { name: "confidential_note", flag: "confidential_note_events", on_by_default: true }
    Pipeline { name: "pipeline", flag: "pipeline_events", on_by_default: true }
    Job { name: "job", flag: "job_events", on_by_default: true }
    WikiPage { name: "wiki_page", flag: "wiki_page_events", on_by_default: true }
    Deployment { name: "deployment", flag: "deployment_events", on_by_default: false }
    Alert { name: "alert", flag: "alert_events", on_by_default: true }
    Incident { name: "incident", flag: "incident_events", on_by_default: false }
    Vulnerability { name: "vulnerability", flag: "vulnerability_events", on_by_default: false }
    GroupMention { name: "group_mention", flag: "group_mention_events", on_by_default: false }
    GroupConfidentialMention { name: "group_confidential_mention", flag: "group_confidential_mention_events", on_by_default: false }
    ArchiveTrace { name: "archive_trace", flag: "archive_trace_events", on_by_default: false }
    Subgroup { name: "subgroup", flag: "subgroup_events", on_by_default: true }
    Project { name: "project", flag: "project_events", on_by_default: true }
    /// GitLab sends these events to webhooks and to no integration. So these flags, and only these, are additions to
    /// GitLab's.
    Release { name: "release", flag: "release_events", on_by_default: false }
    FeatureFlag { name: "feature_flag", flag: "feature_flag_events", on_by_default: false }
    Milestone { name: "milestone", flag: "milestone_events", on_by_default: false }
}

/// The permanent id of an event: the broker's `message_id`, or the header `Idempotency-Key` / `X-Gitlab-Event-UUID`,
/// or a new id where the sender gave none. Two messages with the same id are the same event, dispatched once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(String);

impl EventId {
    /// [`EventId::new`] refuses longer ids: they are a mistake of the sender, and would bloat every index.
    pub const MAX_LEN: usize = 200;

    /// The id that a sender gave; `None` where it is blank, too long, or not printable ASCII.
    pub fn new(id: &str) -> Option<Self> {
        let id = id.trim();
        let printable = id.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        (!id.is_empty() && id.len() <= Self::MAX_LEN && printable).then(|| Self(id.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest full path of a project or group, in bytes. GitLab nests groups at most twenty levels deep.
pub const PATH_MAX_BYTES: usize = 1024;

/// The longest subject, in characters. Longer ones are cut. Events whose cut subjects are equal are then delivered in
/// order too.
const SUBJECT_MAX_CHARS: usize = 1024;

/// Every kind of event: see [`Event::kind`].
pub const KINDS: [&str; 27] = [
    "push",
    "tag_push",
    "issue",
    "work_item",
    "incident",
    "merge_request",
    "note",
    "pipeline",
    "job",
    "wiki_page",
    "deployment",
    "alert",
    "vulnerability",
    "group_mention",
    "release",
    "feature_flag",
    "emoji",
    "milestone",
    "access_token",
    "member",
    "group",
    "archive_trace",
    "user",
    "key",
    "repository_update",
    "member_approval",
    "deploy_token",
];

/// Something that happened in a forge.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: EventId,
    /// The integration flag that enables this event; `None` for kinds that no integration takes.
    pub trigger: Option<Trigger>,
    /// The project it happened in; `None` for events that belong to a group only.
    pub project: Option<Project>,
    /// The group whose integrations are notified, for group mentions.
    pub group: Option<GroupRef>,
    /// The object of the event within its project (`merge_request:1`, `ref:refs/heads/main`). Events with the same
    /// subject are delivered in order.
    pub subject: String,
    /// When the forge sent it: the broker's timestamp, or the time of arrival. Never a date from the payload, which
    /// says when the *subject* was created.
    pub occurred_at: Timestamp,
    pub payload: Payload,
    /// The JSON as it arrived, for services that get it unchanged.
    pub raw: Bytes,
}

/// The contents of an event, by kind.
#[derive(Clone, Debug)]
pub enum Payload {
    Push(Push),
    Issue(Issue),
    MergeRequest(Box<MergeRequest>),
    Note(Box<Note>),
    Pipeline(Box<Pipeline>),
    Job(Box<Job>),
    WikiPage(WikiPage),
    Deployment(Box<Deployment>),
    Alert(Alert),
    Vulnerability(Vulnerability),
    GroupMention(Box<GroupMention>),
    Release(Box<Release>),
    FeatureFlag(FeatureFlag),
    Emoji(Emoji),
    Milestone(Box<Milestone>),
    AccessToken(AccessToken),
    Member(Member),
    GroupChange(GroupChange),
    Unrouted(Unrouted),
    /// A job's log was archived. Only Datadog takes this kind, as raw JSON.
    ArchiveTrace,
}

/// Why bytes are not an event that Forgebell knows. The text goes to quarantine and to the sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    #[error("the body is JSON, but not an object")]
    NotAnObject,
    #[error("neither `object_kind` nor `event_name` says what kind of event this is")]
    NoKind,
    #[error(
        "the body has more than {MAX_VALUES} values, or more than {MAX_ITEMS} objects and lists in lists"
    )]
    TooManyValues,
    #[error("unknown kind of event `{0}`")]
    UnknownKind(String),
    #[error("not a readable `{kind}` event: {why}")]
    Malformed { kind: String, why: String },
}

/// The result of the reader of one kind, for [`Event::decode`].
struct Decoded {
    trigger: Option<Trigger>,
    subject: String,
    payload: Payload,
}

impl Event {
    /// Reads a webhook body. The path of the project may be a guess, which `Catalog::decode` corrects.
    ///
    /// # Errors
    /// [`Undecodable`] names what is wrong; the caller puts the bytes in quarantine with it.
    pub fn decode(id: EventId, occurred_at: Timestamp, raw: Bytes) -> Result<Self, Undecodable> {
        let json = ByteString::try_from(raw.clone()).map_err(|e| Undecodable::NotJson(e.to_string()))?;
        if size::has_too_many_values(&raw) {
            return Err(Undecodable::TooManyValues);
        }
        let (frame, decoded) = reading(&json, || frame::read(&json, reader_of))?;
        let project = reading(&json, || project_of(frame, &decoded.payload, &json));
        let group = match &decoded.payload {
            Payload::GroupMention(mention) => Some(mention.group()),
            Payload::GroupChange(change) => change.parent_group(),
            Payload::Milestone(milestone) => milestone.group(),
            _ => None,
        };
        let path_of_project = project.as_ref().map(|project| &project.path_with_namespace);
        for path in path_of_project.into_iter().chain(group.as_ref().map(|group| &group.path)) {
            check_path(path)
                .map_err(|why| Undecodable::Malformed { kind: decoded.payload.kind().to_owned(), why })?;
        }
        Ok(Self {
            id,
            trigger: decoded.trigger,
            project,
            group,
            subject: cut(decoded.subject, SUBJECT_MAX_CHARS),
            occurred_at,
            payload: decoded.payload,
            raw,
        })
    }

    /// The event with the ids of its project and groups removed from the JSON, so that only paths identify them. The JSON is
    /// otherwise unchanged, except for the order of its keys. `None` where the path alone does not identify the
    /// project or group. `located` corrects a guessed path, as it did for this event.
    #[must_use]
    pub fn without_ids(&self, located: impl FnOnce(Self) -> Self) -> Option<Self> {
        let mut json: Value = serde_json::from_slice(&self.raw).ok()?;
        let of_groups: &[(&str, &str)] = match self.payload {
            Payload::GroupChange(_) => &[("", "group_id"), ("", "parent_group_id")],
            _ => &[],
        };
        for (holder, name) in project::ID_PLACES.iter().chain(of_groups) {
            if let Some(object) = json.pointer_mut(holder).and_then(Value::as_object_mut) {
                object.remove(*name);
            }
        }
        let event = Self::decode(self.id.clone(), self.occurred_at, json.to_string().into()).ok()?;
        let event = located(event);
        let is_same = match (&self.project, &event.project) {
            (Some(before), Some(after)) => *after == Project { id: 0, ..before.clone() },
            // A change in a group names the project by number alone.
            (Some(before), None) => self.group.is_some() && before.path_with_namespace.is_empty(),
            (None, None) => self.group.is_some(),
            (None, Some(_)) => false,
        };
        (is_same && self.group == event.group).then_some(event)
    }

    /// The project, if its path is only a guess: see [`Project::has_guessed_path`].
    pub fn guessed_project(&self) -> Option<&Project> {
        self.project.as_ref().filter(|project| project.has_guessed_path)
    }

    /// The event with this path of its project in place of a guessed one.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        if let Some(project) = self.project.as_mut().filter(|project| project.has_guessed_path) {
            project.path_with_namespace = path.into();
            project.has_guessed_path = false;
        }
        self
    }

    /// The kind as the forge names it, for logs and metrics: one of a fixed set.
    pub fn kind(&self) -> &'static str {
        self.payload.kind()
    }

    /// The user who caused the event, if the payload names one.
    pub fn user(&self) -> Option<&User> {
        self.payload.user()
    }
}

impl Payload {
    /// See [`Event::kind`].
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Push(push) if push.ref_type() == RefType::Tag => "tag_push",
            Self::Push(_) => "push",
            Self::Issue(issue) => issue.kind.name(),
            Self::MergeRequest(_) => "merge_request",
            Self::Note(_) => "note",
            Self::Pipeline(_) => "pipeline",
            Self::Job(_) => "job",
            Self::WikiPage(_) => "wiki_page",
            Self::Deployment(_) => "deployment",
            Self::Alert(_) => "alert",
            Self::Vulnerability(_) => "vulnerability",
            Self::GroupMention(_) => "group_mention",
            Self::Release(_) => "release",
            Self::FeatureFlag(_) => "feature_flag",
            Self::Emoji(_) => "emoji",
            Self::Milestone(_) => "milestone",
            Self::AccessToken(_) => "access_token",
            Self::Member(_) => "member",
            Self::GroupChange(_) => "group",
            Self::Unrouted(kind) => kind.name(),
            Self::ArchiveTrace => "archive_trace",
        }
    }

    fn user(&self) -> Option<&User> {
        match self {
            Self::Push(push) => Some(&push.user),
            Self::Issue(issue) => issue.user.as_ref(),
            Self::MergeRequest(mr) => mr.user.as_ref().filter(|_| mr.by_system.is_none()),
            Self::Note(note) => note.actor(),
            Self::Pipeline(pipeline) => pipeline.user.as_ref(),
            Self::Job(job) => job.user.as_ref(),
            Self::WikiPage(page) => page.user.as_ref(),
            Self::Deployment(deployment) => deployment.actor(),
            Self::GroupMention(mention) => mention.user.as_ref(),
            Self::FeatureFlag(flag) => flag.user.as_ref(),
            _ => None,
        }
    }
}

/// Refuses a path that is too long. It must not be cut, because a cut path would name other integrations and rows.
fn check_path(path: &str) -> Result<(), String> {
    if path.len() <= PATH_MAX_BYTES {
        return Ok(());
    }
    let (length, start) = (path.len(), excerpt(path, KIND_MAX_CHARS));
    Err(format!("its path `{start}…` has {length} bytes: a path has at most {PATH_MAX_BYTES}"))
}

/// The start of a text.
fn cut(mut text: String, max_chars: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(max_chars) {
        text.truncate(end);
    }
    text
}

/// How much of a kind's name is quoted in an error.
const KIND_MAX_CHARS: usize = 60;

/// The reader of payloads of a kind; `None` for kinds that are not known.
fn reader_of(kind: &str) -> Option<Reader> {
    Some(match kind {
        "push" | "tag_push" => Reader::of::<push::Raw>(),
        "issue" | "work_item" | "incident" | "confidential_issue" | "confidential_work_item" => {
            Reader::of::<issue::Raw>()
        }
        "merge_request" => Reader::of::<merge_request::Raw>(),
        "note" => Reader::of::<note::Raw>(),
        "pipeline" => Reader::of::<pipeline::Raw>(),
        "build" | "job" => Reader::of::<Job>(),
        "wiki_page" => Reader::of::<wiki_page::Raw>(),
        "deployment" => Reader::of::<Deployment>(),
        "alert" => Reader::of::<alert::Raw>(),
        "vulnerability" => Reader::of::<vulnerability::Raw>(),
        "group_mention" => Reader::of::<group_mention::Raw>(),
        "release" => Reader::of::<Release>(),
        "feature_flag" => Reader::of::<feature_flag::Raw>(),
        "emoji" => Reader::of::<unrouted::Raw<Emoji>>(),
        "milestone" => Reader::of::<milestone::Raw>(),
        "access_token" => Reader::of::<unrouted::Raw<AccessToken>>(),
        "archive_trace" => Reader::of::<unrouted::ArchiveTrace>(),
        _ if unrouted::is_member_event(kind) => Reader::of::<Member>(),
        _ if unrouted::is_group_event(kind) => Reader::of::<GroupChange>(),
        other => return Unrouted::of(other).map(|_| Reader::of::<unrouted::KindAlone>()),
    })
}

fn project_of(frame: Frame, payload: &Payload, json: &str) -> Option<Project> {
    let project = match (frame.project, payload) {
        (Some(project), _) => Some(project),
        (None, Payload::Vulnerability(found)) => found.project(),
        (None, _) => None,
    };
    let id = frame.project_id.unwrap_or_default();
    match project {
        Some(project) if project.id != 0 || id != 0 => Some(project.with_id(id)),
        known => project::in_old_places(known, id, json),
    }
}
