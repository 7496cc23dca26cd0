//! The objects of the API, each declared once: the struct is what the API answers and what commands print with `--json`,
//! and its schema is part of the OpenAPI document. Keys have the order of the fields, and a key without a value is null.
//!
//! This module turns rows and outcomes into objects. It decides nothing, and reads neither store nor clock.

mod commit_status;
mod delivery;
mod event;
mod external_tracker;
mod flags;
mod integration;
mod introduction;
mod status;
mod trial;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, OneOfBuilder, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::adapters::ADAPTERS;
use crate::event::EventId;
use crate::store::Quarantined as StoredQuarantined;
use crate::store::registry::{AuditLine, StoredGroup, StoredProject, Visibility};
pub use commit_status::CommitStatus;
pub use delivery::{Attempt, Delivery, DeliveryDetail, Hold, Step};
pub use event::{Comparison, Decision, LoggedDelivery, LoggedEvent, LoggedEventDetail, LoggedVerdict};
pub use external_tracker::{ExternalIssue, ExternalTracker};
pub use integration::{
    DeadAddress, FurtherFlags, GitLabFlags, Integration, IntegrationBasic, IntegrationHead,
    IntegrationHealth, IntegrationTail, Resumed, SavedIntegration, ShownProperties, ShownValue,
};
pub use introduction::{Kas, Metadata, User};
pub use status::{Status, StatusDeadLetters, StatusHeld, StatusPart};
pub use trial::{
    AttemptOutcome, Exchange, ExplainedProject, Explanation, Target, Test, TestAttempt, Verdict, VerdictKind,
};

/// A moment in UTC with milliseconds: `2024-05-09T08:07:06.123Z`, as GitLab writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
    }
}

impl ToSchema for Moment {}

/// A text that is one of these.
pub(super) fn one_of(names: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names))
}

pub(super) fn slugs() -> Schema {
    one_of(ADAPTERS.iter().map(|entry| entry.about.slug)).into()
}

/// What is known of a project: what files say, else what was set by the API, else what its events say.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Project {
    /// The forge's number; null where only the path is known yet.
    #[schema(required)]
    pub id: Option<i64>,
    /// Its full path, where that is known.
    #[schema(required)]
    pub path_with_namespace: Option<String>,
    #[schema(required)]
    pub default_branch: Option<String>,
    #[schema(required, schema_with = nullable_visibilities)]
    pub visibility: Option<&'static str>,
    /// Names and wildcards; null where they are not known.
    #[schema(required)]
    pub protected_branches: Option<Vec<String>>,
    pub created_at: Moment,
    pub updated_at: Moment,
}

/// Who may see a project, or null.
pub(super) fn nullable_visibilities() -> Schema {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    let visibility = one_of(Visibility::ALL.map(Visibility::name));
    OneOfBuilder::new().item(null).item(visibility).into()
}

impl Project {
    pub(super) fn new(
        project: &StoredProject,
        default_branch: Option<String>,
        protected_branches: Option<Vec<String>>,
    ) -> Self {
        let StoredProject { learned, corrected, .. } = project;
        Self {
            id: project.number(),
            path_with_namespace: project.path.clone(),
            default_branch,
            visibility: corrected.visibility.or(learned.visibility).map(Visibility::name),
            protected_branches,
            created_at: Moment(project.created_at),
            updated_at: Moment(project.updated_at),
        }
    }
}

/// What is known of a group.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Group {
    /// The forge's number, where that is known.
    #[schema(required)]
    pub id: Option<i64>,
    #[schema(required)]
    pub full_path: Option<String>,
    /// Null where only a provisioning file names the group.
    #[schema(required)]
    pub created_at: Option<Moment>,
}

impl From<&StoredGroup> for Group {
    fn from(group: &StoredGroup) -> Self {
        Self { id: group.id, full_path: group.path.clone(), created_at: Some(Moment(group.created_at)) }
    }
}

/// A message that is not an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Quarantined {
    pub id: i64,
    pub source: String,
    /// The token that it came with, if that reaches only a part of the instance: `token 3`.
    #[schema(required)]
    pub sender: Option<String>,
    /// The sender's id for it, where it had one.
    #[schema(required)]
    pub event: Option<String>,
    pub reason: String,
    pub received_at: Moment,
    /// In bytes.
    pub size: usize,
}

impl From<&StoredQuarantined> for Quarantined {
    fn from(item: &StoredQuarantined) -> Self {
        Self {
            id: item.number,
            source: item.source.clone(),
            sender: item.sender.clone(),
            event: item.id.as_ref().map(|id| EventId::as_str(id).to_owned()),
            reason: item.reason.clone(),
            received_at: Moment(item.received_at),
            size: item.size,
        }
    }
}

/// A message that is not an event, with its body.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct QuarantinedDetail {
    #[serde(flatten)]
    pub item: Quarantined,
    /// The body as it came; bytes that are not UTF-8 are replaced.
    pub body: String,
}

impl QuarantinedDetail {
    pub fn new(item: &StoredQuarantined, raw: &[u8]) -> Self {
        Self { item: item.into(), body: String::from_utf8_lossy(raw).into_owned() }
    }
}

/// One change, and who made it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AuditEvent {
    pub id: i64,
    pub at: Moment,
    pub who: String,
    pub action: String,
    pub object: String,
    /// The names of what changed, never a value.
    pub fields: Vec<String>,
}

impl From<&AuditLine> for AuditEvent {
    fn from(line: &AuditLine) -> Self {
        Self {
            id: line.id,
            at: Moment(line.at),
            who: line.who.clone(),
            action: line.action.clone(),
            object: line.object.clone(),
            fields: line.fields.clone(),
        }
    }
}

/// What a chat service shows as the answer to a slash command.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CommandAnswer {
    #[schema(schema_with = response_types)]
    pub response_type: &'static str,
    pub text: String,
}

fn response_types() -> Schema {
    one_of(["ephemeral", "in_channel"]).into()
}

/// The answer to an event that was received.
#[derive(Clone, Debug, Serialize)]
pub struct EventReceived {
    /// The event's id, where the body is an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `accepted`, or else what was done with the event and why.
    pub result: String,
}

/// The answer of `/healthz`.
#[derive(Clone, Debug, Serialize)]
pub struct Alive {
    pub status: &'static str,
}

/// The answer of `/readyz`: `ok` for a part that works, else the reason, or a fixed text for clients on other hosts.
/// Parts that are not configured are left out.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    pub status: &'static str,
    pub store: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reload: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_milliseconds_and_are_in_utc() {
        let moment = Moment(Timestamp::constant(1_768_469_400, 123_456_789));
        assert_eq!(serde_json::to_value(moment).unwrap(), "2026-01-15T09:30:00.123Z");
        let whole = Moment(Timestamp::constant(1_768_469_401, 0));
        assert_eq!(serde_json::to_value(whole).unwrap(), "2026-01-15T09:30:01.000Z");
    }
}
