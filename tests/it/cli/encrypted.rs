//! A database that requires TLS, with a certificate of a private authority.

use std::sync::LazyLock;

use forgebell::event::{Event, EventId};
use forgebell::settings::Secret;
use forgebell::store::postgres::{Notification, Postgres as Store};
use forgebell::store::seal::Keyring;
use forgebell::store::{Inbox as _, NodeId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::harness::authority::Authority;
use crate::harness::postgres::Postgres;

/// The server and its authority. Its certificate is for 127.0.0.1, and for no `localhost`.
static SERVER: LazyLock<(Postgres, Authority)> = LazyLock::new(|| {
    let authority = Authority::new();
    let (certificate, key) = authority.certify(&["127.0.0.1"]);
    (Postgres::with_tls("tls", (&certificate, &key)), authority)
});

/// A desk whose store is a new database of that server.
fn desk(provisioning: &str) -> (Desk, String) {
    let (server, authority) = &*SERVER;
    let url = server.database();
    let desk = Desk::with(provisioning, &format!("store.url = \"{url}\""));
    desk.write("ca.pem", &authority.pem);
    (desk, url)
}

impl Desk {
    /// Trusts the authority.
    fn trusting(&self) -> String {
        format!("store.ca_file={}", self.file("ca.pem").display())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_works_over_tls_with_a_private_authority() {
    let (_receiver, hook) = hook().await;
    let (desk, _) = desk(&slack(&hook, "channel = \"#ops\""));
    let push = desk.write("push.json", payload(PUSH));
    let configured = std::fs::read_to_string(desk.file("forgebell.toml")).expect("it was written");
    let ca_file = desk.file("ca.pem").display().to_string();
    desk.write("forgebell.toml", format!("{configured}\nstore.ca_file = \"{ca_file}\"\n"));

    let made = desk.run(&["migrate"]).await.ends_with(0).out;
    assert!(made.starts_with("the database is made, at schema version "), "{made}");
    let mut daemon = desk.serve().await;
    desk.run(&["publish", &push, "--id", "p-1"]).await.ends_with(0);
    hook.wait_for(1).await;
    let list = eventually("the delivery is settled", PATIENCE, async || {
        let list =
            desk.run(&["deliveries", "list", "--state", "delivered", "--json"]).await.ends_with(0).json();
        (list.as_array()?.len() == 1).then_some(list)
    })
    .await;
    assert_eq!((&list[0]["event"], &list[0]["target"]), (&"p-1".into(), &"#ops".into()));
    let checked = desk.run(&["check", "--json"]).await.ends_with(0).json();
    let store = checked.as_array().and_then(|parts| parts.iter().find(|part| part["part"] == "store"));
    assert!(store.is_some_and(|store| store["state"] == "ok"), "{checked}");
    signal(&daemon, "TERM");
    assert_eq!(end_of(&mut daemon).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_of_other_nodes_arrive_over_tls() {
    let (desk, url) = desk("");
    let ca_file = desk.file("ca.pem");
    let open = async || Store::open(&Secret::new(url.as_str()), Some(&ca_file), Keyring::none()).await;
    let (one, two) = (open().await.expect("it opens"), open().await.expect("it opens"));
    let listener = one
        .listener(&NodeId("one".into()), Duration::from_secs(60), Duration::ZERO)
        .await
        .expect("the name is free");
    let (told, mut heard) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let hearing = tokio::spawn(listener.run(told, stop.clone()));
    let now = forgebell::daemon::now();
    let event = Event::decode(EventId::new("e-1").expect("a short id"), now, payload(PUSH).into());
    assert!(two.push(&event.expect("an event"), now).await.expect("it is kept"));
    let first = tokio::time::timeout(PATIENCE, heard.recv()).await.expect("it is heard of");
    assert_eq!(first, Some(Notification::Arrived));
    stop.cancel();
    hearing.await.expect("no panic").expect("no other node took the name");
}

/// How a command that needs the store ends, and what it says last.
async fn refused(desk: &Desk, options: &[&str], command: &str) -> String {
    let words: Vec<_> = options.iter().flat_map(|option| ["-o", option]).chain([command]).collect();
    let ran = desk.run(&words).await.ends_with(1);
    assert_eq!(ran.out, "");
    ran.err.lines().last().expect("it says why").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_tls_or_trusted_certificate_fails_with_a_remedy() {
    let (desk, url) = desk("");
    let trusting = desk.trusting();
    let in_clear = format!("store.url={url}?sslmode=disable");
    let misnamed = format!("store.url={}", url.replace("127.0.0.1", "localhost"));
    let stranger = desk.write("other.pem", Authority::new().pem);
    let stranger = format!("store.ca_file={stranger}");
    for command in ["serve", "migrate"] {
        let said = refused(&desk, &[], command).await;
        assert!(
            said.contains("UnknownIssuer") && said.contains("store.ca_file can add"),
            "{command}: {said}"
        );
        let said = refused(&desk, &[&stranger], command).await;
        assert!(said.contains("store.ca_file names another authority"), "{command}: {said}");
        let said = refused(&desk, &[&trusting, &in_clear], command).await;
        assert!(said.contains("no encryption") && said.contains("sslmode=require"), "{command}: {said}");
        let said = refused(&desk, &[&trusting, &misnamed], command).await;
        assert!(said.contains("localhost") && said.contains("store.url has to name"), "{command}: {said}");
        // Neither the strictest words nor the laxest ones let a stranger in.
        for mode in ["verify-full", "require", "prefer"] {
            let stricter = format!("{misnamed}?sslmode={mode}");
            let said = refused(&desk, &[&trusting, &stricter], command).await;
            assert!(said.contains("store.url has to name"), "{command}, {mode}: {said}");
        }
    }
    desk.run(&["-o", &trusting, "migrate"]).await.ends_with(0);
}
