//! Holds: what gets nothing for a while.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::rows::{HOLD, change, find, hold as read, ms};
use crate::integration::{Fingerprint, IntegrationId};
use crate::store::{Hold, Result, Settled};

/// Begins a hold, or prolongs it; a longer one stays.
pub(super) fn hold(connection: &Connection, hold: &Hold) -> Result<()> {
    let (integration, fingerprint) = match &hold.made_under {
        Some((integration, fingerprint)) => (Some(&integration.0), Some(fingerprint.0)),
        None => (None, None),
    };
    change(
        connection,
        "INSERT INTO holds (key, until, why, strikes, integration, fingerprint) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (key) DO UPDATE SET until = excluded.until, why = excluded.why, strikes = excluded.strikes,
             integration = excluded.integration, fingerprint = excluded.fingerprint
         WHERE excluded.until >= holds.until",
        params![hold.key, ms(hold.until), hold.why, hold.strikes, integration, fingerprint],
    )?;
    Ok(())
}

/// Ends a hold. Claims put rows of a held route off to the hold's end: they are due again.
pub(super) fn lift(connection: &Connection, key: &str, settled: &Settled) -> Result<()> {
    let ended = change(connection, "DELETE FROM holds WHERE key = ?1", [key])? == 1;
    if ended && key.starts_with("route:") {
        let of = "SELECT destination FROM deliveries WHERE id = ?1";
        let destination: Option<Arc<str>> = find(connection, of, [settled.delivery.0])?;
        change(
            connection,
            "UPDATE deliveries INDEXED BY deliveries_ready SET due = ?2
             WHERE step = 0 AND destination = ?1 AND due > ?2 AND 'route:' || integration || '>' || target = ?3",
            params![destination, ms(settled.at), key],
        )?;
    }
    Ok(())
}

pub(super) fn holds(connection: &Connection, now: Timestamp) -> Result<Vec<Hold>> {
    let sql = format!("SELECT {HOLD} FROM holds WHERE until > ?1 ORDER BY key");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([ms(now)], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn heal(
    connection: &Connection,
    current: &HashMap<IntegrationId, Fingerprint>,
    now: Timestamp,
) -> Result<usize> {
    let mut ended = 0;
    let mut healed = HashSet::new();
    for hold in holds(connection, now)? {
        let Some((integration, fingerprint)) = hold.made_under else { continue };
        if current.get(&integration) != Some(&fingerprint) {
            ended += change(connection, "DELETE FROM holds WHERE key = ?1", [&hold.key])?;
            healed.insert(integration);
        }
    }
    for integration in healed {
        // Through all that waits, and not through all there is: settings change seldom.
        change(
            connection,
            "UPDATE deliveries INDEXED BY deliveries_lane SET due = ?2
             WHERE step <= 1 AND integration = ?1 AND due > ?2",
            params![integration.0, ms(now)],
        )?;
    }
    Ok(ended)
}
