//! Slash commands, as Slack and Mattermost send them: a form, a token, and three seconds.

use std::time::Duration;

use forgebell::store::State;
use lapin::options::{BasicGetOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{ConnectionProperties, ExchangeKind};
use serde_json::{Value, json};

use crate::harness::api::{Caller, administered};
use crate::harness::daemon::{Daemon, Home};
use crate::harness::payloads::{payload, with};
use crate::harness::postgres;
use crate::harness::proxy::CuttingProxy;
use crate::harness::rabbit::{self, RabbitNode};
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::wait::eventually;

const TOKEN: &str = "5IwL2wSO9Zyl5pS7tGEcrx9Z";

/// A project 42 with Slack in two channels, and the token of its slash commands.
async fn furnished(admin: &Caller, webhook: &str) {
    admin.put("/projects/42", json!({ "path_with_namespace": "acme/rocket" })).await;
    let slack = json!({ "webhook": webhook, "channel": "#ops, #dev", "branches_to_be_notified": "all" });
    admin.put("/projects/42/integrations/slack", slack).await;
    admin.put("/projects/42/integrations/slack-slash-commands", json!({ "token": TOKEN })).await;
}

/// A user types a command in `#ops`.
async fn typed(daemon: &Daemon, project: &str, token: &str, text: &str) -> (u16, Value) {
    let url =
        format!("{}/api/v4/projects/{project}/integrations/slack_slash_commands/trigger", daemon.base());
    let form = [
        ("token", token),
        ("team_id", "T0"),
        ("channel_id", "C0"),
        ("channel_name", "ops"),
        ("user_id", "U0"),
        ("user_name", "ada"),
        ("command", "/forge"),
        ("text", text),
        ("response_url", "https://hooks.slack.com/commands/T0/1/abc"),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = crate::harness::client().post(url).body(body);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let response = request.send().await.expect("the daemon answers");
    let status = response.status().as_u16();
    let text = response.text().await.expect("it answers to the end");
    (status, serde_json::from_str(&text).expect("it answers with JSON"))
}

/// What only who typed it sees, without the marks that keep it plain.
async fn answered(daemon: &Daemon, text: &str) -> String {
    let (status, answer) = typed(daemon, "42", TOKEN, text).await;
    assert_eq!((status, &answer["response_type"]), (200, &json!("ephemeral")), "{answer}");
    answer["text"].as_str().expect("words").replace('\u{200b}', "")
}

fn push(n: usize) -> Vec<u8> {
    with(&payload("push.json"), |json| {
        json["project"]["id"] = json!(42);
        json["project_id"] = json!(42);
        json["project"]["path_with_namespace"] = json!("acme/rocket");
        json["ref"] = json!(format!("refs/heads/branch-{n}"));
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_projects_own_token_is_accepted_and_refusals_do_not_differ() {
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    furnished(&admin, "https://hooks.slack.com/services/T0/B0/s3cret").await;
    assert!(answered(&daemon, "help").await.contains("/forge mute 1h"));
    let not_found = (404, json!({ "message": "404 Integration Not Found" }));
    assert_eq!(typed(&daemon, "42", "wrong", "help").await, not_found);
    assert_eq!(typed(&daemon, "43", TOKEN, "help").await, not_found, "no such project");
    let (status, answer) =
        admin.ask("POST", "/projects/42/services/slack_slash_commands/trigger", None).await;
    assert_eq!((status, answer), (400, json!({ "error": "token is missing" })));
    admin.ask("DELETE", "/projects/42/integrations/slack-slash-commands", None).await;
    assert_eq!(typed(&daemon, "42", TOKEN, "help").await, not_found, "switched off");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_muted_channel_receives_nothing_until_unmuted_and_others_everything() {
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B0/hook");
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    furnished(&admin, &service.url("/services/T0/B0/hook")).await;
    let said = answered(&daemon, "mute 2h").await;
    assert!(said.starts_with("Slack notifications of this project are muted in #ops until 20"), "{said}");
    daemon.send("while-muted", push(1)).await;
    let heard = hook.wait_for(1).await;
    assert!(heard[0].text().contains("dev"), "{}", heard[0].text());
    home.until(State::Delivered, 1).await;
    assert!(answered(&daemon, "status").await.contains("in ops, by @ada"), "the mute is told");
    let (status, explained) = admin.ask("POST", "/events/explain", Some(json(&push(2)))).await;
    assert_eq!(status, 200, "{explained}");
    assert!(explained.to_string().contains("muted by @ada"), "{explained}");
    assert_eq!(answered(&daemon, "unmute").await, "#ops is not muted any more.");
    assert_eq!(answered(&daemon, "unmute").await, "#ops was not muted.");
    daemon.send("unmuted", push(3)).await;
    hook.wait_for(3).await;
    let deliveries = home.until(State::Delivered, 3).await;
    assert_eq!(deliveries.len(), 3, "what was muted is not made up for");
    let (_, log) = admin.ask("GET", "/audit_events", None).await;
    assert!(log.to_string().contains("slash command of @ada"), "{log}");
    daemon.stop().await;
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_shows_integrations_and_recent_failures() {
    let service = Receiver::start().await;
    service.at("/services/T0/B0/hook").answer(Answer::status(400).body("invalid_payload"));
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    furnished(&admin, &service.url("/services/T0/B0/hook")).await;
    let status = answered(&daemon, "status").await;
    assert!(status.contains("*acme/rocket* sends:"), "{status}");
    assert!(status.contains("Slack notifications to #ops, #dev: push,"), "{status}");
    assert!(status.contains("Nothing failed lately."), "{status}");
    daemon.send("refused", push(1)).await;
    home.until(State::Failed, 2).await;
    let status = answered(&daemon, "status").await;
    assert!(status.contains("invalid_payload (given up)"), "{status}");
    assert!(!status.contains("/services/T0"), "the webhook is a secret: {status}");
    daemon.stop().await;
}

/// Files call projects by their paths, and deliveries are kept under that name.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_shows_recent_failures_of_an_integration_in_a_file() {
    let service = Receiver::start().await;
    service.at("/services/T0/B0/hook").answer(Answer::status(400).body("invalid_payload"));
    let files = format!(
        "[[integration]]\nproject = \"acme/rocket\"\nadapter = \"slack\"\nwebhook = \"{}\"\n\
         branches_to_be_notified = \"all\"\n\n\
         [[integration]]\nproject = \"acme/rocket\"\nadapter = \"slack-slash-commands\"\ntoken = \"{TOKEN}\"\n",
        service.url("/services/T0/B0/hook")
    );
    let home = Home::new(&files);
    let daemon = home.start().await;
    daemon.send("refused", push(1)).await;
    home.until(State::Failed, 1).await;
    let status = answered(&daemon, "status").await;
    assert!(status.contains("invalid_payload (given up)"), "{status}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_command_sends_a_test_message_to_its_channel() {
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B0/hook");
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    furnished(&admin, &service.url("/services/T0/B0/hook")).await;
    answered(&daemon, "test").await;
    let heard = hook.wait_for(1).await;
    assert!(heard[0].text().contains("[Test]"), "{}", heard[0].text());
    assert!(heard[0].text().contains("ops") && !heard[0].text().contains("#dev"), "{}", heard[0].text());
    assert!(home.deliveries(None).await.is_empty(), "nothing of a test is kept");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_commands_are_published_to_the_forge_or_answered_with_help() {
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    furnished(&admin, "https://hooks.slack.com/services/T0/B0/s3cret").await;
    assert!(answered(&daemon, "deploy staging").await.starts_with("Unknown command."));
    daemon.stop().await;

    let (broker, exchange) = (rabbit::shared().await.url(), rabbit::unique("commands"));
    let settings = [format!("commands.exchange={exchange}"), "commands.routing_key=slash".to_owned()];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let home = Home::new("").with_broker(&broker, &rabbit::unique("events")).with(&settings);
    let (daemon, admin) = administered(&home).await;
    furnished(&admin, "https://hooks.slack.com/services/T0/B0/s3cret").await;
    let unheard = answered(&daemon, "deploy staging").await;
    assert!(unheard.contains("can't be reached"), "no forge listens yet: {unheard}");

    let forge = Forge::listen(&broker, &exchange, "slash").await;
    assert_eq!(
        answered(&daemon, "deploy staging").await,
        "The command was forwarded to the forge, which answers here."
    );
    let told = forge.told("deploy staging").await;
    assert_eq!(told["text"], "deploy staging");
    assert_eq!(told["user_name"], "ada");
    assert_eq!(told["project"], json!({ "id": 42, "path_with_namespace": "acme/rocket" }));
    assert_eq!(told["response_url"], "https://hooks.slack.com/commands/T0/1/abc");
    assert!(!told.to_string().contains(TOKEN), "the token is not passed on");
    daemon.stop().await;
}

// ---- an answer within three seconds, even if something hangs -----------------------------------------------

/// Slack shows `operation_timeout` to who typed where no answer came by then
/// (<https://docs.slack.dev/interactivity/implementing-slash-commands>).
const SLACK_WAITS: Duration = Duration::from_secs(3);

/// What who typed sees, in the time that Slack gives.
async fn answered_in_time(daemon: &Daemon, text: &str) -> String {
    let answer = tokio::time::timeout(SLACK_WAITS, answered(daemon, text)).await;
    answer.unwrap_or_else(|_| panic!("`{text}` was not answered while Slack waited"))
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_hanging_store_commands_are_answered_in_time() {
    const KEY: &str = "ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8=";
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B0/hook");
    let database = postgres::database();
    let server = url::Url::parse(&database).expect("a URL").port().expect("a port");
    let cable = CuttingProxy::start(([127, 0, 0, 1], server).into()).await;
    let through = database.replace(&format!(":{server}/"), &format!(":{}/", cable.addr().port()));
    let home = Home::new("").with_postgres(&through, "one").with(&[&format!("secrets.key={KEY}")]);
    let (daemon, admin) = administered(&home).await;
    furnished(&admin, &hook.url()).await;

    cable.freeze();
    let typed = |text| answered_in_time(&daemon, text);
    let (status, muted, tested, helped) =
        tokio::join!(typed("status"), typed("mute 2h"), typed("test"), typed("help"));
    assert!(status.contains("Slack notifications to #ops, #dev: push,"), "what is known is told: {status}");
    assert!(status.contains("Recent failures can't be shown: the store does not answer."), "{status}");
    assert!(muted.contains("the change may not be saved") && muted.contains("Repeat the command"), "{muted}");
    assert_eq!(tested, "A test message was sent.");
    hook.wait_for(1).await;
    assert!(helped.contains("/forge mute 1h"), "{helped}");

    cable.heal().await;
    let said = eventually("a mute is taken again", Duration::from_secs(60), async || {
        Some(answered(&daemon, "mute 2h").await).filter(|said| said.contains("are muted in #ops until 20"))
    })
    .await;
    let status = answered(&daemon, "status").await;
    assert!(status.contains("in ops, by @ada"), "{said}: {status}");
    assert!(status.contains("Nothing failed lately."), "{status}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_hanging_service_a_test_is_answered_in_time_and_still_sent() {
    let service = Receiver::start().await;
    let hook = service.at("/services/T0/B0/hook").answer(Answer::hang());
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    furnished(&admin, &hook.url()).await;
    let said = answered_in_time(&daemon, "test").await;
    assert_eq!(said, "The test is still running. Its message may arrive later.");
    assert!(hook.wait_for(1).await[0].text().contains("[Test]"));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_hanging_broker_commands_are_answered_in_time_and_published_later() {
    let broker = RabbitNode::start().await;
    let settings = ["commands.exchange=commands", "commands.routing_key=slash"];
    let home = Home::new("").with_broker(&broker.url(), "events").with(&settings);
    let (daemon, admin) = administered(&home).await;
    furnished(&admin, "https://hooks.slack.com/services/T0/B0/s3cret").await;
    let forge = Forge::listen(&broker.url(), "commands", "slash").await;
    assert_eq!(
        answered(&daemon, "deploy one").await,
        "The command was forwarded to the forge, which answers here."
    );
    assert_eq!(forge.told("deploy one").await["text"], "deploy one");
    drop(forge);

    broker.pause();
    let typed = |text| answered_in_time(&daemon, text);
    let (first, second) = tokio::join!(typed("deploy two"), typed("deploy three"));
    for said in [&first, &second] {
        assert!(
            said.contains("If there is no answer here soon, repeat the command."),
            "neither yes nor no is known: {said}"
        );
    }
    broker.resume();
    // The forge answers at the address in the command.
    let forge = Forge::listen(&broker.url(), "commands", "slash").await;
    let told = forge.first_told(&["deploy two", "deploy three"]).await;
    assert_eq!(told["response_url"], "https://hooks.slack.com/commands/T0/1/abc");
    let again = eventually("commands get through again", Duration::from_secs(60), async || {
        Some(answered(&daemon, "deploy four").await)
            .filter(|said| said.starts_with("The command was forwarded"))
    })
    .await;
    assert_eq!(again, "The command was forwarded to the forge, which answers here.");
    assert_eq!(forge.told("deploy four").await["user_name"], "ada");
    daemon.stop().await;
}

/// The forge, which carries out what others typed.
struct Forge {
    _connection: lapin::Connection,
    channel: lapin::Channel,
    queue: String,
}

impl Forge {
    /// Makes the exchange and a queue for what comes there by this key, where they are missing.
    async fn listen(broker: &str, exchange: &str, key: &str) -> Forge {
        let connection =
            lapin::Connection::connect(broker, ConnectionProperties::default()).await.expect("a broker");
        let channel = connection.create_channel().await.expect("a channel");
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let nothing = FieldTable::default;
        let queue = format!("{exchange}.forge");
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Topic, durable, nothing())
            .await
            .expect("an exchange");
        channel
            .queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), nothing())
            .await
            .expect("a queue");
        channel
            .queue_bind(
                queue.as_str().into(),
                exchange.into(),
                key.into(),
                QueueBindOptions::default(),
                nothing(),
            )
            .await
            .expect("a binding");
        Forge { _connection: connection, channel, queue }
    }

    /// The next that is typed thus; others are passed over.
    async fn told(&self, text: &str) -> Value {
        self.first_told(&[text]).await
    }

    async fn first_told(&self, texts: &[&str]) -> Value {
        eventually(&format!("the forge hears one of {texts:?}"), Duration::from_secs(60), async || {
            let queue = self.queue.as_str().into();
            let got =
                self.channel.basic_get(queue, BasicGetOptions { no_ack: true }).await.expect("it answers")?;
            let told: Value = serde_json::from_slice(&got.delivery.data).expect("JSON");
            texts.iter().any(|text| told["text"] == *text).then_some(told)
        })
        .await
    }
}
