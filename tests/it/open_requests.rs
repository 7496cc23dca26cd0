//! A push starts no build where an open merge request has its branch, as far as the merge requests' events tell.

use std::time::Duration;

use forgebell::store::State;
use forgebell::store::registry::{Right, ScopeKey};
use serde_json::{Value, json};

use crate::harness::api;
use crate::harness::daemon::{Daemon, Home};
use crate::harness::payloads::{payload, with};
use crate::harness::receiver::{Answer, Hook, Receiver};
use crate::harness::wait::eventually;

/// Drone takes no merge requests here: what their events say is remembered all the same.
fn drone(server: &Receiver) -> (String, Hook) {
    let settings = format!(
        "[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"drone-ci\"\ntoken = \"t\"\n\
         merge_requests_events = false\ndrone_url = \"{}\"\n",
        server.url("/")
    );
    (settings, server.at("/hook").answer(Answer::json(200, &json!({"id": 7}))))
}

fn push(branch: &str) -> Vec<u8> {
    with(&payload("push.json"), |push| push["ref"] = json!(format!("refs/heads/{branch}")))
}

/// What an event says of a merge request of the project that `push.json` comes from.
fn merge_request(iid: i64, branch: &str, state: &str, source_project: Value) -> Vec<u8> {
    let project: Value =
        serde_json::from_slice::<Value>(&payload("push.json")).expect("JSON")["project"].clone();
    with(&payload("merge_request_open.json"), |event| {
        event["project"] = project;
        let attributes = &mut event["object_attributes"];
        attributes["iid"] = json!(iid);
        attributes["target_project_id"] = json!(15);
        attributes["source_project_id"] = source_project;
        attributes["source_branch"] = json!(branch);
        attributes["state"] = json!(state);
        attributes["action"] = json!("update");
    })
}

/// Sends an event that leads to no delivery, and waits until it was dispatched.
async fn send_and_wait(home: &Home, daemon: &Daemon, id: &str, event: Vec<u8>) {
    assert_eq!(daemon.send(id, event).await.0, 202, "{id}");
    let store = home.ledger().await;
    eventually("the event was dispatched", Duration::from_secs(20), async || {
        let depth = store.depth(forgebell::daemon::now()).await.ok()?;
        (depth.inbox == 0).then_some(())
    })
    .await;
}

async fn explained(home: &Home, daemon: &Daemon, event: Vec<u8>) -> Value {
    let caller = api::caller(home, daemon, ScopeKey::Instance, Right::Read).await;
    let event = serde_json::from_slice(&event).expect("JSON");
    let (status, answer) = caller.ask("POST", "/events/explain", Some(event)).await;
    assert_eq!(status, 200, "{answer}");
    answer["verdicts"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_the_branch_of_an_open_merge_request_starts_no_build() {
    const WHY: &str = "the open merge request !5 has this branch, and its own event starts the build";
    let server = Receiver::start().await;
    let (settings, hook) = drone(&server);
    let home = Home::new(&settings).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    send_and_wait(&home, &daemon, "open", merge_request(5, "feature", "opened", json!(15))).await;
    daemon.send("skipped", push("feature")).await;
    let skipped = home.until(State::Skipped, 1).await;
    assert_eq!(skipped[0].last_note.as_deref(), Some(WHY));
    let verdict = explained(&home, &daemon, push("feature")).await;
    assert_eq!((&verdict["verdict"], &verdict["why"]), (&json!("skip"), &json!(WHY)));
    let daemon = {
        daemon.crash();
        home.start().await
    };
    assert_eq!(explained(&home, &daemon, push("feature")).await["why"], WHY, "it survives a crash");
    assert_eq!(explained(&home, &daemon, push("other")).await["verdict"], "deliver");

    daemon.send("other", push("other")).await;
    send_and_wait(&home, &daemon, "merged", merge_request(5, "feature", "merged", json!(15))).await;
    daemon.send("after", push("feature")).await;
    home.until(State::Delivered, 2).await;
    let refs: Vec<Value> = hook.received().iter().map(|request| request.json()["ref"].clone()).collect();
    assert_eq!(refs, ["refs/heads/other", "refs/heads/feature"]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forks_branch_and_what_is_not_said_start_a_build() {
    let server = Receiver::start().await;
    let (settings, hook) = drone(&server);
    let home = Home::new(&settings).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    let long = "b".repeat(100_000);
    let events = [
        merge_request(1, "fork", "opened", json!(99)),
        merge_request(2, "unsaid", "opened", Value::Null),
        merge_request(3, "locked", "locked", json!(15)),
        merge_request(4, &long, "opened", json!(15)),
        merge_request(0, "without-number", "opened", json!(15)),
    ];
    for (place, event) in events.into_iter().enumerate() {
        send_and_wait(&home, &daemon, &format!("mr-{place}"), event).await;
    }
    let branches = ["fork", "unsaid", "locked", "without-number"];
    for branch in branches {
        daemon.send(branch, push(branch)).await;
    }
    home.until(State::Delivered, branches.len()).await;
    assert_eq!(hook.received().len(), branches.len());
    let verdict = explained(&home, &daemon, push(&long)).await;
    assert_eq!(verdict["verdict"], "skip", "a branch may have any length: {verdict}");
    daemon.stop().await;
}
