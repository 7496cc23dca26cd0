//! The wiring, start to stop. It decides nothing: one straight function makes the parts in the order in which events
//! meet them backwards (store, wire, deliverer, dispatchers, doors), and ends them in the order in which they meet
//! them (sources, deliverer, doors).
//!
//! A first stop signal ends softly: sources stop taking, dispatch finishes and acknowledges its batch, attempts in flight
//! get the grace period, everything is written, leases are given back, the doors close last. Who can't wait (a second
//! signal, a deadline) drops the future: leases lapse by themselves, and what was not settled is attempted again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::api;
use crate::config::Config;
use crate::metrics;
use crate::pipeline::amqp::{Amqp, BrokerState};
use crate::pipeline::attempt::Attempts;
use crate::pipeline::deliver::{Deliverer, Intake, Parts};
use crate::pipeline::dispatch::Dispatcher;
use crate::pipeline::embedded::Embedded;
use crate::pipeline::retry::Policy;
use crate::pipeline::{Clock, Switches};
use crate::provision;
use crate::store::sqlite::Sqlite;
use crate::store::{Catalog, Inbox, Ledger, NodeId, Outbox, Quarantine, Snapshot};
use crate::wire::Wire;
use crate::wire::pace::Pace;

/// How often the gauges are brought up to date.
const GAUGES_EVERY: Duration = Duration::from_secs(5);
/// Rows of a kind that one step of a sweep removes; between steps others get their turn.
const SWEEP_STEP: usize = 1000;

/// What time it is.
#[expect(clippy::disallowed_methods, reason = "the one place that asks")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Asks a running daemon to read its provisioning files anew, as `SIGHUP` does. Answers with what the files say.
pub type Reloads = mpsc::Receiver<ReloadRequest>;

/// One request to reload, and where its answer goes.
pub struct ReloadRequest {
    pub answer: tokio::sync::oneshot::Sender<Result<usize, Vec<provision::Problem>>>,
}

/// Runs until `shutdown`, then stops softly.
///
/// # Errors
/// What kept it from starting: the store, the provisioning files, the HTTP client.
pub async fn run(
    config: Config,
    listener: TcpListener,
    reloads: Reloads,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let metrics = metrics::install();
    let clock = Clock::new(now);
    let tasks = TaskTracker::new();
    let node = NodeId(config.node.name.as_str().into());

    let store = Arc::new(Sqlite::open(&config.store.path).context("cannot open the store")?);
    store.recover().await.context("cannot take over the store")?;

    let provisioned = provisioned(&config.provision)?;
    let catalog = Arc::new(ArcSwap::from_pointee(provisioned));
    let switches = Switches::default();
    take_up(&*store, &catalog, &switches, &clock).await?;

    let wire = Wire::new(&config.wire).context("cannot set up the HTTP client")?;
    let pace = Arc::new(Pace::new(config.pace));
    let attempts = Attempts {
        catalog: Arc::clone(&catalog) as Arc<dyn Catalog>,
        transport: Arc::new(wire),
        switches: switches.clone(),
        clock: clock.clone(),
    };
    let policy = Policy {
        retry: config.retry.clone(),
        breaker_threshold: config.delivery.breaker_threshold,
        breaker_max: config.delivery.breaker_max,
    };
    let (deliverer, intake) = Deliverer::new(Parts {
        config: config.delivery.clone(),
        policy,
        node,
        outbox: Arc::clone(&store) as Arc<dyn Outbox>,
        attempts,
        pace,
        tasks: tasks.clone(),
    });
    let stop_delivering = CancellationToken::new();
    let delivering = tasks.spawn(deliverer.run(stop_delivering.clone()));

    let dispatcher = Dispatcher {
        catalog: Arc::clone(&catalog) as Arc<dyn Catalog>,
        outbox: Arc::clone(&store) as Arc<dyn Outbox>,
        inbox: Arc::clone(&store) as Arc<dyn Inbox>,
        quarantine: Arc::clone(&store) as Arc<dyn Quarantine>,
        switches: switches.clone(),
        intake: intake.clone(),
        clock: clock.clone(),
    };
    let stop_sources = CancellationToken::new();
    let arrived = Arc::new(Notify::new());
    let embedded = Embedded::new(Arc::clone(&store) as Arc<dyn Inbox>, Arc::clone(&arrived));
    let mut sources = vec![tasks.spawn(dispatcher.clone().run(embedded, stop_sources.clone()))];
    let mut broker = None;
    if config.amqp.enabled {
        let (amqp, state) = Amqp::new(config.amqp.clone(), clock.clone());
        sources.push(tasks.spawn(dispatcher.run(amqp, stop_sources.clone())));
        broker = Some(state);
    }

    let stop_rest = CancellationToken::new();
    let ledger = Arc::clone(&store) as Arc<dyn Ledger>;
    tasks.spawn(keep_house(
        Arc::clone(&ledger),
        config.store.clone(),
        clock.clone(),
        metrics,
        stop_rest.clone(),
    ));
    let reloader = Reloader {
        config: config.provision.clone(),
        catalog: Arc::clone(&catalog),
        store: Arc::clone(&store),
        switches,
        intake,
        clock: clock.clone(),
    };
    tasks.spawn(reloader.run(reloads, stop_rest.clone()));

    let address = listener.local_addr().context("the listener has no address")?;
    let state = doors(&config, &store, arrived, broker, &clock);
    let doors = tasks.spawn(api::serve(listener, api::router(state), stop_rest.clone()));
    info!(%address, integrations = catalog.load().len(), "forgebell is ready");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);

    shutdown.cancelled().await;

    info!("stopping");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    stop_sources.cancel();
    for source in sources {
        let _ = source.await;
    }
    stop_delivering.cancel();
    let _ = delivering.await;
    stop_rest.cancel();
    if let Ok(Err(error)) = doors.await {
        warn!(%error, "the doors did not close in order");
    }
    tasks.close();
    tasks.wait().await;
    info!("stopped");
    Ok(())
}
