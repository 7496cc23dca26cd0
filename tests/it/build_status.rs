//! What became of builds: the real daemon asks build services, tells people, and serves what it knows.

use std::time::Duration;

use forgebell::store::registry::{Right, ScopeKey};
use forgebell::store::{EventFilter, HoldCause, State};
use serde_json::{Value, json};

use crate::harness::api;
use crate::harness::daemon::{Daemon, Home};
use crate::harness::payloads::{payload, with};
use crate::harness::python;
use crate::harness::receiver::{Answer, Hook, Receiver};
use crate::harness::wait::eventually;

/// The commit and branch of `push.json`.
const SHA: &str = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7";

/// A home in which questions come quickly.
fn home(provisioning: &str) -> Home {
    Home::new(provisioning).with(&[
        "rate_limits.enabled=false",
        "builds.first_pause=100ms",
        "builds.second_pause=200ms",
        "builds.longest_pause=300ms",
    ])
}

fn teamcity(server: &Receiver) -> String {
    format!(
        "[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"teamcity\"\nteamcity_url = \"{}\"\n\
         build_type = \"Rocket\"\nannounce_result = true\n\n",
        server.url("/")
    )
}

fn slack(hook: &Hook, more: &str) -> String {
    format!(
        "[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"slack\"\nwebhook = \"{}\"\npush_events = false\n{more}\n\n",
        hook.url()
    )
}

/// A TeamCity that queues a build, and whose build goes through these states.
fn builds(server: &Receiver, states: &[(&str, &str)]) -> (Hook, Hook) {
    let queue = server
        .at("/httpAuth/app/rest/buildQueue")
        .answer(Answer::status(200).body(r#"<build id="71" buildTypeId="Rocket" state="queued"/>"#));
    let locator = format!(
        "buildType:(id:(Rocket)),branch:unspecified:any,revision:{SHA},running:any,canceled:any,failedToStart:any"
    );
    let answer = |(state, status): &(&str, &str)| {
        Answer::json(200, &json!({"id": 71, "state": state, "status": status}))
    };
    let mut answers: Vec<Answer> = states.iter().map(answer).collect();
    let last = answers.pop().expect("a build ends somehow");
    let asked = server.at(&format!("/httpAuth/app/rest/builds/{locator}")).answer_then(answers, last);
    (queue, asked)
}

/// The statuses of the commit in the API, once the first one is this.
async fn statuses(daemon: &Daemon, home: &Home, status: &str) -> Value {
    let client = api::caller(home, daemon, ScopeKey::Instance, Right::Read).await;
    eventually(&format!("the build is {status}"), Duration::from_secs(30), async || {
        let path = format!("/projects/mike%2Fdiaspora/repository/commits/{SHA}/statuses");
        let (_, found) = client.ask("GET", &path, None).await;
        (found[0]["status"] == status).then_some(found)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_failed_is_told_in_the_chat_and_served_in_gitlabs_form() {
    let (server, chat) = (Receiver::start().await, Receiver::start().await);
    let (queue, asked) = builds(&server, &[("running", "SUCCESS"), ("finished", "FAILURE")]);
    let told = chat.slack_like("/services/T0/B0/builds");
    let home = home(&(teamcity(&server) + &slack(&told, "")));
    let daemon = home.start().await;
    daemon.send("one", payload("push.json")).await;
    let text = told.wait_for(1).await[0].text();
    assert!(text.contains("JetBrains TeamCity build") && text.contains("failed"), "{text}");
    assert!(text.contains("/viewLog.html?buildId=71"), "{text}");
    let found = statuses(&daemon, &home, "failed").await;
    assert_eq!((&found[0]["name"], &found[0]["ref"]), (&json!("teamcity"), &json!("master")));
    assert_eq!(found[0]["target_url"], server.url("/viewLog.html?buildId=71&buildTypeId=Rocket"));
    assert_eq!(
        (queue.received().len(), asked.received().len()),
        (1, 2),
        "an ended build is not asked for again"
    );
    home.until(State::Delivered, 2).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_passed_follows_the_filters_of_the_chat() {
    let (server, chat) = (Receiver::start().await, Receiver::start().await);
    let (_, asked) = builds(&server, &[("finished", "SUCCESS")]);
    let broken_only = chat.slack_like("/services/T0/B0/broken");
    let home = home(&(teamcity(&server) + &slack(&broken_only, "notify_only_broken_pipelines = true")));
    let daemon = home.start().await;
    daemon.send("one", payload("push.json")).await;
    let found = statuses(&daemon, &home, "success").await;
    assert_eq!(found[0]["description"], Value::Null);
    asked.wait_for(1).await;
    let ledger = home.ledger().await;
    eventually("the announcement was dispatched", Duration::from_secs(20), async || {
        // The list has no events of the inbox.
        let filter = EventFilter { kind: Some("pipeline".to_owned()), limit: 1, ..EventFilter::default() };
        ledger.events(filter).await.ok()?.pop()
    })
    .await;
    assert_eq!(broken_only.received().len(), 0, "only broken pipelines are wanted there");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_is_asked_for_after_a_power_cut_too() {
    let (server, chat) = (Receiver::start().await, Receiver::start().await);
    let (queue, asked) =
        builds(&server, &[("running", "SUCCESS"), ("running", "SUCCESS"), ("finished", "FAILURE")]);
    let told = chat.slack_like("/services/T0/B0/builds");
    let home = home(&(teamcity(&server) + &slack(&told, "")));
    let daemon = home.start().await;
    daemon.send("one", payload("push.json")).await;
    asked.wait_for(1).await;
    daemon.crash();
    // A claimed row is put off; the node that claimed it is gone. Its claim is cut short here, in place of a wait.
    let daemon = home.start().await;
    let ledger = home.ledger().await;
    let claimed = eventually("the claim of the former process ends", Duration::from_secs(10), async || {
        let far = forgebell::daemon::now() + jiff::SignedDuration::from_hours(1);
        let found = ledger.claim_watches(far, forgebell::daemon::now(), 10).await.ok()?.watches;
        (!found.is_empty() || !told.received().is_empty()).then_some(found)
    })
    .await;
    assert!(claimed.len() <= 1);
    told.wait_for(1).await;
    assert_eq!(queue.received().len(), 1, "one build");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_ten_megabytes_is_named_and_the_service_is_asked_again() {
    let server = Receiver::start().await;
    let (_, asked) = builds(&server, &[("finished", "FAILURE")]);
    let huge = json!({"padding": "x".repeat(10_000_000), "id": 71, "state": "finished", "status": "SUCCESS"});
    let huge = Answer::json(200, &huge);
    let last = Answer::json(200, &json!({"id": 71, "state": "finished", "status": "FAILURE"}));
    let asked = asked.answer_then(vec![huge.clone(), huge], last);
    let home = home(&teamcity(&server));
    let daemon = home.start().await;
    daemon.send("one", payload("push.json")).await;
    let store = home.ledger().await;
    let note = eventually("the failure is noted", Duration::from_secs(30), async || {
        let watches = store.commit_statuses(15, SHA).await.ok()?;
        watches.into_iter().map(|watch| watch.note).find(|note| !note.is_empty())
    })
    .await;
    assert!(note.contains("answered 200 with 1024 KiB or more, which are not read"), "{note}");
    statuses(&daemon, &home, "failed").await;
    assert_eq!(asked.received().len(), 3);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_question_holds_what_is_sent_to_the_service_too() {
    let server = Receiver::start().await;
    let (queue, asked) = builds(&server, &[("finished", "SUCCESS")]);
    let asked = asked.answer(Answer::throttled(Duration::from_secs(1800)));
    let home = home(&teamcity(&server));
    let daemon = home.start().await;
    daemon.send("one", push((15, "mike/diaspora"), SHA)).await;
    asked.wait_for(1).await;
    let store = home.ledger().await;
    let holds = eventually("the destination is held", Duration::from_secs(30), async || {
        let holds = store.holds(forgebell::daemon::now()).await.ok()?;
        (!holds.is_empty()).then_some(holds)
    })
    .await;
    assert_eq!((holds.len(), holds[0].cause), (1, HoldCause::Throttled));
    daemon.send("two", push((15, "mike/diaspora"), &"c".repeat(40))).await;
    home.until(State::Waiting, 1).await;
    assert_eq!((queue.received().len(), asked.received().len()), (1, 1));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_question_holds_those_about_other_commits() {
    let server = Receiver::start().await;
    let other = "c".repeat(40);
    let at = |sha: &str| server.at(&format!("/acme/quick/status/{sha}.json"));
    let asked = at(SHA).answer(Answer::throttled(Duration::from_secs(1800)));
    let not_asked = at(&other).answer(Answer::json(200, &json!({"status": "success"})));
    let mock_ci = format!(
        "[[integration]]\nproject = \"acme/quick\"\nadapter = \"mock-ci\"\nmock_service_url = \"{}\"\n\n",
        server.url("")
    );
    let home = home(&mock_ci);
    let daemon = home.start().await;
    let store = home.ledger().await;
    let watches_wait = async |count: u64| {
        let what = format!("{count} watches wait for the end of the hold");
        eventually(&what, Duration::from_secs(30), async || {
            let overview = store.overview().await.ok()?;
            let soon = forgebell::daemon::now() + jiff::SignedDuration::from_secs(900);
            (overview.watches == count && overview.first_watch_due? > soon).then_some(())
        })
        .await;
    };
    daemon.send("one", push((51, "acme/quick"), SHA)).await;
    asked.wait_for(1).await;
    watches_wait(1).await;
    daemon.send("two", push((51, "acme/quick"), &other)).await;
    watches_wait(2).await;
    assert_eq!((asked.received().len(), not_asked.received().len()), (1, 0));
    daemon.stop().await;
}

/// A push of this commit to a project.
fn push(project: (i64, &str), sha: &str) -> Vec<u8> {
    with(&payload("push.json"), |push| {
        push["project_id"] = json!(project.0);
        push["project"]["id"] = json!(project.0);
        push["project"]["path_with_namespace"] = json!(project.1);
        push["after"] = json!(sha);
        push["checkout_sha"] = json!(sha);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_server_that_hangs_delays_questions_to_itself_alone() {
    const PUSHES: usize = 12;
    let (hangs, answers) = (Receiver::start().await, Receiver::start().await);
    let mock_ci = |project: &str, server: &Receiver| {
        format!(
            "[[integration]]\nproject = \"{project}\"\nadapter = \"mock-ci\"\nmock_service_url = \"{}\"\n\n",
            server.url("")
        )
    };
    let sha = |number: usize| format!("{number:040x}");
    for number in 0..PUSHES {
        hangs.at(&format!("/acme/slow/status/{}.json", sha(number))).answer(Answer::hang());
    }
    answers
        .at(&format!("/acme/quick/status/{SHA}.json"))
        .answer(Answer::json(200, &json!({"status": "success"})));
    let home = home(&(mock_ci("acme/slow", &hangs) + &mock_ci("acme/quick", &answers)));
    let daemon = home.start().await;
    for number in 0..PUSHES {
        daemon.send(&format!("slow {number}"), push((50, "acme/slow"), &sha(number))).await;
    }
    hangs.wait_for(1).await;
    daemon.send("quick", push((51, "acme/quick"), SHA)).await;
    let store = home.ledger().await;
    eventually("the other build is known", Duration::from_secs(30), async || {
        let watches = store.commit_statuses(51, SHA).await.ok()?;
        watches.iter().any(|watch| watch.ended_at.is_some()).then_some(())
    })
    .await;
    // A question is given up after ten seconds: before the first one was, the other server had answered.
    assert_eq!(hangs.received().len(), 4, "a server has few questions at once");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mock_ci_is_asked_for_every_push_and_sent_nothing() {
    let (mut stand_in, port) = python::server("mock_ci.py", &["success_with_warnings"]).await;
    let chat = Receiver::start().await;
    let told = chat.slack_like("/services/T0/B0/builds");
    let mock_ci = format!(
        "[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"mock-ci\"\nannounce_result = true\n\
         mock_service_url = \"http://127.0.0.1:{port}\"\n\n"
    );
    let home = home(&(mock_ci + &slack(&told, "notify_only_broken_pipelines = false")));
    let daemon = home.start().await;
    daemon.send("one", payload("push.json")).await;
    let text = told.wait_for(1).await[0].text();
    assert!(text.contains("MockCI build") && text.contains("passed with warnings"), "{text}");
    let found = statuses(&daemon, &home, "success").await;
    assert_eq!(found[0]["description"], "passed with warnings");
    assert_eq!(found[0]["target_url"], format!("http://127.0.0.1:{port}/mike/diaspora/status/{SHA}"));
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    stand_in.kill().await.expect("it is ours");
}
