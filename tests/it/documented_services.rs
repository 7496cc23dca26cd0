//! Every service that GitLab's documentation of 10.x and 14.x describes: each is listed, takes each documented parameter, and
//! can be tested where GitLab can test it. `tests/documented_services.json` is the table of their parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::task::AbortOnDropHandle;

use crate::harness::api::{Caller, administered};
use crate::harness::daemon::Home;
use crate::harness::mail::faulty::Faulty;
use crate::harness::program::finished;
use crate::harness::python;
use crate::harness::receiver::{Answer, Receiver};

fn table_file() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documented_services.json");
    path.to_str().expect("a path of words").to_owned()
}

fn table() -> BTreeMap<String, Value> {
    let text = std::fs::read(table_file()).expect("the table is there");
    serde_json::from_slice(&text).expect("the table is JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_lists_every_documented_service() {
    let table = table();
    assert_eq!(table.len(), 39);
    let mut program = Command::new(env!("CARGO_BIN_EXE_forgebell"));
    program.args(["adapters", "--json"]).env_clear();
    let listed: Vec<Value> = serde_json::from_str(&finished(program).await).expect("JSON");
    let listed: BTreeSet<&str> = listed.iter().filter_map(|entry| entry["slug"].as_str()).collect();
    let missing: Vec<&str> = table.keys().map(String::as_str).filter(|slug| !listed.contains(slug)).collect();
    assert_eq!(missing, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn python_gitlab_and_curl_set_every_documented_parameter_and_read_it_back() {
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    let table_file = table_file();
    let said = python::script("documented_services.py", &[daemon.base(), &admin.token, &table_file]).await;
    assert_eq!(said.trim(), "39 services");
    daemon.stop().await;
}

/// What a test of a service needs.
struct Tested {
    slug: &'static str,
    /// Its settings; `{at}` is the address of the server that stands in for it, `{port}` its port.
    settings: Value,
    /// The path at which it is called, and its answer.
    path: &'static str,
    status: u16,
    body: &'static str,
}

fn tested(
    slug: &'static str,
    settings: Value,
    path: &'static str,
    status: u16,
    body: &'static str,
) -> Tested {
    Tested { slug, settings, path, status, body }
}

/// A chat service with a webhook at this path.
fn webhook(slug: &'static str, path: &'static str, status: u16, body: &'static str) -> Tested {
    tested(slug, json!({ "webhook": format!("{{at}}{path}") }), path, status, body)
}

/// A tracker that people are led to.
fn tracker(slug: &'static str) -> Tested {
    let mut settings = json!({ "issues_url": "{at}/i/:id", "project_url": "{at}/rocket" });
    if slug != "youtrack" {
        settings["new_issue_url"] = json!("{at}/new");
    }
    tested(slug, settings, "/rocket", 200, "")
}

/// Services over HTTP. Those that are not here are mails, irker, and those of [`UNTESTABLE`].
#[expect(clippy::too_many_lines, reason = "a table")]
fn over_http() -> Vec<Tested> {
    let login = json!({ "username": "ada", "password": "x" });
    let with = |more: Value, mut settings: Value| {
        settings.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        settings
    };
    vec![
        tested(
            "asana",
            json!({ "api_key": "k3y", "base_url": "{at}" }),
            "/api/1.0/users/me",
            200,
            r#"{"data":{}}"#,
        ),
        tested(
            "assembla",
            json!({ "token": "t", "subdomain": "acme", "base_url": "{at}" }),
            "/spaces/acme/github_tool",
            200,
            "",
        ),
        tested(
            "bamboo",
            with(login.clone(), json!({ "bamboo_url": "{at}", "build_key": "A-B" })),
            "/updateAndBuild.action",
            200,
            "",
        ),
        tracker("bugzilla"),
        tested(
            "buildkite",
            json!({ "token": "a:b", "project_url": "https://buildkite.com/a/b", "base_url": "{at}" }),
            "/deliver/a",
            200,
            "{}",
        ),
        tested(
            "campfire",
            json!({ "token": "t", "room": "Lobby", "base_url": "{at}" }),
            "/rooms.json",
            200,
            r#"{"rooms":[{"id":7,"name":"Lobby"}]}"#,
        ),
        tracker("custom-issue-tracker"),
        tested(
            "jira",
            with(login.clone(), json!({ "url": "{at}" })),
            "/rest/api/2/serverInfo",
            200,
            r#"{"baseUrl":"https://jira.example","deploymentType":"Server","version":"9.12.0"}"#,
        ),
        tested("datadog", json!({ "api_key": "k3y", "api_url": "{at}/in" }), "/in", 202, "{}"),
        webhook("discord", "/api/webhooks/1/t0ken", 200, r#"{"id":"1"}"#),
        tested("drone-ci", json!({ "token": "t", "drone_url": "{at}" }), "/hook", 200, r#"{"id":7}"#),
        tracker("ewm"),
        tested("external-wiki", json!({ "external_wiki_url": "{at}/wiki" }), "/wiki", 200, "welcome"),
        tested("flowdock", json!({ "token": "t", "base_url": "{at}" }), "/v1/messages", 200, "{}"),
        tested(
            "github",
            json!({ "token": "t", "repository_url": "{at}/acme/rocket" }),
            "/api/v3/repos/acme/rocket/statuses/c4d1e8f7a6b5930217e4d8c9b0a3f6e5d2c1b7a8",
            201,
            r#"{"id":1}"#,
        ),
        tested(
            "hangouts-chat",
            json!({ "webhook": "{at}/v1/spaces/A/messages?key=k&token=t" }),
            "/v1/spaces/A/messages",
            200,
            r#"{"name":"spaces/A/messages/B"}"#,
        ),
        tested(
            "hipchat",
            json!({ "token": "t", "room": "dev", "server": "{at}" }),
            "/v2/room/dev/notification",
            204,
            "",
        ),
        tested(
            "jenkins",
            json!({ "jenkins_url": "{at}", "project_name": "rocket" }),
            "/project/rocket",
            200,
            "",
        ),
        tested(
            "jenkins-deprecated",
            json!({ "project_url": "{at}/job/rocket" }),
            "/gitlab/build_now",
            200,
            "",
        ),
        webhook("mattermost", "/hooks/abc", 200, "ok"),
        tested(
            "microsoft-teams",
            json!({ "webhook": "{at}/hook", "webhook_kind": "workflows" }),
            "/hook",
            202,
            "",
        ),
        tested(
            "packagist",
            json!({ "username": "ada", "token": "t", "server": "{at}" }),
            "/api/update-package",
            202,
            "{}",
        ),
        tested(
            "pivotaltracker",
            json!({ "token": "t", "base_url": "{at}" }),
            "/services/v5/source_commits",
            200,
            "[]",
        ),
        tested(
            "prometheus",
            json!({ "api_url": "{at}" }),
            "/api/v1/query",
            200,
            r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#,
        ),
        tested(
            "pushover",
            json!({ "api_key": "a", "user_key": "u", "priority": "0", "base_url": "{at}" }),
            "/1/messages.json",
            200,
            r#"{"status":1}"#,
        ),
        tracker("redmine"),
        webhook("slack", "/services/T0/B0/x", 200, "ok"),
        tested(
            "teamcity",
            with(login, json!({ "teamcity_url": "{at}", "build_type": "A_B" })),
            "/httpAuth/app/rest/buildQueue",
            200,
            r#"<build id="7" state="queued"/>"#,
        ),
        webhook("unify-circuit", "/rest/v2/webhooks/incoming/1", 200, "{}"),
        webhook("webex-teams", "/v1/webhooks/incoming/x", 204, ""),
        tracker("youtrack"),
    ]
}

/// What can't be tested, in GitLab neither.
const UNTESTABLE: [&str; 5] = [
    // It is a link, and nothing is asked of it.
    "confluence",
    // The sample touches no dependency files.
    "gemnasium",
    // They send requests of their own.
    "mattermost-slash-commands",
    "slack-slash-commands",
    // It is asked for builds of pushes alone.
    "mock-ci",
];

/// Tests a service in a project of its own: whether it went well, and the whole answer.
async fn test(admin: &Caller, project: i64, slug: &str, settings: Value) -> (bool, Value) {
    let integration = format!("/projects/{project}/integrations/{slug}");
    admin.put(&format!("/projects/{project}"), json!({})).await;
    let (status, answer) = admin.ask("PUT", &integration, Some(settings)).await;
    if status != 200 {
        return (false, answer);
    }
    let (status, answer) = admin.ask("POST", &format!("{integration}/test"), None).await;
    (status == 200 && answer["success"] == true, answer)
}

fn at(settings: &Value, receiver: &Receiver) -> Value {
    let url = receiver.url("");
    serde_json::from_str(&settings.to_string().replace("{at}", &url)).expect("JSON")
}

/// An irkerd that takes whatever is written.
async fn irkerd() -> (u16, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of our own");
    let port = listener.local_addr().expect("a bound listener has an address").port();
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    });
    (port, AbortOnDropHandle::new(server))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_service_that_can_be_tested_is_tested_by_the_api() {
    let (relay, (irkerd_port, _irkerd)) = (Faulty::start(&[]).await, irkerd().await);
    let home = Home::new("").with(&[
        "rate_limits.enabled=false",
        "service_hosts.discord=127.0.0.1",
        "smtp.host=127.0.0.1",
        &format!("smtp.port={}", relay.port),
        "smtp.tls=none",
        "mail.from=bell@forge.example.com",
        &format!("wire.allow_tcp=127.0.0.1:{irkerd_port}"),
    ]);
    let (daemon, admin) = administered(&home).await;
    let mut covered: BTreeSet<&str> = UNTESTABLE.into_iter().collect();
    let mut failed = Vec::new();
    let mut project = 2000;
    let mut note = |slug: &'static str, (went_well, answer): (bool, Value)| {
        covered.insert(slug);
        if !went_well {
            failed.push(format!("{slug}: {answer}"));
        }
    };
    for Tested { slug, settings, path, status, body } in over_http() {
        let service = Receiver::start().await;
        service.at(path).answer(Answer::status(status).body(body));
        service.at("/room/7/speak.json").answer(Answer::status(201));
        service.at("/rest/api/2/myself").answer(Answer::status(200).body(r#"{"name":"ada"}"#));
        project += 1;
        let outcome = test(&admin, project, slug, at(&settings, &service)).await;
        assert!(!outcome.0 || !service.received_at(path).is_empty(), "{slug} was not called: {}", outcome.1);
        note(slug, outcome);
    }
    let recipients = json!({ "recipients": "ada@example.com" });
    note("emails-on-push", test(&admin, 3001, "emails-on-push", recipients.clone()).await);
    note("pipelines-email", test(&admin, 3002, "pipelines-email", recipients).await);
    let irker = json!({
        "recipients": "irc://irc.example.net/ops", "server_host": "127.0.0.1", "server_port": irkerd_port,
    });
    note("irker", test(&admin, 3003, "irker", irker).await);
    daemon.stop().await;
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!(relay.taken().len(), 2);
    let documented = table();
    let documented: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
    assert_eq!(covered, documented);
}
