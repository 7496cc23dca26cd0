//! The writer: group commit, and its failures.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use super::{count, size_of, write, write_large};
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::store::{Ledger, Result, StoreError};

fn store() -> (tempfile::TempDir, PathBuf, Sqlite) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forgebell.db");
    let store = Sqlite::open(&path, Keyring::none()).unwrap();
    (folder, path, store)
}

/// Keeps the writer busy, so that the next commands are in its queue together.
#[expect(clippy::unnecessary_wraps, reason = "the writer's commands can fail")]
fn dawdle(_: &Connection) -> Result<()> {
    std::thread::sleep(Duration::from_millis(50));
    Ok(())
}

fn insert(connection: &Connection, source: &str) -> Result<()> {
    let sql = "INSERT INTO quarantine (source, reason, received_at, raw) VALUES (?1, '', 0, x'00')";
    connection.execute(sql, [source])?;
    Ok(())
}

async fn sources(store: &Sqlite) -> Vec<String> {
    let read = |connection: &Connection| {
        let mut statement = connection.prepare("SELECT source FROM quarantine ORDER BY number")?;
        let sources = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(sources)
    };
    store.reader.call(read).await.unwrap()
}

#[tokio::test]
async fn a_failed_command_does_not_undo_others() {
    let (_folder, _, store) = store();
    let fails = |connection: &Connection| {
        insert(connection, "half")?;
        connection.execute("INSERT INTO inbox (seq) VALUES ('no number')", [])?;
        Ok(())
    };
    let writer = &store.writer;
    let (_, one, two, three) = tokio::join!(
        writer.call(dawdle),
        writer.call(|connection| insert(connection, "one")),
        writer.call(fails),
        writer.call(|connection| insert(connection, "three")),
    );
    assert_eq!((&one, &three), (&Ok(()), &Ok(())));
    assert!(matches!(two, Err(StoreError::Refused(_))), "{two:?}");
    assert_eq!(sources(&store).await, ["one", "three"]);

    let first = move |connection: &Connection| dawdle(connection).and_then(|()| fails(connection));
    let (first, four) =
        tokio::join!(writer.call(first), writer.call(|connection| insert(connection, "four")));
    assert!(first.is_err() && four.is_ok());
    assert_eq!(sources(&store).await, ["one", "three", "four"]);
}

#[tokio::test]
async fn a_failed_commit_is_an_error_for_every_caller() {
    let (_folder, _, store) = store();
    // A foreign key without a target, which is checked only at the commit.
    let spoils = |connection: &Connection| {
        connection.execute_batch("PRAGMA defer_foreign_keys = ON; INSERT INTO inbox (seq) VALUES (4711);")?;
        Ok(())
    };
    let writer = &store.writer;
    let answers = tokio::join!(
        writer.call(|connection| insert(connection, "one")),
        writer.call(spoils),
        writer.call(|connection| insert(connection, "three")),
    );
    // The first may have been committed before the second came.
    assert!(answers.1.is_err());
    let kept = [("one", answers.0), ("three", answers.2)];
    let kept: Vec<_> = kept.iter().filter(|(_, answer)| answer.is_ok()).map(|(source, _)| *source).collect();
    assert_eq!(sources(&store).await, kept);
    store.writer.call(|connection| insert(connection, "after")).await.unwrap();
    assert!(sources(&store).await.contains(&"after".to_owned()));
}

#[tokio::test]
async fn a_full_disk_is_reported_and_survived() {
    let (_folder, _, store) = store();
    write(&store, "before").await.unwrap();
    let pages = |connection: &Connection| {
        Ok(connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))?)
    };
    let pages = store.writer.call(pages).await.unwrap();
    let limit = move |pages: i64| {
        move |connection: &Connection| Ok(connection.pragma_update(None, "max_page_count", pages)?)
    };
    store.writer.call(limit(pages + 2)).await.unwrap();

    let large = write_large(&store, "large", 200_000);
    let (_, large, small) = tokio::join!(store.writer.call(dawdle), large, write(&store, "small"));
    assert!(matches!(&large, Err(StoreError::Unavailable(_))), "{large:?}");
    let kept = 1 + i64::from(small.is_ok());
    assert_eq!(count(&store).await, kept, "nothing of what failed is there");

    store.writer.call(limit(1_000_000)).await.unwrap();
    write_large(&store, "large", 200_000).await.unwrap();
    assert_eq!(count(&store).await, kept + 1);
}

#[tokio::test]
async fn a_locked_file_is_unavailable_until_it_is_unlocked() {
    let (_folder, path, store) = store();
    store.writer.call(|connection| Ok(connection.busy_timeout(Duration::from_millis(10))?)).await.unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = write(&store, "e1").await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert!(store.ping().await.is_err());
    assert_eq!(count(&store).await, 0, "reading goes on");
    other.execute_batch("COMMIT").unwrap();
    write(&store, "e1").await.unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_panicked_thread_is_an_error_for_its_callers() {
    let (_folder, path, store) = store();
    let dies = |_: &Connection| -> Result<()> { panic!("on purpose") };
    let (died, queued) = tokio::join!(store.writer.call(dies), write(&store, "queued"));
    for answer in [died, queued, write(&store, "later").await, store.ping().await] {
        assert!(
            matches!(&answer, Err(StoreError::Broken(words)) if words.contains("has ended")),
            "{answer:?}"
        );
    }
    // The lock is free too.
    drop(store);
    write(&Sqlite::open(&path, Keyring::none()).unwrap(), "again").await.unwrap();
}

#[tokio::test]
async fn a_cancelled_caller_stops_nothing() {
    let (_folder, path, store) = store();
    let slow = store.writer.call(|connection| dawdle(connection).and_then(|()| insert(connection, "slow")));
    assert!(tokio::time::timeout(Duration::from_millis(5), slow).await.is_err());
    // Closing waits for it.
    drop(store);
    assert_eq!(sources(&Sqlite::open(&path, Keyring::none()).unwrap()).await, ["slow"]);
}

#[tokio::test]
async fn the_log_stays_short_however_much_goes_through() {
    let (_folder, path, store) = store();
    let log = path.with_file_name("forgebell.db-wal");
    let mut longest = 0;
    for n in 0..60 {
        // 1 MB at a time, so that the log is filled by bytes, not by rows.
        write_large(&store, &format!("e{n}"), 1 << 20).await.unwrap();
        longest = size_of(&log).max(longest);
    }
    assert!(longest < 40 << 20, "{longest} bytes");
    assert!(size_of(&path) > 16 << 20, "it went over into the file");
    drop(store);
    assert_eq!(size_of(&log), 0, "and is gone with a clean end");
}
