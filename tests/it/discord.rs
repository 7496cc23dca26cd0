//! Discord: what we send is held against the rules of Discord's own library, and the real daemon against an address that
//! answers as Discord does.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use forgebell::adapters::contract::LazyMessage;
use forgebell::adapters::{self, Notification, OperatorSettings};
use forgebell::call::Request;
use forgebell::event::{Event, EventId, Trigger, sample};
use forgebell::message::compose;
use forgebell::provision;
use forgebell::store::{HoldCause, State};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::harness::daemon::Home;
use crate::harness::payloads::{self, payload, with};
use crate::harness::receiver::{Answer, Hook, Receiver};
use crate::harness::wait::eventually;

/// What people could write to break a message: markup, calls, and signs that count as one, as two, or as nothing.
const HOSTILE: [&str; 7] = [
    "<@1> <#1> <@&1> @everyone @here [x](javascript:alert(1)) ||x|| </cmd:1> <t:1> ```",
    "🦊",
    "👩‍👩‍👧‍👦",
    "\\",
    "*_~`|>#-[]()",
    "\u{200b}\u{202e}\0\u{7}",
    "\n\t \u{2003}",
];

/// Every event that there is to be told of: all payloads, all samples, and people's worst words in their places.
fn events() -> Vec<(String, Event)> {
    let decode = |name: &str, raw: Vec<u8>| {
        let id = EventId::new("1").expect("a short id");
        Event::decode(id, Timestamp::UNIX_EPOCH, raw.into())
            .unwrap_or_else(|error| panic!("{name} is no event: {error}"))
    };
    let mut events: Vec<(String, Event)> =
        payloads::all().into_iter().map(|(name, raw)| (name.clone(), decode(&name, raw))).collect();
    events.extend(Trigger::ALL.map(|trigger| (format!("sample of {trigger}"), sample(trigger))));
    for words in HOSTILE {
        for times in [1, 40, 5_000] {
            let words = words.repeat(times);
            for (name, raw) in hostile(&words) {
                let shown: String = words.chars().take(12).collect();
                events.push((format!("{name} with {shown:?} × {times}"), decode(name, raw)));
            }
        }
    }
    events
}

fn hostile(words: &str) -> Vec<(&'static str, Vec<u8>)> {
    let everywhere = |name: &'static str, parts: &[&str]| {
        let raw = with(&payload(name), |json| {
            for part in parts {
                *json.pointer_mut(part).unwrap_or_else(|| panic!("{name} has no {part}")) = json!(words);
            }
        });
        (name, raw)
    };
    let push = with(&payload("push.json"), |json| {
        json["user_name"] = json!(words);
        json["project"]["name"] = json!(words);
        json["ref"] = json!(format!("refs/heads/{words}"));
        let commit = json!({ "id": "b6568db1", "message": words, "url": words, "author": { "name": words } });
        // Many, or endless ones; both would be some 100 MB.
        json["commits"] = vec![commit; if words.len() > 10_000 { 3 } else { 300 }].into();
        json["total_commits_count"] = json!(10_000);
    });
    let pipeline = with(&payload("pipeline_success.json"), |json| {
        json["object_attributes"]["status"] = json!("failed");
        for part in ["ref", "name", "yaml_errors", "detailed_status"] {
            json["object_attributes"][part] = json!(words);
        }
        json["user"]["name"] = json!(words);
        json["project"]["avatar_url"] = json!("http://localhost/icon.png");
        let build = |n: u32| json!({ "id": n, "stage": format!("{n}{words}"), "name": format!("{n}{words}"), "status": "failed" });
        json["builds"] = (0..if words.len() > 10_000 { 3 } else { 200 }).map(build).collect();
        json["commit"]["message"] = json!(words);
        json["merge_request"]["title"] = json!(words);
    });
    vec![
        ("push.json", push),
        ("pipeline_success.json", pipeline),
        everywhere(
            "issue_open.json",
            &[
                "/object_attributes/title",
                "/object_attributes/description",
                "/object_attributes/url",
                "/user/name",
                "/project/name",
            ],
        ),
        everywhere("merge_request_open.json", &["/object_attributes/title", "/user/name"]),
        everywhere("note_issue.json", &["/object_attributes/note", "/issue/title", "/user/avatar_url"]),
        everywhere("wiki_page_create.json", &["/object_attributes/title", "/object_attributes/message"]),
        everywhere("deployment_success.json", &["/environment", "/commit_title", "/user_url"]),
    ]
}

/// What is sent to Discord of an event; nothing where it does not hear of it.
fn body(event: &Event) -> Option<String> {
    let text = "[[integration]]\nproject = 1\nadapter = \"discord\"\n\
                webhook = \"https://discord.com/api/webhooks/1/token\"\n";
    let files = [("discord.toml".into(), text.to_owned())];
    let read = provision::read(&files, &|_| Err(std::io::ErrorKind::NotFound.into()));
    let integration = read.expect("sound settings").each().remove(0);
    let entry = adapters::find("discord").expect("there is an adapter for Discord");
    event.trigger.filter(|trigger| entry.about.triggers.contains(*trigger))?;
    let message = compose(event)?;
    let note = Notification {
        id: "1",
        event,
        target: "",
        now: Timestamp::UNIX_EPOCH,
        operator: &OperatorSettings::default(),
        links: forgebell::adapters::ProjectLinks::none(),
        open_request: None,
        may_have_been_sent: false,
        is_test: false,
        extent: forgebell::integration::Extent::default(),
        message: LazyMessage::composed(message),
    };
    match entry.call(&integration.settings, &note).expect("a call can be made").request {
        Request::Http(request) => Some(String::from_utf8(request.body.to_vec()).expect("JSON is UTF-8")),
        other => panic!("no HTTP: {other:?}"),
    }
}

/// What Discord's library finds wrong with each body.
fn problems(bodies: &[String]) -> Vec<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    assert!(
        folder.join("node_modules/@discordjs/builders").is_dir(),
        "Discord's library is not installed: run `npm ci` in tests/node"
    );
    let mut node = Command::new("node")
        .arg(folder.join("discord.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node can't be run: install Node.js 20 or newer, and run `npm ci` in tests/node");
    let mut input = node.stdin.take().expect("piped");
    let lines = bodies.join("\n") + "\n";
    // It answers while it reads: writing everything before reading would block for ever.
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = node.wait_with_output().expect("node ends");
    writer.join().expect("no panic").expect("node reads to the end");
    assert!(output.status.success(), "discord.mjs failed");
    let answers = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let answers: Vec<Vec<String>> =
        answers.lines().map(|line| serde_json::from_str(line).expect("a list of problems")).collect();
    assert_eq!(answers.len(), bodies.len(), "an answer for each");
    answers
}

#[test]
fn discords_own_library_accepts_every_message() {
    let told: Vec<(String, String)> =
        events().into_iter().filter_map(|(name, event)| Some((name, body(&event)?))).collect();
    assert!(told.len() > 180, "{} bodies", told.len());
    let bodies: Vec<String> = told.iter().map(|(_, body)| body.clone()).collect();
    let wrong: Vec<String> = problems(&bodies)
        .into_iter()
        .zip(&told)
        .filter(|(problems, _)| !problems.is_empty())
        .map(|(problems, (name, body))| {
            let body: String = body.chars().take(1000).collect();
            format!("{name}: {problems:?}\n{body}")
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), told.len(), wrong.join("\n"));
}

#[test]
fn an_invalid_message_is_reported() {
    let message = |embed: Value| json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } });
    let field =
        |name: &str, value: &str| json!({ "title": "x", "fields": [{ "name": name, "value": value }] });
    let wrong = [
        message(json!({ "title": "x".repeat(257) })),
        message(json!({ "title": "🦊".repeat(129) })),
        message(json!({ "description": "x".repeat(4097) })),
        message(json!({ "title": "x", "footer": { "text": "x".repeat(2049) } })),
        message(json!({ "title": "x", "author": { "name": "x".repeat(257) } })),
        message(json!({ "title": "x", "author": { "name": "x", "icon_url": "javascript:alert(1)" } })),
        message(json!({ "title": "x", "url": "nowhere" })),
        message(json!({ "title": "x", "colour": 1 })),
        message(json!({ "title": "x", "timestamp": "yesterday" })),
        message(field("", "x")),
        message(field("x", " ")),
        message(field("x", &"x".repeat(1025))),
        message(json!({ "title": "x", "fields": vec![json!({ "name": "x", "value": "x" }); 26] })),
        message(json!({ "description": "x".repeat(4000), "footer": { "text": "x".repeat(2001) } })),
        message(json!({ "color": 1 })),
        json!({ "embeds": [{ "title": "x" }] }),
        json!({ "embeds": [], "allowed_mentions": { "parse": [] } }),
    ];
    let right = message(json!({ "title": "x".repeat(256), "description": "x".repeat(4096) }));
    let bodies: Vec<String> = wrong.iter().chain([&right]).map(Value::to_string).collect();
    let mut found = problems(&bodies);
    assert_eq!(found.pop(), Some(Vec::new()), "what is right is not complained of");
    for (problems, body) in found.iter().zip(&wrong) {
        assert!(!problems.is_empty(), "nothing was found wrong with {body}");
    }
}

// ---- the daemon and an address that answers as Discord does ---------------------------------------------------------

const TAKEN: &str = r#"{"id":"1","type":0,"content":"","embeds":[]}"#;

fn discord(webhook: &str, more: &str) -> String {
    format!(
        "[[integration]]\nproject = \"gitlabhq/gitlab-test\"\nadapter = \"discord\"\nwebhook = \"{webhook}\"\n{more}\n"
    )
}

fn merge_request(iid: i64) -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| json["object_attributes"]["iid"] = json!(iid))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_once_after_the_wait_that_discord_asked_for() {
    let service = Receiver::start().await;
    let limited = json!({ "message": "You are being rate limited.", "retry_after": 1.25, "global": false });
    let hook = service.at("/api/webhooks/1/token").answer_then(
        vec![Answer::json(429, &limited).header("retry-after", "2")],
        Answer::status(200).body(TAKEN),
    );
    let home = Home::new(&discord(&format!("{}?thread_id=7", hook.url()), ""));
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    let delivered = home.until(State::Delivered, 1).await;
    assert_eq!(delivered[0].attempts, 1, "throttling costs no attempt");
    let received = hook.received();
    assert_eq!(received.iter().map(|r| r.answered).collect::<Vec<_>>(), [Some(429), Some(200)]);
    assert!(received[1].at - received[0].at >= Duration::from_millis(1250), "asked for 1.25 s");
    assert_eq!(received[1].query, "thread_id=7&wait=true");
    assert_eq!(received[0].text(), received[1].text(), "the same again");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_does_not_exist_any_more_is_called_once() {
    let service = Receiver::start().await;
    let unknown = json!({ "message": "Unknown Webhook", "code": 10015 });
    let gone = service.at("/api/webhooks/1/gone").answer(Answer::json(404, &unknown));
    let other = service.slack_like("/services/T0/B0/x");
    let slack = format!(
        "[[integration]]\nproject = \"gitlabhq/gitlab-test\"\nadapter = \"slack\"\nwebhook = \"{}\"\n",
        other.url()
    );
    let home =
        Home::new(&format!("{}{slack}", discord(&gone.url(), ""))).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    let hold = eventually("the integration is switched off", Duration::from_secs(20), async || {
        let holds = home.ledger().await.holds(forgebell::daemon::now()).await.expect("the store can be read");
        holds.into_iter().find(|hold| hold.made_under.is_some())
    })
    .await;
    assert!(hold.reason.contains("404") && hold.reason.contains("Unknown Webhook"), "{}", hold.reason);
    for iid in 2..=5 {
        daemon.send(&format!("mr-{iid}"), merge_request(iid)).await;
    }
    other.wait_for(5).await;
    daemon.stop().await;
    // Nor by the next daemon.
    let daemon = home.start().await;
    daemon.send("mr-6", merge_request(6)).await;
    other.wait_for(6).await;
    daemon.stop().await;
    assert_eq!(gone.received().len(), 1, "Discord bans senders that go on calling");
    // When it is corrected, all deliveries that waited are sent.
    let right = service.at("/api/webhooks/1/right").answer(Answer::status(200).body(TAKEN));
    home.provision(&format!("{}{slack}", discord(&right.url(), "")));
    let daemon = home.start().await;
    right.wait_for(6).await;
    assert_eq!(gone.received().len(), 1);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_global_rate_limit_holds_other_webhooks_too() {
    let service = Receiver::start().await;
    let limited = json!({ "message": "You are being rate limited.", "retry_after": 3.0, "global": true });
    let first = service
        .at("/api/webhooks/1/token")
        .answer_then(vec![Answer::json(429, &limited)], Answer::status(200).body(TAKEN));
    let second = service.at("/api/webhooks/2/token").answer(Answer::status(200).body(TAKEN));
    let other = discord(&second.url(), "").replace("gitlabhq/gitlab-test", "gitlab-org/gitlab-test");
    let home =
        Home::new(&format!("{}{other}", discord(&first.url(), ""))).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    eventually("the limit was heard of", Duration::from_secs(20), async || {
        let waiting = home.deliveries(Some(State::Waiting)).await;
        waiting.into_iter().find(|line| line.last_note.as_deref().is_some_and(|note| note.contains("429")))
    })
    .await;
    daemon.send("two", payload("note_issue.json")).await;
    home.until(State::Delivered, 2).await;
    let waited = second.received()[0].at - first.received()[0].at;
    assert!(waited >= Duration::from_secs(3), "the other webhook was called after {waited:?}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_webhook_of_one_kind_of_event_does_not_affect_the_others() {
    let service = Receiver::start().await;
    let unknown = json!({ "message": "Unknown Webhook", "code": 10015 });
    let gone = service.at("/api/webhooks/1/gone").answer(Answer::json(404, &unknown));
    let well = service.at("/api/webhooks/2/token").answer(Answer::status(200).body(TAKEN));
    let settings = discord(&well.url(), &format!("merge_request_channel = \"{}\"", gone.url()));
    let home = Home::new(&settings.replace("gitlabhq/gitlab-test", "gitlab-org/gitlab-test"))
        .with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    let merge_request = |iid: i64| {
        with(&merge_request(iid), |json| {
            json["project"]["path_with_namespace"] = json!("gitlab-org/gitlab-test");
        })
    };
    daemon.send("one", merge_request(1)).await;
    gone.wait_for(1).await;
    eventually("its end is known", Duration::from_secs(20), async || {
        let holds = home.ledger().await.holds(forgebell::daemon::now()).await.expect("the store can be read");
        holds.into_iter().find(|hold| hold.cause == HoldCause::SwitchedOff)
    })
    .await;
    daemon.send("two", payload("note_issue.json")).await;
    daemon.send("three", merge_request(2)).await;
    well.wait_for(1).await;
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    assert_eq!(gone.received().len(), 1);
}

/// The page that Cloudflare returns in place of Discord to a banned sender. It does not say how long the ban lasts: about
/// an hour, for all requests of this sender.
const OPERATOR_ERROR: &str = "<!doctype html><html><head><title>Access denied | discord.com used Cloudflare to restrict access\
    </title></head><body><h1>Error 1015</h1><p>You are being rate limited</p></body></html>";

#[tokio::test(flavor = "multi_thread")]
async fn a_cloudflare_ban_pauses_all_webhooks_for_an_hour() {
    const HOUR: i64 = 3600;
    let service = Receiver::start().await;
    let page = Answer::status(429).header("content-type", "text/html; charset=UTF-8").body(OPERATOR_ERROR);
    let taken = || Answer::status(200).body(TAKEN);
    let asked = service.at("/api/webhooks/1/one").answer_then(vec![page], taken());
    let sister = service.at("/api/webhooks/2/two").answer(taken());
    let other = service.slack_like("/services/T0/B0/x");
    let elsewhere = |text: String| text.replace("gitlabhq/gitlab-test", "gitlab-org/gitlab-test");
    let slack = discord(&other.url(), "").replace("\"discord\"", "\"slack\"");
    let files = discord(&asked.url(), "") + &elsewhere(discord(&sister.url(), "")) + &elsewhere(slack);
    let home = Home::new(&files).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    let before = forgebell::daemon::now().as_second();
    daemon.send("one", merge_request(1)).await;
    asked.wait_for(1).await;
    let hold = eventually("the refusal is noted", Duration::from_secs(20), async || {
        let holds = home.ledger().await.holds(forgebell::daemon::now()).await.expect("the store can be read");
        holds.into_iter().next()
    })
    .await;
    let rest = hold.until.as_second() - before;
    assert!((HOUR..HOUR + 60).contains(&rest), "it rests for {rest} s: {hold:?}");
    daemon.send("two", payload("note_issue.json")).await;
    daemon.send("three", merge_request(2)).await;
    other.wait_for(1).await;
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    assert_eq!((asked.received().len(), sister.received().len()), (1, 0), "each call makes it worse");
    let told = home.deliveries(None).await;
    let waiting: Vec<_> = told.iter().filter(|line| line.state != State::Delivered).collect();
    assert_eq!(waiting.len(), 3, "{told:?}");
    assert!(waiting.iter().all(|line| line.attempts == 0), "being shut out costs no attempt: {waiting:?}");

    // The hour goes by: what the store has noted lies that much further back.
    let store = rusqlite::Connection::open(home.path().join("forgebell.db")).expect("the file is ours");
    let gone_by = (HOUR + 60) * 1000;
    let sooner = format!(
        "UPDATE holds SET until = until - {gone_by}; UPDATE deliveries SET due = due - {gone_by} WHERE settled_at IS NULL"
    );
    store.execute_batch(&sooner).expect("its tables are known");
    drop(store);
    let daemon = home.start().await;
    home.until(State::Delivered, 4).await;
    daemon.stop().await;
    let answers = |hook: &Hook| hook.received().iter().map(|told| told.answered).collect::<Vec<_>>();
    assert_eq!(answers(&asked), [Some(429), Some(200), Some(200)]);
    assert_eq!(answers(&sister), [Some(200)]);
}
