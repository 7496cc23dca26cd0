//! Deliveries. A batch is passed as arrays, one for each column. Each call is one function of the database.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use super::Postgres;
use super::holds::KeyColumns;
use super::merge_requests::Seen;
use super::rows::{self, RowState, ms, shared, signed, stored_event, text, unsigned};
use super::watches;
use crate::integration::IntegrationId;
use crate::store::columns::{EventColumns, key_of};
use crate::store::{
    Claim, Claimed, Delivery, DeliveryId, DestinationKey, Dispatched, Hold, HoldKey, Lane, Lease, NewState,
    NodeId, Origin, Result, Settled, StoredEvent,
};

/// The columns of a batch of events.
#[derive(Default)]
struct Events<'a> {
    id: Vec<&'a str>,
    trigger: Vec<Option<&'static str>>,
    kind: Vec<&'static str>,
    project_id: Vec<Option<i64>>,
    project: Vec<Option<String>>,
    subject: Vec<String>,
    occurred_at: Vec<i64>,
    digest: Vec<Option<&'a [u8]>>,
    raw: Vec<&'a [u8]>,
    inbox: Vec<Option<i64>>,
    redelivered: Vec<bool>,
}

impl<'a> Events<'a> {
    fn add(&mut self, dispatched: &'a Dispatched) {
        let event = EventColumns::new(&dispatched.event);
        self.id.push(dispatched.event.id.as_str());
        self.trigger.push(event.trigger);
        self.kind.push(event.kind);
        self.project_id.push(event.project_id);
        self.project.push(event.project.as_deref().map(|path| text(path).into_owned()));
        self.subject.push(text(&event.subject).into_owned());
        self.occurred_at.push(ms(event.occurred_at));
        self.raw.push(&dispatched.event.raw);
        let (inbox, digest, redelivered) = match &dispatched.origin {
            Origin::Inbox(number) => (Some(*number), None, false),
            Origin::Broker { digest, redelivered } => {
                (None, digest.as_ref().map(|digest| digest.0.as_slice()), *redelivered)
            }
        };
        self.inbox.push(inbox);
        self.digest.push(digest);
        self.redelivered.push(redelivered);
    }
}

/// The columns of their deliveries.
#[derive(Default)]
struct Rows<'a> {
    event: Vec<i32>,
    integration: Vec<Cow<'a, str>>,
    target: Vec<Cow<'a, str>>,
    destination: Vec<Cow<'a, str>>,
    share: Vec<Cow<'a, str>>,
    lane: Vec<i64>,
    replaces: Vec<bool>,
    route_key: Vec<i64>,
    lease_node: Vec<Option<&'a str>>,
    lease_until: Vec<Option<i64>>,
}

/// PostgreSQL takes messages of up to 1 GB. A batch of more bytes than this is written in several calls of one transaction. A
/// single event may have more.
pub(super) const MOST_BYTES: usize = if cfg!(test) { 64 << 10 } else { 32 << 20 };

const ENQUEUE: &str = "SELECT * FROM enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)";

/// The columns of a part of a batch that one call writes.
#[derive(Default)]
struct Batch<'a> {
    events: Events<'a>,
    rows: Rows<'a>,
    seen: Seen,
    /// The bytes of the events' JSON.
    bytes: usize,
}

impl<'a> Batch<'a> {
    /// The parts that fit into one message to PostgreSQL each: see [`MOST_BYTES`].
    fn parts(batch: &'a [Dispatched], lease_end: impl Fn(&Lease) -> i64) -> Vec<Self> {
        let mut parts = vec![Self::default()];
        for dispatched in batch {
            let bytes = dispatched.event.raw.len();
            if parts.last().is_none_or(|part| part.bytes > 0 && part.bytes + bytes > MOST_BYTES) {
                parts.push(Self::default());
            }
            if let Some(part) = parts.last_mut() {
                part.add(dispatched, &lease_end);
            }
        }
        parts
    }

    fn add(&mut self, dispatched: &'a Dispatched, lease_end: impl Fn(&Lease) -> i64) {
        let Self { events, rows, seen, bytes } = self;
        *bytes += dispatched.event.raw.len();
        events.add(dispatched);
        dispatched.remembered.seen.iter().for_each(|merge_request| seen.add(merge_request));
        let place = i32::try_from(events.id.len()).unwrap_or(i32::MAX);
        for delivery in &dispatched.deliveries {
            rows.event.push(place);
            let (integration, target) = (text(&delivery.integration.0), text(&delivery.target));
            rows.route_key.push(key_of(&[&integration, &target]));
            rows.integration.push(integration);
            rows.target.push(target);
            rows.destination.push(text(&delivery.destination));
            rows.share.push(text(&delivery.share));
            rows.lane.push(delivery.lane.0);
            rows.replaces.push(delivery.replaces);
            rows.lease_node.push(delivery.lease.as_ref().map(|lease| &*lease.node.0));
            rows.lease_until.push(delivery.lease.as_ref().map(&lease_end));
        }
    }

    /// The values of [`ENQUEUE`].
    fn values<'v>(&'v self, now: &'v i64, lease_now: &'v i64) -> [&'v (dyn ToSql + Sync); 29] {
        let Self { events, rows, seen, .. } = self;
        [
            &events.id,
            &events.trigger,
            &events.kind,
            &events.project_id,
            &events.project,
            &events.subject,
            &events.occurred_at,
            &events.digest,
            &events.raw,
            &events.inbox,
            &events.redelivered,
            &rows.event,
            &rows.integration,
            &rows.target,
            &rows.destination,
            &rows.lane,
            &rows.lease_node,
            &rows.lease_until,
            now,
            &rows.replaces,
            &rows.route_key,
            &seen.project_id,
            &seen.iid,
            &seen.source_project_id,
            &seen.branch_key,
            &seen.state,
            &seen.at,
            &rows.share,
            lease_now,
        ]
    }
}

impl Postgres {
    pub(super) async fn write(
        &self,
        batch: &[Dispatched],
        now: Timestamp,
    ) -> Result<Vec<Vec<Option<Delivery>>>> {
        let lease_now = self.lease_now(now);
        let parts = Batch::parts(batch, |lease| self.lease_end(lease, lease_now));
        let now = ms(now);
        let values: Vec<_> = parts.iter().map(|part| part.values(&now, &lease_now)).collect();
        let calls: Vec<_> = values.iter().map(|values| (ENQUEUE, &values[..])).collect();
        let leases = || parts.iter().flat_map(|part| part.rows.lease_until.iter().copied().flatten());
        self.release_unconfirmed().await?;
        let watches: Vec<_> =
            batch.iter().flat_map(|dispatched| &dispatched.remembered.watches).cloned().collect();
        if !watches.is_empty() {
            // Watches are written before the event, so that a dispatched event always has its watches. A watch without
            // its event does no harm.
            watches::watch(&self.writer, watches).await?;
        }
        let written = self
            .writer
            .all_or_none(&calls)
            .await
            .inspect_err(|error| self.unconfirmed.note_written(batch, leases(), error))?;
        let written: Vec<_> = written.into_iter().flatten().collect();
        let shares = parts.iter().flat_map(|part| &part.rows.share);
        let gained = written.iter().zip(shares).filter(|(row, _)| row.get(2));
        self.note_gained(gained.map(|(_, share)| &**share));
        let mut written = written.into_iter();
        let each = batch.iter().map(|dispatched| {
            let deliveries = dispatched.deliveries.iter().zip(written.by_ref());
            let delivery = |(new, row): (&crate::store::NewDelivery, tokio_postgres::Row)| {
                Some(Delivery {
                    id: DeliveryId(row.get::<_, Option<i64>>(0)?),
                    event: dispatched.event.id.clone(),
                    integration: new.integration.clone(),
                    target: Arc::clone(&new.target),
                    destination: Arc::clone(&new.destination),
                    lane: new.lane,
                    replaces: new.replaces,
                    attempts: 0,
                    fresh_since: dispatched.event.occurred_at,
                    started: false,
                    leased: row.get(1),
                })
            };
            deliveries.map(delivery).collect()
        });
        Ok(each.collect())
    }

    pub(super) async fn hand_out(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        let destinations: Vec<_> = claim.destinations.iter().map(|key| text(key)).collect();
        let most = i32::try_from(claim.portion.rows).unwrap_or(i32::MAX / 2);
        let bytes = rows::limit(claim.portion.bytes);
        let (node, now, lease_now) = (&*claim.lease.node.0, ms(claim.now), self.lease_now(claim.now));
        let until = self.lease_end(&claim.lease, lease_now);
        self.release_unconfirmed().await?;
        let found = self
            .writer
            .query(
                "SELECT * FROM claim($1, $2, $3, $4, $5, $6, $7)",
                &[&destinations, &most, &bytes, &node, &until, &now, &lease_now],
            )
            .await
            .inspect_err(|error| self.unconfirmed.note_claimed(claim, until, error))?;
        self.note_gained(found.iter().filter_map(|row| row.get::<_, Option<&str>>(15)));
        let claimed = |destination: &DestinationKey| Claimed {
            destination: Arc::clone(destination),
            deliveries: Vec::new(),
            more: false,
        };
        let mut all: Vec<Claimed> = claim.destinations.iter().map(claimed).collect();
        // Several deliveries of one event share its JSON.
        let mut events: HashMap<i64, Arc<StoredEvent>> = HashMap::new();
        for row in &found {
            let place = usize::try_from(row.get::<_, i32>(0)).unwrap_or_default().saturating_sub(1);
            let Some(of) = all.get_mut(place) else { continue };
            let Some(id) = row.get::<_, Option<i64>>(1) else {
                of.more = row.get(12);
                continue;
            };
            let seq = row.get(8);
            let event = match events.get(&seq) {
                Some(event) => Arc::clone(event),
                None => Arc::clone(events.entry(seq).or_insert(Arc::new(stored_event(row, 9)?))),
            };
            let delivery = Delivery {
                id: DeliveryId(id),
                event: event.id.clone(),
                integration: IntegrationId(shared(row, 4)),
                target: shared(row, 5),
                destination: shared(row, 3),
                lane: Lane(row.get(2)),
                replaces: row.get(13),
                attempts: unsigned(row.get(6)),
                fresh_since: rows::moment(row.get(7))?,
                started: row.get(14),
                leased: true,
            };
            of.deliveries.push((delivery, event));
        }
        Ok(all)
    }

    pub(super) async fn record(&self, by: &NodeId, settlements: &[Settled]) -> Result<()> {
        let watches: Vec<_> =
            settlements.iter().filter_map(|settled| settled.watch.as_deref().cloned()).collect();
        if !watches.is_empty() {
            // Watches are written before the outcome, so that a triggered build is always watched. A watch without an
            // outcome does no harm.
            watches::watch(&self.writer, watches).await?;
        }
        let numbers = |read: fn(&Settled) -> i64| -> Vec<i64> { settlements.iter().map(read).collect() };
        let due = |settled: &Settled| match settled.state {
            NewState::Waiting(due) => Some(ms(due)),
            _ => None,
        };
        let (ids, at) = (numbers(|s| s.delivery.0), numbers(|s| ms(s.at)));
        let states: Vec<Option<i32>> =
            settlements.iter().map(|settled| RowState::after(&settled.state).map(|state| state.0)).collect();
        let dues: Vec<Option<i64>> = settlements.iter().map(due).collect();
        let attempts: Vec<i32> = settlements.iter().map(|settled| signed(settled.attempts)).collect();
        let (record_at, latencies) =
            (numbers(|s| ms(s.record.at)), numbers(|s| i64::from(s.record.latency_ms)));
        let outcomes: Vec<&str> = settlements.iter().map(|settled| settled.record.outcome).collect();
        let statuses: Vec<Option<i32>> =
            settlements.iter().map(|settled| settled.record.status.map(i32::from)).collect();
        let notes: Vec<_> = settlements.iter().map(|settled| text(&settled.record.note)).collect();
        let ends = settlements
            .iter()
            .zip(1_i64..)
            .flat_map(|(settled, of)| settled.end.iter().map(move |key| (of, key)));
        let (end_of, end_keys): (Vec<i64>, Vec<&HoldKey>) = ends.unzip();
        let ends = KeyColumns::new(end_keys);
        let begins = settlements
            .iter()
            .zip(1_i64..)
            .flat_map(|(settled, of)| settled.begin.iter().map(move |hold| (of, hold)));
        let (begin_of, begins): (Vec<i64>, Vec<&Hold>) = begins.unzip();
        let begin_keys = KeyColumns::new(begins.iter().map(|hold| &hold.key));
        let causes: Vec<&str> = begins.iter().map(|hold| hold.cause.name()).collect();
        let reasons: Vec<_> = begins.iter().map(|hold| text(&hold.reason)).collect();
        let since: Vec<i64> = begins.iter().map(|hold| ms(hold.since)).collect();
        let until: Vec<i64> = begins.iter().map(|hold| ms(hold.until)).collect();
        let strikes: Vec<i32> = begins.iter().map(|hold| signed(hold.strikes)).collect();
        let made_by: Vec<_> = begins
            .iter()
            .map(|hold| hold.made_under.as_ref().map(|(integration, _)| text(&integration.0)))
            .collect();
        let fingerprints: Vec<Option<i64>> = begins
            .iter()
            .map(|hold| hold.made_under.as_ref().map(|(_, fingerprint)| fingerprint.0))
            .collect();
        self.writer
            .query(
                "SELECT settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
                               $20, $21, $22, $23, $24, $25, $26, $27)",
                &[
                    &&*by.0,
                    &ids,
                    &states,
                    &dues,
                    &attempts,
                    &at,
                    &record_at,
                    &latencies,
                    &outcomes,
                    &statuses,
                    &notes,
                    &end_of,
                    &ends.kinds,
                    &ends.integrations,
                    &ends.names,
                    &begin_of,
                    &begin_keys.kinds,
                    &begin_keys.integrations,
                    &begin_keys.names,
                    &causes,
                    &reasons,
                    &since,
                    &until,
                    &strikes,
                    &made_by,
                    &fingerprints,
                    &self.clock(),
                ],
            )
            .await
            .map(drop)
    }

    /// Notes that this node took these shares over from another one.
    fn note_gained<'a>(&self, shares: impl Iterator<Item = &'a str>) {
        if let Some(membership) = self.membership.get() {
            membership.gain(shares.map(Arc::from));
        }
    }
}
