//! The store's own key: made once, private, and reported when it is missing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::settings::Secret;
use crate::store::registry::{AuditEntry, Configuration, Put, ScopeKey, StoredIntegration};
use crate::store::seal::{Config, Keyring, SealingKey};
use crate::store::sqlite::Sqlite;
use crate::store::{Registry, StoreError};

const PROJECT: ScopeKey = ScopeKey::Project(42);

fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("forgebell.db"), folder.path().join("forgebell.db.key"));
    (folder, path, key)
}

fn audit() -> AuditEntry {
    AuditEntry {
        at: Timestamp::UNIX_EPOCH,
        who: "command line".to_owned(),
        action: "integration.update",
        object: String::new(),
        fields: Vec::new(),
    }
}

async fn put(store: &Sqlite, slug: &str) {
    let secrets = [("webhook".to_owned(), Secret::new("t0psecret"))].into();
    let settings = Configuration { secrets, ..Configuration::default() };
    let put = store.put_integration(PROJECT, slug, settings, None.into(), audit()).await.unwrap();
    assert!(matches!(put, Put::Done(_)));
}

async fn integrations(store: &Sqlite) -> Vec<StoredIntegration> {
    store.changes(0).await.unwrap().integrations
}

fn refusal(path: &Path) -> String {
    let error = Sqlite::open(path, Keyring::none()).unwrap_err();
    assert!(matches!(error, StoreError::Broken(_)), "{error}");
    error.to_string()
}

#[tokio::test]
async fn the_key_is_made_at_the_first_start_and_is_for_this_user_alone() {
    let (_folder, path, key) = place();
    let store = Sqlite::open(&path, Keyring::none()).unwrap();
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(SealingKey::read(&std::fs::read_to_string(&key).unwrap()).is_some());
    put(&store, "slack").await;
    let (text, before) = (std::fs::read(&key).unwrap(), integrations(&store).await);
    drop(store);
    let store = Sqlite::open(&path, Keyring::none()).unwrap();
    assert_eq!((integrations(&store).await, std::fs::read(&key).unwrap()), (before.clone(), text));
    assert_eq!(integrations(&Sqlite::open_shared(&path, Keyring::none()).unwrap()).await, before);
}

#[tokio::test]
async fn a_missing_key_is_reported_and_not_replaced() {
    let (folder, path, key) = place();
    put(&Sqlite::open(&path, Keyring::none()).unwrap(), "slack").await;
    let elsewhere = folder.path().join("elsewhere");
    std::fs::rename(&key, &elsewhere).unwrap();
    let words = refusal(&path);
    assert!(words.contains(&format!("restore the missing file {}", key.display())), "{words}");
    assert!(!key.exists(), "a new one would hide what happened");
    std::fs::write(&key, "no key\n").unwrap();
    let words = refusal(&path);
    assert!(words.contains(key.to_str().unwrap()) && words.contains("holds no key"), "{words}");
    std::fs::rename(&elsewhere, &key).unwrap();
    assert_eq!(integrations(&Sqlite::open(&path, Keyring::none()).unwrap()).await.len(), 1);
}

#[tokio::test]
async fn a_key_that_is_not_needed_yet_may_be_lost() {
    let (_folder, path, key) = place();
    drop(Sqlite::open(&path, Keyring::none()).unwrap());
    std::fs::remove_file(&key).unwrap();
    put(&Sqlite::open(&path, Keyring::none()).unwrap(), "slack").await;
    assert!(key.exists());
}

#[test]
fn a_command_makes_no_key() {
    let (_folder, path, key) = place();
    drop(Sqlite::open(&path, Keyring::none()).unwrap());
    std::fs::remove_file(&key).unwrap();
    drop(Sqlite::open_shared(&path, Keyring::none()).unwrap());
    assert!(!key.exists());
}

#[tokio::test]
async fn a_given_key_takes_precedence_over_the_stores_own() {
    let (_folder, path, key) = place();
    put(&Sqlite::open(&path, Keyring::none()).unwrap(), "slack").await;
    let given = Keyring::new(&Config { key: Some(SealingKey::make().unwrap()), old_keys: Vec::new() });
    let store = Sqlite::open(&path, given.clone()).unwrap();
    put(&store, "jira").await;
    let before = integrations(&store).await;
    assert_eq!(store.rekey(audit()).await.unwrap(), 2);
    drop(store);
    std::fs::remove_file(&key).unwrap();
    assert_eq!(integrations(&Sqlite::open(&path, given).unwrap()).await, before);
    assert!(!key.exists(), "with a key given, none is made");
    assert!(refusal(&path).contains("secrets.key_file"));
}
