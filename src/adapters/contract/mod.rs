//! What every adapter must do, tested over the whole table; `answers` and `own` have what is each one's own.

mod answers;
mod events;
mod own;

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use self::events::{Told, hostile, sample, told};
use super::{ADAPTERS, Entry, Notification, find};
use crate::call::{Answer, Call, Failure, HttpRequest, HttpResponse, Request, Response};
use crate::event::Trigger;
use crate::settings::{Parsed, Properties, Value};

/// No chat service takes more in one request: Mattermost's default for a whole body.
const LARGEST_BODY: usize = 300_000;

fn examples(entry: &Entry) -> Properties {
    let example =
        |field: &crate::settings::Field| (field.name.to_owned(), Value::Text(field.example.to_owned()));
    entry.fields.iter().map(example).collect()
}

fn settings(entry: &Entry) -> Parsed {
    entry.read(&examples(entry)).unwrap_or_else(|errors| panic!("{}: {errors:?}", entry.about.slug))
}

fn call(entry: &Entry, told: &Told, target: &str) -> Call {
    let note = Notification {
        id: "01912d68-783e-7a03-8467-5661c1243ad4",
        event: &told.event,
        message: &told.message,
        target,
        now: Timestamp::UNIX_EPOCH,
    };
    let call = entry.call(&settings(entry), &note);
    call.unwrap_or_else(|failure| panic!("{} of {}: {failure}", entry.about.slug, told.name))
}

fn http(call: &Call) -> &HttpRequest {
    let Request::Http(request) = &call.request;
    request
}

fn body(call: &Call) -> Json {
    serde_json::from_slice(&http(call).body).expect("a body of JSON")
}

fn answer(entry: &Entry, status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let call = call(entry, &told()[0], "");
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let body = body.to_owned().into();
    (call.read)(&Response::Http(HttpResponse { status, headers, body, at: Timestamp::UNIX_EPOCH }))
}

/// What an answer comes to, in a word.
fn consequence(answer: &Answer) -> &'static str {
    match answer {
        Answer::Taken => "taken",
        Answer::Then(_) => "then",
        Answer::Failed(failure) => failure.consequence(),
    }
}

fn failure(answer: Answer) -> Failure {
    match answer {
        Answer::Failed(failure) => failure,
        other => panic!("{}, not failed", consequence(&other)),
    }
}

/// All strings in a body, with the path that leads to each.
fn strings<'a>(json: &'a Json, path: &str, found: &mut Vec<(String, &'a str)>) {
    match json {
        Json::String(text) => found.push((path.to_owned(), text)),
        Json::Array(items) => items.iter().for_each(|item| strings(item, path, found)),
        Json::Object(parts) => {
            parts.iter().for_each(|(name, part)| strings(part, &format!("{path}/{name}"), found));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

#[test]
fn slugs_are_sorted_unique_and_found() {
    let slugs: Vec<&str> = ADAPTERS.iter().map(|entry| entry.about.slug).collect();
    assert!(slugs.is_sorted(), "{slugs:?}");
    assert_eq!(slugs.iter().collect::<BTreeSet<_>>().len(), slugs.len());
    for slug in slugs {
        assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{slug}");
        assert_eq!(find(&slug.replace('-', "_")).map(|entry| entry.about.slug), Some(slug));
    }
    assert!(find("carrier-pigeon").is_none());
    assert!(find("").is_none());
}

#[test]
fn every_adapter_in_the_folder_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/adapters");
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let source = std::fs::read_to_string(&path).unwrap_or_default();
        for slug in source.match_indices("\n        slug: \"").map(|(at, found)| &source[at + found.len()..])
        {
            let slug = slug.split('"').next().unwrap_or_default();
            assert!(find(slug).is_some(), "{slug} in {} is not in the table", path.display());
        }
    }
}

#[test]
fn what_people_read_of_an_adapter_is_written() {
    let is_sentence = |text: &str| {
        let text = text.trim();
        text.ends_with('.') && text.starts_with(|c: char| c.is_uppercase() || c.is_numeric())
    };
    for entry in ADAPTERS {
        let about = &entry.about;
        assert!(!about.title.is_empty(), "{}", about.slug);
        assert!(is_sentence(about.summary), "{}: {}", about.slug, about.summary);
        assert!(is_sentence(about.limits), "{}: {}", about.slug, about.limits);
        assert!(about.triggers.iter().next().is_some(), "{}", about.slug);
        assert!(about.concurrency > 0, "{}", about.slug);
        for field in entry.fields {
            assert!(is_sentence(field.help), "{}.{}: {}", about.slug, field.name, field.help);
            assert!(!field.example.is_empty(), "{}.{}", about.slug, field.name);
        }
    }
}

#[test]
fn examples_are_valid_and_what_is_required_is_asked_for_by_name() {
    for entry in ADAPTERS {
        settings(entry);
        for field in entry.fields.iter().filter(|field| field.required) {
            for missing in [None, Some("  ")] {
                let mut properties = examples(entry);
                properties.remove(field.name);
                if let Some(blank) = missing {
                    properties.insert(field.name.to_owned(), Value::Text(blank.to_owned()));
                }
                let errors = entry.read(&properties).expect_err("the field is required");
                assert_eq!(errors.len(), 1, "{}: {errors:?}", entry.about.slug);
                assert_eq!(errors[0].field, field.name);
            }
        }
        for field in entry.fields.iter().filter(|field| !field.required) {
            let mut properties = examples(entry);
            properties.remove(field.name);
            assert!(entry.read(&properties).is_ok(), "{}.{}", entry.about.slug, field.name);
        }
    }
}

#[test]
fn every_trigger_of_every_adapter_makes_a_call() {
    let told = told();
    for entry in ADAPTERS {
        for trigger in entry.about.triggers.iter() {
            let of_trigger = |told: &&Told| told.event.trigger == Some(trigger);
            let captured: Vec<&Told> = told.iter().filter(of_trigger).collect();
            assert!(!captured.is_empty(), "no event to test {trigger} with");
            for told in captured.into_iter().chain([&sample(trigger)]) {
                let call = call(entry, told, "");
                assert_eq!(http(&call).url.as_str(), entry.fields[0].example, "{}", entry.about.slug);
                assert!(http(&call).body.len() < LARGEST_BODY);
                body(&call);
            }
        }
    }
}

/// The exact requests. Look at every change of one.
#[test]
fn requests_are_as_they_were() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for entry in ADAPTERS {
            for told in told() {
                let wanted = |trigger: Trigger| entry.about.triggers.contains(trigger);
                if !told.event.trigger.is_some_and(wanted) {
                    continue;
                }
                let call = call(entry, told, if told.name == "push" { "#general" } else { "" });
                let request = http(&call);
                let shown = json!({
                    "request": format!("{} {}", request.method.word(), request.url),
                    "headers": request.headers,
                    "timeout": request.timeout.as_secs(),
                    "body": body(&call),
                });
                insta::assert_json_snapshot!(format!("{}__{}", entry.about.slug, told.name), shown);
            }
        }
    });
}

#[test]
fn whatever_people_write_calls_nobody_and_fits() {
    for entry in ADAPTERS {
        for told in hostile() {
            let call = call(entry, told, "#general");
            assert!(http(&call).body.len() < LARGEST_BODY, "{} of {}", entry.about.slug, told.name);
            let body = body(&call);
            let mut found = Vec::new();
            strings(&body, "", &mut found);
            for (path, text) in found {
                for call in ["<!channel", "<!here", "<@U1", "@channel", "@here", "@everyone", "@all"] {
                    assert!(
                        !text.contains(call),
                        "{} of {}: {call} in {path}: {text}",
                        entry.about.slug,
                        told.name
                    );
                }
                let address = ["_link", "_icon", "url"].iter().any(|end| path.ends_with(end));
                assert!(!address || text.starts_with("http"), "{path}: {text}");
                assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{path}: {text:?}");
            }
        }
    }
}

#[test]
fn targets_are_the_channels_or_the_address_itself() {
    for entry in ADAPTERS {
        let settings = settings(entry);
        assert_eq!(entry.targets(&settings, &[]), [""]);
        let channels = ["#ops".to_owned(), "#dev".to_owned()];
        assert_eq!(entry.targets(&settings, &channels), channels);
    }
}

#[test]
fn buckets_tell_addresses_apart_and_show_none() {
    for entry in ADAPTERS {
        let keys = |properties: &Properties| -> Vec<String> {
            let settings = entry.read(properties).expect("examples");
            entry.buckets(&settings, "").into_iter().map(|bucket| bucket.key.0).collect()
        };
        let ours = keys(&examples(entry));
        assert!(!ours.is_empty(), "{}", entry.about.slug);
        assert_eq!(ours, keys(&examples(entry)), "keys must not change");
        let mut others = examples(entry);
        others
            .insert("webhook".to_owned(), Value::Text("https://other.example/services/T1/B1/XYZ".to_owned()));
        assert_ne!(ours[0], keys(&others)[0], "{}", entry.about.slug);
        assert!(ours.iter().all(|key| key.len() < 60 && !key.contains('/')), "{ours:?}");
    }
}

#[test]
fn credentials_show_nowhere() {
    for entry in ADAPTERS {
        let secrets: Vec<&str> =
            entry.fields.iter().filter(|f| f.kind.is_secret()).map(|f| f.example).collect();
        assert!(!secrets.is_empty(), "{}", entry.about.slug);
        let parts: Vec<&str> =
            secrets.iter().flat_map(|secret| secret.split('/')).filter(|p| p.len() > 16).collect();
        let hides = |shown: &str| {
            for part in parts.iter().chain(&secrets).filter(|part| !part.contains(".com")) {
                assert!(!shown.contains(part), "{}: {part} in {shown}", entry.about.slug);
            }
            for secret in &secrets {
                assert!(!shown.contains(secret), "{}: {secret} in {shown}", entry.about.slug);
            }
        };
        let call = call(entry, &told()[0], "");
        hides(&format!("{:?} {:?}", settings(entry), call.request));
        for status in [200, 400, 403, 404, 410, 429, 500, 502] {
            for secret in &secrets {
                let path = secret.splitn(4, '/').last().unwrap_or_default();
                let quoted = format!("No {secret} and no /{path} here");
                hides(&failure(answer(entry, status, &[], &quoted)).to_string());
                // The excerpt ends within the address.
                for padding in 140..200 {
                    let quoted = format!("{} /{path}", "x".repeat(padding));
                    let why = failure(answer(entry, status, &[], &quoted)).to_string();
                    hides(&why);
                    let key = parts.last().copied().unwrap_or_default();
                    assert!(!why.contains(&key[..8]), "{}: a part of {key} in {why}", entry.about.slug);
                }
            }
        }
    }
}
