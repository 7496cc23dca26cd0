//! Builds the daemon's parts from the configuration: the store, the catalog, and the components for attempts.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::config_watcher::{load, reconcile_holds};
use crate::catalog::{CachedCatalog, Catalog, UrlPolicy};
use crate::config::Config;
use crate::pipeline::Clock;
use crate::pipeline::attempt::Attempter;
use crate::pipeline::holds::Holds;
use crate::pipeline::live::Live;
use crate::pipeline::retry::Policy;
use crate::pipeline::status_poller::StatusPoller;
use crate::pipeline::test_send::TestSender;
use crate::provision;
use crate::provision::Provisioned;
use crate::store::merge_requests::MergeRequests;
use crate::store::postgres::{Listener, Postgres};
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::store::{DeliveryFilter, HoldCause, Ledger, NodeId, Outbox, Registry, State, Store, Watches};
use crate::wire::pace::Pace;
use crate::wire::{Transport, Wire};

/// How long a node waits for its name. A database notices within ten seconds that the former node's machine is gone, unless
/// something between them keeps its connections.
const NODE_NAME_WAIT: Duration = Duration::from_secs(90);

/// Opens the configured store. A store that nodes share comes with a listener for what other nodes write.
pub(super) async fn open_store(
    config: &Config,
    node: &NodeId,
) -> anyhow::Result<(Arc<dyn Store>, Option<Listener>)> {
    let keys = Keyring::new(&config.secrets);
    let lease = config.delivery.lease;
    let config = &config.store;
    let Some(url) = &config.url else { return Ok((Arc::new(Sqlite::open(&config.path, keys)?), None)) };
    let store = Postgres::open(url, config.ca_file.as_deref(), keys).await?;
    let listener = store.listener(node, lease, NODE_NAME_WAIT).await?;
    Ok((Arc::new(store), Some(listener)))
}

/// Opens the catalog, from the store and the provisioning files.
pub(super) async fn open_catalog(
    config: &Config,
    store: &Arc<dyn Store>,
    shutdown: &CancellationToken,
    now: Timestamp,
) -> anyhow::Result<Arc<CachedCatalog>> {
    let url_policy = Arc::new(super::url_policy(config));
    let provisioned = provisioned(&config.provision, &url_policy, shutdown).await?;
    let registry = Arc::clone(store) as Arc<dyn Registry>;
    let catalog = CachedCatalog::open(registry).await.context("cannot read the integrations in the store")?;
    let catalog = catalog.with_url_policy(url_policy);
    catalog.set_forge(&config.operator.forge.url);
    let Provisioned { integrations, facts, numbers, groups, .. } = provisioned;
    catalog.set_files(integrations, facts, numbers, now).await.context("cannot store the files' projects")?;
    catalog.note_groups(groups, now).await.context("cannot store the files' groups")?;
    Ok(Arc::new(catalog))
}

/// Reads the provisioning files. All mistakes in them are one error, a line each.
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
            anyhow::bail!("the provisioning files are not valid:\n{}", lines.join("\n"))
        }
    }
}

/// The holds in the store that still count. Holds because of the operator's settings end at a start, since these may have
/// been corrected.
pub(super) async fn open_holds(
    store: &dyn Outbox,
    catalog: &CachedCatalog,
    now: Timestamp,
) -> anyhow::Result<Holds> {
    let holds = store.holds(now).await.context("cannot read the holds")?;
    let of_operator = holds.into_iter().filter(|hold| hold.cause == HoldCause::OperatorError);
    let of_operator: Vec<_> = of_operator.map(|hold| hold.key).collect();
    store.end_holds(&of_operator, now).await.context("cannot end outdated holds")?;
    reconcile_holds(store, catalog, now).await?;
    Ok(Holds::new(store.holds(now).await.context("cannot read the holds")?))
}

/// The time since the store's last possible attempt, by its newest deliveries; `None` where there are none. The
/// messages of that time are unknown, so the rate limits start as if they were used up then.
pub(super) async fn since_last_attempt(
    store: &dyn Ledger,
    now: Timestamp,
) -> anyhow::Result<Option<Duration>> {
    let newest = |state, limit| DeliveryFilter { state, limit, ..DeliveryFilter::default() };
    let waiting = store.deliveries(newest(Some(State::Waiting), 1)).await;
    if !waiting.context("cannot read what waits")?.is_empty() {
        return Ok(Some(Duration::ZERO));
    }
    let lines = store.deliveries(newest(None, 100)).await.context("cannot read the last deliveries")?;
    let last = lines.iter().filter_map(|line| line.settled_at).max();
    Ok(last.map(|last| Duration::try_from(now.duration_since(last)).unwrap_or_default()))
}

/// The test sender of a command.
pub(crate) fn test_sender(config: &Config, holds: &Holds) -> anyhow::Result<TestSender> {
    let wire = Wire::new(&config.wire).context("cannot set up the HTTP client")?;
    Ok(tests_through(config, Arc::new(wire), holds))
}

/// The test sender over this transport. Attempts use its components too.
pub(super) fn tests_through(config: &Config, transport: Arc<dyn Transport>, holds: &Holds) -> TestSender {
    TestSender {
        transport,
        pace: Arc::new(Pace::new(config.rate_limits)),
        operator: Live::new(config.operator.clone()),
        holds: holds.clone(),
    }
}

pub(super) fn attempter(
    config: &Config,
    tests: &TestSender,
    catalog: &Arc<CachedCatalog>,
    holds: &Holds,
    clock: &Clock,
    store: &Arc<dyn Store>,
) -> Attempter {
    Attempter {
        catalog: Arc::clone(catalog) as Arc<dyn Catalog>,
        transport: Arc::clone(&tests.transport),
        merge_requests: Arc::clone(store) as Arc<dyn MergeRequests>,
        holds: holds.clone(),
        clock: clock.clone(),
        max_age: Live::new(config.max_age.clone()),
        operator: tests.operator.clone(),
        first_build_pause: config.builds.first_pause,
    }
}

/// The status poller, with the transport and the pace of attempts.
pub(super) fn status_poller(
    config: &Config,
    attempts: &Attempter,
    pace: &Arc<Pace>,
    store: &Arc<dyn Store>,
    arrived: &Arc<Notify>,
) -> StatusPoller {
    StatusPoller {
        config: config.builds.clone(),
        probes: config.probes.clone(),
        operator: attempts.operator.clone(),
        watches: Arc::clone(store) as Arc<dyn Watches>,
        catalog: Arc::clone(&attempts.catalog),
        transport: Arc::clone(&attempts.transport),
        pace: Arc::clone(pace),
        holds: attempts.holds.clone(),
        clock: attempts.clock.clone(),
        arrived: Arc::clone(arrived),
    }
}

pub(super) fn policy(config: &Config) -> Policy {
    Policy {
        retry: config.retry.clone(),
        breaker_threshold: config.delivery.breaker_threshold,
        breaker_max: config.delivery.breaker_max,
        longest_pause: config.builds.longest().max(config.probes.longest()),
    }
}

/// `[delivery]`, without the wait for other nodes where the store is not shared.
pub(super) fn delivery(config: &Config) -> crate::pipeline::Config {
    let mut delivery = config.delivery.clone();
    if config.store.url.is_none() {
        delivery.unknown_integration_grace = Duration::ZERO;
    }
    delivery
}
