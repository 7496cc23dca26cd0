//! Events in hand during a stop, a step of the clock or a change of the settings.

use super::*;
use crate::pipeline::deliver::Fresh;
use crate::pipeline::dispatch::{Plan, Planning, plan};
use crate::store::{
    AttemptRecord, Dispatched, EventFilter, EventRecords as _, Fate, FirstAttempts as _, Hold, HoldCause,
    HoldKey, Kept, KeptDelivery, LogLine, LoggedEvent, NewState, Remembered, Settled,
};

impl Pipeline {
    /// A push, with its deliveries.
    fn planned(&self, id: &str, branch: &str) -> Dispatched {
        let holds = self.attempts.holds.snapshot();
        let planning = Planning { source: "test", holds: &holds, pauses: PAUSES, log: false, now: now() };
        let plan = plan(push(id, branch, 1), &*self.settings, planning);
        let Plan::Deliver { dispatched, .. } = plan else { panic!("no integration wants it") };
        dispatched
    }

    /// Hands a push over before it has rows.
    fn hand_over(&self, id: &str, branch: &str) {
        let dispatched = self.planned(id, branch);
        let permit = |_: &_| self.handle.memory_permit(1).unwrap();
        let permits = dispatched.deliveries.iter().map(permit).collect();
        let kept = |new| KeptDelivery { id: self.store.next_id(), new, fate: Fate::Open };
        let kept = Kept {
            event: dispatched.event,
            origin: dispatched.origin,
            remembered: Remembered::default(),
            received_at: now(),
            history: true,
            deliveries: dispatched.deliveries.into_iter().map(kept).collect(),
        };
        self.handle.hand_over(vec![Fresh { kept, permits, behind: Vec::new() }]);
    }

    /// The hold of the address of these deliveries, switched off under the present settings.
    fn switched_off(&self, dispatched: &Dispatched) -> Hold {
        let delivery = &dispatched.deliveries[0];
        let (integration, destination) = (delivery.integration.clone(), Arc::clone(&delivery.destination));
        let fingerprint = self.settings.fingerprint(&integration).unwrap();
        Hold {
            key: HoldKey::Address { integration: integration.clone(), destination },
            cause: HoldCause::SwitchedOff,
            reason: "answered 404".to_owned(),
            since: now(),
            until: Timestamp::MAX,
            strikes: 3,
            made_under: Some((integration, fingerprint)),
        }
    }

    /// Waits until the deliverer has read the store's holds, which have no hold on this address.
    async fn until_resumed(&self, off: &Hold) {
        let holds = &self.attempts.holds;
        until("the poll", async || holds.snapshot().active(&off.key, now()).is_none()).await;
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

/// Otherwise the row would wait for hours, although a person resumed the integration a moment ago.
#[tokio::test]
async fn what_comes_for_an_address_that_was_resumed_a_moment_ago_is_sent() {
    for is_row in [true, false] {
        let pipeline = Pipeline::new("");
        let dispatched = pipeline.planned("e1", "main");
        let off = pipeline.switched_off(&dispatched);
        pipeline.attempts.holds.sync(vec![off.clone()], now());
        let pipeline = pipeline.start();
        // The next poll comes a second later. Until then, memory has what the test puts there.
        pipeline.until_resumed(&off).await;
        pipeline.attempts.holds.sync(vec![off.clone()], now());
        if is_row {
            let destination = Arc::clone(&dispatched.deliveries[0].destination);
            pipeline.store.enqueue(vec![dispatched], now()).await.unwrap();
            pipeline.handle.note_backlog(destination);
        } else {
            pipeline.hand_over("e1", "main");
        }
        pipeline.service.answers.add_permits(1);
        pipeline.until_delivered(1).await;
    }
}

#[tokio::test]
async fn what_comes_for_an_address_that_is_switched_off_waits_and_is_not_sent() {
    let pipeline = Pipeline::new("");
    let dispatched = pipeline.planned("e1", "main");
    let (off, mut begun) = (pipeline.switched_off(&dispatched), pipeline.planned("e0", "docs"));
    begun.deliveries[0].lease = Some(pipeline.handle.lease(now()));
    let rows = pipeline.store.enqueue(vec![begun], now()).await.unwrap();
    let record =
        AttemptRecord { at: now(), latency_ms: 1, outcome: "gone", status: Some(404), note: String::new() };
    let settled = Settled {
        delivery: rows[0][0].as_ref().unwrap().id,
        attempts: 1,
        record,
        state: NewState::Failed,
        end: Vec::new(),
        begin: vec![off.clone()],
        watch: None,
        at: now(),
    };
    pipeline.store.settle(&NodeId("here".into()), vec![settled]).await.unwrap();
    pipeline.attempts.holds.sync(vec![off], now());
    let pipeline = pipeline.start();
    pipeline.hand_over("e1", "main");
    let outcomes = async || {
        let lines = pipeline.lines().await;
        lines
            .last()
            .is_some_and(|line| line.last_note.as_ref().is_some_and(|note| note.contains("switched off")))
    };
    until("the store", outcomes).await;
    assert!(pipeline.service.heard().is_empty());
    assert_eq!(pipeline.lines().await.last().unwrap().state, State::Waiting);
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
