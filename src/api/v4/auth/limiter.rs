//! How many wrong tokens a client address may send: a burst at once, then one every few seconds.
//!
//! Memory is bounded: when there are too many addresses, the one that would be forgotten soonest is dropped.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::client_addr::network_of;

/// After a burst, one more wrong token is accepted per interval.
const INTERVAL: Duration = Duration::from_secs(6);
/// The most addresses that are remembered.
const MAX_ADDRESSES: usize = 10_000;

/// The addresses from which wrong tokens came lately.
#[derive(Debug)]
pub struct LoginLimiter {
    /// How many wrong tokens are accepted at once.
    burst: u32,
    /// When each address is forgotten. Every failure postpones that by [`INTERVAL`].
    until: HashMap<IpAddr, Timestamp>,
}

impl LoginLimiter {
    pub fn new(burst: u32) -> Self {
        Self { burst, until: HashMap::new() }
    }

    /// How long this address has to wait before its next wrong token is processed; `None` where it need not wait.
    pub(in crate::api) fn wait(&self, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let until = *self.until.get(&network_of(address))?;
        let allowed_at = until
            .checked_sub(INTERVAL.saturating_mul(self.burst.saturating_sub(1)))
            .unwrap_or(Timestamp::MIN);
        let wait = allowed_at.duration_since(now);
        // At exactly that moment, one more is allowed.
        (wait > jiff::SignedDuration::ZERO).then(|| wait.unsigned_abs())
    }

    /// Records a wrong token.
    pub(in crate::api) fn record_failure(&mut self, address: IpAddr, now: Timestamp) {
        let address = network_of(address);
        if self.until.len() >= MAX_ADDRESSES && !self.until.contains_key(&address) {
            self.make_room(now);
        }
        let until = self.until.entry(address).or_insert(now);
        *until = (*until).max(now).checked_add(INTERVAL).unwrap_or(Timestamp::MAX);
    }

    fn make_room(&mut self, now: Timestamp) {
        self.until.retain(|_, until| *until > now);
        if self.until.len() < MAX_ADDRESSES {
            return;
        }
        let nearest = self.until.iter().min_by_key(|(_, until)| **until).map(|(address, _)| *address);
        if let Some(nearest) = nearest {
            self.until.remove(&nearest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_768_469_400, 0);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn after(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    fn ten_failures(from: &str) -> LoginLimiter {
        let mut limiter = LoginLimiter::new(10);
        for _ in 0..10 {
            assert_eq!(limiter.wait(address(from), NOW), None);
            limiter.record_failure(address(from), NOW);
        }
        limiter
    }

    #[test]
    fn ten_may_fail_at_once_and_the_eleventh_waits() {
        let limiter = ten_failures("203.0.113.7");
        assert_eq!(limiter.wait(address("203.0.113.7"), NOW), Some(Duration::from_secs(6)));
        assert_eq!(limiter.wait(address("203.0.113.7"), after(5)), Some(Duration::from_secs(1)));
        assert_eq!(limiter.wait(address("203.0.113.7"), after(6)), None);
    }

    #[test]
    fn after_that_one_every_six_seconds() {
        let mut limiter = ten_failures("203.0.113.7");
        limiter.record_failure(address("203.0.113.7"), after(6));
        assert_eq!(limiter.wait(address("203.0.113.7"), after(6)), Some(Duration::from_secs(6)));
        assert_eq!(limiter.wait(address("203.0.113.7"), after(12)), None);
    }

    #[test]
    fn a_quiet_minute_makes_it_good() {
        let mut limiter = ten_failures("203.0.113.7");
        for _ in 0..10 {
            assert_eq!(limiter.wait(address("203.0.113.7"), after(60)), None);
            limiter.record_failure(address("203.0.113.7"), after(60));
        }
        assert!(limiter.wait(address("203.0.113.7"), after(60)).is_some());
    }

    #[test]
    fn others_are_not_concerned_but_neighbours_of_ipv6_are_one() {
        let limiter = ten_failures("203.0.113.7");
        assert_eq!(limiter.wait(address("203.0.113.8"), NOW), None);
        assert!(
            limiter.wait(address("::ffff:203.0.113.7"), NOW).is_some(),
            "it is the same, written otherwise"
        );
        let limiter = ten_failures("2001:db8:1:2::7");
        assert!(limiter.wait(address("2001:db8:1:2:ffff::9"), NOW).is_some());
        assert_eq!(limiter.wait(address("2001:db8:1:3::7"), NOW), None);
    }

    #[test]
    fn memory_is_bounded_and_the_worst_are_remembered() {
        let mut limiter = ten_failures("203.0.113.7");
        for number in 0..2 * u32::try_from(MAX_ADDRESSES).unwrap() {
            limiter.record_failure(IpAddr::V4((0x0a00_0000 + number).into()), NOW);
        }
        assert_eq!(limiter.until.len(), MAX_ADDRESSES);
        assert!(limiter.wait(address("203.0.113.7"), NOW).is_some());
        limiter.record_failure(address("198.51.100.1"), after(3600));
        assert_eq!(limiter.until.len(), 1, "what is over is forgotten");
    }
}
