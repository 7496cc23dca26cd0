//! The parts of the daemon that the HTTP server works with.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::api::LoginLimiter;
use crate::catalog::CachedCatalog;
use crate::config::Config;
use crate::pipeline::Clock;
use crate::pipeline::amqp::{BrokerState, Commands};
use crate::pipeline::bounded_quarantine::BoundedQuarantine;
use crate::pipeline::condition::Condition;
use crate::pipeline::deliver::DelivererHandle;
use crate::pipeline::holds::Holds;
use crate::pipeline::test_send::TestSender;
use crate::store::{Alerts, Inbox, Ledger, Outbox, Quarantine, Registry, Store, Watches};
use crate::{api, metrics};

/// The parts of the daemon that the HTTP server needs.
pub(super) struct Components {
    pub(super) store: Arc<dyn Store>,
    pub(super) junk: Arc<BoundedQuarantine>,
    pub(super) catalog: Arc<CachedCatalog>,
    pub(super) holds: Holds,
    pub(super) tests: TestSender,
    pub(super) deliverer: DelivererHandle,
    pub(super) arrived: Arc<Notify>,
    /// The connections to the broker, one for each queue that is read.
    pub(super) broker: Vec<watch::Receiver<BrokerState>>,
    pub(super) condition: Condition,
    pub(super) clock: Clock,
    pub(super) metrics: metrics::Handle,
    pub(super) tasks: TaskTracker,
}

/// The state of the HTTP server.
pub(super) fn http_state(config: &Config, components: Components) -> api::State {
    let Components {
        store,
        junk,
        catalog,
        holds,
        tests,
        deliverer,
        arrived,
        broker,
        condition,
        clock,
        metrics,
        tasks,
    } = components;
    let readiness = move || {
        broker.iter().try_for_each(|state| match &*state.borrow() {
            BrokerState::Away { since, why } => Err(format!("away since {since}: {why}")),
            BrokerState::Connected => Ok(()),
        })
    };
    api::State {
        config: config.http.clone(),
        inbox: Arc::clone(&store) as Arc<dyn Inbox>,
        quarantine: Arc::clone(&store) as Arc<dyn Quarantine>,
        junk,
        ledger: Arc::clone(&store) as Arc<dyn Ledger>,
        outbox: Arc::clone(&store) as Arc<dyn Outbox>,
        watches: Arc::clone(&store) as Arc<dyn Watches>,
        alerts: Arc::clone(&store) as Arc<dyn Alerts>,
        forge_url: config.operator.forge.url.clone(),
        registry: store as Arc<dyn Registry>,
        arrived,
        broker: Arc::new(readiness),
        condition,
        clock: Arc::new(move || clock.now()),
        metrics,
        catalog,
        holds,
        tests,
        commands: Commands::new(&config.amqp, &config.commands),
        written: written(&deliverer),
        stored: Arc::new(move |destination| deliverer.note_backlog(destination)),
        tasks,
        login_limiter: Arc::new(Mutex::new(LoginLimiter::new(config.http.login_failures))),
        large_bodies: Arc::new(Semaphore::new(1)),
    }
}

fn written(deliverer: &DelivererHandle) -> Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync> {
    let deliverer = deliverer.clone();
    Arc::new(move || {
        let deliverer = deliverer.clone();
        async move { deliverer.flush().await }.boxed()
    })
}
