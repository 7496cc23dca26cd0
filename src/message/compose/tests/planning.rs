//! Issues, merge requests and comments.

use serde_json::json;

use super::{changed, event, message, plain, summary};
use crate::event::Event;
use crate::message::{Body, Markup, Tone};

const ISSUE: &str = "issue_open.json";
const MERGE_REQUEST: &str = "merge_request_open.json";

fn prose(event: &Event) -> String {
    match message(event).body {
        Body::Prose(text) => Markup::Markdown.render(&text),
        Body::None => String::new(),
        Body::Lines(lines) => panic!("{lines:?}"),
    }
}

#[test]
fn a_new_issue_is_shown_with_its_description() {
    let event = event(ISSUE);
    assert_eq!(
        summary(&event),
        "Administrator (root) opened issue [#23 New API: create/update/delete file](http://example.com/diaspora/issues/23) \
         in [GitlabHQ / Gitlab Test](http://example.com/gitlabhq/gitlab-test)"
    );
    assert_eq!(
        message(&event).headline().plain_text(),
        "Administrator (root) opened issue #23 New API: create/update/delete file"
    );
    assert_eq!(prose(&event), "Create new API for manipulations with repository");
    assert_eq!(message(&event).tone, Tone::Notice);
    let empty = changed(ISSUE, |issue| issue["object_attributes"]["description"] = json!(null));
    assert_eq!(message(&empty).body, Body::None);
    assert!(message(&empty).title.is_some());
}

#[test]
fn issues_say_what_was_done_and_to_what() {
    let told = |action: serde_json::Value, state: &str, kind: serde_json::Value, confidential: bool| {
        let event = changed(ISSUE, |issue| {
            issue["object_attributes"]["action"] = action;
            issue["object_attributes"]["state"] = json!(state);
            issue["object_attributes"]["type"] = kind;
            issue["object_attributes"]["confidential"] = json!(confidential);
        });
        plain(&event).split(" #23").next().unwrap_or_default().to_owned()
    };
    assert_eq!(told(json!("close"), "closed", json!("Issue"), false), "Administrator (root) closed issue");
    assert_eq!(told(json!("reopen"), "opened", json!("Task"), false), "Administrator (root) reopened task");
    assert_eq!(
        told(json!("update"), "opened", json!("Key Result"), true),
        "Administrator (root) updated confidential key result"
    );
    assert_eq!(told(json!(null), "closed", json!(null), false), "Administrator (root) closed issue");
    assert_eq!(told(json!(null), "", json!(null), false), "Administrator (root) updated issue");
    let incident = changed(ISSUE, |issue| {
        issue["object_kind"] = json!("incident");
        issue["object_attributes"]["type"] = json!(null);
    });
    assert!(plain(&incident).starts_with("Administrator (root) opened incident #23"));
    let closed = message(&event("captured/issue_closed.json"));
    assert_eq!((closed.body, closed.title, closed.tone), (Body::None, None, Tone::Neutral));
}

#[test]
fn merge_requests_say_what_was_done() {
    assert_eq!(
        summary(&event(MERGE_REQUEST)),
        "Administrator (root) opened merge request [!1 MS-Viewport](http://example.com/gitlabhq/gitlab-test/-/merge_requests/1) \
         in [GitlabHQ / Gitlab Test](http://example.com/gitlabhq/gitlab-test)"
    );
    let done = |action: serde_json::Value, state: &str| {
        let event = changed(MERGE_REQUEST, |request| {
            request["object_attributes"]["action"] = action;
            request["object_attributes"]["state"] = json!(state);
            request["changes"] = json!({});
        });
        let text = plain(&event);
        let done =
            text.strip_prefix("Administrator (root) ").and_then(|text| text.split(" merge request").next());
        done.unwrap_or_default().to_owned()
    };
    let table = [
        ("close", "closed", "closed"),
        ("reopen", "opened", "reopened"),
        ("merge", "merged", "merged"),
        ("approved", "opened", "approved"),
        ("unapproved", "opened", "unapproved"),
        ("approval", "opened", "added their approval to"),
        ("unapproval", "opened", "removed their approval from"),
        ("update", "opened", "updated"),
    ];
    for (action, state, expected) in table {
        assert_eq!(done(json!(action), state), expected);
    }
    assert_eq!(done(json!(null), "locked"), "locked");
    assert_eq!(done(json!(null), ""), "updated");
    assert!(
        plain(&event("captured/merge_request_update_edited.json"))
            .contains("pushed new commits to merge request !1")
    );
}

#[test]
fn added_and_removed_reviewers_are_named() {
    let told = |before: &[&str], after: &[&str]| {
        let users = |names: &[&str]| -> serde_json::Value {
            names.iter().map(|name| json!({"name": name, "username": name.to_lowercase()})).collect()
        };
        let event = changed(MERGE_REQUEST, |request| {
            request["object_attributes"]["action"] = json!("update");
            request["changes"] = json!({"reviewers": {"previous": users(before), "current": users(after)}});
        });
        let text = plain(&event);
        text.split(" !1").next().unwrap_or_default().replace("Administrator (root) ", "")
    };
    assert_eq!(told(&[], &["Ann"]), "requested a review from Ann (ann) of merge request");
    assert_eq!(
        told(&["Ann"], &["Ann", "Bo", "Cy"]),
        "requested a review from Bo (bo) and Cy (cy) of merge request"
    );
    assert_eq!(told(&["Ann", "Bo"], &["Ann"]), "removed Bo (bo) as reviewer from merge request");
    assert_eq!(told(&["A", "B", "C"], &["A"]), "removed B (b) and C (c) as reviewers from merge request");
    assert_eq!(told(&["A", "B"], &[]), "removed all reviewers from merge request");
    assert_eq!(
        told(&["A"], &["B"]),
        "requested a review from B (b) and removed A (a) as reviewer of merge request"
    );
    assert_eq!(told(&["A"], &["A"]), "updated merge request");
}

#[test]
fn comments_link_to_what_was_commented_on() {
    assert_eq!(
        summary(&event("note_issue.json")),
        "Administrator (root) [commented on issue #17](http://example.com/gitlab-org/gitlab-test/issues/17#note_1241) \
         in [Gitlab Org / Gitlab Test](http://example.com/gitlab-org/gitlab-test): **test**"
    );
    assert_eq!(prose(&event("note_issue.json")), "Hello world");
    assert!(
        plain(&event("note_commit.json"))
            .starts_with("Administrator (root) commented on commit cfe32cf6 in ")
    );
    assert!(plain(&event("note_commit.json")).ends_with(": Add submodule"));
    assert!(plain(&event("note_merge_request.json")).contains("commented on merge request !1 in"));
    assert!(plain(&event("note_snippet.json")).contains("commented on snippet $53 in"));
    let edited = changed("note_issue.json", |note| note["object_attributes"]["action"] = json!("update"));
    assert!(plain(&edited).contains("edited a comment on issue #17"));
    let nameless = changed("note_issue.json", |note| note["issue"] = json!(null));
    assert_eq!(plain(&nameless), "Administrator (root) commented on an issue in Gitlab Org / Gitlab Test");
    let design = changed("note_issue.json", |note| {
        note["object_attributes"]["noteable_type"] = json!("DesignManagement::Design");
    });
    assert_eq!(super::compose(&design), None);
}

/// A message shows about as much as is read in a chat; its link leads to the whole comment.
#[test]
fn a_long_comment_is_truncated() {
    let body = |words: &str| {
        let event = changed("note_issue.json", |note| note["object_attributes"]["note"] = json!(words));
        match message(&event).body {
            Body::Prose(prose) => prose.plain_text(),
            other => panic!("{other:?}"),
        }
    };
    let long = body(&"Lorem ipsum dolor sit amet. ".repeat(40_000));
    assert!((1_970..=2_000).contains(&long.chars().count()) && long.ends_with('…'), "{long}");
    let log = body(&format!("It says:\n\n```\n{}```\n\nWhy?", "at line 1\n".repeat(5_000)));
    assert!((38..=41).contains(&log.trim().lines().count()) && log.trim().ends_with('…'), "{log}");
    let template = "### What\n\nIt breaks.\n\n".repeat(8);
    assert!(!body(&template).contains('…'), "a text of ordinary length is shown whole");
}
