//! `integrations`: tests one, and resumes waiting deliveries. `show` lists them with their state, and shows one.

mod show;

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::builder::PossibleValuesParser;
use jiff::Timestamp;

use super::options::Options;
use super::table::printable;
use super::{command_audit, complain, say, say_json, state};
use crate::adapters::{self, Entry, ProjectLinks};
use crate::api::resources;
use crate::catalog::{Configured, ResolvedScope, Snapshot};
use crate::config::Config;
use crate::daemon;
use crate::event::{Event, Project, Trigger, sample, sample_in};
use crate::integration::{Integration, IntegrationId, Scope};
use crate::pipeline::holds::{HoldSet, Holds};
use crate::pipeline::reasons::named;
use crate::pipeline::resume::{held_by, of_these_settings};
use crate::pipeline::retry::Outcome;
use crate::pipeline::test_send::{is_project, last_project};
use crate::settings::Secrets;
use crate::store::{NewHealth, Store};
use show::{ListArgs, ShowArgs, list, show};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List what is configured, with its state
    List(ListArgs),
    /// Show one integration's settings, without secrets, and its state
    Show(ShowArgs),
    /// Send a test message by one integration; success ends its holds
    Test(TestArgs),
    /// Have what waits for integrations tried again now, also where an address was switched off
    Resume(ResumeArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell integrations test acme/rocket:slack\n\n\
    Exit codes: 0 the service accepted every message; 1 it did not, or nothing was sent.")]
pub(super) struct TestArgs {
    /// The integration: `acme/rocket:slack`, `42:slack`, `groups/acme:slack`
    #[arg(value_name = "ID", value_parser = name)]
    id: Name,
    /// Which kind of event to make a sample of
    #[arg(long, value_name = "KIND", value_parser = kinds())]
    trigger: Option<String>,
    /// Print JSON, as the API answers
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell integrations resume acme/rocket:slack\n\n\
    A wait that the service itself asked for goes on, and so does the rest of a destination that other integrations wait \
    for. A running daemon notices within seconds.")]
pub(super) struct ResumeArgs {
    /// The integrations: `acme/rocket:slack`; of a group or the instance, with those that inherit its settings
    #[arg(value_name = "ID", value_parser = name, required = true)]
    ids: Vec<Name>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An integration's name on the command line.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) scope: Scope,
    pub(super) entry: &'static Entry,
}

pub(super) fn name(text: &str) -> Result<Name, String> {
    let shape = "write PROJECT:SERVICE, as `forgebell integrations list` shows it: acme/rocket:slack";
    let (scope, slug) = text.rsplit_once(':').filter(|(scope, _)| !scope.is_empty()).ok_or(shape)?;
    let entry = adapters::find(&slug.to_lowercase().replace('_', "-"));
    let entry = entry.ok_or_else(|| format!("there is no service `{slug}`: see `forgebell adapters`"))?;
    Ok(Name { scope: Scope::from_canonical(scope), entry })
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Trigger::ALL.map(Trigger::name))
}

impl Name {
    /// The scope with its known names.
    pub(super) fn resolved(&self, snapshot: &Snapshot) -> ResolvedScope {
        snapshot.directory().resolve(&self.scope)
    }

    fn missing(&self) -> anyhow::Error {
        let (slug, scope) = (self.entry.about.slug, &self.scope);
        anyhow!("{slug} is not configured for {scope}: `forgebell integrations list` shows what is")
    }
}

pub(super) async fn run(command: Command, options: &Options) -> anyhow::Result<ExitCode> {
    // A test sends a message, by mail too.
    let needed: &[&str] = match command {
        Command::Test(_) => &["store", "secrets", "wire", "smtp", "forge", "google"],
        _ => &["store", "secrets"],
    };
    let config = options.config_for(needed)?;
    let now = daemon::now();
    match command {
        Command::List(args) => list(&config, &args, now).await,
        Command::Show(args) => show(&config, &args, now).await,
        Command::Test(args) => test(&config, &args, now).await,
        Command::Resume(args) => resume(&config, &args, now).await,
    }
}

// ---- test ----------------------------------------------------------------------------------------------------------

/// The settings that a test is made with, and their secrets, which must not be printed.
struct Subject {
    integration: Integration,
    secrets: Secrets,
    links: ProjectLinks,
}

fn subject(snapshot: &Snapshot, name: &Name) -> anyhow::Result<Subject> {
    let scope = name.resolved(snapshot);
    let slug = name.entry.about.slug;
    let inheritance = snapshot.inheritance(&scope, slug);
    let configured = inheritance.effective().or(inheritance.own).ok_or_else(|| name.missing())?;
    let resolved = configured.resolved.as_ref().map_err(|errors| {
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        anyhow!("nothing was sent, because the settings are not valid: {}", errors.join("; "))
    })?;
    let id = snapshot.id_at(&scope, slug);
    let integration = resolved.integration(id, scope.name(), configured.origin.name());
    let links = snapshot.links_at(&scope);
    Ok(Subject { integration, secrets: secrets_of(configured), links })
}

fn secrets_of(configured: &Configured) -> Secrets {
    let secrets = configured.configuration.secrets.iter();
    Secrets::of(configured.entry.fields, secrets.map(|(name, secret)| (name.as_str(), secret.expose())))
}

async fn test(config: &Config, args: &TestArgs, now: Timestamp) -> anyhow::Result<ExitCode> {
    let (snapshot, holds) = state::view(config, now).await?;
    let entry = args.id.entry;
    let Subject { integration, secrets, links } = subject(&snapshot, &args.id)?;
    let held = Holds::default();
    held.sync(holds.current(), now);
    let sender = daemon::test_sender(config, &held)?;
    let store = if state::is_there(&config.store) { Some(state::open(&config.store).await?) } else { None };
    if let Some(probe) = entry.probe.as_ref().filter(|_| !entry.can_deliver() || args.trigger.is_none()) {
        let attempt = match sender.probe(&integration, probe, now).await {
            Ok(report) => {
                let attempt = resources::TestAttempt::of_probe(&report, &secrets);
                if let Some(store) = &store {
                    let (reached, note) = (attempt.success, attempt.outcome.note.clone());
                    let integration = integration.id.clone();
                    store.note_health(NewHealth { integration, reached, note, at: now }).await?;
                }
                attempt
            }
            Err(wait) => resources::TestAttempt::throttled("", wait),
        };
        return tested(args, &resources::Test::of_probe(attempt), store.as_deref(), &integration.id, now)
            .await;
    }
    let scope = args.id.resolved(&snapshot);
    let last = match &store {
        Some(store) => last_project(&snapshot, &**store, &integration.id).await,
        None => None,
    };
    let project = project(&scope, config, last);
    let event = sample_event(entry, args.trigger.as_deref(), project.as_ref())?;
    let channels = event.trigger.map(|trigger| integration.channels.for_trigger(trigger)).unwrap_or_default();
    let targets = entry.targets(&integration.settings, &event, channels);
    let mut attempts = Vec::new();
    for target in targets.send.iter().map(|target| target.name.as_str()).take(resources::Test::MAX_TARGETS) {
        let attempt = match sender.test(&integration, entry, &event, target, &links, now).await {
            Ok(report) => {
                if let (Outcome::Delivered(_), Some(store)) = (&report.report.outcome, &store) {
                    end_disproved(&**store, entry, &integration, target, now).await?;
                }
                resources::TestAttempt::new(target, &report, &secrets)
            }
            Err(wait) => resources::TestAttempt::throttled(target, wait),
        };
        attempts.push(attempt);
    }
    let test = resources::Test::new(&event, attempts, &targets.left_out);
    tested(args, &test, store.as_deref(), &integration.id, now).await
}

/// Notes a test in the audit log, and prints its result.
async fn tested(
    args: &TestArgs,
    test: &resources::Test,
    store: Option<&dyn Store>,
    integration: &IntegrationId,
    now: Timestamp,
) -> anyhow::Result<ExitCode> {
    if let Some(store) = store {
        store.note(command_audit::entry("integration.test", integration.to_string(), &[], now)).await?;
    }
    if args.json {
        say_json(test)?;
    } else {
        say(&test_words(test))?;
    }
    Ok(if test.success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The requested kind, else a push, a pipeline, or the first kind that the service takes.
fn sample_event(entry: &Entry, wanted: Option<&str>, project: Option<&Project>) -> anyhow::Result<Event> {
    let takes = entry.about.triggers;
    let usual = [Trigger::Push, Trigger::Pipeline].into_iter().chain(takes.iter());
    let mut kinds = usual.filter(|trigger| takes.contains(*trigger));
    let found = match wanted {
        None => kinds.next().context(
            "nothing was sent: the service is sent no events and can't be asked whether it is reached",
        )?,
        Some(name) => kinds
            .find(|trigger| trigger.name() == name)
            .ok_or_else(|| anyhow!("{} takes no event of the kind {name}", entry.about.title))?,
    };
    Ok(project.map_or_else(|| sample(found), |project| sample_in(found, project)))
}

/// The project of a test: as the last event that the integration got described it, else by its own name and address. A
/// test of a group uses the sample's project.
fn project(scope: &ResolvedScope, config: &Config, last: Option<Project>) -> Option<Project> {
    let ResolvedScope::Project { id, path } = scope else { return None };
    if let Some(last) = last.filter(|last| is_project(last, *id, path.as_deref())) {
        return Some(last);
    }
    let path = path.as_ref()?;
    let forge = config.operator.forge.url.trim_end_matches('/');
    let web_url = if forge.is_empty() { String::new() } else { format!("{forge}/{path}") };
    let id = id.filter(|id| *id > 0).unwrap_or_default();
    Some(Project {
        id,
        path_with_namespace: path.as_str().into(),
        web_url: web_url.into(),
        ..Project::default()
    })
}

/// Ends the holds that a success disproves. The daemon reads this from the store.
async fn end_disproved(
    store: &dyn Store,
    entry: &Entry,
    integration: &Integration,
    target: &str,
    now: Timestamp,
) -> anyhow::Result<()> {
    let Some(pace) = entry.pace(&integration.settings, target) else { return Ok(()) };
    let holds: HoldSet = store.holds(now).await?.into_iter().collect();
    let disproved = holds.disproved(&integration.id, target, &pace.destination.key.0);
    Ok(store.end_holds(&disproved, now).await?)
}

fn test_words(test: &resources::Test) -> String {
    let mut text = String::new();
    for attempt in &test.attempts {
        let outcome = &attempt.outcome;
        let words = match (attempt.success, outcome.note.as_str()) {
            (true, _) => "accepted".to_owned(),
            (false, "") => outcome.outcome.to_owned(),
            (false, note) => format!("{}: {note}", outcome.outcome),
        };
        let line = format!("{}: {words}", named(&outcome.target));
        let _ = writeln!(text, "{}", printable(&line));
    }
    format!("{text}{}\n", printable(&test.message))
}

// ---- resume --------------------------------------------------------------------------------------------------------

async fn resume(config: &Config, args: &ResumeArgs, now: Timestamp) -> anyhow::Result<ExitCode> {
    let (snapshot, holds) = state::view(config, now).await?;
    let store: Arc<dyn Store> = state::open(&config.store).await?;
    let mut results = Vec::new();
    for name in &args.ids {
        let scope = name.resolved(&snapshot);
        let slug = name.entry.about.slug;
        let inheritance = snapshot.inheritance(&scope, slug);
        let configured = inheritance.effective().or(inheritance.own).ok_or_else(|| name.missing())?;
        let own = snapshot.id_at(&scope, slug);
        if configured.resolved.is_err() {
            complain(&format!("note: {own} sends nothing, because its settings are not valid"));
        }
        let ids = of_these_settings(&snapshot, &holds, &scope, slug);
        let before = held_by(&store.holds(now).await?, &ids, now);
        let changed: Vec<_> = ids.iter().map(|id| (id.clone(), None)).collect();
        store.end_outdated_holds(&changed, now).await?;
        let ended = before.saturating_sub(held_by(&store.holds(now).await?, &ids, now));
        store.note(command_audit::entry("integration.resume", own.to_string(), &[], now)).await?;
        results.push(resources::Resumed { integration: own.to_string(), ended });
    }
    if args.json {
        say_json(&results)?;
    } else {
        for resources::Resumed { integration, ended } in &results {
            let what = match ended {
                0 => "nothing is held that a person could end".to_owned(),
                1 => "1 hold ended; what waited for it is due".to_owned(),
                count => format!("{count} holds ended; what waited for them is due"),
            };
            say(&format!("{integration}: {what}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_scope_and_a_service() {
        let of = |text: &str| name(text).map(|name| (name.scope, name.entry.about.slug));
        assert_eq!(of("acme/rocket:slack"), Ok((Scope::ProjectPath("acme/rocket".to_owned()), "slack")));
        assert_eq!(of("42:microsoft_teams"), Ok((Scope::ProjectId(42), "microsoft-teams")));
        assert_eq!(of("groups/acme:slack"), Ok((Scope::Group("acme".to_owned()), "slack")));
        assert_eq!(of("instance:slack"), Ok((Scope::Instance, "slack")));
        assert!(of("slack").unwrap_err().contains("acme/rocket:slack"));
        assert!(of(":slack").is_err());
        assert!(of("acme/rocket:slak").unwrap_err().contains("forgebell adapters"));
    }

    #[test]
    fn a_test_says_for_each_target_whether_it_was_accepted() {
        let outcome = |target: &str, note: &str| resources::AttemptOutcome {
            target: target.to_owned(),
            outcome: "gone",
            status: Some(404),
            latency_ms: Some(3),
            note: note.to_owned(),
        };
        let attempt = |outcome, success| resources::TestAttempt { outcome, success, exchanges: Vec::new() };
        let test = resources::Test {
            success: false,
            trigger: Some("push"),
            message: "gone: answered 404".to_owned(),
            attempts: vec![
                attempt(outcome("#ops", ""), true),
                attempt(outcome("#dev", "answered 404\u{1b}"), false),
            ],
        };
        assert_eq!(test_words(&test), "#ops: accepted\n#dev: gone: answered 404\ngone: answered 404\n");
    }
}
