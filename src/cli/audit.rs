//! `audit`: who changed what, and when.

use std::process::ExitCode;

use jiff::Timestamp;

use super::options::Options;
use super::table::{Table, age, cut};
use super::{say, say_json, state};
use crate::api::resources::AuditEvent;
use crate::daemon;
use crate::store::registry::{AuditEntry, AuditLine};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List changes, newest first: who made them, and to what. The log has the names of settings, not their values
    List(ListArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell audit list --limit 10\n  \
    forgebell audit list --json | jq -r '.[] | select(.action == \"token.create\") | .who'")]
pub(super) struct ListArgs {
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
    let store = state::open(&options.config_for(&["store"])?.store).await?;
    let lines = store.audit_log(args.before, args.limit).await?;
    if args.json {
        say_json(&lines.iter().map(AuditEvent::from).collect::<Vec<_>>())?;
    } else {
        say(&table(&lines, daemon::now()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The actor of a command's changes.
pub(super) const COMMAND_LINE: &str = "command line";

/// The audit entry of a command.
pub(super) fn entry(action: &'static str, object: String, fields: &[&str], now: Timestamp) -> AuditEntry {
    let fields = fields.iter().map(ToString::to_string).collect();
    AuditEntry { at: now, who: COMMAND_LINE.to_owned(), action, object, fields }
}

fn table(lines: &[AuditLine], now: Timestamp) -> String {
    if lines.is_empty() {
        return "nothing was changed yet".to_owned();
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
        assert_eq!(table(&[], now), "nothing was changed yet");
        let json = serde_json::to_value(AuditEvent::from(&line)).unwrap();
        assert_eq!((&json["id"], &json["fields"]), (&3.into(), &vec!["webhook", "channel"].into()));
    }
}
