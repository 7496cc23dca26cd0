//! Events with what became of them, as people read them.

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

/// Events that were dispatched. The subquery of an unknown event is NULL, which no number is below.
const LIST: &str =
    "SELECT e.seq, e.id, e.kind, e.trigger, e.project_id, e.project, e.subject, e.source, e.verdicts,
            e.occurred_at, e.received_at
     FROM events AS e
     WHERE e.seq < :below AND NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.seq = e.seq)";
const LIST_BEFORE: &str = "SELECT e.seq, e.id, e.kind, e.trigger, e.project_id, e.project, e.subject, e.source, e.verdicts,
            e.occurred_at, e.received_at
     FROM events AS e
     WHERE e.seq < (SELECT seq FROM events WHERE id = :before) AND NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.seq = e.seq)";
const ONE: &str =
    "SELECT e.seq, e.id, e.kind, e.trigger, e.project_id, e.project, e.subject, e.source, e.verdicts,
            e.occurred_at, e.received_at
     FROM events AS e WHERE e.id = ?1";

/// A query with the values of its parameters.
struct Query {
    sql: String,
    given: Vec<(&'static str, Box<dyn ToSql>)>,
}

impl Query {
    fn and(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    fn with(&mut self, name: &'static str, value: impl ToSql + 'static) {
        self.given.push((name, Box::new(value)));
    }
}

fn query(filter: &EventFilter) -> Query {
    let mut query = match &filter.before {
        Some(before) => Query {
            sql: LIST_BEFORE.to_owned(),
            given: vec![(":before", Box::new(before.as_str().to_owned()))],
        },
        None => Query { sql: LIST.to_owned(), given: vec![(":below", Box::new(i64::MAX))] },
    };
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
            // What is NULL equals nothing.
            query.and("(e.project_id = :project OR e.project = :path COLLATE NOCASE)");
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
    let of = if filter.integration.is_some() { "AND integration = :integration" } else { "" };
    let told = format!(
        "(EXISTS (SELECT 1 FROM deliveries WHERE event = e.seq {of}) OR EXISTS (SELECT 1 FROM history WHERE event = e.seq {of}))"
    );
    if let Some(integration) = &filter.integration {
        query.and(&format!("({told} OR instr(e.verdicts, :named) > 0)"));
        query.with(":integration", integration.0.to_string());
        query.with(":named", NotTold::named(integration));
    }
    match filter.is_told {
        Some(true) => query.and(&told),
        Some(false) => query.and(&format!("NOT {told}")),
        None => {}
    }
    query.sql.push_str(" ORDER BY e.seq DESC LIMIT :limit");
    query.with(":limit", rows::limit(filter.limit));
    query
}

fn list(connection: &Connection, filter: &EventFilter) -> Result<Vec<EventRecord>> {
    let Query { sql, given } = query(filter);
    let given: Vec<(&str, &dyn ToSql)> = given.iter().map(|(name, value)| (*name, &**value)).collect();
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
            told: told(connection, self.seq)?,
            not_told: self.verdicts.as_deref().map(NotTold::read).unwrap_or_default(),
        };
        Ok((self.seq, record))
    }
}

/// The deliveries of the event of this number.
fn told(connection: &Connection, seq: i64) -> Result<Vec<Told>> {
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
