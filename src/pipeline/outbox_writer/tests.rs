use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::event::{Event as ForgeEvent, EventId};
use crate::integration::{Fingerprint, IntegrationId};
use crate::store::{
    Asked, AttemptRecord, Delivery, Dispatched, FirstAttempts, HoldCause, KeptDelivery, Known, LatestWaits,
    LogLine, NewState, Origin, Remembered, Result, Settled,
};

/// A store that records its calls, and fails on demand.
#[derive(Default)]
pub(in crate::pipeline) struct Told {
    calls: Mutex<Vec<String>>,
    /// The answers to the next calls that write events. Later ones succeed.
    keeps: Mutex<Vec<StoreError>>,
    is_away: AtomicBool,
    /// Set where a hold ends after the next read of holds or of due rows. The end makes a row due.
    ends_hold: AtomicBool,
    /// Set where each event is refused of which something is remembered beside its deliveries.
    refuses_remembered: AtomicBool,
}

impl Told {
    /// A store that refuses what is remembered beside deliveries, and so many of the next calls entirely.
    pub(in crate::pipeline) fn refusing(calls: usize) -> Self {
        let refused = StoreError::Refused("the watch is too long".to_owned());
        Self { refuses_remembered: true.into(), keeps: Mutex::new(vec![refused; calls]), ..Self::default() }
    }

    fn note(&self, call: String) -> Result<()> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the disk is full".to_owned()));
        }
        self.calls.lock().unwrap().push(call);
        Ok(())
    }

    pub(in crate::pipeline) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// Whether these events are written, with what is remembered of each.
    fn writes<'a>(&self, mut remembered: impl Iterator<Item = &'a Remembered>) -> Result<()> {
        let answer = self.keeps.lock().unwrap().pop();
        answer.map_or(Ok(()), Err)?;
        if self.refuses_remembered.load(Ordering::Relaxed) && remembered.any(|it| !it.is_empty()) {
            return Err(StoreError::Refused("the watch is too long".to_owned()));
        }
        Ok(())
    }
}

fn numbers(rows: impl IntoIterator<Item = DeliveryId>) -> String {
    rows.into_iter().fold(String::new(), |rows, row| rows + " " + &row.to_string())
}

#[async_trait]
impl FirstAttempts for Told {
    fn next_id(&self) -> DeliveryId {
        unreachable!("the writer makes no deliveries")
    }

    async fn look_up(&self, _: Vec<Asked>) -> Result<Vec<Known>> {
        unreachable!("the writer looks nothing up")
    }

    async fn keep(&self, _: &NodeId, batch: Arc<[Kept]>) -> Result<()> {
        self.writes(batch.iter().map(|kept| &kept.remembered))?;
        self.note(format!("keep{}", numbers(batch.iter().flat_map(|kept| &kept.deliveries).map(|it| it.id))))
    }
}

#[async_trait]
impl Outbox for Told {
    fn first_attempts(&self) -> Option<&dyn FirstAttempts> {
        Some(self)
    }

    /// Answers as if all rows existed before.
    async fn enqueue(&self, batch: Vec<Dispatched>, _: Timestamp) -> Result<Vec<Vec<Option<Delivery>>>> {
        self.writes(batch.iter().map(|dispatched| &dispatched.remembered))?;
        let events: Vec<_> = batch.iter().map(|dispatched| dispatched.event.id.as_str()).collect();
        self.note(format!("enqueue {}", events.join(" ")))?;
        Ok(batch.into_iter().map(|dispatched| vec![None; dispatched.deliveries.len()]).collect())
    }

    async fn claim(&self, _: Claim) -> Result<Vec<Claimed>> {
        self.note("claim".to_owned())?;
        Ok(Vec::new())
    }

    async fn waiting(&self, now: Timestamp, _: usize) -> Result<Vec<(DestinationKey, Timestamp)>> {
        let is_held = self.ends_hold.swap(false, Ordering::Relaxed);
        Ok(if is_held { Vec::new() } else { vec![("hook".into(), now)] })
    }

    async fn start(&self, _: Lease, rows: &[DeliveryId]) -> Result<Vec<DeliveryId>> {
        self.note(format!("start{}", numbers(rows.iter().copied())))?;
        Ok(rows.to_vec())
    }

    async fn settle(&self, _: &NodeId, settlements: Vec<Settled>) -> Result<()> {
        self.note(format!("settle{}", numbers(settlements.iter().map(|settled| settled.delivery))))
    }

    async fn redirect(&self, _: &NodeId, rows: &[Redirected]) -> Result<()> {
        self.note(format!("redirect{}", numbers(rows.iter().map(|row| row.delivery))))
    }

    async fn release(&self, _: &NodeId, rows: &[DeliveryId]) -> Result<()> {
        self.note(format!("release{}", numbers(rows.iter().copied())))
    }

    async fn renew(&self, _: Lease, rows: &[DeliveryId]) -> Result<Vec<DeliveryId>> {
        self.note(format!("renew{}", numbers(rows.iter().copied())))?;
        Ok(rows.to_vec())
    }

    async fn release_leases(&self, _: &NodeId, _: Timestamp) -> Result<()> {
        unreachable!("the daemon does this")
    }

    async fn holds(&self, now: Timestamp) -> Result<Vec<Hold>> {
        let is_held = self.ends_hold.swap(false, Ordering::Relaxed);
        let hold = Hold {
            key: HoldKey::Destination("hook".into()),
            cause: HoldCause::SwitchedOff,
            reason: "answered 404".to_owned(),
            since: now,
            until: now,
            strikes: 1,
            made_under: None,
        };
        Ok(if is_held { vec![hold] } else { Vec::new() })
    }

    async fn end_holds(&self, _: &[HoldKey], _: Timestamp) -> Result<()> {
        unreachable!("people do this")
    }

    async fn shorten_waits(&self, _: &LatestWaits) -> Result<usize> {
        unreachable!("the clock's watch does this")
    }

    async fn end_outdated_holds(
        &self,
        _: &[(IntegrationId, Option<Fingerprint>)],
        _: Timestamp,
    ) -> Result<usize> {
        unreachable!("a change of the settings does this")
    }
}

#[async_trait]
impl EventLog for Told {
    async fn log_events(&self, events: Vec<LoggedEvent>) -> Result<()> {
        self.note(format!("log {}", events.len()))
    }
}

/// A writer to this store, with the channels for its commands and its events.
struct Written {
    writer: OutboxWriter,
    store: Arc<Told>,
    commands: mpsc::UnboundedSender<Command>,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Written {
    fn new(store: Told) -> Self {
        let store = Arc::new(store);
        let (commands, command_receiver) = mpsc::unbounded_channel();
        let (event_sender, events) = mpsc::unbounded_channel();
        let writer = OutboxWriter {
            outbox: Arc::clone(&store) as Arc<dyn Outbox>,
            event_log: Arc::clone(&store) as Arc<dyn EventLog>,
            node: NodeId("here".into()),
            lease: Duration::from_secs(60),
            portion: Portion::rows(16),
            clock: Clock::new(|| Timestamp::UNIX_EPOCH),
            commands: command_receiver,
            events: event_sender,
            concurrency: 8,
            condition: Condition::default(),
            broken_until: None,
            unwritten: Unwritten::new(Instant::now()),
            unkept: Unkept::default(),
            held_back: Batch::default(),
            give_up: CancellationToken::new(),
        };
        Self { writer, store, commands, events }
    }

    /// Short names of the events that the deliverer got since the last call.
    fn said(&mut self) -> Vec<&'static str> {
        std::iter::from_fn(|| self.events.try_recv().ok())
            .map(|event| match event {
                Event::Kept(_) => "kept",
                Event::Written { .. } => "written",
                Event::Unwritten(_) => "unwritten",
                Event::NotRenewed => "not renewed",
                Event::Renewed { .. } => "renewed",
                Event::NotClaimed(_) => "not claimed",
                Event::Polled => "polled",
                Event::Holds(holds) if holds.is_empty() => "no hold",
                Event::Holds(_) => "a hold",
                Event::Waiting(rows) if rows.is_empty() => "no row",
                Event::Waiting(_) => "a row",
                _ => "other",
            })
            .collect()
    }
}

fn settlement(id: i64) -> Settlement {
    let (at, note) = (Timestamp::UNIX_EPOCH, String::new());
    let record = AttemptRecord { at, latency_ms: 1, outcome: "delivered", status: None, note };
    let (end, begin) = (Vec::new(), Vec::new());
    let settled = Settled {
        delivery: DeliveryId(id),
        state: NewState::Delivered,
        attempts: 1,
        record,
        end,
        begin,
        watch: None,
        at,
    };
    Settlement { settled, destination: "hook".into(), lane: Lane(id) }
}

/// An event with these deliveries, which are unfinished.
fn kept(deliveries: &[i64]) -> Vec<Kept> {
    let raw = Bytes::from_static(br#"{"object_kind":"push","ref":"refs/heads/main"}"#);
    let event = ForgeEvent::decode(EventId::new("e1").unwrap(), Timestamp::UNIX_EPOCH, raw).unwrap();
    let delivery = |id: &i64| KeptDelivery {
        id: DeliveryId(*id),
        new: NewDelivery {
            integration: IntegrationId::new("slack"),
            target: "".into(),
            destination: "hook".into(),
            share: "hook".into(),
            lane: Lane(*id),
            replaces: false,
            lease: None,
        },
        fate: Fate::Open,
    };
    vec![Kept {
        event: Arc::new(event),
        origin: Origin::Broker { digest: None, redelivered: false },
        remembered: Remembered::default(),
        received_at: Timestamp::UNIX_EPOCH,
        history: true,
        deliveries: deliveries.iter().map(delivery).collect(),
    }]
}

#[tokio::test(start_paused = true)]
async fn while_events_in_hand_are_not_written_what_was_decided_after_them_waits() {
    let store = Told::default();
    store.keeps.lock().unwrap().push(StoreError::Broken("the file is gone".to_owned()));
    let mut written = Written::new(store);
    let (flushed, mut is_flushed) = oneshot::channel();
    let (marked, mut is_marked) = oneshot::channel();
    written.writer.write([Command::Keep(kept(&[1, 2, 3]))]).await;
    let behind = [
        Command::Settle(Box::new(settlement(1))),
        Command::Start(DeliveryId(2), marked),
        Command::Release(DeliveryId(3)),
        Command::Flush(flushed),
        Command::Renew(vec![DeliveryId(2)]),
        Command::Claim("hook".into()),
        Command::PollDue,
    ];
    written.writer.write(behind).await;
    assert!(written.store.calls().is_empty(), "the rows are not there yet");
    assert!(is_flushed.try_recv().is_err() && is_marked.try_recv().is_err());
    assert_eq!(written.said(), ["kept", "unwritten", "not claimed", "not renewed", "polled"]);
    assert!(written.writer.condition.check().is_err(), "/readyz says that it is stuck");

    tokio::time::advance(store_calls::BROKEN).await;
    written.writer.write([]).await;
    assert_eq!(written.store.calls(), ["keep 1 2 3", "settle 1", "start 2", "release 3"]);
    assert!(is_flushed.try_recv().is_ok());
    assert_eq!(is_marked.try_recv(), Ok(Marked::Started));
    assert_eq!(written.writer.condition.check(), Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_takes_events_again_is_well_also_where_nothing_else_was_unwritten() {
    let store = Told::default();
    store.keeps.lock().unwrap().push(StoreError::Broken("the file is gone".to_owned()));
    let mut written = Written::new(store);
    written.writer.write([Command::Keep(kept(&[1]))]).await;
    assert!(written.writer.condition.check().is_err());
    tokio::time::advance(store_calls::BROKEN).await;
    written.writer.write([]).await;
    assert_eq!(written.writer.condition.check(), Ok(None));
}

#[tokio::test(start_paused = true)]
async fn events_that_a_broken_store_did_not_take_are_kept_in_the_order_in_which_they_came() {
    let store = Told::default();
    store.keeps.lock().unwrap().push(StoreError::Broken("the file is gone".to_owned()));
    let mut written = Written::new(store);
    written.writer.write([Command::Keep(kept(&[1]))]).await;
    written.writer.write([Command::Keep(kept(&[2]))]).await;
    tokio::time::advance(store_calls::BROKEN).await;
    written.writer.write([Command::Keep(kept(&[3]))]).await;
    assert_eq!(written.store.calls(), ["keep 1 2 3"]);
}

/// Otherwise messages that were sent would have no outcome, and would be sent again from quarantine.
#[tokio::test(start_paused = true)]
async fn what_is_remembered_beside_deliveries_does_not_hold_them_back_where_the_store_refuses_it() {
    let is_refused = |written: &mut Written| match written.events.try_recv() {
        Ok(Event::Kept(kept)) => kept[0].refused.is_some(),
        other => panic!("{other:?}"),
    };
    let log = Some(LogLine { source: "amqp", verdicts: None });
    let event = |remembered| vec![Kept { remembered, ..kept(&[1]).remove(0) }];
    for (remembered, refusals, expected) in [
        (Remembered { log: log.clone(), ..Remembered::default() }, 0, false),
        (Remembered { log, ..Remembered::default() }, 2, true),
        (Remembered::default(), 0, false),
        (Remembered::default(), 1, true),
    ] {
        let mut written = Written::new(Told::refusing(refusals));
        written.writer.write([Command::Keep(event(remembered))]).await;
        assert_eq!(is_refused(&mut written), expected);
        let calls = if expected { vec![] } else { vec!["keep 1"] };
        assert_eq!(written.store.calls(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_is_moved_before_anything_else_is_written_of_it() {
    let mut written = Written::new(Told::default());
    let moved = Redirected { delivery: DeliveryId(1), destination: "other".into(), share: "other".into() };
    let commands =
        [Command::Settle(Box::new(settlement(1))), Command::Release(DeliveryId(2)), Command::Redirect(moved)];
    written.writer.write(commands).await;
    assert_eq!(written.store.calls(), ["redirect 1", "settle 1", "release 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_the_end_of_a_hold_makes_due_is_not_found_together_with_the_hold() {
    let mut written = Written::new(Told { ends_hold: true.into(), ..Told::default() });
    written.writer.write([Command::PollDue]).await;
    assert_eq!(written.said(), ["no hold", "no row", "polled"], "the hold ended between the two reads");
    written.writer.write([Command::PollDue]).await;
    assert_eq!(written.said(), ["no hold", "a row", "polled"]);
}

#[tokio::test(start_paused = true)]
async fn each_renewal_and_each_poll_is_answered_also_where_the_store_is_away() {
    let mut written = Written::new(Told::default());
    written.writer.write([Command::Renew(vec![DeliveryId(1)]), Command::PollDue]).await;
    assert_eq!(written.said(), ["renewed", "no hold", "a row", "polled"]);
    written.store.is_away.store(true, Ordering::Relaxed);
    written.writer.write([Command::Renew(vec![DeliveryId(1)])]).await;
    assert_eq!(written.said(), ["not renewed"]);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_to_give_up_ends_though_the_store_stays_away() {
    let written = Written::new(Told::default());
    written.store.is_away.store(true, Ordering::Relaxed);
    let Written { writer, commands, store, events: _events, .. } = written;
    let give_up = writer.give_up.clone();
    commands.send(Command::Keep(kept(&[1]))).unwrap();
    commands.send(Command::Settle(Box::new(settlement(2)))).unwrap();
    drop(commands);
    let mut running = std::pin::pin!(writer.run());
    let tries = tokio::time::timeout(Duration::from_secs(60), &mut running).await;
    assert!(tries.is_err(), "it tries until it is to give up");
    give_up.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(30), running).await;
    assert!(ended.is_ok(), "it gives up");
    assert!(store.calls().is_empty(), "the store took nothing");
}
