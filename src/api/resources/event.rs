//! The event log's objects: an event, what each integration did with it, and what it would do now.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;
use utoipa::openapi::Schema;

use super::{Moment, one_of};
use crate::integration::IntegrationId;
use crate::pipeline::then_and_now::{Decided, ThenAndNow, result};
use crate::store::{EventRecord, State, Told};

fn states() -> Schema {
    one_of(State::ALL.map(State::name)).into()
}

/// An event, and what became of it by the settings of its time.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LoggedEvent {
    pub id: String,
    pub kind: String,
    #[schema(required)]
    pub trigger: Option<String>,
    #[schema(required)]
    pub project_id: Option<i64>,
    /// The full path of the project or group that it happened in, as it was then.
    #[schema(required)]
    pub project: Option<String>,
    /// What it is about.
    pub subject: String,
    /// `amqp` or `http`; null where the event log was switched off.
    #[schema(required)]
    pub source: Option<String>,
    /// When the forge sent it.
    pub occurred_at: Moment,
    pub received_at: Moment,
    /// What became of it, in a few words.
    pub result: String,
    /// One for each integration that it concerned. Without `source`, those that were not told are not known.
    pub verdicts: Vec<LoggedVerdict>,
}

/// What one integration did with an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LoggedVerdict {
    /// The integration's name: its project or group, and its service.
    pub integration: String,
    /// The deliveries that were made of it.
    pub deliveries: Vec<LoggedDelivery>,
    /// Why none was made, or what was left out.
    #[schema(required)]
    pub why: Option<String>,
}

/// A delivery of an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LoggedDelivery {
    pub id: i64,
    /// The channel or recipient; empty where the settings' address has its own.
    pub target: String,
    #[schema(schema_with = states)]
    pub state: &'static str,
}

impl From<&Told> for LoggedDelivery {
    fn from(told: &Told) -> Self {
        Self { id: told.delivery.0, target: told.target.clone(), state: told.state.name() }
    }
}

impl From<&EventRecord> for LoggedEvent {
    fn from(record: &EventRecord) -> Self {
        let mut verdicts: BTreeMap<&IntegrationId, LoggedVerdict> = BTreeMap::new();
        let new = |integration: &IntegrationId| LoggedVerdict {
            integration: integration.to_string(),
            deliveries: Vec::new(),
            why: None,
        };
        for told in &record.told {
            let verdict = verdicts.entry(&told.integration).or_insert_with(|| new(&told.integration));
            verdict.deliveries.push(told.into());
        }
        for not in &record.not_told {
            let verdict = verdicts.entry(&not.integration).or_insert_with(|| new(&not.integration));
            verdict.why.get_or_insert_with(|| not.why.clone());
        }
        Self {
            id: record.id.as_str().to_owned(),
            kind: record.kind.clone(),
            trigger: record.trigger.clone(),
            project_id: record.project_id,
            project: record.project.clone(),
            subject: record.subject.clone(),
            source: record.source.clone(),
            occurred_at: Moment(record.occurred_at),
            received_at: Moment(record.received_at),
            result: result(record),
            verdicts: verdicts.into_values().collect(),
        }
    }
}

/// An event with what would become of it now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LoggedEventDetail {
    #[serde(flatten)]
    pub event: LoggedEvent,
    /// What each integration did then and would do by the settings of now; null where the event's JSON is not kept.
    #[schema(required)]
    pub comparison: Option<Vec<Comparison>>,
    /// The event, as it came; null where it is not kept.
    #[schema(required, value_type = Option<Value>)]
    pub payload: Option<Json>,
}

/// What one integration did with an event, and what it would do now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Comparison {
    pub integration: String,
    /// Whether the two differ.
    pub is_different: bool,
    /// Null where the event did not concern it: it was not set up, or it was off.
    #[schema(required)]
    pub then: Option<Decision>,
    /// Null where the event does not concern it: it is not set up, or it is off.
    #[schema(required)]
    pub now: Option<Decision>,
}

/// What an integration does with an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Decision {
    /// The channels or recipients that get a message.
    pub targets: Vec<String>,
    /// Why none gets one.
    #[schema(required)]
    pub why: Option<String>,
}

impl From<&Decided> for Decision {
    fn from(decided: &Decided) -> Self {
        match decided {
            Decided::Tells(targets) => Self { targets: targets.clone(), why: None },
            Decided::Not(why) => Self { targets: Vec::new(), why: Some(why.clone()) },
        }
    }
}

impl From<&ThenAndNow> for Comparison {
    fn from(both: &ThenAndNow) -> Self {
        Self {
            integration: both.integration.to_string(),
            is_different: both.is_different(),
            then: both.then.as_ref().map(Decision::from),
            now: both.now.as_ref().map(Decision::from),
        }
    }
}

impl LoggedEventDetail {
    pub fn new(record: &EventRecord, raw: Option<&[u8]>, comparison: Option<&[ThenAndNow]>) -> Self {
        let payload = |raw: &[u8]| {
            serde_json::from_slice(raw).unwrap_or_else(|_| Json::from(String::from_utf8_lossy(raw)))
        };
        Self {
            event: record.into(),
            comparison: comparison.map(|both| both.iter().map(Comparison::from).collect()),
            payload: raw.map(payload),
        }
    }
}
