//! Waits for a state by polling. This is the only place in the tests that polls.
//!
//! Where there is a notification, wait for that instead, as [`super::receiver`] does.

use std::time::Duration;

use tokio::time::{self, MissedTickBehavior};

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Calls `look` until it returns a value, and returns that. Panics with `description` when `bound` has passed.
///
/// A call that hangs counts against the bound too.
pub async fn eventually<T, F>(description: &str, bound: Duration, mut look: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    let looking = async {
        let mut ticks = time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    };
    let Ok(seen) = time::timeout(bound, looking).await else {
        panic!("waited {bound:?} in vain for: {description}");
    };
    seen
}
