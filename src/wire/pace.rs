//! Rate limits: decides when an attempt may be made, and never sleeps.
//!
//! Each [`Bucket`] has a rate limiter of its own, found by the bucket's key. The algorithm is GCRA: at most a burst at
//! once, then one call per period (`every`). An attempt is admitted when all of its buckets admit it, and only then takes
//! tokens from them. The limiters are kept in memory only. The last messages of another process are unknown, so its
//! buckets start empty: after a restart ([`Pace::used_up_before`]), and when this node takes over a share from another
//! ([`Pace::used_up`]).

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use foldhash::HashMap;
use governor::RateLimiter;
use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use serde::Deserialize;

use crate::call::{self, Bucket, BucketKey};

/// Whether and how fast the buckets fill.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// If false, everything is admitted at once, for benchmarks and for the operator's own receivers. A wait that a
    /// service asks for is still kept, because it is a hold.
    pub enabled: bool,
    /// Multiplies every rate: 0.5 is half as fast as the services allow. Bursts stay as they are.
    pub scale: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true, scale: 1.0 }
    }
}

/// Tokio's clock: the monotonic one, and in tests the one that `tokio::time::pause` stops.
#[derive(Clone, Debug, Default)]
pub struct TokioClock;

impl Clock for TokioClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// Token buckets by key.
pub struct Pace<C: Clock = TokioClock> {
    clock: C,
    // One lock for all limiters makes the decision over several buckets atomic. It is held for less than a microsecond.
    limiters: Mutex<Limiters<C>>,
}

struct Limiters<C: Clock> {
    config: Config,
    by_key: HashMap<BucketKey, Limiter<C>>,
    /// When a former process may have used up every bucket.
    used_up: Option<UsedUp<C::Instant>>,
    /// When another node may have used up the buckets of a share, by the key of the widest.
    shares_used_up: HashMap<String, UsedUp<C::Instant>>,
    /// Idle limiters are dropped when there are this many.
    sweep_at: usize,
}

/// With fewer limiters than this, idle ones are not looked for. A limiter takes about 200 bytes.
const SWEEP_AT_LEAST: usize = 1024;

impl Default for Pace {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Pace {
    pub fn new(config: Config) -> Self {
        Self::with_clock(config, TokioClock)
    }
}

impl<C: Clock + Clone> Pace<C> {
    pub fn with_clock(config: Config, clock: C) -> Self {
        let limiters = Limiters {
            config,
            by_key: HashMap::default(),
            used_up: None,
            shares_used_up: HashMap::default(),
            sweep_at: SWEEP_AT_LEAST,
        };
        Self { clock, limiters: Mutex::new(limiters) }
    }

    /// A former process may have used up every bucket so long ago.
    pub fn used_up_before(&self, ago: Duration) {
        let at = self.clock.now();
        self.lock().used_up = Some(UsedUp { at, ago });
    }

    /// Another node may have used up the buckets of this share just now. The share is the key of [`call::Pace::widest`].
    pub fn used_up(&self, share: &str) {
        let now = self.clock.now();
        let mut limiters = self.lock();
        let shares = &mut limiters.shares_used_up;
        if shares.len() >= SWEEP_AT_LEAST {
            shares.retain(|_, used_up| used_up.until(now) < LONGEST_BURST);
        }
        shares.insert(share.to_owned(), UsedUp { at: now, ago: Duration::ZERO });
    }

    /// Applies other settings. Tokens that were taken under the former settings are forgotten.
    pub fn configure(&self, config: Config) {
        let mut limiters = self.lock();
        limiters.config = config;
        limiters.by_key.clear();
    }

    /// Takes a token for every call of an attempt from each bucket, or takes nothing.
    ///
    /// # Errors
    /// The time to wait before the next try: the longest wait of all buckets. Another attempt may have taken the tokens
    /// by then.
    pub fn admit(&self, pace: &call::Pace) -> Result<(), Duration> {
        self.take(&pace.widest().key, pace.buckets(), pace.calls)
    }

    fn take<'a>(
        &self,
        share: &BucketKey,
        buckets: impl Iterator<Item = &'a Bucket>,
        calls: u32,
    ) -> Result<(), Duration> {
        let mut limiters = self.lock();
        let Config { enabled, scale } = limiters.config;
        if !enabled {
            return Ok(());
        }
        let now = self.clock.now();
        let used_up = limiters.used_up(share);
        let mut taken: Vec<(&BucketKey, Nanos)> = Vec::with_capacity(2);
        let mut longest = None;
        for bucket in buckets {
            let Some(quota) = Quota::of(bucket, scale) else { continue };
            let limiter = limiters.obtain(&bucket.key, quota, &self.clock, now);
            limiter.account_for(used_up, now);
            let before = limiter.arrival.get();
            // An attempt with more calls than the burst would wait for ever, so it takes the whole burst.
            let calls = NonZeroU32::new(calls).unwrap_or(NonZeroU32::MIN).min(quota.burst);
            match limiter.rate.check_n(calls).unwrap_or(Ok(())) {
                Ok(()) => taken.push((&bucket.key, before)),
                Err(refusal) => longest = longest.max(Some(refusal.wait_time_from(now))),
            }
        }
        let Some(wait) = longest else { return Ok(()) };
        for (key, before) in taken.into_iter().rev() {
            if let Some(limiter) = limiters.by_key.get(key) {
                limiter.arrival.set(before);
            }
        }
        // Never zero, or a caller would retry in a busy loop.
        Err(wait.max(Duration::from_millis(1)))
    }

    fn lock(&self) -> MutexGuard<'_, Limiters<C>> {
        // After a panic the limiters are still valid; at worst, one has a token too few.
        self.limiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Clock + Clone> Limiters<C> {
    /// The limiter of this key. It is created if it is missing, and replaced if its quota has changed.
    fn obtain(&mut self, key: &BucketKey, quota: Quota, clock: &C, now: C::Instant) -> &mut Limiter<C> {
        let owed = match self.by_key.get(key) {
            // The new limiter starts with the wait of the old one. Otherwise two callers with different quotas for a key
            // would give each other a fresh burst every time.
            Some(limiter) if limiter.quota != quota => Some(limiter.owed(now)),
            Some(_) => None,
            None => {
                self.sweep(now);
                Some(Duration::ZERO)
            }
        };
        if let Some(owed) = owed {
            let accounted = self.by_key.get(key).and_then(|former| former.accounted);
            self.by_key.insert(key.clone(), Limiter { accounted, ..Limiter::new(quota, owed, clock) });
        }
        self.by_key.get_mut(key).expect("it was inserted where it was missing")
    }

    /// When the buckets of this share may have been used up last by another process.
    fn used_up(&self, share: &BucketKey) -> Option<UsedUp<C::Instant>> {
        let of_share = self.shares_used_up.get(&*share.0).copied();
        match (of_share, self.used_up) {
            (Some(of_share), Some(of_all)) if of_share.at < of_all.at => Some(of_all),
            (of_share, of_all) => of_share.or(of_all),
        }
    }

    /// Drops the limiters that are full again, if there are many limiters.
    fn sweep(&mut self, now: C::Instant) {
        if self.by_key.len() >= self.sweep_at {
            self.by_key.retain(|_, limiter| limiter.owed(now) > Duration::ZERO);
            self.sweep_at = (self.by_key.len() * 2).max(SWEEP_AT_LEAST);
        }
    }
}

/// The longest time that a bucket takes to fill. A slower bucket would not start empty after a takeover.
const LONGEST_BURST: Duration = Duration::from_secs(24 * 60 * 60);

/// A moment at which another process may have used up buckets.
#[derive(Clone, Copy, Debug)]
struct UsedUp<I> {
    /// When this became known.
    at: I,
    /// How long before that the moment was.
    ago: Duration,
}

impl<I: Reference> UsedUp<I> {
    /// The time from that moment until `now`.
    fn until(&self, now: I) -> Duration {
        self.ago.saturating_add(now.duration_since(self.at).into())
    }
}

/// A bucket's scaled rate and burst, with which its limiter was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quota {
    every: Duration,
    burst: NonZeroU32,
}

impl Quota {
    /// `None` if the bucket has no limit.
    fn of(bucket: &Bucket, scale: f64) -> Option<Self> {
        /// Longer than any service's period.
        const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

        let every =
            Duration::try_from_secs_f64(bucket.every.as_secs_f64() / scale).unwrap_or(LONGEST).min(LONGEST);
        let nanos = u64::try_from(every.as_nanos()).ok().filter(|nanos| *nanos > 0)?;
        // The duration of the whole burst must fit in 64 bits of nanoseconds, with a margin for additions.
        let largest = u32::try_from(u64::MAX / 4 / nanos).unwrap_or(u32::MAX);
        let burst = NonZeroU32::new(bucket.burst.min(largest)).unwrap_or(NonZeroU32::MIN);
        Some(Self { every, burst })
    }

    fn for_governor(self) -> Option<governor::Quota> {
        Some(governor::Quota::with_period(self.every)?.allow_burst(self.burst))
    }
}

struct Limiter<C: Clock> {
    quota: Quota,
    start: C::Instant,
    arrival: Arrival,
    /// The use by another process that was accounted for last, by when it became known.
    accounted: Option<C::Instant>,
    rate: RateLimiter<NotKeyed, Arrival, C, NoOpMiddleware<C::Instant>>,
}

impl<C: Clock + Clone> Limiter<C> {
    fn new(quota: Quota, owed: Duration, clock: &C) -> Self {
        let rate = quota.for_governor().expect("a quota has a period above zero");
        let arrival = Arrival::default();
        arrival.set(owed.min(quota.every * quota.burst.get()).into());
        let start = clock.now();
        let rate = RateLimiter::new(rate, arrival.clone(), clock.clone());
        Self { quota, start, arrival, accounted: None, rate }
    }

    /// Where another process may have used the bucket up, it starts empty at that moment.
    fn account_for(&mut self, used_up: Option<UsedUp<C::Instant>>, now: C::Instant) {
        let Some(used_up) = used_up.filter(|used_up| self.accounted < Some(used_up.at)) else { return };
        self.accounted = Some(used_up.at);
        let owed = (self.quota.every * self.quota.burst.get()).saturating_sub(used_up.until(now));
        if owed > self.owed(now) {
            let elapsed = Duration::from(now.duration_since(self.start));
            self.arrival.set((elapsed + owed).into());
        }
    }

    /// How long until the limiter is as if it had never been used.
    fn owed(&self, now: C::Instant) -> Duration {
        let elapsed = now.duration_since(self.start);
        Duration::from(self.arrival.get()).saturating_sub(elapsed.into())
    }
}

/// A limiter's whole state: its theoretical arrival time, since its start. governor's own store keeps the same number,
/// but can neither return nor restore it. It is written only under the lock of [`Pace`].
#[derive(Clone, Default)]
struct Arrival(Arc<AtomicU64>);

impl Arrival {
    fn get(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }

    fn set(&self, arrival: Nanos) {
        self.0.store(arrival.as_u64(), Ordering::Relaxed);
    }
}

impl StateStore for Arrival {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, arrival) = decide(Some(self.get()))?;
        self.set(arrival);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bucket(name: &str, every: Duration, burst: u32) -> Bucket {
        Bucket { key: BucketKey(name.into()), every, burst }
    }

    fn pace(config: Config) -> (Pace<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Pace::with_clock(config, clock.clone()), clock)
    }

    fn admit<C: Clock + Clone>(pace: &Pace<C>, buckets: &[Bucket]) -> Result<(), Duration> {
        let share = buckets.last().expect("there is one");
        pace.take(&share.key, buckets.iter(), 1)
    }

    fn key(name: &str) -> BucketKey {
        BucketKey(name.into())
    }

    /// How many calls are admitted at this moment.
    fn burst<C: Clock + Clone>(pace: &Pace<C>, buckets: &[Bucket]) -> usize {
        (0..100).take_while(|_| admit(pace, buckets).is_ok()).count()
    }

    #[test]
    fn after_a_restart_a_bucket_starts_as_empty_as_the_former_process_may_have_left_it() {
        let room = [bucket("room", SECOND, 5)];
        for (ago, admitted) in [(0, 0), (1, 1), (3, 3), (5, 5), (3600, 5)] {
            let (pace, _) = pace(Config::default());
            pace.used_up_before(ago * SECOND);
            assert_eq!(burst(&pace, &room), admitted, "{ago} s ago");
        }
        let (pace, clock) = pace(Config::default());
        pace.used_up_before(Duration::ZERO);
        assert_eq!(admit(&pace, &room), Err(SECOND));
        clock.advance(SECOND);
        assert_eq!(burst(&pace, &room), 1, "it fills at its rate, and only once");
        clock.advance(20 * SECOND);
        assert_eq!(burst(&pace, &room), 5);
        assert_eq!(burst(&pace, &[bucket("another", SECOND, 5)]), 5, "by then another one is full again too");
    }

    #[test]
    fn what_is_taken_over_from_another_node_starts_empty_and_the_rest_is_as_it_was() {
        let (pace, clock) = pace(Config::default());
        let taken = [bucket("webhook", SECOND, 5), bucket("host", SECOND / 10, 20)];
        let own = [bucket("own webhook", SECOND, 5), bucket("own host", SECOND / 10, 20)];
        assert_eq!(burst(&pace, &taken), 5, "it was this node's once");
        clock.advance(3600 * SECOND);
        pace.used_up("host");
        assert_eq!(admit(&pace, &taken), Err(SECOND), "both buckets are empty");
        assert_eq!(burst(&pace, &own), 5);
        clock.advance(SECOND);
        assert_eq!(burst(&pace, &taken), 1);
        clock.advance(10 * SECOND);
        pace.used_up("host");
        clock.advance(2 * SECOND);
        assert_eq!(burst(&pace, &taken), 2, "taken over once more");
    }

    #[test]
    fn an_attempt_of_several_calls_takes_them_all_or_none() {
        let (pace, clock) = pace(Config::default());
        let room = bucket("room", SECOND, 3);
        assert_eq!(pace.take(&key("room"), [&room].into_iter(), 2), Ok(()));
        assert_eq!(pace.take(&key("room"), [&room].into_iter(), 2), Err(SECOND));
        assert_eq!(pace.take(&key("room"), [&room].into_iter(), 1), Ok(()), "the refusal took nothing");
        clock.advance(2 * SECOND);
        assert_eq!(pace.take(&key("room"), [&room].into_iter(), 2), Ok(()));
        clock.advance(60 * SECOND);
        assert_eq!(
            pace.take(&key("room"), [&room].into_iter(), 9),
            Ok(()),
            "no more than a burst can be asked for"
        );
    }

    #[test]
    fn a_bucket_admits_a_burst_and_then_one_call_per_period() {
        let (pace, clock) = pace(Config::default());
        let buckets = [bucket("room", Duration::from_millis(400), 5)];
        let mut admitted = 0;
        let mut elapsed = Duration::ZERO;
        while elapsed < 3600 * SECOND {
            match admit(&pace, &buckets) {
                Ok(()) => admitted += 1,
                Err(wait) => {
                    clock.advance(wait);
                    elapsed += wait;
                }
            }
        }
        assert_eq!(admitted, 5 + 3600 * 1000 / 400 - 1);
    }

    #[test]
    fn the_wait_is_exact() {
        let (pace, clock) = pace(Config::default());
        let buckets = [bucket("room", SECOND, 1)];
        assert_eq!(admit(&pace, &buckets), Ok(()));
        assert_eq!(admit(&pace, &buckets), Err(SECOND));
        clock.advance(Duration::from_millis(999));
        assert_eq!(admit(&pace, &buckets), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(admit(&pace, &buckets), Ok(()));
    }

    #[test]
    fn a_refusal_by_one_bucket_takes_nothing_from_the_others() {
        let (pace, clock) = pace(Config::default());
        let (webhook, workspace) = (bucket("webhook", SECOND, 3), bucket("workspace", 10 * SECOND, 1));
        let both = [webhook.clone(), workspace.clone()];
        assert_eq!(admit(&pace, &both), Ok(()));
        for _ in 0..100 {
            assert_eq!(admit(&pace, &both), Err(10 * SECOND));
        }
        // One of the webhook's three is used, in either order of the two.
        assert_eq!(admit(&pace, &[workspace.clone(), webhook.clone()]), Err(10 * SECOND));
        assert_eq!(admit(&pace, std::slice::from_ref(&webhook)), Ok(()));
        assert_eq!(admit(&pace, std::slice::from_ref(&webhook)), Ok(()));
        assert_eq!(admit(&pace, std::slice::from_ref(&webhook)), Err(SECOND));
        // Both refuse; the longer wait is returned.
        assert_eq!(admit(&pace, &both), Err(10 * SECOND));
        clock.advance(10 * SECOND);
        assert_eq!(admit(&pace, &both), Ok(()));
    }

    #[test]
    fn a_new_quota_replaces_the_old_one_and_keeps_its_wait() {
        let (pace, clock) = pace(Config::default());
        let (slow, fast) = ([bucket("room", 10 * SECOND, 1)], [bucket("room", SECOND, 5)]);
        assert_eq!(admit(&pace, &slow), Ok(()));
        assert_eq!(admit(&pace, &slow), Err(10 * SECOND));
        // The wait is limited by the new bucket's size, not by the old one's.
        assert_eq!(admit(&pace, &fast), Err(SECOND));
        clock.advance(SECOND);
        assert_eq!(admit(&pace, &fast), Ok(()));
        // Two callers with different quotas do not refill the bucket for each other.
        let admitted =
            (0..100).filter(|_| admit(&pace, &slow).is_ok() || admit(&pace, &fast).is_ok()).count();
        assert_eq!(admitted, 0);
    }

    #[test]
    fn the_scale_makes_it_slower_or_faster() {
        let room = [bucket("room", SECOND, 1)];
        for (scale, wait) in [(0.5, 2 * SECOND), (4.0, SECOND / 4)] {
            let (pace, _) = pace(Config { enabled: true, scale });
            assert_eq!(admit(&pace, &room), Ok(()));
            assert_eq!(admit(&pace, &room), Err(wait));
        }
    }

    #[test]
    fn when_disabled_it_admits_everything_and_keeps_no_state() {
        let (pace, _) = pace(Config { enabled: false, scale: 1.0 });
        assert!((0..1000).all(|_| admit(&pace, &[bucket("room", SECOND, 1)]).is_ok()));
        assert!(pace.lock().by_key.is_empty());
    }

    #[test]
    fn absurd_quotas_are_bounded() {
        let (pace, _) = pace(Config { enabled: true, scale: 1e-300 });
        let absurd = [
            bucket("a", Duration::MAX, u32::MAX),
            bucket("b", Duration::from_nanos(1), u32::MAX),
            bucket("c", Duration::ZERO, 0),
        ];
        assert_eq!(admit(&pace, &absurd), Ok(()));
    }

    #[test]
    fn idle_buckets_are_forgotten() {
        let (pace, clock) = pace(Config::default());
        for round in 0..20 {
            for room in 0..SWEEP_AT_LEAST {
                admit(&pace, &[bucket(&format!("{round}/{room}"), SECOND, 3)]).unwrap();
            }
            clock.advance(2 * SECOND);
        }
        assert!(pace.lock().by_key.len() <= 2 * SWEEP_AT_LEAST);
        // A bucket with a remaining wait is kept.
        let busy = [bucket("busy", 3600 * SECOND, 1)];
        admit(&pace, &busy).unwrap();
        for room in 0..4 * SWEEP_AT_LEAST {
            admit(&pace, &[bucket(&format!("more/{room}"), SECOND, 3)]).unwrap();
        }
        assert!(admit(&pace, &busy).is_err());
    }

    #[test]
    fn concurrent_callers_get_no_more_than_the_burst() {
        let (pace, _) = pace(Config::default());
        let buckets = [bucket("webhook", SECOND, 80), bucket("workspace", SECOND, 50)];
        let admitted: usize = std::thread::scope(|scope| {
            let ask = || (0..200).filter(|_| admit(&pace, &buckets).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 50);
        let left = (0..100).filter(|_| admit(&pace, &buckets[..1]).is_ok()).count();
        assert_eq!(left, 30, "refusals took from the bucket that had some left");
    }

    #[tokio::test(start_paused = true)]
    async fn it_uses_tokios_clock() {
        let pace = Pace::default();
        let room = [bucket("room", 3600 * SECOND, 1)];
        assert_eq!(admit(&pace, &room), Ok(()));
        let wait = admit(&pace, &room).unwrap_err();
        tokio::time::sleep(wait).await;
        assert_eq!(admit(&pace, &room), Ok(()));
    }
}
