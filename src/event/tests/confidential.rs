//! Confidential events have triggers of their own, however the payload says that they are confidential.

use serde_json::{Value, json};

use super::{event, json_of};
use crate::event::{Payload, Trigger};

fn trigger(body: &Value) -> Option<Trigger> {
    event(body).trigger
}

#[test]
fn an_issue_is_confidential_if_the_event_type_or_the_issue_says_so() {
    let open = json_of("issue_open.json");
    assert_eq!(trigger(&open), Some(Trigger::Issue));

    let mut by_event_type = open.clone();
    by_event_type["event_type"] = "confidential_issue".into();
    assert_eq!(trigger(&by_event_type), Some(Trigger::ConfidentialIssue));

    let mut by_attribute = open.clone();
    by_attribute["object_attributes"]["confidential"] = true.into();
    assert_eq!(trigger(&by_attribute), Some(Trigger::ConfidentialIssue));

    // Old payloads have no event type.
    by_attribute.as_object_mut().unwrap().remove("event_type");
    assert_eq!(trigger(&by_attribute), Some(Trigger::ConfidentialIssue));
}

#[test]
fn a_work_item_has_the_issue_triggers() {
    let mut task = json_of("issue_open.json");
    task["object_kind"] = "work_item".into();
    task["event_type"] = "work_item".into();
    task["object_attributes"]["type"] = "Task".into();
    assert_eq!((event(&task).kind(), trigger(&task)), ("work_item", Some(Trigger::Issue)));
    task["event_type"] = "confidential_work_item".into();
    assert_eq!(trigger(&task), Some(Trigger::ConfidentialIssue));
    task["event_type"] = "work_item".into();
    task["object_attributes"]["confidential"] = true.into();
    assert_eq!(trigger(&task), Some(Trigger::ConfidentialIssue));

    // Old payloads have neither an event type nor the item's own type.
    task["event_type"] = Value::Null;
    task["object_attributes"]["type"] = Value::Null;
    assert_eq!(trigger(&task), Some(Trigger::ConfidentialIssue));
    task["object_attributes"]["confidential"] = false.into();
    assert_eq!((event(&task).kind(), trigger(&task)), ("work_item", Some(Trigger::Issue)));
}

#[test]
fn an_issue_is_confidential_if_the_object_kind_says_so() {
    for (object_kind, kind) in [("confidential_work_item", "work_item"), ("confidential_issue", "issue")] {
        let mut open = json_of("issue_open.json");
        open["object_kind"] = object_kind.into();
        open["event_type"] = Value::Null;
        open["object_attributes"]["confidential"] = false.into();
        assert_eq!((event(&open).kind(), trigger(&open)), (kind, Some(Trigger::ConfidentialIssue)));
    }
}

/// GitLab sends incidents to every integration with incident events enabled, confidential or not.
#[test]
fn an_incident_has_its_own_trigger_even_if_confidential() {
    let mut incident = json_of("issue_open.json");
    incident["object_kind"] = "incident".into();
    incident["event_type"] = "incident".into();
    incident["object_attributes"]["type"] = "Incident".into();
    assert_eq!((event(&incident).kind(), trigger(&incident)), ("incident", Some(Trigger::Incident)));
    incident["object_attributes"]["confidential"] = true.into();
    assert_eq!(trigger(&incident), Some(Trigger::Incident));
}

#[test]
fn a_note_is_confidential_if_its_type_its_attributes_or_its_issue_say_so() {
    let open = json_of("note_issue.json");
    assert_eq!(trigger(&open), Some(Trigger::Note));
    for (path, value) in [
        ("/event_type", json!("confidential_note")),
        ("/object_attributes/confidential", json!(true)),
        ("/object_attributes/internal", json!(true)),
        ("/issue/confidential", json!(true)),
    ] {
        let mut note = open.clone();
        let (parent, name) = path.rsplit_once('/').expect("an absolute path");
        note.pointer_mut(parent).expect("is there")[name] = value;
        let event = event(&note);
        assert_eq!(event.trigger, Some(Trigger::ConfidentialNote), "{path}");
        assert!(matches!(event.payload, Payload::Note(note) if note.confidential), "{path}");
    }
}

#[test]
fn a_note_is_not_confidential_if_the_fields_are_false_or_null() {
    for nothing in [json!(false), json!(null)] {
        let mut note = json_of("note_issue.json");
        note["object_attributes"]["confidential"] = nothing.clone();
        note["object_attributes"]["internal"] = nothing.clone();
        note["issue"]["confidential"] = nothing;
        assert_eq!(trigger(&note), Some(Trigger::Note));
    }
}

fn mention(event_type: &str) -> Value {
    json!({
        "object_kind": "group_mention",
        "event_type": event_type,
        "user": { "name": "Ada Lovelace", "username": "ada" },
        "project": { "id": 42, "path_with_namespace": "acme/rocket" },
        "object_attributes": { "object_kind": "issue", "iid": 20, "title": "Coffee", "description": "@acme/crew" },
        "mentioned": { "object_kind": "group", "name": "acme/crew", "url": "https://gitlab.example.com/groups/acme/crew" },
    })
}

#[test]
fn a_group_mention_is_confidential_if_the_event_type_says_so() {
    assert_eq!(trigger(&mention("group_mention")), Some(Trigger::GroupMention));
    assert_eq!(trigger(&mention("group_confidential_mention")), Some(Trigger::GroupConfidentialMention));
}

#[test]
fn a_group_mention_says_where_it_is() {
    let source = |body: &Value| match event(body).payload {
        Payload::GroupMention(mention) => (mention.source, mention.title.to_string()),
        other => panic!("{} is not a mention", other.kind()),
    };
    let said = |source: &str, title: &str| (source.to_owned(), title.to_owned());
    let mut body = mention("group_mention");
    assert_eq!(source(&body), said("issue #20", "Coffee"));
    body["object_attributes"]["object_kind"] = "merge_request".into();
    assert_eq!(source(&body), said("merge request !20", "Coffee"));

    body["object_attributes"] = json!({ "object_kind": "note", "note": "@acme/crew" });
    assert_eq!(source(&body), said("a comment", ""));
    body["issue"] = json!({ "iid": 17, "title": "Skips nine" });
    assert_eq!(source(&body), said("issue #17", "Skips nine"));
    body["issue"] = Value::Null;
    body["merge_request"] = json!({ "iid": 8, "title": "Weather first" });
    assert_eq!(source(&body), said("merge request !8", "Weather first"));
    body["merge_request"] = Value::Null;
    body["commit"] =
        json!({ "id": "cfe32cf61b73a0d5e9f13e774abde7ff789b1660", "message": "Fix it\n\nAt last." });
    assert_eq!(source(&body), said("commit cfe32cf6", "Fix it"));
}

/// Without its group, it would be taken for an event of the project.
#[test]
fn a_group_mention_without_its_group_is_refused() {
    for lost in [json!(null), json!({}), json!({ "name": "" })] {
        let mut body = mention("group_mention");
        body["mentioned"] = lost;
        let why = super::decode(body.to_string()).expect_err("no group").to_string();
        assert!(why.contains("`mentioned.name`"), "{why}");
    }
}
