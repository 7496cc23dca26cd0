//! `POST …/integrations/:slug/test`: the real attempt, marked as a test, and all that was seen of it.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value as Json, json};

use super::authorized::Write;
use super::explain::told;
use super::extract::IntegrationRequest;
use super::params::{Invalid, Params};
use super::{ApiError, response};
use crate::adapters::Entry;
use crate::adapters::contract::Targets;
use crate::api::State;
use crate::api::error::Missing;
use crate::catalog::{Configured, ResolvedScope};
use crate::event::{Event, Trigger, sample};
use crate::integration::Integration;
use crate::pipeline::explain::why_nothing;
use crate::pipeline::retry::Outcome;
use crate::pipeline::test_send::TestReport;
use crate::pipeline::trace::{answer_json, report_json, request_json};
use crate::settings::Secrets;

/// Of many targets (a list of recipients), a test goes to these first ones.
const MOST_TARGETS: usize = 10;

pub(super) async fn test(mut request: IntegrationRequest<Write>) -> Result<Response, ApiError> {
    let trigger = trigger(request.authorized.query()?, request.entry)?;
    let body = request.authorized.body().await?;
    let IntegrationRequest { authorized, scope, entry } = request;
    let (state, now) = (&authorized.state, authorized.now);
    let subject = subject(state, &scope, entry)?;
    let event = match (body.is_empty(), trigger) {
        // For a mail with diffs, the forge is asked about the event's project, with a token that reaches all of them.
        (false, _) => told(state, authorized.reach(), body, now)?,
        (true, Some(trigger)) => sample(trigger),
        (true, None) => {
            return Err(ApiError::Unprocessable("it hears of nothing that could be a test".to_owned()));
        }
    };
    Ok(response::json(StatusCode::OK, &run_test(state, &subject, &event, |_| true, now).await))
}

/// An integration to be tried.
pub(super) struct Subject {
    pub(super) entry: &'static Entry,
    integration: Integration,
    secrets: Secrets,
}

impl Subject {
    /// Whom an event would go to.
    pub(super) fn targets(&self, event: &Event) -> Targets {
        let channels = event.trigger.map(|trigger| self.integration.channels.for_trigger(trigger));
        self.entry.targets(&self.integration.settings, event, channels.unwrap_or_default())
    }
}

/// What applies to a scope, switched on or off.
///
/// # Errors
/// It was never configured, or can't be read.
pub(super) fn subject(
    state: &State,
    scope: &ResolvedScope,
    entry: &'static Entry,
) -> Result<Subject, ApiError> {
    state.catalog.read(|snapshot| {
        let inheritance = snapshot.inheritance(scope, entry.about.slug);
        let configured = inheritance.effective().or(inheritance.own);
        let configured = configured.ok_or(ApiError::NotFound(Missing::Integration))?;
        let resolved =
            configured.resolved.as_ref().map_err(|errors| ApiError::InvalidSettings(errors.clone()))?;
        let scope = scope.name();
        let id = crate::catalog::integration_id(&scope, entry.about.slug);
        let integration = resolved.integration(id, scope, configured.origin.name());
        Ok(Subject { entry, integration, secrets: secrets_of(configured) })
    })
}

fn secrets_of(configured: &Configured) -> Secrets {
    let secrets = configured.configuration.secrets.iter();
    Secrets::of(configured.entry.fields, secrets.map(|(name, secret)| (name.as_str(), secret.expose())))
}

/// Tries all targets that are wanted, one after the other.
pub(super) async fn run_test(
    state: &State,
    subject: &Subject,
    event: &Event,
    wanted: impl Fn(&str) -> bool,
    now: jiff::Timestamp,
) -> Json {
    let Subject { entry, integration, secrets } = subject;
    let targets = subject.targets(event);
    let mut attempts = Vec::new();
    let names = targets.send.iter().map(|target| target.name.as_str());
    for target in names.filter(|target| wanted(target)).take(MOST_TARGETS) {
        let tested = state.tests.test(integration, entry, event, target, now).await;
        attempts.push(secrets.mask_json(attempt_json(target, tested)));
    }
    let success = !attempts.is_empty() && attempts.iter().all(|attempt| attempt["outcome"] == "delivered");
    let failed = attempts.iter().find(|attempt| attempt["outcome"] != "delivered");
    let message = match failed {
        _ if attempts.is_empty() => why_nothing(&targets.left_out),
        None => "it was taken".to_owned(),
        Some(failed) => {
            let word = failed["outcome"].as_str().unwrap_or_default();
            format!("{word}: {}", failed["note"].as_str().unwrap_or_default())
        }
    };
    json!({
        "success": success,
        "trigger": event.trigger.map(Trigger::name),
        "message": message,
        "attempts": attempts,
    })
}

fn attempt_json(target: &str, tested: Result<TestReport, std::time::Duration>) -> Json {
    match tested {
        Ok(TestReport { report, exchanges }) => {
            let mut json = report_json(target, &report);
            json["success"] = matches!(report.outcome, Outcome::Delivered(_)).into();
            json["exchanges"] = exchanges
                .iter()
                .map(|exchange| {
                    json!({
                        "request": request_json(&exchange.request),
                        "answer": answer_json(&exchange.answer),
                    })
                })
                .collect();
            json
        }
        // Who tests is no faster than who tells.
        Err(wait) => json!({
            "target": target,
            "success": false,
            "outcome": "throttled",
            "status": null,
            "latency_ms": null,
            "note": format!("too much was sent there of late: try again in {} s", wait.as_secs() + 1),
            "exchanges": [],
        }),
    }
}

/// The kind of sample: as asked for, else a push, a pipeline, or what else there is that the adapter hears of.
fn trigger(query: &Params, entry: &Entry) -> Result<Option<Trigger>, ApiError> {
    let heard = entry.about.triggers;
    let usual = [Trigger::Push, Trigger::Pipeline].into_iter().chain(heard.iter());
    let complaint = |words: &str| ApiError::InvalidParams(vec![format!("trigger {words}")]);
    match query.text("trigger") {
        Ok(None) => Ok(usual.into_iter().find(|trigger| heard.contains(*trigger))),
        Ok(Some(name)) => {
            let asked = heard.iter().find(|trigger| trigger.name() == name);
            asked.map(Some).ok_or_else(|| complaint("does not have a valid value"))
        }
        Err(Invalid) => Err(complaint("is invalid")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters;

    fn asked(slug: &str, query: &str) -> Result<Option<Trigger>, ApiError> {
        trigger(&Params::of_query(query).unwrap(), adapters::find(slug).unwrap())
    }

    #[test]
    fn a_sample_is_of_a_kind_that_the_adapter_hears_of() {
        assert_eq!(asked("slack", ""), Ok(Some(Trigger::Push)));
        assert_eq!(asked("pipelines-email", ""), Ok(Some(Trigger::Pipeline)));
        assert_eq!(asked("slack-slash-commands", ""), Ok(None));
        assert_eq!(asked("slack", "trigger=note"), Ok(Some(Trigger::Note)));
        for wrong in ["trigger=issues_events", "trigger=", "trigger=job"] {
            let complaint = ApiError::InvalidParams(vec!["trigger does not have a valid value".to_owned()]);
            assert_eq!(asked("emails-on-push", wrong), Err(complaint), "{wrong}");
        }
    }
}
