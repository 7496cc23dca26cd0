//! Events that the chat family does not notify, although others do.

use serde_json::{Value, json};

use super::{asked, chat, event};
use crate::event::Trigger;
use crate::integration::{Family, Integration};

fn issue(kind: &str, changes: Value) -> crate::event::Event {
    let mut body = json!({ "object_kind": kind, "event_type": kind });
    super::change(&mut body, changes);
    event(Trigger::Issue, body)
}

fn acted(action: &Value) -> Value {
    json!({ "object_attributes": { "action": action } })
}

#[test]
fn issues_of_all_kinds_are_notified_except_for_updates() {
    for kind in ["issue", "work_item", "incident"] {
        for (action, expected) in [
            (json!("open"), Ok(())),
            (json!("close"), Ok(())),
            (json!("reopen"), Ok(())),
            (json!("something new"), Ok(())),
            // Test payloads have none.
            (json!(null), Ok(())),
            (json!("update"), Err("update")),
        ] {
            assert_eq!(asked(&chat(), &issue(kind, acted(&action))), expected, "{kind} {action}");
        }
    }
    let confidential = event(Trigger::ConfidentialIssue, acted(&json!("update")));
    assert_eq!(asked(&chat(), &confidential), Err("update"));
}

/// GitLab sends the same incident again as an `incident` event. The old `issue` event is notified.
#[test]
fn an_incident_is_not_notified_as_a_work_item() {
    for (kind, issue_type, expected) in [
        ("work_item", "Incident", Err("comes_as_incident")),
        ("work_item", "Task", Ok(())),
        ("work_item", "Issue", Ok(())),
        ("incident", "Incident", Ok(())),
        ("issue", "Incident", Ok(())),
        ("issue", "Issue", Ok(())),
    ] {
        let event = issue(kind, json!({ "object_attributes": { "type": issue_type } }));
        assert_eq!(asked(&chat(), &event), expected, "{kind} of type {issue_type}");
    }
}

#[test]
fn merge_requests_are_notified_except_for_updates() {
    for action in [
        "open",
        "close",
        "reopen",
        "merge",
        "approved",
        "unapproved",
        "approval",
        "unapproval",
        "something new",
    ] {
        assert_eq!(asked(&chat(), &event(Trigger::MergeRequest, acted(&json!(action)))), Ok(()), "{action}");
    }
    assert_eq!(asked(&chat(), &event(Trigger::MergeRequest, acted(&json!(null)))), Ok(()));
    assert_eq!(asked(&chat(), &event(Trigger::MergeRequest, acted(&json!("update")))), Err("update"));
}

#[test]
fn an_updated_merge_request_is_notified_if_its_reviewers_changed() {
    let people = json!([{ "name": "Grace Hopper", "username": "grace" }]);
    for (changes, expected) in [
        (json!({ "reviewers": { "previous": [], "current": people } }), Ok(())),
        (json!({ "reviewers": { "previous": people, "current": [] } }), Ok(())),
        (json!({ "reviewers": { "previous": people, "current": people } }), Ok(())),
        (json!({ "reviewers": null }), Err("update")),
        (json!({ "labels": { "previous": [], "current": [] } }), Err("update")),
        (json!({ "assignees": { "previous": [], "current": people } }), Err("merge_request_action")),
        (json!(null), Err("update")),
    ] {
        let update = json!({ "object_attributes": { "action": "update" }, "changes": changes });
        assert_eq!(asked(&chat(), &event(Trigger::MergeRequest, update)), expected, "{changes}");
    }
}

/// The effect of `merge_request_actions` on each action, and on each change that an update can make.
#[test]
fn merge_requests_are_notified_of_the_actions_that_the_setting_names() {
    let people = json!([{ "name": "Grace Hopper", "username": "grace" }]);
    let was = |before: Value, after: Value| json!({ "previous": before, "current": after });
    let acts = ["open", "close", "reopen", "merge", "approved", "unapproved", "approval", "unapproval"];
    let mut events: Vec<_> = acts.map(|action| (action, acted(&json!(action)))).into();
    for (name, field, change) in [
        ("reviewers", "reviewers", was(json!([]), people.clone())),
        ("assignees", "assignees", was(people, json!([]))),
        ("draft", "draft", was(json!(true), json!(false))),
        ("draft", "draft", was(json!(false), json!(true))),
        ("title", "title", was(json!("New API"), json!("Newer API"))),
        ("labels", "labels", was(json!([{ "title": "ui" }]), json!([{ "title": "api" }]))),
        ("target_branch", "target_branch", was(json!("main"), json!("stable"))),
        ("description", "description", was(json!(""), json!("Words"))),
    ] {
        let update = json!({ "object_attributes": { "action": "update" }, "changes": { field: change } });
        events.push((name, update));
    }
    // Releases before 13.12 send no `draft`: the title alone changes.
    let old = json!({
        "object_attributes": { "action": "update", "draft": null },
        "changes": { "title": was(json!("WIP: New API"), json!("New API")) },
    });
    events.push(("draft", old));
    events.push(("commits", json!({ "object_attributes": { "action": "update", "oldrev": "2ee77db7" } })));
    for (happened, changes) in events {
        for named in crate::event::MergeRequestAction::ALL.map(crate::event::MergeRequestAction::name) {
            let integration = chat().merge_request_actions(named);
            let expected = if named == happened { Ok(()) } else { Err("merge_request_action") };
            let asked = asked(&integration, &event(Trigger::MergeRequest, changes.clone()));
            assert_eq!(asked, expected, "{happened} / {named}: {changes}");
        }
    }
    let unknown = event(Trigger::MergeRequest, acted(&json!("something new")));
    assert_eq!(asked(&chat().merge_request_actions("merge"), &unknown), Err("merge_request_action"));
    let update = event(
        Trigger::MergeRequest,
        json!({
            "object_attributes": { "action": "update" }, "changes": { "labels": was(json!([]), json!([{ "title": "ui" }])) },
        }),
    );
    let hook = Integration::example(Family::Hook).merge_request_actions("merge");
    assert_eq!(asked(&hook, &update), Ok(()), "hooks get everything");
}

#[test]
fn notes_are_notified_when_created_and_when_edited() {
    for noteable_type in ["Commit", "Issue", "MergeRequest", "Snippet"] {
        for action in [json!("create"), json!("update"), json!(null)] {
            let changes =
                json!({ "object_attributes": { "noteable_type": noteable_type, "action": action } });
            assert_eq!(asked(&chat(), &event(Trigger::Note, changes)), Ok(()), "{noteable_type} {action}");
        }
    }
}

#[test]
fn notes_on_other_objects_are_not_notified() {
    for noteable_type in ["DesignManagement::Design", "Epic", "Vulnerability", "AlertManagement::Alert", ""] {
        let changes = json!({ "object_attributes": { "noteable_type": noteable_type } });
        assert_eq!(asked(&chat(), &event(Trigger::Note, changes)), Err("noteable"), "{noteable_type}");
    }
}

/// The changes that these comments record have events of their own.
#[test]
fn comments_that_gitlab_wrote_itself_are_not_notified() {
    for trigger in [Trigger::Note, Trigger::ConfidentialNote] {
        let note = event(trigger, json!({ "object_attributes": { "system": true } }));
        assert_eq!(asked(&chat(), &note), Err("system_note"), "{trigger}");
    }
}

#[test]
fn pushes_of_all_kinds_are_notified() {
    let none = "0".repeat(40);
    for trigger in [Trigger::Push, Trigger::TagPush] {
        for changes in [
            json!({ "commits": [], "total_commits_count": 0 }),
            json!({ "before": none }),
            json!({ "after": none, "commits": [] }),
        ] {
            assert_eq!(asked(&chat(), &event(trigger, changes.clone())), Ok(()), "{trigger} {changes}");
        }
    }
}

#[test]
fn pages_deployments_and_alerts_are_always_notified() {
    for action in ["create", "update", "delete"] {
        assert_eq!(asked(&chat(), &event(Trigger::WikiPage, acted(&json!(action)))), Ok(()), "{action}");
    }
    for status in ["running", "success", "failed", "canceled", "something new"] {
        assert_eq!(
            asked(&chat(), &event(Trigger::Deployment, json!({ "status": status }))),
            Ok(()),
            "{status}"
        );
    }
    for status in ["triggered", "resolved"] {
        let changes = json!({ "object_attributes": { "status": status } });
        assert_eq!(asked(&chat(), &event(Trigger::Alert, changes)), Ok(()), "{status}");
    }
}

#[test]
fn hooks_get_all_that_chat_does_not_notify() {
    let hook = Integration::example(Family::Hook).only_broken(true).only_when_status_changes(true);
    for event in [
        issue("issue", acted(&json!("update"))),
        issue("work_item", json!({ "object_attributes": { "type": "Incident" } })),
        event(Trigger::MergeRequest, acted(&json!("update"))),
        event(Trigger::Note, json!({ "object_attributes": { "noteable_type": "Epic" } })),
        event(Trigger::Pipeline, json!({ "object_attributes": { "status": "running" } })),
        event(Trigger::Pipeline, json!({ "object_attributes": { "status": "success" } })),
    ] {
        assert!(asked(&chat().only_broken(true), &event).is_err(), "{}", event.subject);
        assert_eq!(asked(&hook, &event), Ok(()), "{}", event.subject);
    }
}
