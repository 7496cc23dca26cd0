//! The store's inbox as a source: for forges without a broker.
//!
//! Events leave the inbox with the commit that enqueues their deliveries, so there is nothing to acknowledge.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::source::{Inbound, Receipt, Source};
use super::store_calls;
use crate::store::{Inbox, Origin, Portion};

/// How often the inbox is read without a wake-up: a wake-up may have been lost in a restart.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The most JSON of one batch, in bytes. A batch is in memory until it is dispatched.
const BATCH_BYTES: usize = 16 << 20;

/// Takes events out of the inbox, oldest first.
pub struct InboxSource {
    inbox: Arc<dyn Inbox>,
    /// Notified when the HTTP server has stored an event.
    arrived: Arc<Notify>,
    /// The number of the last event that was read. Events up to it stay in the inbox until their batch is committed.
    last_read: i64,
    /// The number of the last event that was dispatched. Later reads begin after it.
    acknowledged: i64,
}

impl InboxSource {
    pub fn new(inbox: Arc<dyn Inbox>, arrived: Arc<Notify>) -> Self {
        Self { inbox, arrived, last_read: 0, acknowledged: 0 }
    }

    async fn read(&mut self, at_most: usize) -> Vec<Inbound> {
        let waiting =
            match self.inbox.peek(self.acknowledged, Portion { rows: at_most, bytes: BATCH_BYTES }).await {
                Ok(waiting) => waiting,
                Err(error) => {
                    store_calls::log(&error, "read the inbox");
                    if store_calls::is_broken(&error) {
                        tokio::time::sleep(store_calls::BROKEN).await;
                    }
                    return Vec::new();
                }
            };
        let inbound = waiting.into_iter().map(|(number, stored)| Inbound {
            id: Some(stored.id),
            occurred_at: stored.occurred_at,
            received_at: stored.occurred_at, // the time at which it arrived over HTTP
            raw: stored.raw,
            refused: None,
            origin: Origin::Inbox(number),
            receipt: Receipt { generation: 0, number: number.unsigned_abs() },
        });
        let inbound: Vec<_> = inbound.collect();
        if let Some(Origin::Inbox(last)) = inbound.last().map(|inbound| &inbound.origin) {
            self.last_read = *last;
        }
        inbound
    }
}

#[async_trait]
impl Source for InboxSource {
    fn name(&self) -> &'static str {
        "http"
    }

    async fn next(&mut self, at_most: usize) -> Vec<Inbound> {
        let arrived = Arc::clone(&self.arrived);
        loop {
            // Wait for the notification before reading, so that an event that arrives in between is not missed.
            let notified = arrived.notified();
            let inbound = self.read(at_most).await;
            if !inbound.is_empty() {
                return inbound;
            }
            let _ = tokio::time::timeout(READ_EVERY, notified).await;
        }
    }

    async fn acknowledge(&mut self, _last: Receipt) {
        // Numbers grow, so an event that was dispatched need not be read again.
        self.acknowledged = self.last_read;
    }

    async fn close(&mut self) {}
}
