//! Order within a lane.

use super::Backend;
use super::fixtures::{Case, Change, at, audit, delivery, node};
use crate::store::{DeliveryId, Ledger, NewState, Outbox, Portion, REPLACED, State};

pub(super) async fn a_lane_keeps_its_order_through_retries<B: Backend>() {
    let case = Case::<B>::new().await;
    let first = case.write("e1", delivery(), at(0)).await;
    let second = case.write("e2", delivery(), at(1)).await;
    let other = case.write("e3", delivery().lane(2), at(2)).await;
    assert_eq!(case.claim_some("a", "hook", Portion::rows(1), at(3)).await.0, [first]);
    case.end("a", first, NewState::Waiting(at(60)), at(4)).await;

    assert_eq!(case.claim("a", "hook", at(5)).await, [other], "the second waits for the first one's retry");
    let third = case.write("e4", delivery(), at(6)).await;
    assert_eq!(case.claim("a", "hook", at(59)).await, []);
    assert_eq!(case.claim("a", "hook", at(60)).await, [first, second, third]);
}

pub(super) async fn a_lane_is_claimed_in_one_go_and_in_order<B: Backend>() {
    let case = Case::<B>::new().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(case.write(&format!("e{n}"), delivery().lane(n % 2), at(n)).await);
    }
    assert_eq!(case.claim("a", "hook", at(9)).await, ids);
}

pub(super) async fn a_row_of_a_lane_that_another_node_works_on_waits_for_it<B: Backend>() {
    let case = Case::<B>::new().await;
    let first = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let second = case.write("e2", delivery(), at(1)).await;
    assert_eq!(case.claim("b", "hook", at(2)).await, []);
    case.end("a", first, NewState::Delivered, at(3)).await;
    assert_eq!(case.claim("b", "hook", at(4)).await, [second]);
}

pub(super) async fn a_node_may_have_the_next_of_a_lane_it_works_on<B: Backend>() {
    let case = Case::<B>::new().await;
    case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let second = case.write("e2", delivery(), at(1)).await;
    let third = case.write("e3", delivery(), at(1)).await;
    assert_eq!(case.claim_some("a", "hook", Portion::rows(1), at(2)).await, (vec![second], true));
    assert_eq!(case.claim("a", "hook", at(2)).await, [third]);
}

pub(super) async fn a_lease_is_refused_where_an_earlier_row_waits<B: Backend>() {
    let case = Case::<B>::new().await;
    let leased = async |id: &str, lane: i64, name: &str, now| {
        let new = delivery().lane(lane).leased(name, at(now));
        let written = case.write_all(id, vec![new], at(now)).await.remove(0).unwrap();
        (written.id, written.leased)
    };
    let (first, granted) = leased("e1", 1, "a", 0).await;
    assert!(granted, "nothing is before it");
    assert!(leased("e2", 1, "a", 1).await.1, "the node has the one before it, and keeps the order");
    assert!(!leased("e3", 1, "b", 2).await.1, "another node has those before it");
    assert!(leased("e4", 2, "b", 2).await.1, "another lane");

    case.end("a", first, NewState::Waiting(at(30)), at(3)).await;
    let (refused, granted) = leased("e5", 1, "a", 4).await;
    assert!(!granted, "the first waits for its retry");
    let got = case.claim("a", "hook", at(30)).await;
    assert_eq!((got.first(), got.last()), (Some(&first), Some(&refused)), "it is not lost, but in its place");
}

/// As after a change of the webhook: old rows have the old destination.
pub(super) async fn a_lane_spread_over_two_destinations_keeps_its_order<B: Backend>() {
    let case = Case::<B>::new().await;
    let first = case.write("e1", delivery().over("old"), at(0)).await;
    let second = case.write("e2", delivery().over("new"), at(1)).await;
    let third = case.write("e3", delivery().over("old"), at(2)).await;
    assert_eq!(case.claim("a", "new", at(3)).await, []);
    assert_eq!(case.claim("a", "old", at(3)).await, [first]);
    assert_eq!(case.claim("a", "new", at(3)).await, [second]);
    assert_eq!(case.claim("a", "old", at(3)).await, [third]);
}

pub(super) async fn what_the_limit_left_of_a_lane_is_claimed_next<B: Backend>() {
    let case = Case::<B>::new().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(case.write(&format!("e{n}"), delivery(), at(n)).await);
    }
    assert_eq!(case.claim_some("a", "hook", Portion::rows(2), at(9)).await, (ids[..2].to_vec(), true));
    for id in &ids[..2] {
        case.end("a", *id, NewState::Delivered, at(10)).await;
    }
    assert_eq!(case.waiting(at(10)).await, [("hook".to_owned(), at(2))]);
    assert_eq!(case.claim("b", "hook", at(11)).await, ids[2..]);
    case.store.release(&super::fixtures::node("b"), &ids[3..4]).await.unwrap();
    assert_eq!(case.claim("b", "hook", at(12)).await, ids[3..4]);
}

/// The state of a delivery, and its last note.
async fn stands<B: Backend>(case: &Case<B>, id: DeliveryId) -> (State, Option<String>) {
    let line = case.store.delivery(id).await.unwrap().unwrap().line;
    (line.state, line.last_note)
}

fn replaced() -> (State, Option<String>) {
    (State::Cancelled, Some(REPLACED.to_owned()))
}

pub(super) async fn a_newer_state_replaces_what_waits<B: Backend>() {
    let case = Case::<B>::new().await;
    let first = case.write("e1", delivery(), at(0)).await;
    let second = case.write("e2", delivery().replacing(), at(1)).await;
    let other = case.write("e3", delivery().lane(2), at(2)).await;
    let third = case.write("e4", delivery().replacing(), at(3)).await;
    assert_eq!(stands(&case, first).await, replaced());
    assert_eq!(stands(&case, second).await, replaced());
    assert_eq!(case.claim("a", "hook", at(4)).await, [other, third], "another lane is left alone");
    for id in [first, second] {
        assert!(
            !case.store.resend(id, audit("delivery.retry", at(5))).await.unwrap().is_done(),
            "an older state"
        );
    }
    case.end("a", third, NewState::Delivered, at(6)).await;
    assert!(!case.store.resend(second, audit("delivery.retry", at(7))).await.unwrap().is_done());
    assert!(
        case.store.resend(third, audit("delivery.retry", at(8))).await.unwrap().is_done(),
        "the newest state"
    );
}

pub(super) async fn what_is_under_way_is_replaced_when_it_would_wait<B: Backend>() {
    let case = Case::<B>::new().await;
    let mut leased = Vec::new();
    for (n, name) in (0..).zip(["waits", "is given back", "fails", "is delivered"]) {
        leased.push((case.write(name, delivery().lane(n).leased("a", at(0)), at(0)).await, n));
    }
    for (_, lane) in &leased {
        case.write(&format!("newer {lane}"), delivery().lane(*lane).replacing(), at(1)).await;
    }
    let [waits, given_back, fails, delivered] = [0, 1, 2, 3].map(|n: usize| leased[n].0);
    assert_eq!(stands(&case, waits).await.0, State::Waiting, "its attempt is under way");
    case.end("a", waits, NewState::Waiting(at(60)), at(2)).await;
    case.store.release(&node("a"), &[given_back]).await.unwrap();
    case.end("a", fails, NewState::Failed, at(2)).await;
    case.end("a", delivered, NewState::Delivered, at(2)).await;
    assert_eq!(stands(&case, waits).await, replaced());
    assert_eq!(stands(&case, given_back).await, replaced());
    assert_eq!(stands(&case, fails).await.0, State::Failed);
    assert_eq!(stands(&case, delivered).await.0, State::Delivered);
    for (id, _) in leased {
        assert!(
            !case.store.resend(id, audit("delivery.retry", at(3))).await.unwrap().is_done(),
            "a newer state is known"
        );
    }
    assert_eq!(case.claim("a", "hook", at(100)).await.len(), 4, "the newer ones");
}

pub(super) async fn what_was_replaced_under_way_does_not_return_after_a_crash<B: Backend>() {
    let case = Case::<B>::new().await;
    let before_a_start = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let lapsed = case.write("e2", delivery().lane(2).leased("a", at(0)), at(0)).await;
    let newer = case.write("e3", delivery().replacing(), at(1)).await;
    let case = case.reopened().await;
    assert_eq!(stands(&case, before_a_start).await.0, State::Waiting, "no attempt was recorded");
    case.store.release_leases(&node("a"), at(2)).await.unwrap();
    assert_eq!(stands(&case, before_a_start).await, replaced());
    assert_eq!(case.claim("a", "hook", at(2)).await, [lapsed, newer]);

    let newest = case.write("e4", delivery().lane(2).replacing(), at(3)).await;
    case.end("a", newer, NewState::Delivered, at(4)).await;
    assert_eq!(case.claim("b", "hook", at(62)).await, [newest], "the lease of the older row lapsed");
    assert_eq!(stands(&case, lapsed).await, replaced());
}
