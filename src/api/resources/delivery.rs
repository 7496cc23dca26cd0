//! Deliveries with their attempts.

use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;
use utoipa::openapi::Schema;

use super::{Moment, one_of};
use crate::store::{self, DeliveryLine, HoldCause, HoldKey, State, StoredAttempt};

fn states() -> Schema {
    one_of(State::ALL.map(State::name)).into()
}

fn hold_kinds() -> Schema {
    one_of(HoldKey::KINDS).into()
}

fn hold_causes() -> Schema {
    one_of(HoldCause::ALL.map(HoldCause::name)).into()
}

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
    /// The full path of the project or group that it happened in, as it was then.
    #[schema(required)]
    pub project: Option<String>,
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
            project: line.project.clone(),
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

/// What was done with one of several.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Step {
    pub id: i64,
    /// Whether the change was made.
    pub done: bool,
    /// What it is now, or why nothing was changed.
    pub result: String,
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
    /// The request that begins an attempt, made again with the present settings, secrets masked.
    #[schema(required, value_type = Option<Object>)]
    pub request: Option<Json>,
    /// Why there is no request.
    #[schema(required)]
    pub no_request: Option<String>,
    /// The event, as it came.
    #[schema(value_type = Value)]
    pub payload: Json,
}

impl DeliveryDetail {
    /// The delivery with its request, or with the reason why there is none.
    #[must_use]
    pub fn with_request(self, rendered: Result<Json, String>) -> Self {
        let (request, no_request) = match rendered {
            Ok(request) => (Some(request), None),
            Err(why) => (None, Some(why)),
        };
        Self { request, no_request, ..self }
    }
}

impl From<&store::DeliveryDetail> for DeliveryDetail {
    fn from(detail: &store::DeliveryDetail) -> Self {
        let payload = detail.raw.as_ref().map_or(Json::Null, |raw| {
            serde_json::from_slice(raw).unwrap_or_else(|_| Json::from(String::from_utf8_lossy(raw)))
        });
        Self {
            delivery: (&detail.line).into(),
            attempt_records: detail.attempts.iter().map(Attempt::from).collect(),
            hold: detail.hold.as_ref().map(Hold::from),
            request: None,
            no_request: None,
            payload,
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
    /// What the service answered, or why it was not sent.
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
    /// What waits: everything for the destination, what the integration sends to the target (`route`) or to its address,
    /// or everything that shares a rate limit (`bucket`).
    #[schema(schema_with = hold_kinds)]
    pub kind: &'static str,
    /// `throttled` and `quota` end by time alone. The others also end with a success, a retry or new settings.
    #[schema(schema_with = hold_causes)]
    pub cause: &'static str,
    /// What the service answered, or what else led to it.
    pub reason: String,
    /// When the first failure in a row was found.
    pub since: Moment,
    pub until: Moment,
    /// How often in a row the failure was found.
    pub strikes: u32,
}

impl From<&store::Hold> for Hold {
    fn from(hold: &store::Hold) -> Self {
        Self {
            kind: hold.key.kind(),
            cause: hold.cause.name(),
            reason: hold.reason.clone(),
            since: Moment(hold.since),
            until: Moment(hold.until),
            strikes: hold.strikes,
        }
    }
}
