//! Order within lanes.
//!
//! Of the open rows of a lane that nobody has leased, the first is *ready* and the others are *behind* it. Only ready
//! rows stand in the index that claims look through, so that a thousand rows behind one that waits for its retry cost
//! a claim nothing. Whoever puts a row among them, or takes one away, keeps this so with the functions here.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::rows::{RowState, change, find, prepare};
use crate::store::{Lane, NodeId};

/// The first open row of a lane that nobody has leased.
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

/// A ready row left its lane: the next one is ready.
pub(super) fn left(connection: &Connection, lane: Lane) -> rusqlite::Result<()> {
    match first(connection, lane)? {
        Some(first) => put(connection, first, RowState::READY),
        None => Ok(()),
    }
}

fn put(connection: &Connection, id: i64, state: RowState) -> rusqlite::Result<()> {
    let sql = "UPDATE deliveries SET state = ?2 WHERE id = ?1 AND state <> ?2";
    change(connection, sql, params![id, state.0]).map(drop)
}

/// The lanes in which other nodes have rows, each with the first such row.
///
/// In a store that one node has to itself there are none, but for what a former life left behind.
pub(super) struct Foreign(HashMap<i64, i64>);

/// Two ranges and not one `<>`: so the index is used.
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

    /// Whether another node has a row of this lane that goes before the given one.
    pub(super) fn before(&self, lane: Lane, id: i64) -> bool {
        self.0.get(&lane.0).is_some_and(|first| *first < id)
    }
}
