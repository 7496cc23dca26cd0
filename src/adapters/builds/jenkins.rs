//! Jenkins with the plug-in for GitLab: events are forwarded to a job (<https://plugins.jenkins.io/gitlab-plugin/>).
//!
//! The plug-in selects by `X-Gitlab-Event`. If it does not know the name, or the job has no trigger for it, the plug-in
//! does nothing and answers 200. Its own answers have no HTML.

use std::time::Duration;

use super::address::{below, is_dots, segments, with_login};
use super::answers;
use super::forward::{self, EventHeader};
use super::sending;
use super::statuses;
use crate::adapters::contract::{
    About, Adapter, BuiltCommit, CommonSettings, Deliver, Delivery, Login, Notification, Preview, Status,
    Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected};
use crate::call::{Answer, Call, CommitStatus, Failure, HttpRequest, HttpResponse, Pace, Sent};
use crate::event::{Event, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{FieldError, InternalUrl, Secret};

/// No rate is published; this value is our choice.
const PER_SERVER: (u32, u32) = (2, 5);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Words of the plug-in's refusals.
const SAYS: [&str; 3] = ["Invalid token", "Job/Build permission", "is not supported for this project"];

crate::settings! {
    /// What Jenkins needs.
    pub struct Settings {
        /// The server's address. It may have a path. The operator must permit one in a private network in
        /// `wire.allow_networks`.
        pub jenkins_url: InternalUrl = "https://jenkins.example.com",
        /// The job, with the folders that it is in: `Team A/Rocket`. It may be written as in a browser's address.
        pub project_name: String = "Team A/Rocket",
        /// The user that starts builds.
        pub username: Option<String> = "builder",
        /// The user's password or API token.
        pub password: Option<Secret> = "11d9f0c3b2a1e4",
        /// Whether the server's certificate is verified.
        pub enable_ssl_verification: bool = "true" or "true",
    }
}

/// The adapter.
pub struct Jenkins;

impl Adapter for Jenkins {
    const ABOUT: About = About {
        slug: "jenkins",
        title: "Jenkins",
        summary: "Starts Jenkins builds for pushes, tags and merge requests, through Jenkins' plug-in for GitLab.",
        triggers: Triggers::of(&[Trigger::Push, Trigger::MergeRequest, Trigger::TagPush]),
        family: Family::Hook,
        common: CommonSettings {
            announce_result: true,
            off_by_default: Triggers::of(&[Trigger::MergeRequest, Trigger::TagPush]),
            ..CommonSettings::NONE
        },
    };
    const LOGIN: Option<Login> = Some(Login { username: "username", password: "password" });
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let job = segments(&settings.project_name);
        if job.is_empty() || job.iter().any(|part| is_dots(part)) {
            errors.push(FieldError::new("project_name", "must be the name of a job, with its folders"));
        }
        if settings.password.is_some() && settings.username.is_none() {
            errors.push(FieldError::new("username", "can't be blank where `password` is set"));
        }
        errors
    }
}

impl Deliver for Jenkins {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        retry_ambiguous: false,
        concurrency: 2,
        calls: 1,
        limits: "2 events a second per server (bursts of 5).",
        preview: Preview::Call,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        largest_body: forward::LARGEST_BODY,
        forwards: true,
        mentions: &[],
        answers: &[
            // A job without a trigger for the event gives the same answer, so the two cases can't be distinguished.
            Expected { status: 200, headers: &[], body: "", outcome: "taken" },
            Expected {
                status: 200,
                headers: &[],
                body: "<!DOCTYPE html><html><head><title>Sign in",
                outcome: "unavailable",
            },
            Expected { status: 302, headers: &[("location", "/login")], body: "", outcome: "unavailable" },
            Expected { status: 401, headers: &[], body: "Invalid token", outcome: "misconfigured" },
            Expected {
                status: 401,
                headers: &[("x-jenkins", "2.479")],
                body: "<html>",
                outcome: "misconfigured",
            },
            Expected {
                status: 403,
                headers: &[],
                body: "builder is missing the Job/Build permission",
                outcome: "misconfigured",
            },
            Expected {
                status: 404,
                headers: &[("x-jenkins", "2.479")],
                body: "<html>Not Found",
                outcome: "misconfigured",
            },
            Expected { status: 404, headers: &[], body: "<html>Not Found", outcome: "unavailable" },
            Expected {
                status: 409,
                headers: &[],
                body: "Push Hook is not supported for this project",
                outcome: "rejected",
            },
            Expected {
                status: 500,
                headers: &[],
                body: "<html>Oops!",
                outcome: "unavailable, perhaps taken",
            },
            Expected { status: 502, headers: &[], body: "", outcome: "unavailable, perhaps taken" },
            Expected {
                status: 503,
                headers: &[],
                body: "<html>Jenkins is getting ready to work",
                outcome: "unavailable",
            },
        ],
        ..Contract::USUAL
    };

    fn targets(_settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        sending::unless_skipped(event)
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let login = (settings.username.as_deref(), settings.password.as_ref());
        answers::paced_by_login(
            ("jenkins login", "jenkins server"),
            &settings.jenkins_url.0,
            login,
            PER_SERVER,
        )
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let url = with_login(project(settings), settings.username.as_deref(), settings.password.as_ref());
        let request = forward::request(note, url, EventHeader::Real)?;
        let request =
            HttpRequest { timeout: TIMEOUT, verify_tls: settings.enable_ssl_verification, ..request };
        Ok(Call::http(request, |response| match refused_login(response) {
            Some(failure) => Answer::Failed(failure),
            None => answers::of_jenkins(response, &SAYS),
        }))
    }
}

/// The plug-in's address of the job.
fn project(settings: &Settings) -> url::Url {
    let job = segments(&settings.project_name);
    below(&settings.jenkins_url.0, std::iter::once("project").chain(job.iter().map(String::as_str)))
}

/// The plug-in answers with the build of a commit; its page redirects people to the build
/// (<https://github.com/jenkinsci/gitlab-plugin>, `StatusJsonAction`).
impl Status for Jenkins {
    fn pace(settings: &Settings) -> Pace {
        <Self as Deliver>::pace(settings, "")
    }

    fn status(settings: &Settings, commit: &BuiltCommit<'_>) -> Result<Call<CommitStatus>, Failure> {
        let page = below(&statuses::public(&project(settings)), ["builds", commit.sha]);
        let url = with_login(
            below(&project(settings), ["builds", commit.sha, "status.json"]),
            settings.username.as_deref(),
            settings.password.as_ref(),
        );
        let question = statuses::question(url, settings.enable_ssl_verification);
        Ok(Call::http(question, move |response| match refused_login(response) {
            Some(failure) => Answer::Failed(failure),
            None => statuses::by_word(response, &page),
        }))
    }
}

/// Jenkins itself refuses the login. What the plug-in refuses is its token.
fn refused_login(response: &HttpResponse) -> Option<Failure> {
    let is_own = response.status == 401 && response.header("x-jenkins").is_some();
    is_own.then(|| answers::login_refused(response))
}

#[cfg(test)]
mod tests {
    use super::super::statuses::tests::{made_of, request};
    use super::*;
    use crate::adapters::tests::{header, http_call, settings_with};

    fn called(url: &str, job: &str) -> String {
        let settings = [("jenkins_url", url), ("project_name", job)];
        http_call("jenkins", &settings, Trigger::Push).url.to_string()
    }

    #[test]
    fn a_job_is_found_in_its_folders_whatever_its_name() {
        for (job, path) in [
            ("rocket", "rocket"),
            ("Team A/My Job", "Team%20A/My%20Job"),
            ("Team%20A/My%20Job", "Team%20A/My%20Job"),
            ("multi/feature%252Fx", "multi/feature%252Fx"),
            ("100%", "100%25"),
            (" /a//b/ ", "a/b"),
            ("what?#now", "what%3F%23now"),
        ] {
            assert_eq!(called("https://j.example/ci/", job), format!("https://j.example/ci/project/{path}"));
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for job in ["..", "a/../b", "a/%2e%2E/b", "/", "./x"] {
            let settings = [("jenkins_url", "https://j.example"), ("project_name", job)];
            let errors = settings_with("jenkins", &settings).unwrap_err();
            assert_eq!(errors, ["project_name: must be the name of a job, with its folders"], "{job}");
        }
    }

    #[test]
    fn the_login_is_basic_authorisation_and_the_event_is_named() {
        let settings = [
            ("jenkins_url", "http://old:login@10.0.0.5:8080?x=y"),
            ("project_name", "rocket"),
            ("username", "ada@example.com"),
            ("password", "t:k/n"),
            ("enable_ssl_verification", "0"),
        ];
        let request = http_call("jenkins", &settings, Trigger::TagPush);
        assert_eq!(
            request.url.as_str(),
            "http://ada%40example.com:t%3Ak%2Fn@10.0.0.5:8080/project/rocket?x=y"
        );
        assert_eq!(header(&request, "x-gitlab-event"), Some("Tag Push Hook"));
        assert!(!request.verify_tls);
    }

    #[test]
    fn a_password_needs_a_user_and_a_user_needs_none() {
        let with = |more: (&'static str, &'static str)| {
            settings_with("jenkins", &[("jenkins_url", "https://j.example"), ("project_name", "r"), more])
        };
        assert_eq!(
            with(("password", "x")).unwrap_err(),
            ["username: can't be blank where `password` is set"]
        );
        assert!(with(("username", "ada")).is_ok());
    }

    #[test]
    fn the_plug_in_is_asked_for_a_commit_and_its_page_leads_to_the_build() {
        let settings = [
            ("jenkins_url", "http://jenkins.example/ci"),
            ("project_name", "Team A/Rocket"),
            ("username", "ada"),
            ("password", "x"),
        ];
        let page = "http://jenkins.example/ci/project/Team%20A/Rocket/builds/cafe";
        let url = request("jenkins", &settings).url;
        assert_eq!(url.as_str(), format!("{}/status.json", page.replace("//", "//ada:x@")));
        for (word, state) in [
            ("success", "success"),
            ("failed", "failed"),
            ("canceled", "canceled"),
            ("running", "running"),
            ("not_found", "pending"),
        ] {
            let body = format!(r#"{{"sha":"cafe","id":7,"status":"{word}"}}"#);
            assert_eq!(made_of("jenkins", &settings, 200, &body), format!("{state} {page}"));
        }
    }
}
