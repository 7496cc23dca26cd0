//! The meaning of Jira's answers.
//!
//! Jira's own answers can be recognised: its errors are JSON with `errorMessages` and `errors`, and a refused login has
//! the header `X-Seraph-LoginReason`. Other answers may come from a proxy or a login page.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::call::{Answer, Failure, HttpResponse, by_status, describe, is_page, unavailable};

/// Longer waits are limits that end at a named time.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
const LOGIN: &str = "x-seraph-loginreason";
const DENIED: &str = "x-authentication-denied-reason";

/// The JSON of a good answer.
///
/// # Errors
/// The consequence of any other answer. `acts` says whether the request changes something if Jira accepts it.
pub(super) fn json<T>(response: &HttpResponse, acts: bool) -> Result<Json, Answer<T>> {
    if !(200..=299).contains(&response.status) {
        return Err(refused(response));
    }
    let json =
        serde_json::from_slice(&response.body).ok().filter(|json: &Json| json.is_object() || json.is_array());
    json.filter(|_| !is_page(response)).ok_or_else(|| not_understood(response, acts))
}

/// Succeeds if a request whose answer has no body was carried out.
///
/// # Errors
/// The consequence of any other answer.
pub(super) fn done<T>(response: &HttpResponse) -> Result<(), Answer<T>> {
    match response.status {
        204 => Ok(()),
        200..=299 => json(response, true).map(|_| ()),
        _ => Err(refused(response)),
    }
}

/// The answer is good and in no form that Jira has.
pub(super) fn not_understood<T>(response: &HttpResponse, acts: bool) -> Answer<T> {
    Answer::Failed(unavailable(response, acts && !is_page(response)))
}

/// Jira's own word that what it was asked for can't be done (a transition that the issue's state does not allow). A
/// conflict (409) is none: another user changed the issue at the same time.
pub(super) fn own_no(response: &HttpResponse) -> bool {
    matches!(response.status, 400 | 422) && messages(response).is_some()
}

/// Jira's own words that it has no such thing, or that its user may not see it.
pub(super) fn is_missing(response: &HttpResponse) -> bool {
    response.status == 404 && messages(response).is_some()
}

/// The consequence of an answer that is not a success.
pub(super) fn refused<T>(response: &HttpResponse) -> Answer<T> {
    let why = describe(response);
    let failure = if wants_captcha(response) {
        Failure::OperatorError(format!(
            "Jira takes no login of this user until a person has logged in with a browser and answered its CAPTCHA: {why}"
        ))
    } else if response.status == 429 {
        limit(response, why)
    } else {
        let has_own_words = messages(response).is_some();
        let is_own = has_own_words || response.header(LOGIN).is_some() || says_login(response);
        match response.status {
            401 if is_own => Failure::LoginRefused(format!("Jira refuses the login: {why}")),
            403 if is_own => Failure::Misconfigured(format!("Jira refuses the right: {why}")),
            404 if has_own_words => {
                return Answer::Skipped(format!("Jira has no such issue, or its user may not see it: {why}"));
            }
            400 | 413 | 422 if has_own_words => Failure::Rejected(why),
            409 if has_own_words => Failure::TemporarilyRejected { wait: response.retry_after(), why },
            // Only what is read as a success is none here.
            _ => match by_status(response) {
                Answer::Failed(failure) => failure,
                _ => unavailable(response, false),
            },
        }
    };
    Answer::Failed(failure)
}

/// Data Center wants a CAPTCHA after some refused logins, and refuses all others until then.
fn wants_captcha(response: &HttpResponse) -> bool {
    let says = |name: &str, word: &str| response.header(name).is_some_and(|value| value.contains(word));
    matches!(response.status, 401 | 403) && (says(LOGIN, "AUTHENTICATION_DENIED") || says(DENIED, "CAPTCHA"))
}

/// Jira Cloud answers a refused login in plain words.
fn says_login(response: &HttpResponse) -> bool {
    let words =
        ["Client must be authenticated to access this resource", "Basic auth with password is not allowed"];
    let text = response.text();
    response.status == 401 && !is_page(response) && words.iter().any(|words| text.contains(words))
}

/// The messages of an error in Jira's own form.
fn messages(response: &HttpResponse) -> Option<Json> {
    let json: Json = serde_json::from_slice(&response.body).ok()?;
    (json["errorMessages"].is_array() || json["errors"].is_object()).then_some(json)
}

/// The limit of a 429 (<https://developer.atlassian.com/cloud/jira/platform/rate-limiting/>): `Retry-After` in seconds,
/// or else the moment of `X-RateLimit-Reset`. `RateLimit-Reason` says which limit it is. A user's limit is the same for
/// all of the user's logins.
fn limit(response: &HttpResponse, why: String) -> Failure {
    let reason = response.header("ratelimit-reason").map(str::trim).unwrap_or_default();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_reason = !reason.is_empty() && reason.len() <= 60 && reason.chars().all(is_word);
    let why = if is_reason { format!("{why} ({reason})") } else { why };
    let until = response.header("x-ratelimit-reset").and_then(moment);
    let until = until.and_then(|until| Duration::try_from(until.duration_since(response.at)).ok());
    let wait = response.retry_after().or(until.filter(|wait| !wait.is_zero()));
    // One issue takes only so many changes; the others take theirs.
    if reason == "jira-per-issue-on-write" {
        return Failure::TemporarilyRejected { wait, why };
    }
    match wait {
        Some(wait) if wait > LONGEST_WAIT => match response.at.checked_add(wait) {
            Ok(until) => Failure::Quota { until, why },
            Err(_) => Failure::Throttled { wait: None, why, shared: true },
        },
        wait => Failure::Throttled { wait, why, shared: true },
    }
}

/// A moment in ISO 8601, to the minute or more exactly.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let forms =
        ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M%:z"];
    let zoned = text.strip_suffix('Z').map_or_else(|| text.to_owned(), |local| format!("{local}+0000"));
    forms.iter().find_map(|form| Timestamp::strptime(form, &zoned).ok()).or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Sent;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> String {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let at = "2026-11-30T08:00:00Z".parse().expect("a moment");
        let response = HttpResponse { status, headers, body: body.to_owned().into(), at };
        match refused::<Sent>(&response) {
            Answer::Failed(failure) => match &failure {
                Failure::Throttled { wait, .. } => format!("throttled {wait:?}"),
                Failure::Quota { until, .. } => format!("quota {until}"),
                Failure::TemporarilyRejected { wait, .. } => format!("temporarily_rejected {wait:?}"),
                Failure::Unavailable { wait: Some(wait), .. } => format!("unavailable {wait:?}"),
                Failure::LoginRefused(_) => "login refused".to_owned(),
                failure => failure.consequence().to_owned(),
            },
            Answer::Skipped(_) => "skipped".to_owned(),
            Answer::Done(_) | Answer::Next(_) => panic!("a success"),
        }
    }

    #[test]
    fn rate_limits_are_read_in_all_their_forms() {
        for (headers, expected) in [
            (&[("retry-after", "17")][..], "throttled Some(17s)"),
            (&[("retry-after", "17"), ("x-ratelimit-reset", "2026-11-30T09:00:00Z")], "throttled Some(17s)"),
            (
                &[("x-ratelimit-reset", "2026-11-30T08:01:30Z"), ("ratelimit-reason", "jira-cost-based")],
                "throttled Some(90s)",
            ),
            (&[("x-ratelimit-reset", "2026-11-30T08:02Z")], "throttled Some(120s)"),
            (&[("x-ratelimit-reset", "2026-11-30T09:00:30.5+01:00")], "throttled Some(30.5s)"),
            (&[("x-ratelimit-reset", "2026-11-30T07:59:00Z")], "throttled None"),
            (&[("x-ratelimit-reset", "soon")], "throttled None"),
            (&[], "throttled None"),
            (
                &[("x-ratelimit-reset", "2026-12-01T00:00:00Z"), ("ratelimit-reason", "jira-quota-based")],
                "quota 2026-12-01T00:00:00Z",
            ),
            (&[("retry-after", "7200")], "quota 2026-11-30T10:00:00Z"),
            (
                &[("retry-after", "5"), ("ratelimit-reason", "jira-per-issue-on-write")],
                "temporarily_rejected Some(5s)",
            ),
        ] {
            assert_eq!(answer(429, headers, ""), expected, "{headers:?}");
        }
        assert_eq!(answer(503, &[("retry-after", "9")], ""), "unavailable 9s");
    }

    #[test]
    fn only_jiras_own_words_prove_something() {
        const OWN: &str = r#"{"errorMessages":["no"],"errors":{}}"#;
        let failed = ("x-seraph-loginreason", "AUTHENTICATED_FAILED");
        for (status, headers, body, expected) in [
            (404, &[][..], OWN, "skipped"),
            (404, &[], "<html>Not Found", "unavailable"),
            (404, &[], r#"{"error":"no route"}"#, "unavailable"),
            (401, &[], OWN, "login refused"),
            (401, &[failed], "<html>Basic Authentication Failure", "login refused"),
            (401, &[], "Client must be authenticated to access this resource.", "login refused"),
            (401, &[], "<html>Log in", "unavailable"),
            (401, &[("x-seraph-loginreason", "AUTHENTICATION_DENIED")], "", "operator_error"),
            (
                403,
                &[(
                    "x-authentication-denied-reason",
                    "CAPTCHA_CHALLENGE; login-url=https://j.example/login.jsp",
                )],
                "<html>",
                "operator_error",
            ),
            (403, &[], OWN, "misconfigured"),
            (403, &[], "<html>Blocked", "unavailable"),
            (
                400,
                &[],
                r#"{"errorMessages":[],"errors":{"comment":"The entered text is too long."}}"#,
                "rejected",
            ),
            (409, &[], OWN, "temporarily_rejected None"),
            (302, &[("location", "https://id.example/login")], "", "unavailable"),
            (500, &[], OWN, "unavailable"),
        ] {
            assert_eq!(answer(status, headers, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn moments_are_read_as_jira_writes_them() {
        let expected = "2026-01-15T09:30:00Z".parse().ok();
        for text in [
            "2026-01-15T10:30:00.000+0100",
            "2026-01-15T09:30:00Z",
            "2026-01-15T09:30Z",
            " 2026-01-15T10:30:00+01:00 ",
        ] {
            assert_eq!(moment(text), expected, "{text}");
        }
        assert_eq!(moment("yesterday"), None);
    }
}
