use jiff::ToSpan as _;

use super::*;
use crate::call::BucketKey;
use crate::event::EventId;
use crate::integration::Family;
use crate::store::{DeliveryId, Lane, State};

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a timestamp")
}

/// Slack's settings of project 42, in this version of them.
fn slack(version: i64) -> Integration {
    let integration = Integration::example(Family::Chat);
    Integration { id: IntegrationId::new("42:slack"), fingerprint: Fingerprint(version), ..integration }
}

fn delivery(target: &str) -> Delivery {
    Delivery {
        id: DeliveryId(1),
        event: EventId::new("e1").expect("an id"),
        integration: IntegrationId::new("42:slack"),
        target: target.into(),
        destination: "hook".into(),
        lane: Lane(1),
        replaces: false,
        attempts: 0,
        fresh_since: now(),
        started: false,
        leased: true,
    }
}

fn destination() -> HoldKey {
    HoldKey::Destination("hook".into())
}

fn route(target: &str) -> HoldKey {
    route_of(&delivery(target))
}

fn address() -> HoldKey {
    address_of(&IntegrationId::new("42:slack"), &"hook".into())
}

/// A set, and what attempts of Slack's first settings change in it.
#[derive(Default)]
struct Case {
    set: HoldSet,
}

impl Case {
    fn after(&mut self, effect: &Effect, target: &str, at: Timestamp) -> HoldChange {
        self.after_settings(effect, target, 1, at)
    }

    fn after_settings(&mut self, effect: &Effect, target: &str, version: i64, at: Timestamp) -> HoldChange {
        let (delivery, integration) = (delivery(target), slack(version));
        let shared = [Bucket { key: BucketKey("workspace".into()), every: Duration::ZERO, burst: 1 }];
        let attempted = Attempted {
            delivery: &delivery,
            integration: Some(&integration),
            shared: &shared,
            reason: "it said so",
        };
        let change = self.set.change(effect, &attempted, at);
        self.set.apply(&change, at);
        change
    }

    fn strikes(&self, failure: &Failure, target: &str, version: i64, at: Timestamp) -> u32 {
        let (delivery, integration) = (delivery(target), slack(version));
        let attempted =
            Attempted { delivery: &delivery, integration: Some(&integration), shared: &[], reason: "" };
        self.set.strikes_before(failure, &attempted, at)
    }

    fn held(&self, key: &HoldKey, at: Timestamp) -> Option<(HoldCause, u32)> {
        self.set.active(key, at).map(|hold| (hold.cause, hold.strikes))
    }
}

fn unavailable() -> Failure {
    Failure::Unavailable { maybe_taken: false, wait: None, why: String::new() }
}

fn misconfigured() -> Failure {
    Failure::Misconfigured(String::new())
}

fn gone() -> Failure {
    Failure::Gone { why: String::new(), confirmations: 3 }
}

fn throttled(until: Timestamp, shared: bool) -> Effect {
    Effect::HoldDestination { until, cause: HoldCause::Throttled, shared }
}

#[test]
fn failures_in_a_row_are_counted_before_they_are_a_hold() {
    let mut case = Case::default();
    for n in 0..2 {
        assert_eq!(case.strikes(&unavailable(), "#ops", 1, now()), n);
        let change = case.after(&Effect::Strike { rest: None }, "#ops", now());
        assert_eq!(case.held(&destination(), now()), None);
        assert_eq!(change.stored(now()), (vec![], vec![]), "the store keeps no strike that is no hold");
    }
    let until = now() + 5.seconds();
    let change = case.after(&Effect::Strike { rest: Some(until) }, "#ops", now() + 1.second());
    assert_eq!(case.held(&destination(), now() + 1.second()), Some((HoldCause::Unavailable, 3)));
    let (_, begun) = change.stored(now());
    assert_eq!((begun[0].since, begun[0].until), (now(), until), "since the first of them");
    assert_eq!(begun[0].made_under, Some((IntegrationId::new("42:slack"), Fingerprint(1))));
}

#[test]
fn what_was_under_way_when_the_rest_began_is_no_further_strike() {
    let mut case = Case::default();
    let until = now() + 5.seconds();
    case.after(&Effect::Strike { rest: Some(until) }, "#ops", now());
    for _ in 0..3 {
        assert_eq!(case.strikes(&unavailable(), "#ops", 1, now()), 0, "as before the one that was found");
        case.after(&Effect::Strike { rest: Some(now() + 9.seconds()) }, "#ops", now());
        case.after(&Effect::Strike { rest: None }, "#ops", now());
    }
    assert_eq!(
        case.set.active(&destination(), now()).map(|hold| (hold.strikes, hold.until)),
        Some((1, until))
    );
    // After the rest, it is the next one.
    assert_eq!(case.strikes(&unavailable(), "#ops", 1, until), 1);
    case.after(&Effect::Strike { rest: Some(until + 10.seconds()) }, "#ops", until);
    assert_eq!(case.held(&destination(), until), Some((HoldCause::Unavailable, 2)));
}

#[test]
fn a_refused_login_and_an_outage_are_counted_apart() {
    let refused = Failure::LoginRefused("answered 401".to_owned());
    let login = |until| Effect::HoldDestination { until, cause: HoldCause::Misconfigured, shared: false };
    let mut case = Case::default();
    let (mut at, rest) = (now(), 5.seconds());
    for _ in 0..4 {
        case.after(&Effect::Strike { rest: Some(at + rest) }, "#ops", at);
        at += rest;
    }
    assert_eq!(case.strikes(&unavailable(), "#ops", 1, at), 4);
    assert_eq!(case.strikes(&refused, "#ops", 1, at), 0, "no login was refused before");
    case.after(&login(at + rest), "#ops", at);
    assert_eq!(case.held(&destination(), at), Some((HoldCause::Misconfigured, 1)));
    at += rest;
    assert_eq!(case.strikes(&refused, "#ops", 1, at), 1);
    assert_eq!(case.strikes(&unavailable(), "#ops", 1, at), 0, "it answered");
}

#[test]
fn an_outage_lasts_from_the_first_failure_to_the_next_answer() {
    let mut case = Case::default();
    let outage = |case: &Case, at| {
        let (delivery, integration) = (delivery("#ops"), slack(1));
        let of = Attempted { delivery: &delivery, integration: Some(&integration), shared: &[], reason: "" };
        case.set.outage(&of, at)
    };
    assert_eq!(outage(&case, now()), None);
    case.after(&Effect::Strike { rest: None }, "#ops", now());
    assert_eq!(outage(&case, now()), Some((now(), None)));
    let until = now() + 5.seconds();
    case.after(&Effect::Strike { rest: Some(until) }, "#dev", now() + 1.second());
    assert_eq!(outage(&case, now() + 2.seconds()), Some((now(), Some(until))));
    assert_eq!(outage(&case, until), Some((now(), None)), "the rest is over, the outage may not be");
    case.after(&Effect::Recovered, "#dev", until);
    assert_eq!(outage(&case, until), None);
    // A service that asks for a wait is not away.
    case.after(&throttled(until + 1.hour(), false), "#ops", until);
    assert_eq!(outage(&case, until), Some((until, None)));
}

#[test]
fn several_that_find_a_route_wrong_at_once_are_one_finding() {
    let mut case = Case::default();
    let until = now() + 15.minutes();
    for _ in 0..3 {
        assert_eq!(case.strikes(&misconfigured(), "#ops", 1, now()), 0);
        case.after(&Effect::HoldRoute(until), "#ops", now());
        assert_eq!(case.held(&route("#ops"), now()), Some((HoldCause::Misconfigured, 1)));
    }
    assert_eq!(case.held(&route("#dev"), now()), None, "another channel is another route");
    assert_eq!(case.strikes(&misconfigured(), "#ops", 1, until), 1);
    case.after(&Effect::HoldRoute(until + 30.minutes()), "#ops", until);
    assert_eq!(case.held(&route("#ops"), until), Some((HoldCause::Misconfigured, 2)));
}

#[test]
fn many_in_one_moment_confirm_once_that_an_address_is_dead() {
    let mut case = Case::default();
    let not_yet = |until| Effect::CountGone { until, switch_off: false };
    let first = now() + 30.seconds();
    for target in ["#ops", "#dev", "#ops"] {
        assert_eq!(case.strikes(&gone(), target, 1, now()), 0);
        case.after(&not_yet(first), target, now());
        assert_eq!(case.held(&route(target), now()), Some((HoldCause::Gone, 1)));
    }
    assert_eq!(case.held(&address(), now()), Some((HoldCause::Gone, 1)));
    assert_eq!(case.set.switched_off(&slack(1), &"hook".into()), None, "one is not enough");
    assert_eq!(case.strikes(&gone(), "#ops", 1, first), 1);
    case.after(&not_yet(first + 1.minute()), "#ops", first);
    assert_eq!(case.held(&address(), first), Some((HoldCause::Gone, 2)));

    let last = first + 1.minute();
    assert_eq!(case.strikes(&gone(), "#ops", 1, last), 2);
    let off = Effect::CountGone { until: last + 2.minutes(), switch_off: true };
    let change = case.after(&off, "#ops", last);
    assert_eq!(case.held(&address(), last + 8760.hours()), Some((HoldCause::SwitchedOff, 3)));
    assert_eq!(change.begin.len(), 1);
    assert_eq!(case.set.switched_off(&slack(1), &"hook".into()), Some("it said so"));
    assert_eq!(case.set.switched_off(&slack(2), &"hook".into()), None, "other settings, another address");
    // What was under way changes nothing.
    assert_eq!(case.after(&off, "#ops", last), HoldChange::default());
}

#[test]
fn a_success_ends_what_it_disproves_and_nothing_else() {
    let mut case = Case::default();
    let until = now() + 1.hour();
    case.after(&Effect::HoldRoute(until), "#ops", now());
    case.after(&Effect::HoldRoute(until), "#dev", now());
    case.after(&Effect::CountGone { until, switch_off: false }, "#all", now());
    case.after(&Effect::Strike { rest: Some(until) }, "#ops", now());
    let change = case.after(&Effect::Recovered, "#ops", now());
    let mut ended = change.end;
    ended.sort();
    assert_eq!(ended, [destination(), route("#ops"), address()]);
    assert_eq!(case.held(&route("#dev"), now()), Some((HoldCause::Misconfigured, 1)));
    assert_eq!(
        case.after(&Effect::Recovered, "#ops", now()),
        HoldChange::default(),
        "nothing is left to end"
    );
}

#[test]
fn what_a_service_asked_for_ends_by_time_alone() {
    let mut case = Case::default();
    let until = now() + 1.minute();
    for cause in [HoldCause::Throttled, HoldCause::Quota] {
        case.set = HoldSet::default();
        case.after(&Effect::HoldDestination { until, cause, shared: false }, "#ops", now());
        case.after(&Effect::Recovered, "#ops", now());
        assert_eq!(case.held(&destination(), now()), Some((cause, 0)), "its strikes are forgiven, no more");
        assert_eq!(case.set.disproved(&IntegrationId::new("42:slack"), "#ops", "hook"), []);
        // Nor does a failure that was under way make it one that may end early.
        let longer = Some(until + 1.minute());
        case.after(&Effect::Strike { rest: longer }, "#ops", now());
        case.after(&Effect::Recovered, "#ops", now());
        assert_eq!(case.held(&destination(), now()).map(|(cause, _)| cause), Some(cause));
        assert_eq!(case.held(&destination(), until), None);
    }
}

#[test]
fn a_limit_that_others_share_holds_its_buckets_too() {
    let mut case = Case::default();
    let bucket = HoldKey::Bucket("workspace".into());
    case.after(&throttled(now() + 1.minute(), false), "#ops", now());
    assert_eq!(case.held(&bucket, now()), None);
    let until = now() + 2.minutes();
    case.after(&throttled(until, true), "#ops", now());
    case.after(&throttled(now() + 1.minute(), true), "#dev", now());
    assert_eq!(
        case.set.active(&bucket, now()).map(|hold| hold.until),
        Some(until),
        "a shorter one shortens none"
    );
    case.after(&Effect::Recovered, "#ops", now());
    assert_eq!(case.held(&bucket, now()), Some((HoldCause::Throttled, 1)));
    assert_eq!(case.held(&bucket, until), None);
}

#[test]
fn strikes_under_other_settings_count_for_nothing() {
    let mut case = Case::default();
    let until = now() + 15.minutes();
    case.after(&Effect::HoldRoute(until), "#ops", now());
    assert_eq!(case.strikes(&misconfigured(), "#ops", 1, until), 1);
    assert_eq!(case.strikes(&misconfigured(), "#ops", 2, until), 0);
    case.after_settings(&Effect::HoldRoute(until + 15.minutes()), "#ops", 2, until);
    assert_eq!(case.held(&route("#ops"), until), Some((HoldCause::Misconfigured, 1)));
}

#[test]
fn a_person_who_wants_it_tried_again_ends_what_keeps_that_delivery() {
    let mut case = Case::default();
    let until = now() + 15.minutes();
    case.after(&Effect::HoldRoute(until), "#ops", now());
    case.after(&Effect::HoldRoute(until), "#dev", now());
    case.after(&Effect::BlockDestination(until), "#ops", now());
    let id = IntegrationId::new("42:slack");
    let mut ended = case.set.disproved(&id, "#ops", "hook");
    ended.sort();
    assert_eq!(ended, [destination(), route("#ops")]);
    assert_eq!(case.set.longest(&line("#ops", "hook"), None, now()).map(|hold| hold.until), Some(until));
    assert_eq!(case.set.longest(&line("#ops", "hook"), None, until), None);
    assert_eq!(case.set.longest(&line("#all", "elsewhere"), None, now()), None);
}

/// A delivery of Slack's as the ledger shows it.
fn line(target: &str, destination: &str) -> DeliveryLine {
    DeliveryLine {
        id: DeliveryId(1),
        state: State::Waiting,
        event: EventId::new("e1").expect("an id"),
        trigger: None,
        subject: String::new(),
        project: None,
        project_id: None,
        integration: IntegrationId::new("42:slack"),
        target: target.to_owned(),
        destination: destination.to_owned(),
        attempts: 0,
        due: Some(now()),
        created_at: now(),
        settled_at: None,
        last_note: None,
    }
}

#[test]
fn a_held_bucket_is_named_as_the_reason() {
    let bucket = |key: &str| Bucket { key: BucketKey(key.into()), every: Duration::ZERO, burst: 1 };
    let pace = Pace::of(bucket("hook")).and(bucket("workspace"));
    let mut case = Case::default();
    let until = now() + 1.minute();
    case.after(&throttled(until, true), "#ops", now());
    let kind = |set: &HoldSet, target: &str, destination: &str, pace: Option<&Pace>, at: Timestamp| {
        set.longest(&line(target, destination), pace, at).map(|hold| hold.key.kind())
    };
    assert_eq!(kind(&case.set, "#ops", "hook", Some(&pace), now()), Some("bucket"), "the wider reason");
    assert_eq!(kind(&case.set, "#ops", "hook", None, now()), Some("destination"));
    let other = Pace::of(bucket("other")).and(bucket("workspace"));
    assert_eq!(kind(&case.set, "#ops", "other", Some(&other), now()), Some("bucket"), "it shares the limit");
    let unrelated = Pace::of(bucket("other"));
    assert_eq!(kind(&case.set, "#ops", "other", Some(&unrelated), now()), None);
    case.after(&Effect::HoldRoute(until + 1.minute()), "#ops", now());
    assert_eq!(kind(&case.set, "#ops", "hook", Some(&pace), now()), Some("route"), "it is held longer");
    assert!(case.set.holds_buckets(now()));
    assert!(!case.set.holds_buckets(until));
}

#[test]
fn a_held_limit_is_for_all_who_share_it_and_ends() {
    let bucket = |key: &str| Bucket { key: BucketKey(key.into()), every: Duration::ZERO, burst: 1 };
    let (ours, theirs, host) = (bucket("ours"), bucket("theirs"), bucket("host"));
    let until = now() + 40.seconds();
    let (shared, short) = (HoldKey::Bucket("host".into()), HoldKey::Bucket("ours".into()));
    let holds = Holds::new([hold(shared, until), hold(short, now() + 1.second())]);
    assert_eq!(holds.buckets_until([&ours, &host], now()), Some(until), "the longest counts");
    assert_eq!(holds.buckets_until([&theirs], now()), None);
    assert_eq!(holds.buckets_until([&theirs, &host], now()), Some(until));
    assert_eq!(holds.buckets_until([&theirs, &host], until), None);
}

fn hold(key: HoldKey, until: Timestamp) -> Hold {
    let (cause, reason) = (HoldCause::Unavailable, String::new());
    Hold { key, cause, reason, since: now(), until, strikes: 3, made_under: None }
}

#[test]
fn what_the_store_has_is_taken_up_and_what_ended_there_ends_here() {
    let (until, room) = (now() + 1.minute(), HoldKey::Destination("room".into()));
    let holds = Holds::new([hold(destination(), until), hold(route("#ops"), until)]);
    let freed = holds.sync(vec![hold(room, until)], now());
    assert_eq!(freed, ["hook".into()]);
    assert_eq!(holds.destination_until(&"hook".into(), now()), None);
    assert_eq!(holds.route_until(&delivery("#ops"), now()), None);
    assert_eq!(holds.destination_until(&"room".into(), now()), Some(until));
    assert!(holds.has_failed(&"room".into()));
}

#[test]
fn what_is_not_written_yet_counts_more_than_what_the_store_has() {
    let until = now() + 1.minute();
    let holds = Holds::new([hold(route("#ops"), until)]);
    let change = HoldChange { end: vec![route("#ops")], begin: vec![hold(destination(), until)] };
    holds.apply(&change, now());
    assert!(holds.sync(vec![hold(route("#ops"), until)], now()).is_empty());
    assert_eq!(holds.route_until(&delivery("#ops"), now()), None);
    assert_eq!(holds.destination_until(&"hook".into(), now()), Some(until));
    holds.written([&route("#ops"), &destination()]);
    assert_eq!(
        holds.sync(vec![hold(route("#ops"), until)], now()),
        ["hook".into()],
        "now the store knows better"
    );
    assert_eq!(holds.route_until(&delivery("#ops"), now()), Some(until));
}

#[test]
fn an_address_whose_hold_ended_in_the_store_is_switched_on_and_nothing_else_changes() {
    let until = now() + 1.minute();
    let off = || Hold { cause: HoldCause::SwitchedOff, ..hold(address(), until) };
    let is_known = |holds: &Holds| holds.snapshot().by_key.contains_key(&address());

    let holds = Holds::new([off(), hold(route("#ops"), until)]);
    holds.forget_ended_address(&delivery("#ops"), &[off()]);
    assert!(is_known(&holds), "the store still has it");
    holds.forget_ended_address(&delivery("#ops"), &[]);
    assert!(!is_known(&holds));
    assert_eq!(holds.route_until(&delivery("#ops"), now()), Some(until));

    let unwritten = Holds::default();
    unwritten.apply(&HoldChange { end: Vec::new(), begin: vec![off()] }, now());
    unwritten.forget_ended_address(&delivery("#ops"), &[]);
    assert!(is_known(&unwritten), "the store does not have it yet");

    let gone = Holds::new([Hold { cause: HoldCause::Gone, ..off() }]);
    gone.forget_ended_address(&delivery("#ops"), &[]);
    assert!(is_known(&gone), "its confirmations still count");
}

#[test]
fn strikes_outlive_their_hold_for_a_day() {
    let until = now() + 1.minute();
    let holds = Holds::new([hold(destination(), until)]);
    assert!(holds.sync(Vec::new(), until).is_empty());
    assert!(holds.has_failed(&"hook".into()), "it ended by time, not by a success");
    holds.sync(Vec::new(), until + 25.hours());
    assert!(!holds.has_failed(&"hook".into()));
    assert!(holds.snapshot().by_key.is_empty());
}

#[test]
fn a_throttled_question_holds_its_destination_and_where_it_is_meant_what_it_shares() {
    let bucket = |key: &str| Bucket { key: BucketKey(key.into()), every: Duration::ZERO, burst: 1 };
    let pace = Pace::of(bucket("hook")).and(bucket("workspace"));
    let (integration, until) = (slack(1), now() + 40.seconds());
    let cause = HoldCause::Throttled;
    let throttled = HeldAnswer { integration: &integration, cause, reason: "throttled", until, now: now() };
    let mut set = HoldSet::default();
    let change = set.held_by_answer(&pace, false, &throttled);
    assert_eq!(change.begin.iter().map(|hold| hold.key.clone()).collect::<Vec<_>>(), [destination()]);
    set.apply(&change, now());
    let held = set.active(&destination(), now()).expect("it is held");
    assert_eq!((held.cause, held.until), (HoldCause::Throttled, until));
    let shorter = HeldAnswer { until: now() + 9.seconds(), ..throttled };
    assert_eq!(set.held_by_answer(&pace, false, &shorter), HoldChange::default(), "a longer hold stays");
    let shared = set.held_by_answer(&pace, true, &throttled);
    assert_eq!(
        shared.begin.iter().map(|hold| hold.key.clone()).collect::<Vec<_>>(),
        [HoldKey::Bucket("workspace".into())]
    );
}
