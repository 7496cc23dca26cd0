//! The store's inbox as a source: for forges without a broker.
//!
//! Events leave the inbox in the commit that writes their outcome, so there is nothing to acknowledge.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::source::{Inbound, Receipt, Source};
use super::store_calls;
use crate::store::{Inbox, Origin, Portion, StoreError, StoredEvent};

/// How often the inbox is read without a wake-up: a wake-up may have been lost in a restart.
const READ_EVERY: Duration = Duration::from_secs(1);

/// The most bytes of JSON in one batch. A batch is in memory until it is dispatched.
const BATCH_BYTES: usize = 16 << 20;

/// What a read of the inbox brought: events with their numbers.
type Read = Result<Vec<(i64, StoredEvent)>, StoreError>;

/// Takes events out of the inbox, oldest first.
pub struct InboxSource {
    inbox: Arc<dyn Inbox>,
    /// Notified when the HTTP server has stored an event.
    arrived: Arc<Notify>,
    /// The start of this process. Events that arrived before may have been in hand then.
    started: Timestamp,
    /// The number of the last event that was read. The events up to this one stay in the inbox until their outcomes are
    /// on disk.
    last_read: i64,
    /// A read whose caller stopped waiting. The next call continues it, so that frequent acknowledgements can't starve
    /// reading.
    reading: Option<BoxFuture<'static, Read>>,
}

impl InboxSource {
    pub fn new(inbox: Arc<dyn Inbox>, arrived: Arc<Notify>, started: Timestamp) -> Self {
        Self { inbox, arrived, started, last_read: 0, reading: None }
    }

    async fn read(&mut self, at_most: usize) -> Vec<Inbound> {
        let (inbox, after) = (Arc::clone(&self.inbox), self.last_read);
        let portion = Portion { rows: at_most, bytes: BATCH_BYTES };
        let reading =
            self.reading.get_or_insert_with(|| async move { inbox.peek(after, portion).await }.boxed());
        let read = reading.await;
        self.reading = None;
        let waiting = match read {
            Ok(waiting) => waiting,
            Err(error) => {
                store_calls::log(&error, "read the inbox");
                if store_calls::is_broken(&error) {
                    tokio::time::sleep(store_calls::BROKEN).await;
                }
                return Vec::new();
            }
        };
        self.last_read = waiting.last().map_or(self.last_read, |(number, _)| *number);
        waiting.into_iter().map(|(number, stored)| self.inbound(number, stored)).collect()
    }

    fn inbound(&self, number: i64, stored: StoredEvent) -> Inbound {
        Inbound {
            id: Some(stored.id),
            occurred_at: stored.occurred_at,
            received_at: stored.occurred_at, // the time at which it arrived over HTTP
            raw: stored.raw,
            refused: None,
            origin: Origin::Inbox(number),
            receipt: Receipt { generation: 0, number: number.unsigned_abs() },
            again: stored.occurred_at < self.started,
        }
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

    async fn acknowledge(&mut self, _last: Receipt) {}

    async fn close(&mut self) {}
}
