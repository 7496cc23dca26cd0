//! Events with their results, as people read them.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Postgres;
use super::connection::Connection;
use super::rows::{self, RowState, moment, ms};
use crate::event::EventId;
use crate::integration::IntegrationId;
use crate::store::columns::event_id;
use crate::store::{DeliveryId, EventFilter, EventRecord, EventRecords, EventsOf, NotTold, Result, Told};

const COLUMNS: &str =
    "SELECT l.id, l.kind, l.trigger, l.project_id, l.project, l.subject, l.source, l.verdicts,
            l.occurred_at, l.received_at
     FROM event_log AS l";

/// One event. If it has no line in the log, which may be switched off, the data comes from the event's row.
const ONE: &str =
    "SELECT l.id, l.kind, l.trigger, l.project_id, l.project, l.subject, l.source, l.verdicts, l.occurred_at,
            l.received_at
     FROM event_log AS l WHERE l.id = $1
     UNION ALL
     SELECT e.id, e.kind, e.trigger, e.project_id, e.project, e.subject, NULL, NULL, e.occurred_at, e.received_at
     FROM events AS e WHERE e.id = $1 AND NOT EXISTS (SELECT 1 FROM event_log WHERE id = $1)";

const TOLD: &str = "SELECT e.id, d.id, d.integration, d.target, d.state FROM events AS e JOIN deliveries AS d ON d.event = e.seq
     WHERE e.id = ANY ($1) ORDER BY d.id";

/// The JSON of an event: from `events`, if the event was wanted or came over HTTP, else from the log.
const RAW: &str =
    "SELECT coalesce((SELECT raw FROM events WHERE id = $1), (SELECT raw FROM event_log WHERE id = $1))";

#[async_trait]
impl EventRecords for Postgres {
    async fn events(&self, filter: EventFilter) -> Result<Vec<EventRecord>> {
        list(&self.people, &filter).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<(EventRecord, Option<Bytes>)>> {
        let found = self.people.query(ONE, &[&id.as_str()]).await?;
        let Some(record) = records(&self.people, &found).await?.pop() else { return Ok(None) };
        let raw = self.people.row(RAW, &[&id.as_str()]).await?;
        Ok(Some((record, raw.get::<_, Option<Vec<u8>>>(0).map(Bytes::from))))
    }
}

/// A query that contains only the conditions of the filter, with the values of its parameters, so that the database can
/// use an index.
struct Query {
    sql: String,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
    has_conditions: bool,
}

impl Query {
    /// The parameter that stands for a value.
    fn with(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    fn and(&mut self, condition: &str) {
        self.sql.push_str(if self.has_conditions { " AND " } else { " WHERE " });
        self.sql.push_str(condition);
        self.has_conditions = true;
    }
}

fn query(filter: &EventFilter) -> Query {
    let mut query = Query { sql: COLUMNS.to_owned(), values: Vec::new(), has_conditions: false };
    if let Some(before) = &filter.before {
        let id = query.with(before.as_str().to_owned());
        query.and(&format!(
            "(l.received_at, l.id) < (SELECT b.received_at, b.id FROM event_log AS b WHERE b.id = {id})"
        ));
    }
    if let Some(kind) = &filter.kind {
        let kind = query.with(kind.clone());
        query.and(&format!("l.kind = {kind}"));
    }
    if let Some(since) = filter.since {
        let since = query.with(ms(since));
        query.and(&format!("l.received_at >= {since}"));
    }
    if let Some(until) = filter.until {
        let until = query.with(ms(until));
        query.and(&format!("l.received_at < {until}"));
    }
    of(&mut query, &filter.of);
    told(&mut query, filter);
    let limit = query.with(rows::limit(filter.limit));
    query.sql.push_str(" ORDER BY l.received_at DESC, l.id DESC LIMIT ");
    query.sql.push_str(&limit);
    query
}

fn of(query: &mut Query, of: &EventsOf) {
    let by_path = |path: &str| format!("lower(l.project) = lower({path}::text)");
    match of {
        EventsOf::All => {}
        EventsOf::Place { project_id, path } => {
            let id = project_id.map(|id| query.with(id));
            let path = path.as_deref().map(|path| query.with(rows::text(path).into_owned()));
            let condition = match (id, path) {
                (Some(id), Some(path)) => format!(
                    "(l.project_id = {id} OR (l.project_id IS NULL OR l.project_id <= 0) AND {})",
                    by_path(&path)
                ),
                (Some(id), None) => format!("l.project_id = {id}"),
                (None, Some(path)) => by_path(&path),
                (None, None) => "false".to_owned(),
            };
            query.and(&condition);
        }
        EventsOf::Within(path) => {
            let path = query.with(rows::text(path).into_owned());
            let below = format!("starts_with(lower(l.project), lower({path}::text) || '/')");
            query.and(&format!("({} OR {below})", by_path(&path)));
        }
    }
}

/// Adds the conditions on an event's deliveries and their integrations.
fn told(query: &mut Query, filter: &EventFilter) {
    let mut of_these = String::new();
    if !filter.integrations.is_empty() {
        let ids: Vec<String> = filter.integrations.iter().map(|id| rows::text(&id.0).into_owned()).collect();
        of_these = format!("AND d.integration = ANY ({})", query.with(ids));
    }
    let told = format!(
        "EXISTS (SELECT 1 FROM events AS e JOIN deliveries AS d ON d.event = e.seq WHERE e.id = l.id {of_these})"
    );
    if !filter.integrations.is_empty() {
        let named = |id| rows::text(&NotTold::named(id)).into_owned();
        let named = query.with(filter.integrations.iter().map(named).collect::<Vec<String>>());
        query.and(&format!(
            "(EXISTS (SELECT 1 FROM unnest({named}::text[]) AS named WHERE strpos(l.verdicts, named) > 0) OR {told})"
        ));
    }
    match filter.is_told {
        Some(true) => query.and(&told),
        Some(false) => query.and(&format!("NOT {told}")),
        None => {}
    }
}

async fn list(connection: &Connection, filter: &EventFilter) -> Result<Vec<EventRecord>> {
    let Query { sql, values, .. } = query(filter);
    let values: Vec<&(dyn ToSql + Sync)> =
        values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
    let found = connection.query_once(&sql, &values).await?;
    records(connection, &found).await
}

/// The events of these rows, with their deliveries.
async fn records(connection: &Connection, found: &[Row]) -> Result<Vec<EventRecord>> {
    let ids: Vec<&str> = found.iter().map(|row| row.get(0)).collect();
    let mut told: HashMap<String, Vec<Told>> = HashMap::new();
    for row in connection.query(TOLD, &[&ids]).await? {
        told.entry(row.get(0)).or_default().push(Told {
            delivery: DeliveryId(row.get(1)),
            integration: IntegrationId::new(row.get::<_, &str>(2)),
            target: row.get(3),
            state: RowState(row.get(4)).state()?,
        });
    }
    let record = |row: &Row| {
        let id: &str = row.get(0);
        let verdicts: Option<&str> = row.get(7);
        Ok(EventRecord {
            id: event_id(id)?,
            kind: row.get(1),
            trigger: row.get(2),
            project_id: row.get(3),
            project: row.get(4),
            subject: row.get(5),
            source: row.get(6),
            occurred_at: moment(row.get(8))?,
            received_at: moment(row.get(9))?,
            told: told.remove(id).unwrap_or_default(),
            not_told: verdicts.map(NotTold::read).unwrap_or_default(),
        })
    };
    found.iter().map(record).collect()
}
