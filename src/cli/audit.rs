//! `audit`: who changed what, and when.

use std::process::ExitCode;

use jiff::Timestamp;

use super::deliveries::{known_integration, past_moment};
use super::integrations::{Name, name};
use super::options::Options;
use super::table::{Table, age, cut};
use super::{say, say_json, state};
use crate::api::resources::AuditEvent;
use crate::catalog::{self, ResolvedScope, Snapshot};
use crate::daemon;
use crate::integration::Scope;
use crate::store::Store;
use crate::store::registry::AuditLine;

/// Lines that are read at once.
const PAGE: usize = 500;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List changes, newest first: who made them, and to what. The log has the names of settings, not their values
    List(ListArgs),
}

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell audit list --integration acme/rocket:slack --since 2026-11-24\n  \
    forgebell audit list --json | jq -r '.[] | select(.action == \"token.create\") | .who'")]
pub(super) struct ListArgs {
    /// Only changes of this integration (`acme/rocket:slack`): its settings, tests, mutes
    #[arg(long, value_name = "ID", value_parser = name)]
    integration: Option<Name>,
    /// Only changes since then: `14:03`, `2026-11-24`, `2026-11-30 14:03` (in this machine's time zone), or `2h` ago
    #[arg(long, value_name = "TIME", value_parser = past_moment)]
    since: Option<Timestamp>,
    /// Only those with ids below this one: the next page
    #[arg(long, value_name = "NUMBER")]
    before: Option<i64>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Command, options: &Options) -> anyhow::Result<ExitCode> {
    let Command::List(args) = command;
    // The names of integrations are in the files too.
    let config = if args.integration.is_some() {
        options.config_for(&["store", "secrets"])?
    } else {
        options.config_for(&["store"])?
    };
    let store = state::open(&config.store).await?;
    let lines = match &args.integration {
        Some(name) => {
            let (snapshot, _) = state::view(&config, daemon::now()).await?;
            of_integration(&*store, &args, name, &snapshot).await?
        }
        None => changes(&*store, &args, |_| true).await?,
    };
    if args.json {
        say_json(&lines.iter().map(AuditEvent::from).collect::<Vec<_>>())?;
    } else {
        say(&table(&lines, daemon::now()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The changes of one integration. An unknown name is an error, so that a misspelt one does not look like an
/// integration that was never changed. The name of a removed integration is still in the log.
async fn of_integration(
    store: &dyn Store,
    args: &ListArgs,
    name: &Name,
    snapshot: &Snapshot,
) -> anyhow::Result<Vec<AuditLine>> {
    let objects = objects(name, snapshot);
    let is_its = |line: &AuditLine| objects.iter().any(|object| is_of(line, object));
    let lines = changes(store, args, is_its).await?;
    if lines.is_empty() {
        let ever = ListArgs { since: None, before: None, limit: 1, ..args.clone() };
        if changes(store, &ever, is_its).await?.is_empty() {
            known_integration(snapshot, &catalog::integration_id(&name.scope, name.entry.about.slug))?;
        }
    }
    Ok(lines)
}

/// Whether a line is of this object, or of a part of it.
fn is_of(line: &AuditLine, object: &str) -> bool {
    let line = line.object.to_lowercase();
    line.strip_prefix(&object.to_lowercase()).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// The changes that pass the filter, newest first. Reads as many pages of the log as needed.
async fn changes(
    store: &dyn Store,
    args: &ListArgs,
    is_wanted: impl Fn(&AuditLine) -> bool,
) -> anyhow::Result<Vec<AuditLine>> {
    let (mut found, mut before) = (Vec::new(), args.before);
    while found.len() < args.limit {
        let page = store.audit_log(before, PAGE).await?;
        let is_last = page.len() < PAGE;
        before = page.last().map(|line| line.id);
        let is_old = |line: &AuditLine| args.since.is_some_and(|since| line.at < since);
        let ends = page.last().is_none_or(is_old);
        found.extend(page.into_iter().filter(|line| !is_old(line) && is_wanted(line)));
        if is_last || ends {
            break;
        }
    }
    found.truncate(args.limit);
    Ok(found)
}

/// All names of an integration in the log: with its scope's number and with its path, in the API's form and in that of
/// commands.
fn objects(name: &Name, snapshot: &Snapshot) -> Vec<String> {
    let slug = name.entry.about.slug;
    let scopes = match name.resolved(snapshot) {
        ResolvedScope::Instance => vec![Scope::Instance],
        ResolvedScope::Group { path, .. } => vec![Scope::Group(path)],
        ResolvedScope::Project { id, path } => {
            id.map(Scope::ProjectId).into_iter().chain(path.map(Scope::ProjectPath)).collect()
        }
    };
    let names = |scope: &Scope| [format!("{scope} {slug}"), catalog::integration_id(scope, slug).to_string()];
    scopes.iter().flat_map(names).collect()
}

fn table(lines: &[AuditLine], now: Timestamp) -> String {
    if lines.is_empty() {
        return "no changes".to_owned();
    }
    let mut table = Table::new(["NUMBER", "WHEN", "WHO", "DID", "TO", "FIELDS"]);
    for line in lines {
        table.row([
            line.id.to_string(),
            age(line.at, now),
            cut(&line.who, 40),
            line.action.clone(),
            cut(&line.object, 60),
            cut(&line.fields.join(", "), 60),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_did_what_to_what_and_when() {
        let at = Timestamp::from_second(1_770_000_000).unwrap();
        let line = AuditLine {
            id: 3,
            at,
            who: "token ci (1)\u{1b}[2J".to_owned(),
            action: "integration.update".to_owned(),
            object: "project 42 slack".to_owned(),
            fields: vec!["webhook".to_owned(), "channel".to_owned()],
        };
        let now = Timestamp::from_second(1_770_000_060).unwrap();
        let shown = table(std::slice::from_ref(&line), now);
        let expected = "60 s ago  token ci (1)[2J  integration.update  project 42 slack  webhook, channel";
        assert!(shown.contains(expected), "{shown}");
        assert_eq!(table(&[], now), "no changes");
        let json = serde_json::to_value(AuditEvent::from(&line)).unwrap();
        assert_eq!((&json["id"], &json["fields"]), (&3.into(), &vec!["webhook", "channel"].into()));
    }
}
