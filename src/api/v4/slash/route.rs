//! `POST …/integrations/{slug}/trigger`, for each adapter of slash commands.

use std::sync::Arc;

use axum::extract::Request;
use jiff::Timestamp;

use super::answer::{test_failed, to_asker};
use super::{CommandHandler, Outcome, TIMEOUT, authenticate, channel_names, handle, notifier};
use crate::adapters::Entry;
use crate::adapters::contract::{ChatCommand, InboundRequest, Reaction};
use crate::api::State;
use crate::api::error::{ApiError, Missing};
use crate::api::resources::{CommandAnswer, Test};
use crate::api::v4::auth::record_wrong_token;
use crate::api::v4::params::{Params, read_body};
use crate::api::v4::scope::{Unknown, find};
use crate::api::v4::test::{Subject, run_test, sample_of, subject};
use crate::api::v4::{PathParams, address};
use crate::catalog::ResolvedScope;
use crate::event::{Event, sample};
use crate::store::registry::{Mute, ScopeKey};

/// Runs a command that an adapter receives.
pub(in crate::api::v4) async fn trigger(
    state: Arc<State>,
    entry: &'static Entry,
    path: PathParams,
    request: Request,
) -> Result<CommandAnswer, ApiError> {
    let now = (state.clock)();
    let (head, body) = request.into_parts();
    let mut params = Params::of_query(head.uri.query().unwrap_or_default())?;
    let body = read_body(&head, body, state.config.get().body_timeout).await?;
    params.add_body(&head.headers, body).await?;
    // The token in the form is the only credential, so a caller without it must not learn which projects exist.
    let scope = state.catalog.read(|snapshot| {
        let project = address::project(path.id())?;
        find(snapshot, &project, ScopeKey::Instance, Unknown::IsMissing).ok()
    });
    let Some(scope) = authenticate(&state.catalog, entry, scope, &params)? else {
        record_wrong_token(&state, &head, now)?;
        return Err(ApiError::NotFound(Missing::Integration));
    };
    let inbound = InboundRequest { form: params.form(), ..InboundRequest::default() };
    let reaction =
        entry.receive(&inbound).map_err(|failure| ApiError::Unprocessable(failure.why().to_owned()))?;
    // Only adapters of commands have this route.
    let Reaction::Command(command) = reaction else { return Err(ApiError::NoSuchRoute) };
    let (operator, commands) = (state.tests.operator.get(), state.commands.get());
    let handler = CommandHandler {
        catalog: &state.catalog,
        ledger: &*state.ledger,
        holds: state.holds.snapshot(),
        commands: (*commands).as_ref(),
        forge: &operator.forge.url,
        now,
    };
    let said = match handle(&handler, &scope, &command, &inbound).await {
        Outcome::Say(said) => said,
        Outcome::Test => to_asker(&test(&state, &scope, &command, now).await),
    };
    Ok(said)
}

/// Sends a test to this channel and returns its result as a text. The user waits at most three seconds, so a slower test
/// is answered with a text that says so.
async fn test(state: &Arc<State>, scope: &ResolvedScope, command: &ChatCommand, now: Timestamp) -> String {
    let entry = notifier(command);
    let names = channel_names(command);
    let title = entry.about.title;
    let subject = match subject(state, scope, entry) {
        Ok(subject) => subject,
        Err(ApiError::InvalidSettings(_)) => {
            return format!("The settings of {title} of this project are not valid.");
        }
        Err(_) => return format!("{title} are not set up for this project."),
    };
    let Some(event) = event_for(&subject, &names) else {
        return format!("{title} of this project send nothing to this channel.");
    };
    let event = match event.trigger {
        Some(trigger) => sample_of(state, scope, &subject, trigger).await,
        None => event,
    };
    let testing = {
        let state = Arc::clone(state);
        state.tasks.clone().spawn(async move {
            run_test(&state, &subject, &event, |target| is_here(target, &names), now).await
        })
    };
    match tokio::time::timeout(TIMEOUT, testing).await {
        Ok(Ok(outcome)) => words(&outcome),
        Ok(Err(_)) => "The test failed because of an internal error; the log has the reason.".to_owned(),
        Err(_) => "The test is still running. Its message may arrive later.".to_owned(),
    }
}

/// The first kind of event that is delivered to this channel.
fn event_for(subject: &Subject, names: &[String]) -> Option<Event> {
    let samples = subject.entry.about.triggers.iter().map(sample);
    samples
        .into_iter()
        .find(|event| subject.targets(event).send.iter().any(|target| is_here(&target.name, names)))
}

/// The name of an address's own channel is unknown, so it may be this one.
fn is_here(target: &str, names: &[String]) -> bool {
    target.is_empty() || names.contains(&Mute::channel_of(target))
}

fn words(outcome: &Test) -> String {
    if outcome.success {
        return "A test message was sent.".to_owned();
    }
    test_failed(&outcome.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_matches_by_any_of_its_names() {
        let names = ["ops".to_owned(), "c123".to_owned()];
        assert!(is_here("#Ops", &names) && is_here("C123", &names) && is_here("", &names));
        assert!(!is_here("#dev", &names));
    }

    #[test]
    fn the_result_of_a_test_is_a_sentence() {
        let outcome = |success: bool, message: &str| Test {
            success,
            trigger: None,
            message: message.to_owned(),
            attempts: Vec::new(),
        };
        assert_eq!(words(&outcome(true, "the service accepted it")), "A test message was sent.");
        assert_eq!(words(&outcome(false, "rejected: too long")), "The test failed: rejected: too long");
    }
}
