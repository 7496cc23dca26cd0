//! `rekey`: encrypts all secrets in the store again, with the current key.

use std::process::ExitCode;

use serde_json::json;

use super::options::Options;
use super::{command_audit, say, say_json, state, token};
use crate::daemon;
use crate::store::registry::StoredIntegration;
use crate::store::seal::Keyring;

#[derive(Debug, clap::Args)]
#[command(after_help = "To change the key:\n  \
    1. make a new one: `openssl rand -base64 32`; secrets.key (or key_file) takes it, and secrets.old_keys the old one\n  \
    2. restart the daemon, every node, so that it can open both\n  \
    3. run `forgebell rekey`; the daemon may go on meanwhile\n  \
    4. take the old one out of secrets.old_keys\n\n\
    Where a key is lost for good, --give-up takes the secrets out of the store that it sealed, and switches their\n\
    integrations off; their other settings stay. Set the secrets again (PUT) to switch them on.\n\n\
    The file beside a SQLite store (ending in .key) counts as an old key once another is given.")]
pub(super) struct Args {
    /// Remove secrets that no key decrypts, and switch their integrations off
    #[arg(long)]
    give_up: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config_for(&["store", "secrets"])?;
    let store = state::open_with(&config.store, Keyring::new(&config.secrets)).await?;
    let note =
        |action| command_audit::entry(action, "all integrations".to_owned(), &["secrets"], daemon::now());
    let given_up =
        if args.give_up { store.drop_undecryptable(note("secrets.give_up")).await? } else { Vec::new() };
    // If the only key is lost, there may be no secret left that needs a key.
    let kept = |row: &StoredIntegration| !row.configuration.secrets.is_empty();
    let nothing_left = args.give_up && !store.changes(0).await?.integrations.iter().any(kept);
    let count = if nothing_left { 0 } else { store.rekey(note("secrets.rekey")).await? };
    let mut lost = Vec::new();
    for (owner, slug) in given_up {
        lost.push(format!("{slug} of {}", token::place(&*store, owner).await?));
    }
    if args.json {
        say_json(&json!({ "integrations": count, "given_up": lost }))?;
    } else {
        lost.iter().try_for_each(|name| {
            say(&format!("{name} is switched off, without its secrets: set them again"))
        })?;
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
