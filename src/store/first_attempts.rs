//! First attempts before a row is written.
//!
//! An event is durable already while the broker holds its unacknowledged message, or while it is in the inbox. In a
//! store for one node alone, its deliveries may be attempted first. Then the result of each is written once: the
//! outcome, or an open row. See `pipeline::in_hand`.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{DeliveryId, DestinationKey, Lane, NewDelivery, NodeId, Origin, Remembered, Result, Settled};
use crate::event::{Event, EventId};

/// A store for one node alone.
#[async_trait]
pub trait FirstAttempts: Send + Sync {
    /// The id for a delivery that is not written yet. Ids grow with each call, and those of written rows come from the same
    /// sequence, so that within a lane ids follow the order of these calls.
    fn next_id(&self) -> DeliveryId;

    /// Looks up, in the given order, which events are known, and which of their deliveries must wait behind rows.
    async fn look_up(&self, asked: Vec<Asked>) -> Result<Vec<Known>>;

    /// Writes events in one transaction: their outcomes and open rows, and the removal from the inbox. If the call is
    /// repeated after a lost answer, nothing is recorded twice. If an event was written in another way meanwhile, its
    /// open deliveries are dropped, and its successful ones are kept.
    async fn keep(&self, by: &NodeId, batch: Arc<[Kept]>) -> Result<()>;
}

/// How a repeat of an event is recognised.
#[derive(Clone, Debug)]
pub enum RepeatOf {
    /// An event from a broker is a repeat if its id is known. The id of an event that is only in the inbox is not known
    /// yet.
    Id(EventId),
    /// An event that was read from the inbox under this number is a repeat if it is no longer there: another copy's
    /// commit removed it.
    Inbox(i64),
}

/// A question about an event before its first attempts.
#[derive(Clone, Debug)]
pub struct Asked {
    pub repeat: RepeatOf,
    /// The lane and destination of each delivery.
    pub lanes: Vec<(Lane, DestinationKey)>,
}

/// The answer for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// The event is a repeat: see [`RepeatOf`].
    Repeat,
    New {
        /// The indexes in [`Asked::lanes`] of the deliveries that must wait behind rows of the same lane or destination
        /// in the store.
        behind: Vec<usize>,
    },
}

/// An event that was in hand, with the results of all its deliveries.
#[derive(Clone, Debug)]
pub struct Kept {
    pub event: Arc<Event>,
    pub origin: Origin,
    pub remembered: Remembered,
    pub received_at: Timestamp,
    /// Whether the JSON is kept if no delivery waits.
    pub history: bool,
    pub deliveries: Vec<KeptDelivery>,
}

impl Kept {
    /// The same as [`Dispatched::deliveries_alone`](super::Dispatched::deliveries_alone).
    pub fn deliveries_alone(&self) -> Option<Self> {
        let has_more = !self.deliveries.is_empty() && !self.remembered.is_empty();
        has_more.then(|| Self { remembered: Remembered::default(), ..self.clone() })
    }
}

/// A delivery of an event that was in hand.
#[derive(Clone, Debug)]
pub struct KeptDelivery {
    pub id: DeliveryId,
    pub new: NewDelivery,
    pub fate: Fate,
}

/// The result of a delivery in hand.
#[derive(Clone, Debug)]
pub enum Fate {
    /// The delivery becomes a row that is due. The row is leased if [`NewDelivery::lease`] says so.
    Open,
    /// An attempt was made, or was found to be unnecessary.
    Attempted(Box<Settled>),
}
