//! Drone: events are forwarded to the server's hook (<https://docs.gitlab.com/user/project/integrations/>, Drone).
//!
//! GitLab sends the token in the query. Drone 1 and later compare the header `X-Gitlab-Token` with the repository's
//! secret instead, so the token goes both ways. Drone answers 200 to events that it ignores, with an empty body.

use std::time::Duration;

use serde_json::Value as Json;

use super::address::{below, with_parameter};
use super::answers;
use super::forward::{self, EventHeader};
use super::open_requests::{MOST_CALLS, unless_open};
use super::sending;
use super::statuses;
use crate::adapters::contract::{
    About, Adapter, BuiltCommit, CommonSettings, Deliver, Delivery, Notification, Preview, Status, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, usual_status};
use crate::call::{Answer, Bucket, Call, CommitStatus, Failure, HttpRequest, HttpResponse, Pace, Sent};
use crate::event::{Event, Project, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{FieldError, Secret, Url};

/// No rate is published; this value is our choice.
const PER_SERVER: (u32, u32) = (2, 5);
const TIMEOUT: Duration = Duration::from_secs(30);

crate::settings! {
    /// What Drone needs.
    pub struct Settings {
        /// The repository's token: for Drone 1 and later its signing secret.
        pub token: Secret = "p0kzb2Aq7Xv4",
        /// A user's token, which Drone 1 and later want for the status of builds. Blank: the status is asked for as of Drone
        /// before 1.0, with the repository's token.
        pub status_token: Option<Secret> = "u53r-t0ken",
        /// The server's address, or its whole hook address where that ends in `/hook`: `https://drone.example.com/api/hook`
        /// for Drone before 0.9.
        pub drone_url: Url = "https://drone.example.com",
        /// Whether the server's certificate is verified.
        pub enable_ssl_verification: bool = "true" or "true",
        /// The event's name in the header `X-Gitlab-Event`: `real` (the default), or `service_hook` as GitLab sends it,
        /// which Drone 1 and later ignore.
        pub gitlab_event_header: EventHeader = "real" or "real",
    }
}

/// The adapter.
pub struct DroneCi;

impl Adapter for DroneCi {
    const ABOUT: About = About {
        slug: "drone-ci",
        title: "Drone",
        summary: "Starts Drone builds for pushes, tags and merge requests.",
        triggers: Triggers::of(&[Trigger::Push, Trigger::MergeRequest, Trigger::TagPush]),
        family: Family::Hook,
        common: CommonSettings { announce_result: true, ..CommonSettings::NONE },
    };
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        if settings.token.expose().trim().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Vec::new();
        }
        vec![FieldError::new("token", "must consist of ASCII letters, digits and signs without spaces")]
    }
}

impl Deliver for DroneCi {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        retry_ambiguous: false,
        concurrency: 2,
        calls: MOST_CALLS,
        limits: "2 events a second per server (bursts of 5).",
        preview: Preview::Call,
    };

    const HEEDS_OPEN_REQUESTS: bool = true;

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        largest_body: forward::LARGEST_BODY,
        forwards: true,
        mentions: &[],
        status: |status| match status {
            200..=299 => "skipped",
            other => usual_status(other),
        },
        answers: &[
            Expected {
                status: 200,
                headers: &[],
                body: r#"[{"id":7,"number":3,"status":"pending"}]"#,
                outcome: "taken",
            },
            Expected { status: 200, headers: &[], body: r#"{"id":7,"number":3}"#, outcome: "taken" },
            Expected { status: 200, headers: &[], body: "null\n", outcome: "skipped" },
            Expected { status: 200, headers: &[], body: "[]", outcome: "skipped" },
            Expected { status: 204, headers: &[], body: "", outcome: "skipped" },
            Expected { status: 200, headers: &[], body: "<html>Sign in</html>", outcome: "unavailable" },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"message":"Invalid or missing signature"}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"message":"invalid character"}"#,
                outcome: "rejected",
            },
            Expected { status: 401, headers: &[], body: "", outcome: "unavailable" },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"message":"sql: no rows in result set"}"#,
                outcome: "misconfigured",
            },
            Expected { status: 500, headers: &[], body: "", outcome: "unavailable, perhaps taken" },
            Expected { status: 503, headers: &[("retry-after", "9")], body: "", outcome: "unavailable" },
        ],
        // An answer of the forge without the project's own merge request, and one of Drone with a build.
        chain: &[(200, r#"[{"id":7}]"#), (200, r#"[{"id":7}]"#)],
        ..Contract::USUAL
    };

    fn targets(_settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        sending::with_new_commits(event)
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_SERVER;
        let server = settings.drone_url.0.origin().ascii_serialization();
        Pace::of(Bucket::new("drone server", &[&server], count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let token = settings.token.expose().trim();
        let url = hook_url(settings, note.event.project.as_ref(), token);
        let mut request = forward::request(note, url, settings.gitlab_event_header)?;
        request.headers.push(("x-gitlab-token", token.to_owned()));
        let request =
            HttpRequest { timeout: TIMEOUT, verify_tls: settings.enable_ssl_verification, ..request };
        Ok(unless_open(note, Call::http(request, read)))
    }
}

/// The hook, with the path of the project's group or user and its own. Drone 1 and later find them in the event, so an event
/// without them goes out too.
fn hook_url(settings: &Settings, project: Option<&Project>, token: &str) -> url::Url {
    let given = &settings.drone_url.0;
    let is_hook = given.path().trim_end_matches('/').ends_with("/hook");
    let mut url = below(given, (!is_hook).then_some("hook"));
    if let Some((owner, name)) = project.and_then(|project| project.path_with_namespace.rsplit_once('/')) {
        url = with_parameter(url, "owner", owner);
        url = with_parameter(url, "name", name);
    }
    with_parameter(url, "access_token", token)
}

fn read(response: &HttpResponse) -> Answer<Sent> {
    let body = response.text();
    let started_nothing = matches!(body.trim(), "" | "null" | "[]" | "{}");
    let says = |words: &str| body.to_lowercase().contains(words);
    match response.status {
        200..=299 if started_nothing => {
            let why = "Drone took the event and started no build: the repository is not active there, or it ignores \
                       such events";
            Answer::Skipped(why.to_owned())
        }
        400 if says("signature") => answers::misconfigured(response),
        // The words of Drone's store for a repository that it does not know.
        404 if says("no rows in result set") => answers::misconfigured(response),
        _ => answers::of_trigger(response),
    }
}

impl Status for DroneCi {
    fn pace(settings: &Settings) -> Pace {
        <Self as Deliver>::pace(settings, "")
    }

    fn status(settings: &Settings, commit: &BuiltCommit<'_>) -> Result<Call<CommitStatus>, Failure> {
        let server = server(settings);
        Ok(match &settings.status_token {
            Some(token) => by_list(settings, &server, token, commit),
            None => by_commit(settings, &server, commit),
        })
    }
}

/// The server's address, where the settings may have that of its hook.
fn server(settings: &Settings) -> url::Url {
    let mut server = settings.drone_url.0.clone();
    let path = server.path().trim_end_matches('/').to_owned();
    if let Some(before) = path.strip_suffix("/hook") {
        server.set_path(before.strip_suffix("/api").unwrap_or(before));
    }
    server
}

/// Drone before 1.0 (`app/models/integrations/drone_ci.rb` in <https://gitlab.com/gitlab-org/gitlab>).
fn by_commit(settings: &Settings, server: &url::Url, commit: &BuiltCommit<'_>) -> Call<CommitStatus> {
    let address = |server: &url::Url, words: &[&str]| {
        let path = std::iter::once("gitlab").chain(commit.project.split('/')).chain(words.iter().copied());
        with_parameter(below(server, path.chain(["commits", commit.sha])), "branch", commit.ref_name)
    };
    let page = address(&statuses::public(server), &["redirect"]);
    let url = with_parameter(address(server, &[]), "access_token", settings.token.expose().trim());
    let question = statuses::question(url, settings.enable_ssl_verification);
    Call::http(question, move |response| statuses::by_word(response, &page))
}

/// Drone 1 and later: the newest build of the commit among the repository's last builds
/// (<https://docs.drone.io/api/builds/build_list/>).
fn by_list(
    settings: &Settings,
    server: &url::Url,
    token: &Secret,
    commit: &BuiltCommit<'_>,
) -> Call<CommitStatus> {
    let path = ["api", "repos"].into_iter().chain(commit.project.split('/')).chain(["builds"]);
    let mut question = statuses::question(below(server, path), settings.enable_ssl_verification);
    question.headers.push(("authorization", format!("Bearer {}", token.expose().trim())));
    let (sha, repository) =
        (commit.sha.to_owned(), below(&statuses::public(server), commit.project.split('/')));
    Call::http(question, move |response| {
        let Some(Json::Array(builds)) = statuses::json(response) else {
            return statuses::not_understood(response);
        };
        let of_commit = builds.iter().filter(|build| build["after"].as_str() == Some(&*sha));
        let Some(build) = of_commit.max_by_key(|build| build["number"].as_i64()) else {
            return statuses::not_yet();
        };
        let state = build["status"].as_str().and_then(statuses::word);
        let page = build["number"].as_i64().map(|number| below(&repository, [number.to_string().as_str()]));
        match state {
            Some(state) => statuses::known(state, page.as_ref().unwrap_or(&repository)),
            None => statuses::not_understood(response),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::statuses::tests::{made_of, request};
    use super::*;
    use crate::adapters::tests::{header, http_call, http_call_of, settings_with};

    fn settings<'a>(url: &'a str, token: &'a str) -> [(&'static str, &'a str); 2] {
        [("drone_url", url), ("token", token)]
    }

    fn called(url: &str) -> String {
        http_call("drone-ci", &settings(url, "a"), Trigger::Push).url.to_string()
    }

    #[test]
    fn the_hook_is_below_the_address_or_is_the_address() {
        let query = "owner=acme&name=rocket&access_token=a";
        assert_eq!(called("https://d.example"), format!("https://d.example/hook?{query}"));
        assert_eq!(called("https://d.example/ci/"), format!("https://d.example/ci/hook?{query}"));
        assert_eq!(called("https://d.example/hook"), format!("https://d.example/hook?{query}"));
        assert_eq!(called("https://d.example/api/hook/"), format!("https://d.example/api/hook?{query}"));
        assert_eq!(called("https://u:p@d.example/?x=1"), format!("https://u:p@d.example/hook?x=1&{query}"));
    }

    #[test]
    fn names_and_tokens_are_encoded_and_the_token_is_sent_both_ways() {
        let request =
            http_call_of("drone-ci", &settings("https://d.example", "t%&k="), Trigger::Push, |json| {
                json["project"]["path_with_namespace"] = "Team A/sub%20/100% rocket".into();
            });
        assert_eq!(
            request.url.query(),
            Some("owner=Team+A%2Fsub%2520&name=100%25+rocket&access_token=t%25%26k%3D")
        );
        assert_eq!(header(&request, "x-gitlab-token"), Some("t%&k="));
        assert_eq!(header(&request, "x-gitlab-event"), Some("Push Hook"));
    }

    #[test]
    fn a_token_that_no_header_can_contain_is_refused() {
        let errors = settings_with("drone-ci", &settings("https://d.example", "näh")).unwrap_err();
        assert_eq!(errors, ["token: must consist of ASCII letters, digits and signs without spaces"]);
    }

    #[test]
    fn drone_before_1_is_asked_with_the_repositorys_token_which_no_page_contains() {
        let settings = settings("https://d.example/api/hook", "t0k");
        let url = request("drone-ci", &settings).url;
        assert_eq!(
            url.as_str(),
            "https://d.example/gitlab/team%20a/rocket/commits/cafe?branch=feature%2Fx&access_token=t0k"
        );
        let page = "https://d.example/gitlab/team%20a/rocket/redirect/commits/cafe?branch=feature%2Fx";
        for (word, state) in
            [("killed", "canceled"), ("failure", "failed"), ("error", "failed"), ("running", "running")]
        {
            let body = format!(r#"{{"status":"{word}"}}"#);
            assert_eq!(made_of("drone-ci", &settings, 200, &body), format!("{state} {page}"));
        }
    }

    #[test]
    fn drone_from_1_on_is_asked_with_a_users_token_and_the_newest_build_of_the_commit_counts() {
        let settings = [&settings("https://d.example", "t0k")[..], &[("status_token", "us3r")]].concat();
        let request = request("drone-ci", &settings);
        assert_eq!(request.url.as_str(), "https://d.example/api/repos/team%20a/rocket/builds");
        assert_eq!(header(&request, "authorization"), Some("Bearer us3r"));
        let builds = r#"[{"number":4,"after":"beef","status":"success"},
            {"number":2,"after":"cafe","status":"failure"},{"number":3,"after":"cafe","status":"running"}]"#;
        assert_eq!(
            made_of("drone-ci", &settings, 200, builds),
            "running https://d.example/team%20a/rocket/3"
        );
        assert_eq!(made_of("drone-ci", &settings, 200, "[]"), "pending");
    }
}
