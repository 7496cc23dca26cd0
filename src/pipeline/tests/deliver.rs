//! Events in hand during a stop, a step of the clock or a change of the settings.

use super::*;
use crate::pipeline::deliver::Fresh;
use crate::pipeline::dispatch::{Plan, Planning, plan};
use crate::store::{
    EventFilter, EventRecords as _, Fate, FirstAttempts as _, Kept, KeptDelivery, LogLine, LoggedEvent,
    Remembered,
};

impl Pipeline {
    /// Hands a push over before it has rows.
    fn hand_over(&self, id: &str, branch: &str) {
        let holds = self.attempts.holds.snapshot();
        let planning = Planning { source: "test", holds: &holds, pauses: PAUSES, log: false, now: now() };
        let plan = plan(push(id, branch, 1), &*self.settings, planning);
        let Plan::Deliver { dispatched, received_at, .. } = plan else { panic!("no integration wants it") };
        let permit = |_: &_| self.handle.memory_permit(1).unwrap();
        let permits = dispatched.deliveries.iter().map(permit).collect();
        let kept = |new| KeptDelivery { id: self.store.next_id(), new, fate: Fate::Open };
        let kept = Kept {
            event: dispatched.event,
            origin: dispatched.origin,
            remembered: Remembered::default(),
            received_at,
            history: true,
            deliveries: dispatched.deliveries.into_iter().map(kept).collect(),
        };
        self.handle.hand_over(vec![Fresh { kept, permits, behind: Vec::new() }]);
    }

    async fn until_heard(&self, calls: usize) {
        until("the service", async || self.service.heard().len() == calls).await;
    }

    async fn until_delivered(&self, deliveries: usize) {
        let all = async || {
            let states = self.states().await;
            states.len() == deliveries && states.iter().all(|(_, state)| *state == State::Delivered)
        };
        until("the store", all).await;
    }
}

#[tokio::test]
async fn an_event_of_which_a_part_was_told_is_written_at_a_stop() {
    let pipeline = Pipeline::new("#ops, #dev").start();
    pipeline.hand_over("e1", "main");
    pipeline.until_heard(1).await;
    pipeline.service.answers.add_permits(1);
    pipeline.until_heard(2).await;
    assert!(pipeline.states().await.is_empty(), "it is in hand");
    pipeline.stopped().await;
    let expected = [("#ops".to_owned(), State::Delivered), ("#dev".to_owned(), State::Waiting)];
    assert_eq!(pipeline.states().await, expected);
}

#[tokio::test]
async fn events_in_hand_outlast_a_step_of_the_clock() {
    let pipeline = Pipeline::new("").start();
    pipeline.hand_over("e1", "main");
    pipeline.hand_over("e2", "fix");
    pipeline.until_heard(1).await;
    pipeline.handle.clock_stepped();
    // What was sent before the second of them is answered.
    pipeline.handle.flush().await;
    pipeline.handle.flush().await;
    let ids: Vec<_> = pipeline.lines().await.into_iter().map(|line| line.event).collect();
    assert_eq!(ids.iter().map(EventId::as_str).collect::<Vec<_>>(), ["e1", "e2"], "they are rows");
    pipeline.service.answers.add_permits(2);
    pipeline.until_delivered(2).await;
    assert_eq!(pipeline.service.heard().len(), 2, "each is told once");
}

#[tokio::test]
async fn a_delivery_goes_where_the_settings_send_it_now_and_its_row_with_it() {
    for becomes_a_row in [false, true] {
        let pipeline = Pipeline::new("").start();
        pipeline.hand_over("e1", "main");
        pipeline.hand_over("e2", "fix");
        pipeline.until_heard(1).await;
        if becomes_a_row {
            pipeline.handle.clock_stepped();
            // What was sent before the second of them is answered.
            pipeline.handle.flush().await;
            pipeline.handle.flush().await;
        }
        assert_eq!(pipeline.lines().await.len(), if becomes_a_row { 2 } else { 0 });
        pipeline.settings.set("two", "");
        pipeline.service.answers.add_permits(2);
        pipeline.until_delivered(2).await;
        let heard = pipeline.service.heard();
        assert_eq!(heard, ["https://chat.example.com/hooks/one", "https://chat.example.com/hooks/two"]);
        let lines = pipeline.lines().await;
        assert_ne!(lines[0].destination, lines[1].destination, "a row: {becomes_a_row}");
    }
}

#[tokio::test]
async fn what_waits_for_the_event_log_is_bounded_by_its_bytes() {
    let pipeline = Pipeline::new("");
    let logged = |id: &str, bytes: usize| {
        let raw = format!(r#"{{"object_kind":"push","ref":"{}"}}"#, "x".repeat(bytes));
        let event = Event::decode(EventId::new(id).unwrap(), now(), raw.into()).unwrap();
        let line = LogLine { source: "test", verdicts: None };
        LoggedEvent { event: Arc::new(event), received_at: now(), line, keeps_json: false }
    };
    let events = vec![logged("large", 10 << 20), logged("larger", 11 << 20), logged("small", 10)];
    pipeline.handle.log(events);
    let pipeline = pipeline.start();
    // What was sent before the second of them is answered.
    pipeline.handle.flush().await;
    pipeline.handle.flush().await;
    let filter = EventFilter { limit: 10, ..EventFilter::default() };
    let mut logged: Vec<_> = pipeline.store.events(filter).await.unwrap();
    logged.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
    assert_eq!(logged.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["large", "small"]);
}
