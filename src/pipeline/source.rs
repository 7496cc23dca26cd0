//! The interface of event sources.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::event::EventId;
use crate::store::Origin;

/// A message that was received, not yet decoded.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The sender's id for the event, where there is one.
    pub id: Option<EventId>,
    /// The sender's time, or the time of arrival.
    pub occurred_at: Timestamp,
    pub received_at: Timestamp,
    pub raw: Bytes,
    /// Why the source does not hand over the whole message. Then `raw` is its beginning, which goes to quarantine.
    pub refused: Option<String>,
    pub origin: Origin,
    pub receipt: Receipt,
    /// Whether the message may have been in hand before, in a former run of this process or on another node.
    pub again: bool,
}

/// Names an inbound message to its source, for the acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The connection that the message came over. A receipt of a former connection acknowledges nothing.
    pub generation: u64,
    pub number: u64,
}

/// A source of inbound messages, in batches.
#[async_trait]
pub trait Source: Send {
    /// `amqp` or `http`, for logs and metrics.
    fn name(&self) -> &'static str;

    /// Waits for messages, and returns what is there, up to `at_most`, in order. The batch is never empty. A source that
    /// loses its connection connects again. Dropping the future loses no message.
    async fn next(&mut self, at_most: usize) -> Vec<Inbound>;

    /// The most messages that the source brings before one is acknowledged. `None` where this number does not change.
    fn prefetch(&self) -> Option<usize> {
        None
    }

    /// Acknowledges every message up to and including this receipt, because the store has their outcomes. If this
    /// fails, the messages come again, and are recognised as repeats.
    async fn acknowledge(&mut self, last: Receipt);

    /// Leaves unacknowledged messages to other consumers, because this node can't store them now. The next call of
    /// [`Source::next`] asks for messages again. A source without other consumers does nothing.
    async fn stand_by(&mut self) {}

    /// Stops receiving, and closes the connection in order.
    async fn close(&mut self);
}
