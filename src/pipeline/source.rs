//! Where events come from.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::event::EventId;
use crate::store::Origin;

/// Bytes that came in, not yet understood.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The id that the sender gave; `None` where there was none.
    pub id: Option<EventId>,
    /// The sender's time, or the time of arrival.
    pub occurred_at: Timestamp,
    pub received_at: Timestamp,
    pub raw: Bytes,
    pub origin: Origin,
    pub receipt: Receipt,
}

/// What acknowledges an inbound message: its source knows what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which connection it came over; a receipt of a former one acknowledges nothing.
    pub generation: u64,
    pub number: u64,
}

/// A stream of inbound batches.
#[async_trait]
pub trait Source: Send {
    /// `amqp` or `http`, for logs and metrics.
    fn name(&self) -> &'static str;

    /// Waits for something to come, and brings what is there, up to `at_most`, in order. Never empty. It does not end:
    /// a source that loses its other side finds it again. Dropping the future loses nothing.
    async fn next(&mut self, at_most: usize) -> Vec<Inbound>;

    /// Everything up to and including this receipt is safe with us. A failure means that it will come again, and be
    /// known as a repeat.
    async fn acknowledge(&mut self, last: Receipt);

    /// Stops taking, and parts in peace.
    async fn close(&mut self);
}
