//! What only a broker can do to us: be killed, freeze, be cut off, lose the queue, send again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use forgebell::event::EventId;
use forgebell::pipeline::amqp::{self, Publisher, Remark};
use forgebell::store::State;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use serde_json::json;

use crate::harness::daemon::{Daemon, Home};
use crate::harness::payloads::{payload, with};
use crate::harness::proxy::CuttingProxy;
use crate::harness::rabbit::{self, RabbitNode};
use crate::harness::receiver::{Answer, Received, Receiver};
use crate::harness::wait::eventually;

const PROJECTS: usize = 20;
const SUBJECTS: usize = 25;

/// One Slack integration per project, each at a path of its own.
fn integrations(receiver: &Receiver) -> String {
    let one = |project: usize| {
        format!(
            "[[integration]]\nproject = {}\nadapter = \"slack\"\nwebhook = \"{}\"\n\n",
            1000 + project,
            receiver.url(&path(project))
        )
    };
    (0..PROJECTS).map(one).collect()
}

fn path(project: usize) -> String {
    format!("/services/T{project}/B/hook")
}

/// The `n`th event: its project, its subject within it, and its place in the subject's order, all to be read in its title.
fn event(n: usize) -> Vec<u8> {
    let (project, subject, step) = (n % PROJECTS, n / PROJECTS % SUBJECTS, n / PROJECTS / SUBJECTS);
    with(&payload("merge_request_open.json"), |json| {
        json["project"]["id"] = json!(1000 + project);
        json["object_attributes"]["iid"] = json!(subject + 1);
        json["object_attributes"]["title"] = json!(format!("event {n} step {step} end"));
    })
}

fn told(received: &Received) -> usize {
    let text = received.text();
    let word =
        |after: &str| text.split(after).nth(1).and_then(|rest| rest.split(' ').next().map(str::to_owned));
    word("event ").and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no event is named in {text}"))
}

/// Publishes as a careful forge does: what was not confirmed is published again, under the same id.
async fn publish_come_what_may(config: forgebell::pipeline::amqp::Config, events: usize) {
    let mut next = 0;
    while next < events {
        let Ok(publisher) = Publisher::connect(&config).await else {
            tokio::task::yield_now().await;
            continue;
        };
        while next < events {
            let id = EventId::new(&format!("event-{next}")).expect("a short id");
            let (now, body) = (forgebell::daemon::now(), event(next));
            let published = publisher.publish(&id, "merge_request", "test", now, &body);
            // A broker that died does not always say so.
            match tokio::time::timeout(Duration::from_secs(5), published).await {
                Ok(Ok(())) => next += 1,
                _ => break,
            }
        }
    }
}

async fn publish(publisher: &Publisher, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let id = EventId::new(&format!("event-{n}")).expect("a short id");
        publisher
            .publish(&id, "merge_request", "test", forgebell::daemon::now(), &event(n))
            .await
            .expect("the broker confirms");
    }
}

/// The whole promise in one: a broker that loses its power in the middle, and a service that misbehaves in every way.
#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_events_survive_a_killed_broker_and_a_bad_service() {
    const EVENTS: usize = 5000;
    let mut broker = RabbitNode::start().await;
    let service = Receiver::start().await;
    let script = || {
        vec![
            Answer::status(500).body("rollup_error"),
            Answer::ok(),
            Answer::close(),
            Answer::ok(),
            Answer::throttled(Duration::from_secs(1)).body("rate_limited"),
            Answer::ok(),
            Answer::close_mid().body("ok ok ok ok"),
        ]
    };
    for project in 0..PROJECTS {
        // One of them hangs until the attempt's time runs out.
        let mut answers = script();
        if project == 0 {
            answers.insert(3, Answer::hang());
        }
        service.at(&path(project)).answer_then(answers, Answer::ok());
    }
    let home = Home::new(&integrations(&service))
        .with(&["rate_limits.enabled=false"])
        .with_broker(&broker.url(), "events");
    let daemon = home.start().await;
    let publishing = tokio::spawn(publish_come_what_may(home.config().amqp, EVENTS));
    // In the middle of it all, with events in the queue, on their way, and half published. (A quorum queue must be some
    // seconds old to survive its node's death: reaching a thousand takes longer.)
    service.wait_for(1000).await;
    broker.kill();
    broker.start_again().await;
    publishing.await.expect("everything is published at last");
    home.until(State::Delivered, EVENTS).await;
    daemon.stop().await;
    let received = service.received();
    every_event_was_told(&received, EVENTS);
    order_was_kept(&received);
    only_attempts_in_flight_were_repeated(&received);
}

fn every_event_was_told(received: &[Arc<Received>], events: usize) {
    let mut times = vec![0; events];
    for received in received.iter().filter(|received| received.answered == Some(200)) {
        times[told(received)] += 1;
    }
    let untold: Vec<_> = (0..events).filter(|n| times[*n] == 0).collect();
    assert!(untold.is_empty(), "never told: {untold:?}");
}

/// Of each subject, the first telling of each step comes after the first telling of the step before it.
fn order_was_kept(received: &[Arc<Received>]) {
    let mut last: HashMap<(usize, usize), usize> = HashMap::new();
    let mut seen = vec![false; 1_000_000];
    for received in received.iter().filter(|received| received.answered == Some(200)) {
        let n = told(received);
        if std::mem::replace(&mut seen[n], true) {
            continue;
        }
        let subject = (n % PROJECTS, n / PROJECTS % SUBJECTS);
        let before = last.insert(subject, n);
        assert!(before.is_none_or(|before| before < n), "{n} was told after {before:?}");
    }
}

/// The daemon itself was not killed: a message is told again only where its answer did not arrive.
fn only_attempts_in_flight_were_repeated(received: &[Arc<Received>]) {
    let mut accepted: BTreeMap<usize, usize> = BTreeMap::new();
    for received in received.iter().filter(|received| received.answered == Some(200)) {
        *accepted.entry(told(received)).or_default() += 1;
    }
    let repeated: Vec<_> = accepted.iter().filter(|(_, times)| **times > 1).collect();
    // Per project one answer was closed in the middle: that message was taken, for all that the service knows.
    assert!(repeated.len() <= PROJECTS, "told twice: {repeated:?}");
    assert!(repeated.iter().all(|(_, times)| **times == 2), "told more than twice: {repeated:?}");
}

fn one_project(receiver: &Receiver) -> String {
    integrations(receiver).split("\n\n").next().unwrap_or_default().to_owned()
}

/// A home with one integration, whose broker is reached through a cable that can be cut.
async fn behind_a_cable(receiver: &Receiver) -> (Home, CuttingProxy, Publisher) {
    let broker = rabbit::shared().await;
    let cable = CuttingProxy::start(([127, 0, 0, 1], broker.port()).into()).await;
    let queue = rabbit::unique("cable");
    let direct = Home::new("").with_broker(&broker.url(), &queue).config().amqp;
    let publisher = Publisher::connect(&direct).await.expect("the broker is there");
    let url = broker.url().replace(&format!(":{}", broker.port()), &format!(":{}", cable.addr().port()));
    let home = Home::new(&one_project(receiver)).with_broker(&url, &queue).with(&[
        "amqp.heartbeat=1s",
        "amqp.connect_timeout=2s",
        "rate_limits.enabled=false",
    ]);
    (home, cable, publisher)
}

/// Waits until readiness says that the broker is connected, or that it is not.
async fn connected(daemon: &Daemon, is_connected: bool) -> String {
    eventually(&format!("the broker is connected: {is_connected}"), Duration::from_secs(30), async || {
        let (status, body) = daemon.get("/readyz").await?;
        assert_eq!(status, 200, "events over HTTP are taken without the broker: {body}");
        (body.contains("\"broker\":\"ok\"") == is_connected).then_some(body)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_reported_and_restored() {
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let (home, cable, publisher) = behind_a_cable(&service).await;
    let daemon = home.start().await;
    connected(&daemon, true).await;
    cable.cut().await;
    let body = connected(&daemon, false).await;
    assert!(body.contains("away since"), "{body}");
    publish(&publisher, 0..1).await;
    cable.heal().await;
    connected(&daemon, true).await;
    hook.wait_for(1).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_broker_is_detected_by_its_heartbeat() {
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let (home, cable, publisher) = behind_a_cable(&service).await;
    let daemon = home.start().await;
    connected(&daemon, true).await;
    cable.freeze();
    connected(&daemon, false).await;
    publish(&publisher, 0..1).await;
    cable.heal().await;
    connected(&daemon, true).await;
    hook.wait_for(1).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_is_created_again() {
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let broker = rabbit::shared().await;
    let queue = rabbit::unique("deleted");
    let home = Home::new(&one_project(&service)).with_broker(&broker.url(), &queue);
    let daemon = home.start().await;
    connected(&daemon, true).await;
    broker.ctl(&["delete_queue", &queue]).await;
    // It may be there again before the next question: what counts is that what is published now arrives.
    eventually("the queue is bound again", Duration::from_secs(30), async || {
        let publisher = Publisher::connect(&home.config().amqp).await.ok()?;
        let id = EventId::new("after").expect("a short id");
        publisher.publish(&id, "merge_request", "test", forgebell::daemon::now(), &event(0)).await.ok()
    })
    .await;
    hook.wait_for(1).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_message_without_an_id_is_sent_once() {
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let url = rabbit::shared().await.url();
    // `basic.get`, by which the test takes a message, is for queues without a single active consumer.
    let home = Home::new(&one_project(&service)).with_broker(&url, &rabbit::unique("again"));
    let home = home.with(&["amqp.single_active_consumer=false"]);
    let config = home.config().amqp;
    let publisher = Publisher::connect(&config).await.expect("the broker is there");
    publish_without_id(&url, &config.exchange, &event(0)).await;
    let daemon = home.start().await;
    hook.wait_for(1).await;
    daemon.stop().await;
    // The same bytes again, flagged as the broker flags what it cannot know to have been taken.
    publish_without_id(&url, &config.exchange, &event(0)).await;
    give_back(&url, &config.queue).await;
    let daemon = home.start().await;
    let next_step = PROJECTS * SUBJECTS; // of the same subject: when it is told, the repeat has passed
    publish(&publisher, next_step..next_step + 1).await;
    hook.wait_for(2).await;
    home.until(State::Delivered, 2).await;
    assert_eq!(hook.received().iter().map(|received| told(received)).collect::<Vec<_>>(), [0, next_step]);
    daemon.stop().await;
}

/// Takes the queue's first message and gives it back: it is flagged as redelivered from then on.
async fn give_back(url: &str, queue: &str) {
    use lapin::options::{BasicGetOptions, BasicNackOptions};
    let connection =
        Connection::connect(url, ConnectionProperties::default()).await.expect("the broker is there");
    let channel = connection.create_channel().await.expect("a channel");
    let message = eventually("the message is in the queue", Duration::from_secs(20), async || {
        channel.basic_get(queue.into(), BasicGetOptions::default()).await.expect("the queue is there")
    })
    .await;
    message
        .nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() })
        .await
        .expect("it is given back");
    connection.close(200, "done".into()).await.expect("a farewell");
}

async fn publish_without_id(url: &str, exchange: &str, body: &[u8]) {
    use lapin::BasicProperties;
    use lapin::options::BasicPublishOptions;
    let connection =
        Connection::connect(url, ConnectionProperties::default()).await.expect("the broker is there");
    let channel = connection.create_channel().await.expect("a channel");
    let options = BasicPublishOptions::default();
    channel
        .basic_publish(exchange.into(), "test".into(), options, body, BasicProperties::default())
        .await
        .expect("it is sent")
        .await
        .expect("it is taken");
    connection.close(200, "done".into()).await.expect("a farewell");
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_reports_a_missing_queue_with_passive_declaration() {
    let broker = rabbit::shared().await;
    let home =
        Home::new("").with_broker(&broker.url(), &rabbit::unique("missing")).with(&["amqp.declare=passive"]);
    let daemon = home.start().await;
    let body = eventually("readiness says what is missing", Duration::from_secs(30), async || {
        daemon
            .get("/readyz")
            .await
            .filter(|(_, body)| body.contains("NOT_FOUND") || body.contains("NOT-FOUND"))
            .map(|(_, body)| body)
    })
    .await;
    assert!(body.contains("broker"), "{body}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_over_tls_from_a_private_authority() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
    let broker = RabbitNode::with_tls(&certificate, &key, &certificate).await;
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let home = Home::new(&one_project(&service)).with_broker(&broker.tls_url(), "events");
    let ca_file = home.path().join("ca.pem");
    std::fs::write(&ca_file, certificate).expect("a file of ours");
    let home = home.with(&[&format!("amqp.ca_file={}", ca_file.display())]);
    let daemon = home.start().await;
    connected(&daemon, true).await;
    let publisher = Publisher::connect(&home.config().amqp).await.expect("the broker is there");
    publish(&publisher, 0..1).await;
    hook.wait_for(1).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_message_over_the_limit_the_beginning_is_kept_and_the_next_one_is_delivered() {
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let url = rabbit::shared().await.url();
    let home = Home::new(&one_project(&service)).with_broker(&url, &rabbit::unique("large"));
    let home = home.with(&["amqp.message_limit=20000"]);
    let publisher = Publisher::connect(&home.config().amqp).await.expect("the broker is there");
    let large = with(&event(0), |json| {
        json["object_attributes"]["description"] = json!("x".repeat(20_000));
    });
    let (id, now) = (EventId::new("large").expect("a short id"), forgebell::daemon::now());
    publisher.publish(&id, "merge_request", "test", now, &large).await.expect("the broker confirms");
    publish(&publisher, 0..1).await;
    let daemon = home.start().await;
    hook.wait_for(1).await;
    let kept = home.quarantined().await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!((kept[0].id.as_ref(), kept[0].size), (Some(&id), 4096));
    let reason = format!("it has {} bytes, and amqp.message_limit is 20000", large.len());
    assert!(kept[0].reason.contains(&reason), "{}", kept[0].reason);
    daemon.stop().await;
}

/// As an operator, or an earlier version, declared it.
async fn declare_queue(url: &str, queue: &str, arguments: &[(&str, AMQPValue)]) {
    let connection =
        Connection::connect(url, ConnectionProperties::default()).await.expect("the broker is there");
    let channel = connection.create_channel().await.expect("a channel");
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), value.clone());
    }
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, table).await.expect("a queue");
    connection.close(200, "done".into()).await.expect("a farewell");
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// The arguments of a queue can't be changed: an upgrade must not end in a daemon that reads nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_was_declared_otherwise_is_read_and_reported() {
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let url = rabbit::shared().await.url();
    let limit = ("x-delivery-limit", AMQPValue::LongInt(1_000_000));
    let queues = [
        ("quorum", vec![("x-queue-type", text("quorum")), limit], "without x-single-active-consumer"),
        ("classic", vec![("x-queue-type", text("classic"))], "without x-single-active-consumer"),
        ("quorum", vec![("x-queue-type", text("classic"))], "was declared otherwise"),
        ("quorum", vec![("x-queue-type", text("quorum"))], "was declared otherwise"),
    ];
    for (n, (queue_type, arguments, expected)) in queues.into_iter().enumerate() {
        let queue = rabbit::unique("former");
        declare_queue(&url, &queue, &arguments).await;
        let home = Home::new(&one_project(&service)).with_broker(&url, &queue);
        let home = home.with(&[&format!("amqp.queue_type={queue_type}")]);
        let config = home.config().amqp;
        let remarks = amqp::probe(&config).await.expect("the broker answers");
        let remarks: Vec<_> = remarks.iter().map(ToString::to_string).collect();
        assert!(matches!(&remarks[..], [remark] if remark.contains(expected)), "{arguments:?}: {remarks:?}");
        let daemon = home.start().await;
        connected(&daemon, true).await;
        let publisher = Publisher::connect(&config).await.expect("the broker is there");
        publish(&publisher, n * PROJECTS..n * PROJECTS + 1).await;
        hook.wait_for(n + 1).await;
        daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_was_declared_as_configured_is_not_remarked_on_and_a_check_creates_none() {
    let broker = rabbit::shared().await;
    let queue = rabbit::unique("probed");
    for settings in [&[][..], &["amqp.queue_type=classic"], &["amqp.partitions=2"]] {
        let queue = format!("{queue}.{}", settings.len() + settings.join("").len());
        let config = Home::new("").with_broker(&broker.url(), &queue).with(settings).config().amqp;
        let probe = async || amqp::probe(&config).await.expect("the broker answers");
        assert_eq!(probe().await, []);
        let list = broker.ctl(&["-q", "list_queues", "name"]).await;
        assert!(!list.contains(&queue), "a check created it: {list}");
        Publisher::connect(&config).await.expect("the broker is there").close().await;
        assert_eq!(probe().await, []);
    }
    // Partitions instead of one queue, which still receives everything.
    let config = Home::new("").with_broker(&broker.url(), &format!("{queue}.0")).with(&["amqp.partitions=2"]);
    let remarks = amqp::probe(&config.config().amqp).await.expect("the broker answers");
    assert!(matches!(&remarks[..], [Remark::Unread { .. }]), "{remarks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_was_declared_otherwise_is_reported_with_the_remedy() {
    let url = rabbit::shared().await.url();
    let queue = rabbit::unique("exchange");
    let config = |settings: &[&str]| Home::new("").with_broker(&url, &queue).with(settings).config().amqp;
    Publisher::connect(&config(&[])).await.expect("the broker is there").close().await;
    let refused = Publisher::connect(&config(&["amqp.exchange_type=direct"])).await;
    let error = refused.err().expect("it is refused").to_string();
    assert!(error.contains("was declared otherwise") && error.contains("amqp.exchange_type"), "{error}");
}

/// The settings of a home with these changes, as a reload reads them.
fn changed(home: &Home, changes: &[(&str, &str)]) -> forgebell::config::Config {
    home.config_with(changes.iter().map(|(key, value)| format!("{key}={value}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn new_settings_of_the_broker_apply_at_a_reload_and_lose_nothing_of_the_former_queue() {
    const EVENTS: usize = 300;
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let broker = rabbit::shared().await;
    let [former, next] = ["former", "next"].map(rabbit::unique);
    let home = Home::new(&one_project(&service)).with_broker(&broker.url(), &former);
    let home = home.with(&["rate_limits.enabled=false"]);
    let daemon = home.start().await;
    connected(&daemon, true).await;
    let publisher = Publisher::connect(&home.config().amqp).await.expect("the broker is there");
    for n in 0..EVENTS {
        let id = EventId::new(&format!("former-{n}")).expect("a short id");
        let body =
            with(&event(0), |json| json["object_attributes"]["title"] = json!(format!("event {n} end")));
        publisher
            .publish(&id, "merge_request", "test", forgebell::daemon::now(), &body)
            .await
            .expect("confirmed");
        if n == EVENTS / 2 {
            // The same queue with another prefetch, while events come.
            let fewer = changed(&home, &[("amqp.prefetch", "16")]);
            daemon.reload_with(Some(fewer)).await.expect("the settings are valid");
        }
    }
    let told_in_order: Vec<usize> =
        hook.wait_for(EVENTS).await.iter().map(|received| told(received)).collect();
    assert_eq!(told_in_order, (0..EVENTS).collect::<Vec<_>>(), "each once, in order");

    let elsewhere =
        changed(&home, &[("amqp.queue", next.as_str()), ("amqp.exchange", &format!("{next}.exchange"))]);
    let to_next = elsewhere.amqp.clone();
    daemon.reload_with(Some(elsewhere)).await.expect("the settings are valid");
    eventually("the next queue is consumed", Duration::from_secs(30), async || {
        let consumers = broker.ctl(&["list_queues", "name", "consumers"]).await;
        consumers.lines().any(|line| line.starts_with(&next) && line.trim_end().ends_with('1')).then_some(())
    })
    .await;
    let publisher = Publisher::connect(&to_next).await.expect("the broker is there");
    publish(&publisher, 0..1).await;
    hook.wait_for(EVENTS + 1).await;
    let consumers = broker.ctl(&["list_queues", "name", "messages", "consumers"]).await;
    let former = consumers.lines().find(|line| line.starts_with(&former)).expect("the queue stays");
    assert_eq!(former.split_whitespace().skip(1).collect::<Vec<_>>(), ["0", "0"], "{consumers}");
    let (_, metrics) = daemon.get("/metrics").await.expect("the daemon answers");
    assert!(metrics.contains("forgebell_settings_need_restart 0"), "{metrics}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_can_be_switched_on_and_off_and_a_wrong_address_is_named_until_it_is_corrected() {
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let broker = rabbit::shared().await;
    let queue = rabbit::unique("switched");
    let home = Home::new(&one_project(&service));
    let daemon = home.start().await;
    let ready = async || daemon.get("/readyz").await.expect("the daemon answers").1;
    assert!(!ready().await.contains("broker"), "no broker is configured");

    let on = Home::new("").with_broker(&broker.url(), &queue).config().amqp;
    let exchange = format!("{queue}.exchange");
    let settings = |url: &str, enabled: &str| {
        let all = [
            ("amqp.enabled", enabled),
            ("amqp.url", url),
            ("amqp.queue", &queue),
            ("amqp.exchange", &exchange),
            ("amqp.reconnect_max", "500ms"),
        ];
        Some(changed(&home, &all))
    };
    daemon.reload_with(settings("amqp://guest:guest@127.0.0.1:1/%2f", "true")).await.expect("valid settings");
    let body = connected(&daemon, false).await;
    assert!(body.contains("away since"), "{body}");
    daemon.reload_with(settings(&broker.url(), "true")).await.expect("valid settings");
    connected(&daemon, true).await;
    publish(&Publisher::connect(&on).await.expect("the broker is there"), 0..1).await;
    hook.wait_for(1).await;
    daemon.reload_with(settings(&broker.url(), "false")).await.expect("valid settings");
    eventually("the broker is no part any more", Duration::from_secs(30), async || {
        (!ready().await.contains("broker")).then_some(())
    })
    .await;
    daemon.stop().await;
}
