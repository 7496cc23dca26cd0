//! Order within lanes.
//!
//! Of the open rows of a lane that no node has leased, the first is *ready* and the others are *behind* it. Only ready
//! rows are in the index that claims use, so a thousand rows behind one that waits for its retry do not slow down a
//! claim. Code that adds or removes such a row must use the functions here to keep this invariant.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::rows::{RowState, change, find, prepare};
use crate::store::{Lane, NodeId, REPLACED};

/// The first open row of a lane that no node has leased.
const FIRST: &str =
    "SELECT id FROM deliveries INDEXED BY deliveries_lane WHERE lane = ?1 AND state <= 1 ORDER BY id LIMIT 1";

pub(super) fn first(connection: &Connection, lane: Lane) -> rusqlite::Result<Option<i64>> {
    find(connection, FIRST, [lane.0])
}

/// The state for a row that begins to wait in its lane. A ready row with a greater id becomes one that is behind.
pub(super) fn enter(connection: &Connection, lane: Lane, id: i64) -> rusqlite::Result<RowState> {
    match first(connection, lane)? {
        Some(first) if first < id => Ok(RowState::BEHIND),
        Some(first) => {
            put(connection, first, RowState::BEHIND)?;
            Ok(RowState::READY)
        }
        None => Ok(RowState::READY),
    }
}

/// Makes the next row of a lane ready after a ready row left.
pub(super) fn left(connection: &Connection, lane: Lane) -> rusqlite::Result<()> {
    match first(connection, lane)? {
        Some(first) => put(connection, first, RowState::READY),
        None => Ok(()),
    }
}

/// When a newer row of the lane was written that replaces this one; `None` where there is none.
pub(super) fn replaced_at(connection: &Connection, lane: Lane, id: i64) -> rusqlite::Result<Option<i64>> {
    find(connection, REPLACED_AT, params![lane.0, id])
}

const REPLACED_AT: &str = "SELECT created_at FROM deliveries INDEXED BY deliveries_replacing
     WHERE lane = ?1 AND replaces = 1 AND id > ?2 ORDER BY id LIMIT 1";

/// Cancels the rows of a lane that wait and are older than this one, which replaces them.
pub(super) fn replace_older(connection: &Connection, lane: Lane, id: i64, now: i64) -> rusqlite::Result<()> {
    while let Some(older) = first(connection, lane)?.filter(|first| *first < id) {
        cancel(connection, older, now, REPLACED)?;
    }
    left(connection, lane)
}

/// Cancels a row for this reason. The caller must update the lane.
pub(super) fn cancel(connection: &Connection, id: i64, at: i64, why: &str) -> rusqlite::Result<()> {
    change(
        connection,
        "UPDATE deliveries SET state = ?2, settled_at = ?3, lease_node = NULL, lease_until = NULL WHERE id = ?1",
        params![id, RowState::CANCELLED.0, at],
    )?;
    change(
        connection,
        "INSERT INTO attempts (delivery, n, at, latency_ms, outcome, status, note)
         SELECT ?1, ifnull(max(n), 0) + 1, ?2, 0, 'cancelled', NULL, ?3 FROM attempts WHERE delivery = ?1",
        params![id, at, why],
    )
    .map(drop)
}

fn put(connection: &Connection, id: i64, state: RowState) -> rusqlite::Result<()> {
    let sql = "UPDATE deliveries SET state = ?2 WHERE id = ?1 AND state <> ?2";
    change(connection, sql, params![id, state.0]).map(drop)
}

/// The lanes in which other nodes have rows, each with the first such row.
///
/// In a store for one node alone, only leases from a former run under another name can be found.
pub(super) struct Foreign(HashMap<i64, i64>);

/// Two ranges instead of one `<>`, so that the index is used.
const FOREIGN: [&str; 2] = [
    "SELECT lane, id FROM deliveries INDEXED BY deliveries_leases WHERE state = 2 AND lease_node < ?1",
    "SELECT lane, id FROM deliveries INDEXED BY deliveries_leases WHERE state = 2 AND lease_node > ?1",
];

impl Foreign {
    /// Lapsed leases must have been ended before.
    pub(super) fn to(connection: &Connection, node: &NodeId) -> rusqlite::Result<Self> {
        let mut lanes = HashMap::new();
        for sql in FOREIGN {
            let mut statement = prepare(connection, sql)?;
            let mut rows = statement.query([&node.0])?;
            while let Some(row) = rows.next()? {
                let (lane, id): (i64, i64) = (row.get(0)?, row.get(1)?);
                lanes.entry(lane).and_modify(|first| *first = id.min(*first)).or_insert(id);
            }
        }
        Ok(Self(lanes))
    }

    /// Whether another node has leased an earlier row of this lane.
    pub(super) fn before(&self, lane: Lane, id: i64) -> bool {
        self.0.get(&lane.0).is_some_and(|first| *first < id)
    }
}
