//! Trackers and wikis elsewhere: their settings through the API, and messages that lead to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::api::{Caller, administered};
use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::receiver::Receiver;

const TITLE: &str = "Fix ABC-7 and #12, not CVE-2024-1 (https://a.example/ABC-8)";

/// The payload, of project 42, with this title as that of its first commit.
fn told(file: &str) -> Vec<u8> {
    with(&payload(file), |event| {
        event["project"]["id"] = json!(42);
        event["project_id"] = json!(42);
        if let Some(commit) = event["commits"].get_mut(0) {
            commit["title"] = json!(TITLE);
            commit["message"] = json!(TITLE);
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn references_lead_to_the_tracker_that_the_project_has_at_the_time_of_the_attempt() {
    let chat = Receiver::start().await;
    let hook = chat.slack_like("/services/T0/B0/hook");
    let home = Home::new("").with(&["rate_limits.enabled=false"]);
    let (daemon, admin) = administered(&home).await;
    admin.put("/projects/42", json!({})).await;
    admin.put("/projects/42/integrations/slack", json!({ "webhook": hook.url() })).await;
    let redmine = json!({
        "project_url": "https://redmine.example.com/projects/rocket",
        "issues_url": "https://redmine.example.com/issues/:id",
        "new_issue_url": "https://redmine.example.com/projects/rocket/issues/new",
    });
    let link = "<https://redmine.example.com/issues/7|ABC-7>";
    let short = "<https://redmine.example.com/issues/12|#12>";
    let says = async |id: &str, count: usize| {
        assert_eq!(daemon.send(id, told("push.json")).await.0, 202);
        let heard = hook.wait_for(count).await;
        heard[count - 1].json().to_string()
    };

    let without = says("without", 1).await;
    assert!(without.contains("Fix ABC-7 and #12") && !without.contains("redmine"), "{without}");

    admin.put("/projects/42/services/redmine", redmine.clone()).await;
    let with_tracker = says("with", 2).await;
    assert!(with_tracker.contains(link) && !with_tracker.contains(short), "{with_tracker}");
    assert_eq!(with_tracker.matches("redmine.example.com").count(), without.matches("ABC-7").count());

    let mut both = redmine;
    both["short_references"] = json!(true);
    admin.put("/projects/42/integrations/redmine", both).await;
    let with_numbers = says("numbers", 3).await;
    assert!(with_numbers.contains(link) && with_numbers.contains(short), "{with_numbers}");

    admin.ask("DELETE", "/projects/42/integrations/redmine", None).await;
    assert_eq!(says("after", 4).await, without);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_about_a_wiki_page_leads_to_the_wiki_elsewhere() {
    let chat = Receiver::start().await;
    let hook = chat.slack_like("/services/T0/B0/hook");
    let home = Home::new("").with(&["rate_limits.enabled=false"]);
    let (daemon, admin) = administered(&home).await;
    admin.put("/projects/42", json!({})).await;
    admin.put("/projects/42/integrations/slack", json!({ "webhook": hook.url() })).await;
    let wikis = [
        ("confluence", "confluence_url", "https://rocket.atlassian.net/wiki"),
        ("external-wiki", "external_wiki_url", "https://wiki.example.com/rocket"),
    ];
    for (count, (slug, setting, url)) in wikis.into_iter().enumerate() {
        admin.put(&format!("/projects/42/integrations/{slug}"), json!({ setting: url })).await;
        assert_eq!(daemon.send(slug, told("wiki_page_create.json")).await.0, 202);
        let heard = hook.wait_for(count + 1).await;
        let text = heard[count].json().to_string();
        assert!(text.contains(&format!("<{url}|")), "{text}");
        assert!(text.contains("/wikis/"), "the page's own link stays: {text}");
        admin.ask("DELETE", &format!("/projects/42/integrations/{slug}"), None).await;
    }
    daemon.stop().await;
}

/// Every parameter of GitLab's documentation, of the old and the newer generation, for each tracker and wiki.
fn parameters() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    const PAGES: [(&str, &str); 3] = [
        ("project_url", "https://t.example/p"),
        ("issues_url", "https://t.example/issues/:id"),
        ("new_issue_url", "https://t.example/new"),
    ];
    let titled = [("title", "Our bugs"), ("description", "Bugs of the rocket")];
    let described = [("description", "Bugs of the rocket")];
    vec![
        ("bugzilla", [&PAGES[..], &titled].concat()),
        ("custom-issue-tracker", [&PAGES[..], &titled].concat()),
        ("redmine", [&PAGES[..], &described].concat()),
        ("ewm", PAGES.to_vec()),
        ("youtrack", [&PAGES[..2], &described].concat()),
        ("clickup", PAGES[..2].to_vec()),
        ("phorge", PAGES[..2].to_vec()),
        ("linear", vec![("workspace_url", "https://linear.app/rocket")]),
        ("confluence", vec![("confluence_url", "https://rocket.atlassian.net/wiki")]),
        ("external-wiki", vec![("external_wiki_url", "https://wiki.example.com/rocket")]),
    ]
}

async fn shown(admin: &Caller, path: &str) -> Value {
    let (status, shown) = admin.ask("GET", path, None).await;
    assert_eq!(status, 200, "{path}: {shown}");
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn every_parameter_of_both_generations_is_kept_and_shown() {
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    // A project each: a project has one tracker.
    for (number, (slug, settings)) in (100..).zip(parameters()) {
        admin.put(&format!("/projects/{number}"), json!({})).await;
        for generation in ["services", "integrations"] {
            let path = format!("/projects/{number}/{generation}/{slug}");
            let body: BTreeMap<&str, &str> = settings.iter().copied().collect();
            // Flags of events are accepted, although no event goes there.
            let mut body = json!(body);
            body["push_events"] = json!(true);
            body["issues_events"] = json!(false);
            admin.put(&path, body).await;
            let integration = shown(&admin, &path).await;
            assert_eq!(integration["active"], true, "{integration}");
            for (name, value) in &settings {
                assert_eq!(integration["properties"][*name], *value, "{slug}: {name}");
            }
            let required = settings.iter().filter(|(name, _)| !["title", "description"].contains(name));
            for (name, _) in required {
                let mut lacking = json!(settings.iter().copied().collect::<BTreeMap<&str, &str>>());
                lacking.as_object_mut().expect("an object").remove(*name);
                let (status, answer) = admin.ask("PUT", &path, Some(lacking)).await;
                assert_eq!((status, &answer["error"]), (400, &json!(format!("{name} is missing"))), "{slug}");
            }
        }
    }
    daemon.stop().await;
}
