//! Ends and prolongs leases.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::lanes;
use super::rows::{change, find, ms, prepare};
use crate::store::{DeliveryId, Lane, Lease, NodeId, REPLACED, Redirected, Result};

/// The nodes that have leases, one after another: the smallest name, then the smallest that is greater.
const NODES: &str = "WITH RECURSIVE nodes (node) AS (
         SELECT min(lease_node) FROM deliveries INDEXED BY deliveries_leases WHERE state = 2
         UNION ALL
         SELECT (SELECT min(lease_node) FROM deliveries INDEXED BY deliveries_leases
                 WHERE state = 2 AND lease_node > nodes.node)
         FROM nodes WHERE nodes.node IS NOT NULL
     )";

/// Rows whose leases have lapsed.
fn lapsed_sql() -> String {
    format!(
        "{NODES} SELECT d.id, d.lane FROM nodes CROSS JOIN deliveries AS d INDEXED BY deliveries_leases
         WHERE d.state = 2 AND d.lease_node = nodes.node AND d.lease_until <= ?1 LIMIT ?2"
    )
}

/// How many lapsed leases are ended at a time.
const AT_ONCE: i64 = 1000;

/// Whether any lease has lapsed.
pub(super) fn any_lapsed(connection: &Connection, now: Timestamp) -> Result<bool> {
    let found: Option<i64> = find(connection, &lapsed_sql(), params![ms(now), 1])?;
    Ok(found.is_some())
}

/// Ends leases that have lapsed, and forgets holds that have ended.
pub(super) fn lapse(connection: &Connection, now: Timestamp) -> Result<()> {
    change(connection, "DELETE FROM holds WHERE until <= ?1", [ms(now)])?;
    free(connection, &lapsed_sql(), params![ms(now), AT_ONCE])?;
    Ok(())
}

/// Ends all leases.
pub(super) fn release_leases(connection: &Connection) -> Result<()> {
    free(connection, "SELECT id, lane FROM deliveries INDEXED BY deliveries_leases WHERE state = 2", [])?;
    Ok(())
}

/// Changes the destinations of leased rows. Leased rows are not in their lane's order, so the lane does not change.
pub(super) fn redirect(connection: &Connection, by: &NodeId, rows: &[Redirected]) -> Result<()> {
    for Redirected { delivery, destination, .. } in rows {
        let own = "UPDATE deliveries SET destination = ?3 WHERE id = ?1 AND state = 2 AND lease_node = ?2";
        change(connection, own, params![delivery.0, by.0, destination])?;
    }
    Ok(())
}

pub(super) fn release(connection: &Connection, by: &NodeId, rows: &[DeliveryId]) -> Result<()> {
    for id in rows {
        let own = "SELECT id, lane FROM deliveries WHERE id = ?1 AND state = 2 AND lease_node = ?2";
        free(connection, own, params![id.0, by.0])?;
    }
    Ok(())
}

/// Prolongs the node's leases of these rows. Returns the rows that the node still leases.
pub(super) fn renew(
    connection: &Connection,
    lease: &Lease,
    rows: Vec<DeliveryId>,
) -> Result<Vec<DeliveryId>> {
    let mut own = Vec::with_capacity(rows.len());
    for row in rows {
        let renewed = change(
            connection,
            "UPDATE deliveries SET lease_until = max(lease_until, ?3) WHERE id = ?1 AND state = 2 AND lease_node = ?2",
            params![row.0, lease.node.0, ms(lease.until)],
        )?;
        if renewed == 1 {
            own.push(row);
        }
    }
    Ok(own)
}

/// Marks rows as started and prolongs their leases. Returns the rows that the node still leases.
pub(super) fn start(
    connection: &Connection,
    lease: &Lease,
    rows: Vec<DeliveryId>,
) -> Result<Vec<DeliveryId>> {
    let own = renew(connection, lease, rows)?;
    for row in &own {
        change(connection, "UPDATE deliveries SET started = 1 WHERE id = ?1", [row.0])?;
    }
    Ok(own)
}

/// Ends the leases of the rows that the query names, with their lanes.
fn free(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<()> {
    let mut statement = prepare(connection, sql)?;
    let rows = statement.query_map(params, |row| Ok((row.get(0)?, Lane(row.get(1)?))))?;
    // The rows are collected before anything is written, because the writes change what the query reads.
    for (id, lane) in rows.collect::<rusqlite::Result<Vec<(i64, Lane)>>>()? {
        if let Some(at) = lanes::replaced_at(connection, lane, id)? {
            lanes::cancel(connection, id, at, REPLACED)?;
            continue;
        }
        let state = lanes::enter(connection, lane, id)?;
        change(
            connection,
            "UPDATE deliveries SET state = ?2, lease_node = NULL, lease_until = NULL WHERE id = ?1",
            params![id, state.0],
        )?;
    }
    Ok(())
}
