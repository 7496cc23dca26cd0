//! What gets nothing for a while.

use super::Backend;
use super::fixtures::{Case, Change, at, delivery, hold, made_under};
use crate::integration::{Fingerprint, IntegrationId};
use crate::store::{Hold, Ledger, NewState, Outbox, Portion, Settled, route_key};

pub(super) async fn a_held_destination_gives_nothing_until_the_hold_ends<B: Backend>() {
    let case = Case::<B>::new().await;
    let first = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let second = case.write("e2", delivery().lane(2).of("jira"), at(0)).await;
    let elsewhere = case.write("e3", delivery().lane(3).over("other"), at(0)).await;
    let throttled = super::fixtures::settled(first, NewState::Waiting(at(30)), at(1));
    case.settle("a", Settled { hold: Some(hold("hook", at(30))), ..throttled }).await;

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
    let route = route_key(&IntegrationId::new("slack"), "#gone");
    case.hold(hold(&route, at(50)), at(1)).await;
    assert_eq!(case.claim_some("a", "hook", Portion::rows(9), at(2)).await, (vec![fine, others], true));
    assert_eq!(case.claim("a", "hook", at(49)).await, []);
    assert_eq!(case.claim("a", "hook", at(50)).await, [gone]);
}

/// However many wait for a channel that is not there, those behind them are found.
pub(super) async fn many_rows_of_a_held_route_hide_nothing<B: Backend>() {
    let case = Case::<B>::new().await;
    let batch = (0..1500).map(|n| {
        let to_nowhere = delivery().to("#gone").lane(n);
        super::fixtures::from_broker(super::fixtures::event(&format!("e{n}")), vec![to_nowhere])
    });
    case.store.enqueue(batch.collect(), at(0)).await.unwrap();
    let fine = case.write("fine", delivery().to("#fine").lane(-1), at(1)).await;
    case.hold(hold(&route_key(&IntegrationId::new("slack"), "#gone"), at(50)), at(1)).await;

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
    case.hold(Hold { why: "shorter".into(), strikes: 5, ..hold("hook", at(30)) }, at(1)).await;
    assert_eq!(case.store.holds(at(2)).await.unwrap(), [long]);
}

pub(super) async fn a_longer_hold_replaces_a_shorter_one<B: Backend>() {
    let case = Case::<B>::new().await;
    case.hold(made_under(hold("hook", at(30)), "slack", 1), at(0)).await;
    let longer = Hold { why: "longer".into(), strikes: 2, ..hold("hook", at(90)) };
    case.hold(longer.clone(), at(1)).await;
    assert_eq!(case.store.holds(at(2)).await.unwrap(), [longer]);
}

pub(super) async fn a_lifted_hold_is_gone_and_its_rows_are_due<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().to("#ops"), at(0)).await;
    let route = route_key(&IntegrationId::new("slack"), "#ops");
    for key in ["hook", &*route] {
        case.hold(hold(key, at(500)), at(1)).await;
        assert_eq!(case.claim("a", "hook", at(2)).await, [], "{key}");
        case.lift(key, at(3)).await;
        assert_eq!(case.claim("a", "hook", at(4)).await, [id], "{key}");
        case.store.release(&super::fixtures::node("a"), &[id]).await.unwrap();
    }
    // In one settlement, the old hold goes and the new one stays.
    let again = super::fixtures::settled(id, NewState::Waiting(at(5)), at(5));
    case.hold(hold("hook", at(500)), at(5)).await;
    case.settle("a", Settled { lift: Some("hook".into()), hold: Some(hold("hook", at(50))), ..again }).await;
    assert_eq!(case.store.holds(at(6)).await.unwrap(), [hold("hook", at(50))]);
}

pub(super) async fn new_settings_end_what_was_held_under_the_old_ones<B: Backend>() {
    let case = Case::<B>::new().await;
    let changed = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let waits = super::fixtures::settled(changed, NewState::Waiting(at(9999)), at(1));
    let misconfigured = made_under(hold("hook", at(9999)), "slack", 1);
    case.settle("a", Settled { hold: Some(misconfigured), ..waits }).await;
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
    assert_eq!(&*shown.key, "jira");
}

pub(super) async fn an_integration_that_is_gone_holds_nothing<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().to("#gone"), at(0)).await;
    let route = route_key(&IntegrationId::new("slack"), "#gone");
    case.hold(made_under(hold(&route, at(9999)), "slack", 1), at(1)).await;
    assert_eq!(case.claim("a", "hook", at(2)).await, []);
    assert_eq!(case.store.end_outdated_holds(&[], at(2)).await.unwrap(), 0, "this integration is not named");
    let gone = [(IntegrationId::new("slack"), None)];
    assert_eq!(case.store.end_outdated_holds(&gone, at(3)).await.unwrap(), 1);
    // The pipeline gets it, and cancels it.
    assert_eq!(case.claim("a", "hook", at(3)).await, [id]);
}
