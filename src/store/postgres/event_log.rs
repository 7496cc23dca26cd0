//! The event log.

use jiff::Timestamp;

use super::connection::Connection;
use super::rows::{ms, text};
use crate::event::Event;
use crate::store::columns::EventColumns;
use crate::store::{LogLine, Result};

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
}

impl<'a> Lines<'a> {
    pub(super) fn add(&mut self, event: &'a Event, line: &LogLine, received_at: Timestamp, wanted: bool) {
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
        self.wanted.push(wanted);
    }

    /// Writes them. The line of an event that was not wanted is replaced by one of the same event that was.
    pub(super) async fn write(&self, connection: &Connection) -> Result<()> {
        const WRITE: &str = "INSERT INTO event_log AS known (id, trigger, kind, project_id, project, subject, occurred_at, received_at,
                                                            source, verdicts, wanted)
             SELECT DISTINCT ON (n.id) n.id, n.trigger, n.kind, n.project_id, n.project, n.subject, n.occurred_at,
                    n.received_at, n.source, n.verdicts, n.wanted
             FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[],
                         $8::bigint[], $9::text[], $10::text[], $11::boolean[])
                  AS n (id, trigger, kind, project_id, project, subject, occurred_at, received_at, source, verdicts, wanted)
             ORDER BY n.id, n.wanted DESC
             ON CONFLICT (id) DO UPDATE SET received_at = excluded.received_at, source = excluded.source,
                 verdicts = excluded.verdicts, wanted = true
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
