//! Events become deliveries.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::lanes::{self, Foreign};
use super::rows::{EventRow, RowState, change, find, ms};
use super::{inbox, leases, merge_requests};
use crate::store::columns::key_of;
use crate::store::merge_requests::SeenMergeRequest;
use crate::store::{BodyDigest, Delivery, DeliveryId, Dispatched, Lease, NewDelivery, Origin, Result};

/// A [`Dispatched`] as the writer wants it.
pub(super) struct Entry {
    event: EventRow,
    origin: Origin,
    deliveries: Vec<NewDelivery>,
    seen: Option<SeenMergeRequest>,
}

impl Entry {
    pub(super) fn new(dispatched: Dispatched, now: Timestamp) -> Self {
        let digest = match &dispatched.origin {
            Origin::Broker { digest, .. } => *digest,
            Origin::Inbox(_) => None,
        };
        Self {
            event: EventRow::new(&dispatched.event, now, digest),
            origin: dispatched.origin,
            deliveries: dispatched.deliveries,
            seen: dispatched.seen,
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
    if let Some(seen) = &entry.seen {
        merge_requests::remember(connection, seen)?;
    }
    if entry.deliveries.is_empty() {
        if let Origin::Inbox(number) = entry.origin {
            inbox::discard(connection, &[number])?;
        }
        return Ok(Vec::new());
    }
    let seq = number_of(connection, &entry.event, &entry.origin)?;
    let mut written = Vec::with_capacity(entry.deliveries.len());
    for delivery in entry.deliveries {
        let lease = match delivery.lease.clone() {
            Some(lease) if may_go_now(connection, &delivery, &lease, foreign)? => Some(lease),
            _ => None,
        };
        written.push(insert(connection, seq, &entry.event, delivery, lease.as_ref(), now)?);
    }
    Ok(written)
}

/// The event's number: of the one in the inbox, or of the one that was here before, or of the one written now.
fn number_of(connection: &Connection, event: &EventRow, origin: &Origin) -> Result<i64> {
    match origin {
        Origin::Inbox(number) if inbox::take_out(connection, *number)? => return Ok(*number),
        Origin::Broker { digest: Some(digest), redelivered: true } => {
            if let Some(known) = by_digest(connection, digest)? {
                return Ok(known);
            }
        }
        _ => {}
    }
    if let Some(new) = event.insert(connection)? {
        return Ok(new);
    }
    let known = find(connection, "SELECT seq FROM events WHERE id = ?1", [event.event.id.as_str()])?;
    known.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
}

const BY_DIGEST: &str = "SELECT max(seq) FROM events WHERE digest = ?1";

fn by_digest(connection: &Connection, digest: &BodyDigest) -> Result<Option<i64>> {
    Ok(find::<Option<i64>>(connection, BY_DIGEST, [digest.0.as_slice()])?.flatten())
}

/// Whether no earlier row of the lane has to go first: none waits, and no other node has one.
fn may_go_now(
    connection: &Connection,
    delivery: &NewDelivery,
    lease: &Lease,
    foreign: &mut Option<(Arc<str>, Foreign)>,
) -> Result<bool> {
    if lanes::first(connection, delivery.lane)?.is_some() {
        return Ok(false);
    }
    // A batch is one node's, so that others' leases are looked up once.
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
    delivery: NewDelivery,
    lease: Option<&Lease>,
    now: Timestamp,
) -> Result<Option<Delivery>> {
    let state = match lease {
        Some(_) => RowState::LEASED,
        // Its id will be the greatest.
        None => lanes::enter(connection, delivery.lane, i64::MAX)?,
    };
    let written = change(
        connection,
        "INSERT INTO deliveries (event, integration, target, destination, lane, state, due, created_at, fresh_since,
                                 lease_node, lease_until, replaces, route_key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (event, route_key) DO NOTHING",
        params![
            seq,
            delivery.integration.0,
            delivery.target,
            delivery.destination,
            delivery.lane.0,
            state.0,
            ms(now),
            ms(event.event.occurred_at),
            lease.map(|lease| &lease.node.0),
            lease.map(|lease| ms(lease.until)),
            delivery.replaces,
            key_of(&[&delivery.integration.0, &delivery.target]),
        ],
    )?;
    if written == 0 {
        return Ok(None);
    }
    let id = connection.last_insert_rowid();
    if delivery.replaces {
        lanes::replace_older(connection, delivery.lane, id, ms(now))?;
    }
    Ok(Some(Delivery {
        id: DeliveryId(id),
        event: event.event.id.clone(),
        integration: delivery.integration,
        target: delivery.target,
        destination: delivery.destination,
        lane: delivery.lane,
        replaces: delivery.replaces,
        attempts: 0,
        fresh_since: event.event.occurred_at,
        started: false,
        leased: lease.is_some(),
    }))
}
