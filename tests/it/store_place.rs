//! The store's file and what lies beside it: a second daemon, a deleted or replaced file, a lost key, a full disk, a store
//! that was written while the clock was ahead.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use forgebell::daemon;
use forgebell::store::State;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::harness::daemon::{Daemon, Home};
use crate::harness::payloads::{payload, with};
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::small_disk::SmallDisk;
use crate::harness::wait::eventually;

const PATIENCE: Duration = Duration::from_secs(30);
const HOOK: &str = "/services/T1/B/hook";

/// A home whose one integration is told of all events of project 42.
fn home(service: &Receiver) -> Home {
    let webhook = service.url(HOOK);
    Home::new(&format!("[[integration]]\nproject = 42\nadapter = \"slack\"\nwebhook = \"{webhook}\"\n"))
        .with(&["rate_limits.enabled=false"])
}

fn event() -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| {
        json["project"]["id"] = json!(42);
    })
}

fn database(home: &Home) -> PathBuf {
    home.path().join("forgebell.db")
}

/// Why a daemon does not start here.
async fn refusal(home: &Home) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (_reload, reloads) = mpsc::channel(1);
    let ended = daemon::run(home.config(), listener, reloads, CancellationToken::new());
    let ended = Box::pin(tokio::time::timeout(PATIENCE, ended)).await.expect("it does not run");
    format!("{:#}", ended.expect_err("it does not start"))
}

async fn until_readiness(daemon: &Daemon, status: u16, words: &str) {
    eventually(&format!("/readyz answers {status} and says `{words}`"), PATIENCE, async || {
        let (found, body) = daemon.get("/readyz").await?;
        (found == status && body.contains(words)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_over_a_symbolic_link_is_refused() {
    let service = Receiver::start().await;
    let first = home(&service);
    let running = first.start().await;
    let links = tempfile::tempdir().expect("a folder");
    symlink(database(&first), links.path().join("file.db")).expect("a link to the file");
    symlink(first.path(), links.path().join("folder")).expect("a link to the folder");
    for path in ["file.db", "folder/forgebell.db"] {
        let path = links.path().join(path);
        let second = home(&service).with(&[&format!("store.path={}", path.display())]);
        let why = Box::pin(refusal(&second)).await;
        assert!(why.contains("another forgebell works with") && why.contains("store.path"), "{why}");
    }
    running.stop().await;
    // The same store by its link: the daemon finds its file and its key.
    let second = home(&service).with(&[&format!("store.path={}", links.path().join("file.db").display())]);
    second.start().await.stop().await;
    assert!(!links.path().join("file.db.lock").exists(), "the lock is beside the file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_deleted_or_replaced_is_not_ready_and_takes_no_event() {
    let service = Receiver::start().await;
    let hook = service.at(HOOK).answer(Answer::ok().body("ok"));
    let home = home(&service);
    let daemon = home.start().await;
    until_readiness(&daemon, 200, "\"ready\"").await;
    let (file, aside) = (database(&home), home.path().join("aside.db"));

    std::fs::rename(&file, &aside).expect("it is moved away");
    until_readiness(&daemon, 503, "was deleted or moved").await;
    let (status, _) = daemon.send("while deleted", event()).await;
    assert_eq!(status, 503, "nothing is accepted that would be lost");

    std::fs::copy(&aside, &file).expect("another file has its name");
    until_readiness(&daemon, 503, "was replaced by another file").await;
    assert_eq!(daemon.send("while replaced", event()).await.0, 503);

    std::fs::rename(&aside, &file).expect("it is put back");
    until_readiness(&daemon, 200, "\"ready\"").await;
    assert_eq!(daemon.send("afterwards", event()).await.0, 202);
    hook.wait_for(1).await;
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lock_or_key_is_not_ready() {
    let service = Receiver::start().await;
    let home = home(&service);
    let daemon = home.start().await;
    let (key, aside) = (home.path().join("forgebell.db.key"), home.path().join("aside.key"));
    std::fs::rename(&key, &aside).expect("it is moved away");
    until_readiness(&daemon, 503, "the key").await;
    std::fs::rename(&aside, &key).expect("it is put back");
    until_readiness(&daemon, 200, "\"ready\"").await;
    std::fs::remove_file(home.path().join("forgebell.db.lock")).expect("it is deleted");
    until_readiness(&daemon, 503, "keeps no other daemon from this store").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_its_database_keeps_a_daemon_from_starting_with_an_empty_store() {
    let service = Receiver::start().await;
    let home = home(&service);
    home.start().await.stop().await;
    std::fs::remove_file(database(&home)).expect("it is deleted");
    let why = Box::pin(refusal(&home)).await;
    assert!(why.contains("forgebell.db is missing or empty") && why.contains("remove the key"), "{why}");
    assert!(!database(&home).exists(), "no empty store takes its place");
    std::fs::remove_file(home.path().join("forgebell.db.key")).expect("a person decides");
    home.start().await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_not_ready_and_its_events_are_taken_when_there_is_space() {
    let Some(disk) = SmallDisk::mount(24) else {
        eprintln!("skipped: only root may mount a small disk");
        return;
    };
    let service = Receiver::start().await;
    let hook = service.at(HOOK).answer(Answer::ok().body("ok"));
    let home = home(&service).with(&[&format!("store.path={}", disk.path().join("forgebell.db").display())]);
    let daemon = home.start().await;
    until_readiness(&daemon, 200, "\"ready\"").await;

    let filler = disk.fill();
    until_readiness(&daemon, 503, "the disk is full").await;
    let large = with(&event(), |json| json["object_attributes"]["description"] = json!("x".repeat(4 << 20)));
    assert_eq!(daemon.send("while full", large.clone()).await.0, 503);

    std::fs::remove_file(&filler).expect("there is space again");
    until_readiness(&daemon, 200, "\"ready\"").await;
    assert_eq!(daemon.send("afterwards", large).await.0, 202);
    hook.wait_for(1).await;
    daemon.stop().await;
}

/// As after a clock that was ahead for a while: a delivery waits for the year 2100, and so does its destination.
#[tokio::test(flavor = "multi_thread")]
async fn waits_that_were_written_while_the_clock_was_ahead_are_shortened_at_the_start() {
    let service = Receiver::start().await;
    let hook = service.at(HOOK).answer_then(vec![Answer::status(503)], Answer::ok().body("ok"));
    let home = home(&service).with(&["delivery.breaker_max=1s", "delivery.breaker_threshold=1"]);
    let daemon = home.start().await;
    daemon.send("early", event()).await;
    hook.wait_for(1).await;
    daemon.stop().await;

    let ahead = "UPDATE deliveries SET due = 4102444800000 WHERE settled_at IS NULL;
                 UPDATE holds SET until = 4102444800000";
    rusqlite::Connection::open(database(&home))
        .and_then(|store| store.execute_batch(ahead))
        .expect("it is written");
    let daemon = home.start().await;
    let ledger = home.ledger().await;
    let holds = ledger.holds(daemon::now()).await.expect("holds can be read");
    // A service that is not available may name a wait of an hour.
    let latest = daemon::now() + Duration::from_secs(3600 + 1);
    assert!(!holds.is_empty() && holds.iter().all(|hold| hold.until < latest), "{holds:?}");
    let due = home.deliveries(Some(State::Waiting)).await.remove(0).due.expect("it waits");
    assert!(due < daemon::now() + Duration::from_secs(4 * 3600 + 60), "{due}");
    daemon.stop().await;
}
