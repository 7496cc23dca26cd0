//! The order of each subject's events, where several nodes read one queue, or the partitions of one: the broker has one
//! active consumer for each queue, and another node takes over where it left off.

use super::*;
use crate::harness::bursts::{self, Told};

const ALL: usize = 3_000;

/// Two nodes with these settings, both connected to the broker.
async fn two_at_work(service: &Receiver, settings: &[&str]) -> ([Home; 2], [Daemon; 2]) {
    let database = postgres::database();
    let settings = [&["rate_limits.enabled=false"], settings].concat();
    let [one, two] = nodes_at([&database, &database], &bursts::integrations(service), &settings).await;
    let (one, two) = (one.with(&["amqp.consumer_tag=one"]), two.with(&["amqp.consumer_tag=two"]));
    let nodes = [one.start().await, two.start().await];
    for node in &nodes {
        ready(node).await;
    }
    ([one, two], nodes)
}

async fn ready(node: &Daemon) {
    eventually("the node is ready", Duration::from_secs(30), async || {
        node.get("/readyz").await.filter(|(status, _)| *status == 200).map(drop)
    })
    .await;
}

/// The consumers of a queue, or of its partitions: the queue, the node, and whether it is the active one.
async fn consumers(home: &Home) -> Vec<(String, String, bool)> {
    let queue = home.config().amqp.queue;
    let fields = ["-q", "list_consumers", "--no-table-headers", "queue_name", "consumer_tag", "active"];
    let list = rabbit::shared().await.ctl(&fields).await;
    let rows = list
        .lines()
        .filter_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().try_into().ok());
    let rows = rows.map(|[queue, node, active]: [String; 3]| (queue, node, active == "true"));
    rows.filter(|(name, ..)| name.starts_with(&queue)).collect()
}

/// Whether the first node is the one that the broker delivers to.
async fn first_is_active(home: &Home) -> bool {
    consumers(home).await.iter().any(|(_, node, active)| *active && node == "one")
}

async fn told_at_least(service: &Receiver, count: usize) {
    eventually("they are at work", Duration::from_secs(60), async || {
        (taken(&service.received()).len() >= count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_on_one_queue_keep_the_order() {
    for queue_type in ["quorum", "classic"] {
        let service = Receiver::start().await;
        let (homes, nodes) = two_at_work(&service, &[&format!("amqp.queue_type={queue_type}")]).await;
        bursts::publish(&homes[0], 0..ALL).await;
        homes[1].until(State::Delivered, ALL).await;
        Told::by(&service, ALL).assert_all_in_order();
        let listed = consumers(&homes[0]).await;
        let active = listed.iter().filter(|(.., active)| *active).count();
        assert_eq!((listed.len(), active), (2, 1), "both consume, and one of them stands by: {listed:?}");
        for node in nodes {
            node.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_kept_when_the_dispatching_node_is_killed() {
    for queue_type in ["quorum", "classic"] {
        let service = Receiver::start().await;
        let (homes, [first, second]) =
            two_at_work(&service, &[&format!("amqp.queue_type={queue_type}")]).await;
        bursts::publish(&homes[0], 0..ALL / 2).await;
        told_at_least(&service, ALL / 10).await;
        let publishing = bursts::publish(&homes[0], ALL / 2..ALL);
        let killing = async {
            if first_is_active(&homes[0]).await {
                first.crash();
                second
            } else {
                second.crash();
                first
            }
        };
        let ((), left) = tokio::join!(publishing, killing);
        homes[1].until(State::Delivered, ALL).await;
        Told::by(&service, ALL).assert_all_in_order();
        left.stop().await;
    }
}

/// A consumer that says farewell to a quorum queue would let the next one have newer messages first.
#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_kept_when_the_nodes_are_restarted_one_after_another() {
    for queue_type in ["quorum", "classic"] {
        let service = Receiver::start().await;
        let (homes, [mut first, mut second]) =
            two_at_work(&service, &[&format!("amqp.queue_type={queue_type}")]).await;
        let publishing = bursts::publish(&homes[0], 0..ALL);
        let restarting = async {
            for step in 1..=4 {
                told_at_least(&service, step * ALL / 10).await;
                first.stop().await;
                first = homes[0].start().await;
                ready(&first).await;
                second.stop().await;
                second = homes[1].start().await;
                ready(&second).await;
            }
            [first, second]
        };
        let ((), nodes) = tokio::join!(publishing, restarting);
        homes[1].until(State::Delivered, ALL).await;
        Told::by(&service, ALL).assert_all_in_order();
        for node in nodes {
            node.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_share_the_events_by_project_and_keep_the_order() {
    const PARTITIONS: usize = 4;
    let service = Receiver::start().await;
    let (homes, nodes) = two_at_work(&service, &["amqp.partitions=4"]).await;
    let listed = consumers(&homes[0]).await;
    let active = listed.iter().filter(|(.., active)| *active).count();
    assert_eq!((listed.len(), active), (2 * PARTITIONS, PARTITIONS), "{listed:?}");
    for node in nodes {
        node.stop().await;
    }
    // With nobody there, what each partition gets can be counted.
    bursts::publish(&homes[0], 0..ALL).await;
    let counts = eventually("all are in the queues", Duration::from_secs(30), async || {
        let queue = homes[0].config().amqp.queue;
        let list = rabbit::shared()
            .await
            .ctl(&["-q", "list_queues", "--no-table-headers", "name", "messages"])
            .await;
        let rows = list
            .lines()
            .filter(|line| line.starts_with(&queue))
            .filter_map(|line| line.split_whitespace().nth(1));
        let counts: Vec<usize> = rows.filter_map(|count| count.parse().ok()).collect();
        (counts.iter().sum::<usize>() == ALL).then_some(counts)
    })
    .await;
    assert!(counts.iter().filter(|count| **count > 0).count() > 1, "all are in one partition: {counts:?}");
    let nodes = [homes[0].start().await, homes[1].start().await];
    homes[1].until(State::Delivered, ALL).await;
    Told::by(&service, ALL).assert_all_in_order();
    for node in nodes {
        node.stop().await;
    }
}
