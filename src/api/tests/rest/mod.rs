//! The Integrations API, over a real connection and a real store.

mod access;
mod alerts;
mod bodies;
mod describe;
mod event_records;
mod holds;
mod integrations;
mod others;
mod page;
mod page_events;
mod slash;
mod test;
mod trackers;

use std::sync::atomic::{AtomicI64, AtomicU16};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::call::{HttpRequest, HttpResponse};
use crate::store::registry::{
    Access, AuditEntry, GroupKey, Learned, NewToken, Registry, Right, ScopeKey, SeenProject,
};
use crate::store::token;

const HOOK: &str = "https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/s3cret-s3cret-s3cret";

/// The API's server: its store, its clock and the services at the other end of the wire.
struct Api {
    store: Arc<Sqlite>,
    catalog: Arc<CachedCatalog>,
    holds: Holds,
    service: Arc<Service>,
    /// Seconds since [`NOW`].
    later: Arc<AtomicI64>,
    /// How many events a test has made.
    events: AtomicI64,
    base: String,
    client: reqwest::Client,
    _task: JoinSet<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

/// A service that answers with one status and quotes the webhook, as some services do.
struct Service {
    status: AtomicU16,
    heard: Mutex<Vec<HttpRequest>>,
}

#[async_trait]
impl Transport for Service {
    async fn send(&self, request: &Request) -> std::result::Result<Response, SendError> {
        let Request::Http(request) = request else { unreachable!("these tests speak HTTP") };
        self.heard.lock().unwrap().push(request.clone());
        let status = self.status.load(Ordering::Relaxed);
        let body = if status == 200 { "ok".to_owned() } else { format!("no service at {}", request.url) };
        Ok(Response::Http(HttpResponse { status, headers: Vec::new(), body: body.into(), at: NOW }))
    }
}

impl Api {
    async fn open() -> Self {
        Self::open_with(config()).await
    }

    async fn open_with(config: Config) -> Self {
        Self::open_over(config, WireConfig::default()).await
    }

    async fn open_over(config: Config, wire: WireConfig) -> Self {
        // Another test may have installed a provider already; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let store = sqlite(&folder);
        let service = Arc::new(Service { status: AtomicU16::new(200), heard: Mutex::default() });
        let later = Arc::new(AtomicI64::new(0));
        let clock = {
            let later = later.clone();
            move || NOW + jiff::SignedDuration::from_secs(later.load(Ordering::Relaxed))
        };
        let login_limiter = Arc::new(Mutex::new(LoginLimiter::new(config.login_failures)));
        let state = State {
            config: config.into(),
            clock: Arc::new(clock),
            login_limiter,
            catalog: Arc::new(super::catalog(store.clone(), wire).await),
            ..state(store.clone(), service.clone()).await
        };
        let (catalog, holds) = (state.catalog.clone(), state.holds.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        let config = state.config.get().as_ref().clone();
        task.spawn(serve(listener, router(state), config, CancellationToken::new()));
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let events = AtomicI64::new(0);
        Self { store, catalog, holds, service, later, events, base, client, _task: task, _folder: folder }
    }

    async fn token(&self, reach: ScopeKey, right: Right) -> String {
        self.token_until(reach, right, None).await
    }

    async fn token_until(&self, reach: ScopeKey, right: Right, expires_at: Option<Timestamp>) -> String {
        let token = token::make().unwrap().expose().to_owned();
        let hash = token::hash(&token);
        let row = NewToken { name: "ci".to_owned(), hash, access: Access { reach, right }, expires_at };
        self.store.create_token(row, audit("token.create")).await.unwrap();
        token
    }

    async fn admin(&self) -> String {
        self.token(ScopeKey::Instance, Right::Maintain).await
    }

    /// A project with its number and path, as an event would contain it.
    async fn project(&self, id: i64, path: &str) {
        let path = Some(path.to_owned());
        let seen = SeenProject { id, path, learned: Learned::default() };
        self.store.upsert_seen_projects(vec![seen], NOW).await.unwrap();
    }

    async fn group(&self, path: &str) -> GroupKey {
        self.store.put_group(None, path, audit("group.update")).await.unwrap().key
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        self.client.request(method, format!("{}/api/v4{path}", self.base))
    }

    async fn ask(&self, token: &str, method: &str, path: &str) -> Answer {
        answer(self.request(method, path).header("private-token", token)).await
    }

    async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(token, "GET", path).await
    }

    async fn put(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.send(token, "PUT", path, body).await
    }

    async fn send(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let request = self.request(method, path).header("private-token", token);
        answer(request.header("content-type", "application/json").body(body.to_string())).await
    }
}

/// What a form holds, or a query.
fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn form(request: reqwest::RequestBuilder, pairs: &[(&str, &str)]) -> reqwest::RequestBuilder {
    request.header("content-type", "application/x-www-form-urlencoded").body(encoded(pairs))
}

fn audit(action: &'static str) -> AuditEntry {
    AuditEntry { at: NOW, who: "test".to_owned(), action, object: "test".to_owned(), fields: Vec::new() }
}

/// The status and the body of a refusal.
fn refusal(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.json())
}

fn message(status: u16, text: &str) -> (u16, Value) {
    (status, json!({ "message": text }))
}

fn error(status: u16, text: &str) -> (u16, Value) {
    (status, json!({ "error": text }))
}

/// Sends bytes over a bare connection, and reads until it is closed.
async fn say(api: &Api, words: &str) -> String {
    let mut stream = TcpStream::connect(api.base.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(words.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut response)).await;
    assert!(ended.is_ok(), "the connection stays open: {:?}", String::from_utf8_lossy(&response));
    String::from_utf8_lossy(&response).to_lowercase()
}
