//! The file: its permissions, its lock, its schema, and crashes.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;

use super::{count, event, now, write};
use crate::store::migrations::known;
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::store::{DeliveryFilter, Inbox, Ledger, Registry, StoreError};

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forgebell.db");
    (folder, path)
}

#[test]
fn the_folder_is_created_and_the_file_is_readable_only_to_its_user() {
    let (folder, _) = place();
    let path = folder.path().join("var/lib/forgebell.db");
    let _store = Sqlite::open(&path, Keyring::none()).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for file in ["forgebell.db", "forgebell.db.lock", "forgebell.db-wal", "forgebell.db-shm"] {
        assert_eq!(mode(&path.with_file_name(file)), 0o600, "{file}");
    }
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[test]
fn a_second_daemon_gets_an_error_with_a_remedy() {
    let (_folder, path) = place();
    let first = Sqlite::open(&path, Keyring::none()).unwrap();
    let error = Sqlite::open(&path, Keyring::none()).unwrap_err();
    let words = error.to_string();
    assert!(matches!(error, StoreError::Unavailable(_)), "{words}");
    assert!(words.contains(path.to_str().unwrap()) && words.contains("store.path"), "{words}");
    drop(first);
    Sqlite::open(&path, Keyring::none()).unwrap();
}

#[test]
fn a_newer_schema_is_left_alone() {
    let (_folder, path) = place();
    drop(Sqlite::open(&path, Keyring::none()).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 4711).unwrap();
    for error in [
        Sqlite::open(&path, Keyring::none()).unwrap_err(),
        Sqlite::open_shared(&path, Keyring::none()).unwrap_err(),
    ] {
        let words = error.to_string();
        assert!(matches!(error, StoreError::Broken(_)), "{words}");
        assert!(words.contains("newer forgebell") && words.contains("4711"), "{words}");
    }
}

#[test]
fn a_command_does_not_migrate_the_schema() {
    let (_folder, path) = place();
    drop(Sqlite::open(&path, Keyring::none()).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 0).unwrap();
    let error = Sqlite::open_shared(&path, Keyring::none()).unwrap_err().to_string();
    assert!(error.contains("start its daemon once"), "{error}");
}

#[tokio::test]
async fn a_store_of_the_first_version_is_migrated_with_all_its_rows() {
    let (_folder, path) = place();
    let first = include_str!("../../migrations/0001_first.sql");
    let header = "PRAGMA journal_mode = WAL; PRAGMA application_id = 0x4642656c; PRAGMA user_version = 1;";
    let event = "INSERT INTO events (id, kind, subject, occurred_at, received_at, raw) VALUES ('e1', 'push', '', 0, 0, '{}');
                 INSERT INTO inbox VALUES (1);";
    Connection::open(&path)
        .unwrap()
        .execute_batch(&format!("{header}{first}{}", event.replace("'{}'", "x'7b7d'")))
        .unwrap();
    let error = Sqlite::open_shared(&path, Keyring::none()).unwrap_err().to_string();
    assert!(error.contains("forgebell migrate"), "{error}");
    assert_eq!(Sqlite::migrate(&path).unwrap(), (1, known()));
    assert_eq!(Sqlite::migrate(&path).unwrap(), (known(), known()));
    let store = Sqlite::open(&path, Keyring::none()).unwrap();
    assert_eq!(store.depth(now()).await.unwrap().inbox, 1);
    assert_eq!(store.changes(0).await.unwrap().revision, 0);
    let error = Sqlite::migrate(&path).unwrap_err().to_string();
    assert!(error.contains("another forgebell works with"), "{error}");
}

#[test]
fn a_command_does_not_make_a_store() {
    let (_folder, path) = place();
    let error = Sqlite::open_shared(&path, Keyring::none()).unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(words) if words.contains("forgebell.db")), "{error}");
    assert!(!path.exists());
}

#[test]
fn another_programs_file_is_not_touched() {
    let (folder, path) = place();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (it)").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Sqlite::open(&path, Keyring::none()).unwrap_err();
    assert!(matches!(&error, StoreError::Broken(words) if words.contains("another program")), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let letter = folder.path().join("letter.txt");
    std::fs::write(&letter, "Dear Sir or Madam, ".repeat(100)).unwrap();
    let error = Sqlite::open(&letter, Keyring::none()).unwrap_err();
    assert!(matches!(&error, StoreError::Broken(words) if words.contains("letter.txt")), "{error}");
}

#[tokio::test]
async fn a_command_reads_and_writes_beside_the_daemon() {
    let (_folder, path) = place();
    let daemon = Sqlite::open(&path, Keyring::none()).unwrap();
    let command = Sqlite::open_shared(&path, Keyring::none()).unwrap();
    let dispatched = async {
        for n in 0..50 {
            write(&daemon, &format!("daemon-{n}")).await.unwrap();
        }
    };
    let stored = async {
        for n in 0..50 {
            command.push(&event(&format!("command-{n}"), 0), now()).await.unwrap();
        }
    };
    tokio::join!(dispatched, stored);
    assert_eq!((count(&daemon).await, count(&command).await), (50, 50));
    let filter = DeliveryFilter { limit: 1000, ..Default::default() };
    assert_eq!(command.deliveries(filter).await.unwrap().len(), 50);
    drop(command);
    write(&daemon, "after").await.unwrap();
    let depth = daemon.depth(now()).await.unwrap();
    assert_eq!((depth.waiting, depth.inbox), (51, 50));
}

#[tokio::test]
async fn an_answered_write_is_in_the_files_at_once() {
    let (folder, path) = place();
    let store = Sqlite::open(&path, Keyring::none()).unwrap();
    let image = folder.path().join("image.db");
    for n in 0..3 {
        write(&store, &format!("e{n}")).await.unwrap();
        // A copy of the files as they would be after a power cut, with nothing closed.
        std::fs::copy(&path, &image).unwrap();
        std::fs::copy(folder.path().join("forgebell.db-wal"), folder.path().join("image.db-wal")).unwrap();
        assert_eq!(count(&Sqlite::open(&image, Keyring::none()).unwrap()).await, n + 1);
    }
}

/// The process that [`a_killed_daemon_loses_nothing_that_it_answered`] kills. It writes, and prints how many writes were
/// answered.
#[tokio::test]
#[ignore = "is run by a_killed_daemon_loses_nothing_that_it_answered"]
async fn writes_until_it_is_killed() {
    let mut path = String::new();
    if std::io::stdin().read_line(&mut path).unwrap() == 0 {
        return;
    }
    let store = Sqlite::open(Path::new(path.trim()), Keyring::none()).unwrap();
    for n in 0..1_000_000 {
        let (one, other) = (format!("a{n}"), format!("b{n}"));
        let (first, second) = tokio::join!(write(&store, &one), write(&store, &other));
        first.and(second).unwrap();
        println!("answered {}", 2 * (n + 1));
    }
}

#[tokio::test]
async fn a_killed_daemon_loses_nothing_that_it_answered() {
    let (_folder, path) = place();
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::sqlite::tests::file::writes_until_it_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(daemon.stdin.take().unwrap(), "{}", path.display()).unwrap();
    let mut answered = 0;
    for line in BufReader::new(daemon.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, number)) = line.split_once("answered ") {
            answered = number.parse().unwrap();
        }
        if answered == 200 {
            daemon.kill().unwrap();
        }
    }
    daemon.wait().unwrap();
    assert!(answered >= 200, "it ended by itself after {answered}");

    let store = Sqlite::open(&path, Keyring::none()).unwrap();
    let kept = count(&store).await;
    assert!(kept >= answered, "{kept} of {answered}");
    let check = |connection: &Connection| {
        Ok(connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))?)
    };
    assert_eq!(store.reader.call(check).await.unwrap(), "ok");
}
