//! The real daemon, and receivers that answer as Google Chat, Webex, Unify Circuit, Pumble, Telegram, Matrix, Campfire and
//! Flowdock do, including their misleading answers.

use std::time::Duration;

use forgebell::store::{HoldCause, State};
use serde_json::{Value as Json, json};

use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::receiver::{Answer, Received, Receiver};
use crate::harness::wait::eventually;

const LOGIN: &str = "<!DOCTYPE html><html><title>Sign in</title></html>";

/// An integration of the project that `merge_request_open.json` comes from.
fn integration(adapter: &str, settings: &str) -> String {
    format!("[[integration]]\nproject = \"gitlabhq/gitlab-test\"\nadapter = \"{adapter}\"\n{settings}\n")
}

fn home(adapter: &str, settings: &str) -> Home {
    Home::new(&integration(adapter, settings)).with(&["rate_limits.enabled=false"])
}

fn merge_request(iid: i64) -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| json["object_attributes"]["iid"] = json!(iid))
}

fn push() -> Vec<u8> {
    with(&payload("push.json"), |json| json["project"]["path_with_namespace"] = json!("gitlabhq/gitlab-test"))
}

fn login_page() -> Answer {
    Answer::ok().header("content-type", "text/html").body(LOGIN)
}

fn statuses(received: &[std::sync::Arc<Received>]) -> Vec<Option<u16>> {
    received.iter().map(|request| request.answered).collect()
}

async fn switched_off(home: &Home) -> Option<String> {
    let holds = home.ledger().await.holds(forgebell::daemon::now()).await.expect("the store can be read");
    holds.into_iter().find(|hold| hold.cause == HoldCause::SwitchedOff).map(|hold| hold.reason)
}

// ---- Google Chat -----------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn google_chat_shows_a_merge_request_and_its_comments_in_one_thread() {
    let service = Receiver::start().await;
    let taken = Answer::json(200, &json!({ "name": "spaces/A/messages/B", "text": "x" }));
    let error = |code: u16, status: &str| {
        Answer::json(code, &json!({ "error": { "code": code, "message": "x", "status": status } }))
    };
    let space = service.at("/v1/spaces/A/messages").answer_then(
        vec![
            error(429, "RESOURCE_EXHAUSTED").header("retry-after", "1"),
            login_page(),
            error(503, "UNAVAILABLE"),
        ],
        taken,
    );
    let home = home("hangouts-chat", &format!("webhook = \"{}?key=k&token=t%2D1\"", space.url()));
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    let delivered = home.until(State::Delivered, 1).await;
    assert_eq!(delivered[0].attempts, 3, "throttling costs no attempt, and a login page is no success");
    let note = with(&payload("note_merge_request.json"), |note| {
        note["project"] = serde_json::from_slice::<Json>(&merge_request(1)).expect("JSON")["project"].clone();
        note["merge_request"]["iid"] = json!(1);
    });
    daemon.send("two", note).await;
    home.until(State::Delivered, 2).await;
    daemon.stop().await;
    let received = space.received();
    assert_eq!(statuses(&received), [Some(429), Some(200), Some(503), Some(200), Some(200)]);
    let first = &received[0];
    assert_eq!((first.method.as_str(), first.header("content-type")), ("POST", Some("application/json")));
    assert!(
        first.query.starts_with(
            "key=k&token=t%2D1&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD&requestId="
        ),
        "{}",
        first.query
    );
    assert!(received[..4].iter().all(|again| again.query == first.query), "a repetition has the same id");
    assert_ne!(received[4].query, first.query, "another message has another id");
    let threads: Vec<Json> = received.iter().map(|request| request.json()["thread"].clone()).collect();
    assert!(
        threads.iter().all(|thread| *thread == json!({ "threadKey": "1 merge_request:1" })),
        "{threads:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_googles_own_word_switches_a_webhook_off() {
    let service = Receiver::start().await;
    let page = || Answer::status(404).header("content-type", "text/html").body(LOGIN);
    let gone = json!({ "error": { "code": 404, "message": "Space not found", "status": "NOT_FOUND" } });
    let space = service
        .at("/v1/spaces/A/messages")
        .answer_then(vec![page(), page(), page(), page()], Answer::json(404, &gone));
    let home = home("hangouts-chat", &format!("webhook = \"{}?key=k&token=t\"", space.url()));
    let daemon = home.start().await;
    for iid in 1..=4 {
        daemon.send(&format!("mr-{iid}"), merge_request(iid)).await;
    }
    let reason = eventually("the webhook is switched off", Duration::from_secs(60), async || {
        switched_off(&home).await
    })
    .await;
    daemon.stop().await;
    assert!(reason.contains("NOT_FOUND"), "{reason}");
    assert!(space.received().len() >= 7, "four pages proved nothing, three words of Google did");
}

// ---- Webex, Unify Circuit, Pumble ------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn webex_takes_a_message_with_204_and_a_login_page_is_none() {
    let service = Receiver::start().await;
    let unknown = json!({ "message": "Unable to get webhook", "trackingId": "ROUTER_1" });
    let busy = json!({ "message": "Too many", "trackingId": "ROUTER_2" });
    let hook = service.at("/v1/webhooks/incoming/x").answer_then(
        vec![
            login_page(),
            Answer::json(429, &busy).header("retry-after", "1"),
            Answer::status(502).body("<html>Bad gateway</html>"),
            Answer::json(404, &unknown),
        ],
        Answer::status(204),
    );
    let home = home("webex-teams", &format!("webhook = \"{}\"", hook.url()));
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    home.until(State::Delivered, 1).await;
    assert_eq!(switched_off(&home).await, None, "once is not often enough");
    daemon.stop().await;
    let received = hook.received();
    assert_eq!(statuses(&received), [Some(200), Some(429), Some(502), Some(404), Some(204)]);
    assert!(received[2].at - received[1].at >= Duration::from_secs(1), "the wait was kept to");
    let body = received[4].json();
    let body = body.as_object().expect("an object");
    assert_eq!(body.keys().collect::<Vec<_>>(), ["markdown"]);
    assert_eq!(received[4].header("content-type"), Some("application/json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn circuit_and_pumble_take_any_2xx_but_a_page_and_are_switched_off_by_nothing() {
    let service = Receiver::start().await;
    let answers = || {
        vec![
            login_page(),
            Answer::json(404, &json!({ "message": "no Route matched with those values" })),
            Answer::status(410).body("This service has been retired."),
            Answer::status(429).header("retry-after", "1"),
        ]
    };
    let circuit = service.at("/rest/v2/webhooks/incoming/1").answer_then(answers(), Answer::status(200));
    let pumble = service.at("/workspaces/1/postMessage/2").answer_then(answers(), Answer::status(200));
    let files = integration("unify-circuit", &format!("webhook = \"{}\"", circuit.url()))
        + &integration("pumble", &format!("webhook = \"{}\"", pumble.url()));
    // Without the rest of a destination that fails often, the schedule of the delivery decides.
    let home = Home::new(&files).with(&["rate_limits.enabled=false", "delivery.breaker_threshold=10"]);
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    let delivered = home.until(State::Delivered, 2).await;
    assert_eq!(switched_off(&home).await, None);
    daemon.stop().await;
    assert!(delivered.iter().all(|line| line.attempts == 4), "the 429 does not count: {delivered:?}");
    for hook in [&circuit, &pumble] {
        let expected = [Some(200), Some(404), Some(410), Some(429), Some(200)];
        assert_eq!(statuses(&hook.received()), expected);
    }
    let said = circuit.received()[4].json();
    assert_eq!((&said["subject"], &said["markdown"]), (&json!("GitlabHQ / Gitlab Test"), &json!(true)));
    assert_eq!(circuit.received()[4].header("content-type"), Some("application/json"));
    let said = pumble.received()[4].json();
    assert!(said["text"].as_str().is_some_and(|text| text.contains("](http://example.com/")), "{said}");
}

// ---- Telegram --------------------------------------------------------------------------------------------------------

fn telegram(service: &Receiver) -> String {
    format!("token = \"12:AB\"\nroom = \"-42\"\nthread = 7\nhostname = \"{}\"", service.url("/"))
}

#[tokio::test(flavor = "multi_thread")]
async fn telegram_follows_a_group_to_its_new_id_and_repeats_as_text_what_is_not_understood() {
    let service = Receiver::start().await;
    let refused = |more: Json| {
        let mut answer = json!({ "ok": false, "error_code": 400 });
        answer.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        Answer::json(400, &answer)
    };
    let moved = refused(json!({
        "description": "Bad Request: group chat was upgraded to a supergroup chat",
        "parameters": { "migrate_to_chat_id": -1_001_234_567_890_i64 },
    }));
    let unread = refused(json!({ "description": "Bad Request: can't parse entities: unexpected end tag" }));
    let slow = json!({
        "ok": false, "error_code": 429, "description": "Too Many Requests: retry after 2", "parameters": { "retry_after": 2 },
    });
    let taken = Answer::json(200, &json!({ "ok": true, "result": { "message_id": 1 } }));
    let bot = service
        .at("/bot12:AB/sendMessage")
        .answer_then(vec![Answer::json(429, &slow), login_page(), moved, unread], taken);
    let home = home("telegram", &telegram(&service));
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    let delivered = home.until(State::Delivered, 1).await;
    daemon.stop().await;
    assert_eq!(delivered[0].attempts, 2, "the new id and the plain text belong to one attempt");
    let received = bot.received();
    assert_eq!(statuses(&received), [Some(429), Some(200), Some(400), Some(400), Some(200)]);
    assert!(received[1].at - received[0].at >= Duration::from_secs(2), "the body names the wait");
    let chats: Vec<Json> = received.iter().map(|request| request.json()["chat_id"].clone()).collect();
    let new = json!(-1_001_234_567_890_i64);
    assert_eq!(chats, [json!("-42"), json!("-42"), json!("-42"), new.clone(), new]);
    let (html, plain) = (received[3].json(), received[4].json());
    assert_eq!((&html["parse_mode"], &html["message_thread_id"]), (&json!("HTML"), &json!(7)));
    assert!(html["text"].as_str().is_some_and(|text| text.contains("<a href=\"")), "{html}");
    assert_eq!((plain.get("parse_mode"), &plain["message_thread_id"]), (None, &json!(7)));
    assert!(plain["text"].as_str().is_some_and(|text| !text.contains('<')), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_wait_until_telegrams_chat_is_corrected() {
    let service = Receiver::start().await;
    let unknown = json!({ "ok": false, "error_code": 400, "description": "Bad Request: chat not found" });
    let wrong = service.at("/bot12:AB/sendMessage").answer(Answer::json(400, &unknown));
    let right = service.at("/bot12:CD/sendMessage").answer(Answer::json(200, &json!({ "ok": true })));
    let home = home("telegram", &telegram(&service));
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    wrong.wait_for(1).await;
    let waiting = home.until(State::Waiting, 1).await;
    assert!(waiting[0].last_note.as_deref().is_none_or(|note| !note.contains("12:AB")), "{waiting:?}");
    home.provision(&integration("telegram", &telegram(&service).replace("12:AB", "12:CD")));
    daemon.reload().await.expect("the file is right");
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    assert_eq!(
        (wrong.received().len(), right.received().len()),
        (1, 1),
        "a named error is not repeated as text"
    );
}

// ---- Matrix ----------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn matrix_looks_an_alias_up_once_and_repeats_under_the_same_transaction() {
    let service = Receiver::start().await;
    let alias = service.at("/_matrix/client/v3/directory/room/%23news:example.com");
    let alias = alias.answer(Answer::json(200, &json!({ "room_id": "!abc:example.com", "servers": [] })));
    let home = home(
        "matrix",
        &format!("token = \"syt_s3cret\"\nroom = \"#news:example.com\"\nhostname = \"{}\"", service.url("")),
    );
    let daemon = home.start().await;
    // The transaction is not known before.
    daemon.send("one", merge_request(1)).await;
    let sent = eventually("the message is sent", Duration::from_secs(20), async || {
        service.received().into_iter().find(|request| request.method == "PUT")
    })
    .await;
    assert!(
        sent.path.starts_with("/_matrix/client/v3/rooms/!abc:example.com/send/m.room.message/"),
        "{sent}"
    );
    let limit =
        json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 1500 });
    let room = service.at(&sent.path).answer_then(
        vec![Answer::close(), Answer::json(429, &limit)],
        Answer::json(200, &json!({ "event_id": "$x" })),
    );
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    let received = room.received();
    assert_eq!(statuses(&received)[received.len() - 3..], [None, Some(429), Some(200)]);
    let last = &received[received.len() - 2..];
    assert!(last[1].at - last[0].at >= Duration::from_millis(1500), "the body names the wait");
    assert_eq!(last[1].header("authorization"), Some("Bearer syt_s3cret"));
    assert_eq!(last[1].json()["msgtype"], "m.notice");
    assert_eq!(alias.received().len(), 1, "the answer is kept");
    assert_eq!(alias.received()[0].header("authorization"), None);
}

// ---- Campfire --------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn campfire_speaks_in_the_room_of_that_name_and_only_201_is_success() {
    let service = Receiver::start().await;
    let rooms = json!({ "rooms": [{ "id": 7, "name": "Lobby" }, { "id": 9, "name": "Release Room" }] });
    let list = service.at("/rooms.json").answer(Answer::json(200, &rooms));
    let speak = service.at("/room/9/speak.json").answer_then(
        vec![
            Answer::status(503).header("retry-after", "1").body("Slow down"),
            Answer::status(302).header("location", "/login"),
            Answer::ok(),
        ],
        Answer::status(201),
    );
    let settings = format!("token = \"t0ken\"\nroom = \"Release Room\"\nbase_url = \"{}\"", service.url("/"));
    let home = home("campfire", &settings);
    let daemon = home.start().await;
    daemon.send("one", push()).await;
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    let received = speak.received();
    assert_eq!(statuses(&received), [Some(503), Some(302), Some(200), Some(201)]);
    assert!(received[1].at - received[0].at >= Duration::from_secs(1), "503 names the wait");
    let said = &received[3];
    assert_eq!(said.header("authorization"), Some("Basic dDBrZW46WA=="), "the token and any password");
    assert_eq!(said.header("content-type"), Some("application/x-www-form-urlencoded"));
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&said.body).into_owned().collect();
    assert_eq!(form[0], ("message[type]".to_owned(), "TextMessage".to_owned()));
    assert!(
        form[1]
            .1
            .starts_with("[Mike / Diaspora] John Smith (jsmith) pushed 4 commits to branch master. http"),
        "{form:?}"
    );
    assert_eq!(list.received().len(), 1, "the list is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_of_campfire_that_does_not_exist_waits_for_other_settings() {
    let service = Receiver::start().await;
    let rooms = json!({ "rooms": [{ "id": 7, "name": "Lobby" }] });
    service.at("/rooms.json").answer(Answer::json(200, &rooms));
    let speak = service.at("/room/7/speak.json").answer(Answer::status(201));
    let settings =
        |room: &str| format!("token = \"t\"\nroom = \"{room}\"\nbase_url = \"{}\"", service.url("/"));
    let home = home("campfire", &settings("Attic"));
    let daemon = home.start().await;
    daemon.send("one", push()).await;
    let waiting = home.until(State::Waiting, 1).await;
    eventually("the reason is known", Duration::from_secs(20), async || {
        let lines = home.deliveries(Some(State::Waiting)).await;
        lines.into_iter().find(|line| line.last_note.as_deref().is_some_and(|note| note.contains("Lobby")))
    })
    .await;
    assert_eq!(waiting.len(), 1);
    home.provision(&integration("campfire", &settings("Lobby")));
    daemon.reload().await.expect("the file is right");
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    assert_eq!(speak.received().len(), 1);
}

// ---- Flowdock --------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn flowdock_gets_an_activity_for_each_commit_and_a_failed_one_repeats_no_other() {
    let service = Receiver::start().await;
    let flow = service.at("/v1/messages").answer_then(
        vec![Answer::json(200, &json!({ "id": 1 })), Answer::status(502).body("<html>no</html>")],
        Answer::status(202),
    );
    let home = home("flowdock", &format!("token = \"a-flow\"\nbase_url = \"{}\"", service.url("/")));
    let daemon = home.start().await;
    daemon.send("one", push()).await;
    let delivered = home.until(State::Delivered, 2).await;
    daemon.stop().await;
    assert_eq!(delivered.iter().map(|line| line.attempts).sum::<u32>(), 3);
    let bodies: Vec<Json> = flow.received().iter().map(|request| request.json()).collect();
    assert_eq!(bodies.len(), 3, "two commits, one of them twice");
    assert_eq!(bodies[1], bodies[2]);
    assert_ne!(bodies[0]["title"], bodies[1]["title"]);
    assert_eq!(bodies[0]["external_thread_id"], bodies[1]["external_thread_id"], "one push, one thread");
    assert_eq!((&bodies[0]["flow_token"], &bodies[0]["event"]), (&json!("a-flow"), &json!("activity")));
    let keys: std::collections::BTreeSet<&str> =
        bodies[0].as_object().expect("an object").keys().map(String::as_str).collect();
    let expected = ["author", "body", "event", "external_thread_id", "flow_token", "tags", "thread", "title"];
    assert!(keys.into_iter().eq(expected), "{bodies:?}");
}
