//! Dispatch: an event becomes deliveries.
//!
//! A batch comes from a source, is planned (pure: [`plan`]), is committed, and only then acknowledged. What does not
//! decode goes to quarantine with its reason, and is acknowledged too: never in a redelivery loop, never gone.
//! When the store is away, the batch waits here and nothing is acknowledged.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};
use uuid::Uuid;

use super::Clock;
use super::bounded_quarantine::BoundedQuarantine;
use super::deliver::DelivererHandle;
use super::holds::{HoldSet, Holds};
use super::source::{Inbound, Source};
use super::status_poller::watch_of;
use super::store_calls::{self, GivenUp};
use crate::adapters;
use crate::adapters::contract::Target;
use crate::catalog::Catalog;
use crate::digest::Digest;
use crate::event::{Event, EventId};
use crate::integration::Integration;
use crate::integration::rules::{self, WhyNot};
use crate::metrics;
use crate::store::registry::Mute;
use crate::store::{
    Dispatched, Inbox, Lane, NewDelivery, NewQuarantined, NewWatch, Origin, Outbox, StoreError, Watches,
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
    /// The pause between the trigger of a build and the first question after it.
    pub first_build_pause: Duration,
    pub clock: Clock,
}

/// What is to be done with one inbound message.
#[derive(Debug)]
pub enum Plan {
    /// Somebody wants it.
    Deliver {
        dispatched: Dispatched,
        received_at: Timestamp,
        /// Builds to be watched at services that are only asked.
        watches: Vec<NewWatch>,
    },
    /// No integration wants it; `result` is the metric's label that says why.
    Drop {
        event: Arc<Event>,
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
        let pause = self.first_build_pause;
        let plan = |inbound| plan_or_bug(source, inbound, &*self.catalog, &holds, pause, now);
        let plans: Vec<_> = batch.into_iter().map(plan).collect();
        // A row names its integration by the project: whoever works it must be able to know that project.
        let events: Vec<_> = plans.iter().filter_map(Plan::event).cloned().collect();
        if insist(stop, || self.catalog.learn(&events, now)).await.is_none() {
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
                Plan::Drop { origin, watches: of_event, .. } => {
                    watches.extend(of_event);
                    if let Origin::Inbox(number) = origin {
                        discard.push(number);
                    }
                }
                Plan::Quarantine { item, origin } => quarantine.push((item, origin)),
            }
        }
        // A watch that exists already stays as it is, so this may be done again too.
        if !watches.is_empty() && insist(stop, || self.watches.watch(watches.clone())).await.is_none() {
            return false;
        }
        // Enqueueing twice changes nothing, so it goes first: whoever is stopped in between does it again.
        self.enqueue(deliver, &received, stop).await
            && self.quarantine(quarantine, &mut discard, stop).await
            && (discard.is_empty() || insist(stop, || self.inbox.discard(&discard)).await.is_some())
    }

    async fn quarantine(
        &self,
        items: Vec<(NewQuarantined, Origin)>,
        discard: &mut Vec<i64>,
        stop: &CancellationToken,
    ) -> bool {
        if items.is_empty() {
            return true;
        }
        let (mut accepted, mut others) = (Vec::new(), Vec::new());
        for (item, origin) in items {
            if let Origin::Inbox(number) = origin {
                discard.push(number);
                accepted.push(item);
            } else {
                others.push(item);
            }
        }
        let now = self.clock.now();
        (accepted.is_empty() || insist(stop, || self.quarantine.keep_all(accepted.clone())).await.is_some())
            && (others.is_empty()
                || insist(stop, || self.quarantine.keep(others.clone(), now)).await.is_some())
    }

    /// Commits deliveries, then hands those that were written leased to the deliverer.
    async fn enqueue(
        &self,
        mut batch: Vec<Dispatched>,
        received: &[Timestamp],
        stop: &CancellationToken,
    ) -> bool {
        if batch.is_empty() {
            return true;
        }
        // One for each delivery.
        let mut permits = Vec::new();
        for Dispatched { event, deliveries, .. } in &mut batch {
            for delivery in deliveries {
                let may_be_handed = !self.deliverer.has_backlog(&delivery.destination);
                let permit = may_be_handed.then(|| self.deliverer.memory_permit(event.raw.len())).flatten();
                delivery.lease = permit.as_ref().map(|_| self.deliverer.lease(self.clock.now()));
                permits.push(permit);
            }
        }
        let write = || {
            // A store that was away for longer than a lease must not be given one that has lapsed.
            let now = self.clock.now();
            let leased = batch.iter_mut().flat_map(|dispatched| &mut dispatched.deliveries);
            for lease in leased.filter_map(|delivery| delivery.lease.as_mut()) {
                *lease = self.deliverer.lease(now);
            }
            self.outbox.enqueue(batch.clone(), now)
        };
        let Some(written) = insist(stop, write).await else { return false };
        let mut permits = permits.into_iter();
        for ((dispatched, rows), received_at) in batch.into_iter().zip(written).zip(received) {
            for (row, permit) in rows.into_iter().zip(permits.by_ref()) {
                match row {
                    // Here before: whoever wrote it first sees to it.
                    None => debug!(event = %dispatched.event.id, "came again; dispatched once already"),
                    Some(delivery) if delivery.leased => {
                        self.deliverer.enqueue(delivery, Arc::clone(&dispatched.event), permit, *received_at);
                    }
                    Some(delivery) => self.deliverer.note_written(delivery),
                }
            }
        }
        true
    }
}

/// [`plan`], of which not even a bug of ours may stop the others: what it stumbles over is put aside with that reason.
fn plan_or_bug(
    source: &'static str,
    inbound: Inbound,
    catalog: &dyn Catalog,
    holds: &HoldSet,
    pause: Duration,
    now: Timestamp,
) -> Plan {
    let kept = inbound.clone();
    let planned = AssertUnwindSafe(|| plan(source, inbound, catalog, holds, pause, now));
    std::panic::catch_unwind(planned).unwrap_or_else(|_| {
        let Inbound { id, received_at, raw, origin, .. } = kept;
        let reason = "a bug of ours: reading it ended in a panic".to_owned();
        Plan::Quarantine {
            item: NewQuarantined { source, sender: None, id, reason, received_at, raw },
            origin,
        }
    })
}

/// What is to be done with one inbound message. `pause` lies between the trigger of a build and the first question after
/// it. Pure.
pub fn plan(
    source: &'static str,
    inbound: Inbound,
    catalog: &dyn Catalog,
    holds: &HoldSet,
    pause: Duration,
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
        return Plan::Drop { event, result: "unrouted", origin, watches: Vec::new() };
    }
    let verdicts = verdicts(&event, catalog, holds, now);
    let watched = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Sends { .. }));
    let watched = watched.filter(|(integration, _)| is_only_asked(integration));
    let watches: Vec<_> =
        watched.filter_map(|(integration, _)| watch_of(integration, &event, pause, now)).collect();
    let is_muted = verdicts.iter().any(|(_, verdict)| matches!(verdict, Verdict::Muted { .. }));
    let deliveries: Vec<_> = verdicts.into_iter().flat_map(|(_, verdict)| verdict.deliveries()).collect();
    if deliveries.is_empty() {
        let result = match (watches.is_empty(), is_muted) {
            (false, _) => "watched",
            (true, true) => "muted",
            (true, false) => "unmatched",
        };
        return Plan::Drop { event, result, origin, watches };
    }
    Plan::Deliver { dispatched: Dispatched { event, origin, deliveries }, received_at, watches }
}

impl Plan {
    fn event(&self) -> Option<&Arc<Event>> {
        match self {
            Self::Deliver { dispatched, .. } => Some(&dispatched.event),
            Self::Drop { event, .. } => Some(event),
            Self::Quarantine { .. } => None,
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

fn is_only_asked(integration: &Integration) -> bool {
    adapters::find(integration.slug).is_some_and(adapters::Entry::is_only_asked)
}

/// One delivery per target, and why there are no others.
fn deliveries(integration: &Integration, event: &Event) -> (Vec<NewDelivery>, Vec<String>) {
    let (Some(entry), Some(trigger)) = (adapters::find(integration.slug), event.trigger) else {
        return (Vec::new(), Vec::new()); // an integration is made from its adapter's entry, and wants only what has a trigger
    };
    if entry.is_only_asked() {
        return (Vec::new(), vec!["nothing is sent to it; it is asked what became of the build".to_owned()]);
    }
    let targets = entry.targets(&integration.settings, event, integration.channels.for_trigger(trigger));
    let new = |target: Target| NewDelivery {
        integration: integration.id.clone(),
        destination: entry.destination(&integration.settings, &target.name),
        lane: lane(integration, &target, event),
        replaces: target.replaces,
        target: target.name.into(),
        lease: None,
    };
    (targets.send.into_iter().map(new).collect(), targets.left_out)
}

/// What order is kept within: the event's subject, or what the adapter names in its place.
fn lane(integration: &Integration, target: &Target, event: &Event) -> Lane {
    let project = event.project.as_ref().map(|project| project.id).unwrap_or_default();
    let (project, name) = (project.to_be_bytes(), target.name.as_bytes());
    // The mark keeps a key apart from a subject of the same words.
    let (mark, subject) = match &target.lane {
        Some(key) => ("lane", key.0.as_bytes()),
        None => ("", event.subject.as_bytes()),
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

/// Calls the store until it takes a batch; `None` where it was told to stop first. A broken store may be mended while the
/// batch waits: nothing is acknowledged meanwhile.
async fn insist<T, F>(stop: &CancellationToken, mut call: impl FnMut() -> F) -> Option<T>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match store_calls::insist("store a batch of events", stop, &mut call).await {
            Ok(value) => return Some(value),
            Err(GivenUp::Stopped) => return None,
            Err(GivenUp::Broken) => tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(store_calls::BROKEN) => {}
            },
        }
    }
}

#[cfg(test)]
mod tests;
