use jiff::ToSpan;

use super::*;
use crate::event::EventId;
use crate::integration::IntegrationId;
use crate::pipeline::holds::HoldChange;
use crate::store::{Hold, HoldCause, HoldKey};

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a timestamp")
}

fn bounds() -> Bounds {
    Bounds { concurrency: 100, per_destination: 8, buffer: 16, portion: Portion { rows: 4, bytes: 8 << 10 } }
}

fn scheduler() -> Scheduler {
    Scheduler::new(bounds(), Holds::default())
}

/// Holds a destination until this moment.
fn hold(scheduler: &mut Scheduler, destination: &str, until: Timestamp) -> Vec<Job> {
    begin(scheduler, destination, 1, until);
    scheduler.rest(&key(destination), start())
}

fn begin(scheduler: &Scheduler, destination: &str, strikes: u32, until: Timestamp) {
    let hold = Hold {
        key: HoldKey::Destination(key(destination)),
        cause: HoldCause::Unavailable,
        reason: String::new(),
        since: start(),
        until,
        strikes,
        made_under: None,
    };
    scheduler.holds.apply(&HoldChange { end: Vec::new(), begin: vec![hold] }, start());
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
            replaces: false,
            attempts: 0,
            fresh_since: start(),
            started: false,
            leased: true,
        },
        event: JobEvent::Stored(Arc::new(stored)),
        entered: start(),
        catalog_is_fresh: false,
        holds_are_fresh: false,
        concurrency: 1,
        _permit: None,
    }
}

fn ids(jobs: &[Job]) -> Vec<i64> {
    jobs.iter().map(|job| job.delivery.id.0).collect()
}

/// The attempt under way in this lane leaves the scheduler.
fn finished(scheduler: &mut Scheduler, destination: &str, lane: i64, how: After, now: Timestamp) -> Vec<Job> {
    let (delivery, back) = ended(scheduler, destination, lane, how, now);
    scheduler.written(&key(destination), Lane(lane), delivery, now);
    back
}

/// An attempt ends, and its outcome is not on disk yet.
fn ended(
    scheduler: &mut Scheduler,
    destination: &str,
    lane: i64,
    how: After,
    now: Timestamp,
) -> (DeliveryId, Vec<Job>) {
    let id = scheduler.lanes.busy(Lane(lane)).unwrap_or(DeliveryId(lane));
    let delivery = Delivery { id, ..job(lane, destination, lane).delivery };
    (id, scheduler.end(&delivery, how, now))
}

/// Starts everything that may start.
fn started(scheduler: &mut Scheduler, now: Timestamp) -> Vec<i64> {
    std::iter::from_fn(|| scheduler.next(now)).map(|job| job.delivery.id.0).collect()
}

#[test]
fn a_chat_room_hears_one_thing_at_a_time_in_order() {
    let mut scheduler = scheduler();
    for id in 1..=3 {
        assert!(scheduler.enqueue(job(id, "room", id), start()).is_empty());
    }
    assert_eq!(started(&mut scheduler, start()), [1]);
    finished(&mut scheduler, "room", 1, After::Settled, start());
    assert_eq!(started(&mut scheduler, start()), [2]);
    finished(&mut scheduler, "room", 2, After::Settled, start());
    assert_eq!(started(&mut scheduler, start()), [3]);
}

#[test]
fn a_message_that_fails_again_and_again_does_not_keep_others_from_being_tried() {
    let mut scheduler = scheduler();
    let failed = |id, lane, attempts| {
        let mut job = job(id, "room", lane);
        job.delivery.attempts = attempts;
        job
    };
    for job in [failed(1, 7, 3), failed(2, 8, 1), failed(3, 7, 0), failed(4, 9, 2)] {
        assert!(scheduler.enqueue(job, start()).is_empty());
    }
    begin(&scheduler, "room", 3, start());
    assert_eq!(started(&mut scheduler, start()), [2], "the one that failed least often; 3 stands behind 1");
    finished(&mut scheduler, "room", 8, After::Settled, start());
    assert_eq!(started(&mut scheduler, start()), [4]);
    // When the destination answers again, its messages are sent in order.
    let end = vec![HoldKey::Destination(key("room"))];
    scheduler.holds.apply(&HoldChange { end, begin: Vec::new() }, start());
    finished(&mut scheduler, "room", 9, After::Settled, start());
    assert_eq!(started(&mut scheduler, start()), [1]);
}

#[test]
fn destinations_do_not_wait_for_each_other() {
    let mut scheduler = scheduler();
    for (id, destination) in [(1, "a"), (2, "a"), (3, "b"), (4, "c")] {
        scheduler.enqueue(job(id, destination, id), start());
    }
    assert_eq!(started(&mut scheduler, start()), [1, 3, 4]);
}

#[test]
fn where_several_may_be_under_way_a_lane_is_still_told_in_order() {
    let mut scheduler = scheduler();
    for (id, lane) in [(1, 7), (2, 7), (3, 8)] {
        scheduler.enqueue(Job { concurrency: 4, ..job(id, "relay", lane) }, start());
    }
    assert_eq!(started(&mut scheduler, start()), [1, 3], "2 waits for 1, which is of its lane");
    finished(&mut scheduler, "relay", 7, After::Settled, start());
    assert_eq!(started(&mut scheduler, start()), [2]);
}

#[test]
fn the_next_of_a_lane_starts_only_when_what_became_of_the_one_before_is_on_disk() {
    let mut scheduler = scheduler();
    for (id, lane) in [(1, 7), (2, 7), (3, 8)] {
        scheduler.enqueue(Job { concurrency: 2, ..job(id, "relay", lane) }, start());
    }
    assert_eq!(started(&mut scheduler, start()), [1, 3]);
    let (first, _) = ended(&mut scheduler, "relay", 7, After::Settled, start());
    assert_eq!(scheduler.take_awaited(), [first], "2 waits for it");
    assert_eq!(started(&mut scheduler, start()), [0; 0], "after a crash, 1 would be sent again, after 2");
    ended(&mut scheduler, "relay", 8, After::Settled, start());
    assert_eq!(scheduler.take_awaited(), []);
    scheduler.enqueue(job(4, "relay", 8), start());
    assert_eq!(scheduler.take_awaited(), [DeliveryId(3)], "one that comes later waits too");
    scheduler.written(&key("relay"), Lane(7), first, start());
    assert_eq!(started(&mut scheduler, start()), [2]);
}

#[test]
fn a_failed_destination_gets_one_probe_at_a_time() {
    let mut scheduler = scheduler();
    begin(&scheduler, "relay", 1, start());
    for id in 1..=3 {
        scheduler.enqueue(Job { concurrency: 4, ..job(id, "relay", id) }, start());
    }
    assert_eq!(started(&mut scheduler, start()), [1]);
    let answered = HoldChange { end: vec![HoldKey::Destination(key("relay"))], begin: Vec::new() };
    scheduler.holds.apply(&answered, start());
    finished(&mut scheduler, "relay", 1, After::Settled, start());
    assert_eq!(started(&mut scheduler, start()), [2, 3]);
}

#[test]
fn what_is_later_in_the_lane_of_a_waiting_delivery_goes_back_behind_it() {
    let mut scheduler = scheduler();
    for (id, lane) in [(1, 7), (2, 7), (3, 8)] {
        scheduler.enqueue(job(id, "room", lane), start());
    }
    assert_eq!(started(&mut scheduler, start()), [1]);
    let back = finished(&mut scheduler, "room", 7, After::Waiting(start() + 5.seconds()), start());
    assert_eq!(ids(&back), [2]);
    assert_eq!(started(&mut scheduler, start()), [3], "another subject does not wait");
}

#[test]
fn a_claim_of_another_destination_does_not_pass_a_row_of_its_lane_that_began_to_wait() {
    let mut scheduler = scheduler();
    assert!(scheduler.enqueue(job(5, "former", 7), start()).is_empty());
    assert_eq!(scheduler.next(start()).map(|job| job.delivery.id.0), Some(5));
    scheduler.note_backlog(&key("new"), start(), start());
    assert_eq!(scheduler.take_claims(), [key("new")]);
    // The settings changed: later rows of the lane are bound for the new destination.
    finished(&mut scheduler, "former", 7, After::Waiting(start() + 60.seconds()), start());
    let back = scheduler.claimed(&key("new"), vec![job(9, "new", 7), job(10, "new", 8)], false, start());
    assert_eq!(ids(&back), [9], "it waits behind the other in the store");
    assert_eq!(scheduler.next(start()).map(|job| job.delivery.id.0), Some(10));
}

#[test]
fn while_rows_wait_in_the_store_new_ones_go_behind_them() {
    let mut scheduler = scheduler();
    scheduler.note_backlog(&key("room"), start(), start());
    assert_eq!(scheduler.take_claims(), [key("room")]);
    let back = scheduler.enqueue(job(2, "room", 7), start());
    assert_eq!(back.iter().map(|job| job.delivery.id.0).collect::<Vec<_>>(), [2]);
    // The claim under way can't contain this row, so another claim follows.
    assert!(scheduler.claimed(&key("room"), vec![job(1, "room", 7)], false, start()).is_empty());
    assert_eq!(scheduler.take_claims(), [key("room")]);
    scheduler.claimed(&key("room"), vec![job(2, "room", 7)], false, start());
    assert_eq!(started(&mut scheduler, start()), [1]);
    assert!(scheduler.enqueue(job(3, "room", 7), start()).is_empty(), "nothing waits in the store any more");
}

#[test]
fn a_claim_that_crossed_with_a_failure_brings_nothing_out_of_order() {
    let mut scheduler = scheduler();
    scheduler.enqueue(job(1, "room", 7), start());
    assert_eq!(started(&mut scheduler, start()), [1]);
    scheduler.note_backlog(&key("room"), start(), start());
    assert_eq!(scheduler.take_claims(), [key("room")]);
    // 1 fails while the claim is under way; the claim brings 2, of the same lane, and 3, of another.
    finished(&mut scheduler, "room", 7, After::Waiting(start() + 5.seconds()), start());
    let back = scheduler.claimed(&key("room"), vec![job(2, "room", 7), job(3, "room", 8)], true, start());
    assert_eq!(ids(&back), [2]);
    assert_eq!(started(&mut scheduler, start()), [3]);
}

#[test]
fn a_held_destination_rests_and_is_claimed_when_the_hold_ends() {
    let mut scheduler = scheduler();
    for id in 1..=2 {
        scheduler.enqueue(job(id, "room", id), start());
    }
    let until = start() + 60.seconds();
    assert_eq!(ids(&hold(&mut scheduler, "room", until)), [1, 2], "a long rest frees the memory");
    assert!(started(&mut scheduler, start() + 59.seconds()).is_empty());
    assert!(scheduler.take_claims().is_empty(), "nothing is claimed for a destination that rests");
    assert!(scheduler.wake().is_some_and(|at| at <= until));
    assert!(started(&mut scheduler, until).is_empty());
    assert_eq!(scheduler.take_claims(), [key("room")]);
}

#[test]
fn a_short_hold_keeps_its_jobs_and_a_shorter_one_does_not_end_a_longer() {
    let mut scheduler = scheduler();
    scheduler.enqueue(job(1, "room", 1), start());
    assert!(hold(&mut scheduler, "room", start() + 3.seconds()).is_empty());
    assert!(hold(&mut scheduler, "room", start() + 1.seconds()).is_empty());
    assert!(started(&mut scheduler, start() + 2.seconds()).is_empty());
    assert_eq!(started(&mut scheduler, start() + 3.seconds()), [1]);
}

#[test]
fn a_hold_that_ends_early_is_followed_by_a_claim_of_its_destination_alone() {
    let mut scheduler = scheduler();
    scheduler.enqueue(job(1, "room", 1), start());
    hold(&mut scheduler, "room", start() + 3.hours());
    hold(&mut scheduler, "other", start() + 3.hours());
    scheduler.note_backlog(&key("other"), start(), start());
    let ended = HoldChange { end: vec![HoldKey::Destination(key("room"))], begin: Vec::new() };
    scheduler.holds.apply(&ended, start());
    scheduler.resume(&key("room"), start());
    assert_eq!(scheduler.take_claims(), [key("room")]);
}

#[test]
fn the_pace_delays_a_job_without_losing_its_turn() {
    let mut scheduler = scheduler();
    for id in 1..=2 {
        scheduler.enqueue(job(id, "room", id), start());
    }
    let first = scheduler.next(start()).expect("a job");
    scheduler.defer(first, start() + 1.seconds(), start());
    assert!(started(&mut scheduler, start()).is_empty());
    assert_eq!(scheduler.wake(), Some(start() + 1.seconds()));
    assert_eq!(started(&mut scheduler, start() + 1.seconds()), [1]);
}

#[test]
fn what_waits_for_a_far_moment_is_considered_anew_when_the_clock_stepped_back() {
    let mut scheduler = scheduler();
    scheduler.enqueue(job(1, "room", 1), start());
    let first = scheduler.next(start()).expect("a job");
    scheduler.defer(first, start() + 1.seconds(), start());
    let earlier = start() - 24.hours();
    assert!(started(&mut scheduler, earlier).is_empty(), "it would wait for a day");
    scheduler.clock_stepped(earlier);
    assert_eq!(started(&mut scheduler, earlier), [1]);
}

#[test]
fn a_long_wait_by_the_pace_frees_the_memory_and_is_filled_up_no_more() {
    let mut scheduler = scheduler();
    for id in 1..=2 {
        scheduler.enqueue(job(id, "room", id), start());
    }
    let until = start() + 60.seconds();
    assert_eq!(ids(&scheduler.rest_by_pace(&key("room"), until, start())), [1, 2]);
    assert!(started(&mut scheduler, start() + 59.seconds()).is_empty());
    assert!(scheduler.take_claims().is_empty());
    assert!(started(&mut scheduler, until).is_empty());
    assert_eq!(scheduler.take_claims(), [key("room")]);
}

#[test]
fn memory_is_bounded_per_destination() {
    let mut scheduler = scheduler();
    let back = (1..=20).flat_map(|id| scheduler.enqueue(job(id, "room", id), start()));
    assert_eq!(back.count(), 12, "eight are kept");
}

#[test]
fn attempts_under_way_are_bounded_over_all() {
    let mut scheduler = Scheduler::new(Bounds { concurrency: 2, ..bounds() }, Holds::default());
    for id in 1..=3 {
        scheduler.enqueue(job(id, &format!("room {id}"), id), start());
    }
    assert_eq!(started(&mut scheduler, start()).len(), 2);
    finished(&mut scheduler, "room 1", 1, After::Settled, start());
    assert_eq!(started(&mut scheduler, start()), [3]);
}

#[test]
fn a_delivery_that_keeps_failing_steps_aside_for_its_neighbours() {
    let mut scheduler = scheduler();
    scheduler.enqueue(job(1, "room", 1), start());
    scheduler.enqueue(job(2, "room", 2), start());
    assert_eq!(started(&mut scheduler, start()), [1]);
    finished(&mut scheduler, "room", 1, After::Waiting(start() + 1.hours()), start());
    assert_eq!(started(&mut scheduler, start()), [2]);
    finished(&mut scheduler, "room", 2, After::Settled, start());
    scheduler.note_backlog(&key("room"), start(), start());
    assert_eq!(scheduler.take_claims(), [key("room")]);
    scheduler.claimed(&key("room"), vec![job(3, "room", 3)], true, start());
    assert_eq!(started(&mut scheduler, start()), [3], "3 is told while 1 waits");
}

#[test]
fn a_destination_at_rest_is_forgotten_when_nothing_is_left_of_it() {
    let mut scheduler = scheduler();
    scheduler.enqueue(job(1, "room", 1), start());
    started(&mut scheduler, start());
    finished(&mut scheduler, "room", 1, After::Settled, start());
    assert!(scheduler.destinations.is_empty());
    assert_eq!(scheduler.in_flight(), 0);
}

#[test]
fn stopping_gives_back_what_was_not_started() {
    let mut scheduler = scheduler();
    for id in 1..=3 {
        scheduler.enqueue(job(id, "room", id), start());
    }
    assert_eq!(started(&mut scheduler, start()), [1]);
    assert_eq!(scheduler.drain(), [DeliveryId(2), DeliveryId(3)]);
    assert_eq!(scheduler.in_flight(), 1);
}

/// A job of an event of so many bytes.
fn large(bytes: usize, job: Job) -> Job {
    let event = EventId::new("large").expect("an id");
    let stored = StoredEvent { id: event, occurred_at: start(), raw: vec![b' '; bytes].into() };
    Job { event: JobEvent::Stored(Arc::new(stored)), ..job }
}

#[test]
fn a_large_event_takes_the_room_of_many_until_its_attempt_begins() {
    let mut scheduler = Scheduler::new(
        Bounds { portion: Portion { rows: 4, bytes: 4 * PERMIT_BYTES }, ..bounds() },
        Holds::default(),
    );
    let rooms = [key("a"), key("b"), key("c")];
    for room in &rooms {
        scheduler.note_backlog(room, start(), start());
    }
    assert_eq!(scheduler.take_claims(), rooms[..2], "two claims of eight places fill the memory of sixteen");
    scheduler.claimed(&rooms[0], vec![large(16 * PERMIT_BYTES - 3, job(1, "a", 1))], false, start());
    scheduler.claimed(&rooms[1], vec![], false, start());
    assert_eq!(scheduler.queued, 16);
    assert_eq!(
        scheduler.take_claims(),
        rooms[2..],
        "where nothing is under way there is always room for one"
    );
    scheduler.note_backlog(&key("d"), start(), start());
    scheduler.claimed(&rooms[2], vec![job(2, "c", 2)], false, start());
    assert_eq!(scheduler.queued, 17);
    assert_eq!(started(&mut scheduler, start()), [1, 2]);
    assert_eq!(scheduler.queued, 0);
    assert_eq!(scheduler.take_claims(), [key("d")]);
}

#[test]
fn whatever_becomes_of_large_events_their_room_is_free_again() {
    let mut scheduler = scheduler();
    let fill = |scheduler: &mut Scheduler| {
        for id in 1..=3 {
            assert!(scheduler.enqueue(large(PERMIT_BYTES + 1, job(id, "room", 7)), start()).is_empty());
        }
        assert_eq!(scheduler.queued, 6);
    };
    fill(&mut scheduler);
    let first = scheduler.next(start()).expect("a job");
    scheduler.defer(first, start() + 1.seconds(), start());
    assert_eq!(scheduler.queued, 6, "it is back in its place");
    assert_eq!(hold(&mut scheduler, "room", start() + 1.hours()).len(), 3);
    assert_eq!(scheduler.queued, 0, "given back, since the service wants rest");

    let mut scheduler = self::scheduler();
    fill(&mut scheduler);
    scheduler.forget(&[DeliveryId(2), DeliveryId(3)], start());
    assert_eq!(scheduler.queued, 2, "another node has them");

    let mut scheduler = self::scheduler();
    fill(&mut scheduler);
    assert_eq!(started(&mut scheduler, start()), [1]);
    assert_eq!(finished(&mut scheduler, "room", 7, After::Waiting(start() + 5.seconds()), start()).len(), 2);
    assert_eq!(scheduler.queued, 0, "given back, behind one that waits");
}

#[test]
fn a_claim_that_a_large_event_filled_is_followed_by_another() {
    let mut scheduler = scheduler();
    scheduler.note_backlog(&key("room"), start(), start());
    assert_eq!(scheduler.take_claims(), [key("room")]);
    scheduler.claimed(&key("room"), vec![large(8 << 10, job(1, "room", 1))], true, start());
    assert_eq!(started(&mut scheduler, start()), [1]);
    assert_eq!(scheduler.take_claims(), [key("room")]);
}

#[test]
fn claims_bring_no_more_than_there_is_room_for_and_every_destination_gets_its_turn() {
    let mut scheduler = scheduler();
    let rooms: Vec<_> = (0..10).map(|n| key(&format!("room {n}"))).collect();
    for room in &rooms {
        scheduler.note_backlog(room, start(), start());
    }
    let first = scheduler.take_claims();
    assert_eq!(first, rooms[..4], "four claims of four rows fill the memory of sixteen");
    assert!(scheduler.take_claims().is_empty());
    let rows = (1..=4).map(|id| job(id, "room 0", id)).collect();
    scheduler.claimed(&rooms[0], rows, false, start());
    assert!(scheduler.take_claims().is_empty(), "what the claim brought takes its room");
    assert_eq!(started(&mut scheduler, start()), [1]);
    scheduler.claimed(&rooms[1], Vec::new(), false, start());
    assert_eq!(scheduler.take_claims(), rooms[4..5], "an empty claim leaves room for the next in turn");
}

#[test]
fn a_row_that_the_store_hands_out_once_more_is_not_taken_twice() {
    let mut scheduler = scheduler();
    scheduler.enqueue(job(1, "room", 1), start());
    scheduler.enqueue(job(2, "room", 2), start());
    assert_eq!(started(&mut scheduler, start()), [1]);
    scheduler.note_backlog(&key("room"), start(), start());
    scheduler.take_claims();
    scheduler.claimed(
        &key("room"),
        vec![job(1, "room", 1), job(2, "room", 2), job(3, "room", 3)],
        false,
        start(),
    );
    finished(&mut scheduler, "room", 1, After::Settled, start());
    assert_eq!(started(&mut scheduler, start()), [2]);
    finished(&mut scheduler, "room", 2, After::Settled, start());
    assert_eq!(started(&mut scheduler, start()), [3]);
}

fn replacing(id: i64, lane: i64) -> Job {
    let job = job(id, "room", lane);
    Job { delivery: Delivery { replaces: true, ..job.delivery.clone() }, ..job }
}

#[test]
fn a_job_that_replaces_sends_queued_ones_of_its_lane_back() {
    let mut scheduler = scheduler();
    scheduler.enqueue(job(1, "room", 7), start());
    assert_eq!(started(&mut scheduler, start()), [1]);
    scheduler.enqueue(job(2, "room", 7), start());
    scheduler.enqueue(job(3, "room", 8), start());
    let back = scheduler.enqueue(replacing(4, 7), start());
    assert_eq!(ids(&back), [2], "what is under way ends");
    let back = scheduler.claimed(&key("room"), vec![replacing(5, 8)], false, start());
    assert_eq!(ids(&back), [3]);
}

#[test]
fn a_row_that_replaces_and_stays_in_the_store_sends_queued_ones_of_its_lane_back() {
    let mut scheduler = scheduler();
    for (id, lane) in [(1, 7), (2, 7), (3, 8)] {
        scheduler.enqueue(job(id, "room", lane), start());
    }
    assert_eq!(started(&mut scheduler, start()), [1]);
    let back = scheduler.note_written(&job(4, "room", 8).delivery, start());
    assert!(back.is_empty(), "it replaces nothing");
    let back = scheduler.note_written(&replacing(5, 7).delivery, start());
    assert_eq!(ids(&back), [2], "what is under way ends");
    assert_eq!(scheduler.take_claims(), [key("room")], "the new row is claimed");
}

#[test]
fn what_a_claim_under_way_brings_goes_back_where_a_newer_row_replaces_it() {
    let mut scheduler = scheduler();
    scheduler.note_backlog(&key("room"), start(), start());
    assert_eq!(scheduler.take_claims(), [key("room")]);
    scheduler.note_written(&replacing(3, 7).delivery, start());
    let back = scheduler.claimed(&key("room"), vec![job(1, "room", 7), job(2, "room", 8)], false, start());
    assert_eq!(ids(&back), [1]);
    assert_eq!(started(&mut scheduler, start()), [2]);
    assert_eq!(scheduler.take_claims(), [key("room")], "the newer row is claimed");

    scheduler.claimed(&key("room"), vec![replacing(3, 7)], false, start());
    finished(&mut scheduler, "room", 8, After::Settled, start());
    assert_eq!(started(&mut scheduler, start()), [3]);
}

#[test]
fn rows_of_a_lane_that_are_bound_for_two_destinations_go_in_their_order() {
    let mut scheduler = scheduler();
    // The webhook was changed between the first two rows.
    for job in [job(2, "new", 7), job(1, "old", 7), job(3, "new", 8)] {
        assert!(scheduler.enqueue(job, start()).is_empty());
    }
    assert_eq!(started(&mut scheduler, start()), [3, 1], "2 stands behind 1");
    finished(&mut scheduler, "new", 8, After::Settled, start());
    assert!(started(&mut scheduler, start()).is_empty());
    let (first, _) = ended(&mut scheduler, "old", 7, After::Settled, start());
    assert!(started(&mut scheduler, start()).is_empty(), "what became of 1 is not on disk");
    scheduler.written(&key("old"), Lane(7), first, start());
    assert_eq!(started(&mut scheduler, start()), [2]);
}

#[test]
fn a_job_that_is_redirected_goes_before_later_ones_of_its_lane_and_as_the_other_destination_permits() {
    let mut scheduler = scheduler();
    for job in [job(1, "old", 7), job(2, "old", 8), job(3, "new", 7)] {
        assert!(scheduler.enqueue(job, start()).is_empty());
    }
    let redirected = |mut job: Job| {
        job.delivery.destination = key("new");
        job
    };
    let first = scheduler.next(start()).expect("1 is the next");
    assert!(scheduler.redirect(redirected(first), &key("old"), start()).is_empty());
    let second = scheduler.next(start()).expect("2 is the next at the former destination");
    assert_eq!(second.delivery.id.0, 2);
    assert!(scheduler.redirect(redirected(second), &key("old"), start()).is_empty());
    assert_eq!(started(&mut scheduler, start()), [1], "one attempt at a time, as the destination permits");
    finished(&mut scheduler, "new", 7, After::Settled, start());
    assert_eq!(started(&mut scheduler, start()), [2]);
    finished(&mut scheduler, "new", 8, After::Settled, start());
    assert_eq!(started(&mut scheduler, start()), [3]);
}

#[test]
fn a_job_that_is_redirected_to_a_destination_that_rests_goes_back_with_those_behind_it() {
    let mut scheduler = scheduler();
    for job in [job(1, "old", 7), job(2, "old", 7), job(3, "old", 8)] {
        assert!(scheduler.enqueue(job, start()).is_empty());
    }
    hold(&mut scheduler, "new", start() + 1.minute());
    let mut first = scheduler.next(start()).expect("1 is the next");
    first.delivery.destination = key("new");
    assert_eq!(ids(&scheduler.redirect(first, &key("old"), start())), [1, 2]);
    assert_eq!(started(&mut scheduler, start()), [3]);
    assert!(scheduler.has_backlog(&key("new")));
}

#[test]
fn a_job_that_waits_takes_the_later_ones_of_its_lane_back_whatever_their_destinations() {
    let mut scheduler = scheduler();
    for job in [job(1, "old", 7), job(2, "new", 7), job(3, "new", 8)] {
        assert!(scheduler.enqueue(job, start()).is_empty());
    }
    assert_eq!(started(&mut scheduler, start()), [1, 3]);
    let back = finished(&mut scheduler, "old", 7, After::Waiting(start() + 1.minute()), start());
    assert_eq!(ids(&back), [2]);
    assert!(scheduler.has_backlog(&key("new")), "what is written for it stands behind");
    let mut scheduler = self::scheduler();
    for job in [job(1, "old", 7), job(2, "new", 7)] {
        assert!(scheduler.enqueue(job, start()).is_empty());
    }
    assert_eq!(ids(&hold(&mut scheduler, "old", start() + 1.minute())), [1, 2], "a rest takes them back too");
}

/// Something that happens to jobs of two destinations that share their lanes.
#[derive(Clone, Copy, Debug)]
enum Step {
    Enqueue { lane: i64, is_new: bool },
    Start,
    Redirect,
    Settle,
    Wait,
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    use proptest::prelude::*;
    prop_oneof![
        4 => (0..3_i64, any::<bool>()).prop_map(|(lane, is_new)| Step::Enqueue { lane, is_new }),
        3 => Just(Step::Start),
        1 => Just(Step::Redirect),
        2 => Just(Step::Settle),
        1 => Just(Step::Wait),
    ]
}

/// The attempts that were started, and the jobs that went back.
#[derive(Default)]
struct Course {
    jobs: i64,
    running: VecDeque<Job>,
    started: Vec<(Lane, DeliveryId)>,
    back: Vec<DeliveryId>,
}

impl Course {
    fn take(&mut self, scheduler: &mut Scheduler, step: Step) {
        let back = match step {
            Step::Enqueue { lane, is_new } => {
                self.jobs += 1;
                scheduler.enqueue(job(self.jobs, if is_new { "new" } else { "old" }, lane), start())
            }
            Step::Start => {
                if let Some(job) = scheduler.next(start()) {
                    assert!(self.running.iter().all(|other| other.delivery.lane != job.delivery.lane));
                    self.started.push((job.delivery.lane, job.delivery.id));
                    self.running.push_back(job);
                }
                Vec::new()
            }
            Step::Redirect => match scheduler.next(start()) {
                Some(mut job) => {
                    let former = std::mem::replace(&mut job.delivery.destination, key("new"));
                    scheduler.redirect(job, &former, start())
                }
                None => Vec::new(),
            },
            Step::Settle => self.end(scheduler, After::Settled),
            Step::Wait => self.end(scheduler, After::Waiting(start() + 1.hour())),
        };
        self.back.extend(back.iter().map(|job| job.delivery.id));
    }

    fn end(&mut self, scheduler: &mut Scheduler, how: After) -> Vec<Job> {
        let Some(Job { delivery, .. }) = self.running.pop_front() else { return Vec::new() };
        let back = scheduler.end(&delivery, how, start());
        scheduler.written(&delivery.destination, delivery.lane, delivery.id, start());
        back
    }
}

proptest::proptest! {
    #[test]
    fn whatever_the_destinations_each_job_starts_once_in_the_order_of_its_lane_or_goes_back(
        steps in proptest::collection::vec(step(), 0..60)
    ) {
        let (mut scheduler, mut course) = (scheduler(), Course::default());
        for step in steps {
            course.take(&mut scheduler, step);
        }
        for _ in 0..=2 * course.jobs {
            course.take(&mut scheduler, Step::Start);
            course.take(&mut scheduler, Step::Settle);
        }
        for lane in (0..3).map(Lane) {
            let of_lane = course.started.iter().filter(|(of, _)| *of == lane).map(|(_, id)| id);
            proptest::prop_assert!(of_lane.is_sorted());
        }
        let mut all: Vec<_> = course.started.iter().map(|(_, id)| *id).chain(course.back).collect();
        all.sort();
        proptest::prop_assert!(all.into_iter().eq((1..=course.jobs).map(DeliveryId)), "none is stuck or doubled");
    }
}
