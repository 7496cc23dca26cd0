//! Alerts of monitoring systems: from Debian's real Alertmanager to the people's channel.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, Uri};
use forgebell::store::State;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::task::AbortOnDropHandle;

use crate::harness;
use crate::harness::alertmanager::Alertmanager;
use crate::harness::api::{Caller, administered};
use crate::harness::daemon::{Daemon, Home};
use crate::harness::program::finished;
use crate::harness::receiver::{Hook, Receiver};
use crate::harness::wait::eventually;

const FIRST: &str = "2026-01-15T09:00:00Z";
const ITS_END: &str = "2026-01-15T10:00:00Z";
const NEXT_WEEK: &str = "2026-01-22T09:00:00Z";
const SOON: Duration = Duration::from_secs(60);

/// What stands between Alertmanager and the daemon, which has another port after each start. It keeps the reports.
struct Relay {
    url: String,
    inner: Arc<Mutex<Inner>>,
    _server: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Inner {
    /// The daemon's address; `None` while there is none.
    upstream: Option<String>,
    /// Answers that are lost after the daemon gave them.
    lose: usize,
    /// The reports that were answered with 200, answers that were lost among them.
    taken: Vec<Value>,
}

impl Relay {
    async fn start(daemon: &Daemon) -> Self {
        let inner = Inner { upstream: Some(daemon.base().to_owned()), ..Inner::default() };
        let inner = Arc::new(Mutex::new(inner));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let app = Router::new().fallback(pass_on).with_state((Arc::clone(&inner), harness::client()));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self { url, inner, _server: AbortOnDropHandle::new(server) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until so many more reports were taken.
    async fn until_more(&self, count: usize) {
        let before = self.with(|inner| inner.taken.len());
        eventually("Alertmanager reports again", SOON, async || {
            self.with(|inner| inner.taken.len() >= before + count).then_some(())
        })
        .await;
    }

    /// Waits until the end of this alert was reported.
    async fn until_resolved(&self, name: &str) {
        let is_its_end = |report: &Value| {
            let alerts = report["alerts"].as_array().expect("alerts");
            alerts.iter().any(|alert| alert["labels"]["alertname"] == name && alert["status"] == "resolved")
        };
        eventually("Alertmanager reports the end", SOON, async || {
            self.with(|inner| inner.taken.iter().any(is_its_end)).then_some(())
        })
        .await;
    }
}

async fn pass_on(
    Extract((inner, client)): Extract<(Arc<Mutex<Inner>>, reqwest::Client)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    const AWAY: (StatusCode, String) = (StatusCode::BAD_GATEWAY, String::new());
    let upstream = inner.lock().unwrap_or_else(PoisonError::into_inner).upstream.clone();
    let Some(upstream) = upstream else { return AWAY };
    let mut request = client.post(format!("{upstream}{}", uri.path())).body(body.clone());
    for name in ["authorization", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value.as_bytes());
        }
    }
    let Ok(response) = request.send().await else { return AWAY };
    let status = StatusCode::from_u16(response.status().as_u16()).expect("a status");
    let text = response.text().await.unwrap_or_default();
    let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
    if status == StatusCode::OK {
        inner.taken.push(serde_json::from_slice(&body).expect("JSON"));
        if inner.lose > 0 {
            inner.lose -= 1;
            return (StatusCode::INTERNAL_SERVER_ERROR, String::new());
        }
    }
    (status, text)
}

/// A daemon that tells the alerts of `acme/web` to a Mattermost and to a Slack, and the project's alert token.
async fn set_up(home: &Home, chat: &Receiver) -> (Daemon, Caller, String) {
    let (daemon, admin) = administered(home).await;
    admin.put("/projects/42", json!({ "path_with_namespace": "acme/web" })).await;
    let mattermost = json!({ "webhook": chat.url("/mattermost"), "alert_events": true });
    admin.put("/projects/42/integrations/mattermost", mattermost).await;
    let slack = admin.put("/projects/42/integrations/slack", json!({ "webhook": chat.url("/slack") })).await;
    assert_eq!(slack["alert_events"], true, "GitLab's own flag is on by default");
    let made = admin.put("/projects/42/integrations/alerts", json!({})).await;
    let token = made["token"].as_str().expect("a token").to_owned();
    (daemon, admin, token)
}

fn home() -> Home {
    Home::new("").with(&["rate_limits.enabled=false", "forge.url=https://forge.example"])
}

fn bearer(token: &str) -> Value {
    json!({ "authorization": { "type": "Bearer", "credentials": token } })
}

/// What the channel was told, once it was told this often.
async fn told(hook: &Hook, count: usize) -> Vec<Value> {
    let told: Vec<Value> = hook.wait_for(count).await.iter().map(|received| received.json()).collect();
    assert_eq!(told.len(), count, "{told:?}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanagers_alert_is_told_once_each_time_it_fires() {
    let chat = Receiver::start().await;
    let (mattermost, slack) = (chat.slack_like("/mattermost"), chat.slack_like("/slack"));
    let home = home();
    let (daemon, _, token) = set_up(&home, &chat).await;
    let relay = Relay::start(&daemon).await;
    let webhook = format!("{}/acme/web/prometheus/alerts/notify.json", relay.url);
    let alertmanager = Alertmanager::start(&webhook, &bearer(&token)).await;

    alertmanager.fire("Down", FIRST).await;
    let first = told(&mattermost, 1).await.remove(0);
    let shown = first.to_string();
    for part in [
        "Down is firing",
        "http://prometheus.example:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        "https://wiki.example/fire",
        "web-1:9100",
        "15 January 2026, 09:00 UTC",
        "acme/web",
        "High",
        "for 5 minutes",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    told(&slack, 1).await;

    relay.until_more(2).await; // it fires still
    alertmanager.resolve("Down", FIRST, ITS_END).await;
    relay.until_resolved("Down").await;
    alertmanager.fire("Down", NEXT_WEEK).await;
    let second = told(&mattermost, 2).await.remove(1);
    assert!(second.to_string().contains("22 January 2026, 09:00 UTC"), "{second}");
    relay.until_more(2).await;
    home.until(State::Delivered, 4).await;
    assert_eq!((mattermost.received().len(), slack.received().len()), (2, 2));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_and_a_killed_daemon_lose_no_alert_and_repeat_none() {
    let chat = Receiver::start().await;
    let (mattermost, _slack) = (chat.slack_like("/mattermost"), chat.slack_like("/slack"));
    let home = home();
    let (daemon, _, token) = set_up(&home, &chat).await;
    let relay = Relay::start(&daemon).await;
    relay.with(|inner| inner.lose = 2);
    let webhook = format!("{}/acme/web/alerts/notify.json", relay.url);
    let login = json!({ "basic_auth": { "username": "alertmanager", "password": token } });
    let alertmanager = Alertmanager::start(&webhook, &login).await;

    alertmanager.fire("Down", FIRST).await;
    eventually("Alertmanager repeats what was not answered", SOON, async || {
        relay.with(|inner| inner.lose == 0 && inner.taken.len() > 2).then_some(())
    })
    .await;
    told(&mattermost, 1).await;
    home.until(State::Delivered, 2).await;

    relay.with(|inner| inner.upstream = None);
    daemon.crash();
    alertmanager.fire("Full", FIRST).await;
    let daemon = home.start().await;
    relay.with(|inner| inner.upstream = Some(daemon.base().to_owned()));
    let both = told(&mattermost, 2).await;
    assert!(both[1].to_string().contains("Full is firing"), "{both:?}");
    relay.until_more(3).await;
    home.until(State::Delivered, 4).await;
    assert_eq!(mattermost.received().len(), 2, "each once");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_command_line_lets_alerts_in_and_nothing_else() {
    let chat = Receiver::start().await;
    let (mattermost, _slack) = (chat.slack_like("/mattermost"), chat.slack_like("/slack"));
    let home = home();
    let (daemon, admin, _) = set_up(&home, &chat).await;
    admin.ask("DELETE", "/projects/42/integrations/alerts", None).await;
    let mut program = Command::new(env!("CARGO_BIN_EXE_forgebell"));
    let store = format!("store.path={}", home.path().join("forgebell.db").display());
    program.env_clear().current_dir(home.path()).args(["--option", &store, "token", "create"]);
    program.args(["--project", "acme/web", "--alerts", "--name", "alertmanager"]);
    let printed = finished(program).await;
    let token = printed.strip_suffix('\n').expect("one line");
    assert!(token.starts_with("fbt-") && !token.contains(char::is_whitespace), "{token}");

    let post = async |address: &str| {
        let request = admin.client.post(format!("{}{address}", daemon.base())).bearer_auth(token);
        let alert = json!({ "title": "Backup failed", "fingerprint": "backup" });
        request.body(alert.to_string()).send().await.expect("an answer").status().as_u16()
    };
    eventually("the daemon knows the token", SOON, async || {
        (post("/acme/web/alerts/notify.json").await == 200).then_some(())
    })
    .await;
    let first = told(&mattermost, 1).await.remove(0);
    assert!(first.to_string().contains("Backup failed"), "{first}");
    assert_eq!(post("/other/site/alerts/notify.json").await, 401, "it is for one project");
    let shown = admin.ask("GET", "/projects/42/integrations/alerts", None).await.1;
    assert_eq!(
        (&shown["active"], &shown["alerts_path"]),
        (&json!(true), &json!("/acme/web/alerts/notify.json"))
    );
    let api = format!("{}/api/v4/projects/42/integrations", daemon.base());
    let read = admin.client.get(api).bearer_auth(token).send().await.expect("an answer");
    assert_eq!(read.status(), 403, "it lets alerts in, and nothing else");
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_refused_and_a_new_one_lets_the_same_alert_in() {
    let chat = Receiver::start().await;
    let (mattermost, _slack) = (chat.slack_like("/mattermost"), chat.slack_like("/slack"));
    let home = home();
    let (daemon, admin, _) = set_up(&home, &chat).await;
    let post = async |token: &str| {
        let address = format!("{}/acme/web/alerts/notify/cron/1f.json", daemon.base());
        let request = admin.client.post(address).bearer_auth(token);
        let alert = json!({ "title": "Backup failed", "severity": "fatal", "fingerprint": "backup" });
        request.body(alert.to_string()).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(post("fbt-of-someone-else").await, 401);
    let rotated = admin.put("/projects/42/integrations/alerts", json!({ "reset_token": true })).await;
    assert_eq!(post(rotated["token"].as_str().expect("a token")).await, 200);
    let first = told(&mattermost, 1).await.remove(0);
    assert!(first.to_string().contains("Backup failed"), "{first}");
    let (_, metrics) = daemon.get("/metrics").await.expect("metrics");
    for series in [
        "forgebell_alerts_total{result=\"new\"} 1",
        "forgebell_alert_reports_refused_total{reason=\"token\"} 1",
    ] {
        assert!(metrics.contains(series), "{series}:\n{metrics}");
    }
    daemon.stop().await;
}
