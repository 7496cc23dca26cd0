//! THE HTTP SERVER: events in, GitLab's Integrations API, health and metrics out.
//!
//! [`router`] is an ordinary axum router over [`State`]; [`serve()`] runs it on a listener. [`events`] takes webhooks as a
//! GitLab sends them, and [`webhook_signature`] checks signed ones; [`event_refusals`] counts refused calls; [`alerts`]
//! takes alerts of monitoring systems; [`health`] reports whether the process is alive and ready, and its metrics.
//! [`v4`] is GitLab's Integrations API with additions of our own, and [`openapi`] describes it. [`page`] is the web
//! page for people. [`error`] has every error answer, and [`client_addr`] finds the address of a client. Handlers
//! decide nothing about events or deliveries: they call the catalog, the store and the pipeline, and turn the results
//! into answers.

mod alerts;
mod client_addr;
mod error;
mod event_refusals;
mod events;
mod health;
pub mod openapi;
mod page;
pub mod resources;
mod server;
#[cfg(test)]
mod tests;
mod v4;
mod webhook_signature;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::catalog::CachedCatalog;
use crate::integration::IntegrationId;
use crate::metrics;
use crate::pipeline::amqp::Commands;
use crate::pipeline::bounded_quarantine::BoundedQuarantine;
use crate::pipeline::condition::Condition;
use crate::pipeline::holds::Holds;
use crate::pipeline::live::Live;
use crate::pipeline::parts;
use crate::pipeline::standing::Part;
use crate::pipeline::test_send::TestSender;
use crate::settings::Secret;
use crate::store::merge_requests::MergeRequests;
use crate::store::registry::Registry;
use crate::store::{Alerts, DestinationKey, EventRecords, Inbox, Ledger, Outbox, Quarantine, Watches};

use error::ApiError;
pub use event_refusals::EventRefusals;
pub use page::Sessions;
pub use server::serve;
pub use v4::{LoginLimiter, Probed, event_of_sender, health_of, integration_object, probed};
pub use webhook_signature::SigningKeys;

/// `[http]`: the HTTP server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    /// The largest event that is accepted, in bytes.
    pub body_limit: usize,
    /// How long a client may take to send a body.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub body_timeout: Duration,
    /// The value that `X-Gitlab-Token` must have. Without it and without signing keys, any client that reaches the server
    /// may send events.
    #[serde(default, deserialize_with = "not_blank")]
    pub webhook_token: Option<Secret>,
    /// The keys of signed webhooks, beside the token or instead of it.
    #[serde(default, rename = "webhook_signing_key", deserialize_with = "SigningKeys::read")]
    pub signing_keys: Option<SigningKeys>,
    /// Whether `/metrics` is served here.
    pub metrics: bool,
    /// Whether the page for people is served.
    pub page: bool,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    #[serde(default)]
    pub trusted_proxies: Vec<IpNet>,
    /// The most connections at once, besides those for health.
    pub connection_limit: usize,
    /// The most connections of one client address; by /64 in IPv6. Trusted proxies have no limit of their own.
    pub connection_limit_per_client: usize,
    /// Connections beyond these limits that are kept for health and metrics.
    pub health_connections: usize,
    /// Bytes that all large bodies together may take while they are received and handled. One client gets half.
    pub body_memory: u64,
    /// Bytes that all large answers together may take until they are written. One client gets half.
    pub answer_memory: u64,
    /// How many wrong tokens an address may send at once, to all routes together; after those, one every few seconds.
    pub login_failures: u32,
}

/// Probes wait only a few seconds, so a store that takes longer counts as not ready.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The state that handlers share.
#[derive(Clone)]
pub struct State {
    pub config: Live<Config>,
    pub inbox: Arc<dyn Inbox>,
    pub quarantine: Arc<dyn Quarantine>,
    /// Puts messages into quarantine, within its bounds.
    pub junk: Arc<BoundedQuarantine>,
    pub ledger: Arc<dyn Ledger>,
    pub event_records: Arc<dyn EventRecords>,
    /// Notified when an event was put into the inbox.
    pub arrived: Arc<Notify>,
    /// Returns whether the broker is connected, or why not; `None` where no broker is configured.
    pub broker: Arc<dyn Fn() -> Option<Result<(), String>> + Send + Sync>,
    /// The result of the last reload of settings; `None` before the first.
    pub last_reload: Live<Option<Part>>,
    /// Asks the other parts that are configured whether they answer.
    pub parts: Arc<dyn Fn() -> BoxFuture<'static, Vec<Part>> + Send + Sync>,
    /// The problems that stop the pipeline from storing events and outcomes.
    pub condition: Condition,
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub metrics: metrics::Handle,
    pub catalog: Arc<CachedCatalog>,
    pub registry: Arc<dyn Registry>,
    /// The holds. A save, a successful test and a retry end holds.
    pub holds: Holds,
    pub outbox: Arc<dyn Outbox>,
    pub watches: Arc<dyn Watches>,
    pub alerts: Arc<dyn Alerts>,
    pub merge_requests: Arc<dyn MergeRequests>,
    /// Sends tests of integrations.
    pub tests: TestSender,
    /// Forwards unknown slash commands to the forge, where that is configured.
    pub commands: Live<Option<Commands>>,
    /// Waits until the outcomes are written that were decided so far.
    pub written: Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
    /// Called when a delivery to a destination is due again.
    pub stored: Arc<dyn Fn(DestinationKey) + Send + Sync>,
    /// Work that goes on after its request was answered.
    pub tasks: TaskTracker,
    pub login_limiter: Arc<Mutex<LoginLimiter>>,
    /// The sessions of people who are logged in to the page.
    pub sessions: Arc<Sessions>,
    /// Counts and logs refused calls of `/events`.
    pub event_refusals: Arc<EventRefusals>,
    /// Has one permit: see [`State::turn`].
    pub large_bodies: Arc<Semaphore>,
}

impl State {
    /// Waits until no other large body is being decoded or encoded. Decoding takes several times the memory of the
    /// body, and must not occupy all threads of the process.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.large_bodies).acquire_owned().await.ok()
    }

    /// Whether the store answers and takes what the pipeline writes.
    async fn store_part(&self) -> Part {
        let answer = tokio::time::timeout(PING_TIMEOUT, self.ledger.ping()).await;
        let answer = match answer {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("the store does not answer".to_owned()),
        };
        let found = answer.and_then(|()| self.condition.check());
        Part::new(parts::STORE, found.map(|remark| remark.unwrap_or_else(|| "ok".to_owned())))
    }

    /// Whether events come from the broker, where there is one.
    fn broker_part(&self) -> Option<Part> {
        let found = (self.broker)()?;
        Some(Part::new(parts::BROKER, found.map(|()| "ok".to_owned())))
    }

    /// Ends the holds that integrations' settings led to, after a person saved the settings, even unchanged.
    async fn try_again(&self, integrations: &BTreeSet<IntegrationId>, now: Timestamp) {
        if let Err(error) =
            self.holds.end_made_under(&*self.outbox, integrations, (self.written)(), now).await
        {
            warn!(%error, "the holds of saved settings could not be ended; they end by time");
        }
    }

    /// Ends the holds of a target after a success, or when a person asks for a retry.
    async fn end_holds(&self, integration: &IntegrationId, target: &str, destination: &str, now: Timestamp) {
        let disproved = self.holds.snapshot().disproved(integration, target, destination);
        if let Err(error) = self.holds.end(&*self.outbox, disproved, (self.written)(), now).await {
            warn!(%error, "holds could not be ended; they end by time");
        }
        (self.stored)(destination.into());
    }
}

/// All routes.
pub fn router(state: State) -> Router {
    let Config { metrics, page, body_limit, .. } = *state.config.get();
    let mut router = v4::router(openapi::routes())
        .route("/events", post(events::receive))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready));
    if metrics {
        router = router.route("/metrics", get(health::metrics));
    }
    if page {
        router = router.merge(page::router());
    }
    router
        .fallback(alerts::fallback)
        .method_not_allowed_fallback(async || ApiError::NoSuchMethod("405 Method Not Allowed"))
        .layer(DefaultBodyLimit::max(body_limit))
        .with_state(Arc::new(state))
}

/// A blank token comes from an unset variable; it must not admit every client.
fn not_blank<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let token = Option::<Secret>::deserialize(deserializer)?;
    if token.as_ref().is_some_and(Secret::is_blank) {
        let why = "webhook_token is blank: set it, or leave it out to accept events from everybody who can reach the server";
        return Err(serde::de::Error::custom(why));
    }
    Ok(token)
}
