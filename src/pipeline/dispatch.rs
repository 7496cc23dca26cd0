//! Dispatch: an event becomes deliveries.
//!
//! A batch comes from a source, is planned (pure: [`plan`]), is committed, and only then acknowledged. What does not
//! decode goes to quarantine with its reason, and is acknowledged too: never in a redelivery loop, never gone. So does an
//! event of which the store does not take a value: it is found by halving the batch, and the rest goes on.
//! When the store is away, the batch waits here and nothing is acknowledged.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use uuid::Uuid;

use super::Clock;
use super::bounded_quarantine::BoundedQuarantine;
use super::build_watch::watch_of;
use super::condition::Condition;
use super::deliver::DelivererHandle;
use super::halves;
use super::holds::{HoldSet, Holds};
use super::open_requests::seen;
use super::probe_watch::probe_of;
use super::source::{Inbound, Source};
use super::store_calls::{self, NotWritten};
use crate::adapters;
use crate::adapters::contract::Target;
use crate::catalog::Catalog;
use crate::digest::Digest;
use crate::event::{Event, EventId};
use crate::integration::Integration;
use crate::integration::rules::{self, WhyNot};
use crate::metrics;
use crate::store::merge_requests::SeenMergeRequest;
use crate::store::registry::Mute;
use crate::store::{
    Delivery, Dispatched, Inbox, Lane, Lease, NewDelivery, NewQuarantined, NewWatch, Origin, Outbox,
    StoreError, Watches,
};

/// Inbound messages taken at once, if that many are there.
const BATCH: usize = 256;
/// What dispatch works with.
#[derive(Clone)]
pub struct Dispatcher {
    pub catalog: Arc<dyn Catalog>,
    pub outbox: Arc<dyn Outbox>,
    pub inbox: Arc<dyn Inbox>,
    pub quarantine: Arc<BoundedQuarantine>,
    pub holds: Holds,
    pub watches: Arc<dyn Watches>,
    pub deliverer: DelivererHandle,
    pub condition: Condition,
    pub pauses: FirstPauses,
    pub clock: Clock,
}

/// The pauses before services are asked for the first time.
#[derive(Clone, Copy, Debug)]
pub struct FirstPauses {
    /// Between the trigger of a build and the first question after it.
    pub build: Duration,
    /// Between a push and the question whether a service can be reached. Pushes in this time lead to one question.
    pub probe: Duration,
}

/// What is to be done with one inbound message.
#[derive(Debug)]
pub enum Plan {
    /// Somebody wants it.
    Deliver {
        dispatched: Dispatched,
        received_at: Timestamp,
        /// Builds to be watched at services that are only asked, and services to be probed.
        watches: Vec<NewWatch>,
    },
    /// No integration wants it; `result` is the metric's label that says why.
    Drop {
        event: Arc<Event>,
        /// What it says of a merge request, if that is to be remembered.
        seen: Option<SeenMergeRequest>,
        result: &'static str,
        origin: Origin,
        watches: Vec<NewWatch>,
    },
    Quarantine {
        item: NewQuarantined,
        origin: Origin,
    },
}

/// One integration's answer to an event.
#[derive(Debug)]
pub enum Verdict {
    /// It goes to these targets, each with its destination; why it goes nowhere else says the adapter.
    Sends {
        deliveries: Vec<NewDelivery>,
        left_out: Vec<String>,
    },
    Not(WhyNot),
    /// It would go to this target, where somebody wants to hear nothing for a while.
    Muted {
        target: Arc<str>,
        mute: Mute,
    },
    /// It is switched off, its address being dead. What it wants waits until somebody corrects it, or expires.
    SwitchedOff {
        why: String,
        waits: Vec<NewDelivery>,
    },
}

/// Whether quarantine has room for a message.
#[derive(Clone, Copy)]
enum Room {
    /// The sender was told that it is accepted.
    Always,
    WithinBounds,
}

impl Dispatcher {
    /// Works a source until told to stop; the batch in hand is finished first.
    pub async fn run(self, mut source: impl Source, stop: CancellationToken) {
        info!(source = source.name(), "taking events");
        loop {
            let batch = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                batch = source.next(BATCH) => batch,
            };
            let Some(last) = batch.last().map(|inbound| inbound.receipt) else { continue };
            if self.dispatch(source.name(), batch, &stop).await {
                source.acknowledge(last).await;
            }
        }
        source.close().await;
        info!(source = source.name(), "stopped taking events");
    }

    /// Plans and commits one batch. `false` where it was told to stop before the store took it.
    async fn dispatch(&self, source: &'static str, batch: Vec<Inbound>, stop: &CancellationToken) -> bool {
        let now = self.clock.now();
        let holds = self.holds.snapshot();
        let plan = |inbound| plan_or_bug(source, inbound, &*self.catalog, &holds, self.pauses, now);
        let mut plans: Vec<_> = batch.into_iter().map(plan).collect();
        if self.learn(source, &mut plans, now, stop).await.is_err() {
            return false;
        }
        let (mut deliver, mut received) = (Vec::new(), Vec::new());
        let (mut discard, mut quarantine) = (Vec::new(), Vec::new());
        let mut watches = Vec::new();
        for plan in plans {
            count(source, &plan);
            match plan {
                Plan::Deliver { dispatched, received_at, watches: of_event } => {
                    watches.extend(of_event);
                    deliver.push(dispatched);
                    received.push(received_at);
                }
                Plan::Drop { event, seen: seen @ Some(_), origin, watches: of_event, result } => {
                    log_dropped(source, &event, result);
                    watches.extend(of_event);
                    deliver.push(Dispatched { event, origin, deliveries: Vec::new(), seen });
                    received.push(now);
                }
                Plan::Drop { origin, watches: of_event, event, result, seen: None } => {
                    log_dropped(source, &event, result);
                    watches.extend(of_event);
                    if let Origin::Inbox(number) = origin {
                        discard.push(number);
                    }
                }
                Plan::Quarantine { item, origin } => quarantine.push((item, origin)),
            }
        }
        // A watch that exists already stays as it is, so this may be done again too.
        let watch = |part: Range<usize>| {
            let watches = &watches[part];
            self.insist(source, stop, || self.watches.watch(watches.to_vec()))
        };
        for (_, answer) in halves::write(watches.len(), watch).await {
            match refusal(answer) {
                Ok(None) => {}
                Ok(Some(why)) => {
                    error!(source, why, "the store does not take a watch; nothing is asked after this event");
                }
                Err(_) => return false,
            }
        }
        // Enqueueing twice changes nothing, so it goes first: a batch that a stop interrupts is enqueued again.
        let Ok(refused) = self.enqueue(source, deliver, &received, stop).await else { return false };
        quarantine.extend(refused);
        self.quarantine(quarantine, &mut discard, stop).await
            && (discard.is_empty()
                || self.insist(source, stop, || self.inbox.discard(&discard)).await.is_ok())
    }

    /// Makes known the projects that these events are of: a row names its integration by the project, so the node that works
    /// the row has to know it. An event of which the store does not take the project is set aside.
    async fn learn(
        &self,
        source: &'static str,
        plans: &mut [Plan],
        now: Timestamp,
        stop: &CancellationToken,
    ) -> Result<(), NotWritten> {
        let (places, events): (Vec<_>, Vec<_>) =
            plans.iter().enumerate().filter_map(|(at, plan)| Some((at, Arc::clone(plan.event()?)))).unzip();
        let learn = |part: Range<usize>| {
            let events = &events[part];
            self.insist(source, stop, || self.catalog.learn(events, now))
        };
        for (part, answer) in halves::write(events.len(), learn).await {
            if let Some(why) = refusal(answer)? {
                let plan = &mut plans[places[part.start]];
                let aside =
                    self.set_aside(source, &events[part.start], plan.received_at().unwrap_or(now), &why);
                *plan = Plan::Quarantine { item: aside, origin: plan.origin().clone() };
            }
        }
        Ok(())
    }

    /// An event for quarantine, because the store does not take a value of it.
    fn set_aside(
        &self,
        source: &'static str,
        event: &Event,
        received_at: Timestamp,
        why: &str,
    ) -> NewQuarantined {
        error!(source, event = %event.id, why, "the store does not take this event; it is put aside, and the others go on");
        self.condition.refused();
        let (id, raw) = (Some(event.id.clone()), event.raw.clone());
        NewQuarantined { source, sender: None, id, reason: why.to_owned(), received_at, raw }
    }

    /// See [`store_calls::insist`].
    async fn insist<T, F>(
        &self,
        source: &'static str,
        stop: &CancellationToken,
        call: impl FnMut() -> F,
    ) -> Result<T, NotWritten>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let trouble = |why| self.condition.dispatch(source, why);
        store_calls::insist("store a batch of events", stop, trouble, call).await
    }

    async fn quarantine(
        &self,
        items: Vec<(NewQuarantined, Origin)>,
        discard: &mut Vec<i64>,
        stop: &CancellationToken,
    ) -> bool {
        let (mut accepted, mut others) = (Vec::new(), Vec::new());
        for (item, origin) in items {
            if let Origin::Inbox(number) = origin {
                discard.push(number);
                accepted.push(item);
            } else {
                others.push(item);
            }
        }
        self.put_in_quarantine(&accepted, Room::Always, stop).await
            && self.put_in_quarantine(&others, Room::WithinBounds, stop).await
    }

    async fn put_in_quarantine(
        &self,
        items: &[NewQuarantined],
        room: Room,
        stop: &CancellationToken,
    ) -> bool {
        let now = self.clock.now();
        let put = |part: Range<usize>| {
            let items = &items[part];
            self.insist(items[0].source, stop, move || async move {
                match room {
                    Room::Always => self.quarantine.keep_all(items.to_vec()).await,
                    Room::WithinBounds => self.quarantine.keep(items.to_vec(), now).await.map(drop),
                }
            })
        };
        for (part, answer) in halves::write(items.len(), put).await {
            match answer {
                Ok(()) => {}
                Err(NotWritten::Refused(why)) => {
                    let id = &items[part.start].id;
                    error!(event = ?id, why, "quarantine does not take this event either; it is dropped");
                }
                Err(NotWritten::Stopped | NotWritten::Broken(_)) => return false,
            }
        }
        true
    }

    /// Commits deliveries, then hands those that were written leased to the deliverer. Returns the events that the store
    /// does not take.
    async fn enqueue(
        &self,
        source: &'static str,
        mut batch: Vec<Dispatched>,
        received: &[Timestamp],
        stop: &CancellationToken,
    ) -> Result<Vec<(NewQuarantined, Origin)>, NotWritten> {
        // One for each delivery of each event.
        let mut permits = Vec::with_capacity(batch.len());
        for Dispatched { event, deliveries, .. } in &mut batch {
            let of_event = deliveries.iter_mut().map(|delivery| {
                let may_be_handed = !self.deliverer.has_backlog(&delivery.destination);
                let permit = may_be_handed.then(|| self.deliverer.memory_permit(event.raw.len())).flatten();
                delivery.lease = permit.as_ref().map(|_| self.deliverer.lease(self.clock.now()));
                permit
            });
            permits.push(of_event.collect::<Vec<_>>());
        }
        let write = |part: Range<usize>| {
            let batch = &batch[part];
            self.insist(source, stop, || {
                // A store that was away for longer than a lease must not be given one that has lapsed.
                let now = self.clock.now();
                self.outbox.enqueue(leased_from(batch, &self.deliverer.lease(now)), now)
            })
        };
        let parts = halves::write(batch.len(), write).await;
        let mut entries = batch.into_iter().zip(permits).zip(received);
        let mut refused = Vec::new();
        for (part, answer) in parts {
            let part = entries.by_ref().take(part.len());
            match answer {
                Ok(rows) => {
                    for (((dispatched, permits), received_at), rows) in part.zip(rows) {
                        log_written(source, &dispatched.event, &rows);
                        self.hand_over(&dispatched.event, rows, permits, *received_at);
                    }
                }
                Err(NotWritten::Refused(why)) => {
                    refused.extend(part.map(|((dispatched, _), received_at)| {
                        (self.set_aside(source, &dispatched.event, *received_at, &why), dispatched.origin)
                    }));
                }
                Err(stopped) => return Err(stopped),
            }
        }
        Ok(refused)
    }

    /// Hands the rows of one event to the deliverer.
    fn hand_over(
        &self,
        event: &Arc<Event>,
        rows: Vec<Option<Delivery>>,
        permits: Vec<Option<OwnedSemaphorePermit>>,
        received_at: Timestamp,
    ) {
        for (row, permit) in rows.into_iter().zip(permits) {
            match row {
                // The row exists, and is worked.
                None => {}
                Some(delivery) if delivery.leased => {
                    self.deliverer.enqueue(delivery, Arc::clone(event), permit, received_at);
                }
                Some(delivery) => self.deliverer.note_written(delivery),
            }
        }
    }
}

/// One line for each event that integrations want: what it is, and how many deliveries were written.
fn log_written(source: &'static str, event: &Event, rows: &[Option<Delivery>]) {
    let (id, kind, subject, project) = (&event.id, event.kind(), &event.subject, path_of(event));
    match rows.iter().flatten().count() {
        // Nothing was to be written: see `log_dropped`.
        0 if rows.is_empty() => {}
        0 => info!(source, event = %id, kind, project, subject, "came again; dispatched once already"),
        deliveries => info!(source, event = %id, kind, project, subject, deliveries, "dispatched"),
    }
}

/// One line for each event that no integration wants, with the label that says why.
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

/// Why the store does not take an item.
///
/// # Errors
/// Told to stop.
fn refusal<T>(answer: Result<T, NotWritten>) -> Result<Option<String>, NotWritten> {
    match answer {
        Ok(_) => Ok(None),
        Err(NotWritten::Refused(why)) => Ok(Some(why)),
        Err(stopped) => Err(stopped),
    }
}

/// The batch, with this lease for each delivery that asks for one.
fn leased_from(batch: &[Dispatched], lease: &Lease) -> Vec<Dispatched> {
    let mut batch = batch.to_vec();
    for asked in batch.iter_mut().flat_map(|dispatched| &mut dispatched.deliveries) {
        asked.lease = asked.lease.take().map(|_| lease.clone());
    }
    batch
}

/// [`plan`], of which not even a bug of ours may stop the others: what it stumbles over is put aside with that reason.
fn plan_or_bug(
    source: &'static str,
    inbound: Inbound,
    catalog: &dyn Catalog,
    holds: &HoldSet,
    pauses: FirstPauses,
    now: Timestamp,
) -> Plan {
    let kept = inbound.clone();
    let planned = AssertUnwindSafe(|| plan(source, inbound, catalog, holds, pauses, now));
    std::panic::catch_unwind(planned).unwrap_or_else(|_| {
        let Inbound { id, received_at, raw, origin, .. } = kept;
        let reason = "a bug of ours: reading it ended in a panic".to_owned();
        Plan::Quarantine {
            item: NewQuarantined { source, sender: None, id, reason, received_at, raw },
            origin,
        }
    })
}

/// What is to be done with one inbound message. Pure.
pub fn plan(
    source: &'static str,
    inbound: Inbound,
    catalog: &dyn Catalog,
    holds: &HoldSet,
    pauses: FirstPauses,
    now: Timestamp,
) -> Plan {
    let Inbound { id, occurred_at, received_at, raw, refused, origin, .. } = inbound;
    if let Some(reason) = refused {
        return Plan::Quarantine {
            item: NewQuarantined { source, sender: None, id, reason, received_at, raw },
            origin,
        };
    }
    let decoded = Event::decode(id.clone().unwrap_or_else(fresh_id), occurred_at, raw.clone());
    let event = match decoded {
        Ok(event) => Arc::new(event),
        Err(error) => {
            let reason = error.to_string();
            let item = NewQuarantined { source, sender: None, id, reason, received_at, raw };
            return Plan::Quarantine { item, origin };
        }
    };
    if event.trigger.is_none() {
        return Plan::Drop { event, seen: None, result: "unrouted", origin, watches: Vec::new() };
    }
    let verdicts = verdicts(&event, catalog, holds, now);
    let told = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Sends { .. }));
    let watches: Vec<_> =
        told.flat_map(|(integration, _)| watches(integration, &event, pauses, now)).collect();
    let seen = seen(&event, verdicts.iter().map(|(integration, _)| integration));
    let is_muted = verdicts.iter().any(|(_, verdict)| matches!(verdict, Verdict::Muted { .. }));
    let deliveries: Vec<_> = verdicts.into_iter().flat_map(|(_, verdict)| verdict.deliveries()).collect();
    if deliveries.is_empty() {
        let result = match (watches.is_empty(), is_muted) {
            (false, _) => "watched",
            (true, true) => "muted",
            (true, false) => "unmatched",
        };
        return Plan::Drop { event, seen, result, origin, watches };
    }
    Plan::Deliver { dispatched: Dispatched { event, origin, deliveries, seen }, received_at, watches }
}

impl Plan {
    fn event(&self) -> Option<&Arc<Event>> {
        match self {
            Self::Deliver { dispatched, .. } => Some(&dispatched.event),
            Self::Drop { event, .. } => Some(event),
            Self::Quarantine { .. } => None,
        }
    }

    fn received_at(&self) -> Option<Timestamp> {
        match self {
            Self::Deliver { received_at, .. } => Some(*received_at),
            Self::Drop { .. } => None,
            Self::Quarantine { item, .. } => Some(item.received_at),
        }
    }

    fn origin(&self) -> &Origin {
        match self {
            Self::Deliver { dispatched: Dispatched { origin, .. }, .. }
            | Self::Drop { origin, .. }
            | Self::Quarantine { origin, .. } => origin,
        }
    }
}

impl Verdict {
    fn deliveries(self) -> Vec<NewDelivery> {
        match self {
            Self::Sends { deliveries, .. } | Self::SwitchedOff { waits: deliveries, .. } => deliveries,
            Self::Not(_) | Self::Muted { .. } => Vec::new(),
        }
    }
}

/// What each integration that an event concerns does with it: what dispatch goes by, and what `explain` shows.
pub fn verdicts(
    event: &Event,
    catalog: &dyn Catalog,
    holds: &HoldSet,
    now: Timestamp,
) -> Vec<(Arc<Integration>, Verdict)> {
    let facts = catalog.facts(event);
    let mut verdicts = Vec::new();
    for integration in catalog.concerned(event) {
        if let Err(why) = rules::wants(&integration, event, &facts) {
            verdicts.push((integration, Verdict::Not(why)));
            continue;
        }
        let mut heard = Vec::new();
        let mut is_muted = false;
        let (deliveries, left_out) = deliveries(&integration, event);
        for delivery in deliveries {
            match catalog.muted(event, &integration, &delivery.target, now) {
                None => heard.push(delivery),
                Some(mute) => {
                    let muted = Verdict::Muted { target: delivery.target, mute };
                    verdicts.push((Arc::clone(&integration), muted));
                    is_muted = true;
                }
            }
        }
        if heard.is_empty() && is_muted {
            continue;
        }
        // Where only some of its addresses are off, those wait and the others are told.
        let off = |delivery: &NewDelivery| holds.switched_off(&integration, &delivery.destination);
        let verdict = match heard.iter().map(off).reduce(Option::and).flatten().map(str::to_owned) {
            Some(why) => Verdict::SwitchedOff { why, waits: heard },
            None => Verdict::Sends { deliveries: heard, left_out },
        };
        verdicts.push((integration, verdict));
    }
    verdicts
}

/// What is asked after an event that an integration takes. The build that a delivery triggers is not among it: see
/// [`super::attempt`].
fn watches(
    integration: &Integration,
    event: &Event,
    pauses: FirstPauses,
    now: Timestamp,
) -> impl Iterator<Item = NewWatch> {
    let is_only_asked = adapters::find(integration.slug).is_some_and(adapters::Entry::is_only_asked);
    let build = is_only_asked.then(|| watch_of(integration, event, pauses.build, now)).flatten();
    build.into_iter().chain(probe_of(integration, event, pauses.probe, now))
}

/// One delivery per target, and why there are no others.
fn deliveries(integration: &Integration, event: &Event) -> (Vec<NewDelivery>, Vec<String>) {
    let (Some(entry), Some(trigger)) = (adapters::find(integration.slug), event.trigger) else {
        return (Vec::new(), Vec::new()); // an integration is made from its adapter's entry, and wants only what has a trigger
    };
    if entry.is_only_asked() {
        let asked =
            if entry.status.is_some() { "what became of the build" } else { "whether it can be reached" };
        return (Vec::new(), vec![format!("nothing is sent to it; it is asked {asked}")]);
    }
    let targets = entry.targets(&integration.settings, event, integration.channels.for_trigger(trigger));
    let new = |target: Target| {
        let (destination, share) = entry.destination_and_share(&integration.settings, &target.name);
        NewDelivery {
            integration: integration.id.clone(),
            destination,
            share,
            lane: lane(integration, &target, event),
            replaces: target.replaces,
            target: target.name.into(),
            lease: None,
        }
    };
    (targets.send.into_iter().map(new).collect(), targets.left_out)
}

/// What order is kept within: the event's subject, or what the adapter names in its place.
fn lane(integration: &Integration, target: &Target, event: &Event) -> Lane {
    let project = event.project.as_ref().map(|project| project.id).unwrap_or_default();
    let project = project.to_be_bytes();
    // The mark keeps a key apart from a subject of the same words. Targets of the same key share a lane.
    let (mark, name, subject) = match &target.lane {
        Some(key) => ("lane", &[][..], key.0.as_bytes()),
        None => ("", target.name.as_bytes(), event.subject.as_bytes()),
    };
    let parts = [integration.id.0.as_bytes(), name, &project, subject, mark.as_bytes()];
    let parts = &parts[..if mark.is_empty() { 4 } else { 5 }];
    Lane(Digest::of(parts.iter().copied()).number())
}

fn fresh_id() -> EventId {
    EventId::new(&Uuid::now_v7().to_string()).expect("a UUID is short and printable")
}

fn count(source: &'static str, plan: &Plan) {
    match plan {
        Plan::Deliver { dispatched, .. } => metrics::event(source, dispatched.event.kind(), "dispatched"),
        Plan::Drop { event, result, .. } => metrics::event(source, event.kind(), result),
        Plan::Quarantine { .. } => metrics::event(source, "unknown", "quarantined"),
    }
}

#[cfg(test)]
mod tests;
