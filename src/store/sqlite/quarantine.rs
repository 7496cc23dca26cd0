//! Bytes that could not be decoded.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::registry;
use super::rows::{self, at, blob, change, event_id, ms, prepare};
use crate::store::registry::AuditEntry;
use crate::store::{NewQuarantined, Quarantined, Result};

pub(super) fn quarantine(connection: &Connection, items: &[NewQuarantined]) -> Result<()> {
    for item in items {
        change(
            connection,
            "INSERT INTO quarantine (source, id, reason, received_at, raw) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                item.source,
                item.id.as_ref().map(crate::event::EventId::as_str),
                item.reason,
                ms(item.received_at),
                item.raw.as_ref()
            ],
        )?;
    }
    Ok(())
}

const LINE: &str = "number, source, id, reason, received_at, length(raw)";

fn line(row: &Row<'_>) -> rusqlite::Result<Quarantined> {
    let id = if row.get_ref(2)? == rusqlite::types::ValueRef::Null { None } else { Some(event_id(row, 2)?) };
    Ok(Quarantined {
        number: row.get(0)?,
        source: row.get(1)?,
        id,
        reason: row.get(3)?,
        received_at: at(row, 4)?,
        size: usize::try_from(rows::count(row, 5)?).unwrap_or(usize::MAX),
    })
}

pub(super) fn list(connection: &Connection, before: Option<i64>, limit: usize) -> Result<Vec<Quarantined>> {
    let sql = format!("SELECT {LINE} FROM quarantine WHERE number < ?1 ORDER BY number DESC LIMIT ?2");
    let mut statement = prepare(connection, &sql)?;
    let rows = statement.query_map(params![before.unwrap_or(i64::MAX), rows::limit(limit)], line)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn one(connection: &Connection, number: i64) -> Result<Option<(Quarantined, Bytes)>> {
    let sql = format!("SELECT {LINE}, raw FROM quarantine WHERE number = ?1");
    let mut statement = prepare(connection, &sql)?;
    Ok(statement.query_row([number], |row| Ok((line(row)?, blob(row, 6)?))).optional()?)
}

pub(super) fn remove(connection: &Connection, number: i64, audit: &AuditEntry) -> Result<bool> {
    let removed = change(connection, "DELETE FROM quarantine WHERE number = ?1", [number])? == 1;
    if removed {
        registry::note(connection, audit)?;
    }
    Ok(removed)
}
