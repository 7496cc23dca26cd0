//! GitLab's Integrations API, as people's own clients speak to it. `tests/long/openapi.rs` fuzzes it.

use std::process::Stdio;
use std::time::Duration;

use forgebell::store::State;
use forgebell::store::registry::{GroupKey, Right, ScopeKey};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::api::{Caller, administered};
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

/// The key is the sender's word. A project's token must not make another project's event count as a repeat by guessing it.
#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_makes_repeats_only_within_the_reach_of_its_token() {
    let service = Receiver::start().await;
    let hooks: Vec<_> = (0..3).map(|n| service.slack_like(&format!("/services/T{n}/B/hook"))).collect();
    let home = Home::new("").with(&["http.webhook_token=open sesame", "rate_limits.enabled=false"]);
    let (daemon, admin) = administered(&home).await;
    let projects = [(42, "acme/rocket"), (43, "other/thing"), (44, "acme/pad")];
    for ((id, path), hook) in projects.iter().zip(&hooks) {
        admin.put(&format!("/projects/{id}"), json!({ "path_with_namespace": path })).await;
        admin.put(&format!("/projects/{id}/integrations/slack"), json!({ "webhook": hook.url() })).await;
    }
    let of_42 = home.token(ScopeKey::Project(42), Right::Ingest).await;
    let of_43 = home.token(ScopeKey::Project(43), Right::Ingest).await;
    let of_all = home.token(ScopeKey::Instance, Right::Ingest).await;
    let send = async |token: &str, (id, path): (i64, &str)| {
        let push = with(&payload("push.json"), |json| {
            json["project"]["id"] = json!(id);
            json["project_id"] = json!(id);
            json["project"]["path_with_namespace"] = json!(path);
        });
        let request = admin.client.post(format!("{}/events", daemon.base())).header("x-gitlab-token", token);
        let request = request.header("content-type", "application/json").header("idempotency-key", "guessed");
        let sent = request.body(push).send().await.expect("the daemon answers");
        assert_eq!(sent.status().as_u16(), 202);
        let answer = sent.text().await.expect("it answers to the end");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        (answer["id"].as_str().unwrap_or_default().to_owned(), answer["result"] == "accepted")
    };
    assert_eq!(send(&of_42, projects[0]).await, ("project-42:guessed".to_owned(), true));
    assert_eq!(send(&of_43, projects[1]).await, ("project-43:guessed".to_owned(), true));
    assert!(!send(&of_42, projects[0]).await.1, "the same token sent it again");
    // Those who may send everything share their ids: an event that comes both ways is one.
    assert_eq!(send("open sesame", projects[2]).await, ("guessed".to_owned(), true));
    assert_eq!(send(&of_all, projects[2]).await, ("guessed".to_owned(), false));
    for hook in &hooks {
        hook.wait_for(1).await;
    }
    home.until(State::Delivered, 3).await;
    assert_eq!(hooks.iter().map(|hook| hook.received().len()).collect::<Vec<_>>(), [1, 1, 1]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_for_a_path_is_told_of_the_projects_first_event() {
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B0/hook");
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    let slack = json!({ "webhook": service.url("/services/T0/B0/hook"), "branches_to_be_notified": "all" });
    admin.put("/projects/mike%2Fdiaspora/integrations/slack", slack).await;
    for (count, id) in [(1, "first"), (2, "second")] {
        assert_eq!(daemon.send(id, payload("push.json")).await.0, 202);
        hook.wait_for(count).await;
    }
    home.until(State::Delivered, 2).await;
    let (status, project) = admin.ask("GET", "/projects/mike%2Fdiaspora", None).await;
    assert_eq!((status, &project["id"]), (200, &json!(15)));
    let (status, by_number) = admin.ask("GET", "/projects/15/integrations/slack/deliveries", None).await;
    assert_eq!((status, by_number.as_array().map(Vec::len)), (200, Some(2)), "{by_number}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn integrations_from_files_and_inherited_ones_keep_their_numbers_and_times() {
    let block = |scope: &str, channel: &str| {
        let webhook = "https://hooks.slack.com/services/T0/B0/s3cret";
        format!(
            "[[integration]]\n{scope}\nadapter = \"slack\"\nwebhook = \"{webhook}\"\nchannel = \"{channel}\"\n"
        )
    };
    let (project, group) = ("project = \"acme/rocket\"", "group = \"acme\"");
    let home = Home::new(&(block(project, "#rocket") + &block(group, "#acme")));
    let (daemon, admin) = administered(&home).await;
    admin.put("/projects/42", json!({ "path_with_namespace": "acme/rocket" })).await;
    admin.put("/projects/43", json!({ "path_with_namespace": "acme/other" })).await;
    let shown = async |caller: &Caller| {
        let mut shown = Vec::new();
        for path in ["/projects/42", "/groups/acme", "/projects/43"] {
            let (status, one) = caller.ask("GET", &format!("{path}/integrations/slack"), None).await;
            assert_eq!(status, 200, "{path}: {one}");
            assert!(one["id"].is_i64() && one["created_at"].is_string(), "{one}");
            shown.push(["id", "created_at", "updated_at"].map(|key| one[key].clone()));
        }
        shown
    };
    let at_first = shown(&admin).await;
    assert!(at_first[0][0] != at_first[1][0] && at_first[1][0] != at_first[2][0], "{at_first:?}");
    assert_eq!(at_first[1][1..], at_first[2][1..], "one that inherits is as old as the default");
    let noted = async |caller: &Caller, count: usize| {
        eventually("the store remembers the files' integrations", Duration::from_secs(30), async || {
            let (_, log) = caller.ask("GET", "/audit_events?per_page=100", None).await;
            let lines = log.as_array().expect("a list").iter();
            (lines.filter(|line| line["action"] == "integration.provision").count() == count).then_some(())
        })
        .await;
    };
    noted(&admin, 2).await;
    daemon.stop().await;

    let (daemon, admin) = administered(&home).await;
    assert_eq!(shown(&admin).await, at_first, "after a restart");
    daemon.reload().await.expect("the files are valid");
    assert_eq!(shown(&admin).await, at_first, "after a reload");
    home.provision(&(block(project, "#rocket") + &block(group, "#changed")));
    daemon.reload().await.expect("the files are valid");
    let changed = shown(&admin).await;
    assert_eq!(changed[0], at_first[0], "this one is as it was");
    assert_eq!(changed[1][..2], at_first[1][..2], "the number and the creation stay");
    assert_ne!(changed[1][2], at_first[1][2], "it was changed now");
    assert_eq!(changed[2][1..], changed[1][1..]);
    noted(&admin, 3).await;
    daemon.stop().await;
}
