//! Dispatch: an event becomes deliveries.
//!
//! A batch comes from a source and is planned ([`mod@plan`], pure). Where the store allows it, the deliveries of an
//! event are attempted before a row is written: the event is handed to the deliverer, and its message is acknowledged
//! when the outcome is on disk. Otherwise rows are written first ([`mod@write`]). [`watermark`] says which messages may
//! be acknowledged.
//!
//! A message that does not decode goes to quarantine with the reason, and is acknowledged: it is neither redelivered
//! for ever nor lost. An event with a value that the store refuses goes there too. While the store is unavailable,
//! nothing is acknowledged.

mod plan;
mod watermark;
mod write;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Clock;
use super::bounded_quarantine::BoundedQuarantine;
use super::condition::Condition;
use super::deliver::{DelivererHandle, Fresh};
use super::events_in_hand::{EventsInHand, Finished, Ticket};
use super::holds::Holds;
use super::source::{Inbound, Receipt, Source};
use super::store_calls::NotWritten;
use crate::catalog::Catalog;
use crate::event::{Event, EventId};
use crate::metrics;
use crate::store::{
    Asked, Dispatched, Fate, FirstAttempts, Inbox, Kept, KeptDelivery, Known, Lane, LoggedEvent, Origin,
    Outbox, Remembered, RepeatOf,
};
use plan::plan_or_bug;
pub use plan::{FirstPauses, Plan, Planning, Verdict, plan, verdicts};
use watermark::Watermark;

/// The most inbound messages taken at once.
const BATCH: usize = 256;
/// The most unacknowledged messages of one source. A broker's prefetch may be a smaller bound.
const IN_HAND: usize = 1024;
/// After this time without an end of a batch, dispatch checks whether this node is cut off from the store.
const CUT_OFF_CHECK: Duration = Duration::from_secs(1);

/// The task that dispatches events, with its components.
#[derive(Clone)]
pub struct Dispatcher {
    pub catalog: Arc<dyn Catalog>,
    pub outbox: Arc<dyn Outbox>,
    pub inbox: Arc<dyn Inbox>,
    pub quarantine: Arc<BoundedQuarantine>,
    pub holds: Holds,
    pub deliverer: DelivererHandle,
    pub events_in_hand: EventsInHand,
    pub condition: Condition,
    pub pauses: FirstPauses,
    pub kept: WhatIsKept,
    /// At a stop, dispatch waits this long for the outcomes of events in hand to be on disk. The other events come
    /// again.
    pub finish_within: Duration,
    pub clock: Clock,
}

/// The data that is kept for people.
#[derive(Clone, Copy, Debug)]
pub struct WhatIsKept {
    /// The JSON of delivered events.
    pub history: bool,
    /// Received events, and why integrations were not notified of them.
    pub event_log: bool,
}

/// A source from which dispatch takes messages.
struct Worked {
    name: &'static str,
    finished: mpsc::UnboundedSender<Finished>,
}

/// An event that integrations want.
struct Wanted {
    dispatched: Dispatched,
    received_at: jiff::Timestamp,
    row_first: bool,
}

/// The messages of a batch, by what is to be done with them.
#[derive(Default)]
struct Sorted {
    wanted: Vec<Wanted>,
    /// Events without a delivery of which the store keeps something.
    remembered: Vec<Wanted>,
    discard: Vec<i64>,
    quarantine: Vec<(crate::store::NewQuarantined, Origin)>,
    logged: Vec<LoggedEvent>,
    /// Messages that are finished with this batch.
    finished: Vec<Receipt>,
    /// Events that were taken in hand, and are not handed over and not on disk yet.
    entered: HashSet<EventId>,
    /// Events that were taken in hand, and are on disk.
    written: Vec<EventId>,
}

impl Sorted {
    /// Notes that the store has this event, with its outcomes or with its rows.
    fn note_written(&mut self, id: EventId) {
        self.entered.remove(&id);
        self.written.push(id);
    }
}

impl Dispatcher {
    /// Dispatches the messages of a source until told to stop. Then events in hand are finished.
    pub async fn run(self, mut source: impl Source, stop: CancellationToken) {
        info!(source = source.name(), "taking events");
        let (sender, mut finished) = mpsc::unbounded_channel();
        let worked = Worked { name: source.name(), finished: sender };
        let mut watermark = Watermark::default();
        let mut ended = Vec::new();
        let (mut prefetch, mut spilled) = (None, None);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = finished.recv_many(&mut ended, IN_HAND) => {}
                batch = source.next(BATCH), if watermark.len() < IN_HAND => {
                    for inbound in &batch {
                        watermark.took(inbound.receipt);
                    }
                    let receipts: Vec<_> = batch.iter().map(|inbound| inbound.receipt).collect();
                    if self.dispatch_or_stand_by(&worked, batch, &mut source, &stop).await.is_err() {
                        if stop.is_cancelled() {
                            break;
                        }
                        // The source stood by: these messages are for other nodes, or come to this one again with other
                        // receipts.
                        for receipt in receipts {
                            watermark.finish(receipt);
                        }
                        self.until_store_answers(&stop).await;
                    }
                    self.note_prefetch(&source, &mut prefetch);
                }
            }
            self.finish(&worked, &mut ended, &mut watermark, &mut source, &stop).await;
            self.spill_what_holds_up(&worked, &watermark, prefetch, &mut spilled);
        }
        if let Some(prefetch) = prefetch {
            self.deliverer.note_prefetch(prefetch, 0);
        }
        let deadline = Instant::now() + self.finish_within;
        while watermark.len() > 0
            && tokio::time::timeout_at(deadline, finished.recv_many(&mut ended, IN_HAND)).await.is_ok()
        {
            self.finish(&worked, &mut ended, &mut watermark, &mut source, &stop).await;
        }
        if watermark.len() > 0 {
            warn!(
                source = worked.name,
                left = watermark.len(),
                "these events are not finished; they come again at the next start"
            );
        }
        source.close().await;
        info!(source = worked.name, "stopped taking events");
    }

    /// Tells the deliverer when the prefetch changes. The prefetch bounds the events in hand, so it decides when events
    /// become rows.
    fn note_prefetch(&self, source: &impl Source, known: &mut Option<usize>) {
        let now = source.prefetch();
        if let Some(prefetch) = now.filter(|_| now != *known) {
            self.deliverer.note_prefetch(known.unwrap_or_default(), prefetch);
            *known = now;
        }
    }

    /// An acknowledgement covers every earlier message, and a source brings no more than its prefetch before it gets one. So an
    /// event that half of that wait for becomes rows, which is an outcome.
    fn spill_what_holds_up(
        &self,
        worked: &Worked,
        watermark: &Watermark,
        prefetch: Option<usize>,
        spilled: &mut Option<Receipt>,
    ) {
        let most = prefetch.unwrap_or(IN_HAND).min(IN_HAND) / 2;
        for receipt in watermark.held_up_by(most) {
            // What was spilled before is on its way to the disk.
            let is_spilled = spilled
                .is_some_and(|last| last.generation == receipt.generation && receipt.number <= last.number);
            if is_spilled {
                continue;
            }
            *spilled = Some(receipt);
            if let Some(event) = self.events_in_hand.brought_by(receipt, &worked.finished) {
                self.deliverer.spill(event);
            }
        }
    }

    /// Notes finished messages, and acknowledges those that may be acknowledged.
    async fn finish(
        &self,
        worked: &Worked,
        ended: &mut Vec<Finished>,
        watermark: &mut Watermark,
        source: &mut impl Source,
        stop: &CancellationToken,
    ) {
        for Finished { receipt, refused } in ended.drain(..) {
            if let Some(refused) = refused {
                let item = self.set_aside(worked.name, &refused.event, refused.received_at, &refused.why);
                let mut discard = Vec::new();
                if !self.put_away(worked.name, vec![(item, refused.origin)], &mut discard, stop).await {
                    continue; // told to stop: it comes again
                }
            }
            watermark.finish(receipt);
        }
        if let Some(last) = watermark.pass() {
            source.acknowledge(last).await;
        }
    }

    /// [`Self::dispatch`]. If this node is cut off from the store meanwhile, it leaves its messages to other nodes.
    ///
    /// # Errors
    /// Told to stop, or cut off, before the store took it.
    async fn dispatch_or_stand_by(
        &self,
        worked: &Worked,
        batch: Vec<Inbound>,
        source: &mut impl Source,
        stop: &CancellationToken,
    ) -> Result<(), NotWritten> {
        let stop = stop.child_token();
        let mut dispatching = std::pin::pin!(self.dispatch(worked, batch, &stop));
        tokio::select! {
            biased;
            outcome = &mut dispatching => return outcome,
            () = self.until_cut_off() => {}
        }
        // Events that the store has not accepted are not offered to it again, because another node may have delivered
        // them.
        stop.cancel();
        source.stand_by().await;
        dispatching.await
    }

    async fn until_store_answers(&self, stop: &CancellationToken) {
        while self.outbox.is_cut_off() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(CUT_OFF_CHECK) => {}
            }
        }
    }

    async fn until_cut_off(&self) {
        loop {
            tokio::time::sleep(CUT_OFF_CHECK).await;
            if self.outbox.is_cut_off() {
                return;
            }
        }
    }

    /// Plans a batch, writes what has to be written first, and hands the rest to the deliverer.
    ///
    /// # Errors
    /// Told to stop before the store took it.
    async fn dispatch(
        &self,
        worked: &Worked,
        batch: Vec<Inbound>,
        stop: &CancellationToken,
    ) -> Result<(), NotWritten> {
        let source = worked.name;
        let now = self.clock.now();
        let holds = self.holds.snapshot();
        let log = self.kept.event_log;
        let planning = Planning { source, holds: &holds, pauses: self.pauses, log, now };
        let receipts: Vec<_> = batch.iter().map(|inbound| inbound.receipt).collect();
        let plan = |inbound| plan_or_bug(inbound, &*self.catalog, planning);
        let mut plans: Vec<_> = batch.into_iter().map(plan).collect();
        self.learn(source, &mut plans, now, stop).await?;
        let mut sorted = self.sort(worked, receipts.into_iter().zip(plans));
        let carried_out = self.carry_out(source, &mut sorted, stop).await;
        self.settle_entered(worked, &sorted, carried_out.is_ok());
        carried_out?;
        for receipt in sorted.finished {
            // Can't fail: the receiver is the caller.
            let _ = worked.finished.send(Finished { receipt, refused: None });
        }
        Ok(())
    }

    /// Hands over and writes the sorted events of a batch.
    async fn carry_out(
        &self,
        source: &'static str,
        sorted: &mut Sorted,
        stop: &CancellationToken,
    ) -> Result<(), NotWritten> {
        self.take_in_hand(source, std::mem::take(&mut sorted.wanted), sorted, stop).await?;
        let (remembered, received): (Vec<_>, Vec<_>) = std::mem::take(&mut sorted.remembered)
            .into_iter()
            .map(|wanted| (wanted.dispatched, wanted.received_at))
            .unzip();
        // A batch that a stop interrupts is enqueued again. That does no harm: enqueueing is idempotent.
        sorted.quarantine.extend(self.enqueue(source, remembered, &received, stop).await?);
        let aside = std::mem::take(&mut sorted.quarantine);
        if !self.put_away(source, aside, &mut sorted.discard, stop).await {
            return Err(NotWritten::Stopped);
        }
        self.deliverer.log(std::mem::take(&mut sorted.logged));
        Ok(())
    }

    /// Removes events that are on disk from the events in hand. When the batch was carried out, this includes those in
    /// quarantine. Events that were not written because of a stop are given up: otherwise they would count as in hand
    /// for ever.
    fn settle_entered(&self, worked: &Worked, sorted: &Sorted, carried_out: bool) {
        for id in &sorted.written {
            self.events_in_hand.leave(id, None);
        }
        for id in &sorted.entered {
            if carried_out {
                self.events_in_hand.leave(id, None);
            } else {
                self.events_in_hand.give_up(id, &worked.finished);
            }
        }
    }

    /// Sorts plans by what is to be done. A repeat of an event that is in hand is finished when the first copy is.
    fn sort(&self, worked: &Worked, plans: impl Iterator<Item = (Receipt, Plan)>) -> Sorted {
        let mut sorted = Sorted::default();
        for (receipt, plan) in plans {
            count(worked.name, &plan);
            match plan {
                Plan::Deliver { dispatched, received_at, row_first, .. } => {
                    let ticket = Ticket { receipt, finished: worked.finished.clone() };
                    if self.events_in_hand.enter(&dispatched.event.id, ticket) {
                        sorted.entered.insert(dispatched.event.id.clone());
                        sorted.wanted.push(Wanted { dispatched, received_at, row_first });
                    } else {
                        log_repeat(worked.name, &dispatched.event);
                    }
                }
                Plan::Drop { event, origin, result, received_at, remembered } => {
                    log_dropped(worked.name, &event, result);
                    sorted.finished.push(receipt);
                    let Remembered { seen, watches, log } = remembered;
                    let is_remembered = seen.is_some() || !watches.is_empty();
                    if let Origin::Inbox(number) = origin
                        && !is_remembered
                    {
                        sorted.discard.push(number);
                    }
                    if let Some(line) = log {
                        let keeps_json = self.kept.history && line.verdicts.is_some();
                        let event = Arc::clone(&event);
                        sorted.logged.push(LoggedEvent { event, received_at, line, keeps_json });
                    }
                    if is_remembered {
                        let remembered = Remembered { seen, watches, log: None };
                        let dispatched = Dispatched { event, origin, deliveries: Vec::new(), remembered };
                        sorted.remembered.push(Wanted { dispatched, received_at, row_first: true });
                    }
                }
                Plan::Quarantine { item, origin } => {
                    sorted.quarantine.push((item, origin));
                    sorted.finished.push(receipt);
                }
            }
        }
        sorted
    }

    /// Hands events to the deliverer, then writes the rows of the others, in one call. If an event follows a written
    /// one in a lane, its rows are written too, so that the ids in a lane follow the order of events.
    async fn take_in_hand(
        &self,
        source: &'static str,
        wanted: Vec<Wanted>,
        sorted: &mut Sorted,
        stop: &CancellationToken,
    ) -> Result<(), NotWritten> {
        let known = self.look_up(source, &wanted, stop).await?;
        let (mut fresh, mut rows): (Vec<Fresh>, Vec<Wanted>) = (Vec::new(), Vec::new());
        let mut lanes_of_rows = HashSet::new();
        for (wanted, known) in wanted.into_iter().zip(known) {
            let Known::New { behind } = known else {
                log_repeat(source, &wanted.dispatched.event);
                if let Origin::Inbox(number) = wanted.dispatched.origin {
                    sorted.discard.push(number);
                }
                sorted.note_written(wanted.dispatched.event.id.clone());
                continue;
            };
            let row_first = wanted.row_first || wanted.lanes().any(|lane| lanes_of_rows.contains(&lane));
            let permits = if row_first { None } else { self.memory_permits(&wanted) };
            if let (Some(first), Some(permits)) = (self.outbox.first_attempts(), permits) {
                let kept = self.in_hand(first, wanted);
                log_in_hand(source, &kept);
                sorted.entered.remove(&kept.event.id);
                fresh.push(Fresh { kept, permits, behind });
            } else {
                lanes_of_rows.extend(wanted.lanes());
                rows.push(wanted);
            }
        }
        self.deliverer.hand_over(fresh);
        self.write_rows(source, rows, sorted, stop).await
    }

    /// Asks the store for each event that may be attempted before a row is written: whether it is a repeat, and which
    /// rows wait before it.
    async fn look_up(
        &self,
        source: &'static str,
        wanted: &[Wanted],
        stop: &CancellationToken,
    ) -> Result<Vec<Known>, NotWritten> {
        let unknown = || Known::New { behind: Vec::new() };
        let Some(first) = self.outbox.first_attempts() else { return Ok(vec![unknown(); wanted.len()]) };
        let asked: Vec<_> = wanted.iter().filter(|wanted| !wanted.row_first).map(asked).collect();
        let mut found = if asked.is_empty() {
            Vec::new()
        } else {
            self.insist(source, stop, || first.look_up(asked.clone())).await?
        }
        .into_iter();
        let known = wanted
            .iter()
            .map(|wanted| if wanted.row_first { unknown() } else { found.next().unwrap_or_else(unknown) });
        Ok(known.collect())
    }

    /// Places in memory for the deliveries of an event; `None` where they don't fit.
    fn memory_permits(&self, wanted: &Wanted) -> Option<Vec<OwnedSemaphorePermit>> {
        let Dispatched { event, deliveries, .. } = &wanted.dispatched;
        deliveries.iter().map(|_| self.deliverer.memory_permit(event.raw.len())).collect()
    }

    /// The event with new ids for its deliveries. None of them was attempted.
    fn in_hand(&self, first: &dyn FirstAttempts, wanted: Wanted) -> Kept {
        let Wanted { dispatched, received_at, .. } = wanted;
        let Dispatched { event, origin, deliveries, remembered } = dispatched;
        let deliveries = deliveries
            .into_iter()
            .map(|new| KeptDelivery { id: first.next_id(), new, fate: Fate::Open })
            .collect();
        Kept { event, origin, remembered, received_at, history: self.kept.history, deliveries }
    }

    /// Writes events with their rows. Before that, events in hand of the same lanes are written.
    async fn write_rows(
        &self,
        source: &'static str,
        wanted: Vec<Wanted>,
        sorted: &mut Sorted,
        stop: &CancellationToken,
    ) -> Result<(), NotWritten> {
        if wanted.is_empty() {
            return Ok(());
        }
        if self.outbox.first_attempts().is_some() {
            let lanes = wanted.iter().flat_map(Wanted::lanes);
            self.deliverer.keep_lanes(lanes.collect(), stop).await?;
        }
        let ids: Vec<_> = wanted.iter().map(|wanted| wanted.dispatched.event.id.clone()).collect();
        let (dispatched, received): (Vec<_>, Vec<_>) =
            wanted.into_iter().map(|wanted| (wanted.dispatched, wanted.received_at)).unzip();
        let refused = self.enqueue(source, dispatched, &received, stop).await?;
        let aside: HashSet<_> = refused.iter().filter_map(|(item, _)| item.id.clone()).collect();
        ids.into_iter().filter(|id| !aside.contains(id)).for_each(|id| sorted.note_written(id));
        sorted.quarantine.extend(refused);
        Ok(())
    }
}

impl Wanted {
    fn lanes(&self) -> impl Iterator<Item = Lane> + '_ {
        self.dispatched.deliveries.iter().map(|delivery| delivery.lane)
    }
}

fn asked(wanted: &Wanted) -> Asked {
    let Dispatched { event, origin, deliveries, .. } = &wanted.dispatched;
    let repeat = match origin {
        Origin::Broker { .. } => RepeatOf::Id(event.id.clone()),
        Origin::Inbox(number) => RepeatOf::Inbox(*number),
    };
    let lanes =
        deliveries.iter().map(|delivery| (delivery.lane, Arc::clone(&delivery.destination))).collect();
    Asked { repeat, lanes }
}

fn log_repeat(source: &'static str, event: &Event) {
    let (id, kind, subject, project) = (&event.id, event.kind(), &event.subject, path_of(event));
    info!(source, event = %id, kind, project, subject, "came again; dispatched once already");
}

/// Logs each event that integrations want, with its number of deliveries.
fn log_in_hand(source: &'static str, kept: &Kept) {
    let (event, deliveries) = (&kept.event, kept.deliveries.len());
    let (id, kind, subject, project) = (&event.id, event.kind(), &event.subject, path_of(event));
    info!(source, event = %id, kind, project, subject, deliveries, "dispatched");
}

/// Logs each event that no integration wants, with the reason.
fn log_dropped(source: &'static str, event: &Event, result: &'static str) {
    let (id, kind, subject, project) = (&event.id, event.kind(), &event.subject, path_of(event));
    info!(source, event = %id, kind, project, subject, result, "no delivery");
}

/// The full path of the project or group that an event belongs to; empty where it names none.
fn path_of(event: &Event) -> &str {
    let of_group = event.group.as_ref().map(|group| group.path.as_str());
    let of_project = event.project.as_ref().map(|project| project.path_with_namespace.as_str());
    of_group.or(of_project).unwrap_or_default()
}

fn count(source: &'static str, plan: &Plan) {
    match plan {
        Plan::Deliver { dispatched, .. } => metrics::event(source, dispatched.event.kind(), "dispatched"),
        Plan::Drop { event, result, .. } => metrics::event(source, event.kind(), result),
        Plan::Quarantine { .. } => metrics::event(source, "unknown", "quarantined"),
    }
}
