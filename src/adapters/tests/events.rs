//! Events for the tests: documented by GitLab, captured, and hostile ones.

use std::path::Path;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::event::{Event, EventId, Trigger};
use crate::message::{Base, Body, Message, compose, prose};

/// An event and its message.
pub struct Case {
    pub name: String,
    pub event: Event,
    /// `None` for kinds that no message is composed of.
    pub message: Option<Message>,
}

impl Case {
    pub fn message(&self) -> &Message {
        self.message.as_ref().unwrap_or_else(|| panic!("{} has a message", self.name))
    }
}

fn payload(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads").join(file);
    serde_json::from_slice(&std::fs::read(path).expect("a payload")).expect("JSON")
}

pub fn tell(name: &str, payload: &Value) -> Case {
    let id = EventId::new(name).expect("an id");
    let event = Event::decode(id, Timestamp::UNIX_EPOCH, payload.to_string().into()).expect("an event");
    let message = compose(&event);
    Case { name: name.to_owned(), event, message }
}

pub fn changed(file: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut payload = payload(file);
    change(&mut payload);
    payload
}

/// One of the payloads with some of its parts changed, composed as a message.
pub fn tell_changed(file: &str, change: impl FnOnce(&mut Value)) -> Case {
    tell(file, &changed(file, change))
}

/// Kinds that no message is composed of.
pub fn raw_cases() -> &'static [Case] {
    static RAW: LazyLock<Vec<Case>> = LazyLock::new(|| {
        let trace = Case { name: "archive_trace".to_owned(), ..sample(Trigger::ArchiveTrace) };
        vec![
            tell("job", &payload("build_created.json")),
            trace,
            tell("subgroup", &payload("subgroup_create.json")),
            tell("project", &payload("group_project_create.json")),
        ]
    });
    &RAW
}

/// One or more of every kind that a message is composed of.
pub fn cases() -> &'static [Case] {
    static CASES: LazyLock<Vec<Case>> = LazyLock::new(every_kind);
    &CASES
}

fn every_kind() -> Vec<Case> {
    let files = [
        ("push", "push.json"),
        ("push_14_commits", "captured/push_14_commits.json"),
        ("branch_new", "captured/branch_create.json"),
        ("branch_removed", "captured/branch_delete.json"),
        ("tag_push", "tag_push.json"),
        ("issue", "issue_open.json"),
        ("issue_closed", "captured/issue_closed.json"),
        ("merge_request", "merge_request_open.json"),
        ("note_commit", "note_commit.json"),
        ("note_issue", "note_issue.json"),
        ("note_merge_request", "note_merge_request.json"),
        ("note_snippet", "note_snippet.json"),
        ("note_confidential", "captured/confidential_note.json"),
        ("pipeline", "pipeline_success.json"),
        ("wiki_page", "wiki_page_create.json"),
        ("deployment", "deployment_success.json"),
        ("vulnerability", "vulnerability_confirmed.json"),
        ("release", "release_create.json"),
        ("feature_flag", "feature_flag.json"),
        ("milestone", "milestone_create.json"),
    ];
    let mut all: Vec<Case> = files.iter().map(|(name, file)| tell(name, &payload(file))).collect();
    all.push(tell(
        "issue_confidential",
        &changed("issue_open.json", |issue| {
            issue["object_attributes"]["confidential"] = json!(true);
        }),
    ));
    all.push(tell(
        "incident",
        &changed("issue_open.json", |issue| {
            issue["object_kind"] = json!("incident");
            issue["object_attributes"]["type"] = json!("Incident");
        }),
    ));
    all.push(tell("pipeline_failed", &changed("pipeline_success.json", |pipeline| {
        pipeline["object_attributes"]["status"] = json!("failed");
        pipeline["object_attributes"]["detailed_status"] = json!("failed");
        let build = |n: i64| json!({"id": n, "stage": format!("stage {}", n / 5), "name": format!("job {n}"), "status": "failed"});
        pipeline["builds"] = (1..=14).map(build).collect();
    })));
    all.push(tell("alert", &json!({
        "object_kind": "alert",
        "project": payload("push.json")["project"],
        "object_attributes": {
            "title": "CPU over 90 %", "url": "http://example.com/mike/diaspora/-/alert_management/7/details",
            "severity": "critical", "events": 3, "status": "triggered", "started_at": "2020-04-23 01:06:00 UTC"
        }
    })));
    all.push(tell("group_mention", &mention("group_mention")));
    all.push(tell("group_mention_confidential", &mention("group_confidential_mention")));
    all
}

fn mention(event_type: &str) -> Value {
    changed("note_issue.json", |note| {
        note["object_kind"] = json!("group_mention");
        note["event_type"] = json!(event_type);
        note["mentioned"] =
            json!({"object_kind": "group", "name": "acme/ops", "url": "http://example.com/groups/acme/ops"});
        note["object_attributes"]["note"] = json!("@acme/ops, have a **look** at `this`.");
    })
}

/// The samples that people try their settings with.
pub fn sample(trigger: Trigger) -> Case {
    let event = crate::event::sample(trigger);
    let message = compose(&event);
    Case { name: format!("sample of {trigger}"), event, message }
}

/// Hostile events: with huge texts, or texts that look like markup.
pub fn hostile() -> &'static [Case] {
    static HOSTILE: LazyLock<Vec<Case>> = LazyLock::new(every_trick);
    &HOSTILE
}

/// With people's own words whole: that messages are made with less of them is no adapter's promise.
pub fn with_all_its_words(case: Case, words: &str) -> Case {
    let message = case.message().clone();
    let body = match message.body {
        Body::Prose(_) => {
            Body::Prose(prose(words, &Base::of_project("https://forge.example.com/acme/rocket")))
        }
        other => other,
    };
    Case { message: Some(Message { body, ..message }), ..case }
}

fn every_trick() -> Vec<Case> {
    let evil = "*<!channel>* @channel @here @everyone @all <@U1> [x](javascript:alert(1)) \u{202e}\0\u{7} `_~|>&lt; # https://a.example/@all";
    let long = evil.repeat(1_000_000 / evil.len());
    let mut all = Vec::new();
    for (size, words) in [("evil", evil), ("endless", long.as_str())] {
        let mut add = |kind: &str, payload: Value| {
            all.push(with_all_its_words(tell(&format!("{size} {kind}"), &payload), words));
        };
        add(
            "push",
            changed("push.json", |push| {
                push["user_name"] = json!(words);
                push["project"]["name"] = json!(words);
                push["ref"] = json!(format!("refs/heads/{words}"));
                let commit = |n: usize| json!({"id": format!("{n:040}"), "message": words, "title": if size == "evil" { words } else { "" }, "url": words, "author": {"name": words}});
                let commits = if size == "evil" { 10_000 } else { 3 };
                push["commits"] = (0..commits).map(commit).collect();
                push["total_commits_count"] = json!(10_000);
            }),
        );
        add(
            "issue",
            changed("issue_open.json", |issue| {
                for name in ["title", "description", "url", "type"] {
                    issue["object_attributes"][name] = json!(words);
                }
                issue["user"]["name"] = json!(words);
                issue["user"]["avatar_url"] = json!("javascript:alert(1)");
                issue["project"]["web_url"] = json!("javascript:alert(1)");
            }),
        );
        add(
            "merge request",
            changed("merge_request_open.json", |request| {
                request["object_attributes"]["title"] = json!(words);
                request["object_attributes"]["url"] = json!(words);
            }),
        );
        add(
            "note",
            changed("note_issue.json", |note| {
                note["object_attributes"]["note"] = json!(words);
                note["issue"]["title"] = json!(words);
            }),
        );
        add(
            "pipeline",
            changed("pipeline_success.json", |pipeline| {
                pipeline["object_attributes"]["status"] = json!("failed");
                for name in ["name", "ref", "yaml_errors", "url", "detailed_status"] {
                    pipeline["object_attributes"][name] = json!(words);
                }
                let builds = if size == "evil" { 5_000 } else { 1 };
                let build = |n: usize| json!({"id": n, "stage": format!("{n}{words}"), "name": format!("{n}{words}"), "status": "failed"});
                pipeline["builds"] = (0..builds).map(build).collect();
                pipeline["commit"]["message"] = json!(words);
                pipeline["commit"]["url"] = json!(words);
                pipeline["merge_request"]["title"] = json!(words);
            }),
        );
        add(
            "wiki page",
            changed("wiki_page_create.json", |page| {
                for name in ["title", "slug", "url", "message", "diff_url"] {
                    page["object_attributes"][name] = json!(words);
                }
            }),
        );
        add(
            "deployment",
            changed("deployment_success.json", |deployment| {
                for name in [
                    "environment",
                    "status",
                    "commit_title",
                    "commit_url",
                    "short_sha",
                    "user_url",
                    "deployable_url",
                ] {
                    deployment[name] = json!(words);
                }
            }),
        );
        add(
            "vulnerability",
            changed("vulnerability_confirmed.json", |found| {
                for name in ["title", "severity", "state"] {
                    found["object_attributes"][name] = json!(words);
                }
                let identifier = json!({"name": words, "url": words});
                found["object_attributes"]["identifiers"] =
                    vec![identifier; if size == "evil" { 2_000 } else { 2 }].into();
                found["object_attributes"]["location"]["file"] = json!(words);
            }),
        );
    }
    all
}
