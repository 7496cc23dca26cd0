//! `rekey`: all secrets in the store, sealed anew with the present key.

use std::process::ExitCode;

use serde_json::json;

use super::options::Options;
use super::{audit, say, say_json, state};
use crate::daemon;
use crate::store::seal::Keyring;

#[derive(Debug, clap::Args)]
#[command(after_help = "To change the key:\n  \
    1. make a new one: `openssl rand -base64 32`; secrets.key (or key_file) takes it, and secrets.old_keys the old one\n  \
    2. restart the daemon, every node, so that it can open both\n  \
    3. run `forgebell rekey`; the daemon may go on meanwhile\n  \
    4. take the old one out of secrets.old_keys\n\n\
    The file beside a SQLite store (ending in .key) counts as an old key once another is given.")]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config()?;
    let store = state::open_with(&config.store, Keyring::new(&config.secrets)).await?;
    let note = audit::entry("secrets.rekey", "all integrations".to_owned(), &[], daemon::now());
    let count = store.rekey(note).await?;
    if args.json {
        say_json(&json!({ "integrations": count }))?;
    } else {
        say(&words(count))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn words(count: usize) -> String {
    let what = match count {
        0 => return "no integration in the store has a secret".to_owned(),
        1 => "the secrets of 1 integration are".to_owned(),
        count => format!("the secrets of {count} integrations are"),
    };
    format!("{what} sealed with the present key; no older one is needed any more")
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn it_is_said_how_many_there_were() {
        assert_eq!(words(0), "no integration in the store has a secret");
        assert!(words(1).starts_with("the secrets of 1 integration are sealed"));
        assert!(words(2).starts_with("the secrets of 2 integrations are sealed"));
    }
}
