use jiff::ToSpan;

use super::*;
use crate::event::EventId;
use crate::integration::IntegrationId;

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a timestamp")
}

fn bounds() -> Bounds {
    Bounds {
        concurrency: 100,
        per_destination: 8,
        in_memory: 16,
        portion: Portion { rows: 4, bytes: 8 << 10 },
    }
}

fn board() -> Board {
    Board::new(bounds())
}

fn key(name: &str) -> DestinationKey {
    name.into()
}

/// A job for a chat service: one attempt at a time.
fn job(id: i64, destination: &str, lane: i64) -> Job {
    let event = EventId::new(&format!("event-{id}")).expect("an id");
    let stored = StoredEvent { id: event.clone(), occurred_at: start(), raw: "{}".into() };
    Job {
        delivery: Delivery {
            id: DeliveryId(id),
            event,
            integration: IntegrationId::new("acme/rocket:slack"),
            target: "".into(),
            destination: key(destination),
            lane: Lane(lane),
            attempts: 0,
            fresh_since: start(),
            leased: true,
        },
        event: JobEvent::Stored(Arc::new(stored)),
        entered: start(),
        certain: false,
        concurrency: 1,
        _place: None,
    }
}

fn ids(jobs: &[Job]) -> Vec<i64> {
    jobs.iter().map(|job| job.delivery.id.0).collect()
}

/// The attempt that is under way in this lane leaves.
fn left(board: &mut Board, destination: &str, lane: i64, how: Left, now: Timestamp) -> Vec<Job> {
    let delivery = job(lane, destination, lane).delivery;
    board.left(&delivery, how, now)
}

/// Starts everything that may start.
fn started(board: &mut Board, now: Timestamp) -> Vec<i64> {
    std::iter::from_fn(|| board.next(now)).map(|job| job.delivery.id.0).collect()
}

#[test]
fn a_chat_room_hears_one_thing_at_a_time_in_order() {
    let mut board = board();
    for id in 1..=3 {
        assert!(board.hand(job(id, "room", id), start()).is_none());
    }
    assert_eq!(started(&mut board, start()), [1]);
    left(&mut board, "room", 1, Left::Settled, start());
    assert_eq!(started(&mut board, start()), [2]);
    left(&mut board, "room", 2, Left::Settled, start());
    assert_eq!(started(&mut board, start()), [3]);
}

#[test]
fn destinations_do_not_wait_for_each_other() {
    let mut board = board();
    for (id, destination) in [(1, "a"), (2, "a"), (3, "b"), (4, "c")] {
        board.hand(job(id, destination, id), start());
    }
    assert_eq!(started(&mut board, start()), [1, 3, 4]);
}

#[test]
fn where_several_may_be_under_way_a_lane_is_still_told_in_order() {
    let mut board = board();
    for (id, lane) in [(1, 7), (2, 7), (3, 8)] {
        board.hand(Job { concurrency: 4, ..job(id, "relay", lane) }, start());
    }
    assert_eq!(started(&mut board, start()), [1, 3], "2 waits for 1, which is of its lane");
    left(&mut board, "relay", 7, Left::Settled, start());
    assert_eq!(started(&mut board, start()), [2]);
}

#[test]
fn a_failed_destination_gets_one_probe_at_a_time() {
    let mut board = board();
    board.strike(&key("relay"));
    for id in 1..=3 {
        board.hand(Job { concurrency: 4, ..job(id, "relay", id) }, start());
    }
    assert_eq!(started(&mut board, start()), [1]);
    board.answers(&key("relay"));
    left(&mut board, "relay", 1, Left::Settled, start());
    assert_eq!(started(&mut board, start()), [2, 3]);
}

#[test]
fn what_is_later_in_the_lane_of_a_waiting_delivery_goes_back_behind_it() {
    let mut board = board();
    for (id, lane) in [(1, 7), (2, 7), (3, 8)] {
        board.hand(job(id, "room", lane), start());
    }
    assert_eq!(started(&mut board, start()), [1]);
    let back = left(&mut board, "room", 7, Left::Waits(start() + 5.seconds()), start());
    assert_eq!(ids(&back), [2]);
    assert_eq!(started(&mut board, start()), [3], "another subject does not wait");
}

#[test]
fn while_rows_wait_in_the_store_new_ones_go_behind_them() {
    let mut board = board();
    board.stored(&key("room"), start(), start());
    assert_eq!(board.take_claims(), [key("room")]);
    let back = board.hand(job(2, "room", 7), start());
    assert_eq!(back.map(|job| job.delivery.id.0), Some(2));
    // The claim under way cannot know of it: another one follows.
    assert!(board.claimed(&key("room"), vec![job(1, "room", 7)], false, start()).is_empty());
    assert_eq!(board.take_claims(), [key("room")]);
    board.claimed(&key("room"), vec![job(2, "room", 7)], false, start());
    assert_eq!(started(&mut board, start()), [1]);
    assert!(board.hand(job(3, "room", 7), start()).is_none(), "nothing waits in the store any more");
}

#[test]
fn a_claim_that_crossed_with_a_failure_brings_nothing_out_of_order() {
    let mut board = board();
    board.hand(job(1, "room", 7), start());
    assert_eq!(started(&mut board, start()), [1]);
    board.stored(&key("room"), start(), start());
    assert_eq!(board.take_claims(), [key("room")]);
    // 1 fails while the claim is under way; the claim brings 2, of the same lane, and 3, of another.
    left(&mut board, "room", 7, Left::Waits(start() + 5.seconds()), start());
    let back = board.claimed(&key("room"), vec![job(2, "room", 7), job(3, "room", 8)], true, start());
    assert_eq!(ids(&back), [2]);
    assert_eq!(started(&mut board, start()), [3]);
}

#[test]
fn a_held_destination_rests_and_is_claimed_when_the_hold_ends() {
    let mut board = board();
    for id in 1..=2 {
        board.hand(job(id, "room", id), start());
    }
    let until = start() + 60.seconds();
    assert_eq!(ids(&board.hold(&key("room"), until, start())), [1, 2], "a long rest frees the memory");
    assert!(started(&mut board, start() + 59.seconds()).is_empty());
    assert!(board.take_claims().is_empty(), "nothing is claimed for a destination that rests");
    assert!(board.wake().is_some_and(|at| at <= until));
    assert!(started(&mut board, until).is_empty());
    assert_eq!(board.take_claims(), [key("room")]);
}

#[test]
fn a_short_hold_keeps_its_jobs_and_a_shorter_one_does_not_end_a_longer() {
    let mut board = board();
    board.hand(job(1, "room", 1), start());
    assert!(board.hold(&key("room"), start() + 3.seconds(), start()).is_empty());
    assert!(board.hold(&key("room"), start() + 1.seconds(), start()).is_empty());
    assert!(started(&mut board, start() + 2.seconds()).is_empty());
    assert_eq!(started(&mut board, start() + 3.seconds()), [1]);
}

#[test]
fn changed_settings_end_every_rest() {
    let mut board = board();
    board.hand(job(1, "room", 1), start());
    board.hold(&key("room"), start() + 3.hours(), start());
    board.lift_all(start());
    assert_eq!(board.take_claims(), [key("room")]);
}

#[test]
fn the_pace_delays_a_job_without_losing_its_turn() {
    let mut board = board();
    for id in 1..=2 {
        board.hand(job(id, "room", id), start());
    }
    let first = board.next(start()).expect("a job");
    board.paced(first, start() + 1.seconds(), start());
    assert!(started(&mut board, start()).is_empty());
    assert_eq!(board.wake(), Some(start() + 1.seconds()));
    assert_eq!(started(&mut board, start() + 1.seconds()), [1]);
}

#[test]
fn memory_is_bounded_per_destination() {
    let mut board = board();
    let back = (1..=20).filter_map(|id| board.hand(job(id, "room", id), start()));
    assert_eq!(back.count(), 12, "eight are kept");
}

#[test]
fn attempts_under_way_are_bounded_over_all() {
    let mut board = Board::new(Bounds { concurrency: 2, ..bounds() });
    for id in 1..=3 {
        board.hand(job(id, &format!("room {id}"), id), start());
    }
    assert_eq!(started(&mut board, start()).len(), 2);
    left(&mut board, "room 1", 1, Left::Settled, start());
    assert_eq!(started(&mut board, start()), [3]);
}

#[test]
fn a_delivery_that_keeps_failing_steps_aside_for_its_neighbours() {
    let mut board = board();
    board.hand(job(1, "room", 1), start());
    board.hand(job(2, "room", 2), start());
    assert_eq!(started(&mut board, start()), [1]);
    left(&mut board, "room", 1, Left::Waits(start() + 1.hours()), start());
    assert_eq!(started(&mut board, start()), [2]);
    left(&mut board, "room", 2, Left::Settled, start());
    board.stored(&key("room"), start(), start());
    assert_eq!(board.take_claims(), [key("room")]);
    board.claimed(&key("room"), vec![job(3, "room", 3)], true, start());
    assert_eq!(started(&mut board, start()), [3], "3 is told while 1 waits");
}

#[test]
fn a_destination_at_rest_is_forgotten_when_nothing_is_left_of_it() {
    let mut board = board();
    board.hand(job(1, "room", 1), start());
    started(&mut board, start());
    left(&mut board, "room", 1, Left::Settled, start());
    assert!(board.destinations.is_empty());
    assert_eq!(board.in_flight(), 0);
}

#[test]
fn stopping_gives_back_what_was_not_started() {
    let mut board = board();
    for id in 1..=3 {
        board.hand(job(id, "room", id), start());
    }
    assert_eq!(started(&mut board, start()), [1]);
    assert_eq!(board.drain(), [DeliveryId(2), DeliveryId(3)]);
    assert_eq!(board.in_flight(), 1);
}

/// A job of an event of so many bytes.
fn large(bytes: usize, job: Job) -> Job {
    let event = EventId::new("large").expect("an id");
    let stored = StoredEvent { id: event, occurred_at: start(), raw: vec![b' '; bytes].into() };
    Job { event: JobEvent::Stored(Arc::new(stored)), ..job }
}

#[test]
fn a_large_event_takes_the_room_of_many_until_its_attempt_begins() {
    let mut board = Board::new(Bounds { portion: Portion { rows: 4, bytes: 4 * PLACE }, ..bounds() });
    let rooms = [key("a"), key("b"), key("c")];
    for room in &rooms {
        board.stored(room, start(), start());
    }
    assert_eq!(board.take_claims(), rooms[..2], "two claims of eight places fill the memory of sixteen");
    board.claimed(&rooms[0], vec![large(16 * PLACE - 3, job(1, "a", 1))], false, start());
    board.claimed(&rooms[1], vec![], false, start());
    assert_eq!(board.queued, 16);
    assert_eq!(board.take_claims(), rooms[2..], "where nothing is under way there is always room for one");
    board.stored(&key("d"), start(), start());
    board.claimed(&rooms[2], vec![job(2, "c", 2)], false, start());
    assert_eq!(board.queued, 17);
    assert_eq!(started(&mut board, start()), [1, 2]);
    assert_eq!(board.queued, 0);
    assert_eq!(board.take_claims(), [key("d")]);
}

#[test]
fn whatever_becomes_of_large_events_their_room_is_free_again() {
    let mut board = board();
    let fill = |board: &mut Board| {
        for id in 1..=3 {
            assert!(board.hand(large(PLACE + 1, job(id, "room", 7)), start()).is_none());
        }
        assert_eq!(board.queued, 6);
    };
    fill(&mut board);
    let first = board.next(start()).expect("a job");
    board.paced(first, start() + 1.seconds(), start());
    assert_eq!(board.queued, 6, "it is back in its place");
    assert_eq!(board.hold(&key("room"), start() + 1.hours(), start()).len(), 3);
    assert_eq!(board.queued, 0, "given back, since the service wants rest");

    let mut board = self::board();
    fill(&mut board);
    board.forget(&[DeliveryId(2), DeliveryId(3)], start());
    assert_eq!(board.queued, 2, "another node has them");

    let mut board = self::board();
    fill(&mut board);
    assert_eq!(started(&mut board, start()), [1]);
    assert_eq!(left(&mut board, "room", 7, Left::Waits(start() + 5.seconds()), start()).len(), 2);
    assert_eq!(board.queued, 0, "given back, behind one that waits");
}

#[test]
fn a_claim_that_a_large_event_filled_is_followed_by_another() {
    let mut board = board();
    board.stored(&key("room"), start(), start());
    assert_eq!(board.take_claims(), [key("room")]);
    board.claimed(&key("room"), vec![large(8 << 10, job(1, "room", 1))], true, start());
    assert_eq!(started(&mut board, start()), [1]);
    assert_eq!(board.take_claims(), [key("room")]);
}

#[test]
fn claims_bring_no_more_than_there_is_room_for_and_every_destination_gets_its_turn() {
    let mut board = board();
    let rooms: Vec<_> = (0..10).map(|n| key(&format!("room {n}"))).collect();
    for room in &rooms {
        board.stored(room, start(), start());
    }
    let first = board.take_claims();
    assert_eq!(first, rooms[..4], "four claims of four rows fill the memory of sixteen");
    assert!(board.take_claims().is_empty());
    let rows = (1..=4).map(|id| job(id, "room 0", id)).collect();
    board.claimed(&rooms[0], rows, false, start());
    assert!(board.take_claims().is_empty(), "what the claim brought takes its room");
    assert_eq!(started(&mut board, start()), [1]);
    board.claimed(&rooms[1], Vec::new(), false, start());
    assert_eq!(board.take_claims(), rooms[4..5], "an empty claim leaves room for the next in turn");
}

#[test]
fn a_row_that_the_store_hands_out_once_more_is_not_taken_twice() {
    let mut board = board();
    board.hand(job(1, "room", 1), start());
    board.hand(job(2, "room", 2), start());
    assert_eq!(started(&mut board, start()), [1]);
    board.stored(&key("room"), start(), start());
    board.take_claims();
    board.claimed(
        &key("room"),
        vec![job(1, "room", 1), job(2, "room", 2), job(3, "room", 3)],
        false,
        start(),
    );
    left(&mut board, "room", 1, Left::Settled, start());
    assert_eq!(started(&mut board, start()), [2]);
    left(&mut board, "room", 2, Left::Settled, start());
    assert_eq!(started(&mut board, start()), [3]);
}
