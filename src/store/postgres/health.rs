//! Whether services can be reached.

use super::connection::Connection;
use super::rows::{ms, text};
use crate::integration::IntegrationId;
use crate::store::columns::TableRow as _;
use crate::store::columns::health::{HealthRow, health_columns};
use crate::store::{HealthRecord, NewHealth, Result};

pub(super) async fn note(connection: &Connection, health: &NewHealth) -> Result<()> {
    const NOTE: &str = "INSERT INTO health AS h (integration, reached, note, since, checked_at)
         VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (integration) DO UPDATE SET
             since = CASE WHEN h.reached = excluded.reached THEN h.since ELSE excluded.since END,
             reached = excluded.reached, note = excluded.note, checked_at = excluded.checked_at
         WHERE h.checked_at <= excluded.checked_at";
    let NewHealth { integration, reached, note, at } = health;
    connection.query(NOTE, &[&&*integration.0, reached, &text(note), &ms(*at)]).await.map(drop)
}

pub(super) async fn of(connection: &Connection, integrations: &[IntegrationId]) -> Result<Vec<HealthRecord>> {
    const OF: &str = concat!("SELECT ", health_columns!(), " FROM health WHERE integration = ANY($1)");
    let integrations: Vec<&str> = integrations.iter().map(|integration| &*integration.0).collect();
    let found = connection.query(OF, &[&integrations]).await?;
    found.iter().map(|row| HealthRow::from_cells(row)?.read()).collect()
}

const OLD: &str = "WITH gone AS (DELETE FROM health WHERE integration IN
         (SELECT integration FROM health WHERE checked_at < $1 ORDER BY checked_at LIMIT $2) RETURNING 1)
     SELECT count(*) FROM gone";

/// Removes answers from before this moment. Returns how many.
pub(super) async fn sweep(connection: &Connection, before: i64, limit: i64) -> Result<i64> {
    Ok(connection.row(OLD, &[&before, &limit]).await?.get(0))
}
