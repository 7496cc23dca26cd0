//! Waiting for a state that nobody announces: the one place in the tests that looks again and again.
//!
//! Where there is a notification, wait for that instead, as [`super::receiver`] does.

use std::time::Duration;

use tokio::time::{self, MissedTickBehavior};

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Looks until there is something to see, and returns it. Panics with `description` when `bound` has passed.
///
/// A look that itself hangs counts against the bound too.
pub async fn eventually<T, F>(description: &str, bound: Duration, mut look: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    let looking = async {
        let mut ticks = time::interval(BETWEEN_LOOKS);
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
