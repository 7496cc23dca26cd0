//! Opens the store for a command, also while a daemon uses it.

use std::path::Path;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use jiff::Timestamp;

use crate::adapters::ProjectLinks;
use crate::catalog::{CachedCatalog, Catalog as _, Snapshot};
use crate::config::Config as Settings;
use crate::daemon;
use crate::event::{Event, EventId, Undecodable};
use crate::pipeline::holds::HoldSet;
use crate::provision::{self, Provisioned};
use crate::store::postgres::Postgres;
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::store::{Config, Registry, Store};

use super::{complain, wrong_user};

/// The time in which a starting daemon creates its store, even on a busy machine.
const BEING_MADE: Duration = Duration::from_secs(10);
/// After this wait, a command prints what it waits for.
const UNSAID: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Opens an existing store for a command that needs no secret.
pub(super) async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    open_with(config, Keyring::none()).await
}

/// Opens the store, and waits a moment where a starting daemon is still creating it.
pub(super) async fn open_soon(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    let since = Instant::now();
    let mut said = false;
    loop {
        match open(config).await {
            Err(why) if since.elapsed() < BEING_MADE => {
                if !said && since.elapsed() > UNSAID {
                    said = true;
                    complain(&format!("note: waiting a moment for a daemon that is starting: {why:#}"));
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            opened => return opened,
        }
    }
}

/// Opens an existing store with the keys to its secrets.
pub(super) async fn open_with(config: &Config, keys: Keyring) -> anyhow::Result<Arc<dyn Store>> {
    if let Some(url) = &config.url {
        let store = Postgres::open_shared(url, config.ca_file.as_deref(), keys).await;
        return Ok(Arc::new(store.context("cannot open the store")?));
    }
    let path = &config.path;
    if !may_exist(path) {
        Sqlite::expect_no_lost_database(path)?;
        bail!(
            "there is no store at {} yet: the daemon makes it when it starts (is `store.path` the one it uses?)",
            path.display()
        );
    }
    let store = Sqlite::open_shared(path, keys);
    Ok(Arc::new(
        store.with_context(|| {
            format!("cannot open the store {}{}", path.display(), wrong_user::remedy(path))
        })?,
    ))
}

/// Whether there is a store to open, as far as the configuration and the file system show.
pub(super) fn is_there(config: &Config) -> bool {
    config.url.is_some() || may_exist(&config.path)
}

/// Whether a file is there, or in a folder that this user may not look into. Opening it tells which.
pub(super) fn may_exist(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

/// Creates the key of a SQLite store where none is configured and the daemon has not created it yet. If that fails, the
/// error is reported when a secret is encrypted.
pub(super) fn make_key(config: &Settings) {
    let keys = Keyring::new(&config.secrets);
    if config.store.url.is_none() && config.store.path.exists() && !keys.can_seal() {
        drop(Sqlite::open(&config.store.path, keys));
    }
}

/// The catalog of the store alone. Only the store says who holds which token, and what lies where.
pub(super) async fn stored_catalog(config: &Settings) -> anyhow::Result<CachedCatalog> {
    let store = open_with(&config.store, Keyring::new(&config.secrets)).await?;
    CachedCatalog::open(store as Arc<dyn Registry>).await.context("cannot read the integrations")
}

/// The catalog as the daemon has it, from the store and the files.
pub(super) async fn catalog(config: &Settings) -> anyhow::Result<CachedCatalog> {
    let Provisioned { integrations, facts, .. } = provisioned(config)?;
    let catalog = stored_catalog(config).await?;
    // The daemon records the projects that files name; a command only reads.
    catalog.set_files_in_memory(integrations, facts);
    catalog.set_forge(&config.operator.forge.url);
    Ok(catalog)
}

/// The event in a webhook's body, for commands that do not read the store.
pub(super) fn decode(config: &Settings, id: EventId, raw: Bytes) -> Result<Event, Undecodable> {
    let mut snapshot = Snapshot::default();
    snapshot.set_forge(&config.operator.forge.url);
    snapshot.decode(id, daemon::now(), raw)
}

/// The tracker and the wiki of an event's project, as the daemon has them. An error is not fatal, because the message
/// can be shown without them.
pub(super) async fn links(config: &Settings, event: &Event) -> ProjectLinks {
    match view(config, daemon::now()).await {
        Ok((snapshot, _)) => snapshot.links(event),
        Err(error) => {
            complain(&format!(
                "note: the project's tracker and wiki are not known, so nothing leads there: {error:#}"
            ));
            ProjectLinks::default()
        }
    }
}

/// The integrations and the holds, as the daemon has them. Without a store, only the files count. If the store can't be
/// read, the error is reported and only the files count too.
pub(super) async fn view(config: &Settings, now: Timestamp) -> anyhow::Result<(Snapshot, HoldSet)> {
    view_with(provisioned(config)?, config, now).await
}

/// [`view`] for a command that must answer although a file has a mistake: then with the store's integrations alone, and the
/// mistake. The daemon works with the integrations from before the mistake, which no file has any more.
pub(super) async fn view_despite_mistakes(
    config: &Settings,
    now: Timestamp,
) -> anyhow::Result<(Snapshot, HoldSet, Option<String>)> {
    let (provisioned, mistake) = match provisioned(config) {
        Ok(provisioned) => (provisioned, None),
        Err(mistake) => (Provisioned::default(), Some(format!("{mistake:#}"))),
    };
    let (snapshot, holds) = view_with(provisioned, config, now).await?;
    Ok((snapshot, holds, mistake))
}

async fn view_with(
    provisioned: Provisioned,
    config: &Settings,
    now: Timestamp,
) -> anyhow::Result<(Snapshot, HoldSet)> {
    let (mut snapshot, holds) = integrations_and_holds(provisioned, config, now).await?;
    snapshot.set_forge(&config.operator.forge.url);
    Ok((snapshot, holds))
}

async fn integrations_and_holds(
    provisioned: Provisioned,
    config: &Settings,
    now: Timestamp,
) -> anyhow::Result<(Snapshot, HoldSet)> {
    if !is_there(&config.store) {
        return Ok((provisioned.into_snapshot(), HoldSet::default()));
    }
    let known = async {
        let store = open_with(&config.store, Keyring::new(&config.secrets)).await?;
        let holds = store.holds(now).await.context("cannot read the holds")?;
        let catalog =
            CachedCatalog::open(store as Arc<dyn Registry>).await.context("cannot read the integrations")?;
        anyhow::Ok((catalog.read(Snapshot::clone), holds))
    };
    match known.await {
        Ok((mut snapshot, holds)) => {
            let Provisioned { integrations, facts, .. } = provisioned;
            snapshot.set_files(integrations, facts);
            Ok((snapshot, holds.into_iter().collect()))
        }
        Err(error) => {
            complain(&format!(
                "note: only what the files say is known: not what the API set, and not what is muted or switched off: \
                 {error:#}"
            ));
            Ok((provisioned.into_snapshot(), HoldSet::default()))
        }
    }
}

/// The integrations in the files. Their warnings are counted only, and once: `check` shows them.
fn provisioned(config: &Settings) -> anyhow::Result<Provisioned> {
    static COUNTED: Once = Once::new();
    match provision::load(&config.provision, &daemon::url_policy(config)) {
        Ok(provisioned) => {
            match provisioned.warnings.len() {
                0 => {}
                1 => COUNTED.call_once(|| complain("note: `forgebell check` has a warning about the files")),
                more => COUNTED.call_once(|| {
                    complain(&format!("note: `forgebell check` has {more} warnings about the files"));
                }),
            }
            Ok(provisioned)
        }
        Err(problems) => {
            let list: Vec<_> = problems.iter().map(ToString::to_string).collect();
            bail!("the provisioning files are not valid:\n{}", list.join("\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_is_still_being_made_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forgebell.db");
        let store: Config = toml::from_str(&format!(
            "path = {path:?}\nretention_settled = '1h'\nretention_dead_letters = '1h'\nretention_quarantine = '1h'\n\
             quarantine_messages = 9\nquarantine_bytes = 9\n\
             history = true\nevent_log = true\nsweep_every = '1h'"
        ))
        .unwrap();
        let (opened, ()) = tokio::join!(open_soon(&store), async {
            tokio::task::yield_now().await;
            drop(Sqlite::open(&store.path, Keyring::none()).unwrap());
        });
        assert!(opened.is_ok(), "{:#}", opened.err().unwrap());
    }
}
