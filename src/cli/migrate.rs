//! `migrate`: updates the store's schema without the daemon.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::options::Options;
use super::{say, say_json, wrong_user};
use crate::store::Config;
use crate::store::postgres::Postgres;
use crate::store::sqlite::Sqlite;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The daemon does the same when it starts. Do it beforehand where that should be quick, or where only \
    this command may change the tables. A SQLite store that is in use by a daemon is left alone.\n\n\
    For example:\n  \
    forgebell migrate && systemctl restart forgebell"
)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config_for(&["store"])?.store;
    let (from, to) = migrate(&config).await?;
    if args.json {
        say_json(&json!({ "from": from, "to": to }))?;
    } else {
        say(&words(&name(&config), from, to))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate(config: &Config) -> anyhow::Result<(i64, i64)> {
    let migrated = match &config.url {
        Some(url) => Postgres::migrate(url, config.ca_file.as_deref()).await,
        None => Sqlite::migrate(&config.path),
    };
    let remedy = if config.url.is_some() { "" } else { wrong_user::remedy(&config.path) };
    migrated.with_context(|| format!("cannot bring the store up to date{remedy}"))
}

fn name(config: &Config) -> String {
    if config.url.is_some() { "the database".to_owned() } else { config.path.display().to_string() }
}

fn words(store: &str, from: i64, to: i64) -> String {
    match from {
        0 => format!("{store} is made, at schema version {to}"),
        from if from == to => format!("{store} is up to date: schema version {to}"),
        from => format!("{store} is brought from schema version {from} to {to}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_was_done() {
        assert_eq!(words("x.db", 1, 2), "x.db is brought from schema version 1 to 2");
        assert_eq!(words("x.db", 2, 2), "x.db is up to date: schema version 2");
        assert_eq!(words("x.db", 0, 2), "x.db is made, at schema version 2");
    }
}
