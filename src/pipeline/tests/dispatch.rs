//! Batches in which some events need rows first.

use super::*;
use crate::pipeline::bounded_quarantine::{BoundedQuarantine, Bounds};
use crate::pipeline::dispatch::{Dispatcher, WhatIsKept};
use crate::pipeline::events_in_hand::Ticket;
use crate::pipeline::outbox_writer::tests::Told;
use crate::pipeline::source::Source;
use crate::store::Quarantine as _;

/// Brings one batch.
struct Batch {
    events: Vec<Inbound>,
    acknowledged: Arc<Mutex<Vec<Receipt>>>,
    prefetch: Option<usize>,
    /// Cancelled as soon as the batch was brought.
    stop: Option<CancellationToken>,
}

#[async_trait]
impl Source for Batch {
    fn name(&self) -> &'static str {
        "test"
    }

    fn prefetch(&self) -> Option<usize> {
        self.prefetch
    }

    async fn next(&mut self, _: usize) -> Vec<Inbound> {
        if self.events.is_empty() {
            std::future::pending::<()>().await;
        }
        if let Some(stop) = &self.stop {
            stop.cancel();
        }
        std::mem::take(&mut self.events)
    }

    async fn acknowledge(&mut self, last: Receipt) {
        self.acknowledged.lock().unwrap().push(last);
    }

    async fn close(&mut self) {}
}

impl Pipeline {
    fn dispatcher(&self) -> Dispatcher {
        let bounds = Bounds { messages: 10, bytes: 1 << 20 };
        Dispatcher {
            catalog: Arc::clone(&self.attempts.catalog),
            outbox: Arc::clone(&self.store) as _,
            inbox: Arc::clone(&self.store) as _,
            quarantine: Arc::new(BoundedQuarantine::new(Arc::clone(&self.store) as _, bounds)),
            holds: self.attempts.holds.clone(),
            deliverer: self.handle.clone(),
            events_in_hand: self.events_in_hand.clone(),
            condition: Condition::default(),
            pauses: PAUSES,
            kept: WhatIsKept { history: true, event_log: true },
            finish_within: Duration::from_secs(10),
            clock: self.attempts.clock.clone(),
        }
    }
}

fn redelivered(inbound: Inbound) -> Inbound {
    Inbound { again: true, ..inbound }
}

#[tokio::test(start_paused = true)]
async fn what_a_stop_keeps_from_being_written_is_not_acknowledged_and_is_worked_when_it_comes_again() {
    // The deliverer does not answer, as when the store is unavailable.
    let pipeline = Pipeline::new("");
    let acknowledged = Arc::default();
    let source = Batch {
        events: vec![redelivered(push("e1", "main", 1))],
        acknowledged: Arc::clone(&acknowledged),
        prefetch: None,
        stop: Some(pipeline.stop.clone()),
    };
    pipeline.dispatcher().run(source, pipeline.stop.clone()).await;
    assert!(acknowledged.lock().unwrap().is_empty());
    assert!(pipeline.lines().await.is_empty());
    let (finished, _heard) = tokio::sync::mpsc::unbounded_channel();
    let receipt = Receipt { generation: 2, number: 1 };
    let id = EventId::new("e1").unwrap();
    assert!(
        pipeline.events_in_hand.enter(&id, Ticket { receipt, finished }),
        "the event is no longer in hand"
    );
}

#[tokio::test]
async fn of_a_mixed_batch_what_needs_rows_is_written_once_with_what_follows_it_in_its_lanes() {
    let pipeline = Pipeline::new("").start();
    let events = vec![
        redelivered(push("row", "main", 1)),
        push("fresh", "fix", 2),
        redelivered(push("another row", "docs", 3)),
        push("behind", "main", 4),
    ];
    let source = Batch { events, acknowledged: Arc::default(), prefetch: None, stop: None };
    pipeline.tasks.spawn(pipeline.dispatcher().run(source, pipeline.stop.clone()));
    until("the rows", async || pipeline.lines().await.len() == 3).await;
    let written: Vec<_> = pipeline.lines().await.into_iter().map(|line| line.event).collect();
    let written: Vec<_> = written.iter().map(EventId::as_str).collect();
    assert_eq!(written, ["row", "another row", "behind"], "the fresh one is in hand");
}

#[tokio::test]
async fn where_the_prefetch_shrank_the_oldest_events_become_rows_before_it_is_used_up() {
    let pipeline = Pipeline::new("").start();
    let events = (1..=4).map(|n| push(&format!("e{n}"), &format!("branch-{n}"), n)).collect();
    let source = Batch { events, acknowledged: Arc::default(), prefetch: Some(4), stop: None };
    pipeline.tasks.spawn(pipeline.dispatcher().run(source, pipeline.stop.clone()));
    until("a row", async || !pipeline.lines().await.is_empty()).await;
    let written: Vec<_> = pipeline.lines().await.into_iter().map(|line| line.event).collect();
    assert_eq!(written, [EventId::new("e1").unwrap()], "the others are in hand");
}

/// Dispatches redelivered events to a store that refuses what is remembered beside deliveries, and the next calls
/// entirely. Returns what it wrote, and the ids of the events in quarantine.
async fn dispatched(ids: &[&str], event_log: bool, refusals: usize) -> (Vec<String>, Vec<String>) {
    let pipeline = Pipeline::new("").start();
    let store = Arc::new(Told::refusing(refusals));
    let kept = WhatIsKept { history: true, event_log };
    let dispatcher = Dispatcher { outbox: Arc::clone(&store) as _, kept, ..pipeline.dispatcher() };
    let acknowledged = Arc::<Mutex<Vec<Receipt>>>::default();
    let events = ids.iter().zip(1..).map(|(id, number)| redelivered(push(id, id, number))).collect();
    let last = Receipt { generation: 1, number: u64::try_from(ids.len()).unwrap() };
    let source = Batch { events, acknowledged: Arc::clone(&acknowledged), prefetch: None, stop: None };
    pipeline.tasks.spawn(dispatcher.run(source, pipeline.stop.clone()));
    until("the batch", async || acknowledged.lock().unwrap().contains(&last)).await;
    let aside = pipeline.store.list_quarantined(None, 10).await.unwrap();
    let aside = aside.into_iter().filter_map(|item| item.id).map(|id| id.as_str().to_owned()).collect();
    (store.calls(), aside)
}

/// Otherwise nobody would be told of the event.
#[tokio::test]
async fn where_the_store_refuses_what_is_remembered_of_an_event_its_deliveries_are_written_alone() {
    let each_alone = dispatched(&["e1", "e2"], true, 0).await;
    assert_eq!(each_alone, (vec!["enqueue e1".to_owned(), "enqueue e2".to_owned()], vec![]));
    let together = dispatched(&["e1", "e2"], false, 0).await;
    assert_eq!(together, (vec!["enqueue e1 e2".to_owned()], vec![]), "nothing is remembered");
}

#[tokio::test]
async fn an_event_whose_deliveries_alone_are_refused_too_goes_to_quarantine() {
    assert_eq!(dispatched(&["e1"], true, 2).await, (vec![], vec!["e1".to_owned()]));
    let once = dispatched(&["e1"], false, 1).await;
    assert_eq!(once, (vec![], vec!["e1".to_owned()]), "the same deliveries are not offered twice");
}
