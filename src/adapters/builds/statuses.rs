//! Code that the questions to build services share: the request, the words for states, and pages.
//!
//! A page is shown to people and stored, so that it has no login and no token in it.

use std::time::Duration;

use serde_json::Value as Json;
use url::Url;

use crate::call::{
    Answer, BuildState, CommitStatus, Failure, HttpRequest, HttpResponse, Method, describe, unavailable,
};

const TIMEOUT: Duration = Duration::from_secs(15);
/// More of an answer is not read. Drone's list has 25 builds, each with its whole commit message.
const LONGEST: usize = 1024 * 1024;

/// A question that is answered with JSON.
pub(super) fn question(url: Url, verify_tls: bool) -> HttpRequest {
    HttpRequest {
        headers: vec![("accept", "application/json".to_owned())],
        timeout: TIMEOUT,
        verify_tls,
        answer_limit: LONGEST,
        ..HttpRequest::new(Method::Get, url)
    }
}

/// The state that a word of a build service means; `None` for an unknown word.
pub(super) fn word(word: &str) -> Option<BuildState> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "pending" | "not_found" | "created" | "queued" | "scheduled" | "blocked" | "waiting" => {
            BuildState::Pending
        }
        "running" | "started" | "failing" | "canceling" => BuildState::Running,
        "success" | "passed" => BuildState::Success,
        "success-with-warnings" | "success_with_warnings" | "unstable" => BuildState::SuccessWithWarnings,
        "failed" | "failure" | "error" => BuildState::Failed,
        "canceled" | "cancelled" | "killed" | "aborted" => BuildState::Canceled,
        "skipped" | "not_run" | "declined" => BuildState::Skipped,
        _ => return None,
    })
}

/// A base address as people may see it in a page's address. People put tokens into the query too.
pub(super) fn public(base: &Url) -> Url {
    let mut url = base.clone();
    // An http address takes both.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// The answer of a service that names a state. The page lies below a [`public`] base.
pub(super) fn known(state: BuildState, page: &Url) -> Answer<CommitStatus> {
    Answer::Done(CommitStatus { state, page: Some(page.to_string()) })
}

/// The service does not know the build yet.
pub(super) fn not_yet() -> Answer<CommitStatus> {
    Answer::Done(CommitStatus { state: BuildState::Pending, page: None })
}

/// The result for an answer without a state. The service is asked again.
pub(super) fn not_understood(response: &HttpResponse) -> Answer<CommitStatus> {
    Answer::Failed(match response.status {
        status if response.body.len() >= LONGEST => {
            let why = format!("answered {status} with {} KiB or more, which are not read", LONGEST / 1024);
            Failure::Unavailable { maybe_taken: false, wait: response.retry_after(), why }
        }
        429 => Failure::Throttled { wait: response.retry_after(), why: describe(response), shared: false },
        _ => unavailable(response, false),
    })
}

/// The JSON of an answer with 200.
pub(super) fn json(response: &HttpResponse) -> Option<Json> {
    (response.status == 200).then(|| serde_json::from_slice(&response.body).ok()).flatten()
}

/// As [`by_word`], for a service that answers 404 for a build that it does not know yet. From other services, a 404 may
/// also mean a wrong token.
pub(super) fn by_word_once_known(response: &HttpResponse, page: &Url) -> Answer<CommitStatus> {
    if response.status == 404 { not_yet() } else { by_word(response, page) }
}

/// The answer of a service whose JSON has the state in `status`.
pub(super) fn by_word(response: &HttpResponse, page: &Url) -> Answer<CommitStatus> {
    let state = json(response).and_then(|json| word(json["status"].as_str()?));
    state.map_or_else(|| not_understood(response), |state| known(state, page))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::adapters::contract::BuiltCommit;
    use crate::adapters::{find, tests::settings_with};
    use crate::call::{Call, Request, Response};

    /// The question that an adapter asks about commit `cafe` on `feature/x` of `team a/rocket`.
    pub fn asked(slug: &str, settings: &[(&str, &str)]) -> Call<CommitStatus> {
        let entry = find(slug).expect("an adapter");
        let parsed = settings_with(slug, settings).expect("valid settings");
        let commit = BuiltCommit { sha: "cafe", ref_name: "feature/x", project: "team a/rocket" };
        entry.status.as_ref().expect("it is asked for builds").status(&parsed, &commit).expect("a call")
    }

    /// Its request.
    pub fn request(slug: &str, settings: &[(&str, &str)]) -> HttpRequest {
        match asked(slug, settings).request {
            Request::Http(request) => request,
            other => panic!("not HTTP: {other:?}"),
        }
    }

    /// The result of reading an answer: the state and the page, or `not understood`.
    pub fn made_of(slug: &str, settings: &[(&str, &str)], status: u16, body: &str) -> String {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let response = HttpResponse { status, headers: Vec::new(), body: body.to_owned().into(), at };
        match (asked(slug, settings).read)(&Response::Http(response)) {
            Answer::Done(CommitStatus { state, page: None }) => state.name().to_owned(),
            Answer::Done(CommitStatus { state, page: Some(page) }) => format!("{} {page}", state.name()),
            Answer::Failed(Failure::Unavailable { .. }) => "not understood".to_owned(),
            Answer::Failed(failure) => failure.to_string(),
            Answer::Next(_) | Answer::Skipped(_) => "not one question".to_owned(),
        }
    }

    #[test]
    fn every_service_survives_answers_that_are_none() {
        let huge = format!("{{\"status\":\"{}", "x".repeat(1 << 20));
        for entry in asked_entries() {
            let settings: Vec<_> = entry.fields.iter().map(|field| (field.name, field.example)).collect();
            for (status, body) in [
                (200, ""),
                (200, "{}"),
                (200, "[]"),
                (200, "null"),
                (200, "<html>Sign in</html>"),
                (200, r#"{"status":"nonsense","results":{"result":[{}]}}"#),
                (200, huge.as_str()),
                (302, ""),
                (401, "no"),
                (403, "<html>Forbidden"),
                (404, "<html>Not found"),
                (500, ""),
                (503, "<html>maintenance"),
            ] {
                let made = made_of(entry.about.slug, &settings, status, body);
                let harmless = made == "pending" || made == "not understood";
                assert!(harmless, "{} {status} {body:.40}: {made}", entry.about.slug);
            }
            let throttled = made_of(entry.about.slug, &settings, 429, "");
            assert!(throttled.starts_with("throttled"), "{}: {throttled}", entry.about.slug);
        }
    }

    fn asked_entries() -> impl Iterator<Item = &'static crate::adapters::Entry> {
        crate::adapters::ADAPTERS.iter().filter(|entry| entry.status.is_some())
    }

    #[test]
    fn a_404_is_a_build_that_is_not_known_yet_only_where_the_service_means_that() {
        for entry in asked_entries() {
            let slug = entry.about.slug;
            let mut settings: Vec<_> = entry.fields.iter().map(|field| (field.name, field.example)).collect();
            // Without it, Drone is asked as of before 1.0.
            settings.retain(|(name, _)| *name != "status_token");
            let expected = match slug {
                "buildkite" | "drone-ci" | "jenkins" | "jenkins-deprecated" => "not understood",
                _ => "pending",
            };
            assert_eq!(made_of(slug, &settings, 404, "<html>Not found"), expected, "{slug}");
        }
    }

    #[test]
    fn certificates_are_verified_unless_the_setting_says_otherwise() {
        let mut concerned = Vec::new();
        for entry in asked_entries() {
            let slug = entry.about.slug;
            let is_switch = |name: &str| name == "enable_ssl_verification";
            if !entry.fields.iter().any(|field| is_switch(field.name)) {
                continue;
            }
            for switch in ["true", "false"] {
                let settings: Vec<_> = entry
                    .fields
                    .iter()
                    .map(|field| (field.name, if is_switch(field.name) { switch } else { field.example }))
                    .collect();
                let verified = request(slug, &settings).verify_tls;
                assert_eq!(verified, switch == "true" || slug == "buildkite", "{slug}: {switch}");
            }
            concerned.push(slug);
        }
        assert_eq!(concerned, ["bamboo", "buildkite", "drone-ci", "jenkins", "mock-ci", "teamcity"]);
    }

    #[test]
    fn no_part_of_a_secret_is_shown_that_a_service_repeats() {
        let mut echoed = 0;
        for entry in asked_entries() {
            let settings: Vec<_> = entry.fields.iter().map(|field| (field.name, field.example)).collect();
            let secrets = entry.fields.iter().filter(|field| field.kind == crate::settings::Kind::Secret);
            for part in secrets.flat_map(|field| field.example.split([':', ','])) {
                for words in [format!("{{\"message\":\"token {part} unknown\"}}"), format!("no token={part}")]
                {
                    let response = HttpResponse {
                        status: 401,
                        headers: Vec::new(),
                        body: words.into(),
                        at: jiff::Timestamp::UNIX_EPOCH,
                    };
                    let answer = (asked(entry.about.slug, &settings).read)(&Response::Http(response));
                    let Answer::Failed(failure) = answer else { panic!("{}: 401", entry.about.slug) };
                    let shown = failure.to_string();
                    assert!(!shown.contains(part), "{}: {part}: {shown}", entry.about.slug);
                    echoed += 1;
                }
            }
        }
        assert!(echoed >= 10, "{echoed}");
    }
}
