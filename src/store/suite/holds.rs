//! Holds.

use super::Backend;
use super::fixtures::{Case, Change, at, delivery, held_route, hold, hold_on, made_under};
use crate::integration::{Fingerprint, IntegrationId};
use crate::store::{Hold, HoldCause, HoldKey, LatestWaits, Ledger, NewState, Outbox, Portion, Settled};

pub(super) async fn a_held_destination_gives_nothing_until_the_hold_ends<B: Backend>() {
    let case = Case::<B>::new().await;
    let first = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let second = case.write("e2", delivery().lane(2).of("jira"), at(0)).await;
    let elsewhere = case.write("e3", delivery().lane(3).over("other"), at(0)).await;
    let throttled = super::fixtures::settled(first, NewState::Waiting(at(30)), at(1));
    case.settle("a", Settled { begin: vec![hold("hook", at(30))], ..throttled }).await;

    assert_eq!(case.store.holds(at(2)).await.unwrap(), [hold("hook", at(30))]);
    assert_eq!(case.claim_some("a", "hook", Portion::rows(9), at(29)).await, (vec![], true));
    assert_eq!(case.claim("a", "other", at(29)).await, [elsewhere]);
    assert_eq!(case.waiting(at(29)).await, [("hook".to_owned(), at(30))]);
    assert_eq!(case.claim("a", "hook", at(30)).await, [first, second]);
    assert_eq!(case.store.holds(at(30)).await.unwrap(), []);
}

pub(super) async fn a_hold_survives_a_restart<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery(), at(0)).await;
    let made = Hold { strikes: 7, ..made_under(hold("hook", at(50)), "slack", 3) };
    case.hold(made.clone(), at(1)).await;
    let case = case.reopened().await;
    assert_eq!(case.store.holds(at(2)).await.unwrap(), [made]);
    assert_eq!(case.claim("a", "hook", at(49)).await, []);
    assert_eq!(case.claim("a", "hook", at(50)).await, [id]);
}

pub(super) async fn a_held_route_holds_up_that_target_only<B: Backend>() {
    let case = Case::<B>::new().await;
    let gone = case.write("e1", delivery().to("#gone").lane(1), at(0)).await;
    let fine = case.write("e2", delivery().to("#fine").lane(2), at(0)).await;
    let others = case.write("e3", delivery().of("other").to("#gone").lane(3), at(0)).await;
    case.hold(held_route("#gone", at(50)), at(1)).await;
    assert_eq!(case.claim_some("a", "hook", Portion::rows(9), at(2)).await, (vec![fine, others], true));
    assert_eq!(case.claim("a", "hook", at(49)).await, []);
    assert_eq!(case.claim("a", "hook", at(50)).await, [gone]);
}

/// Any number of rows may wait for a missing channel; the rows behind them are found.
pub(super) async fn many_rows_of_a_held_route_hide_nothing<B: Backend>() {
    let case = Case::<B>::new().await;
    let batch = (0..1500).map(|n| {
        let to_nowhere = delivery().to("#gone").lane(n);
        super::fixtures::from_broker(super::fixtures::event(&format!("e{n}")), vec![to_nowhere])
    });
    case.store.enqueue(batch.collect(), at(0)).await.unwrap();
    let fine = case.write("fine", delivery().to("#fine").lane(-1), at(1)).await;
    case.hold(held_route("#gone", at(50)), at(1)).await;

    let mut got = Vec::new();
    for _ in 0..3 {
        got.extend(case.claim_some("a", "hook", Portion::rows(4), at(2)).await.0);
    }
    assert_eq!(got, [fine]);
    assert_eq!(case.waiting(at(3)).await, [("hook".to_owned(), at(50))], "and no claim is needed before");
    assert_eq!(case.claim_some("a", "hook", Portion::rows(2000), at(50)).await.0.len(), 1500);
}

pub(super) async fn a_longer_hold_is_not_shortened<B: Backend>() {
    let case = Case::<B>::new().await;
    let long = made_under(hold("hook", at(90)), "slack", 1);
    case.hold(long.clone(), at(0)).await;
    case.hold(Hold { reason: "shorter".into(), strikes: 5, ..hold("hook", at(30)) }, at(1)).await;
    assert_eq!(case.store.holds(at(2)).await.unwrap(), [long]);
}

pub(super) async fn a_longer_hold_replaces_a_shorter_one<B: Backend>() {
    let case = Case::<B>::new().await;
    case.hold(made_under(hold("hook", at(30)), "slack", 1), at(0)).await;
    let longer = Hold { reason: "longer".into(), strikes: 2, ..hold("hook", at(90)) };
    case.hold(longer.clone(), at(1)).await;
    assert_eq!(case.store.holds(at(2)).await.unwrap(), [longer]);
}

pub(super) async fn a_hold_that_ended_is_gone_and_its_rows_are_due<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().to("#ops"), at(0)).await;
    for held in [hold("hook", at(500)), held_route("#ops", at(500))] {
        let key = held.key.clone();
        case.hold(held.clone(), at(1)).await;
        assert_eq!(case.claim("a", "hook", at(2)).await, [], "{key:?}");
        case.end_hold(&key, at(3)).await;
        assert_eq!(case.claim("a", "hook", at(4)).await, [id], "{key:?}");
        case.store.release(&super::fixtures::node("a"), &[id]).await.unwrap();
        // The same without a settlement, and once more.
        case.hold(held, at(1)).await;
        assert_eq!(case.claim("a", "hook", at(2)).await, [], "{key:?}");
        for _ in 0..2 {
            case.store.end_holds(std::slice::from_ref(&key), at(3)).await.unwrap();
        }
        assert_eq!(case.claim("a", "hook", at(4)).await, [id], "{key:?}");
        case.store.release(&super::fixtures::node("a"), &[id]).await.unwrap();
    }
    // In one settlement, the old hold goes and the new one stays.
    let again = super::fixtures::settled(id, NewState::Waiting(at(5)), at(5));
    case.hold(hold("hook", at(500)), at(5)).await;
    let (end, begin) = (vec![HoldKey::Destination("hook".into())], vec![hold("hook", at(50))]);
    case.settle("a", Settled { end, begin, ..again }).await;
    assert_eq!(case.store.holds(at(6)).await.unwrap(), [hold("hook", at(50))]);
}

/// Attempts at an address that is switched off put their rows off for hours.
pub(super) async fn what_waits_for_an_address_is_due_when_its_hold_ends<B: Backend>() {
    let case = Case::<B>::new().await;
    let here = case.write("e1", delivery().to("#ops").lane(1).leased("a", at(0)), at(0)).await;
    let others = case.write("e2", delivery().of("other").lane(2).leased("a", at(0)), at(0)).await;
    for id in [here, others] {
        case.settle("a", super::fixtures::settled(id, NewState::Waiting(at(900)), at(1))).await;
    }
    let key = HoldKey::Address { integration: IntegrationId::new("slack"), destination: "hook".into() };
    case.hold(hold_on(key.clone(), HoldCause::SwitchedOff, at(9000)), at(1)).await;
    assert_eq!(case.claim("a", "hook", at(2)).await, []);
    case.store.end_holds(std::slice::from_ref(&key), at(3)).await.unwrap();
    assert_eq!(case.claim("a", "hook", at(4)).await, [here], "another integration's row waits as it did");
}

/// A hold of each kind, all of the integration `slack`.
fn of_each_kind(until: jiff::Timestamp) -> [Hold; 4] {
    let slack = IntegrationId::new("slack");
    let address = HoldKey::Address { integration: slack, destination: "hook".into() };
    [
        hold_on(address, HoldCause::SwitchedOff, until),
        hold_on(HoldKey::Bucket("workspace".into()), HoldCause::Throttled, until),
        hold("hook", until),
        held_route("#ops", until),
    ]
    .map(|hold| made_under(hold, "slack", 1))
}

pub(super) async fn holds_of_every_kind_are_kept_apart<B: Backend>() {
    let case = Case::<B>::new().await;
    let one_name = [
        HoldKey::Destination("x".into()),
        HoldKey::Bucket("x".into()),
        HoldKey::Route { integration: IntegrationId::new("slack"), target: "x".into() },
        HoldKey::Route { integration: IntegrationId::new("jira"), target: "x".into() },
        HoldKey::Route { integration: IntegrationId::new("a>b"), target: "".into() },
        HoldKey::Route { integration: IntegrationId::new("a"), target: "b>".into() },
        HoldKey::Address { integration: IntegrationId::new("slack"), destination: "x".into() },
    ];
    for (key, n) in one_name.iter().zip(0_u32..) {
        let hold = Hold { strikes: n, ..hold_on(key.clone(), HoldCause::Quota, at(90)) };
        case.hold(hold, at(1)).await;
    }
    let case = case.reopened().await;
    let kept = case.store.holds(at(2)).await.unwrap();
    assert_eq!(kept.len(), one_name.len());
    for hold in kept {
        assert_eq!(hold.key, one_name[hold.strikes as usize]);
    }
    case.store.end_holds(&one_name[..3], at(3)).await.unwrap();
    let mut left: Vec<_> = case.store.holds(at(4)).await.unwrap().into_iter().map(|hold| hold.key).collect();
    left.sort();
    let mut expected = one_name[3..].to_vec();
    expected.sort();
    assert_eq!(left, expected);
}

/// The pipeline applies these holds, because it has the settings.
pub(super) async fn a_held_address_or_bucket_keeps_no_row_in_the_store<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().to("#ops"), at(0)).await;
    let [address, bucket, ..] = of_each_kind(at(500));
    case.hold(address, at(1)).await;
    case.hold(bucket, at(1)).await;
    assert_eq!(case.claim("a", "hook", at(2)).await, [id]);
}

pub(super) async fn new_settings_end_holds_of_every_kind_but_what_the_service_asked_for<B: Backend>() {
    let case = Case::<B>::new().await;
    for hold in of_each_kind(at(9999)) {
        case.hold(hold, at(1)).await;
    }
    let asked =
        made_under(hold_on(HoldKey::Destination("slow".into()), HoldCause::Throttled, at(9999)), "slack", 1);
    let used_up =
        Hold { key: HoldKey::Destination("used up".into()), cause: HoldCause::Quota, ..asked.clone() };
    case.hold(asked, at(1)).await;
    case.hold(used_up, at(1)).await;

    let now = [(IntegrationId::new("slack"), Some(Fingerprint(2)))];
    assert_eq!(case.store.end_outdated_holds(&now, at(2)).await.unwrap(), 3);
    let left: Vec<_> = case.store.holds(at(3)).await.unwrap().into_iter().map(|hold| hold.key).collect();
    let destination = |name: &str| HoldKey::Destination(name.into());
    assert_eq!(left, [HoldKey::Bucket("workspace".into()), destination("slow"), destination("used up")]);
}

/// The settings of one integration say nothing about the deliveries of others.
pub(super) async fn a_shared_destination_is_not_freed_by_new_settings<B: Backend>() {
    let case = Case::<B>::new().await;
    let others = case.write("e1", delivery().of("other"), at(0)).await;
    let failing = made_under(hold("hook", at(9999)), "slack", 1);
    case.hold(failing.clone(), at(1)).await;
    case.hold(made_under(held_route("#ops", at(9999)), "slack", 1), at(1)).await;

    let now = [(IntegrationId::new("slack"), Some(Fingerprint(2)))];
    assert_eq!(case.store.end_outdated_holds(&now, at(2)).await.unwrap(), 1, "its route");
    assert_eq!(case.store.holds(at(3)).await.unwrap(), [failing]);
    assert_eq!(case.claim("a", "hook", at(3)).await, []);
    assert_eq!(case.claim("a", "hook", at(9999)).await, [others]);
}

/// A refused login fails for every integration that uses it, so after corrected settings one more attempt is made.
pub(super) async fn a_refused_login_ends_with_new_settings_though_others_wait_for_it<B: Backend>() {
    let case = Case::<B>::new().await;
    let others = case.write("e1", delivery().of("other"), at(0)).await;
    let refused = hold_on(HoldKey::Destination("hook".into()), HoldCause::Misconfigured, at(9999));
    case.hold(made_under(refused, "slack", 1), at(1)).await;
    assert_eq!(case.claim("a", "hook", at(2)).await, []);

    let now = [(IntegrationId::new("slack"), Some(Fingerprint(2)))];
    assert_eq!(case.store.end_outdated_holds(&now, at(3)).await.unwrap(), 1);
    assert_eq!(case.claim("a", "hook", at(3)).await, [others]);
}

pub(super) async fn new_settings_end_what_was_held_under_the_old_ones<B: Backend>() {
    let case = Case::<B>::new().await;
    let changed = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let waits = super::fixtures::settled(changed, NewState::Waiting(at(9999)), at(1));
    let misconfigured = made_under(hold("hook", at(9999)), "slack", 1);
    case.settle("a", Settled { begin: vec![misconfigured], ..waits }).await;
    let same = case.write("e2", delivery().of("jira").over("jira").lane(2), at(0)).await;
    case.hold(made_under(hold("jira", at(9999)), "jira", 5), at(1)).await;
    case.hold(hold("breaker", at(9999)), at(1)).await;

    let now = [
        (IntegrationId::new("slack"), Some(Fingerprint(2))),
        (IntegrationId::new("jira"), Some(Fingerprint(5))),
    ];
    assert_eq!(case.store.end_outdated_holds(&now, at(10)).await.unwrap(), 1);
    assert_eq!(case.store.end_outdated_holds(&now, at(10)).await.unwrap(), 0);
    assert_eq!(case.claim("a", "hook", at(10)).await, [changed], "due now, without the wait of its hold");
    assert_eq!(case.claim("a", "jira", at(10)).await, [], "its settings are as they were");
    assert_eq!(case.store.holds(at(10)).await.unwrap().len(), 2);
    let shown = case.store.delivery(same).await.unwrap().unwrap().hold.unwrap();
    assert_eq!(shown.key, HoldKey::Destination("jira".into()));
}

pub(super) async fn an_integration_that_is_gone_holds_nothing<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().to("#gone"), at(0)).await;
    case.hold(made_under(held_route("#gone", at(9999)), "slack", 1), at(1)).await;
    assert_eq!(case.claim("a", "hook", at(2)).await, []);
    assert_eq!(case.store.end_outdated_holds(&[], at(2)).await.unwrap(), 0, "this integration is not named");
    let gone = [(IntegrationId::new("slack"), None)];
    assert_eq!(case.store.end_outdated_holds(&gone, at(3)).await.unwrap(), 1);
    // The pipeline gets it, and cancels it.
    assert_eq!(case.claim("a", "hook", at(3)).await, [id]);
}

pub(super) async fn waits_of_another_clock_are_shortened<B: Backend>() {
    let case = Case::<B>::new().await;
    let to = |destination: &str, lane| delivery().over(destination).lane(lane);
    let far = at(1_000_000);
    let mut ids = Vec::new();
    for (lane, destination) in [(1, "late"), (2, "soon"), (3, "quota"), (4, "broken"), (5, "off")] {
        let id = case.write(destination, to(destination, lane), at(0)).await;
        let due = if destination == "soon" { at(50) } else { far };
        case.end("a", id, NewState::Waiting(due), at(0)).await;
        ids.push(id);
    }
    case.hold(hold_on(HoldKey::Destination("quota".into()), HoldCause::Quota, far), at(0)).await;
    case.hold(hold_on(HoldKey::Destination("broken".into()), HoldCause::Unavailable, far), at(0)).await;
    case.hold(hold_on(HoldKey::Destination("off".into()), HoldCause::SwitchedOff, far), at(0)).await;
    let latest = LatestWaits {
        now: at(0),
        delivery: at(100),
        watch: at(100),
        holds: vec![(HoldCause::Unavailable, at(60)), (HoldCause::Quota, at(2_000_000))],
    };
    assert_eq!(case.store.shorten_waits(&latest).await.unwrap(), 3, "a hold, and two deliveries");
    assert_eq!(case.store.shorten_waits(&latest).await.unwrap(), 0, "nothing is too long any more");
    let due = async |place: usize| case.store.delivery(ids[place]).await.unwrap().unwrap().line.due.unwrap();
    assert_eq!([due(0).await, due(1).await], [at(100), at(50)]);
    assert_eq!([due(2).await, due(4).await], [far, far], "they are held for as long");
    assert_eq!(due(3).await, at(100), "its hold is over before");
    let until = case.store.holds(at(0)).await.unwrap();
    let of = |cause| until.iter().find(|hold| hold.cause == cause).unwrap().until;
    assert_eq!(
        [of(HoldCause::Unavailable), of(HoldCause::Quota), of(HoldCause::SwitchedOff)],
        [at(60), far, far]
    );
}
