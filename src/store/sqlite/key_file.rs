//! The store's own key: a file beside the database, made where no other key is given.
//!
//! It protects copies of the database that leave the machine without it, as backups. A key in `secrets.key_file` replaces it.
//! Secrets that were sealed with the store's own key can be decrypted while its file exists.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::place::{belong_to_the_folder, beside, sync_folder};
use crate::store::seal::{Keyring, SealingKey};
use crate::store::{Result, StoreError};

const SUFFIX: &str = ".key";

/// The file of the key, which may be missing.
pub(super) fn beside_database(database: &Path) -> PathBuf {
    beside(database, SUFFIX)
}

/// The keys for a daemon's store whose sealed rows have these marks. If there is no key to seal with, one is made.
///
/// # Errors
/// A key of the rows is missing.
pub(super) fn complete(keys: Keyring, database: &Path, marks: &[Vec<u8>]) -> Result<Keyring> {
    let path = beside_database(database);
    let keys = match read(&path)? {
        Some(own) => keys.at(&path).with_own(own),
        None => keys.at(&path),
    };
    // This comes before a key is made: a new key in place of a lost one would hide the loss.
    keys.expect_all(marks)?;
    if keys.can_seal() {
        return Ok(keys);
    }
    let own = SealingKey::make()?;
    write(&path, &own).map_err(|error| failed("write", &path, &error))?;
    Ok(keys.with_own(own))
}

/// The keys for a command beside the daemon. None is made.
pub(super) fn find(keys: Keyring, database: &Path) -> Keyring {
    let path = beside_database(database);
    match read(&path) {
        Ok(Some(own)) => keys.at(&path).with_own(own),
        // Most commands need no key. One that does reports the missing key.
        Ok(None) | Err(_) => keys.at(&path),
    }
}

fn read(path: &Path) -> Result<Option<SealingKey>> {
    match std::fs::read_to_string(path) {
        Ok(text) => SealingKey::read(&text).map(Some).ok_or_else(|| {
            StoreError::Broken(format!("{} holds no key: restore the right file from a copy", path.display()))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}

/// The file is written completely or not at all, and is on the disk before anything is sealed with the key.
fn write(path: &Path, key: &SealingKey) -> std::io::Result<()> {
    let draft = beside(path, ".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    writeln!(file, "{}", key.text().expose())?;
    file.sync_all()?;
    belong_to_the_folder(&draft);
    std::fs::rename(&draft, path)?;
    sync_folder(path)
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("failed to {what} the key {}: {error}", path.display()))
}
