//! The threads that own the connections. SQLite's calls block, so they run there, as closures from a queue, and the
//! caller awaits the answer.
//!
//! There is one writer, and it commits in groups: it takes the commands in its queue, up to a limit, runs them in one
//! transaction, commits, and only then answers. Syncing the disk costs the same for one command as for a hundred, so
//! the busier the store, the cheaper each command. Each command has a savepoint, so that one that fails undoes only itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::lock::Lock;
use super::place::Place;
use crate::store::{Result, StoreError};

/// The capacity of the queue. Callers wait while it is full.
const QUEUE: usize = 1024;

/// A transaction ends after this many commands or changed rows, which limits the wait of its first command.
const MAX_COMMANDS: usize = 256;
const MAX_CHANGES: u64 = 4096;

/// The log is copied into the file after this many changed rows, between two transactions, when all callers have their
/// answers.
const CHECKPOINT_EVERY: u64 = 4096;

/// Rows may be large. A log of this many pages is copied into the file within the commit, while callers wait.
const CHECKPOINT_IN_COMMIT: i64 = 8 * 1024;

/// If readers kept the log from restarting until it has this many pages, the writer waits for them once.
const WAL_PAGES_MAX: i64 = 32 * 1024;

/// A thread with a connection, and the queue of its commands.
#[derive(Debug)]
pub(super) struct Worker {
    name: &'static str,
    /// `None` only while it is being dropped.
    queue: Option<mpsc::Sender<Box<dyn Command>>>,
    thread: Option<JoinHandle<()>>,
    /// Whether the last transaction failed that was to change something.
    has_failed: Arc<AtomicBool>,
}

impl Worker {
    /// Starts the writer. It holds the lock until its connection is closed.
    ///
    /// It writes only while the file at `place` is the one that was opened.
    pub(super) fn writer(connection: Connection, lock: Option<Lock>, place: Arc<Place>) -> Result<Self> {
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_IN_COMMIT)?;
        Self::start("store-writer", move |commands, has_failed| {
            // Dropped in reverse order: the lock goes last.
            let lock = lock;
            let connection = connection;
            write(&Writing { connection: &connection, place, has_failed }, commands);
            if let Some(lock) = &lock {
                lock.finish(&connection);
            }
        })
    }

    /// Starts a reader, whose commands each see one state of the store.
    pub(super) fn reader(name: &'static str, connection: Connection) -> Result<Self> {
        connection.pragma_update(None, "query_only", true)?;
        Self::start(name, move |commands, _| read(&connection, commands))
    }

    fn start(
        name: &'static str,
        body: impl FnOnce(mpsc::Receiver<Box<dyn Command>>, Arc<AtomicBool>) + Send + 'static,
    ) -> Result<Self> {
        let (queue, commands) = mpsc::channel(QUEUE);
        let has_failed = Arc::new(AtomicBool::new(false));
        let failed = Arc::clone(&has_failed);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || body(commands, failed))
            .map_err(|error| StoreError::Unavailable(format!("failed to start a thread: {error}")))?;
        Ok(Self { name, queue: Some(queue), thread: Some(thread), has_failed })
    }

    /// Whether the last transaction failed that was to change something.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Runs the work on the thread. Cancelling the call does not stop the work.
    pub(super) async fn call<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let command = Box::new(Call { work: Some(work), outcome: None, reply });
        // The queue is closed and answers are dropped if the thread panicked.
        let ended = || {
            StoreError::Broken(format!(
                "its thread `{}` has ended, because it panicked: restart forgebell",
                self.name
            ))
        };
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(command).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl Drop for Worker {
    /// Waits until the queued commands are done and the connection is closed, so that the file can be opened again at once.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, its callers got errors, and the panic was printed.
            let _ = thread.join();
        }
    }
}

/// Work with a connection, without its types.
trait Command: Send {
    /// Runs the work, and keeps its result. `false` if it failed, so that it must be undone.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Makes an error of the transaction the result, unless the work itself failed.
    fn spoil(&mut self, error: &StoreError);

    /// Sends the result to the caller.
    fn answer(self: Box<Self>);
}

struct Call<T, F> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Command for Call<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.outcome = self.work.take().map(|work| work(connection));
        matches!(self.outcome, Some(Ok(_)))
    }

    fn spoil(&mut self, error: &StoreError) {
        if !matches!(self.outcome, Some(Err(_))) {
            self.outcome = Some(Err(error.clone()));
        }
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // A cancelled caller needs no answer.
            let _ = self.reply.send(outcome);
        }
    }
}

fn read(connection: &Connection, mut commands: mpsc::Receiver<Box<dyn Command>>) {
    while let Some(mut command) = commands.blocking_recv() {
        if let Err(error) = execute(connection, "BEGIN") {
            command.spoil(&error);
        } else {
            command.run(connection);
            // Nothing was written. If ending the read failed, the next BEGIN fails.
            let _ = execute(connection, "COMMIT");
        }
        command.answer();
    }
}

/// The writer's components.
struct Writing<'a> {
    connection: &'a Connection,
    place: Arc<Place>,
    has_failed: Arc<AtomicBool>,
}

fn write(writing: &Writing<'_>, mut commands: mpsc::Receiver<Box<dyn Command>>) {
    let mut log = Log::default();
    while let Some(first) = commands.blocking_recv() {
        for command in transaction(writing, first, &mut commands) {
            command.answer();
        }
        log.tend(writing.connection);
    }
}

/// Runs the first command and those behind it in one transaction. They are returned to be answered.
fn transaction(
    writing: &Writing<'_>,
    first: Box<dyn Command>,
    queue: &mut mpsc::Receiver<Box<dyn Command>>,
) -> Vec<Box<dyn Command>> {
    let Writing { connection, place, has_failed } = writing;
    let mut done = Vec::new();
    let before = connection.total_changes();
    let begun = place.check_file().and_then(|()| execute(connection, "BEGIN IMMEDIATE"));
    let outcome = match begun {
        Ok(()) => run_and_commit(connection, first, queue, &mut done),
        Err(error) => {
            // The begin failed after its full timeout. Commands that were queued meanwhile fail now, not after another
            // timeout.
            done.push(first);
            done.extend(std::iter::from_fn(|| queue.try_recv().ok()));
            Err(error)
        }
    };
    if let Err(error) = outcome {
        if !connection.is_autocommit() {
            // If this fails too, the next BEGIN fails and reports it.
            let _ = execute(connection, "ROLLBACK");
        }
        for command in &mut done {
            command.spoil(&error);
        }
        has_failed.store(true, Ordering::Relaxed);
    } else if connection.total_changes() > before {
        has_failed.store(false, Ordering::Relaxed);
    }
    done
}

fn run_and_commit(
    connection: &Connection,
    first: Box<dyn Command>,
    queue: &mut mpsc::Receiver<Box<dyn Command>>,
    done: &mut Vec<Box<dyn Command>>,
) -> Result<()> {
    let before = connection.total_changes();
    let mut next = Some(first);
    while let Some(mut command) = next {
        // The first command needs no savepoint, because there is no earlier command that its failure could undo. It is
        // often alone, and savepoints copy pages.
        let shared = !done.is_empty();
        let ready = if shared { execute(connection, "SAVEPOINT command") } else { Ok(()) };
        let ran = ready.is_ok() && command.run(connection);
        done.push(command);
        ready?;
        if connection.is_autocommit() {
            // SQLite rolls the whole transaction back on some errors, as a full disk or failing IO.
            return Err(StoreError::Unavailable("the transaction was rolled back".to_owned()));
        }
        match (ran, shared) {
            (true, false) => {}
            (true, true) => execute(connection, "RELEASE command")?,
            (false, false) => {
                execute(connection, "ROLLBACK")?;
                execute(connection, "BEGIN IMMEDIATE")?;
            }
            (false, true) => {
                execute(connection, "ROLLBACK TO command")?;
                execute(connection, "RELEASE command")?;
            }
        }
        let full = done.len() >= MAX_COMMANDS || connection.total_changes() - before >= MAX_CHANGES;
        next = if full { None } else { queue.try_recv().ok() };
    }
    execute(connection, "COMMIT")
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// Keeps the write-ahead log short.
struct Log {
    carried_over: u64,
    /// Above this many pages, the writer waits for readers.
    pages_max: i64,
}

impl Default for Log {
    fn default() -> Self {
        Self { carried_over: 0, pages_max: WAL_PAGES_MAX }
    }
}

impl Log {
    fn tend(&mut self, connection: &Connection) {
        let changes = connection.total_changes();
        if changes - self.carried_over < CHECKPOINT_EVERY {
            return;
        }
        self.carried_over = changes;
        // A checkpoint that fails loses nothing: the log keeps its content, and the next checkpoint tries again.
        if checkpoint(connection, "PASSIVE").is_ok_and(|(_, left)| left > self.pages_max) {
            // A reader that takes long, as a backup, would cost a wait each time: then the log may grow to twice the size.
            self.pages_max = match checkpoint(connection, "RESTART") {
                Ok((true, left)) => left.saturating_mul(2),
                _ => WAL_PAGES_MAX,
            };
        }
    }
}

/// Returns whether others kept it from its end, and the number of pages in the log.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<(bool, i64)> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}
