//! A private Alertmanager, Debian's, on a port and in a folder of its own.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::ports::free_port;
use super::rabbit::{Process, Watchdog};
use super::wait::eventually;

const PROGRAM: &str = "/usr/bin/prometheus-alertmanager";
const SOON: Duration = Duration::from_secs(30);

/// The server. It notifies at once, and repeats what fires every few seconds.
pub struct Alertmanager {
    // Dropped in this order: the process before the folder it writes to.
    _server: Process,
    _watchdog: Watchdog,
    _folder: TempDir,
    base: String,
    client: reqwest::Client,
}

impl Alertmanager {
    /// One that notifies this address with this `http_config`.
    pub async fn start(webhook: &str, http_config: &Value) -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "Alertmanager is not installed; `bash tests/run.sh` installs it (Debian's prometheus-alertmanager)"
        );
        let folder = TempDir::with_prefix("alertmanager-").expect("a folder for the server");
        let port = free_port();
        let configuration = json!({
            "route": {
                "receiver": "forgebell", "group_by": ["..."], "group_wait": "1ms", "group_interval": "1s",
                "repeat_interval": "2s",
            },
            "receivers": [{
                "name": "forgebell",
                "webhook_configs": [{ "url": webhook, "send_resolved": true, "http_config": http_config }],
            }],
        });
        // JSON is YAML too.
        let file = folder.path().join("alertmanager.yml");
        fs::write(&file, configuration.to_string()).expect("the folder is ours");
        let mut watchdog = Watchdog::over(folder.path());
        let mut command = Command::new(PROGRAM);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .env("NO_PROXY", "*");
        let log = folder.path().join("log");
        let mut server = Process::start(command, &log);
        watchdog.guard(&[&server]);
        let (base, client) = (format!("http://{}:{port}", Ipv4Addr::LOCALHOST), super::client());
        eventually("Alertmanager answers", SOON, async || {
            if let Some(status) = server.exited() {
                panic!("Alertmanager ended ({status}):\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            let ready = client.get(format!("{base}/-/ready")).send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
        Self { _server: server, _watchdog: watchdog, _folder: folder, base, client }
    }

    /// Has an alert fire, as a Prometheus does.
    pub async fn fire(&self, name: &str, started_at: &str) {
        self.post(&json!({
            "labels": { "alertname": name, "severity": "page", "instance": "web-1:9100" },
            "annotations": { "summary": format!("{name} is firing"), "description": "It has *burned* for 5 minutes",
                             "runbook": "https://wiki.example/fire" },
            "startsAt": started_at,
            "generatorURL": "http://prometheus.example:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        }))
        .await;
    }

    /// Has an alert end.
    pub async fn resolve(&self, name: &str, started_at: &str, ended_at: &str) {
        self.post(&json!({
            "labels": { "alertname": name, "severity": "page", "instance": "web-1:9100" },
            "annotations": { "summary": format!("{name} is firing") },
            "startsAt": started_at, "endsAt": ended_at,
            "generatorURL": "http://prometheus.example:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        }))
        .await;
    }

    async fn post(&self, alert: &Value) {
        let request = self.client.post(format!("{}/api/v2/alerts", self.base));
        let request = request.header("content-type", "application/json").body(json!([alert]).to_string());
        let response = request.send().await.expect("Alertmanager answers");
        assert!(response.status().is_success(), "{:?}", response.text().await);
    }
}
