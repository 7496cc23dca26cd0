//! Issues, merge requests and comments.

use serde_json::json;

use super::{changed, event, fields, message, plain, summary};
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
         in [GitlabHQ / Gitlab Test](http://example.com/gitlabhq/gitlab-test) (ms-viewport → master)"
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
    let edited = event("captured/merge_request_update_edited.json");
    let sentence = "added the label Platform and removed the label API of merge request !1";
    assert!(plain(&edited).contains(sentence), "{}", plain(&edited));
    assert_eq!(fields(&edited), [("Commits".to_owned(), "new ones were pushed".to_owned())]);
    let pushed =
        changed("captured/merge_request_update_edited.json", |request| request["changes"] = json!({}));
    assert!(plain(&pushed).contains("pushed new commits to merge request !1"));
}

#[test]
fn a_new_merge_request_names_its_labels_and_people_and_says_whether_it_is_a_draft() {
    assert_eq!(
        fields(&event(MERGE_REQUEST)),
        [("Label", "API"), ("Assignee", "User1 (user1)"), ("Reviewer", "User1 (user1)")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    let merged = changed(MERGE_REQUEST, |request| request["object_attributes"]["action"] = json!("merge"));
    assert_eq!(fields(&merged), [("Label".to_owned(), "API".to_owned())]);
    let approved =
        changed(MERGE_REQUEST, |request| request["object_attributes"]["action"] = json!("approved"));
    assert_eq!(fields(&approved), []);
    let wip = changed("merge_request_open.json", |body| {
        body["object_attributes"]["title"] = json!("Draft: WIP limits for boards");
        body["object_attributes"]["draft"] = json!(true);
        body["changes"] = json!({});
    });
    assert!(plain(&wip).contains("draft merge request !1 WIP limits for boards"), "{}", plain(&wip));
    for title in ["Draft: MS-Viewport", "[Draft] MS-Viewport", "WIP: MS-Viewport", "MS-Viewport"] {
        let draft = changed(MERGE_REQUEST, |request| {
            request["object_attributes"]["title"] = json!(title);
            request["object_attributes"]["draft"] = json!(true);
            request["changes"] = json!({});
        });
        let expected = "Administrator (root) opened draft merge request !1 MS-Viewport in ";
        assert!(plain(&draft).starts_with(expected), "{}", plain(&draft));
    }
    let of_fork = changed(MERGE_REQUEST, |request| {
        request["object_attributes"]["source"]["path_with_namespace"] = json!("ada/rocket");
    });
    assert!(plain(&of_fork).ends_with(" (ada/rocket:ms-viewport → master)"), "{}", plain(&of_fork));
}

#[test]
fn an_update_says_what_changed() {
    let told = |changes: serde_json::Value| {
        let event = changed(MERGE_REQUEST, |request| {
            request["object_attributes"]["action"] = json!("update");
            request["changes"] = changes;
        });
        let text = plain(&event).replace("Administrator (root) ", "");
        (text.split(" in GitlabHQ").next().unwrap_or_default().to_owned(), fields(&event))
    };
    let labels =
        |titles: &[&str]| titles.iter().map(|title| json!({ "title": title })).collect::<serde_json::Value>();
    let people = |names: &[&str]| {
        names
            .iter()
            .map(|name| json!({ "name": name, "username": name.to_lowercase() }))
            .collect::<serde_json::Value>()
    };
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for (changes, sentence, below) in [
        (
            json!({ "labels": { "previous": labels(&[]), "current": labels(&["bug", "ui"]) } }),
            "added the labels bug and ui to merge request !1 MS-Viewport",
            vec![],
        ),
        (
            json!({ "labels": { "previous": labels(&["bug"]), "current": labels(&["ui"]) } }),
            "added the label ui and removed the label bug of merge request !1 MS-Viewport",
            vec![],
        ),
        (
            json!({ "title": { "previous": "Viewport", "current": "MS-Viewport" } }),
            "changed the title of merge request !1 MS-Viewport",
            vec![field("Title before", "Viewport")],
        ),
        (
            json!({ "target_branch": { "previous": "stable", "current": "master" } }),
            "changed the target branch of merge request !1 MS-Viewport",
            vec![field("Target branch before", "stable")],
        ),
        (
            json!({ "assignees": { "previous": people(&["Ann"]), "current": people(&["Ben"]) } }),
            "replaced Ann (ann) by Ben (ben) as assignee of merge request !1 MS-Viewport",
            vec![],
        ),
        (
            json!({ "description": { "previous": "a", "current": "b" } }),
            "edited the description of merge request !1 MS-Viewport",
            vec![],
        ),
        (
            json!({
                "draft": { "previous": true, "current": false },
                "title": { "previous": "Draft: MS-Viewport", "current": "MS-Viewport" },
                "labels": { "previous": labels(&["wip"]), "current": labels(&["API"]) },
            }),
            "marked merge request !1 MS-Viewport as ready",
            vec![
                field("Labels", "added API; removed wip"),
                field("Label", "API"),
                field("Assignee", "User1 (user1)"),
                field("Reviewer", "User1 (user1)"),
            ],
        ),
        (json!({ "labels": "other", "title": 7 }), "updated merge request !1 MS-Viewport", vec![]),
    ] {
        assert_eq!(told(changes.clone()), (sentence.to_owned(), below), "{changes}");
    }
}

#[test]
fn releases_feature_flags_and_milestones_say_what_became_of_them() {
    let release = event("release_create.json");
    assert_eq!(
        summary(&release),
        "Release [v1.1](https://example.com/gitlab-org/release-webhook-example/-/releases/v1.1) was published in \
         [Gitlab / release-webhook-example](https://example.com/gitlab-org/release-webhook-example)"
    );
    assert_eq!(prose(&release), "v1.1 has been released");
    let shown = fields(&release);
    assert_eq!(shown[0], ("Commit".to_owned(), "ee0a3fb3".to_owned()), "its title repeats the release's");
    assert_eq!(shown[1], ("Assets".to_owned(), "Changelog".to_owned()));
    let deleted = changed("release_create.json", |release| release["action"] = json!("delete"));
    assert!(summary(&deleted).starts_with("Release v1.1 was deleted in "), "a deleted one has no page");
    assert_eq!((message(&deleted).body, fields(&deleted)), (Body::None, vec![]));
    let named = changed("release_create.json", |release| release["name"] = json!("Spring"));
    assert!(fields(&named).contains(&("Tag".to_owned(), "v1.1".to_owned())));

    let flag = "feature_flag.json";
    assert_eq!(
        summary(&event(flag)),
        "Administrator (root) turned on feature flag \
         [test-feature-flag](http://example.com/gitlabhq/gitlab-test/-/feature_flags) in \
         [GitlabHQ / Gitlab Test](http://example.com/gitlabhq/gitlab-test)"
    );
    assert_eq!(super::lines(&event(flag)), ["test-feature-flag-description"]);
    let off = changed(flag, |flag| flag["object_attributes"]["active"] = json!(false));
    assert!(plain(&off).starts_with("Administrator (root) turned off feature flag test-feature-flag in "));

    let milestone = "milestone_create.json";
    assert_eq!(
        summary(&event(milestone)),
        "Milestone [v1.0](http://example.com/gitlabhq/gitlab-test/-/milestones/10) was created in \
         [GitlabHQ / Gitlab Test](http://example.com/gitlabhq/gitlab-test)"
    );
    let dates = [("Starts", "2025-06-16"), ("Due", "2025-06-30")];
    assert_eq!(fields(&event(milestone)), dates.map(|(name, day)| (name.to_owned(), day.to_owned())));
    assert_eq!(prose(&event(milestone)), "First stable release");
    let closed = changed(milestone, |milestone| milestone["action"] = json!("close"));
    assert!(plain(&closed).starts_with("Milestone v1.0 was closed in "));
    let of_group = changed(milestone, |milestone| {
        milestone["project"] = json!(null);
        milestone["group"] = json!({ "group_name": "sub", "group_id": 102, "full_path": "acme/sub" });
    });
    assert_eq!(plain(&of_group), "Milestone v1.0 was created in group acme/sub");
    assert_eq!(of_group.group.map(|group| group.path).as_deref(), Some("acme/sub"));
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
