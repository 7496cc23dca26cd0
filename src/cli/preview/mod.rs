//! `preview`: one page that shows each message as its service would draw it. [`crate::preview`] draws.

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::ValueHint;
use clap::builder::PossibleValuesParser;

use super::explain::{fresh_id, read, title};
use super::options::Options;
use super::send::{examples_with, one_off_quietly, pair, targets};
use super::{say, state};
use crate::adapters::{ADAPTERS, Entry, OperatorSettings, ProjectLinks};
use crate::catalog::{Catalog as _, Snapshot};
use crate::config::Config;
use crate::daemon;
use crate::event::{Event, Trigger, sample};
use crate::integration::{Integration, rules};
use crate::pipeline::attempt::Outgoing;
use crate::preview::{Drawn, Shown, page};

const ALL: &str = "all";
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "forgebell preview [OPTIONS] <FILE>...\n       forgebell preview [OPTIONS] --sample <KIND>",
    after_help = "For example:\n  \
    forgebell preview payloads/push.json --to slack,discord --out preview.html\n  \
    forgebell preview --sample all --out preview.html\n\n\
    Nothing is sent, and no settings are needed: the examples of each adapter are used. References such as `ABC-12` lead to \
    the project's tracker, as configured, or to a tracker that `--to` names:\n  \
    forgebell preview payloads/push.json --to slack,redmine --set short_references=true --out preview.html"
)]
pub(super) struct Args {
    /// Webhook payloads (JSON); `-` reads standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "samples")]
    files: Vec<PathBuf>,
    /// A made-up event of this kind, or `all` of them
    #[arg(long = "sample", value_name = "KIND", value_parser = kinds(), value_delimiter = ',')]
    samples: Vec<String>,
    /// For which services: see `forgebell adapters`; `all` of them unless said
    #[arg(long, value_name = "SLUG", value_parser = destinations(), value_delimiter = ',', default_value = ALL)]
    to: Vec<String>,
    /// One of the adapters' settings, for those that have it, instead of its example
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
    /// Write the page to this file instead of standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Trigger::ALL.map(Trigger::name).into_iter().chain([ALL]))
}

fn destinations() -> PossibleValuesParser {
    PossibleValuesParser::new(ADAPTERS.iter().map(|entry| entry.about.slug).chain([ALL]))
}

pub(super) async fn run(args: &Args, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config_for(&[])?;
    let everyone = args.to.iter().any(|slug| slug == ALL);
    let is_named = |entry: &Entry| args.to.iter().any(|slug| slug == entry.about.slug);
    let chosen = ADAPTERS.iter().filter(|entry| everyone && entry.can_deliver() || is_named(entry));
    let chosen: Vec<&'static Entry> = chosen.collect();
    if let Some((key, _)) =
        args.settings.iter().find(|(key, _)| !chosen.iter().any(|entry| super::send::has(entry, key)))
    {
        bail!("--set {key}: none of these services has such a setting");
    }
    // Trackers and wikis get no messages. The messages of other services link to them.
    let drawn: Vec<&'static Entry> = chosen.iter().copied().filter(|entry| !is_only_linked(entry)).collect();
    let mut shown = Vec::new();
    for (source, event) in events(args, &config)? {
        let links = match named_links(&chosen, &args.settings, &event)? {
            Some(links) => links,
            None => state::links(&config, &event).await,
        };
        shown.push(show(&source, &event, &drawn, &args.settings, (&config.operator, &links))?);
    }
    let page = page(&shown);
    match &args.out {
        Some(file) => {
            std::fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))?;
        }
        None => say(&page)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn events(args: &Args, config: &Config) -> anyhow::Result<Vec<(String, Event)>> {
    let mut events = Vec::new();
    for file in &args.files {
        let event = state::decode(config, fresh_id(), read(file)?)
            .with_context(|| format!("{} is no event that we know", file.display()))?;
        events.push((file.display().to_string(), event));
    }
    let wanted = |trigger: &Trigger| args.samples.iter().any(|kind| kind == ALL || kind == trigger.name());
    for trigger in Trigger::ALL.into_iter().filter(wanted) {
        events.push(("a sample".to_owned(), sample(trigger)));
    }
    Ok(events)
}

/// The trackers and wikis among the named services, with the settings of the command line; `None` where none is named.
fn named_links(
    chosen: &[&'static Entry],
    settings: &[(String, String)],
    event: &Event,
) -> anyhow::Result<Option<ProjectLinks>> {
    let mut named = Vec::new();
    for entry in chosen.iter().filter(|entry| entry.link.is_some()) {
        let all = examples_with(entry, settings);
        let (integration, ..) = one_off_quietly(entry, &all, event, |path| std::fs::read_to_string(path))?;
        named.push(integration);
    }
    Ok((!named.is_empty()).then(|| ProjectLinks::of(&named)))
}

fn is_only_linked(entry: &Entry) -> bool {
    entry.link.is_some() && !entry.can_deliver()
}

fn show(
    source: &str,
    event: &Event,
    chosen: &[&'static Entry],
    settings: &[(String, String)],
    (operator, links): (&OperatorSettings, &ProjectLinks),
) -> anyhow::Result<Shown> {
    let supports =
        |entry: &Entry| event.trigger.is_some_and(|trigger| entry.about.triggers.contains(trigger));
    let (supporting, others): (Vec<&'static Entry>, Vec<_>) =
        chosen.iter().partition(|entry| supports(entry));
    let messages = supporting.into_iter().map(|entry| message(entry, event, settings, (operator, links)));
    Ok(Shown {
        messages: messages.collect::<anyhow::Result<_>>()?,
        unheard: others.iter().map(|entry| entry.about.slug.to_owned()).collect(),
        ..Shown::new(source, &title(event), event, links)
    })
}

fn message(
    entry: &'static Entry,
    event: &Event,
    settings: &[(String, String)],
    (operator, links): (&OperatorSettings, &ProjectLinks),
) -> anyhow::Result<Drawn> {
    let all = examples_with(entry, settings);
    let (integration, secrets, _) =
        one_off_quietly(entry, &all, event, |path| std::fs::read_to_string(path))?;
    let facts = Snapshot::default().facts(event);
    let unwanted =
        rules::wants(&listening(&integration, event), event, &facts).err().map(|why| why.to_string());
    let targets = targets(entry, &integration, event);
    let Some(target) = targets.first() else {
        return Ok(Drawn::none(entry, "it has no target", unwanted));
    };
    let others = match targets.len() {
        1 => String::new(),
        many => format!(", and {} more", many - 1),
    };
    let outgoing = Outgoing {
        entry,
        integration: &integration,
        event,
        target,
        id: "01912d68783e7a0384675661c1243ad4",
        now: daemon::now(),
        operator,
        links,
        open_request: None,
        may_have_been_sent: false,
        test: false,
    };
    // The default target of an address has no name.
    let place = if target.is_empty() { String::new() } else { format!("to {target}{others}") };
    // The examples are not secret, and may be words of any message, so they are not masked.
    let secrets = (!settings.is_empty()).then_some(&secrets);
    Ok(Drawn::of(&outgoing, place, unwanted, secrets))
}

/// The integration with the event's kind switched on, because the preview was requested for this event.
fn listening(integration: &Integration, event: &Event) -> Integration {
    let mut integration = integration.clone();
    if let Some(trigger) = event.trigger {
        integration.triggers.set(trigger, true);
    }
    integration
}
