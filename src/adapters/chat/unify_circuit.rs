//! Unify Circuit, through incoming webhooks. The service probably ended in 2024, but compatible servers may still
//! exist.
//!
//! The project is the subject of a message, and its text is Markdown, as GitLab sends it
//! (<https://docs.gitlab.com/user/project/integrations/unify_circuit/>). No limits and no error codes are
//! published, so that no answer proves an address dead.

use std::time::Duration;

use serde_json::json;

use super::one_text::one_text;
use crate::adapters::contract::{About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, is_seen};
use crate::call::{Bucket, Call, Failure, HttpRequest, Pace, Sent, by_status};
use crate::event::{Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Limit, Markup};
use crate::settings::SecretUrl;

/// No limit is published; this value is our choice.
const TEXT: Limit = Limit::Chars(2000);
/// About two lines.
const SUBJECT: Limit = Limit::Chars(250);
/// No rate is published; this value is our choice.
const PER_WEBHOOK: (u32, u32) = (1, 3);

crate::settings! {
    /// What Unify Circuit needs.
    pub struct Settings {
        /// The address of an incoming webhook.
        pub webhook: SecretUrl = "https://eu.yourcircuit.com/rest/v2/webhooks/incoming/8b54b4a6-0c52-4d4c-9b0a-5a9b6b2d0a4c",
    }
}

/// The adapter.
pub struct UnifyCircuit;

impl Adapter for UnifyCircuit {
    const ABOUT: About = About {
        slug: "unify-circuit",
        title: "Unify Circuit",
        summary: "Posts to a conversation of Unify Circuit through an incoming webhook.",
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
}

impl Deliver for UnifyCircuit {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // Unify Circuit has no idempotency key. A duplicate message is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "1 message a second per webhook (bursts of 3); texts are cut at 2,000 characters, subjects at 250.",
        preview: Preview::Text { field: "text", markup: Markup::Markdown },
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // 2,250 characters of four bytes.
        largest_body: 9_200,
        fault: |body| (!is_seen(&body["text"])).then_some("no text"),
        answers: &[
            Expected { status: 200, headers: &[], body: r#"{"convId":"x"}"#, outcome: "taken" },
            Expected { status: 204, headers: &[], body: "", outcome: "taken" },
            Expected { status: 200, headers: &[], body: "<html>Sign in</html>", outcome: "unavailable" },
            Expected { status: 400, headers: &[], body: r#"{"error":"x"}"#, outcome: "rejected" },
            // No error code is published, so these answers may not come from the service.
            Expected { status: 401, headers: &[], body: r#"{"error":"x"}"#, outcome: "unavailable" },
            Expected { status: 404, headers: &[], body: r#"{"error":"x"}"#, outcome: "unavailable" },
            Expected { status: 410, headers: &[], body: r#"{"error":"x"}"#, outcome: "unavailable" },
            Expected { status: 404, headers: &[], body: "<html>no</html>", outcome: "unavailable" },
            Expected { status: 403, headers: &[], body: "Forbidden", outcome: "unavailable" },
            Expected { status: 429, headers: &[("retry-after", "5")], body: "{}", outcome: "throttled 5 s" },
            Expected { status: 502, headers: &[], body: "<html>no</html>", outcome: "unavailable" },
        ],
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_WEBHOOK;
        let url = settings.webhook.expose().as_str();
        Pace::of(Bucket::new("circuit webhook", &[url], count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let message = note.message()?;
        let mut body =
            json!({ "text": Markup::Markdown.render_within(&one_text(message), TEXT), "markdown": true });
        if !message.project.full_name.is_empty() {
            body["subject"] = json!(Markup::Markdown.label(&message.project.full_name, SUBJECT));
        }
        Ok(Call::http(HttpRequest::post_json(settings.webhook.expose().clone(), &body), by_status))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::adapters::tests::play;
    use crate::event::Trigger;

    #[test]
    fn the_project_is_the_subject_and_the_body_is_labelled_as_json() {
        let webhook = "https://circuit.example.com/rest/v2/webhooks/incoming/1";
        let played = play("unify-circuit", &[("webhook", webhook)], Trigger::Note, &[(200, "{}")]);
        assert_eq!(played.address(0), format!("POST {webhook}"));
        assert_eq!(played.header(0, "content-type"), "application/json");
        let body = played.body(0);
        assert_eq!((&body["subject"], &body["markdown"]), (&json!("Acme / Rocket"), &json!(true)));
        assert_eq!(played.outcome, "taken");
    }
}
