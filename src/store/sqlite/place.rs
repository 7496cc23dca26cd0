//! The store's place: its file without symbolic links, with the lock and the key beside it. Checks whether these are
//! still the opened files.
//!
//! The files are checked by their paths and never opened here. SQLite's locks belong to the process: closing any other
//! handle of the database ends them (<https://www.sqlite.org/howtocorrupt.html>, 2.2).

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::store::{Result, StoreError};

/// Symbolic links that may follow one another, as in Linux.
const LINKS_MAX: usize = 40;

/// Below this much free space, the store is not ready: the log of a busy store grows by as much within seconds.
const FREE_MIN: u64 = 8 << 20;

/// Identifies a file, whatever its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(file: &Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino() }
    }

    /// The file at this path; `None` where there is none.
    pub(super) fn at(path: &Path) -> std::io::Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(file) => Ok(Some(Self::of(&file))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A file beside the database: `.lock`, `.key`.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Gives a new file to the owner of its folder. Commands may be run by root, and the daemon must be able to open what they
/// make.
pub(super) fn belong_to_the_folder(file: &Path) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(owner) = std::fs::metadata(folder.unwrap_or(Path::new("."))) {
        // Only root may do that. Another user's files are the user's own.
        let _ = std::os::unix::fs::chown(file, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Syncs the folder of this file, so that the names in it are on the disk.
pub(super) fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// The path of a file without symbolic links. The file may be missing, but the folder must exist.
pub(super) fn resolved(path: &Path) -> Result<PathBuf> {
    let failed = |error| StoreError::Unavailable(format!("failed to find {}: {error}", path.display()));
    let mut place = path.to_owned();
    for _ in 0..LINKS_MAX {
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        let Some(name) = place.file_name() else { break };
        let file = folder.join(name);
        match std::fs::read_link(&file) {
            Ok(target) => place = folder.join(target),
            // The path is not a link, or does not exist.
            Err(_) => return Ok(file),
        }
    }
    Err(StoreError::Unavailable(format!("{} is no file, or a circle of links", path.display())))
}

/// The opened files.
#[derive(Debug)]
pub(super) struct Place {
    database: PathBuf,
    file: FileId,
    lock: Option<FileId>,
    /// The key beside the database, where the store uses it.
    key: Option<PathBuf>,
}

impl Place {
    /// The place of an open database, given by its resolved path.
    pub(super) fn new(database: &Path, lock: Option<FileId>, key: Option<PathBuf>) -> Result<Self> {
        let file = FileId::at(database).ok().flatten();
        let file =
            file.ok_or_else(|| StoreError::Unavailable(format!("{} is missing", database.display())))?;
        Ok(Self { database: database.to_owned(), file, lock, key })
    }

    /// Whether the database is still the file that was opened.
    ///
    /// # Errors
    /// The database was deleted or replaced, so writes would be lost.
    pub(super) fn check_file(&self) -> Result<()> {
        let what = match FileId::at(&self.database) {
            Ok(Some(found)) if found == self.file => return Ok(()),
            Ok(Some(_)) => "replaced by another file",
            Ok(None) => "deleted or moved",
            Err(error) => {
                let path = self.database.display();
                return Err(StoreError::Unavailable(format!("{path} can't be looked at: {error}")));
            }
        };
        Err(StoreError::Broken(format!(
            "{} was {what} while this daemon works with it, so nothing is stored: stop the daemon, put the right file back \
             (with its -wal file, if it has one), and start again",
            self.database.display()
        )))
    }

    /// Checks whether the files are still those that were opened, and whether there is disk space.
    ///
    /// # Errors
    /// The problem, and what to do.
    pub(super) fn check(&self) -> Result<()> {
        self.check_file()?;
        let lock = beside(&self.database, ".lock");
        if self.lock.is_some() && FileId::at(&lock).ok().flatten() != self.lock {
            return Err(StoreError::Broken(format!(
                "{} was deleted or replaced, so it keeps no other daemon from this store: restart this daemon",
                lock.display()
            )));
        }
        if let Some(key) = self.key.as_ref().filter(|key| !key.exists()) {
            return Err(StoreError::Broken(format!(
                "the key {} is missing, and this daemon can't start without it: put it back from a copy before the daemon stops",
                key.display()
            )));
        }
        self.check_space()
    }

    fn check_space(&self) -> Result<()> {
        let folder = self.database.parent().unwrap_or(Path::new("/"));
        // If the system does not report the free space, a failing write will show the problem.
        let Ok(space) = rustix::fs::statvfs(folder) else { return Ok(()) };
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free >= FREE_MIN {
            return Ok(());
        }
        let (folder, free) = (folder.display(), free >> 10);
        Err(StoreError::Unavailable(format!(
            "the disk is full: {folder} has {free} KiB left; free some space there"
        )))
    }
}

/// # Errors
/// There is a key without its database, so the database was lost. A new, empty store would hide the loss.
pub(super) fn expect_no_lost_database(database: &Path, key: &Path) -> Result<()> {
    let is_lost = std::fs::metadata(database).map_or(true, |file| file.len() == 0) && key.exists();
    if !is_lost {
        return Ok(());
    }
    Err(StoreError::Broken(format!(
        "{} is missing or empty, and its key {} is there: restore a backup (`forgebell restore FILE`), or remove the key to begin with \
         an empty store",
        database.display(),
        key.display()
    )))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_the_file_also_where_it_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        symlink("real", root.join("linked")).unwrap();
        symlink("../real/store.db", root.join("real/alias.db")).unwrap();
        let expected = root.join("real/store.db");
        for path in ["real/store.db", "linked/store.db", "real/alias.db", "linked/alias.db"] {
            assert_eq!(resolved(&root.join(path)).unwrap(), expected, "{path}");
        }
        std::fs::write(&expected, "").unwrap();
        assert_eq!(resolved(&root.join("linked/alias.db")).unwrap(), expected);
    }

    #[test]
    fn a_circle_of_links_and_a_missing_folder_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        symlink("two", folder.path().join("one")).unwrap();
        symlink("one", folder.path().join("two")).unwrap();
        assert!(resolved(&folder.path().join("one")).is_err());
        assert!(resolved(&folder.path().join("missing/store.db")).is_err());
    }
}
