//! What is kept in the store: tokens, keys, the log of changes, and the store itself brought up to date.

use std::os::unix::fs::PermissionsExt as _;

use forgebell::settings::Secret;
use forgebell::store::Registry as _;
use forgebell::store::registry::{AuditEntry, Configuration, Learned, ScopeKey, SeenProject};
use forgebell::store::seal::Keyring;
use forgebell::store::sqlite::Sqlite;
use jiff::Timestamp;

use super::*;

impl Desk {
    fn store(&self) -> Sqlite {
        Sqlite::open(&self.file("forgebell.db"), Keyring::none()).expect("the store opens")
    }
}

/// What was said on standard output or error, as one line.
fn line(text: &str) -> &str {
    let line = text.strip_suffix('\n').expect("a line ends");
    assert!(!line.contains('\n'), "one line: {text}");
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_printed_once_and_can_be_revoked() {
    let desk = Desk::new("");
    let refused = desk.run(&["token", "create", "--admin"]).await.ends_with(1);
    assert!(refused.err.contains("the daemon makes it when it starts"), "{}", refused.err);
    desk.run(&["migrate"]).await.ends_with(0);

    let made =
        desk.run(&["token", "create", "--admin", "--name", "ada", "--expires", "90d"]).await.ends_with(0);
    let token = line(&made.out);
    assert!(token.starts_with("fbt-") && token.len() == 47, "a script takes it as it is: {token}");
    let said = line(&made.err);
    assert!(said.contains("may see and change everything, until ") && !said.contains(token), "{said}");

    let made =
        desk.run(&["token", "create", "--project", "42", "--ingest", "--json"]).await.ends_with(0).json();
    assert!(made["token"].as_str().expect("a text").starts_with("fbt-"));
    assert_eq!(
        (&made["project"], &made["right"], &made["state"]),
        (&json!(42), &json!("ingest"), &json!("live"))
    );
    assert_eq!((&made["id"], &made["expires_at"]), (&json!(2), &Value::Null));

    let listed = desk.run(&["token", "list"]).await.ends_with(0).out;
    assert!(listed.contains("ada") && listed.contains("project 42") && !listed.contains("fbt-"), "{listed}");
    assert_eq!(desk.run(&["token", "revoke", "1"]).await.ends_with(0).out, "1: ada is revoked\n");
    assert_eq!(
        desk.run(&["token", "revoke", "1"]).await.ends_with(1).out,
        "1: it is expired or revoked already\n"
    );
    assert_eq!(desk.run(&["token", "revoke", "9"]).await.ends_with(1).out, "9: there is no such token\n");
    let states = desk.run(&["token", "list", "--json"]).await.ends_with(0).json();
    assert_eq!((&states[0]["state"], &states[1]["state"]), (&json!("revoked"), &json!("live")));

    let log = desk.run(&["audit", "list", "--json"]).await.ends_with(0).json();
    let did: Vec<_> = log.as_array().expect("a list").iter().map(|line| line["action"].clone()).collect();
    assert_eq!(did, ["token.revoke", "token.create", "project.create", "token.create"]);
    assert_eq!(log[1]["who"], "command line");
    assert_eq!(log[1]["object"], "token unnamed for project 42");
    let page = desk.run(&["audit", "list", "--limit", "1", "--before", "2"]).await.ends_with(0).out;
    assert!(page.contains("token ada for everything") && page.lines().count() == 2, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_a_path_is_for_the_project_that_has_it() {
    let desk = Desk::new("");
    let seen = SeenProject { id: 42, path: Some("mike/diaspora".to_owned()), learned: Learned::default() };
    desk.store().upsert_seen_projects(vec![seen], Timestamp::UNIX_EPOCH).await.expect("it is noted");
    let made =
        desk.run(&["token", "create", "--project", "Mike/Diaspora", "--json"]).await.ends_with(0).json();
    assert_eq!(made["project"], 42);
    let listed = desk.run(&["token", "list"]).await.ends_with(0).out;
    assert!(listed.contains("project 42 (mike/diaspora)"), "{listed}");

    let unknown = desk.run(&["token", "create", "--project", "mike/nothing"]).await.ends_with(1);
    assert!(
        unknown.err.contains("the number of project mike/nothing is not known yet")
            && unknown.err.contains("--project 42")
    );
    let unknown = desk.run(&["token", "create", "--group", "mike"]).await.ends_with(1);
    assert!(unknown.err.contains("no group mike is known yet"), "{}", unknown.err);
    let absurd = desk.run(&["token", "create", "--project", "-3"]).await;
    assert_ne!(absurd.code, Some(0));
    assert!(unknown.out.is_empty() && absurd.out.is_empty());
    desk.run(&["token", "create"]).await.ends_with(2);
    desk.run(&["token", "create", "--admin", "--expires", "soon"]).await.ends_with(2);
    assert_eq!(desk.run(&["token", "list", "--json"]).await.json().as_array().expect("a list").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_brought_up_to_date_without_the_daemon() {
    let desk = Desk::new("");
    let made = desk.run(&["migrate"]).await.ends_with(0).out;
    assert!(made.contains("forgebell.db is made, at schema version "), "{made}");
    let again = desk.run(&["migrate", "--json"]).await.ends_with(0).json();
    assert_eq!(again["from"], again["to"]);
    let _daemon = desk.serve().await;
    let refused = desk.run(&["migrate"]).await.ends_with(1);
    assert!(refused.err.contains("another forgebell works with"), "{}", refused.err);
}

/// Stores an integration with a secret.
async fn keep_a_secret(store: &Sqlite) {
    let secrets = [("webhook".to_owned(), Secret::new("t0psecret"))].into();
    let audit = AuditEntry {
        at: Timestamp::UNIX_EPOCH,
        who: "token ci (1)".to_owned(),
        action: "integration.create",
        object: "project 42 slack".to_owned(),
        fields: vec!["webhook".to_owned()],
    };
    let settings = Configuration { secrets, ..Configuration::default() };
    store
        .put_integration(ScopeKey::Project(42), "slack", settings, None.into(), audit)
        .await
        .expect("it is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn rekey_makes_the_old_key_unnecessary() {
    let desk = Desk::new("");
    keep_a_secret(&desk.store()).await;
    let own = desk.file("forgebell.db.key");
    assert_eq!(own.metadata().expect("it was made").permissions().mode() & 0o777, 0o600);
    let new = desk.write("new.key", "ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8=\n");
    let with_new = format!("secrets.key_file={new}");

    let refused = desk.run(&["-o", "secrets.key=c2hvcnQ=", "rekey"]).await.ends_with(1);
    assert!(
        refused.err.contains("secrets.key: is no key") && !refused.err.contains("c2hvcnQ="),
        "{}",
        refused.err
    );
    let done = desk.run(&["-o", &with_new, "rekey"]).await.ends_with(0).out;
    assert_eq!(
        done,
        "the secrets of 1 integration are sealed with the present key; no older one is needed any more\n"
    );
    std::fs::remove_file(&own).expect("the folder is ours");
    let again = desk.run(&["-o", &with_new, "rekey", "--json"]).await.ends_with(0).json();
    assert_eq!(again, json!({ "integrations": 1, "given_up": [] }));
    let log = desk.run(&["audit", "list"]).await.ends_with(0).out;
    assert!(log.contains("secrets.rekey"), "what needs no key does without: {log}");

    let started = desk.run(&["serve"]).await.ends_with(1);
    for part in ["its secrets are sealed with the key ", "secrets.key_file", &own.display().to_string()] {
        assert!(started.err.contains(part), "{part} is not in: {}", started.err);
    }
    let checked = desk.run(&["check", "--json"]).await.ends_with(1).json();
    let store =
        checked.as_array().expect("a list").iter().find(|part| part["part"] == "store").expect("it is there");
    assert!(store["found"].as_str().expect("words").contains("sealed with the key"), "{store}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rekey_give_up_drops_secrets_of_a_lost_key_and_keeps_the_rest() {
    let desk = Desk::new("");
    keep_a_secret(&desk.store()).await;
    std::fs::remove_file(desk.file("forgebell.db.key")).expect("the folder is ours");
    let started = desk.run(&["serve"]).await.ends_with(1);
    assert!(started.err.contains("`forgebell rekey --give-up`"), "the way out is named: {}", started.err);
    let refused = desk.run(&["rekey"]).await.ends_with(1);
    assert!(refused.err.contains("no key"), "nothing is given up unasked: {}", refused.err);

    let done = desk.run(&["rekey", "--give-up"]).await.ends_with(0).out;
    assert_eq!(
        done,
        "slack of project 42: its secrets are removed and it is switched off; set its secrets again to switch it on\n\
         no integration in the store has a secret\n"
    );
    let log = desk.run(&["audit", "list"]).await.ends_with(0).out;
    assert!(log.contains("secrets.give_up") && log.contains("project 42 slack"), "{log}");
    let again = desk.run(&["rekey", "--give-up", "--json"]).await.ends_with(0).json();
    assert_eq!(again, json!({ "integrations": 0, "given_up": [] }));

    let _daemon = desk.serve().await;
    assert!(desk.file("forgebell.db.key").exists(), "it has a new key");
}
