//! Wiki pages, deployments, alerts, vulnerabilities, mentions.

use serde_json::json;

use super::{changed, decode, event, message, plain, summary};
use crate::event::Event;
use crate::message::{Body, Markup, Tone};

fn body(event: &Event) -> String {
    match message(event).body {
        Body::Prose(text) => Markup::Markdown.render(&text),
        Body::None => String::new(),
        Body::Lines(lines) => {
            lines.iter().map(|line| Markup::Markdown.render(line)).collect::<Vec<_>>().join("\n")
        }
    }
}

#[test]
fn wiki_pages_are_made_edited_and_deleted() {
    let done = |action: &str| {
        changed("wiki_page_create.json", |page| page["object_attributes"]["action"] = json!(action))
    };
    let summary_of = |action: &str| summary(&done(action));
    let page = "wiki page [Awesome](http://example.com/root/awesome-project/-/wikis/awesome)";
    let project = "[root / awesome-project](http://example.com/root/awesome-project)";
    let changes = "([Compare changes](http://example.com/root/awesome-project/-/wikis/home/diff?version_id=78ee4a6705abfbff4f4132c6646dbaae9c8fb6ec))";
    assert_eq!(summary_of("create"), format!("Administrator (root) created {page} in {project} {changes}"));
    assert_eq!(summary_of("update"), format!("Administrator (root) edited {page} in {project} {changes}"));
    // A deleted page has no address.
    assert_eq!(summary_of("delete"), format!("Administrator (root) deleted wiki page Awesome in {project}"));
    assert_eq!(body(&done("create")), "adding an awesome page to the wiki");
}

#[test]
fn deployments_say_where_to_and_how_they_went() {
    let told = |status: &str| {
        let message =
            message(&changed("deployment_success.json", |deployment| deployment["status"] = json!(status)));
        (message.headline().plain_text(), message.tone)
    };
    let table = [
        ("running", "Starting deploy to staging", Tone::Neutral),
        ("success", "Deploy to staging succeeded", Tone::Good),
        ("failed", "Deploy to staging failed", Tone::Danger),
        ("canceled", "Deploy to staging was canceled", Tone::Warning),
        ("blocked", "Deploy to staging is waiting for approval", Tone::Neutral),
        ("on_hold", "Deploy to staging is on hold", Tone::Neutral),
    ];
    for (status, expected, tone) in table {
        assert_eq!(told(status), (expected.to_owned(), tone));
    }
    let project = "http://10.126.0.2:3000/root/test-deployment-webhooks";
    assert_eq!(
        body(&event("deployment_success.json")),
        format!(
            "Job [#796]({project}/-/jobs/796) by [Administrator (root)](http://10.126.0.2:3000/root)\n\
             [279484c0]({project}/-/commit/279484c09fbe69ededfced8c1bb6e6d24616b468): Add new file"
        )
    );
    let external = changed("deployment_success.json", |deployment| {
        deployment["deployable_url"] = json!(null);
        deployment["deployable_id"] = json!(null);
        deployment["user"] = json!(null);
    });
    assert!(body(&external).starts_with("[279484c0]("), "{}", body(&external));
}

#[test]
fn alerts_say_what_fires_since_when() {
    let alert = json!({
        "object_kind": "alert",
        "project": {"id": 1, "name": "web", "namespace": "Acme", "path_with_namespace": "acme/web", "web_url": "https://f.example/acme/web"},
        "object_attributes": {
            "title": "CPU over 90 %", "url": "https://f.example/acme/web/-/alert_management/7/details",
            "severity": "critical", "events": 3, "status": "triggered", "started_at": "2020-04-23 01:06:00 UTC"
        }
    });
    let event = decode(alert.to_string().into());
    assert_eq!(
        summary(&event),
        "[Acme / web](https://f.example/acme/web): Alert firing: [CPU over 90 %](https://f.example/acme/web/-/alert_management/7/details)"
    );
    let message = message(&event);
    let fields: Vec<_> = message.fields.iter().map(|f| (f.name.as_str(), f.value.plain_text())).collect();
    let expected = [
        ("Severity", "Critical"),
        ("Events", "3"),
        ("Status", "Triggered"),
        ("Start time", "23 April 2020, 01:06 UTC"),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name, value.to_owned())));
    assert_eq!(message.tone, Tone::Notice);
}

#[test]
fn vulnerabilities_say_how_bad_they_are() {
    let told = |state: &str, severity: &str| {
        let event = changed("vulnerability_confirmed.json", |found| {
            found["object_attributes"]["state"] = json!(state);
            found["object_attributes"]["severity"] = json!(severity);
        });
        (
            plain(&event).replace("flightjs/Flight: Vulnerability REXML DoS vulnerability ", ""),
            message(&event).tone,
        )
    };
    assert_eq!(told("confirmed", "high"), ("was confirmed (high severity)".to_owned(), Tone::Danger));
    assert_eq!(told("detected", "Critical"), ("was detected (critical severity)".to_owned(), Tone::Danger));
    assert_eq!(told("detected", "medium"), ("was detected (medium severity)".to_owned(), Tone::Warning));
    assert_eq!(told("dismissed", "low"), ("was dismissed (low severity)".to_owned(), Tone::Neutral));
    assert_eq!(told("resolved", "high"), ("was resolved (high severity)".to_owned(), Tone::Good));
    assert_eq!(told("", ""), ("was detected".to_owned(), Tone::Notice));
}

#[test]
fn group_mentions_say_who_mentioned_the_group_where() {
    let event = changed("note_issue.json", |note| {
        note["object_kind"] = json!("group_mention");
        note["mentioned"] =
            json!({"object_kind": "group", "name": "acme/ops", "url": "https://f.example/groups/acme/ops"});
    });
    assert_eq!(
        summary(&event),
        "Administrator (root) mentioned group [acme/ops](https://f.example/groups/acme/ops) in \
         [issue #17](http://example.com/gitlab-org/gitlab-test/issues/17#note_1241) of \
         [Gitlab Org / Gitlab Test](http://example.com/gitlab-org/gitlab-test): **test**"
    );
    assert_eq!(body(&event), "Hello world");
}

#[test]
fn the_action_begins_with_what_was_done() {
    for (file, begin) in [
        ("push.json", "Pushed 4 commits to branch master (Compare changes)"),
        ("issue_open.json", "Opened issue #23 New API: create/update/delete file"),
        ("note_issue.json", "Commented on issue #17: "),
        ("deployment_success.json", "Deploy to staging succeeded"),
    ] {
        let message = message(&event(file));
        let action = message.action().plain_text();
        assert!(action.starts_with(begin), "{file}: {action}");
    }
}

#[test]
fn fields_are_short_while_their_value_is_short() {
    let jobs = |name: &'static str| {
        let event = changed("pipeline_success.json", |pipeline| {
            pipeline["object_attributes"]["status"] = json!("failed");
            let job = |n: usize| json!({"id": n, "stage": "test", "name": format!("{name} {n}"), "status": "failed"});
            pipeline["builds"] = (1..=10).map(job).collect();
        });
        let fields = message(&event).fields;
        let jobs = fields.into_iter().find(|field| field.name == "Failed jobs").expect("jobs failed");
        jobs.short
    };
    assert!(jobs("a"));
    assert!(!jobs("rspec unit pg14 praefect"), "ten of these are too long");
}
