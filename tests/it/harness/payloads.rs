//! What a forge says: the webhook bodies in `payloads/`, and variants of them.
//!
//! Those at the top are the examples of GitLab's documentation ("Webhook events"), about one per kind of event; those
//! in `captured/` were sent by a real forge, and come from the test data of drone/go-scm, jenkins-x/go-scm and
//! go-playground/webhooks.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads")
}

/// One payload, by its path in the folder: `payload("push.json")`, `payload("captured/push.json")`.
pub fn payload(name: &str) -> Vec<u8> {
    let file = folder().join(name);
    fs::read(&file).unwrap_or_else(|error| panic!("no payload {}: {error}", file.display()))
}

/// Every payload with its name, in the order of the names.
pub fn all() -> Vec<(String, Vec<u8>)> {
    let mut names = names_in("");
    names.extend(names_in("captured/"));
    names.sort();
    names.into_iter().map(|name| (name.clone(), payload(&name))).collect()
}

fn names_in(subfolder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder().join(subfolder)).expect("payloads/ is there to be listed");
    entries
        .map(|entry| entry.expect("an entry of payloads/").file_name())
        .map(|name| name.into_string().expect("payload names are plain text"))
        .filter(|name| Path::new(name).extension().is_some_and(|is| is == "json"))
        .map(|name| format!("{subfolder}{name}"))
        .collect()
}

/// A variant: `with(&payload("push.json"), |json| json["ref"] = "refs/heads/next".into())`.
pub fn with(payload: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut json = serde_json::from_slice(payload).expect("a payload is JSON");
    change(&mut json);
    serde_json::to_vec(&json).expect("a JSON value can be written")
}
