//! Whether services can be reached: trackers are asked after pushes, Prometheus by tests.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use forgebell::store::State;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::harness::api::{Caller, administered};
use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::ports::free_port;
use crate::harness::python;
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::wait::eventually;

const PROMETHEUS: &str = "/projects/15/integrations/prometheus";

const REDMINE: &str = "/projects/15/integrations/redmine";

/// A home in which questions come quickly.
fn home(first_pause: &str) -> Home {
    Home::new("").with(&[
        "rate_limits.enabled=false",
        &format!("probes.first_pause={first_pause}"),
        &format!("probes.second_pause={first_pause}"),
        &format!("probes.longest_pause={first_pause}"),
    ])
}

fn redmine(address: &str) -> Value {
    json!({
        "project_url": format!("{address}/projects/rocket"),
        "issues_url": format!("{address}/issues/:id"),
        "new_issue_url": format!("{address}/projects/rocket/issues/new"),
    })
}

/// The integration as the API shows it, once its health is like this.
async fn health(admin: &Caller, description: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(description, Duration::from_secs(60), async || {
        let (_, shown) = admin.ask("GET", REDMINE, None).await;
        is_so(&shown["health"]).then(|| shown["health"].clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_pushes_are_one_head_and_any_answer_means_that_the_tracker_was_reached() {
    let tracker = Receiver::start().await;
    let page = tracker.at("/projects/rocket").answer(Answer::status(500));
    let home = home("3s");
    let (daemon, admin) = administered(&home).await;
    let set = admin.put(REDMINE, redmine(&tracker.url(""))).await;
    assert_eq!((&set["active"], &set["health"]), (&json!(true), &Value::Null));
    let push =
        |number: usize| with(&payload("push.json"), |json| json["after"] = json!(format!("{number:040}")));
    for number in 0..10 {
        assert_eq!(daemon.send(&format!("push-{number}"), push(number)).await.0, 202);
    }
    let seen = health(&admin, "the tracker was reached", |health| health["reached"] == true).await;
    assert_eq!(seen["note"], "answered 500");
    let asked = page.received();
    assert_eq!(asked.len(), 1, "ten pushes within the pause");
    assert_eq!((asked[0].method.as_str(), asked[0].body.len()), ("HEAD", 0));

    daemon.send("later", push(11)).await;
    page.wait_for(2).await;
    let again =
        health(&admin, "it was asked again", |health| health["checked_at"] != seen["checked_at"]).await;
    assert_eq!((&again["reached"], &again["since"]), (&json!(true), &seen["since"]));
    assert!(home.deliveries(None).await.is_empty(), "a probe is no delivery");
    let (_, listed) = admin.ask("GET", "/projects/15/integrations", None).await;
    assert_eq!(listed[0]["health"], again);
    let (_, metrics) = daemon.get("/metrics").await.expect("metrics");
    // Other tests in this process count in the same series.
    assert!(metrics.contains(r#"forgebell_probes_total{adapter="redmine",result="reached"} "#), "{metrics}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_that_refuses_connections_is_shown_so_until_it_recovers() {
    let port = free_port();
    let home = home("200ms");
    let (daemon, admin) = administered(&home).await;
    admin.put(REDMINE, redmine(&format!("http://127.0.0.1:{port}"))).await;
    daemon.send("one", payload("push.json")).await;
    let down = health(&admin, "the tracker is down", |health| health["reached"] == false).await;
    assert!(down["note"].as_str().unwrap_or_default().contains("could not connect to"), "{down}");
    let still =
        health(&admin, "it was asked again", |health| health["checked_at"] != down["checked_at"]).await;
    assert_eq!((&still["reached"], &still["since"]), (&json!(false), &down["since"]));

    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = vec![0; 4096];
        let read = stream.read(&mut request).await.expect("a request");
        assert!(request[..read].starts_with(b"HEAD /projects/rocket HTTP/1.1\r\n"));
        stream
            .write_all(b"HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n")
            .await
            .expect("sent");
    });
    let up = health(&admin, "the tracker is up again", |health| health["reached"] == true).await;
    assert_eq!(up["since"], up["checked_at"], "a new state begins");
    server.await.expect("it was asked with HEAD");
    assert!(home.deliveries(Some(State::Failed)).await.is_empty(), "no dead letter");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_flag_is_off_asks_nothing_and_new_settings_have_no_health_yet() {
    let tracker = Receiver::start().await;
    let page = tracker.at("/projects/rocket").answer(Answer::ok());
    let home = home("100ms");
    let (daemon, admin) = administered(&home).await;
    admin.put(REDMINE, redmine(&tracker.url(""))).await;
    let (_, tested) = admin.ask("POST", &format!("{REDMINE}/test"), None).await;
    assert_eq!((&tested["success"], &tested["message"]), (&json!(true), &json!("answered 200")), "{tested}");
    assert_eq!(tested["attempts"][0]["exchanges"][0]["request"]["method"], "HEAD");
    health(&admin, "a test is kept too", |health| health["reached"] == true).await;
    let mut off = redmine(&tracker.url(""));
    off["push_events"] = json!(false);
    let changed = admin.put(REDMINE, off).await;
    assert_eq!(changed["health"], Value::Null, "what was asked before says nothing of the new settings");
    daemon.send("off", payload("push.json")).await;
    eventually("the push was dispatched", Duration::from_secs(20), async || {
        // The list has no events of the inbox.
        let (_, listed) = admin.ask("GET", "/events", None).await;
        listed.as_array()?.iter().any(|event| event["id"] == "off").then_some(())
    })
    .await;
    assert_eq!(page.received().len(), 1, "the test's");
    daemon.stop().await;
}

/// Its answer is kept for five minutes, as in GitLab.
#[tokio::test(flavor = "multi_thread")]
async fn two_tests_of_an_external_wiki_ask_for_its_page_once() {
    const WIKI: &str = "/projects/15/integrations/external-wiki";
    let wiki = Receiver::start().await;
    let page = wiki.at("/home").answer(Answer::ok());
    let home = home("3s");
    let (daemon, admin) = administered(&home).await;
    admin.put(WIKI, json!({ "external_wiki_url": page.url() })).await;
    for _ in 0..2 {
        let (_, tested) = admin.ask("POST", &format!("{WIKI}/test"), None).await;
        assert_eq!(
            (&tested["success"], &tested["message"]),
            (&json!(true), &json!("answered 200")),
            "{tested}"
        );
    }
    let methods: Vec<_> = page.received().iter().map(|request| request.method.clone()).collect();
    assert_eq!(methods, ["GET"]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_answers_the_test() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("prometheus.yml"), "global: {}\n").expect("the folder is ours");
    let port = free_port();
    let mut server = Command::new("prometheus")
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.external-url=/mon"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("prometheus starts");
    let home = home("1s");
    let (daemon, admin) = administered(&home).await;
    let set = admin.put(PROMETHEUS, json!({ "api_url": format!("http://127.0.0.1:{port}/mon") })).await;
    assert_eq!(set["active"], true);
    let test = async || admin.ask("POST", &format!("{PROMETHEUS}/test"), None).await.1;
    let tested = eventually("Prometheus is ready", Duration::from_secs(60), async || {
        Some(test().await).filter(|tested| tested["success"] == true)
    })
    .await;
    assert_eq!(
        (&tested["message"], &tested["attempts"][0]["status"]),
        (&json!("Checked API endpoint"), &json!(200))
    );
    let (_, shown) = admin.ask("GET", PROMETHEUS, None).await;
    assert_eq!(
        (&shown["health"]["reached"], &shown["health"]["note"]),
        (&json!(true), &json!("Checked API endpoint"))
    );

    let set = admin.put(PROMETHEUS, json!({ "api_url": format!("http://127.0.0.1:{port}/elsewhere") })).await;
    assert_eq!(set["health"], Value::Null);
    let missed = test().await;
    assert_eq!(
        (&missed["success"], &missed["attempts"][0]["status"]),
        (&json!(false), &json!(404)),
        "{missed}"
    );
    let off = json!({ "api_url": format!("http://127.0.0.1:{port}/mon"), "manual_configuration": false });
    assert_eq!(admin.put(PROMETHEUS, off).await["active"], false, "the setting switches it off");
    server.kill().await.expect("it is ours");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_behind_googles_proxy_is_asked_with_a_token_that_googles_library_accepts() {
    const CLIENT: &str = "123.apps.googleusercontent.com";
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/adapters/alerts/test_service_account_key.pem");
    let (mut google, port) = python::server("google_iap.py", &[key.to_str().expect("a path"), CLIENT]).await;
    let elsewhere = Receiver::start().await;
    let home = home("1s").with(&[&format!("google.token_url=http://127.0.0.1:{port}/token")]);
    let (daemon, admin) = administered(&home).await;
    let account = json!({
        "type": "service_account",
        "client_email": "bell@example.iam.gserviceaccount.com",
        "private_key_id": "k1",
        "private_key": std::fs::read_to_string(&key).expect("the key"),
        "token_uri": elsewhere.url("/token"),
        "token_credential_uri": elsewhere.url("/token"),
    });
    let settings = |client: &str| {
        json!({
            "api_url": format!("http://127.0.0.1:{port}/prometheus"),
            "google_iap_audience_client_id": client,
            "google_iap_service_account_json": account.to_string(),
        })
    };
    let set = admin.put(PROMETHEUS, settings(CLIENT)).await;
    assert!(!set.to_string().contains("PRIVATE KEY"), "{set}");
    let test = async || admin.ask("POST", &format!("{PROMETHEUS}/test"), None).await.1;
    let tested = test().await;
    assert_eq!(
        (&tested["success"], &tested["message"]),
        (&json!(true), &json!("Checked API endpoint")),
        "{tested}"
    );
    let exchanges = tested["attempts"][0]["exchanges"].to_string();
    assert!(!exchanges.contains("eyJ") && !exchanges.contains("PRIVATE"), "no token is shown: {exchanges}");

    admin.put(PROMETHEUS, settings("another.apps.googleusercontent.com")).await;
    let refused = test().await;
    assert_eq!(refused["success"], false);
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(message.contains("Google gives no token") && message.contains("invalid_grant"), "{message}");
    let seen = crate::harness::client().get(format!("http://127.0.0.1:{port}/seen")).send().await;
    let seen: Value =
        serde_json::from_str(&seen.expect("an answer").text().await.expect("a text")).expect("JSON");
    assert_eq!((&seen["tokens"], &seen["passed"]), (&json!(1), &json!(1)), "{seen}");
    assert!(elsewhere.received().is_empty(), "the addresses in the account's JSON are not called");
    google.kill().await.expect("it is ours");
    daemon.stop().await;
}
