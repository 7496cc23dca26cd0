//! Writes the deliverer's commands to the store, in order and in batches.
//!
//! Settlements are written first, then released leases, then claims. So a claim never brings a later row of a lane
//! whose earlier row has just begun to wait. While the store is unavailable, commands wait here, in order. The
//! deliverer goes on with the rows in memory and then stops, because nothing new can be claimed or enqueued.
//!
//! An outcome that an available store refuses is kept in memory ([`Unwritten`]) and tried again. Its lease is renewed,
//! and its row is not handed to the deliverer again, because the attempt was made and must not be repeated.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::condition::Condition;
use super::events_in_hand::RefusedEvent;
use super::store_calls::{self, NotWritten};
use super::unwritten::{Settlement, Stopped, Unkept, Unwritten, bound};
use super::{Clock, after, halves};
use crate::event::EventId;
use crate::metrics;
use crate::store::{
    Claim, Claimed, DeliveryId, DestinationKey, EventLog, Fate, Hold, HoldKey, Kept, Lane, Lease,
    LoggedEvent, NewDelivery, NodeId, Outbox, Portion, Redirected, StoreError,
};

/// Something to write to the store or to read from it.
#[derive(Debug)]
pub(super) enum Command {
    /// Write events in hand with their outcomes.
    Keep(Vec<Kept>),
    /// Write events that lead to no delivery.
    Log(Vec<LoggedEvent>),
    /// Write the row's new destination.
    Redirect(Redirected),
    Settle(Box<Settlement>),
    /// Mark the row as started before its attempt, and answer whether the attempt may be made.
    Start(DeliveryId, oneshot::Sender<Marked>),
    Release(DeliveryId),
    Claim(DestinationKey),
    /// Prolong the leases of the rows in memory.
    Renew(Vec<DeliveryId>),
    /// Find destinations whose rows wait, and the holds.
    PollDue,
    /// Answer when everything is written that was sent before.
    Flush(oneshot::Sender<()>),
}

/// Whether an attempt that must not be repeated may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marked {
    /// Yes: the mark is on disk.
    Started,
    /// No: another node has leased the row.
    Lost,
    /// No: the store is broken.
    Unknown,
}

/// An answer of the store, for the deliverer.
#[derive(Debug)]
pub(super) enum Event {
    Claimed(Vec<Claimed>),
    /// The claims for these destinations failed.
    NotClaimed(Vec<DestinationKey>),
    Waiting(Vec<(DestinationKey, Timestamp)>),
    /// These outcomes of rows are on disk, with the changes of these holds.
    Written {
        outcomes: Vec<(DestinationKey, Lane, DeliveryId)>,
        holds: Vec<HoldKey>,
    },
    /// The outcomes of these events are on disk.
    Kept(Vec<KeptEvent>),
    /// Events of the log with so many bytes were written or lost.
    Logged(usize),
    /// Outcomes are not written, so nothing may start for these lanes and destinations.
    Unwritten(Stopped),
    /// All holds that have not ended.
    Holds(Vec<Hold>),
    /// Leases were prolonged; the request was made at this moment. The lost rows are leased to other nodes by now.
    Renewed {
        asked: Timestamp,
        lost: Vec<DeliveryId>,
    },
    /// Leases were not prolonged.
    NotRenewed,
    /// The poll has ended. If the store answered, its answers were sent before.
    Polled,
}

/// An event whose outcome is in the store, or was refused.
#[derive(Debug)]
pub(super) struct KeptEvent {
    pub(super) id: EventId,
    /// The deliveries that were attempted.
    pub(super) outcomes: Vec<(DestinationKey, Lane, DeliveryId)>,
    /// The holds that changed with them.
    pub(super) holds: Vec<HoldKey>,
    /// Set where the store refused the event.
    pub(super) refused: Option<RefusedEvent>,
}

pub(super) struct OutboxWriter {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) event_log: Arc<dyn EventLog>,
    pub(super) node: NodeId,
    pub(super) lease: Duration,
    /// What one claim brings for one destination.
    pub(super) portion: Portion,
    pub(super) clock: Clock,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// The most attempts under way at once. The bound for unwritten outcomes follows from it.
    pub(super) concurrency: usize,
    pub(super) condition: Condition,
    /// Set when the store is broken: until then, nothing is claimed or polled.
    pub(super) broken_until: Option<Instant>,
    /// The outcomes that the store refused.
    pub(super) unwritten: Unwritten,
    /// Events in hand whose outcomes the store refused so far.
    pub(super) unkept: Unkept,
    /// Commands that wait until `unkept` is written, because they may concern rows of these events.
    pub(super) held_back: Batch,
    /// Cancelled when an unavailable store must not be called again.
    pub(super) give_up: CancellationToken,
}

/// The most destinations that one poll finds.
const DUE_LIMIT: usize = 10_000;
/// The pause between attempts to write the last outcomes at the end.
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// The reason for what is not written because the store was unavailable until the end.
const AWAY: &str = "the store is away";
/// The most commands taken at once.
const AT_ONCE: usize = 1024;
/// The most destinations in one claim. The whole answer of a claim is read into memory.
const CLAIMS_AT_ONCE: usize = 32;

/// Commands of one batch, sorted.
#[derive(Debug, Default)]
pub(super) struct Batch {
    keep: Vec<Kept>,
    log: Vec<LoggedEvent>,
    redirect: Vec<Redirected>,
    settle: Vec<Settlement>,
    start: Vec<(DeliveryId, oneshot::Sender<Marked>)>,
    release: Vec<DeliveryId>,
    claim: Vec<DestinationKey>,
    renew: Option<Vec<DeliveryId>>,
    poll_due: bool,
    flushes: Vec<oneshot::Sender<()>>,
}

impl Batch {
    /// Adds commands behind those of the batch.
    fn and(mut self, commands: impl IntoIterator<Item = Command>) -> Self {
        for command in commands {
            match command {
                Command::Keep(kept) => self.keep.extend(kept),
                Command::Log(events) => self.log.extend(events),
                Command::Redirect(redirected) => self.redirect.push(redirected),
                Command::Settle(outcome) => self.settle.push(*outcome),
                Command::Start(row, marked) => self.start.push((row, marked)),
                Command::Release(row) => self.release.push(row),
                Command::Claim(key) => self.claim.push(key),
                Command::Renew(rows) => self.renew = Some(rows),
                Command::PollDue => self.poll_due = true,
                Command::Flush(flushed) => self.flushes.push(flushed),
            }
        }
        self
    }
}

impl OutboxWriter {
    /// Writes commands until every sender is gone. Returns whether everything was written.
    pub(super) async fn run(mut self) -> bool {
        let mut commands = Vec::with_capacity(AT_ONCE);
        while self.commands.recv_many(&mut commands, AT_ONCE).await > 0 {
            self.write(commands.drain(..)).await;
        }
        self.write_the_last().await
    }

    /// At the end, tries the unwritten outcomes again until they are written or the writer must give up.
    async fn write_the_last(&mut self) -> bool {
        let give_up = self.give_up.clone();
        while !self.has_written_all() {
            self.write([]).await;
            if self.has_written_all() {
                break;
            }
            tokio::select! {
                () = give_up.cancelled() => break,
                () = tokio::time::sleep(LAST_PAUSE) => {}
            }
        }
        if !self.unkept.is_empty() {
            let (left, why) = (self.unkept.events.len(), &self.unkept.why);
            error!(
                left,
                why, "what became of these events is not written; they come again at the next start"
            );
        }
        if !self.unwritten.is_empty() {
            let (left, why) = (self.unwritten.len(), self.unwritten.why());
            error!(
                left,
                why,
                "these outcomes of attempts are not written; the attempts are made again after the next start"
            );
        }
        self.has_written_all()
    }

    fn has_written_all(&self) -> bool {
        self.unwritten.is_empty() && self.unkept.is_empty()
    }

    async fn write(&mut self, commands: impl IntoIterator<Item = Command>) {
        let mut batch = std::mem::take(&mut self.held_back).and(commands);
        if !batch.keep.is_empty() || !self.unkept.is_empty() {
            self.keep(std::mem::take(&mut batch.keep)).await;
        }
        if !self.unkept.is_empty() {
            return self.hold_back(batch);
        }
        if !batch.redirect.is_empty() {
            let call = || self.outbox.redirect(&self.node, &batch.redirect);
            self.insist("note other destinations", call).await;
        }
        if !batch.settle.is_empty() || !self.unwritten.is_empty() {
            self.settle(batch.settle).await;
        }
        if !batch.start.is_empty() {
            self.start(batch.start).await;
        }
        if !batch.release.is_empty() {
            self.insist("give leases back", || self.outbox.release(&self.node, &batch.release)).await;
        }
        for flushed in batch.flushes {
            let _ = flushed.send(()); // the asker may have stopped waiting
        }
        if let Some(rows) = batch.renew {
            self.renew(rows).await;
        }
        if !batch.claim.is_empty() {
            for destinations in batch.claim.chunks(CLAIMS_AT_ONCE) {
                if self.is_broken() {
                    let _ = self.events.send(Event::NotClaimed(destinations.to_vec()));
                } else {
                    self.claim(destinations.to_vec()).await;
                }
            }
        }
        if batch.poll_due {
            if !self.is_broken() {
                self.poll_due().await;
            }
            let _ = self.events.send(Event::Polled);
        }
        if !batch.log.is_empty() {
            self.log(batch.log).await;
        }
    }

    /// Holds later commands back while the outcomes of events are unwritten. A settlement or mark of a row that is not
    /// inserted yet would have no effect, and the row would be inserted as open afterwards.
    fn hold_back(&mut self, batch: Batch) {
        let Batch { redirect, settle, start, release, claim, renew, poll_due, flushes, log, .. } = batch;
        let before = self.unwritten.len();
        for outcome in settle {
            self.unwritten.keep(outcome, &self.unkept.why);
        }
        if !self.unwritten.is_empty() {
            self.report_unwritten(before);
        }
        let said = format!("what became of events is not written: {}", self.unkept.why);
        self.condition.outcomes(Err(said));
        if !claim.is_empty() {
            let _ = self.events.send(Event::NotClaimed(claim));
        }
        if renew.is_some() {
            let _ = self.events.send(Event::NotRenewed);
        }
        if poll_due {
            let _ = self.events.send(Event::Polled);
        }
        self.held_back = Batch { log, redirect, start, release, flushes, ..Batch::default() };
    }

    /// Writes events in hand with their outcomes, behind those that the store refused.
    async fn keep(&mut self, new: Vec<Kept>) {
        if self.is_broken() {
            let why = std::mem::take(&mut self.unkept.why);
            let why = if why.is_empty() { "the store is broken".to_owned() } else { why };
            return self.unkept.keep(&new, &why);
        }
        let Unkept { events: mut batch, .. } = std::mem::take(&mut self.unkept);
        let was_unkept = !batch.is_empty();
        batch.extend(new);
        let batch: Arc<[Kept]> = batch.into();
        let Some(first) = self.outbox.first_attempts() else { return };
        let (node, stop) = (&self.node, &self.give_up);
        let keep = |part: Range<usize>| {
            let part: Arc<[Kept]> =
                if part.len() == batch.len() { Arc::clone(&batch) } else { batch[part].into() };
            let keep = move |part: Arc<[Kept]>| async move {
                let keep = || first.keep(node, Arc::clone(&part));
                store_calls::call("write what became of events", stop, keep).await
            };
            async move {
                let event = part[0].event.id.clone();
                store_calls::write_deliveries_at_least(part, &event, |part| alone(part), keep).await
            }
        };
        let parts = halves::write(batch.len(), keep).await;
        let mut kept = Vec::with_capacity(batch.len());
        for (part, answer) in parts {
            match answer {
                Ok(()) => kept.extend(batch[part].iter().map(|kept| kept_event(kept, None))),
                Err(NotWritten::Refused(why)) => {
                    kept.extend(batch[part].iter().map(|kept| kept_event(kept, Some(&why))));
                }
                Err(NotWritten::Broken(why)) => {
                    self.broken_until = Some(Instant::now() + store_calls::BROKEN);
                    self.unkept.keep(&batch[part], &why);
                }
                Err(NotWritten::Stopped) => self.unkept.keep(&batch[part], AWAY),
            }
        }
        if was_unkept && self.unkept.is_empty() {
            info!("what became of events is written again");
            // Other unwritten outcomes are tried next, and reported then.
            self.condition.outcomes(Ok(None));
        }
        let _ = self.events.send(Event::Kept(kept));
    }

    /// Writes the event log. The log is only for people: events that the store refuses are lost, and no message waits
    /// for the log.
    async fn log(&mut self, events: Vec<LoggedEvent>) {
        let count = events.len();
        let bytes = events.iter().map(logged_bytes).sum();
        if let Err(error) = self.event_log.log_events(events).await {
            warn!(%error, events = count, "cannot write the event log; these events are missing there");
        }
        let _ = self.events.send(Event::Logged(bytes));
    }

    /// Writes outcomes, behind the unwritten ones that are due. While the store is broken, new outcomes wait behind the
    /// unwritten ones, so that holds begin and end in order.
    async fn settle(&mut self, new: Vec<Settlement>) {
        let (now, before) = (Instant::now(), self.unwritten.len());
        let is_due = self.unwritten.is_due(now);
        if self.is_broken() && before > 0 && !is_due {
            let why = self.unwritten.why().to_owned();
            for outcome in new {
                self.unwritten.keep(outcome, &why);
            }
        } else {
            let mut outcomes = if is_due { self.unwritten.take(now) } else { Vec::new() };
            outcomes.extend(new);
            self.try_to_settle(outcomes).await;
        }
        if before > 0 || !self.unwritten.is_empty() {
            self.report_unwritten(before);
        }
    }

    /// Writes outcomes in halves, so that a refused outcome does not stop the others.
    async fn try_to_settle(&mut self, outcomes: Vec<Settlement>) {
        let settle = |part: Range<usize>| {
            let part = &outcomes[part];
            self.call("settle", || {
                let settled = part.iter().map(|outcome| outcome.settled.clone()).collect();
                self.outbox.settle(&self.node, settled)
            })
        };
        let parts = halves::write(outcomes.len(), settle).await;
        let mut outcomes = outcomes.into_iter();
        for (part, answer) in parts {
            let part: Vec<_> = outcomes.by_ref().take(part.len()).collect();
            match answer {
                Ok(()) => self.written(&part),
                Err(NotWritten::Refused(why)) => {
                    for outcome in part {
                        self.settle_plainly(outcome, &why).await;
                    }
                }
                Err(NotWritten::Broken(why)) => {
                    self.broken_until = Some(Instant::now() + store_calls::BROKEN);
                    for outcome in part {
                        self.unwritten.keep(outcome, &why);
                    }
                }
                Err(NotWritten::Stopped) => {
                    for outcome in part {
                        self.unwritten.keep(outcome, AWAY);
                    }
                }
            }
        }
    }

    /// Writes a refused outcome without its details. If that is refused too, the outcome is kept.
    async fn settle_plainly(&mut self, outcome: Settlement, why: &str) {
        error!(
            delivery = outcome.settled.delivery.0,
            why, "the store does not take the details of an outcome; it is written without them"
        );
        let plain = outcome.plain();
        match self.call("settle", || self.outbox.settle(&self.node, vec![plain.clone()])).await {
            Ok(()) => self.written(&[outcome]),
            Err(_) => self.unwritten.keep(outcome, why),
        }
    }

    fn written(&self, outcomes: &[Settlement]) {
        let settled = || outcomes.iter().map(|outcome| &outcome.settled);
        let ended = settled().flat_map(|settled| &settled.end);
        let begun = settled().flat_map(|settled| &settled.begin).map(|hold| &hold.key);
        let holds = ended.chain(begun).cloned().collect();
        let outcomes = outcomes.iter().map(|it| (Arc::clone(&it.destination), it.lane, it.settled.delivery));
        let _ = self.events.send(Event::Written { outcomes: outcomes.collect(), holds });
    }

    /// Reports the unwritten outcomes to the deliverer and to people. `before` is their number before the change.
    fn report_unwritten(&mut self, before: usize) {
        let (count, most) = (self.unwritten.len(), bound(self.concurrency));
        let _ = self.events.send(Event::Unwritten(self.unwritten.stopped()));
        metrics::unwritten_outcomes(count);
        let why = self.unwritten.why();
        match (before, count) {
            (_, 0) => {
                info!("all outcomes of attempts are written again");
                self.unwritten.reset(Instant::now());
                self.condition.outcomes(Ok(None));
            }
            (_, count) if count >= most => {
                let said =
                    format!("{count} outcomes of attempts are not written, so no attempt starts: {why}");
                if before < most {
                    error!(
                        count,
                        why, "outcomes of attempts are not written; no attempt starts before they are"
                    );
                }
                self.condition.outcomes(Err(said));
            }
            (before, count) => {
                if before == 0 {
                    error!(count, why, "outcomes of attempts are not written; their destinations wait");
                }
                self.condition
                    .outcomes(Ok(Some(format!("{count} outcomes of attempts are not written: {why}"))));
            }
        }
    }

    async fn call<F>(&self, what: &str, call: impl FnMut() -> F) -> Result<(), NotWritten>
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        store_calls::call(what, &self.give_up, call).await
    }

    /// Marks rows as started. Their attempts wait for the answer.
    async fn start(&self, asked: Vec<(DeliveryId, oneshot::Sender<Marked>)>) {
        let rows: Vec<DeliveryId> = asked.iter().map(|(row, _)| *row).collect();
        let call = || self.outbox.start(self.new_lease(), &rows);
        let own = store_calls::call("mark attempts as started", &self.give_up, call).await;
        for (row, answer) in asked {
            let marked = match &own {
                Ok(own) if own.contains(&row) => Marked::Started,
                Ok(_) => Marked::Lost,
                Err(_) => Marked::Unknown,
            };
            let _ = answer.send(marked); // the attempt is gone when the time of a stop is over
        }
    }

    /// Calls the store until the call succeeds. `false` where the store is broken, or where the writer must give up.
    async fn insist<F>(&self, what: &str, call: impl FnMut() -> F) -> bool
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        self.call(what, call).await.is_ok()
    }

    async fn claim(&mut self, destinations: Vec<DestinationKey>) {
        let claim = Claim {
            destinations: destinations.clone(),
            portion: self.portion,
            lease: self.new_lease(),
            now: self.clock.now(),
        };
        let event = match self.outbox.claim(claim).await {
            Ok(claimed) => Event::Claimed(self.without_unwritten(claimed)),
            Err(error) => {
                self.failed(&error, "claim deliveries");
                Event::NotClaimed(destinations)
            }
        };
        // An error is ignored: the deliverer is gone only at shutdown, and its leases are released then.
        let _ = self.events.send(event);
    }

    /// The claimed rows without those whose attempt was made. Those rows stay leased to this node until the outcome is
    /// written.
    fn without_unwritten(&self, mut claimed: Vec<Claimed>) -> Vec<Claimed> {
        if !self.unwritten.is_empty() {
            for claimed in &mut claimed {
                claimed.deliveries.retain(|(delivery, _)| !self.unwritten.contains(delivery.id));
            }
        }
        claimed
    }

    /// Prolongs leases. One failure does no harm: the next renewal comes before the leases lapse.
    async fn renew(&mut self, mut rows: Vec<DeliveryId>) {
        let asked = self.clock.now();
        rows.extend(self.unwritten.rows());
        match self.outbox.renew(self.new_lease(), &rows).await {
            Ok(own) => {
                let own: HashSet<DeliveryId> = own.into_iter().collect();
                rows.retain(|row| !own.contains(row));
                let _ = self.events.send(Event::Renewed { asked, lost: rows });
            }
            Err(error) => {
                self.failed(&error, "renew leases");
                let _ = self.events.send(Event::NotRenewed);
            }
        }
    }

    /// Reads the holds after the rows that are due. A command or another node may end a hold and make rows due at any
    /// moment. With an older hold, these rows would be put off again, for hours.
    async fn poll_due(&mut self) {
        let waiting = self.outbox.waiting(self.clock.now(), DUE_LIMIT).await;
        match self.outbox.holds(self.clock.now()).await {
            Ok(holds) => drop(self.events.send(Event::Holds(holds))),
            Err(error) => return self.failed(&error, "read what is held"),
        }
        match waiting {
            Ok(waiting) => drop(self.events.send(Event::Waiting(waiting))),
            Err(error) => self.failed(&error, "find waiting deliveries"),
        }
    }

    /// Logs a failed call that will be made again. A broken store is called again later.
    fn failed(&mut self, error: &StoreError, what: &str) {
        store_calls::log(error, what);
        if store_calls::is_broken(error) {
            self.broken_until = Some(Instant::now() + store_calls::BROKEN);
        }
    }

    fn is_broken(&self) -> bool {
        self.broken_until.is_some_and(|until| Instant::now() < until)
    }

    fn new_lease(&self) -> Lease {
        Lease { node: self.node.clone(), until: after(self.clock.now(), self.lease) }
    }
}

/// The bytes that an event counts while it waits for the event log. A minimum for each event bounds the number of
/// events too.
pub(super) fn logged_bytes(logged: &LoggedEvent) -> usize {
    const LEAST: usize = 4096;
    logged.event.raw.len().max(LEAST)
}

/// The deliveries of an event that is alone in a part.
fn alone(part: &[Kept]) -> Option<Arc<[Kept]>> {
    match part {
        [kept] => kept.deliveries_alone().map(|kept| [kept].into()),
        _ => None,
    }
}

/// The message to the deliverer about an event that the store has, or refused for this reason.
fn kept_event(kept: &Kept, refused: Option<&str>) -> KeptEvent {
    let mut event = KeptEvent {
        id: kept.event.id.clone(),
        outcomes: Vec::new(),
        holds: Vec::new(),
        refused: refused.map(|why| RefusedEvent {
            event: Arc::clone(&kept.event),
            origin: kept.origin.clone(),
            received_at: kept.received_at,
            why: why.to_owned(),
        }),
    };
    for delivery in &kept.deliveries {
        if let Fate::Attempted(settled) = &delivery.fate {
            let NewDelivery { destination, lane, .. } = &delivery.new;
            event.outcomes.push((Arc::clone(destination), *lane, delivery.id));
            event.holds.extend(settled.end.iter().cloned());
            event.holds.extend(settled.begin.iter().map(|hold| hold.key.clone()));
        }
    }
    event
}

#[cfg(test)]
pub(super) mod tests;
