//! THE DOORS: events in, health and metrics out.
//!
//! [`router`] is an ordinary axum router over [`State`]; [`serve()`] opens it on a listener. [`events`] takes webhooks as a
//! GitLab sends them; [`health`] answers whether the process lives, whether it is ready, and what it counted. [`error`]
//! has the one shape in which everything else is answered: JSON with a reason. [`v4`] is GitLab's Integrations API with what
//! that lacks, and [`openapi`] describes it. [`caller`] knows whose request it is.

mod caller;
mod error;
mod events;
mod health;
pub mod openapi;
mod serve;
#[cfg(test)]
mod tests;
mod v4;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::catalog::Live;
use crate::metrics;
use crate::pipeline::Switches;
use crate::pipeline::amqp::Commands;
use crate::pipeline::rehearsal::Stage;
use crate::settings::Secret;
use crate::store::registry::Registry;
use crate::store::{DestinationKey, Inbox, Ledger, Quarantine};

use error::ApiError;
pub use serve::serve;
pub use v4::FailedLogins;

/// `[http]`: the doors.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    /// The largest event that is taken, in bytes.
    pub body_limit: usize,
    /// How long a sender may take to send an event.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub body_timeout: Duration,
    /// What a sender must say in `X-Gitlab-Token`. Without it, whoever reaches the door may send events.
    #[serde(default, deserialize_with = "not_blank")]
    pub webhook_token: Option<Secret>,
    /// Whether `/metrics` is served here.
    pub metrics: bool,
    /// Reverse proxies whose word on who is calling counts.
    #[serde(default)]
    pub trusted_proxies: Vec<IpNet>,
    /// Wrong tokens that an address may show at once, at all doors together; after those, one every few seconds.
    pub login_failures: u32,
}

/// What the doors open onto.
#[derive(Clone)]
pub struct State {
    pub config: Config,
    pub inbox: Arc<dyn Inbox>,
    pub quarantine: Arc<dyn Quarantine>,
    pub ledger: Arc<dyn Ledger>,
    /// Called when something was put into the inbox.
    pub arrived: Arc<Notify>,
    /// How it stands with the broker; `Ok` where there is none.
    pub broker: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub metrics: metrics::Handle,
    pub catalog: Arc<Live>,
    pub registry: Arc<dyn Registry>,
    pub switches: Switches,
    /// Where tests are made.
    pub stage: Stage,
    /// The way to the forge, for commands that it may know, where one is configured.
    pub commands: Option<Commands>,
    /// Called when something is due at a destination again.
    pub stored: Arc<dyn Fn(DestinationKey) + Send + Sync>,
    /// What goes on when its asker has had an answer.
    pub tasks: TaskTracker,
    pub failed_logins: Arc<Mutex<FailedLogins>>,
}

/// All routes.
pub fn router(state: State) -> Router {
    let metrics = state.config.metrics;
    let body_limit = state.config.body_limit;
    let mut router = v4::router()
        .route("/events", post(events::receive))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready));
    if metrics {
        router = router.route("/metrics", get(health::metrics));
    }
    router
        .fallback(async || ApiError::NoSuchRoute)
        .method_not_allowed_fallback(async || ApiError::NoSuchMethod)
        .layer(DefaultBodyLimit::max(body_limit))
        .with_state(Arc::new(state))
}

/// A blank token is a variable that nobody set, and must not open the door to everyone.
fn not_blank<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let token = Option::<Secret>::deserialize(deserializer)?;
    if token.as_ref().is_some_and(Secret::is_blank) {
        let why =
            "webhook_token is blank: set it, or leave it out to take events from whoever reaches the door";
        return Err(serde::de::Error::custom(why));
    }
    Ok(token)
}
