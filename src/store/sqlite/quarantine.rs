//! Bytes that could not be decoded.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::registry;
use super::rows::{self, blob, change, ms, prepare};
use crate::store::columns::{
    QUARANTINE_USE, QuarantineRow, QuarantineUseRow, TableRow as _, quarantine_columns,
};
use crate::store::registry::AuditEntry;
use crate::store::{NewQuarantined, QuarantineUse, Quarantined, Result};

pub(super) fn quarantine(connection: &Connection, items: &[NewQuarantined]) -> Result<()> {
    for item in items {
        change(
            connection,
            "INSERT INTO quarantine (source, sender, id, reason, received_at, raw) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                item.source,
                item.sender,
                item.id.as_ref().map(crate::event::EventId::as_str),
                item.reason,
                ms(item.received_at),
                item.raw.as_ref()
            ],
        )?;
    }
    Ok(())
}

pub(super) fn usage(connection: &Connection) -> Result<Vec<QuarantineUse>> {
    let rows: Vec<QuarantineUseRow> = rows::all(connection, QUARANTINE_USE, [])?;
    Ok(rows.into_iter().map(QuarantineUseRow::read).collect())
}

pub(super) fn list(connection: &Connection, before: Option<i64>, limit: usize) -> Result<Vec<Quarantined>> {
    const LIST: &str = concat!(
        "SELECT ",
        quarantine_columns!(),
        " FROM quarantine WHERE number < ?1 ORDER BY number DESC LIMIT ?2"
    );
    let rows = rows::all(connection, LIST, params![before.unwrap_or(i64::MAX), rows::limit(limit)])?;
    rows.into_iter().map(QuarantineRow::read).collect()
}

pub(super) fn one(connection: &Connection, number: i64) -> Result<Option<(Quarantined, Bytes)>> {
    const ONE: &str = concat!("SELECT ", quarantine_columns!(), ", raw FROM quarantine WHERE number = ?1");
    let read = |row: &Row<'_>| Ok((QuarantineRow::from_cells(row)?, blob(row, "raw")?));
    let found = prepare(connection, ONE)?.query_row([number], read).optional()?;
    found.map(|(row, raw)| Ok((row.read()?, raw))).transpose()
}

pub(super) fn remove(connection: &Connection, number: i64, audit: &AuditEntry) -> Result<bool> {
    let removed = change(connection, "DELETE FROM quarantine WHERE number = ?1", [number])? == 1;
    if removed {
        registry::note(connection, audit)?;
    }
    Ok(removed)
}
