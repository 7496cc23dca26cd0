//! The store as a person's command sees it: opened beside the daemon that may be running on it.

use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::store::postgres::Postgres;
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::store::{Config, Store};

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
