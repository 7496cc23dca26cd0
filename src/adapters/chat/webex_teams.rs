//! Webex, through incoming webhooks (<https://apphub.webex.com/applications/incoming-webhooks-cisco-systems-38054-23307-75252>).
//!
//! A message is Markdown, and its length is limited in bytes. Errors are Webex's own JSON with a `trackingId`
//! (<https://developer.webex.com/docs/basics>); an answer without one is another's.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::one_text::one_text;
use crate::adapters::contract::{About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, is_seen, usual_status};
use crate::call::{
    Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Pace, Sent, by_status, describe, is_page,
    unavailable,
};
use crate::event::{Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Limit, Markup};
use crate::settings::{FieldError, SecretUrl};

/// The most that the API takes in one message, in bytes (<https://developer.webex.com/docs/api/v1/messages/create-a-message>).
const LONGEST: i64 = 7439;
/// Less would not hold a summary with its links.
const SHORTEST: i64 = 200;
/// No rate is published; this value is our choice.
const PER_WEBHOOK: (u32, u32) = (1, 3);
/// A webhook that the service reports as unknown this often in a row was removed.
const CONFIRMATIONS: u8 = 3;

crate::settings! {
    /// What Webex needs.
    pub struct Settings {
        /// The address of an incoming webhook.
        pub webhook: SecretUrl = "https://webexapis.com/v1/webhooks/incoming/Y2lzY29zcGFyazovL3VzL1dFQkhPT0svZjRl",
        /// The longest message in bytes, at most 7439. Some webhooks are said to take only 1000.
        pub longest_message: i64 = "1000" or "7439",
    }
}

/// The adapter.
pub struct WebexTeams;

impl Adapter for WebexTeams {
    const ABOUT: About = About {
        slug: "webex-teams",
        title: "Webex Teams",
        summary: "Posts to a space of Webex through an incoming webhook.",
        triggers: Triggers::of(&[
            Trigger::Push,
            Trigger::TagPush,
            Trigger::Issue,
            Trigger::ConfidentialIssue,
            Trigger::MergeRequest,
            Trigger::Note,
            Trigger::ConfidentialNote,
            Trigger::Pipeline,
            Trigger::WikiPage,
        ]),
        family: Family::Chat,
        common: CommonSettings {
            branches: Some("default"),
            only_broken_pipelines: true,
            ..CommonSettings::NONE
        },
    }
    .with_own_events();
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let is_in_range = (SHORTEST..=LONGEST).contains(&settings.longest_message);
        let error =
            || FieldError::new("longest_message", format!("must be from {SHORTEST} to {LONGEST} bytes"));
        if is_in_range { Vec::new() } else { vec![error()] }
    }
}

impl Deliver for WebexTeams {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // Webex has no idempotency key. A duplicate message is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "1 message a second per webhook (bursts of 3); messages are cut at 7,439 bytes, or at `longest_message`, \
                 descriptions and comments at 2,000 characters or 40 lines.",
        preview: Preview::Text { field: "markdown", markup: Markup::Markdown },
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // Quotation marks and backslashes are two bytes in JSON.
        largest_body: 2 * 7439 + 100,
        fault: |body| {
            let is_long = body["markdown"].as_str().is_some_and(|text| text.len() > 7439);
            if is_long { Some("too long") } else { (!is_seen(&body["markdown"])).then_some("no text") }
        },
        mentions: &["<@all", "<@person", "@all"],
        status: |status| match status {
            200 | 204 => "taken",
            201..=299 => "unavailable",
            other => usual_status(other),
        },
        answers: &[
            Expected { status: 204, headers: &[], body: "", outcome: "taken" },
            Expected { status: 200, headers: &[], body: r#"{"id":"Y2lz"}"#, outcome: "taken" },
            Expected { status: 200, headers: &[], body: "<html>Sign in</html>", outcome: "unavailable" },
            Expected { status: 202, headers: &[], body: "", outcome: "unavailable, perhaps taken" },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"message":"Unable to post message to room","errors":[],"trackingId":"ROUTER_1"}"#,
                outcome: "rejected",
            },
            Expected {
                status: 401,
                headers: &[],
                body: r#"{"message":"The request requires a valid access token","trackingId":"ROUTER_1"}"#,
                outcome: "gone 3",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"message":"Unable to get webhook","errors":[{"description":"x"}],"trackingId":"ROUTER_1"}"#,
                outcome: "gone 3",
            },
            Expected { status: 404, headers: &[], body: "<html>no</html>", outcome: "unavailable" },
            Expected {
                status: 415,
                headers: &[],
                body: r#"{"message":"x","trackingId":"ROUTER_1"}"#,
                outcome: "rejected",
            },
            Expected {
                status: 429,
                headers: &[("retry-after", "17")],
                body: r#"{"message":"x","trackingId":"ROUTER_1"}"#,
                outcome: "throttled 17 s",
            },
            Expected {
                status: 503,
                headers: &[],
                body: r#"{"message":"x","trackingId":"ROUTER_1"}"#,
                outcome: "unavailable",
            },
        ],
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_WEBHOOK;
        let url = settings.webhook.expose().as_str();
        Pace::of(Bucket::new("webex webhook", &[url], count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let longest = usize::try_from(settings.longest_message).unwrap_or_default();
        let text = Markup::Markdown.render_within(&one_text(note.message()?), Limit::Bytes(longest));
        let body = json!({ "markdown": text });
        Ok(Call::http(HttpRequest::post_json(settings.webhook.expose().clone(), &body), read))
    }
}

fn read(response: &HttpResponse) -> Answer<Sent> {
    let text = response.text();
    let answer: Json = serde_json::from_str(&text).unwrap_or_default();
    let is_own = answer["trackingId"].is_string();
    match response.status {
        200 | 204 if text.trim().is_empty() || answer.is_object() => Answer::Done(Sent),
        401 | 404 | 410 if is_own => {
            Answer::Failed(Failure::Gone { why: describe(response), confirmations: CONFIRMATIONS })
        }
        403 if is_own => Answer::Failed(Failure::Misconfigured(describe(response))),
        415 if is_own => Answer::Failed(Failure::Rejected(describe(response))),
        200..=299 => Answer::Failed(unavailable(response, !is_page(response))),
        _ => by_status(response),
    }
}

#[cfg(test)]
mod tests {
    use crate::adapters::tests::{errors, play};
    use crate::event::Trigger;

    const WEBHOOK: (&str, &str) = ("webhook", "https://webexapis.com/v1/webhooks/incoming/a-webhooks-name");

    #[test]
    fn only_markdown_is_sent_as_json() {
        let played = play("webex-teams", &[WEBHOOK], Trigger::Push, &[(204, "")]);
        assert_eq!(played.address(0), "POST https://webexapis.com/v1/webhooks/incoming/a-webhooks-name");
        assert_eq!(played.header(0, "content-type"), "application/json");
        let body = played.body(0).as_object().expect("an object");
        assert_eq!(body.keys().collect::<Vec<_>>(), ["markdown"]);
        assert_eq!(played.outcome, "taken");
    }

    #[test]
    fn a_message_is_cut_at_the_length_that_is_set_in_bytes() {
        let settings = [WEBHOOK, ("longest_message", "200")];
        let played = play("webex-teams", &settings, Trigger::Push, &[]);
        let text = played.body(0)["markdown"].as_str().expect("a text").to_owned();
        assert!((120..=200).contains(&text.len()) && text.ends_with('…'), "{text}");
        let range = "longest_message: must be from 200 to 7439 bytes";
        for wrong in ["199", "7440", "-1"] {
            assert_eq!(errors("webex-teams", &[WEBHOOK, ("longest_message", wrong)]), [range]);
        }
        assert_eq!(errors("webex-teams", &[("webhook", "webex")]), ["webhook: must be a valid URL"]);
    }
}
