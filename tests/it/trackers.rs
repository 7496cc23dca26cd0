//! Issue trackers that are told: the real daemon, and receivers that keep the state of those services, also over power cuts.

use std::collections::BTreeMap;
use std::time::Duration;

use forgebell::store::State;
use serde_json::{Value, json};

use crate::harness::api::administered;
use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::postgres;
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::wait::eventually;
use base64::Engine as _;

const SQUASH: &str = "/projects/42/integrations/squash-tm";

const TASK: &str = "1202345678901234";
const STORIES: &str = "/api/1.0/tasks/1202345678901234/stories";

/// An integration of the project that `push.json` comes from.
fn integration(adapter: &str, settings: &[(&str, &str)]) -> String {
    let settings: Vec<_> = settings.iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
    let settings = settings.concat();
    format!("[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"{adapter}\"\n{settings}\n")
}

fn unlimited(provisioning: &str) -> Home {
    Home::new(provisioning).with(&["rate_limits.enabled=false"])
}

/// A push whose only commit says this.
fn push_saying(message: &str) -> Vec<u8> {
    with(&payload("push.json"), |push| {
        let mut commit = push["commits"][0].clone();
        commit["message"] = json!(message);
        push["commits"] = json!([commit]);
        push["total_commits_count"] = json!(1);
    })
}

// ---- Asana -----------------------------------------------------------------------------------------------------------

/// An Asana with one task, which keeps the comments that it gets, whatever it answers then.
struct Asana {
    receiver: Receiver,
}

impl Asana {
    async fn start() -> Self {
        Self { receiver: Receiver::start().await }
    }

    fn home(&self) -> Home {
        unlimited(&integration("asana", &[("api_key", "1/2:k3y"), ("base_url", &self.receiver.url("/"))]))
    }

    /// The comments that it has.
    fn comments(&self) -> Vec<String> {
        let written =
            self.receiver.received_at(STORIES).into_iter().filter(|request| request.method == "POST");
        written.map(|request| request.json()["data"]["text"].as_str().expect("a text").to_owned()).collect()
    }

    /// Its answer to a question for the task's stories, which has all comments.
    fn stories(&self) -> Answer {
        let stories: Vec<Value> =
            self.comments().iter().map(|text| json!({ "gid": "7", "text": text })).collect();
        Answer::json(200, &json!({ "data": stories, "next_page": null }))
    }
}

fn written() -> Answer {
    Answer::json(201, &json!({ "data": { "gid": "7" } }))
}

#[tokio::test(flavor = "multi_thread")]
async fn asana_gets_one_comment_and_one_completion_although_the_daemon_is_killed_between_them() {
    let asana = Asana::start().await;
    let home = asana.home();
    killed_between_comment_and_completion(asana, home).await;
}

/// That an attempt began is written before it, in this database too.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_with_postgresql_repeats_no_comment_either() {
    let asana = Asana::start().await;
    let home = asana.home().with_postgres(&postgres::database(), "one");
    killed_between_comment_and_completion(asana, home).await;
}

async fn killed_between_comment_and_completion(asana: Asana, home: Home) {
    // The comment is written, and its answer never comes.
    let stories = asana.receiver.at(STORIES).answer(Answer::hang());
    let task = asana.receiver.at(&format!("/api/1.0/tasks/{TASK}"));
    let task = task.answer(Answer::json(200, &json!({ "data": { "gid": TASK, "completed": true } })));
    let daemon = home.start().await;
    daemon.send("one", push_saying(&format!("Fixes #{TASK}"))).await;
    stories.wait_for(1).await;
    assert_eq!(task.received().len(), 0, "comments and completions are sent one after the other");
    daemon.crash();

    let stories = stories.answer(asana.stories());
    let home = home.with(&["delivery.lease=10s"]);
    let daemon = home.start().await;
    home.until(State::Delivered, 2).await;
    daemon.stop().await;
    let asked: Vec<String> = stories.received().iter().map(|request| request.method.clone()).collect();
    assert_eq!(asked, ["POST", "GET"], "the comment was looked for and not written again");
    assert_eq!(asana.comments().len(), 1);
    assert_eq!(stories.received()[1].query, "limit=100&opt_fields=text");
    let completions = task.received();
    assert_eq!(completions.len(), 1);
    assert_eq!(
        (completions[0].method.as_str(), completions[0].json()),
        ("PUT", json!({ "data": { "completed": true } }))
    );
    assert_eq!(completions[0].header("authorization"), Some("Bearer 1/2:k3y"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_whose_answer_is_lost_is_looked_for_and_one_that_was_refused_is_written() {
    let asana = Asana::start().await;
    let too_many =
        Answer::json(429, &json!({ "errors": [{ "message": "too many" }] })).header("retry-after", "1");
    // Refused, broken off with the comment written, and then asked for it.
    let stories =
        asana.receiver.at(STORIES).answer_then(vec![too_many, Answer::close()], Answer::status(502));
    let home = asana.home();
    let daemon = home.start().await;
    daemon.send("one", push_saying(&format!("See #{TASK}"))).await;
    stories.wait_for(3).await;
    let first = asana.comments();
    assert_eq!(first.len(), 2, "a refusal wrote nothing, so the second attempt did not look");
    let stories = stories.answer(asana.stories());
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    let asked: Vec<String> = stories.received().iter().map(|request| request.method.clone()).collect();
    assert_eq!(asked[..2], ["POST", "POST"]);
    assert!(asked[2..].iter().all(|method| method == "GET"), "{asked:?}");
    let [one, two] = [0, 1].map(|place| stories.received()[place].at);
    assert!(two - one >= Duration::from_secs(1), "Asana's wait was kept");
    assert!(
        first[0].contains(" pushed to branch master of Mike / Diaspora ( http://example.com/"),
        "{first:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_asana_does_not_know_is_skipped_and_the_others_are_told() {
    let asana = Asana::start().await;
    let unknown = json!({ "errors": [{ "message": "task: Unknown object: 12", "help": "https://developers.asana.com/docs/errors" }] });
    asana.receiver.at("/api/1.0/tasks/12/stories").answer(Answer::json(404, &unknown));
    asana.receiver.at(STORIES).answer(written());
    let home = asana.home();
    let daemon = home.start().await;
    daemon.send("one", push_saying(&format!("#12 #{TASK} #fixme"))).await;
    home.until(State::Delivered, 1).await;
    let skipped = home.until(State::Skipped, 1).await;
    daemon.stop().await;
    assert_eq!(skipped[0].last_note.as_deref(), Some("the token's user can see no such task at Asana"));
    assert!(skipped[0].target.starts_with("12 comment "), "{skipped:?}");
}

// ---- Pivotal Tracker -------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn pivotal_tracker_gets_each_commit_once_although_answers_are_lost() {
    let tracker = Receiver::start().await;
    let commits = tracker.at("/services/v5/source_commits");
    let commits = commits
        .answer_then(vec![Answer::json(200, &json!([])), Answer::close_mid()], Answer::json(200, &json!([])));
    let story = tracker.at("/services/v5/stories/77");
    let push = with(&payload("push.json"), |push| {
        for commit in push["commits"].as_array_mut().expect("commits") {
            commit["message"] = json!("Light the engines [#77]");
        }
    });
    let second: Value = serde_json::from_slice(&push).expect("JSON");
    let id = second["commits"][1]["id"].as_str().expect("an id").to_owned();
    let comments = json!({ "comments": [{ "kind": "comment", "commit_identifier": id }] });
    let story = story.answer(Answer::json(200, &comments));
    let base = tracker.url("/");
    let home = unlimited(&integration("pivotaltracker", &[("token", "pt-t0ken"), ("base_url", &base)]));
    let daemon = home.start().await;
    daemon.send("one", push).await;
    home.until(State::Delivered, 2).await;
    daemon.stop().await;
    let told = commits.received();
    let ids: Vec<Value> = told.iter().map(|told| told.json()["source_commit"]["commit_id"].clone()).collect();
    assert_eq!(ids, [second["commits"][0]["id"].clone(), json!(id)], "each once, in their order");
    assert_eq!(told[0].header("x-trackertoken"), Some("pt-t0ken"));
    assert_eq!(story.received().len(), 1, "the second one was looked for");
}

// ---- Assembla and Squash TM ------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn assembla_gets_the_push_wrapped_byte_for_byte() {
    let service = Receiver::start().await;
    let tool = service.at("/spaces/acme-rocket/github_tool");
    let page = Answer::ok().header("content-type", "text/html").body("<html>Sign in</html>");
    let tool = tool.answer_then(vec![page, Answer::status(404)], Answer::status(200));
    let base = service.url("/");
    let settings = [("token", "s3cret key"), ("subdomain", "acme-rocket"), ("base_url", base.as_str())];
    let home = unlimited(&integration("assembla", &settings));
    let daemon = home.start().await;
    let strange =
        String::from_utf8(payload("push.json")).expect("UTF-8").replacen('{', "{\t\"n\":1.0e2,\"n\":2, ", 1);
    daemon.send("one", strange.clone().into_bytes()).await;
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    let told = tool.received();
    assert_eq!(told.len(), 3, "neither a page nor a bare 404 is Assembla's answer");
    assert_eq!(told[2].text(), format!("{{\"payload\":{strange}}}"));
    assert_eq!(told[2].query, "secret_key=s3cret+key");
    assert_eq!(told[2].header("content-type"), Some("application/json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn squash_tm_gets_issues_and_no_other_events() {
    let service = Receiver::start().await;
    let hook = service.at("/squash/plugin/xsquash4gitlab/webhook/issue").answer(Answer::status(200));
    let url = hook.url();
    let home = unlimited(
        &integration("squash-tm", &[("url", &url), ("token", "squ4sh")])
            .replace("mike/diaspora", "gitlabhq/gitlab-test"),
    );
    let daemon = home.start().await;
    let confidential =
        with(&payload("issue_open.json"), |issue| issue["object_attributes"]["confidential"] = json!(true));
    daemon.send("one", payload("issue_open.json")).await;
    daemon.send("two", confidential.clone()).await;
    daemon.send("three", payload("merge_request_open.json")).await;
    home.until(State::Delivered, 2).await;
    daemon.stop().await;
    let bodies: Vec<Vec<u8>> = hook.received().iter().map(|told| told.body.clone()).collect();
    assert_eq!(bodies, [payload("issue_open.json"), confidential]);
    for told in hook.received() {
        assert_eq!(told.header("x-gitlab-event"), Some("issue Hook"));
        assert_eq!(told.query, "token=squ4sh");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_address_of_squash_tm_does_not_get_the_token_of_the_old_one() {
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let [asked_old, asked_new] = [&old, &new].map(|service| service.at("/hook").answer(Answer::status(200)));
    let home = unlimited("");
    let (daemon, admin) = administered(&home).await;
    admin.put("/projects/42", json!({})).await;
    let test = async || {
        let (status, answer) = admin.ask("POST", &format!("{SQUASH}/test"), None).await;
        assert_eq!((status, &answer["success"]), (200, &json!(true)), "{answer}");
    };
    let set = admin.put(SQUASH, json!({ "url": asked_old.url(), "token": "squ4sh-t0ken" })).await;
    assert_eq!((set["properties"].get("token"), &set["properties"]["url"]), (None, &json!(asked_old.url())));
    test().await;
    assert_eq!(asked_old.received()[0].query, "token=squ4sh-t0ken");
    assert_eq!(asked_old.received()[0].header("x-gitlab-event"), Some("Test Configuration Hook"));
    admin.put(SQUASH, json!({ "url": asked_new.url() })).await;
    test().await;
    assert_eq!(asked_new.received()[0].query, "", "another host does not get the secret");
    daemon.stop().await;
}

// ---- Gemnasium -------------------------------------------------------------------------------------------------------

/// A push that touched these files.
fn push_of_files(files: &[&str]) -> Vec<u8> {
    with(&payload("push.json"), |push| push["commits"][0]["added"] = json!(files))
}

#[tokio::test(flavor = "multi_thread")]
async fn dependency_files_are_read_from_the_forge_and_its_outage_is_not_held_against_gemnasium() {
    let (forge, service) = (Receiver::start().await, Receiver::start().await);
    let files = "/api/v4/projects/15/repository/files";
    let binary: Vec<u8> = (0..=255).collect();
    let contents: BTreeMap<&str, Vec<u8>> = BTreeMap::from([
        ("Gemfile", b"gem 'rails'\n".to_vec()),
        ("a%20b%2F%C3%BC%25.gemspec", binary.clone()),
    ]);
    let hooks: Vec<_> = contents
        .iter()
        .map(|(path, content)| {
            let whole = Answer::ok().header("x-gitlab-blob-id", &"ab".repeat(20)).body(content.clone());
            forge.at(&format!("{files}/{path}/raw")).answer_then(vec![Answer::status(503)], whole)
        })
        .collect();
    let posted = service.at("/v1/projects/acme-rocket/dependency_files");
    let posted = posted.answer(Answer::json(200, &json!({ "added": [] })));
    let base = service.url("");
    let settings = [("api_key", "k3y"), ("token", "acme-rocket"), ("base_url", base.as_str())];
    let home = unlimited(&integration("gemnasium", &settings))
        .with(&[&format!("forge.api_url={}", forge.url("/api/v4")), "forge.token=glpat-x"]);
    let daemon = home.start().await;
    daemon.send("one", push_of_files(&["Gemfile", "a b/ü%.gemspec", "README.md"])).await;
    let delivered = home.until(State::Delivered, 1).await;
    daemon.stop().await;
    assert_eq!(delivered[0].attempts, 3, "each file failed once at the forge: {delivered:?}");
    let told = posted.received();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].header("authorization"), Some("Basic WDprM3k="));
    assert_eq!(told[0].header("x-gms-branch"), Some("master"));
    assert_eq!(told[0].header("x-gms-revision"), Some("da1560886d4f094c3e6c9ef40349f7d38b5d27d7"));
    assert_eq!(told[0].header("private-token"), None);
    let body = told[0].json();
    let paths: Vec<&str> =
        body.as_array().expect("a list").iter().filter_map(|file| file["path"].as_str()).collect();
    assert_eq!(paths, ["Gemfile", "a b/ü%.gemspec"]);
    assert_eq!(
        (&body[0]["content"], &body[0]["sha"]),
        (&json!("Z2VtICdyYWlscycK\n"), &json!("ab".repeat(20)))
    );
    let lines = body[1]["content"].as_str().expect("Base64");
    assert!(lines.lines().rev().skip(1).all(|line| line.len() == 60), "{lines}");
    assert_eq!(base64::prelude::BASE64_STANDARD.decode(lines.replace('\n', "")).expect("Base64"), binary);
    let asked = hooks[0].received();
    assert_eq!(asked[0].query, "ref=da1560886d4f094c3e6c9ef40349f7d38b5d27d7");
    assert_eq!(asked[0].header("private-token"), Some("glpat-x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn gemnasium_without_the_forges_api_is_skipped_and_without_a_server_explained() {
    let service = Receiver::start().await;
    let base = service.url("");
    let settings = [("api_key", "k3y"), ("token", "acme-rocket"), ("base_url", base.as_str())];
    let home = unlimited(&integration("gemnasium", &settings));
    let daemon = home.start().await;
    daemon.send("one", push_of_files(&["Gemfile"])).await;
    let skipped = home.until(State::Skipped, 1).await;
    let note = skipped[0].last_note.clone().unwrap_or_default();
    assert!(note.contains("`forge.api_url` and `forge.token`"), "{note}");
    daemon.stop().await;
    assert_eq!(service.received().len(), 0);

    let home = unlimited("");
    let (daemon, admin) = administered(&home).await;
    admin.put("/projects/15", json!({ "path_with_namespace": "mike/diaspora" })).await;
    let set =
        admin.put("/projects/15/integrations/gemnasium", json!({ "api_key": "k3y", "token": "slug" })).await;
    assert_eq!(set["properties"]["token"], "slug", "it is the project's name");
    assert_eq!(set["properties"].get("api_key"), None);
    let push = serde_json::from_slice(&push_of_files(&["Gemfile"])).expect("JSON");
    let (status, explained) = admin.ask("POST", "/events/explain", Some(push)).await;
    assert_eq!(status, 200);
    assert!(explained.to_string().contains("`base_url` names a compatible server"), "{explained}");
    daemon.stop().await;
}

// ---- Limits ----------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_references_have_a_bound_that_explain_says() {
    let asana = Asana::start().await;
    let home = asana.home();
    let (daemon, admin) = administered(&home).await;
    let message = (1..=10_000).map(|number| format!("#{number} ")).collect::<Vec<_>>().concat();
    let push = serde_json::from_slice(&push_saying(&message)).expect("JSON");
    let (status, explained) = admin.ask("POST", "/events/explain", Some(push)).await;
    assert_eq!(status, 200);
    let said = explained.to_string();
    assert!(said.contains("at most 100 are made for one push"), "{said}");
    assert_eq!(said.matches(" comment ").count(), 100);
    daemon.stop().await;
    eventually("nothing was sent", Duration::from_secs(1), async || {
        asana.receiver.received().is_empty().then_some(())
    })
    .await;
}
