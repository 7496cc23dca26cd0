//! Deliveries from the event to the settlement.

use std::sync::Arc;

use super::Backend;
use super::fixtures::{Case, Change, at, delivery, event, from_broker, settled};
use crate::store::{
    BodyDigest, Claim, DeliveryFilter, DeliveryId, Dispatched, Ledger, NewState, Origin, Outbox, Portion,
    Remembered, Retention, State,
};

pub(super) async fn a_delivery_is_written_once_and_dispatching_again_changes_nothing<B: Backend>() {
    let case = Case::<B>::new().await;
    let first = case.write_all("e1", vec![delivery()], at(0)).await.remove(0).unwrap();
    assert_eq!((first.attempts, first.event.as_str(), first.fresh_since), (0, "e1", at(-5)));

    assert!(case.write_all("e1", vec![delivery()], at(1)).await[0].is_none(), "while it waits");
    assert_eq!(case.claim("a", "hook", at(2)).await, [first.id]);
    assert!(case.write_all("e1", vec![delivery()], at(3)).await[0].is_none(), "while it is under way");
    case.end("a", first.id, NewState::Delivered, at(4)).await;
    assert!(case.write_all("e1", vec![delivery()], at(5)).await[0].is_none(), "after it is settled");

    assert_eq!(case.claim("a", "hook", at(100)).await, []);
    assert_eq!(
        case.store.deliveries(DeliveryFilter { limit: 10, ..Default::default() }).await.unwrap().len(),
        1
    );
}

pub(super) async fn a_known_event_ends_the_message_also_when_its_settled_deliveries_are_gone<B: Backend>() {
    let case = Case::<B>::new().await;
    let both = || vec![delivery().to("#ops"), delivery().to("#dev").lane(2)];
    let first = case.write_all("e1", both(), at(0)).await;
    let ops = first[0].as_ref().unwrap().id;
    case.end("a", ops, NewState::Delivered, at(1)).await;
    let before = at(2);
    let retention = Retention {
        settled_before: before,
        dead_letters_before: before,
        quarantine_before: before,
        merge_requests_before: before,
    };
    assert_eq!(case.store.sweep(retention, 100).await.unwrap().deliveries, 1);
    assert!(case.store.delivery(ops).await.unwrap().is_none(), "the retention is over");
    let again = case.write_all("e1", both(), at(3)).await;
    assert!(again.iter().all(Option::is_none), "#dev is still open, so the event is known");
}

pub(super) async fn a_redelivered_body_that_is_known_changes_nothing<B: Backend>() {
    let case = Case::<B>::new().await;
    let from = |id: &str, digest: u8, redelivered| Dispatched {
        event: Arc::new(event(id)),
        origin: Origin::Broker { digest: Some(BodyDigest([digest; 32])), redelivered },
        deliveries: vec![delivery()],
        remembered: Remembered::default(),
    };
    let write =
        async |dispatched| case.store.enqueue(vec![dispatched], at(0)).await.unwrap().remove(0).remove(0);

    assert!(write(from("fresh-1", 1, false)).await.is_some());
    assert!(write(from("fresh-2", 1, true)).await.is_none(), "the same message once more");
    assert!(write(from("fresh-3", 1, false)).await.is_some(), "two equal pushes are two events");
    assert!(write(from("fresh-4", 2, true)).await.is_some(), "redelivered, but it never arrived before");
}

pub(super) async fn a_redelivered_body_is_a_repeat_within_ten_minutes_and_once_for_each_event<B: Backend>() {
    let case = Case::<B>::new().await;
    let write = async |id: &str, redelivered, now| {
        let digest = Some(BodyDigest([1; 32]));
        let origin = Origin::Broker { digest, redelivered };
        let dispatched = Dispatched { origin, ..from_broker(event(id), vec![delivery()]) };
        case.store.enqueue(vec![dispatched], now).await.unwrap().remove(0).remove(0).is_some()
    };
    assert!(write("first", false, at(0)).await);
    assert!(write("second", false, at(1)).await);
    assert!(!write("third", true, at(2)).await, "the first one answers for it");
    assert!(!write("third", true, at(3)).await, "and again, where the answer was lost");
    assert!(!write("fourth", true, at(4)).await, "the second one answers for it");
    assert!(write("fifth", true, at(5)).await, "none is left to answer for it");
    assert!(!write("sixth", true, at(605)).await, "the fifth one was written ten minutes before");
    assert!(write("seventh", false, at(700)).await);
    assert!(write("eighth", true, at(1301)).await, "an equal alert, and more than ten minutes later");
}

pub(super) async fn an_event_without_deliveries_leaves_the_inbox_and_nothing_else<B: Backend>() {
    let case = Case::<B>::new().await;
    assert!(case.push("e1", at(0)).await);
    let number = case.inbox(0).await[0].0;
    let unmatched = |id: &str, origin| Dispatched {
        event: Arc::new(event(id)),
        origin,
        deliveries: Vec::new(),
        remembered: Remembered::default(),
    };

    let batch = vec![
        unmatched("e1", Origin::Inbox(number)),
        unmatched("e2", Origin::Broker { digest: None, redelivered: false }),
    ];
    assert_eq!(
        case.store.enqueue(batch, at(1)).await.unwrap().iter().map(Vec::len).collect::<Vec<_>>(),
        [0, 0]
    );
    assert_eq!(case.inbox(0).await, []);
    assert!(!case.push("e1", at(2)).await, "it is remembered");
    assert!(case.push("e2", at(2)).await, "nothing was kept of it");
}

/// The batch names one event twice. Its deliveries are written once, and the other events' deliveries are written too.
pub(super) async fn a_batch_is_written_whole_or_not_at_all<B: Backend>() {
    let case = Case::<B>::new().await;
    let batch =
        ["e1", "e2", "e1", "e3"].map(|id| from_broker(event(id), vec![delivery(), delivery().to("#x")]));
    let written = case.store.enqueue(batch.to_vec(), at(0)).await.unwrap();
    let new: Vec<Vec<bool>> =
        written.iter().map(|event| event.iter().map(Option::is_some).collect()).collect();
    assert_eq!(new, [[true, true], [true, true], [false, false], [true, true]]);
    assert_eq!(case.claim("a", "hook", at(1)).await.len(), 6);
}

pub(super) async fn a_claim_brings_the_event_as_it_came<B: Backend>() {
    let case = Case::<B>::new().await;
    let sent = event("e1");
    case.write_all("e1", vec![delivery().to("#ops"), delivery().to("#dev").lane(2)], at(0)).await;
    let lease = super::fixtures::lease("a", at(1));
    let claim = Claim {
        destinations: vec!["hook".into(), "none".into()],
        portion: Portion::rows(9),
        lease,
        now: at(1),
    };
    let mut claimed = case.store.claim(claim).await.unwrap();
    assert!(claimed[1].deliveries.is_empty() && !claimed[1].more);
    let deliveries = claimed.remove(0).deliveries;
    for ((got, stored), target) in deliveries.iter().zip(["#ops", "#dev"]) {
        assert_eq!((&got.event, &*got.target, got.fresh_since), (&sent.id, target, sent.occurred_at));
        assert_eq!((&stored.id, stored.occurred_at, &stored.raw), (&sent.id, sent.occurred_at, &sent.raw));
    }
    assert!(Arc::ptr_eq(&deliveries[0].1, &deliveries[1].1), "one event is read once");
}

pub(super) async fn a_claim_takes_the_oldest_first_and_says_whether_there_is_more<B: Backend>() {
    let case = Case::<B>::new().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        // Lanes are in another order than rows, so that a claim in the order of lanes fails the test.
        ids.push(case.write(&format!("e{n}"), delivery().lane(100 - n), at(n)).await);
    }
    assert_eq!(case.claim_some("a", "hook", Portion::rows(2), at(9)).await, (ids[..2].to_vec(), true));
    assert_eq!(case.claim_some("a", "hook", Portion::rows(3), at(9)).await, (ids[2..].to_vec(), false));
    assert_eq!(case.claim_some("a", "hook", Portion::rows(3), at(9)).await, (vec![], false));
}

/// A node gets only as many rows as fit into its memory. An event that is larger is handed out alone.
pub(super) async fn a_claim_ends_with_the_row_that_fills_its_portion<B: Backend>() {
    let case = Case::<B>::new().await;
    let mut ids = Vec::new();
    for (n, lane) in [1, 2, 1, 1, 2, 3].into_iter().enumerate() {
        ids.push(case.write(&format!("e{n}"), delivery().lane(lane), at(0)).await);
    }
    let each = event("e0").raw.len();
    let bytes = |bytes| Portion { rows: 9, bytes };
    assert_eq!(case.claim_some("a", "hook", bytes(1), at(9)).await, (ids[..1].to_vec(), true));
    assert_eq!(case.claim_some("a", "hook", bytes(each), at(9)).await, (ids[1..2].to_vec(), true));
    assert_eq!(case.claim_some("a", "hook", bytes(each + 1), at(9)).await, (ids[2..4].to_vec(), true));
    assert_eq!(case.claim_some("a", "hook", bytes(each * 3), at(9)).await, (ids[4..].to_vec(), false));
}

pub(super) async fn a_row_that_is_not_due_is_not_handed_out<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery(), at(0)).await;
    case.claim("a", "hook", at(0)).await;
    case.end("a", id, NewState::Waiting(at(30)), at(1)).await;
    assert_eq!(case.claim_some("a", "hook", Portion::rows(9), at(29)).await, (vec![], true));
    assert_eq!(case.claim("a", "hook", at(30)).await, [id]);
}

pub(super) async fn what_is_settled_stays_settled_over_a_restart<B: Backend>() {
    let case = Case::<B>::new().await;
    let states = [
        (NewState::Delivered, State::Delivered),
        (NewState::Skipped, State::Skipped),
        (NewState::Failed, State::Failed),
        (NewState::Expired, State::Expired),
        (NewState::Cancelled, State::Cancelled),
        (NewState::Waiting(at(50)), State::Waiting),
    ];
    let mut ids = Vec::new();
    for (n, (state, _)) in (0..).zip(&states) {
        let id = case.write(&format!("e{n}"), delivery().lane(n).leased("a", at(0)), at(0)).await;
        case.end("a", id, state.clone(), at(7)).await;
        ids.push(id);
    }
    let case = case.reopened().await;
    for (id, (_, state)) in ids.iter().zip(&states) {
        let line = case.store.delivery(*id).await.unwrap().unwrap().line;
        assert_eq!((line.state, line.attempts), (*state, 1));
        assert_eq!(line.settled_at, (*state != State::Waiting).then(|| at(7)));
    }
    assert_eq!(case.claim("a", "hook", at(100)).await, [ids[5]]);
}

pub(super) async fn a_settlement_for_a_row_that_is_gone_is_ignored<B: Backend>() {
    let case = Case::<B>::new().await;
    let id = case.write("e1", delivery().leased("a", at(0)), at(0)).await;
    let gone = DeliveryId(id.0 + 1000);
    let batch = vec![settled(gone, NewState::Delivered, at(1)), settled(id, NewState::Delivered, at(1))];
    case.store.settle(&super::fixtures::node("a"), batch).await.unwrap();
    assert_eq!(case.store.delivery(id).await.unwrap().unwrap().line.state, State::Delivered);
    assert!(case.store.delivery(gone).await.unwrap().is_none());
}

pub(super) async fn waiting_names_each_destination_at_its_earliest_moment<B: Backend>() {
    let case = Case::<B>::new().await;
    let put_off = async |id: &str, destination: &str, lane: i64, until| {
        let row = case.write(id, delivery().over(destination).lane(lane).leased("a", at(0)), at(0)).await;
        case.end("a", row, NewState::Waiting(until), at(1)).await;
        row
    };
    assert_eq!(case.waiting(at(0)).await, []);
    put_off("e1", "late", 1, at(90)).await;
    put_off("e2", "soon", 2, at(30)).await;
    put_off("e3", "soon", 3, at(20)).await;
    case.write("e4", delivery().over("soon").lane(3), at(2)).await; // due, but behind e3
    case.write("e5", delivery().over("busy").lane(4).leased("a", at(2)), at(2)).await;
    case.write("e6", delivery().over("held").lane(5), at(2)).await;
    case.hold(super::fixtures::hold("held", at(40)), at(2)).await;

    let expected =
        [("soon", at(20)), ("held", at(40)), ("late", at(90))].map(|(d, moment)| (d.to_owned(), moment));
    assert_eq!(case.waiting(at(3)).await, expected);
    let first = case.store.waiting(at(3), 1).await.unwrap();
    assert_eq!((first.len(), &*first[0].0), (1, "soon"));

    let after_the_lapse = case.waiting(at(200)).await;
    assert!(after_the_lapse.iter().any(|(destination, _)| destination == "busy"));
}
