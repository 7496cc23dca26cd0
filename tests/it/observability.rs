//! What the daemon shows of itself to machines: metrics that Prometheus's own linter accepts, and two pages of health.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use forgebell::store::State;
use serde_json::{Value, json};

use crate::harness::daemon::{Daemon, Home};
use crate::harness::payloads::payload;
use crate::harness::rabbit;
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::wait::eventually;

const PUSH: &str = "push.json";
const PATIENCE: Duration = Duration::from_secs(60);

fn slack(webhook: &str) -> String {
    format!("[[integration]]\nproject = \"mike/diaspora\"\nadapter = \"slack\"\nwebhook = \"{webhook}\"\n")
}

async fn page(daemon: &Daemon, path: &str) -> (u16, Value) {
    let (status, text) = daemon.get(path).await.expect("the daemon answers");
    (status, serde_json::from_str(&text).expect("it is JSON"))
}

/// What promtool says of metrics: nothing, where all is well.
fn lint(metrics: &str) -> (Option<i32>, String) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = command.spawn().expect("promtool is installed (Debian's package is prometheus)");
    let mut stdin = promtool.stdin.take().expect("it has a standard input");
    stdin.write_all(metrics.as_bytes()).expect("promtool reads");
    drop(stdin);
    let ran = promtool.wait_with_output().expect("promtool ends");
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_accepts_the_metrics() {
    let receiver = Receiver::start().await;
    let hook = receiver.slack_like("/services/T0/B0/deepsecret");
    let hook = hook.answer_then(vec![Answer::status(503)], Answer::ok());
    let home = Home::new(&slack(&hook.url()));
    let daemon = home.start().await;
    daemon.send("o-1", payload(PUSH)).await;
    daemon.send("o-2", payload("issue_open.json")).await;
    daemon.send("o-3", b"{".to_vec()).await;
    home.until(State::Delivered, 1).await;
    daemon.reload().await.expect("the integrations are as they were");

    let metrics = eventually("what happened is counted", PATIENCE, async || {
        let (status, metrics) = daemon.get("/metrics").await?;
        assert_eq!(status, 200);
        let counted = ["forgebell_events_total{", "forgebell_retries_total{", "forgebell_reloads_total{"];
        let shown = ["forgebell_attempt_duration_seconds_bucket{", "forgebell_quarantine_events "];
        counted.iter().chain(&shown).all(|series| metrics.contains(series)).then_some(metrics)
    })
    .await;
    assert_eq!(lint(&metrics), (Some(0), String::new()), "in:\n{metrics}");
    assert!(!metrics.contains("deepsecret") && !metrics.contains("diaspora"), "{metrics}");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_reports_each_part_that_is_configured() {
    let home = Home::new("");
    let daemon = home.start().await;
    assert_eq!(page(&daemon, "/healthz").await, (200, json!({ "status": "ok" })));
    let ready = json!({ "status": "ready", "store": "ok" });
    assert_eq!(page(&daemon, "/readyz").await, (200, ready));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_without_its_broker_is_ready_for_events_over_http_and_says_so() {
    let home = Home::new("").with_broker("amqp://127.0.0.1:1/%2f", &rabbit::unique("away"));
    let daemon = home.start().await;
    let (status, body) = page(&daemon, "/readyz").await;
    assert_eq!((status, &body["status"], &body["store"]), (200, &json!("ready"), &json!("ok")));
    assert!(body["broker"].as_str().is_some_and(|why| why != "ok" && !why.is_empty()), "{body}");
    assert_eq!(page(&daemon, "/healthz").await.0, 200);
    daemon.stop().await;
}
