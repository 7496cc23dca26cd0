//! Hands out rows.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::lanes::{self, Foreign};
use super::leases;
use super::rows::{self, RowState, at, change, find, moment, ms, prepare, stored_event};
use crate::integration::IntegrationId;
use crate::store::{
    Claim, Claimed, Delivery, DeliveryId, DestinationKey, HoldKey, Lane, Result, StoredEvent,
};

/// The most rows of a held route that one claim postpones to the hold's end. The next claim continues.
const PUT_OFF_AT_ONCE: usize = 1000;

pub(super) fn claim(connection: &Connection, claim: &Claim) -> Result<Vec<Claimed>> {
    leases::lapse(connection, claim.now)?;
    let foreign = Foreign::to(connection, &claim.lease.node)?;
    let mut claiming = Claiming { connection, claim, foreign, events: HashMap::new() };
    claim.destinations.iter().map(|destination| claiming.destination(destination)).collect()
}

struct Claiming<'a> {
    connection: &'a Connection,
    claim: &'a Claim,
    foreign: Foreign,
    /// Several deliveries of one event share its JSON.
    events: HashMap<i64, Arc<StoredEvent>>,
}

/// A row that may be handed out. Ordered by age.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    id: i64,
    event: i64,
    lane: i64,
    destination: DestinationKey,
    due: i64,
    integration: Arc<str>,
    target: Arc<str>,
    attempts: u32,
    fresh_since: Timestamp,
    replaces: bool,
    started: bool,
}

impl Candidate {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            event: row.get(1)?,
            lane: row.get(2)?,
            destination: row.get(3)?,
            due: row.get(4)?,
            integration: row.get(5)?,
            target: row.get(6)?,
            attempts: row.get(7)?,
            fresh_since: at(row, 8)?,
            replaces: row.get(9)?,
            started: row.get(10)?,
        })
    }

    fn integration(&self) -> IntegrationId {
        IntegrationId(Arc::clone(&self.integration))
    }
}

/// A query for what [`Candidate::read`] reads.
macro_rules! candidates {
    ($from:literal) => {
        concat!(
            "SELECT id, event, lane, destination, due, integration, target, attempts, fresh_since, replaces, started ",
            $from
        )
    };
}

/// The ready rows of a destination that are due.
const READY: &str = candidates!(
    "FROM deliveries INDEXED BY deliveries_ready WHERE destination = ?1 AND state = 0 AND due <= ?2 ORDER BY due, id"
);

/// The row behind a row in its lane.
const NEXT: &str = candidates!(
    "FROM deliveries INDEXED BY deliveries_lane WHERE lane = ?1 AND state <= 1 AND id > ?2 ORDER BY id LIMIT 1"
);

impl Claiming<'_> {
    fn destination(&mut self, destination: &DestinationKey) -> Result<Claimed> {
        let (mut deliveries, mut bytes) = (Vec::new(), 0);
        if held_until(self.connection, &HoldKey::Destination(Arc::clone(destination)), self.claim.now)?
            .is_none()
        {
            let mut candidates = self.ready(destination)?;
            while !self.claim.portion.is_full(deliveries.len(), bytes)
                && let Some(Reverse(candidate)) = candidates.pop()
            {
                self.lease(&candidate)?;
                if let Some(next) = self.behind(&candidate)? {
                    if next.destination == *destination && self.may_go(&next)?.is_none() {
                        candidates.push(Reverse(next));
                    } else {
                        lanes::left(self.connection, Lane(candidate.lane))?;
                    }
                }
                let (delivery, event) = self.hand_out(candidate)?;
                bytes += event.raw.len();
                deliveries.push((delivery, event));
            }
            // Candidates that did not fit into the portion are now the first of their lanes.
            for Reverse(next) in candidates {
                lanes::left(self.connection, Lane(next.lane))?;
            }
        }
        let more = find(self.connection, MORE, [destination])?.unwrap_or_default();
        Ok(Claimed { destination: Arc::clone(destination), deliveries, more })
    }

    /// The ready rows that may be handed out, as many as the portion allows. Rows of held routes are postponed.
    fn ready(&self, destination: &DestinationKey) -> Result<BinaryHeap<Reverse<Candidate>>> {
        let mut candidates = BinaryHeap::new();
        let mut put_off = Vec::new();
        let mut statement = prepare(self.connection, READY)?;
        let mut rows = statement.query(params![destination, ms(self.claim.now)])?;
        while candidates.len() < self.claim.portion.rows
            && put_off.len() < PUT_OFF_AT_ONCE
            && let Some(row) = rows.next()?
        {
            let candidate = Candidate::read(row)?;
            match self.may_go(&candidate)? {
                None => candidates.push(Reverse(candidate)),
                Some(Obstacle::Held { until }) => put_off.push((candidate.id, until)),
                Some(Obstacle::NotDue | Obstacle::AnotherNode) => {}
            }
        }
        drop(rows);
        drop(statement);
        for (id, until) in put_off {
            change(self.connection, "UPDATE deliveries SET due = ?2 WHERE id = ?1", [id, until])?;
        }
        Ok(candidates)
    }

    fn may_go(&self, candidate: &Candidate) -> Result<Option<Obstacle>> {
        if candidate.due > ms(self.claim.now) {
            return Ok(Some(Obstacle::NotDue));
        }
        if self.foreign.before(Lane(candidate.lane), candidate.id) {
            return Ok(Some(Obstacle::AnotherNode));
        }
        let route =
            HoldKey::Route { integration: candidate.integration(), target: Arc::clone(&candidate.target) };
        let held = held_until(self.connection, &route, self.claim.now)?;
        Ok(held.map(|until| Obstacle::Held { until }))
    }

    fn behind(&self, candidate: &Candidate) -> Result<Option<Candidate>> {
        let mut statement = prepare(self.connection, NEXT)?;
        Ok(statement.query_row([candidate.lane, candidate.id], Candidate::read).optional()?)
    }

    fn lease(&self, candidate: &Candidate) -> Result<()> {
        let lease = &self.claim.lease;
        change(
            self.connection,
            "UPDATE deliveries SET state = ?2, lease_node = ?3, lease_until = ?4 WHERE id = ?1",
            params![candidate.id, RowState::LEASED.0, lease.node.0, ms(lease.until)],
        )?;
        Ok(())
    }

    fn hand_out(&mut self, candidate: Candidate) -> Result<(Delivery, Arc<StoredEvent>)> {
        let event = self.event(candidate.event)?;
        let delivery = Delivery {
            id: DeliveryId(candidate.id),
            event: event.id.clone(),
            integration: candidate.integration(),
            target: candidate.target,
            destination: candidate.destination,
            lane: Lane(candidate.lane),
            replaces: candidate.replaces,
            attempts: candidate.attempts,
            fresh_since: candidate.fresh_since,
            started: candidate.started,
            leased: true,
        };
        Ok((delivery, event))
    }

    fn event(&mut self, seq: i64) -> Result<Arc<StoredEvent>> {
        if let Some(event) = self.events.get(&seq) {
            return Ok(Arc::clone(event));
        }
        let sql =
            "SELECT id, occurred_at, raw FROM events CROSS JOIN bodies ON bodies.event = seq WHERE seq = ?1";
        let event = prepare(self.connection, sql)?.query_row([seq], |row| stored_event(row, 0))?;
        let event = Arc::new(event);
        self.events.insert(seq, Arc::clone(&event));
        Ok(event)
    }
}

/// Why a row may not be handed out now.
enum Obstacle {
    NotDue,
    AnotherNode,
    Held { until: i64 },
}

const MORE: &str = "SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_ready
                                   WHERE destination = ?1 AND state = 0)";

fn held_until(connection: &Connection, key: &HoldKey, now: Timestamp) -> Result<Option<i64>> {
    let held = "SELECT until FROM holds WHERE kind = ?1 AND key = ?2 AND until > ?3";
    Ok(find(connection, held, params![key.kind(), key.digest(), ms(now)])?)
}

/// Finds destinations one after another (the smallest key, then the smallest greater one), each with its earliest due
/// time. Each takes a few steps in the index, for any number of rows.
const WAITING: &str = "WITH RECURSIVE destinations (destination) AS (
         SELECT min(destination) FROM deliveries INDEXED BY deliveries_ready WHERE state = 0
         UNION ALL
         SELECT (SELECT min(d.destination) FROM deliveries AS d INDEXED BY deliveries_ready
                 WHERE d.state = 0 AND d.destination > destinations.destination)
         FROM destinations WHERE destinations.destination IS NOT NULL
     )
     SELECT destination,
            max((SELECT min(d.due) FROM deliveries AS d INDEXED BY deliveries_ready
                 WHERE d.state = 0 AND d.destination = destinations.destination),
                ifnull((SELECT until FROM holds
                        WHERE kind = 'destination' AND name = destination AND until > ?1), 0)
           ) AS wanted_at
     FROM destinations WHERE destination IS NOT NULL
     ORDER BY wanted_at, destination LIMIT ?2";

pub(super) fn waiting(
    connection: &Connection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(DestinationKey, Timestamp)>> {
    let mut statement = prepare(connection, WAITING)?;
    let rows = statement
        .query_map(params![ms(now), rows::limit(limit)], |row| Ok((row.get(0)?, moment(row.get(1)?)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
