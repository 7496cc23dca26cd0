//! The wiring, start to stop. It decides nothing: one straight function makes the parts in the order in which events
//! meet them backwards (store, wire, deliverer, dispatchers, HTTP server), and ends them in the order in which they meet
//! them (sources, deliverer, HTTP server).
//!
//! A first stop signal ends softly: sources stop taking, dispatch finishes and acknowledges its batch, attempts in flight
//! get the grace period, everything is written, leases are given back, the HTTP server stops last. Who can't wait (a second
//! signal, a deadline) drops the future: leases lapse by themselves, and what was not settled is attempted again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::api::{self, LoginLimiter};
use crate::catalog::{CachedCatalog, Catalog, Snapshot, UrlPolicy};
use crate::config::Config;
use crate::metrics;
use crate::pipeline::Clock;
use crate::pipeline::amqp::{AmqpSource, BrokerState, Commands};
use crate::pipeline::attempt::Attempter;
use crate::pipeline::deliver::{Deliverer, DelivererHandle, Deps};
use crate::pipeline::dispatch::Dispatcher;
use crate::pipeline::holds::Holds;
use crate::pipeline::inbox_source::InboxSource;
use crate::pipeline::retry::Policy;
use crate::pipeline::store_calls;
use crate::pipeline::test_send::TestSender;
use crate::provision::{self, Provisioned};
use crate::store::postgres::{Listener, Notification, Postgres};
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::store::{HoldCause, Inbox, Ledger, NodeId, Outbox, Quarantine, Registry, Store};
use crate::wire::Wire;
use crate::wire::pace::Pace;

/// How often the gauges are brought up to date.
const GAUGES_EVERY: Duration = Duration::from_secs(5);
/// How often changes are read from the store, in case a notification was lost.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Rows of a kind that one step of a sweep removes; between steps others get their turn.
const SWEEP_STEP: usize = 1000;

/// A database notices within a minute that a node's machine went dark; only then is its name free.
const FORMER_LIFE: Duration = Duration::from_secs(90);

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

    let (store, peers) = open_store(&config, &node).await.context("cannot open the store")?;
    store.release_leases(&node, clock.now()).await.context("cannot take over the store")?;

    let catalog = match open_catalog(&config, &store, &shutdown, clock.now()).await {
        // A stop signal ended the reading of the files. Nothing that has to be ended was started yet.
        Err(_) if shutdown.is_cancelled() => return Ok(()),
        opened => opened?,
    };
    let changes = catalog.watch();
    let holds = open_holds(&*store as &dyn Outbox, &catalog, clock.now()).await?;

    let tests = test_sender(&config, &holds)?;
    let attempts = attempts(&config, &tests, &catalog, &holds, &clock);
    let leaving = node.clone();
    let (deliverer, handle) = Deliverer::new(Deps {
        config: delivery(&config),
        policy: policy(&config),
        node,
        outbox: Arc::clone(&store) as Arc<dyn Outbox>,
        attempts,
        pace: Arc::clone(&tests.pace),
        tasks: tasks.clone(),
    });
    let stop_delivering = CancellationToken::new();
    let mut delivering = tasks.spawn(deliverer.run(stop_delivering.clone()));

    let dispatcher = Dispatcher {
        catalog: Arc::clone(&catalog) as Arc<dyn Catalog>,
        outbox: Arc::clone(&store) as Arc<dyn Outbox>,
        inbox: Arc::clone(&store) as Arc<dyn Inbox>,
        quarantine: Arc::clone(&store) as Arc<dyn Quarantine>,
        holds: holds.clone(),
        deliverer: handle.clone(),
        clock: clock.clone(),
    };
    let (stop_sources, arrived) = (CancellationToken::new(), Arc::new(Notify::new()));
    let inbox_source = InboxSource::new(Arc::clone(&store) as Arc<dyn Inbox>, Arc::clone(&arrived));
    let mut sources = vec![tasks.spawn(dispatcher.clone().run(inbox_source, stop_sources.clone()))];
    let mut broker = None;
    if config.amqp.enabled {
        let (amqp, state) = AmqpSource::new(config.amqp.clone(), clock.clone());
        sources.push(tasks.spawn(dispatcher.run(amqp, stop_sources.clone())));
        broker = Some(state);
    }

    let stop_rest = CancellationToken::new();
    let others =
        Others { deliverer: handle.clone(), arrived: Arc::clone(&arrived), catalog: Arc::clone(&catalog) };
    let mut hearing = tasks.spawn(hear(peers, others, stop_rest.clone()));
    let ledger = Arc::clone(&store) as Arc<dyn Ledger>;
    let house = keep_house(ledger, config.store.clone(), clock.clone(), metrics.clone(), stop_rest.clone());
    tasks.spawn(house);
    let keeper = Keeper {
        config: config.provision.clone(),
        catalog: Arc::clone(&catalog),
        store: Arc::clone(&store),
        deliverer: handle.clone(),
        clock: clock.clone(),
        changes,
        shutdown: shutdown.clone(),
    };
    tasks.spawn(keeper.run(reloads, stop_rest.clone()));

    let address = listener.local_addr().context("the listener has no address")?;
    let rooms = Rooms {
        store: Arc::clone(&store),
        catalog: Arc::clone(&catalog),
        holds,
        tests,
        deliverer: handle,
        arrived,
        broker,
        clock: clock.clone(),
        metrics,
        tasks: tasks.clone(),
    };
    let state = http_state(&config, rooms);
    let http_server = tasks.spawn(api::serve(listener, api::router(state), stop_rest.clone()));
    info!(%address, integrations = catalog.read(Snapshot::len), "forgebell is ready");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);

    tokio::select! {
        () = shutdown.cancelled() => {}
        why = until_broken(&mut delivering, &mut sources, &mut hearing) => anyhow::bail!(why),
    }

    info!("stopping");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    stop_sources.cancel();
    for source in sources {
        let _ = source.await;
    }
    stop_delivering.cancel();
    let _ = delivering.await;
    take_leave(&*store, &leaving, clock.now()).await;
    stop_rest.cancel();
    if let Ok(Err(error)) = http_server.await {
        warn!(%error, "the HTTP server ended with an error");
    }
    tasks.close();
    tasks.wait().await;
    info!("stopped");
    Ok(())
}

/// What attempts are made with, be they real or tests.
fn test_sender(config: &Config, holds: &Holds) -> anyhow::Result<TestSender> {
    let wire = Wire::new(&config.wire).context("cannot set up the HTTP client")?;
    Ok(TestSender {
        transport: Arc::new(wire),
        pace: Arc::new(Pace::new(config.rate_limits)),
        operator: Arc::new(config.operator.clone()),
        holds: holds.clone(),
    })
}

fn attempts(
    config: &Config,
    tests: &TestSender,
    catalog: &Arc<CachedCatalog>,
    holds: &Holds,
    clock: &Clock,
) -> Attempter {
    Attempter {
        catalog: Arc::clone(catalog) as Arc<dyn Catalog>,
        transport: Arc::clone(&tests.transport),
        holds: holds.clone(),
        clock: clock.clone(),
        max_age: Arc::new(config.max_age.clone()),
        operator: Arc::clone(&tests.operator),
    }
}

fn policy(config: &Config) -> Policy {
    Policy {
        retry: config.retry.clone(),
        breaker_threshold: config.delivery.breaker_threshold,
        breaker_max: config.delivery.breaker_max,
    }
}

/// What never ends by itself: if one of these does, it is a bug of ours or another node's claim to our name, and a daemon
/// that takes events in and tells nobody is worse than one that ends and is started again.
async fn until_broken(
    delivering: &mut JoinHandle<()>,
    sources: &mut [JoinHandle<()>],
    hearing: &mut JoinHandle<crate::store::Result<()>>,
) -> String {
    tokio::select! {
        ended = delivering => format!("the deliverer ended: {ended:?}"),
        ended = futures_util::future::select_all(sources) => format!("a source ended: {:?}", ended.0),
        ended = hearing => match ended {
            Ok(Err(why)) => why.to_string(),
            ended => format!("the listener to other nodes ended: {ended:?}"),
        },
    }
}

/// How deliveries are worked here: who has the store alone, leaves nothing to others.
fn delivery(config: &Config) -> crate::pipeline::Config {
    let mut delivery = config.delivery.clone();
    if config.store.url.is_none() {
        delivery.unknown_integration_grace = Duration::ZERO;
    }
    delivery
}

/// The store that is configured; one that nodes share brings news of the others.
async fn open_store(config: &Config, node: &NodeId) -> anyhow::Result<(Arc<dyn Store>, Option<Listener>)> {
    let keys = Keyring::new(&config.secrets);
    let config = &config.store;
    let Some(url) = &config.url else { return Ok((Arc::new(Sqlite::open(&config.path, keys)?), None)) };
    let store = Postgres::open(url, config.ca_file.as_deref(), keys).await?;
    let listener = store.listener(node, FORMER_LIFE).await?;
    Ok((Arc::new(store), Some(listener)))
}

/// Others need not wait until our leases lapse; if this fails, they do.
async fn take_leave(store: &dyn Store, node: &NodeId, now: Timestamp) {
    if let Err(error) = store.release_leases(node, now).await {
        warn!(%error, "could not give the leases back; they lapse by themselves");
    }
}

/// Who is told of what other nodes wrote.
struct Others {
    deliverer: DelivererHandle,
    arrived: Arc<Notify>,
    catalog: Arc<CachedCatalog>,
}

/// Hands on what other nodes wrote, where there are any.
async fn hear(
    listener: Option<Listener>,
    others: Others,
    stop: CancellationToken,
) -> crate::store::Result<()> {
    let Some(listener) = listener else {
        stop.cancelled().await;
        return Ok(());
    };
    let (told, mut heard) = mpsc::unbounded_channel();
    let listening = listener.run(told, stop);
    let handing_on = async {
        while let Some(heard) = heard.recv().await {
            match heard {
                Notification::Stored(destination) => others.deliverer.note_backlog(destination),
                Notification::Arrived => others.arrived.notify_one(),
                // In the order in which it was committed: rows that are heard of next may go by it.
                Notification::Configured => refresh(&others.catalog).await,
            }
        }
    };
    tokio::join!(listening, handing_on).0
}

async fn refresh(catalog: &CachedCatalog) {
    if let Err(error) = catalog.refresh().await {
        store_calls::log(&error, "read what changed in the integrations");
    }
}

/// The catalogue: what the store knows and what the files say.
async fn open_catalog(
    config: &Config,
    store: &Arc<dyn Store>,
    shutdown: &CancellationToken,
    now: Timestamp,
) -> anyhow::Result<Arc<CachedCatalog>> {
    let wire = config.wire.clone();
    let url_policy: Arc<UrlPolicy<'static>> = Arc::new(move |url| wire.blocks(url));
    let provisioned = provisioned(&config.provision, &url_policy, shutdown).await?;
    let registry = Arc::clone(store) as Arc<dyn Registry>;
    let catalog = CachedCatalog::open(registry).await.context("cannot read the integrations in the store")?;
    let catalog = catalog.with_url_policy(url_policy);
    let Provisioned { integrations, facts, numbers, groups, .. } = provisioned;
    catalog.set_files(integrations, facts, numbers, now).await.context("cannot note the files' projects")?;
    catalog.note_groups(groups, now).await.context("cannot note the files' groups")?;
    Ok(Arc::new(catalog))
}

/// Reads the provisioning files; all that is wrong with them is one error, a line each.
async fn provisioned(
    config: &provision::Config,
    url_policy: &Arc<UrlPolicy<'static>>,
    stop: &CancellationToken,
) -> anyhow::Result<Provisioned> {
    match load(config, url_policy, stop).await {
        Ok(provisioned) => {
            for warning in &provisioned.warnings {
                warn!("{warning}");
            }
            Ok(provisioned)
        }
        Err(problems) => {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            anyhow::bail!("the integrations are not as they should be:\n{}", lines.join("\n"))
        }
    }
}

/// Reads the provisioning files on a thread of its own: signals are handled meanwhile, and `stop` ends the reading.
async fn load(
    config: &provision::Config,
    url_policy: &Arc<UrlPolicy<'static>>,
    stop: &CancellationToken,
) -> Result<Provisioned, Vec<provision::Problem>> {
    let (config, url_policy, stop) = (config.clone(), Arc::clone(url_policy), stop.clone());
    let reading = tokio::task::spawn_blocking(move || provision::load_until(&config, &*url_policy, &stop));
    reading.await.expect("reading returns its problems, and nothing aborts it")
}

/// The holds that the store keeps and that still count. A new start is a new try for what the operator had to change.
async fn open_holds(store: &dyn Outbox, catalog: &CachedCatalog, now: Timestamp) -> anyhow::Result<Holds> {
    let holds = store.holds(now).await.context("cannot read the holds")?;
    let of_operator = holds.into_iter().filter(|hold| hold.cause == HoldCause::OperatorError);
    let of_operator: Vec<_> = of_operator.map(|hold| hold.key).collect();
    store.end_holds(&of_operator, now).await.context("cannot end outdated holds")?;
    reconcile_holds(store, catalog, now).await?;
    Ok(Holds::new(store.holds(now).await.context("cannot read the holds")?))
}

/// Ends the holds of integrations whose settings are others by now; what waited for them is due.
async fn reconcile_holds(store: &dyn Outbox, catalog: &CachedCatalog, now: Timestamp) -> anyhow::Result<()> {
    let holds = store.holds(now).await.context("cannot read the holds")?;
    let made_under = holds.iter().filter_map(|hold| hold.made_under.as_ref());
    let current: BTreeMap<_, _> = made_under.map(|(id, _)| (id.clone(), catalog.fingerprint(id))).collect();
    let current: Vec<_> = current.into_iter().collect();
    let ended = store.end_outdated_holds(&current, now).await.context("cannot end outdated holds")?;
    if ended > 0 {
        info!(ended, "settings changed; what waited for that is due now");
    }
    Ok(())
}

/// The parts of the daemon that the HTTP server works with.
struct Rooms {
    store: Arc<dyn Store>,
    catalog: Arc<CachedCatalog>,
    holds: Holds,
    tests: TestSender,
    deliverer: DelivererHandle,
    arrived: Arc<Notify>,
    broker: Option<watch::Receiver<BrokerState>>,
    clock: Clock,
    metrics: metrics::Handle,
    tasks: TaskTracker,
}

/// What the HTTP server works with.
fn http_state(config: &Config, rooms: Rooms) -> api::State {
    let Rooms { store, catalog, holds, tests, deliverer, arrived, broker, clock, metrics, tasks } = rooms;
    let readiness = move || match broker.as_ref().map(|state| state.borrow().clone()) {
        Some(BrokerState::Away { since, why }) => Err(format!("away since {since}: {why}")),
        Some(BrokerState::Connected) | None => Ok(()),
    };
    api::State {
        config: config.http.clone(),
        inbox: Arc::clone(&store) as Arc<dyn Inbox>,
        quarantine: Arc::clone(&store) as Arc<dyn Quarantine>,
        ledger: Arc::clone(&store) as Arc<dyn Ledger>,
        outbox: Arc::clone(&store) as Arc<dyn Outbox>,
        registry: store as Arc<dyn Registry>,
        arrived,
        broker: Arc::new(readiness),
        clock: Arc::new(move || clock.now()),
        metrics,
        catalog,
        holds,
        tests,
        commands: Commands::new(&config.amqp, &config.commands),
        stored: Arc::new(move |destination| deliverer.note_backlog(destination)),
        tasks,
        login_limiter: Arc::new(Mutex::new(LoginLimiter::new(config.http.login_failures))),
    }
}

/// Brings the gauges up to date and sweeps out what is too old.
async fn keep_house(
    ledger: Arc<dyn Ledger>,
    config: crate::store::Config,
    clock: Clock,
    metrics: metrics::Handle,
    stop: CancellationToken,
) {
    let mut gauges = tokio::time::interval(GAUGES_EVERY);
    let mut sweep = tokio::time::interval(config.sweep_every);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = gauges.tick() => {
                metrics.run_upkeep();
                match ledger.depth(clock.now()).await {
                    Ok(depth) => metrics::depth(&depth_of(&depth, clock.now())),
                    Err(error) => store_calls::log(&error, "measure what waits"),
                }
            }
            _ = sweep.tick() => sweep_out(&*ledger, &config, clock.now(), &stop).await,
        }
    }
}

/// Sweeps in steps until nothing that is too old is left.
async fn sweep_out(
    ledger: &dyn Ledger,
    config: &crate::store::Config,
    now: Timestamp,
    stop: &CancellationToken,
) {
    while !stop.is_cancelled() {
        match ledger.sweep(config.retention(now), SWEEP_STEP).await {
            Ok(swept) => {
                if swept.deliveries + swept.events + swept.quarantined > 0 {
                    info!(
                        deliveries = swept.deliveries,
                        events = swept.events,
                        quarantined = swept.quarantined,
                        "swept out what is too old"
                    );
                }
                if !swept.more {
                    return;
                }
            }
            Err(error) => {
                store_calls::log(&error, "sweep out what is too old");
                return;
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Keeps the catalogue fresh: reads the provisioning files anew when asked, and the store now and then, in case that
/// nobody told us. When integrations change, what waits for that goes on.
struct Keeper {
    config: provision::Config,
    catalog: Arc<CachedCatalog>,
    store: Arc<dyn Store>,
    deliverer: DelivererHandle,
    clock: Clock,
    /// Heard of since the catalogue was opened.
    changes: watch::Receiver<u64>,
    /// Ends the reading of files.
    shutdown: CancellationToken,
}

impl Keeper {
    async fn run(mut self, mut requests: Reloads, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                request = requests.recv() => {
                    let Some(request) = request else { return };
                    let answer = self.reload().await;
                    // The caller may not wait for the answer; it is logged too.
                    let _ = request.answer.send(answer);
                }
                _ = look.tick() => refresh(&self.catalog).await,
                Ok(()) = self.changes.changed() => self.heal().await,
            }
        }
    }

    /// A broken file keeps the old state and says so.
    async fn reload(&mut self) -> Result<usize, Vec<provision::Problem>> {
        let loaded = load(&self.config, self.catalog.url_policy(), &self.shutdown).await;
        let loaded = loaded.inspect_err(|problems| {
            for problem in problems {
                error!("{problem}");
            }
            error!(problems = problems.len(), "the integrations could not be read; the old ones stay");
            metrics::reloaded(false);
        })?;
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let Provisioned { integrations, facts, numbers, groups, .. } = loaded;
        let (count, now) = (integrations.len(), self.clock.now());
        if let Err(error) = self.catalog.set_files(integrations, facts, numbers, now).await {
            warn!(%error, "the projects that the files name are not noted yet");
        }
        if let Err(error) = self.catalog.note_groups(groups, now).await {
            warn!(%error, "the groups that the files name are not noted yet");
        }
        // This includes the reload's own change, which would cause a second run otherwise.
        self.changes.mark_unchanged();
        self.heal().await;
        metrics::reloaded(true);
        info!(integrations = count, "read the integrations anew");
        Ok(count)
    }

    /// What waited for other settings is due now.
    async fn heal(&self) {
        self.deliverer.flush().await;
        let store = &*self.store as &dyn Outbox;
        if let Err(error) = reconcile_holds(store, &self.catalog, self.clock.now()).await {
            warn!(error = format!("{error:#}"), "what waits for changed settings stays as it is for now");
        }
        self.deliverer.holds_changed();
    }
}

fn depth_of(depth: &crate::store::Depth, now: Timestamp) -> metrics::Depth {
    let oldest = depth.oldest_waiting.map(|since| now.duration_since(since));
    metrics::Depth {
        inbox: depth.inbox,
        outbox: depth.waiting,
        oldest: oldest.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default(),
        dead_letters: depth.dead_letters,
        held: depth.held,
        quarantine: depth.quarantined,
    }
}
