//! Google Chat: what we send is read by Google's own protobuf classes, which refuse every unknown and mistyped field.

use forgebell::adapters::{self, Notification, OperatorSettings};
use forgebell::call::Request;
use forgebell::event::{Event, EventId, Trigger, sample};
use forgebell::settings::{Properties, Value};
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::harness::payloads::{self, payload, with};
use crate::harness::python;

const WEBHOOK: &str = "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=a-key&token=a-token";
/// What could break a message: markup, mentions, and signs of four bytes.
const HOSTILE: [&str; 4] =
    ["<users/all> *x* <https://a.example|b> ```", "🦊", "\\\"", "\u{200b}\u{202e}\0\u{7}"];

fn decoded(name: &str, raw: Vec<u8>) -> Event {
    let id = EventId::new("1").expect("a short id");
    Event::decode(id, Timestamp::UNIX_EPOCH, raw.into())
        .unwrap_or_else(|error| panic!("{name} is no event: {error}"))
}

/// Every payload, every sample, and messages as long as they get.
fn events() -> Vec<(String, Event)> {
    let mut events: Vec<(String, Event)> =
        payloads::all().into_iter().map(|(name, raw)| (name.clone(), decoded(&name, raw))).collect();
    events.extend(Trigger::ALL.map(|trigger| (format!("sample of {trigger}"), sample(trigger))));
    for words in HOSTILE {
        let long = words.repeat(20_000 / words.len());
        let push = with(&payload("push.json"), |push| {
            push["ref"] = json!(format!("refs/heads/{words}"));
            push["commits"][0]["title"] = json!(long);
            push["commits"][0]["message"] = json!(long);
            push["user_name"] = json!(words);
        });
        let note = with(&payload("note_issue.json"), |note| note["object_attributes"]["note"] = json!(long));
        events.push((format!("a push with {words:?}"), decoded("push", push)));
        events.push((format!("a comment with {words:?}"), decoded("note", note)));
    }
    events
}

/// A request in the judge's form; nothing where Google Chat does not hear of the event.
fn request(event: &Event, markup: &str) -> Option<Json> {
    let entry = adapters::find("hangouts-chat").expect("the adapter");
    event.trigger.filter(|trigger| entry.about.triggers.contains(*trigger))?;
    let property = |(name, value): (&str, &str)| (name.to_owned(), Value::Text(value.to_owned()));
    let properties: Properties =
        [("webhook", WEBHOOK), ("markup_syntax", markup)].into_iter().map(property).collect();
    let note = Notification {
        id: "01912d68783e7a0384675661c1243ad4",
        event,
        target: "",
        now: Timestamp::UNIX_EPOCH,
        operator: &OperatorSettings::default(),
        links: forgebell::adapters::ProjectLinks::none(),
        open_request: None,
        may_have_been_sent: false,
        is_test: false,
        extent: forgebell::integration::Extent::default(),
        message: adapters::contract::LazyMessage::default(),
    };
    // There is no message about comments on designs and the like.
    let call = entry.call(&entry.read(&properties).expect("sound settings"), &note).ok()?;
    let Request::Http(request) = call.request else { panic!("no HTTP: {:?}", call.request) };
    let query: serde_json::Map<String, Json> =
        request.url.query_pairs().map(|(name, value)| (name.into_owned(), json!(value))).collect();
    let body: Json = serde_json::from_slice(&request.body).expect("JSON");
    Some(json!({ "query": query, "body": body }))
}

/// What Google's classes find wrong with each request.
async fn problems(requests: &[Json]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("requests");
    let lines: Vec<String> = requests.iter().map(Json::to_string).collect();
    std::fs::write(&file, lines.join("\n")).expect("the file is written");
    let said = python::script("google_chat.py", &[file.to_str().expect("a path of words")]).await;
    let found: Vec<Vec<String>> =
        said.lines().map(|line| serde_json::from_str(line).expect("a list of problems")).collect();
    assert_eq!(found.len(), requests.len(), "an answer for each");
    found
}

#[tokio::test]
async fn googles_own_classes_accept_every_message_in_both_markups() {
    let mut told = Vec::new();
    for (name, event) in events() {
        for markup in ["chat", "markdown"] {
            if let Some(request) = request(&event, markup) {
                told.push((format!("{name} in {markup}"), request));
            }
        }
    }
    assert!(told.len() > 60, "{} requests", told.len());
    let requests: Vec<Json> = told.iter().map(|(_, request)| request.clone()).collect();
    let found = problems(&requests).await.into_iter().zip(&told);
    let wrong: Vec<String> = found
        .filter(|(problems, _)| !problems.is_empty())
        .map(|(problems, (name, _))| format!("{name}: {problems:?}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), told.len(), wrong.join("\n"));
}

/// Tests the check itself, which might otherwise pass everything unnoticed.
#[tokio::test]
async fn a_request_that_google_would_refuse_is_reported() {
    let query = json!({ "messageReplyOption": "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD" });
    let wrong = [
        json!({ "query": query, "body": { "text": "x", "markup": "chat" } }),
        json!({ "query": query, "body": { "text": 1 } }),
        json!({ "query": query, "body": { "text": " " } }),
        json!({ "query": query, "body": { "text": "x".repeat(32_001) } }),
        json!({ "query": query, "body": { "text": "x", "markupSyntax": "MARKUP_SYNTAX_HTML" } }),
        json!({ "query": { "messageReplyOption": "REPLY" }, "body": { "text": "x" } }),
        json!({ "query": { "requestID": "1" }, "body": { "text": "x" } }),
    ];
    for (found, request) in problems(&wrong).await.iter().zip(&wrong) {
        assert!(!found.is_empty(), "nothing was found wrong with {request}");
    }
}
