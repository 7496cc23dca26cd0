//! How often somebody at one address may show a token that is none: some tries at once, then one every few seconds.
//!
//! Memory is bounded: where there are more addresses than there is room, the one that is nearest to being forgotten is.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use jiff::Timestamp;

/// As often as this, one more is taken.
const EVERY: Duration = Duration::from_secs(6);
/// Addresses that are remembered.
const MOST: usize = 10_000;

/// The addresses from which wrong tokens came of late.
#[derive(Debug)]
pub struct FailedLogins {
    /// Wrong tokens that are taken at once.
    at_once: u32,
    /// When each is forgotten. Every failure puts that off by [`EVERY`].
    until: HashMap<IpAddr, Timestamp>,
}

impl FailedLogins {
    pub fn new(at_once: u32) -> Self {
        Self { at_once, until: HashMap::new() }
    }

    /// How long this address has to wait before it may try again; `None` where it may now.
    pub(in crate::api) fn wait(&self, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let until = *self.until.get(&whose(address))?;
        let allowed_at =
            until.checked_sub(EVERY.saturating_mul(self.at_once.saturating_sub(1))).unwrap_or(Timestamp::MIN);
        let wait = allowed_at.duration_since(now);
        // At the very moment one more is allowed.
        (wait > jiff::SignedDuration::ZERO).then(|| wait.unsigned_abs())
    }

    /// Notes a wrong token.
    pub(in crate::api) fn note(&mut self, address: IpAddr, now: Timestamp) {
        let address = whose(address);
        if self.until.len() >= MOST && !self.until.contains_key(&address) {
            self.make_room(now);
        }
        let until = self.until.entry(address).or_insert(now);
        *until = (*until).max(now).checked_add(EVERY).unwrap_or(Timestamp::MAX);
    }

    fn make_room(&mut self, now: Timestamp) {
        self.until.retain(|_, until| *until > now);
        if self.until.len() < MOST {
            return;
        }
        let nearest = self.until.iter().min_by_key(|(_, until)| **until).map(|(address, _)| *address);
        if let Some(nearest) = nearest {
            self.until.remove(&nearest);
        }
    }
}

/// Who has one IPv6 address has the 2^64 beside it.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
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

    fn ten_failures(from: &str) -> FailedLogins {
        let mut logins = FailedLogins::new(10);
        for _ in 0..10 {
            assert_eq!(logins.wait(address(from), NOW), None);
            logins.note(address(from), NOW);
        }
        logins
    }

    #[test]
    fn ten_may_fail_at_once_and_the_eleventh_waits() {
        let logins = ten_failures("203.0.113.7");
        assert_eq!(logins.wait(address("203.0.113.7"), NOW), Some(Duration::from_secs(6)));
        assert_eq!(logins.wait(address("203.0.113.7"), after(5)), Some(Duration::from_secs(1)));
        assert_eq!(logins.wait(address("203.0.113.7"), after(6)), None);
    }

    #[test]
    fn after_that_one_every_six_seconds() {
        let mut logins = ten_failures("203.0.113.7");
        logins.note(address("203.0.113.7"), after(6));
        assert_eq!(logins.wait(address("203.0.113.7"), after(6)), Some(Duration::from_secs(6)));
        assert_eq!(logins.wait(address("203.0.113.7"), after(12)), None);
    }

    #[test]
    fn a_quiet_minute_makes_it_good() {
        let mut logins = ten_failures("203.0.113.7");
        for _ in 0..10 {
            assert_eq!(logins.wait(address("203.0.113.7"), after(60)), None);
            logins.note(address("203.0.113.7"), after(60));
        }
        assert!(logins.wait(address("203.0.113.7"), after(60)).is_some());
    }

    #[test]
    fn others_are_not_concerned_but_neighbours_of_ipv6_are_one() {
        let logins = ten_failures("203.0.113.7");
        assert_eq!(logins.wait(address("203.0.113.8"), NOW), None);
        assert!(
            logins.wait(address("::ffff:203.0.113.7"), NOW).is_some(),
            "it is the same, written otherwise"
        );
        let logins = ten_failures("2001:db8:1:2::7");
        assert!(logins.wait(address("2001:db8:1:2:ffff::9"), NOW).is_some());
        assert_eq!(logins.wait(address("2001:db8:1:3::7"), NOW), None);
    }

    #[test]
    fn memory_is_bounded_and_the_worst_are_remembered() {
        let mut logins = ten_failures("203.0.113.7");
        for number in 0..2 * u32::try_from(MOST).unwrap() {
            logins.note(IpAddr::V4((0x0a00_0000 + number).into()), NOW);
        }
        assert_eq!(logins.until.len(), MOST);
        assert!(logins.wait(address("203.0.113.7"), NOW).is_some());
        logins.note(address("198.51.100.1"), after(3600));
        assert_eq!(logins.until.len(), 1, "what is over is forgotten");
    }
}
