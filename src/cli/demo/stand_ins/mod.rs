//! Simulated services: servers that answer like the real ones and record what they receive.
//!
//! Most of them answer webhooks (`rooms` those with an API of their own). `irker` reads lines over TCP, `smtp` receives mail,
//! which `letter` decodes.
//!
//! Some fail on purpose. Slack accepts a few messages and then asks for a pause, as it does of senders that exceed a message
//! a second (429, `Retry-After`); Discord does the same. Mattermost first refuses connections, then answers 503 like a
//! proxy in front of a stopped server, then works. The mail relay fails once to store a mail. Each failure happens at
//! least once, on a slow machine too.

mod irker;
mod letter;
mod rooms;
mod smtp;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value as Json, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::adapters;

/// The simulated services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Service {
    Slack,
    Mattermost,
    HipChat,
    Teams,
    Discord,
    Irker,
    Mail,
}

impl Service {
    pub(super) const ALL: [Self; 7] =
        [Self::Slack, Self::Mattermost, Self::HipChat, Self::Teams, Self::Discord, Self::Irker, Self::Mail];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Slack => "Slack",
            Self::Mattermost => "Mattermost",
            Self::HipChat => "HipChat",
            Self::Teams => "Microsoft Teams",
            Self::Discord => "Discord",
            Self::Irker => "IRC",
            Self::Mail => "mail",
        }
    }

    /// The adapters that send to the service.
    const fn slugs(self) -> &'static [&'static str] {
        match self {
            Self::Slack => &["slack"],
            Self::Mattermost => &["mattermost"],
            Self::HipChat => &["hipchat"],
            Self::Teams => &["microsoft-teams"],
            Self::Discord => &["discord"],
            Self::Irker => &["irker"],
            Self::Mail => &["emails-on-push", "pipelines-email"],
        }
    }

    /// The service of an integration, by the end of its id.
    pub(super) fn of(integration: &str) -> Option<Self> {
        let slug = integration.rsplit(':').next()?;
        Self::ALL.into_iter().find(|service| service.slugs().contains(&slug))
    }

    /// Whether this program has an adapter for the service.
    pub(super) fn is_told(self) -> bool {
        self.slugs().iter().any(|slug| adapters::find(slug).is_some())
    }
}

/// One request that a simulated service received.
#[derive(Clone, Debug)]
pub(super) struct Receipt {
    pub(super) service: Service,
    /// The receiver: the webhook's path, the channel's address, the mailbox's domain.
    pub(super) path: String,
    pub(super) body: Json,
    pub(super) status: u16,
}

impl Receipt {
    pub(super) fn is_taken(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The channel or mailbox that the message was sent to; empty for the webhook's own.
    pub(super) fn channel(&self) -> &str {
        self.body["channel"].as_str().unwrap_or_default()
    }
}

/// How the services fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Difficulties {
    /// The messages that Slack accepts before it asks for a pause, once.
    pub(super) taken_before_rest: usize,
    pub(super) rest: Duration,
    /// How long Mattermost refuses connections after the first one.
    pub(super) refuses_for: Duration,
    /// How long after the first connection Mattermost answers 503, at least once.
    pub(super) down_for: Duration,
    /// The pause that Discord asks for, once.
    pub(super) discord_rest: Duration,
}

/// All simulated services.
pub(super) struct StandIns {
    addresses: BTreeMap<Service, SocketAddr>,
    /// Bound, but not listening yet: connections are refused, and no other program gets the port.
    sleeping: Option<TcpSocket>,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Shared {
    difficulties: Difficulties,
    /// The existing webhooks; any other is answered like a removed one.
    webhooks: Vec<String>,
    slack: Mutex<Rest>,
    mattermost: Mutex<Recovery>,
    discord: Mutex<rooms::Patience>,
    receipts: mpsc::UnboundedSender<Receipt>,
}

/// The parts of an HTTP request that are used.
struct Asked<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a str,
    authorization: Option<&'a str>,
    body: &'a Json,
}

/// Mattermost's state.
#[derive(Default)]
struct Recovery {
    up_at: Option<Instant>,
    said_so: bool,
}

/// Slack's state.
enum Rest {
    Before { taken: usize },
    Until(Instant),
    After,
}

impl StandIns {
    /// Starts all services but Mattermost, whose port is only reserved. `webhooks` are the existing paths, addresses and
    /// domains.
    pub(super) async fn new(
        webhooks: Vec<String>,
        difficulties: Difficulties,
        receipts: mpsc::UnboundedSender<Receipt>,
    ) -> anyhow::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sleeping = TcpSocket::new_v4().context("no socket for Mattermost's stand-in")?;
        sleeping.bind(any).context("no port for Mattermost's stand-in")?;
        let address = sleeping.local_addr().context("Mattermost's stand-in has no address")?;
        let mut stand_ins = Self {
            addresses: BTreeMap::from([(Service::Mattermost, address)]),
            sleeping: Some(sleeping),
            shared: Arc::new(Shared {
                difficulties,
                webhooks,
                slack: Mutex::new(Rest::Before { taken: 0 }),
                mattermost: Mutex::default(),
                discord: Mutex::default(),
                receipts,
            }),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        for service in Service::ALL.into_iter().filter(|service| *service != Service::Mattermost) {
            let nowhere = || format!("no port for the stand-in of {}", service.name());
            let listener = TcpListener::bind(any).await.with_context(nowhere)?;
            stand_ins.addresses.insert(service, listener.local_addr().with_context(nowhere)?);
            stand_ins.serve(listener, service);
        }
        Ok(stand_ins)
    }

    /// The service's address.
    pub(super) fn address(&self, service: Service) -> SocketAddr {
        *self.addresses.get(&service).expect("every service has had its address from the start")
    }

    /// Starts Mattermost's recovery after the first refused connection.
    pub(super) fn recover(&mut self) {
        let Some(socket) = self.sleeping.take() else { return };
        let Difficulties { refuses_for, down_for, .. } = self.shared.difficulties;
        lock(&self.shared.mattermost).up_at = Some(Instant::now() + down_for);
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(refuses_for) => {}
            }
            // The port was bound before, so listening can't fail because another program has it.
            if let Ok(listener) = socket.listen(128) {
                answer(listener, Service::Mattermost, shared, stop).await;
            }
        });
    }

    fn serve(&self, listener: TcpListener, service: Service) {
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        let receipts = shared.receipts.clone();
        match service {
            Service::Irker => self.tasks.spawn(irker::listen(listener, receipts, stop)),
            Service::Mail => {
                self.tasks.spawn(smtp::listen(listener, shared.webhooks.clone(), receipts, stop))
            }
            _ => self.tasks.spawn(answer(listener, service, shared, stop)),
        };
    }

    /// Stops all services and waits for their end.
    pub(super) async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn answer(listener: TcpListener, service: Service, shared: Arc<Shared>, stop: CancellationToken) {
    let router = Router::new()
        .fallback(
            async move |State(shared): State<Arc<Shared>>,
                        method: Method,
                        uri: Uri,
                        headers: HeaderMap,
                        body: Bytes| {
                let body = serde_json::from_slice(&body).unwrap_or(Json::Null);
                let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
                let (path, query) = (uri.path(), uri.query().unwrap_or_default());
                shared.take(service, &Asked { method: &method, path, query, authorization, body: &body })
            },
        )
        .with_state(shared);
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    // It ends with the demo; open connections are dropped.
    let _ = served.await;
}

impl Shared {
    fn take(&self, service: Service, asked: &Asked<'_>) -> Response {
        let is_known = self.webhooks.iter().any(|webhook| webhook == asked.path);
        let answer = match service {
            Service::Slack => self.slack(asked, is_known),
            Service::Mattermost => self.mattermost(asked, is_known),
            Service::HipChat => rooms::hipchat(asked, is_known),
            Service::Teams => rooms::teams(asked, is_known),
            Service::Discord => {
                rooms::discord(asked, is_known, &mut lock(&self.discord), self.difficulties.discord_rest)
            }
            Service::Irker | Service::Mail => StatusCode::NOT_FOUND.into_response(),
        };
        let (path, status) = (asked.path.to_owned(), answer.status().as_u16());
        // The demo may have stopped listening.
        let _ = self.receipts.send(Receipt { service, path, body: asked.body.clone(), status });
        answer
    }

    fn slack(&self, asked: &Asked<'_>, is_known: bool) -> Response {
        let word = |status: StatusCode, word: &'static str| (status, word).into_response();
        if asked.method != Method::POST || !is_known {
            return word(StatusCode::NOT_FOUND, "no_service");
        }
        if !asked.body.is_object() {
            return word(StatusCode::BAD_REQUEST, "invalid_payload");
        }
        if says_nothing(asked.body) {
            return word(StatusCode::BAD_REQUEST, "no_text");
        }
        if let Some(wait) = self.rest() {
            let mut answer = word(StatusCode::TOO_MANY_REQUESTS, "rate_limited");
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
            return answer;
        }
        word(StatusCode::OK, "ok")
    }

    /// The pause that Slack asks for, in whole seconds rounded up.
    fn rest(&self) -> Option<u64> {
        let mut rest = lock(&self.slack);
        let now = Instant::now();
        match &mut *rest {
            Rest::Before { taken } if *taken < self.difficulties.taken_before_rest => {
                *taken += 1;
                return None;
            }
            Rest::Before { .. } => *rest = Rest::Until(now + self.difficulties.rest),
            Rest::Until(end) if *end <= now => *rest = Rest::After,
            Rest::Until(_) | Rest::After => {}
        }
        match &*rest {
            Rest::Until(end) => Some((*end - now).as_secs() + 1),
            Rest::Before { .. } | Rest::After => None,
        }
    }

    fn is_down(&self) -> bool {
        let mut recovery = lock(&self.mattermost);
        let is_down = !recovery.said_so || recovery.up_at.is_none_or(|up_at| Instant::now() < up_at);
        recovery.said_so = true;
        is_down
    }

    fn mattermost(&self, asked: &Asked<'_>, is_known: bool) -> Response {
        if self.is_down() {
            let page = "<html><head><title>503 Service Temporarily Unavailable</title></head></html>";
            return (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, "text/html")], page)
                .into_response();
        }
        let refuse = |id: &str, message: &str| {
            let body = json!({ "id": id, "message": message, "detailed_error": "", "request_id": "", "status_code": 400 });
            let json = [(header::CONTENT_TYPE, "application/json")];
            (StatusCode::BAD_REQUEST, json, body.to_string()).into_response()
        };
        if asked.method != Method::POST || !is_known {
            return refuse("web.incoming_webhook.invalid.app_error", "Invalid webhook.");
        }
        if !asked.body.is_object() {
            return refuse("web.incoming_webhook.parse.app_error", "Unable to parse incoming data.");
        }
        if says_nothing(asked.body) {
            return refuse("web.incoming_webhook.text.app_error", "No text specified.");
        }
        (StatusCode::OK, "ok").into_response()
    }
}

fn says_nothing(body: &Json) -> bool {
    let no_text = body["text"].as_str().is_none_or(str::is_empty);
    no_text && body["attachments"].as_array().is_none_or(Vec::is_empty)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEBHOOK: &str = "/services/T0/B0/x";

    fn shared(difficulties: Difficulties) -> Shared {
        let (receipts, _) = mpsc::unbounded_channel();
        Shared {
            difficulties,
            webhooks: vec![WEBHOOK.to_owned()],
            slack: Mutex::new(Rest::Before { taken: 0 }),
            mattermost: Mutex::new(Recovery { up_at: Some(Instant::now()), said_so: true }),
            discord: Mutex::default(),
            receipts,
        }
    }

    fn difficulties(rest: Duration) -> Difficulties {
        let none = Duration::ZERO;
        Difficulties { taken_before_rest: 1, rest, refuses_for: none, down_for: none, discord_rest: none }
    }

    fn statuses(shared: &Shared, service: Service, calls: &[(&str, &'static str)]) -> Vec<u16> {
        let call = |(path, body): &(&str, &'static str)| {
            let body = serde_json::from_str(body).unwrap_or(Json::Null);
            let asked = Asked { method: &Method::POST, path, query: "", authorization: None, body: &body };
            shared.take(service, &asked).status().as_u16()
        };
        calls.iter().map(call).collect()
    }

    #[test]
    fn slack_answers_as_slack_does() {
        let shared = shared(difficulties(Duration::from_secs(60)));
        let calls = [
            ("/services/T0/B0/removed", r#"{"text":"hello"}"#),
            (WEBHOOK, "no json"),
            (WEBHOOK, "{}"),
            (WEBHOOK, r#"{"text":"hello"}"#),
            (WEBHOOK, r#"{"text":"hello"}"#),
        ];
        assert_eq!(statuses(&shared, Service::Slack, &calls), [404, 400, 400, 200, 429]);
    }

    #[test]
    fn slack_rests_once_and_says_for_how_long() {
        let shared = shared(difficulties(Duration::from_millis(1500)));
        assert_eq!(shared.rest(), None);
        assert_eq!(shared.rest(), Some(2));
        *lock(&shared.slack) = Rest::Until(Instant::now());
        assert_eq!([shared.rest(), shared.rest(), shared.rest()], [None, None, None]);
    }

    #[test]
    fn mattermost_answers_as_mattermost_does() {
        let shared = shared(difficulties(Duration::ZERO));
        let calls =
            [("/hooks/removed", r#"{"text":"hello"}"#), (WEBHOOK, "{}"), (WEBHOOK, r#"{"text":"hello"}"#)];
        assert_eq!(statuses(&shared, Service::Mattermost, &calls), [400, 400, 200]);
        lock(&shared.mattermost).up_at = Some(Instant::now() + Duration::from_secs(60));
        assert_eq!(statuses(&shared, Service::Mattermost, &calls[2..]), [503]);
        *lock(&shared.mattermost) = Recovery { up_at: Some(Instant::now()), said_so: false };
        let twice = [calls[2], calls[2]];
        assert_eq!(
            statuses(&shared, Service::Mattermost, &twice),
            [503, 200],
            "its absence is met once at least"
        );
    }
}
