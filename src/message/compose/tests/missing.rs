//! Sentences stay complete when fields of a payload are missing.

use serde_json::{Value, json};

use super::{compose, event, files, payloads};
use crate::event::{Event, EventId, Trigger, sample};
use crate::message::{Body, Markup, Message, Span, Text};

/// The JSON pointers of all values in a document.
fn places(json: &Value, at: &str, found: &mut Vec<String>) {
    let mut visit = |name: &str, inner: &Value| {
        let path = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        found.push(path.clone());
        places(inner, &path, found);
    };
    match json {
        Value::Object(parts) => parts.iter().for_each(|(name, part)| visit(name, part)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| visit(&n.to_string(), item)),
        _ => {}
    }
}

fn remove(json: &mut Value, place: &str) {
    let (parent, name) = place.rsplit_once('/').expect("a place within");
    let name = name.replace("~1", "/").replace("~0", "~");
    match json.pointer_mut(parent) {
        Some(Value::Object(parts)) => {
            parts.remove(&name);
        }
        Some(Value::Array(items)) => {
            items.remove(name.parse().expect("a number"));
        }
        _ => panic!("no {place}"),
    }
}

fn texts(message: &Message) -> Vec<Text> {
    let mut texts = vec![message.summary.clone(), message.headline()];
    match &message.body {
        Body::None => {}
        Body::Lines(lines) => texts.extend(lines.clone()),
        // Text that people wrote may have gaps.
        Body::Prose(text) => assert!(!text.is_blank()),
    }
    texts.extend(message.title.iter().map(|title| Text::new().plain(title.text.as_str())));
    texts.extend(message.fields.iter().map(|field| field.value.clone()));
    texts
}

/// Fails for sentences with gaps in them.
fn check(message: &Message, why: &str) {
    for text in texts(message) {
        let words = text.plain_text();
        assert!(!text.is_blank(), "empty text {why}: {message:?}");
        for hole in ["  ", "()", "#0", "!0", "$0", " : ", "\n\n\n", "( ", " )"] {
            assert!(!words.contains(hole), "{hole:?} in {words:?} {why}");
        }
        for end in [" by", " in", " of", " to", " from", ":", " - ", " ", "#", "!", "$", " on"] {
            assert!(!words.ends_with(end) || message.summary != text, "{words:?} ends in {end:?} {why}");
        }
        let gap = words.starts_with([' ', ':', '(']) && !words.starts_with("(no message)");
        assert!(!gap, "{words:?} {why}");
        for span in &text.0 {
            if let Span::Link { text, url, .. } = span {
                assert!(!text.trim().is_empty() && !url.is_empty(), "an empty link in {words:?} {why}");
                assert!(url.starts_with("http"), "{url:?} is not an address, {why}");
            }
        }
    }
    for field in &message.fields {
        assert!(!field.name.is_empty() && !field.value.is_blank(), "{field:?} {why}");
    }
    if let Some(author) = &message.author {
        assert!(!author.display.is_empty(), "{why}");
    }
}

fn decode(json: &Value) -> Option<Event> {
    let id = EventId::new("1").expect("an id");
    Event::decode(id, jiff::Timestamp::UNIX_EPOCH, json.to_string().into()).ok()
}

#[test]
fn sentences_stay_complete_if_any_field_is_missing() {
    let mut composed = 0;
    for file in files() {
        let raw = std::fs::read(payloads().join(&file)).expect("a payload");
        let whole: Value = serde_json::from_slice(&raw).expect("JSON");
        if let Some(message) = compose(&event(&file)) {
            check(&message, &file);
        }
        let mut all = Vec::new();
        places(&whole, "", &mut all);
        for place in all {
            for (how, empty) in
                [("without", None), ("with null for", Some(json!(null))), ("with an empty", Some(json!("")))]
            {
                let mut holed = whole.clone();
                match empty {
                    None => remove(&mut holed, &place),
                    Some(empty) => *holed.pointer_mut(&place).expect("a place") = empty,
                }
                // Without some fields it is not an event; all others must read well.
                if let Some(message) = decode(&holed).as_ref().and_then(compose) {
                    check(&message, &format!("({file} {how} {place})"));
                    composed += 1;
                }
            }
        }
    }
    assert!(composed > 3000, "only {composed} messages were composed");
}

#[test]
fn the_smallest_events_have_a_message() {
    let least = [
        json!({"object_kind": "push", "ref": "refs/heads/main"}),
        json!({"object_kind": "tag_push", "ref": "refs/tags/v1", "before": "0000000000000000000000000000000000000000"}),
        json!({"object_kind": "issue", "object_attributes": {}}),
        json!({"object_kind": "incident", "object_attributes": {"action": "open"}}),
        json!({"object_kind": "merge_request", "object_attributes": {}}),
        json!({"object_kind": "note", "object_attributes": {"noteable_type": "Commit"}}),
        json!({"object_kind": "note", "object_attributes": {"noteable_type": "Issue"}}),
        json!({"object_kind": "note", "object_attributes": {"noteable_type": "MergeRequest"}}),
        json!({"object_kind": "note", "object_attributes": {"noteable_type": "Snippet"}}),
        json!({"object_kind": "pipeline", "object_attributes": {}}),
        json!({"object_kind": "wiki_page", "object_attributes": {}}),
        json!({"object_kind": "wiki_page", "object_attributes": {"action": "delete"}}),
        json!({"object_kind": "deployment"}),
        json!({"object_kind": "alert", "object_attributes": {}}),
        json!({"object_kind": "vulnerability", "object_attributes": {}}),
        json!({"object_kind": "group_mention", "mentioned": {"name": "acme"}, "object_attributes": {}}),
    ];
    let mut said = Vec::new();
    for payload in least {
        let event = decode(&payload).unwrap_or_else(|| panic!("{payload} is not an event"));
        let message = compose(&event).expect("a message");
        check(&message, &payload.to_string());
        said.push(Markup::Plain.render(&message.summary));
    }
    let expected = [
        "Commits were pushed to branch main",
        "New tag v1 was pushed",
        "An issue was updated",
        "An incident was opened",
        "A merge request was updated",
        "New comment on a commit",
        "New comment on an issue",
        "New comment on a merge request",
        "New comment on a snippet",
        "Pipeline by API has changed",
        "A wiki page was edited",
        "A wiki page was deleted",
        "Deploy to an environment has changed",
        "Alert firing",
        "Vulnerability was detected",
        "Group acme was mentioned in a comment or description",
    ];
    assert_eq!(said, expected);
}

#[test]
fn every_sample_has_a_message_except_those_for_machines() {
    for trigger in Trigger::ALL {
        let message = compose(&sample(trigger));
        let for_machines = [Trigger::Job, Trigger::ArchiveTrace, Trigger::Subgroup, Trigger::Project];
        let has_none = for_machines.contains(&trigger);
        assert_eq!(message.is_none(), has_none, "{trigger}");
        if let Some(message) = message {
            check(&message, trigger.name());
        }
    }
}
