//! Another program that sends to the same services, Apprise, as a second opinion of where a message goes and what its
//! fields are called.

use std::collections::BTreeSet;
use std::path::Path;

use forgebell::adapters::contract::LazyMessage;
use forgebell::adapters::{self, Notification, OperatorSettings};
use forgebell::call::{HttpRequest, Request};
use forgebell::event::{Trigger, sample};
use forgebell::settings::{Properties, Value};
use serde_json::{Value as Json, json};
use tokio::process::Command;

use crate::harness::program::finished;

/// The requests that Apprise makes for these addresses of its own.
async fn apprise(addresses: &[&str]) -> Vec<Json> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/python-long/bin/python");
    assert!(python.exists(), "{} is missing: tests/long.sh makes it", python.display());
    let mut command = Command::new(python);
    command.arg(root.join("tests/python/second_opinion.py")).args(addresses);
    let said = finished(command).await;
    said.lines().map(|line| serde_json::from_str(line).expect("a request")).collect()
}

/// Our request for a push.
fn ours(slug: &str, settings: &[(&str, &str)]) -> HttpRequest {
    let entry = adapters::find(slug).expect("the adapter");
    let property = |(name, value): &(&str, &str)| ((*name).to_owned(), Value::Text((*value).to_owned()));
    let settings: Properties = settings.iter().map(property).collect();
    let event = sample(Trigger::Push);
    let note = Notification {
        id: "1",
        event: &event,
        target: "",
        now: event.occurred_at,
        operator: &OperatorSettings::default(),
        links: forgebell::adapters::ProjectLinks::none(),
        open_request: None,
        may_have_been_sent: false,
        is_test: false,
        extent: forgebell::integration::Extent::default(),
        message: LazyMessage::default(),
    };
    let call = entry.call(&entry.read(&settings).expect("sound settings"), &note).expect("a call");
    match call.request {
        Request::Http(request) => request,
        other => panic!("no HTTP: {other:?}"),
    }
}

fn names(json: &Json) -> BTreeSet<String> {
    json.as_object().expect("an object").keys().cloned().collect()
}

#[tokio::test]
async fn second_opinion_on_webex_names_the_same_field_in_json() {
    let token = "a".repeat(80);
    let theirs = apprise(&[&format!("wxteams://{token}")]).await.remove(0);
    let our =
        ours("webex-teams", &[("webhook", &format!("https://webexapis.com/v1/webhooks/incoming/{token}"))]);
    let body: Json = serde_json::from_slice(&our.body).expect("JSON");
    assert_eq!(names(&body), names(&theirs["body"]));
    assert_eq!(theirs["headers"]["Content-Type"], "application/json");
    assert!(our.headers.contains(&("content-type", "application/json".to_owned())), "{:?}", our.headers);
    let place =
        |url: &str| url.split("/webhooks/incoming/").nth(1).map(|end| end.trim_start_matches('/').to_owned());
    assert_eq!(place(our.url.as_str()), place(theirs["url"].as_str().expect("an address")));
}

#[tokio::test]
async fn second_opinion_on_pushover_names_the_same_fields_and_values() {
    let (user, key) = ("u".repeat(30), "t".repeat(30));
    let theirs = apprise(&[&format!("pover://{user}@{key}/phone?priority=low&sound=bike")]).await.remove(0);
    let settings = [
        ("api_key", key.as_str()),
        ("user_key", &user),
        ("priority", "-1"),
        ("sound", "bike"),
        ("device", "phone"),
    ];
    let our = ours("pushover", &settings);
    let body: serde_json::Map<String, Json> = url::form_urlencoded::parse(&our.body)
        .map(|(name, value)| (name.into_owned(), json!(value)))
        .collect();
    let body = Json::Object(body);
    assert_eq!(our.url.as_str(), theirs["url"]);
    // We escape nothing, so we do not ask for HTML; they know no link.
    let (mut known, mut sent) = (names(&theirs["body"]), names(&body));
    known.remove("html");
    sent.retain(|name| !["url", "url_title"].contains(&name.as_str()));
    assert_eq!(sent, known);
    for field in ["token", "user", "sound", "device"] {
        assert_eq!(body[field], theirs["body"][field], "{field}");
    }
}
