//! Periodic work: gauges, and the removal of old rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::catalog::CachedCatalog;
use crate::metrics;
use crate::pipeline::holds::Holds;
use crate::pipeline::{Clock, standing, store_calls};
use crate::store::{HoldCause, Ledger, Retention, StoreError};

/// How often the gauges are updated.
const GAUGES_EVERY: Duration = Duration::from_secs(5);

/// The rows of a kind that one step removes. Between steps, other work on the store goes on.
const SWEEP_STEP: usize = 1000;

/// Updates the gauges and removes old rows until `stop`.
pub(super) async fn maintenance(
    ledger: Arc<dyn Ledger>,
    held: Held,
    config: crate::store::Config,
    clock: Clock,
    metrics: metrics::Handle,
    stop: CancellationToken,
) {
    let mut gauges = tokio::time::interval(GAUGES_EVERY);
    let mut watch = StoreWatch::default();
    let mut off = OffWatch::default();
    let mut sweep = tokio::time::interval(config.sweep_every);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = gauges.tick() => {
                metrics.run_upkeep();
                watch.look(ledger.ping().await);
                match ledger.depth(clock.now()).await {
                    Ok(depth) => metrics::depth(&depth_of(&depth, clock.now())),
                    Err(error) => store_calls::log(&error, "measure what waits"),
                }
                off.look(&held.measure(clock.now()));
            }
            _ = sweep.tick() => {
                let retention = config.retention(clock.now());
                remove_what_is_old(&*ledger, &held.catalog, retention, &stop).await;
            }
        }
    }
}

/// The sources of the gauges for holds.
pub(super) struct Held {
    pub(super) holds: Holds,
    pub(super) catalog: Arc<CachedCatalog>,
}

impl Held {
    /// Sets the gauges, and returns the integrations that send nothing although they are switched on.
    fn measure(&self, now: Timestamp) -> BTreeMap<&'static str, u64> {
        let holds = self.holds.snapshot();
        for cause in HoldCause::ALL {
            let held = holds.active_all(now).filter(|hold| hold.cause == cause).count();
            metrics::holds(cause.name(), held as u64);
        }
        let off = self.catalog.read(|snapshot| standing::switched_off(snapshot, &holds, now));
        for reason in standing::OFF_REASONS {
            metrics::integrations_switched_off(reason, off.get(reason).copied().unwrap_or_default());
        }
        off
    }
}

/// Logs when more integrations are switched off than before, also at a start, and when none is any more.
#[derive(Default)]
struct OffWatch {
    known: u64,
}

impl OffWatch {
    fn look(&mut self, off: &BTreeMap<&'static str, u64>) {
        let count = off.values().sum();
        if count > self.known {
            error!(
                integrations = count,
                "integrations are switched off and send nothing; `forgebell status` names them"
            );
        } else if count == 0 && self.known > 0 {
            info!("no integration is switched off any more");
        }
        self.known = count;
    }
}

/// Logs when the store is no longer ready, and when it is ready again. Not every operator monitors readiness.
#[derive(Default)]
struct StoreWatch {
    problem: Option<StoreError>,
}

impl StoreWatch {
    fn look(&mut self, answer: crate::store::Result<()>) {
        let problem = answer.err();
        if problem == self.problem {
            return;
        }
        if let Some(error) = &problem {
            error!(%error, "the store is not ready");
        } else {
            info!("the store is ready again");
        }
        self.problem = problem;
    }
}

/// Removes all rows that are too old, and ended mutes from memory too. Each node has them there, whichever node removed
/// them from the store.
async fn remove_what_is_old(
    ledger: &dyn Ledger,
    catalog: &CachedCatalog,
    retention: Retention,
    stop: &CancellationToken,
) {
    remove_old_rows(ledger, retention, stop).await;
    catalog.forget_mutes(retention.settled_before);
}

/// Removes all rows that are too old, in steps.
async fn remove_old_rows(ledger: &dyn Ledger, retention: Retention, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        match ledger.sweep(retention, SWEEP_STEP).await {
            Ok(swept) => {
                if swept.deliveries + swept.events + swept.quarantined > 0 {
                    info!(
                        deliveries = swept.deliveries,
                        events = swept.events,
                        quarantined = swept.quarantined,
                        "removed old rows"
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Actor;
    use crate::store::registry::{Mute, Registry};
    use crate::store::seal::Keyring;
    use crate::store::sqlite::Sqlite;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second).expect("a moment")
    }

    #[tokio::test]
    async fn mutes_that_ended_long_ago_leave_the_store_and_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).expect("it opens");
        let store = Arc::new(store);
        let open = || CachedCatalog::open(Arc::clone(&store) as Arc<dyn Registry>);
        let catalog = open().await.expect("it is read");
        for (project, until) in [(42, 100), (42, 900), (43, 100)] {
            let (slug, channel, by) = ("slack".to_owned(), format!("ops-{until}"), "@ada".to_owned());
            let mute = Mute { project, slug, channel, until: at(until), by, revision: 0 };
            catalog.mute(mute, &Actor("test".to_owned()), at(0)).await.expect("it is muted");
        }
        let left = |catalog: &CachedCatalog| {
            [42, 43].map(|project| catalog.read(|state| state.mutes(project, Timestamp::MIN).count()))
        };
        assert_eq!(left(&catalog), [2, 1]);

        let before = at(500);
        let retention = Retention {
            settled_before: before,
            dead_letters_before: before,
            quarantine_before: before,
            merge_requests_before: before,
        };
        remove_what_is_old(&*store, &catalog, retention, &CancellationToken::new()).await;
        assert_eq!(left(&catalog), [1, 0], "in memory");
        assert_eq!(left(&open().await.expect("it is read")), [1, 0], "in the store");
    }
}
