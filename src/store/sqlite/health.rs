//! Whether services can be reached.

use rusqlite::{Connection, params};

use super::rows::{self, change, ms};
use crate::integration::IntegrationId;
use crate::store::columns::health::{HealthRow, health_columns};
use crate::store::{HealthRecord, NewHealth, Result};

pub(super) fn note(connection: &Connection, health: &NewHealth) -> Result<()> {
    change(
        connection,
        "INSERT INTO health (integration, reached, note, since, checked_at) VALUES (?1, ?2, ?3, ?4, ?4)
         ON CONFLICT (integration) DO UPDATE SET
             since = CASE WHEN reached = excluded.reached THEN since ELSE excluded.since END,
             reached = excluded.reached, note = excluded.note, checked_at = excluded.checked_at
         WHERE checked_at <= excluded.checked_at",
        params![health.integration.0, health.reached, health.note, ms(health.at)],
    )?;
    Ok(())
}

const OF_ONE: &str = concat!("SELECT ", health_columns!(), " FROM health WHERE integration = ?1");

pub(super) fn of(connection: &Connection, integrations: &[IntegrationId]) -> Result<Vec<HealthRecord>> {
    let mut found = Vec::new();
    for integration in integrations {
        let rows: Vec<HealthRow> = rows::all(connection, OF_ONE, params![integration.0])?;
        for row in rows {
            found.push(row.read()?);
        }
    }
    Ok(found)
}

const OLD: &str = "DELETE FROM health WHERE integration IN
     (SELECT integration FROM health INDEXED BY health_checked WHERE checked_at < ?1 ORDER BY checked_at LIMIT ?2)";

/// Removes answers from before this moment. Returns how many.
pub(super) fn sweep(connection: &Connection, before: i64, limit: usize) -> Result<usize> {
    Ok(change(connection, OLD, params![before, rows::limit(limit)])?)
}
