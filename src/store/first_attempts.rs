//! First attempts before a row is written.
//!
//! An event that a broker holds until it is acknowledged, or that lies in the inbox, is durable already. In a store that one
//! node has to itself, its deliveries may be attempted first, and what became of them is written once: the outcome, or an
//! open row. See `pipeline::in_hand`.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::merge_requests::SeenMergeRequest;
use super::{DeliveryId, DestinationKey, Lane, LogLine, NewDelivery, NodeId, Origin, Result, Settled};
use crate::event::{Event, EventId};

/// A store that one node has to itself.
#[async_trait]
pub trait FirstAttempts: Send + Sync {
    /// The id for a delivery that is not written yet. Ids grow with each call, and those of written rows come from the same
    /// sequence, so that within a lane ids follow the order of these calls.
    fn next_id(&self) -> DeliveryId;

    /// What the store has of these events and of what their deliveries must stand behind, in the given order.
    async fn look_up(&self, asked: Vec<Asked>) -> Result<Vec<Known>>;

    /// Writes what became of events in one transaction: the outcomes, the open rows, and that the events are not in the inbox any
    /// more. Repeating it, after an answer was lost, records nothing twice. Where an event was written otherwise meanwhile, its
    /// open deliveries are dropped, and those that ended well are kept.
    async fn keep(&self, by: &NodeId, batch: Arc<[Kept]>) -> Result<()>;
}

/// How a repeat of an event is recognised.
#[derive(Clone, Debug)]
pub enum RepeatOf {
    /// An event from a broker is a repeat where its id is known. One that lies in the inbox alone is not known yet.
    Id(EventId),
    /// An event that was read from the inbox under this number is a repeat where it is not there any more: what became
    /// of another copy of it took it out.
    Inbox(i64),
}

/// What dispatch wants to know of an event before its first attempts.
#[derive(Clone, Debug)]
pub struct Asked {
    pub repeat: RepeatOf,
    /// One of each delivery.
    pub lanes: Vec<(Lane, DestinationKey)>,
}

/// What the store says of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is a repeat: see [`RepeatOf`].
    Repeat,
    New {
        /// The deliveries that must stand behind rows of their lanes or destinations, which wait in the store: their places
        /// in [`Asked::lanes`].
        behind: Vec<usize>,
    },
}

/// An event that was in hand, with what became of all its deliveries.
#[derive(Clone, Debug)]
pub struct Kept {
    pub event: Arc<Event>,
    pub origin: Origin,
    pub log: Option<LogLine>,
    pub seen: Option<SeenMergeRequest>,
    pub received_at: Timestamp,
    /// Whether the JSON is kept where no delivery waits.
    pub history: bool,
    pub deliveries: Vec<KeptDelivery>,
}

/// A delivery of an event that was in hand.
#[derive(Clone, Debug)]
pub struct KeptDelivery {
    pub id: DeliveryId,
    pub new: NewDelivery,
    pub fate: Fate,
}

/// What became of a delivery in hand.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It becomes a row that is due: leased, where [`NewDelivery::lease`] says so.
    Open,
    /// An attempt was made, or was found to be needless.
    Attempted(Box<Settled>),
}
