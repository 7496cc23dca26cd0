//! Alerts that monitoring systems reported.

use jiff::Timestamp;

use super::connection::Connection;
use super::rows::{ms, text};
use crate::store::alerts::{AlertChange, AlertReport, NotedAlert};
use crate::store::columns::EventColumns;
use crate::store::{Result, StoreError};

pub(super) async fn note(
    connection: &Connection,
    reports: &[AlertReport],
    now: Timestamp,
) -> Result<Vec<Option<NotedAlert>>> {
    const NOTE: &str = "SELECT n_number, n_change FROM note_alerts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ORDER BY n_place";
    let events: Vec<_> = reports.iter().map(|report| report.event.as_ref().map(EventColumns::new)).collect();
    let of = |event: &'_ Option<EventColumns>| event.is_some();
    let keys: Vec<_> = reports.iter().map(|report| text(&report.key)).collect();
    let titles: Vec<_> = reports.iter().map(|report| text(&report.title)).collect();
    let fires: Vec<bool> = events.iter().map(of).collect();
    let ids: Vec<Option<&str>> = events.iter().map(|event| Some(event.as_ref()?.id.as_str())).collect();
    let triggers: Vec<Option<&str>> = events.iter().map(|event| event.as_ref()?.trigger).collect();
    let kinds: Vec<Option<&str>> = events.iter().map(|event| Some(event.as_ref()?.kind)).collect();
    let project_ids: Vec<Option<i64>> = events.iter().map(|event| event.as_ref()?.project_id).collect();
    let projects: Vec<_> = events.iter().map(|event| event.as_ref()?.project.as_deref().map(text)).collect();
    let subjects: Vec<_> = events.iter().map(|event| Some(text(&event.as_ref()?.subject))).collect();
    let raws: Vec<Option<&[u8]>> = events.iter().map(|event| Some(&event.as_ref()?.raw[..])).collect();
    let columns: [&(dyn tokio_postgres::types::ToSql + Sync); 11] = [
        &keys,
        &titles,
        &fires,
        &ids,
        &triggers,
        &kinds,
        &project_ids,
        &projects,
        &subjects,
        &raws,
        &ms(now),
    ];
    let found = connection.query(NOTE, &columns).await?;
    found.iter().map(read).collect()
}

fn read(row: &tokio_postgres::Row) -> Result<Option<NotedAlert>> {
    let (number, change): (Option<i64>, Option<String>) = (row.get(0), row.get(1));
    let Some((number, change)) = number.zip(change) else { return Ok(None) };
    let known = AlertChange::of_name(&change);
    let change =
        known.ok_or_else(|| StoreError::Broken(format!("an alert has the unknown change {change}")))?;
    Ok(Some(NotedAlert { number, change }))
}

const OLD: &str = "WITH gone AS (DELETE FROM alerts WHERE number IN
         (SELECT number FROM alerts WHERE seen_at < $1 ORDER BY seen_at LIMIT $2) RETURNING 1)
     SELECT count(*) FROM gone";

/// Removes alerts without a report since this moment. Returns their number.
pub(super) async fn sweep(connection: &Connection, before: i64, limit: i64) -> Result<i64> {
    Ok(connection.row(OLD, &[&before, &limit]).await?.get(0))
}
