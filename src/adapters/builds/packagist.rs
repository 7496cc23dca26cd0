//! Packagist: a push makes it read a PHP package again (<https://packagist.org/about#how-to-update-packages>).
//!
//! Packagist finds the package by the repository's addresses in the event, and answers 202. It queues one job for each
//! package, so a repetition does no harm.

use std::time::Duration;

use serde_json::Value as Json;

use super::address::{below, with_parameter};
use super::answers;
use super::forward::{self, EventHeader};
use crate::adapters::contract::{About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, usual_status};
use crate::call::{
    Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Pace, Sent, by_status, is_page, unavailable,
};
use crate::event::{Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{Secret, Url};

const DEFAULT_SERVER: &str = "https://packagist.org";
/// No rate is published; this value is our choice.
const PER_SERVER: (u32, u32) = (1, 5);
const TIMEOUT: Duration = Duration::from_secs(20);

crate::settings! {
    /// What Packagist needs.
    pub struct Settings {
        /// The name of a maintainer of the package.
        pub username: String = "ada",
        /// The maintainer's API token.
        pub token: Secret = "Kq2xXb7Vd0aR9wTn",
        /// The address of another server. Blank: packagist.org.
        pub server: Option<Url> = "https://packagist.example.com",
        /// The event's name in the header `X-Gitlab-Event`: `real` (the default), or `service_hook` as GitLab sends it.
        pub gitlab_event_header: EventHeader = "real" or "real",
    }
}

impl Settings {
    fn server(&self) -> url::Url {
        let default = || url::Url::parse(DEFAULT_SERVER).expect("the constant is an address");
        self.server.as_ref().map_or_else(default, |server| server.0.clone())
    }
}

/// The adapter.
pub struct Packagist;

impl Adapter for Packagist {
    const ABOUT: About = About {
        slug: "packagist",
        title: "Packagist",
        summary: "Has Packagist read a PHP package anew after pushes and tags.",
        triggers: Triggers::of(&[Trigger::Push, Trigger::MergeRequest, Trigger::TagPush]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    };
    type Settings = Settings;
}

impl Deliver for Packagist {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        retry_ambiguous: true,
        concurrency: 2,
        calls: 1,
        limits: "1 event a second per server (bursts of 5).",
        preview: Preview::Call,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        largest_body: forward::LARGEST_BODY,
        forwards: true,
        mentions: &[],
        status: |status| match status {
            202 => "taken",
            200..=299 => "unavailable",
            other => usual_status(other),
        },
        answers: &[
            Expected {
                status: 202,
                headers: &[],
                body: r#"{"status":"success","jobs":["5f1"]}"#,
                outcome: "taken",
            },
            Expected {
                status: 200,
                headers: &[],
                body: r#"{"status":"success"}"#,
                outcome: "unavailable, perhaps taken",
            },
            Expected { status: 200, headers: &[], body: "{}", outcome: "unavailable, perhaps taken" },
            Expected {
                status: 200,
                headers: &[],
                body: "<!DOCTYPE html><html>Sign in",
                outcome: "unavailable",
            },
            Expected { status: 202, headers: &[], body: "<html>Please wait", outcome: "unavailable" },
            Expected {
                status: 403,
                headers: &[],
                body: r#"{"status":"error","message":"Missing or invalid username/apiToken in request"}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"status":"error","message":"Could not find a package that matches this request (does user maintain the package?)"}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 406,
                headers: &[],
                body: r#"{"status":"error","message":"Could not parse payload repository URL"}"#,
                outcome: "rejected",
            },
            Expected { status: 403, headers: &[], body: "<html>Blocked", outcome: "unavailable" },
            Expected { status: 429, headers: &[("retry-after", "60")], body: "", outcome: "throttled 60 s" },
            Expected { status: 500, headers: &[], body: "", outcome: "unavailable" },
            Expected { status: 502, headers: &[], body: "", outcome: "unavailable" },
        ],
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_SERVER;
        let server = settings.server().origin().ascii_serialization();
        Pace::of(Bucket::new("packagist server", &[&server], count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let url = below(&settings.server(), ["api", "update-package"]);
        let url = with_parameter(url, "username", settings.username.trim());
        let url = with_parameter(url, "apiToken", settings.token.expose().trim());
        let request = forward::request(note, url, settings.gitlab_event_header)?;
        Ok(Call::http(HttpRequest { timeout: TIMEOUT, ..request }, read))
    }
}

/// Only 202 is a success. Another 2xx is not from Packagist, or from an unknown version of it.
fn read(response: &HttpResponse) -> Answer<Sent> {
    let answer: Json = serde_json::from_slice(&response.body).unwrap_or_default();
    let says_no = answer["status"] == "error" && answer["message"].is_string();
    match response.status {
        202 if !is_page(response) => Answer::Done(Sent),
        200..=299 => Answer::Failed(unavailable(response, !is_page(response))),
        401 | 403 | 404 if says_no => answers::misconfigured(response),
        406 if says_no => answers::rejected(response),
        _ => by_status(response),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::http_call;

    #[test]
    fn the_query_is_encoded_and_the_servers_slash_does_no_harm() {
        let with = |server: &'static str| {
            let settings = [("username", "ada & bob"), ("token", "a+b=c"), ("server", server)];
            http_call("packagist", &settings, Trigger::TagPush).url.to_string()
        };
        let query = "username=ada+%26+bob&apiToken=a%2Bb%3Dc";
        assert_eq!(with(""), format!("https://packagist.org/api/update-package?{query}"));
        assert_eq!(with("http://p.example/x/"), format!("http://p.example/x/api/update-package?{query}"));
    }
}
