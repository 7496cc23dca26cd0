//! Events with as little content as possible: with any fields null, empty, blank or missing, the request is still one that
//! the service accepts.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::events::{self, Told};
use super::{a_target, body, call, largest, settings, size};
use crate::adapters::{ADAPTERS, Entry};
use crate::event::{Event, EventId};
use crate::message::compose;

/// Longer payloads are more of the same.
const LONGEST: usize = 10_000;

/// What stands where something should: nothing, and what looks like it.
fn nothings(instead_of: &Json) -> [Json; 3] {
    match instead_of {
        Json::Object(_) | Json::Array(_) => [json!(null), json!({}), json!([])],
        // Spaces and invisible characters.
        _ => [json!(null), json!(""), json!(" \n\u{200f}\u{202e}")],
    }
}

/// The path to everything in a payload that is not what it is by: kinds decide who hears of it.
fn places(of: &Json, path: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Json)> = match of {
        Json::Object(parts) => parts.iter().map(|(name, part)| (name.clone(), part)).collect(),
        Json::Array(items) => items.iter().enumerate().map(|(n, item)| (n.to_string(), item)).collect(),
        _ => Vec::new(),
    };
    for (name, part) in inner {
        let path = format!("{path}/{name}");
        if name != "object_kind" {
            places(part, &path, found);
            found.push(path);
        }
    }
}

/// As an event and its message, where it is one and is told.
fn told(name: &str, payload: &Json) -> Option<Told> {
    let id = EventId::new("scarce").expect("an id");
    let event = Event::decode(id, Timestamp::UNIX_EPOCH, payload.to_string().into()).ok()?;
    let message = compose(&event)?;
    Some(Told { name: name.to_owned(), event, message })
}

/// Every string blank, every list and number gone.
fn emptied(of: &Json) -> Json {
    match of {
        Json::Object(parts) => parts
            .iter()
            .map(|(name, part)| match name.as_str() {
                "object_kind" | "event_type" | "noteable_type" | "ref" | "before" | "after" | "action" => {
                    (name.clone(), part.clone())
                }
                _ => (name.clone(), emptied(part)),
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Json::Array(_) => json!([]),
        Json::String(_) => json!(""),
        _ => json!(null),
    }
}

fn every_scarcity() -> Vec<Told> {
    let mut all = Vec::new();
    for known in events::told().iter().filter(|known| known.event.raw.len() < LONGEST) {
        let (name, whole): (_, Json) = (&known.name, serde_json::from_slice(&known.event.raw).expect("JSON"));
        all.extend(told(&format!("{name} emptied"), &emptied(&whole)));
        let mut paths = Vec::new();
        places(&whole, "", &mut paths);
        for path in paths {
            for nothing in nothings(whole.pointer(&path).expect("a place")) {
                let mut payload = whole.clone();
                *payload.pointer_mut(&path).expect("a place") = nothing.clone();
                all.extend(told(&format!("{name} with {nothing} at {path}"), &payload));
            }
        }
    }
    all
}

fn is_seen(text: &Json) -> bool {
    let unseen = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
    };
    text.as_str().is_some_and(|text| text.chars().any(|c| !unseen(c)))
}

/// What the service would refuse in it, or people could not read.
fn fault(entry: &Entry, body: &Json) -> Option<&'static str> {
    match entry.about.slug {
        "slack" | "mattermost" => {
            let attachment = &body["attachments"][0];
            let titled = is_seen(&attachment["title"]) || is_seen(&attachment["text"]);
            if !is_seen(&body["text"]) && !titled {
                return Some("neither a text nor an attachment");
            }
            let fields = attachment["fields"].as_array().into_iter().flatten();
            fields.into_iter().any(|field| !is_seen(&field["value"])).then_some("a field without a value")
        }
        "hipchat" => (!is_seen(&body["message"])).then_some("no message"),
        "discord" => {
            let embed = &body["embeds"][0];
            (!is_seen(&embed["title"]) && !is_seen(&embed["description"])).then_some("an embed without words")
        }
        "microsoft-teams" => {
            let mut blank = false;
            let mut look = vec![body];
            while let Some(json) = look.pop() {
                blank |= json["type"] == "TextBlock" && !is_seen(&json["text"]);
                blank |= json["facts"]
                    .as_array()
                    .is_some_and(|facts| facts.iter().any(|fact| !is_seen(&fact["value"])));
                match json {
                    Json::Object(parts) => look.extend(parts.values()),
                    Json::Array(items) => look.extend(items),
                    _ => {}
                }
            }
            blank.then_some("a text or a fact without words")
        }
        "irker" => {
            let lines = body.as_array().expect("lines");
            (lines.is_empty() || lines.iter().any(|line| !is_seen(&line["privmsg"])))
                .then_some("an empty line")
        }
        "emails-on-push" | "pipelines-email" => {
            (!is_seen(&body["subject"]) || !is_seen(&body["text"])).then_some("a mail without words")
        }
        other => panic!("nothing is known of what {other} refuses"),
    }
}

#[test]
fn however_little_an_event_says_what_goes_out_says_something() {
    let scarce = every_scarcity();
    assert!(scarce.len() > 3_000, "{}", scarce.len());
    let mut faults = Vec::new();
    for entry in ADAPTERS {
        for told in &scarce {
            if !told.event.trigger.is_some_and(|trigger| entry.about.triggers.contains(trigger)) {
                continue;
            }
            if entry.targets(&settings(entry), &told.event, &[]).is_empty() {
                continue;
            }
            let call = call(entry, told, &a_target(entry, told));
            assert!(size(&call) < largest(entry.about.slug), "{} of {}", entry.about.slug, told.name);
            let body = body(&call);
            if let Some(fault) = fault(entry, &body) {
                faults.push(format!("{}: {}: {fault}: {body}", entry.about.slug, told.name));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..faults.len().min(60)].join("\n"));
}
