//! Buildkite: events are forwarded to the pipeline's webhook
//! (<https://docs.gitlab.com/user/project/integrations/>, Buildkite).

use std::time::Duration;

use super::address::{below, with_parameter};
use super::answers;
use super::forward::{self, EventHeader};
use super::sending;
use super::statuses;
use crate::adapters::contract::{
    About, Adapter, BuiltCommit, CommonSettings, Deliver, Delivery, Notification, Preview, Status, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected};
use crate::call::{Answer, Bucket, Call, CommitStatus, Failure, HttpRequest, HttpResponse, Pace, Sent};
use crate::event::{Event, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{FieldError, Secret, Url};

const WEBHOOKS: &str = "https://webhook.buildkite.com";
const STATUSES: &str = "https://gitlab.buildkite.com";
/// No rate is published; this value is our choice.
const PER_PIPELINE: (u32, u32) = (5, 20);
const TIMEOUT: Duration = Duration::from_secs(15);

crate::settings! {
    /// What Buildkite needs.
    pub struct Settings {
        /// The token that Buildkite shows for the pipeline's repository: `webhook_token:status_token`.
        pub token: Secret = "3f8a0c6d9b1e47258a6c:7d2e9b4f1a0c8e635b7d",
        /// The pipeline's page.
        pub project_url: Url = "https://buildkite.com/acme/rocket",
        /// Has no effect: Buildkite's certificate is always verified.
        pub enable_ssl_verification: bool = "true" or "true",
        /// The event's name in the header `X-Gitlab-Event`: `real` (the default), or `service_hook` as GitLab sends it.
        pub gitlab_event_header: EventHeader = "real" or "real",
        /// The address of a compatible service for webhooks. Blank: Buildkite.
        pub base_url: Option<Url> = "https://webhook.buildkite.example.com",
        /// The address of a compatible service for the status of builds. Blank: Buildkite.
        pub status_base_url: Option<Url> = "https://gitlab.buildkite.example.com",
    }
}

impl Settings {
    /// The part of the token that the status of builds is asked for with; empty if there is none.
    fn status_token(&self) -> &str {
        self.token.expose().split(':').nth(1).unwrap_or_default().trim()
    }

    /// The part of the token that webhooks are delivered with.
    fn webhook_token(&self) -> &str {
        self.token.expose().split(':').next().unwrap_or_default().trim()
    }
}

/// The adapter.
pub struct Buildkite;

impl Adapter for Buildkite {
    const ABOUT: About = About {
        slug: "buildkite",
        title: "Buildkite",
        summary: "Starts Buildkite builds for pushes, tags and merge requests.",
        triggers: Triggers::of(&[Trigger::Push, Trigger::MergeRequest, Trigger::TagPush]),
        family: Family::Hook,
        common: CommonSettings { announce_result: true, ..CommonSettings::NONE },
    };
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let token = settings.webhook_token();
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !token.is_empty() && token.chars().all(is_word) {
            return Vec::new();
        }
        vec![FieldError::new("token", "must be two words with a colon between them, as Buildkite shows it")]
    }
}

impl Deliver for Buildkite {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        retry_ambiguous: false,
        concurrency: 4,
        calls: 1,
        limits: "5 events a second per pipeline (bursts of 20).",
        preview: Preview::Call,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        largest_body: forward::LARGEST_BODY,
        forwards: true,
        mentions: &[],
        answers: &[
            Expected { status: 200, headers: &[], body: r#"{"id":"0193"}"#, outcome: "taken" },
            Expected { status: 201, headers: &[], body: "", outcome: "taken" },
            Expected { status: 200, headers: &[], body: "{}", outcome: "taken" },
            Expected {
                status: 200,
                headers: &[],
                body: "<!doctype html><html>Log in</html>",
                outcome: "unavailable",
            },
            Expected { status: 400, headers: &[], body: r#"{"message":"Bad"}"#, outcome: "rejected" },
            Expected { status: 401, headers: &[], body: "", outcome: "unavailable" },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"message":"Not Found"}"#,
                outcome: "unavailable",
            },
            Expected {
                status: 429,
                headers: &[("ratelimit-reset", "41")],
                body: "",
                outcome: "throttled 41 s",
            },
            Expected {
                status: 429,
                headers: &[("retry-after", "7"), ("ratelimit-reset", "41")],
                body: "",
                outcome: "throttled 7 s",
            },
            Expected { status: 500, headers: &[], body: "", outcome: "unavailable, perhaps taken" },
            Expected { status: 503, headers: &[], body: "", outcome: "unavailable" },
        ],
        ..Contract::USUAL
    };

    fn targets(_settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        sending::unless_skipped(event)
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_PIPELINE;
        let address = deliver_url(settings);
        let parts = [address.as_str()];
        Pace::of(Bucket::new("buildkite pipeline", &parts, count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let request = forward::request(note, deliver_url(settings), settings.gitlab_event_header)?;
        Ok(Call::http(HttpRequest { timeout: TIMEOUT, ..request }, read))
    }
}

/// The header that contains the seconds until a limit ends (<https://buildkite.com/docs/apis/rest-api/limits>).
const LIMIT_ENDS: &str = "ratelimit-reset";

fn read(response: &HttpResponse) -> Answer<Sent> {
    answers::with_wait_of(LIMIT_ENDS, response, answers::of_trigger(response))
}

fn deliver_url(settings: &Settings) -> url::Url {
    let default = || url::Url::parse(WEBHOOKS).expect("the constant is an address");
    let base = settings.base_url.as_ref().map_or_else(default, |base| base.0.clone());
    below(&base, ["deliver", settings.webhook_token()])
}

impl Status for Buildkite {
    fn pace(settings: &Settings) -> Pace {
        let (count, burst) = PER_PIPELINE;
        let base = status_base(settings);
        let parts = [base.as_str(), settings.status_token()];
        Pace::of(Bucket::new("buildkite statuses", &parts, count, Duration::from_secs(1), burst))
    }

    fn status(settings: &Settings, commit: &BuiltCommit<'_>) -> Result<Call<CommitStatus>, Failure> {
        let token = settings.status_token();
        if token.is_empty() {
            let why =
                "token: its second part, after the colon, is missing, so Buildkite can't be asked for builds";
            return Err(Failure::Misconfigured(why.to_owned()));
        }
        let url = below(&status_base(settings), ["status", &format!("{token}.json")]);
        let url = with_parameter(url, "commit", commit.sha);
        let page = below(&statuses::public(&settings.project_url.0), ["builds"]);
        let page = with_parameter(page, "commit", commit.sha);
        // The certificate is always verified, as in GitLab.
        Ok(Call::http(statuses::question(url, true), move |response| {
            answers::with_wait_of(LIMIT_ENDS, response, statuses::by_word(response, &page))
        }))
    }
}

fn status_base(settings: &Settings) -> url::Url {
    let default = || url::Url::parse(STATUSES).expect("the constant is an address");
    settings.status_base_url.as_ref().map_or_else(default, |base| base.0.clone())
}

#[cfg(test)]
mod tests {
    use super::super::statuses::tests::{asked, made_of, request};
    use super::*;
    use crate::adapters::tests::{header, http_call, http_response, settings_with};
    use crate::call::Response;

    const REQUIRED: [(&str, &str); 2] =
        [("token", "hook:status"), ("project_url", "https://buildkite.com/a/b")];

    #[test]
    fn the_first_part_of_the_token_is_delivered_to() {
        let request = http_call("buildkite", &REQUIRED, Trigger::MergeRequest);
        assert_eq!(request.url.as_str(), "https://webhook.buildkite.com/deliver/hook");
        let own = [REQUIRED[0], REQUIRED[1], ("base_url", "http://bk.example/x/")];
        let request = http_call("buildkite", &own, Trigger::TagPush);
        assert_eq!(request.url.as_str(), "http://bk.example/x/deliver/hook");
    }

    #[test]
    fn certificates_are_verified_whatever_the_setting_says() {
        let off = [REQUIRED[0], REQUIRED[1], ("enable_ssl_verification", "false")];
        assert!(http_call("buildkite", &off, Trigger::Push).verify_tls);
    }

    #[test]
    fn the_events_own_name_is_sent_unless_gitlabs_header_is_asked_for() {
        let request = http_call("buildkite", &REQUIRED, Trigger::MergeRequest);
        assert_eq!(header(&request, "x-gitlab-event"), Some("Merge Request Hook"));
        let gitlabs = [REQUIRED[0], REQUIRED[1], ("gitlab_event_header", "service_hook")];
        let request = http_call("buildkite", &gitlabs, Trigger::MergeRequest);
        assert_eq!(header(&request, "x-gitlab-event"), Some("Service Hook"));
    }

    #[test]
    fn a_token_that_is_no_word_is_refused() {
        for token in [":status", "a/b:c", "..:x", "a b:c"] {
            let errors = settings_with("buildkite", &[("token", token), REQUIRED[1]]).unwrap_err();
            assert!(errors[0].starts_with("token: must be two words"), "{errors:?}");
        }
        assert!(settings_with("buildkite", &[("token", "alone"), REQUIRED[1]]).is_ok(), "GitLab takes it");
    }

    #[test]
    fn a_question_waits_until_the_limit_ends() {
        for (headers, seconds) in
            [(&[("ratelimit-reset", "41")][..], 41), (&[("retry-after", "7"), ("ratelimit-reset", "41")], 7)]
        {
            let response = Response::Http(http_response(429, headers, ""));
            match (asked("buildkite", &REQUIRED).read)(&response) {
                Answer::Failed(Failure::Throttled { wait, .. }) => {
                    assert_eq!(wait, Some(Duration::from_secs(seconds)));
                }
                _ => panic!("it is throttled"),
            }
        }
    }

    #[test]
    fn the_second_part_of_the_token_asks_for_a_commit() {
        let url = request("buildkite", &REQUIRED).url;
        assert_eq!(url.as_str(), "https://gitlab.buildkite.com/status/status.json?commit=cafe");
        let page = "https://buildkite.com/a/b/builds?commit=cafe";
        for (word, state) in
            [("passed", "success"), ("failed", "failed"), ("running", "running"), ("canceled", "canceled")]
        {
            let body = format!(r#"{{"status":"{word}"}}"#);
            assert_eq!(made_of("buildkite", &REQUIRED, 200, &body), format!("{state} {page}"));
        }
        let own = [REQUIRED[0], REQUIRED[1], ("status_base_url", "https://look.example/alike/")];
        assert_eq!(
            request("buildkite", &own).url.as_str(),
            "https://look.example/alike/status/status.json?commit=cafe"
        );
    }
}
