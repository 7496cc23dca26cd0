//! Tests of the harness itself: tests with a broken harness prove nothing.

mod proxy;
mod rabbit;
mod receiver;

use std::time::Duration;

use crate::harness::rabbit::unique;
use crate::harness::{payloads, ports, python, wait};

/// Longer than any step here takes if it succeeds, except the start of a node.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn eventually_returns_the_first_value() {
    let mut looks = 0;
    let seen = wait::eventually("the third look", SOON, async || {
        looks += 1;
        (looks == 3).then_some("seen")
    });
    assert_eq!(seen.await, "seen");
}

#[tokio::test]
#[should_panic(expected = "in vain for: pigs that fly")]
async fn eventually_gives_up_if_the_check_hangs() {
    let never = async || std::future::pending::<Option<()>>().await;
    wait::eventually("pigs that fly", Duration::from_millis(50), never).await;
}

#[test]
fn free_port_returns_no_port_twice() {
    let mut ports: Vec<u16> = (0..50).map(|_| ports::free_port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 50);
}

#[test]
fn payloads_are_json_and_can_be_varied() {
    let all = payloads::all();
    assert!(all.len() > 50, "only {} payloads", all.len());
    for (name, bytes) in &all {
        let json: serde_json::Value =
            serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(json.is_object(), "{name}");
    }
    let next = payloads::with(&payloads::payload("captured/push.json"), |json| {
        json["ref"] = "refs/heads/next".into();
    });
    let json: serde_json::Value = serde_json::from_slice(&next).expect("JSON");
    assert_eq!(json["ref"], "refs/heads/next");
}

#[test]
fn unique_names_differ() {
    assert_ne!(unique("a"), unique("a"));
}

/// However a run of the tests ends, no server is left: the system closes its input then.
#[tokio::test]
async fn a_server_of_the_tests_ends_with_its_input() {
    let (mut server, port) = python::server("mock_ci.py", &["success"]).await;
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok(), "it serves");
    drop(server.stdin.take());
    let ended = tokio::time::timeout(SOON, server.wait()).await;
    assert!(ended.expect("it ends soon").is_ok_and(|status| status.success()));
}
