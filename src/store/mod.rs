//! The durable state: events, deliveries, holds, attempts, quarantined bytes, and the configuration by people.
//!
//! There are eleven traits, so that each part of the pipeline can use only what it needs. Their methods take batches.
//!
//! - [`Inbox`]: events that came over HTTP, until they are dispatched.
//! - [`Outbox`]: deliveries, until they are settled.
//! - [`FirstAttempts`]: events whose deliveries are attempted before a row is written.
//! - [`EventLog`]: events that lead to no delivery, which people read.
//! - [`EventRecords`]: received events and their results, as people read them.
//! - [`Quarantine`]: bytes that could not be decoded, with the reason.
//! - [`Ledger`]: deliveries and attempts, which people read and resend.
//! - [`Watches`]: builds whose outcome is polled, and services that are probed.
//! - [`Alerts`]: alerts that monitoring systems reported, and which of them are new.
//! - [`MergeRequests`]: the states of merge requests from events.
//! - [`Registry`]: the configuration by people. Its contract is in [`registry`]; [`seal`] encrypts its secrets, [`token`] makes
//!   its tokens.
//!
//! [`sqlite`] is the default store, for one daemon. [`postgres`] is the store that several nodes share. `suite` has the
//! contract as tests, which run over both. `columns` and `migrations` have what both databases share.
//!
//! # The contract
//!
//! - **`Ok` means durable.** When a call returns `Ok`, its effect survives a power cut. When a call returns `Err`,
//!   either nothing was done, or everything was done and the answer was lost. The caller may call again, except after
//!   [`StoreError::Refused`]: then one value of the batch can't be stored. The others can be stored without it.
//! - **Dispatching again changes nothing.** A message with a known event id is not written again: its deliveries were
//!   written with the id, and are not compared. Each of them returns `None`. An id stays for the retention time, and
//!   longer while any delivery of the event is open or dead. An event in the inbox was not dispatched yet: if a copy
//!   comes over a broker, the copy is dispatched instead, and the event leaves the inbox.
//! - **Leases.** Only the node that holds the lease of a row attempts it, until `lease_until`. Leases lapse by time.
//! - **Order.** Rows of one lane (integration, target, subject) are handed out in the order of their ids. A claim or a
//!   requested lease gives out no row while an earlier row of its lane is open, unless the earlier row is leased to the
//!   same node or is given out by the same call: then the node keeps the order. Where an earlier row has to wait, the rows
//!   behind it wait too.
//! - **Replacement.** A delivery that replaces cancels the older deliveries of its lane ([`REPLACED`]) instead of letting
//!   them wait: when it is written, when the lease of an older one ends, and when a settlement would have an older one wait.
//!   The outcome of an attempt under way is recorded. A replaced delivery, and one with a newer replacing delivery in
//!   its lane, can't be resent.
//! - **One worker.** In a store that nodes share, only one node at a time leases rows of a share, which is all destinations that
//!   take from one rate limit, because the pace is in that node's memory. Shares are divided among the nodes that are
//!   alive ([`postgres`]). When a share moves to another node, that node gets rows as soon as the former one has no
//!   leases in the share.
//! - **Holds.** A row whose destination or route is held (see [`Hold`]) is not handed out before the hold ends. The pipeline
//!   itself applies holds of addresses and buckets. Holds survive restarts. A hold is replaced only by one that lasts at
//!   least as long.
//! - **Settling without a lease.** Every settlement is recorded, because the attempt was made. It decides the row's state if
//!   its node holds the lease, or if no node does. If another node holds the lease, or the row is settled, only `Delivered`
//!   changes the state, because it is a fact.
//! - **Bounded work.** Each call touches the rows that it names, or a bounded number of others. A sweep says whether it left
//!   some.
//! - The caller gives the time, because a store has no clock. Only the leases of nodes that share a store use the
//!   database's clock. Ids grow with time within one store.

mod alerts;
mod columns;
mod event_log;
mod event_records;
mod first_attempts;
mod health;
mod holds;
mod last_depth;
mod ledger;
pub mod merge_requests;
mod migrations;
mod overview;
pub mod postgres;
pub mod registry;
pub mod seal;
pub mod sqlite;
#[cfg(test)]
mod suite;
pub mod token;
mod watches;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::event::{Event, EventId};
use crate::integration::{Fingerprint, IntegrationId};
use crate::settings::Secret;

pub use alerts::{AlertChange, AlertReport, Alerts, NotedAlert};
pub use event_log::{EventLog, LogLine, LoggedEvent};
pub use event_records::{EventFilter, EventRecord, EventRecords, EventsOf, NotTold, Told};
pub use first_attempts::{Asked, Fate, FirstAttempts, Kept, KeptDelivery, Known, RepeatOf};
pub use health::{HealthRecord, NewHealth};
pub use holds::{Hold, HoldCause, HoldKey};
pub use ledger::{
    Cancel, DeliveryDetail, DeliveryFilter, DeliveryLine, Depth, Ledger, Resend, Retention, State,
    StoredAttempt, Swept,
};
use merge_requests::{MergeRequests, SeenMergeRequest};
pub use overview::{DeadLetters, Overview, WaitingGroup};
use registry::AuditEntry;
pub use registry::Registry;
pub use watches::{ClaimedWatches, NewWatch, SettledWatch, Watch, WatchKind, Watches};

/// Where the store is, and how long it keeps settled rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A PostgreSQL database, `postgres://user:password@host/database`. Without one, the store is a SQLite file.
    #[serde(default)]
    pub url: Option<Secret>,
    /// Certificates of a private authority (PEM) for the database, trusted beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The SQLite file. A missing folder is created. `.lock`, `.key`, `-wal` and `-shm` lie beside the file.
    pub path: PathBuf,
    /// How long delivered, skipped and cancelled deliveries are kept. For the same time, repeats of their events are
    /// recognised, and alerts without reports are remembered.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub retention_settled: Duration,
    /// How long dead letters (failed and expired) can be looked at and resent.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub retention_dead_letters: Duration,
    /// How long quarantined bytes are kept.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub retention_quarantine: Duration,
    /// The most messages in quarantine. One token that reaches only a part of the instance may fill a tenth.
    pub quarantine_messages: u64,
    /// The most bytes in quarantine, shared in the same way.
    pub quarantine_bytes: u64,
    /// Whether the JSON of delivered events is kept, so that people can look at it and send it again.
    pub history: bool,
    /// Whether people can read which events were received, and why integrations were not notified.
    pub event_log: bool,
    /// How often rows that are too old are removed.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub sweep_every: Duration,
}

impl Config {
    /// The rows that may be removed at this moment. A retention longer than the range of time keeps everything.
    pub fn retention(&self, now: Timestamp) -> Retention {
        let before = |kept: Duration| now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        Retention {
            settled_before: before(self.retention_settled),
            dead_letters_before: before(self.retention_dead_letters),
            quarantine_before: before(self.retention_quarantine),
            merge_requests_before: before(merge_requests::REMEMBERED),
        }
    }
}

/// An error of the store. It never counts against a receiver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store is busy, full, or being restarted. The caller may try again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The store refuses a value of this call: it is too long, out of range, or against a rule. Nothing was done. The
    /// same call never succeeds, and other calls are not affected.
    #[error("the store does not take a value: {0}")]
    Refused(String),
    /// The store is corrupt, was written by a newer version, lacks a function or a right, or this program has a bug.
    /// Trying again does not help before the operator repairs the store.
    #[error("the store is broken: {0}")]
    Broken(String),
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// A node's name. Leases carry it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub Arc<str>);

/// A delivery's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub i64);

impl std::fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The unit of rate limits and holds: the key of an adapter's first bucket.
pub type DestinationKey = Arc<str>;

/// The unit by which nodes divide the work: all destinations that take from one rate limit, such as all webhooks of one
/// host. The key is that of the widest bucket.
pub type ShareKey = Arc<str>;

/// For messages without ids: how long an equal body that the broker delivers again counts as the same message.
const REPEAT_WITHIN: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// The note of a delivery that a newer one of its lane replaced.
pub const REPLACED: &str = "replaced by a newer state";

/// Why a delivery can't be sent again: its event's JSON was dropped, or its file is damaged.
pub const JSON_GONE: &str = "the JSON of its event is not kept any more";

/// Order is kept within a lane: a digest of integration, target, project and subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lane(pub i64);

/// The lease of a row: its node, and its end.
#[derive(Clone, Debug)]
pub struct Lease {
    pub node: NodeId,
    pub until: Timestamp,
}

/// A delivery to be written.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    pub integration: IntegrationId,
    /// One channel or one recipient. Empty for the default channel of the address.
    pub target: Arc<str>,
    pub destination: DestinationKey,
    /// The share that the destination belongs to. A store for one node alone does not keep it.
    pub share: ShareKey,
    pub lane: Lane,
    /// Cancels older deliveries of its lane that are not delivered: see *Replacement* above.
    pub replaces: bool,
    /// Requests a lease for the node that writes the row, so that the first attempt needs no claim. The lease is
    /// refused if an earlier row of the lane has to go first, or if another node works the share: see
    /// [`Delivery::leased`].
    pub lease: Option<Lease>,
}

/// A delivery that is not settled.
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
    /// The number of attempts that count.
    pub attempts: u32,
    /// The delivery's age counts from this moment: when the event happened, or when a person asked for a resend.
    pub fresh_since: Timestamp,
    /// Whether an attempt was marked as started ([`Outbox::start`]) and has no outcome: the process ended during the
    /// attempt, or lost the lease. The service may have accepted the message.
    pub started: bool,
    /// Whether the caller holds the lease. A claim hands out only leased rows. A row that was just written without a lease is
    /// claimed later.
    pub leased: bool,
}

/// An event and the deliveries that were made of it.
#[derive(Clone, Debug)]
pub struct Dispatched {
    pub event: Arc<Event>,
    pub origin: Origin,
    /// If empty, an event from the inbox is discarded, and an event from a broker is not written.
    pub deliveries: Vec<NewDelivery>,
    pub remembered: Remembered,
}

/// Data that is written with an event beside its deliveries.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// The state of a merge request in the event, if it must be remembered.
    pub seen: Option<SeenMergeRequest>,
    /// Builds to be watched at services that are only asked, and services to be probed. A watch that has not ended is
    /// not changed. An ended watch begins again if
    /// its build was triggered after the end.
    pub watches: Vec<NewWatch>,
    /// The event's line in the event log. `None` where there is no event log.
    pub log: Option<LogLine>,
}

impl Dispatched {
    /// The deliveries alone, of an event with more to be written. For an event that the store refuses: what is
    /// remembered beside the deliveries must not hold them back.
    pub fn deliveries_alone(&self) -> Option<Self> {
        let has_more = !self.deliveries.is_empty() && !self.remembered.is_empty();
        has_more.then(|| Self { remembered: Remembered::default(), ..self.clone() })
    }
}

impl Remembered {
    pub fn is_empty(&self) -> bool {
        self.seen.is_none() && self.watches.is_empty() && self.log.is_none()
    }
}

/// Where an event came from, and how a repeat of it is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The event has this number in the inbox. The commit that writes the event removes it there.
    Inbox(i64),
    /// The event came from a broker.
    Broker {
        /// The body's digest, for a message without an id.
        digest: Option<BodyDigest>,
        /// Whether the broker may have delivered the message before. Then the message is a repeat of an event with an
        /// equal digest that was written within ten minutes. Each event matches one repeat.
        redelivered: bool,
    },
}

/// SHA-256 of a message body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BodyDigest(pub [u8; 32]);

impl BodyDigest {
    /// The value that replaces an event's body digest after the event matched the repeat with this id. So the event
    /// matches no other repeat, but matches this one again if the answer was lost.
    fn answered(repeat: &str) -> Self {
        Self(Sha256::digest(repeat).into())
    }
}

/// An event must have been written after this moment to match a repeat that comes now.
fn repeats_since(now: Timestamp) -> Timestamp {
    now.checked_sub(REPEAT_WITHIN).unwrap_or(Timestamp::MIN)
}

/// An event as it is stored: not decoded.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    pub id: EventId,
    pub occurred_at: Timestamp,
    pub raw: Bytes,
}

/// How much is handed out at once. It bounds memory for events of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    pub rows: usize,
    /// The bytes of the events' JSON, counted once for each row. The row that exceeds the limit is still handed out, so
    /// that no event is too large. The rows after it are not.
    pub bytes: usize,
}

impl Portion {
    /// This number of rows, without a limit of bytes.
    pub const fn rows(rows: usize) -> Self {
        Self { rows, bytes: usize::MAX }
    }

    /// Whether this many rows with this many bytes fill the portion.
    pub fn is_full(self, rows: usize, bytes: usize) -> bool {
        rows >= self.rows || bytes >= self.bytes
    }
}

/// Events that came over HTTP.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Stores an event. Returns `false` where the store knows its id already, dispatched or not.
    async fn push(&self, event: &Event, received_at: Timestamp) -> Result<bool>;

    /// The oldest events after number `after` that are not dispatched, with their numbers, in the order of arrival, up to a
    /// portion. They stay in the inbox until [`Outbox::enqueue`] or [`Inbox::discard`] removes them.
    async fn peek(&self, after: i64, portion: Portion) -> Result<Vec<(i64, StoredEvent)>>;

    /// Removes events without deliveries from the inbox. Their ids are kept for a while, so that repeats are
    /// recognised.
    async fn discard(&self, numbers: &[i64]) -> Result<()>;
}

/// Deliveries that are not settled.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// For first attempts before a row is written. `None` in a store that nodes share, because no node knows what the
    /// others have in hand.
    fn first_attempts(&self) -> Option<&dyn FirstAttempts> {
        None
    }

    /// Writes a batch in one transaction. The rows are due at once. Returns, for each event and delivery in the given order,
    /// the delivery as written, or `None` where it existed before.
    async fn enqueue(&self, batch: Vec<Dispatched>, now: Timestamp) -> Result<Vec<Vec<Option<Delivery>>>>;

    /// Leases due rows of these destinations to a node, oldest first. Leases that have lapsed end before that.
    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>>;

    /// Destinations that have open rows which no node has leased, each with the moment of the next useful claim: the earliest
    /// due time among the first such rows of their lanes, not before the destination's hold ends. Up to `limit`, earliest
    /// first. A claim at that moment may still get nothing, because the row's route is held, or because another node has an
    /// earlier row of the lane. Such a claim corrects the moment where it can. The caller must not repeat it in a loop.
    async fn waiting(&self, now: Timestamp, limit: usize) -> Result<Vec<(DestinationKey, Timestamp)>>;

    /// Marks rows whose attempt must not be repeated as started, before anything is sent, and prolongs their leases. Returns
    /// those that the node still leases: only these may be attempted. The mark is removed when the row has to wait
    /// again, and by a resend. It stays when a lease ends.
    async fn start(&self, lease: Lease, rows: &[DeliveryId]) -> Result<Vec<DeliveryId>>;

    /// Writes the outcomes of a node's attempts with their records, in one transaction. A settlement of a row that the node
    /// no longer leases is recorded too (see *settling without a lease*). A settlement of a row that no longer exists is
    /// ignored.
    async fn settle(&self, by: &NodeId, settlements: Vec<Settled>) -> Result<()>;

    /// Changes the destinations of rows that a node leases, because the settings of their integrations changed. Rows
    /// that the node has not leased stay as they are.
    async fn redirect(&self, by: &NodeId, rows: &[Redirected]) -> Result<()>;

    /// Ends a node's leases of these rows, which keep their due times. Rows that the node has not leased stay as they are.
    async fn release(&self, by: &NodeId, rows: &[DeliveryId]) -> Result<()>;

    /// Prolongs a node's leases of these rows. Returns the rows that the node still leases. If the answer to a claim
    /// was lost, no node names its leases, so they lapse.
    async fn renew(&self, lease: Lease, rows: &[DeliveryId]) -> Result<Vec<DeliveryId>>;

    /// Ends all leases of a node, at its start and at its end. In a store that one node has to itself, all leases end,
    /// because the node may have had another name before.
    async fn release_leases(&self, by: &NodeId, now: Timestamp) -> Result<()>;

    /// Changes by other nodes since the last call. The deliverer asks before each attempt. Empty in a store for one
    /// node alone.
    fn among_nodes(&self) -> AmongNodes {
        AmongNodes::default()
    }

    /// Whether the store has not answered this node for so long that other nodes go on without it. Asking changes nothing.
    fn is_cut_off(&self) -> bool {
        false
    }

    /// All holds that have not ended.
    async fn holds(&self, now: Timestamp) -> Result<Vec<Hold>>;

    /// Ends holds, because their destinations work again. Rows that waited on a held route are due now.
    async fn end_holds(&self, keys: &[HoldKey], now: Timestamp) -> Result<()>;

    /// Shortens waits to these moments: holds first, then deliveries, then watches. Times in the future at which
    /// watches began or merge requests were seen are set to now. Returns the number of changed rows. The work grows
    /// with the number of waiting rows.
    async fn shorten_waits(&self, latest: &LatestWaits) -> Result<usize>;

    /// Ends holds after the settings of these integrations changed: the holds that other versions of the settings led
    /// to. Rows that waited for them are due now. `None` stands for settings that were removed, or that must be tried
    /// again unchanged: every hold that they led to ends. Integrations that are not named here keep their holds, which
    /// may be newer than this call. A hold that a service asked for stays. So does the hold of a destination for which
    /// rows of other integrations wait, unless a login was refused there. Returns how many ended.
    async fn end_outdated_holds(
        &self,
        current: &[(IntegrationId, Option<Fingerprint>)],
        now: Timestamp,
    ) -> Result<usize>;
}

/// A node among the others that share its store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AmongNodes {
    /// Whether the store did not answer for so long, now or since the last call, that other nodes may have taken over
    /// this node's leases. No attempt may start before a later renewal says which rows are still leased.
    pub is_cut_off: bool,
    /// Shares that this node took over from another node. How much the other node sent last is unknown here.
    pub gained: Vec<ShareKey>,
}

/// The latest moments until which anything may wait. Later moments were written under another clock or other settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestWaits {
    /// The limit for times of past events.
    pub now: Timestamp,
    /// For a delivery that no hold delays for longer.
    pub delivery: Timestamp,
    /// For a watch that is polled again.
    pub watch: Timestamp,
    /// For holds by their cause. A cause that is missing here may last for ever.
    pub holds: Vec<(HoldCause, Timestamp)>,
}

/// Which rows to claim, and for which node.
#[derive(Clone, Debug)]
pub struct Claim {
    pub destinations: Vec<DestinationKey>,
    /// The limit for each destination.
    pub portion: Portion,
    pub lease: Lease,
    pub now: Timestamp,
}

/// A row with a new destination.
#[derive(Clone, Debug)]
pub struct Redirected {
    pub delivery: DeliveryId,
    pub destination: DestinationKey,
    /// See [`NewDelivery::share`].
    pub share: ShareKey,
}

/// The claimed rows of one destination.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub destination: DestinationKey,
    /// In the order of their ids, each with its event.
    pub deliveries: Vec<(Delivery, Arc<StoredEvent>)>,
    /// Whether the store has more open rows of this destination without a lease, due or not. Rows behind a row of
    /// another destination in their lane, as after a change of the webhook, do not count.
    pub more: bool,
}

/// The outcome of an attempt, to be written.
#[derive(Clone, Debug)]
pub struct Settled {
    pub delivery: DeliveryId,
    pub state: NewState,
    /// The number of attempts that count, including this one if it counts.
    pub attempts: u32,
    /// The attempt's record for people. It exists even if nothing was sent (expired, cancelled).
    pub record: AttemptRecord,
    /// Holds that end with this settlement. When a route's hold ends, rows that wait on the route are due at once.
    pub end: Vec<HoldKey>,
    /// Holds that begin or get longer with this settlement.
    pub begin: Vec<Hold>,
    /// The build that the delivery triggered. Its watch is written with this settlement or before.
    pub watch: Option<Box<NewWatch>>,
    pub at: Timestamp,
}

/// The state that a settlement leaves a row in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewState {
    Delivered,
    /// The service answered that there is nothing to do: neither delivered nor a dead letter.
    Skipped,
    /// Still open, due at this moment, leased to no node.
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
    /// Milliseconds from the start of the request to the end of the answer. 0 where nothing was sent.
    pub latency_ms: u32,
    /// `delivered`, or the failure's consequence, or `expired`, `cancelled`.
    pub outcome: &'static str,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The reason in words. It contains no secret.
    pub note: String,
}

/// Bytes that could not be decoded.
#[async_trait]
pub trait Quarantine: Send + Sync {
    async fn quarantine(&self, items: Vec<NewQuarantined>) -> Result<()>;
    /// How much is in quarantine, for each sender.
    async fn quarantine_use(&self) -> Result<Vec<QuarantineUse>>;
    /// Newest first, only numbers below `before`.
    async fn list_quarantined(&self, before: Option<i64>, limit: usize) -> Result<Vec<Quarantined>>;
    async fn quarantined(&self, number: i64) -> Result<Option<(Quarantined, Bytes)>>;
    /// Deletes a quarantined message, with a line of the audit log. Returns `false` if there is no message with this
    /// number.
    async fn remove_quarantined(&self, number: i64, audit: AuditEntry) -> Result<bool>;
}

/// Bytes to be quarantined.
#[derive(Clone, Debug)]
pub struct NewQuarantined {
    /// `amqp` or `http`.
    pub source: &'static str,
    /// The sender's token, if it reaches only a part of the instance.
    pub sender: Option<String>,
    /// The sender's id of the event, where there was one.
    pub id: Option<EventId>,
    pub reason: String,
    pub received_at: Timestamp,
    pub raw: Bytes,
}

/// How much of one sender is in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineUse {
    /// As in [`NewQuarantined`]. `None` stands for all messages without such a token.
    pub sender: Option<String>,
    pub messages: u64,
    pub bytes: u64,
}

/// A line of the quarantine's list.
#[derive(Clone, Debug)]
pub struct Quarantined {
    pub number: i64,
    pub source: String,
    /// As in [`NewQuarantined`].
    pub sender: Option<String>,
    pub id: Option<EventId>,
    pub reason: String,
    pub received_at: Timestamp,
    pub size: usize,
}

/// All traits of a store.
pub trait Store:
    Inbox + Outbox + EventLog + EventRecords + Quarantine + Ledger + Watches + MergeRequests + Alerts + Registry
{
}

impl<
    T: Inbox
        + Outbox
        + EventLog
        + EventRecords
        + Quarantine
        + Ledger
        + Watches
        + MergeRequests
        + Alerts
        + Registry,
> Store for T
{
}
