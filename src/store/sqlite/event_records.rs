//! Events with their results, as people read them.

use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use super::Sqlite;
use super::ledger::json;
use super::rows::{self, RowState, moment, ms, prepare};
use crate::event::EventId;
use crate::integration::IntegrationId;
use crate::store::columns::event_id;
use crate::store::{DeliveryId, EventFilter, EventRecord, EventRecords, EventsOf, NotTold, Result, Told};

#[async_trait]
impl EventRecords for Sqlite {
    async fn events(&self, filter: EventFilter) -> Result<Vec<EventRecord>> {
        self.ledger.call(move |connection| list(connection, &filter)).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<(EventRecord, Option<Bytes>)>> {
        let (id, segments) = (id.clone(), Arc::clone(&self.segments));
        let find = move |connection: &Connection| {
            let Some((seq, record)) = one(connection, &id)? else { return Ok(None) };
            Ok(Some((record, json(connection, &segments, seq)?)))
        };
        self.ledger.call(find).await
    }
}

/// Events that were dispatched. Without a line in the log, which may be switched off, those that led to deliveries. The
/// subquery of an unknown event is NULL, which no number is below.
const LIST: &str =
    "SELECT e.seq, e.id, e.kind, e.trigger, e.project_id, e.project, e.subject, e.source, e.verdicts,
            e.occurred_at, e.received_at
     FROM events AS e
     WHERE e.seq >= :first AND e.seq < :below AND NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.seq = e.seq)
           AND (e.source IS NOT NULL OR NOT EXISTS (SELECT 1 FROM discarded WHERE discarded.seq = e.seq))";
const LIST_BEFORE: &str =
    "SELECT e.seq, e.id, e.kind, e.trigger, e.project_id, e.project, e.subject, e.source, e.verdicts,
            e.occurred_at, e.received_at
     FROM events AS e
     WHERE e.seq >= :first AND e.seq < min(:below, (SELECT seq FROM events WHERE id = :before))
           AND NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.seq = e.seq)
           AND (e.source IS NOT NULL OR NOT EXISTS (SELECT 1 FROM discarded WHERE discarded.seq = e.seq))";
const ONE: &str =
    "SELECT e.seq, e.id, e.kind, e.trigger, e.project_id, e.project, e.subject, e.source, e.verdicts,
            e.occurred_at, e.received_at
     FROM events AS e WHERE e.id = ?1";

/// A query with the values of its parameters.
struct Query {
    sql: String,
    given: Vec<(String, Box<dyn ToSql>)>,
}

impl Query {
    fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    fn with(&mut self, name: &str, value: impl ToSql + 'static) {
        self.given.push((name.to_owned(), Box::new(value)));
    }
}

/// The range of row numbers that may match: the first, and one after the last.
type Bounds = (i64, i64);

/// Numbers follow the order of arrival only approximately: events may wait for the store, and the clock may be set
/// back.
const DISORDER_MS: i64 = 60 * 60 * 1000;

/// The range of rows of a period, so that a list of that period does not read later rows.
fn bounds(connection: &Connection, filter: &EventFilter) -> rusqlite::Result<Bounds> {
    let first = match filter.since {
        Some(since) => first_since(connection, ms(since).saturating_sub(DISORDER_MS))?,
        None => i64::MIN,
    };
    let below = match filter.until {
        Some(until) => first_since(connection, ms(until).saturating_add(DISORDER_MS))?,
        None => i64::MAX,
    };
    Ok((first, below))
}

/// The first number whose event came at this moment or later, found by binary search.
fn first_since(connection: &Connection, at: i64) -> rusqlite::Result<i64> {
    const ENDS: &str =
        "SELECT coalesce((SELECT min(seq) FROM events), 0), coalesce((SELECT max(seq) FROM events), 0)";
    const NEXT: &str =
        "SELECT seq, received_at FROM events WHERE seq >= ?1 AND seq < ?2 ORDER BY seq LIMIT 1";
    let (mut first, last): (i64, i64) =
        prepare(connection, ENDS)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut below = last.saturating_add(1);
    let mut next = prepare(connection, NEXT)?;
    while first < below {
        let middle = first + (below - first) / 2;
        let found: Option<(i64, i64)> =
            next.query_row([middle, below], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((seq, came)) if came < at => first = seq.saturating_add(1),
            _ => below = middle,
        }
    }
    Ok(first)
}

fn query(filter: &EventFilter, (first, below): Bounds) -> Query {
    let sql = if filter.before.is_some() { LIST_BEFORE } else { LIST };
    let mut query = Query { sql: sql.to_owned(), given: Vec::new() };
    query.with(":first", first);
    query.with(":below", below);
    if let Some(before) = &filter.before {
        query.with(":before", before.as_str().to_owned());
    }
    if let Some(kind) = &filter.kind {
        query.and("e.kind = :kind");
        query.with(":kind", kind.clone());
    }
    if let Some(since) = filter.since {
        query.and("e.received_at >= :since");
        query.with(":since", ms(since));
    }
    if let Some(until) = filter.until {
        query.and("e.received_at < :until");
        query.with(":until", ms(until));
    }
    match &filter.of {
        EventsOf::All => {}
        EventsOf::Place { project_id, path } => {
            // In SQL, NULL equals nothing.
            query.and(
                "(e.project_id = :project OR (:project IS NULL OR e.project_id IS NULL OR e.project_id <= 0)
                  AND e.project = :path COLLATE NOCASE)",
            );
            query.with(":project", *project_id);
            query.with(":path", path.clone());
        }
        EventsOf::Within(path) => {
            query.and(
                "(e.project = :path COLLATE NOCASE
                  OR substr(e.project, 1, length(:path) + 1) = (:path || '/') COLLATE NOCASE)",
            );
            query.with(":path", path.clone());
        }
    }
    told(&mut query, filter);
    query.sql.push_str(" ORDER BY e.seq DESC LIMIT :limit");
    query.with(":limit", rows::limit(filter.limit));
    query
}

/// Adds the conditions on an event's deliveries and their integrations.
fn told(query: &mut Query, filter: &EventFilter) {
    let names: Vec<String> = (0..filter.integrations.len()).map(|n| format!(":integration{n}")).collect();
    let of =
        if names.is_empty() { String::new() } else { format!("AND integration IN ({})", names.join(", ")) };
    let told = format!(
        "(EXISTS (SELECT 1 FROM deliveries WHERE event = e.seq {of}) OR EXISTS (SELECT 1 FROM history WHERE event = e.seq {of}))"
    );
    let mut concerned = told.clone();
    for (number, (name, id)) in names.iter().zip(&filter.integrations).enumerate() {
        let _ = write!(concerned, " OR instr(e.verdicts, :named{number}) > 0");
        query.with(name, id.0.to_string());
        query.with(&format!(":named{number}"), NotTold::named(id));
    }
    if !names.is_empty() {
        query.and(&format!("({concerned})"));
    }
    match filter.is_told {
        Some(true) => query.and(&told),
        Some(false) => query.and(&format!("NOT {told}")),
        None => {}
    }
}

fn list(connection: &Connection, filter: &EventFilter) -> Result<Vec<EventRecord>> {
    let Query { sql, given } = query(filter, bounds(connection, filter)?);
    let given: Vec<(&str, &dyn ToSql)> =
        given.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
    let mut statement = prepare(connection, &sql)?;
    let found = statement.query_map(given.as_slice(), read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    found.into_iter().map(|found| found.record(connection).map(|(_, record)| record)).collect()
}

fn one(connection: &Connection, id: &EventId) -> Result<Option<(i64, EventRecord)>> {
    let found = prepare(connection, ONE)?.query_row([id.as_str()], read).optional()?;
    found.map(|found| found.record(connection)).transpose()
}

/// An event's row.
struct Found {
    seq: i64,
    id: String,
    kind: String,
    trigger: Option<String>,
    project_id: Option<i64>,
    project: Option<String>,
    subject: String,
    source: Option<String>,
    verdicts: Option<String>,
    occurred_at: i64,
    received_at: i64,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        seq: row.get(0)?,
        id: row.get(1)?,
        kind: row.get(2)?,
        trigger: row.get(3)?,
        project_id: row.get(4)?,
        project: row.get(5)?,
        subject: row.get(6)?,
        source: row.get(7)?,
        verdicts: row.get(8)?,
        occurred_at: row.get(9)?,
        received_at: row.get(10)?,
    })
}

impl Found {
    /// The event with its deliveries, and its number.
    fn record(self, connection: &Connection) -> Result<(i64, EventRecord)> {
        let record = EventRecord {
            id: event_id(&self.id)?,
            kind: self.kind,
            trigger: self.trigger,
            project_id: self.project_id,
            project: self.project,
            subject: self.subject,
            source: self.source,
            occurred_at: moment(self.occurred_at)?,
            received_at: moment(self.received_at)?,
            told: deliveries(connection, self.seq)?,
            not_told: self.verdicts.as_deref().map(NotTold::read).unwrap_or_default(),
        };
        Ok((self.seq, record))
    }
}

/// The deliveries of the event of this number.
fn deliveries(connection: &Connection, seq: i64) -> Result<Vec<Told>> {
    const TOLD: &str = "SELECT id, integration, target, state FROM deliveries WHERE event = ?1
         UNION ALL SELECT id, integration, target, state FROM history WHERE event = ?1 ORDER BY 1";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?));
    let mut statement = prepare(connection, TOLD)?;
    let found = statement.query_map([seq], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    let told = found.into_iter().map(|(id, integration, target, state)| {
        Ok(Told {
            integration: IntegrationId::new(integration),
            target,
            delivery: DeliveryId(id),
            state: RowState(state).state()?,
        })
    });
    told.collect()
}
