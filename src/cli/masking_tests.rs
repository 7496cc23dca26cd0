//! Secrets in a request are masked by position, so the shown text does not depend on them. These tests check, for every
//! adapter and secrets of every length, that no secret is shown and that the rest stays readable.

use jiff::Timestamp;
use proptest::prelude::*;

use super::send::{examples_with, one_off_quietly, shown};
use crate::adapters::tests::declared_event;
use crate::adapters::{ADAPTERS, Entry, OperatorSettings, ProjectLinks};
use crate::call::Request;
use crate::event::{Event, sample};
use crate::pipeline::attempt::Outgoing;
use crate::pipeline::trace::{masked, request_json};
use crate::settings::{Field, Kind, Secret};

/// A setting's value with this secret in it, where the service would have one; the example for settings without secrets.
fn with_secret(field: &Field, secret: &str, logs_in: bool) -> String {
    let login = |address: &str| address.replacen("://", &format!("://bell:{secret}@"), 1);
    match field.kind {
        Kind::Secret => secret.to_owned(),
        // The last part is the credential.
        Kind::SecretUrl => {
            let start = field.example.rfind(['/', '=']).expect("an address has a path");
            format!("{}{secret}", &field.example[..=start])
        }
        Kind::Addresses => {
            format!("irc://irc.example.net/builds?key={secret} {}", login("irc://irc.example.org/ops"))
        }
        Kind::Base => login("irc://irc.example.net:6667/"),
        Kind::Url if logs_in => login(field.example),
        _ => field.example.to_owned(),
    }
}

/// Every form in which people may see the request.
fn views(entry: &'static Entry, event: &Event, secret: &str, logs_in: bool) -> Option<Vec<String>> {
    let settings: Vec<_> = entry
        .fields
        .iter()
        .map(|field| (field.name.to_owned(), with_secret(field, secret, logs_in)))
        .collect();
    let settings = examples_with(entry, &settings);
    let (integration, secrets, _) =
        one_off_quietly(entry, &settings, event, |_| Err(std::io::Error::other("no files"))).ok()?;
    let targets = super::send::targets(entry, &integration, event);
    // The forge's token is the operator's own.
    let mut operator = OperatorSettings::default();
    operator.forge.api_url = "https://forge.example.com/api/v4".to_owned();
    operator.forge.token = Secret::new(secret);
    let outgoing = Outgoing {
        entry,
        integration: &integration,
        event,
        target: targets.first()?,
        id: "id-1",
        now: Timestamp::UNIX_EPOCH,
        operator: &operator,
        links: ProjectLinks::none(),
        open_request: None,
        may_have_been_sent: false,
        test: false,
    };
    let request = outgoing.build_call().ok()?.request;
    let body = match masked(&request) {
        Request::Http(request) => request.body,
        Request::Tcp(request) => request.body,
        Request::Smtp(mail) => mail.text.into(),
    };
    Some(vec![
        secrets.mask(shown(&request)),
        secrets.mask_json(request_json(&request)).to_string(),
        String::from_utf8_lossy(&body).into_owned(),
        format!("{request:?}"),
    ])
}

/// One event that the adapter takes and that leads to a request.
fn event_for(entry: &'static Entry) -> Option<Event> {
    let samples = entry.about.triggers.iter().map(sample);
    samples
        .chain(declared_event(entry))
        .find(|event| views(entry, event, "alongerexampleofasecret", false).is_some())
}

fn tellers() -> impl Iterator<Item = &'static Entry> {
    ADAPTERS.iter().filter(|entry| entry.can_deliver())
}

#[test]
fn every_adapter_is_among_those_that_are_tested() {
    for entry in tellers() {
        assert!(event_for(entry).is_some(), "{}: its examples lead to no request", entry.about.slug);
    }
}

#[test]
fn a_one_letter_secret_leaves_the_whole_request_readable() {
    for entry in tellers() {
        let event = event_for(entry).expect("an event");
        let views = views(entry, &event, "e", false).expect("a request");
        let masks: usize = views[0].matches(Secret::MASK).count();
        assert!(masks <= 12, "{}: {masks} masks in {}", entry.about.slug, views[0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_is_shown_of_a_request_is_the_same_for_every_secret(
        one in "[A-Za-z0-9_]{1,80}",
        other in "[A-Za-z0-9_]{1,80}",
        logs_in in any::<bool>(),
    ) {
        for entry in tellers() {
            let Some(event) = event_for(entry) else { continue };
            let shown = |secret: &str| views(entry, &event, secret, logs_in).unwrap_or_default();
            let (one, other) = (shown(&one), shown(&other));
            prop_assert_eq!(one.len(), other.len(), "{}", entry.about.slug);
            for (one, other) in one.iter().zip(&other) {
                prop_assert_eq!(one, other, "{}", entry.about.slug);
            }
        }
    }
}
