//! A PostgreSQL that is there and does not take something: a value of one project's event, or the outcomes of attempts.

use std::time::Duration;

use forgebell::settings::{Secret, Value};
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
    let put = store.put_integration(ScopeKey::Project(42), "slack", configuration, None, audit).await;
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
