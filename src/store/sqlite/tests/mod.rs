//! Tests of promises that only SQLite makes. The contract itself is in [`crate::store::suite`].

mod file;
mod group;
mod keep;
mod key;
pub(super) mod plan;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use super::Sqlite;
use crate::event::{Event, EventId};
use crate::integration::IntegrationId;
use crate::store::seal::Keyring;
use crate::store::{Dispatched, Lane, NewDelivery, Origin, Outbox, Remembered, Result};

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

/// An event with at least this many bytes.
fn event(id: &str, size: usize) -> Event {
    let filler = "x".repeat(size);
    let raw = format!(r#"{{"object_kind":"push","ref":"refs/heads/main","filler":"{filler}"}}"#);
    Event::decode(EventId::new(id).unwrap(), now(), Bytes::from(raw)).unwrap()
}

/// Writes an event with at least this many bytes, with one delivery.
async fn write_large(store: &Sqlite, id: &str, size: usize) -> Result<()> {
    let delivery = NewDelivery {
        integration: IntegrationId::new("slack"),
        target: "".into(),
        destination: "hook".into(),
        share: "hook".into(),
        lane: Lane(1),
        replaces: false,
        lease: None,
    };
    let dispatched = Dispatched {
        event: Arc::new(event(id, size)),
        origin: Origin::Broker { digest: None, redelivered: false },
        deliveries: vec![delivery],
        remembered: Remembered::default(),
    };
    store.enqueue(vec![dispatched], now()).await.map(drop)
}

async fn write(store: &Sqlite, id: &str) -> Result<()> {
    write_large(store, id, 0).await
}

async fn count(store: &Sqlite) -> i64 {
    let count = |connection: &rusqlite::Connection| {
        Ok(connection.query_row("SELECT count(*) FROM deliveries", [], |row| row.get(0))?)
    };
    store.reader.call(count).await.unwrap()
}

fn size_of(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

#[test]
#[should_panic(expected = "a full scan")]
fn a_full_scan_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forgebell.db");
    drop(Sqlite::open(&path, Keyring::none()).unwrap());
    let connection = super::schema::connect(&path).unwrap();
    plan::check(&connection, "SELECT id FROM deliveries WHERE integration = ?1");
}
