//! Periodic work: gauges, and the removal of old rows.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::metrics;
use crate::pipeline::{Clock, store_calls};
use crate::store::{Ledger, StoreError};

/// How often the gauges are updated.
const GAUGES_EVERY: Duration = Duration::from_secs(5);

/// The rows of a kind that one step removes. Between steps, other work on the store goes on.
const SWEEP_STEP: usize = 1000;

/// Updates the gauges and removes old rows until `stop`.
pub(super) async fn maintenance(
    ledger: Arc<dyn Ledger>,
    config: crate::store::Config,
    clock: Clock,
    metrics: metrics::Handle,
    stop: CancellationToken,
) {
    let mut gauges = tokio::time::interval(GAUGES_EVERY);
    let mut watch = StoreWatch::default();
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
            }
            _ = sweep.tick() => remove_old_rows(&*ledger, &config, clock.now(), &stop).await,
        }
    }
}

/// Says in the log when the store is no longer ready, and when it is again. Readiness is asked for by others, and not by all.
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

/// Removes all rows that are too old, in steps.
async fn remove_old_rows(
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
