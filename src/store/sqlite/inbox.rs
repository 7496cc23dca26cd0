//! Events that came over HTTP.

use rusqlite::Connection;

use super::rows::{EventRow, change, delete_body, prepare, stored_event};
use crate::store::{Portion, Result, StoredEvent};

pub(super) fn push(connection: &Connection, event: &EventRow) -> Result<bool> {
    // A row that only the event log wrote is deleted first: it has an old number, and the inbox is read in the order of
    // numbers.
    change(connection, "DELETE FROM events WHERE id = ?1 AND wanted = 0", [event.event.id.as_str()])?;
    let Some(seq) = event.insert(connection)? else { return Ok(false) };
    change(connection, "INSERT INTO inbox (seq) VALUES (?1)", [seq])?;
    Ok(true)
}

const PEEK: &str =
    "SELECT inbox.seq, id, occurred_at, raw FROM inbox CROSS JOIN events ON events.seq = inbox.seq
     CROSS JOIN bodies ON bodies.event = inbox.seq WHERE inbox.seq > ?1 ORDER BY inbox.seq";

pub(super) fn peek(connection: &Connection, after: i64, portion: Portion) -> Result<Vec<(i64, StoredEvent)>> {
    let mut statement = prepare(connection, PEEK)?;
    let mut rows = statement.query([after])?;
    let (mut waiting, mut bytes) = (Vec::new(), 0);
    while !portion.is_full(waiting.len(), bytes)
        && let Some(row) = rows.next()?
    {
        let event = stored_event(row, 1)?;
        bytes += event.raw.len();
        waiting.push((row.get(0)?, event));
    }
    Ok(waiting)
}

pub(super) fn discard(connection: &Connection, numbers: &[i64]) -> Result<()> {
    for number in numbers {
        if take_out(connection, *number)? {
            change(connection, "INSERT OR IGNORE INTO discarded (seq) VALUES (?1)", [number])?;
            delete_body(connection, *number)?;
        }
    }
    Ok(())
}

/// Removes an event from the inbox. `false` where the event was not there.
pub(super) fn take_out(connection: &Connection, number: i64) -> Result<bool> {
    Ok(change(connection, "DELETE FROM inbox WHERE seq = ?1", [number])? == 1)
}
