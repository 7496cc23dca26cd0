//! What PostgreSQL alone promises. The contract itself is in [`crate::store::suite`].

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Notification, Postgres};
use crate::event::{Event, EventId};
use crate::integration::IntegrationId;
use crate::settings::Secret;
use crate::store::migrations::known;
use crate::store::registry::AuditEntry;
use crate::store::seal::Keyring;
use crate::store::suite::private_postgres::database;
use crate::store::{
    AttemptRecord, Claim, Delivery, Dispatched, Inbox, Lane, Lease, Ledger, NewDelivery, NewState, NodeId,
    Origin, Outbox, Portion, Registry, Settled, StoreError,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn node(name: &str) -> NodeId {
    NodeId(name.into())
}

fn lease(name: &str, now: Timestamp) -> Lease {
    Lease { node: node(name), until: now + SignedDuration::from_secs(60) }
}

fn audit() -> AuditEntry {
    AuditEntry {
        at: at(0),
        who: "command line".to_owned(),
        action: "group.create",
        object: "group acme".to_owned(),
        fields: Vec::new(),
    }
}

async fn store() -> (Postgres, Secret) {
    let url = Secret::new(database());
    (Postgres::open(&url, None, Keyring::none()).await.unwrap(), url)
}

fn event(id: &str, subject: &str) -> Event {
    let raw = format!(r#"{{"object_kind":"push","ref":"refs/heads/{subject}"}}"#);
    Event::decode(EventId::new(id).unwrap(), at(0), raw.into()).unwrap()
}

/// Writes one event with one delivery to `hook`, in its own lane. A lease for `name` is requested.
async fn write(store: &Postgres, id: &str, name: Option<&str>, now: Timestamp) -> Delivery {
    let delivery = NewDelivery {
        integration: IntegrationId::new("slack"),
        target: "".into(),
        destination: "hook".into(),
        lane: Lane(id.bytes().map(i64::from).sum()),
        replaces: false,
        lease: name.map(|name| lease(name, now)),
    };
    let dispatched = Dispatched {
        event: Arc::new(event(id, "main")),
        origin: Origin::Broker { digest: None, redelivered: false },
        deliveries: vec![delivery],
        seen: None,
        log: None,
    };
    let mut written = store.enqueue(vec![dispatched], now).await.unwrap();
    written.remove(0).remove(0).unwrap()
}

async fn claim(store: &Postgres, name: &str, now: Timestamp) -> usize {
    let claim =
        Claim { destinations: vec!["hook".into()], portion: Portion::rows(10), lease: lease(name, now), now };
    store.claim(claim).await.unwrap().remove(0).deliveries.len()
}

async fn deliver(store: &Postgres, name: &str, delivery: &Delivery, now: Timestamp) {
    let record =
        AttemptRecord { at: now, latency_ms: 3, outcome: "delivered", status: None, note: String::new() };
    let settled = Settled {
        delivery: delivery.id,
        state: NewState::Delivered,
        attempts: 1,
        record,
        end: Vec::new(),
        begin: Vec::new(),
        watch: None,
        at: now,
    };
    store.settle(&node(name), vec![settled]).await.unwrap();
}

#[tokio::test]
async fn a_destination_is_worked_by_one_node_at_a_time() {
    let (store, _) = store().await;
    let first = write(&store, "e1", Some("a"), at(0)).await;
    assert!(first.leased, "no other node works on it");
    let second = write(&store, "e2", Some("b"), at(1)).await;
    assert!(!second.leased, "a works it");
    assert_eq!(claim(&store, "b", at(2)).await, 0);
    deliver(&store, "a", &first, at(3)).await;
    assert_eq!(claim(&store, "b", at(4)).await, 0, "what a sent last is in a's memory");
    assert_eq!(claim(&store, "a", at(10)).await, 1, "so a gets the other one's too");
    deliver(&store, "a", &second, at(11)).await;
    write(&store, "e3", None, at(12)).await;
    assert_eq!(claim(&store, "b", at(69)).await, 0);
    assert_eq!(claim(&store, "b", at(70)).await, 1, "a has not come for a lease's time");
    assert_eq!(claim(&store, "a", at(71)).await, 0);
}

#[tokio::test]
async fn a_node_that_ends_frees_its_destinations_soon() {
    let (store, _) = store().await;
    write(&store, "e1", Some("a"), at(0)).await;
    store.release_leases(&node("a"), at(1)).await.unwrap();
    assert_eq!(claim(&store, "b", at(15)).await, 0, "the pace of what it sent last");
    assert_eq!(claim(&store, "b", at(16)).await, 1);
}

#[tokio::test]
async fn renewing_keeps_what_a_node_has_rows_of() {
    let (store, _) = store().await;
    let first = write(&store, "e1", Some("a"), at(0)).await;
    write(&store, "e2", None, at(0)).await;
    store.renew(lease("a", at(50)), &[first.id]).await.unwrap();
    assert_eq!(claim(&store, "b", at(100)).await, 0);
    assert_eq!(claim(&store, "b", at(110)).await, 2);
}

#[tokio::test]
async fn a_second_node_of_the_same_name_is_refused() {
    let (store, url) = store().await;
    let _first = store.listener(&node("a"), Duration::ZERO).await.unwrap();
    let other = Postgres::open(&url, None, Keyring::none()).await.unwrap();
    let Err(StoreError::Broken(why)) = other.listener(&node("a"), Duration::ZERO).await.map(drop) else {
        panic!("two of a name")
    };
    assert!(why.contains("`a`") && why.contains("node.name"), "{why}");
    assert!(other.listener(&node("b"), Duration::ZERO).await.is_ok());
}

#[tokio::test]
async fn nodes_are_notified_of_the_writes_of_others() {
    let (store, url) = store().await;
    let other = Postgres::open(&url, None, Keyring::none()).await.unwrap();
    let (told, mut heard) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let listening = store.listener(&node("a"), Duration::ZERO).await.unwrap().run(told, stop.clone());
    let told_of = async {
        write(&other, "e1", None, at(0)).await;
        assert_eq!(heard.recv().await, Some(Notification::Stored("hook".into())));
        assert!(other.push(&event("e2", "main"), at(0)).await.unwrap());
        assert_eq!(heard.recv().await, Some(Notification::Arrived));
        other.put_group(None, "acme", audit()).await.unwrap();
        assert_eq!(heard.recv().await, Some(Notification::Configured));
        stop.cancel();
    };
    let both = async { tokio::join!(listening, told_of).0 };
    tokio::time::timeout(Duration::from_secs(30), both).await.unwrap().unwrap();
}

#[tokio::test]
async fn text_that_postgresql_cannot_store_loses_a_character_and_not_the_event() {
    let (store, _) = store().await;
    let raw = r#"{"object_kind":"push","ref":"refs/heads/a\u0000b"}"#;
    let event = Event::decode(EventId::new("nul").unwrap(), at(0), raw.into()).unwrap();
    assert!(store.push(&event, at(0)).await.unwrap());
    let (_, stored) = store.peek(0, Portion::rows(1)).await.unwrap().remove(0);
    assert_eq!(stored.raw, raw.as_bytes());
}

#[tokio::test]
async fn a_wrong_url_is_not_repeated() {
    let url = Secret::new("postgres://user:deepsecret@host:port/x");
    let Err(error) = Postgres::open(&url, None, Keyring::none()).await else { panic!("it opened") };
    assert!(error.to_string().contains("store.url") && !error.to_string().contains("deepsecret"), "{error}");
}

#[tokio::test]
async fn an_outage_is_reported_as_unavailable_and_ends_with_a_new_connection() {
    let Err(away) = Postgres::open(&Secret::new("postgres://x@127.0.0.1:1/x"), None, Keyring::none()).await
    else {
        panic!("it opened")
    };
    assert!(matches!(away, StoreError::Unavailable(_)), "{away}");
    let (store, url) = store().await;
    store.ping().await.unwrap();
    let other = Postgres::open(&url, None, Keyring::none()).await.unwrap();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
         AND pid <> pg_backend_pid()";
    other.writer.query(kill, &[]).await.unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while store.ping().await.is_err() {
        assert!(std::time::Instant::now() < until, "it does not come back");
    }
}

#[tokio::test]
async fn a_schema_of_a_newer_program_is_left_alone() {
    let (store, url) = store().await;
    store.writer.query("UPDATE schema_version SET version = 99", &[]).await.unwrap();
    for opened in [
        Postgres::open(&url, None, Keyring::none()).await,
        Postgres::open_shared(&url, None, Keyring::none()).await,
    ] {
        let error = opened.map(drop).unwrap_err().to_string();
        assert!(error.contains("newer forgebell (schema version 99"), "{error}");
    }
    let empty = Secret::new(database());
    let error = Postgres::open_shared(&empty, None, Keyring::none()).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("start its daemon once"), "{error}");
}

#[tokio::test]
async fn a_store_of_the_first_version_is_migrated_with_all_its_rows() {
    let url = Secret::new(database());
    let (client, connection) = tokio_postgres::connect(url.expose(), tokio_postgres::NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with the connection that it belongs to")]
    tokio::spawn(connection);
    let first = include_str!("../migrations/postgres_0001_first.sql");
    let version = "CREATE SCHEMA forgebell; SET search_path TO forgebell;
        CREATE TABLE schema_version (version bigint NOT NULL); INSERT INTO schema_version VALUES (1);";
    let event = "INSERT INTO events (id, kind, subject, occurred_at, received_at, raw) VALUES ('e1', 'push', '', 0, 0, '{}');
        INSERT INTO inbox VALUES (1);";
    client.batch_execute(&format!("{version}{first}{event}")).await.unwrap();
    let error = Postgres::open_shared(&url, None, Keyring::none()).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("forgebell migrate"), "{error}");
    assert_eq!(Postgres::migrate(&url, None).await.unwrap(), (1, known()));
    assert_eq!(Postgres::migrate(&url, None).await.unwrap(), (known(), known()));
    let store = Postgres::open(&url, None, Keyring::none()).await.unwrap();
    assert_eq!(store.depth(at(0)).await.unwrap().inbox, 1);
    assert_eq!(store.changes(0).await.unwrap().revision, 0);
}

#[tokio::test]
async fn a_cancelled_query_does_not_affect_the_snapshot_of_the_next_one() {
    let (store, url) = store().await;
    let other = Postgres::open(&url, None, Keyring::none()).await.unwrap();
    store.put_group(None, "acme", audit()).await.unwrap();
    let mut given_up = 0;
    for n in 0..40 {
        let asking = store.changes(0);
        given_up += usize::from(tokio::time::timeout(Duration::from_micros(n * 50), asking).await.is_err());
        assert!(other.push(&event(&format!("e{n}"), "main"), at(0)).await.unwrap());
        assert_eq!(store.peek(0, Portion::rows(100)).await.unwrap().len() as u64, n + 1);
    }
    assert!(given_up > 0, "no call gave up");
}

#[tokio::test]
async fn a_path_that_postgresql_cannot_store_loses_a_character() {
    let (store, _) = store().await;
    let group = store.put_group(None, "ac\0me", audit()).await.unwrap();
    assert_eq!(group.path.as_deref(), Some("ac\u{fffd}me"));
    assert_eq!(store.group_by_path("ac\0me").await.unwrap(), Some(group));
}

#[tokio::test]
async fn nodes_that_start_together_migrate_the_schema_once() {
    let url = Secret::new(database());
    let opening = (0..4).map(|_| Postgres::open(&url, None, Keyring::none()));
    for opened in futures_util::future::join_all(opening).await {
        opened.unwrap().ping().await.unwrap();
    }
}
