//! Decides what follows from an attempt. Pure.
//!
//! [`decide`] turns an [`Outcome`] into a [`Decision`]: the state of the row, whether the attempt counts, whether the
//! destination or the route is held and for how long, whether the integration is switched off.
//!
//! The schedule grows exponentially from `initial` to `max`, with full jitter (anywhere between nothing and the
//! scheduled wait), so that many deliveries which failed together do not come back together. A wait that the service
//! named is a floor. The `backoff` crate computes the schedule. The crate is unmaintained, so only [`scheduled`] uses
//! it, where it can be replaced.

use std::fmt;
use std::time::Duration;

use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff;
use jiff::Timestamp;
use serde::Deserialize;

use super::after;
use crate::call::{Failure, Sent};
use crate::store::{HoldCause, LatestWaits, NewState};

/// `[retry]`: when to try again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The wait after the first failure.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub initial: Duration,
    /// The factor between a wait and the next one.
    pub multiplier: f64,
    /// The longest wait of the schedule.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub max: Duration,
    /// The number of attempts after which a delivery is given up.
    pub attempts: u32,
}

/// The bounds of a wait that a service names: a mistake of the service must not stop its deliveries for days.
const NAMED_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));
/// The first rest of a destination that keeps failing. Each further rest is twice as long.
const BREAKER_INITIAL: Duration = Duration::from_secs(5);
/// The first wait for corrected settings, and the longest.
const MISCONFIGURED: (Duration, Duration) = (Duration::from_secs(15 * 60), Duration::from_secs(4 * 3600));
/// The first wait before a dead address is confirmed, as a multiple of the schedule's first wait (30 s), and the
/// longest.
const GONE: (u32, Duration) = (6, Duration::from_secs(4 * 3600));
/// The longest wait for a quota to be renewed: a little over a month. If a service names a longer wait, that is an
/// error of the service.
const QUOTA_MAX: Duration = Duration::from_secs(32 * 24 * 3600);
/// The longest wait after a service rejected a message for now.
const TEMPORARILY_REJECTED_MAX: Duration = Duration::from_secs(3600);
/// The first wait after an error that the operator must correct, and the longest.
const OPERATOR_ERROR: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(15 * 60));
/// The wait after the store failed to say which integrations are configured. Other deliveries are attempted meanwhile.
const STORE_UNAVAILABLE: Duration = Duration::from_secs(5);
/// The wait after all places for requests to a service were taken, with jitter: between half of it and all of it. The
/// attempt waited for a place before.
const NO_PLACE: Duration = Duration::from_secs(4);
/// The wait for an integration in files that only another node has read so far.
const UNKNOWN_INTEGRATION: Duration = Duration::from_secs(20);
/// The first wait after being throttled by a service that names none, and the longest.
const THROTTLED: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Delivered(Sent),
    /// The service answered, and there was nothing to do.
    Skipped(String),
    /// There is nothing to do. That was known without asking the service.
    NotNeeded(String),
    Failed(Failure),
    /// The event is older than the adapter's `max_age`.
    Expired,
    /// The integration or its target does not exist any more.
    Cancelled(String),
    /// The integration is switched off because its address is dead. The delivery waits for new settings.
    SwitchedOff(String),
    /// An earlier attempt began, and its outcome was never written. The attempt must not be repeated.
    MayHaveBeenSent,
    /// The store did not answer whether the integration is still configured.
    StoreUnavailable(String),
    /// This node does not know the integration; another node may.
    UnknownIntegration(String),
}

/// The note of a dead letter whose attempt was interrupted.
const MAY_HAVE_BEEN_SENT: &str = "may have been sent: the daemon ended, or lost its lease, during the attempt, and this \
    service would act twice on a repeat. Look there; if it did nothing, retry the delivery";

impl Outcome {
    /// The outcome in one word of a fixed set, for records, metrics and people.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Delivered(_) => "delivered",
            Self::Skipped(_) | Self::NotNeeded(_) => "skipped",
            Self::Failed(failure) => failure.consequence(),
            Self::Expired => "expired",
            Self::Cancelled(_) => "cancelled",
            Self::SwitchedOff(_) => "switched_off",
            Self::MayHaveBeenSent => "may_have_been_sent",
            Self::StoreUnavailable(_) => "store_unavailable",
            Self::UnknownIntegration(_) => "unknown_integration",
        }
    }

    /// The reason in words, without secrets; empty where there is none.
    pub fn note(&self) -> &str {
        match self {
            Self::Delivered(_) => "",
            Self::Failed(failure) => failure.why(),
            Self::Expired => "older than this adapter's `max_age`",
            Self::MayHaveBeenSent => MAY_HAVE_BEEN_SENT,
            Self::Skipped(why)
            | Self::NotNeeded(why)
            | Self::Cancelled(why)
            | Self::SwitchedOff(why)
            | Self::StoreUnavailable(why)
            | Self::UnknownIntegration(why) => why,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.note() {
            "" => f.write_str(self.name()),
            note => write!(f, "{}: {note}", self.name()),
        }
    }
}

/// The input of [`decide`] beside the outcome.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub now: Timestamp,
    /// Attempts counted before this one.
    pub attempts: u32,
    /// Whether a message may be sent again although the service may have accepted it.
    pub retry_ambiguous: bool,
    /// Failures in a row of the destination (for `Unavailable`, `Throttled`, `LoginRefused`), of the route (for
    /// `Misconfigured`) or of the integration (for `Gone`), before this one.
    pub strikes: u32,
    /// Set where the destination is held already because it keeps failing: the attempt was under way when the hold
    /// began.
    pub held_until: Option<Timestamp>,
    /// For how long the destination has been failing while this delivery waits.
    pub failing_for: Duration,
    /// A random number from 0 up to 1.
    pub jitter: f64,
}

impl Context {
    /// Whether the service may have accepted the message, and would act twice on a repeat.
    pub fn must_not_repeat(&self, failure: &Failure) -> bool {
        !self.retry_ambiguous && failure.may_have_been_taken()
    }
}

/// What follows from an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub state: NewState,
    /// Whether the attempt counts towards the limit of attempts.
    pub counts: bool,
    pub effect: Effect,
}

/// The effect of an attempt on other deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The destination answers: all holds for failures end.
    Recovered,
    /// One more strike against the destination. `rest` is set where there were too many: a hold until then.
    Strike {
        rest: Option<Timestamp>,
    },
    /// The service throttled this destination or refused its login. If `shared`, all that share a bucket with the
    /// destination are held too.
    HoldDestination {
        until: Timestamp,
        cause: HoldCause,
        shared: bool,
    },
    /// The operator must change something. The destination is held until this moment, or until the next start of a
    /// daemon.
    BlockDestination(Timestamp),
    /// The integration's settings for this target are wrong. The route is held until this moment.
    HoldRoute(Timestamp),
    /// One more confirmation that the address is dead. `switch_off` is set where there were enough confirmations.
    CountGone {
        /// The route is held until this moment. Attempts that were in flight are not counted as further confirmations.
        until: Timestamp,
        switch_off: bool,
    },
    None,
}

impl Effect {
    /// Until when the destination is held because of the attempt.
    pub const fn destination_until(&self) -> Option<Timestamp> {
        match self {
            Self::Strike { rest } => *rest,
            Self::HoldDestination { until, .. } | Self::BlockDestination(until) => Some(*until),
            _ => None,
        }
    }
}

/// The configuration of [`decide`].
#[derive(Clone, Debug)]
pub struct Policy {
    pub retry: Config,
    pub breaker_threshold: u32,
    pub breaker_max: Duration,
    /// The longest pause between two questions to a service.
    pub longest_pause: Duration,
}

impl Policy {
    /// The latest moments until which a decision made now can let anything wait. Later moments in a store were written
    /// while the clock was ahead, or under other settings.
    pub fn latest_waits(&self, now: Timestamp) -> LatestWaits {
        // A random part is added to the wait that a throttling service names.
        let named = NAMED_WAIT.1 + Duration::from_secs(1);
        let delivery = [self.retry.max, named, TEMPORARILY_REJECTED_MAX, MISCONFIGURED.1, GONE.1];
        let holds = [
            (HoldCause::Unavailable, self.breaker_max.max(NAMED_WAIT.1)),
            (HoldCause::Throttled, named),
            (HoldCause::Quota, QUOTA_MAX),
            (HoldCause::OperatorError, OPERATOR_ERROR.1),
            (HoldCause::Misconfigured, MISCONFIGURED.1),
            (HoldCause::Gone, GONE.1),
        ];
        LatestWaits {
            now,
            watch: after(now, self.longest_pause),
            delivery: after(now, delivery.into_iter().max().unwrap_or_default()),
            holds: holds.into_iter().map(|(cause, longest)| (cause, after(now, longest))).collect(),
        }
    }
}

/// What follows from an attempt.
pub fn decide(outcome: &Outcome, of: Context, policy: &Policy) -> Decision {
    match outcome {
        Outcome::Delivered(Sent) => ended(NewState::Delivered, true, Effect::Recovered),
        Outcome::Skipped(_) => ended(NewState::Skipped, true, Effect::Recovered),
        Outcome::Expired => ended(NewState::Expired, false, Effect::None),
        // The service was not asked, so the outcome says nothing about the destination.
        Outcome::NotNeeded(_) => ended(NewState::Skipped, false, Effect::None),
        // Nothing was sent, so the outcome says nothing about the destination.
        Outcome::MayHaveBeenSent => ended(NewState::Failed, false, Effect::None),
        Outcome::Cancelled(_) => ended(NewState::Cancelled, false, Effect::None),
        Outcome::SwitchedOff(_) => waits(of.now, MISCONFIGURED.1),
        Outcome::StoreUnavailable(_) => waits(of.now, STORE_UNAVAILABLE),
        Outcome::UnknownIntegration(_) => waits(of.now, UNKNOWN_INTEGRATION),
        Outcome::Failed(failure) => decide_failure(failure, of, policy),
    }
}

/// No attempt was made, and no failure counts.
fn waits(now: Timestamp, wait: Duration) -> Decision {
    Decision { state: NewState::Waiting(after(now, wait)), counts: false, effect: Effect::None }
}

fn ended(state: NewState, counts: bool, effect: Effect) -> Decision {
    Decision { state, counts, effect }
}

fn decide_failure(failure: &Failure, of: Context, policy: &Policy) -> Decision {
    match failure {
        Failure::Rejected(_) => ended(NewState::Failed, true, Effect::Recovered),
        Failure::Gone { confirmations, .. } => {
            // The whole route waits. Some services report a dead address for a moment only, and a hundred answers
            // within that moment confirm no more than one.
            let first = policy.retry.initial.saturating_mul(GONE.0);
            let until = after(of.now, doubling((first, GONE.1), of.strikes));
            let switch_off = of.strikes + 1 >= u32::from(*confirmations);
            Decision {
                state: NewState::Waiting(until),
                counts: false,
                effect: Effect::CountGone { until, switch_off },
            }
        }
        Failure::Misconfigured(_) => {
            let until = after(of.now, doubling(MISCONFIGURED, of.strikes));
            Decision { state: NewState::Waiting(until), counts: false, effect: Effect::HoldRoute(until) }
        }
        // The row stays due, because the end of a destination's hold does not change when rows are due.
        Failure::LoginRefused(_) => {
            let until = after(of.now, doubling(MISCONFIGURED, of.strikes));
            Decision {
                state: NewState::Waiting(of.now),
                counts: false,
                effect: Effect::HoldDestination { until, cause: HoldCause::Misconfigured, shared: false },
            }
        }
        // The row stays due, so that it is attempted at once after a restart, perhaps with other settings.
        Failure::OperatorError(_) => Decision {
            state: NewState::Waiting(of.now),
            counts: false,
            effect: Effect::BlockDestination(after(of.now, doubling(OPERATOR_ERROR, of.strikes))),
        },
        Failure::Throttled { wait, shared, .. } => {
            let wait = wait.map_or_else(|| doubling(THROTTLED, of.strikes), named);
            let until = after(of.now, wait + spread(wait).mul_f64(of.jitter));
            Decision {
                state: NewState::Waiting(until),
                counts: false,
                effect: Effect::HoldDestination { until, cause: HoldCause::Throttled, shared: *shared },
            }
        }
        Failure::Quota { until, .. } => {
            let until = (*until).clamp(after(of.now, NAMED_WAIT.0), after(of.now, QUOTA_MAX));
            Decision {
                state: NewState::Waiting(until),
                counts: false,
                effect: Effect::HoldDestination { until, cause: HoldCause::Quota, shared: false },
            }
        }
        Failure::NoPlace(_) => waits(of.now, NO_PLACE.mul_f64(0.5 + of.jitter * 0.5)),
        // The outcome says nothing about the destination.
        Failure::Deferred { wait, .. } => {
            let delay = again(of, policy, *wait).min(TEMPORARILY_REJECTED_MAX);
            Decision { state: NewState::Waiting(after(of.now, delay)), counts: true, effect: Effect::None }
        }
        Failure::TemporarilyRejected { wait, .. } => {
            // The destination works, so its other deliveries go on. This delivery is retried until it expires: a full mailbox,
            // for example, stays full for hours.
            let delay = again(of, policy, *wait).min(TEMPORARILY_REJECTED_MAX);
            Decision {
                state: NewState::Waiting(after(of.now, delay)),
                counts: true,
                effect: Effect::Recovered,
            }
        }
        Failure::Unavailable { wait, .. } => {
            decide_unavailable(of.must_not_repeat(failure), *wait, of, policy)
        }
    }
}

/// Below the breaker's threshold, the delivery waits by its own schedule. At and above the threshold, the destination's
/// rest decides. The delivery stays due, so that it is tried when the rest ends, however often it failed before. The
/// others follow when that attempt succeeds.
fn decide_unavailable(gives_up: bool, wait: Option<Duration>, of: Context, policy: &Policy) -> Decision {
    let rest = of.held_until.or_else(|| rest(of, policy, wait));
    // Rests are shorter than the schedule's later waits. So during an outage, an attempt counts only if the schedule
    // would have made as many attempts by now.
    let counts = gives_up || rest.is_none() || of.failing_for >= scheduled_before(&policy.retry, of.attempts);
    let effect = Effect::Strike { rest };
    if gives_up || (counts && of.attempts + 1 >= policy.retry.attempts) {
        return ended(NewState::Failed, true, effect);
    }
    let due = if rest.is_some() { of.now } else { after(of.now, again(of, policy, wait)) };
    Decision { state: NewState::Waiting(due), counts, effect }
}

/// The schedule's next wait, but at least the wait that the service named.
fn again(of: Context, policy: &Policy, wait: Option<Duration>) -> Duration {
    delay(&policy.retry, of.attempts, of.jitter).max(wait.map(named).unwrap_or_default())
}

/// The end of the destination's hold, if this strike reaches the threshold. The wait that the service named is the
/// minimum.
fn rest(of: Context, policy: &Policy, wait: Option<Duration>) -> Option<Timestamp> {
    let too_many = (of.strikes + 1).checked_sub(policy.breaker_threshold)?;
    let rest = doubling((BREAKER_INITIAL, policy.breaker_max), too_many);
    // With jitter: between half of the wait and all of it.
    let rest = rest.mul_f64(0.5 + of.jitter * 0.5);
    Some(after(of.now, rest.max(wait.map(named).unwrap_or_default())))
}

/// The longest random addition to a wait that a service names, so that deliveries do not all start at its end. It is
/// short, because the service has said when it is ready.
fn spread(wait: Duration) -> Duration {
    (wait / 20).min(Duration::from_secs(1))
}

/// The wait after a failure, given the attempts counted before it: full jitter on the schedule, but a second at least
/// (or the schedule's first wait, where that is shorter still).
pub fn delay(config: &Config, attempts: u32, jitter: f64) -> Duration {
    let least = config.initial.min(Duration::from_secs(1));
    scheduled(config, attempts).mul_f64(jitter.clamp(0.0, 1.0)).max(least)
}

/// The schedule without jitter: `initial × multiplier^attempts`, up to `max`.
pub fn scheduled(config: &Config, attempts: u32) -> Duration {
    let mut schedule = ExponentialBackoffBuilder::new()
        .with_initial_interval(config.initial)
        .with_multiplier(config.multiplier)
        .with_randomization_factor(0.0) // `delay` adds the jitter, from a value that it is given
        .with_max_interval(config.max)
        .with_max_elapsed_time(None)
        .build();
    let steps = attempts.min(1000); // far beyond the point where `max` is reached
    (0..=steps).filter_map(|_| schedule.next_backoff()).last().unwrap_or(config.max).min(config.max)
}

/// The time that the schedule takes, without jitter, until so many attempts have been made and the next one is due.
fn scheduled_before(config: &Config, attempts: u32) -> Duration {
    let waits = (0..attempts.min(config.attempts)).map(|attempts| scheduled(config, attempts));
    waits.fold(Duration::ZERO, Duration::saturating_add)
}

fn doubling((first, longest): (Duration, Duration), times: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times.min(30)).unwrap_or(u32::MAX)).min(longest)
}

/// Until when nothing more is asked of a service that throttled a question.
pub(super) fn throttled_until(wait: Option<Duration>, now: Timestamp) -> Timestamp {
    after(now, wait.map_or(THROTTLED.0, named))
}

fn named(wait: Duration) -> Duration {
    wait.clamp(NAMED_WAIT.0, NAMED_WAIT.1)
}

#[cfg(test)]
mod tests;
