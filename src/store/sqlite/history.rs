//! Deliveries that ended well at the first attempt and never were rows of `deliveries`.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::rows::{self, RowState, change, ms, prepare};
use super::segments::Location;
use crate::event::EventId;
use crate::store::columns::{LineRow, TableRow as _, key_of, signed};
use crate::store::{
    AttemptRecord, DeliveryFilter, DeliveryId, DeliveryLine, Lane, NewDelivery, Result, State, StoredAttempt,
};

/// A delivery to be written.
pub(super) struct Finished<'a> {
    pub(super) id: DeliveryId,
    pub(super) delivery: &'a NewDelivery,
    pub(super) state: RowState,
    pub(super) attempts: u32,
    pub(super) settled_at: jiff::Timestamp,
    pub(super) record: &'a AttemptRecord,
}

pub(super) fn insert(connection: &Connection, event: i64, finished: &Finished<'_>) -> rusqlite::Result<()> {
    let Finished { id, delivery, state, attempts, settled_at, record } = finished;
    change(
        connection,
        "INSERT INTO history (id, event, integration, target, destination, lane, state, attempts, settled_at, latency_ms,
                              outcome, status, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (id) DO NOTHING",
        params![
            id.0,
            event,
            delivery.integration.0,
            delivery.target,
            delivery.destination,
            delivery.lane.0,
            state.0,
            signed(*attempts),
            ms(*settled_at),
            record.latency_ms,
            record.outcome,
            record.status,
            record.note,
        ],
    )
    .map(drop)
}

/// The columns of [`LineRow`], of history `h` and events `e`.
macro_rules! line_columns {
    () => {
        "h.id AS id, h.state AS state, e.id AS event_id, e.trigger AS trigger, e.subject AS subject, e.project AS project,
         e.project_id AS project_id,
         h.integration AS integration, h.target AS target, h.destination AS destination, h.attempts AS attempts,
         h.settled_at AS due, e.received_at AS created_at, h.settled_at AS settled_at, h.note AS last_note"
    };
}

/// The list's query. An event's deliveries are found through the event, which is one row.
fn list_sql(filter: &DeliveryFilter) -> String {
    let (from, event) = match filter.event {
        Some(_) => ("events AS e CROSS JOIN history AS h ON h.event = e.seq", "AND e.id = :event"),
        None => ("history AS h CROSS JOIN events AS e ON e.seq = h.event", "AND (:event IS NULL)"),
    };
    format!(
        "SELECT {} FROM {from}
         WHERE h.id < :before {event}
           AND (:state IS NULL OR h.state = :state)
           AND (:integrations IS NULL OR h.integration IN (SELECT value FROM json_each(:integrations)))
           AND (:project IS NULL OR e.project = :project COLLATE NOCASE
                OR substr(e.project, 1, length(:project) + 1) = (:project || '/') COLLATE NOCASE)
           AND (:project_id IS NULL OR ifnull(e.project_id, 0) <= 0 OR e.project_id = :project_id)
           AND (:since IS NULL OR h.settled_at >= :since)
           AND (:until IS NULL OR h.settled_at < :until)
         ORDER BY h.id DESC LIMIT :limit",
        line_columns!()
    )
}

/// The deliveries here that the filter names, newest first.
pub(super) fn list(connection: &Connection, filter: &DeliveryFilter) -> Result<Vec<DeliveryLine>> {
    if !matches!(filter.state, None | Some(State::Delivered | State::Skipped)) {
        return Ok(Vec::new());
    }
    let rows: Vec<LineRow> = rows::all(
        connection,
        &list_sql(filter),
        named_params! {
            ":before": filter.before.map_or(i64::MAX, |before| before.0),
            ":state": filter.state.and_then(RowState::of).map(|state| state.0),
            ":integrations": rows::named(&filter.integrations),
            ":project": filter.project,
            ":project_id": filter.project_id,
            ":event": filter.event.as_ref().map(EventId::as_str),
            ":since": filter.since.map(ms),
            ":until": filter.until.map(ms),
            ":limit": rows::limit(filter.limit),
        },
    )?;
    rows.into_iter().map(LineRow::read).collect()
}

const ONE: &str = concat!(
    "SELECT ",
    line_columns!(),
    ", h.event AS seq, h.latency_ms AS latency_ms, h.outcome AS outcome, h.status AS status
     FROM history AS h CROSS JOIN events AS e ON e.seq = h.event WHERE h.id = ?1"
);

/// One delivery with its event's number and its attempt, if it is here.
pub(super) fn one(
    connection: &Connection,
    id: DeliveryId,
) -> Result<Option<(DeliveryLine, i64, StoredAttempt)>> {
    let read = |row: &Row<'_>| {
        let line = LineRow::from_cells(row)?;
        let attempt = StoredAttempt {
            at: rows::moment(line.due)?,
            latency_ms: row.get("latency_ms")?,
            outcome: row.get("outcome")?,
            status: row.get("status")?,
            note: line.last_note.clone().unwrap_or_default(),
        };
        Ok((line, row.get("seq")?, attempt))
    };
    let Some((line, seq, attempt)) = prepare(connection, ONE)?.query_row([id.0], read).optional()? else {
        return Ok(None);
    };
    Ok(Some((line.read()?, seq, attempt)))
}

/// The lane of a delivery here.
pub(super) fn lane(connection: &Connection, id: DeliveryId) -> rusqlite::Result<Option<Lane>> {
    let lane: Option<i64> = rows::find(connection, "SELECT lane FROM history WHERE id = ?1", [id.0])?;
    Ok(lane.map(Lane))
}

/// Makes a delivery a row that is over, with the record of its attempt.
pub(super) fn make_row(connection: &Connection, id: DeliveryId) -> Result<()> {
    let Some((line, ..)) = one(connection, id)? else { return Ok(()) };
    let route_key = key_of(&[&line.integration.0, &line.target]);
    change(
        connection,
        "INSERT INTO deliveries (id, event, integration, target, destination, lane, state, attempts, due, created_at, fresh_since,
                                 settled_at, route_key)
         SELECT id, event, integration, target, destination, lane, state, attempts, settled_at, settled_at, settled_at,
                settled_at, ?2
         FROM history WHERE id = ?1",
        params![id.0, route_key],
    )?;
    change(
        connection,
        "INSERT INTO attempts (delivery, n, at, latency_ms, outcome, status, note)
         SELECT id, 1, settled_at, latency_ms, outcome, status, note FROM history WHERE id = ?1",
        [id.0],
    )?;
    change(connection, "DELETE FROM history WHERE id = ?1", [id.0])?;
    Ok(())
}

/// The location of the JSON of the event with this number, if it is in a file, and the event's id.
pub(super) fn location(connection: &Connection, seq: i64) -> Result<Option<(Location, EventId)>> {
    let sql = "SELECT segment, position, id FROM events WHERE seq = ?1 AND segment IS NOT NULL";
    let read = |row: &Row<'_>| {
        Ok((Location { segment: row.get(0)?, position: row.get(1)? }, rows::event_id(row, 2)?))
    };
    Ok(prepare(connection, sql)?.query_row([seq], read).optional()?)
}

/// Removes deliveries that ended before this moment, oldest first. Ids follow time, so that they are found by them.
pub(super) fn sweep(connection: &Connection, before: i64, limit: usize) -> Result<Vec<i64>> {
    let oldest = "SELECT id, event, settled_at FROM history ORDER BY id LIMIT ?1";
    let mut statement = prepare(connection, oldest)?;
    let rows = statement
        .query_map([rows::limit(limit)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(i64, i64, i64)>>>()?;
    let (mut events, mut last) = (Vec::new(), None);
    for (id, event, _) in rows.into_iter().take_while(|(.., settled_at)| *settled_at < before) {
        change(connection, "DELETE FROM history WHERE id = ?1", [id])?;
        events.push(event);
        last = Some(id);
    }
    if let Some(last) = last {
        remember_id(connection, last)?;
    }
    Ok(events)
}

/// Remembers the id, so that later ids are greater even after its delivery is removed.
fn remember_id(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    let raise = "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'deliveries'";
    if change(connection, raise, [id])? == 0 {
        change(connection, "INSERT INTO sqlite_sequence (name, seq) VALUES ('deliveries', ?1)", [id])?;
    }
    Ok(())
}

/// The greatest id of a delivery in history or in `deliveries`.
pub(super) fn last_id(connection: &Connection) -> Result<i64> {
    let of_rows: Option<i64> =
        rows::find(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'", [])?;
    let of_history: Option<Option<i64>> = rows::find(connection, "SELECT max(id) FROM history", [])?;
    Ok(of_rows.max(of_history.flatten()).unwrap_or(0))
}
