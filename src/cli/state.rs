//! The store as a person's command sees it: opened beside the daemon that may be running on it.

use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::catalog::Live;
use crate::config::Config as Settings;
use crate::provision::{self, Provisioned};
use crate::store::postgres::Postgres;
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::store::{Config, Registry, Store};

use super::complain;

/// Opens the store, which must be there, for what touches no secret.
pub(super) async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    open_with(config, Keyring::none()).await
}

/// Opens the store, which must be there, with the keys to its secrets.
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

/// Opens the store if there is one.
pub(super) async fn open_if_there(config: &Config) -> anyhow::Result<Option<Arc<dyn Store>>> {
    if config.url.is_some() || config.path.exists() { open(config).await.map(Some) } else { Ok(None) }
}

/// The catalogue as the daemon has it: what the store knows, and what the files say. What is odd about the files goes to
/// standard error.
pub(super) async fn catalog(config: &Settings) -> anyhow::Result<Live> {
    let Provisioned { integrations, facts, .. } = provisioned(config)?;
    let store = open_with(&config.store, Keyring::new(&config.secrets)).await?;
    let catalog = Live::open(store as Arc<dyn Registry>).await.context("cannot read the integrations")?;
    // The projects that files name are the daemon's to note: a person's command only looks.
    catalog.look_at_files(integrations, facts);
    Ok(catalog)
}

/// The integrations of the files alone.
pub(super) fn provisioned(config: &Settings) -> anyhow::Result<Provisioned> {
    match provision::load(&config.provision) {
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
