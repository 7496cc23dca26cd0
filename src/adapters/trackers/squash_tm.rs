//! Squash TM: the events of issues, forwarded to the webhook of its plug-in `xsquash4gitlab`, which synchronizes its
//! requirements with them (`app/models/integrations/squash_tm.rb` in <https://gitlab.com/gitlab-org/gitlab>).
//!
//! GitLab names the event `issue Hook` in the header, in these letters, and a test `Test Configuration Hook`. The token
//! is in the address.

use std::time::Duration;

use crate::adapters::builds::forward;
use crate::adapters::contract::{About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected};
use crate::call::{Bucket, Call, Failure, HttpRequest, Pace, Sent, by_status};
use crate::event::{Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{FieldError, Secret, Url};

/// GitLab's limit, in characters.
const LONGEST_TOKEN: usize = 255;
/// No rate is published; this value is our choice.
const PER_SERVER: (u32, u32) = (2, 5);
const TIMEOUT: Duration = Duration::from_secs(15);

crate::settings! {
    /// What Squash TM needs.
    pub struct Settings {
        /// The address of the plug-in's webhook.
        pub url: Url = "https://squash.example.com/squash/plugin/xsquash4gitlab/webhook/issue",
        /// The token that the plug-in asks for. Blank: it asks for none.
        pub token: Option<Secret> = "squ4sh-t0ken",
    }
}

/// The adapter.
pub struct SquashTm;

impl Adapter for SquashTm {
    const ABOUT: About = About {
        slug: "squash-tm",
        title: "Squash TM",
        summary: "Forwards the events of issues to Squash TM, which updates its requirements.",
        triggers: Triggers::of(&[Trigger::Issue, Trigger::ConfidentialIssue]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    };
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let length = settings.token.as_ref().map_or(0, |token| token.expose().trim().chars().count());
        let error =
            || FieldError::new("token", format!("is too long (maximum is {LONGEST_TOKEN} characters)"));
        if length > LONGEST_TOKEN { vec![error()] } else { Vec::new() }
    }
}

impl Deliver for SquashTm {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        // A repeat does no harm, because it sends the same state of the issue.
        retry_ambiguous: true,
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
            Expected { status: 200, headers: &[], body: "", outcome: "taken" },
            Expected { status: 200, headers: &[], body: "{}", outcome: "taken" },
            Expected { status: 204, headers: &[], body: "", outcome: "taken" },
            Expected { status: 200, headers: &[], body: "<html>Squash TM: log in", outcome: "unavailable" },
            Expected {
                status: 302,
                headers: &[("location", "/squash/login")],
                body: "",
                outcome: "unavailable",
            },
            // Errors have no form that is known to be the plug-in's own.
            Expected { status: 401, headers: &[], body: "", outcome: "unavailable" },
            Expected { status: 403, headers: &[], body: r#"{"message":"x"}"#, outcome: "unavailable" },
            Expected { status: 400, headers: &[], body: r#"{"message":"x"}"#, outcome: "rejected" },
            Expected { status: 503, headers: &[], body: "", outcome: "unavailable" },
        ],
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_SERVER;
        let server = settings.url.0.origin().ascii_serialization();
        Pace::of(Bucket::new("squash server", &[&server], count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let mut url = settings.url.0.clone();
        url.set_fragment(None);
        if let Some(token) = &settings.token {
            url.query_pairs_mut().append_pair("token", token.expose().trim());
        }
        let name = if note.is_test { "Test Configuration Hook" } else { "issue Hook" };
        let request = forward::request_named(note, url, name)?;
        Ok(Call::http(HttpRequest { timeout: TIMEOUT, ..request }, by_status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::{errors, header, http_call, targets_of};

    const ADDRESS: (&str, &str) = ("url", "https://u:p%40@tm.example/hook/?a=b#c");

    #[test]
    fn issues_are_forwarded_with_gitlabs_own_name_of_the_event() {
        for trigger in [Trigger::Issue, Trigger::ConfidentialIssue] {
            let request = http_call("squash-tm", &[ADDRESS], trigger);
            let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
            assert_eq!(json(&request.body), json(&crate::event::sample(trigger).raw));
            assert_eq!(header(&request, "x-gitlab-event"), Some("issue Hook"));
            assert_eq!(request.url.as_str(), "https://u:p%40@tm.example/hook/?a=b");
            assert_eq!(targets_of("squash-tm", &[ADDRESS], trigger).send.len(), 1);
        }
    }

    #[test]
    fn the_token_is_a_parameter_of_the_address() {
        let with = |url: &'static str, token: &'static str| {
            http_call("squash-tm", &[("url", url), ("token", token)], Trigger::Issue).url.to_string()
        };
        assert_eq!(with("https://tm.example/hook", " t&k=n "), "https://tm.example/hook?token=t%26k%3Dn");
        assert_eq!(with("https://tm.example/hook?a=b", "t"), "https://tm.example/hook?a=b&token=t");
        assert_eq!(with("https://tm.example/hook", "  "), "https://tm.example/hook");
    }

    #[test]
    fn a_token_has_gitlabs_length() {
        let with = |length: usize| errors("squash-tm", &[ADDRESS, ("token", &"ü".repeat(length))]);
        assert!(with(255).is_empty());
        assert_eq!(with(256), ["token: is too long (maximum is 255 characters)"]);
    }
}
