//! The ledger: deliveries and attempts, which people read and resend.

use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::history;
use super::lanes;
use super::registry;
use super::rows::{self, HOLD, RowState, blob, change, find, hold, insert_body, moment, ms, prepare};
use super::segments::Segments;
use super::watches;
use crate::store::columns::{
    AttemptRow, DeadRow, LineRow, TableRow as _, WaitingRow, dead_columns, key_of, line_columns,
    waiting_columns,
};
use crate::store::overview::grouped;
use crate::store::registry::AuditEntry;
use crate::store::{
    Cancel, DeliveryDetail, DeliveryFilter, DeliveryId, DeliveryLine, Depth, Hold, Lane, Overview, Resend,
    Result, State, StoreError, StoredAttempt,
};

/// The list's query, by whether integrations are named and by the index that finds rows of the state.
fn list_sql(filter: &DeliveryFilter) -> String {
    let state = match filter.state {
        // Waiting rows are found through the indexes of waiting rows, which are few.
        Some(State::Waiting) => {
            "AND (:state IS NULL) AND d.id IN (
                 SELECT id FROM deliveries INDEXED BY deliveries_lane WHERE state <= 1
                 UNION ALL SELECT id FROM deliveries INDEXED BY deliveries_leases WHERE state = 2)"
        }
        Some(State::Delivered) => "AND d.state = :state",
        Some(State::Skipped) => "AND d.state = 11 AND d.state = :state",
        Some(State::Failed | State::Expired | State::Cancelled) => "AND d.state >= 20 AND d.state = :state",
        None => "AND (:state IS NULL)",
    };
    let integration = if filter.integrations.is_empty() {
        "AND (:integrations IS NULL)"
    } else {
        "AND d.integration IN (SELECT value FROM json_each(:integrations))"
    };
    // An event's deliveries are found through the event, which is one row.
    let (from, event) = match filter.event {
        Some(_) => ("events AS e CROSS JOIN deliveries AS d ON d.event = e.seq", "AND e.id = :event"),
        None => ("deliveries AS d CROSS JOIN events AS e ON e.seq = d.event", "AND (:event IS NULL)"),
    };
    format!(
        "SELECT {} FROM {from}
         WHERE d.id < :before {state} {integration} {event}
           AND (:project IS NULL OR e.project = :project COLLATE NOCASE
                OR substr(e.project, 1, length(:project) + 1) = (:project || '/') COLLATE NOCASE)
           AND (:project_id IS NULL OR ifnull(e.project_id, 0) <= 0 OR e.project_id = :project_id)
           AND (:since IS NULL OR ifnull(d.settled_at, d.created_at) >= :since)
           AND (:until IS NULL OR ifnull(d.settled_at, d.created_at) < :until)
         ORDER BY d.id DESC LIMIT :limit",
        line_columns!()
    )
}

pub(super) fn list(connection: &Connection, filter: &DeliveryFilter) -> Result<Vec<DeliveryLine>> {
    let mut lines = history::list(connection, filter)?;
    lines.extend(list_rows(connection, filter)?);
    lines.sort_unstable_by_key(|line| Reverse(line.id));
    lines.truncate(filter.limit);
    Ok(lines)
}

fn list_rows(connection: &Connection, filter: &DeliveryFilter) -> Result<Vec<DeliveryLine>> {
    let rows: Vec<LineRow> = rows::all(
        connection,
        &list_sql(filter),
        named_params! {
            ":before": filter.before.map_or(i64::MAX, |before| before.0),
            ":state": filter.state.and_then(RowState::of).map(|state| state.0),
            ":integrations": rows::named(&filter.integrations),
            ":project": filter.project,
            ":project_id": filter.project_id,
            ":event": filter.event.as_ref().map(crate::event::EventId::as_str),
            ":since": filter.since.map(ms),
            ":until": filter.until.map(ms),
            ":limit": rows::limit(filter.limit),
        },
    )?;
    rows.into_iter().map(LineRow::read).collect()
}

pub(super) fn detail(
    connection: &Connection,
    segments: &Mutex<Segments>,
    id: DeliveryId,
) -> Result<Option<DeliveryDetail>> {
    const ONE: &str = concat!(
        "SELECT ",
        line_columns!(),
        ", d.event AS seq FROM deliveries AS d CROSS JOIN events AS e ON e.seq = d.event WHERE d.id = ?1"
    );
    if let Some((line, seq, attempt)) = history::one(connection, id)? {
        let raw = json(connection, segments, seq)?;
        return Ok(Some(DeliveryDetail { attempts: vec![(1, attempt)], line, raw, hold: None }));
    }
    let read = |row: &Row<'_>| Ok((LineRow::from_cells(row)?, row.get("seq")?));
    let Some((line, seq)) = prepare(connection, ONE)?.query_row([id.0], read).optional()? else {
        return Ok(None);
    };
    let line = line.read()?;
    let hold = if line.state == State::Waiting { hold_on(connection, &line)? } else { None };
    let raw = json(connection, segments, seq)?;
    Ok(Some(DeliveryDetail { attempts: attempts(connection, id)?, line, raw, hold }))
}

/// The JSON of the event of this number, from its row or its file; `None` where it is not kept any more.
pub(super) fn json(connection: &Connection, segments: &Mutex<Segments>, seq: i64) -> Result<Option<Bytes>> {
    let mut statement = prepare(connection, "SELECT raw FROM bodies WHERE event = ?1")?;
    if let Some(raw) = statement.query_row([seq], |row| blob(row, 0)).optional()? {
        return Ok(Some(raw));
    }
    let Some((location, id)) = history::location(connection, seq)? else { return Ok(None) };
    Ok(segments.lock().unwrap_or_else(PoisonError::into_inner).read(location, &id))
}

/// The hold that keeps a delivery longest.
fn hold_on(connection: &Connection, line: &DeliveryLine) -> Result<Option<Hold>> {
    let sql = format!(
        "SELECT {HOLD} FROM holds
         WHERE (kind = 'destination' AND name = ?1) OR (kind = 'route' AND key = ?2) OR (kind = 'address' AND key = ?3)
         ORDER BY until DESC LIMIT 1"
    );
    let key = |name: &str| key_of(&[&line.integration.0, name]);
    let of_line = params![line.destination, key(&line.target), key(&line.destination)];
    Ok(prepare(connection, &sql)?.query_row(of_line, hold).optional()?)
}

fn attempts(connection: &Connection, id: DeliveryId) -> Result<Vec<(u32, StoredAttempt)>> {
    let rows = rows::all(connection, "SELECT * FROM attempts WHERE delivery = ?1 ORDER BY n", [id.0])?;
    rows.into_iter().map(AttemptRow::read).collect()
}

pub(super) fn resend(
    connection: &Connection,
    segments: &Mutex<Segments>,
    id: DeliveryId,
    audit: &AuditEntry,
) -> Result<Resend> {
    let in_history = history::lane(connection, id)?;
    let settled = "SELECT lane FROM deliveries WHERE id = ?1 AND settled_at IS NOT NULL";
    let Some(lane) = in_history.or(find(connection, settled, [id.0])?.map(Lane)) else {
        return Ok(Resend::NotSettled);
    };
    if lanes::replaced_at(connection, lane, id.0)?.is_some() {
        return Ok(Resend::NotSettled);
    }
    if let Some((_, seq, _)) = history::one(connection, id)? {
        let Some(raw) = json(connection, segments, seq)? else { return Ok(Resend::JsonGone) };
        insert_body(connection, seq, &raw)?;
        history::make_row(connection, id)?;
    }
    let state = lanes::enter(connection, lane, id.0)?;
    change(
        connection,
        "UPDATE deliveries SET state = ?2, attempts = 0, due = ?3, fresh_since = ?3, settled_at = NULL, started = 0
         WHERE id = ?1",
        params![id.0, state.0, ms(audit.at)],
    )?;
    registry::note(connection, audit)?;
    Ok(Resend::Done)
}

pub(super) fn cancel(connection: &Connection, id: DeliveryId, audit: &AuditEntry) -> Result<Cancel> {
    let is_there = |sql| Ok::<_, StoreError>(find::<i64>(connection, sql, [id.0])?.is_some());
    let unleased = "SELECT lane FROM deliveries WHERE id = ?1 AND state <= 1";
    let lane: Option<i64> = find(connection, unleased, [id.0])?;
    if lane.is_none() && !is_there("SELECT id FROM deliveries WHERE id = ?1 AND state IN (20, 21)")? {
        let is_leased = is_there("SELECT id FROM deliveries WHERE id = ?1 AND state = 2")?;
        return Ok(if is_leased { Cancel::UnderWay } else { Cancel::NotWaiting });
    }
    lanes::cancel(connection, id.0, ms(audit.at), &format!("cancelled by {}", audit.who))?;
    // A dead letter has left its lane already.
    lane.map(|lane| lanes::left(connection, Lane(lane))).transpose()?;
    registry::note(connection, audit)?;
    Ok(Cancel::Done)
}

const DEPTH: &str = "SELECT
     (SELECT count(*) FROM inbox),
     (SELECT count(*) FROM deliveries INDEXED BY deliveries_lane WHERE state <= 1),
     (SELECT count(*) FROM deliveries INDEXED BY deliveries_leases WHERE state = 2),
     (SELECT min(id) FROM deliveries INDEXED BY deliveries_lane WHERE state <= 1),
     (SELECT min(id) FROM deliveries INDEXED BY deliveries_leases WHERE state = 2),
     (SELECT count(*) FROM deliveries INDEXED BY deliveries_dead WHERE state >= 20 AND state = 20),
     (SELECT count(*) FROM deliveries INDEXED BY deliveries_dead WHERE state >= 20 AND state = 21),
     (SELECT count(*) FROM quarantine),
     (SELECT count(*) FROM holds WHERE until > ?1)";

pub(super) fn depth(connection: &Connection, now: Timestamp) -> Result<Depth> {
    let mut statement = prepare(connection, DEPTH)?;
    let (mut depth, oldest) = statement.query_row([ms(now)], |row| {
        let count = |column| rows::count(row, column);
        let depth = Depth {
            inbox: count(0)?,
            waiting: count(1)? + count(2)?,
            oldest_waiting: None,
            dead_letters: count(5)? + count(6)?,
            quarantined: count(7)?,
            held: count(8)?,
        };
        let oldest = [row.get::<_, Option<i64>>(3)?, row.get(4)?].into_iter().flatten().min();
        Ok((depth, oldest))
    })?;
    if let Some(oldest) = oldest {
        let written = find(connection, "SELECT created_at FROM deliveries WHERE id = ?1", [oldest])?;
        depth.oldest_waiting = written.map(moment).transpose()?;
    }
    Ok(depth)
}

const WAITING: &str = concat!(
    "SELECT ",
    waiting_columns!(),
    " FROM (SELECT integration, target, destination, due, created_at FROM deliveries WHERE id IN (
          SELECT id FROM deliveries INDEXED BY deliveries_lane WHERE state <= 1
          UNION ALL SELECT id FROM deliveries INDEXED BY deliveries_leases WHERE state = 2)
      ORDER BY id DESC LIMIT ?1)
      GROUP BY integration, target, destination ORDER BY integration, target, destination"
);

const DEAD: &str = concat!(
    "SELECT ",
    dead_columns!(),
    " FROM deliveries AS d INDEXED BY deliveries_dead
      WHERE d.state >= 20 AND d.state = ?1 ORDER BY d.id DESC LIMIT ?2"
);

pub(super) fn overview(connection: &Connection) -> Result<Overview> {
    let limit = rows::limit(Overview::ROWS);
    let waiting: Vec<WaitingRow> = rows::all(connection, WAITING, [limit])?;
    let mut dead = Vec::new();
    for state in [State::Failed, State::Expired].into_iter().filter_map(RowState::of) {
        let found: Vec<DeadRow> = rows::all(connection, DEAD, params![state.0, limit])?;
        dead.extend(found.into_iter().map(DeadRow::read).collect::<Result<Vec<_>>>()?);
    }
    let (watches, first_watch_due) = watches::open(connection)?;
    Ok(Overview {
        waiting: waiting.into_iter().map(WaitingRow::read).collect::<Result<_>>()?,
        dead_letters: grouped(dead),
        watches,
        first_watch_due,
    })
}
