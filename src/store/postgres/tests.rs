//! Tests of promises that only PostgreSQL makes. The contract itself is in [`crate::store::suite`].

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Listener, Notification, Postgres};
use crate::event::{Event, EventId};
use crate::integration::IntegrationId;
use crate::settings::Secret;
use crate::store::migrations::known;
use crate::store::registry::AuditEntry;
use crate::store::seal::Keyring;
use crate::store::suite::private_postgres::database;
use crate::store::{
    AttemptRecord, Claim, Delivery, Dispatched, Inbox, Lane, Lease, Ledger, NewDelivery, NewQuarantined,
    NewState, NodeId, Origin, Outbox, Portion, Quarantine, Registry, Remembered, Settled, StoreError,
};

const LEASE: Duration = Duration::from_secs(60);

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
        share: "hook".into(),
        lane: Lane(id.bytes().map(i64::from).sum()),
        replaces: false,
        lease: name.map(|name| lease(name, now)),
    };
    let dispatched = Dispatched {
        event: Arc::new(event(id, "main")),
        origin: Origin::Broker { digest: None, redelivered: false },
        deliveries: vec![delivery],
        remembered: Remembered::default(),
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

/// Gives a sign of life of these nodes. They join with their first one.
async fn beat(store: &Postgres, nodes: &[&str]) {
    for node in nodes {
        store.ask("SELECT b_beats FROM beat($1)", &[node]).await;
    }
}

/// Makes this store the store of a node.
async fn listener(store: &Postgres, name: &str) -> Listener {
    store.listener(&node(name), LEASE, Duration::ZERO).await.unwrap()
}

/// Takes over from a silent node as other nodes do. Returns the number of rows.
async fn take_over(store: &Postgres, silent: &str) -> Option<i64> {
    const TAKE_OVER: &str = "SELECT take_over($1, (SELECT beats FROM nodes WHERE name = $1))";
    store.ask(TAKE_OVER, &[&silent]).await[0].get(0)
}

/// The node that works the share of these tests, and the other one.
async fn by_share(store: &Postgres) -> (&'static str, &'static str) {
    beat(store, &["a", "b"]).await;
    let row = store.ask("SELECT node_of('hook')", &[]).await.remove(0);
    if row.get::<_, &str>(0) == "a" { ("a", "b") } else { ("b", "a") }
}

#[tokio::test]
async fn a_share_is_worked_by_the_node_that_it_falls_to_alone() {
    let (store, _) = store().await;
    let (mine, other) = by_share(&store).await;
    assert!(!write(&store, "e1", Some(other), at(0)).await.leased, "it falls to the other node");
    assert_eq!(claim(&store, other, at(1)).await, 0);
    assert_eq!(claim(&store, mine, at(2)).await, 1);
    assert!(write(&store, "e2", Some(mine), at(3)).await.leased);
    assert!(!write(&store, "e3", Some("stranger"), at(4)).await.leased, "one that never gave a sign of life");
}

#[tokio::test]
async fn a_silent_node_is_taken_over_whatever_its_lease() {
    let (store, _) = store().await;
    let (silent, other) = by_share(&store).await;
    write(&store, "e1", Some(silent), at(0)).await;
    write(&store, "e2", None, at(0)).await;
    assert_eq!(claim(&store, other, at(1)).await, 0);
    assert_eq!(take_over(&store, silent).await, Some(1));
    assert_eq!(take_over(&store, silent).await, None, "once");
    assert_eq!(claim(&store, silent, at(1)).await, 0, "it may not work before it is back");
    assert_eq!(claim(&store, other, at(1)).await, 2, "in their order, and at once");
    beat(&store, &[silent]).await;
    assert_eq!(store.renew(lease(silent, at(2)), &[]).await.unwrap(), []);
    write(&store, "e3", None, at(2)).await;
    assert_eq!(claim(&store, silent, at(2)).await, 0, "it falls to this node again, but the other has rows");
}

#[tokio::test]
async fn a_node_that_gave_a_sign_of_life_meanwhile_is_not_taken_over() {
    let (store, _) = store().await;
    let (slow, _) = by_share(&store).await;
    write(&store, "e1", Some(slow), at(0)).await;
    let seen: i64 = store.ask("SELECT beats FROM nodes WHERE name = $1", &[&slow]).await[0].get(0);
    beat(&store, &[slow]).await;
    let taken: Option<i64> = store.ask("SELECT take_over($1, $2)", &[&slow, &seen]).await[0].get(0);
    assert_eq!(taken, None);
    assert_eq!(claim(&store, slow, at(61)).await, 1, "what it leased is its own until the lease lapses");
}

#[tokio::test]
async fn where_a_node_joins_a_share_is_handed_over_when_its_rows_are_settled() {
    let (store, url) = store().await;
    let (joining, former) = by_share(&store).await;
    store.ask("SELECT leave_nodes($1)", &[&joining]).await;
    let first = write(&store, "e1", Some(former), at(0)).await;
    assert!(first.leased, "the only node works everything");
    // By the caller's clock, the lease ended in the past. By the database's clock, it must still last.
    for lasting in ["UPDATE deliveries SET lease_until = 9e15", "UPDATE workers SET until = 9e15"] {
        store.ask(lasting, &[]).await;
    }
    // The other node starts (again), with its own process.
    let node = Postgres::open(&url, None, Keyring::none()).await.unwrap();
    let _listener = listener(&node, joining).await;
    beat(&store, &[joining]).await;
    assert!(!write(&store, "e2", Some(former), at(1)).await.leased, "the former one gets no more");
    assert_eq!(claim(&store, former, at(1)).await, 0);
    assert_eq!(claim(&node, joining, at(1)).await, 0, "its rows are still under way");
    deliver(&store, former, &first, at(2)).await;
    assert_eq!(node.among_nodes().gained.len(), 0);
    assert_eq!(claim(&node, joining, at(3)).await, 1);
    assert_eq!(node.among_nodes().gained, ["hook".into()], "what the former one sent last is not known here");
    write(&store, "e3", None, at(4)).await;
    assert_eq!(claim(&node, joining, at(4)).await, 1);
    assert_eq!(node.among_nodes().gained.len(), 0, "told once");
}

#[tokio::test]
async fn shares_are_dealt_out_evenly_and_only_those_of_the_node_that_goes_move() {
    let (store, _) = store().await;
    beat(&store, &["one", "two", "three"]).await;
    let dealt = async || -> Vec<(String, String)> {
        let all = "SELECT 'share ' || n, node_of('share ' || n) FROM generate_series(1, 3000) AS n";
        store.ask(all, &[]).await.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let before = dealt().await;
    for node in ["one", "two", "three"] {
        let count = before.iter().filter(|(_, of)| of == node).count();
        assert!((900..1100).contains(&count), "{node} has {count} of 3000");
    }
    store.ask("SELECT leave_nodes('two')", &[]).await;
    for ((share, of), (_, now)) in before.iter().zip(dealt().await) {
        assert!(of == "two" || *of == now, "{share} moved from {of} to {now}");
    }
}

#[tokio::test]
async fn leases_of_nodes_go_by_the_databases_clock() {
    let (store, url) = store().await;
    let (mine, _) = by_share(&store).await;
    let node = Postgres::open(&url, None, Keyring::none()).await.unwrap();
    let listener = listener(&node, mine).await;
    let (told, _heard) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let using = async {
        let now: i64 =
            store.ask("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", &[]).await[0].get(0);
        // This node's clock is years behind.
        let leased = write(&node, "e1", Some(mine), at(0)).await;
        assert!(leased.leased);
        let until: i64 = store.ask("SELECT lease_until FROM deliveries", &[]).await[0].get(0);
        assert!((until - now - 60_000).abs() < 5_000, "{until}, and it is {now}");
        // One hour later by this node's clock, the lease still lasts.
        assert_eq!(claim(&node, mine, at(3600)).await, 0);
        assert_eq!(node.renew(lease(mine, at(3600)), &[leased.id]).await.unwrap(), [leased.id]);
        stop.cancel();
    };
    let both = Box::pin(async { tokio::join!(listener.run(told, stop.clone()), using).0 });
    tokio::time::timeout(Duration::from_secs(30), both).await.unwrap().unwrap();
    let left = store.ask("SELECT 1 FROM nodes WHERE name = $1", &[&mine]).await;
    assert!(left.is_empty(), "a node that ends says so");
}

#[tokio::test]
async fn what_other_nodes_work_is_not_found_waiting() {
    let (store, url) = store().await;
    let (mine, other) = by_share(&store).await;
    write(&store, "e1", None, at(0)).await;
    let mut found = Vec::new();
    for name in [mine, other] {
        let node = Postgres::open(&url, None, Keyring::none()).await.unwrap();
        let _listener = listener(&node, name).await;
        found.push(node.waiting(at(1), 10).await.unwrap().len());
    }
    assert_eq!(found, [1, 0]);
    assert_eq!(store.waiting(at(1), 10).await.unwrap().len(), 1, "a command sees all");
}

/// A session of another program, and its process in the database.
async fn session(url: &Secret) -> (tokio_postgres::Client, i32) {
    let (client, connection) = tokio_postgres::connect(url.expose(), tokio_postgres::NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with the connection that it belongs to")]
    tokio::spawn(connection);
    let process = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    (client, process)
}

#[tokio::test]
async fn a_statement_that_waits_for_a_lock_is_said_with_the_session_that_has_it() {
    let (store, url) = store().await;
    let (mut locker, process) = session(&url).await;
    let lock = locker.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE forgebell.deliveries IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let asking = async {
        let why = store.ping().await.unwrap_err().to_string();
        assert!(why.contains("`enqueue`") && why.contains(&format!("process {process}")), "{why}");
        lock.rollback().await.unwrap();
    };
    let both = async { tokio::join!(write(&store, "e1", None, at(0)), asking).0 };
    tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn of_sessions_that_wait_for_each_other_the_last_one_is_said() {
    let (store, url) = store().await;
    let ((mut locker, process), (between, of_between)) = (session(&url).await, session(&url).await);
    let lock = locker.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE forgebell.deliveries IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let waiting = between.batch_execute(
        "BEGIN; LOCK TABLE forgebell.events IN ACCESS EXCLUSIVE MODE;
         LOCK TABLE forgebell.deliveries IN ACCESS SHARE MODE; COMMIT",
    );
    let asking = async {
        let waits = "SELECT 1 FROM pg_locks WHERE pid = $1 AND NOT granted";
        while lock.query(waits, &[&of_between]).await.unwrap().is_empty() {}
        let saying = async {
            let why = store.ping().await.unwrap_err().to_string();
            assert!(why.contains(&format!("waits for process {process}")), "{why}");
            lock.rollback().await.unwrap();
        };
        tokio::join!(write(&store, "e1", None, at(0)), saying);
    };
    let both = async { tokio::join!(waiting, asking).0 };
    tokio::time::timeout(Duration::from_secs(20), both).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_second_node_of_the_same_name_is_refused() {
    let (store, url) = store().await;
    let _first = store.listener(&node("a"), LEASE, Duration::ZERO).await.unwrap();
    let other = Postgres::open(&url, None, Keyring::none()).await.unwrap();
    let Err(StoreError::Broken(why)) = other.listener(&node("a"), LEASE, Duration::ZERO).await.map(drop)
    else {
        panic!("two of a name")
    };
    assert!(why.contains("`a`") && why.contains("node.name"), "{why}");
    assert!(other.listener(&node("b"), LEASE, Duration::ZERO).await.is_ok());
}

#[tokio::test]
async fn nodes_are_notified_of_the_writes_of_others() {
    let (store, url) = store().await;
    let other = Postgres::open(&url, None, Keyring::none()).await.unwrap();
    let (told, mut heard) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let listening = store.listener(&node("a"), LEASE, Duration::ZERO).await.unwrap().run(told, stop.clone());
    let told_of = async {
        write(&other, "e1", None, at(0)).await;
        assert_eq!(heard.recv().await, Some(Notification::Stored("hook".into())));
        assert!(other.push(&event("e2", "main"), at(0)).await.unwrap());
        assert_eq!(heard.recv().await, Some(Notification::Arrived));
        other.put_group(None, "acme", audit()).await.unwrap();
        assert_eq!(heard.recv().await, Some(Notification::Configured));
        stop.cancel();
    };
    let both = Box::pin(async { tokio::join!(listening, told_of).0 });
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

/// A batch of this many events, of 40 KB each, whose last delivery goes to this target. Tests have a small limit.
fn large_batch(events: usize, last_target: &str) -> Vec<Dispatched> {
    let one = |n: usize| {
        let delivery = NewDelivery {
            integration: IntegrationId::new("slack"),
            target: if n + 1 == events { last_target.into() } else { "".into() },
            destination: "hook".into(),
            share: "hook".into(),
            lane: Lane(1),
            replaces: false,
            lease: Some(lease("a", at(0))),
        };
        Dispatched {
            event: Arc::new(event(&format!("large-{n}"), &"x".repeat(40 << 10))),
            origin: Origin::Broker { digest: None, redelivered: false },
            deliveries: vec![delivery],
            remembered: Remembered::default(),
        }
    };
    (0..events).map(one).collect()
}

#[tokio::test]
async fn a_batch_of_more_bytes_than_one_message_takes_is_written_whole_or_not_at_all() {
    let (store, _) = store().await;
    store.ask("ALTER TABLE deliveries ADD CHECK (target <> 'refused')", &[]).await;
    let refused = store.enqueue(large_batch(7, "refused"), at(0)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(store.ask("SELECT id FROM events", &[]).await.len(), 0, "none of its parts is there");
    let written = store.enqueue(large_batch(7, "taken"), at(0)).await.unwrap();
    let ids: Vec<_> = written.iter().map(|of_event| of_event[0].as_ref().unwrap()).collect();
    assert!(ids.iter().all(|delivery| delivery.leased));
    assert!(ids.is_sorted_by_key(|delivery| delivery.id));
    let again = store.enqueue(large_batch(7, "taken"), at(1)).await.unwrap();
    assert!(again.iter().all(|of_event| of_event[0].is_none()));
    let junk = |_| NewQuarantined {
        source: "amqp",
        sender: None,
        id: None,
        reason: "no".to_owned(),
        received_at: at(0),
        raw: vec![b'x'; 40 << 10].into(),
    };
    store.quarantine((0..7).map(junk).collect()).await.unwrap();
    assert_eq!(store.list_quarantined(None, 100).await.unwrap().len(), 7);
}
