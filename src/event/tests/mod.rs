//! Decoding of payloads that GitLab documents or that were captured (`payloads`), and of damaged ones.

mod broken;
mod confidential;
mod lenient;
mod limits;
mod payloads;

use std::path::PathBuf;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::{Event, EventId, Project, Undecodable};

fn decode(body: impl Into<Bytes>) -> Result<Event, Undecodable> {
    let id = EventId::new("test").expect("a printable id");
    Event::decode(id, Timestamp::UNIX_EPOCH, body.into())
}

/// Decodes a body that must be an event.
fn event(body: &Value) -> Event {
    decode(body.to_string()).unwrap_or_else(|why| panic!("{why}: {body}"))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("payloads")
}

fn bytes_of(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap_or_else(|why| panic!("{file}: {why}"))
}

fn json_of(file: &str) -> Value {
    serde_json::from_slice(&bytes_of(file)).unwrap_or_else(|why| panic!("{file}: {why}"))
}

/// Every payload file, as `push.json`, `captured/push.json` or `reported/05b_user_create.json`.
fn files() -> Vec<String> {
    let mut files = Vec::new();
    for prefix in ["", "captured/", "reported/"] {
        for entry in
            std::fs::read_dir(folder().join(prefix)).expect("the payloads are part of the repository")
        {
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

#[test]
fn removing_the_project_id_changes_nothing_else() {
    let mut with_id = 0;
    for file in files() {
        let Ok(event) = decode(bytes_of(&file)) else { continue };
        let Some(project) = event.project.clone().filter(|project| project.id > 0) else { continue };
        let bare = event.without_ids(|event| event);
        if project.path_with_namespace.is_empty() {
            let of_group = bare.as_ref().map(|bare| (&bare.project, &bare.group));
            assert!(of_group.is_none_or(|(project, group)| project.is_none() && group.is_some()), "{file}");
            assert_eq!(
                bare.is_some(),
                event.group.is_some(),
                "{file}: nothing else is known of this project"
            );
            continue;
        }
        let bare = bare.unwrap_or_else(|| panic!("{file}"));
        assert_eq!(bare.project, Some(Project { id: 0, ..project.clone() }), "{file}");
        assert_eq!(
            (&bare.id, bare.trigger, &bare.subject),
            (&event.id, event.trigger, &event.subject),
            "{file}"
        );
        let again = decode(bare.raw.clone()).unwrap_or_else(|why| panic!("{file}: {why}"));
        assert_eq!(again.project, bare.project, "{file}: the id is gone from the raw JSON too");
        with_id += 1;
    }
    assert!(with_id > 20, "{with_id} events with a project id");
}
