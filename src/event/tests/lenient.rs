//! Fields may be missing or null, as in some of GitLab's releases.

use serde_json::{Value, json};

use super::{decode, event, files, json_of};
use crate::event::{Payload, Undecodable};

/// The JSON pointers of every value in a document, the whole first; of a list, only the first item.
fn places(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    walk(field, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
                }
            }
            Value::Array(items) => {
                if let Some(first) = items.first() {
                    walk(first, &format!("{at}/0"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

fn without(value: &Value, place: &str) -> Value {
    let mut value = value.clone();
    let (parent, last) = place.rsplit_once('/').expect("not the whole");
    match value.pointer_mut(parent).expect("a place in it") {
        Value::Object(fields) => drop(fields.remove(&last.replace("~1", "/").replace("~0", "~"))),
        Value::Array(items) => drop(items.remove(last.parse().expect("an index"))),
        _ => unreachable!("only containers have places in them"),
    }
    value
}

fn with(value: &Value, place: &str, instead: Value) -> Value {
    let mut value = value.clone();
    *value.pointer_mut(place).expect("a place in it") = instead;
    value
}

/// A body is decoded, or the error says what is wrong. Errors about the kind are allowed only where the kind was changed.
fn is_read_or_explained(body: &Value, what: &str) {
    match decode(body.to_string()) {
        Ok(_) | Err(Undecodable::Malformed { .. }) => {}
        Err(Undecodable::NoKind) if body["object_kind"].is_null() && body["event_name"].is_null() => {}
        Err(Undecodable::UnknownKind(kind))
            if [&body["object_kind"], &body["event_name"]].contains(&&json!(kind)) => {}
        Err(Undecodable::NotAnObject) if !body.is_object() => {}
        Err(why) => panic!("{what}: {why}"),
    }
}

#[test]
fn a_null_or_missing_field_is_accepted_or_explained() {
    for file in files() {
        let body = json_of(&file);
        for place in places(&body) {
            is_read_or_explained(&with(&body, &place, Value::Null), &format!("{file}: {place} is null"));
            if !place.is_empty() {
                is_read_or_explained(&without(&body, &place), &format!("{file}: no {place}"));
            }
        }
    }
}

/// The documented payloads have all fields.
#[test]
fn a_field_of_the_wrong_type_is_accepted_or_explained() {
    let wrong = [json!(true), json!(-1), json!(1.5e300), json!("word"), json!([]), json!([[1]]), json!({})];
    for file in files().iter().filter(|file| !file.starts_with("captured/")) {
        let mut body = json_of(file);
        for place in places(&body) {
            for instead in &wrong {
                let right =
                    std::mem::replace(body.pointer_mut(&place).expect("a place in it"), instead.clone());
                is_read_or_explained(&body, &format!("{file}: {place} is {instead}"));
                *body.pointer_mut(&place).expect("the same place") = right;
            }
        }
    }
}

/// Each event with every optional field left out.
#[test]
fn the_smallest_events_are_decoded() {
    for (kind, rest) in [
        ("push", json!({ "ref": "refs/heads/main" })),
        ("tag_push", json!({ "ref": "refs/tags/v1" })),
        ("issue", json!({ "object_attributes": {} })),
        ("work_item", json!({ "object_attributes": {} })),
        ("incident", json!({ "object_attributes": {} })),
        ("merge_request", json!({ "object_attributes": {} })),
        ("note", json!({ "object_attributes": {} })),
        ("pipeline", json!({ "object_attributes": {} })),
        ("job", json!({})),
        ("wiki_page", json!({ "object_attributes": {} })),
        ("deployment", json!({})),
        ("alert", json!({ "object_attributes": {} })),
        ("vulnerability", json!({ "object_attributes": {} })),
        ("group_mention", json!({ "object_attributes": {}, "mentioned": { "name": "acme" } })),
        ("release", json!({})),
        ("feature_flag", json!({ "object_attributes": {} })),
        ("emoji", json!({ "object_attributes": {} })),
        ("milestone", json!({ "object_attributes": {} })),
        ("access_token", json!({ "object_attributes": {} })),
        ("archive_trace", json!({})),
    ] {
        let mut body = rest;
        body["object_kind"] = kind.into();
        let smallest = event(&body);
        assert_eq!(smallest.kind(), kind);
        assert_eq!(smallest.project, None, "{kind}");
        let required: Vec<String> = body.as_object().unwrap().keys().cloned().collect();
        for name in required {
            assert!(
                decode(without(&body, &format!("/{name}")).to_string()).is_err(),
                "{kind} without {name}"
            );
        }
    }
}

#[test]
fn an_event_whose_user_is_null_has_no_user() {
    for file in ["issue_open.json", "merge_request_open.json", "note_issue.json", "pipeline_success.json"] {
        assert_eq!(event(&with(&json_of(file), "/user", Value::Null)).user(), None, "{file}");
    }
}

#[test]
fn the_project_id_beside_the_project_object_is_used_where_that_has_none() {
    let mut push = json_of("push.json");
    push.as_object_mut().unwrap().remove("project");
    assert_eq!(event(&push).project.expect("the id is beside it").id, 15);
    let mut push = json_of("push.json");
    push["project"].as_object_mut().unwrap().remove("id");
    let project = event(&push).project.expect("it is there");
    assert_eq!((project.id, project.path_with_namespace.as_str()), (15, "mike/diaspora"));
}

/// The nearest place counts: an issue's own `project_id` names another project once the issue has moved.
#[test]
fn the_project_is_looked_for_in_the_places_of_old_releases() {
    let project = |body: &Value| event(body).project;
    let named = |path: &str| json!({ "path_with_namespace": path });
    let mut body = json!({
        "object_kind": "merge_request",
        "project_id": 1,
        "project": named("acme/rocket"),
        "object_attributes": {
            "iid": 5,
            "project_id": 3,
            "target_project_id": 2,
            "target": named("acme/target"),
            "source": named("ada/fork"),
            "source_project_id": 9,
        },
        "repository": { "name": "Rocket", "homepage": "https://git.example.com/acme/rocket" },
    });
    let known = |id: i64, path: &str| {
        let path_with_namespace = path.to_owned();
        Some(crate::event::Project {
            id,
            path_with_namespace: path_with_namespace.into(),
            ..Default::default()
        })
    };
    assert_eq!(project(&body), known(1, "acme/rocket"));
    body["project_id"] = Value::Null;
    assert_eq!(project(&body), known(2, "acme/rocket"));
    body["project"] = Value::Null;
    assert_eq!(project(&body), known(2, "acme/target"));
    body["object_attributes"]["target_project_id"] = Value::Null;
    assert_eq!(project(&body), known(3, "acme/target"));
    body["object_attributes"]["target"] = Value::Null;
    let of_id = project(&body).expect("its id is there");
    let facts = (of_id.id, of_id.name.as_str(), of_id.web_url.as_str());
    assert_eq!(facts, (3, "Rocket", "https://git.example.com/acme/rocket"));
    body["object_attributes"]["project_id"] = Value::Null;
    assert_eq!(project(&body), None, "neither the fork nor a name alone is the project");
}

#[test]
fn the_first_label_list_that_is_present_counts_even_if_empty() {
    let labels = |body: &Value| match event(body).payload {
        Payload::Note(note) => {
            note.labels.map(|labels| labels.into_iter().map(|l| l.title.to_string()).collect::<Vec<_>>())
        }
        other => panic!("{} is not a note", other.kind()),
    };
    let list = |title: &str| json!([{ "title": title }]);
    let mut note = json!({
        "object_kind": "note",
        "object_attributes": { "noteable_type": "Issue", "labels": list("attributes") },
        "labels": list("top"),
        "issue": { "labels": list("issue") },
        "merge_request": { "labels": list("merge request") },
    });
    let said = |title: &str| Some(vec![title.to_owned()]);
    assert_eq!(labels(&note), said("top"));
    note["labels"] = json!([]);
    assert_eq!(labels(&note), Some(vec![]));
    note["labels"] = Value::Null;
    assert_eq!(labels(&note), said("issue"));
    note["issue"]["labels"] = Value::Null;
    assert_eq!(labels(&note), said("merge request"));
    note["merge_request"] = Value::Null;
    assert_eq!(labels(&note), said("attributes"));
    note["object_attributes"]["labels"] = Value::Null;
    assert_eq!(labels(&note), None);
}

/// What stands between a forge and us (a script, a form) writes numbers as texts.
#[test]
fn numbers_may_be_in_quotes() {
    let issue = event(&json!({
        "object_kind": "issue",
        "project": { "id": "42" },
        "user": { "id": " 7 " },
        "object_attributes": { "iid": "3" },
    }));
    let user = issue.user().and_then(|user| user.id);
    assert_eq!(
        (issue.project.as_ref().map(|p| p.id), user, issue.subject.as_str()),
        (Some(42), Some(7), "issue:3")
    );
    let pipeline =
        event(&json!({ "object_kind": "pipeline", "object_attributes": { "id": "", "duration": "1.5" } }));
    let Payload::Pipeline(pipeline) = pipeline.payload else { panic!("no pipeline") };
    assert_eq!((pipeline.id, pipeline.duration), (0, Some(1.5)));
    for wrong in ["three", "1e", "0x3", "1.5"] {
        let body = json!({ "object_kind": "issue", "object_attributes": { "iid": wrong } });
        assert!(decode(body.to_string()).is_err(), "{wrong}");
    }
}
