//! TeamCity of `JetBrains`: a push or merge request queues a build of one configuration
//! (<https://www.jetbrains.com/help/teamcity/rest/start-and-cancel-builds.html>).
//!
//! The path `httpAuth` keeps TeamCity from answering with a redirect to its login page. TeamCity opens a session with a
//! cookie; it is not kept, since requests of a session would have to prove more (CSRF).

use std::time::Duration;

use super::address::{below, both_or_neither, with_login, with_parameter};
use super::answers;
use super::open_requests::{MOST_CALLS, unless_open};
use super::sending;
use super::statuses;
use crate::adapters::contract::{
    About, Adapter, BuiltCommit, CommonSettings, Deliver, Delivery, Login, Notification, Preview, Status,
    Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, usual_status};
use crate::call::{
    Answer, BuildState, Call, CommitStatus, Failure, HttpRequest, HttpResponse, Method, Pace, Sent, is_page,
    unavailable,
};
use crate::event::{Event, Payload, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{FieldError, Secret, Url};

/// No rate is published; this value is our choice.
const PER_SERVER: (u32, u32) = (1, 3);
const TIMEOUT: Duration = Duration::from_secs(30);

crate::settings! {
    /// What TeamCity needs.
    pub struct Settings {
        /// The server's address. It may have a path.
        pub teamcity_url: Url = "https://teamcity.example.com",
        /// The id of the build configuration.
        pub build_type: String = "Rocket_Build",
        /// The user that starts builds. Blank, together with the password: requests have no login.
        pub username: Option<String> = "builder",
        /// The user's password.
        pub password: Option<Secret> = "t3amcity-s3cret",
        /// Whether the server's certificate is verified.
        pub enable_ssl_verification: bool = "true" or "true",
    }
}

/// The adapter.
pub struct TeamCity;

impl Adapter for TeamCity {
    const ABOUT: About = About {
        slug: "teamcity",
        title: "JetBrains TeamCity",
        summary: "Queues TeamCity builds for pushes and merge requests.",
        triggers: Triggers::of(&[Trigger::Push, Trigger::MergeRequest]),
        family: Family::Hook,
        common: CommonSettings { announce_result: true, ..CommonSettings::NONE },
    };
    const LOGIN: Option<Login> = Some(Login { username: "username", password: "password" });
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        both_or_neither(settings.username.as_deref(), settings.password.as_ref())
    }
}

impl Deliver for TeamCity {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        retry_ambiguous: false,
        concurrency: 2,
        calls: MOST_CALLS,
        limits: "1 build a second per server (bursts of 3).",
        preview: Preview::Call,
    };

    const HEEDS_OPEN_REQUESTS: bool = true;

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        links_references: false,
        // The longest branch of the tests has a million characters, some of which are escaped.
        largest_body: 8_000_000,
        mentions: &[],
        status: |status| match status {
            200..=299 => "unavailable",
            other => usual_status(other),
        },
        answers: &[
            Expected {
                status: 200,
                headers: &[("set-cookie", "TCSESSIONID=1; Path=/")],
                body: r#"<?xml version="1.0"?><build id="71" buildTypeId="Rocket_Build" state="queued" branchName="main"/>"#,
                outcome: "taken",
            },
            Expected {
                status: 200,
                headers: &[],
                body: r#"{"id":71,"buildTypeId":"Rocket_Build","state":"queued"}"#,
                outcome: "taken",
            },
            Expected {
                status: 200,
                headers: &[],
                body: "<!DOCTYPE html><html><title>Log in to TeamCity",
                outcome: "unavailable",
            },
            Expected { status: 200, headers: &[], body: "{}", outcome: "unavailable, perhaps taken" },
            Expected {
                status: 302,
                headers: &[("location", "/login.html")],
                body: "",
                outcome: "unavailable",
            },
            Expected {
                status: 400,
                headers: &[],
                body: "Responding with error, status code: 400. Nothing to build",
                outcome: "rejected",
            },
            Expected {
                status: 404,
                headers: &[],
                body: "No build type nor template is found by id 'Rocket_Build'.",
                outcome: "misconfigured",
            },
            Expected {
                status: 400,
                headers: &[],
                body: "No build type nor template is found by id 'Rocket_Build'.",
                outcome: "misconfigured",
            },
            Expected {
                status: 401,
                headers: &[],
                body: "Incorrect username or password.",
                outcome: "misconfigured",
            },
            Expected {
                status: 403,
                headers: &[],
                body: "403 Forbidden: Responding with 403 status code due to failed CSRF check",
                outcome: "misconfigured",
            },
            Expected {
                status: 401,
                headers: &[("www-authenticate", "Basic realm=\"TeamCity\"")],
                body: "",
                outcome: "misconfigured",
            },
            Expected { status: 403, headers: &[], body: "<html>Blocked", outcome: "unavailable" },
            Expected { status: 500, headers: &[], body: "", outcome: "unavailable, perhaps taken" },
            Expected {
                status: 503,
                headers: &[],
                body: "<html>TeamCity is in maintenance",
                outcome: "unavailable",
            },
        ],
        // An answer of the forge without the project's own merge request, and one of TeamCity with a build.
        chain: &[(200, r#"[{"buildTypeId":"A_B"}]"#), (200, r#"{"buildTypeId":"A_B"}"#)],
        ..Contract::USUAL
    };

    fn targets(_settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        if is_of_fork(event) { Targets::none(OF_FORK) } else { sending::with_new_commits(event) }
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let login = (settings.username.as_deref(), settings.password.as_ref());
        let names = ("teamcity login", "teamcity server");
        answers::paced_by_login(names, &settings.teamcity_url.0, login, PER_SERVER)
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let branch = match &note.event.payload {
            Payload::Push(push) => push.short_ref(),
            Payload::MergeRequest(merge_request) => &merge_request.source_branch,
            _ => return Err(Failure::Rejected("only pushes and merge requests name a branch".to_owned())),
        };
        let url = below(&settings.teamcity_url.0, ["httpAuth", "app", "rest", "buildQueue"]);
        let url = with_login(url, settings.username.as_deref(), settings.password.as_ref());
        let request = HttpRequest {
            headers: vec![("content-type", "application/xml".to_owned())],
            body: build(branch, settings.build_type.trim()).into(),
            timeout: TIMEOUT,
            verify_tls: settings.enable_ssl_verification,
            ..HttpRequest::new(Method::Post, url)
        };
        Ok(unless_open(note, Call::http(request, read)))
    }
}

/// TeamCity answers with the build of the commit that it started last
/// (<https://www.jetbrains.com/help/teamcity/rest/buildlocator.html>).
impl Status for TeamCity {
    fn pace(settings: &Settings) -> Pace {
        <Self as Deliver>::pace(settings, "")
    }

    fn status(settings: &Settings, commit: &BuiltCommit<'_>) -> Result<Call<CommitStatus>, Failure> {
        let build_type = settings.build_type.trim().to_owned();
        // Parentheses keep a name with commas together. Without `any`, TeamCity leaves out builds that run, were canceled or
        // failed to start.
        let locator = format!(
            "buildType:(id:({build_type})),branch:unspecified:any,revision:{},running:any,canceled:any,failedToStart:any",
            commit.sha
        );
        let url = below(&settings.teamcity_url.0, ["httpAuth", "app", "rest", "builds", &locator]);
        let url = with_login(url, settings.username.as_deref(), settings.password.as_ref());
        let page = below(&statuses::public(&settings.teamcity_url.0), ["viewLog.html"]);
        let question = statuses::question(url, settings.enable_ssl_verification);
        Ok(Call::http(question, move |response| read_status(response, &page, &build_type)))
    }
}

/// A running build has the status SUCCESS as long as nothing failed in it, so the state comes first.
fn read_status(response: &HttpResponse, page: &url::Url, build_type: &str) -> Answer<CommitStatus> {
    if response.status == 404 {
        return statuses::not_yet();
    }
    if response.status == 401 && is_own_refusal(response, &response.text()) {
        return Answer::Failed(answers::login_refused(response));
    }
    let Some(build) = statuses::json(response) else { return statuses::not_understood(response) };
    let (state, status) =
        (build["state"].as_str().unwrap_or("finished"), build["status"].as_str().unwrap_or_default());
    let state = match (state, status) {
        ("queued", _) => BuildState::Pending,
        ("running", _) => BuildState::Running,
        _ if build["canceledInfo"].is_object() || status == "UNKNOWN" => BuildState::Canceled,
        (_, "SUCCESS") => BuildState::Success,
        (_, "FAILURE" | "ERROR") => BuildState::Failed,
        _ => return statuses::not_understood(response),
    };
    let mut page = page.clone();
    if let Some(id) = build["id"].as_i64() {
        page = with_parameter(page, "buildId", &id.to_string());
    }
    statuses::known(state, &with_parameter(page, "buildTypeId", build_type))
}

/// TeamCity has the project's repository alone. GitLab names the fork's branch nevertheless, and then the project's
/// branch of that name is built, if there is one. How TeamCity names the merge request's own ref depends on its
/// configuration; it can build them itself (<https://www.jetbrains.com/help/teamcity/pull-requests.html>).
fn is_of_fork(event: &Event) -> bool {
    // Where the project's number is not known, the branch may be its own.
    let project = event.project.as_ref().map(|project| project.id).filter(|id| *id > 0);
    match (&event.payload, project) {
        (Payload::MergeRequest(request), Some(project)) => request.is_from_fork_of(project),
        _ => false,
    }
}

const OF_FORK: &str = "the merge request comes from a fork, whose branches TeamCity does not have: its build feature \
                       `Pull Requests` can build it";

/// The build to queue.
fn build(branch: &str, build_type: &str) -> String {
    let (branch, build_type) = (attribute(branch), attribute(build_type));
    format!(r#"<build branchName="{branch}"><buildType id="{build_type}"/></build>"#)
}

/// A text as an attribute's value in XML 1.0. Characters that XML can't represent are left out; git allows none of them
/// in a branch's name.
fn attribute(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

/// TeamCity answers with the build that it queued. Without one, it is unknown whether there is one.
fn read(response: &HttpResponse) -> Answer<Sent> {
    let text = response.text();
    match response.status {
        200..=299 if text.contains("<build ") || text.contains("\"buildTypeId\"") => Answer::Done(Sent),
        200..=299 => Answer::Failed(unavailable(response, !is_page(response))),
        400 | 404 if text.contains("No build type") => answers::misconfigured(response),
        401 if is_own_refusal(response, &text) => Answer::Failed(answers::login_refused(response)),
        403 if is_own_refusal(response, &text) => answers::misconfigured(response),
        _ => answers::of_trigger(response),
    }
}

/// Whether TeamCity itself refuses the login or the session.
fn is_own_refusal(response: &HttpResponse, text: &str) -> bool {
    let realm = response.header("www-authenticate").unwrap_or_default();
    let says = ["Incorrect username or password", "CSRF", "Responding with error, status code: 403"];
    realm.contains("TeamCity") || says.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::super::statuses::tests::{made_of, request};
    use super::*;
    use serde_json::Value as Json;

    use crate::adapters::tests::{http_call, http_call_of, settings_with, targets_of_changed};
    use crate::event::sample;

    const SERVER: (&str, &str) = ("teamcity_url", "https://tc.example/ci/");
    const TYPE: (&str, &str) = ("build_type", "A_B");

    fn sent(request: &HttpRequest) -> String {
        String::from_utf8(request.body.to_vec()).expect("UTF-8")
    }

    #[test]
    fn a_merge_request_builds_its_source_branch_and_a_push_its_branch() {
        let request = http_call("teamcity", &[SERVER, TYPE], Trigger::MergeRequest);
        assert_eq!(request.url.as_str(), "https://tc.example/ci/httpAuth/app/rest/buildQueue");
        assert_eq!(sent(&request), r#"<build branchName="weather-first"><buildType id="A_B"/></build>"#);
        let request = http_call("teamcity", &[SERVER, TYPE], Trigger::Push);
        assert_eq!(sent(&request), r#"<build branchName="main"><buildType id="A_B"/></build>"#);
    }

    /// The project's branch of the same name has other commits.
    #[test]
    fn a_merge_request_of_a_fork_starts_no_build_of_the_projects_branch() {
        let from = |source: Json| {
            targets_of_changed("teamcity", &[SERVER, TYPE], Trigger::MergeRequest, |json| {
                json["object_attributes"]["source_project_id"] = source;
            })
        };
        let own = sample(Trigger::MergeRequest).project.expect("a project").id;
        assert_eq!(from((own + 1).into()), Targets::none(OF_FORK));
        for source in [own.into(), Json::Null] {
            assert_eq!(from(source), Targets::own());
        }
    }

    #[test]
    fn a_build_is_asked_for_by_its_configuration_and_commit() {
        let login =
            [("teamcity_url", "https://tc.example/ci/"), TYPE, ("username", "ada"), ("password", "x")];
        let request = request("teamcity", &login);
        assert_eq!(
            request.url.as_str(),
            "https://ada:x@tc.example/ci/httpAuth/app/rest/builds/buildType:(id:(A_B)),branch:unspecified:any,\
             revision:cafe,running:any,canceled:any,failedToStart:any"
        );
        let made = |status, body: &str| made_of("teamcity", &login, status, body);
        let page = "https://tc.example/ci/viewLog.html?buildId=71&buildTypeId=A_B";
        let build =
            |state: &str, status: &str| format!(r#"{{"id":71,"state":"{state}","status":"{status}"}}"#);
        assert_eq!(made(404, "No build found"), "pending");
        assert_eq!(made(200, &build("queued", "SUCCESS")), format!("pending {page}"));
        assert_eq!(made(200, &build("running", "SUCCESS")), format!("running {page}"));
        assert_eq!(made(200, &build("running", "FAILURE")), format!("running {page}"));
        assert_eq!(made(200, &build("finished", "SUCCESS")), format!("success {page}"));
        assert_eq!(made(200, &build("finished", "FAILURE")), format!("failed {page}"));
        assert_eq!(made(200, &build("finished", "UNKNOWN")), format!("canceled {page}"));
    }

    #[test]
    fn what_people_see_of_a_build_has_no_part_of_the_servers_query_or_login() {
        let settings = [("teamcity_url", "https://u:p@tc.example/?token=s3cret#x"), TYPE];
        assert_eq!(request("teamcity", &settings).url.query(), Some("token=s3cret"));
        let made = made_of("teamcity", &settings, 200, r#"{"id":71,"state":"queued"}"#);
        assert_eq!(made, "pending https://tc.example/viewLog.html?buildId=71&buildTypeId=A_B");
    }

    #[test]
    fn names_are_escaped() {
        let settings = [SERVER, ("build_type", "A\"'<&>")];
        let request = http_call_of("teamcity", &settings, Trigger::Push, |json| {
            json["ref"] = "refs/heads/a/<b>&\"c'\u{7}é".into();
        });
        assert_eq!(
            sent(&request),
            "<build branchName=\"a/&lt;b&gt;&amp;&quot;c'é\"><buildType id=\"A&quot;'&lt;&amp;&gt;\"/></build>"
        );
    }

    #[test]
    fn a_login_is_whole_or_none() {
        let errors = settings_with("teamcity", &[SERVER, TYPE, ("username", "ada")]).unwrap_err();
        assert_eq!(errors, ["password: can't be blank where `username` is set"]);
        let login =
            [SERVER, TYPE, ("username", "ada"), ("password", "x"), ("enable_ssl_verification", "false")];
        let request = http_call("teamcity", &login, Trigger::Push);
        assert_eq!((request.url.username(), request.url.password()), ("ada", Some("x")));
        assert!(!request.verify_tls);
    }
}
