//! The event log, as commands show it: every event has its line, and an integration is found by each of its names.

use super::*;
use crate::harness::payloads::with;

impl Desk {
    /// Publishes a payload over HTTP, under this id.
    async fn publish_as(&self, id: &str, payload: Vec<u8>) {
        let file = self.write(&format!("{id}.json"), payload);
        self.run(&["publish", "--to", "http", &file, "--id", id]).await.ends_with(0);
    }

    /// Sets project 42's Slack integration by the API.
    async fn set_slack(&self, webhook: &str) {
        let made = self.run(&["token", "create", "--admin", "--json"]).await.ends_with(0).json();
        let token = made["token"].as_str().expect("a text").to_owned();
        let url = format!("http://127.0.0.1:{}/api/v4/projects/42/integrations/slack", self.port);
        let settings = json!({ "webhook": webhook, "channel": "#ops", "branches_to_be_notified": "all" });
        eventually("the daemon knows the token", PATIENCE, async || {
            let request = crate::harness::client().put(&url).header("private-token", &token);
            let request = request.header("content-type", "application/json").body(settings.to_string());
            let status = request.send().await.ok()?.status().as_u16();
            assert!([200, 401].contains(&status), "{status}");
            (status == 200).then_some(())
        })
        .await;
    }
}

fn push_of_rocket() -> Vec<u8> {
    with(&payload(PUSH), |json| {
        json["project"]["id"] = json!(42);
        json["project_id"] = json!(42);
        json["project"]["path_with_namespace"] = json!("acme/rocket");
    })
}

#[tokio::test]
async fn an_integration_that_the_api_set_is_found_by_its_projects_path() {
    const NAME: &str = "acme/rocket:slack";
    let (_receiver, hook) = hook().await;
    let hook = hook.answer_then(vec![Answer::status(400).body("invalid_blocks")], Answer::ok().body("ok"));
    let desk = Desk::with("", "rate_limits.enabled = false\n");
    let _daemon = desk.serve().await;
    desk.set_slack(&hook.url()).await;
    desk.publish_as("first", push_of_rocket()).await;
    for name in [NAME, "42:slack"] {
        let words = ["deliveries", "list", "--state", "failed", "--integration", name, "--json"];
        eventually("the delivery failed", PATIENCE, async || {
            let list = desk.run(&words).await.ends_with(0).json();
            (list.as_array()?.len() == 1).then_some(())
        })
        .await;
    }
    let events = desk.run(&["events", "list", "--integration", NAME]).await.ends_with(0).out;
    assert!(events.contains("first") && events.contains("failed (#ops)"), "{events}");
    let again = desk.run(&["deliveries", "retry", "--integration", NAME]).await.ends_with(0).out;
    assert!(again.contains("due again"), "{again}");
    hook.wait_for(2).await;
    let unknown =
        desk.run(&["deliveries", "list", "--integration", "acme/rocket:discord"]).await.ends_with(1);
    assert!(unknown.err.contains("there is no integration"), "{}", unknown.err);
}

#[tokio::test]
async fn a_groups_name_finds_what_lies_in_it_and_its_default_what_inherits_it() {
    let (_receiver, hook) = hook().await;
    let default = slack(&hook, "branches_to_be_notified = \"all\"")
        .replace("project = \"mike/diaspora\"", "group = \"acme\"");
    let desk = Desk::with(&default, "rate_limits.enabled = false\n");
    let _daemon = desk.serve().await;
    desk.publish_as("inherited", push_of_rocket()).await;
    hook.wait_for(1).await;
    for command in ["deliveries", "events"] {
        for of in
            [["--integration", "groups/acme:slack"], ["--project", "Acme"], ["--project", "acme/rocket"]]
        {
            let words = [&[command, "list", "--json"][..], &of].concat();
            eventually("it is found", PATIENCE, async || {
                let list = desk.run(&words).await.ends_with(0).json();
                (list.as_array()?.len() == 1).then_some(())
            })
            .await;
        }
        for (of, meant) in [
            (["--project", "acmee"], "did you mean `acme`?"),
            (["--project", "acme/rokcet"], "did you mean `acme/rocket`?"),
            (["--integration", "groups/amce:slack"], "did you mean `groups/acme:slack`?"),
        ] {
            let unknown = desk.run(&[&[command, "list"][..], &of].concat()).await.ends_with(1).err;
            assert!(unknown.contains(meant), "{command} {of:?}: {unknown}");
        }
    }
}

#[tokio::test]
async fn the_audit_log_of_an_unknown_integration_is_an_error_and_not_empty() {
    let (_receiver, hook) = hook().await;
    let desk = Desk::new(&slack(&hook, ""));
    let _daemon = desk.serve().await;
    let list = async |name: &str| desk.run(&["audit", "list", "--integration", name]).await;
    let unknown = list("mike/diapsora:slack").await.ends_with(1).err;
    assert!(unknown.contains("did you mean `mike/diaspora:slack`?"), "{unknown}");
    list("mike/diaspora:slack").await.ends_with(0);
}

#[tokio::test]
async fn dead_letters_that_are_not_needed_any_more_are_cancelled_and_no_problem_then() {
    let (_receiver, hook) = hook().await;
    let hook = hook.answer(Answer::status(400).body("invalid_blocks"));
    let desk = Desk::new(&slack(&hook, ""));
    let _daemon = desk.serve().await;
    desk.publish_as("failing", payload(PUSH)).await;
    eventually("it is a problem", PATIENCE, async || {
        let status = desk.run(&["status", "--json"]).await.json();
        (status["dead_letters"].as_array()?.len() == 1).then_some(())
    })
    .await;
    desk.run(&["status"]).await.ends_with(3);
    let ended = desk.run(&["deliveries", "cancel", "--state", "failed"]).await.ends_with(0).out;
    assert!(ended.ends_with(": cancelled\n"), "{ended}");
    assert_eq!(desk.run(&["status"]).await.ends_with(0).out.lines().last(), Some("ok"));
}

#[tokio::test]
async fn every_event_has_a_line_in_the_daemons_log_and_in_the_event_log() {
    let (_receiver, hook) = hook().await;
    let desk = Desk::with("", "rate_limits.enabled = false\n");
    let _daemon = desk.serve().await;
    desk.set_slack(&hook.url()).await;
    desk.publish_as("wanted-event", push_of_rocket()).await;
    desk.publish_as("kind-without-integration", payload("emoji_award.json")).await;
    hook.wait_for(1).await;
    let list = eventually("both are logged", PATIENCE, async || {
        let list = desk.run(&["events", "list", "--json"]).await.ends_with(0).json();
        let delivered = list.as_array()?.iter().any(|event| event["result"] == "1 delivered");
        (delivered && list.as_array()?.len() == 2).then_some(list)
    })
    .await;
    let unrouted =
        list.as_array().expect("a list").iter().find(|event| event["id"] == "kind-without-integration");
    let unrouted = unrouted.unwrap_or_else(|| panic!("{list}"));
    assert_eq!((&unrouted["kind"], &unrouted["source"]), (&json!("emoji"), &json!("http")));
    let lines = |id: &str, words: &str| {
        let log = desk.log();
        log.lines().filter(|line| line.contains("INFO") && line.contains(id) && line.contains(words)).count()
    };
    eventually("both have their lines", PATIENCE, async || {
        (lines("wanted-event", "delivered") == 1 && lines("kind-without-integration", "no delivery") == 1)
            .then_some(())
    })
    .await;
    assert_eq!((lines("wanted-event", "dispatched"), lines("wanted-event", "")), (1, 2), "{}", desk.log());
    let unwanted = "kind-without-integration";
    assert_eq!((lines(unwanted, "no delivery"), lines(unwanted, "")), (1, 1), "{}", desk.log());
}

#[tokio::test]
async fn without_the_event_log_only_events_with_deliveries_are_listed() {
    let (_receiver, hook) = hook().await;
    let desk = Desk::with("", "rate_limits.enabled = false\nstore.event_log = false\n");
    let _daemon = desk.serve().await;
    desk.set_slack(&hook.url()).await;
    desk.publish_as("untold", payload("emoji_award.json")).await;
    desk.publish_as("told", push_of_rocket()).await;
    hook.wait_for(1).await;
    // The event that no integration wants came first, and is dispatched first.
    let list = eventually("what was told is listed", PATIENCE, async || {
        let list = desk.run(&["events", "list", "--json"]).await.ends_with(0).json();
        list.as_array()?.iter().any(|event| event["result"] == "1 delivered").then_some(list)
    })
    .await;
    let ids: Vec<_> = list.as_array().expect("a list").iter().map(|event| event["id"].clone()).collect();
    assert_eq!(ids, ["told"]);
}
