//! The private broker: it passes messages, loses its power and comes back, hangs, shows a certificate, and leaves
//! nothing behind, however its test ends.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use std::{env, fs};

use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::SOON;
use crate::harness::authority::Authority;
use crate::harness::rabbit::{self, RabbitNode, unique};
use crate::harness::wait;

pub async fn channel(url: &str) -> Channel {
    let connecting = Connection::connect(url, ConnectionProperties::default());
    let connection = timeout(SOON, connecting).await.expect("no hang").expect("a connection to the node");
    connection.create_channel().await.expect("a channel")
}

async fn declare(channel: &Channel, queue: &str) {
    channel
        .queue_declare(queue.into(), QueueDeclareOptions::durable(), FieldTable::default())
        .await
        .expect("a durable queue");
}

async fn publish_confirmed(channel: &Channel, queue: &str, body: &[u8]) {
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let publishing =
        channel.basic_publish("".into(), queue.into(), BasicPublishOptions::default(), body, persistent);
    let confirmation = publishing.await.expect("published").await.expect("answered");
    assert!(confirmation.is_ack(), "{confirmation:?}");
}

async fn take(channel: &Channel, queue: &str) -> Option<Vec<u8>> {
    let message = channel.basic_get(queue.into(), BasicGetOptions::default()).await.expect("a get")?;
    assert!(message.ack(BasicAckOptions::default()).await.expect("an ack"), "the delivery is not stale");
    Some(message.delivery.data)
}

pub async fn round_trip(url: &str) {
    let (channel, queue) = (channel(url).await, unique("round-trip"));
    declare(&channel, &queue).await;
    publish_confirmed(&channel, &queue, b"there and back").await;
    assert_eq!(take(&channel, &queue).await.as_deref(), Some(&b"there and back"[..]));
}

#[tokio::test]
async fn the_shared_node_passes_messages() {
    round_trip(&rabbit::shared().await.url()).await;
}

#[tokio::test]
async fn the_shared_node_outlives_the_runtime_of_the_test_that_started_it() {
    let node = rabbit::shared().await;
    round_trip(&node.url()).await;
    assert!(std::ptr::eq(node, rabbit::shared().await), "it is one node");
}

#[tokio::test]
async fn a_test_can_have_its_own_virtual_host_on_the_shared_node() {
    let (node, vhost) = (rabbit::shared().await, unique("vhost"));
    node.ctl(&["add_vhost", &vhost]).await;
    node.ctl(&["set_permissions", "--vhost", &vhost, "guest", ".*", ".*", ".*"]).await;
    round_trip(&node.url_of(&vhost)).await;
}

#[tokio::test]
async fn a_confirmed_message_survives_a_power_cut() {
    let mut node = RabbitNode::start().await;
    let queue = unique("durable");
    {
        let channel = channel(&node.url()).await;
        declare(&channel, &queue).await;
        node.save_queues().await;
        publish_confirmed(&channel, &queue, b"kept").await;
    }
    node.kill();
    let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, node.port())).await;
    assert!(refused.is_err(), "a killed node listens no more");
    node.start_again().await;
    assert_eq!(take(&channel(&node.url()).await, &queue).await.as_deref(), Some(&b"kept"[..]));
}

#[tokio::test]
async fn two_nodes_run_side_by_side_and_leave_nothing_behind() {
    let (one, two) = tokio::join!(RabbitNode::start(), RabbitNode::start());
    assert_ne!(one.port(), two.port());
    let (one_url, two_url) = (one.url(), two.url());
    tokio::join!(round_trip(&one_url), round_trip(&two_url));
    let traces = [one.traces(), two.traces()];
    drop((one, two));
    for (folder, pids) in traces {
        assert!(!folder.exists(), "{} was left behind", folder.display());
        assert!(!pids.into_iter().any(is_running), "one of {pids:?} was left behind");
    }
}

/// A process that has ended but was not yet waited for runs no more.
fn is_running(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

const TO_BE_KILLED: &str = "TEST_PROCESS_TO_BE_KILLED";

/// The process that the next test starts and kills; run as a test among others it does nothing.
#[tokio::test]
async fn a_test_process_to_be_killed() {
    if env::var_os(TO_BE_KILLED).is_some() {
        let (folder, [node, epmd]) = rabbit::shared().await.traces();
        println!("traces {} {node} {epmd} .", folder.display());
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_node_does_not_outlive_a_killed_test_process() {
    let mut child = tokio::process::Command::new(env::current_exe().expect("this test binary"))
        .args(["--exact", "--nocapture", "harness_tests::rabbit::a_test_process_to_be_killed"])
        .env(TO_BE_KILLED, "yes")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this test binary, once more");
    let mut lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
    let (folder, pids) = loop {
        let line = lines.next_line().await.expect("readable").expect("traces before the end");
        // The runner may have written something before it on the same line.
        let Some((_, traces)) = line.split_once("traces ") else { continue };
        let words: Vec<&str> = traces.split(' ').collect();
        let pids: Vec<u32> = words[1..3].iter().map(|pid| pid.parse().expect("a pid")).collect();
        break (PathBuf::from(words[0]), pids);
    };
    assert!(folder.exists() && pids.iter().all(|pid| is_running(*pid)));
    child.kill().await.expect("SIGKILL");
    let clean = async || (!folder.exists() && !pids.iter().any(|pid| is_running(*pid))).then_some(());
    wait::eventually("the watchdog has cleaned up", SOON, clean).await;
}

#[tokio::test]
async fn a_paused_node_is_silent_until_it_is_resumed() {
    let node = RabbitNode::start().await;
    node.pause();
    let url = node.url();
    let attempt = Connection::connect(&url, ConnectionProperties::default());
    assert!(timeout(Duration::from_secs(1), attempt).await.is_err(), "a paused node must not answer");
    node.resume();
    round_trip(&url).await;
}

#[tokio::test]
async fn a_node_with_tls_shows_its_certificate() {
    let authority = Authority::new();
    let (cert, key) = authority.certify(&["localhost"]);
    let node = RabbitNode::with_tls(&cert, &key, &authority.pem).await;
    let trusting = OwnedTLSConfig { cert_chain: Some(authority.pem.clone()), identity: None };
    let runtime = lapin::runtime::default_runtime().expect("the test's runtime");
    let (url, options) = (node.tls_url(), ConnectionProperties::default());
    let connecting = Connection::connect_with_config(&url, options, trusting, runtime);
    let connection = timeout(SOON, connecting).await.expect("no hang").expect("a connection over TLS");
    connection.create_channel().await.expect("a channel over TLS");

    let mistrusting = Connection::connect(&url, ConnectionProperties::default());
    assert!(timeout(SOON, mistrusting).await.expect("no hang").is_err(), "an unknown authority");
    round_trip(&node.url()).await;
}
