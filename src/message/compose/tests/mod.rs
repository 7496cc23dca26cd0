//! The messages about the events in `payloads`, and about events that lack some of their fields.

mod code;
mod links;
mod missing;
mod planning;
mod reported;
mod rest;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::compose;
use crate::event::{Event, EventId};
use crate::message::{Body, Markup, Message, Text};

fn payloads() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads")
}

fn decode(raw: Vec<u8>) -> Event {
    let id = EventId::new("1").expect("an id");
    Event::decode(id, jiff::Timestamp::UNIX_EPOCH, raw.into()).expect("an event")
}

fn event(file: &str) -> Event {
    decode(std::fs::read(payloads().join(file)).expect("a payload"))
}

/// A payload with some of its parts changed.
fn changed(file: &str, change: impl FnOnce(&mut serde_json::Value)) -> Event {
    let raw = std::fs::read(payloads().join(file)).expect("a payload");
    let mut json: serde_json::Value = serde_json::from_slice(&raw).expect("JSON");
    change(&mut json);
    decode(json.to_string().into())
}

fn message(event: &Event) -> Message {
    compose(event).expect("a message")
}

fn summary(event: &Event) -> String {
    Markup::Markdown.render(&message(event).summary)
}

fn plain(event: &Event) -> String {
    message(event).summary.plain_text()
}

fn lines(event: &Event) -> Vec<String> {
    match message(event).body {
        Body::Lines(lines) => lines.iter().map(|line| Markup::Markdown.render(line)).collect(),
        Body::None => Vec::new(),
        Body::Prose(text) => panic!("{text:?}"),
    }
}

fn fields(event: &Event) -> Vec<(String, String)> {
    message(event).fields.iter().map(|field| (field.name.to_string(), field.value.plain_text())).collect()
}

fn files() -> Vec<String> {
    let mut files = Vec::new();
    for folder in ["", "captured", "reported"] {
        for entry in std::fs::read_dir(payloads().join(folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            if Path::new(&name).extension().is_some_and(|ending| ending == "json") {
                files.push(Path::new(folder).join(name).to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    files
}

/// All parts of a message, for the snapshot.
fn all_parts(message: &Message) -> String {
    let slack = |text: &Text| Markup::Slack.render(text);
    let mut told = format!("  {}\n", slack(&message.summary));
    if let Some(title) = &message.title {
        let _ = writeln!(told, "  title: {} -> {}", title.text, title.url.as_deref().unwrap_or("-"));
    }
    let body = match &message.body {
        Body::None => String::new(),
        Body::Lines(lines) => slack(&Text::join(lines.clone(), "\n")),
        Body::Prose(text) => slack(text),
    };
    for line in body.lines() {
        let _ = writeln!(told, "  | {line}");
    }
    for field in &message.fields {
        let _ = writeln!(told, "  {}: {}", field.name, slack(&field.value));
    }
    let author = message.author.as_ref();
    let url = author.and_then(|author| author.url.as_deref()).unwrap_or("-");
    let _ = write!(told, "  by {} -> {url}, {:?}", author.map_or("-", |a| &a.display), message.tone);
    told
}

#[test]
fn the_message_of_every_payload() {
    let mut all = String::new();
    for file in files() {
        let parts = compose(&event(&file)).map_or("  (no message)".to_owned(), |message| all_parts(&message));
        let _ = writeln!(all, "{file}\n{parts}\n");
    }
    insta::assert_snapshot!(all);
}
