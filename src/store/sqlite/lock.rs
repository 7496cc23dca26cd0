//! The lock beside the database. It excludes other daemons, and shows whether the write-ahead log must exist.
//!
//! A daemon marks the lock when it has opened the store, and clears the mark when everything is in the database's own file. A
//! marked lock without a log (`-wal`) means that the log was lost after a crash: SQLite itself would open such a file
//! without an error, and the last commits would be missing.
//!
//! The log is removed only where the mark is cleared. A command beside a daemon, or after a daemon's crash, does not
//! remove it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::place::{FileId, belong_to_the_folder, beside, sync_folder};
use super::schema::private;
use crate::store::{Result, StoreError};

/// How often the lock is tried, and the pause in between. A command that makes the key or migrates the store holds the lock
/// for a moment, which must not keep a daemon from starting.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

/// How long a daemon waits at its end for readers such as a backup. If they take longer, the log file just stays.
const READERS_TIMEOUT: Duration = Duration::from_millis(500);

/// What a marked lock contains. People may read it too.
const MARK: &[u8] = b"open\n";

/// Keeps other daemons from the same file until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    database: PathBuf,
}

impl Lock {
    pub(super) fn take(database: &Path) -> Result<Self> {
        let path = beside(database, ".lock");
        let failed = |error| StoreError::Unavailable(format!("failed to lock {}: {error}", path.display()));
        let mut file = open(&path).map_err(failed)?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                // The lock on a file that was deleted or replaced meanwhile excludes no other process.
                Ok(()) if FileId::at(&path).map_err(failed)? == Some(id(&file).map_err(failed)?) => {
                    return Ok(Self { file, database: database.to_owned() });
                }
                Ok(()) => file = open(&path).map_err(failed)?,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            }
        }
        Err(StoreError::Unavailable(format!(
            "another forgebell works with {}: stop it, or give this one another file (`store.path`)",
            database.display()
        )))
    }

    /// Identifies the locked file.
    pub(super) fn file(&self) -> Result<FileId> {
        id(&self.file)
            .map_err(|error| StoreError::Unavailable(format!("failed to look at the lock: {error}")))
    }

    /// # Errors
    /// The log of a store that was not closed is missing.
    pub(super) fn expect_log(&self) -> Result<()> {
        let log = beside(&self.database, "-wal");
        if !self.is_marked() || log.exists() {
            return Ok(());
        }
        let (database, log, lock) =
            (self.database.display(), log.display(), beside(&self.database, ".lock").display().to_string());
        Err(StoreError::Broken(format!(
            "the log {log} of {database} is missing. The last daemon did not close the store, so what was committed last is in \
             that file: put it back beside {database}, or restore a backup (`forgebell restore FILE`). Where another program, as \
             sqlite3, opened the store since, nothing is missing: delete {lock} and start again"
        )))
    }

    /// Marks the store as open: from now on, the log is needed.
    pub(super) fn mark(&self) -> Result<()> {
        // The log's directory entry must be on the disk before the mark.
        let marked = sync_folder(&self.database)
            .and_then(|()| self.file.write_all_at(MARK, 0))
            .and_then(|()| self.file.sync_data());
        marked.map_err(|error| StoreError::Unavailable(format!("failed to mark the lock: {error}")))
    }

    /// Copies the log into the database, unless a reader prevents that, and clears the mark. The connection then
    /// removes the log when it is the last to be closed.
    pub(super) fn finish(&self, connection: &Connection) {
        // If one of these steps fails, the log stays, and is used at the next start.
        if is_copied(connection).unwrap_or(false) && self.unmark().is_ok() {
            let _ = remove_log_on_close(connection);
        }
    }

    /// Clears the mark, for example when another database replaces the marked one.
    pub(super) fn unmark(&self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.sync_data()
    }

    fn is_marked(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.len() > 0)
    }
}

impl Drop for Lock {
    /// Closing the file is not enough: a child of this process has the file open until it executes its program, and the lock
    /// stays while any process has the file open. Unlocking works for all of them.
    fn drop(&mut self) {
        // If it fails, closing the file is the second best.
        let _ = self.file.unlock();
    }
}

/// Whether a daemon has the store open, or did not close it.
pub(super) fn is_marked(database: &Path) -> bool {
    std::fs::metadata(beside(database, ".lock")).is_ok_and(|file| file.len() > 0)
}

/// Makes SQLite remove the log when this connection is closed, if it is the last one.
pub(super) fn remove_log_on_close(connection: &Connection) -> rusqlite::Result<bool> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
}

/// Copies the log into the database. `false` where a reader prevents that.
fn is_copied(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(READERS_TIMEOUT)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

fn open(path: &Path) -> std::io::Result<File> {
    match private(OpenOptions::new().create_new(true)).open(path) {
        Ok(file) => {
            belong_to_the_folder(path);
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            private(OpenOptions::new().create(true).truncate(false)).open(path)
        }
        Err(error) => Err(error),
    }
}

fn id(file: &File) -> std::io::Result<FileId> {
    Ok(FileId::of(&file.metadata()?))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_released_lock_is_free_although_a_child_has_its_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("forgebell.db");
        let lock = Lock::take(&database).unwrap();
        // Every child has the file open between `fork` and `exec`.
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(lock.file.try_clone().unwrap()).spawn().unwrap();
        assert!(Lock::take(&database).is_err());
        drop(lock);
        let again = Lock::take(&database);
        assert!(child.try_wait().unwrap().is_none(), "the child has it open all the while");
        drop(child.stdin.take());
        child.wait().unwrap();
        drop(again.unwrap());
    }
}
