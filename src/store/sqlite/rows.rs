//! How values are stored in SQLite's columns.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::types::FromSqlError;
use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, Row, RowIndex, params};

use super::segments::Location;
use crate::event::{Event, EventId};
use crate::integration::{Fingerprint, IntegrationId};
use crate::store::columns::{EventColumns, TableRow};
pub(super) use crate::store::columns::{RowState, limit, ms};
use crate::store::{BodyDigest, Hold, HoldCause, HoldKey, LogLine, Result, StoreError, StoredEvent};

/// An event to be written. The caller's thread prepares it, so that the writer only writes.
pub(super) struct EventRow {
    pub(super) event: EventColumns,
    received_at: Timestamp,
    digest: Option<BodyDigest>,
    log: Option<LogLine>,
}

impl EventRow {
    pub(super) fn new(
        event: &Event,
        received_at: Timestamp,
        digest: Option<BodyDigest>,
        log: Option<LogLine>,
    ) -> Self {
        Self { event: EventColumns::new(event), received_at, digest, log }
    }

    /// Writes the event with its JSON, and returns its number. `None` where a dispatched event with this id exists.
    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        let Some(seq) = self.insert_wanted(connection, None)? else { return Ok(None) };
        insert_body(connection, seq, &self.event.raw)?;
        Ok(Some(seq))
    }

    /// Writes the event without its JSON, with the location of the JSON if it is kept. If only the event log had
    /// written a row for the event, this row is used, and the id counts as known from now on.
    pub(super) fn insert_wanted(
        &self,
        connection: &Connection,
        location: Option<Location>,
    ) -> rusqlite::Result<Option<i64>> {
        if self.insert_row(connection, true, location)? {
            return Ok(Some(connection.last_insert_rowid()));
        }
        let unwanted = "SELECT seq FROM events WHERE id = ?1 AND wanted = 0";
        let Some(seq) = find(connection, unwanted, [self.event.id.as_str()])? else { return Ok(None) };
        self.dispatched(connection, seq, location)?;
        Ok(Some(seq))
    }

    /// Completes the row of a dispatched event.
    pub(super) fn dispatched(
        &self,
        connection: &Connection,
        seq: i64,
        location: Option<Location>,
    ) -> rusqlite::Result<()> {
        let (source, verdicts) = self.log_columns();
        let (segment, position) = location_columns(location);
        let sql = "UPDATE events SET wanted = 1, source = ?2, verdicts = ?3, segment = ?4, position = ?5 WHERE seq = ?1";
        change(connection, sql, params![seq, source, verdicts, segment, position]).map(drop)
    }

    /// Writes the event for the event log only, with the location of its JSON if that is kept. An existing row is not
    /// changed, unless the event came over HTTP and leads to no delivery.
    pub(super) fn insert_unwanted(
        &self,
        connection: &Connection,
        location: Option<Location>,
    ) -> rusqlite::Result<()> {
        if self.insert_row(connection, false, location)? {
            return Ok(());
        }
        let (source, verdicts) = self.log_columns();
        let (segment, position) = location_columns(location);
        let of_inbox = "UPDATE events SET source = ?2, verdicts = ?3, segment = ?4, position = ?5
             WHERE id = ?1 AND source IS NULL
               AND (seq IN (SELECT seq FROM inbox) OR seq IN (SELECT seq FROM discarded))";
        change(connection, of_inbox, params![self.event.id.as_str(), source, verdicts, segment, position])
            .map(drop)
    }

    fn insert_row(
        &self,
        connection: &Connection,
        wanted: bool,
        location: Option<Location>,
    ) -> rusqlite::Result<bool> {
        let event = &self.event;
        let (source, verdicts) = self.log_columns();
        let (segment, position) = location_columns(location);
        let written = change(
            connection,
            "INSERT INTO events (id, trigger, kind, project_id, project, subject, occurred_at, received_at, digest,
                                 source, verdicts, wanted, segment, position)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
             ON CONFLICT (id) DO NOTHING",
            params![
                event.id.as_str(),
                event.trigger,
                event.kind,
                event.project_id,
                event.project,
                event.subject,
                ms(event.occurred_at),
                ms(self.received_at),
                self.digest.as_ref().map(|digest| digest.0.as_slice()),
                source,
                verdicts,
                wanted,
                segment,
                position,
            ],
        )?;
        Ok(written == 1)
    }

    fn log_columns(&self) -> (Option<&'static str>, Option<&str>) {
        let line = self.log.as_ref();
        (line.map(|line| line.source), line.and_then(|line| line.verdicts.as_deref()))
    }
}

fn location_columns(location: Option<Location>) -> (Option<i64>, Option<i64>) {
    location.map(|at| (at.segment, at.position)).unzip()
}

/// Removes the JSON of the event of this number.
pub(super) fn delete_body(connection: &Connection, seq: i64) -> rusqlite::Result<()> {
    change(connection, "DELETE FROM bodies WHERE event = ?1", [seq]).map(drop)
}

/// Writes the JSON of the event with this number, unless it exists.
pub(super) fn insert_body(connection: &Connection, seq: i64, raw: &[u8]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO bodies (event, raw) VALUES (?1, ?2) ON CONFLICT (event) DO NOTHING";
    change(connection, sql, params![seq, raw]).map(drop)
}

/// An event's id, moment and JSON, from three columns that begin here.
pub(super) fn stored_event(row: &Row<'_>, from: usize) -> rusqlite::Result<StoredEvent> {
    Ok(StoredEvent { id: event_id(row, from)?, occurred_at: at(row, from + 1)?, raw: blob(row, from + 2)? })
}

pub(super) fn event_id(row: &Row<'_>, column: usize) -> rusqlite::Result<EventId> {
    EventId::new(row.get_ref(column)?.as_str()?).ok_or_else(|| FromSqlError::InvalidType.into())
}

/// The columns that [`hold`] reads.
pub(super) const HOLD: &str =
    "kind, integration, name, cause, reason, since, until, strikes, made_by, fingerprint";

pub(super) fn hold(row: &Row<'_>) -> rusqlite::Result<Hold> {
    let (kind, integration): (String, String) = (row.get(0)?, row.get(1)?);
    let cause: String = row.get(3)?;
    let made_by: Option<Arc<str>> = row.get(8)?;
    let fingerprint: Option<i64> = row.get(9)?;
    Ok(Hold {
        key: HoldKey::of_columns(&kind, &integration, row.get(2)?).ok_or(FromSqlError::InvalidType)?,
        cause: HoldCause::of_name(&cause).ok_or(FromSqlError::InvalidType)?,
        reason: row.get(4)?,
        since: at(row, 5)?,
        until: at(row, 6)?,
        strikes: row.get(7)?,
        made_under: made_by
            .zip(fingerprint)
            .map(|(made_by, fingerprint)| (IntegrationId(made_by), Fingerprint(fingerprint))),
    })
}

pub(super) fn blob(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?))
}

pub(super) fn at(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    moment(row.get(column)?)
}

pub(super) fn moment(ms: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|_| FromSqlError::OutOfRange(ms).into())
}

/// A column that counts something.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

/// Integrations as a JSON array, for a condition on them; `None` for all integrations.
pub(super) fn named(integrations: &[IntegrationId]) -> Option<String> {
    let names: Vec<&str> = integrations.iter().map(|id| &*id.0).collect();
    (!names.is_empty()).then(|| serde_json::Value::from(names).to_string())
}

/// Prepares a statement. All statements are prepared here, so that tests can check their plans: see `tests/plan.rs`.
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

/// The rows that a query finds.
pub(super) fn all<R: TableRow>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<R>> {
    let mut statement = prepare(connection, sql)?;
    let rows = statement.query_map(params, |row| R::from_cells(row))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The row that a query finds, where there is one.
pub(super) fn one<R: TableRow>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Option<R>> {
    Ok(prepare(connection, sql)?.query_row(params, |row| R::from_cells(row)).optional()?)
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
            Some(ErrorCode::DiskFull) => {
                Self::Unavailable(format!("{error}: free some space on the disk of store.path"))
            }
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::OperationInterrupted
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Unavailable(error.to_string()),
            Some(
                ErrorCode::ConstraintViolation
                | ErrorCode::TooBig
                | ErrorCode::TypeMismatch
                | ErrorCode::ParameterOutOfRange,
            ) => Self::Refused(error.to_string()),
            None if matches!(error, rusqlite::Error::ToSqlConversionFailure(_)) => {
                Self::Refused(error.to_string())
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Broken(format!("{error}: restore a backup (`forgebell restore FILE`)"))
            }
            _ => Self::Broken(error.to_string()),
        }
    }
}
