//! WHAT MUST SURVIVE: events on their way, deliveries, holds, attempts, what could not be understood, and what people
//! configured.
//!
//! Five narrow traits, shaped for batches, so that each part of the pipeline can touch only what is its own:
//! [`Inbox`] (events that came over HTTP, until they are dispatched), [`Outbox`] (deliveries, until they are
//! settled), [`Quarantine`] (bytes that are no event, with the reason), [`Ledger`] (what people look at and
//! resend) and [`Registry`] (what people configured: the contract of that is in [`registry`], [`seal`] closes its
//! secrets, [`token`] makes its tokens). [`sqlite`] is the default store, [`postgres`] the one that several nodes share;
//! `suite` is the contract as tests, run over both.
//!
//! # The contract
//!
//! - **Durable means returned.** When a call returns `Ok`, its effect survives a power cut. When it returns `Err`,
//!   nothing of it happened, or all of it where only the answer was lost on its way: the caller may call again.
//! - **Dispatching again changes nothing.** A delivery is unique on (event, integration, target). Enqueueing one that
//!   is there already, settled or not, is answered with `None` and leaves it as it is.
//! - **Leases.** A row is worked by the node that holds its lease, until `lease_until`. Leases lapse by time.
//! - **Order.** Rows of one lane (integration, target, subject) are handed out in the order of their ids: neither a
//!   claim nor a lease that is asked for on a new row gives a row away while an earlier one of its lane is open, unless
//!   the earlier one is leased to the same node or is handed out by the same call (the node then keeps the order
//!   itself). Where an earlier row has to wait, those behind it wait, held or not, due or not.
//! - **Replacement.** Older deliveries of the lane of one that replaces are cancelled ([`REPLACED`]) instead of waiting:
//!   when it is written, and when the lease of an older one ends or its settlement would have it wait. An attempt that is
//!   under way is recorded as it ends. What was replaced, or has a newer replacing delivery in its lane, can't be resent.
//! - **One worker.** In a store that nodes share, a destination's rows are handed out to one node at a time: to the one that
//!   had some of them last, until its leases there have ended and as long again as a lease lasts. What the pace of a
//!   destination allows is in that node's memory.
//! - **Holds.** A row whose destination or route is held (see [`Hold`]) is not handed out before the hold's end; holds of
//!   addresses and buckets are the pipeline's to heed. Holds survive restarts. A longer hold replaces a shorter one, never
//!   the reverse.
//! - **Whose word counts.** A settlement is recorded whoever makes it: the attempt did happen. What it says of the row's
//!   future counts if its node holds the lease, or nobody does. Where another node holds it by now, or where the row is
//!   settled, only `Delivered` counts: that is a fact, the rest are opinions.
//! - **Bounded work.** Each call touches the rows it names or a bounded number of others; a sweep says how many it
//!   left for the next time.
//! - Times are given; a store has no clock. Ids grow with time within one store.

mod columns;
mod holds;
mod migrations;
pub mod postgres;
pub mod registry;
pub mod seal;
pub mod sqlite;
#[cfg(test)]
mod suite;
pub mod token;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use crate::event::{Event, EventId, Undecodable};
use crate::integration::{Fingerprint, IntegrationId};
use crate::settings::Secret;

pub use holds::{Hold, HoldCause, HoldKey};
use registry::AuditEntry;
pub use registry::Registry;

/// Where the store is, and how long it remembers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A PostgreSQL database, `postgres://user:password@host/database`. Without one, the store is a SQLite file.
    #[serde(default)]
    pub url: Option<Secret>,
    /// Certificates of a private authority (PEM) for the database, trusted beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The SQLite file. Its folder is made where it is missing; `.lock`, `.key`, `-wal` and `-shm` lie beside it.
    pub path: PathBuf,
    /// How long deliveries that arrived, or were cancelled, are kept for people to look at. For as long, a repeat of
    /// their event is recognised.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub retention_settled: Duration,
    /// How long dead letters (failed and expired) can be looked at and resent.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub retention_dead_letters: Duration,
    /// How long bytes that are no event are kept.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub retention_quarantine: Duration,
    /// How often what is too old is swept out.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub sweep_every: Duration,
}

impl Config {
    /// What may go at this moment. A retention that reaches back before time began keeps everything.
    pub fn retention(&self, now: Timestamp) -> Retention {
        let before = |kept: Duration| now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        Retention {
            settled_before: before(self.retention_settled),
            dead_letters_before: before(self.retention_dead_letters),
            quarantine_before: before(self.retention_quarantine),
        }
    }
}

/// Something is wrong with the store itself: ours, never a receiver's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Try again: it is busy, full, or being restarted.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Trying again won't help: corrupt, of a newer version, or a bug of ours.
    #[error("the store is broken: {0}")]
    Broken(String),
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// A node's name: whose leases are whose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub Arc<str>);

/// A delivery's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub i64);

impl std::fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a rate limit and a hold belong to: an adapter's first bucket key.
pub type DestinationKey = Arc<str>;

/// The note of a delivery that a newer one of its lane replaced.
pub const REPLACED: &str = "replaced by a newer state";

/// What order is kept within: a digest of integration, target, project and subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lane(pub i64);

/// A lease to write on new rows: whose, and until when.
#[derive(Clone, Debug)]
pub struct Lease {
    pub node: NodeId,
    pub until: Timestamp,
}

/// A delivery to be written.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    pub integration: IntegrationId,
    /// One channel, one recipient; empty for the address's own.
    pub target: Arc<str>,
    pub destination: DestinationKey,
    pub lane: Lane,
    /// Cancels older deliveries of its lane that are not delivered: see *Replacement* above.
    pub replaces: bool,
    /// Asks for a lease from the start to the node that writes it, so that its first attempt needs no claim. It is
    /// refused where an earlier row of the lane has to go first: see [`Delivery::leased`].
    pub lease: Option<Lease>,
}

/// A delivery under way.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: DeliveryId,
    pub event: EventId,
    pub integration: IntegrationId,
    pub target: Arc<str>,
    pub destination: DestinationKey,
    pub lane: Lane,
    /// See [`NewDelivery::replaces`].
    pub replaces: bool,
    /// Attempts that were made and counted.
    pub attempts: u32,
    /// The news is as old as this: when the event happened, or when somebody asked for a resend.
    pub fresh_since: Timestamp,
    /// Whether the caller holds its lease, and may go on with it. Always so for what a claim hands out; a row just
    /// written may have to be claimed later, because an earlier one of its lane waits.
    pub leased: bool,
}

/// An event and the deliveries that dispatching made of it.
#[derive(Clone, Debug)]
pub struct Dispatched {
    pub event: Arc<Event>,
    pub origin: Origin,
    /// May be empty: an event from the inbox is then discarded, one from a broker leaves no trace.
    pub deliveries: Vec<NewDelivery>,
}

/// Where an event came from, and how a repeat of it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It lies in the inbox under this number, and is taken out with the same commit.
    Inbox(i64),
    /// It came from a broker.
    Broker {
        /// The body's digest, for messages that bore no id.
        digest: Option<BodyDigest>,
        /// The broker says that it may have been delivered before: then a known digest is a repeat.
        redelivered: bool,
    },
}

/// SHA-256 of a message body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BodyDigest(pub [u8; 32]);

/// An event as it waits in the store: not decoded.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    pub id: EventId,
    pub occurred_at: Timestamp,
    pub raw: Bytes,
}

impl StoredEvent {
    /// The event.
    ///
    /// # Errors
    /// Another version of us wrote it, and this one cannot read it.
    pub fn decode(&self) -> std::result::Result<Event, Undecodable> {
        Event::decode(self.id.clone(), self.occurred_at, self.raw.clone())
    }
}

/// How much is handed out at once, so that it fits into memory whatever the events' size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    pub rows: usize,
    /// Of the events' JSON, each row counted for itself. What goes beyond is handed out yet, the rows after it are not: no
    /// event is too large to come.
    pub bytes: usize,
}

impl Portion {
    /// So many rows, whatever their bytes.
    pub const fn rows(rows: usize) -> Self {
        Self { rows, bytes: usize::MAX }
    }

    /// Whether so many rows with so many bytes are enough.
    pub fn is_full(self, rows: usize, bytes: usize) -> bool {
        rows >= self.rows || bytes >= self.bytes
    }
}

/// Events that came over HTTP.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Keeps an event; `false` where its id was here before, dispatched or not.
    async fn push(&self, event: &Event, received_at: Timestamp) -> Result<bool>;

    /// The oldest events after number `after` that are not dispatched, up to a portion, with their numbers, in order of
    /// arrival. They stay in the inbox until [`Outbox::enqueue`] takes them out, or [`Inbox::discard`] does.
    async fn peek(&self, after: i64, portion: Portion) -> Result<Vec<(i64, StoredEvent)>>;

    /// Takes out events that nobody wants (they are kept as dispatched, for repeats to be known).
    async fn discard(&self, numbers: &[i64]) -> Result<()>;
}

/// Deliveries on their way.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Writes a batch in one transaction; the rows are due at once. Answers, per event and delivery in the given order,
    /// the delivery as written, or `None` where it was here before.
    async fn enqueue(&self, batch: Vec<Dispatched>, now: Timestamp) -> Result<Vec<Vec<Option<Delivery>>>>;

    /// Leases due rows of these destinations to a node, oldest first; see [`Claimed`]. Leases that have lapsed end
    /// first.
    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>>;

    /// Destinations that have open rows which nobody has leased, with the moment at which each wants a claim:
    /// the earliest due time among rows that no earlier unleased row of their lane holds up, not before the
    /// destination's hold ends. Up to `limit`, earliest first. A claim at that moment may yet get nothing (the row's
    /// route is held, or another node has an earlier row of the lane): it corrects the moment where it can, so don't
    /// spin on it.
    async fn waiting(&self, now: Timestamp, limit: usize) -> Result<Vec<(DestinationKey, Timestamp)>>;

    /// Writes what became of a node's attempts, in one transaction, each with its record. A settlement for a row that
    /// this node's lease no longer covers is recorded all the same (see *whose word counts*); one for a row that is
    /// not there any more is ignored.
    async fn settle(&self, by: &NodeId, settlements: Vec<Settled>) -> Result<()>;

    /// Gives a node's leases back: the rows are as due as they were. Rows that it has not leased are left alone.
    async fn release(&self, by: &NodeId, rows: &[DeliveryId]) -> Result<()>;

    /// Prolongs a node's leases of these rows, and answers which of them are still its own. A lease that nobody knows of
    /// (the answer to a claim was lost on its way) is not prolonged, and lapses.
    async fn renew(&self, lease: Lease, rows: &[DeliveryId]) -> Result<Vec<DeliveryId>>;

    /// Ends all leases of a node, whether a former life left them behind or its life is about to end. A store that one node
    /// has to itself ends whatever leases there are: the node may have had another name.
    async fn release_leases(&self, by: &NodeId, now: Timestamp) -> Result<()>;

    /// All holds that have not ended.
    async fn holds(&self, now: Timestamp) -> Result<Vec<Hold>>;

    /// Ends holds: what they kept back is shown to be well. What waits on a route among them is due now.
    async fn end_holds(&self, keys: &[HoldKey], now: Timestamp) -> Result<()>;

    /// The settings of these integrations changed: the holds that other versions of their settings led to end, and what
    /// waited for them is due now. `None` stands for settings that are no more, or that are to be tried again as they are:
    /// whatever they led to ends. The holds of integrations that are not named stay, and so does what a service asked for,
    /// and the hold of a destination that rows of other integrations wait for. Answers how many ended.
    async fn end_outdated_holds(
        &self,
        current: &[(IntegrationId, Option<Fingerprint>)],
        now: Timestamp,
    ) -> Result<usize>;
}

/// What to claim.
#[derive(Clone, Debug)]
pub struct Claim {
    pub destinations: Vec<DestinationKey>,
    /// For each destination.
    pub portion: Portion,
    pub lease: Lease,
    pub now: Timestamp,
}

/// What a claim got for one destination.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub destination: DestinationKey,
    /// In the order of their ids.
    pub deliveries: Vec<(Delivery, Arc<StoredEvent>)>,
    /// Whether open rows of this destination remain in the store that nobody has leased, due or not. (Rows that wait
    /// behind one of another destination, as after a change of the webhook, don't show here until it is gone.)
    pub more: bool,
}

/// What became of an attempt, to be written.
#[derive(Clone, Debug)]
pub struct Settled {
    pub delivery: DeliveryId,
    pub state: NewState,
    /// Attempts counted so far, this one included if it counts.
    pub attempts: u32,
    /// What happened, for people; also where nothing was sent (expired, cancelled).
    pub record: AttemptRecord,
    /// Holds that end with this. (Where a route's ends, what waits on it is due at once.)
    pub end: Vec<HoldKey>,
    /// Holds that begin with this, or are prolonged.
    pub begin: Vec<Hold>,
    pub at: Timestamp,
}

/// The state that a settlement leaves a row in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewState {
    Delivered,
    /// The service answered that there is nothing to do: neither delivered nor a dead letter.
    Skipped,
    /// Open still, due then, leased to nobody.
    Waiting(Timestamp),
    /// Given up: a dead letter.
    Failed,
    Expired,
    Cancelled,
}

/// One attempt, as people see it in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    pub at: Timestamp,
    /// Milliseconds from sending to the answer's end; 0 where nothing was sent.
    pub latency_ms: u32,
    /// `delivered`, or the failure's consequence, or `expired`, `cancelled`.
    pub outcome: &'static str,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// Why, in words, with no secret in them.
    pub note: String,
}

/// Bytes that are no event.
#[async_trait]
pub trait Quarantine: Send + Sync {
    async fn quarantine(&self, items: Vec<NewQuarantined>) -> Result<()>;
    /// Newest first, after (below) number `before`.
    async fn list_quarantined(&self, before: Option<i64>, limit: usize) -> Result<Vec<Quarantined>>;
    async fn quarantined(&self, number: i64) -> Result<Option<(Quarantined, Bytes)>>;
    /// Takes one out, for good, and says so in the audit log. `false` where it is not there.
    async fn remove_quarantined(&self, number: i64, audit: AuditEntry) -> Result<bool>;
}

/// What goes to quarantine.
#[derive(Clone, Debug)]
pub struct NewQuarantined {
    /// `amqp` or `http`.
    pub source: &'static str,
    /// The sender's id for it, where it had one.
    pub id: Option<EventId>,
    pub reason: String,
    pub received_at: Timestamp,
    pub raw: Bytes,
}

/// A line of the quarantine's list.
#[derive(Clone, Debug)]
pub struct Quarantined {
    pub number: i64,
    pub source: String,
    pub id: Option<EventId>,
    pub reason: String,
    pub received_at: Timestamp,
    pub size: usize,
}

/// What people look at, and what they resend.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Newest first.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryLine>>;
    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>>;
    /// Makes a settled delivery due again, with its attempts counted from 0 (their records stay) and its news fresh;
    /// it goes before the later ones of its lane. It is said in the audit log, and is as new as that line. `false` where
    /// there is none, where it is still on its way, or where a newer one of its lane replaces it.
    async fn resend(&self, id: DeliveryId, audit: AuditEntry) -> Result<bool>;
    /// What the gauges show.
    async fn depth(&self, now: Timestamp) -> Result<Depth>;
    /// Removes what is older than the retention allows, at most about `limit` rows a kind; answers how many went.
    async fn sweep(&self, retention: Retention, limit: usize) -> Result<Swept>;
    /// Whether the store answers.
    async fn ping(&self) -> Result<()>;
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub state: Option<State>,
    pub integration: Option<IntegrationId>,
    /// Only below this number: the page before.
    pub before: Option<DeliveryId>,
    pub limit: usize,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Waiting,
    Delivered,
    Skipped,
    Failed,
    Expired,
    Cancelled,
}

impl State {
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Delivered, Self::Skipped, Self::Failed, Self::Expired, Self::Cancelled];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A line of the list of deliveries.
#[derive(Clone, Debug)]
pub struct DeliveryLine {
    pub id: DeliveryId,
    pub state: State,
    pub event: EventId,
    pub trigger: Option<String>,
    pub subject: String,
    pub integration: IntegrationId,
    pub target: String,
    pub destination: String,
    pub attempts: u32,
    /// When it is tried next, while it waits.
    pub due: Option<Timestamp>,
    pub created_at: Timestamp,
    pub settled_at: Option<Timestamp>,
    /// What the last attempt said.
    pub last_note: Option<String>,
}

/// One delivery, whole.
#[derive(Clone, Debug)]
pub struct DeliveryDetail {
    pub line: DeliveryLine,
    /// Oldest first.
    pub attempts: Vec<(u32, StoredAttempt)>,
    /// The event's JSON.
    pub raw: Bytes,
    /// Why it waits, where a hold is the reason. It may just have ended: compare its `until`.
    pub hold: Option<Hold>,
}

/// An attempt as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAttempt {
    pub at: Timestamp,
    pub latency_ms: u32,
    pub outcome: String,
    pub status: Option<u16>,
    pub note: String,
}

/// How much waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    pub inbox: u64,
    pub waiting: u64,
    /// When the oldest waiting delivery was written.
    pub oldest_waiting: Option<Timestamp>,
    pub dead_letters: u64,
    pub quarantined: u64,
    pub held: u64,
}

/// What is older than this may go.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Settled deliveries with their attempts, and events that no delivery needs.
    pub settled_before: Timestamp,
    /// Dead letters (failed and expired) are kept longer.
    pub dead_letters_before: Timestamp,
    pub quarantine_before: Timestamp,
}

impl Retention {
    /// The settled states, each with the moment before which its deliveries may go.
    pub fn by_state(&self) -> [(State, Timestamp); 5] {
        [
            (State::Delivered, self.settled_before),
            (State::Skipped, self.settled_before),
            (State::Cancelled, self.settled_before),
            (State::Failed, self.dead_letters_before),
            (State::Expired, self.dead_letters_before),
        ]
    }
}

/// How much went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub deliveries: u64,
    pub events: u64,
    pub quarantined: u64,
    /// The limit was reached: there may be more.
    pub more: bool,
}

/// All of a store.
pub trait Store: Inbox + Outbox + Quarantine + Ledger + Registry {}

impl<T: Inbox + Outbox + Quarantine + Ledger + Registry> Store for T {}
