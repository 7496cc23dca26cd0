//! Writes the results of events that were in hand: first attempts that were made before a row was written.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::history::{self, Finished};
use super::lanes;
use super::rows::{EventRow, RowState, change, delete_body, find, insert_body, ms};
use super::segments::{Location, Segments};
use super::settle;
use super::{inbox, merge_requests, watches};
use crate::store::columns::key_of;
use crate::store::{
    Asked, BodyDigest, DeliveryId, Fate, Kept, KeptDelivery, Known, NewDelivery, NewState, NodeId, Origin,
    Remembered, RepeatOf, Result, Settled,
};

pub(super) fn digest_of(origin: &Origin) -> Option<BodyDigest> {
    match origin {
        Origin::Broker { digest, .. } => *digest,
        Origin::Inbox(_) => None,
    }
}

const IS_KNOWN: &str = "SELECT EXISTS (SELECT 1 FROM events WHERE id = ?1 AND wanted = 1
                                       AND NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.seq = events.seq))";
const NUMBER_IN_INBOX: &str = "SELECT EXISTS (SELECT 1 FROM inbox WHERE seq = ?1)";

/// Waiting rows of a lane or of a destination.
const IN_LANE: &str =
    "SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_lane WHERE lane = ?1 AND state <= 1)";
const AT_DESTINATION: &str = "SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_ready
                                             WHERE destination = ?1 AND state = 0)";
const ANY_WAITS: &str =
    "SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_lane WHERE state <= 1)";

pub(super) fn look_up(connection: &Connection, asked: &[Asked]) -> Result<Vec<Known>> {
    let any_waits = find(connection, ANY_WAITS, [])?.unwrap_or(false);
    asked.iter().map(|asked| look_up_one(connection, asked, any_waits)).collect()
}

fn look_up_one(connection: &Connection, asked: &Asked, any_waits: bool) -> Result<Known> {
    let is_repeat = match &asked.repeat {
        RepeatOf::Id(id) => find(connection, IS_KNOWN, [id.as_str()])?.unwrap_or(false),
        RepeatOf::Inbox(number) => !find(connection, NUMBER_IN_INBOX, [number])?.unwrap_or(false),
    };
    if is_repeat {
        return Ok(Known::Repeat);
    }
    let mut behind = Vec::new();
    for (at, (lane, destination)) in asked.lanes.iter().enumerate().filter(|_| any_waits) {
        if find(connection, IN_LANE, [lane.0])?.unwrap_or(false)
            || find(connection, AT_DESTINATION, [destination])?.unwrap_or(false)
        {
            behind.push(at);
        }
    }
    Ok(Known::New { behind })
}

/// Writes a batch. The JSON that goes to history is in its file before the transaction commits.
pub(super) fn keep(
    connection: &Connection,
    segments: &Mutex<Segments>,
    by: &NodeId,
    batch: &[Kept],
) -> Result<()> {
    let mut segments = segments.lock().unwrap_or_else(PoisonError::into_inner);
    for kept in batch {
        keep_one(connection, &mut segments, by, kept)?;
    }
    segments.write_if_possible();
    Ok(())
}

fn keep_one(connection: &Connection, segments: &mut Segments, by: &NodeId, kept: &Kept) -> Result<()> {
    remember(connection, &kept.remembered)?;
    let needs_rows = kept.deliveries.iter().any(|delivery| ended_well(&delivery.fate).is_none());
    let location = if needs_rows || !kept.history {
        None
    } else {
        segments.append_if_possible(&kept.event.id, &kept.event.raw)
    };
    let (seq, met) = number_of(connection, kept, location)?;
    for delivery in &kept.deliveries {
        match ended_well(&delivery.fate) {
            Some((settled, state)) => {
                history::insert(connection, seq, &finished(delivery, settled, state))?;
                settle::follow_up(connection, settled)?;
            }
            None if met == Met::Known => {}
            None => insert_row(connection, by, seq, kept, delivery)?,
        }
    }
    match (needs_rows, met) {
        (true, Met::New) => insert_body(connection, seq, &kept.event.raw)?,
        (false, Met::InInbox) => delete_body(connection, seq)?,
        (true, Met::InInbox) | (false, Met::New) | (_, Met::Known) => {}
    }
    Ok(())
}

/// Writes the data to remember with an event, beside its own row. Writing it again changes nothing.
pub(super) fn remember(connection: &Connection, remembered: &Remembered) -> Result<()> {
    if let Some(seen) = &remembered.seen {
        merge_requests::remember(connection, seen)?;
    }
    watches::watch(connection, &remembered.watches)
}

/// The state of an event in the store before it is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Met {
    New,
    /// The event was in the inbox with its JSON, and was removed from there.
    InInbox,
    /// The event was written before in another way.
    Known,
}

/// The event's number, and its state before.
fn number_of(connection: &Connection, kept: &Kept, location: Option<Location>) -> Result<(i64, Met)> {
    let row =
        EventRow::new(&kept.event, kept.received_at, digest_of(&kept.origin), kept.remembered.log.clone());
    let number = match kept.origin {
        Origin::Inbox(number) => number,
        Origin::Broker { .. } => {
            if let Some(new) = row.insert_wanted(connection, location)? {
                return Ok((new, Met::New));
            }
            let known = find(connection, "SELECT seq FROM events WHERE id = ?1", [kept.event.id.as_str()])?;
            known.ok_or(rusqlite::Error::QueryReturnedNoRows)?
        }
    };
    if !inbox::take_out(connection, number)? {
        return Ok((number, Met::Known));
    }
    row.dispatched(connection, number, location)?;
    Ok((number, Met::InInbox))
}

/// The attempt of a delivery that needs no row, because it ended without a failure.
fn ended_well(fate: &Fate) -> Option<(&Settled, RowState)> {
    match fate {
        Fate::Attempted(settled) if matches!(settled.state, NewState::Delivered | NewState::Skipped) => {
            Some((settled, RowState::after(&settled.state)?))
        }
        _ => None,
    }
}

fn finished<'a>(delivery: &'a KeptDelivery, settled: &'a Settled, state: RowState) -> Finished<'a> {
    Finished {
        id: delivery.id,
        delivery: &delivery.new,
        state,
        attempts: settled.attempts,
        settled_at: settled.at,
        record: &settled.record,
    }
}

/// Writes a delivery as a row, with the outcome of its attempt, if one was made.
fn insert_row(
    connection: &Connection,
    by: &NodeId,
    seq: i64,
    kept: &Kept,
    delivery: &KeptDelivery,
) -> Result<()> {
    let settled = match &delivery.fate {
        Fate::Open => None,
        Fate::Attempted(settled) => Some(settled),
    };
    // The row is inserted with a lease of the node, so that the settlement applies as usual.
    let lease = match settled {
        Some(settled) => Some((by, settled.at)),
        None => delivery.new.lease.as_ref().map(|lease| (&lease.node, lease.until)),
    };
    let row = Row {
        id: delivery.id,
        seq,
        new: &delivery.new,
        due: kept.received_at,
        fresh_since: kept.event.occurred_at,
    };
    if !insert(connection, &row, lease)? {
        return Ok(()); // repeated after a lost answer
    }
    match settled {
        Some(settled) => settle::settle(connection, by, std::slice::from_ref(settled)),
        None => Ok(()),
    }
}

/// A delivery's row to be written.
pub(super) struct Row<'a> {
    pub(super) id: DeliveryId,
    /// The event's number.
    pub(super) seq: i64,
    pub(super) new: &'a NewDelivery,
    pub(super) due: Timestamp,
    pub(super) fresh_since: Timestamp,
}

/// Writes a row, either leased or in its lane's order. `false` where the delivery existed before.
pub(super) fn insert(
    connection: &Connection,
    row: &Row<'_>,
    lease: Option<(&NodeId, Timestamp)>,
) -> Result<bool> {
    let Row { id, seq, new, due, fresh_since } = row;
    let route_key = key_of(&[&new.integration.0, &new.target]);
    let is_here = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE event = ?1 AND route_key = ?2)";
    if find(connection, is_here, params![seq, route_key])?.unwrap_or(false) {
        return Ok(false);
    }
    let state = match lease {
        Some(_) => RowState::LEASED,
        None => lanes::enter(connection, new.lane, id.0)?,
    };
    change(
        connection,
        "INSERT INTO deliveries (id, event, integration, target, destination, lane, state, due, created_at, fresh_since,
                                 lease_node, lease_until, replaces, route_key)
         VALUES (?13, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            seq,
            new.integration.0,
            new.target,
            new.destination,
            new.lane.0,
            state.0,
            ms(*due),
            ms(*fresh_since),
            lease.map(|(node, _)| &node.0),
            lease.map(|(_, until)| ms(until)),
            new.replaces,
            route_key,
            id.0,
        ],
    )?;
    if new.replaces {
        lanes::replace_older(connection, new.lane, id.0, ms(*due))?;
    }
    Ok(true)
}
