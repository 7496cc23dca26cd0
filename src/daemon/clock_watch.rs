//! Watches for steps of the wall clock. Rows in the store wait for moments of the wall clock, so after a step back they
//! would wait too long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::pipeline::deliver::DelivererHandle;
use crate::pipeline::retry::Policy;
use crate::pipeline::{Clock, store_calls};
use crate::store::Outbox;

/// How often the clocks are compared.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The clocks may differ by this much between two looks: time servers correct a clock slowly, and a busy machine looks late.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

/// After a step, limits waits and makes the deliverer consider them again.
pub(super) struct ClockWatch {
    pub(super) store: Arc<dyn Outbox>,
    pub(super) deliverer: DelivererHandle,
    pub(super) policy: Policy,
    pub(super) clock: Clock,
}

impl ClockWatch {
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut before = (self.clock.now(), monotonic());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = look.tick() => {}
            }
            let now = (self.clock.now(), monotonic());
            if let Some(step) = step(before, now) {
                warn!(%step, "the system's clock stepped; what waits is limited to the longest waits from now on");
                shorten_waits(&*self.store, &self.policy, now.0).await;
                self.deliverer.clock_stepped();
            }
            before = now;
        }
    }
}

/// Ends waits that are longer than any decision leads to.
pub(super) async fn shorten_waits(store: &dyn Outbox, policy: &Policy, now: Timestamp) {
    match store.shorten_waits(&policy.latest_waits(now)).await {
        Ok(0) => {}
        Ok(shortened) => info!(
            shortened,
            "holds, deliveries or questions waited for moments beyond the longest wait, as after a step of the clock; \
             they wait less"
        ),
        Err(error) => store_calls::log(&error, "limit what waits"),
    }
}

/// By how much the wall clock stepped between two looks at both clocks, if it did.
fn step(before: (Timestamp, Instant), now: (Timestamp, Instant)) -> Option<SignedDuration> {
    let passed = SignedDuration::try_from(now.1.duration_since(before.1)).unwrap_or(SignedDuration::MAX);
    let step = now.0.duration_since(before.0) - passed;
    (step.abs() > TOLERANCE).then_some(step)
}

fn monotonic() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The step between two looks that are so many seconds apart on the wall clock and on the monotonic clock.
    fn stepped(wall: i64, monotonic: u64) -> Option<i64> {
        let (wall_before, before) = (Timestamp::from_second(1_700_000_000).unwrap(), super::monotonic());
        let now = (wall_before + SignedDuration::from_secs(wall), before + Duration::from_secs(monotonic));
        step((wall_before, before), now).map(|step| step.as_secs())
    }

    #[test]
    fn a_step_is_what_the_clocks_differ_by() {
        for (wall, monotonic, expected) in [
            (5, 5, None),
            (0, 5, None),
            (10, 5, None),
            (600, 600, None),
            (11, 5, Some(6)),
            (-1, 5, Some(-6)),
            (-86_400, 5, Some(-86_405)),
            (31_536_000, 5, Some(31_535_995)),
        ] {
            assert_eq!(stepped(wall, monotonic), expected, "{wall} {monotonic}");
        }
    }
}
