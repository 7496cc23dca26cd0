//! Several nodes: one PostgreSQL, one broker, and any of them may go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use forgebell::event::EventId;
use forgebell::pipeline::publish::Publisher;
use forgebell::store::State;
use serde_json::json;

use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::postgres;
use crate::harness::rabbit;
use crate::harness::receiver::{Received, Receiver};
use crate::harness::wait::eventually;

const PROJECTS: usize = 20;
const SUBJECTS: usize = 50;
const EVENTS: usize = 20_000;

fn path(project: usize) -> String {
    format!("/services/T{project}/B/hook")
}

fn integrations(receiver: &Receiver) -> String {
    let one = |project: usize| {
        let webhook = receiver.url(&path(project));
        format!(
            "[[integration]]\nproject = {}\nadapter = \"slack\"\nwebhook = \"{webhook}\"\n\n",
            1000 + project
        )
    };
    (0..PROJECTS).map(one).collect()
}

/// The `n`th event; its subject's events are told by growing numbers.
fn event(n: usize) -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| {
        json["project"]["id"] = json!(1000 + n % PROJECTS);
        json["object_attributes"]["iid"] = json!(subject(n).1 + 1);
        json["object_attributes"]["title"] = json!(format!("event {n} end"));
    })
}

fn subject(n: usize) -> (usize, usize) {
    (n % PROJECTS, n / PROJECTS % SUBJECTS)
}

fn told(received: &Received) -> usize {
    let text = received.text();
    let number = text.split("event ").nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no event is named in {text}"))
}

/// Two homes of one database and one queue.
async fn two_nodes(integrations: &str, settings: &[&str]) -> [Home; 2] {
    let (database, broker) = (postgres::database(), rabbit::shared().await.url());
    let queue = rabbit::unique("nodes");
    ["one", "two"].map(|name| {
        Home::new(integrations).with_broker(&broker, &queue).with_postgres(&database, name).with(settings)
    })
}

async fn publish(home: &Home, numbers: std::ops::Range<usize>) {
    let publisher = Publisher::connect(&home.config().amqp).await.expect("the broker is there");
    for n in numbers {
        let id = EventId::new(&format!("event-{n}")).expect("a short id");
        let now = forgebell::daemon::now();
        publisher.publish(&id, "merge_request", "test", now, &event(n)).await.expect("the broker confirms");
    }
}

fn taken(received: &[Arc<Received>]) -> Vec<&Arc<Received>> {
    received.iter().filter(|received| received.answered == Some(200)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_midway_costs_nothing() {
    let service = Receiver::start().await;
    let hooks: Vec<_> = (0..PROJECTS).map(|project| service.slack_like(&path(project))).collect();
    let [one, two] = two_nodes(&integrations(&service), &["pace.enabled=false", "amqp.prefetch=64"]).await;
    let (first, second) = (one.start().await, two.start().await);
    publish(&one, 0..EVENTS / 2).await;
    eventually("both are at work", Duration::from_secs(60), async || {
        (taken(&service.received()).len() > EVENTS / 10).then_some(())
    })
    .await;
    first.crash();
    publish(&two, EVENTS / 2..EVENTS).await;
    two.until(State::Delivered, EVENTS).await;

    let received = service.received();
    let mut times = vec![0; EVENTS];
    for received in taken(&received) {
        times[told(received)] += 1;
    }
    let lost: Vec<_> = (0..EVENTS).filter(|n| times[*n] == 0).collect();
    assert!(lost.is_empty(), "never told: {lost:?}");
    // What the dead node had sent and not written down is told again: no more than was under way at once.
    let repeated = times.iter().filter(|times| **times > 1).count();
    assert!(repeated <= 256, "{repeated} were told again");
    let mut last: HashMap<(usize, usize), usize> = HashMap::new();
    let mut seen = vec![false; EVENTS];
    for n in taken(&received).into_iter().map(|received| told(received)) {
        if !std::mem::replace(&mut seen[n], true) {
            let before = last.insert(subject(n), n);
            assert!(before.is_none_or(|before| before < n), "{n} was told after {before:?}");
        }
    }
    for hook in &hooks {
        assert_eq!(hook.max_concurrency(), 1, "two nodes worked one room at once");
    }
    second.stop().await;
}

/// Slack's second per message, twenty times as fast, so that the test ends: bursts of 5, then one each 50 ms.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_together_are_no_faster_than_one_may_be() {
    const EACH: usize = 60;
    let service = Receiver::start().await;
    let hooks: Vec<_> = (0..PROJECTS).map(|project| service.slack_like(&path(project))).collect();
    let [one, two] = two_nodes(&integrations(&service), &["pace.scale=20", "amqp.prefetch=8"]).await;
    let (first, second) = (one.start().await, two.start().await);
    publish(&one, 0..PROJECTS * EACH).await;
    two.until(State::Delivered, PROJECTS * EACH).await;
    for hook in &hooks {
        let received = hook.received();
        assert_eq!(received.len(), EACH);
        let at: Vec<_> = received.iter().map(|received| received.at).collect();
        for (n, begin) in at.iter().enumerate() {
            for (more, end) in at[n..].iter().enumerate().skip(6) {
                // `more + 1` messages arrived within this time; on the way they may have come closer together.
                let least = Duration::from_millis(50) * u32::try_from(more + 1 - 5).expect("a few");
                let took = end.duration_since(*begin) + Duration::from_millis(100);
                assert!(took >= least, "{} messages within {took:?}", more + 1);
            }
        }
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_of_the_same_name_does_not_start() {
    let database = postgres::database();
    let home = Home::new("").with_postgres(&database, "twin");
    let daemon = home.start().await;
    let store =
        forgebell::store::postgres::Postgres::open(&forgebell::settings::Secret::new(database), None).await;
    let news = store.expect("it opens").news(&forgebell::store::NodeId("twin".into()), Duration::ZERO).await;
    let why = news.map(drop).expect_err("the name is taken").to_string();
    assert!(why.contains("`twin`"), "{why}");
    daemon.stop().await;
}
