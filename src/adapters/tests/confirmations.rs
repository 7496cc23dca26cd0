//! Answers with a status of success and words that are not the service's: of a gateway, of a proxy, of a health check.
//!
//! Pages of HTML confirm nothing at any service: see `misleading`. Each contract has the consequence of an answer without
//! words.

use super::*;

/// The services that confirm by the status alone: their documentation names no words, or any words. The first two read
/// JSON at least.
const BY_STATUS: &[&str] = &[
    "hipchat",
    "webex-teams",
    "assembla",
    "bamboo",
    "buildkite",
    "datadog",
    "drone-ci",
    "flowdock",
    "jenkins",
    "jenkins-deprecated",
    "microsoft-teams",
    "pivotaltracker",
    "pumble",
    "squash-tm",
    "unify-circuit",
];

/// What something before the service may answer with a 200.
const WORDS: &[(&str, &str, &str)] = &[
    ("a gateway's error", "application/json", r#"{"error":"upstream is not available"}"#),
    ("a gateway's refusal", "application/json", r#"{"message":"Forbidden"}"#),
    ("a gateway's code", "application/json", r#"{"code":403,"message":"Access denied"}"#),
    ("a health check", "text/plain", "OK, healthy"),
    ("a list", "application/json", "[]"),
    ("null", "application/json", "null"),
];

#[test]
fn a_service_that_confirms_in_its_own_words_does_not_confirm_in_others() {
    let mut wrong = Vec::new();
    for entry in tellers().filter(|entry| speaks_http(entry)) {
        let slug = entry.about.slug;
        let consequences = WORDS.iter().map(|(name, kind, words)| {
            (*name, consequence(&answer(entry, 200, &[("content-type", *kind)], words)))
        });
        let taken: Vec<&str> =
            consequences.filter(|(_, came_to)| *came_to == "taken").map(|(name, _)| name).collect();
        if taken.is_empty() == BY_STATUS.contains(&slug) {
            wrong.push(format!("{slug}: taken with {taken:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
