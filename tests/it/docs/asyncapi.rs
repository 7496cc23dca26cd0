//! `docs/asyncapi.yaml`: a document that AsyncAPI's parser accepts, and that says what the daemon does.

use std::process::Stdio;
use std::time::Duration;

use forgebell::config::{Config, Sources};
use forgebell::event::{Event, EventId, Undecodable};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::repository;
use crate::harness::daemon::Home;
use crate::harness::rabbit;
use crate::harness::wait::eventually;

const PATIENCE: Duration = Duration::from_secs(60);

/// Reads the document with AsyncAPI's parser, and holds messages against its schemas.
async fn read(messages: &[Value]) -> Value {
    let folder = repository("tests/node");
    assert!(folder.join("node_modules/@asyncapi").exists(), "tests/run.sh installs the npm packages");
    let mut node = Command::new("node")
        .arg(folder.join("asyncapi.mjs"))
        .arg(repository("docs/asyncapi.yaml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("there is Node");
    let lines: Vec<String> = messages.iter().map(ToString::to_string).collect();
    let lines = lines.join("\n") + "\n";
    let mut stdin = node.stdin.take().expect("it is piped");
    let written = async move {
        stdin.write_all(lines.as_bytes()).await.expect("the script reads");
        drop(stdin);
    };
    let (output, ()) = tokio::join!(node.wait_with_output(), written);
    let output = output.expect("the script ends");
    assert!(output.status.success(), "asyncapi.mjs failed");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// Every recorded payload, with its path.
fn payloads() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for folder in ["payloads", "payloads/captured"] {
        for entry in std::fs::read_dir(repository(folder)).expect("the folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|end| end == "json") {
                let text = std::fs::read_to_string(&path).expect("a payload");
                found.push((path.display().to_string(), serde_json::from_str(&text).expect("JSON")));
            }
        }
    }
    found
}

fn decode(payload: &Value) -> Result<Event, Undecodable> {
    let id = EventId::new("e").expect("a short id");
    Event::decode(id, forgebell::daemon::now(), payload.to_string().into_bytes().into())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_valid_and_its_schemas_take_what_the_daemon_takes() {
    let known = payloads();
    let wrong =
        [json!({ "project": {} }), json!({ "object_kind": "kind_of_tomorrow" }), json!([]), json!("push")];
    let payloads: Vec<Value> = known.iter().map(|(_, payload)| payload.clone()).chain(wrong).collect();
    let lines: Vec<Value> =
        payloads.iter().map(|payload| json!({ "message": "event", "payload": payload })).collect();
    let read = read(&lines).await;
    assert_eq!(read["complaints"], json!([]));
    assert!(known.len() > 25, "{}", known.len());
    for (number, payload) in payloads.iter().enumerate() {
        let (said, decoded) = (&read["wrong"][number], decode(payload));
        let name = known.get(number).map_or("a wrong one", |(name, _)| name);
        assert_eq!(said.is_null(), decoded.is_ok(), "{name}: {said}, and the daemon says {decoded:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_names_and_limits_are_the_daemons() {
    let document = read(&[]).await["document"].clone();
    let config = Config::load(Sources::default()).expect("the defaults are valid");
    let channel = |name: &str| document["channels"][name]["bindings"]["amqp"].clone();
    assert_eq!(channel("events")["exchange"]["name"], json!(config.amqp.exchange));
    assert_eq!(channel("queue")["queue"]["name"], json!(config.amqp.queue));
    assert_eq!(document["channels"]["queue"]["address"], json!(config.amqp.queue));
    assert_eq!(channel("commands")["exchange"]["name"], json!(config.commands.exchange));
    for name in ["events", "commands"] {
        assert_eq!(channel(name)["exchange"]["type"], "topic", "{name}");
    }
    let components = &document["components"];
    let about = components["messages"]["event"]["description"].as_str().expect("a text");
    assert!(about.contains(&format!("{} bytes", config.amqp.message_limit)), "{about}");
    assert!(
        components["messages"]["event"]["headers"]["properties"][&config.amqp.partition_header].is_object()
    );
    let id = &components["schemas"]["properties"]["properties"]["message_id"];
    assert_eq!(id["maxLength"], json!(EventId::MAX_LEN));
    let pattern = regex::Regex::new(id["pattern"].as_str().expect("a pattern")).expect("it is one");
    for text in ["a", "push 4711", " ", "", "ä", "a\nb", "x\u{7f}"] {
        assert_eq!(pattern.is_match(text), EventId::new(text).is_some(), "{text:?}");
    }
    for kind in components["schemas"]["kind"]["enum"].as_array().expect("a list") {
        let decoded = decode(&json!({ "object_kind": kind }));
        assert!(!matches!(decoded, Err(Undecodable::UnknownKind(_))), "{kind} is not known");
    }
}

/// The document's own examples, published as it says.
#[tokio::test(flavor = "multi_thread")]
async fn the_documents_examples_are_taken_from_a_broker() {
    let document = read(&[]).await["document"].clone();
    let event = &document["components"]["messages"]["event"];
    let examples = event["examples"].as_array().expect("a list").clone();
    assert_eq!(examples.len(), 2);
    let broker = rabbit::shared().await;
    let vhost = rabbit::unique("asyncapi");
    broker.ctl(&["add_vhost", &vhost]).await;
    broker.ctl(&["set_permissions", "-p", &vhost, "guest", ".*", ".*", ".*"]).await;
    let url = broker.url_of(&vhost);
    let receiver = crate::harness::receiver::Receiver::start().await;
    let hook = receiver.slack_like("/services/T0/B0/asyncapi");
    let home = Home::new(&format!(
        "[[integration]]\nproject = 42\nadapter = \"slack\"\nwebhook = \"{}\"\n",
        hook.url()
    ));
    let home = home.with(&["amqp.enabled=true", &format!("amqp.url={url}")]);
    let daemon = home.start().await;
    eventually("the broker is connected", PATIENCE, async || {
        let (_, body) = daemon.get("/readyz").await?;
        let ready: Value = serde_json::from_str(&body).ok()?;
        (ready["broker"] == "ok").then_some(())
    })
    .await;

    let connection = Connection::connect(&url, ConnectionProperties::default()).await.expect("a broker");
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirmations");
    let binding = &document["operations"]["takeEvent"]["bindings"]["amqp"];
    let exchange = &document["channels"]["events"]["bindings"]["amqp"]["exchange"]["name"];
    for (number, example) in examples.iter().enumerate() {
        let mut headers = FieldTable::default();
        let project = example["headers"]["project"].as_str().expect("a project");
        headers.insert("project".into(), AMQPValue::LongString(project.into()));
        let mode = binding["deliveryMode"].as_u64().expect("a mode");
        let properties = BasicProperties::default()
            .with_message_id(format!("example-{number}").into())
            .with_timestamp(u64::try_from(forgebell::daemon::now().as_second()).expect("after 1970"))
            .with_delivery_mode(u8::try_from(mode).expect("small"))
            .with_headers(headers);
        let mandatory = binding["mandatory"].as_bool().expect("a flag");
        let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
        let body = example["payload"].to_string().into_bytes();
        let exchange = exchange.as_str().expect("a name");
        let sent = channel
            .basic_publish(exchange.into(), "push.acme.rocket".into(), options, &body, properties)
            .await;
        sent.expect("it is sent").await.expect("it is confirmed");
    }
    let received = hook.wait_for(2).await;
    let all: String = received.iter().map(|request| request.text()).collect();
    assert!(all.contains("The engine stops at noon") && all.contains("Cool the engine"), "{all}");
    assert!(home.quarantined().await.is_empty());
    daemon.stop().await;
}
