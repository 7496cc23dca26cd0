//! Writes events with their deliveries.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::keep::{self, digest_of};
use super::lanes::{self, Foreign};
use super::rows::{EventRow, change, find, ms};
use super::{inbox, leases};
use crate::store::{
    BodyDigest, Delivery, DeliveryId, Dispatched, Lease, NewDelivery, Origin, Remembered, Result,
    repeats_since,
};

/// A [`Dispatched`] as the writer wants it.
pub(super) struct Entry {
    event: EventRow,
    origin: Origin,
    deliveries: Vec<(DeliveryId, NewDelivery)>,
    remembered: Remembered,
}

impl Entry {
    /// `next_id` gives the rows their ids.
    pub(super) fn new(dispatched: Dispatched, now: Timestamp, next_id: impl Fn() -> DeliveryId) -> Self {
        let Dispatched { event, origin, deliveries, remembered } = dispatched;
        Self {
            event: EventRow::new(&event, now, digest_of(&origin), remembered.log.clone()),
            origin,
            deliveries: deliveries.into_iter().map(|new| (next_id(), new)).collect(),
            remembered,
        }
    }
}

pub(super) fn enqueue(
    connection: &Connection,
    batch: Vec<Entry>,
    now: Timestamp,
) -> Result<Vec<Vec<Option<Delivery>>>> {
    leases::lapse(connection, now)?;
    let mut batch_foreign = None;
    batch.into_iter().map(|entry| enqueue_one(connection, entry, &mut batch_foreign, now)).collect()
}

fn enqueue_one(
    connection: &Connection,
    entry: Entry,
    foreign: &mut Option<(Arc<str>, Foreign)>,
    now: Timestamp,
) -> Result<Vec<Option<Delivery>>> {
    keep::remember(connection, &entry.remembered)?;
    if entry.deliveries.is_empty() {
        if let Origin::Inbox(number) = entry.origin {
            inbox::discard(connection, &[number])?;
        }
        return Ok(Vec::new());
    }
    let Some(seq) = number_of(connection, &entry.event, &entry.origin, now)? else {
        return Ok(entry.deliveries.iter().map(|_| None).collect());
    };
    let mut written = Vec::with_capacity(entry.deliveries.len());
    for (id, new) in entry.deliveries {
        let lease = match new.lease.clone() {
            Some(lease) if may_go_now(connection, &new, &lease, foreign)? => Some(lease),
            _ => None,
        };
        written.push(insert(connection, seq, &entry.event, (id, new), lease.as_ref(), now)?);
    }
    Ok(written)
}

/// The event's number, either in the inbox or as written now. `None` where the event is known: its deliveries were
/// written before.
fn number_of(
    connection: &Connection,
    event: &EventRow,
    origin: &Origin,
    now: Timestamp,
) -> Result<Option<i64>> {
    let waiting = match origin {
        Origin::Inbox(number) => Some(*number),
        Origin::Broker { digest: Some(digest), redelivered: true }
            if is_repeat(connection, event.event.id.as_str(), digest, now)? =>
        {
            return Ok(None);
        }
        Origin::Broker { .. } => find(connection, IN_INBOX, [event.event.id.as_str()])?,
    };
    if let Some(number) = waiting
        && inbox::take_out(connection, number)?
    {
        event.dispatched(connection, number, None)?;
        return Ok(Some(number));
    }
    Ok(event.insert(connection)?)
}

/// The number of an event in the inbox.
const IN_INBOX: &str =
    "SELECT inbox.seq FROM events CROSS JOIN inbox ON inbox.seq = events.seq WHERE events.id = ?1";

/// An event of this digest that was written since this moment.
const OF_DIGEST: &str = "SELECT seq FROM events INDEXED BY events_digest
                         WHERE digest = ?1 AND received_at >= ?2 ORDER BY seq LIMIT 1";

/// Whether this message without an id, which the broker redelivers, repeats an event.
fn is_repeat(
    connection: &Connection,
    id: &str,
    digest: &BodyDigest,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let since = ms(repeats_since(now));
    let answered = BodyDigest::answered(id);
    if find::<i64>(connection, OF_DIGEST, params![answered.0.as_slice(), since])?.is_some() {
        return Ok(true);
    }
    let Some(seq) = find::<i64>(connection, OF_DIGEST, params![digest.0.as_slice(), since])? else {
        return Ok(false);
    };
    let answer = "UPDATE events SET digest = ?2 WHERE seq = ?1";
    Ok(change(connection, answer, params![seq, answered.0.as_slice()])? == 1)
}

/// Whether no earlier row of the lane waits or is leased to another node.
fn may_go_now(
    connection: &Connection,
    delivery: &NewDelivery,
    lease: &Lease,
    foreign: &mut Option<(Arc<str>, Foreign)>,
) -> Result<bool> {
    if lanes::first(connection, delivery.lane)?.is_some() {
        return Ok(false);
    }
    // All leases of a batch are for one node, so the leases of other nodes are read once.
    let known = match foreign.take() {
        Some((node, known)) if node == lease.node.0 => known,
        _ => Foreign::to(connection, &lease.node)?,
    };
    let free = !known.before(delivery.lane, i64::MAX);
    *foreign = Some((Arc::clone(&lease.node.0), known));
    Ok(free)
}

/// Writes a delivery; `None` where it was here before.
fn insert(
    connection: &Connection,
    seq: i64,
    event: &EventRow,
    (id, new): (DeliveryId, NewDelivery),
    lease: Option<&Lease>,
    now: Timestamp,
) -> Result<Option<Delivery>> {
    let fresh_since = event.event.occurred_at;
    let row = keep::Row { id, seq, new: &new, due: now, fresh_since };
    if !keep::insert(connection, &row, lease.map(|lease| (&lease.node, lease.until)))? {
        return Ok(None);
    }
    Ok(Some(Delivery {
        id,
        event: event.event.id.clone(),
        integration: new.integration,
        target: new.target,
        destination: new.destination,
        lane: new.lane,
        replaces: new.replaces,
        attempts: 0,
        fresh_since,
        started: false,
        leased: lease.is_some(),
    }))
}
