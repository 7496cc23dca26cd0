//! `POST …/integrations/:slug/test`: a real attempt, marked as a test, with every request and answer.

use std::time::Duration;

use axum::Json;
use bytes::Bytes;
use tracing::warn;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa_axum::routes;

use super::Route;
use super::authorized::Write;
use super::caller::Named;
use super::explain::event_in;
use super::extract::IntegrationRequest;
use super::page::query_parameter;
use super::params::{Invalid, Params};
use crate::adapters::contract::Targets;
use crate::adapters::{Entry, Probes, ProjectLinks};
use crate::api::State;
use crate::api::error::responses::{ReadsBody, Unprocessable};
use crate::api::error::{ApiError, Missing};
use crate::api::resources::{Test, TestAttempt, one_of};
use crate::catalog::{Catalog as _, Configured, ResolvedScope};
use crate::event::{Event, Project, Trigger, sample, sample_in};
use crate::integration::Integration;
use crate::pipeline::retry::Outcome;
use crate::pipeline::test_send::{is_project, last_project};
use crate::settings::Secrets;
use crate::store::NewHealth;

/// The routes of one level; see [`super::integrations::routes`].
pub(super) fn routes() -> Vec<Route> {
    vec![routes!(test)]
}

/// The query, for annotations.
struct TestQuery;

impl IntoParams for TestQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let triggers = one_of(Trigger::ALL.map(Trigger::name));
        vec![query_parameter("trigger", "Which kind of event to make a sample of.", triggers)]
    }
}

/// Test an integration
///
/// Sends one message, marked as a test, by the same code as real ones: of the event in the body, if the token reaches its
/// project, else of a sample that names the integration's project. A service that is sent no events is asked whether it can
/// be reached, and the answer is kept as the integration's health. The answer comes after the service's.
#[utoipa::path(
    post, path = "/{slug}/test", operation_id = "test{Level}Integration", params(TestQuery),
    request_body(
        content = Option<Object>, content_type = "application/json",
        description = "An event, as a webhook sends it."
    ),
    responses(
        (status = 200, description = "The result.", body = Test),
        IntegrationRequest<Write>, ReadsBody, Unprocessable
    )
)]
pub(super) async fn test(mut request: IntegrationRequest<Write>) -> Result<Json<Test>, ApiError> {
    let query = request.authorized.query()?.clone();
    // The query is checked before the body is read.
    trigger(&query, request.entry)?;
    let body = request.authorized.body().await?;
    tested(request.named(), &query, body).await.map(Json)
}

/// Tests an integration, with a sample of the kind that `params` name as `trigger`, or with the event in a body.
pub(in crate::api) async fn tested(
    Named { caller, scope, entry }: Named<'_>,
    params: &Params,
    body: Bytes,
) -> Result<Test, ApiError> {
    let (state, now) = (&caller.state, caller.now);
    let names_trigger = matches!(params.text("trigger"), Ok(Some(_)));
    let trigger = trigger(params, entry)?;
    let subject = subject(state, scope, entry)?;
    let is_chosen = names_trigger || !body.is_empty();
    if let Some(probe) = entry.probe.as_ref().filter(|_| !entry.can_deliver() || !is_chosen) {
        return Ok(run_probe(state, &subject, probe, now).await);
    }
    let event = match (body.is_empty(), trigger) {
        // A mail with diffs asks the forge about the event's project with a token that reaches all projects: so the
        // event has to be one that this request's token reaches.
        (false, _) => event_in(state, caller.reach(), body, now)?,
        (true, Some(trigger)) => sample_of(state, scope, &subject, trigger).await,
        (true, None) => {
            let untestable = format!(
                "{} can't be tested: it is sent no events, and it can't be asked anything",
                entry.about.title
            );
            return Err(ApiError::Unprocessable(untestable));
        }
    };
    Ok(run_test(state, &subject, &event, |_| true, now).await)
}

/// How long the store may take to find the last event of an integration. People who test in a channel get no answer
/// after three seconds.
const LAST_PROJECT_WITHIN: Duration = Duration::from_secs(1);

/// A sample, as if it had happened in the project of this scope. The project's address and names are those of the last event
/// that the integration was notified of, else the forge's address and the project's path. Groups and the instance get the
/// samples' own project.
pub(in crate::api) async fn sample_of(
    state: &State,
    scope: &ResolvedScope,
    subject: &Subject,
    trigger: Trigger,
) -> Event {
    let ResolvedScope::Project { id, path } = scope else { return sample(trigger) };
    let of_scope = |project: &Project| is_project(project, *id, path.as_deref());
    let last = last_project(&*state.catalog, &*state.ledger, &subject.integration.id);
    let last = tokio::time::timeout(LAST_PROJECT_WITHIN, last).await;
    let path = path.clone().unwrap_or_default();
    let id = id.filter(|id| *id > 0).unwrap_or_default();
    let project = match last.ok().flatten().filter(of_scope) {
        Some(project) => project,
        None if path.is_empty() => return sample(trigger),
        None => {
            let operator = state.tests.operator.get();
            let forge = operator.forge.url.trim_end_matches('/');
            let web_url = if forge.is_empty() { String::new() } else { format!("{forge}/{path}") };
            let project = Project {
                id,
                path_with_namespace: path.into(),
                web_url: web_url.into(),
                ..Project::default()
            };
            let event = sample_in(trigger, &project);
            let default_branch = state.catalog.facts(&event).default_branch;
            Project { default_branch: default_branch.map(Into::into), ..project }
        }
    };
    sample_in(trigger, &project)
}

/// The integration that is tested.
pub(in crate::api) struct Subject {
    pub(in crate::api) entry: &'static Entry,
    pub(in crate::api) integration: Integration,
    pub(in crate::api) secrets: Secrets,
    /// The tracker and the wiki of the scope.
    pub(in crate::api) links: ProjectLinks,
}

impl Subject {
    /// The targets of an event.
    pub(in crate::api) fn targets(&self, event: &Event) -> Targets {
        let channels = event.trigger.map(|trigger| self.integration.channels.for_trigger(trigger));
        self.entry.targets(&self.integration.settings, event, channels.unwrap_or_default())
    }
}

/// The integration that applies to a scope, active or not.
///
/// # Errors
/// It was never configured, or its settings are not valid.
pub(in crate::api) fn subject(
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
        let id = snapshot.id_at(scope, entry.about.slug);
        let integration = resolved.integration(id, scope.name(), configured.origin.name());
        let links = snapshot.links_at(scope);
        Ok(Subject { entry, integration, secrets: secrets_of(configured), links })
    })
}

fn secrets_of(configured: &Configured) -> Secrets {
    let secrets = configured.configuration.secrets.iter();
    Secrets::of(configured.entry.fields, secrets.map(|(name, secret)| (name.as_str(), secret.expose())))
}

/// Sends a test to every target that is wanted, one after the other.
pub(super) async fn run_test(
    state: &State,
    subject: &Subject,
    event: &Event,
    wanted: impl Fn(&str) -> bool,
    now: jiff::Timestamp,
) -> Test {
    let Subject { entry, integration, secrets, links } = subject;
    let targets = subject.targets(event);
    let mut attempts = Vec::new();
    let names = targets.send.iter().map(|target| target.name.as_str());
    for target in names.filter(|target| wanted(target)).take(Test::MAX_TARGETS) {
        let attempt = match state.tests.test(integration, entry, event, target, links, now).await {
            Ok(report) => {
                if matches!(report.report.outcome, Outcome::Delivered(_))
                    && let Some(pace) = entry.pace(&integration.settings, target)
                {
                    state.end_holds(&integration.id, target, &pace.destination.key.0, now).await;
                }
                TestAttempt::new(target, &report, secrets)
            }
            // A test keeps to the service's rate limits like any delivery.
            Err(wait) => TestAttempt::throttled(target, wait),
        };
        attempts.push(attempt);
    }
    Test::new(event, attempts, &targets.left_out)
}

/// Asks the service whether it can be reached, and notes the answer.
async fn run_probe(state: &State, subject: &Subject, probe: &Probes, now: jiff::Timestamp) -> Test {
    let Subject { integration, secrets, .. } = subject;
    let attempt = match state.tests.probe(integration, probe, now).await {
        Ok(report) => {
            let attempt = TestAttempt::of_probe(&report, secrets);
            let note = attempt.outcome.note.clone();
            let health =
                NewHealth { integration: integration.id.clone(), reached: attempt.success, note, at: now };
            if let Err(error) = state.watches.note_health(health).await {
                warn!(%error, integration = %integration.id, "the result of a test was not kept as the integration's health");
            }
            attempt
        }
        Err(wait) => TestAttempt::throttled("", wait),
    };
    Test::of_probe(attempt)
}

/// The kind of sample: as requested, else a push, a pipeline, or the first kind that the adapter supports.
fn trigger(query: &Params, entry: &Entry) -> Result<Option<Trigger>, ApiError> {
    let supported = entry.about.triggers;
    let usual = [Trigger::Push, Trigger::Pipeline].into_iter().chain(supported.iter());
    let complaint = |problem: &str| ApiError::InvalidParams(vec![format!("trigger {problem}")]);
    match query.text("trigger") {
        Ok(None) => Ok(usual.into_iter().find(|trigger| supported.contains(*trigger))),
        Ok(Some(name)) => {
            let requested = supported.iter().find(|trigger| trigger.name() == name);
            requested.map(Some).ok_or_else(|| complaint("does not have a valid value"))
        }
        Err(Invalid) => Err(complaint("is invalid")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters;

    fn requested(slug: &str, query: &str) -> Result<Option<Trigger>, ApiError> {
        trigger(&Params::of_query(query).unwrap(), adapters::find(slug).unwrap())
    }

    #[test]
    fn a_sample_is_of_a_kind_that_the_adapter_supports() {
        assert_eq!(requested("slack", ""), Ok(Some(Trigger::Push)));
        assert_eq!(requested("pipelines-email", ""), Ok(Some(Trigger::Pipeline)));
        assert_eq!(requested("slack-slash-commands", ""), Ok(None));
        assert_eq!(requested("slack", "trigger=note"), Ok(Some(Trigger::Note)));
        for wrong in ["trigger=issues_events", "trigger=", "trigger=job"] {
            let complaint = ApiError::InvalidParams(vec!["trigger does not have a valid value".to_owned()]);
            assert_eq!(requested("emails-on-push", wrong), Err(complaint), "{wrong}");
        }
    }
}
