//! The representation of values in columns, which both stores share.
//!
//! Times are milliseconds. This module has events, deliveries and quarantine; [`registry`] has the configuration,
//! [`watches`] the watches, and [`health`] the health of services.

pub(super) mod health;
pub(super) mod registry;
pub(super) mod watches;

use bytes::Bytes;
use jiff::Timestamp;

use super::overview::DeadLetter;
use super::{
    DeliveryId, DeliveryLine, NewState, QuarantineUse, Quarantined, Result, State, StoreError, StoredAttempt,
    WaitingGroup,
};
use crate::digest::Digest;
use crate::event::{Event, EventId, Trigger};
use crate::integration::IntegrationId;

/// The state of a delivery's row: [`State`], with *waiting* divided. Partial indexes follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowState(pub i32);

impl RowState {
    /// Waiting, leased to no node, the first such row of its lane.
    pub const READY: Self = Self(0);
    /// Waiting, leased to no node, behind a ready row of its lane.
    pub const BEHIND: Self = Self(1);
    /// Waiting, leased to a node.
    pub const LEASED: Self = Self(2);
    pub const DELIVERED: Self = Self(10);
    const SKIPPED: Self = Self(11);
    const FAILED: Self = Self(20);
    const EXPIRED: Self = Self(21);
    pub const CANCELLED: Self = Self(22);

    /// The state after a settlement; `None` for a row that is to wait.
    pub fn after(settlement: &NewState) -> Option<Self> {
        match settlement {
            NewState::Waiting(_) => None,
            NewState::Delivered => Some(Self::DELIVERED),
            NewState::Skipped => Some(Self::SKIPPED),
            NewState::Failed => Some(Self::FAILED),
            NewState::Expired => Some(Self::EXPIRED),
            NewState::Cancelled => Some(Self::CANCELLED),
        }
    }

    /// The row's state for this state. `None` for *waiting*, which has several.
    pub fn of(state: State) -> Option<Self> {
        match state {
            State::Waiting => None,
            State::Delivered => Some(Self::DELIVERED),
            State::Skipped => Some(Self::SKIPPED),
            State::Failed => Some(Self::FAILED),
            State::Expired => Some(Self::EXPIRED),
            State::Cancelled => Some(Self::CANCELLED),
        }
    }

    /// # Errors
    /// This version knows no such state.
    pub fn state(self) -> Result<State> {
        match self {
            Self::READY | Self::BEHIND | Self::LEASED => Ok(State::Waiting),
            settled => State::ALL
                .into_iter()
                .find(|state| Self::of(*state) == Some(settled))
                .ok_or_else(|| StoreError::Broken(format!("a delivery has the unknown state {}", self.0))),
        }
    }

    pub fn is_unleased(self) -> bool {
        self.0 <= Self::BEHIND.0
    }
}

/// A row of a result, in either database.
pub(super) trait Cells {
    type Error;

    /// The value of the column of this name.
    fn cell<T: Cell>(&self, column: &str) -> std::result::Result<T, Self::Error>;
}

/// A value that both databases can read.
pub(super) trait Cell: rusqlite::types::FromSql + for<'a> tokio_postgres::types::FromSql<'a> {}

impl<T: rusqlite::types::FromSql + for<'a> tokio_postgres::types::FromSql<'a>> Cell for T {}

impl Cells for rusqlite::Row<'_> {
    type Error = rusqlite::Error;

    fn cell<T: Cell>(&self, column: &str) -> rusqlite::Result<T> {
        self.get(column)
    }
}

impl Cells for tokio_postgres::Row {
    type Error = StoreError;

    fn cell<T: Cell>(&self, column: &str) -> Result<T> {
        self.try_get(column).map_err(|error| StoreError::Broken(format!("failed to read a row: {error}")))
    }
}

/// A row as it was read.
pub(super) trait TableRow: Sized {
    fn from_cells<C: Cells>(cells: &C) -> std::result::Result<Self, C::Error>;
}

/// The columns of rows, declared once: they are read by their names, so that the order in a query does not matter.
macro_rules! rows {
    ($($(#[$attribute:meta])* $row:ident { $($column:ident: $type:ty,)+ })+) => {$(
        $(#[$attribute])*
        pub(in crate::store) struct $row { $(pub $column: $type,)+ }

        impl TableRow for $row {
            fn from_cells<C: Cells>(cells: &C) -> std::result::Result<Self, C::Error> {
                Ok(Self { $($column: cells.cell(stringify!($column))?,)+ })
            }
        }
    )+};
}
use rows;

rows! {
    /// A delivery with its event, as [`line_columns`] selects it.
    LineRow {
        id: i64,
        state: i32,
        event_id: String,
        trigger: Option<String>,
        subject: String,
        project: Option<String>,
        project_id: Option<i64>,
        integration: String,
        target: String,
        destination: String,
        attempts: i32,
        due: i64,
        created_at: i64,
        settled_at: Option<i64>,
        last_note: Option<String>,
    }
    /// A row of `attempts`.
    AttemptRow {
        n: i32,
        at: i64,
        latency_ms: i64,
        outcome: String,
        status: Option<i32>,
        note: String,
    }
    /// Waiting deliveries of one integration, target and destination.
    WaitingRow {
        integration: String,
        target: String,
        destination: String,
        deliveries: i64,
        next_due: i64,
        since: i64,
    }
    /// A delivery that was given up, as [`dead_columns`] selects it.
    DeadRow {
        integration: String,
        state: i32,
        settled_at: i64,
        outcome: Option<String>,
        note: Option<String>,
    }
    /// A row of `quarantine`, as [`quarantine_columns`] selects it.
    QuarantineRow {
        number: i64,
        source: String,
        sender: Option<String>,
        id: Option<String>,
        reason: String,
        received_at: i64,
        size: i32,
    }
    /// One sender's part of `quarantine`, as [`QUARANTINE_USE`] selects it.
    QuarantineUseRow {
        sender: Option<String>,
        messages: i64,
        bytes: i64,
    }
}

/// The columns of [`LineRow`], of deliveries `d` and events `e`.
macro_rules! line_columns {
    () => {
        "d.id AS id, d.state AS state, e.id AS event_id, e.trigger AS trigger, e.subject AS subject,
         e.project AS project, e.project_id AS project_id,
         d.integration AS integration, d.target AS target, d.destination AS destination, d.attempts AS attempts,
         d.due AS due, d.created_at AS created_at, d.settled_at AS settled_at,
         (SELECT note FROM attempts WHERE delivery = d.id ORDER BY n DESC LIMIT 1) AS last_note"
    };
}
pub(super) use line_columns;

/// The columns of [`WaitingRow`], over rows of deliveries.
macro_rules! waiting_columns {
    () => {
        "integration, target, destination, count(*) AS deliveries, min(due) AS next_due, min(created_at) AS since"
    };
}
pub(super) use waiting_columns;

/// The columns of [`DeadRow`], of deliveries `d`.
macro_rules! dead_columns {
    () => {
        "d.integration AS integration, d.state AS state, d.settled_at AS settled_at,
         (SELECT outcome FROM attempts WHERE delivery = d.id ORDER BY n DESC LIMIT 1) AS outcome,
         (SELECT note FROM attempts WHERE delivery = d.id ORDER BY n DESC LIMIT 1) AS note"
    };
}
pub(super) use dead_columns;

/// The columns of [`QuarantineRow`].
macro_rules! quarantine_columns {
    () => {
        "number, source, sender, id, reason, received_at, length(raw) AS size"
    };
}
pub(super) use quarantine_columns;

impl LineRow {
    pub fn read(self) -> Result<DeliveryLine> {
        let state = RowState(self.state).state()?;
        Ok(DeliveryLine {
            id: DeliveryId(self.id),
            state,
            event: event_id(&self.event_id)?,
            trigger: self.trigger,
            subject: self.subject,
            project: self.project,
            project_id: self.project_id.filter(|id| *id > 0),
            integration: IntegrationId::new(self.integration),
            target: self.target,
            destination: self.destination,
            attempts: self.attempts.unsigned_abs(),
            due: if state == State::Waiting { Some(moment(self.due)?) } else { None },
            created_at: moment(self.created_at)?,
            settled_at: self.settled_at.map(moment).transpose()?,
            last_note: self.last_note,
        })
    }
}

impl AttemptRow {
    pub fn read(self) -> Result<(u32, StoredAttempt)> {
        let attempt = StoredAttempt {
            at: moment(self.at)?,
            latency_ms: u32::try_from(self.latency_ms).unwrap_or(u32::MAX),
            outcome: self.outcome,
            status: self.status.and_then(|status| u16::try_from(status).ok()),
            note: self.note,
        };
        Ok((self.n.unsigned_abs(), attempt))
    }
}

impl WaitingRow {
    pub fn read(self) -> Result<WaitingGroup> {
        Ok(WaitingGroup {
            integration: IntegrationId::new(self.integration),
            target: self.target,
            destination: self.destination,
            deliveries: self.deliveries.unsigned_abs(),
            next_due: moment(self.next_due)?,
            since: moment(self.since)?,
        })
    }
}

impl DeadRow {
    pub fn read(self) -> Result<DeadLetter> {
        let state = RowState(self.state).state()?;
        Ok(DeadLetter {
            integration: self.integration,
            // The record of the last attempt may be older than the moment at which the delivery expired.
            cause: match (state, self.outcome) {
                (State::Expired, _) | (_, None) => state.name().to_owned(),
                (_, Some(outcome)) => outcome,
            },
            note: self.note.unwrap_or_default(),
            at: moment(self.settled_at)?,
        })
    }
}

/// Both databases read it from the index `quarantine_sender` alone.
pub(super) const QUARANTINE_USE: &str = "SELECT sender, count(*) AS messages, sum(length(raw)) AS bytes
     FROM quarantine GROUP BY sender";

impl QuarantineUseRow {
    pub fn read(self) -> QuarantineUse {
        QuarantineUse {
            sender: self.sender,
            messages: self.messages.unsigned_abs(),
            bytes: self.bytes.unsigned_abs(),
        }
    }
}

impl QuarantineRow {
    pub fn read(self) -> Result<Quarantined> {
        Ok(Quarantined {
            number: self.number,
            source: self.source,
            sender: self.sender,
            id: self.id.as_deref().map(event_id).transpose()?,
            reason: self.reason,
            received_at: moment(self.received_at)?,
            size: usize::try_from(self.size).unwrap_or_default(),
        })
    }
}

/// An event's id as it was written.
///
/// # Errors
/// It is not a valid id.
pub(super) fn event_id(id: &str) -> Result<EventId> {
    EventId::new(id).ok_or_else(|| StoreError::Broken("a row has an invalid event id".to_owned()))
}

/// The columns of an event.
pub(super) struct EventColumns {
    pub id: EventId,
    pub trigger: Option<&'static str>,
    pub kind: &'static str,
    pub project_id: Option<i64>,
    /// The project's full path, or the group's.
    pub project: Option<String>,
    pub subject: String,
    pub occurred_at: Timestamp,
    pub raw: Bytes,
}

impl EventColumns {
    pub fn new(event: &Event) -> Self {
        let project = event.project.as_ref().map(|project| &project.path_with_namespace);
        let path = project.or(event.group.as_ref().map(|group| &group.path));
        Self {
            id: event.id.clone(),
            trigger: event.trigger.map(Trigger::name),
            kind: event.kind(),
            project_id: event.project.as_ref().map(|project| project.id),
            project: path.map(String::from),
            subject: event.subject.clone(),
            occurred_at: event.occurred_at,
            raw: event.raw.clone(),
        }
    }
}

/// The key of these texts in a unique column. It is a digest, because the texts may be longer than an index takes.
pub(super) fn key_of(parts: &[&str]) -> i64 {
    Digest::of(parts.iter().map(|part| part.as_bytes())).number()
}

/// The key of a path of a project or group. Paths that differ only in case have the same key.
pub(super) fn path_key(path: &str) -> i64 {
    key_of(&[&path.to_ascii_lowercase()])
}

/// A moment as it is written. The last milliseconds of the representable time can't be read again, so they are written
/// as its last second.
pub(super) fn ms(moment: Timestamp) -> i64 {
    moment.as_millisecond().min(Timestamp::MAX.as_second() * 1000)
}

/// A count as it is written: columns are signed.
pub(super) fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A moment as it was written.
///
/// # Errors
/// There is no such moment.
pub(super) fn moment(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms)
        .map_err(|_| StoreError::Broken(format!("{ms} ms is outside the range of time")))
}

/// A `LIMIT`.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
