//! Results that are not stored: tests of integrations, and explanations of events.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::slugs;
use crate::event::{Event, Trigger};
use crate::integration::Integration;
use crate::pipeline::attempt::Report;
use crate::pipeline::dispatch::Verdict as Decision;
use crate::pipeline::reasons::{muted, reasons, why_nothing};
use crate::pipeline::retry::Outcome;
use crate::pipeline::test_send::{self, ProbeReport, TestReport};
use crate::pipeline::trace::{answer_json, quotable, request_json};
use crate::settings::Secrets;
use crate::store::NewDelivery;

/// The result of a test of an integration.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Test {
    /// Whether every target accepted the message. Of a service that is sent none: whether it was reached.
    pub success: bool,
    #[schema(required)]
    pub trigger: Option<&'static str>,
    /// The result in a sentence.
    pub message: String,
    /// One for each target.
    pub attempts: Vec<TestAttempt>,
}

impl Test {
    /// The most targets of one test; a list of recipients may have more.
    pub const MAX_TARGETS: usize = 10;

    pub fn of_probe(attempt: TestAttempt) -> Self {
        let TestAttempt { success, outcome, .. } = &attempt;
        let message =
            if *success { outcome.note.clone() } else { format!("{}: {}", outcome.outcome, outcome.note) };
        Self { success: *success, trigger: None, message, attempts: vec![attempt] }
    }

    pub fn new(event: &Event, attempts: Vec<TestAttempt>, left_out: &[String]) -> Self {
        let failed = attempts.iter().find(|attempt| !attempt.success);
        let message = match failed {
            _ if attempts.is_empty() => why_nothing(left_out),
            None => "the service accepted it".to_owned(),
            Some(TestAttempt { outcome, .. }) => format!("{}: {}", outcome.outcome, outcome.note),
        };
        Self {
            success: !attempts.is_empty() && failed.is_none(),
            trigger: event.trigger.map(Trigger::name),
            message,
            attempts,
        }
    }
}

/// A test's attempt at one target.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TestAttempt {
    #[serde(flatten)]
    pub outcome: AttemptOutcome,
    pub success: bool,
    /// Every request with its answer, without secrets.
    pub exchanges: Vec<Exchange>,
}

impl TestAttempt {
    pub fn new(target: &str, tested: &TestReport, secrets: &Secrets) -> Self {
        Self {
            outcome: AttemptOutcome::new(target, &tested.report, secrets),
            success: matches!(tested.report.outcome, Outcome::Delivered(_)),
            exchanges: shown(&tested.exchanges, secrets),
        }
    }

    pub fn of_probe(probed: &ProbeReport, secrets: &Secrets) -> Self {
        let (outcome, note) = match &probed.result {
            Ok(health) => ("reached", &*health.answer),
            Err(failure) => (failure.consequence(), failure.why()),
        };
        let outcome = AttemptOutcome {
            target: String::new(),
            outcome,
            status: probed.status,
            latency_ms: probed.took.map(milliseconds),
            note: secrets.mask_echo(note.to_owned()),
        };
        Self { outcome, success: probed.result.is_ok(), exchanges: shown(&probed.exchanges, secrets) }
    }

    /// No attempt, because the service's rate limit does not allow one before `wait` is over.
    pub fn throttled(target: &str, wait: Duration) -> Self {
        let note = format!("too much was sent there of late: try again in {} s", wait.as_secs() + 1);
        let outcome = AttemptOutcome {
            target: target.to_owned(),
            outcome: "throttled",
            status: None,
            latency_ms: None,
            note,
        };
        Self { outcome, success: false, exchanges: Vec::new() }
    }
}

fn shown(exchanges: &[test_send::Exchange], secrets: &Secrets) -> Vec<Exchange> {
    let quotable = quotable(secrets, exchanges.iter().map(|exchange| &exchange.request));
    let exchange = |exchange: &test_send::Exchange| Exchange {
        request: secrets.mask_json(request_json(&exchange.request)),
        answer: answer_json(&exchange.answer, &quotable),
    };
    exchanges.iter().map(exchange).collect()
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// How an attempt at one target ended.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AttemptOutcome {
    pub target: String,
    pub outcome: &'static str,
    #[schema(required)]
    pub status: Option<u16>,
    #[schema(required)]
    pub latency_ms: Option<u64>,
    /// Why it was not accepted. Of a service that was only asked whether it can be reached: its answer.
    pub note: String,
}

impl AttemptOutcome {
    pub fn new(target: &str, report: &Report, secrets: &Secrets) -> Self {
        Self {
            target: target.to_owned(),
            outcome: report.outcome.name(),
            status: report.status,
            latency_ms: report.took.map(milliseconds),
            note: secrets.mask_echo(report.outcome.note().to_owned()),
        }
    }
}

/// A request and its answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Exchange {
    #[schema(value_type = Object)]
    pub request: Json,
    #[schema(value_type = Object)]
    pub answer: Json,
}

/// What each integration does with an event, and why.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Explanation {
    pub kind: String,
    #[schema(required)]
    pub trigger: Option<&'static str>,
    #[schema(required)]
    pub project: Option<ExplainedProject>,
    #[schema(required)]
    pub group: Option<String>,
    pub subject: String,
    /// One for each integration that the event concerns.
    pub verdicts: Vec<Verdict>,
}

/// The project of an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ExplainedProject {
    pub id: i64,
    pub path: String,
}

/// What one integration does with an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Verdict {
    pub integration: String,
    #[schema(schema_with = slugs)]
    pub adapter: &'static str,
    pub verdict: VerdictKind,
    pub targets: Vec<Target>,
    /// Why nothing is delivered, or what is left out.
    #[schema(required)]
    pub why: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    Deliver,
    Skip,
    SwitchedOff,
    Muted,
}

/// Where a delivery would go.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Target {
    pub target: String,
    pub destination: String,
}

impl Explanation {
    pub fn new(event: &Event, verdicts: &[(Arc<Integration>, Decision)]) -> Self {
        let project = event.project.as_ref();
        Self {
            kind: event.kind().to_owned(),
            trigger: event.trigger.map(Trigger::name),
            project: project.map(|project| ExplainedProject {
                id: project.id,
                path: project.path_with_namespace.to_string(),
            }),
            group: event.group.as_ref().map(|group| group.path.to_string()),
            subject: event.subject.clone(),
            verdicts: verdicts
                .iter()
                .map(|(integration, decision)| Verdict::new(integration, decision))
                .collect(),
        }
    }
}

impl Verdict {
    fn new(integration: &Integration, decision: &Decision) -> Self {
        let target = |new: &NewDelivery| Target {
            target: new.target.to_string(),
            destination: new.destination.to_string(),
        };
        let (verdict, targets, why) = match decision {
            Decision::Sends { deliveries, left_out } if deliveries.is_empty() => {
                (VerdictKind::Skip, Vec::new(), Some(why_nothing(left_out)))
            }
            Decision::Sends { deliveries, left_out } => {
                (VerdictKind::Deliver, deliveries.iter().map(target).collect(), reasons(left_out))
            }
            Decision::Not(why) => (VerdictKind::Skip, Vec::new(), Some(why.to_string())),
            Decision::Muted { target, mute } => (VerdictKind::Muted, Vec::new(), Some(muted(target, mute))),
            Decision::SwitchedOff { why, .. } => (VerdictKind::SwitchedOff, Vec::new(), Some(why.clone())),
        };
        Self { integration: integration.id.to_string(), adapter: integration.slug, verdict, targets, why }
    }
}
