//! The file: its pragmas, its schema and the migrations.

use std::fs::{DirBuilder, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OpenFlags};

use super::place::belong_to_the_folder;
use crate::digest::Digest;
use crate::store::migrations::{STEPS, known};
use crate::store::{Result, StoreError};

/// `FBel` in the file's header identifies the database, for `file(1)` and for this program.
const APPLICATION_ID: i64 = 0x4642_656c;

/// How long a statement waits for another process, such as a command beside the daemon, before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// SQLite truncates the write-ahead log to this size when it restarts it.
const WAL_LIMIT: u64 = 64 << 20;

/// Creates the folder of a file where it is missing, accessible only to this user.
pub(super) fn create_folder(database: &Path) -> Result<()> {
    let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    created.map_err(|error| failed_to_create(database, &error))
}

fn failed_to_create(database: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("failed to create {}: {error}", database.display()))
}

/// Creates the file where it is missing, readable only to this user, because events contain data of private projects. SQLite
/// gives `-wal` and `-shm` the same permissions as the file.
pub(super) fn create(database: &Path) -> Result<()> {
    // An existing file must not be opened here: closing it would end SQLite's locks on it in this process.
    match private(OpenOptions::new().create_new(true)).open(database) {
        Ok(_) => {
            belong_to_the_folder(database);
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed_to_create(database, &error)),
    }
}

pub(super) fn private(how: &mut OpenOptions) -> &mut OpenOptions {
    how.read(true).write(true).mode(0o600)
}

/// Opens the file, which must exist.
pub(super) fn connect(database: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(database, flags).and_then(|connection| {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(64);
        // Plans do not depend on bound values. Otherwise SQLite plans some statements again whenever a value changes.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // The log is removed only when it is certainly not needed: see `lock`.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // FULL: the log is synced with every commit, before the caller gets its answer.
        connection.execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = {WAL_LIMIT};"
        ))?;
        Ok(connection)
    });
    opened.map_err(|error| match StoreError::from(error) {
        StoreError::Unavailable(why) => StoreError::Unavailable(format!("{}: {why}", database.display())),
        StoreError::Broken(why) | StoreError::Refused(why) => {
            StoreError::Broken(format!("{}: {why}", database.display()))
        }
    })
}

/// Migrates the schema. Returns the version before and after.
pub(super) fn migrate(connection: &Connection, database: &Path) -> Result<(i64, i64)> {
    let found = version(connection, database)?;
    // The mode is stored in the file, so it is set only now, when the file is certainly a store of this program.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A step may copy a table that others refer to. They refer to the table by its name, which stays.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.create_scalar_function("key_of", -1, FunctionFlags::SQLITE_DETERMINISTIC, |parts| {
        let parts = (0..parts.len()).map(|part| parts.get_raw(part).as_bytes());
        Ok(Digest::of(parts.collect::<std::result::Result<Vec<_>, _>>()?).number())
    })?;
    for (number, migration) in (1..).zip(STEPS).skip_while(|(number, _)| *number <= found) {
        let step = format!(
            "BEGIN IMMEDIATE; {}; PRAGMA user_version = {number}; PRAGMA application_id = {APPLICATION_ID}; COMMIT;",
            migration.sqlite
        );
        if let Err(error) = connection.execute_batch(&step) {
            // The first error is the one to report. If the rollback fails too, closing the connection undoes the step.
            let _ = connection.execute_batch("ROLLBACK");
            return Err(error.into());
        }
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok((found, known()))
}

/// For a command beside the daemon, which does not migrate the schema.
///
/// # Errors
/// The schema has another version.
pub(super) fn expect_current(connection: &Connection, database: &Path) -> Result<()> {
    let found = version(connection, database)?;
    if found == known() {
        return Ok(());
    }
    Err(StoreError::Unavailable(format!(
        "{} has schema version {found}, and this program needs version {}: start its daemon once, or run \
         `forgebell migrate`",
        database.display(),
        known()
    )))
}

/// The version of the schema in the file. 0 for an empty file.
pub(super) fn version(connection: &Connection, database: &Path) -> Result<i64> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let found = pragma("user_version")?;
    let application = pragma("application_id")?;
    let empty = connection
        .query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get::<_, bool>(0))?;
    if application != APPLICATION_ID && !empty {
        return Err(StoreError::Broken(format!(
            "{} is a database of another program: name another file (`store.path`)",
            database.display()
        )));
    }
    if found > known() {
        return Err(StoreError::Broken(format!(
            "{} was written by a newer forgebell (schema version {found}, this one knows {}): run that version, or \
             start with another file (`store.path`)",
            database.display(),
            known()
        )));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_refused_daemon_does_not_end_sqlites_locks() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("forgebell.db");
        create(&database).unwrap();
        let writer = connect(&database).unwrap();
        writer.execute_batch("CREATE TABLE t (x); BEGIN EXCLUSIVE").unwrap();
        create(&database).unwrap();
        // SQLite uses locks of the system, which only other processes can observe.
        let path = database.display().to_string();
        let script =
            "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')";
        let asked = Command::new("python3").args(["-c", script, &path]).output().unwrap();
        let said = String::from_utf8_lossy(&asked.stderr);
        assert!(said.contains("database is locked"), "another process may write meanwhile: {said}");
        drop(writer);
    }
}
