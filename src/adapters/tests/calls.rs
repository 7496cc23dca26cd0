//! Calls with settings and events of one's own, for the tests that stand in an adapter's file.

use serde_json::Value as Json;

use super::{Parsed, Request, Targets, call_with, entry, sample, tell};
use crate::call::HttpRequest;
use crate::event::Trigger;
use crate::settings::{Properties, Value};

/// Reads settings given as texts; what is wrong with them, in words.
pub fn settings_with(slug: &str, properties: &[(&str, &str)]) -> Result<Parsed, Vec<String>> {
    let property = |(name, value): &(&str, &str)| ((*name).to_owned(), Value::Text((*value).to_owned()));
    let properties: Properties = properties.iter().map(property).collect();
    entry(slug).read(&properties).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// The HTTP request for the sample event.
pub fn http_call(slug: &str, properties: &[(&str, &str)], trigger: Trigger) -> HttpRequest {
    http_call_of(slug, properties, trigger, |_| ())
}

/// The HTTP request for the sample event with changes.
pub fn http_call_of(
    slug: &str,
    properties: &[(&str, &str)],
    trigger: Trigger,
    change: impl FnOnce(&mut Json),
) -> HttpRequest {
    let settings = settings_with(slug, properties).expect("valid settings");
    match call_with(entry(slug), &settings, &changed_sample(trigger, change), "").request {
        Request::Http(request) => request,
        other => panic!("no HTTP request: {other:?}"),
    }
}

/// The targets of the sample event.
pub fn targets_of(slug: &str, properties: &[(&str, &str)], trigger: Trigger) -> Targets {
    targets_of_changed(slug, properties, trigger, |_| ())
}

/// The targets of the sample event with changes.
pub fn targets_of_changed(
    slug: &str,
    properties: &[(&str, &str)],
    trigger: Trigger,
    change: impl FnOnce(&mut Json),
) -> Targets {
    let settings = settings_with(slug, properties).expect("valid settings");
    entry(slug).targets(&settings, &changed_sample(trigger, change).event, &[])
}

fn changed_sample(trigger: Trigger, change: impl FnOnce(&mut Json)) -> super::Case {
    let raw = sample(trigger).event.raw;
    let mut json = serde_json::from_slice(&raw).expect("a sample is JSON");
    change(&mut json);
    tell("changed", &json)
}

/// A header of a request.
pub fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
}
