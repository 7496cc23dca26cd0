//! A PostgreSQL that is there and does not take something: a value of one project's event, or the outcomes of attempts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use forgebell::settings::{Secret, Value};
use forgebell::store::State;
use forgebell::store::postgres::Postgres;
use forgebell::store::registry::{AuditEntry, Configuration, Put, Registry as _, ScopeKey};
use forgebell::store::seal::{self, Keyring, SealingKey};
use serde_json::json;

use crate::harness::daemon::{Daemon, Home};
use crate::harness::payloads::{payload, with};
use crate::harness::postgres;
use crate::harness::receiver::{Answer, Received, Receiver};
use crate::harness::wait::eventually;

const KEY: &str = "ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8=";
const PATIENCE: Duration = Duration::from_secs(60);

/// A Slack integration of this project, with the settings in TOML that it has beside its webhook.
fn slack(receiver: &Receiver, project: usize, more: &str) -> String {
    let webhook = receiver.url(&hook(project));
    format!("[[integration]]\nproject = {project}\nadapter = \"slack\"\nwebhook = \"{webhook}\"\n{more}\n")
}

fn hook(project: usize) -> String {
    format!("/services/T{project}/B/hook")
}

/// The `n`th event, of this project and this merge request. Its number is in the message.
fn event(n: usize, project: usize, subject: usize) -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| {
        json["project"]["id"] = json!(project);
        json["project"]["path_with_namespace"] = json!(format!("acme/project-{project}"));
        json["object_attributes"]["iid"] = json!(subject);
        json["object_attributes"]["title"] = json!(format!("event {n} end"));
    })
}

/// The number of the event that a message is about.
fn told(received: &Received) -> usize {
    let text = received.text();
    let number = text.split("event ").nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no event is named in {text}"))
}

/// A superuser's connection to a database.
async fn superuser(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("it answers");
    tokio::spawn(connection);
    client
}

/// What `/readyz` says.
async fn readiness(daemon: &Daemon) -> (u16, String) {
    daemon.get("/readyz").await.expect("the daemon answers")
}

async fn until_readiness(daemon: &Daemon, status: u16, words: &str) {
    eventually(&format!("/readyz answers {status} and says `{words}`"), PATIENCE, async || {
        let (found, body) = readiness(daemon).await;
        (found == status && body.contains(words)).then_some(())
    })
    .await;
}

/// A maintainer's channel of 3,000 random letters, as an earlier version stored it.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_of_3000_letters_in_the_table_stops_no_other_project() {
    let (database, service) = (postgres::database(), Receiver::start().await);
    let other = service.at(&hook(43)).answer(Answer::ok().body("ok"));
    let home = Home::new(&slack(&service, 43, "")).with_postgres(&database, "one");
    let home = home.with(&["rate_limits.enabled=false", &format!("secrets.key={KEY}")]);
    home.start().await.stop().await;

    let keys = Keyring::new(&seal::Config { key: SealingKey::read(KEY), old_keys: Vec::new() });
    let store = Postgres::open(&Secret::new(database.as_str()), None, keys).await.expect("it opens");
    let letters: String =
        (0_u32..3000).map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8 % 26)).collect();
    let configuration = Configuration {
        active: true,
        properties: [("channel".to_owned(), Value::Text(letters))].into(),
        secrets: [("webhook".to_owned(), Secret::new(service.url(&hook(42))))].into(),
        ..Configuration::default()
    };
    let audit = AuditEntry::whole(
        forgebell::daemon::now(),
        "test",
        "integration.update",
        "project 42 slack".to_owned(),
    );
    let put = store.put_integration(ScopeKey::Project(42), "slack", configuration, None.into(), audit).await;
    assert!(matches!(put, Ok(Put::Done(_))), "it is in the table");

    let daemon = home.start().await;
    for n in 0..20 {
        assert_eq!(daemon.send(&format!("event-{n}"), event(n, 42 + n % 2, 1)).await.0, 202);
    }
    let received = other.wait_for(10).await;
    assert!(received.iter().map(|received| told(received)).eq((1..20).step_by(2)), "in order, each once");
    assert_eq!(readiness(&daemon).await.0, 200);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_store_does_not_take_goes_to_quarantine_and_the_others_go_on() {
    let (database, service) = (postgres::database(), Receiver::start().await);
    let other = service.at(&hook(43)).answer(Answer::ok().body("ok"));
    let both = slack(&service, 42, "channel = \"#refused\"") + &slack(&service, 43, "channel = \"#ops\"");
    let home = Home::new(&both).with_postgres(&database, "one").with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    superuser(&database)
        .await
        .batch_execute(
            "ALTER TABLE forgebell.deliveries ADD CONSTRAINT no_such_channel CHECK (target <> '#refused')",
        )
        .await
        .expect("the table gets a rule");
    for n in 0..40 {
        assert_eq!(daemon.send(&format!("event-{n}"), event(n, 42 + n % 2, 1)).await.0, 202);
    }
    let received = other.wait_for(20).await;
    assert!(received.iter().map(|received| told(received)).eq((1..40).step_by(2)), "in order, each once");
    let aside = eventually("the refused events are in quarantine", PATIENCE, async || {
        Some(home.quarantined().await).filter(|aside| aside.len() == 20)
    })
    .await;
    assert!(aside.iter().all(|aside| aside.reason.contains("no_such_channel")), "{:?}", aside[0].reason);
    let (status, body) = readiness(&daemon).await;
    assert!(status == 200 && body.contains("20 events") && body.contains("quarantine"), "{status} {body}");
    daemon.stop().await;
}

const PROJECTS: usize = 20;
const SUBJECTS: usize = 5;
const EVENTS: usize = 1000;

/// Sends all events while `outage` keeps the store from taking outcomes, and checks that each is told once and in order.
async fn each_is_told_once(database: &str, home: Home, service: &Receiver, begin: &str, end: &str) {
    for project in 0..PROJECTS {
        service.at(&hook(1000 + project)).answer(Answer::ok().body("ok").delay(Duration::from_millis(2)));
    }
    let integrations: String = (0..PROJECTS).map(|project| slack(service, 1000 + project, "")).collect();
    home.provision(&integrations);
    let home = home.with(&["rate_limits.enabled=false", "delivery.concurrency=16"]);
    let daemon = Arc::new(home.start().await);
    let operator = superuser(database).await;
    let sending = tokio::spawn({
        let daemon = Arc::clone(&daemon);
        async move {
            for n in 0..EVENTS {
                let subject = n / PROJECTS % SUBJECTS;
                let (status, body) =
                    daemon.send(&format!("event-{n}"), event(n, 1000 + n % PROJECTS, subject)).await;
                assert_eq!(status, 202, "{body}");
            }
        }
    });
    service.wait_until("a fifth is told", PATIENCE, |received| received.len() >= EVENTS / 5).await;
    operator.batch_execute(begin).await.expect("the outage begins");
    until_readiness(&daemon, 503, "outcomes of attempts are not written").await;
    let (_, metrics) = daemon.get("/metrics").await.expect("the daemon answers");
    let unwritten = metrics.lines().find(|line| line.starts_with("forgebell_unwritten_outcomes "));
    assert!(unwritten.is_some_and(|line| !line.ends_with(" 0")), "{unwritten:?}");
    // Longer than a lease lasts (10 s): then rows count as free, unless their node renews the leases.
    let at = operator.query_one("SELECT now() + interval '12 seconds'", &[]).await.expect("a moment");
    let over: std::time::SystemTime = at.get(0);
    let over = jiff::Timestamp::try_from(over).expect("a moment");
    eventually("the outage has lasted longer than a lease", PATIENCE, async || {
        (forgebell::daemon::now() > over).then_some(())
    })
    .await;
    operator.batch_execute(end).await.expect("the outage ends");
    until_readiness(&daemon, 200, "ready").await;
    sending.await.expect("all are sent");
    home.until(State::Delivered, EVENTS).await;

    let received = service.received();
    let mut times = vec![0; EVENTS];
    let mut last: HashMap<(usize, usize), usize> = HashMap::new();
    for n in received.iter().map(|received| told(received)) {
        times[n] += 1;
        let lane = (n % PROJECTS, n / PROJECTS % SUBJECTS);
        let before = last.insert(lane, n);
        assert!(before.is_none_or(|before| before < n), "{n} was told after {before:?}");
    }
    assert_eq!(times, vec![1; EVENTS], "each is told once");
    Arc::into_inner(daemon).expect("nothing else uses it").stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_function_for_outcomes_is_missing_nothing_is_told_twice() {
    let (database, service) = (postgres::database(), Receiver::start().await);
    let home = Home::new("").with_postgres(&database, "one");
    let [begin, end] = [("settle", "settle_away"), ("settle_away", "settle")].map(|(from, to)| {
        format!(
            "DO $$ DECLARE f regprocedure; BEGIN
                 SELECT oid INTO f FROM pg_proc WHERE pronamespace = 'forgebell'::regnamespace AND proname = '{from}';
                 EXECUTE 'ALTER FUNCTION ' || f || ' RENAME TO {to}'; END $$"
        )
    });
    each_is_told_once(&database, home, &service, &begin, &end).await;
}

/// The role that the daemon has may no longer change deliveries: neither outcomes can be written nor leases renewed.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_right_to_change_deliveries_is_revoked_nothing_is_told_twice() {
    let (database, service) = (postgres::database(), Receiver::start().await);
    let name = database.rsplit('/').next().expect("a database's name").to_owned();
    let role = format!("role_{name}");
    let sql = format!("CREATE ROLE {role} LOGIN; GRANT ALL ON DATABASE {name} TO {role}");
    superuser(&database).await.batch_execute(&sql).await.expect("a role");
    let as_role = database.replace("forgebell@", &format!("{role}@"));
    let home = Home::new("").with_postgres(&as_role, "one");
    let change = |word: &str, from: &str| format!("{word} UPDATE ON forgebell.deliveries {from} {role}");
    each_is_told_once(&database, home, &service, &change("REVOKE", "FROM"), &change("GRANT", "TO")).await;
}
