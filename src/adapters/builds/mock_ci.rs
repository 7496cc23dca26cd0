//! MockCI: a stand-in for a build service, for people who develop integrations
//! (`app/models/concerns/integrations/base/mock_ci.rb` in <https://gitlab.com/gitlab-org/gitlab>).
//!
//! Nothing is sent to it. It is asked for the status of every push.

use std::time::Duration;

use super::address::below;
use super::statuses;
use crate::adapters::contract::{About, Adapter, BuiltCommit, CommonSettings, Status};
use crate::call::{Answer, Bucket, Call, CommitStatus, Failure, Pace};
use crate::event::{Trigger, Triggers};
use crate::integration::Family;
use crate::settings::InternalUrl;

/// Our choice.
const PER_SERVER: (u32, u32) = (5, 10);

crate::settings! {
    /// What MockCI needs.
    pub struct Settings {
        /// The server's address. It may have a path. The operator must permit one in a private network in
        /// `wire.allow_networks`.
        pub mock_service_url: InternalUrl = "https://mock-ci.example.com",
        /// Whether the server's certificate is verified.
        pub enable_ssl_verification: bool = "true" or "true",
    }
}

/// The adapter.
pub struct MockCi;

impl Adapter for MockCi {
    const ABOUT: About = About {
        slug: "mock-ci",
        title: "MockCI",
        summary: "Asks a stand-in for a build service for the status of every push.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Hook,
        common: CommonSettings { announce_result: true, ..CommonSettings::NONE },
    };
    type Settings = Settings;
}

impl Status for MockCi {
    const LIMITS: &'static str = "5 questions a second per server (bursts of 10).";

    fn pace(settings: &Settings) -> Pace {
        let (count, burst) = PER_SERVER;
        let server = settings.mock_service_url.0.origin().ascii_serialization();
        Pace::of(Bucket::new("mock-ci server", &[&server], count, Duration::from_secs(1), burst))
    }

    fn status(settings: &Settings, commit: &BuiltCommit<'_>) -> Result<Call<CommitStatus>, Failure> {
        let address = |file: &str| {
            let path = commit.project.split('/').chain(["status", file]);
            below(&settings.mock_service_url.0, path)
        };
        let page = statuses::public(&address(commit.sha));
        let url = address(&format!("{}.json", commit.sha));
        let question = statuses::question(url, settings.enable_ssl_verification);
        Ok(Call::http(question, move |response| -> Answer<CommitStatus> {
            statuses::by_word_once_known(response, &page)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::statuses::tests::{made_of, request};

    const SERVER: [(&str, &str); 1] = [("mock_service_url", "http://u:p@mock.example/ci/")];

    #[test]
    fn the_status_of_a_commit_has_a_file_of_its_own() {
        let request = request("mock-ci", &SERVER);
        assert_eq!(request.url.as_str(), "http://u:p@mock.example/ci/team%20a/rocket/status/cafe.json");
    }

    #[test]
    fn its_words_are_read_in_both_spellings() {
        let page = "http://mock.example/ci/team%20a/rocket/status/cafe";
        for (word, state) in [
            ("running", "running"),
            ("pending", "pending"),
            ("not_found", "pending"),
            ("success", "success"),
            ("success-with-warnings", "success-with-warnings"),
            ("success_with_warnings", "success-with-warnings"),
            ("failed", "failed"),
            ("canceled", "canceled"),
            ("skipped", "skipped"),
        ] {
            let body = format!(r#"{{"status":"{word}"}}"#);
            assert_eq!(made_of("mock-ci", &SERVER, 200, &body), format!("{state} {page}"));
        }
        assert_eq!(made_of("mock-ci", &SERVER, 404, ""), "pending");
    }
}
