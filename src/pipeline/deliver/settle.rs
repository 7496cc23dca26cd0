//! Applies what follows from an attempt: to the row, its destination, its route, its integration, the counts and the
//! log.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::{Deliverer, Finished, jitter};
use crate::adapters;
use crate::call::{Bucket, Failure};
use crate::integration::Integration;
use crate::metrics;
use crate::pipeline::attempt::Report;
use crate::pipeline::holds::Attempted;
use crate::pipeline::retry::{self, Context, Decision, Effect, Outcome};
use crate::pipeline::scheduler::{After, Job};
use crate::store::{AttemptRecord, Delivery, Hold, HoldCause, HoldKey, NewState, Settled};

impl Deliverer {
    /// Decides what follows from an attempt, and carries it out.
    pub(super) fn settle(&mut self, finished: Finished) {
        let Finished { job, integration, report, at } = finished;
        let delivery = &job.delivery;
        let note = report.outcome.note();
        let shared = shared_buckets(integration.as_deref(), delivery, &report.outcome);
        let attempted =
            Attempted { delivery, integration: integration.as_deref(), shared: &shared, reason: note };
        let decision = self.decide(&attempted, &report.outcome, at);
        let adapter = integration.as_ref().map_or("unknown", |integration| integration.slug);
        count(adapter, &job, &report, &decision, at);
        let is_first = self.is_first_strike(delivery, &decision.effect);
        log_outcome(delivery, note, &decision, is_first);
        let (end, begin) = self.change_holds(&attempted, &decision.effect, at);
        let after = match decision.state {
            NewState::Waiting(until) => After::Waiting(until),
            _ => After::Settled,
        };
        let record = AttemptRecord {
            at,
            latency_ms: report.took.map_or(0, |took| u32::try_from(took.as_millis()).unwrap_or(u32::MAX)),
            outcome: report.outcome.name(),
            status: report.status,
            note: report.answer.as_deref().unwrap_or(note).to_owned(),
        };
        let settled = Settled {
            delivery: delivery.id,
            attempts: delivery.attempts + u32::from(decision.counts),
            record,
            state: decision.state,
            end,
            begin,
            watch: report.watch,
            at,
        };
        self.write_outcome(delivery, settled, at);
        let back = self.scheduler.end(delivery, after, at);
        self.give_back(back);
        self.note_backlogged(&delivery.destination);
        self.send_claims();
    }

    fn decide(&self, attempted: &Attempted<'_>, outcome: &Outcome, now: Timestamp) -> Decision {
        let Outcome::Failed(failure) = outcome else {
            // Strikes and random numbers matter only after a failure.
            return retry::decide(outcome, context(attempted, now), &self.deps.policy);
        };
        let holds = self.deps.attempts.holds.snapshot();
        let (since, held_until) = holds.outage(attempted, now).unwrap_or((now, None));
        let met = now.duration_since(since.max(attempted.delivery.fresh_since));
        let context = Context {
            strikes: holds.strikes_before(failure, attempted, now),
            held_until,
            failing_for: Duration::try_from(met).unwrap_or_default(),
            jitter: jitter(),
            ..context(attempted, now)
        };
        if self.settings_changed(attempted.integration) && !context.must_not_repeat(failure) {
            // A failure under the old settings says nothing about the new ones. If the next attempt has to look first,
            // the failed attempt counts, so that it is remembered.
            let counts = looks_first(attempted.integration) && failure.may_have_been_taken();
            return Decision { state: NewState::Waiting(now), counts, effect: Effect::None };
        }
        retry::decide(outcome, context, &self.deps.policy)
    }

    /// Whether this is the first failure of a destination that worked before.
    fn is_first_strike(&self, delivery: &Delivery, effect: &Effect) -> bool {
        matches!(effect, Effect::Strike { .. }) && !self.deps.attempts.holds.has_failed(&delivery.destination)
    }

    fn settings_changed(&self, integration: Option<&Integration>) -> bool {
        let Some(then) = integration else { return false };
        let now = self.deps.attempts.catalog.integration(&then.id);
        now.is_none_or(|now| now.fingerprint != then.fingerprint)
    }

    /// Begins and ends holds after an attempt. Returns the changes that the store must keep.
    fn change_holds(
        &mut self,
        attempted: &Attempted<'_>,
        effect: &Effect,
        now: Timestamp,
    ) -> (Vec<HoldKey>, Vec<Hold>) {
        let holds = &self.deps.attempts.holds;
        let change = holds.snapshot().change(effect, attempted, now);
        holds.apply(&change, now);
        for hold in change.begin.iter().filter(|hold| hold.until > now) {
            log_hold(hold, attempted.integration);
            if let HoldKey::Destination(destination) = &hold.key {
                let back = self.scheduler.rest(destination, now);
                self.give_back(back);
            }
        }
        change.stored(now)
    }
}

/// The input of the decision beside the outcome. It is complete where nothing failed.
fn context(attempted: &Attempted<'_>, now: Timestamp) -> Context {
    Context {
        now,
        attempts: attempted.delivery.attempts,
        retry_ambiguous: deliveries(attempted.integration)
            .is_none_or(|deliver| deliver.about.retry_ambiguous),
        strikes: 0,
        held_until: None,
        failing_for: Duration::ZERO,
        jitter: 0.0,
    }
}

fn looks_first(integration: Option<&Integration>) -> bool {
    deliveries(integration).is_some_and(|deliver| deliver.looks_first)
}

fn deliveries(integration: Option<&Integration>) -> Option<&'static adapters::Deliveries> {
    integration.and_then(|integration| adapters::find(integration.slug))?.deliver.as_ref()
}

/// The rate limits that the destination shares with others, where the service throttled all that share them.
fn shared_buckets(integration: Option<&Integration>, delivery: &Delivery, outcome: &Outcome) -> Vec<Bucket> {
    let (Some(integration), Outcome::Failed(Failure::Throttled { shared: true, .. })) =
        (integration, outcome)
    else {
        return Vec::new();
    };
    let Some(entry) = adapters::find(integration.slug) else { return Vec::new() };
    entry.pace(&integration.settings, &delivery.target).map(|pace| pace.shared.clone()).unwrap_or_default()
}

/// One line in the log for each hold that begins.
fn log_hold(hold: &Hold, integration: Option<&Integration>) {
    let Hold { key, cause, reason, until, strikes, .. } = hold;
    let (id, slug) = integration.map_or(("unknown", "unknown"), |known| (&*known.id.0, known.slug));
    match (cause, key) {
        (HoldCause::SwitchedOff, _) => {
            error!(
                integration = id,
                reason, "switched off: its address is dead; correct its settings to switch it on again"
            );
            metrics::switched_off(slug);
        }
        (HoldCause::Gone, HoldKey::Address { .. }) => {
            warn!(
                integration = id,
                reason, confirmations = strikes, %until, "its address may be dead; it waits to ask again"
            );
        }
        (HoldCause::Misconfigured, HoldKey::Route { target, .. }) => {
            warn!(
                integration = id,
                channel = %target, reason, %until,
                "its settings or the channel must change; messages wait, and one is tried again then"
            );
        }
        (HoldCause::Misconfigured, HoldKey::Destination(destination)) => {
            warn!(
                %destination, integration = id, reason, %until,
                "its login is refused; all messages with this login wait, and one is tried again then"
            );
        }
        (HoldCause::Unavailable, HoldKey::Destination(destination)) => {
            warn!(%destination, integration = id, reason, failures = strikes, %until, "the destination keeps failing; it rests");
        }
        (HoldCause::OperatorError, HoldKey::Destination(destination)) => {
            warn!(%destination, reason, %until, "the destination rests; the operator has to change something");
        }
        (HoldCause::Throttled | HoldCause::Quota, HoldKey::Destination(destination)) => {
            info!(%destination, integration = id, reason, %until, "the service asks for a wait; the destination waits");
        }
        _ => {}
    }
}

fn count(adapter: &'static str, job: &Job, report: &Report, decision: &Decision, at: Timestamp) {
    metrics::attempt(adapter, report.outcome.name(), report.took);
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

/// Logs one line for each attempt that may interest people. The first failure of a destination that worked before is a
/// warning; later failures are not, until the destination rests.
fn log_outcome(delivery: &Delivery, reason: &str, decision: &Decision, is_first_strike: bool) {
    let (id, event, integration) = (delivery.id.0, &delivery.event, &delivery.integration);
    let state = match (&decision.state, decision.effect.destination_until()) {
        // The row is due, but its destination is held, so the hold's end is logged.
        (NewState::Waiting(due), Some(until)) => &NewState::Waiting(until.max(*due)),
        (state, _) => state,
    };
    match state {
        NewState::Delivered => {
            info!(delivery = id, %event, %integration, target = %delivery.target, "delivered");
        }
        NewState::Skipped => {
            info!(delivery = id, %event, %integration, reason, "skipped; there was nothing to do");
        }
        NewState::Waiting(until) if is_first_strike => {
            warn!(delivery = id, %event, %integration, reason, %until, "not delivered yet; trying again");
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
