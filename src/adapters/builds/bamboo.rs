//! Atlassian Bamboo: a push starts a build of one plan, by a GET that carries nothing of the event
//! (<https://docs.gitlab.com/user/project/integrations/bamboo/>).
//!
//! Bamboo answers in XML: `<response><success>…`, or an error. A page of HTML with status 200 is a login page.

use std::time::Duration;

use super::address::{below, both_or_neither, with_login, with_parameter};
use super::answers;
use super::sending;
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Login, Notification, Preview, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected};
use crate::call::{Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Method, Pace, Sent};
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
        /// The user that starts builds. Blank, together with the password: nobody logs in.
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
        common: CommonSettings::NONE,
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
                status: 403,
                headers: &[("content-type", "application/xml")],
                body: "<errors><error>builder has no permission to build this plan</error></errors>",
                outcome: "misconfigured",
            },
            Expected { status: 401, headers: &[], body: "", outcome: "unavailable" },
            Expected { status: 404, headers: &[], body: "<html>Not found</html>", outcome: "unavailable" },
            Expected { status: 429, headers: &[("retry-after", "20")], body: "", outcome: "throttled 20 s" },
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
        let (count, burst) = PER_SERVER;
        let server = settings.bamboo_url.0.origin().ascii_serialization();
        Pace::of(Bucket::new("bamboo server", &[&server], count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, _note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let url = below(&settings.bamboo_url.0, ["updateAndBuild.action"]);
        let mut url = with_parameter(url, "buildKey", settings.build_key.expose().trim());
        if settings.username.is_some() {
            url = with_parameter(url, "os_authType", "basic");
            url = with_login(url, settings.username.as_deref(), settings.password.as_ref());
        }
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
    // Atlassian's own word that a login failed.
    let failed_login = response.header("x-seraph-loginreason").is_some_and(|reason| reason != "OK");
    if matches!(response.status, 401 | 403) && failed_login {
        return answers::misconfigured(response);
    }
    answers::of_trigger(response)
}

/// The words of `<error>`.
fn error_in(xml: &str) -> Option<String> {
    let (_, rest) = xml.split_once("<error>")?;
    let (words, _) = rest.split_once("</error>")?;
    Some(words.chars().filter(|c| !c.is_control()).take(200).collect())
}

#[cfg(test)]
mod tests {
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
}
