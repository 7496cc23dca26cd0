use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, ToSpan as _};
use proptest::prelude::*;

use super::*;
use crate::event::{Event, EventId};
use crate::integration::IntegrationId;
use crate::store::{AttemptRecord, KeptDelivery, NewDelivery, NodeId, Origin, Remembered};

fn start() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn lease() -> Lease {
    Lease { node: NodeId("here".into()), until: start() + 1.minute() }
}

/// An event with one delivery for each lane. The ids of its deliveries are given.
fn kept(id: &str, deliveries: &[(i64, i64)]) -> Kept {
    let raw = Bytes::from_static(br#"{"object_kind":"push","ref":"refs/heads/main"}"#);
    let event = Event::decode(EventId::new(id).unwrap(), start(), raw).unwrap();
    let delivery = |(id, lane): &(i64, i64)| KeptDelivery {
        id: DeliveryId(*id),
        new: NewDelivery {
            integration: IntegrationId::new("slack"),
            target: id.to_string().into(),
            destination: "hook".into(),
            share: "hook".into(),
            lane: Lane(*lane),
            replaces: false,
            lease: None,
        },
        fate: Fate::Open,
    };
    Kept {
        event: Arc::new(event),
        origin: Origin::Broker { digest: None, redelivered: false },
        remembered: Remembered::default(),
        received_at: start(),
        history: true,
        deliveries: deliveries.iter().map(delivery).collect(),
    }
}

fn settled(id: i64, state: NewState) -> Box<Settled> {
    let (at, note) = (start(), String::new());
    let record = AttemptRecord { at, latency_ms: 1, outcome: "delivered", status: None, note };
    let (end, begin) = (Vec::new(), Vec::new());
    Box::new(Settled { delivery: DeliveryId(id), state, attempts: 1, record, end, begin, watch: None, at })
}

fn delivered(in_hand: &mut InHand, id: i64) -> Vec<String> {
    names(&in_hand.settle(settled(id, NewState::Delivered), &lease()))
}

fn names(kept: &[Kept]) -> Vec<String> {
    kept.iter().map(|kept| kept.event.id.as_str().to_owned()).collect()
}

/// The state of each delivery of an event: `told`, `leased` in memory, or an open `row`.
fn fates(kept: &Kept) -> Vec<&'static str> {
    let fate = |delivery: &KeptDelivery| match (&delivery.fate, &delivery.new.lease) {
        (Fate::Attempted(settled), _) if settled.state == NewState::Delivered => "told",
        (Fate::Open, Some(_)) => "leased",
        (Fate::Attempted(_) | Fate::Open, _) => "row",
    };
    kept.deliveries.iter().map(fate).collect()
}

#[test]
fn an_event_is_kept_when_each_of_its_deliveries_has_a_fate() {
    let mut in_hand = InHand::default();
    in_hand.take(kept("e1", &[(1, 10), (2, 20)]), start());
    assert!(in_hand.contains(DeliveryId(2)));
    assert!(delivered(&mut in_hand, 1).is_empty());
    let done = in_hand.settle(settled(2, NewState::Delivered), &lease());
    assert_eq!(fates(&done[0]), ["told", "told"]);
    assert!(!in_hand.contains(DeliveryId(2)));
    assert_eq!(in_hand.oldest(), None);
}

#[test]
fn a_delivery_that_fails_becomes_a_row_at_once_and_its_siblings_go_on_in_memory() {
    let mut in_hand = InHand::default();
    in_hand.take(kept("e1", &[(1, 10), (2, 20), (3, 30)]), start());
    assert!(delivered(&mut in_hand, 1).is_empty());
    let done = in_hand.settle(settled(2, NewState::Waiting(start())), &lease());
    assert_eq!(fates(&done[0]), ["told", "row", "leased"]);
    assert!(!in_hand.contains(DeliveryId(3)), "it is a row from now on");
}

#[test]
fn earlier_events_of_a_lane_become_rows_before_a_later_one_does() {
    let mut in_hand = InHand::default();
    in_hand.take(kept("e1", &[(1, 10)]), start());
    in_hand.take(kept("e2", &[(2, 10), (3, 20)]), start());
    in_hand.take(kept("other", &[(4, 30)]), start());
    in_hand.take(kept("e3", &[(5, 20)]), start());
    let done = in_hand.release(DeliveryId(5), &lease());
    assert_eq!(names(&done), ["e1", "e2", "e3"], "e3 stands behind e2, which stands behind e1");
    assert_eq!(fates(&done[1]), ["leased", "leased"]);
    assert_eq!(fates(&done[2]), ["row"]);
    assert!(in_hand.contains(DeliveryId(4)));
}

#[test]
fn what_takes_long_becomes_rows_the_oldest_first() {
    let mut in_hand = InHand::default();
    for (n, id) in (1..).zip(["e1", "e2", "e3"]) {
        in_hand.take(kept(id, &[(n, n)]), start() + SignedDuration::from_millis(n));
    }
    assert_eq!(in_hand.oldest(), Some(start() + SignedDuration::from_millis(1)));
    assert_eq!(names(&in_hand.spill_before(start() + SignedDuration::from_millis(1), &lease())), ["e1"]);
    assert_eq!(names(&in_hand.spill_down_to(1, &lease())), ["e2"]);
    assert_eq!(names(&in_hand.spill_lanes(&[Lane(2), Lane(3)], &lease())), ["e3"]);
    assert!(in_hand.spill_event_of(DeliveryId(3), &lease()).is_empty());
}

#[test]
fn an_event_that_holds_up_its_source_becomes_rows_by_its_id() {
    let mut in_hand = InHand::default();
    for (n, id) in (1..).zip(["e1", "e2"]) {
        in_hand.take(kept(id, &[(n, n)]), start());
    }
    let e2 = EventId::new("e2").unwrap();
    assert_eq!(names(&in_hand.spill_event(&e2, &lease())), ["e2"]);
    assert!(in_hand.spill_event(&e2, &lease()).is_empty(), "it has left");
    assert!(in_hand.contains(DeliveryId(1)));
}

#[test]
fn a_delivery_in_hand_that_is_redirected_becomes_a_row_of_its_new_destination() {
    let mut in_hand = InHand::default();
    in_hand.take(kept("e1", &[(1, 10), (2, 20)]), start());
    in_hand.redirect(DeliveryId(2), &"other".into(), &"host".into());
    let done = in_hand.release(DeliveryId(2), &lease());
    let rows: Vec<_> =
        done[0].deliveries.iter().map(|row| (&*row.new.destination, &*row.new.share)).collect();
    assert_eq!(rows, [("hook", "hook"), ("other", "host")]);
}

/// Something that happens to a delivery in hand.
#[derive(Clone, Copy, Debug)]
enum Step {
    Deliver(i64),
    Fail(i64),
    Release(i64),
    Spill(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..40_i64).prop_map(Step::Deliver),
        1 => (0..40_i64).prop_map(Step::Fail),
        1 => (0..40_i64).prop_map(Step::Release),
        1 => (0..20_usize).prop_map(Step::Spill),
    ]
}

proptest! {
    #[test]
    fn each_event_is_kept_once_and_open_rows_of_a_lane_in_order(
        lanes in proptest::collection::vec((0..6_i64, 0..6_i64), 20),
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let mut in_hand = InHand::default();
        for (n, (one, two)) in (0..).zip(&lanes) {
            in_hand.take(kept(&format!("e{n}"), &[(2 * n, *one), (2 * n + 1, 10 + *two)]), start());
        }
        let mut done = Vec::new();
        for step in steps {
            done.extend(match step {
                Step::Deliver(id) => in_hand.settle(settled(id, NewState::Delivered), &lease()),
                Step::Fail(id) => in_hand.settle(settled(id, NewState::Waiting(start())), &lease()),
                Step::Release(id) => in_hand.release(DeliveryId(id), &lease()),
                Step::Spill(most) => in_hand.spill_down_to(most, &lease()),
            });
        }
        done.extend(in_hand.spill_all(&lease()));
        let mut each = names(&done);
        prop_assert_eq!(each.len(), 20);
        each.sort();
        each.dedup();
        prop_assert_eq!(each.len(), 20);
        for lane in (0..6).chain(10..16) {
            let rows = done.iter().flat_map(|kept| &kept.deliveries).filter(|delivery| {
                let told = matches!(&delivery.fate, Fate::Attempted(settled) if settled.state == NewState::Delivered);
                delivery.new.lane == Lane(lane) && !told
            });
            let ids: Vec<_> = rows.map(|delivery| delivery.id).collect();
            prop_assert!(ids.is_sorted(), "rows of lane {} are written in the order {:?}", lane, ids);
        }
    }
}
