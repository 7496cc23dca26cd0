//! Services that can't be run in a test: the real daemon, and a receiver that answers as those services do, including
//! their misleading answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use forgebell::store::State;
use serde_json::json;

use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::receiver::{Answer, Received, Receiver};
use crate::harness::wait::eventually;

/// An integration of the project that `merge_request_open.json` comes from.
fn integration(adapter: &str, settings: &str) -> String {
    format!("[[integration]]\nproject = \"gitlabhq/gitlab-test\"\nadapter = \"{adapter}\"\n{settings}\n")
}

fn webhook(adapter: &str, url: &str) -> String {
    integration(adapter, &format!("webhook = \"{url}\""))
}

fn merge_request(iid: i64) -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| json["object_attributes"]["iid"] = json!(iid))
}

fn in_seconds(seconds: i64) -> String {
    (forgebell::daemon::now().as_second() + seconds).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hipchat_rate_limit_of_a_room_holds_only_that_room() {
    let service = Receiver::start().await;
    let room = |room: &str| {
        let server = service.url("/");
        integration(
            "hipchat",
            &format!(
                "token = \"t0ken\"\nroom = \"{room}\"\nserver = \"{server}\"\ncolor = \"gray\"\nnotify = true"
            ),
        )
    };
    let elsewhere = room("42").replace("gitlabhq/gitlab-test", "gitlab-org/gitlab-test");
    let home = Home::new(&(room("a/b c") + &elsewhere)).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    let flooded = Answer::status(429)
        .header("x-floodcontrol-limit", "30")
        .header("x-floodcontrol-remaining", "0")
        .header("x-floodcontrol-reset", &in_seconds(4))
        .header("x-ratelimit-remaining", "480")
        .header("x-ratelimit-reset", &in_seconds(300));
    let full = service.at("/v2/room/a%2Fb%20c/notification").answer_then(vec![flooded], Answer::status(204));
    let other = service.at("/v2/room/42/notification").answer(Answer::status(204));
    daemon.send("one", merge_request(1)).await;
    full.wait_for(1).await;
    daemon.send("two", payload("note_issue.json")).await;
    daemon.send("three", merge_request(2)).await;
    let delivered = home.until(State::Delivered, 3).await;
    daemon.stop().await;
    assert!(delivered.iter().all(|line| line.attempts == 1), "throttling costs no attempt: {delivered:?}");
    let told = full.received();
    assert_eq!(told.iter().map(|told| told.answered).collect::<Vec<_>>(), [Some(429), Some(204), Some(204)]);
    assert!(other.received()[0].at < told[1].at, "the other room did not wait");
    assert!(told[1].at - told[0].at >= Duration::from_secs(2), "the room's own limit was waited for");
    assert_eq!(told[1].header("authorization"), Some("Bearer t0ken"));
    assert_eq!(told[1].query, "", "the token is in no address");
    let said = told[1].json();
    assert_eq!((&said["color"], &said["notify"]), (&json!("gray"), &json!(true)));
}

/// A token's limit is that of all the rooms it is used in (wire-chat, HipChat: `X-Ratelimit-*` beside `X-FloodControl-*`).
#[tokio::test(flavor = "multi_thread")]
async fn a_hipchat_rate_limit_of_a_token_holds_all_its_rooms_and_no_others() {
    let service = Receiver::start().await;
    let room = |project: &str, token: &str, room: &str| {
        let settings = format!("token = \"{token}\"\nroom = \"{room}\"\nserver = \"{}\"", service.url("/"));
        integration("hipchat", &settings).replace("gitlabhq/gitlab-test", project)
    };
    let rooms = [room("acme/a", "0ne", "41"), room("acme/b", "0ne", "42"), room("acme/c", "other", "43")];
    let home = Home::new(&rooms.concat()).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    let send = async |id: i64, path: &str, iid: i64| {
        let event = with(&merge_request(iid), |json| {
            json["project"]["id"] = json!(id);
            json["project"]["path_with_namespace"] = json!(path);
        });
        assert_eq!(daemon.send(&format!("{path} {iid}"), event).await.0, 202);
    };
    let now = forgebell::daemon::now();
    let ends = now.as_second() + 4;
    // The same moment on the clock that the receiver keeps.
    let ended = Instant::now() + Duration::from_millis((ends * 1000 - now.as_millisecond()).unsigned_abs());
    let used_up = Answer::status(429)
        .header("x-ratelimit-limit", "500")
        .header("x-ratelimit-remaining", "0")
        .header("x-ratelimit-reset", &ends.to_string())
        .header("x-floodcontrol-remaining", "29")
        .header("x-floodcontrol-reset", &in_seconds(60));
    let [asked, sister, other] = ["41", "42", "43"]
        .map(|room| service.at(&format!("/v2/room/{room}/notification")).answer(Answer::status(204)));
    let asked = asked.answer_then(vec![used_up], Answer::status(204));
    send(71, "acme/a", 1).await;
    asked.wait_for(1).await;
    eventually("the refusal is noted", Duration::from_secs(20), async || {
        let holds = home.ledger().await.holds(forgebell::daemon::now()).await.expect("the store can be read");
        (!holds.is_empty()).then_some(())
    })
    .await;
    send(72, "acme/b", 1).await;
    send(73, "acme/c", 1).await;
    send(71, "acme/a", 2).await;
    let free = other.wait_for(1).await[0].at;
    let delivered = home.until(State::Delivered, 4).await;
    daemon.stop().await;
    assert!(delivered.iter().all(|line| line.attempts == 1), "throttling costs no attempt: {delivered:?}");
    let (asked, sister) = (asked.received(), sister.received());
    assert_eq!(asked.iter().map(|told| told.answered).collect::<Vec<_>>(), [Some(429), Some(204), Some(204)]);
    assert!(free < ended, "another token's room did not wait");
    assert_eq!(sister.len(), 1, "the other room of that token was not even asked before");
    // The two clocks may differ by a little.
    let waited = |told: &Arc<Received>| told.at + Duration::from_millis(50) >= ended;
    assert!(asked[1..].iter().chain(&sister).all(waited), "the token's own limit was waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_403_of_hipchats_first_version_is_a_rate_limit() {
    let service = Receiver::start().await;
    let too_fast = json!({ "error": { "code": 403, "type": "Forbidden", "message": "Rate limit exceeded" } });
    let hook = service
        .at("/v1/rooms/message")
        .answer_then(vec![Answer::json(403, &too_fast)], Answer::json(200, &json!({ "status": "sent" })));
    let settings =
        format!("token = \"t0ken\"\nroom = \"dev\"\napi_version = \"v1\"\nserver = \"{}\"", service.url(""));
    let home = Home::new(&integration("hipchat", &settings)).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    let delivered = home.until(State::Delivered, 1).await;
    daemon.stop().await;
    assert_eq!((delivered[0].attempts, hook.received().len()), (1, 2));
    assert_eq!(hook.received()[1].header("content-type"), Some("application/x-www-form-urlencoded"));
}

/// Microsoft's connectors answer 200 to everything; what they do not mean by it stands in the body.
#[tokio::test(flavor = "multi_thread")]
async fn a_200_of_a_connector_with_an_error_in_its_body_is_a_failure() {
    let said = |status: u16| {
        Answer::ok().body(format!(
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {status} with ContextId tcid=0"
        ))
    };
    let service = Receiver::start().await;
    let hook = service
        .at("/webhookb2/x/IncomingWebhook/y/z")
        .answer_then(vec![said(429), said(503), Answer::ok().body("1"), said(413)], Answer::ok().body("1"));
    let settings = format!("webhook = \"{}\"\nwebhook_kind = \"connector\"", hook.url());
    let home = Home::new(&integration("microsoft-teams", &settings)).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    let delivered = home.until(State::Delivered, 1).await;
    assert_eq!(hook.received().len(), 3, "{delivered:?}");
    daemon.send("two", merge_request(2)).await;
    let failed = home.until(State::Failed, 1).await;
    daemon.stop().await;
    assert_eq!(hook.received().len(), 4, "what is too large is too large the next time as well");
    assert!(failed[0].last_note.as_deref().is_some_and(|note| note.contains("HTTP error 413")), "{failed:?}");
    assert_eq!(hook.received()[0].json()["@type"], "MessageCard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflows_address_is_called_unchanged() {
    // What another program would write differently is a part of the signature.
    const QUERY: &str =
        "api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=aB-3_~dE%2b5f*G(7)h%20I+9";
    let service = Receiver::start().await;
    let hook = service
        .at("/workflows/0a1b/triggers/manual/paths/invoke")
        .answer_then(vec![Answer::throttled(Duration::from_secs(1))], Answer::status(202));
    let home = Home::new(&webhook("microsoft-teams", &format!("{}?{QUERY}", hook.url())));
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    let delivered = home.until(State::Delivered, 1).await;
    daemon.stop().await;
    assert_eq!(delivered[0].attempts, 1, "throttling costs no attempt");
    let received = hook.received();
    assert!(received.iter().all(|received| received.query == QUERY), "{}", received[0].query);
    assert!(received[1].at - received[0].at >= Duration::from_secs(1));
    assert_eq!(received[1].json()["attachments"][0]["content"]["type"], "AdaptiveCard");
}

#[tokio::test(flavor = "multi_thread")]
async fn mattermosts_reset_header_is_in_seconds_and_a_proxys_page_is_not_success() {
    let service = Receiver::start().await;
    let limited = Answer::status(429).header("x-ratelimit-reset", "2").body("limit exceeded");
    let page = Answer::ok().header("content-type", "text/html").body("<html>Down for maintenance</html>");
    let hook = service.at("/hooks/x").answer_then(vec![limited, page], Answer::ok().body("ok"));
    let home = Home::new(&webhook("mattermost", &hook.url())).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    let received = hook.received();
    assert_eq!(received.len(), 3);
    let waited = received[1].at - received[0].at;
    assert!((Duration::from_secs(2)..Duration::from_secs(60)).contains(&waited), "{waited:?}, not 2 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_wait_while_mattermost_has_webhooks_disabled() {
    let service = Receiver::start().await;
    let off = json!({
        "id": "web.incoming_webhook.disabled.app_error", "message": "Eingehende Webhooks sind deaktiviert.",
        "detailed_error": "", "request_id": "x", "status_code": 501,
    });
    let wrong = service.at("/hooks/x").answer(Answer::json(501, &off));
    let right = service.at("/hooks/y").answer(Answer::ok().body("ok"));
    let home = Home::new(&webhook("mattermost", &wrong.url())).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    wrong.wait_for(1).await;
    home.until(State::Waiting, 1).await;
    home.provision(&webhook("mattermost", &right.url()));
    daemon.reload().await.expect("the file is right");
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    assert_eq!(right.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slack_workflow_gets_its_variables_by_name() {
    let service = Receiver::start().await;
    let hook = service.at("/triggers/T0/1/x").answer_then(
        vec![Answer::json(200, &json!({ "ok": false, "error": "rate_limited" }))],
        Answer::json(200, &json!({ "ok": true })),
    );
    let home = Home::new(&webhook("slack", &hook.url())).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    let received = hook.received();
    assert_eq!(received.len(), 2, "a 200 that says no is a no");
    let said = received[1].json();
    assert!(said.as_object().is_some_and(|said| said.values().all(serde_json::Value::is_string)), "{said}");
    assert_eq!(said["author"], "Administrator (root)");
}
