//! Commit statuses, held against GitHub's own description of its API.

use std::path::{Path, PathBuf};

use forgebell::adapters::contract::LazyMessage;
use forgebell::adapters::{self, Notification, OperatorSettings};
use forgebell::call::Request;
use forgebell::event::{Event, EventId};
use forgebell::settings::{Properties, Value};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tokio::process::Command;

use crate::harness::payloads::{self, with};
use crate::harness::program::finished;

/// What people may name a branch or a status, and what no one should.
const WORDS: [&str; 5] = ["main", "", "feature/Ünï\u{202e}\u{200b}🦊", "\"\\\n\0\u{7}", "@octocat <b>"];

fn bodies() -> Vec<Json> {
    let entry = adapters::find("github").expect("there is an adapter for GitHub");
    let mut bodies = Vec::new();
    for (name, raw) in payloads::all() {
        let is_pipeline =
            serde_json::from_slice::<Json>(&raw).is_ok_and(|json| json["object_kind"] == "pipeline");
        if !is_pipeline {
            continue;
        }
        for status in ["created", "pending", "running", "manual", "success", "skipped", "failed", "canceled"]
        {
            for words in WORDS.map(str::to_owned).into_iter().chain(["🦊".repeat(20_000)]) {
                let changed = with(&raw, |json| {
                    for part in ["ref", "detailed_status", "url", "name"] {
                        json["object_attributes"][part] = json!(words);
                    }
                    json["object_attributes"]["status"] = json!(status);
                    json["object_attributes"]["sha"] = json!("bcbb5ec396a2c0f828686f14fac9b80b780504f2");
                });
                let id = EventId::new("1").expect("a short id");
                let event = Event::decode(id, Timestamp::UNIX_EPOCH, changed.into()).expect(&name);
                for is_static in [true, false] {
                    let text = |text: &str| Value::Text(text.to_owned());
                    let settings = Properties::from([
                        ("token".to_owned(), text("ghp_x")),
                        ("repository_url".to_owned(), text("https://github.com/acme/rocket")),
                        ("static_context".to_owned(), Value::Bool(is_static)),
                    ]);
                    let settings = entry.read(&settings).expect("sound settings");
                    let note = Notification {
                        id: "1",
                        event: &event,
                        target: "",
                        now: Timestamp::UNIX_EPOCH,
                        operator: &OperatorSettings::default(),
                        links: forgebell::adapters::ProjectLinks::none(),
                        open_request: None,
                        may_have_been_sent: false,
                        is_test: false,
                        extent: forgebell::integration::Extent::default(),
                        message: LazyMessage::default(),
                    };
                    let Request::Http(request) = entry.call(&settings, &note).expect("a call").request else {
                        panic!("no HTTP")
                    };
                    bodies.push(serde_json::from_slice(&request.body).expect("JSON"));
                }
            }
        }
    }
    bodies
}

/// What GitHub's description finds wrong with each body.
async fn problems(bodies: &[Json]) -> Vec<Vec<String>> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node-long");
    let input = tempfile::NamedTempFile::new().expect("a temporary file");
    let lines: String = bodies.iter().map(|body| format!("{body}\n")).collect();
    std::fs::write(input.path(), lines).expect("the file is ours");
    let mut command = Command::new("sh");
    command.arg("-c").arg("node github-status.mjs < \"$0\"").arg(input.path()).current_dir(folder);
    let said = finished(command).await;
    said.lines().map(|line| serde_json::from_str(line).expect("a list")).collect()
}

#[tokio::test]
async fn github_describes_every_status_as_we_send_it() {
    let bodies = bodies();
    // Three pipelines, each in eight states, with six names, in both contexts.
    assert!(bodies.len() >= 3 * 8 * 6 * 2, "{}", bodies.len());
    let problems = problems(&bodies).await;
    assert_eq!(problems.len(), bodies.len());
    let wrong = bodies.iter().zip(&problems).filter(|(_, problems)| !problems.is_empty());
    let wrong: Vec<_> = wrong.take(5).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{} statuses are as GitHub describes them", bodies.len());
}

/// Tests the check itself, which might otherwise pass everything unnoticed.
#[tokio::test]
async fn a_wrong_status_is_reported() {
    let wrong = [
        json!({ "context": "x" }),
        json!({ "state": "passed" }),
        json!({ "state": "success", "name": "x" }),
        json!({ "state": "success", "context": null }),
        json!({ "state": "success", "description": "x".repeat(141) }),
    ];
    for (body, problems) in wrong.iter().zip(problems(&wrong).await) {
        assert!(!problems.is_empty(), "nothing is wrong with {body}");
    }
}
