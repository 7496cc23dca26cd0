//! What follows from an attempt, seen to: the row, its destination, its route, its integration, the counts and the log.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::{Deliverer, Finished, Gone, Route, jitter};
use crate::adapters;
use crate::call::Failure;
use crate::integration::Integration;
use crate::metrics;
use crate::pipeline::after;
use crate::pipeline::attempt::Report;
use crate::pipeline::outbox_writer::Command;
use crate::pipeline::retry::{self, Context, Decision, Effect, Outcome};
use crate::pipeline::scheduler::{After, Job};
use crate::store::{AttemptRecord, Delivery, Hold, NewState, Settled, route_key, switch_key};

/// Until somebody corrects the settings; [`after`] knows how long that is at the most.
const FOR_EVER: Duration = Duration::MAX;

/// What of a decision's effect the store must keep.
#[derive(Default)]
struct HoldChange {
    hold: Option<Hold>,
    lift: Option<Arc<str>>,
}

impl Deliverer {
    /// Rules what follows from an attempt, and sees to it.
    pub(super) fn settle(&mut self, finished: Finished) {
        let Finished { job, integration, report, at } = finished;
        let delivery = &job.delivery;
        let decision = self.decide(delivery, integration.as_deref(), &report, at);
        let adapter = integration.as_ref().map_or("unknown", |integration| integration.slug);
        count(adapter, &job, &report, &decision, at);
        log_outcome(delivery, &report, &decision);
        let change = self.apply(delivery, integration.as_deref(), &report, &decision, at);
        let after = match decision.state {
            NewState::Waiting(until) => After::Waiting(until),
            _ => After::Settled,
        };
        self.unwritten += 1;
        self.send(Command::Settle(Box::new(Settled {
            delivery: delivery.id,
            attempts: delivery.attempts + u32::from(decision.counts),
            record: record(&report, at),
            state: decision.state,
            hold: change.hold,
            lift: change.lift,
            at,
        })));
        let back = self.scheduler.finish(delivery, after, at);
        self.give_back(back);
        self.note_backlogged(&delivery.destination);
        self.send_claims();
    }

    fn decide(
        &self,
        delivery: &Delivery,
        integration: Option<&Integration>,
        report: &Report,
        now: Timestamp,
    ) -> Decision {
        if let (Outcome::Failed(_), true) = (&report.outcome, self.settings_changed(integration)) {
            // What the old settings met with says nothing of the new ones.
            return Decision { state: NewState::Waiting(now), counts: false, effect: Effect::None };
        }
        let strikes = match &report.outcome {
            Outcome::Failed(Failure::Misconfigured(_)) => {
                let route = self.routes.get(&route_key(&delivery.integration, &delivery.target));
                // Several that were under way when it was found out are one finding.
                route
                    .map_or(0, |route| route.strikes - u32::from(route.held_until > now && route.strikes > 0))
            }
            Outcome::Failed(Failure::Gone { .. }) => {
                let gone = self.gone.get(&switch_key(&delivery.integration, &delivery.destination));
                gone.map_or(0, |gone| {
                    gone.confirmations - u32::from(gone.until > now && gone.confirmations > 0)
                })
            }
            _ => self.scheduler.strikes(&delivery.destination),
        };
        let entry = integration.and_then(|integration| adapters::find(integration.slug));
        let of = Context {
            now,
            attempts: delivery.attempts,
            retry_ambiguous: entry
                .and_then(|entry| entry.deliver.as_ref())
                .is_none_or(|deliver| deliver.about.retry_ambiguous),
            strikes,
            // Only a failure is followed by a wait, and random numbers are asked of the system.
            jitter: if matches!(report.outcome, Outcome::Failed(_)) { jitter() } else { 0.0 },
        };
        retry::decide(&report.outcome, of, &self.deps.policy)
    }

    fn settings_changed(&self, integration: Option<&Integration>) -> bool {
        let Some(then) = integration else { return false };
        let now = self.deps.attempts.catalog.integration(&then.id);
        now.is_none_or(|now| now.fingerprint != then.fingerprint)
    }

    /// Carries out what follows for others than the delivery.
    fn apply(
        &mut self,
        delivery: &Delivery,
        integration: Option<&Integration>,
        report: &Report,
        decision: &Decision,
        now: Timestamp,
    ) -> HoldChange {
        let key = &delivery.destination;
        let made_under = integration.map(|integration| (integration.id.clone(), integration.fingerprint));
        let hold = |key: &Arc<str>, until, strikes| {
            let (key, why, made_under) = (Arc::clone(key), note(report), made_under.clone());
            HoldChange { hold: Some(Hold { key, until, why, strikes, made_under }), lift: None }
        };
        let route = || route_key(&delivery.integration, &delivery.target);
        match &decision.effect {
            Effect::None => HoldChange::default(),
            Effect::Recovered => {
                if !self.gone.is_empty() {
                    self.gone.remove(&switch_key(&delivery.integration, key));
                }
                let route_was_held = !self.routes.is_empty() && self.routes.remove(&route()).is_some();
                let recovered = self.scheduler.record_success(key);
                let lift = if recovered { Some(Arc::clone(key)) } else { route_was_held.then(route) };
                HoldChange { hold: None, lift }
            }
            Effect::Strike { rest } => {
                self.scheduler.record_failure(key);
                let strikes = self.scheduler.strikes(key);
                let Some(until) = rest else { return HoldChange::default() };
                let back = self.scheduler.hold(key, *until, now);
                self.give_back(back);
                warn!(destination = %key, failures = strikes, %until, "destination keeps failing; it gets a rest");
                hold(key, *until, strikes)
            }
            Effect::HoldDestination { until, shared } => {
                self.scheduler.record_failure(key);
                if *shared {
                    self.hold_shared(delivery, integration, *until, now);
                }
                let back = self.scheduler.hold(key, *until, now);
                self.give_back(back);
                hold(key, *until, self.scheduler.strikes(key))
            }
            Effect::BlockDestination(until) => {
                self.scheduler.record_failure(key);
                let back = self.scheduler.hold(key, *until, now);
                self.give_back(back);
                warn!(destination = %key, why = note(report), %until, "left alone; it wants something of the operator");
                HoldChange::default()
            }
            Effect::HoldRoute(until) => {
                self.scheduler.record_success(key);
                let route = route();
                let known = self.routes.get(&route).copied();
                let strikes = match known {
                    Some(known) if known.held_until > now => known.strikes,
                    Some(known) => known.strikes + 1,
                    None => 1,
                };
                self.routes.insert(Arc::clone(&route), Route { strikes, held_until: *until });
                hold(&route, *until, strikes)
            }
            Effect::CountGone { until, switch_off } => {
                self.scheduler.record_success(key);
                let switch = switch_key(&delivery.integration, key);
                let gone =
                    self.gone.entry(Arc::clone(&switch)).or_insert(Gone { confirmations: 0, until: now });
                if gone.until <= now {
                    *gone = Gone { confirmations: gone.confirmations + 1, until: *until };
                }
                let Gone { confirmations: strikes, until } = *gone;
                if let Some(integration) = integration.filter(|_| *switch_off) {
                    self.switch_off(integration, key, &note(report));
                    return hold(&switch, after(now, FOR_EVER), strikes);
                }
                let route = route();
                self.routes.insert(Arc::clone(&route), Route { strikes, held_until: until });
                hold(&route, until, strikes)
            }
        }
    }

    /// Whoever shares a bucket waits as well; in memory only, as they would be told the same.
    fn hold_shared(
        &self,
        delivery: &Delivery,
        integration: Option<&Integration>,
        until: Timestamp,
        now: Timestamp,
    ) {
        let Some(integration) = integration else { return };
        let Some(entry) = adapters::find(integration.slug) else { return };
        let Some(pace) = entry.pace(&integration.settings, &delivery.target) else { return };
        self.deps.pace.hold(&pace, until.duration_since(now).try_into().unwrap_or_default());
    }

    fn switch_off(&self, integration: &Integration, destination: &str, reason: &str) {
        let id = &integration.id;
        error!(integration = %id, reason, "switched off: its address is dead; correct its settings to switch it on again");
        metrics::switched_off(integration.slug);
        self.deps.attempts.switches.switch_off(id, destination, integration.fingerprint, reason.to_owned());
    }
}

fn count(adapter: &'static str, job: &Job, report: &Report, decision: &Decision, at: Timestamp) {
    metrics::attempt(adapter, outcome_word(&report.outcome), report.took);
    match decision.state {
        NewState::Waiting(_) => metrics::retry(adapter),
        NewState::Delivered => {
            metrics::delivery(adapter, "delivered");
            let took = at.duration_since(job.entered);
            metrics::entry_to_acceptance(adapter, Duration::try_from(took).unwrap_or_default());
        }
        NewState::Skipped => metrics::delivery(adapter, "skipped"),
        NewState::Failed => metrics::delivery(adapter, "failed"),
        NewState::Expired => metrics::delivery(adapter, "expired"),
        NewState::Cancelled => metrics::delivery(adapter, "cancelled"),
    }
}

/// One line in the log per attempt that people may want to read of.
fn log_outcome(delivery: &Delivery, report: &Report, decision: &Decision) {
    let (id, event, integration) = (delivery.id.0, &delivery.event, &delivery.integration);
    let reason = note(report);
    match &decision.state {
        NewState::Delivered => {
            tracing::debug!(delivery = id, %event, %integration, channel = %delivery.target, "delivered");
        }
        NewState::Skipped => {
            info!(delivery = id, %event, %integration, reason, "skipped; the service had nothing to do")
        }
        NewState::Waiting(until) => {
            info!(delivery = id, %event, %integration, reason, %until, "not delivered yet; trying again");
        }
        NewState::Failed => {
            warn!(delivery = id, %event, %integration, reason, "given up; it is kept as a dead letter");
        }
        NewState::Expired => {
            warn!(delivery = id, %event, %integration, "too old to be told; it is kept as a dead letter");
        }
        NewState::Cancelled => info!(delivery = id, %event, %integration, reason, "cancelled"),
    }
}

fn record(report: &Report, at: Timestamp) -> AttemptRecord {
    let latency_ms = report.took.map_or(0, |took| u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
    let (outcome, status, note) = (outcome_word(&report.outcome), report.status, note(report));
    AttemptRecord { at, latency_ms, outcome, status, note }
}

fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered(_) => "delivered",
        Outcome::Skipped(_) => "skipped",
        Outcome::Failed(failure) => failure.consequence(),
        Outcome::Expired => "expired",
        Outcome::Cancelled(_) => "cancelled",
        Outcome::SwitchedOff(_) => "switched_off",
        Outcome::StoreUnavailable(_) => "store_unavailable",
        Outcome::UnknownIntegration(_) => "unknown_integration",
    }
}

fn note(report: &Report) -> String {
    match &report.outcome {
        Outcome::Delivered(_) => String::new(),
        Outcome::Failed(failure) => failure.why().to_owned(),
        Outcome::Expired => "older than this adapter's patience".to_owned(),
        Outcome::Skipped(why)
        | Outcome::Cancelled(why)
        | Outcome::SwitchedOff(why)
        | Outcome::StoreUnavailable(why)
        | Outcome::UnknownIntegration(why) => why.clone(),
    }
}
