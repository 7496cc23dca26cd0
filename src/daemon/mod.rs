//! Connects the parts of the daemon, starts and stops them. It decides nothing itself.
//!
//! * [`run`] starts the parts against the direction of events (store, deliverer, dispatchers, HTTP server) and stops them
//!   in the direction of events (sources, deliverer, HTTP server).
//! * `setup` builds parts from the configuration, and `components` builds the state of the HTTP server.
//! * `broker` takes events from the broker and connects again where its settings change.
//! * `clock_watch` notices steps of the clock, `config_watcher` reloads integrations, `live_settings` applies new settings, `peers` passes on what other nodes write, `maintenance` removes old rows.
//!
//! After the first stop signal the sources stop, dispatch acknowledges the events in hand when they are on disk, attempts
//! in flight end within `delivery.shutdown_timeout` of the signal, outcomes are written, leases are released, and the HTTP
//! server stops last. To stop at once, the caller drops the future: then leases expire, and unsettled deliveries are attempted again.

mod broker;
mod clock_watch;
mod components;
mod config_watcher;
mod live_settings;
mod maintenance;
mod peers;
mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::catalog::{CachedCatalog, Snapshot, UrlPolicy};
use crate::config::Config;
use crate::pipeline::Clock;
use crate::pipeline::amqp::{self, Commands};
use crate::pipeline::attempt::Attempter;
use crate::pipeline::bounded_quarantine::{BoundedQuarantine, Bounds};
use crate::pipeline::condition::Condition;
use crate::pipeline::deliver::{Deliverer, DelivererHandle, Deps};
use crate::pipeline::dispatch::{Dispatcher, FirstPauses, WhatIsKept};
use crate::pipeline::events_in_hand::EventsInHand;
use crate::pipeline::inbox_source::InboxSource;
use crate::pipeline::live::Live;
use crate::pipeline::test_send::TestSender;
use crate::store::{EventLog, Inbox, Ledger, NodeId, Outbox, Quarantine, Store};
use crate::wire::Wire;
use crate::wire::pace::Pace;
use crate::{api, metrics, provision};
use broker::{Broker, BrokerStates};
use clock_watch::{ClockWatch, shorten_waits};
use components::{Components, http_state};
use config_watcher::{ConfigWatcher, EndHolds};
use live_settings::LiveSettings;
use maintenance::{Held, maintenance};
use peers::PeerEvents;
pub(crate) use setup::test_sender;
use setup::{attempter, delivery, open_catalog, open_holds, open_store, policy, status_poller};

/// At a stop, the outcomes of events in hand must be on disk within this time. The other events come again.
const FINISHED_WITHIN: Duration = Duration::from_secs(10);

/// The policy on integrations' addresses: addresses that are never called are blocked, and the operator permits hosts.
pub fn url_policy(config: &Config) -> UrlPolicy<'static> {
    let wire = config.wire.clone();
    UrlPolicy::new(move |url| wire.blocks(url), config.service_hosts.clone())
}

/// The current time.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Requests to a running daemon to reload its provisioning files, as `SIGHUP` makes them.
pub type Reloads = mpsc::Receiver<ReloadRequest>;

/// One request to reload. The answer is the number of integrations, or the mistakes in the files.
pub struct ReloadRequest {
    /// New settings, if these are to be applied too; or their mistakes, because of which nothing is reloaded.
    pub settings: Result<Option<Box<Config>>, String>,
    pub answer: tokio::sync::oneshot::Sender<Result<usize, Vec<provision::Problem>>>,
}

/// Runs until `shutdown`, then stops gracefully.
///
/// # Errors
/// The store, the provisioning files or the HTTP client kept it from starting, or a part ended by itself.
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

    let (store, peers) = open_store(&config, &node).await.context("cannot open the store")?;
    store.release_leases(&node, clock.now()).await.context("cannot take over the store")?;

    let catalog = match open_catalog(&config, &store, &shutdown, clock.now()).await {
        // A stop signal ended the reading of the files. Nothing was started yet that would have to be stopped.
        Err(_) if shutdown.is_cancelled() => return Ok(()),
        opened => opened?,
    };
    metrics::last_reload(true);
    let changes = catalog.watch();
    shorten_waits(&*store as &dyn Outbox, &policy(&config), clock.now()).await;
    let holds = open_holds(&*store as &dyn Outbox, &catalog, clock.now()).await?;

    let wire = Live::new(Wire::new(&config.wire).context("cannot set up the HTTP client")?);
    let tests = setup::tests_through(&config, Arc::new(wire.clone()), &holds);
    if let Some(ago) = setup::since_last_attempt(&*store as &dyn Ledger, clock.now()).await? {
        tests.pace.used_up_before(ago);
    }
    let http = Live::new(config.http.clone());
    let attempts = attempter(&config, &tests, &catalog, &holds, &clock, &store);
    let arrived = Arc::new(Notify::new());
    let max_age = attempts.max_age.clone();
    let commands = Live::new(Commands::new(&config.amqp, &config.commands));
    let (live, broker_settings) =
        live_settings(&config, &tests, wire.clone(), max_age, &http, &catalog, &commands);
    let poller = status_poller(&config, &attempts, &tests.pace, &store, &arrived);
    let of_dispatch = attempts.clone();
    let deps = deps(&config, &store, node.clone(), attempts, &tests.pace, &tasks);
    let (condition, events_in_hand) = (deps.condition.clone(), deps.events_in_hand.clone());
    let (deliverer, handle) = Deliverer::new(deps);
    let stop_delivering = CancellationToken::new();
    let mut delivering = tasks.spawn(deliverer.run(shutdown.clone(), stop_delivering.clone()));

    let junk = junk(&config, &store);
    let dispatcher =
        Dispatcher { events_in_hand, ..dispatcher(&config, &store, &junk, of_dispatch, &handle, &condition) };
    let stop_sources = CancellationToken::new();
    let inbox_source =
        InboxSource::new(Arc::clone(&store) as Arc<dyn Inbox>, Arc::clone(&arrived), clock.now());
    let (mut sources, broker) =
        start_sources(&config, dispatcher, inbox_source, broker_settings, &stop_sources, &tasks);

    let stop_rest = CancellationToken::new();
    // The poller writes announcements to the inbox, so it stops with the sources.
    tasks.spawn(poller.run(stop_sources.clone()));
    let peer_events = PeerEvents {
        deliverer: handle.clone(),
        arrived: Arc::clone(&arrived),
        catalog: Arc::clone(&catalog),
    };
    // Signs of life end with delivering, so that other nodes need not wait for this one's last attempts.
    let mut forwarding = tasks.spawn(peers::forward(peers, peer_events, stop_delivering.clone()));
    let (ledger, stop) = (Arc::clone(&store) as Arc<dyn Ledger>, stop_rest.clone());
    let held = Held { holds: holds.clone(), catalog: Arc::clone(&catalog) };
    tasks.spawn(maintenance(ledger, held, config.store.clone(), clock.clone(), metrics.clone(), stop));
    tasks.spawn(clock_watch(&config, &store, &handle, &clock).run(stop_rest.clone()));
    let on_change = end_holds(&store, &catalog, &handle, &clock);
    let watcher = config_watcher(live, &catalog, on_change, &clock, changes, &shutdown);
    let last_reload = watcher.last.clone();
    tasks.spawn(watcher.run(reloads, stop_rest.clone()));

    let address = listener.local_addr().context("the listener has no address")?;
    let components = Components {
        store: Arc::clone(&store),
        junk,
        catalog: Arc::clone(&catalog),
        holds,
        tests,
        wire,
        deliverer: handle,
        http,
        arrived,
        broker,
        commands,
        last_reload,
        condition,
        clock: clock.clone(),
        metrics,
        tasks: tasks.clone(),
    };
    let state = http_state(&config, components)?;
    let http_server =
        tasks.spawn(api::serve(listener, api::router(state), config.http.clone(), stop_rest.clone()));
    info!(%address, integrations = catalog.read(Snapshot::len), "forgebell is ready");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);

    tokio::select! {
        () = shutdown.cancelled() => {}
        why = first_failure(&mut delivering, &mut sources, &mut forwarding) => anyhow::bail!(why),
    }

    info!("stopping");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    stop_sources.cancel();
    for source in sources {
        let _ = source.await;
    }
    stop_delivering.cancel();
    let _ = delivering.await;
    release_leases(&*store, &node, clock.now()).await;
    stop_rest.cancel();
    until_ended(http_server, &tasks).await;
    info!("stopped");
    Ok(())
}

/// Waits for the last parts.
async fn until_ended<E: std::fmt::Display>(http_server: JoinHandle<Result<(), E>>, tasks: &TaskTracker) {
    if let Ok(Err(error)) = http_server.await {
        warn!(%error, "the HTTP server ended with an error");
    }
    tasks.close();
    tasks.wait().await;
}

/// The settings that a reload changes, and where they are in use.
fn live_settings(
    config: &Config,
    tests: &TestSender,
    wire: Live<Wire>,
    max_age: Live<BTreeMap<String, Duration>>,
    http: &Live<api::Config>,
    catalog: &Arc<CachedCatalog>,
    commands: &Live<Option<Commands>>,
) -> (LiveSettings, watch::Receiver<amqp::Config>) {
    let (broker, of_broker) = watch::channel(config.amqp.clone());
    let live = LiveSettings {
        started: config.clone(),
        current: config.clone(),
        operator: tests.operator.clone(),
        wire,
        pace: Arc::clone(&tests.pace),
        max_age,
        http: http.clone(),
        catalog: Arc::clone(catalog),
        broker,
        commands: commands.clone(),
    };
    (live, of_broker)
}

/// The components of the deliverer.
fn deps(
    config: &Config,
    store: &Arc<dyn Store>,
    node: NodeId,
    attempts: Attempter,
    pace: &Arc<Pace>,
    tasks: &TaskTracker,
) -> Deps {
    Deps {
        config: delivery(config),
        policy: policy(config),
        node,
        outbox: Arc::clone(store) as Arc<dyn Outbox>,
        event_log: Arc::clone(store) as Arc<dyn EventLog>,
        events_in_hand: EventsInHand::default(),
        prefetch: config.amqp.prefetch.into(),
        attempts,
        pace: Arc::clone(pace),
        condition: Condition::default(),
        tasks: tasks.clone(),
    }
}

fn config_watcher(
    live: LiveSettings,
    catalog: &Arc<CachedCatalog>,
    on_change: EndHolds,
    clock: &Clock,
    changes: watch::Receiver<u64>,
    shutdown: &CancellationToken,
) -> ConfigWatcher {
    ConfigWatcher {
        live,
        catalog: Arc::clone(catalog),
        on_change: Arc::new(on_change),
        clock: clock.clone(),
        changes,
        shutdown: shutdown.clone(),
        last: Live::default(),
    }
}

fn clock_watch(
    config: &Config,
    store: &Arc<dyn Store>,
    deliverer: &DelivererHandle,
    clock: &Clock,
) -> ClockWatch {
    ClockWatch {
        store: Arc::clone(store) as Arc<dyn Outbox>,
        deliverer: deliverer.clone(),
        policy: policy(config),
        clock: clock.clone(),
    }
}

fn end_holds(
    store: &Arc<dyn Store>,
    catalog: &Arc<CachedCatalog>,
    deliverer: &DelivererHandle,
    clock: &Clock,
) -> EndHolds {
    EndHolds {
        store: Arc::clone(store) as Arc<dyn Outbox>,
        catalog: Arc::clone(catalog),
        deliverer: deliverer.clone(),
        clock: clock.clone(),
    }
}

fn first_pauses(config: &Config) -> FirstPauses {
    FirstPauses { build: config.builds.first_pause, probe: config.probes.first_pause }
}

fn junk(config: &Config, store: &Arc<dyn Store>) -> Arc<BoundedQuarantine> {
    let bounds = Bounds { messages: config.store.quarantine_messages, bytes: config.store.quarantine_bytes };
    Arc::new(BoundedQuarantine::new(Arc::clone(store) as Arc<dyn Quarantine>, bounds))
}

fn dispatcher(
    config: &Config,
    store: &Arc<dyn Store>,
    junk: &Arc<BoundedQuarantine>,
    attempts: Attempter,
    deliverer: &DelivererHandle,
    condition: &Condition,
) -> Dispatcher {
    Dispatcher {
        catalog: attempts.catalog,
        outbox: Arc::clone(store) as Arc<dyn Outbox>,
        inbox: Arc::clone(store) as Arc<dyn Inbox>,
        quarantine: Arc::clone(junk),
        holds: attempts.holds,
        deliverer: deliverer.clone(),
        events_in_hand: EventsInHand::default(),
        condition: condition.clone(),
        pauses: first_pauses(config),
        kept: WhatIsKept { history: config.store.history, event_log: config.store.event_log },
        finish_within: FINISHED_WITHIN.min(config.delivery.shutdown_timeout),
        clock: attempts.clock,
    }
}

/// Starts to take events out of the inbox and from the broker. Returns the states of the connections to the broker too.
fn start_sources(
    config: &Config,
    dispatcher: Dispatcher,
    inbox: InboxSource,
    broker_settings: watch::Receiver<amqp::Config>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> (Vec<JoinHandle<()>>, BrokerStates) {
    let broker = Broker::new(dispatcher.clone(), config.node.name.clone(), broker_settings, tasks.clone());
    let states = broker.states();
    let broker = tasks.spawn(broker.run(stop.clone()));
    (vec![broker, tasks.spawn(dispatcher.run(inbox, stop.clone()))], states)
}

/// Waits for the end of a part that never ends by itself, and says which one it was. The cause is a bug, or another node with
/// the same name. A daemon that accepts events and sends nothing is worse than one that ends and is restarted.
async fn first_failure(
    delivering: &mut JoinHandle<()>,
    sources: &mut [JoinHandle<()>],
    forwarding: &mut JoinHandle<crate::store::Result<()>>,
) -> String {
    tokio::select! {
        ended = delivering => format!("the deliverer ended: {ended:?}"),
        ended = futures_util::future::select_all(sources) => format!("a source ended: {:?}", ended.0),
        ended = forwarding => match ended {
            Ok(Err(why)) => why.to_string(),
            ended => format!("the listener to other nodes ended: {ended:?}"),
        },
    }
}

/// Releases this node's leases, so that other nodes need not wait until they expire.
async fn release_leases(store: &dyn Store, node: &NodeId, now: Timestamp) {
    if let Err(error) = store.release_leases(node, now).await {
        warn!(%error, "cannot release the leases; other nodes take over when they expire");
    }
}
