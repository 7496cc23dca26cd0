//! The daemon as a process of its own, and a broker: how much memory large messages take, and what is left of the order
//! when nodes are killed again and again.

use std::time::Duration;

use forgebell::event::EventId;
use forgebell::pipeline::amqp::Publisher;
use forgebell::store::State;
use serde_json::json;

use crate::harness::bursts::{self, Told};
use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::postgres;
use crate::harness::process::DaemonProcess;
use crate::harness::rabbit::{self, RabbitNode};
use crate::harness::receiver::Receiver;
use crate::harness::wait::eventually;

/// What a daemon may take, in megabytes.
const BOUND: u64 = 400;

/// Merge requests with a description of this many megabytes, of a project that has no integration, or of the one that has.
fn large_event(megabytes: usize, project: i64) -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| {
        json["project"]["id"] = json!(project);
        json["project"]["path_with_namespace"] = json!(format!("gitlabhq/test-{project}"));
        json["object_attributes"]["description"] = json!("x".repeat(megabytes << 20));
    })
}

/// The settings of a home with a broker, for the program.
fn settings(home: &Home) -> Vec<String> {
    let amqp = home.config().amqp;
    vec![
        "amqp.enabled=true".to_owned(),
        format!("amqp.url={}", amqp.url.expose()),
        format!("amqp.queue={}", amqp.queue),
        format!("amqp.exchange={}", amqp.exchange),
        format!("amqp.partitions={}", amqp.partitions),
        "amqp.reconnect_max=500ms".to_owned(),
        "rate_limits.enabled=false".to_owned(),
        "wire.allow_networks=127.0.0.0/8".to_owned(),
        format!("provision.files={}", home.path().join("integrations.toml").display()),
    ]
}

async fn start(settings: &[String]) -> DaemonProcess {
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    DaemonProcess::start(&settings).await
}

/// A queue that is full when the daemon starts: of what is wanted by nobody, and of what is kept and sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_large_messages_takes_bounded_memory() {
    for (count, megabytes, wanted) in [(300, 8, 0), (2_000, 1, 0), (60, 8, 60)] {
        let broker = RabbitNode::start().await;
        broker.ctl(&["set_vm_memory_high_watermark", "absolute", "8GB"]).await;
        let service = Receiver::start().await;
        let home = Home::new(&bursts::integrations(&service)).with_broker(&broker.url(), "large");
        let publisher = Publisher::connect(&home.config().amqp).await.expect("the broker is there");
        let (ignored, last) = (large_event(megabytes, 1), large_event(0, 1000));
        let told = large_event(megabytes, 1000);
        for n in 0..=count {
            let id = EventId::new(&format!("large-{n}")).expect("a short id");
            let body = if n == count {
                &last
            } else if n < wanted {
                &told
            } else {
                &ignored
            };
            let now = forgebell::daemon::now();
            publisher.publish(&id, "merge_request", "test", now, body).await.expect("the broker confirms");
        }
        let daemon = start(&settings(&home)).await;
        let patience = Duration::from_secs(600);
        eventually("all are dispatched and sent", patience, async || {
            (daemon.home.deliveries(Some(State::Delivered)).await.len() == wanted + 1).then_some(())
        })
        .await;
        let peak = daemon.memory().peak;
        println!("{count} messages of {megabytes} MB, {wanted} of them sent: {peak} MB at most");
        assert!(peak < BOUND, "{peak} MB");
    }
}

/// `kill -9` of the node that dispatches, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_kept_though_the_dispatching_node_is_killed_again_and_again() {
    const ALL: usize = 20_000;
    const KILLS: usize = 8;
    for partitions in [1, 4] {
        let service = Receiver::start().await;
        let (url, queue) = (rabbit::shared().await.url(), rabbit::unique("killed"));
        let home = Home::new(&bursts::integrations(&service)).with_broker(&url, &queue);
        let home = home.with(&[&format!("amqp.partitions={partitions}")]);
        let database = postgres::database();
        let node = async |name: &str| {
            let own = [
                format!("store.url={database}"),
                format!("node.name={name}"),
                format!("amqp.consumer_tag={name}"),
                "delivery.lease=10s".to_owned(),
            ];
            start(&[&settings(&home)[..], &own].concat()).await
        };
        let names = ["one", "two"];
        let mut nodes = [Some(node(names[0]).await), Some(node(names[1]).await)];
        let publishing = bursts::publish(&home, 0..ALL);
        let killing = async {
            for kill in 1..=KILLS {
                eventually("they are at work", Duration::from_secs(120), async || {
                    (service.received().len() > kill * ALL / (KILLS + 2)).then_some(())
                })
                .await;
                let active = active_consumer(&queue).await;
                let victim = names.iter().position(|name| *name == active).unwrap_or_default();
                drop(nodes[victim].take()); // kill -9
                nodes[victim] = Some(node(names[victim]).await);
            }
        };
        tokio::join!(publishing, killing);
        let all = home.with_postgres(&database, "reader");
        eventually("all are delivered", Duration::from_secs(300), async || {
            (all.deliveries(Some(State::Delivered)).await.len() >= ALL).then_some(())
        })
        .await;
        let told = Told::by(&service, ALL);
        println!("{ALL} events over {partitions} queues, {KILLS} kills: {told:?}");
        told.assert_all_in_order();
    }
}

/// The name of a node that the broker delivers to.
async fn active_consumer(queue: &str) -> String {
    let fields = ["-q", "list_consumers", "--no-table-headers", "queue_name", "consumer_tag", "active"];
    let list = rabbit::shared().await.ctl(&fields).await;
    let of_it = list.lines().filter(|line| line.starts_with(queue) && line.ends_with("true"));
    of_it.filter_map(|line| line.split_whitespace().nth(1)).next().unwrap_or_default().to_owned()
}
