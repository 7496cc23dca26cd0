//! Decoding, held against payloads that GitLab documents and that people captured (`tests/payloads`), and against
//! everything that could go wrong with them.

mod broken;
mod confidential;
mod lenient;
mod payloads;

use std::path::PathBuf;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::{Event, EventId, Undecodable};

fn decode(body: impl Into<Bytes>) -> Result<Event, Undecodable> {
    let id = EventId::new("test").expect("a printable id");
    Event::decode(id, Timestamp::UNIX_EPOCH, body.into())
}

/// Decodes what must be decodable.
fn event(body: &Value) -> Event {
    decode(body.to_string()).unwrap_or_else(|why| panic!("{why}: {body}"))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/payloads")
}

fn bytes_of(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap_or_else(|why| panic!("{file}: {why}"))
}

fn json_of(file: &str) -> Value {
    serde_json::from_slice(&bytes_of(file)).unwrap_or_else(|why| panic!("{file}: {why}"))
}

/// Every payload file, as `push.json` or `captured/push.json`.
fn files() -> Vec<String> {
    let mut files = Vec::new();
    for (folder, prefix) in [(folder(), ""), (folder().join("captured"), "captured/")] {
        for entry in std::fs::read_dir(folder).expect("the payloads are part of the repository") {
            let path = entry.expect("a readable folder").path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let name = path.file_name().and_then(|name| name.to_str()).expect("an ASCII name");
                files.push(format!("{prefix}{name}"));
            }
        }
    }
    files.sort();
    files
}
