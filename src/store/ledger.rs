//! The ledger, which people read: deliveries with their attempts, the numbers of the gauges, and the sweep of old rows.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use super::registry::AuditEntry;
use super::{DeliveryId, Hold, Overview, Result};
use crate::event::EventId;
use crate::integration::IntegrationId;

/// Deliveries and attempts, which people read and resend.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Newest first.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryLine>>;
    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>>;
    /// Makes a settled delivery due again, before later deliveries of its lane. Its attempts are counted from 0 again
    /// (their records stay), and its age counts from the time of the audit line.
    async fn resend(&self, id: DeliveryId, audit: AuditEntry) -> Result<Resend>;
    /// Ends a waiting delivery as *cancelled*, with the audit line's author in its record. A dead letter becomes
    /// *cancelled* too, so that it is not counted any more. A leased delivery is being sent or will be sent next, and is
    /// not cancelled.
    async fn cancel(&self, id: DeliveryId, audit: AuditEntry) -> Result<Cancel>;
    /// The numbers that the gauges show.
    async fn depth(&self, now: Timestamp) -> Result<Depth>;
    /// The waiting deliveries and the dead letters, in groups.
    async fn overview(&self) -> Result<Overview>;
    /// Removes rows that are older than the retention allows, at most about `limit` rows of each kind.
    async fn sweep(&self, retention: Retention, limit: usize) -> Result<Swept>;
    /// Succeeds if the store answers.
    async fn ping(&self) -> Result<()>;
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub state: Option<State>,
    /// Only deliveries of these integrations. Empty: of all.
    pub integrations: Vec<IntegrationId>,
    /// Only deliveries of events of the project with this full path, or of the group and all that lies in it, as
    /// [`EventsOf::Within`](super::EventsOf::Within). Paths are compared without regard to case.
    pub project: Option<String>,
    /// Only deliveries of events of the project with this number, and of events whose project's number is not known. A
    /// path may have belonged to another project when a delivery was made.
    pub project_id: Option<i64>,
    pub event: Option<EventId>,
    /// Only settled deliveries that ended at this moment or later, and waiting ones that were written then or later.
    pub since: Option<Timestamp>,
    /// Only deliveries that ended, or were written, before this moment.
    pub until: Option<Timestamp>,
    /// Only ids below this one, for the next page.
    pub before: Option<DeliveryId>,
    pub limit: usize,
}

/// The result of a person's request to send a delivery again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    Done,
    /// There is no such delivery, it has not ended, or a newer one of its lane replaces it.
    NotSettled,
    /// The JSON of its event is not kept any more.
    JsonGone,
}

impl Resend {
    pub fn is_done(self) -> bool {
        self == Self::Done
    }
}

/// The result of a person's request to cancel a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    Done,
    /// A node has leased it.
    UnderWay,
    /// There is no such delivery, or it has ended and is no dead letter.
    NotWaiting,
}

/// A delivery's state, as people see it.
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
    /// The full path of the event's project or group, as it was then.
    pub project: Option<String>,
    /// The number of the event's project, where it is known.
    pub project_id: Option<i64>,
    pub integration: IntegrationId,
    pub target: String,
    pub destination: String,
    pub attempts: u32,
    /// The moment of the next attempt, while the delivery waits.
    pub due: Option<Timestamp>,
    pub created_at: Timestamp,
    pub settled_at: Option<Timestamp>,
    /// The note of the last attempt.
    pub last_note: Option<String>,
}

/// One delivery in full.
#[derive(Clone, Debug)]
pub struct DeliveryDetail {
    pub line: DeliveryLine,
    /// Oldest first.
    pub attempts: Vec<(u32, StoredAttempt)>,
    /// The event's JSON; `None` where it is not kept any more.
    pub raw: Option<Bytes>,
    /// The hold that delays the delivery, if any. The hold may have just ended: compare its `until`.
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

/// The numbers of waiting rows. Where there are many, they may be a minute old.
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

/// Rows that are older than these moments may be removed.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// For settled deliveries with their attempts, for events without deliveries, and for ended mutes.
    pub settled_before: Timestamp,
    /// For dead letters (failed and expired), which are kept longer.
    pub dead_letters_before: Timestamp,
    pub quarantine_before: Timestamp,
    /// For the states of merge requests.
    pub merge_requests_before: Timestamp,
}

impl Retention {
    /// The settled states, each with the moment before which its deliveries may be removed.
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

/// The numbers of removed rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub deliveries: u64,
    pub events: u64,
    pub quarantined: u64,
    /// Whether a limit was reached, so that there may be more to remove.
    pub more: bool,
}
