//! Decides what to do with an event. Pure.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::adapters;
use crate::adapters::contract::Target;
use crate::catalog::Catalog;
use crate::digest::Digest;
use crate::event::{Event, EventId};
use crate::integration::Integration;
use crate::integration::rules::{self, WhyNot};
use crate::pipeline::build_watch::watch_of;
use crate::pipeline::holds::HoldSet;
use crate::pipeline::open_requests::seen;
use crate::pipeline::probe_watch::probe_of;
use crate::pipeline::reasons::{muted, reasons, why_nothing};
use crate::pipeline::source::Inbound;
use crate::store::registry::Mute;
use crate::store::{Dispatched, Lane, LogLine, NewDelivery, NewQuarantined, NewWatch, Origin, Remembered};

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
    /// An integration wants it.
    Deliver {
        dispatched: Dispatched,
        received_at: Timestamp,
        /// Its deliveries need rows before their first attempts.
        row_first: bool,
    },
    /// No integration wants it; `result` is the metric's label that says why.
    Drop {
        event: Arc<Event>,
        result: &'static str,
        origin: Origin,
        received_at: Timestamp,
        remembered: Remembered,
    },
    Quarantine {
        item: NewQuarantined,
        origin: Origin,
    },
}

/// The input of planning beside the message and the catalogue.
#[derive(Clone, Copy)]
pub struct Planning<'a> {
    pub source: &'static str,
    pub holds: &'a HoldSet,
    pub pauses: FirstPauses,
    /// Whether there is an event log.
    pub log: bool,
    pub now: Timestamp,
}

/// One integration's answer to an event.
#[derive(Debug)]
pub enum Verdict {
    /// The event goes to these targets, each with its destination. The adapter gives the reasons for targets that it
    /// leaves out.
    Sends {
        deliveries: Vec<NewDelivery>,
        left_out: Vec<String>,
    },
    Not(WhyNot),
    /// The event would go to this target, but the target is muted for a while.
    Muted {
        target: Arc<str>,
        mute: Mute,
    },
    /// The integration is switched off because its address is dead. Its deliveries wait until its settings are
    /// corrected, or expire.
    SwitchedOff {
        why: String,
        waits: Vec<NewDelivery>,
    },
}

/// [`plan`], with panics caught: a message that causes a panic is quarantined with that reason and does not stop the
/// others.
pub(super) fn plan_or_bug(inbound: Inbound, catalog: &dyn Catalog, planning: Planning<'_>) -> Plan {
    let kept = inbound.clone();
    let planned = AssertUnwindSafe(|| plan(inbound, catalog, planning));
    std::panic::catch_unwind(planned).unwrap_or_else(|_| {
        let Inbound { id, received_at, raw, origin, .. } = kept;
        let reason = "a bug of ours: reading it ended in a panic".to_owned();
        Plan::Quarantine {
            item: NewQuarantined { source: planning.source, sender: None, id, reason, received_at, raw },
            origin,
        }
    })
}

/// What is to be done with one inbound message. Pure.
pub fn plan(inbound: Inbound, catalog: &dyn Catalog, planning: Planning<'_>) -> Plan {
    let Planning { source, holds, pauses, log, now } = planning;
    let Inbound { id, occurred_at, received_at, raw, refused, origin, again, .. } = inbound;
    if let Some(reason) = refused {
        return Plan::Quarantine {
            item: NewQuarantined { source, sender: None, id, reason, received_at, raw },
            origin,
        };
    }
    let has_id = id.is_some();
    let decoded = catalog.decode(id.clone().unwrap_or_else(fresh_id), occurred_at, raw.clone());
    let event = match decoded {
        Ok(event) => Arc::new(event),
        Err(error) => {
            let reason = error.to_string();
            let item = NewQuarantined { source, sender: None, id, reason, received_at, raw };
            return Plan::Quarantine { item, origin };
        }
    };
    if event.trigger.is_none() {
        let log = log.then_some(LogLine { source, verdicts: None });
        let remembered = Remembered { log, ..Remembered::default() };
        return Plan::Drop { event, result: "unrouted", origin, received_at, remembered };
    }
    let verdicts = verdicts(&event, catalog, holds, now);
    let log = log.then(|| LogLine { source, verdicts: not_told(&verdicts) });
    let told = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Sends { .. }));
    let watches: Vec<_> =
        told.flat_map(|(integration, _)| watches(integration, &event, pauses, now)).collect();
    let seen = seen(&event, verdicts.iter().map(|(integration, _)| integration));
    let is_muted = verdicts.iter().any(|(_, verdict)| matches!(verdict, Verdict::Muted { .. }));
    let row_first =
        again || !has_id || verdicts.iter().any(|(integration, verdict)| needs_row(integration, verdict));
    let deliveries: Vec<_> = verdicts.into_iter().flat_map(|(_, verdict)| verdict.deliveries()).collect();
    let remembered = Remembered { seen, watches, log };
    if deliveries.is_empty() {
        let result = match (remembered.watches.is_empty(), is_muted) {
            (false, _) => "watched",
            (true, true) => "muted",
            (true, false) => "unmatched",
        };
        return Plan::Drop { event, result, origin, received_at, remembered };
    }
    let dispatched = Dispatched { event, origin, deliveries, remembered };
    Plan::Deliver { dispatched, received_at, row_first }
}

/// Whether deliveries need rows before their attempts: because an attempt must not be repeated, because a repeat has to
/// look first, or because a newer delivery may replace them.
fn needs_row(integration: &Integration, verdict: &Verdict) -> bool {
    let (Verdict::Sends { deliveries, .. } | Verdict::SwitchedOff { waits: deliveries, .. }) = verdict else {
        return false;
    };
    let deliver = adapters::find(integration.slug).and_then(|entry| entry.deliver.as_ref());
    deliver.is_some_and(|deliver| !deliver.about.retry_ambiguous || deliver.looks_first)
        || deliveries.iter().any(|delivery| delivery.replaces)
}

/// The integrations that are not notified, with the reasons, for the event log.
fn not_told(verdicts: &[(Arc<Integration>, Verdict)]) -> Option<String> {
    let pairs: Vec<(&str, String)> = verdicts
        .iter()
        .filter_map(|(integration, verdict)| Some((&*integration.id.0, verdict.why_not()?)))
        .collect();
    if pairs.is_empty() { None } else { serde_json::to_string(&pairs).ok() }
}

impl Plan {
    pub(super) fn event(&self) -> Option<&Arc<Event>> {
        match self {
            Self::Deliver { dispatched, .. } => Some(&dispatched.event),
            Self::Drop { event, .. } => Some(event),
            Self::Quarantine { .. } => None,
        }
    }

    pub(super) fn received_at(&self) -> Timestamp {
        match self {
            Self::Deliver { received_at, .. } | Self::Drop { received_at, .. } => *received_at,
            Self::Quarantine { item, .. } => item.received_at,
        }
    }

    pub(super) fn origin(&self) -> &Origin {
        match self {
            Self::Deliver { dispatched: Dispatched { origin, .. }, .. }
            | Self::Drop { origin, .. }
            | Self::Quarantine { origin, .. } => origin,
        }
    }
}

impl Verdict {
    /// Why the integration is not notified, or only at some targets; `None` where it is notified at all.
    fn why_not(&self) -> Option<String> {
        match self {
            Self::Sends { deliveries, left_out } if deliveries.is_empty() => Some(why_nothing(left_out)),
            Self::Sends { left_out, .. } => reasons(left_out),
            Self::Not(why) => Some(why.to_string()),
            Self::Muted { target, mute } => Some(muted(target, mute)),
            Self::SwitchedOff { why, .. } => {
                Some(format!("it waits, because the integration is switched off: {why}"))
            }
        }
    }

    fn deliveries(self) -> Vec<NewDelivery> {
        match self {
            Self::Sends { deliveries, .. } | Self::SwitchedOff { waits: deliveries, .. } => deliveries,
            Self::Not(_) | Self::Muted { .. } => Vec::new(),
        }
    }
}

/// What each integration that an event concerns does with the event. Dispatch acts on it, and `explain` shows it.
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
        // Where only some of the addresses are switched off, their deliveries wait and the others are sent.
        let off = |delivery: &NewDelivery| holds.switched_off(&integration, &delivery.destination);
        let verdict = match heard.iter().map(off).reduce(Option::and).flatten().map(str::to_owned) {
            Some(why) => Verdict::SwitchedOff { why, waits: heard },
            None => Verdict::Sends { deliveries: heard, left_out },
        };
        verdicts.push((integration, verdict));
    }
    verdicts
}

/// The questions that follow from an event that an integration takes, except the one about a build that a delivery
/// triggers: see [`attempt`](crate::pipeline::attempt).
fn watches(
    integration: &Integration,
    event: &Event,
    pauses: FirstPauses,
    now: Timestamp,
) -> impl Iterator<Item = NewWatch> {
    let is_only_asked = adapters::find(integration.slug).is_some_and(adapters::Entry::is_only_asked);
    let build =
        is_only_asked.then(|| watch_of(integration, event, pauses.build, (event.occurred_at, now))).flatten();
    build.into_iter().chain(probe_of(integration, event, pauses.probe, now))
}

/// One delivery per target, and the reasons for the targets that were left out.
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

/// The lane, within which order is kept: it is that of the event's subject, or of the key that the adapter names
/// instead.
fn lane(integration: &Integration, target: &Target, event: &Event) -> Lane {
    let project = event.project.as_ref().map(|project| project.id).unwrap_or_default();
    let project = project.to_be_bytes();
    // The mark distinguishes a key from a subject with the same text. Targets with the same key share a lane.
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

#[cfg(test)]
mod tests;
