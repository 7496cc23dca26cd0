//! Jira: the real daemon and a stand-in for Jira that keeps state. What the stand-in was sent is held against Atlassian's own
//! models (jira.js), and what its issues say is read by other people's client (`jira` of `PyPI`).

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use forgebell::store::{HoldKey, State};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::python;
use crate::harness::wait::eventually;

const PATIENCE: Duration = Duration::from_secs(60);

struct Jira {
    url: String,
    _process: Child,
}

impl Jira {
    async fn start() -> Self {
        let (process, port) = python::server("jira_stand_in.py", &[]).await;
        Self { url: format!("http://127.0.0.1:{port}"), _process: process }
    }

    async fn control(&self, what: &str) -> Value {
        let request = crate::harness::client().post(format!("{}/control/{what}", self.url));
        let answer = request.send().await.expect("the stand-in answers").bytes().await.expect("a body");
        serde_json::from_slice(&answer).expect("JSON")
    }

    fn integration(&self, more: &str) -> String {
        format!(
            "[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"jira\"\nurl = \"{}/jira\"\n\
             jira_auth_type = 1\npassword = \"t0ken\"\n{more}\n",
            self.url
        )
    }
}

/// A push of one commit to the default branch.
fn push(number: usize, message: &str) -> Vec<u8> {
    with(&payload("push.json"), |push| {
        push["ref"] = json!("refs/heads/master");
        push["commits"] = json!([push["commits"][0]]);
        push["total_commits_count"] = json!(1);
        let id = format!("{number:040x}");
        push["commits"][0]["url"] = json!(format!("https://forge.example/mike/diaspora/-/commit/{id}"));
        push["commits"][0]["id"] = json!(id);
        push["commits"][0]["message"] = json!(message);
        push["commits"][0]["title"] = json!(message);
    })
}

/// What Atlassian's models find wrong with requests.
fn problems(requests: &[Value]) -> Vec<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    assert!(
        folder.join("node_modules/jira.js").is_dir(),
        "jira.js is not installed: run `npm ci` in tests/node"
    );
    let mut node = std::process::Command::new("node")
        .arg("jira.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node can't be run: install Node.js 20 or newer, and run `npm ci` in tests/node");
    let mut input = node.stdin.take().expect("piped");
    let lines: String = requests.iter().flat_map(|request| [request.to_string(), "\n".to_owned()]).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = node.wait_with_output().expect("node ends");
    writer.join().expect("no panic").expect("node reads to the end");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    said.lines().map(|line| serde_json::from_str(line).expect("a list")).collect()
}

/// The daemon is killed while any of the calls of a delivery is under way: Jira has carried the call out, and the answer is
/// lost with the daemon.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_any_two_steps_tells_an_issue_nothing_twice() {
    // A delivery makes nine calls. The last round is not interrupted.
    const ROUNDS: usize = 10;
    let jira = Jira::start().await;
    let transitions = "jira_issue_transition_automatic = true";
    let home =
        Home::new(&jira.integration(transitions)).with(&["rate_limits.enabled=false", "delivery.lease=10s"]);
    let mut daemon = home.start().await;
    for round in 1..=ROUNDS {
        // It begins in a state from which the issue can be done at once.
        jira.control(&format!("begin?key=ABC-{round}&status=3")).await;
        if round < ROUNDS {
            jira.control(&format!("hang?at={round}")).await;
        }
        let event = push(round, &format!("Fixes ABC-{round} {{code}} [~ada]"));
        assert_eq!(daemon.send(&format!("round {round}"), event).await.0, 202);
        if round < ROUNDS {
            eventually("the call hangs", PATIENCE, async || {
                (jira.control("hung").await["hung"] == 1).then_some(())
            })
            .await;
            daemon.crash();
            jira.control("go").await;
            daemon = home.start().await;
        }
        home.until(State::Delivered, round).await;
    }
    daemon.stop().await;
    let state = jira.control("state").await;
    for round in 1..=ROUNDS {
        let issue = &state["issues"][format!("ABC-{round}")];
        let moves: Vec<&str> =
            issue["moves"].as_array().expect("moves").iter().filter_map(Value::as_str).collect();
        let comments = issue["comments"].as_array().expect("comments").len();
        let links = issue["links"].as_array().expect("links").len();
        assert_eq!((moves.as_slice(), comments, links), (&["31"][..], 2, 1), "round {round}: {issue}");
    }
    let requests = state["requests"].as_array().expect("requests");
    let problems = problems(requests);
    assert_eq!(problems.len(), requests.len());
    let wrong: Vec<_> = requests.iter().zip(&problems).filter(|(_, problems)| !problems.is_empty()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let keys: Vec<String> = (1..=ROUNDS).map(|round| format!("ABC-{round}")).collect();
    let url = format!("{}/jira", jira.url);
    let arguments: Vec<&str> = std::iter::once(url.as_str()).chain(keys.iter().map(String::as_str)).collect();
    let read: Value =
        serde_json::from_str(&python::script("jira_reader.py", &arguments).await).expect("JSON");
    for round in 1..=ROUNDS {
        let issue = &read[format!("ABC-{round}")];
        let commit = format!("https://forge.example/mike/diaspora/-/commit/{round:040x}");
        let comments = issue["comments"].as_array().expect("comments");
        let says = |words: &str| {
            comments.iter().filter(|text| text.as_str().is_some_and(|text| text.contains(words))).count()
        };
        assert_eq!(says(&format!(" mentioned this issue in [a commit|{commit}] of ")), 1, "{issue}");
        assert_eq!(says(&format!("Issue solved with [{round:040x}|{commit}].")), 1, "{issue}");
        assert_eq!(says("\\{code\\} \\[\\~ada\\]"), 1, "people's words open nothing: {issue}");
        let link = json!([{
            "url": commit, "title": format!("Solved by commit {round:040x}."), "resolved": true,
            "relationship": "mentioned on", "id": format!("forgebell={commit}"),
        }]);
        assert_eq!(issue["links"], link);
        assert_eq!((&issue["status"], &issue["resolution"]), (&json!("Done"), &json!("Done")));
    }
}

/// Tests the judge itself, which might otherwise pass everything unnoticed.
#[test]
fn a_wrong_request_is_reported() {
    let request = |path: &str, body: Value| json!({ "method": "POST", "path": path, "body": body });
    let wrong = [
        request("issue/1/remotelink", json!({ "GlobalID": "x", "object": { "url": "u", "title": "t" } })),
        request(
            "issue/1/remotelink",
            json!({ "globalId": "x".repeat(256), "object": { "url": "u", "title": "t" } }),
        ),
        request("issue/1/remotelink", json!({ "object": { "url": "u", "title": "t", "colour": 1 } })),
        request("issue/1/comment", json!({ "body": "" })),
        request("issue/1/transitions", json!({ "transition": { "id": "3", "number": 3 } })),
        request("issue/1/worklog", json!({})),
    ];
    for (request, problems) in wrong.iter().zip(problems(&wrong)) {
        assert!(!problems.is_empty(), "nothing is wrong with {request}");
    }
}

/// The issues of one project that are not there, or not to be seen, are no failures; the commits of one issue are told in order.
#[tokio::test(flavor = "multi_thread")]
async fn hidden_issues_are_skipped_and_commits_of_an_issue_are_told_in_order() {
    let jira = Jira::start().await;
    let home = Home::new(&jira.integration("")).with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    assert_eq!(daemon.send("hidden", push(1, "See HIDDEN-1")).await.0, 202);
    let skipped = home.until(State::Skipped, 1).await;
    let note = skipped[0].last_note.as_deref().unwrap_or_default();
    assert!(note.starts_with("Jira has no issue HIDDEN-1, or its user may not see it"), "{note}");
    let several = with(&push(2, "x"), |push| {
        let commit = push["commits"][0].clone();
        let commits = (10..20).map(|number| {
            let mut commit = commit.clone();
            let id = format!("{number:040x}");
            commit["url"] = json!(format!("https://forge.example/c/{id}"));
            commit["id"] = json!(id);
            commit["message"] = json!(format!("ABC-7: part {number}"));
            commit["title"] = commit["message"].clone();
            commit
        });
        push["commits"] = commits.collect();
        push["total_commits_count"] = json!(10);
    });
    assert_eq!(daemon.send("several", several).await.0, 202);
    home.until(State::Delivered, 10).await;
    daemon.stop().await;
    let state = jira.control("state").await;
    let comments = state["issues"]["ABC-7"]["comments"].as_array().expect("comments");
    let parts: Vec<&str> =
        comments.iter().filter_map(|comment| comment["body"].as_str()?.split("part ").nth(1)).collect();
    let expected: Vec<String> = (10..20).map(|number| format!("{number}{{quote}}")).collect();
    assert_eq!(parts, expected);
}

/// Jira's Data Center wants a CAPTCHA from a user after a few refused logins.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_tried_twice_at_most_for_six_issues_until_it_is_corrected() {
    for (password, reason) in [("wr0ng", "AUTHENTICATED_FAILED"), ("l0cked", "AUTHENTICATION_DENIED")] {
        let jira = Jira::start().await;
        let with_login = |password: &str| {
            let login = format!("username = \"forgebell\"\npassword = \"{password}\"");
            jira.integration("").replace("jira_auth_type = 1\npassword = \"t0ken\"", &login)
        };
        let home = Home::new(&with_login(password)).with(&["rate_limits.enabled=false"]);
        let daemon = home.start().await;
        let message = "See ABC-1, ABC-2, ABC-3, ABC-4, ABC-5 and ABC-6";
        assert_eq!(daemon.send("six issues", push(1, message)).await.0, 202);
        let hold = eventually("something is held", PATIENCE, async || {
            let holds =
                home.ledger().await.holds(forgebell::daemon::now()).await.expect("the store can be read");
            assert!(holds.len() <= 1, "{holds:?}");
            holds.into_iter().next()
        })
        .await;
        assert!(matches!(hold.key, HoldKey::Destination(_)), "{hold:?}");
        home.until(State::Waiting, 6).await;
        let refused = jira.control("state").await["refused"].as_array().expect("a list").clone();
        assert!((1..=2).contains(&refused.len()), "{refused:?}");
        assert!(refused.iter().all(|known| known == reason), "{refused:?}");
        home.provision(&with_login("t0ken"));
        daemon.reload().await.expect("valid settings");
        home.until(State::Delivered, 6).await;
        daemon.stop().await;
        assert_eq!(jira.control("state").await["refused"], json!(refused), "none more was tried");
    }
}
