//! `backup` and `restore`: a copy of the store in one file, and a store out of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::ValueHint;
use serde_json::json;

use super::options::Options;
use super::{complain, say, say_json, state, wrong_user};
use crate::daemon;
use crate::store::Config;
use crate::store::seal::Keyring;
use crate::store::sqlite::{Backup, CopyOrigin, Progress, Restored, Sqlite, Stage};

/// How often the progress of long work is reported.
const SAID_EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The daemon goes on meanwhile. The file holds the store of one moment; it is checked and on the disk when the \
    command ends, and only its user can read it. The key of the store's secrets is not in it: keep a copy of the key elsewhere.\n\n\
    For example, every night:\n  \
    forgebell backup /var/backups/forgebell-$(date +%F).db"
)]
pub(super) struct Args {
    /// The new file; an existing one is not overwritten
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Stop the daemon first. The former store is kept beside the new one, under another name.\n\n\
    What waited when the backup was made is sent again, also where it was sent since. An event that a sender repeats is known \
    only if it came before the backup.\n\n\
    For example:\n  \
    systemctl stop forgebell\n  \
    forgebell restore /var/backups/forgebell-2026-11-30.db\n  \
    systemctl start forgebell"
)]
pub(super) struct RestoreArgs {
    /// A file that `forgebell backup` made, or a copy of a store with its log (`-wal`) beside it
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// The file is a plain copy, made while no daemon used the store, so that there is no log
    #[arg(long)]
    stopped: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn backup(args: &Args, options: &Options) -> anyhow::Result<ExitCode> {
    let store = options.config_for(&["store"])?.store;
    let path = file_of(&store, "pg_dump --schema=forgebell --format=custom --file=FILE DATABASE")?;
    if !state::may_exist(path) {
        bail!("there is no store at {}: is `store.path` the one that the daemon uses?", path.display());
    }
    let made = Sqlite::backup(path, &args.file, said_sometimes()).await;
    let made = made
        .with_context(|| format!("there is no backup of {}{}", path.display(), wrong_user::remedy(path)))?;
    if args.json {
        say_json(
            &json!({ "file": args.file, "bytes": made.bytes, "schema_version": made.version, "key": made.key }),
        )?;
    } else {
        say(&backup_words(&args.file, &made))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn restore(args: &RestoreArgs, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config_for(&["store", "secrets"])?;
    let path = file_of(&config.store, "pg_restore --clean --dbname=DATABASE FILE")?;
    let origin = if args.stopped { CopyOrigin::Stopped } else { CopyOrigin::Backup };
    let keys = Keyring::new(&config.secrets);
    let restored = Sqlite::restore(&args.file, origin, path, keys, daemon::now(), said_sometimes()).await;
    let restored = restored
        .with_context(|| format!("{} is not restored{}", path.display(), wrong_user::remedy(path)))?;
    if args.json {
        say_json(&json!({
            "store": path,
            "schema_version": restored.version,
            "waiting": restored.waiting,
            "former_store": restored.aside,
            "missing_key": restored.missing_key,
        }))?;
    } else {
        say(&restored_words(path, &restored))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The store's file.
///
/// # Errors
/// The store is a database server, which has its own tools.
fn file_of<'a>(store: &'a Config, instead: &str) -> anyhow::Result<&'a Path> {
    if store.url.is_some() {
        bail!("the store is in PostgreSQL, which has its own tools for this: {instead}");
    }
    Ok(&store.path)
}

/// Reports the progress of long work on standard error.
fn said_sometimes() -> impl FnMut(Progress) + Send + 'static {
    let mut last = Instant::now();
    move |progress| {
        if last.elapsed() >= SAID_EVERY {
            last = Instant::now();
            complain(&progress_words(progress));
        }
    }
}

fn progress_words(progress: Progress) -> String {
    match progress.stage {
        Stage::Copying => {
            let percent = (progress.done * 100).checked_div(progress.total).unwrap_or(100);
            format!("copied {} of {} ({percent} %)", size(progress.done), size(progress.total))
        }
        Stage::Verifying => "checking the copy".to_owned(),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes >> 20),
    }
}

fn backup_words(file: &Path, made: &Backup) -> String {
    let Backup { bytes, version, key } = made;
    let key = match key {
        Some(key) => {
            format!("the key of its secrets is not in it: keep a copy of {} in another place", key.display())
        }
        None => "where a key is set (secrets.key_file), keep a copy of it in another place".to_owned(),
    };
    format!("{} holds the store: {}, schema version {version}, checked\n{key}", file.display(), size(*bytes))
}

fn restored_words(path: &Path, restored: &Restored) -> String {
    let Restored { version, waiting, aside, missing_key } = restored;
    let mut words = format!("{} is restored, at schema version {version}", path.display());
    match waiting {
        Some(waiting) => _ = write!(words, ", with {waiting} waiting deliveries"),
        None => words.push_str(": the daemon brings it up to date when it starts"),
    }
    if let Some(aside) = aside {
        let _ = write!(words, "\nthe former store is kept as {}", aside.display());
    }
    if let Some(why) = missing_key {
        let _ = write!(words, "\nbefore the daemon can start: {why}");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_said_in_sizes_that_people_read() {
        let copying = |done, total| progress_words(Progress { stage: Stage::Copying, done, total });
        assert_eq!(copying(1000, 4000), "copied 1 KiB of 4 KiB (25 %)");
        assert_eq!(copying(3 << 20, 12 << 20), "copied 3 MiB of 12 MiB (25 %)");
        assert_eq!(copying(0, 0), "copied 0 KiB of 0 KiB (100 %)");
    }

    #[test]
    fn what_is_left_to_do_after_a_restore_is_said() {
        let restored = Restored {
            version: 3,
            waiting: None,
            aside: Some("/x/forgebell.db.before-1".into()),
            missing_key: Some("restore the missing file /x/forgebell.db.key".to_owned()),
        };
        assert_eq!(
            restored_words(Path::new("/x/forgebell.db"), &restored),
            "/x/forgebell.db is restored, at schema version 3: the daemon brings it up to date when it starts\n\
             the former store is kept as /x/forgebell.db.before-1\n\
             before the daemon can start: restore the missing file /x/forgebell.db.key"
        );
    }
}
