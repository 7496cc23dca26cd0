use std::time::Duration;

use jiff::{Timestamp, ToSpan};

use super::*;

fn policy() -> Policy {
    let retry = Config {
        initial: Duration::from_secs(5),
        multiplier: 3.2,
        max: Duration::from_secs(4 * 3600),
        attempts: 9,
    };
    let seconds = Duration::from_secs;
    Policy { retry, breaker_threshold: 3, breaker_max: seconds(900), longest_pause: seconds(600) }
}

fn context() -> Context {
    let now = "2026-01-01T00:00:00Z".parse().expect("a timestamp");
    let (held_until, failing_for) = (None, Duration::ZERO);
    Context { now, attempts: 0, retry_ambiguous: true, strikes: 0, held_until, failing_for, jitter: 0.5 }
}

fn unavailable(maybe_taken: bool, wait: Option<u64>) -> Outcome {
    let wait = wait.map(Duration::from_secs);
    Outcome::Failed(Failure::Unavailable { maybe_taken, wait, why: "answered 503".into() })
}

fn waits(decision: &Decision) -> Timestamp {
    match decision.state {
        NewState::Waiting(until) => until,
        ref other => panic!("should wait, is {other:?}"),
    }
}

#[test]
fn the_schedule_covers_about_eight_hours_in_eight_waits() {
    let waits: Vec<_> = (0..8).map(|attempts| scheduled(&policy().retry, attempts)).collect();
    assert_eq!(waits[0], Duration::from_secs(5));
    assert!(waits.windows(2).all(|pair| pair[0] < pair[1] || pair[1] == policy().retry.max), "{waits:?}");
    assert_eq!(waits[7], Duration::from_secs(4 * 3600), "the last wait is the longest");
    let total: Duration = waits.iter().sum();
    let hours = total.as_secs_f64() / 3600.0;
    assert!((6.0..=9.0).contains(&hours), "{hours} hours: {waits:?}");
}

#[test]
fn a_very_high_count_of_attempts_waits_the_longest_wait() {
    assert_eq!(scheduled(&policy().retry, u32::MAX), policy().retry.max);
}

#[test]
fn jitter_goes_from_a_second_to_the_whole_wait() {
    let retry = policy().retry;
    assert_eq!(delay(&retry, 3, 0.0), Duration::from_secs(1));
    assert_eq!(delay(&retry, 3, 1.0), scheduled(&retry, 3));
    assert!(delay(&retry, 3, 0.5) < scheduled(&retry, 3));
}

#[test]
fn what_was_taken_is_delivered_and_clears_the_destination() {
    let decision = decide(&Outcome::Delivered(Sent), context(), &policy());
    assert_eq!((decision.state, decision.effect), (NewState::Delivered, Effect::Recovered));
}

#[test]
fn a_refused_message_is_a_dead_letter_but_its_destination_is_well() {
    let decision = decide(&Outcome::Failed(Failure::Rejected("no_text".into())), context(), &policy());
    assert_eq!((decision.state, decision.effect), (NewState::Failed, Effect::Recovered));
}

#[test]
fn throttling_holds_the_destination_at_least_as_long_as_it_asks_and_counts_no_attempt() {
    let throttled =
        Failure::Throttled { wait: Some(Duration::from_secs(30)), why: "answered 429".into(), shared: true };
    for jitter in [0.0, 0.5, 0.999] {
        let of = Context { jitter, ..context() };
        let decision = decide(&Outcome::Failed(throttled.clone()), of, &policy());
        assert!(!decision.counts);
        assert!(waits(&decision) >= of.now + 30.seconds());
        assert!(waits(&decision) <= of.now + 31.seconds());
        assert_eq!(
            decision.effect,
            Effect::HoldDestination { until: waits(&decision), cause: HoldCause::Throttled, shared: true }
        );
    }
}

#[test]
fn a_named_wait_is_kept_between_a_second_and_an_hour() {
    let of = Context { jitter: 0.0, ..context() };
    for (named, kept) in [(0, 1), (7, 7), (86_400, 3600)] {
        let throttled =
            Failure::Throttled { wait: Some(Duration::from_secs(named)), why: String::new(), shared: false };
        let decision = decide(&Outcome::Failed(throttled), of, &policy());
        assert_eq!(waits(&decision), of.now + kept.seconds(), "named {named} s");
    }
}

#[test]
fn who_shuts_us_out_is_left_alone_for_a_while_and_no_attempt_is_counted() {
    let refused = Outcome::Failed(Failure::OperatorError("535 5.7.8 authentication failed".into()));
    for (strikes, minutes) in [(0, 1), (1, 2), (20, 15)] {
        let decision = decide(&refused, Context { strikes, ..context() }, &policy());
        assert!(!decision.counts);
        assert_eq!(waits(&decision), context().now, "a new start tries at once");
        assert_eq!(decision.effect, Effect::BlockDestination(context().now + minutes.minutes()));
    }
}

#[test]
fn a_quota_holds_the_destination_until_it_is_renewed_and_counts_no_attempt() {
    let of = context();
    let quota = |until: Timestamp| {
        let failure = Failure::Quota { until, why: "answered 429".into() };
        decide(&Outcome::Failed(failure), of, &policy())
    };
    let renewed = of.now + 200.hours();
    let decision = quota(renewed);
    assert!(!decision.counts);
    assert_eq!(waits(&decision), renewed, "days ahead if need be");
    assert_eq!(
        decision.effect,
        Effect::HoldDestination { until: renewed, cause: HoldCause::Quota, shared: false }
    );
    assert_eq!(waits(&quota(Timestamp::MAX)), of.now + (32 * 24).hours(), "but not for ever");
    assert_eq!(waits(&quota(Timestamp::MIN)), of.now + 1.second(), "their clock and ours differ");
}

#[test]
fn what_failed_elsewhere_comes_again_and_says_nothing_of_the_destination() {
    let failure = Failure::OperatorError("no login".into()).of_other_service();
    assert_eq!(failure, Failure::Deferred { wait: None, why: "no login".into() });
    let decision = decide(&Outcome::Failed(failure), context(), &policy());
    assert!(decision.counts && matches!(decision.state, NewState::Waiting(_)));
    assert_eq!(decision.effect, Effect::None);
    let named = Failure::Throttled { wait: Some(Duration::from_secs(90)), why: String::new(), shared: true };
    let of = Context { jitter: 0.0, ..context() };
    let decision = decide(&Outcome::Failed(named.of_other_service()), of, &policy());
    assert_eq!(waits(&decision), of.now + 90.seconds());
}

#[test]
fn what_found_no_place_comes_again_in_seconds_and_counts_against_nobody() {
    let no_place = Outcome::Failed(Failure::NoPlace("its places for requests (2) were taken".into()));
    for jitter in [0.0, 1.0] {
        let of = Context { attempts: 8, strikes: 2, jitter, ..context() };
        let decision = decide(&no_place, of, &policy());
        assert_eq!(waits(&decision), of.now + if jitter > 0.0 { 4.seconds() } else { 2.seconds() });
        assert_eq!((decision.counts, decision.effect), (false, Effect::None));
    }
}

#[test]
fn what_is_skipped_is_over_and_the_destination_answered() {
    let decision = decide(&Outcome::Skipped("no such issue".into()), context(), &policy());
    assert_eq!((decision.state, decision.effect), (NewState::Skipped, Effect::Recovered));
}

#[test]
fn what_is_rejected_for_a_while_comes_again_and_its_destination_is_well() {
    let deferred = |wait: u64| {
        Outcome::Failed(Failure::TemporarilyRejected {
            wait: Some(Duration::from_secs(wait)),
            why: "451 4.7.1 greylisted".into(),
        })
    };
    let of = Context { jitter: 0.0, ..context() };
    let decision = decide(&deferred(300), of, &policy());
    assert!(decision.counts);
    assert_eq!(waits(&decision), of.now + 300.seconds());
    assert_eq!(decision.effect, Effect::Recovered);
    // The number of attempts does not matter: the delivery ends by its age.
    let of = Context { attempts: 40, jitter: 1.0, ..context() };
    assert_eq!(waits(&decide(&deferred(300), of, &policy())), of.now + 1.hour());
}

#[test]
fn an_unavailable_service_is_tried_again_not_before_the_wait_it_names() {
    let of = Context { jitter: 0.0, ..context() };
    let decision = decide(&unavailable(false, Some(120)), of, &policy());
    assert!(decision.counts);
    assert_eq!(waits(&decision), of.now + 120.seconds());
}

#[test]
fn the_last_attempt_gives_up() {
    let of = Context { attempts: 8, ..context() };
    assert_eq!(decide(&unavailable(false, None), of, &policy()).state, NewState::Failed);
    let of = Context { attempts: 7, ..context() };
    assert!(matches!(decide(&unavailable(false, None), of, &policy()).state, NewState::Waiting(_)));
}

#[test]
fn what_may_have_been_taken_and_must_not_happen_twice_is_given_up() {
    let of = Context { retry_ambiguous: false, ..context() };
    assert_eq!(decide(&unavailable(true, None), of, &policy()).state, NewState::Failed);
    assert!(matches!(decide(&unavailable(false, None), of, &policy()).state, NewState::Waiting(_)));
}

#[test]
fn the_third_failure_in_a_row_rests_the_destination_and_rests_grow() {
    let mut longest = context().now;
    for strikes in 0..12 {
        let of = Context { strikes, jitter: 1.0, ..context() };
        let Effect::Strike { rest } = decide(&unavailable(false, None), of, &policy()).effect else {
            panic!("an unavailable destination gets a strike");
        };
        assert_eq!(rest.is_some(), strikes >= 2, "after {} strikes", strikes + 1);
        if let Some(until) = rest {
            assert!(until >= longest, "rests never shrink");
            assert!(until <= of.now + 900.seconds(), "nor pass breaker_max");
            longest = until;
        }
    }
    assert_eq!(longest, context().now + 900.seconds());
}

#[test]
fn a_destination_that_rests_decides_when_its_deliveries_come_again() {
    // The number of earlier failures does not matter: the delivery is due, and the hold decides when it starts.
    for attempts in 0..8 {
        let of = Context { attempts, strikes: 2, jitter: 1.0, ..context() };
        let decision = decide(&unavailable(false, None), of, &policy());
        assert_eq!(waits(&decision), of.now, "after {attempts} attempts");
        assert_eq!(decision.effect, Effect::Strike { rest: Some(of.now + 5.seconds()) });
    }
    // An attempt that was under way when the hold began gets the same hold.
    let until = context().now + 3.seconds();
    let of = Context { held_until: Some(until), ..context() };
    let decision = decide(&unavailable(false, None), of, &policy());
    assert_eq!(waits(&decision), of.now);
    assert_eq!(decision.effect, Effect::Strike { rest: Some(until) });
}

#[test]
fn a_rest_is_at_least_the_wait_that_the_service_names() {
    let of = Context { strikes: 2, ..context() };
    let rest = |wait| decide(&unavailable(false, Some(wait)), of, &policy()).effect.destination_until();
    assert_eq!(rest(120), Some(of.now + 120.seconds()));
    assert_eq!(rest(1800), Some(of.now + 30.minutes()), "longer than breaker_max, since the service says so");
    assert_eq!(rest(1), Some(of.now + 3750.milliseconds()));
}

#[test]
fn a_service_hears_from_us_soon_after_the_moment_that_it_names() {
    for (seconds, late) in [(2, 100), (10, 500), (20, 1000), (3600, 1000)] {
        let wait = Duration::from_secs(seconds);
        let of = Context { jitter: 1.0, ..context() };
        let throttled = Failure::Throttled { wait: Some(wait), why: String::new(), shared: false };
        let until = waits(&decide(&Outcome::Failed(throttled), of, &policy()));
        assert_eq!(until, after(of.now, wait) + late.milliseconds(), "named {seconds} s");
    }
}

/// One destination with one delivery at its head, from the moment when the destination begins to fail.
struct Lane {
    policy: Policy,
    now: Timestamp,
    attempts: u32,
    strikes: u32,
}

impl Lane {
    /// Lets the attempt fail, and returns the decision. The next attempt is made at `now`, when the hold has ended and
    /// the delivery is due.
    fn fails(&mut self, since: Timestamp, jitter: f64) -> Decision {
        let failing_for = Duration::try_from(self.now.duration_since(since)).unwrap();
        let of = Context {
            now: self.now,
            attempts: self.attempts,
            strikes: self.strikes,
            failing_for,
            jitter,
            ..context()
        };
        let decision = decide(&unavailable(false, None), of, &self.policy);
        self.attempts += u32::from(decision.counts);
        self.strikes += 1;
        if let NewState::Waiting(due) = decision.state {
            self.now = decision.effect.destination_until().unwrap_or(due).max(due);
        }
        decision
    }
}

proptest::proptest! {
    /// During an outage of any length, the service is asked again at most `breaker_max` later, and no delivery is given
    /// up before the schedule's own time is over.
    #[test]
    fn an_outage_ends_with_the_next_probe_and_gives_up_nothing_early(
        jitters in proptest::collection::vec(0.0_f64..1.0, 400),
        away in 0_i64..30 * 3600,
        breaker_threshold in 1_u32..5,
        breaker_max in 5_u64..3600,
        attempts in 0_u32..8,
    ) {
        let began = context().now;
        let policy = Policy { breaker_threshold, breaker_max: Duration::from_secs(breaker_max), ..policy() };
        let patience: Duration = (0..8).map(|attempts| scheduled(&policy.retry, attempts)).sum();
        let back = began + away.seconds();
        // Until the threshold is reached, the delivery's own schedule decides.
        let mut lane = Lane { policy, now: began, attempts, strikes: breaker_threshold - 1 };
        for jitter in jitters {
            if lane.now >= back {
                break;
            }
            let (at, decision) = (lane.now, lane.fails(began, jitter));
            if decision.state == NewState::Failed {
                assert!(after(began, patience) <= at, "given up after {:?}", at.duration_since(began));
                return Ok(());
            }
            assert!(lane.now > at && lane.now <= after(at, Duration::from_secs(breaker_max)), "a probe comes in time");
        }
        assert!(lane.now < after(back, Duration::from_secs(breaker_max)), "and so does the first success");
    }

    /// A message that its service never accepts is given up, although its destination rests and other messages come
    /// first.
    #[test]
    fn what_fails_for_ever_is_given_up_in_the_end(jitters in proptest::collection::vec(0.0_f64..1.0, 2000)) {
        let began = context().now;
        let mut lane = Lane { policy: policy(), now: began, attempts: 0, strikes: 0 };
        let given_up = jitters.into_iter().any(|jitter| lane.fails(began, jitter).state == NewState::Failed);
        assert!(given_up, "{} attempts counted", lane.attempts);
        let patience: Duration = (0..8).map(|attempts| scheduled(&lane.policy.retry, attempts)).sum();
        assert!(lane.now <= after(began, patience + lane.policy.breaker_max), "and not much later than its schedule ends");
    }
}

#[test]
fn wrong_settings_hold_the_route_for_a_long_time_and_count_no_attempt() {
    let wrong = Outcome::Failed(Failure::Misconfigured("channel_not_found".into()));
    let decision = decide(&wrong, context(), &policy());
    assert!(!decision.counts);
    assert_eq!(decision.effect, Effect::HoldRoute(waits(&decision)));
    assert_eq!(waits(&decision), context().now + 15.minutes());
}

#[test]
fn a_refused_login_holds_all_that_is_sent_with_it_and_counts_no_attempt() {
    let refused = Outcome::Failed(Failure::LoginRefused("answered 401".into()));
    for (strikes, minutes) in [(0, 15), (1, 30), (20, 240)] {
        let decision = decide(&refused, Context { strikes, ..context() }, &policy());
        let until = context().now + minutes.minutes();
        let effect = Effect::HoldDestination { until, cause: HoldCause::Misconfigured, shared: false };
        assert_eq!((decision.effect, decision.counts), (effect, false));
        assert_eq!(decision.state, NewState::Waiting(context().now), "it is due when the hold ends");
    }
    assert_eq!(refused.name(), "misconfigured");
}

#[test]
fn what_is_for_an_integration_that_is_off_waits_for_it() {
    let decision = decide(&Outcome::SwitchedOff("no_service".into()), context(), &policy());
    assert_eq!(waits(&decision), context().now + 4.hours());
    assert_eq!((decision.counts, decision.effect), (false, Effect::None));
}

#[test]
fn a_dead_address_is_switched_off_after_its_confirmations() {
    let gone = |confirmations| Outcome::Failed(Failure::Gone { why: "no_service".into(), confirmations });
    let of = |strikes| Context { strikes, ..context() };
    let switched = |decision: Decision| matches!(decision.effect, Effect::CountGone { switch_off: true, .. });
    assert!(switched(decide(&gone(1), of(0), &policy())));
    assert!(!switched(decide(&gone(3), of(1), &policy())));
    assert!(switched(decide(&gone(3), of(2), &policy())));
    let decision = decide(&gone(3), of(0), &policy());
    assert_eq!(waits(&decision), of(0).now + 30.seconds(), "it waits for a better address");
    assert!(!decision.counts);
}

#[test]
fn an_attempt_that_was_interrupted_is_a_dead_letter_that_says_so() {
    let decision = decide(&Outcome::MayHaveBeenSent, context(), &policy());
    assert_eq!((decision.state, decision.effect), (NewState::Failed, Effect::None));
    assert!(Outcome::MayHaveBeenSent.note().starts_with("may have been sent"));
}

/// No decision makes anything wait longer than [`Policy::latest_waits`] says, and some decision comes close to that.
#[test]
fn the_latest_waits_are_those_that_decisions_lead_to() {
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let policy = Policy {
        retry: Config { initial: Duration::from_secs(30), multiplier: 2.0, max: hours(2), attempts: 9 },
        breaker_threshold: 5,
        breaker_max: hours(1),
        longest_pause: hours(3),
    };
    let latest = policy.latest_waits(now);
    assert_eq!(latest.delivery, after(now, hours(4)), "a misconfigured one waits longest");
    assert_eq!((latest.now, latest.watch), (now, after(now, hours(3))));
    let of = |cause| latest.holds.iter().find(|(of, _)| *of == cause).map(|(_, until)| *until);
    assert_eq!(of(HoldCause::Unavailable), Some(after(now, hours(1))), "as a service may name");
    assert_eq!(of(HoldCause::Throttled), Some(after(now, Duration::from_secs(3601))));
    assert_eq!(of(HoldCause::Quota), Some(after(now, hours(32 * 24))));
    assert_eq!(of(HoldCause::OperatorError), Some(after(now, hours(1) / 4)));
    assert_eq!(of(HoldCause::SwitchedOff), None, "until the settings change");
    let patient = Policy { retry: Config { max: hours(48), ..policy.retry.clone() }, ..policy };
    assert_eq!(patient.latest_waits(now).delivery, after(now, hours(48)));
}
