//! Holds: what gets nothing for a while.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::rows::{HOLD, change, hold as read, ms, prepare};
use crate::integration::{Fingerprint, IntegrationId};
use crate::store::{Hold, Result};

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

/// Ends a hold. Claims put rows of a held route off to the hold's end, so these are due again.
pub(super) fn lift(connection: &Connection, key: &str, now: Timestamp) -> Result<()> {
    let ended = change(connection, "DELETE FROM holds WHERE key = ?1", [key])? == 1;
    if ended && key.starts_with("route:") {
        // Through all that waits, and not through all there is: a route is seldom held, and more seldom let go.
        change(connection, DUE_ON_ROUTE, params![key, ms(now)])?;
    }
    Ok(())
}

const DUE_ON_ROUTE: &str = "UPDATE deliveries INDEXED BY deliveries_lane SET due = ?2
     WHERE state <= 1 AND due > ?2 AND 'route:' || integration || '>' || target = ?1";

const DUE_OF_INTEGRATION: &str = "UPDATE deliveries INDEXED BY deliveries_lane SET due = ?2
     WHERE state <= 1 AND due > ?2 AND integration = ?1";

pub(super) fn holds(connection: &Connection, now: Timestamp) -> Result<Vec<Hold>> {
    let sql = format!("SELECT {HOLD} FROM holds WHERE until > ?1 ORDER BY key");
    let mut statement = prepare(connection, &sql)?;
    let rows = statement.query_map([ms(now)], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn end_outdated_holds(
    connection: &Connection,
    current: &HashMap<IntegrationId, Option<Fingerprint>>,
    now: Timestamp,
) -> Result<usize> {
    let mut ended = 0;
    let mut healed = HashSet::new();
    for hold in holds(connection, now)? {
        let Some((integration, fingerprint)) = hold.made_under else { continue };
        if current.get(&integration).is_some_and(|now| *now != Some(fingerprint)) {
            ended += change(connection, "DELETE FROM holds WHERE key = ?1", [&hold.key])?;
            healed.insert(integration);
        }
    }
    for integration in healed {
        change(connection, DUE_OF_INTEGRATION, params![integration.0, ms(now)])?;
    }
    Ok(ended)
}
