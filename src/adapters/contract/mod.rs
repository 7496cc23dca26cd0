//! What every adapter must do, tested over the whole table. What is an adapter's own is in a file of its name; Slack
//! and Mattermost share `answers` and `own`.

mod answers;
mod discord;
mod events;
mod hipchat;
mod irker;
mod mail;
mod microsoft_teams;
mod own;
mod scarce;
mod strange;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use self::events::{Told, hostile, sample, told};
use super::{ADAPTERS, ChannelSettings, Entry, Notification, OperatorSettings, find, operator};
use crate::call::{Answer, Call, Failure, HttpRequest, HttpResponse, Request, Response, Sent};
use crate::event::Trigger;
use crate::settings::{Parsed, Properties, Value};

fn examples(entry: &Entry) -> Properties {
    let example =
        |field: &crate::settings::Field| (field.name.to_owned(), Value::Text(field.example.to_owned()));
    entry.fields.iter().map(example).collect()
}

/// The adapters that send notifications.
fn tellers() -> impl Iterator<Item = &'static Entry> {
    ADAPTERS.iter().filter(|entry| entry.can_deliver())
}

fn settings(entry: &Entry) -> Parsed {
    entry.read(&examples(entry)).unwrap_or_else(|errors| panic!("{}: {errors:?}", entry.about.slug))
}

fn entry(slug: &str) -> &'static Entry {
    find(slug).expect("it is in the table")
}

/// Settings of one's own, as texts.
fn settings_of(slug: &str, properties: &[(&str, &str)]) -> Parsed {
    let property = |(name, value): &(&str, &str)| ((*name).to_owned(), Value::Text((*value).to_owned()));
    let properties: Properties = properties.iter().map(property).collect();
    entry(slug).read(&properties).expect("valid settings")
}

/// One of the events by the name that it has here.
fn kind(name: &str) -> &'static Told {
    told().iter().find(|told| told.name == name).expect("an event of this name")
}

fn operator() -> &'static OperatorSettings {
    static OPERATOR: LazyLock<OperatorSettings> = LazyLock::new(|| OperatorSettings {
        mail: operator::MailConfig {
            from: "forgebell@forge.example.com".to_owned(),
            ..operator::MailConfig::default()
        },
        forge: operator::ForgeConfig {
            url: "https://forge.example.com".to_owned(),
            ..operator::ForgeConfig::default()
        },
    });
    &OPERATOR
}

fn call_with(entry: &Entry, settings: &Parsed, told: &Told, target: &str) -> Call<Sent> {
    let note = Notification {
        id: "01912d68783e7a0384675661c1243ad4",
        event: &told.event,
        message: &told.message,
        target,
        now: Timestamp::UNIX_EPOCH,
        operator: operator(),
    };
    let call = entry.call(settings, &note);
    call.unwrap_or_else(|failure| panic!("{} of {}: {failure}", entry.about.slug, told.name))
}

fn call(entry: &Entry, told: &Told, target: &str) -> Call<Sent> {
    call_with(entry, &settings(entry), told, target)
}

/// Where the examples' settings send an event; of services with channels, to one of those.
fn a_target(entry: &Entry, told: &Told) -> String {
    let channels = match entry.about.common.channels {
        ChannelSettings::Names { .. } => vec!["#general".to_owned()],
        ChannelSettings::None => Vec::new(),
    };
    let targets = entry.targets(&settings(entry), &told.event, &channels);
    targets.into_iter().next().unwrap_or_default()
}

fn http(call: &Call<Sent>) -> &HttpRequest {
    match &call.request {
        Request::Http(request) => request,
        other => panic!("no HTTP request: {other:?}"),
    }
}

/// The content of a request of any kind: a JSON body, a form, lines of JSON, a mail.
fn body(call: &Call<Sent>) -> Json {
    let line = |line: &[u8]| serde_json::from_slice::<Json>(line).expect("JSON");
    match &call.request {
        Request::Http(request) => {
            let form = ("content-type", "application/x-www-form-urlencoded".to_owned());
            if request.headers.contains(&form) {
                let pairs = url::form_urlencoded::parse(&request.body);
                return pairs
                    .map(|(name, value)| (name.into_owned(), Json::from(value)))
                    .collect::<serde_json::Map<_, _>>()
                    .into();
            }
            line(&request.body)
        }
        Request::Tcp(request) => {
            request.body.split(|byte| *byte == b'\n').filter(|text| !text.is_empty()).map(line).collect()
        }
        Request::Smtp(mail) => serde_json::to_value(mail).expect("JSON"),
    }
}

/// How many bytes go out.
fn size(call: &Call<Sent>) -> usize {
    match &call.request {
        Request::Http(request) => request.body.len(),
        Request::Tcp(request) => request.body.len(),
        Request::Smtp(mail) => mail.text.len() + mail.html.len(),
    }
}

/// The most that a service takes in one request, in bytes.
fn largest(slug: &str) -> usize {
    match slug {
        // 10,000 characters of four bytes, and what is around them.
        "hipchat" => 41_000,
        // 400 bytes a line and 5 lines for each of the examples' recipients, as JSON, which may double letters.
        "irker" => 10_000,
        // Its default for a whole body: MaximumPayloadSizeBytes. Slack names none.
        "mattermost" | "slack" => 300_000,
        // Embeds hold 6,000 characters; the rest is their frame and addresses.
        "discord" => 64_000,
        // The examples' address is a workflow's; that Teams takes 28 KB is less than sure.
        "microsoft-teams" => 24_001,
        // Relays accept ten times as much, but that is too much to read.
        "emails-on-push" | "pipelines-email" => 1_000_000,
        other => panic!("no largest body is known for {other}"),
    }
}

fn speaks_http(entry: &Entry) -> bool {
    let hears =
        |told: &&Told| told.event.trigger.is_some_and(|trigger| entry.about.triggers.contains(trigger));
    let told = told().iter().find(hears).expect("an event that it hears of");
    matches!(call(entry, told, &a_target(entry, told)).request, Request::Http(_))
}

/// What an adapter makes of an HTTP answer to its first request.
fn answer(entry: &Entry, status: u16, headers: &[(&str, &str)], body: &str) -> Answer<Sent> {
    let call = call(entry, &told()[0], "");
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let body = body.to_owned().into();
    (call.read)(&Response::Http(HttpResponse { status, headers, body, at: Timestamp::UNIX_EPOCH }))
}

/// Holds what every status alone, with an empty body, comes to against what is expected.
fn every_status(entry: &Entry, expected: impl Fn(u16) -> &'static str) {
    for status in 100..=599 {
        let answer = answer(entry, status, &[], "");
        assert_eq!(consequence(&answer), expected(status), "{}: {status}", entry.about.slug);
    }
}

/// What an answer comes to, in a word.
fn consequence(answer: &Answer<Sent>) -> &'static str {
    match answer {
        Answer::Done(Sent) => "taken",
        Answer::Next(_) => "then",
        Answer::Skipped(_) => "skipped",
        Answer::Failed(failure) => failure.consequence(),
    }
}

fn failure(answer: Answer<Sent>) -> Failure {
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
        assert_eq!(about.triggers.iter().next().is_some(), entry.can_deliver(), "{}", about.slug);
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
    for entry in tellers() {
        for trigger in entry.about.triggers.iter() {
            let of_trigger = |told: &&Told| told.event.trigger == Some(trigger);
            let captured: Vec<&Told> = told.iter().filter(of_trigger).collect();
            assert!(!captured.is_empty(), "no event to test {trigger} with");
            for told in captured.into_iter().chain([&sample(trigger)]) {
                let call = call(entry, told, &a_target(entry, told));
                assert!(size(&call) < largest(entry.about.slug), "{} of {}", entry.about.slug, told.name);
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
        for entry in tellers() {
            for told in told() {
                let wanted = |trigger: Trigger| entry.about.triggers.contains(trigger);
                if !told.event.trigger.is_some_and(wanted) {
                    continue;
                }
                let target = if told.name == "push" { a_target(entry, told) } else { String::new() };
                let shown = shown(&call(entry, told, &target));
                insta::assert_json_snapshot!(format!("{}__{}", entry.about.slug, told.name), shown);
            }
        }
    });
}

/// All of a request, for the snapshots.
fn shown(call: &Call<Sent>) -> Json {
    match &call.request {
        Request::Http(request) => json!({
            "request": format!("{} {}", request.method.name(), request.url),
            "headers": request.headers,
            "timeout": request.timeout.as_secs(),
            "body": body(call),
        }),
        Request::Tcp(request) => json!({
            "request": format!("TCP {}:{}", request.host, request.port),
            "timeout": request.timeout.as_secs(),
            "lines": body(call),
        }),
        Request::Smtp(mail) => {
            let lines = |text: &str| -> Json { text.lines().collect() };
            let mut shown = body(call);
            shown["text"] = lines(&mail.text);
            shown["html"] = lines(&mail.html);
            shown
        }
    }
}

#[test]
fn whatever_people_write_calls_nobody_and_fits() {
    for entry in tellers() {
        for told in hostile() {
            if !told.event.trigger.is_some_and(|trigger| entry.about.triggers.contains(trigger)) {
                continue;
            }
            let call = call(entry, told, &a_target(entry, told));
            assert!(size(&call) < largest(entry.about.slug), "{} of {}", entry.about.slug, told.name);
            let body = body(&call);
            let mut found = Vec::new();
            strings(&body, "", &mut found);
            // HTML messages of HipChat contain no mentions, and in a mail an @ means nothing.
            let calls: &[&str] = match (entry.about.slug, &call.request) {
                ("hipchat", _) | (_, Request::Smtp(_)) => &[],
                // Only Slack and its kin read the bracketed ones, and behind a backslash or within code too.
                ("slack" | "mattermost", _) => {
                    &["<!channel", "<!here", "<@U1", "@channel", "@here", "@everyone", "@all"]
                }
                _ => &["@channel", "@here", "@everyone", "@all"],
            };
            for (path, text) in found {
                for call in calls.iter().copied() {
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
    let has_channels = |entry: &&Entry| entry.about.common.channels != ChannelSettings::None;
    for entry in ADAPTERS.iter().filter(has_channels) {
        let settings = settings(entry);
        let event = &told()[0].event;
        assert_eq!(entry.targets(&settings, event, &[]), [""]);
        let channels = ["#ops".to_owned(), "#dev".to_owned()];
        assert_eq!(entry.targets(&settings, event, &channels), channels);
    }
}

#[test]
fn buckets_tell_addresses_apart_and_show_none() {
    for entry in tellers() {
        let keys = |properties: &Properties| -> Vec<String> {
            let settings = entry.read(properties).expect("examples");
            entry.buckets(&settings, "").into_iter().map(|bucket| bucket.key.0).collect()
        };
        let ours = keys(&examples(entry));
        assert!(!ours.is_empty(), "{}", entry.about.slug);
        assert_eq!(ours, keys(&examples(entry)), "keys must not change");
        let mut others = examples(entry);
        if let Some(webhook) = others.get_mut("webhook") {
            *webhook = Value::Text(webhook.as_text() + "x");
            assert_ne!(ours[0], keys(&others)[0], "{}", entry.about.slug);
        }
        assert!(ours.iter().all(|key| key.len() < 60 && !key.contains('/')), "{ours:?}");
    }
}

#[test]
fn credentials_show_nowhere() {
    for entry in tellers().filter(|entry| speaks_http(entry)) {
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
                // For some, a 200 is a success with any body.
                let Answer::Failed(said) = answer(entry, status, &[], &quoted) else { continue };
                hides(&said.to_string());
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
