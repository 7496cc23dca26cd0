//! The event log.

use jiff::Timestamp;

use super::connection::Connection;
use super::outbox::MOST_BYTES;
use super::rows::{ms, text};
use crate::event::Event;
use crate::store::columns::EventColumns;
use crate::store::{LogLine, LoggedEvent, Result};

/// The columns of a batch.
#[derive(Default)]
pub(super) struct Lines<'a> {
    id: Vec<&'a str>,
    trigger: Vec<Option<&'static str>>,
    kind: Vec<&'static str>,
    project_id: Vec<Option<i64>>,
    project: Vec<Option<String>>,
    subject: Vec<String>,
    occurred_at: Vec<i64>,
    received_at: Vec<i64>,
    source: Vec<&'static str>,
    verdicts: Vec<Option<String>>,
    wanted: Vec<bool>,
    /// The JSON of unwanted events, if it is kept. The JSON of wanted events is in the table `events`.
    raw: Vec<Option<&'a [u8]>>,
    bytes: usize,
}

impl<'a> Lines<'a> {
    /// The lines of unwanted events, in parts that each fit into one message to PostgreSQL.
    pub(super) fn of_unwanted(events: &'a [LoggedEvent]) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        for logged in events {
            let raw = logged.keeps_json.then_some(&logged.event.raw[..]);
            let bytes = raw.map_or(0, <[u8]>::len);
            if parts.last().is_none_or(|part| part.bytes > 0 && part.bytes + bytes > MOST_BYTES) {
                parts.push(Self::default());
            }
            if let Some(part) = parts.last_mut() {
                part.push(&logged.event, &logged.line, logged.received_at, raw);
                part.wanted.push(false);
                part.bytes += bytes;
            }
        }
        parts
    }

    pub(super) fn add(&mut self, event: &'a Event, line: &LogLine, received_at: Timestamp, wanted: bool) {
        self.push(event, line, received_at, None);
        self.wanted.push(wanted);
    }

    /// Adds an event's values for all columns except `wanted`.
    fn push(&mut self, event: &'a Event, line: &LogLine, received_at: Timestamp, raw: Option<&'a [u8]>) {
        let columns = EventColumns::new(event);
        self.id.push(event.id.as_str());
        self.trigger.push(columns.trigger);
        self.kind.push(columns.kind);
        self.project_id.push(columns.project_id);
        self.project.push(columns.project.as_deref().map(|path| text(path).into_owned()));
        self.subject.push(text(&columns.subject).into_owned());
        self.occurred_at.push(ms(columns.occurred_at));
        self.received_at.push(ms(received_at));
        self.source.push(line.source);
        self.verdicts.push(line.verdicts.as_deref().map(|verdicts| text(verdicts).into_owned()));
        self.raw.push(raw);
    }

    /// Writes the lines. A line of a wanted event replaces the line of the same event as unwanted.
    pub(super) async fn write(&self, connection: &Connection) -> Result<()> {
        const WRITE: &str = "INSERT INTO event_log AS known (id, trigger, kind, project_id, project, subject, occurred_at, received_at,
                                                            source, verdicts, wanted, raw)
             SELECT DISTINCT ON (n.id) n.id, n.trigger, n.kind, n.project_id, n.project, n.subject, n.occurred_at,
                    n.received_at, n.source, n.verdicts, n.wanted,
                    CASE WHEN EXISTS (SELECT 1 FROM events AS e WHERE e.id = n.id) THEN NULL ELSE n.raw END
             FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[],
                         $8::bigint[], $9::text[], $10::text[], $11::boolean[],
                         $12::bytea[])
                  AS n (id, trigger, kind, project_id, project, subject, occurred_at, received_at, source, verdicts, wanted, raw)
             ORDER BY n.id, n.wanted DESC
             ON CONFLICT (id) DO UPDATE SET received_at = excluded.received_at, source = excluded.source,
                 verdicts = excluded.verdicts, wanted = true, raw = NULL
             WHERE excluded.wanted AND NOT known.wanted";
        if self.id.is_empty() {
            return Ok(());
        }
        connection
            .query(
                WRITE,
                &[
                    &self.id,
                    &self.trigger,
                    &self.kind,
                    &self.project_id,
                    &self.project,
                    &self.subject,
                    &self.occurred_at,
                    &self.received_at,
                    &self.source,
                    &self.verdicts,
                    &self.wanted,
                    &self.raw,
                ],
            )
            .await
            .map(drop)
    }
}

/// Removes lines of events that were received before this moment. Returns how many.
pub(super) async fn sweep(connection: &Connection, before: i64, limit: i64) -> Result<i64> {
    const OLD: &str = "WITH gone AS (DELETE FROM event_log WHERE id IN
             (SELECT id FROM event_log WHERE received_at < $1 ORDER BY received_at LIMIT $2) RETURNING 1)
         SELECT count(*) FROM gone";
    Ok(connection.row(OLD, &[&before, &limit]).await?.get(0))
}
