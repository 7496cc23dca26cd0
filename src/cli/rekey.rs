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
    1. Make a new key with `openssl rand -base64 32`. Set it as secrets.key (or secrets.key_file), and add the old key \
    to secrets.old_keys.\n  \
    2. Restart the daemon, so that it can decrypt with both keys. If several nodes share the store, first add the new \
    key to secrets.old_keys on every node, and restart them.\n  \
    3. Run `forgebell rekey`. The daemon may continue to work.\n  \
    4. Remove the old key from secrets.old_keys.\n\n\
    If a key is lost for good, `forgebell rekey --give-up` removes from the store the secrets that no key decrypts, \
    and switches their integrations off. Their other settings stay. To switch an integration on again, set its secrets \
    again: through the API, on the page, or with `forgebell apply`.\n\n\
    The key file beside a SQLite store (its name ends in .key) counts as an old key when secrets.key is set.")]
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
            say(&format!(
                "{name}: its secrets are removed and it is switched off; set its secrets again to switch it on"
            ))
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
