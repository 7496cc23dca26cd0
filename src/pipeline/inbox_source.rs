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
    /// Grows when the inbox is read from its start again: receipts from before count no more.
    generation: u64,
    /// A read whose caller stopped waiting. The next call continues it, so that frequent acknowledgements can't starve
    /// reading.
    reading: Option<BoxFuture<'static, Read>>,
}

impl InboxSource {
    pub fn new(inbox: Arc<dyn Inbox>, arrived: Arc<Notify>, started: Timestamp) -> Self {
        Self { inbox, arrived, started, last_read: 0, generation: 0, reading: None }
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
            receipt: Receipt { generation: self.generation, number: number.unsigned_abs() },
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

    /// What was read and not dispatched is still in the inbox, and is read again. Events that are still in hand are known by
    /// their ids.
    async fn stand_by(&mut self) {
        self.last_read = 0;
        self.generation += 1;
        self.reading = None;
    }

    async fn close(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Trigger, sample};
    use crate::store::seal::Keyring;
    use crate::store::sqlite::Sqlite;

    /// A batch that the store did not take is in the inbox still.
    #[tokio::test]
    async fn a_source_that_stood_by_reads_the_inbox_from_its_start_with_new_receipts() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).unwrap());
        let now = Timestamp::UNIX_EPOCH;
        assert!(store.push(&sample(Trigger::Push), now).await.unwrap());
        let mut source = InboxSource::new(store, Arc::default(), now);
        let first = source.next(10).await.remove(0);
        assert_eq!(source.read(10).await.len(), 0, "it was read already");
        source.stand_by().await;
        let again = source.next(10).await.remove(0);
        assert_eq!(again.id, first.id);
        assert_ne!(again.receipt.generation, first.receipt.generation);
    }
}
