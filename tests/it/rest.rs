//! GitLab's Integrations API, as people's own clients speak to it: curl, and a tester that is driven by the description
//! that the daemon serves of itself.

use std::process::Stdio;
use std::time::Duration;

use forgebell::store::registry::{GroupKey, Right, ScopeKey};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::api::administered;
use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::postgres;
use crate::harness::proxy::CuttingProxy;
use crate::harness::python;
use crate::harness::receiver::Receiver;
use crate::harness::wait::eventually;

/// The key of the secrets in a database that several may share.
const KEY: &str = "ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8=";

/// Signatures are made by another implementation of the specification.
#[tokio::test(flavor = "multi_thread")]
async fn webhooks_signed_by_others_are_taken_and_forged_ones_refused() {
    let key = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let old_key = "whsec_AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=";
    let other_key = "whsec_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    let home = Home::new("").with(&[
        "http.webhook_token=",
        "http.login_failures=100",
        &format!("http.webhook_signing_key={old_key} {key}"),
    ]);
    let daemon = home.start().await;
    let said = python::script("signed_webhooks.py", &["send", daemon.base(), key, other_key]).await;
    assert!(said.ends_with("done\n"), "{said}");
    daemon.stop().await;
}

/// curl as GitLab's pages show it, with its output as JSON.
async fn curl(arguments: &[&str]) -> Value {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*"]).args(arguments).stdin(Stdio::null());
    let output = command.output().await.expect("curl can be started");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {complained}");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_commands_of_gitlabs_documentation_set_up_a_channel() {
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B0/hook");
    let home = Home::new("");
    let daemon = home.start().await;
    let token = home.token(ScopeKey::Instance, Right::Maintain).await;
    let header = format!("PRIVATE-TOKEN: {token}");
    let url = format!("{}/api/v4/projects/42/integrations/slack", daemon.base());
    let webhook = format!("webhook={}", service.url("/services/T0/B0/hook"));
    // Project 42 is not known yet. A token for everything may name it.
    let put = [
        "--request",
        "PUT",
        "--header",
        &header,
        "--data-urlencode",
        &webhook,
        "--data",
        "channel=#ops",
        &url,
    ];
    let set = eventually("the token is known", Duration::from_secs(20), async || {
        Some(curl(&put).await).filter(|answer| answer["slug"] == "slack")
    })
    .await;
    assert_eq!(set["properties"]["channel"], "#ops");
    let push = with(&payload("push.json"), |json| {
        json["project"]["id"] = json!(42);
        json["project_id"] = json!(42);
        json["ref"] = json!("refs/heads/main");
        json["project"]["default_branch"] = json!("main");
    });
    assert_eq!(daemon.send("first", push).await.0, 202);
    let heard = hook.wait_for(1).await;
    assert!(heard[0].text().contains("pushed"), "{}", heard[0].text());
    // A form as a browser sends it, a bearer's token, the old name, and a path instead of a number.
    let bearer = format!("Authorization: Bearer {token}");
    let services = format!("{}/api/v4/projects/42/services/slack", daemon.base());
    let form =
        ["--request", "PUT", "--header", &bearer, "--form", &webhook, "--form", "push_events=off", &services];
    assert_eq!(curl(&form).await["push_events"], false);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_reports_that_the_database_is_away_and_recovers_by_itself() {
    const SLACK: &str = "/projects/42/integrations/slack";
    let database = postgres::database();
    let server = url::Url::parse(&database).expect("a URL").port().expect("a port");
    let cable = CuttingProxy::start(([127, 0, 0, 1], server).into()).await;
    let through = database.replace(&format!(":{server}/"), &format!(":{}/", cable.addr().port()));
    let home = Home::new("").with_postgres(&through, "one").with(&[&format!("secrets.key={KEY}")]);
    let (daemon, admin) = administered(&home).await;
    let set =
        |channel: &str| json!({ "webhook": "https://hooks.slack.com/services/T0/B0/x", "channel": channel });
    admin.put(SLACK, set("#before")).await;
    let put = async || admin.ask("PUT", SLACK, Some(set("#after"))).await.0;
    let event = || payload("push.json");

    cable.cut().await;
    assert_eq!(put().await, 503);
    assert_eq!(admin.ask("GET", SLACK, None).await.0, 503);
    assert_eq!(daemon.send("cut", event()).await.0, 503);
    cable.heal().await;
    eventually("the API is back", Duration::from_secs(30), async || {
        let (status, shown) = admin.ask("GET", SLACK, None).await;
        (status == 200).then(|| assert_eq!(shown["properties"]["channel"], "#before"))
    })
    .await;

    // A network that swallows everything is no reason to keep people waiting.
    cable.freeze();
    let (changed, shown, sent) =
        tokio::join!(put(), admin.ask("GET", SLACK, None), daemon.send("frozen", event()));
    assert_eq!((changed, shown.0, sent.0), (503, 503, 503));
    cable.heal().await;
    eventually("changes are taken again", Duration::from_secs(60), async || {
        (put().await == 200).then_some(())
    })
    .await;
    for id in ["cut", "frozen"] {
        eventually("what was refused is taken now", Duration::from_secs(60), async || {
            (daemon.send(id, event()).await.0 == 202).then_some(())
        })
        .await;
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_guard_refuses_cannot_be_set() {
    let home = Home::new("").with(&["wire.allow_networks=10.20.0.0/16"]);
    let (daemon, admin) = administered(&home).await;
    for (host, expected) in
        [("localhost:8065", 400), ("10.0.0.1", 400), ("10.20.0.1", 200), ("chat.internal", 200)]
    {
        let webhook = json!({ "webhook": format!("http://{host}/hooks/s3cret") });
        let (status, told) = admin.ask("PUT", "/projects/42/integrations/mattermost", Some(webhook)).await;
        assert_eq!(status, expected, "{host}: {told}");
        let is_blocked = told["message"].as_str().is_some_and(|why| why.contains("is blocked: Requests to "));
        assert_eq!(is_blocked, expected == 400, "{host}: {told}");
    }
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_event_of_a_project_with_a_groups_token_uses_the_groups_settings() {
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B0/hook");
    let home = Home::new("").with(&["http.webhook_token=open sesame"]);
    let (daemon, admin) = administered(&home).await;
    admin
        .put("/groups/acme/integrations/slack", json!({ "webhook": service.url("/services/T0/B0/hook") }))
        .await;
    let token = home.token(ScopeKey::Group(GroupKey(1)), Right::Ingest).await;
    let hand_in = async |id: i64, path: &str| {
        let push = with(&payload("push.json"), |json| {
            json["project"]["id"] = json!(id);
            json["project_id"] = json!(id);
            json["project"]["path_with_namespace"] = json!(path);
        });
        let request = admin.client.post(format!("{}/events", daemon.base())).header("x-gitlab-token", &token);
        let sent = request.header("content-type", "application/json").body(push).send().await;
        sent.expect("the daemon answers").status().as_u16()
    };
    assert_eq!(hand_in(99, "other/new").await, 403);
    assert_eq!(hand_in(99, "acme/new").await, 202);
    hook.wait_for(1).await;
    assert_eq!(admin.ask("GET", "/projects/99", None).await.0, 404, "this id is not known");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_that_openapi_allows_has_a_documented_answer() {
    let home = Home::new("").with(&["http.login_failures=1000000"]);
    let (daemon, admin) = administered(&home).await;
    admin.put("/projects/42", json!({ "path_with_namespace": "acme/rocket" })).await;
    let webhook = json!({ "webhook": "https://hooks.slack.com/services/T0/B0/s3cret" });
    admin.put("/projects/42/integrations/slack", webhook).await;
    let header = format!("PRIVATE-TOKEN: {}", admin.token);
    let description = format!("{}/api/v4/openapi.json", daemon.base());
    python::run(
        "schemathesis",
        &[
            "run",
            &description,
            "--header",
            &header,
            // A test is a real attempt, and what is made up here leads anywhere.
            "--exclude-path-regex",
            "/test$",
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            "--max-examples",
            "10",
            "--seed",
            "20260115",
            "--no-color",
        ],
    )
    .await;
    daemon.stop().await;
}
