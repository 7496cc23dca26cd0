//! The page, used as a person uses it: the real daemon, a scripted service, and Debian's Chromium (`tests/node/page.mjs`).
//!
//! `FORGEBELL_PICTURES=folder` keeps screenshots of every page.

use std::path::Path;
use std::process::Stdio;

use forgebell::store::State;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::harness::api::administered;
use crate::harness::daemon::{Daemon, Home};
use crate::harness::payloads::{payload, with};
use crate::harness::receiver::{Answer, Hook, Receiver};

/// The key of the secrets.
const KEY: &str = "secrets.key=ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8=";
const PROJECT: i64 = 42;

/// A project whose Slack integration has the wrong webhook, and one delivery that was given up because of it.
struct Case {
    home: Home,
    daemon: Daemon,
    token: String,
    right: Hook,
    _service: Receiver,
}

fn push(subject: &str) -> Vec<u8> {
    with(&payload("push.json"), |json| {
        json["project"]["id"] = json!(PROJECT);
        json["project_id"] = json!(PROJECT);
        json["ref"] = json!("refs/heads/master");
        json["user_name"] = json!(subject);
    })
}

impl Case {
    async fn new() -> Self {
        let service = Receiver::start().await;
        let wrong = service.at("/services/T0/B0/wrong").answer(Answer::status(400).body("invalid_payload"));
        let right = service.slack_like("/services/T0/B0/right");
        let home = Home::new("").with(&["rate_limits.enabled=false", KEY]);
        let (daemon, admin) = administered(&home).await;
        let settings = json!({ "webhook": wrong.url(), "channel": "#ops", "branches_to_be_notified": "all" });
        admin.put(&format!("/projects/{PROJECT}/integrations/slack"), settings).await;
        assert_eq!(daemon.send("told", push("Ada")).await.0, 202);
        home.until(State::Failed, 1).await;
        Self { token: admin.token, home, daemon, right, _service: service }
    }

    /// Runs the browser's script.
    async fn browse(&self, what: &str, pages: &[String]) -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        assert!(
            folder.join("node_modules/playwright-core").is_dir(),
            "playwright-core is not installed: run `npm ci` in tests/node"
        );
        let profile = tempfile::tempdir().expect("a folder for the browser");
        let pictures = std::env::var("FORGEBELL_PICTURES").ok();
        let pictures = pictures.map(|folder| std::path::absolute(folder).expect("a folder's name"));
        let input = json!({
            "base": self.daemon.base(), "token": self.token, "webhook": self.right.url(),
            "profile": profile.path(), "pages": pages, "pictures": pictures,
        });
        let mut node = tokio::process::Command::new("node")
            .args(["page.mjs", what])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node can't be run: install Node.js 20 or newer, and run `npm ci` in tests/node");
        let mut stdin = node.stdin.take().expect("piped");
        stdin.write_all(input.to_string().as_bytes()).await.expect("node reads");
        drop(stdin);
        let ended = tokio::time::timeout(std::time::Duration::from_secs(300), node.wait_with_output()).await;
        let ended = ended.expect("the browser ends in time").expect("node ends");
        assert!(ended.status.success(), "page.mjs {what} ended with {}", ended.status);
        serde_json::from_slice(&ended.stdout).expect("one JSON object")
    }
}

#[tokio::test]
async fn a_person_finds_a_failed_delivery_mends_its_webhook_and_sees_it_delivered() {
    let case = Case::new().await;
    let seen = case.browse("walk", &[]).await;
    let text = |name: &str| seen[name].as_str().unwrap_or_else(|| panic!("{name}: {seen}")).to_owned();
    assert_eq!(text("problem"), "1 problem needs a look.");
    assert!(text("why").contains("invalid_payload"), "{seen}");
    assert_eq!(text("state"), "failed");
    assert_eq!(text("shownSecret"), "", "a stored webhook is not shown");
    assert!(text("refused").contains("must be a valid URL"), "{seen}");
    assert!(text("saved").contains("The settings are saved"), "{seen}");
    assert!(text("test").contains("accepted"), "{seen}");
    assert_eq!(text("end"), "delivered");
    assert!(text("event").contains("delivered") && text("event").contains("the same"), "{seen}");
    assert_eq!(text("afterLogOut"), "/-/login");
    case.home.until(State::Delivered, 1).await;
    let told = case.right.received();
    let texts: Vec<String> = told.iter().map(|received| received.text()).collect();
    assert_eq!(told.len(), 2, "the test and the retry: {texts:?}");
    assert!(texts[1].contains("Ada"), "{texts:?}");
    case.daemon.stop().await;
}

#[tokio::test]
async fn the_keyboard_leads_past_the_navigation_to_the_form_and_the_focus_is_seen() {
    let case = Case::new().await;
    let seen = case.browse("keys", &[]).await;
    assert_eq!(seen["first"]["text"], "Skip to the content", "{seen}");
    assert_eq!(seen["afterSkip"]["name"], "state", "the first field of the form: {seen}");
    assert_eq!(seen["next"]["name"], "project", "{seen}");
    for focused in ["first", "afterSkip", "next"] {
        assert_eq!(
            (&seen[focused]["inView"], &seen[focused]["outlined"]),
            (&json!(true), &json!(true)),
            "{seen}"
        );
    }
    case.daemon.stop().await;
}

/// What axe-core and the browser found on a page.
#[derive(Debug, Deserialize)]
struct Verdict {
    look: String,
    page: String,
    violations: Vec<String>,
    passes: usize,
    scripts: usize,
    /// By how much the page is wider than the window.
    overflow: i64,
    /// What the browser logged as errors, and what it fetched from elsewhere.
    #[serde(default)]
    complaints: Vec<String>,
}

#[tokio::test]
async fn every_page_passes_the_judge_of_accessibility_in_light_dark_and_narrow() {
    let case = Case::new().await;
    assert_eq!(case.daemon.send("odd", b"{\"object_kind\":\"push\"}".to_vec()).await.0, 400);
    let delivery = case.home.deliveries(Some(State::Failed)).await[0].id;
    let quarantined = case.home.quarantined().await;
    let quarantined = quarantined.first().expect("what is no event is in quarantine").number;
    let mut pages: Vec<String> =
        ["/", "/-/integrations", "/-/deliveries", "/-/events", "/-/holds", "/-/quarantine", "/-/audit"]
            .map(str::to_owned)
            .into();
    pages.extend([
        format!("/-/deliveries/{delivery}"),
        "/-/events/told".to_owned(),
        format!("/-/projects/{PROJECT}"),
        format!("/-/projects/{PROJECT}/slack"),
        format!("/-/projects/{PROJECT}/jira"),
        format!("/-/quarantine/{quarantined}"),
        "/-/preview?trigger=pipeline".to_owned(),
        format!("/-/preview?integration={PROJECT}:slack"),
        format!("/-/preview?delivery={delivery}"),
        "/api/v4/docs".to_owned(),
        "/api/v4/docs/slack".to_owned(),
        "/-/nothing".to_owned(),
    ]);
    let found = case.browse("judge", &pages).await;
    let verdicts: Vec<Verdict> = serde_json::from_value(found).expect("verdicts");
    assert_eq!(verdicts.len(), 3 * (pages.len() + 1));
    for Verdict { look, page, violations, passes, scripts, overflow, complaints } in &verdicts {
        assert!(*passes > 5, "{page} was looked at: {passes}");
        assert_eq!(violations, &Vec::<String>::new(), "{page}, {look}");
        assert_eq!((*scripts, *overflow), (0, 0), "{page}, {look}");
        let complaints: Vec<_> = complaints.iter().filter(|it| !it.contains("404")).collect();
        assert!(complaints.is_empty(), "{page}, {look}: {complaints:?}");
    }
    case.daemon.stop().await;
}

#[tokio::test]
async fn the_page_can_be_switched_off() {
    let home = Home::new("").with(&["http.page=false"]);
    let daemon = home.start().await;
    for path in ["/", "/-/login", "/-/deliveries"] {
        let (status, _) = daemon.get(path).await.expect("an answer");
        assert_eq!(status, 404, "{path}");
    }
    daemon.stop().await;
}
