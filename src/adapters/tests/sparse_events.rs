//! Events with as little content as possible: with any fields null, empty, blank or missing, the request is still one that
//! the service accepts.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::events::{self, Case};
use super::{body, call, contract, settings, size, target, target_names, tellers};
use crate::event::{Event, EventId};
use crate::message::compose;

/// Longer payloads are more of the same.
const LONGEST: usize = 10_000;

/// Replacements for a value: absent, and empty forms.
fn nothings(instead_of: &Json) -> [Json; 3] {
    match instead_of {
        Json::Object(_) | Json::Array(_) => [json!(null), json!({}), json!([])],
        // Spaces and invisible characters.
        _ => [json!(null), json!(""), json!(" \n\u{200f}\u{202e}")],
    }
}

/// The paths of all values of a payload, except those that determine its kind. For a list, only the first and the last
/// item are used.
fn places(of: &Json, path: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Json)> = match of {
        Json::Object(parts) => parts.iter().map(|(name, part)| (name.clone(), part)).collect(),
        Json::Array(items) => {
            let ends = if items.len() > 1 { vec![0, items.len() - 1] } else { (0..items.len()).collect() };
            ends.into_iter().map(|n| (n.to_string(), &items[n])).collect()
        }
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

/// The payload as an event and its message, if it is an event that has one.
fn read_case(name: &str, payload: &Json) -> Option<Case> {
    let id = EventId::new("scarce").expect("an id");
    let event = Event::decode(id, Timestamp::UNIX_EPOCH, payload.to_string().into()).ok()?;
    let message = compose(&event)?;
    Some(Case { name: name.to_owned(), event, message: Some(message) })
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

fn every_scarcity() -> Vec<Case> {
    let mut all = Vec::new();
    for known in events::cases().iter().filter(|known| known.event.raw.len() < LONGEST) {
        let (name, whole): (_, Json) = (&known.name, serde_json::from_slice(&known.event.raw).expect("JSON"));
        all.extend(read_case(&format!("{name} emptied"), &emptied(&whole)));
        let mut paths = Vec::new();
        places(&whole, "", &mut paths);
        for path in paths {
            for nothing in nothings(whole.pointer(&path).expect("a place")) {
                let mut payload = whole.clone();
                *payload.pointer_mut(&path).expect("a place") = nothing.clone();
                all.extend(read_case(&format!("{name} with {nothing} at {path}"), &payload));
            }
        }
    }
    all
}

#[test]
fn a_sparse_event_still_makes_a_readable_message() {
    let scarce = every_scarcity();
    assert!(scarce.len() > 3_000, "{}", scarce.len());
    let mut faults = Vec::new();
    for entry in tellers() {
        for case in &scarce {
            if !case.event.trigger.is_some_and(|trigger| entry.about.triggers.contains(trigger)) {
                continue;
            }
            if target_names(entry, &settings(entry), &case.event).is_empty() {
                continue;
            }
            let Some(target) = target(entry, case) else { continue };
            let call = call(entry, case, &target);
            assert!(size(&call) < contract(entry).largest_body, "{} of {}", entry.about.slug, case.name);
            let body = body(&call);
            if let Some(fault) = (contract(entry).fault)(&body) {
                faults.push(format!("{}: {}: {fault}: {body}", entry.about.slug, case.name));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..faults.len().min(60)].join("\n"));
}
