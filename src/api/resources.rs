//! The objects of the API, each declared once: the struct is what the API answers and what commands print with `--json`,
//! and its schema is part of the OpenAPI document. Keys have the order of the fields, and a key without a value is null.
//!
//! This module turns rows and outcomes into objects. It decides nothing, and reads neither store nor clock.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value as Json;
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::v4::flags::{self, SHOWN, SHOWN_LAST};
use crate::adapters::ADAPTERS;
use crate::event::{Event, EventId, Trigger};
use crate::pipeline::attempt::Report;
use crate::pipeline::dispatch::Verdict as Decision;
use crate::pipeline::explain::{NOTHING_TO_TELL, muted};
use crate::pipeline::rehearsal::Rehearsal;
use crate::pipeline::retry::Outcome;
use crate::pipeline::trace::{answer_json, outcome, request_json};
use crate::settings::{Secrets, Value};
use crate::store::registry::{AuditLine, StoredGroup, StoredProject, Visibility};
use crate::store::{self, DeliveryLine, NewDelivery, Quarantined as StoredQuarantined, State, StoredAttempt};

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

pub(super) fn visibilities() -> Schema {
    one_of(Visibility::ALL.map(Visibility::name)).into()
}

fn states() -> Schema {
    one_of(State::ALL.map(State::name)).into()
}

// ---- integrations ----------------------------------------------------------------------------------------------------

/// An integration as lists show it. The keys up to `inherited` are GitLab's, in GitLab's order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IntegrationBasic {
    #[serde(flatten)]
    pub head: IntegrationHead,
    #[serde(flatten)]
    pub tail: IntegrationTail,
}

/// An integration as it is shown alone.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Integration {
    #[serde(flatten)]
    pub head: IntegrationHead,
    /// Every setting of the service but its secrets: as it was set, else its default, else null.
    #[schema(value_type = Object)]
    pub properties: ShownProperties,
    #[serde(flatten)]
    pub tail: IntegrationTail,
}

/// What GitLab shows of an integration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IntegrationHead {
    /// Its number; null where a file configures it.
    #[schema(required)]
    pub id: Option<i64>,
    pub title: &'static str,
    #[schema(schema_with = slugs)]
    pub slug: &'static str,
    #[schema(required)]
    pub created_at: Option<Moment>,
    #[schema(required)]
    pub updated_at: Option<Moment>,
    pub active: bool,
    #[serde(flatten)]
    pub flags: GitLabFlags,
    /// Whether it follows a default of a group above or of the instance.
    pub inherited: bool,
}

/// What Forgebell shows beside that.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IntegrationTail {
    #[serde(flatten)]
    pub flags: FurtherFlags,
    /// The provisioning file that configures it; null where it was set by the API.
    #[schema(required)]
    pub origin: Option<String>,
}

/// A list of event flags, all of which an object shows.
macro_rules! shown_flags {
    ($(#[$doc:meta])* $name:ident, $names:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(
            /// The flags that were ever set.
            pub BTreeMap<String, bool>,
        );

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map($names.into_iter().map(|flag| (flag, flags::is_on(&self.0, flag))))
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let flag = || ObjectBuilder::new().schema_type(Type::Boolean);
                let object = ObjectBuilder::new().schema_type(Type::Object);
                $names.into_iter().fold(object, |object, name| object.property(name, flag()).required(name)).into()
            }
        }

        impl ToSchema for $name {}
    };
}

shown_flags!(
    /// The event flags that GitLab shows.
    GitLabFlags,
    SHOWN
);
shown_flags!(
    /// The event flags that GitLab accepts and does not show.
    FurtherFlags,
    SHOWN_LAST
);

/// Settings with their values, in the order of their declaration.
#[derive(Clone, Debug)]
pub struct ShownProperties(pub Vec<(Cow<'static, str>, Option<Value>)>);

impl Serialize for ShownProperties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

// ---- projects and groups ---------------------------------------------------------------------------------------------

/// What is known of a project: what files say, else what was set by the API, else what its events say.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Project {
    /// The forge's number.
    pub id: i64,
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

fn nullable_visibilities() -> Schema {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    utoipa::openapi::OneOfBuilder::new().item(null).item(visibilities()).into()
}

impl Project {
    pub(super) fn new(
        project: &StoredProject,
        default_branch: Option<String>,
        protected_branches: Option<Vec<String>>,
    ) -> Self {
        let StoredProject { learned, corrected, .. } = project;
        Self {
            id: project.id,
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

// ---- deliveries ------------------------------------------------------------------------------------------------------

/// One message to one target.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Delivery {
    pub id: i64,
    #[schema(schema_with = states)]
    pub state: &'static str,
    /// The event's id.
    pub event: String,
    #[schema(required)]
    pub trigger: Option<String>,
    /// What the event is about.
    pub subject: String,
    /// The integration's name: its project or group, and its service.
    pub integration: String,
    /// The channel or recipient; empty where the settings' address has its own.
    pub target: String,
    /// What rate limits and holds belong to.
    pub destination: String,
    pub attempts: u32,
    /// When the next attempt is due, while it waits.
    #[schema(required)]
    pub due: Option<Moment>,
    pub created_at: Moment,
    #[schema(required)]
    pub settled_at: Option<Moment>,
    /// The result of the last attempt.
    #[schema(required)]
    pub note: Option<String>,
}

impl From<&DeliveryLine> for Delivery {
    fn from(line: &DeliveryLine) -> Self {
        Self {
            id: line.id.0,
            state: line.state.name(),
            event: line.event.as_str().to_owned(),
            trigger: line.trigger.clone(),
            subject: line.subject.clone(),
            integration: line.integration.to_string(),
            target: line.target.clone(),
            destination: line.destination.clone(),
            attempts: line.attempts,
            due: line.due.map(Moment),
            created_at: Moment(line.created_at),
            settled_at: line.settled_at.map(Moment),
            note: line.last_note.clone(),
        }
    }
}

/// A delivery with its attempts and its event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeliveryDetail {
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Oldest first.
    pub attempt_records: Vec<Attempt>,
    /// Why it waits, where a hold is the reason.
    #[schema(required)]
    pub hold: Option<Hold>,
    /// The event, as it came.
    #[schema(value_type = Value)]
    pub payload: Json,
}

impl From<&store::DeliveryDetail> for DeliveryDetail {
    fn from(detail: &store::DeliveryDetail) -> Self {
        let as_text = || Json::from(String::from_utf8_lossy(&detail.raw));
        Self {
            delivery: (&detail.line).into(),
            attempt_records: detail.attempts.iter().map(Attempt::from).collect(),
            hold: detail.hold.as_ref().map(Hold::from),
            payload: serde_json::from_slice(&detail.raw).unwrap_or_else(|_| as_text()),
        }
    }
}

/// One attempt at a delivery.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Attempt {
    /// Counts from one.
    pub number: u32,
    pub at: Moment,
    pub outcome: String,
    /// The HTTP status or the mail server's reply code, where there was one.
    #[schema(required)]
    pub status: Option<u16>,
    pub latency_ms: u32,
    pub note: String,
}

impl From<&(u32, StoredAttempt)> for Attempt {
    fn from((number, attempt): &(u32, StoredAttempt)) -> Self {
        Self {
            number: *number,
            at: Moment(attempt.at),
            outcome: attempt.outcome.clone(),
            status: attempt.status,
            latency_ms: attempt.latency_ms,
            note: attempt.note.clone(),
        }
    }
}

/// Nothing is sent before this moment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Hold {
    pub until: Moment,
    pub why: String,
}

impl From<&store::Hold> for Hold {
    fn from(hold: &store::Hold) -> Self {
        Self { until: Moment(hold.until), why: hold.why.clone() }
    }
}

// ---- tests and explanations ------------------------------------------------------------------------------------------

/// The result of a test of an integration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Test {
    /// Whether every target accepted the message.
    pub success: bool,
    #[schema(required)]
    pub trigger: Option<&'static str>,
    /// The result in a sentence.
    pub message: String,
    /// One for each target.
    pub attempts: Vec<TestAttempt>,
}

impl Test {
    pub(super) fn new(event: &Event, attempts: Vec<TestAttempt>) -> Self {
        let failed = attempts.iter().find(|attempt| !attempt.success);
        let message = match failed {
            _ if attempts.is_empty() => NOTHING_TO_TELL.to_owned(),
            None => "it was taken".to_owned(),
            Some(TestAttempt { outcome, .. }) => format!("{}: {}", outcome.outcome, outcome.note),
        };
        Self {
            success: !attempts.is_empty() && failed.is_none(),
            trigger: event.trigger.map(Trigger::name),
            message,
            attempts,
        }
    }
}

/// A test's attempt at one target.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TestAttempt {
    #[serde(flatten)]
    pub outcome: AttemptOutcome,
    pub success: bool,
    /// Every request with its answer, without secrets.
    pub exchanges: Vec<Exchange>,
}

impl TestAttempt {
    pub(super) fn new(target: &str, rehearsal: &Rehearsal, secrets: &Secrets) -> Self {
        let exchange = |exchange: &crate::pipeline::rehearsal::Exchange| Exchange {
            request: secrets.mask_json(request_json(&exchange.request)),
            answer: secrets.mask_json(answer_json(&exchange.answer)),
        };
        Self {
            outcome: AttemptOutcome::new(target, &rehearsal.report, secrets),
            success: matches!(rehearsal.report.outcome, Outcome::Delivered(_)),
            exchanges: rehearsal.exchanges.iter().map(exchange).collect(),
        }
    }

    /// No attempt, because the service's rate limit does not allow one before `wait` is over.
    pub(super) fn throttled(target: &str, wait: std::time::Duration) -> Self {
        let note = format!("too much was sent there of late: try again in {} s", wait.as_secs() + 1);
        let outcome = AttemptOutcome {
            target: target.to_owned(),
            outcome: "throttled",
            status: None,
            latency_ms: None,
            note,
        };
        Self { outcome, success: false, exchanges: Vec::new() }
    }
}

/// How an attempt at one target ended.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AttemptOutcome {
    pub target: String,
    pub outcome: &'static str,
    #[schema(required)]
    pub status: Option<u16>,
    #[schema(required)]
    pub latency_ms: Option<u64>,
    /// Why it was not accepted.
    pub note: String,
}

impl AttemptOutcome {
    pub fn new(target: &str, report: &Report, secrets: &Secrets) -> Self {
        let (outcome, note) = outcome(&report.outcome);
        Self {
            target: target.to_owned(),
            outcome,
            status: report.status,
            latency_ms: report.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            note: secrets.mask(note.to_owned()),
        }
    }
}

/// A request and its answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Exchange {
    #[schema(value_type = Object)]
    pub request: Json,
    #[schema(value_type = Object)]
    pub answer: Json,
}

/// What each integration does with an event, and why.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Explanation {
    pub kind: String,
    #[schema(required)]
    pub trigger: Option<&'static str>,
    #[schema(required)]
    pub project: Option<ExplainedProject>,
    #[schema(required)]
    pub group: Option<String>,
    pub subject: String,
    /// One for each integration that the event concerns.
    pub verdicts: Vec<Verdict>,
}

/// The project of an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ExplainedProject {
    pub id: i64,
    pub path: String,
}

/// What one integration does with an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Verdict {
    pub integration: String,
    #[schema(schema_with = slugs)]
    pub adapter: &'static str,
    pub verdict: VerdictKind,
    pub targets: Vec<Target>,
    /// Why nothing is delivered.
    #[schema(required)]
    pub why: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    Deliver,
    Skip,
    SwitchedOff,
    Muted,
}

/// Where a delivery would go.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Target {
    pub target: String,
    pub destination: String,
}

impl Explanation {
    pub fn new(event: &Event, verdicts: &[(Arc<crate::integration::Integration>, Decision)]) -> Self {
        let project = event.project.as_ref();
        Self {
            kind: event.kind().to_owned(),
            trigger: event.trigger.map(Trigger::name),
            project: project.map(|project| ExplainedProject {
                id: project.id,
                path: project.path_with_namespace.clone(),
            }),
            group: event.group.as_ref().map(|group| group.path.clone()),
            subject: event.subject.to_string(),
            verdicts: verdicts
                .iter()
                .map(|(integration, decision)| Verdict::new(integration, decision))
                .collect(),
        }
    }
}

impl Verdict {
    fn new(integration: &crate::integration::Integration, decision: &Decision) -> Self {
        let target = |new: &NewDelivery| Target {
            target: new.target.to_string(),
            destination: new.destination.to_string(),
        };
        let (verdict, targets, why) = match decision {
            Decision::Sends(deliveries) if deliveries.is_empty() => {
                (VerdictKind::Skip, Vec::new(), Some(NOTHING_TO_TELL.to_owned()))
            }
            Decision::Sends(deliveries) => {
                (VerdictKind::Deliver, deliveries.iter().map(target).collect(), None)
            }
            Decision::Not(why) => (VerdictKind::Skip, Vec::new(), Some(why.to_string())),
            Decision::Muted { target, mute } => (VerdictKind::Muted, Vec::new(), Some(muted(target, mute))),
            Decision::SwitchedOff { why, .. } => (VerdictKind::SwitchedOff, Vec::new(), Some(why.clone())),
        };
        Self { integration: integration.id.to_string(), adapter: integration.slug, verdict, targets, why }
    }
}

// ---- the rest --------------------------------------------------------------------------------------------------------

/// A message that is not an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Quarantined {
    pub id: i64,
    pub source: String,
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

/// Forgebell's version, not a GitLab's.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Version {
    pub version: &'static str,
    pub revision: &'static str,
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
