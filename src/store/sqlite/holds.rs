//! Holds, which keep deliveries back for a time.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::rows::{HOLD, change, find, hold as read, ms, prepare};
use crate::integration::{Fingerprint, IntegrationId};
use crate::store::columns::signed;
use crate::store::{Hold, HoldCause, HoldKey, LatestWaits, Result};

/// Begins a hold, or prolongs it; a longer one stays.
pub(super) fn begin(connection: &Connection, hold: &Hold) -> Result<()> {
    let (kind, integration, name) = hold.key.columns();
    let made_by = hold.made_under.as_ref().map(|(integration, _)| &integration.0);
    let fingerprint = hold.made_under.as_ref().map(|(_, fingerprint)| fingerprint.0);
    change(
        connection,
        "INSERT INTO holds (kind, integration, name, cause, reason, since, until, strikes, made_by, fingerprint, key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (kind, key) DO UPDATE SET cause = excluded.cause, reason = excluded.reason,
             since = excluded.since, until = excluded.until, strikes = excluded.strikes, made_by = excluded.made_by,
             fingerprint = excluded.fingerprint
         WHERE excluded.until >= holds.until",
        params![
            kind,
            integration,
            name,
            hold.cause.name(),
            hold.reason,
            ms(hold.since),
            ms(hold.until),
            signed(hold.strikes),
            made_by,
            fingerprint,
            hold.key.digest(),
        ],
    )?;
    Ok(())
}

/// Ends a hold. Claims put rows of a held route off to the hold's end, so these are due again.
pub(super) fn end(connection: &Connection, key: &HoldKey, now: Timestamp) -> Result<()> {
    let delete = "DELETE FROM holds WHERE kind = ?1 AND key = ?2";
    let ended = change(connection, delete, params![key.kind(), key.digest()])? == 1;
    // These statements read all waiting rows, but no settled ones. That is acceptable, because such holds rarely end.
    match key {
        HoldKey::Route { .. } if ended => {
            change(connection, DUE_ON_ROUTE, params![key.digest(), ms(now)])?;
        }
        // Deliveries to a switched-off address were postponed for hours.
        HoldKey::Address { integration, destination } if ended => {
            change(connection, DUE_AT_ADDRESS, params![integration.0, ms(now), destination])?;
        }
        _ => {}
    }
    Ok(())
}

const DUE_ON_ROUTE: &str = "UPDATE deliveries INDEXED BY deliveries_lane SET due = ?2
     WHERE state <= 1 AND due > ?2 AND route_key = ?1";

const DUE_AT_ADDRESS: &str = "UPDATE deliveries INDEXED BY deliveries_lane SET due = ?2
     WHERE state <= 1 AND due > ?2 AND integration = ?1 AND destination = ?3";

const DUE_OF_INTEGRATION: &str = "UPDATE deliveries INDEXED BY deliveries_lane SET due = ?2
     WHERE state <= 1 AND due > ?2 AND integration = ?1";

pub(super) fn holds(connection: &Connection, now: Timestamp) -> Result<Vec<Hold>> {
    let sql = format!("SELECT {HOLD} FROM holds WHERE until > ?1 ORDER BY kind, integration, name");
    let mut statement = prepare(connection, &sql)?;
    let rows = statement.query_map([ms(now)], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn end_outdated(
    connection: &Connection,
    current: &HashMap<IntegrationId, Option<Fingerprint>>,
    now: Timestamp,
) -> Result<usize> {
    let mut ended = 0;
    let mut healed = HashSet::new();
    for hold in holds(connection, now)? {
        let Some((made_by, fingerprint)) = hold.made_under else { continue };
        let is_outdated = current.get(&made_by).is_some_and(|now| *now != Some(fingerprint));
        if !is_outdated || hold.cause.ends_by_time_alone() {
            continue;
        }
        // Corrected settings end a refused login's hold even if other integrations share the destination.
        if let HoldKey::Destination(destination) = &hold.key
            && hold.cause != HoldCause::Misconfigured
            && find(connection, SHARED, params![destination, made_by.0])?.unwrap_or_default()
        {
            continue;
        }
        end(connection, &hold.key, now)?;
        ended += 1;
        healed.insert(made_by);
    }
    for integration in healed {
        change(connection, DUE_OF_INTEGRATION, params![integration.0, ms(now)])?;
    }
    Ok(ended)
}

/// Whether rows of other integrations wait for a destination.
const SHARED: &str = "SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_ready
                                     WHERE destination = ?1 AND state = 0 AND integration <> ?2)";

/// Rows that are held at least as long are not changed.
const SHORTEN: &str = "UPDATE deliveries INDEXED BY deliveries_lane SET due = ?1
     WHERE state <= 1 AND due > ?1
       AND NOT EXISTS (SELECT 1 FROM holds AS h WHERE h.kind = 'route' AND h.key = deliveries.route_key
                       AND h.until >= deliveries.due)
       AND NOT EXISTS (SELECT 1 FROM holds AS h WHERE h.kind = 'destination' AND h.name = deliveries.destination
                       AND h.until >= deliveries.due)";

pub(super) fn shorten_waits(connection: &Connection, latest: &LatestWaits) -> Result<usize> {
    let mut shortened = 0;
    for (cause, until) in &latest.holds {
        let sql = "UPDATE holds SET until = ?2 WHERE cause = ?1 AND until > ?2";
        shortened += change(connection, sql, params![cause.name(), ms(*until)])?;
    }
    Ok(shortened + change(connection, SHORTEN, [ms(latest.delivery)])?)
}
