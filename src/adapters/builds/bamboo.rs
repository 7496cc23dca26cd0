//! Atlassian Bamboo: a push starts a build of one plan, by a GET that carries nothing of the event
//! (<https://docs.gitlab.com/user/project/integrations/bamboo/>).
//!
//! Bamboo answers in XML: `<response><success>…`, or an error. A page of HTML with status 200 is a login page.

use std::time::Duration;

use serde_json::Value as Json;

use super::address::{below, both_or_neither, with_login, with_parameter};
use super::answers;
use super::sending;
use super::statuses;
use crate::adapters::contract::{
    About, Adapter, BuiltCommit, CommonSettings, Deliver, Delivery, Login, Notification, Preview, Status,
    Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected};
use crate::call::{
    Answer, BuildState, Call, CommitStatus, Failure, HttpRequest, HttpResponse, Method, Pace, Sent,
};
use crate::event::{Event, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{FieldError, Secret, Url};

/// No rate is published; this value is our choice.
const PER_SERVER: (u32, u32) = (1, 3);
const TIMEOUT: Duration = Duration::from_secs(30);

crate::settings! {
    /// What Bamboo needs.
    pub struct Settings {
        /// The server's address. It may have a path.
        pub bamboo_url: Url = "https://bamboo.example.com",
        /// The key of the plan to build.
        pub build_key: Secret = "PROJECT-PLAN",
        /// The user that starts builds. Blank, together with the password: requests have no login.
        pub username: Option<String> = "builder",
        /// The user's password.
        pub password: Option<Secret> = "bamb00-s3cret",
        /// Whether the server's certificate is verified.
        pub enable_ssl_verification: bool = "true" or "true",
    }
}

/// The adapter.
pub struct Bamboo;

impl Adapter for Bamboo {
    const ABOUT: About = About {
        slug: "bamboo",
        title: "Atlassian Bamboo",
        summary: "Starts a build of a Bamboo plan for every push.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Hook,
        common: CommonSettings { announce_result: true, ..CommonSettings::NONE },
    };
    const LOGIN: Option<Login> = Some(Login { username: "username", password: "password" });
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        both_or_neither(settings.username.as_deref(), settings.password.as_ref())
    }
}

impl Deliver for Bamboo {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        retry_ambiguous: false,
        concurrency: 2,
        calls: 1,
        limits: "1 build a second per server (bursts of 3).",
        preview: Preview::Call,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        links_references: false,
        largest_body: 1,
        mentions: &[],
        answers: &[
            Expected {
                status: 200,
                headers: &[],
                body: "<response><success>A build of Rocket was triggered by remote http call.</success></response>",
                outcome: "taken",
            },
            Expected { status: 200, headers: &[], body: "", outcome: "taken" },
            Expected {
                status: 200,
                headers: &[("content-type", "application/xml")],
                body: "<?xml version=\"1.0\"?><response><error>Could not find any plan with that key</error></response>",
                outcome: "misconfigured",
            },
            Expected {
                status: 200,
                headers: &[("content-type", "text/html;charset=UTF-8")],
                body: "\n<!DOCTYPE html><html><form action=\"/userlogin.action\">",
                outcome: "unavailable",
            },
            Expected {
                status: 401,
                headers: &[("x-seraph-loginreason", "AUTHENTICATED_FAILED")],
                body: "<html>",
                outcome: "misconfigured",
            },
            Expected {
                status: 401,
                headers: &[("x-seraph-loginreason", "AUTHENTICATION_DENIED")],
                body: "<html>",
                outcome: "operator_error",
            },
            Expected {
                status: 403,
                headers: &[("content-type", "application/xml")],
                body: "<errors><error>builder has no permission to build this plan</error></errors>",
                outcome: "misconfigured",
            },
            Expected { status: 401, headers: &[], body: "", outcome: "unavailable" },
            Expected { status: 404, headers: &[], body: "<html>Not found</html>", outcome: "unavailable" },
            Expected { status: 429, headers: &[("retry-after", "20")], body: "", outcome: "throttled 20 s" },
            Expected {
                status: 303,
                headers: &[("location", "/browse/PROJECT-PLAN-12")],
                body: "",
                outcome: "unavailable, perhaps taken",
            },
            Expected {
                status: 302,
                headers: &[("location", "/browse/PROJECT-PLAN-12")],
                body: "",
                outcome: "unavailable, perhaps taken",
            },
            Expected {
                status: 303,
                headers: &[("location", "/userlogin.action?os_destination=x")],
                body: "",
                outcome: "unavailable",
            },
            Expected { status: 500, headers: &[], body: "", outcome: "unavailable, perhaps taken" },
            Expected { status: 502, headers: &[], body: "", outcome: "unavailable, perhaps taken" },
            Expected { status: 503, headers: &[], body: "", outcome: "unavailable" },
            Expected { status: 504, headers: &[], body: "", outcome: "unavailable, perhaps taken" },
        ],
        ..Contract::USUAL
    };

    fn targets(_settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        sending::unless_skipped(event)
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let login = (settings.username.as_deref(), settings.password.as_ref());
        answers::paced_by_login(("bamboo login", "bamboo server"), &settings.bamboo_url.0, login, PER_SERVER)
    }

    fn call(settings: &Settings, _note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let url = below(&settings.bamboo_url.0, ["updateAndBuild.action"]);
        let url = with_parameter(url, "buildKey", settings.build_key.expose().trim());
        let url = logged_in(url, settings);
        let request = HttpRequest {
            timeout: TIMEOUT,
            verify_tls: settings.enable_ssl_verification,
            ..HttpRequest::new(Method::Get, url)
        };
        Ok(Call::http(request, read))
    }
}

/// An error is in XML, and comes with status 200 too. Other pages are not Bamboo's answer.
fn read(response: &HttpResponse) -> Answer<Sent> {
    let text = response.text();
    if response.status == 200 && text.contains("<success>") && text.contains("<response>") {
        return Answer::Done(Sent);
    }
    if let Some(error) = error_in(&text).filter(|_| response.status < 500) {
        let why = format!("answered {}: {error}", response.status);
        return Answer::Failed(Failure::Misconfigured(why));
    }
    login_refused(response).map_or_else(|| answers::of_trigger(response), Answer::Failed)
}

/// Atlassian's own word that a login failed.
fn login_refused(response: &HttpResponse) -> Option<Failure> {
    let reason = response.header("x-seraph-loginreason").filter(|reason| *reason != "OK")?;
    if !matches!(response.status, 401 | 403) {
        return None;
    }
    if !reason.contains("AUTHENTICATION_DENIED") {
        return Some(answers::login_refused(response));
    }
    let why = "Bamboo takes no login of this user until a person has logged in with a browser and answered its CAPTCHA";
    Some(Failure::OperatorError(why.to_owned()))
}

/// The words of `<error>`.
fn error_in(xml: &str) -> Option<String> {
    let (_, rest) = xml.split_once("<error>")?;
    let (words, _) = rest.split_once("</error>")?;
    Some(words.chars().filter(|c| !c.is_control()).take(200).collect())
}

/// The address with the login, if there is one, and with the parameter that makes Bamboo use it.
fn logged_in(url: url::Url, settings: &Settings) -> url::Url {
    if settings.username.is_none() {
        return url;
    }
    let url = with_parameter(url, "os_authType", "basic");
    with_login(url, settings.username.as_deref(), settings.password.as_ref())
}

/// Bamboo lists the builds of a commit, of all plans
/// (`app/models/concerns/integrations/base/bamboo.rb` in <https://gitlab.com/gitlab-org/gitlab>).
impl Status for Bamboo {
    fn pace(settings: &Settings) -> Pace {
        <Self as Deliver>::pace(settings, "")
    }

    fn status(settings: &Settings, commit: &BuiltCommit<'_>) -> Result<Call<CommitStatus>, Failure> {
        let path = ["rest", "api", "latest", "result", "byChangeset", commit.sha];
        let url = logged_in(below(&settings.bamboo_url.0, path), settings);
        let browse = below(&statuses::public(&settings.bamboo_url.0), ["browse"]);
        let plan = settings.build_key.expose().trim().to_owned();
        let question = statuses::question(url, settings.enable_ssl_verification);
        Ok(Call::http(question, move |response| read_status(response, &browse, &plan)))
    }
}

/// The last build of the plan, or of the plan of a branch, whose key is the plan's with a number.
fn read_status(response: &HttpResponse, browse: &url::Url, plan: &str) -> Answer<CommitStatus> {
    if response.status == 404 {
        return statuses::not_yet();
    }
    if let Some(failure) = login_refused(response) {
        return Answer::Failed(failure);
    }
    let Some(json) = statuses::json(response) else { return statuses::not_understood(response) };
    let Some(results) = json.get("results") else { return statuses::not_understood(response) };
    let results = match &results["result"] {
        Json::Array(results) => results.iter().collect(),
        Json::Object(_) => vec![&results["result"]],
        _ => Vec::new(),
    };
    let mut of_plan =
        results.into_iter().filter_map(|result| Some((result, result["planResultKey"]["key"].as_str()?)));
    let Some((result, key)) = of_plan.rfind(|(_, key)| is_of_plan(key, plan)) else {
        return statuses::not_yet();
    };
    let state = result["buildState"].as_str().unwrap_or_default();
    let state = match result["lifeCycleState"].as_str().unwrap_or_default() {
        "Queued" | "Pending" => BuildState::Pending,
        "InProgress" => BuildState::Running,
        "NotBuilt" => BuildState::Canceled,
        _ if state.contains("Success") => BuildState::Success,
        _ if state.contains("Failed") => BuildState::Failed,
        _ if state.contains("Pending") => BuildState::Pending,
        _ => return statuses::not_understood(response),
    };
    statuses::known(state, &below(browse, [key]))
}

/// Whether a result's key (`PROJECT-PLAN-12`, of a branch `PROJECT-PLAN3-12`) is of this plan.
fn is_of_plan(key: &str, plan: &str) -> bool {
    let plan_of_result = key.rsplit_once('-').map_or(key, |(plan, _)| plan);
    let branch = plan_of_result.get(plan.len()..);
    let begins = plan_of_result.get(..plan.len()).is_some_and(|start| start.eq_ignore_ascii_case(plan));
    begins && branch.is_some_and(|branch| branch.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::super::statuses::tests::{made_of, request};
    use super::*;
    use crate::adapters::tests::{http_call, settings_with};

    const PUSH: Trigger = Trigger::Push;

    #[test]
    fn the_plan_is_named_in_the_address_and_nothing_else_is_sent() {
        let base = [("bamboo_url", "https://bamboo.example/ci/?os=x"), ("build_key", "A&B C")];
        let request = http_call("bamboo", &base, PUSH);
        assert_eq!(
            request.url.as_str(),
            "https://bamboo.example/ci/updateAndBuild.action?os=x&buildKey=A%26B+C"
        );
        assert!(request.body.is_empty() && request.verify_tls);
    }

    #[test]
    fn a_login_is_basic_authorisation_and_asks_for_it() {
        let login = [
            ("bamboo_url", "https://bamboo.example"),
            ("build_key", "A-B"),
            ("username", "ada"),
            ("password", "p@ss"),
            ("enable_ssl_verification", "false"),
        ];
        let request = http_call("bamboo", &login, PUSH);
        assert_eq!(
            request.url.as_str(),
            "https://ada:p%40ss@bamboo.example/updateAndBuild.action?buildKey=A-B&os_authType=basic"
        );
        assert!(!request.verify_tls);
    }

    #[test]
    fn half_of_a_login_is_refused() {
        let base = [("bamboo_url", "https://bamboo.example"), ("build_key", "A-B")];
        let errors = |more: (&str, &str)| settings_with("bamboo", &[base[0], base[1], more]).unwrap_err();
        assert_eq!(errors(("username", "ada")), ["password: can't be blank where `username` is set"]);
        assert_eq!(errors(("password", "x")), ["username: can't be blank where `password` is set"]);
        assert!(settings_with("bamboo", &base).is_ok());
    }

    #[test]
    fn an_error_is_quoted_without_its_markup() {
        let body = "<response><error>No plan &amp; no build</error></response>".to_owned();
        let at = jiff::Timestamp::UNIX_EPOCH;
        let response = HttpResponse { status: 200, headers: Vec::new(), body: body.into(), at };
        let Answer::Failed(failure) = read(&response) else { panic!("taken") };
        assert_eq!(failure.to_string(), "misconfigured: answered 200: No plan &amp; no build");
    }

    #[test]
    fn the_last_build_of_the_plan_counts_and_no_other_plans() {
        let settings = [("bamboo_url", "https://b.example/ci"), ("build_key", "PRO-PLAN")];
        let url = request("bamboo", &settings).url;
        assert_eq!(url.as_str(), "https://b.example/ci/rest/api/latest/result/byChangeset/cafe");
        let made = |body: &str| made_of("bamboo", &settings, 200, body);
        let result = |key: &str, state: &str, cycle: &str| {
            format!(
                r#"{{"planResultKey":{{"key":"{key}"}},"buildState":"{state}","lifeCycleState":"{cycle}"}}"#
            )
        };
        let list =
            |results: &[String]| format!(r#"{{"results":{{"size":1,"result":[{}]}}}}"#, results.join(","));
        let done = |key: &str, state: &str| result(key, state, "Finished");
        let page = "https://b.example/ci/browse/";
        assert_eq!(made(&list(&[])), "pending");
        assert_eq!(made(&list(&[done("PRO-PLAN-12", "Successful")])), format!("success {page}PRO-PLAN-12"));
        assert_eq!(made(&list(&[done("PRO-PLAN3-2", "Failed")])), format!("failed {page}PRO-PLAN3-2"));
        assert_eq!(made(&list(&[done("PRO-PLANET-2", "Failed"), done("OTHER-X-1", "Failed")])), "pending");
        let again = [done("PRO-PLAN-1", "Failed"), result("PRO-PLAN-2", "Unknown", "InProgress")];
        assert_eq!(made(&list(&again)), format!("running {page}PRO-PLAN-2"));
        let single = format!(r#"{{"results":{{"result":{}}}}}"#, done("PRO-PLAN-1", "Failed"));
        assert_eq!(made(&single), format!("failed {page}PRO-PLAN-1"));
        assert_eq!(made_of("bamboo", &settings, 404, ""), "pending");
    }
}
