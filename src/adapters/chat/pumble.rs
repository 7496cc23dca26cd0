//! Pumble, through incoming webhooks
//! (<https://pumble.com/help/integrations/add-pumble-apps/incoming-webhooks-for-pumble/>). A message is one text in Markdown.

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

/// "The maximum number of characters in a webhook is 10000".
const TEXT: Limit = Limit::Chars(10_000);
/// "one second per webhook"; the burst is our choice.
const PER_WEBHOOK: (u32, u32) = (1, 1);

crate::settings! {
    /// What Pumble needs.
    pub struct Settings {
        /// The address of an incoming webhook.
        pub webhook: SecretUrl = "https://api.pumble.com/workspaces/60a258a358a14a7515409f68/incomingWebhooks/postMessage/UiRMkd218gb15eAQCIP3aaAL",
    }
}

/// The adapter.
pub struct Pumble;

impl Adapter for Pumble {
    const ABOUT: About = About {
        slug: "pumble",
        title: "Pumble",
        summary: "Posts to a channel of Pumble through an incoming webhook.",
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

impl Deliver for Pumble {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // Pumble has no idempotency key. A duplicate message is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "1 message a second per webhook; texts are cut at 10,000 characters, descriptions and comments at 2,000 or \
                 40 lines.",
        preview: Preview::Text { field: "text", markup: Markup::Markdown },
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // 10,000 characters of four bytes.
        largest_body: 40_100,
        fault: |body| (!is_seen(&body["text"])).then_some("no text"),
        mentions: &["<<@", "<<!", "@channel", "@here", "@everyone", "@all"],
        answers: &[
            Expected { status: 200, headers: &[], body: "ok", outcome: "taken" },
            Expected { status: 200, headers: &[], body: "<html>Sign in</html>", outcome: "unavailable" },
            Expected { status: 400, headers: &[], body: r#"{"message":"x"}"#, outcome: "rejected" },
            // The form of errors is not published, so these answers may not come from the service.
            Expected { status: 403, headers: &[], body: r#"{"message":"x"}"#, outcome: "unavailable" },
            Expected { status: 404, headers: &[], body: r#"{"message":"x"}"#, outcome: "unavailable" },
            Expected { status: 404, headers: &[], body: "404 page not found", outcome: "unavailable" },
            Expected { status: 410, headers: &[], body: "<html>gone</html>", outcome: "unavailable" },
            Expected { status: 429, headers: &[("retry-after", "2")], body: "", outcome: "throttled 2 s" },
            Expected { status: 500, headers: &[], body: "", outcome: "unavailable" },
        ],
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_WEBHOOK;
        let url = settings.webhook.expose().as_str();
        Pace::of(Bucket::new("pumble webhook", &[url], count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let body = json!({ "text": Markup::Markdown.render_within(&one_text(note.message()?), TEXT) });
        Ok(Call::http(HttpRequest::post_json(settings.webhook.expose().clone(), &body), by_status))
    }
}

#[cfg(test)]
mod tests {
    use crate::adapters::tests::play;
    use crate::event::Trigger;

    #[test]
    fn only_a_text_is_sent() {
        let webhook = "https://api.pumble.com/workspaces/1/incomingWebhooks/postMessage/2";
        let played = play("pumble", &[("webhook", webhook)], Trigger::Issue, &[(200, "")]);
        assert_eq!(played.address(0), format!("POST {webhook}"));
        let body = played.body(0).as_object().expect("an object");
        assert_eq!(body.keys().collect::<Vec<_>>(), ["text"]);
        let text = body["text"].as_str().expect("a text");
        assert!(text.contains("](https://gitlab.example.com/acme/rocket/-/issues/17)"), "{text}");
        assert_eq!(played.outcome, "taken");
    }
}
