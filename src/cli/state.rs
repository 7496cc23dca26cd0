//! The store as a person's command sees it: opened beside the daemon that may be running on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use crate::catalog::{CachedCatalog, Snapshot};
use crate::config::Config as Settings;
use crate::pipeline::Switches;
use crate::provision::{self, Provisioned};
use crate::store::postgres::Postgres;
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::store::{Config, Registry, Store};

use super::complain;

/// A daemon that starts has created its store within this time, even on a busy machine.
const BEING_MADE: Duration = Duration::from_secs(10);
/// After this time, a message says what the command waits for.
const UNSAID: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Opens the store, which must exist, for commands that use no secrets.
pub(super) async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    open_with(config, Keyring::none()).await
}

/// Opens the store for commands that are typed directly after the daemon's first start: waits a moment for a store that
/// is still being created.
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

/// Opens the store, which must exist, with the keys to its secrets.
pub(super) async fn open_with(config: &Config, keys: Keyring) -> anyhow::Result<Arc<dyn Store>> {
    if let Some(url) = &config.url {
        let store = Postgres::open_shared(url, config.ca_file.as_deref(), keys).await;
        return Ok(Arc::new(store.context("cannot open the store")?));
    }
    let path = &config.path;
    if !path.exists() {
        bail!(
            "there is no store at {} yet: the daemon makes it when it starts (is `store.path` the one it uses?)",
            path.display()
        );
    }
    let store = Sqlite::open_shared(path, keys);
    Ok(Arc::new(store.with_context(|| format!("cannot open the store {}", path.display()))?))
}

/// Whether a store exists, as far as this can be seen without opening it.
pub(super) fn is_there(config: &Config) -> bool {
    config.url.is_some() || config.path.exists()
}

/// Where no key is configured, a store in a file has one of its own, which the daemon makes as it starts. Before it ever
/// did, it is made here. Where this can't be done, encrypting a secret fails with the reason.
pub(super) fn make_key(config: &Settings) {
    let keys = Keyring::new(&config.secrets);
    if config.store.url.is_none() && config.store.path.exists() && !keys.can_seal() {
        drop(Sqlite::open(&config.store.path, keys));
    }
}

/// The catalogue as the daemon has it, from the store and the files. Warnings about the files are printed to standard
/// error.
pub(super) async fn catalog(config: &Settings) -> anyhow::Result<CachedCatalog> {
    let Provisioned { integrations, facts, .. } = provisioned(config)?;
    let store = open_with(&config.store, Keyring::new(&config.secrets)).await?;
    let catalog =
        CachedCatalog::open(store as Arc<dyn Registry>).await.context("cannot read the integrations")?;
    // The projects that files name are the daemon's to note: a person's command only looks.
    catalog.set_files_in_memory(integrations, facts);
    Ok(catalog)
}

/// The configured integrations, and which addresses are switched off, as the daemon has them. Without a store, only the
/// files count. The same holds if the store can't be read, which is reported.
pub(super) async fn view(config: &Settings, now: Timestamp) -> anyhow::Result<(Snapshot, Switches)> {
    let provisioned = provisioned(config)?;
    let switches = Switches::default();
    if !is_there(&config.store) {
        return Ok((provisioned.into_snapshot(), switches));
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
            switches.restore(&holds);
            Ok((snapshot, switches))
        }
        Err(error) => {
            complain(&format!(
                "note: only what the files say is known: not what the API set, and not what is muted or switched off: \
                 {error:#}"
            ));
            Ok((provisioned.into_snapshot(), switches))
        }
    }
}

/// The integrations in the files only.
pub(super) fn provisioned(config: &Settings) -> anyhow::Result<Provisioned> {
    match provision::load(&config.provision, &|url| config.wire.blocks(url)) {
        Ok(provisioned) => {
            provisioned.warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
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
             sweep_every = '1h'"
        ))
        .unwrap();
        let (opened, ()) = tokio::join!(open_soon(&store), async {
            tokio::task::yield_now().await;
            drop(Sqlite::open(&store.path, Keyring::none()).unwrap());
        });
        assert!(opened.is_ok(), "{:#}", opened.err().unwrap());
    }
}
