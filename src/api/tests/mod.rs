//! The HTTP server over real connections, with stores that fail when a test wants it.

mod events;
mod limits;
mod rest;
mod server;
mod signed_events;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Config, LoginLimiter, State, router, serve};
use crate::call::{Request, Response};
use crate::catalog::{CachedCatalog, PermittedHosts, UrlPolicy};
use crate::event::{Event, Trigger, sample};
use crate::metrics;
use crate::pipeline::bounded_quarantine::{BoundedQuarantine, Bounds};
use crate::pipeline::condition::Condition;
use crate::pipeline::holds::Holds;
use crate::pipeline::test_send::TestSender;
use crate::settings::Secret;
use crate::store::{
    Cancel, DeliveryDetail, DeliveryFilter, DeliveryId, DeliveryLine, Depth, Inbox, Ledger, NewQuarantined,
    Overview, Portion, Quarantine, QuarantineUse, Quarantined, Resend, Result, Retention, StoreError,
    StoredEvent, Swept,
};

use crate::store::registry::AuditEntry;
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::wire::{Config as WireConfig, SendError, Transport};

const NOW: Timestamp = Timestamp::constant(1_768_469_400, 0);
const TOKEN: &str = "t0ken-of-the-forge";
const BODY_LIMIT: usize = 16 * 1024;

/// A store that records what it is given, and fails when a test wants it.
struct Store {
    /// Ids and bodies, as pushed.
    events: Mutex<Vec<(String, Bytes)>>,
    quarantine: Mutex<Vec<NewQuarantined>>,
    away: AtomicBool,
    /// The store works as long as it gets permits: the moment of each commit is the test's.
    commits: Semaphore,
}

impl Store {
    fn new() -> Self {
        Self {
            events: Mutex::default(),
            quarantine: Mutex::default(),
            away: AtomicBool::new(false),
            commits: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }

    fn answer(&self) -> Result<()> {
        if self.away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the disk is full".to_owned()));
        }
        Ok(())
    }

    fn ids(&self) -> Vec<String> {
        self.events.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
    }

    fn reasons(&self) -> Vec<String> {
        self.quarantine.lock().unwrap().iter().map(|item| item.reason.clone()).collect()
    }
}

#[async_trait]
impl Inbox for Store {
    async fn push(&self, event: &Event, received_at: Timestamp) -> Result<bool> {
        assert_eq!(received_at, NOW, "time comes from the state's clock");
        self.commits.acquire().await.unwrap().forget();
        self.answer()?;
        let mut events = self.events.lock().unwrap();
        let known: HashSet<_> = events.iter().map(|(id, _)| id.clone()).collect();
        let new = !known.contains(event.id.as_str());
        if new {
            events.push((event.id.to_string(), event.raw.clone()));
        }
        Ok(new)
    }

    async fn peek(&self, _: i64, _: Portion) -> Result<Vec<(i64, StoredEvent)>> {
        unreachable!("the HTTP server does not dispatch")
    }

    async fn discard(&self, _: &[i64]) -> Result<()> {
        unreachable!("the HTTP server does not dispatch")
    }
}

#[async_trait]
impl Quarantine for Store {
    async fn quarantine(&self, items: Vec<NewQuarantined>) -> Result<()> {
        self.answer()?;
        self.quarantine.lock().unwrap().extend(items);
        Ok(())
    }

    async fn quarantine_use(&self) -> Result<Vec<QuarantineUse>> {
        Ok(Vec::new())
    }

    async fn list_quarantined(&self, _: Option<i64>, _: usize) -> Result<Vec<Quarantined>> {
        unreachable!("the HTTP server only adds")
    }

    async fn quarantined(&self, _: i64) -> Result<Option<(Quarantined, Bytes)>> {
        unreachable!("the HTTP server only adds")
    }

    async fn remove_quarantined(&self, _: i64, _: AuditEntry) -> Result<bool> {
        unreachable!("the HTTP server only adds")
    }
}

#[async_trait]
impl Ledger for Store {
    async fn deliveries(&self, _: DeliveryFilter) -> Result<Vec<DeliveryLine>> {
        unreachable!("these tests read no deliveries")
    }

    async fn delivery(&self, _: DeliveryId) -> Result<Option<DeliveryDetail>> {
        unreachable!("these tests read no deliveries")
    }

    async fn resend(&self, _: DeliveryId, _: AuditEntry) -> Result<Resend> {
        unreachable!("these tests resend nothing")
    }

    async fn cancel(&self, _: DeliveryId, _: AuditEntry) -> Result<Cancel> {
        unreachable!("these tests cancel nothing")
    }

    async fn depth(&self, _: Timestamp) -> Result<Depth> {
        unreachable!("these tests measure nothing")
    }

    async fn overview(&self) -> Result<Overview> {
        unreachable!("these tests ask for no status")
    }

    async fn sweep(&self, _: Retention, _: usize) -> Result<Swept> {
        unreachable!("these tests sweep nothing")
    }

    async fn ping(&self) -> Result<()> {
        self.commits.acquire().await.unwrap().forget();
        self.answer()
    }
}

/// A store of its own, as the daemon has it.
fn sqlite(folder: &tempfile::TempDir) -> Arc<Sqlite> {
    Arc::new(Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).unwrap())
}

fn junk(store: Arc<dyn Quarantine>) -> Arc<BoundedQuarantine> {
    Arc::new(BoundedQuarantine::new(store, Bounds { messages: 30, bytes: 1_000_000 }))
}

/// Everything behind the task, over one store.
async fn state(store: Arc<Sqlite>, transport: Arc<dyn Transport>) -> State {
    let holds = Holds::default();
    State {
        config: config().into(),
        inbox: store.clone(),
        quarantine: store.clone(),
        junk: junk(store.clone()),
        ledger: store.clone(),
        event_records: store.clone(),
        arrived: Arc::default(),
        broker: Arc::new(|| None),
        last_reload: None.into(),
        parts: Arc::new(|| Box::pin(std::future::ready(Vec::new()))),
        condition: Condition::default(),
        clock: Arc::new(|| NOW),
        metrics: metrics::install(),
        catalog: Arc::new(catalog(store.clone(), WireConfig::default()).await),
        registry: store.clone(),
        holds: holds.clone(),
        outbox: store.clone(),
        watches: store.clone(),
        alerts: store.clone(),
        merge_requests: store,
        tests: TestSender {
            transport,
            pace: Arc::default(),
            operator: crate::pipeline::live::Live::default(),
            holds,
        },
        commands: None.into(),
        written: Arc::new(|| Box::pin(std::future::ready(()))),
        stored: Arc::new(|_| {}),
        tasks: TaskTracker::new(),
        login_limiter: Arc::new(Mutex::new(LoginLimiter::new(10))),
        sessions: Arc::new(super::Sessions::new(&crate::store::seal::Config::default()).unwrap()),
        event_refusals: Arc::default(),
        large_bodies: Arc::new(Semaphore::new(1)),
    }
}

/// What is configured, where addresses are judged by this configuration of the wire.
async fn catalog(store: Arc<Sqlite>, wire: WireConfig) -> CachedCatalog {
    let url_policy = UrlPolicy::new(move |url| wire.blocks(url), PermittedHosts::new());
    CachedCatalog::open(store).await.unwrap().with_url_policy(Arc::new(url_policy))
}

/// A wire that leads nowhere.
struct Silence;

#[async_trait]
impl Transport for Silence {
    async fn send(&self, _: &Request) -> std::result::Result<Response, SendError> {
        unreachable!("nothing is sent")
    }
}

/// The task, open on a port of their own until dropped.
struct TestServer {
    store: Arc<Store>,
    arrived: Arc<Notify>,
    broker: Arc<Mutex<Option<std::result::Result<(), String>>>>,
    base: String,
    client: reqwest::Client,
    stop: CancellationToken,
    task: JoinSet<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

fn config() -> Config {
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        body_limit: BODY_LIMIT,
        body_timeout: Duration::from_millis(300),
        webhook_token: Some(Secret::new(TOKEN)),
        signing_keys: None,
        metrics: true,
        page: true,
        trusted_proxies: Vec::new(),
        connection_limit: 64,
        connection_limit_per_client: 64,
        health_connections: 4,
        body_memory: 1024 * 1024,
        answer_memory: 1024 * 1024,
        login_failures: 10,
    }
}

impl TestServer {
    async fn open() -> Self {
        Self::open_with(config()).await
    }

    async fn open_with(config: Config) -> Self {
        // Another test may have installed a provider already; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store = Arc::new(Store::new());
        let arrived = Arc::new(Notify::new());
        let broker = Arc::new(Mutex::new(None));
        let folder = tempfile::tempdir().unwrap();
        let sqlite = sqlite(&folder);
        let login_limiter = Arc::new(Mutex::new(LoginLimiter::new(config.login_failures)));
        let state = State {
            config: config.into(),
            login_limiter,
            inbox: store.clone(),
            quarantine: store.clone(),
            junk: junk(store.clone()),
            ledger: store.clone(),
            arrived: arrived.clone(),
            broker: {
                let broker = broker.clone();
                Arc::new(move || broker.lock().unwrap().clone())
            },
            ..state(sqlite, Arc::new(Silence)).await
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let config = state.config.get().as_ref().clone();
        task.spawn(serve(listener, router(state), config, stop.clone()));
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        Self { store, arrived, broker, base, client, stop, task, _folder: folder }
    }

    fn address(&self) -> &str {
        self.base.strip_prefix("http://").unwrap()
    }

    /// A webhook as GitLab sends it, yet without an id.
    fn webhook(&self, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        self.client
            .post(format!("{}/events", self.base))
            .header("content-type", "application/json")
            .header("x-gitlab-event", "Push Hook")
            .header("x-gitlab-token", TOKEN)
            .body(body)
    }

    async fn get(&self, path: &str) -> Answer {
        answer(self.client.get(format!("{}{path}", self.base))).await
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json", "{self:?}");
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

fn push() -> Bytes {
    sample(Trigger::Push).raw
}
