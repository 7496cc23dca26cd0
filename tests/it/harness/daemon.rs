//! The daemon, in this process, on a port of its own, with its store in a temporary folder.
//!
//! [`Daemon`] starts it from ordinary configuration text and provisioning text, sends requests to its HTTP server, reads
//! its store, and stops it gracefully ([`Daemon::stop`]) or like a power cut ([`Daemon::crash`]: its future and its
//! runtime are dropped, and everything that was not committed is lost).

use std::path::{Path, PathBuf};
use std::time::Duration;

use forgebell::config::{Config, Sources};
use forgebell::daemon::{self, ReloadRequest};
use forgebell::settings::Secret;
use forgebell::store::postgres::Postgres;
use forgebell::store::registry::{Access, AuditEntry, NewToken, Right, ScopeKey};
use forgebell::store::seal::Keyring;
use forgebell::store::sqlite::Sqlite;
use forgebell::store::{DeliveryDetail, DeliveryFilter, DeliveryLine, Quarantined, State, Store, token};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::wait::eventually;

/// The world of one daemon: what survives it.
pub struct Home {
    folder: tempfile::TempDir,
    settings: Vec<String>,
    postgres: Option<String>,
}

impl Home {
    /// A daemon's home with these integrations. Retries come quickly, and loopback may be called.
    pub fn new(provisioning: &str) -> Self {
        let home = Self::bare();
        home.provision(provisioning);
        home.with(&[
            "wire.allow_networks=127.0.0.0/8",
            "retry.initial=20ms",
            "retry.multiplier=2",
            "retry.max=200ms",
            "delivery.shutdown_timeout=5s",
        ])
    }

    /// A daemon's home with the settings that are shipped.
    pub fn bare() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, settings: Vec::new(), postgres: None }
    }

    /// More settings, `section.key=value`.
    pub fn with(mut self, settings: &[&str]) -> Self {
        self.settings.extend(settings.iter().map(ToString::to_string));
        self
    }

    /// Consumes from this broker as well.
    pub fn with_broker(self, url: &str, queue: &str) -> Self {
        self.with(&[
            "amqp.enabled=true",
            &format!("amqp.url={url}"),
            &format!("amqp.queue={queue}"),
            &format!("amqp.exchange={queue}.exchange"),
            "amqp.reconnect_max=500ms",
        ])
    }

    /// Keeps what must survive in this PostgreSQL database, as this node.
    pub fn with_postgres(mut self, url: &str, node: &str) -> Self {
        self.postgres = Some(url.to_owned());
        self.with(&[&format!("store.url={url}"), &format!("node.name={node}"), "delivery.lease=10s"])
    }

    /// Replaces the provisioned integrations; a running daemon hears of it by [`Daemon::reload`].
    pub fn provision(&self, provisioning: &str) {
        std::fs::write(self.provisioning(), provisioning).expect("the provisioning file is ours");
    }

    fn provisioning(&self) -> PathBuf {
        self.folder.path().join("integrations.toml")
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("forgebell.db")
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The settings of a daemon in this home, `section.key=value`.
    pub fn options(&self) -> Vec<String> {
        let mut settings = vec![format!("store.path={}", self.database().display())];
        if self.provisioning().exists() {
            settings.push(format!("provision.files={}", self.provisioning().display()));
        }
        settings.extend(self.settings.iter().cloned());
        settings
    }

    /// The configuration that a daemon in this home has.
    pub fn config(&self) -> Config {
        self.config_with([])
    }

    /// The same with these settings over it, `section.key=value`, as a reload reads them.
    pub fn config_with(&self, changes: impl IntoIterator<Item = String>) -> Config {
        let settings = self.options().into_iter().chain(changes).collect();
        // Neither the machine's file nor its environment: a test has the same settings everywhere.
        let sources = Sources { file: None, environment: Vec::new(), options: settings };
        Config::load(sources).unwrap_or_else(|errors| panic!("the settings of a test are wrong: {errors}"))
    }

    /// Starts a daemon here, and waits until it is ready.
    pub async fn start(&self) -> Daemon {
        let config = self.config();
        self.until_free().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of our own");
        let address = listener.local_addr().expect("a bound listener has an address");
        // A runtime of its own: dropping it is the nearest to a power cut that a process can do to a part of itself.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("daemon")
            .enable_all()
            .build()
            .expect("a runtime");
        let shutdown = CancellationToken::new();
        let (reload, reloads) = mpsc::channel(1);
        let (ended, end) = oneshot::channel();
        let listener = listener.into_std().expect("an unused listener");
        let stop = shutdown.clone();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener that is non-blocking already");
            let _ = ended.send(Box::pin(daemon::run(config, listener, reloads, stop)).await);
        });
        let mut daemon = Daemon {
            base: format!("http://{address}"),
            client: super::client(),
            shutdown,
            reload,
            end: Some(end),
            runtime: Some(runtime),
        };
        daemon.until_alive().await;
        daemon
    }

    /// A daemon that crashed leaves the store to the next as soon as its last thread has gone.
    async fn until_free(&self) {
        let lock = self.folder.path().join("forgebell.db.lock");
        eventually("the former daemon has let go of the store", Duration::from_secs(20), async || {
            let file = std::fs::File::open(&lock).ok();
            // Unlocked, not merely closed: a child that another test starts has it open too for a moment.
            file.is_none_or(|file| file.try_lock().is_ok() && file.unlock().is_ok()).then_some(())
        })
        .await;
    }

    /// The store, seen from beside the daemon.
    pub async fn ledger(&self) -> Box<dyn Store> {
        match &self.postgres {
            Some(url) => {
                let ca_file = self.config().store.ca_file;
                let url = Secret::new(url.as_str());
                let store = Postgres::open_shared(&url, ca_file.as_deref(), Keyring::none()).await;
                Box::new(store.expect("the database can be read beside the daemon"))
            }
            None => Box::new(
                Sqlite::open_shared(&self.database(), Keyring::none())
                    .expect("the store can be read beside the daemon"),
            ),
        }
    }

    /// A token for the API, made as `forgebell token create` makes one.
    pub async fn token(&self, reach: ScopeKey, right: Right) -> String {
        let token = token::make().expect("the system has randomness");
        let row = NewToken {
            name: "test".to_owned(),
            hash: token::hash(token.expose()),
            access: Access { reach, right },
            expires_at: None,
        };
        let audit = AuditEntry {
            at: daemon::now(),
            who: "test".to_owned(),
            action: "token.create",
            object: "token test".to_owned(),
            fields: Vec::new(),
        };
        self.ledger().await.create_token(row, audit).await.expect("the store takes a token");
        token.expose().to_owned()
    }

    pub async fn deliveries(&self, state: Option<State>) -> Vec<DeliveryLine> {
        let filter = DeliveryFilter { state, limit: 100_000, ..DeliveryFilter::default() };
        self.ledger().await.deliveries(filter).await.expect("the ledger can be read")
    }

    pub async fn delivery(&self, line: &DeliveryLine) -> DeliveryDetail {
        self.ledger()
            .await
            .delivery(line.id)
            .await
            .expect("the ledger can be read")
            .expect("the delivery is there")
    }

    pub async fn quarantined(&self) -> Vec<Quarantined> {
        self.ledger().await.list_quarantined(None, 1000).await.expect("the quarantine can be read")
    }

    /// Waits until this many deliveries are in this state.
    pub async fn until(&self, state: State, count: usize) -> Vec<DeliveryLine> {
        eventually(&format!("{count} deliveries are {}", state.name()), Duration::from_secs(60), async || {
            Some(self.deliveries(Some(state)).await).filter(|lines| lines.len() >= count)
        })
        .await
    }
}

/// A daemon at work.
pub struct Daemon {
    base: String,
    client: reqwest::Client,
    shutdown: CancellationToken,
    reload: mpsc::Sender<ReloadRequest>,
    end: Option<oneshot::Receiver<anyhow::Result<()>>>,
    runtime: Option<Runtime>,
}

impl Daemon {
    async fn until_alive(&mut self) {
        let mut end = self.end.take().expect("a daemon that has just been started");
        let alive = eventually("the daemon answers", Duration::from_secs(20), async || {
            self.get("/healthz").await.filter(|(status, _)| *status == 200)
        });
        tokio::select! {
            _ = alive => {}
            ended = &mut end => panic!("the daemon did not start: {:#}", ended.expect("it does not panic").unwrap_err()),
        }
        self.end = Some(end);
    }

    /// Where its HTTP server is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Requests a page; `None` if there is no answer.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.text().await.ok()?))
    }

    /// Sends an event over HTTP as a GitLab would.
    pub async fn send(&self, id: &str, body: Vec<u8>) -> (u16, Value) {
        let request = self.client.post(format!("{}/events", self.base));
        let request = request.header("content-type", "application/json").header("idempotency-key", id);
        let response = request.body(body).send().await.expect("the daemon answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("the daemon answers to the end");
        (status, serde_json::from_str(&text).expect("the daemon answers with JSON"))
    }

    /// Has the provisioning files read anew.
    pub async fn reload(&self) -> Result<usize, Vec<forgebell::provision::Problem>> {
        self.reload_with(None).await
    }

    /// Has the provisioning files read anew, after these settings were applied.
    pub async fn reload_with(
        &self,
        settings: Option<Config>,
    ) -> Result<usize, Vec<forgebell::provision::Problem>> {
        let (answer, answered) = oneshot::channel();
        let settings = settings.map(Box::new);
        self.reload.send(ReloadRequest { settings: Ok(settings), answer }).await.expect("the daemon runs");
        answered.await.expect("the daemon answers")
    }

    /// Ends it softly, as a first signal does.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        let end = self.end.take().expect("a daemon ends once");
        let ended = tokio::time::timeout(Duration::from_secs(30), end).await;
        ended.expect("it stops in time").expect("it does not panic").expect("it stops in order");
    }

    /// Ends it as a power cut would.
    pub fn crash(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
