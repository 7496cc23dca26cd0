//! Slash commands, as Slack and Mattermost send them: a form, a token, and three seconds.

use std::time::Duration;

use forgebell::store::State;
use lapin::options::{BasicGetOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{ConnectionProperties, ExchangeKind};
use serde_json::{Value, json};

use crate::harness::daemon::{Daemon, Home};
use crate::harness::payloads::{payload, with};
use crate::harness::rabbit;
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::wait::eventually;
use crate::rest::{Caller, administered};

const TOKEN: &str = "5IwL2wSO9Zyl5pS7tGEcrx9Z";

/// A project 42 with Slack in two channels, and the token of its slash commands.
async fn furnished(admin: &Caller, webhook: &str) {
    admin.put("/projects/42", json!({ "path_with_namespace": "acme/rocket" })).await;
    let slack = json!({ "webhook": webhook, "channel": "#ops, #dev", "branches_to_be_notified": "all" });
    admin.put("/projects/42/integrations/slack", slack).await;
    admin.put("/projects/42/integrations/slack-slash-commands", json!({ "token": TOKEN })).await;
}

/// Somebody types something in `#ops`.
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
async fn only_the_projects_own_token_is_heard_and_nothing_else_is_told() {
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
async fn a_muted_channel_hears_nothing_until_it_is_unmuted_and_the_others_hear_all() {
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B0/hook");
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    furnished(&admin, &service.url("/services/T0/B0/hook")).await;
    let said = answered(&daemon, "mute 2h").await;
    assert!(said.starts_with("Slack notifications of this project stay away from #ops until 20"), "{said}");
    daemon.send("while-muted", push(1)).await;
    let heard = hook.wait_for(1).await;
    assert!(heard[0].text().contains("dev"), "{}", heard[0].text());
    home.until(State::Delivered, 1).await;
    assert!(answered(&daemon, "status").await.contains("in ops, by @ada"), "the mute is told");
    let (status, explained) = admin.ask("POST", "/events/explain", Some(json(&push(2)))).await;
    assert_eq!(status, 200, "{explained}");
    assert!(explained.to_string().contains("muted by @ada"), "{explained}");
    assert_eq!(answered(&daemon, "unmute").await, "#ops hears everything again.");
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
async fn a_status_tells_what_goes_where_and_what_failed_lately() {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_sent_to_the_channel_that_asks_and_says_what_it_is() {
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
async fn what_is_none_of_ours_goes_to_the_forge_or_is_answered_politely() {
    let home = Home::new("");
    let (daemon, admin) = administered(&home).await;
    furnished(&admin, "https://hooks.slack.com/services/T0/B0/s3cret").await;
    assert!(answered(&daemon, "deploy staging").await.starts_with("I don't know that command."));
    daemon.stop().await;

    let (broker, queue) = (rabbit::shared().await.url(), rabbit::unique("commands"));
    let exchange = format!("{queue}.exchange");
    let settings = [format!("commands.exchange={exchange}"), "commands.routing_key=slash".to_owned()];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let home = Home::new("").with_broker(&broker, &rabbit::unique("events")).with(&settings);
    let (daemon, admin) = administered(&home).await;
    furnished(&admin, "https://hooks.slack.com/services/T0/B0/s3cret").await;
    let unheard = answered(&daemon, "deploy staging").await;
    assert!(unheard.contains("can't be reached"), "nobody listens yet: {unheard}");

    let connection =
        lapin::Connection::connect(&broker, ConnectionProperties::default()).await.expect("a broker");
    let channel = connection.create_channel().await.expect("a channel");
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let nothing = FieldTable::default;
    channel
        .exchange_declare(exchange.as_str().into(), ExchangeKind::Topic, durable, nothing())
        .await
        .expect("it is");
    channel
        .queue_declare(queue.as_str().into(), QueueDeclareOptions::default(), nothing())
        .await
        .expect("a queue");
    let (name, key) = (queue.as_str().into(), "slash".into());
    channel
        .queue_bind(name, exchange.as_str().into(), key, QueueBindOptions::default(), nothing())
        .await
        .expect("a binding");
    assert_eq!(answered(&daemon, "deploy staging").await, "The forge has it, and answers here.");
    let message = eventually("the forge hears it", Duration::from_secs(20), async || {
        channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true }).await.expect("it answers")
    })
    .await;
    let told: Value = serde_json::from_slice(&message.delivery.data).expect("JSON");
    assert_eq!(told["text"], "deploy staging");
    assert_eq!(told["user_name"], "ada");
    assert_eq!(told["project"], json!({ "id": 42, "path_with_namespace": "acme/rocket" }));
    assert_eq!(told["response_url"], "https://hooks.slack.com/commands/T0/1/abc");
    assert!(!told.to_string().contains(TOKEN), "the token is nobody else's affair");
    daemon.stop().await;
}
