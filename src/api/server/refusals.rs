//! Counts and logs refusals for lack of places or memory. The first refusal is logged at once, further ones at most
//! every ten seconds with their number, so that an attack does not fill the log.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::places::Refusal;
use crate::metrics;

const INTERVAL: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Refusals(Mutex<Unsaid>);

#[derive(Default)]
struct Unsaid {
    count: u64,
    said_at: Option<Instant>,
}

impl Unsaid {
    /// How many refusals to report now, with this one; `None` where the last report is too fresh.
    fn add(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self.said_at.is_some_and(|at| now < at + INTERVAL) {
            return None;
        }
        self.said_at = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

impl Refusals {
    pub(super) fn record(&self, refusal: Refusal, client: IpAddr) {
        metrics::http_refused(refusal.label());
        let count = self.0.lock().unwrap_or_else(PoisonError::into_inner).add(Instant::now());
        if let Some(count) = count {
            tracing::warn!(
                %client,
                reason = refusal.why(),
                refused = count,
                "refused HTTP connections or requests; this is the last one's address and reason"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_reported_at_once_and_the_others_together_ten_seconds_later() {
        let (mut unsaid, start) = (Unsaid::default(), Instant::now());
        assert_eq!(unsaid.add(start), Some(1));
        for second in 0..10 {
            assert_eq!(unsaid.add(start + Duration::from_secs(second)), None);
        }
        assert_eq!(unsaid.add(start + INTERVAL), Some(11));
    }
}
