//! How values lie in columns.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::types::FromSqlError;
use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, Row, params};

use crate::event::{Event, EventId};
use crate::integration::{Fingerprint, IntegrationId};
use crate::store::{BodyDigest, Hold, NewState, State, StoreError, StoredEvent, trigger_name};

/// Where a delivery stands, as its row says it: [`State`], with *waiting* taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step(pub i64);

impl Step {
    pub(super) const READY: Self = Self(0);
    pub(super) const BEHIND: Self = Self(1);
    pub(super) const LEASED: Self = Self(2);
    pub(super) const DELIVERED: Self = Self(10);
    const SKIPPED: Self = Self(11);
    const FAILED: Self = Self(20);
    const EXPIRED: Self = Self(21);
    const CANCELLED: Self = Self(22);

    /// The step that a settlement asks for; `None` for a row that is to wait.
    pub(super) fn settled(state: &NewState) -> Option<Self> {
        match state {
            NewState::Waiting(_) => None,
            NewState::Delivered => Some(Self::DELIVERED),
            NewState::Skipped => Some(Self::SKIPPED),
            NewState::Failed => Some(Self::FAILED),
            NewState::Expired => Some(Self::EXPIRED),
            NewState::Cancelled => Some(Self::CANCELLED),
        }
    }

    /// The step that is this state; waiting has several.
    pub(super) fn of(state: State) -> Option<Self> {
        match state {
            State::Waiting => None,
            State::Delivered => Some(Self::DELIVERED),
            State::Skipped => Some(Self::SKIPPED),
            State::Failed => Some(Self::FAILED),
            State::Expired => Some(Self::EXPIRED),
            State::Cancelled => Some(Self::CANCELLED),
        }
    }

    pub(super) fn state(self) -> rusqlite::Result<State> {
        match self {
            Self::READY | Self::BEHIND | Self::LEASED => Ok(State::Waiting),
            Self::DELIVERED => Ok(State::Delivered),
            Self::SKIPPED => Ok(State::Skipped),
            Self::FAILED => Ok(State::Failed),
            Self::EXPIRED => Ok(State::Expired),
            Self::CANCELLED => Ok(State::Cancelled),
            Self(other) => Err(FromSqlError::OutOfRange(other).into()),
        }
    }

    pub(super) fn is_unleased(self) -> bool {
        self.0 <= Self::BEHIND.0
    }
}

/// An event's columns, made by the caller's thread so that the writer only writes.
pub(super) struct EventRow {
    pub(super) id: EventId,
    answers_to: Option<&'static str>,
    kind: &'static str,
    project_id: Option<i64>,
    project: Option<String>,
    subject: String,
    pub(super) occurred_at: Timestamp,
    received_at: Timestamp,
    digest: Option<BodyDigest>,
    raw: Bytes,
}

impl EventRow {
    pub(super) fn new(event: &Event, received_at: Timestamp, digest: Option<BodyDigest>) -> Self {
        let project_path = event.project.as_ref().map(|project| &project.path_with_namespace);
        let place = project_path.or(event.group.as_ref().map(|group| &group.path));
        Self {
            id: event.id.clone(),
            answers_to: trigger_name(event.trigger),
            kind: event.kind(),
            project_id: event.project.as_ref().map(|project| project.id),
            project: place.cloned(),
            subject: event.subject.clone(),
            occurred_at: event.occurred_at,
            received_at,
            digest,
            raw: event.raw.clone(),
        }
    }

    /// Writes it, and answers its number; `None` where an event of this id is here already.
    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        let written = change(
            connection,
            "INSERT INTO events (id, answers_to, kind, project_id, project, subject, occurred_at, received_at, digest,
                                 raw)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (id) DO NOTHING",
            params![
                self.id.as_str(),
                self.answers_to,
                self.kind,
                self.project_id,
                self.project,
                self.subject,
                ms(self.occurred_at),
                ms(self.received_at),
                self.digest.as_ref().map(|digest| digest.0.as_slice()),
                self.raw.as_ref(),
            ],
        )?;
        Ok((written == 1).then(|| connection.last_insert_rowid()))
    }
}

/// An event's id, moment and JSON, which lie side by side from this column on.
pub(super) fn stored_event(row: &Row<'_>, from: usize) -> rusqlite::Result<StoredEvent> {
    Ok(StoredEvent { id: event_id(row, from)?, occurred_at: at(row, from + 1)?, raw: blob(row, from + 2)? })
}

pub(super) fn event_id(row: &Row<'_>, column: usize) -> rusqlite::Result<EventId> {
    EventId::new(row.get_ref(column)?.as_str()?).ok_or_else(|| FromSqlError::InvalidType.into())
}

/// The columns that [`hold`] reads.
pub(super) const HOLD: &str = "key, until, why, strikes, integration, fingerprint";

pub(super) fn hold(row: &Row<'_>) -> rusqlite::Result<Hold> {
    let made_under = match (row.get::<_, Option<Arc<str>>>(4)?, row.get::<_, Option<i64>>(5)?) {
        (Some(integration), Some(fingerprint)) => {
            Some((IntegrationId(integration), Fingerprint(fingerprint)))
        }
        _ => None,
    };
    Ok(Hold { key: row.get(0)?, until: at(row, 1)?, why: row.get(2)?, strikes: row.get(3)?, made_under })
}

pub(super) fn blob(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?))
}

pub(super) fn ms(moment: Timestamp) -> i64 {
    moment.as_millisecond()
}

pub(super) fn at(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    moment(row.get(column)?)
}

pub(super) fn moment(ms: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|_| FromSqlError::OutOfRange(ms).into())
}

/// A `LIMIT`.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A column that counts something.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

/// Every statement comes by here. In tests, its plan is looked at: see `tests/plan.rs`.
pub(super) fn prepare<'c>(connection: &'c Connection, sql: &str) -> rusqlite::Result<CachedStatement<'c>> {
    #[cfg(test)]
    super::tests::plan::check(connection, sql);
    connection.prepare_cached(sql)
}

/// One value of a query that may find no row.
pub(super) fn find<T: rusqlite::types::FromSql>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Option<T>> {
    prepare(connection, sql)?.query_row(params, |row| row.get(0)).optional()
}

/// How many rows a statement changed.
pub(super) fn change(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<usize> {
    prepare(connection, sql)?.execute(params)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::OperationInterrupted
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Unavailable(error.to_string()),
            _ => Self::Broken(error.to_string()),
        }
    }
}
