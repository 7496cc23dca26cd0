//! The store as a person's command sees it: opened beside the daemon that may be running on it.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::store::sqlite::Sqlite;

/// Opens the store, which must be there.
pub(super) fn open(path: &Path) -> anyhow::Result<Sqlite> {
    if !path.exists() {
        bail!(
            "there is no store at {} yet: the daemon makes it when it starts (is `store.path` the one it uses?)",
            path.display()
        );
    }
    Sqlite::open_shared(path).with_context(|| format!("cannot open the store {}", path.display()))
}

/// Opens the store if there is one.
pub(super) fn open_if_there(path: &Path) -> anyhow::Result<Option<Sqlite>> {
    if path.exists() { open(path).map(Some) } else { Ok(None) }
}
