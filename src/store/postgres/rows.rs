//! How values lie in columns.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::event::{Event, EventId};
use crate::integration::{Fingerprint, IntegrationId};
use crate::store::{Hold, NewState, Result, State, StoreError, StoredEvent, trigger_name};

/// The step that a settlement asks for; `None` for a row that is to wait.
pub(super) fn step(state: &NewState) -> Option<i32> {
    match state {
        NewState::Waiting(_) => None,
        NewState::Delivered => Some(10),
        NewState::Skipped => Some(11),
        NewState::Failed => Some(20),
        NewState::Expired => Some(21),
        NewState::Cancelled => Some(22),
    }
}

/// The step that is this state; waiting has several.
pub(super) fn step_of(state: State) -> Option<i32> {
    match state {
        State::Waiting => None,
        State::Delivered => Some(10),
        State::Skipped => Some(11),
        State::Failed => Some(20),
        State::Expired => Some(21),
        State::Cancelled => Some(22),
    }
}

pub(super) fn state(step: i32) -> Result<State> {
    match step {
        0..=2 => Ok(State::Waiting),
        10 => Ok(State::Delivered),
        11 => Ok(State::Skipped),
        20 => Ok(State::Failed),
        21 => Ok(State::Expired),
        22 => Ok(State::Cancelled),
        other => Err(StoreError::Broken(format!("a delivery is at step {other}, which is none"))),
    }
}

/// An event's columns.
pub(super) struct EventRow<'a> {
    pub(super) id: &'a str,
    pub(super) answers_to: Option<&'static str>,
    pub(super) kind: &'static str,
    pub(super) project_id: Option<i64>,
    pub(super) project: Option<String>,
    pub(super) subject: String,
    pub(super) occurred_at: i64,
    pub(super) raw: &'a [u8],
}

impl<'a> EventRow<'a> {
    pub(super) fn new(event: &'a Event) -> Self {
        let project = event.project.as_ref().map(|project| &project.path_with_namespace);
        let place = project.or(event.group.as_ref().map(|group| &group.path));
        Self {
            id: event.id.as_str(),
            answers_to: trigger_name(event.trigger),
            kind: event.kind(),
            project_id: event.project.as_ref().map(|project| project.id),
            project: place.map(|place| text(place)),
            subject: text(&event.subject),
            occurred_at: ms(event.occurred_at),
            raw: &event.raw,
        }
    }
}

/// A text as PostgreSQL takes it: it knows every character but NUL.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(super) fn ms(moment: Timestamp) -> i64 {
    moment.as_millisecond()
}

pub(super) fn moment(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|_| StoreError::Broken(format!("{ms} is no moment")))
}

pub(super) fn event_id(id: &str) -> Result<EventId> {
    EventId::new(id).ok_or_else(|| StoreError::Broken("an event's id is none".to_owned()))
}

/// An event's id, moment and JSON, which lie side by side from this column on.
pub(super) fn stored_event(row: &Row, from: usize) -> Result<StoredEvent> {
    Ok(StoredEvent {
        id: event_id(row.get(from))?,
        occurred_at: moment(row.get(from + 1))?,
        raw: bytes(row, from + 2),
    })
}

pub(super) fn bytes(row: &Row, column: usize) -> Bytes {
    Bytes::from(row.get::<_, Vec<u8>>(column))
}

pub(super) fn shared(row: &Row, column: usize) -> Arc<str> {
    row.get::<_, &str>(column).into()
}

/// The columns that [`hold`] reads.
pub(super) const HOLD: &str = "key, until, why, strikes, integration, fingerprint";

pub(super) fn hold(row: &Row) -> Result<Hold> {
    let made_under = match (row.get::<_, Option<&str>>(4), row.get::<_, Option<i64>>(5)) {
        (Some(integration), Some(fingerprint)) => {
            Some((IntegrationId::new(integration), Fingerprint(fingerprint)))
        }
        _ => None,
    };
    Ok(Hold {
        key: shared(row, 0),
        until: moment(row.get(1))?,
        why: row.get(2),
        strikes: unsigned(row.get(3)),
        made_under,
    })
}

/// Counts are kept in signed columns.
pub(super) fn unsigned(number: i32) -> u32 {
    number.unsigned_abs()
}

pub(super) fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A `LIMIT`.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
