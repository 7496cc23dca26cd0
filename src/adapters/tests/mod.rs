//! Tests of the rules for every adapter, over the whole table. Each adapter declares the facts that the tests need
//! ([`Contract`]). Further tests of an adapter are in a file with its name; Slack and Mattermost share two files.

mod alerts;
mod builds;
mod calls;
mod confirmations;
mod declared;
mod discord;
mod events;
mod extent;
mod forwarding;
mod hipchat;
mod hosts;
mod invalid_settings;
mod irker;
mod links;
mod mail;
mod microsoft_teams;
mod misleading;
mod own_events;
mod played;
mod probes;
mod slack_mattermost;
mod slack_mattermost_answers;
mod sparse_events;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use self::declared::outcome;
use self::events::{Case, cases, hostile, raw_cases, sample, tell_changed};

pub use self::alerts::alertmanager;
pub use self::calls::{header, http_call, http_call_of, settings_with, targets_of, targets_of_changed};
pub use self::declared::{Contract, Differs, Expected, OwnEvent, consequence, is_seen, usual_status};
pub use self::events::{changed, tell};
pub use self::played::{
    Played, changed_push, errors, own_event, play, play_own, play_to, sample_buckets, targets_of_own,
};
use super::contract::{ChannelSettings, LazyMessage, Targets};
use super::{ADAPTERS, Entry, Notification, OperatorSettings, ProjectLinks, find, operator};
use crate::call::{Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Request, Response, Sent};
use crate::event::{Event, Trigger};
use crate::settings::{Parsed, Properties, Secret, Value};

fn examples(entry: &Entry) -> Properties {
    let example =
        |field: &crate::settings::Field| (field.name.to_owned(), Value::Text(field.example.to_owned()));
    entry.fields.iter().map(example).collect()
}

/// The adapters that send notifications.
fn tellers() -> impl Iterator<Item = &'static Entry> {
    ADAPTERS.iter().filter(|entry| entry.can_deliver())
}

fn contract(entry: &Entry) -> &Contract {
    &entry.deliver.as_ref().expect("it delivers").contract
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
fn kind(name: &str) -> &'static Case {
    cases().iter().find(|case| case.name == name).expect("an event of this name")
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
        google: operator::GoogleConfig::default(),
    });
    &OPERATOR
}

/// The operator's settings with a forge that can be asked.
fn operator_of_forge() -> &'static OperatorSettings {
    static OPERATOR: LazyLock<OperatorSettings> = LazyLock::new(|| {
        let mut operator = operator().clone();
        operator.forge.api_url = "https://forge.example.com/api/v4".to_owned();
        operator.forge.token = Secret::new("glpat-example");
        operator
    });
    &OPERATOR
}

/// The first attempt to notify this target of an event, with everything else as usual.
pub fn note<'a>(event: &'a Event, target: &'a str) -> Notification<'a> {
    Notification {
        id: "01912d68783e7a0384675661c1243ad4",
        event,
        target,
        now: Timestamp::UNIX_EPOCH,
        operator: operator(),
        links: ProjectLinks::none(),
        open_request: None,
        may_have_been_sent: false,
        is_test: false,
        extent: crate::integration::Extent::default(),
        message: LazyMessage::default(),
    }
}

pub fn call_with(entry: &Entry, settings: &Parsed, case: &Case, target: &str) -> Call<Sent> {
    let needs_forge = entry.deliver.as_ref().is_some_and(|deliver| deliver.contract.needs_forge);
    call_by(entry, settings, case, target, if needs_forge { operator_of_forge() } else { operator() })
}

fn call_by(
    entry: &Entry,
    settings: &Parsed,
    case: &Case,
    target: &str,
    operator: &OperatorSettings,
) -> Call<Sent> {
    call_after(entry, settings, case, target, operator, Before::Nothing)
}

/// Whether an earlier attempt may have reached the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Nothing,
    Attempt,
}

fn call_after(
    entry: &Entry,
    settings: &Parsed,
    case: &Case,
    target: &str,
    operator: &OperatorSettings,
    before: Before,
) -> Call<Sent> {
    let note = Notification {
        operator,
        may_have_been_sent: before == Before::Attempt,
        message: case.message.clone().map_or_else(LazyMessage::default, LazyMessage::composed),
        ..note(&case.event, target)
    };
    let call = entry.call(settings, &note);
    call.unwrap_or_else(|failure| panic!("{} of {}: {failure}", entry.about.slug, case.name))
}

fn call(entry: &Entry, case: &Case, target: &str) -> Call<Sent> {
    call_with(entry, &settings(entry), case, target)
}

/// A target that the settings' examples allow for this event; `None` if the event has no target.
fn target(entry: &Entry, case: &Case) -> Option<String> {
    let declared = contract(entry);
    if !declared.targets_of_event {
        return Some(declared.target.to_owned());
    }
    target_names(entry, &settings(entry), &case.event).into_iter().next()
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
            if request.is_form() {
                let pairs = url::form_urlencoded::parse(&request.body);
                return pairs
                    .map(|(name, value)| (name.into_owned(), Json::from(value)))
                    .collect::<serde_json::Map<_, _>>()
                    .into();
            }
            let is_xml = request.headers.contains(&("content-type", "application/xml".to_owned()));
            match &request.body[..] {
                [] => Json::Null,
                xml if is_xml => String::from_utf8_lossy(xml).into(),
                json => line(json),
            }
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

/// The first of the events that it supports, and that have a target.
fn supported(entry: &Entry) -> &'static Case {
    let supports =
        |case: &&Case| case.event.trigger.is_some_and(|trigger| entry.about.triggers.contains(trigger));
    own_case(entry).or_else(|| cases().iter().find(supports)).expect("an event that it supports")
}

/// The event that an adapter declares, where the samples lead to no request.
pub(crate) fn declared_event(entry: &Entry) -> Option<Event> {
    own_case(entry).map(|case| case.event.clone())
}

fn own_case(entry: &Entry) -> Option<&'static Case> {
    static OWN: LazyLock<BTreeMap<&str, Case>> = LazyLock::new(|| {
        let declared = tellers().filter_map(|entry| Some((entry, contract(entry).own_event.as_ref()?)));
        let case = |OwnEvent { name, file, change }: &OwnEvent| Case {
            name: (*name).to_owned(),
            ..tell_changed(file, change)
        };
        declared.map(|(entry, event)| (entry.about.slug, case(event))).collect()
    });
    OWN.get(entry.about.slug)
}

/// All events that its requests are shown for.
fn cases_of(entry: &Entry) -> impl Iterator<Item = &'static Case> {
    own_case(entry).into_iter().chain(cases()).chain(raw_cases())
}

fn speaks_http(entry: &Entry) -> bool {
    let case = supported(entry);
    matches!(call(entry, case, &target(entry, case).expect("a target")).request, Request::Http(_))
}

/// The consequence of an HTTP answer to an adapter's first request.
fn answer(entry: &Entry, status: u16, headers: &[(&str, &str)], body: &str) -> Answer<Sent> {
    let call = call(entry, supported(entry), &target(entry, supported(entry)).expect("a target"));
    (call.read)(&Response::Http(http_response(status, headers, body)))
}

pub fn http_response(status: u16, headers: &[(&str, &str)], body: &str) -> HttpResponse {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    HttpResponse { status, headers, body: body.to_owned().into(), at: Timestamp::UNIX_EPOCH }
}

/// The names of the targets that an event goes to.
fn target_names(entry: &Entry, settings: &Parsed, event: &Event) -> Vec<String> {
    entry.targets(settings, event, &[]).send.into_iter().map(|target| target.name).collect()
}

/// All buckets, the destination's first.
fn buckets(entry: &Entry, settings: &Parsed, target: &str) -> Vec<Bucket> {
    entry.pace(settings, target).expect("a pace").buckets().cloned().collect()
}

/// Their keys.
fn keys_of(entry: &Entry, settings: &Parsed, target: &str) -> Vec<String> {
    buckets(entry, settings, target).into_iter().map(|bucket| bucket.key.0.to_string()).collect()
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
fn every_adapter_in_the_folders_is_in_the_table() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/adapters")];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap_or_default();
            found += source.matches("\nimpl Adapter for ").count();
        }
    }
    assert_eq!(found, ADAPTERS.len());
}

/// With `INSTA_UPDATE=always`, as for snapshots, the list is written anew.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the variable of the snapshots, which is no setting of the daemon"
)]
fn the_readme_lists_every_service() {
    const START: &str = "<!-- services: written by a test from the table in src/adapters/mod.rs -->\n";
    const END: &str = "<!-- end of services -->";
    let row = |entry: &Entry| format!("| `{}` | {} |\n", entry.about.slug, entry.about.summary);
    let table = format!("\n| service | |\n|---|---|\n{}\n", ADAPTERS.iter().map(row).collect::<String>());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("the README");
    let (before, rest) = readme.split_once(START).expect("the list's start");
    let (listed, after) = rest.split_once(END).expect("the list's end");
    if listed != table && std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, format!("{before}{START}{table}{END}{after}")).expect("the README is written");
    } else {
        assert_eq!(listed, table, "run this test with INSTA_UPDATE=always");
    }
}

#[test]
fn every_adapter_has_its_texts_for_people() {
    let is_sentence = |text: &str| {
        let text = text.trim();
        text.ends_with('.') && text.starts_with(|c: char| c.is_uppercase() || c.is_numeric())
    };
    for entry in ADAPTERS {
        let about = &entry.about;
        assert!(!about.title.is_empty(), "{}", about.slug);
        assert!(is_sentence(about.summary), "{}: {}", about.slug, about.summary);
        assert!(is_sentence(entry.limits()), "{}: {}", about.slug, entry.limits());
        let gets_events = entry.takes_events();
        assert_eq!(about.triggers.iter().next().is_some(), gets_events, "{}", about.slug);
        let delivery = entry.deliver.as_ref().map(|deliver| deliver.about);
        assert!(
            delivery.is_none_or(|delivery| delivery.concurrency > 0 && delivery.calls > 0),
            "{}",
            about.slug
        );
        for field in entry.fields {
            assert!(is_sentence(field.help), "{}.{}: {}", about.slug, field.name, field.help);
            assert!(!field.example.is_empty(), "{}.{}", about.slug, field.name);
        }
    }
}

#[test]
fn examples_are_valid_and_missing_required_settings_are_named() {
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
            // A user and a password go together.
            if let Some(login) =
                entry.login.filter(|login| [login.username, login.password].contains(&field.name))
            {
                properties.remove(login.username);
                properties.remove(login.password);
            }
            assert!(entry.read(&properties).is_ok(), "{}.{}", entry.about.slug, field.name);
        }
    }
}

#[test]
fn every_trigger_of_every_adapter_makes_a_call() {
    for entry in tellers() {
        for trigger in entry.about.triggers.iter() {
            let of_trigger = |case: &&Case| case.event.trigger == Some(trigger);
            let captured: Vec<&Case> = cases_of(entry).filter(of_trigger).collect();
            assert!(!captured.is_empty(), "no event to test {trigger} with");
            for case in captured.into_iter().chain([&sample(trigger)]) {
                let Some(target) = target(entry, case) else { continue };
                let call = call(entry, case, &target);
                assert!(size(&call) < contract(entry).largest_body, "{} of {}", entry.about.slug, case.name);
                body(&call);
            }
        }
    }
}

/// The exact requests. Look at every change of one.
#[test]
fn requests_match_their_snapshots() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for entry in tellers() {
            for case in cases_of(entry) {
                let wanted = |trigger: Trigger| entry.about.triggers.contains(trigger);
                if case.event.trigger.is_some_and(wanted) && target(entry, case).is_some() {
                    let name = format!("{}__{}", entry.about.slug, case.name);
                    insta::assert_json_snapshot!(name.clone(), chain(entry, case, Before::Nothing));
                    if !contract(entry).repeated.is_empty() {
                        let name = format!("{name}_repeated");
                        insta::assert_json_snapshot!(name, chain(entry, case, Before::Attempt));
                    }
                }
            }
        }
    });
}

/// Every request that an event leads to, each answered as the adapter declares it; a request alone is shown as it is.
fn chain(entry: &Entry, case: &Case, before: Before) -> Json {
    let mut next = Some(first_of_chain(entry, &settings(entry), case, before));
    let mut answers = answers_of_chain(entry, before).iter();
    let mut requests = Vec::new();
    while let Some(call) = next.take() {
        requests.push(shown(&call, case));
        if let (Request::Http(_), Some((status, body))) = (&call.request, answers.next()) {
            next = match (call.read)(&Response::Http(http_response(*status, &[], body))) {
                Answer::Next(call) => Some(call),
                Answer::Done(Sent) => None,
                other => panic!("{} of {}: {}", entry.about.slug, case.name, consequence(&other)),
            };
        }
    }
    assert!(requests.len() <= calls_of(entry), "{} of {}", entry.about.slug, case.name);
    if requests.len() == 1 { requests.swap_remove(0) } else { requests.into() }
}

/// The first call for an event, with an operator whose forge can be asked.
fn first_of_chain(entry: &Entry, settings: &Parsed, case: &Case, before: Before) -> Call<Sent> {
    let target = target(entry, case).expect("a target");
    call_after(entry, settings, case, &target, operator_of_forge(), before)
}

fn answers_of_chain(entry: &Entry, before: Before) -> &'static [(u16, &'static str)] {
    match before {
        Before::Nothing => contract(entry).chain,
        Before::Attempt => contract(entry).repeated,
    }
}

fn calls_of(entry: &Entry) -> usize {
    entry.deliver.as_ref().map_or(0, |deliver| deliver.about.calls as usize)
}

/// All of a request, for the snapshots.
fn shown(call: &Call<Sent>, case: &Case) -> Json {
    match &call.request {
        Request::Http(request) if request.body == case.event.raw => json!({
            "request": format!("{} {}", request.method.name(), request.url),
            "headers": request.headers,
            "timeout": request.timeout.as_secs(),
            "body": "the event's JSON, byte for byte",
        }),
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
fn any_text_of_people_notifies_no_one_and_fits() {
    for entry in tellers() {
        for case in hostile() {
            if !case.event.trigger.is_some_and(|trigger| entry.about.triggers.contains(trigger)) {
                continue;
            }
            let Some(target) = target(entry, case) else { continue };
            let call = call(entry, case, &target);
            assert!(size(&call) < contract(entry).largest_body, "{} of {}", entry.about.slug, case.name);
            if contract(entry).forwards {
                continue;
            }
            let body = body(&call);
            let mut found = Vec::new();
            strings(&body, "", &mut found);
            for (path, text) in found {
                let address = ["_link", "_icon", "url"].iter().any(|end| path.ends_with(end));
                // No service looks for mentions in addresses.
                let words = if address { String::new() } else { crate::message::without_addresses(text) };
                for mention in contract(entry).mentions {
                    assert!(
                        !words.contains(mention),
                        "{} of {}: {mention} in {path}: {text}",
                        entry.about.slug,
                        case.name
                    );
                }
                assert!(!address || text.starts_with("http"), "{path}: {text}");
                assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{path}: {text:?}");
            }
        }
    }
}

#[test]
fn every_status_without_a_body_has_its_declared_consequence() {
    for entry in tellers().filter(|entry| speaks_http(entry)) {
        for status in 100..=599 {
            let answer = answer(entry, status, &[], "");
            assert_eq!(
                consequence(&answer),
                (contract(entry).status)(status),
                "{}: {status}",
                entry.about.slug
            );
        }
    }
}

#[test]
fn every_declared_answer_has_its_consequence() {
    for entry in tellers() {
        for expected in contract(entry).answers {
            let answer = answer(entry, expected.status, expected.headers, expected.body);
            let (status, body) = (expected.status, expected.body);
            assert_eq!(outcome(&answer), expected.outcome, "{}: {status} {body}", entry.about.slug);
        }
    }
}

#[test]
fn an_attempts_calls_do_not_exceed_its_buckets() {
    for entry in tellers() {
        let pace = entry.pace(&settings(entry), contract(entry).target).expect("a pace");
        assert!(pace.calls >= 1 && pace.calls as usize <= calls_of(entry), "{}", entry.about.slug);
        for bucket in pace.buckets() {
            assert!(pace.calls <= bucket.burst, "{}: {bucket:?}", entry.about.slug);
        }
    }
}

#[test]
fn targets_are_the_channels_or_the_address_own_channel() {
    let has_channels = |entry: &&Entry| entry.about.common.channels != ChannelSettings::None;
    for entry in ADAPTERS.iter().filter(has_channels) {
        let settings = settings(entry);
        let event = &cases()[0].event;
        assert_eq!(entry.targets(&settings, event, &[]), Targets::own());
        let channels = ["#ops".to_owned(), "#dev".to_owned()];
        assert_eq!(entry.targets(&settings, event, &channels), Targets::named(channels.clone()));
    }
}

#[test]
fn bucket_keys_differ_by_address_and_do_not_show_it() {
    for entry in tellers() {
        let keys = |properties: &Properties| -> Vec<String> {
            let settings = entry.read(properties).expect("examples");
            keys_of(entry, &settings, "")
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
fn credentials_are_never_shown() {
    for entry in tellers().filter(|entry| speaks_http(entry)) {
        let secrets: Vec<&str> =
            entry.fields.iter().filter(|f| f.kind.is_secret()).map(|f| f.example).collect();
        if secrets.is_empty() {
            continue;
        }
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
        let call = call(entry, supported(entry), &target(entry, supported(entry)).expect("a target"));
        hides(&format!("{:?} {:?}", settings(entry), call.request));
        for status in [200, 400, 403, 404, 410, 429, 500, 502] {
            for secret in &secrets {
                let path = secret.splitn(4, '/').last().unwrap_or_default();
                let quoted = format!("No {secret} and no /{path} here");
                // For some, a 200 is a success with any body.
                let Answer::Failed(said) = answer(entry, status, &[], &quoted) else { continue };
                hides(&said.to_string());
                // The excerpt ends within the address.
                for padding in (140..200).step_by(if status == 400 { 1 } else { 10 }) {
                    let quoted = format!("{} /{path}", "x".repeat(padding));
                    let Answer::Failed(why) = answer(entry, status, &[], &quoted) else { continue };
                    let why = why.to_string();
                    hides(&why);
                    let key = parts.last().and_then(|key| key.get(..8));
                    let shows = key.is_some_and(|key| why.contains(key));
                    assert!(!shows, "{}: a part of {parts:?} in {why}", entry.about.slug);
                }
            }
        }
    }
}
