//! Writes the outcomes of attempts.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{RowState, change, ms, prepare};
use super::{holds, lanes, watches};
use crate::store::columns::signed;
use crate::store::{AttemptRecord, DeliveryId, Lane, NewState, NodeId, REPLACED, Result, Settled};

pub(super) fn settle(connection: &Connection, by: &NodeId, settlements: &[Settled]) -> Result<()> {
    settlements.iter().try_for_each(|settled| settle_one(connection, by, settled))
}

fn settle_one(connection: &Connection, by: &NodeId, settled: &Settled) -> Result<()> {
    // The ordinary case in one statement: the node holds the lease, and the delivery ends. Leased rows are not in their
    // lane's order, so the lane does not change.
    let ended = match RowState::after(&settled.state) {
        Some(state) => {
            change(
                connection,
                "UPDATE deliveries SET state = ?3, attempts = ?4, settled_at = ?5, lease_node = NULL, lease_until = NULL
                 WHERE id = ?1 AND state = 2 AND lease_node = ?2",
                params![settled.delivery.0, by.0, state.0, signed(settled.attempts), ms(settled.at)],
            )? == 1
        }
        None => false,
    };
    let kept = if ended { Kept::AsSettled } else { settle_with_care(connection, by, settled)? };
    if kept != Kept::Nothing {
        record(connection, settled.delivery, &settled.record)?;
    }
    if kept == Kept::Replaced {
        let note = REPLACED.to_owned();
        let cancelled =
            AttemptRecord { at: settled.at, latency_ms: 0, outcome: "cancelled", status: None, note };
        record(connection, settled.delivery, &cancelled)?;
    }
    follow_up(connection, settled)
}

/// Writes the changes of a settlement other than its row.
pub(super) fn follow_up(connection: &Connection, settled: &Settled) -> Result<()> {
    if let Some(watch) = &settled.watch {
        watches::watch(connection, std::slice::from_ref(watch))?;
    }
    for key in &settled.end {
        holds::end(connection, key, settled.at)?;
    }
    for hold in &settled.begin {
        holds::begin(connection, hold)?;
    }
    Ok(())
}

/// The state of a row before its settlement.
struct Standing {
    state: RowState,
    lane: Lane,
    lease_node: Option<String>,
    lease_until: Option<i64>,
}

impl Standing {
    fn of(connection: &Connection, id: DeliveryId) -> rusqlite::Result<Option<Self>> {
        prepare(connection, "SELECT state, lane, lease_node, lease_until FROM deliveries WHERE id = ?1")?
            .query_row([id.0], |row| {
                Ok(Self {
                    state: RowState(row.get(0)?),
                    lane: Lane(row.get(1)?),
                    lease_node: row.get(2)?,
                    lease_until: row.get(3)?,
                })
            })
            .optional()
    }

    /// Whether this node's settlement decides the row's state.
    fn heeds(&self, by: &NodeId, state: &NewState, at: Timestamp) -> bool {
        if *state == NewState::Delivered {
            return self.state != RowState::DELIVERED;
        }
        let own = self.lease_node.as_deref() == Some(&*by.0);
        let lapsed = self.lease_until.is_some_and(|until| until <= ms(at));
        self.state.is_unleased() || (self.state == RowState::LEASED && (own || lapsed))
    }
}

/// The result of a settlement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// There is no such row.
    Nothing,
    AsSettled,
    /// The row would have to wait, but a newer one replaces it, so it was cancelled.
    Replaced,
}

/// Handles the other cases: the row has to wait, or this node no longer holds the lease.
fn settle_with_care(connection: &Connection, by: &NodeId, settled: &Settled) -> Result<Kept> {
    let Some(standing) = Standing::of(connection, settled.delivery)? else { return Ok(Kept::Nothing) };
    let id = settled.delivery.0;
    if !standing.heeds(by, &settled.state, settled.at) {
        return Ok(Kept::AsSettled);
    }
    let replaced = matches!(settled.state, NewState::Waiting(_))
        && lanes::replaced_at(connection, standing.lane, id)?.is_some();
    let new_state = if replaced { &NewState::Cancelled } else { &settled.state };
    if let NewState::Waiting(due) = *new_state {
        // If the row is in its lane's order already, it keeps its place.
        let state = if standing.state.is_unleased() {
            standing.state
        } else {
            lanes::enter(connection, standing.lane, id)?
        };
        change(
            connection,
            "UPDATE deliveries
             SET state = ?2, attempts = ?3, due = ?4, started = 0, lease_node = NULL, lease_until = NULL WHERE id = ?1",
            params![id, state.0, signed(settled.attempts), ms(due)],
        )?;
    } else if let Some(state) = RowState::after(new_state) {
        change(
            connection,
            "UPDATE deliveries SET state = ?2, attempts = ?3, settled_at = ?4, lease_node = NULL, lease_until = NULL
             WHERE id = ?1",
            params![id, state.0, signed(settled.attempts), ms(settled.at)],
        )?;
        if standing.state == RowState::READY {
            lanes::left(connection, standing.lane)?;
        }
    }
    Ok(if replaced { Kept::Replaced } else { Kept::AsSettled })
}

/// Writes the record of an attempt. Its number continues after a resend.
fn record(connection: &Connection, delivery: DeliveryId, record: &AttemptRecord) -> Result<()> {
    change(
        connection,
        "INSERT INTO attempts (delivery, n, at, latency_ms, outcome, status, note)
         SELECT ?1, ifnull(max(n), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM attempts WHERE delivery = ?1",
        params![delivery.0, ms(record.at), record.latency_ms, record.outcome, record.status, record.note],
    )?;
    Ok(())
}
