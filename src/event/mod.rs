//! WHAT HAPPENED: a forge's webhook JSON, decoded once where it arrives.
//!
//! [`Event`] is the typed whole. Its [`Payload`] has one variant, and one file in this folder, per kind of
//! thing that a forge speaks of. [`Trigger`] is the integration flag that an event answers to; kinds that no
//! integration takes have none, and are dropped on purpose rather than by accident.
//! [`Undecodable`] says, in words for a person, why bytes are no event; such bytes go to quarantine.
//!
//! Decoding is lenient where GitLab's own releases differ (absent and `null` fields read as empty) and strict
//! where a wrong guess would tell people something false (a push without a ref, JSON that is cut off).
//! Absent here: clocks, IO, and any knowledge of who wants to hear of an event.
//!
//! Raw facts: <https://docs.gitlab.com/user/project/integrations/webhook_events/>.

mod alert;
mod deployment;
mod group_mention;
mod issue;
mod job;
mod merge_request;
mod note;
mod pipeline;
mod project;
mod push;
mod read;
mod sample;
#[cfg(test)]
mod tests;
mod time;
mod trigger;
mod unrouted;
mod vulnerability;
mod wiki_page;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use read::{excerpt, lenient, object_or_null, parse};

pub use alert::Alert;
pub use deployment::Deployment;
pub use group_mention::GroupMention;
pub use issue::{Issue, IssueKind};
pub use job::Job;
pub use merge_request::{MergeRequest, ReviewersChanged};
pub use note::{Note, Noteable};
pub use pipeline::{Build, Pipeline, PipelineMergeRequest};
pub use project::{GroupRef, Label, Project, User};
pub use push::{Author, Commit, Push, RefChange, RefType};
pub use sample::sample;
pub use time::parse_time;
pub use trigger::{Trigger, Triggers};
pub use unrouted::{AccessToken, Emoji, FeatureFlag, GroupChange, Member, Milestone, Release};
pub use vulnerability::Vulnerability;
pub use wiki_page::WikiPage;

/// Names an event for ever: the broker's `message_id`, or the header `Idempotency-Key` / `X-Gitlab-Event-UUID`,
/// or a fresh id where the sender gave none. The same id twice is the same event, and is dispatched once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(String);

impl EventId {
    /// Longer ids are refused by [`EventId::new`]: they are somebody's mistake, and would bloat every index.
    pub const MAX_LEN: usize = 200;

    /// An id as its sender gave it; `None` where it is blank, too long, or not printable ASCII.
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

/// Something that happened in a forge.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: EventId,
    /// The integration flag that this event answers to; `None` for kinds that no integration takes.
    pub trigger: Option<Trigger>,
    /// The project it happened in; `None` for events of a group alone.
    pub project: Option<Project>,
    /// The group whose integrations hear of it, for group mentions.
    pub group: Option<GroupRef>,
    /// The thing spoken of, within its project: what ordering is kept for (`merge_request:1`, `ref:refs/heads/main`).
    pub subject: String,
    /// When the forge said it: the broker's timestamp, or the moment of arrival. Never a date out of the payload,
    /// which tells when the *thing* was made.
    pub occurred_at: Timestamp,
    pub payload: Payload,
    /// The JSON as it came, for services that get it unchanged.
    pub raw: Bytes,
}

/// What an event is about, by kind.
#[derive(Clone, Debug)]
pub enum Payload {
    Push(Push),
    Issue(Issue),
    MergeRequest(Box<MergeRequest>),
    Note(Box<Note>),
    Pipeline(Box<Pipeline>),
    Job(Box<Job>),
    WikiPage(WikiPage),
    Deployment(Deployment),
    Alert(Alert),
    Vulnerability(Vulnerability),
    GroupMention(Box<GroupMention>),
    Release(Release),
    FeatureFlag(FeatureFlag),
    Emoji(Emoji),
    Milestone(Milestone),
    AccessToken(AccessToken),
    Member(Member),
    GroupChange(GroupChange),
    /// A job's log was archived; only Datadog takes it, from the raw JSON.
    ArchiveTrace,
}

/// Why bytes are no event that we know: the words go to quarantine and to the sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    #[error("the body is no JSON: {0}")]
    NotJson(String),
    #[error("the body is JSON, but no object")]
    NotAnObject,
    #[error("neither `object_kind` nor `event_name` says what kind of event this is")]
    NoKind,
    #[error("unknown kind of event `{0}`")]
    UnknownKind(String),
    #[error("not a readable `{kind}` event: {why}")]
    Malformed { kind: String, why: String },
}

/// What every payload is asked first: which kind it is, and what most kinds share.
#[derive(Deserialize)]
struct Frame {
    #[serde(default, deserialize_with = "lenient")]
    object_kind: String,
    #[serde(default, deserialize_with = "lenient")]
    event_name: String,
    #[serde(default, deserialize_with = "lenient")]
    event_type: String,
    #[serde(default, deserialize_with = "object_or_null")]
    project: Option<Project>,
    #[serde(default)]
    project_id: Option<i64>,
}

/// What a payload file gives back to [`Event::decode`].
struct Decoded {
    trigger: Option<Trigger>,
    subject: String,
    payload: Payload,
}

impl Event {
    /// Reads a webhook body.
    ///
    /// # Errors
    /// [`Undecodable`] names what is wrong; the caller puts the bytes in quarantine with it.
    pub fn decode(id: EventId, occurred_at: Timestamp, raw: Bytes) -> Result<Self, Undecodable> {
        let json = std::str::from_utf8(&raw).map_err(|e| Undecodable::NotJson(e.to_string()))?;
        let frame = frame(json)?;
        let decoded = decode_kind(&frame, json)?;
        let project = project_of(frame, &decoded.payload);
        let group = match &decoded.payload {
            Payload::GroupMention(mention) => Some(mention.group()),
            _ => None,
        };
        Ok(Self {
            id,
            trigger: decoded.trigger,
            project,
            group,
            subject: decoded.subject,
            occurred_at,
            payload: decoded.payload,
            raw,
        })
    }

    /// The same of a project that is known by its path alone: the forge's number for it is taken out of the JSON, which
    /// is otherwise the same (if its keys are in another order). `None` where that can't be done.
    #[must_use]
    pub fn without_project_number(&self) -> Option<Self> {
        let mut json: Value = serde_json::from_slice(&self.raw).ok()?;
        json.as_object_mut()?.remove("project_id");
        for holder in [("project", "id"), ("object_attributes", "project_id")] {
            if let Some(object) = json.get_mut(holder.0).and_then(Value::as_object_mut) {
                object.remove(holder.1);
            }
        }
        let event = Self::decode(self.id.clone(), self.occurred_at, json.to_string().into()).ok()?;
        let (before, after) = (self.project.as_ref()?, event.project.as_ref()?);
        let is_same = *after == Project { id: 0, ..before.clone() };
        is_same.then_some(event)
    }

    /// The kind in the forge's own word, as logs and metrics show it: one of a fixed set.
    pub fn kind(&self) -> &'static str {
        self.payload.kind()
    }

    /// Who did it, where the payload says so.
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
            Self::ArchiveTrace => "archive_trace",
        }
    }

    fn user(&self) -> Option<&User> {
        match self {
            Self::Push(push) => Some(&push.user),
            Self::Issue(issue) => issue.user.as_ref(),
            Self::MergeRequest(mr) => mr.user.as_ref(),
            Self::Note(note) => note.user.as_ref(),
            Self::Pipeline(pipeline) => pipeline.user.as_ref(),
            Self::Job(job) => job.user.as_ref(),
            Self::WikiPage(page) => page.user.as_ref(),
            Self::Deployment(deployment) => deployment.user.as_ref(),
            Self::GroupMention(mention) => mention.user.as_ref(),
            _ => None,
        }
    }
}

/// How much is quoted of a word that names a kind, known or not.
const KIND_MAX_CHARS: usize = 60;

fn frame(json: &str) -> Result<Frame, Undecodable> {
    if !json.trim_start().starts_with('{') {
        return Err(match serde_json::from_str::<IgnoredAny>(json) {
            Ok(_) => Undecodable::NotAnObject,
            Err(error) => Undecodable::NotJson(error.to_string()),
        });
    }
    parse(json).map_err(|why| match serde_json::from_str::<Value>(json) {
        Ok(body) => {
            let kind = ["object_kind", "event_name"].iter().find_map(|name| body[name].as_str());
            Undecodable::Malformed { kind: excerpt(kind.unwrap_or("?"), KIND_MAX_CHARS), why }
        }
        Err(error) => Undecodable::NotJson(error.to_string()),
    })
}

fn decode_kind(frame: &Frame, json: &str) -> Result<Decoded, Undecodable> {
    let mut kinds = [&frame.object_kind, &frame.event_name].into_iter().map(String::as_str);
    let kind = kinds.find(|kind| !kind.is_empty()).ok_or(Undecodable::NoKind)?;
    let decode: fn(&str, &str) -> Result<Decoded, String> = match kind {
        "push" | "tag_push" => push::decode,
        "issue" | "work_item" | "incident" => issue::decode,
        "merge_request" => merge_request::decode,
        "note" => note::decode,
        "pipeline" => pipeline::decode,
        "build" | "job" => job::decode,
        "wiki_page" => wiki_page::decode,
        "deployment" => deployment::decode,
        "alert" => alert::decode,
        "vulnerability" => vulnerability::decode,
        "group_mention" => group_mention::decode,
        "release" => unrouted::release,
        "feature_flag" => unrouted::feature_flag,
        "emoji" => unrouted::emoji,
        "milestone" => unrouted::milestone,
        "access_token" => unrouted::access_token,
        "archive_trace" => |_, _| Ok(unrouted::archive_trace()),
        _ if unrouted::is_member_event(kind) => unrouted::member,
        _ if unrouted::is_group_event(kind) => unrouted::group_change,
        unknown => return Err(Undecodable::UnknownKind(excerpt(unknown, KIND_MAX_CHARS))),
    };
    decode(json, &frame.event_type)
        .map_err(|why| Undecodable::Malformed { kind: excerpt(kind, KIND_MAX_CHARS), why })
}

fn project_of(frame: Frame, payload: &Payload) -> Option<Project> {
    let project = match (frame.project, payload) {
        (Some(project), _) => Some(project),
        (None, Payload::Vulnerability(found)) => found.project(),
        (None, _) => frame.project_id.map(Project::only_id),
    };
    project.map(|project| project.with_id(frame.project_id))
}
