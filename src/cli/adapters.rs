//! `adapters`: lists the services, and the settings of each from its declaration.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use serde_json::{Value as Json, json};

use super::table::{Table, duration, wrapped};
use super::{say, say_json};
use crate::adapters::common_settings::{CommonField, Group, common_fields};
use crate::adapters::contract::ChannelSettings;
use crate::adapters::{self, ADAPTERS, Deliveries, Entry};
use crate::event::Trigger;
use crate::provision::COMMON_KEYS;
use crate::settings::{Field, Kind, Properties, Value};

/// Columns that help texts are wrapped at.
const WIDTH: usize = 92;
const INDENT: &str = "      ";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show this one's settings, limits and an example
    #[arg(value_name = "SLUG", value_parser = slugs())]
    slug: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The permitted values of an argument that names an adapter.
pub(super) fn slugs() -> PossibleValuesParser {
    PossibleValuesParser::new(ADAPTERS.iter().map(|entry| entry.about.slug))
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let one = args.slug.as_deref().and_then(adapters::find);
    match (one, args.json) {
        (None, false) => say(&list(ADAPTERS))?,
        (None, true) => say_json(&ADAPTERS.iter().map(as_json).collect::<Vec<_>>())?,
        (Some(entry), false) => say(&page(entry))?,
        (Some(entry), true) => say_json(&as_json(entry))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(entries: &[Entry]) -> String {
    let mut table = Table::new(["SLUG", "NAME", "WHAT IT IS"]);
    for Entry { about, .. } in entries {
        table.row([about.slug.to_owned(), about.title.to_owned(), about.summary.to_owned()]);
    }
    let mut text = table.to_string();
    for entry in entries {
        let about = &entry.about;
        let events = about.triggers.iter().map(Trigger::name).collect::<Vec<_>>().join(", ");
        let mut part = |what: &str, words: &str| {
            let _ = write!(text, "{what}\n{}\n", wrapped(words, INDENT, WIDTH));
        };
        let events = match (entry.takes_events(), &entry.inbound) {
            (true, _) => events.as_str(),
            (false, Some(_)) => "none, only requests of the service",
            (false, None) => "none",
        };
        part(&format!("\n{} takes the events:", about.slug), events);
        part("   has the settings:", &settings_of(entry));
        part("   keeps the limits:", entry.limits());
    }
    text.push_str("\n`forgebell adapters SLUG` explains one's settings and shows an example.\n");
    text
}

/// The settings by name: the adapter's own, with required ones marked, and the shared ones. Similar settings for single
/// kinds of event share a line.
fn settings_of(entry: &Entry) -> String {
    let shared = common_fields(&entry.about);
    let is_channel = |name: &str| name.ends_with("_channel");
    let (mut names, mut has_channels) = (Vec::new(), shared.iter().any(|field| is_channel(&field.name)));
    for field in entry.fields {
        match (is_channel(field.name), field.required) {
            (true, _) => has_channels = true,
            (false, true) => names.push(format!("{} (required)", field.name)),
            (false, false) => names.push(field.name.to_owned()),
        }
    }
    names.extend(shared.iter().filter(|field| !is_of_one_kind(field)).map(|field| field.name.to_string()));
    names.extend(has_channels.then(|| "<event>_channel".to_owned()));
    names.push("<event>_events".to_owned());
    names.join(", ")
}

fn page(entry: &Entry) -> String {
    let about = &entry.about;
    let mut text = format!("{}: {}\n{}\n", about.slug, about.title, wrapped(about.summary, "", WIDTH));
    text.push_str("\nSETTINGS OF ITS OWN\n");
    for field in entry.fields {
        own_setting(&mut text, field);
    }
    for (group, heading) in [
        (Group::Channels, "WHERE MESSAGES GO"),
        (Group::Filters, "WHICH EVENTS PASS"),
        (Group::Messages, "WHAT MESSAGES SAY"),
        (Group::Flags, "WHICH KINDS OF EVENT IT GETS, with the defaults"),
    ] {
        let of_group = common_fields(about).into_iter().filter(|field| field.group == group);
        // Settings that exist for each kind of event are alike, and get a line each.
        let (alike, own): (Vec<_>, Vec<_>) = of_group.partition(is_of_one_kind);
        if own.is_empty() && alike.is_empty() {
            continue;
        }
        let _ = write!(text, "\n{heading}\n");
        for field in &own {
            shared_setting(&mut text, field);
        }
        let width = alike.iter().map(|field| field.name.len()).max().unwrap_or_default();
        for field in &alike {
            let what = field.default.unwrap_or(&field.help);
            let _ = writeln!(text, "  {:<width$}  {what}", field.name);
        }
    }
    let _ = write!(text, "\nLIMITS\n{}\n", wrapped(entry.limits(), INDENT, WIDTH));
    if let Some(deliver) = &entry.deliver {
        let _ = write!(text, "\nRETRIES\n{}\n", wrapped(&retries(deliver), INDENT, WIDTH));
    }
    let _ = write!(text, "\nEXAMPLE, for a provisioning file\n\n{}", example(entry));
    text
}

fn own_setting(text: &mut String, field: &Field) {
    let required = if field.required { "required" } else { "optional" };
    let _ = writeln!(text, "  {}  ({}, {required})", field.name, field.kind.name());
    let _ = writeln!(text, "{}", wrapped(field.help, INDENT, WIDTH));
    let _ = writeln!(text, "{INDENT}Example: {}", field.example);
    if field.kind.is_secret() {
        let _ = writeln!(text, "{INDENT}Or, to keep it out of this file: {}_file", field.name);
    }
}

fn shared_setting(text: &mut String, field: &CommonField) {
    let default = field.default.map(|default| format!(", {default} unless set")).unwrap_or_default();
    let _ = writeln!(text, "  {}  ({}{default})", field.name, field.kind.name());
    let _ = writeln!(text, "{}", wrapped(&field.help, INDENT, WIDTH));
}

/// How old an event may be, and whether a message may be sent twice.
fn retries(deliveries: &Deliveries) -> String {
    let repeat = match (deliveries.looks_first, deliveries.about.retry_ambiguous) {
        (true, _) => "What may have been received is looked for first, and sent again where it is not found.",
        (false, true) => "A message that may have been received is sent again rather than lost.",
        (false, false) => "A message that may have been received is not sent again.",
    };
    format!("Events older than {} are not sent. {repeat}", duration(deliveries.about.max_age))
}

/// A block that loads unchanged. The lines that are commented out load too after the `#` is removed.
pub(super) fn example(entry: &Entry) -> String {
    let mut text = String::from("[[integration]]\n");
    for field in COMMON_KEYS.iter().filter(|field| ["project", "adapter"].contains(&field.name)) {
        let value = if field.name == "adapter" { entry.about.slug } else { field.example };
        let _ = writeln!(text, "{} = {}", field.name, literal(field.kind, value));
    }
    let is_enough = entry.read(&required(entry)).is_ok();
    for field in entry.fields {
        let hash = if field.required || !is_enough { "" } else { "# " };
        let _ = writeln!(text, "{hash}{} = {}", field.name, literal(field.kind, field.example));
    }
    for field in common_fields(&entry.about) {
        if field.group == Group::Flags || is_repeated_elsewhere(&field) {
            continue;
        }
        let value = field.default.unwrap_or(&field.example);
        let _ = writeln!(text, "# {} = {}", field.name, literal(field.kind, value));
    }
    let flags = common_fields(&entry.about).into_iter().filter(|field| field.group == Group::Flags);
    for field in flags.filter(|field| !field.name.starts_with("group_")) {
        let _ = writeln!(text, "# {} = {}", field.name, field.default.unwrap_or("true"));
    }
    text
}

/// The examples of the settings that are always required. For some services, further settings are required with them.
fn required(entry: &Entry) -> Properties {
    let required = entry.fields.iter().filter(|field| field.required);
    required.map(|field| (field.name.to_owned(), Value::Text(field.example.to_owned()))).collect()
}

fn is_of_one_kind(field: &CommonField) -> bool {
    field.group == Group::Flags || field.name.ends_with("_channel")
}

/// One channel setting for one kind of event is an example for the others. Deprecated settings need no example.
fn is_repeated_elsewhere(field: &CommonField) -> bool {
    let of_one_kind = is_of_one_kind(field) && field.name != "push_channel";
    of_one_kind || field.help.starts_with("Deprecated")
}

fn literal(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Bool | Kind::Integer => value.to_owned(),
        _ => toml::Value::String(value.to_owned()).to_string(),
    }
}

fn as_json(entry: &Entry) -> Json {
    let about = &entry.about;
    let own = entry.fields.iter().map(|field| {
        json!({
            "name": field.name, "kind": field.kind.name(), "required": field.required,
            "secret": field.kind.is_secret(), "help": field.help, "example": field.example, "default": field.default,
        })
    });
    let shared = common_fields(about).into_iter().map(|field| {
        json!({
            "name": field.name, "kind": field.kind.name(), "help": field.help,
            "example": field.example, "default": field.default,
        })
    });
    let channels = match about.common.channels {
        ChannelSettings::None => 0,
        ChannelSettings::Names { at_most } => at_most,
    };
    let delivery = entry.deliver.as_ref().map(|deliver| deliver.about);
    json!({
        "slug": about.slug,
        "title": about.title,
        "summary": about.summary,
        "triggers": about.triggers.iter().map(Trigger::name).collect::<Vec<_>>(),
        "settings": own.collect::<Vec<_>>(),
        "common_settings": shared.collect::<Vec<_>>(),
        "channels_at_most": channels,
        "limits": entry.limits(),
        "max_age_seconds": delivery.map(|delivery| delivery.max_age.as_secs()),
        "retry_ambiguous": delivery.map(|delivery| delivery.retry_ambiguous),
        "looks_first": entry.deliver.as_ref().map(|deliver| deliver.looks_first),
        "example": example(entry),
    })
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::provision;

    fn load(text: String) -> provision::Provisioned {
        let no_secrets = |_: &Path| Err(std::io::Error::other("there are no files here"));
        let expected = text.clone();
        provision::read(&[(PathBuf::from("example.toml"), text)], &no_secrets)
            .unwrap_or_else(|problems| panic!("{problems:?} in\n{expected}"))
    }

    #[test]
    fn every_example_loads_as_it_stands_and_with_all_of_it() {
        for entry in ADAPTERS {
            let text = example(entry);
            // A block with only a part of the settings may give warnings about missing ones.
            let is_of_missing = |key: &str| text.contains(&format!("# {key} = "));
            let read = load(text.clone());
            let mut warned = read.warnings.iter().filter_map(|warning| warning.key.as_deref());
            assert!(warned.all(is_of_missing), "{:?}", read.warnings);
            assert_eq!(read.integrations[0].configured.slug(), entry.about.slug);
            let read = load(text.replace("# ", ""));
            assert_eq!(read.integrations[0].configured.slug(), entry.about.slug);
            assert!(read.warnings.is_empty(), "{:?}", read.warnings);
        }
    }

    #[test]
    fn a_page_names_every_setting_and_the_limits() {
        for entry in ADAPTERS {
            let page = page(entry);
            let names = entry.fields.iter().map(|field| field.name.to_owned());
            let shared = common_fields(&entry.about).into_iter().map(|field| field.name.into_owned());
            for name in names.chain(shared) {
                assert!(page.contains(&format!("  {name} ")), "{name} of {}", entry.about.slug);
            }
            assert_eq!(page.contains("RETRIES"), entry.can_deliver(), "{page}");
            assert!(page.lines().all(|line| line.chars().count() <= 140), "{page}");
        }
    }

    #[test]
    fn the_list_has_a_line_for_each() {
        let list = list(ADAPTERS);
        for entry in ADAPTERS {
            assert!(list.lines().any(|line| line.starts_with(entry.about.slug)), "{list}");
            assert!(list.contains(entry.about.title));
            let settings = settings_of(entry);
            for field in entry.fields.iter().filter(|field| field.required) {
                assert!(settings.contains(&format!("{} (required)", field.name)), "{settings}");
            }
        }
        let words = list.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in [
            "discord takes the events: push, tag_push, issue,",
            "has the settings: webhook (required), username, channel, branches_to_be_notified,",
            "labels_to_be_notified_behavior, merge_request_actions, detail, max_commits, <event>_channel, <event>_events",
            "has the settings: recipients (required), add_pusher,",
            "keeps the limits: 30 messages a minute per room (bursts of 5)",
        ] {
            assert!(words.contains(expected), "{expected} in {list}");
        }
    }

    #[test]
    fn json_tells_the_same() {
        for entry in ADAPTERS {
            let json = as_json(entry);
            assert_eq!(json["slug"], entry.about.slug);
            assert_eq!(json["settings"].as_array().unwrap().len(), entry.fields.len());
        }
    }
}
