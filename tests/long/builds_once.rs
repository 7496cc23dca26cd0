//! A build is never started twice, whenever the daemon is killed.

use std::collections::BTreeMap;
use std::time::Duration;

use forgebell::store::State;
use serde_json::json;

use crate::harness::forge::Forge;
use crate::harness::payloads::{payload, with};
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::wait::eventually;

const ROUNDS: u64 = 20;
const PUSHES: usize = 6;

/// A push to a branch of its own, so that the builds do not wait for each other.
fn push(number: usize) -> Vec<u8> {
    with(&payload("push.json"), |json| json["ref"] = json!(format!("refs/heads/b{number}")))
}

fn drone(server: &Receiver) -> String {
    format!(
        "[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"drone-ci\"\ntoken = \"t\"\ndrone_url = \"{}\"\n",
        server.url("/")
    )
}

/// Kills the daemon at a later moment in each round: before the mark, between the mark and the call, during the call,
/// before the outcome is written, and after it.
async fn never_twice(forge: Forge) {
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        let server = Receiver::start().await;
        let answer = Answer::json(200, &json!({"id": 7, "number": 3})).delay(Duration::from_millis(15));
        let hook = server.at("/hook").answer(answer);
        let home = forge.home(&drone(&server)).with(&["rate_limits.enabled=false", "delivery.lease=10s"]);
        let daemon = home.start().await;
        for number in 0..PUSHES {
            forge.send(&daemon, &format!("round-{round}-{number}"), push(number)).await;
        }
        tokio::time::sleep(Duration::from_millis(round * 4)).await;
        daemon.crash();
        let daemon = home.start().await;
        let of_round = |line: &forgebell::store::DeliveryLine| {
            line.event.as_str().starts_with(&format!("round-{round}-"))
        };
        let settled = eventually("every push is settled", Duration::from_secs(60), async || {
            let lines = home.deliveries(None).await;
            let of_round: Vec<_> = lines.into_iter().filter(of_round).collect();
            let open = of_round.iter().filter(|line| line.state == State::Waiting).count();
            (of_round.len() == PUSHES && open == 0).then_some(of_round)
        })
        .await;
        let mut builds: BTreeMap<String, usize> = BTreeMap::new();
        for request in hook.received() {
            *builds.entry(request.json()["ref"].to_string()).or_default() += 1;
        }
        assert!(builds.values().all(|count| *count == 1), "round {round}: {builds:?}");
        for line in &settled {
            match line.state {
                State::Delivered => {}
                State::Failed => {
                    interrupted += 1;
                    let note = line.last_note.as_deref().unwrap_or_default();
                    assert!(note.starts_with("may have been sent"), "round {round}: {note}");
                }
                other => panic!("round {round}: {}", other.name()),
            }
        }
        let delivered = settled.iter().filter(|line| line.state == State::Delivered).count();
        assert!(builds.len() >= delivered, "round {round}: {delivered} delivered, {builds:?}");
        daemon.stop().await;
    }
    println!(
        "{ROUNDS} kills: {} pushes, {interrupted} interrupted, no build twice",
        ROUNDS as usize * PUSHES
    );
    assert!(interrupted > 0, "no kill hit an attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_starts_no_build_twice() {
    never_twice(Forge::http()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_it_on_postgresql() {
    never_twice(Forge::http_on_postgres()).await;
}
