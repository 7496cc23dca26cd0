//! `integrations list` and `integrations show`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use clap::ArgGroup;
use jiff::Timestamp;
use serde::Serialize;

use super::{Name, name};
use crate::adapters::{self, Entry};
use crate::api::{Probed, health_of, integration_object, probed, resources};
use crate::catalog::{Configured, ResolvedScope, Snapshot};
use crate::cli::status::held_words;
use crate::cli::table::{Table, age, cut, local, printable, wrapped};
use crate::cli::{say, say_json, state};
use crate::config::Config;
use crate::event::{Trigger, Triggers};
use crate::integration::{IntegrationId, Scope};
use crate::pipeline::holds::HoldSet;
use crate::pipeline::standing::{self, INVALID_SETTINGS, Trouble};
use crate::store::{HoldCause, Watches};

const REASON: usize = 60;
const WIDTH: usize = 100;
/// The width of the names on an integration's page.
const NAMES: usize = 32;

#[derive(Debug, clap::Args)]
#[command(
    group(ArgGroup::new("scope")),
    after_help = "For example:\n  \
    forgebell integrations list\n  \
    forgebell integrations list --project acme/rocket --json"
)]
pub(in crate::cli) struct ListArgs {
    /// Only those that apply to this project, its own and inherited ones: a path or a number
    #[arg(long, value_name = "PROJECT", group = "scope")]
    project: Option<String>,
    /// Only those of this group: a path
    #[arg(long, value_name = "GROUP", group = "scope")]
    group: Option<String>,
    /// Only the defaults of the instance
    #[arg(long, group = "scope")]
    instance: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ShowArgs {
    /// The integration: `acme/rocket:slack`, `42:slack`, `groups/acme:slack`, `instance:slack`
    #[arg(value_name = "ID", value_parser = name)]
    id: Name,
    /// Print JSON, as the API shows it
    #[arg(long)]
    json: bool,
}

/// A line of the list, as `--json` prints it.
#[derive(Serialize)]
struct Listed {
    /// Its name, as commands take it.
    integration: String,
    /// The full path of the project or group, where it is known.
    project: Option<String>,
    #[serde(flatten)]
    object: resources::IntegrationBasic,
    /// What its deliveries wait for, as `status` shows it, beside addresses that are switched off.
    held: Vec<resources::StatusHeld>,
    #[serde(skip)]
    is_configured_active: bool,
    #[serde(skip)]
    probed: Option<Probed>,
}

pub(super) async fn list(config: &Config, args: &ListArgs, now: Timestamp) -> anyhow::Result<ExitCode> {
    let (snapshot, holds) = state::view(config, now).await?;
    let troubles = troubles(config, &snapshot, &holds, now).await;
    let mut lines = match scope(args) {
        None => all(&snapshot, &holds, &troubles),
        Some(scope) => {
            let Some(resolved) = snapshot.known(&scope) else {
                bail!("{scope} is not known: no event, no setting and no file names it");
            };
            let here = adapters::ADAPTERS.iter();
            here.filter_map(|entry| listed(&snapshot, &resolved, entry.about.slug, &holds, &troubles))
                .collect()
        }
    };
    read_health(config, &mut lines).await?;
    if args.json {
        say_json(&lines)?;
    } else {
        say(&table(&lines, now))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What deliveries wait for, as `status` shows it, except what an integration's object has already. Without the store,
/// nothing is known to wait.
async fn troubles(config: &Config, snapshot: &Snapshot, holds: &HoldSet, now: Timestamp) -> Vec<Trouble> {
    let waiting = match state::open(&config.store).await {
        Ok(store) => store.overview().await.map(|overview| overview.waiting).unwrap_or_default(),
        Err(_) => Vec::new(), // `state::view` reported it, unless there is no store yet
    };
    let mut troubles = standing::troubles(snapshot, holds, &waiting, now);
    let is_in_object = |cause| cause == INVALID_SETTINGS || cause == HoldCause::SwitchedOff.name();
    troubles.retain(|trouble| !is_in_object(trouble.cause));
    troubles
}

/// The troubles of an integration; of a default also those of the integrations that inherit its settings.
fn held(
    snapshot: &Snapshot,
    scope: &ResolvedScope,
    configured: &Configured,
    id: &IntegrationId,
    troubles: &[Trouble],
) -> Vec<resources::StatusHeld> {
    let is_default = !matches!(scope, ResolvedScope::Project { .. });
    let inherits = |heir: &IntegrationId| {
        is_default && snapshot.configured(heir).is_some_and(|applies| std::ptr::eq(applies, configured))
    };
    let is_its =
        |trouble: &&Trouble| trouble.integration.as_ref().is_some_and(|named| named == id || inherits(named));
    troubles.iter().filter(is_its).map(resources::StatusHeld::from).collect()
}

/// Adds the known health of the services that are probed.
async fn read_health(config: &Config, lines: &mut [Listed]) -> anyhow::Result<()> {
    let asked: Vec<_> = lines.iter_mut().map(|line| line.probed.take()).collect();
    if asked.iter().any(Option::is_some) && state::is_there(&config.store) {
        let store = state::open(&config.store).await?;
        let health = health_of(&*store as &dyn Watches, &asked).await;
        lines.iter_mut().zip(health).for_each(|(line, health)| line.object.tail.health = health);
    }
    Ok(())
}

fn scope(args: &ListArgs) -> Option<Scope> {
    let project = args.project.as_deref().map(Scope::from_canonical);
    let group = args.group.as_ref().map(|path| Scope::Group(path.clone()));
    project.or(group).or_else(|| args.instance.then_some(Scope::Instance))
}

/// Everything that is configured, each at its own scope.
fn all(snapshot: &Snapshot, holds: &HoldSet, troubles: &[Trouble]) -> Vec<Listed> {
    let configured = snapshot.all_configured().into_iter();
    configured
        .filter_map(|(scope, configured)| {
            listed(snapshot, &snapshot.directory().resolve(&scope), configured.slug(), holds, troubles)
        })
        .collect()
}

fn listed(
    snapshot: &Snapshot,
    scope: &ResolvedScope,
    slug: &str,
    holds: &HoldSet,
    troubles: &[Trouble],
) -> Option<Listed> {
    let resources::Integration { head, tail, .. } = integration_object(snapshot, scope, slug, holds)?;
    let inheritance = snapshot.inheritance(scope, slug);
    let configured = inheritance.effective().or(inheritance.own)?;
    let id = snapshot.id_at(scope, slug);
    Some(Listed {
        held: held(snapshot, scope, configured, &id, troubles),
        integration: id.to_string(),
        project: scope.path().map(str::to_owned),
        object: resources::IntegrationBasic { head, tail },
        is_configured_active: configured.configuration.active,
        probed: probed(snapshot, scope, slug),
    })
}

fn table(lines: &[Listed], now: Timestamp) -> String {
    if lines.is_empty() {
        return "no integrations".to_owned();
    }
    let mut table = Table::new(["INTEGRATION", "PROJECT", "STATE", "CHANGED", "FROM", "NOTE"]);
    for line in lines {
        let resources::IntegrationBasic { head, tail } = &line.object;
        let off = tail.switched_off.first().map(|off| off.reason.clone());
        let not_reached = tail.health.as_ref().filter(|health| !health.reached);
        let not_reached = not_reached
            .map(|health| format!("not reached since {}: {}", age(health.since.0, now), health.note));
        let note = off.or_else(|| held_note(line, now)).or(not_reached).unwrap_or_default();
        table.row([
            line.integration.clone(),
            line.project.clone().unwrap_or_default(),
            state_word(line).to_owned(),
            age(head.updated_at.0, now),
            tail.origin.clone().unwrap_or_else(|| "API".to_owned()),
            cut(&note, REASON),
        ]);
    }
    table.to_string()
}

/// What holds a line's deliveries, in short. `status` and `show` have the rest.
fn held_note(line: &Listed, now: Timestamp) -> Option<String> {
    let held = line.held.first()?;
    let other = held.integration.as_ref().filter(|named| **named != line.integration);
    let heir = other.map(|named| format!("{named}: ")).unwrap_or_default();
    let until = held.until.map(|until| format!(", next attempt {}", age(until.0, now))).unwrap_or_default();
    Some(format!("{heir}{}{until}: {}", held.cause.replace('_', " "), held.reason))
}

/// `active`; `off` if a person switched it off; `SWITCHED OFF` if nothing can be sent; `partly off` if an address is
/// dead; `throttled` or `held` if deliveries wait.
fn state_word(line: &Listed) -> &'static str {
    let resources::IntegrationBasic { head, tail } = &line.object;
    let is_throttle = |held: &resources::StatusHeld| {
        [HoldCause::Throttled, HoldCause::Quota].map(HoldCause::name).contains(&held.cause)
    };
    match (head.active, tail.switched_off.is_empty()) {
        (true, true) if !line.held.is_empty() => {
            if line.held.iter().all(is_throttle) {
                "throttled"
            } else {
                "held"
            }
        }
        (true, true) if head.inherited => "inherited",
        (true, true) => "active",
        (true, false) => "partly off",
        (false, false) if line.is_configured_active => "SWITCHED OFF",
        (false, _) => "off",
    }
}

pub(super) async fn show(config: &Config, args: &ShowArgs, now: Timestamp) -> anyhow::Result<ExitCode> {
    let (snapshot, holds) = state::view(config, now).await?;
    let scope = args.id.resolved(&snapshot);
    let slug = args.id.entry.about.slug;
    let mut shown = integration_object(&snapshot, &scope, slug, &holds).ok_or_else(|| args.id.missing())?;
    let troubles = troubles(config, &snapshot, &holds, now).await;
    let mut listed = [listed(&snapshot, &scope, slug, &holds, &troubles).ok_or_else(|| args.id.missing())?];
    read_health(config, &mut listed).await?;
    let [listed] = listed;
    shown.tail.health.clone_from(&listed.object.tail.health);
    if args.json {
        say_json(&shown)?;
    } else {
        let inheritance = snapshot.inheritance(&scope, slug);
        let configured = inheritance.effective().or(inheritance.own).ok_or_else(|| args.id.missing())?;
        let on = snapshot.at(&scope, slug).map(|integration| integration.triggers);
        let facts = [secret_facts(configured), event_facts(configured.entry, on)].concat();
        say(&page(&listed, &shown, &facts, now))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether each secret is set. Its value is not shown.
fn secret_facts(configured: &Configured) -> Vec<(&'static str, String)> {
    let secrets = configured.entry.fields.iter().filter(|field| field.kind.is_secret());
    let set = &configured.configuration.secrets;
    let shown = |name: &str| match set.get(name) {
        Some(secret) if !secret.is_blank() => "(set)",
        _ => "(not set)",
    };
    secrets.map(|field| (field.name, shown(field.name).to_owned())).collect()
}

/// The kinds of events that it is told of and those that are switched off, by the names of their settings. Nothing
/// where the settings are not valid.
fn event_facts(entry: &Entry, on: Option<Triggers>) -> Vec<(&'static str, String)> {
    let Some(on) = on else { return Vec::new() };
    let names = |is_on: bool| {
        let kinds = entry.about.triggers.iter().filter(|kind| on.contains(*kind) == is_on);
        kinds.map(Trigger::flag).collect::<Vec<_>>().join(", ")
    };
    [("events on", names(true)), ("events off", names(false))]
        .into_iter()
        .filter(|(_, kinds)| !kinds.is_empty())
        .collect()
}

/// `facts` are further lines with their names.
fn page(listed: &Listed, shown: &resources::Integration, facts: &[(&str, String)], now: Timestamp) -> String {
    let resources::Integration { head, properties, tail } = shown;
    let mut text = format!("{}: {}\n", printable(&listed.integration), state_word(listed));
    let mut fact = |name: &str, value: &str| {
        let indent = " ".repeat(NAMES + 3);
        let _ = writeln!(text, "  {name:<NAMES$} {}", wrapped(value, &indent, WIDTH).trim_start());
    };
    fact("service", head.title);
    fact("project", listed.project.as_deref().unwrap_or("(all)"));
    fact("from", tail.origin.as_deref().unwrap_or("API"));
    fact("changed", &format!("{} ({})", local(head.updated_at.0), age(head.updated_at.0, now)));
    for (name, value) in &properties.0 {
        if let Some(value) =
            value.as_ref().map(crate::api::resources::ShownValue::as_text).filter(|text| !text.is_empty())
        {
            fact(name, &value);
        }
    }
    for (name, value) in facts {
        fact(name, value);
    }
    if let Some(health) = &tail.health {
        let state = if health.reached { "reached" } else { "NOT REACHED" };
        let (since, asked) = (age(health.since.0, now), age(health.checked_at.0, now));
        fact("health", &format!("{state} since {since}, asked {asked}: {}", health.note));
    }
    for off in &tail.switched_off {
        let targets =
            if off.targets.is_empty() { String::new() } else { format!(" {}", off.targets.join(", ")) };
        let line = format!("switched off{targets} since {}:", age(off.since.0, now));
        let _ = writeln!(text, "  {}\n{}", printable(&line), wrapped(&off.reason, "    ", WIDTH));
    }
    listed.held.iter().for_each(|held| text.push_str(&held_words(held, now)));
    text
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::integration::Fingerprint;
    use crate::store::{Hold, HoldKey};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second).unwrap()
    }

    fn snapshot() -> Snapshot {
        let block = |place: &str| {
            format!(
                "[[integration]]\n{place}\nadapter = \"slack\"\nchannel = \"#ops\"\npush_events = false\n\
                 webhook = \"https://hooks.slack.com/services/T1/B1/secretsecret\"\n"
            )
        };
        let text = block("project = \"acme/rocket\"") + &block("group = \"other\"");
        let no_secrets = |_: &Path| Err(std::io::Error::other("there are no files here"));
        crate::provision::read(&[(PathBuf::from("a.toml"), text)], &no_secrets).unwrap().into_snapshot()
    }

    fn hold(of: &str, cause: HoldCause) -> HoldSet {
        let hold = Hold {
            key: HoldKey::Destination(of.into()),
            cause,
            reason: "answered so".to_owned(),
            since: at(-60),
            until: at(600),
            strikes: 1,
            made_under: Some((IntegrationId::new(of), Fingerprint(1))),
        };
        [hold].into_iter().collect()
    }

    fn lines(snapshot: &Snapshot, holds: &HoldSet) -> Vec<Listed> {
        all(snapshot, holds, &standing::troubles(snapshot, holds, &[], at(0)))
    }

    #[test]
    fn a_list_shows_what_is_held_or_throttled_and_until_when() {
        let snapshot = snapshot();
        let shown = |of: &str, cause: HoldCause| {
            let lines = lines(&snapshot, &hold(of, cause));
            lines.iter().map(|line| (state_word(line), held_note(line, at(0)))).collect::<Vec<_>>()
        };
        let note = |note: &str| Some(note.to_owned());
        assert_eq!(
            shown("acme/rocket:slack", HoldCause::Throttled),
            [("throttled", note("throttled, next attempt in 10 min: answered so")), ("active", None)]
        );
        assert_eq!(
            shown("acme/rocket:slack", HoldCause::Unavailable)[0],
            ("held", note("unavailable, next attempt in 10 min: answered so"))
        );
        let of_heir = "other/thing:slack: operator error, next attempt in 10 min: answered so";
        assert_eq!(
            shown("other/thing:slack", HoldCause::OperatorError),
            [("active", None), ("held", note(of_heir))],
            "a default shows what its heirs wait for"
        );
        let json = serde_json::to_value(lines(&snapshot, &hold("acme/rocket:slack", HoldCause::Quota)));
        assert_eq!(json.unwrap()[0]["held"][0]["cause"], "quota");
    }

    #[test]
    fn a_page_shows_which_secrets_are_set_and_which_events_are_on() {
        let snapshot = snapshot();
        let scope = snapshot.directory().resolve(&Scope::ProjectPath("acme/rocket".to_owned()));
        let configured = snapshot.inheritance(&scope, "slack").own.unwrap();
        let holds = hold("acme/rocket:slack", HoldCause::Unavailable);
        let troubles = standing::troubles(&snapshot, &holds, &[], at(0));
        let listed = listed(&snapshot, &scope, "slack", &holds, &troubles).unwrap();
        let shown = integration_object(&snapshot, &scope, "slack", &holds).unwrap();
        let on = snapshot.at(&scope, "slack").map(|integration| integration.triggers);
        let facts = [secret_facts(configured), event_facts(configured.entry, on)].concat();
        let page = page(&listed, &shown, &facts, at(0));
        let line =
            |name: &str| page.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
        assert!(line("webhook").ends_with(" (set)"), "{page}");
        assert!(line("events on").contains("tag_push_events"), "{page}");
        assert!(line("events off").contains(" push_events"), "{page}");
        assert!(page.starts_with("acme/rocket:slack: held\n") && page.contains("answered so"), "{page}");
        assert!(!page.contains("secretsecret"), "{page}");
        let without = Configured {
            configuration: crate::store::registry::Configuration::default(),
            ..configured.clone()
        };
        assert_eq!(secret_facts(&without)[0], ("webhook", "(not set)".to_owned()));
    }
}
