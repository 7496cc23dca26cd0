//! Removes rows that are too old, a limited number at a time.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::rows::{self, RowState, change, ms, prepare};
use super::{alerts, health, history, merge_requests, registry, watches};
use crate::store::{Result, Retention, State, Swept};

pub(super) fn sweep(connection: &Connection, retention: Retention, limit: usize) -> Result<Swept> {
    let mut sweeping = Sweeping { connection, limit, swept: Swept::default() };
    let mut events = BTreeSet::new();
    for (state, before) in retention.by_state() {
        events.extend(sweeping.deliveries(state, ms(before))?);
    }
    events.extend(sweeping.history(ms(retention.settled_before))?);
    sweeping.events(&events)?;
    sweeping.unwanted(ms(retention.settled_before))?;
    sweeping.discarded(ms(retention.settled_before))?;
    sweeping.watches(ms(retention.settled_before))?;
    sweeping.alerts(ms(retention.settled_before))?;
    sweeping.mutes(ms(retention.settled_before))?;
    sweeping.merge_requests(ms(retention.merge_requests_before))?;
    sweeping.quarantined(ms(retention.quarantine_before))?;
    Ok(sweeping.swept)
}

struct Sweeping<'a> {
    connection: &'a Connection,
    limit: usize,
    swept: Swept,
}

const SETTLED: &str = "SELECT id, event FROM deliveries INDEXED BY deliveries_settled
     WHERE state = ?1 AND settled_at IS NOT NULL AND settled_at < ?2 ORDER BY settled_at LIMIT ?3";

/// Events that came over HTTP and led to no delivery, in the order of their arrival.
const DISCARDED: &str = "SELECT discarded.seq FROM discarded CROSS JOIN events ON events.seq = discarded.seq
     WHERE events.received_at < ?1 ORDER BY discarded.seq LIMIT ?2";

const UNWANTED: &str = "DELETE FROM events WHERE seq IN
     (SELECT seq FROM events INDEXED BY events_unwanted WHERE wanted = 0 AND received_at < ?1 ORDER BY received_at LIMIT ?2)";

impl Sweeping<'_> {
    /// Removes deliveries with their attempts. Returns their events.
    fn deliveries(&mut self, state: State, before: i64) -> Result<Vec<i64>> {
        let Some(state) = RowState::of(state) else { return Ok(Vec::new()) };
        let mut statement = prepare(self.connection, SETTLED)?;
        let rows = statement
            .query_map(params![state.0, before, rows::limit(self.limit)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
        self.count(rows.len());
        for (id, _) in &rows {
            change(self.connection, "DELETE FROM attempts WHERE delivery = ?1", [id])?;
            change(self.connection, "DELETE FROM deliveries WHERE id = ?1", [id])?;
            self.swept.deliveries += 1;
        }
        Ok(rows.into_iter().map(|(_, event)| event).collect())
    }

    /// Removes each of these events that has no delivery and is not in the inbox.
    fn events(&mut self, seqs: &BTreeSet<i64>) -> Result<()> {
        for seq in seqs {
            change(self.connection, "DELETE FROM discarded WHERE seq = ?1", [seq])?;
            change(
                self.connection,
                "DELETE FROM bodies WHERE event = ?1
                 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = ?1)
                 AND NOT EXISTS (SELECT 1 FROM inbox WHERE seq = ?1)",
                [seq],
            )?;
            let gone = change(
                self.connection,
                "DELETE FROM events WHERE seq = ?1
                 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = ?1)
                 AND NOT EXISTS (SELECT 1 FROM history WHERE event = ?1)
                 AND NOT EXISTS (SELECT 1 FROM inbox WHERE seq = ?1)",
                [seq],
            )?;
            self.swept.events += u64::from(gone == 1);
        }
        Ok(())
    }

    /// Removes deliveries that never were rows. Returns their events.
    fn history(&mut self, before: i64) -> Result<Vec<i64>> {
        let events = history::sweep(self.connection, before, self.limit)?;
        self.count(events.len());
        self.swept.deliveries += events.len() as u64;
        Ok(events)
    }

    /// Removes events that only the event log has.
    fn unwanted(&mut self, before: i64) -> Result<()> {
        let gone = change(self.connection, UNWANTED, params![before, rows::limit(self.limit)])?;
        self.count(gone);
        self.swept.events += gone as u64;
        Ok(())
    }

    fn discarded(&mut self, before: i64) -> Result<()> {
        let mut statement = prepare(self.connection, DISCARDED)?;
        let seqs = statement
            .query_map(params![before, rows::limit(self.limit)], |row| row.get(0))?
            .collect::<rusqlite::Result<BTreeSet<i64>>>()?;
        self.count(seqs.len());
        self.events(&seqs)
    }

    fn watches(&mut self, before: i64) -> Result<()> {
        let gone = watches::sweep(self.connection, before, self.limit)?;
        self.count(gone);
        let gone = health::sweep(self.connection, before, self.limit)?;
        self.count(gone);
        Ok(())
    }

    fn alerts(&mut self, before: i64) -> Result<()> {
        let gone = alerts::sweep(self.connection, before, self.limit)?;
        self.count(gone);
        Ok(())
    }

    fn mutes(&mut self, before: i64) -> Result<()> {
        let gone = registry::sweep_mutes(self.connection, before, self.limit)?;
        self.count(gone);
        Ok(())
    }

    fn merge_requests(&mut self, before: i64) -> Result<()> {
        let gone = merge_requests::sweep(self.connection, before, self.limit)?;
        self.count(gone);
        Ok(())
    }

    fn quarantined(&mut self, before: i64) -> Result<()> {
        let gone = change(
            self.connection,
            "DELETE FROM quarantine WHERE number IN
                 (SELECT number FROM quarantine WHERE received_at < ?1 ORDER BY received_at LIMIT ?2)",
            params![before, rows::limit(self.limit)],
        )?;
        self.count(gone);
        self.swept.quarantined += gone as u64;
        Ok(())
    }

    fn count(&mut self, found: usize) {
        self.swept.more |= found == self.limit;
    }
}
