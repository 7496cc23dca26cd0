//! Random invalid settings: each is refused with an error, or leads to a request that can be sent.

use proptest::prelude::*;

use super::{Case, body, call_with, examples, own_case, sample};
use crate::adapters::{ADAPTERS, Entry};
use crate::call::{Call, Request, Sent};
use crate::settings::{Properties, Value};

/// Values that people paste by mistake, and values that break libraries.
const STRANGE: [&str; 24] = [
    "\u{202e}",
    "\0",
    "a\r\nb: c",
    "..",
    "/",
    "//",
    "?",
    "#",
    "%",
    "%2",
    "%00",
    "a/b",
    "@",
    "a@",
    "@b",
    "<a@b>",
    ":",
    "[::1]",
    "https://",
    "https://[",
    "irc:///x",
    "irc://h:0/x",
    "💥",
    "xn--",
];

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec(prop::sample::select(&STRANGE[..]), 1..4).prop_map(|parts| parts.concat()),
        "(https?|ircs?|mailto)://[^ ]{0,20}",
        any::<String>(),
    ]
}

/// With these words in one of the settings: as all of it, and behind a sound example.
fn changed(entry: &Entry, field: usize, words: &str) -> Vec<Properties> {
    let field = &entry.fields[field % entry.fields.len()];
    let with = |words: String| {
        let mut properties = examples(entry);
        properties.insert(field.name.to_owned(), Value::Text(words));
        properties
    };
    vec![
        with(words.to_owned()),
        with(format!("{}{words}", field.example)),
        with(format!("{} {words}", field.example)),
    ]
}

/// Nothing that a client, irkerd or a mail server would stumble over.
fn is_sound(call: &Call<Sent>) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && !word.contains(|c: char| c.is_control() || c.is_whitespace());
    match &call.request {
        Request::Http(request) => {
            let is_value = |value: &str| value.bytes().all(|b| (b' '..0x7f).contains(&b));
            request.headers.iter().all(|(_, value)| is_value(value))
                && matches!(request.url.scheme(), "http" | "https")
                && request.url.has_host()
        }
        Request::Tcp(request) => {
            let lines = body(call);
            let mut to =
                lines.as_array().into_iter().flatten().map(|line| line["to"][0].as_str().unwrap_or_default());
            is_word(&request.host)
                && to.all(|to| is_word(to) && (to.starts_with("irc://") || to.starts_with("ircs://")))
        }
        Request::Smtp(mail) => is_word(&mail.to) && mail.to.is_ascii() && mail.to.matches('@').count() == 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn invalid_settings_are_refused_with_a_reason(field in any::<usize>(), words in words()) {
        for entry in ADAPTERS.iter().filter(|entry| !entry.fields.is_empty()) {
            for properties in changed(entry, field, &words) {
                let settings = match entry.read(&properties) {
                    Ok(settings) => settings,
                    Err(errors) => {
                        prop_assert!(errors.iter().all(|error| !error.problem.trim().is_empty()), "{errors:?}");
                        continue;
                    }
                };
                // Settings that GitLab accepts too, although nothing can be sent with them, are warned of.
                if !entry.warnings(&settings).is_empty() {
                    continue;
                }
                let samples: Vec<Case> = entry.about.triggers.iter().take(1).map(sample).collect();
                for case in own_case(entry).into_iter().chain(&samples) {
                    for target in entry.targets(&settings, &case.event, &[]).send {
                        prop_assert!(entry.pace(&settings, &target.name).is_some());
                        let call = call_with(entry, &settings, case, &target.name);
                        prop_assert!(is_sound(&call), "{:?} of {properties:?}", call.request);
                    }
                }
            }
        }
    }
}
