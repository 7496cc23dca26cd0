//! Leases: which node works a row, and for how long.

use jiff::SignedDuration;

use super::Backend;
use super::fixtures::{Case, Change, at, audit, delivery, lease, node, settled};
use crate::store::{DeliveryId, Ledger, NewState, Outbox, Redirected, Settled, State};

pub(super) async fn a_leased_row_is_not_handed_out_twice<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery(), at(0)).await;
    case.write("e2", delivery().lane(2).leased("b", at(0)), at(0)).await;
    assert_eq!(case.claim("a", "hook", at(1)).await, [id]);
    for name in ["a", "b"] {
        assert_eq!(case.claim(name, "hook", at(2)).await, []);
    }
}

pub(super) async fn leases_lapse<B: Backend>() {
    let case = Case::<B>::new().await;
    let claimed = case.write("e1", delivery(), at(0)).await;
    let written = case.write("e2", delivery().lane(2).leased("a", at(0)), at(0)).await;
    assert_eq!(case.claim("a", "hook", at(0)).await, [claimed]);
    assert_eq!(case.claim("b", "hook", at(59)).await, []);
    assert_eq!(case.claim("b", "hook", at(60)).await, [claimed, written]);
}

pub(super) async fn renewed_leases_last<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let other = case.write("e2", delivery().lane(2).leased("b", at(0)), at(0)).await;
    let unknown = case.write("e3", delivery().lane(3).leased("a", at(0)), at(0)).await;
    let own = case.store.renew(lease("a", at(50)), &[other, id, DeliveryId(-1)]).await.unwrap();
    assert_eq!(own, [id], "only the node's own");
    assert_eq!(case.claim("c", "hook", at(100)).await, [other, unknown], "and only those it knows of");
    case.store.renew(lease("a", at(10)), &[id]).await.unwrap();
    assert_eq!(case.claim("c", "hook", at(109)).await, [], "never shortened");
    assert_eq!(case.claim("c", "hook", at(110)).await, [id]);
}

pub(super) async fn a_started_row_stays_marked_until_it_waits_or_is_resent<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let other = case.write("e2", delivery().lane(2), at(0)).await;
    let started = case.store.start(lease("a", at(50)), &[other, id]).await.unwrap();
    assert_eq!(started, [id], "only a row that the node leases may be attempted");
    assert_eq!(case.claim_started("b", at(109)).await, [(other, false)], "the lease was prolonged");
    assert_eq!(case.claim_started("b", at(110)).await, [(id, true)], "the lease lapsed in its midst");
    assert_eq!(case.store.start(lease("a", at(111)), &[id]).await.unwrap(), []);
    case.end("b", other, NewState::Delivered, at(111)).await;
    case.store.release(&node("b"), &[id]).await.unwrap();
    let case = case.reopened().await;
    case.store.release_leases(&node("b"), at(112)).await.unwrap();
    assert_eq!(case.claim_started("b", at(112)).await, [(id, true)], "and over restarts");

    case.end("b", id, NewState::Waiting(at(120)), at(113)).await;
    assert_eq!(case.claim_started("b", at(120)).await, [(id, false)], "its outcome was written");
    case.store.start(lease("b", at(120)), &[id]).await.unwrap();
    case.end("b", id, NewState::Failed, at(121)).await;
    assert!(case.store.resend(id, audit("delivery.resend", at(122))).await.unwrap().is_done());
    assert_eq!(case.claim_started("b", at(122)).await, [(id, false)], "a person wants it once more");
}

pub(super) async fn what_is_given_back_is_as_due_as_it_was<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let later = case.write("e2", delivery().leased("a", at(0)), at(0)).await;
    case.store.release(&node("a"), &[later, id]).await.unwrap();
    assert_eq!(case.waiting(at(1)).await, [("hook".to_owned(), at(0))]);
    assert_eq!(
        case.claim("b", "hook", at(1)).await,
        [id, later],
        "in order, even if they were returned in another order"
    );
}

pub(super) async fn a_leased_row_moves_to_another_destination<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let other = case.write("e2", delivery().lane(2), at(0)).await;
    let to = |delivery, key: &str| Redirected { delivery, destination: key.into(), share: key.into() };
    case.store.redirect(&node("a"), &[to(id, "mail"), to(other, "mail")]).await.unwrap();
    case.store.redirect(&node("b"), &[to(id, "third")]).await.unwrap();
    case.store.release(&node("a"), &[id]).await.unwrap();
    assert_eq!(case.claim("a", "hook", at(1)).await, [other], "the node had not leased it");
    assert_eq!(case.claim("a", "mail", at(1)).await, [id]);
    assert_eq!(case.claim("a", "third", at(1)).await, [], "another node's word does not count");
}

pub(super) async fn nobody_gives_back_what_another_holds<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    case.store.release(&node("b"), &[id]).await.unwrap();
    assert_eq!(case.claim("c", "hook", at(1)).await, []);
}

pub(super) async fn recovery_ends_what_a_former_life_left_behind<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let later = case.write("e2", delivery(), at(0)).await;
    let case = case.reopened().await;
    assert_eq!(case.claim("b", "hook", at(1)).await, [], "the lease outlives the process");
    case.store.release_leases(&node("a"), at(1)).await.unwrap();
    assert_eq!(case.claim("b", "hook", at(1)).await, [id, later]);
}

pub(super) async fn a_settlement_after_the_lease_was_lost_is_recorded<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    case.store.release_leases(&node("a"), at(1)).await.unwrap();
    // No other node has the row, so the settlement decides its state.
    case.end("a", id, NewState::Waiting(at(90)), at(2)).await;
    assert_eq!(case.claim("b", "hook", at(89)).await, []);
    case.end("a", id, NewState::Failed, at(89)).await;
    assert_eq!(case.claim("b", "hook", at(100)).await, []);
    let detail = case.store.delivery(id).await.unwrap().unwrap();
    assert_eq!((detail.line.state, detail.attempts.len()), (State::Failed, 2));
}

pub(super) async fn a_late_word_does_not_end_anothers_lease<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    assert_eq!(case.claim("b", "hook", at(60)).await, [id]);
    for (state, now) in [(NewState::Waiting(at(62)), 61), (NewState::Failed, 62)] {
        case.end("a", id, state, at(now)).await;
        assert_eq!(case.claim("c", "hook", at(now + 1)).await, []);
    }
    let detail = case.store.delivery(id).await.unwrap().unwrap();
    assert_eq!((detail.line.state, detail.attempts.len()), (State::Waiting, 2), "but it is on record");
    case.end("b", id, NewState::Delivered, at(64)).await;
    assert_eq!(case.store.delivery(id).await.unwrap().unwrap().line.state, State::Delivered);
}

pub(super) async fn a_late_delivered_is_a_fact<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let after = case.write("e2", delivery(), at(0)).await;
    assert_eq!(case.claim("b", "hook", at(60)).await, [id, after]);
    case.end("a", id, NewState::Delivered, at(61)).await;
    case.end("b", id, NewState::Failed, at(62)).await;
    let detail = case.store.delivery(id).await.unwrap().unwrap();
    assert_eq!((detail.line.state, detail.attempts.len()), (State::Delivered, 2));

    case.end("b", after, NewState::Expired, at(63)).await;
    case.end("a", after, NewState::Delivered, at(64)).await;
    assert_eq!(case.store.delivery(after).await.unwrap().unwrap().line.state, State::Delivered);
}

pub(super) async fn nothing_reopens_what_is_settled<B: Backend>() {
    let case = Case::<B>::new().await;
    for (n, state) in (0..).zip([NewState::Delivered, NewState::Failed]) {
        let id = case.write(&format!("e{n}"), delivery().lane(n).leased("a", at(0)), at(0)).await;
        case.end("a", id, state, at(1)).await;
        let late = Settled { attempts: 9, ..settled(id, NewState::Waiting(at(2)), at(2)) };
        case.settle("a", late).await;
        case.store.release(&node("a"), &[id]).await.unwrap();
        let line = case.store.delivery(id).await.unwrap().unwrap().line;
        assert_eq!((line.attempts, line.settled_at), (1, Some(at(1))));
    }
    let long_after = at(0) + SignedDuration::from_hours(100);
    assert_eq!(case.claim("a", "hook", long_after).await, []);
}
