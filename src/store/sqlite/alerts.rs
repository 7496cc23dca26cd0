//! Alerts that monitoring systems reported.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::inbox;
use super::rows::{self, EventRow, change, find, ms};
use crate::store::alerts::{AlertChange, NotedAlert, event_id};
use crate::store::{Result, StoreError};

/// A report, with its event as a row.
pub(super) struct Report {
    pub(super) key: String,
    pub(super) title: String,
    pub(super) event: Option<EventRow>,
}

const OPEN: &str = "SELECT number FROM alerts INDEXED BY alerts_open WHERE key = ?1 AND ended_at IS NULL";

pub(super) fn note(
    connection: &Connection,
    reports: Vec<Report>,
    now: Timestamp,
) -> Result<Vec<Option<NotedAlert>>> {
    reports.into_iter().map(|report| note_one(connection, report, now)).collect()
}

fn note_one(connection: &Connection, report: Report, now: Timestamp) -> Result<Option<NotedAlert>> {
    let open: Option<i64> = find(connection, OPEN, [&report.key])?;
    let noted = |number, change| Ok(Some(NotedAlert { number, change }));
    match (open, report.event) {
        (Some(number), Some(_)) => {
            let again = "UPDATE alerts SET reports = reports + 1, seen_at = ?2 WHERE number = ?1";
            change(connection, again, params![number, ms(now)])?;
            noted(number, AlertChange::Again)
        }
        (Some(number), None) => {
            let end = "UPDATE alerts SET ended_at = ?2, seen_at = ?2 WHERE number = ?1";
            change(connection, end, params![number, ms(now)])?;
            noted(number, AlertChange::Ended)
        }
        (None, Some(mut event)) => {
            let begin = "INSERT INTO alerts (key, title, since, seen_at) VALUES (?1, ?2, ?3, ?3)";
            change(connection, begin, params![report.key, report.title, ms(now)])?;
            let number = connection.last_insert_rowid();
            let id = event_id(&event.event.id, number);
            event.event.id =
                id.ok_or_else(|| StoreError::Refused("the id of an alert is too long".to_owned()))?;
            inbox::push(connection, &event)?;
            noted(number, AlertChange::New)
        }
        (None, None) => Ok(None),
    }
}

const OLD: &str = "DELETE FROM alerts WHERE number IN
     (SELECT number FROM alerts INDEXED BY alerts_seen WHERE seen_at < ?1 ORDER BY seen_at LIMIT ?2)";

/// Removes alerts without a report since this moment. Returns their number.
pub(super) fn sweep(connection: &Connection, before: i64, limit: usize) -> Result<usize> {
    Ok(change(connection, OLD, params![before, rows::limit(limit)])?)
}
