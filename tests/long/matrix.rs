//! Matrix against a real homeserver: Synapse, in the environment that `tests/long.sh` made for it. Each test has a server of
//! its own, on loopback, with its data in a temporary folder.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use forgebell::store::State;
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::process::{Child, Command};

use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::ports::free_port;
use crate::harness::wait::eventually;

const STARTS_WITHIN: Duration = Duration::from_secs(120);

/// A homeserver at work.
struct Homeserver {
    base: String,
    client: reqwest::Client,
    _process: Child,
    _folder: tempfile::TempDir,
}

/// An account there.
struct Account {
    name: String,
    token: String,
}

impl Homeserver {
    /// Starts a server that takes this many messages of an account at once, and then one every two seconds.
    async fn start(burst: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        std::fs::write(folder.path().join("homeserver.yaml"), configuration(folder.path(), port, burst))
            .expect("the file is ours");
        let keys = synapse(folder.path()).arg("--generate-keys").status().await;
        assert!(keys.expect("Synapse can be started").success(), "it has no keys");
        let process = synapse(folder.path()).spawn().expect("Synapse can be started");
        let server = Self {
            base: format!("http://127.0.0.1:{port}"),
            client: crate::harness::client(),
            _process: process,
            _folder: folder,
        };
        eventually("the homeserver answers", STARTS_WITHIN, async || {
            let answer = server.client.get(format!("{}/_matrix/client/versions", server.base)).send().await;
            answer.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await;
        server
    }

    async fn ask(&self, method: Method, path: &str, token: &str, body: Json) -> (u16, Json) {
        let request = self.client.request(method.clone(), format!("{}/_matrix/client/v3{path}", self.base));
        let request = if token.is_empty() { request } else { request.bearer_auth(token) };
        let request = if method == Method::GET { request } else { request.body(body.to_string()) };
        let answer = request.send().await.expect("the homeserver answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("the homeserver answers to the end");
        (status, serde_json::from_str(&text).expect("JSON"))
    }

    async fn good(&self, method: Method, path: &str, token: &str, body: Json) -> Json {
        let (status, answer) = self.ask(method, path, token, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    async fn account(&self, name: &str) -> Account {
        let body =
            json!({ "username": name, "password": "a passphrase", "auth": { "type": "m.login.dummy" } });
        let made = self.good(Method::POST, "/register", "", body).await;
        let word = |field: &str| made[field].as_str().expect("a text").to_owned();
        Account { name: word("user_id"), token: word("access_token") }
    }

    /// A private room of this account, and its id.
    async fn room(&self, owner: &Account, more: Json) -> String {
        let mut body = json!({ "preset": "private_chat" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let made = self.good(Method::POST, "/createRoom", &owner.token, body).await;
        made["room_id"].as_str().expect("a room's id").to_owned()
    }

    /// The messages in a room, the oldest first.
    async fn messages(&self, room: &str, reader: &Account) -> Vec<Json> {
        let path = format!("/rooms/{room}/messages?dir=f&limit=200");
        let answer = self.good(Method::GET, &path, &reader.token, Json::Null).await;
        let chunk = answer["chunk"].as_array().expect("a list").clone();
        chunk.into_iter().filter(|event| event["type"] == "m.room.message").collect()
    }

    /// A daemon's home with an integration for this room.
    fn home(&self, bot: &Account, room: &str) -> Home {
        Home::new(&self.integration(bot, room)).with(&["rate_limits.enabled=false"])
    }

    fn integration(&self, bot: &Account, room: &str) -> String {
        let (token, base) = (&bot.token, &self.base);
        format!(
            "[[integration]]\nproject = \"gitlabhq/gitlab-test\"\nadapter = \"matrix\"\ntoken = \"{token}\"\n\
             room = \"{room}\"\nhostname = \"{base}\"\n"
        )
    }
}

/// The program, with the configuration in this folder. It ends with the test.
fn synapse(folder: &Path) -> Command {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python-long/bin/python");
    assert!(python.exists(), "{} is missing: tests/long.sh makes it", python.display());
    let mut command = Command::new(python);
    command.args(["-m", "synapse.app.homeserver", "-c", "homeserver.yaml"]).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command
}

fn configuration(folder: &Path, port: u16, burst: u32) -> String {
    let folder = folder.display();
    format!(
        r#"
server_name: localhost
listeners:
  - port: {port}
    bind_addresses: ["127.0.0.1"]
    type: http
    resources: [{{names: [client]}}]
database: {{name: sqlite3, args: {{database: "{folder}/db"}}}}
media_store_path: "{folder}/media"
signing_key_path: "{folder}/key"
pid_file: "{folder}/pid"
report_stats: false
macaroon_secret_key: a
form_secret: a
trusted_key_servers: []
enable_registration: true
enable_registration_without_verification: true
rc_message: {{per_second: 0.5, burst_count: {burst}}}
rc_registration: {{per_second: 100, burst_count: 100}}
"#
    )
}

fn merge_request(iid: i64) -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| json["object_attributes"]["iid"] = json!(iid))
}

#[tokio::test(flavor = "multi_thread")]
async fn matrix_bot_accepts_its_invitation_to_a_room_that_is_named_by_its_alias() {
    let server = Homeserver::start(50).await;
    let (ada, bell) = (server.account("ada").await, server.account("bell").await);
    let room = server.room(&ada, json!({ "room_alias_name": "news", "invite": [bell.name] })).await;
    let home = server.home(&bell, "#news:localhost");
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    home.until(State::Delivered, 1).await;
    daemon.send("two", payload("issue_open.json")).await;
    home.until(State::Delivered, 2).await;
    daemon.stop().await;
    let said = server.messages(&room, &ada).await;
    assert_eq!(said.len(), 2, "{said:?}");
    let content = &said[0]["content"];
    assert_eq!((&said[0]["sender"], &content["msgtype"]), (&json!(bell.name), &json!("m.notice")));
    let html = content["formatted_body"].as_str().expect("HTML");
    assert!(
        html.starts_with("Administrator (root) opened merge request <a href=\"http://example.com/"),
        "{html}"
    );
    let text = content["body"].as_str().expect("a text");
    assert!(text.starts_with("Administrator (root) opened merge request !1 MS-Viewport (http://"), "{text}");
    assert_eq!(content["m.mentions"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn matrix_room_without_an_invitation_waits_and_says_the_remedy() {
    let server = Homeserver::start(50).await;
    let (ada, bell) = (server.account("ada").await, server.account("bell").await);
    let (closed, open) =
        (server.room(&ada, json!({})).await, server.room(&ada, json!({ "invite": [bell.name] })).await);
    let home = server.home(&bell, &closed);
    let daemon = home.start().await;
    daemon.send("one", merge_request(1)).await;
    let note = eventually("the remedy is said", Duration::from_secs(30), async || {
        let waiting = home.deliveries(Some(State::Waiting)).await;
        waiting.into_iter().filter_map(|line| line.last_note).find(|note| note.contains("invite"))
    })
    .await;
    assert!(note.contains("M_FORBIDDEN") && !note.contains(&bell.token), "{note}");
    home.provision(&server.integration(&bell, &open));
    daemon.reload().await.expect("the file is right");
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
    assert_eq!(server.messages(&open, &ada).await.len(), 1);
    assert_eq!(server.messages(&closed, &ada).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn matrix_limit_is_waited_for_and_every_message_comes_once_in_order() {
    const MESSAGES: i64 = 7;
    let server = Homeserver::start(3).await;
    let (ada, bell) = (server.account("ada").await, server.account("bell").await);
    let room = server.room(&ada, json!({ "invite": [bell.name] })).await;
    let home = server.home(&bell, &room);
    let daemon = home.start().await;
    for n in 1..=MESSAGES {
        let event =
            with(&merge_request(1), |json| json["object_attributes"]["title"] = json!(format!("Title {n}")));
        daemon.send(&format!("mr-{n}"), event).await;
    }
    let delivered = home.until(State::Delivered, 7).await;
    daemon.stop().await;
    assert!(delivered.iter().all(|line| line.attempts == 1), "throttling costs no attempt: {delivered:?}");
    let said = server.messages(&room, &ada).await;
    let titles: Vec<String> = (1..=MESSAGES).map(|n| format!("Title {n}")).collect();
    assert_eq!(said.len(), titles.len(), "each once");
    for (event, title) in said.iter().zip(&titles) {
        let text = event["content"]["body"].as_str().expect("a text");
        assert!(text.contains(title.as_str()), "{text} is not {title}");
    }
}

/// The same transaction id is the same message, also for the homeserver.
#[tokio::test(flavor = "multi_thread")]
async fn matrix_messages_of_any_length_and_script_are_accepted_once() {
    let server = Homeserver::start(50).await;
    let (ada, bell) = (server.account("ada").await, server.account("bell").await);
    let room = server.room(&ada, json!({ "invite": [bell.name] })).await;
    let home = server.home(&bell, &room);
    let daemon = home.start().await;
    let texts =
        ["x", "👩‍👩‍👧", "\\\"<&>'", "עברית \u{202e}abc\u{200b} ", "@room <b>x</b> [x](https://a.example) "];
    for (n, words) in texts.iter().enumerate() {
        let long = words.repeat(20_000 / words.len());
        let event = with(&payload("issue_open.json"), |issue| {
            issue["object_attributes"]["iid"] = json!(n + 1);
            issue["object_attributes"]["title"] = json!(long);
            issue["object_attributes"]["description"] = json!(long);
            issue["project"]["path_with_namespace"] = json!("gitlabhq/gitlab-test");
        });
        daemon.send(&format!("issue-{n}"), event).await;
    }
    home.until(State::Delivered, texts.len()).await;
    daemon.stop().await;
    let said = server.messages(&room, &ada).await;
    assert_eq!(said.len(), texts.len());
    for event in &said {
        let text = event["content"]["body"].as_str().expect("a text");
        assert!(!text.contains("@room") && !text.contains('\u{202e}'), "{text}");
    }
}
