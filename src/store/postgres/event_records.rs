//! Events with what became of them, as people read them.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Postgres;
use super::connection::Connection;
use super::rows::{self, RowState, bytes, moment, ms};
use crate::event::EventId;
use crate::integration::IntegrationId;
use crate::store::columns::event_id;
use crate::store::{DeliveryId, EventFilter, EventRecord, EventRecords, EventsOf, NotTold, Result, Told};

/// The rows of the log, of which these deliveries were made: `$3` is their integration.
macro_rules! told {
    () => {
        "EXISTS (SELECT 1 FROM events AS e JOIN deliveries AS d ON d.event = e.seq
                 WHERE e.id = l.id AND ($3::text IS NULL OR d.integration = $3))"
    };
}

const LIST: &str = concat!(
    "SELECT l.id, l.kind, l.trigger, l.project_id, l.project, l.subject, l.source, l.verdicts, l.occurred_at, l.received_at
     FROM event_log AS l
     WHERE ($1::text IS NULL OR (l.received_at, l.id) < (SELECT b.received_at, b.id FROM event_log AS b WHERE b.id = $1))
       AND ($2::text IS NULL OR l.kind = $2)
       AND ($3::text IS NULL OR strpos(l.verdicts, $4) > 0 OR ",
    told!(),
    ")
       AND ($5::boolean IS NULL OR $5 = ",
    told!(),
    ")
       AND ($6::bigint IS NULL OR l.received_at >= $6) AND ($7::bigint IS NULL OR l.received_at < $7)
       AND ($8::text = 'all' OR $8 = 'place' AND (l.project_id = $9 OR lower(l.project) = lower($10))
            OR $8 = 'within' AND (lower(l.project) = lower($10) OR starts_with(lower(l.project), lower($10) || '/')))
     ORDER BY l.received_at DESC, l.id DESC LIMIT $11"
);

const ONE: &str =
    "SELECT l.id, l.kind, l.trigger, l.project_id, l.project, l.subject, l.source, l.verdicts, l.occurred_at,
            l.received_at
     FROM event_log AS l WHERE l.id = $1";

const TOLD: &str = "SELECT e.id, d.id, d.integration, d.target, d.state FROM events AS e JOIN deliveries AS d ON d.event = e.seq
     WHERE e.id = ANY ($1) ORDER BY d.id";

#[async_trait]
impl EventRecords for Postgres {
    async fn events(&self, filter: EventFilter) -> Result<Vec<EventRecord>> {
        list(&self.people, &filter).await
    }

    async fn event(&self, id: &EventId) -> Result<Option<(EventRecord, Option<Bytes>)>> {
        let found = self.people.query(ONE, &[&id.as_str()]).await?;
        let Some(record) = records(&self.people, &found).await?.pop() else { return Ok(None) };
        let raw = self.people.query("SELECT raw FROM events WHERE id = $1", &[&id.as_str()]).await?;
        Ok(Some((record, raw.first().map(|row| bytes(row, 0)))))
    }
}

async fn list(connection: &Connection, filter: &EventFilter) -> Result<Vec<EventRecord>> {
    let before = filter.before.as_ref().map(EventId::as_str);
    let integration = filter.integration.as_ref().map(|integration| rows::text(&integration.0));
    let named =
        filter.integration.as_ref().map(|integration| rows::text(&NotTold::named(integration)).into_owned());
    let kind = filter.kind.as_deref();
    let (since, until) = (filter.since.map(ms), filter.until.map(ms));
    let (of, project, path) = match &filter.of {
        EventsOf::All => ("all", None, None),
        EventsOf::Place { project_id, path } => ("place", *project_id, path.as_deref()),
        EventsOf::Within(path) => ("within", None, Some(path.as_str())),
    };
    let path = path.map(rows::text);
    let limit = rows::limit(filter.limit);
    let given: [&(dyn ToSql + Sync); 11] =
        [&before, &kind, &integration, &named, &filter.is_told, &since, &until, &of, &project, &path, &limit];
    let found = connection.query(LIST, &given).await?;
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
            source: Some(row.get(6)),
            occurred_at: moment(row.get(8))?,
            received_at: moment(row.get(9))?,
            told: told.remove(id).unwrap_or_default(),
            not_told: verdicts.map(NotTold::read).unwrap_or_default(),
        })
    };
    found.iter().map(record).collect()
}
