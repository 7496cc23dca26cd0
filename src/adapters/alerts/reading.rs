//! How values of reports are read: leniently, because monitoring systems fill their templates with values of any type,
//! and never longer than GitLab keeps them.

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use url::Url;

use crate::adapters::contract::{InboundRequest, Severity};
use crate::call::Failure;
use crate::event::parse_time;
use crate::event::size::has_too_many_values;

/// The most alerts of one report that are read; GitLab's limit.
pub(super) const MOST: usize = 100;
/// GitLab's limits, in characters.
pub(super) const TITLE: usize = 200;
pub(super) const DESCRIPTION: usize = 1_000;
pub(super) const NAME: usize = 100;
/// Longer addresses open in no browser.
const ADDRESS: usize = 2_048;
/// GitLab keeps 255 characters of all hosts.
const HOSTS: usize = 20;

/// The body as a JSON object.
pub(super) fn object(request: &InboundRequest) -> Result<Map<String, Json>, Failure> {
    let rejected = |why: &str| Failure::Rejected(why.to_owned());
    // The parsed tree of many small values is far larger than their text, and the sender is not known yet.
    if has_too_many_values(&request.body) {
        return Err(rejected("the body has too many values"));
    }
    match serde_json::from_slice(&request.body) {
        Ok(Json::Object(body)) => Ok(body),
        Ok(_) => Err(rejected("the body is JSON, but not an object")),
        // The parser's own words may quote the body.
        Err(_) => Err(rejected("the body is not JSON, or is nested too deeply")),
    }
}

/// A text, number or boolean as a text; empty where there is none. It is cut before it is copied.
pub(super) fn text(value: Option<&Json>, at_most: usize) -> String {
    let cut = |text: &str| {
        let text = text.trim();
        match text.char_indices().nth(at_most) {
            None => text.to_owned(),
            Some(_) => text.chars().take(at_most.saturating_sub(1)).chain(['…']).collect(),
        }
    };
    match value {
        Some(Json::String(text)) => cut(text),
        Some(value @ (Json::Number(_) | Json::Bool(_))) => cut(&value.to_string()),
        _ => String::new(),
    }
}

/// The first value that is not blank.
pub(super) fn first<'a>(values: impl IntoIterator<Item = Option<&'a Json>>, at_most: usize) -> String {
    let texts = values.into_iter().map(|value| text(value, at_most));
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

/// An address of a web page, without the login that it may hold: people have their own. Others, and those that are too long,
/// are left out: an address can't be cut.
pub(super) fn address(value: Option<&Json>) -> String {
    let text = value.and_then(Json::as_str).map(str::trim).unwrap_or_default();
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(mut url) = url.filter(|_| text.chars().count() <= ADDRESS) else { return String::new() };
    if url.username().is_empty() && url.password().is_none() {
        return text.to_owned();
    }
    // A web address takes both.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// A moment; `None` where there is none that can be read.
pub(super) fn moment(value: Option<&Json>) -> Option<Timestamp> {
    let text = value?.as_str()?.trim();
    text.parse().ok().or_else(|| parse_time(text))
}

/// One host, or a list of them.
pub(super) fn hosts(value: Option<&Json>) -> Vec<String> {
    let listed = match value {
        Some(Json::Array(hosts)) => hosts.iter().take(HOSTS).map(|host| text(Some(host), NAME)).collect(),
        one => vec![text(one, NAME)],
    };
    listed.into_iter().filter(|host: &String| !host.is_empty()).collect()
}

/// GitLab's severity for a monitoring system's word. An unknown or missing one is critical, so that a person looks.
pub(super) fn severity(value: Option<&Json>) -> Severity {
    match text(value, NAME).to_lowercase().as_str() {
        "high" | "s2" | "p2" | "major" | "page" => Severity::High,
        "medium" | "s3" | "p3" | "error" | "alert" => Severity::Medium,
        "low" | "s4" | "p4" | "warn" | "warning" | "minor" => Severity::Low,
        "info" | "s5" | "p5" | "debug" | "information" | "notice" => Severity::Info,
        _ => Severity::Critical,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_word_of_gitlabs_table_has_its_severity_in_any_case() {
        for (severity_name, words) in [
            ("critical", "critical s1 p1 emergency fatal Unknown apocalyptic"),
            ("high", "high s2 p2 major page HIGH Page"),
            ("medium", "medium s3 p3 error alert Error"),
            ("low", "low s4 p4 warn warning minor WARNING"),
            ("info", "info s5 p5 debug information notice Info"),
        ] {
            for word in words.split(' ') {
                assert_eq!(severity(Some(&json!(word))).name(), severity_name, "{word}");
            }
        }
        for none in [None, Some(json!(null)), Some(json!({})), Some(json!(["low"])), Some(json!(""))] {
            assert_eq!(severity(none.as_ref()), Severity::Critical, "{none:?}");
        }
        assert_eq!(severity(Some(&json!(" warning "))), Severity::Low);
    }

    #[test]
    fn a_body_of_very_many_values_is_refused_before_it_is_parsed() {
        let body = format!("{{\"a\":[{}]}}", vec!["{}"; 60_000].join(","));
        let request = InboundRequest { body: body.into(), ..InboundRequest::default() };
        assert_eq!(object(&request), Err(Failure::Rejected("the body has too many values".to_owned())));
    }

    #[test]
    fn texts_are_cut_and_other_types_are_none() {
        assert_eq!(text(Some(&json!(" x ")), 10), "x");
        assert_eq!((text(Some(&json!(7)), 10), text(Some(&json!(true)), 10)), ("7".into(), "true".into()));
        assert_eq!(text(Some(&json!("ééééé")), 3), "éé…");
        for none in [json!(null), json!([1]), json!({ "a": 1 })] {
            assert_eq!(text(Some(&none), 10), "", "{none}");
        }
        assert_eq!(hosts(Some(&json!("a"))), ["a"]);
        assert_eq!(hosts(Some(&json!(["a", "", 7, null, "b"]))), ["a", "7", "b"]);
        assert_eq!(hosts(Some(&vec!["h"; 1_000].into())).len(), 20);
    }

    #[test]
    fn only_addresses_of_web_pages_are_addresses() {
        assert_eq!(
            address(Some(&json!("https://p.example/graph?g0.expr=x"))),
            "https://p.example/graph?g0.expr=x"
        );
        assert_eq!(address(Some(&json!("http://u:s3cret@p.example/g?x=1"))), "http://p.example/g?x=1");
        let long = format!("https://p.example/{}", "x".repeat(3_000));
        for none in ["javascript:alert(1)", "file:///etc/passwd", "https://", "graph", "", long.as_str()] {
            assert_eq!(address(Some(&json!(none))), "", "{none}");
        }
    }

    #[test]
    fn moments_are_read_with_and_without_a_zone_and_far_away() {
        let at = |text: &str| moment(Some(&json!(text))).map(|moment| moment.to_string());
        assert_eq!(at("2026-11-30T08:00:00.123+01:00").as_deref(), Some("2026-11-30T07:00:00.123Z"));
        assert_eq!(at("2020-04-23 01:06:00 UTC").as_deref(), Some("2020-04-23T01:06:00Z"));
        assert_eq!(at("0001-01-01T00:00:00Z").as_deref(), Some("0001-01-01T00:00:00Z"));
        for none in ["soon", "", "99999-01-01T00:00:00Z", "2026-13-01T00:00:00Z"] {
            assert_eq!(at(none), None, "{none}");
        }
        assert_eq!(moment(Some(&json!(1_700_000_000))), None);
    }
}
