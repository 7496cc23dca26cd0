//! Slash commands: commands that users type in a channel of Slack or Mattermost, answered at once.
//!
//! The caller is authenticated only by the token in the form, which is the one of the project's slash-commands
//! integration. A wrong token, an inactive integration and an unknown project have the same answer, which counts as a
//! wrong token. [`command`] parses the command, [`issues`] finds issues, [`answer`] writes the answer; all are pure. Unknown commands are
//! published for the forge, if that is configured.
//!
//! Forms and answers: <https://docs.slack.dev/interactivity/implementing-slash-commands>,
//! <https://developers.mattermost.com/integrate/slash-commands/custom/>.

mod answer;
mod command;
mod issues;
mod route;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::deliveries::owner_of;
use super::{ApiError, Params};
use crate::adapters::contract::{ChatCommand, InboundRequest};
use crate::adapters::{self, ADAPTERS, Entry};
use crate::api::resources::CommandAnswer;
use crate::catalog::{Actor, CachedCatalog, Configured, ResolvedScope};
use crate::event::Trigger;
use crate::integration::Channels;
use crate::pipeline::addresses::Addresses;
use crate::pipeline::amqp::Commands;
use crate::pipeline::holds::HoldSet;
use crate::pipeline::standing::Standing;
use crate::settings::Secret;
use crate::store::registry::Mute;
use crate::store::{DeliveryFilter, HoldCause, Ledger, State as DeliveryState, StoreError};
use answer::{Failure, Held, Line, Muted, to_asker};
use command::Command;
pub(super) use route::trigger;

/// Slack and Mattermost wait three seconds for an answer. An operation that takes longer than this limit is answered with
/// a text that says so.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Failures older than this are not shown in a status.
const LATELY: SignedDuration = SignedDuration::from_hours(24);

/// The adapter that delivers to the channel in which a command was typed.
fn notifier(command: &ChatCommand) -> &'static Entry {
    adapters::find(command.notifier).expect("a test looks each up in the table")
}

/// All names of the channel in which a command was typed, as mutes store them.
fn channel_names(command: &ChatCommand) -> Vec<String> {
    // A longer name is in no setting.
    let may_be_set = |name: &String| name.chars().count() <= Channels::MAX_CHARS;
    command.channel_names.iter().map(|name| Mute::channel_of(name)).filter(may_be_set).collect()
}

/// The user that typed a command, for people.
fn typed_by(command: &ChatCommand) -> String {
    // It is kept with the mute and in the audit log.
    let user: String = command.user.chars().take(Channels::MAX_CHARS).collect();
    if user.is_empty() { "a channel member".to_owned() } else { format!("@{user}") }
}

/// The objects that are needed to carry out commands.
pub(super) struct CommandHandler<'a> {
    pub(super) catalog: &'a CachedCatalog,
    pub(super) ledger: &'a dyn Ledger,
    pub(super) holds: Arc<HoldSet>,
    /// Publishes commands for the forge, if that is configured.
    pub(super) commands: Option<&'a Commands>,
    /// The forge's address for people; empty where it is unknown.
    pub(super) forge: &'a str,
    pub(super) now: Timestamp,
}

/// The result of a command.
pub(super) enum Outcome {
    /// Answer with this.
    Say(CommandAnswer),
    /// Send a test to this channel with the settings of the scope, and answer with its result.
    Test,
}

/// The scope that a command is about, if the token in the request is that of its integration.
///
/// # Errors
/// There is no token (400).
fn authenticate(
    catalog: &CachedCatalog,
    entry: &Entry,
    scope: Option<ResolvedScope>,
    params: &Params,
) -> Result<Option<ResolvedScope>, ApiError> {
    let token = params.text("token").map_err(|_| complaint("token is invalid"))?;
    let token = token.ok_or_else(|| complaint("token is missing"))?;
    let Some(scope) = scope else { return Ok(None) };
    Ok(is_its_token(catalog, entry, &scope, &token).then_some(scope))
}

/// Carries out a command.
async fn handle(
    handler: &CommandHandler<'_>,
    scope: &ResolvedScope,
    command: &ChatCommand,
    request: &InboundRequest,
) -> Outcome {
    let said = match Command::parse(&command.text) {
        Command::Test => return Outcome::Test,
        Command::Help => answer::help(&command.command, handler.commands.is_some()),
        Command::Invalid(remedy) => remedy,
        Command::Status => status(handler, scope).await,
        Command::Mute(length) => {
            let until = handler.now.checked_add(length).unwrap_or(Timestamp::MAX);
            mute(handler, scope, command, until).await
        }
        Command::Unmute => mute(handler, scope, command, handler.now).await,
        Command::ShowIssue(name) => match issues::show(handler, scope, &name) {
            Some(said) => said,
            None => forward(handler, scope, command, request).await,
        },
        Command::NewIssue(issue) => match issues::new(handler, scope, &issue) {
            Some(said) => said,
            None => forward(handler, scope, command, request).await,
        },
        Command::Other => forward(handler, scope, command, request).await,
    };
    Outcome::Say(to_asker(&said))
}

fn complaint(words: &str) -> ApiError {
    ApiError::InvalidParams(vec![words.to_owned()])
}

/// Whether this is the token of the scope's integration. Digests are compared in constant time, so that neither the
/// correct part of the token nor its length can be found by measuring time.
fn is_its_token(catalog: &CachedCatalog, entry: &Entry, scope: &ResolvedScope, token: &str) -> bool {
    let known = catalog.read(|state| {
        let inheritance = state.inheritance(scope, entry.about.slug);
        let configured = inheritance.effective().filter(|configured| configured.is_active())?;
        configured.resolved.as_ref().ok()?;
        configured.configuration.secrets.get("token").cloned()
    });
    let same = |known: Secret| {
        Sha256::digest(token.as_bytes()).ct_eq(&Sha256::digest(known.expose().as_bytes())).into()
    };
    known.is_some_and(same)
}

async fn status(handler: &CommandHandler<'_>, scope: &ResolvedScope) -> String {
    let named = scope.path().map_or_else(|| scope.to_string(), str::to_owned);
    let lines = handler.catalog.read(|state| {
        let adapters = ADAPTERS.iter().filter(|entry| entry.can_deliver());
        let told = adapters.filter_map(|entry| {
            let inheritance = state.inheritance(scope, entry.about.slug);
            let mut line = line(inheritance.effective()?, inheritance.is_inherited());
            if let Some(applies) = state.at(scope, entry.about.slug) {
                let addresses = Addresses::of(&applies, &handler.holds);
                line.active &= !addresses.all_dead;
                line.dead = addresses.dead.into_iter().next().map(|dead| dead.reason);
            }
            Some(line)
        });
        told.collect::<Vec<_>>()
    });
    let muted = handler.catalog.read(|state| {
        let ResolvedScope::Project { id: Some(id), .. } = scope else {
            return Vec::new();
        };
        let mutes = state.mutes(*id, handler.now);
        mutes
            .map(|mute| Muted { channel: mute.channel.clone(), until: mute.until, by: mute.by.clone() })
            .collect()
    });
    let of_store =
        async { Ok::<_, StoreError>((held(handler, scope).await?, failures(handler, scope).await?)) };
    if let Ok(Ok((held, failures))) = tokio::time::timeout(TIMEOUT, of_store).await {
        return answer::status(&named, &lines, &held, &failures, &muted);
    }
    let known = answer::status(&named, &lines, &[], &[], &muted);
    known.replace("Nothing failed lately.", "Recent failures can't be shown: the store does not answer.")
}

fn line(configured: &Configured, inherited: bool) -> Line {
    let entry = configured.entry;
    let events = match &configured.resolved {
        Ok(resolved) => {
            let heard = entry.about.triggers.iter().filter(|trigger| resolved.triggers().contains(*trigger));
            heard.map(Trigger::name).collect()
        }
        Err(_) => Vec::new(),
    };
    let channels = configured.configuration.properties.get("channel").map(crate::settings::Value::as_text);
    Line {
        title: entry.about.title,
        active: configured.is_active(),
        dead: None,
        channels: crate::integration::Channels::parse_list(&channels.unwrap_or_default()),
        events,
        inherited,
    }
}

/// The parts of this project that get no deliveries now. Dead addresses are left out, because the line of their
/// integration shows them.
async fn held(handler: &CommandHandler<'_>, scope: &ResolvedScope) -> crate::store::Result<Vec<Held>> {
    let overview = handler.ledger.overview().await?;
    let standing = handler.catalog.read(|snapshot| {
        Standing::within(snapshot, &handler.holds, overview, handler.now, |other| other == scope)
    });
    let alive =
        standing.troubles.into_iter().filter(|trouble| trouble.cause != HoldCause::SwitchedOff.name());
    let held = alive.filter_map(|trouble| {
        let id = trouble.integration?;
        let entry = adapters::find(id.0.rsplit_once(':')?.1)?;
        Some(Held {
            title: entry.about.title,
            targets: trouble.targets,
            cause: trouble.cause,
            reason: trouble.reason,
            since: trouble.since,
            until: trouble.until,
            waiting: trouble.waiting,
            command: trouble.command,
        })
    });
    Ok(held.collect())
}

/// The deliveries that were given up within the last day, and those whose attempts fail at the moment; the newest first.
async fn failures(handler: &CommandHandler<'_>, scope: &ResolvedScope) -> crate::store::Result<Vec<Failure>> {
    let since = handler.now.checked_sub(LATELY).unwrap_or(Timestamp::MIN);
    let mut found = Vec::new();
    for entry in ADAPTERS.iter().filter(|entry| entry.can_deliver()) {
        for state in [DeliveryState::Failed, DeliveryState::Expired, DeliveryState::Waiting] {
            let slug = entry.about.slug;
            let (integrations, project_id) = handler.catalog.read(|snapshot| {
                let id = snapshot.id_at(scope, slug);
                let project_id = owner_of(snapshot, &id);
                (vec![id], project_id)
            });
            let filter = DeliveryFilter {
                state: Some(state),
                integrations,
                project_id,
                limit: answer::FAILURES,
                ..DeliveryFilter::default()
            };
            for line in handler.ledger.deliveries(filter).await? {
                let at = line.settled_at.unwrap_or(line.created_at);
                let Some(reason) = line.last_note.filter(|_| at >= since) else { continue };
                let waits = state == DeliveryState::Waiting;
                let (target, subject, title) = (line.target, line.subject, entry.about.title);
                found.push(Failure { at, title, target, subject, reason, waits });
            }
        }
    }
    found.sort_by_key(|failure| std::cmp::Reverse(failure.at));
    Ok(found)
}

/// Mutes this channel until a moment; a moment in the past ends the mute.
async fn mute(
    handler: &CommandHandler<'_>,
    scope: &ResolvedScope,
    command: &ChatCommand,
    until: Timestamp,
) -> String {
    let ResolvedScope::Project { id: Some(project), .. } = scope else {
        return "This project's number is not known yet: wait for its first event, then repeat the command."
            .to_owned();
    };
    let names = channel_names(command);
    if names.is_empty() {
        return "The channel can't be muted: the service sent neither its name nor its id.".to_owned();
    }
    let was_muted = handler.catalog.read(|state| {
        let here = |mute: &Mute| mute.slug == command.notifier && names.contains(&mute.channel);
        state.mutes(*project, handler.now).any(here)
    });
    let to_mute = if until > handler.now { names_to_mute(handler, scope, command, names) } else { names };
    let muting = tokio::time::timeout(TIMEOUT, mute_all(handler, *project, command, &to_mute, until));
    if !matches!(muting.await, Ok(Ok(()))) {
        // An operation that was in flight at the timeout may still be written.
        return "The store does not answer, so the change may not be saved. Repeat the command in a moment."
            .to_owned();
    }
    if until > handler.now {
        answer::muted(&command.channel, notifier(command).about.title, until, &command.command)
    } else {
        answer::unmuted(&command.channel, was_muted)
    }
}

/// The names under which a channel is muted: those that the settings use, or else all. A name that no settings use mutes the
/// address's own channel too, whose name is unknown.
fn names_to_mute(
    handler: &CommandHandler<'_>,
    scope: &ResolvedScope,
    command: &ChatCommand,
    names: Vec<String>,
) -> Vec<String> {
    let Some(integration) = handler.catalog.read(|snapshot| snapshot.at(scope, command.notifier)) else {
        return names;
    };
    let used: Vec<String> = integration.channels.all().map(Mute::channel_of).collect();
    let (named, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| used.contains(name));
    if named.is_empty() { others } else { named }
}

/// Mutes the channel under each of these names, because the settings may use any of them.
async fn mute_all(
    handler: &CommandHandler<'_>,
    project: i64,
    command: &ChatCommand,
    names: &[String],
    until: Timestamp,
) -> Result<(), crate::catalog::ChangeError> {
    let who = Actor(format!("slash command of {}", typed_by(command)));
    for channel in names {
        let mute = Mute {
            project,
            slug: command.notifier.to_owned(),
            channel: channel.clone(),
            until,
            by: typed_by(command),
            revision: 0,
        };
        handler.catalog.mute(mute, &who, handler.now).await?;
    }
    Ok(())
}

/// Publishes a command for the forge, without the token.
async fn forward(
    handler: &CommandHandler<'_>,
    scope: &ResolvedScope,
    command: &ChatCommand,
    request: &InboundRequest,
) -> String {
    let Some(commands) = handler.commands else {
        return format!("Unknown command. {}", answer::help(&command.command, false));
    };
    let text = |name: &str| request.form.get(name);
    let (id, path) = match scope {
        ResolvedScope::Project { id, path } => (*id, path.as_deref()),
        other => (None, other.path()),
    };
    let body = json!({
        "object_kind": "slash_command",
        "service": command.notifier,
        "project": { "id": id, "path_with_namespace": path },
        "command": command.command,
        "text": command.text,
        "user_id": text("user_id"),
        "user_name": command.user,
        "channel_id": text("channel_id"),
        "channel_name": text("channel_name"),
        "team_id": text("team_id"),
        "trigger_id": text("trigger_id"),
        "response_url": text("response_url"),
    });
    let id = Uuid::now_v7().to_string();
    match commands.forward(&id, body.to_string().as_bytes(), handler.now).await {
        Ok(()) => "The command was forwarded to the forge, which answers here.".to_owned(),
        Err(error) => {
            tracing::warn!(%error, "failed to publish a command for the forge; the user was asked to repeat it");
            let said = if error.maybe_taken() {
                "The command may not have reached the forge. If there is no answer here soon, repeat the command."
            } else {
                "The forge can't be reached at the moment; repeat the command later."
            };
            said.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::contract::{InboundKind, Reaction};

    #[test]
    fn every_adapter_of_commands_names_one_that_delivers() {
        let of_commands = |entry: &&Entry| {
            entry.inbound.as_ref().is_some_and(|inbound| inbound.kind == InboundKind::Commands)
        };
        let inbound: Vec<&Entry> = ADAPTERS.iter().filter(of_commands).collect();
        assert!(!inbound.is_empty());
        for entry in inbound {
            let Ok(Reaction::Command(command)) = entry.receive(&InboundRequest::default()) else {
                panic!("{entry:?} receives a command");
            };
            assert!(notifier(&command).can_deliver());
        }
    }
}
