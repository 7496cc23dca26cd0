//! Copies of the store: a backup of one that may be in use, and a copy that takes a store's place.
//!
//! A backup is a single file: it needs no log, and does not contain the key of the secrets. Its pages are a consistent
//! snapshot, because one read transaction covers all of them. Writers go on meanwhile, and their log grows.
//!
//! A copy is made under another name, verified, synced to the disk, and only then gets its name. Nothing is overwritten.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::backup::{Backup as Copying, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::lock::{Lock, remove_log_on_close};
use super::place::{belong_to_the_folder, beside, sync_folder};
use super::schema::{create_folder, private, version};
use super::{Sqlite, key_file, place_of, registry, schema};
use crate::store::migrations::known;
use crate::store::seal::Keyring;
use crate::store::{Ledger as _, Registry as _, StoreError};

/// Pages that are copied between two reports of progress.
const PORTION: i32 = 1024;
/// Bytes that are copied between two reports of progress.
const CHUNK: usize = 4 << 20;
/// The pause while another process locks the source.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// The most damages that are named. One is enough to refuse a copy.
const DAMAGES: usize = 3;

/// The header of an SQLite database: <https://www.sqlite.org/fileformat.html#the_database_header>.
const HEADER: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";

type Result<T> = std::result::Result<T, CopyError>;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The given file can't be used, or its name is taken. The text says what to do.
    #[error("{0}")]
    File(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for CopyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A part of the work that may take long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Copying,
    Verifying,
}

/// How far the work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    /// The bytes that are done. 0 of 0 where the progress can't be measured.
    pub done: u64,
    pub total: u64,
}

/// A finished backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    pub bytes: u64,
    /// Of the schema.
    pub version: i64,
    /// The file of the store's own key, which is not in the backup. `None` where the store has none.
    pub key: Option<PathBuf>,
}

/// The kind of a file to be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A backup, or a copy with its log beside it.
    Backup,
    /// A plain copy of a file that no daemon used, so that there was no log.
    Stopped,
}

/// A store that was put in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Of the schema. The daemon brings an older one up to date when it starts.
    pub version: i64,
    /// Deliveries that wait in it. `None` for a store of an older version.
    pub waiting: Option<u64>,
    /// Where the former store is now, if there was one.
    pub aside: Option<PathBuf>,
    /// A key of its secrets is missing, in words.
    pub missing_key: Option<String>,
}

impl Sqlite {
    /// Copies the store to a new file, also while a daemon works with it, and verifies the copy.
    ///
    /// # Errors
    /// There is no backup then: the file's name is taken, it can't be written, or the store is damaged.
    pub async fn backup(
        path: &Path,
        to: &Path,
        mut progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Backup> {
        let (path, keyed) = place_of(path)?;
        let (source, target) = (path.clone(), to.to_owned());
        let (draft, version) = blocking(move || {
            let draft = Draft::of_backup(&target)?;
            copy_pages(&source, &draft.path, &mut progress)?;
            let version = verified(&draft.path, &mut progress)?;
            Ok((draft, version))
        })
        .await?;
        waiting_in(&draft.path, version).await?;
        let bytes = draft.publish(to)?;
        let key = Some(key_file::beside_database(&keyed)).filter(|key| key.exists());
        Ok(Backup { bytes, version, key })
    }

    /// Puts a copy of this file in the place of the store, which no daemon may use. The former store is kept under another
    /// name. The file itself is left alone.
    ///
    /// # Errors
    /// The former store is where it was, unless the file system failed between two renames: the error says so.
    pub async fn restore(
        from: &Path,
        origin: Origin,
        path: &Path,
        keys: Keyring,
        now: Timestamp,
        mut progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Restored> {
        create_folder(path)?;
        let (path, keyed) = place_of(path)?;
        let (file, place) = (from.to_owned(), path.clone());
        let (lock, draft, version) = blocking(move || {
            let lock = Lock::take(&place)?;
            expect_whole(&file, origin)?;
            let draft = Draft::of_restored(&place)?;
            copy_files(&file, &draft, &mut progress)?;
            let version = verified(&draft.path, &mut progress)?;
            Ok((lock, draft, version))
        })
        .await?;
        let waiting = waiting_in(&draft.path, version).await?;
        let missing_key = missing_key(&draft.path, version, keys, &keyed)?;
        let aside = set_aside(&path, now)?;
        draft.take_place(&path)?;
        let unmarked = lock.unmark();
        unmarked.map_err(|error| failed("clear the mark of the lock of", &path, &error))?;
        Ok(Restored { version, waiting, aside, missing_key })
    }
}

/// Runs work that blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Broken(format!("the copy ended: {error}")))?
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> CopyError {
    let hint = if error.kind() == ErrorKind::StorageFull { ": free some space there" } else { "" };
    CopyError::File(format!("failed to {what} {}: {error}{hint}", path.display()))
}

/// A copy that does not have its final name yet. Dropping the draft removes the copy.
struct Draft {
    path: PathBuf,
    /// Locked, so that no other process uses the same draft.
    file: File,
    kept: bool,
}

impl Draft {
    fn of_backup(target: &Path) -> Result<Self> {
        if target.symlink_metadata().is_ok() {
            return Err(taken(target));
        }
        Self::new(beside(target, ".partial"))
    }

    fn of_restored(store: &Path) -> Result<Self> {
        let draft = Self::new(beside(store, ".restoring"))?;
        belong_to_the_folder(&draft.path);
        Ok(draft)
    }

    /// Creates the draft. A file that an earlier process left under this name is replaced.
    fn new(path: PathBuf) -> Result<Self> {
        let create = |error| failed("create", &path, &error);
        let file = private(OpenOptions::new().create(true).truncate(false)).open(&path).map_err(create)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(CopyError::File(format!("another forgebell writes {}", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(create(error)),
        }
        let draft = Self { path, file, kept: false };
        draft.remove_companions();
        draft.file.set_len(0).map_err(|error| failed("write", &draft.path, &error))?;
        Ok(draft)
    }

    fn remove_companions(&self) {
        for suffix in ["-wal", "-shm", "-journal"] {
            // Most of the time there is none.
            let _ = std::fs::remove_file(beside(&self.path, suffix));
        }
    }

    /// Gives the copy its name, unless that was taken meanwhile. Returns its size in bytes.
    fn publish(mut self, target: &Path) -> Result<u64> {
        let bytes = self.sync()?;
        match std::fs::hard_link(&self.path, target) {
            // The file has both names now, and loses the first one when the draft is dropped.
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(taken(target)),
            // Not every file system has links.
            Err(_) if target.symlink_metadata().is_err() => {
                std::fs::rename(&self.path, target).map_err(|error| failed("create", target, &error))?;
                self.kept = true;
            }
            Err(_) => return Err(taken(target)),
        }
        sync_folder(target).map_err(|error| failed("sync the folder of", target, &error))?;
        Ok(bytes)
    }

    /// Puts the copy where the store is to be. Nothing is there.
    fn take_place(mut self, store: &Path) -> Result<()> {
        self.sync()?;
        std::fs::rename(&self.path, store).map_err(|error| failed("create", store, &error))?;
        self.kept = true;
        sync_folder(store).map_err(|error| failed("sync the folder of", store, &error))
    }

    fn sync(&self) -> Result<u64> {
        let synced = self.file.sync_all().and_then(|()| Ok(self.file.metadata()?.len()));
        synced.map_err(|error| failed("write", &self.path, &error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.remove_companions();
        if !self.kept {
            // An error is ignored: the next attempt replaces the file.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn taken(target: &Path) -> CopyError {
    CopyError::File(format!("{} is there already: name a new file; nothing is overwritten", target.display()))
}

/// Copies the pages of one moment.
fn copy_pages(from: &Path, to: &Path, progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let source = schema::connect(from)?;
    if !super::lock::is_marked(from) {
        remove_log_on_close(&source)?;
    }
    version(&source, from)?;
    // Without this transaction, each write of the daemon would restart the copy.
    source.execute_batch("BEGIN")?;
    let page_bytes = source.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0))?;
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    let mut target = draft_connection(to)?;
    // An incomplete copy never gets its name, so nothing needs to be synced before the end.
    target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    let copying = Copying::new(&source, &mut target)?;
    loop {
        let step = copying.step(PORTION)?;
        let now = copying.progress();
        let pages = |count: i32| u64::try_from(count).unwrap_or(0) * u64::from(page_bytes);
        let (done, total) = (pages(now.pagecount - now.remaining), pages(now.pagecount));
        progress(Progress { stage: Stage::Copying, done, total });
        match step {
            StepResult::Done => break,
            StepResult::Busy | StepResult::Locked => std::thread::sleep(BUSY_PAUSE),
            _ => {}
        }
    }
    drop(copying);
    Ok(source.execute_batch("COMMIT")?)
}

fn draft_connection(draft: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(draft, flags)?)
}

/// Makes a copy one file without a log, and checks all of it. Returns the version of its schema.
fn verified(draft: &Path, progress: &mut dyn FnMut(Progress)) -> Result<i64> {
    let damaged = |why: &str| {
        CopyError::File(format!(
            "the copy is damaged, and so is what it was made of: {why}. Nothing was replaced. Take an older backup; \
             `sqlite3 FILE .recover` reads what is left"
        ))
    };
    progress(Progress { stage: Stage::Verifying, done: 0, total: 0 });
    let connection = draft_connection(draft)?;
    let check = || -> rusqlite::Result<Vec<String>> {
        // The change of the mode copies the log into the file, if there is one.
        connection.pragma_update(None, "journal_mode", "DELETE")?;
        let mut statement = connection.prepare(&format!("PRAGMA integrity_check({DAMAGES})"))?;
        let mut found: Vec<String> =
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        found.retain(|line| line != "ok");
        let strays = connection.prepare("PRAGMA foreign_key_check")?.exists([])?;
        found.extend(strays.then(|| "rows refer to others that are missing".to_owned()));
        Ok(found)
    };
    match check() {
        Ok(found) if found.is_empty() => {}
        Ok(found) => return Err(damaged(&found.join("; "))),
        Err(error) => match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                return Err(damaged(&error.to_string()));
            }
            _ => return Err(error.into()),
        },
    }
    match version(&connection, draft)? {
        0 => Err(CopyError::File("the file is an empty database: there is no store in it".to_owned())),
        version => Ok(version),
    }
}

/// Opens the copy as a store, and reads how many deliveries wait in it. A store of an older version can't be opened before it
/// is migrated.
async fn waiting_in(draft: &Path, version: i64) -> Result<Option<u64>> {
    if version != known() {
        return Ok(None);
    }
    let store = Sqlite::open_shared(draft, Keyring::none())?;
    store.overview().await?;
    store.changes(0).await?;
    Ok(Some(store.depth(Timestamp::UNIX_EPOCH).await?.waiting))
}

/// Whether a key is missing that the daemon would need to start with this store.
fn missing_key(draft: &Path, version: i64, keys: Keyring, keyed: &Path) -> Result<Option<String>> {
    if version != known() {
        return Ok(None);
    }
    let marks = registry::marks(&draft_connection(draft)?)?;
    Ok(key_file::find(keys, keyed).expect_all(&marks).err().map(|error| match error {
        StoreError::Unavailable(why) | StoreError::Broken(why) | StoreError::Refused(why) => why,
    }))
}

/// # Errors
/// The file is no store, is cut off, or lacks its log.
fn expect_whole(file: &Path, origin: Origin) -> Result<()> {
    let name = file.display();
    let header = header(file)?;
    if !header.starts_with(MAGIC) {
        return Err(CopyError::File(format!(
            "{name} is no SQLite database, so it is no backup of a store: is it compressed, or encrypted?"
        )));
    }
    let number = |at: usize| {
        u64::from(u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]))
    };
    let page = match u64::from(u16::from_be_bytes([header[16], header[17]])) {
        1 => 65536,
        size => size,
    };
    let (expected, found) = (page * number(28), file.metadata().map_or(0, |file| file.len()));
    if found < expected {
        return Err(CopyError::File(format!(
            "{name} is cut off: it has {found} of {expected} bytes. Copy it again, or take another backup"
        )));
    }
    // 2 in the header means WAL mode: the last commits may be in the log and not in this file.
    let needs_log = header[18] == 2 || header[19] == 2;
    if needs_log && origin == Origin::Backup && !beside(file, "-wal").exists() {
        return Err(CopyError::File(format!(
            "{name} is a copy of a store's file without its log ({name}-wal), so what was committed last may be missing, and the \
             rest may be torn. Take a backup made by `forgebell backup`, or put the log beside the copy. If no daemon used the \
             store when it was copied, nothing is missing: say so with --stopped"
        )));
    }
    Ok(())
}

fn header(file: &Path) -> Result<[u8; HEADER]> {
    let mut header = [0; HEADER];
    let read = File::open(file).and_then(|mut file| match file.read_exact(&mut header) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
        read => read,
    });
    read.map_err(|error| failed("read", file, &error))?;
    Ok(header)
}

/// Copies a file, and its log if there is one.
fn copy_files(from: &Path, draft: &Draft, progress: &mut dyn FnMut(Progress)) -> Result<()> {
    let log = beside(from, "-wal");
    let size = |path: &Path| path.metadata().map_or(0, |file| file.len());
    let total = size(from) + size(&log);
    let mut done = 0;
    let mut report = |bytes: u64| {
        done += bytes;
        progress(Progress { stage: Stage::Copying, done, total });
    };
    copy_file(from, &draft.path, &mut report)?;
    if log.exists() {
        copy_file(&log, &beside(&draft.path, "-wal"), &mut report)?;
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, report: &mut dyn FnMut(u64)) -> Result<()> {
    let mut source = File::open(from).map_err(|error| failed("read", from, &error))?;
    let target = private(OpenOptions::new().create(true).truncate(true)).open(to);
    let mut target = target.map_err(|error| failed("create", to, &error))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let bytes = source.read(&mut chunk).map_err(|error| failed("read", from, &error))?;
        if bytes == 0 {
            return Ok(());
        }
        target.write_all(&chunk[..bytes]).map_err(|error| failed("write", to, &error))?;
        report(bytes as u64);
    }
}

/// Gives the former store another name, with its log. Returns the name, if there was a store.
fn set_aside(path: &Path, now: Timestamp) -> Result<Option<PathBuf>> {
    let aside = beside(path, &format!(".before-{}", now.strftime("%Y%m%dT%H%M%SZ")));
    // The log is moved first, because SQLite would take it for the log of the new database.
    for suffix in ["-wal", "-shm", ""] {
        let (from, to) = (beside(path, suffix), beside(&aside, suffix));
        if to.symlink_metadata().is_ok() {
            return Err(taken(&to));
        }
        match std::fs::rename(&from, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if suffix.is_empty() {
                    return Ok(None);
                }
            }
            Err(error) => return Err(failed("move away", &from, &error)),
        }
    }
    Ok(Some(aside))
}
