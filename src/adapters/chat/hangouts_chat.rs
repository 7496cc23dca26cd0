//! Google Chat, through incoming webhooks (<https://developers.google.com/workspace/chat/quickstart/webhooks>). GitLab's name
//! for it is its old one, Hangouts Chat.
//!
//! A message is a text, in Chat's own markup or in Markdown
//! (<https://developers.google.com/workspace/chat/format-messages>). All messages about one subject go to one thread.
//! Forgebell chooses the thread's key; a key belongs to the webhook that sets it
//! (<https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create>). Only spaces with a
//! name have threads; others show the messages one after the other. Every error is Google's own JSON, so an answer
//! without it is not Google's.

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
use crate::digest::Digest;
use crate::event::{Event, Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Limit, Markup};
use crate::settings::SecretUrl;

/// A message has 32,000 bytes, cards included; 4,096 characters was the limit of a text for years
/// (<https://developers.google.com/workspace/chat/limits>).
const TEXT: Limit = Limit::Chars(4000);
/// Our choice; Google only says that webhooks have further limits.
const PER_WEBHOOK: (u32, u32) = (1, 3);
/// "60 writes per 60 seconds" in a space, counted over all apps and webhooks in it
/// (<https://developers.google.com/workspace/chat/limits>). Other senders need some of it.
const PER_SPACE: (u32, Duration, u32) = (60, Duration::from_secs(60), 3);
/// Google permits keys of 4,000 characters. A name with more characters than this constant, or with unusual ones, is
/// replaced by a digest.
const LONGEST_KEY: usize = 1000;
/// A webhook that the service reports as unknown this often in a row was removed.
const CONFIRMATIONS: u8 = 3;

crate::settings! {
    /// What Google Chat needs.
    pub struct Settings {
        /// The address of a webhook of the space.
        pub webhook: SecretUrl = "https://chat.googleapis.com/v1/spaces/AAAAMBCDEFG/messages?key=AIzaSyDdI0hCZtE6vySjMm&token=zRQdoXP4WtlBTZ0xHWoNsGCMBCs",
        /// The markup of messages: `chat` (Google Chat's own) or `markdown`, which also shows lists, headings and escapes.
        pub markup_syntax: MarkupSyntax = "chat" or "chat",
    }
}

crate::choices! {
    /// The markup of a message.
    pub enum MarkupSyntax {
        Chat = "chat",
        Markdown = "markdown",
    }
}

impl MarkupSyntax {
    const fn markup(self) -> Markup {
        match self {
            Self::Chat => Markup::GoogleChat,
            Self::Markdown => Markup::Markdown,
        }
    }

    /// Google's name for it.
    const fn in_request(self) -> &'static str {
        match self {
            Self::Chat => "MARKUP_SYNTAX_CHAT",
            Self::Markdown => "MARKUP_SYNTAX_MARKDOWN",
        }
    }
}

/// The adapter.
pub struct HangoutsChat;

impl Adapter for HangoutsChat {
    const ABOUT: About = About {
        slug: "hangouts-chat",
        title: "Google Chat",
        summary: "Posts to a space of Google Chat through a webhook, all news of one subject in one thread.",
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

impl Deliver for HangoutsChat {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // Whether webhooks honour `requestId` is not documented. A duplicate message is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "1 message a second per webhook and space (bursts of 3), 60 a minute per space with all its other apps; texts \
                 are cut at 4,000 characters, descriptions and comments at 2,000 or 40 lines.",
        preview: Preview::Text { field: "text", markup: Markup::GoogleChat },
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        largest_body: 32_000,
        fault: |body| (!is_seen(&body["text"])).then_some("no text"),
        mentions: &["<users/"],
        status: |status| match status {
            // Google answers with the message.
            200..=299 => "unavailable",
            other => usual_status(other),
        },
        answers: &[
            Expected {
                status: 200,
                headers: &[],
                body: r#"{"name":"spaces/AAAA/messages/BBBB.BBBB","text":"x"}"#,
                outcome: "taken",
            },
            Expected { status: 200, headers: &[], body: "{}", outcome: "unavailable, perhaps taken" },
            Expected {
                status: 200,
                headers: &[],
                body: "<!doctype html><title>Sign in - Google Accounts</title>",
                outcome: "unavailable",
            },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"error":{"code":400,"message":"Message cannot be empty.","status":"INVALID_ARGUMENT"}}"#,
                outcome: "rejected",
            },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 401,
                headers: &[],
                body: r#"{"error":{"code":401,"message":"x","status":"UNAUTHENTICATED"}}"#,
                outcome: "gone 3",
            },
            Expected {
                status: 403,
                headers: &[],
                body: r#"{"error":{"code":403,"message":"x","status":"PERMISSION_DENIED"}}"#,
                outcome: "gone 3",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"error":{"code":404,"message":"x","status":"NOT_FOUND"}}"#,
                outcome: "gone 3",
            },
            Expected {
                status: 404,
                headers: &[],
                body: "<html><title>Error 404 (Not Found)!!1</title></html>",
                outcome: "unavailable",
            },
            Expected {
                status: 429,
                headers: &[],
                body: r#"{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}"#,
                outcome: "throttled, shared",
            },
            Expected {
                status: 429,
                headers: &[("retry-after", "30")],
                body: r#"{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}"#,
                outcome: "throttled 30 s, shared",
            },
            Expected {
                status: 503,
                headers: &[],
                body: r#"{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}"#,
                outcome: "unavailable",
            },
        ],
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let url = settings.webhook.expose();
        let (count, burst) = PER_WEBHOOK;
        let webhook =
            Bucket::new("google chat webhook", &[url.as_str()], count, Duration::from_secs(1), burst);
        // The path names the space; the query holds the credentials.
        let space = [&url.origin().ascii_serialization(), url.path()];
        let (count, per, burst) = PER_SPACE;
        Pace::of(webhook).and(Bucket::new("google chat space", &space, count, per, burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let (webhook, syntax) = (settings.webhook.expose(), settings.markup_syntax);
        let text = syntax.markup().render_within(&one_text(note.message()?), TEXT);
        let mut body = json!({ "text": text, "markupSyntax": syntax.in_request() });
        // An address with a key (in the old way) asks for all news in that one thread.
        if !has_parameter(webhook, "threadKey") {
            body["thread"] = json!({ "threadKey": thread_key(note.event) });
        }
        Ok(Call::http(HttpRequest::post_json(address(webhook, note.id), &body), read))
    }
}

fn has_parameter(url: &url::Url, name: &str) -> bool {
    url.query_pairs().any(|(key, _)| key == name)
}

/// The webhook's address, with what a message's own parameters add to it.
fn address(webhook: &url::Url, id: &str) -> url::Url {
    let mut url = webhook.clone();
    let mut add = |name: &str, value: &str| {
        if !has_parameter(webhook, name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    };
    // Without it, a message begins a new thread even if it has a key. If the thread is gone, it begins a new one.
    add("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD");
    // A repeated request with the same id makes no second message, where it is honoured.
    add("requestId", id);
    url
}

/// The key of the subject's thread. A webhook may serve several projects, so the key names the project or the group.
fn thread_key(event: &Event) -> String {
    let project = event.project.as_ref();
    let of_project = project.map(|project| match project.id {
        0 => project.path_with_namespace.to_string(),
        id => id.to_string(),
    });
    let of_group = || event.group.as_ref().map(|group| group.path.to_string());
    let place = of_project.or_else(of_group).unwrap_or_default();
    let key = format!("{place} {}", event.subject);
    let is_word = key.len() <= LONGEST_KEY && !key.contains(char::is_control);
    if is_word { key } else { Digest::of([key.as_bytes()]).hex(16) }
}

fn read(response: &HttpResponse) -> Answer<Sent> {
    let answer: Json = serde_json::from_str(&response.text()).unwrap_or_default();
    let error = &answer["error"];
    // Google's own errors repeat the HTTP status and name the error.
    let code = error["status"].as_str().filter(|_| error["code"] == response.status);
    match (response.status, code) {
        (_, Some(code)) => Answer::Failed(named(code, error, response)),
        (200..=299, None) if answer["name"].is_string() => Answer::Done(Sent),
        (200..=299, None) => Answer::Failed(unavailable(response, !is_page(response))),
        (_, None) => by_status(response),
    }
}

/// Google's error codes (<https://cloud.google.com/apis/design/errors#error_codes>).
fn named(code: &str, error: &Json, response: &HttpResponse) -> Failure {
    let (wait, why) = (response.retry_after(), describe(response));
    let reasons = error["details"].as_array().into_iter().flatten();
    let is_key_wrong = reasons.map(|detail| &detail["reason"]).any(|reason| reason == "API_KEY_INVALID");
    match code {
        _ if is_key_wrong => Failure::Misconfigured(why),
        // The space's quota, which its other webhooks use too.
        "RESOURCE_EXHAUSTED" => Failure::Throttled { wait, why, shared: true },
        "UNAUTHENTICATED" | "PERMISSION_DENIED" | "NOT_FOUND" => {
            Failure::Gone { why, confirmations: CONFIRMATIONS }
        }
        "UNAVAILABLE" | "INTERNAL" | "UNKNOWN" | "DEADLINE_EXCEEDED" | "ABORTED" | "CANCELLED" => {
            Failure::Unavailable { maybe_taken: false, wait, why }
        }
        _ => Failure::Rejected(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::{play, sample_buckets};
    use crate::event::sample;

    const WEBHOOK: &str = "https://chat.googleapis.com/v1/spaces/A/messages?key=a-key&token=a%2Dtoken";

    fn request(webhook: &str, syntax: &str, trigger: Trigger) -> (String, Json) {
        let settings = [("webhook", webhook), ("markup_syntax", syntax)];
        let played = play("hangouts-chat", &settings, trigger, &[]);
        (played.address(0).to_owned(), played.body(0).clone())
    }

    #[test]
    fn the_query_stays_as_it_was_given_and_asks_for_the_subjects_thread() {
        let (address, body) = request(WEBHOOK, "chat", Trigger::MergeRequest);
        assert!(
            address.starts_with(&format!(
                "POST {WEBHOOK}&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD&requestId="
            )),
            "{address}"
        );
        assert_eq!(body["thread"]["threadKey"], "42 merge_request:8");
    }

    #[test]
    fn comments_are_in_the_thread_of_what_they_are_about() {
        let key = |json: &str| {
            let id = crate::event::EventId::new("1").expect("an id");
            let event = Event::decode(id, jiff::Timestamp::UNIX_EPOCH, json.to_owned().into());
            thread_key(&event.expect("an event"))
        };
        let opened =
            key(r#"{"object_kind":"merge_request","user":{},"project":{"id":7,"path_with_namespace":"a/b"},
            "object_attributes":{"iid":3,"action":"open","state":"opened"}}"#);
        let note = key(r#"{"object_kind":"note","user":{},"project":{"id":7,"path_with_namespace":"a/b"},
            "merge_request":{"iid":3},"object_attributes":{"note":"x","noteable_type":"MergeRequest"}}"#);
        assert_eq!((opened.as_str(), note.as_str()), ("7 merge_request:3", "7 merge_request:3"));
    }

    #[test]
    fn a_long_key_is_a_digest() {
        let mut event = sample(Trigger::Push);
        event.subject = "ref:".to_owned() + &"x".repeat(5000);
        let key = thread_key(&event);
        assert_eq!(key.len(), 32);
        event.subject.push('y');
        assert_ne!(thread_key(&event), key);
    }

    #[test]
    fn an_address_with_a_thread_of_its_own_keeps_it() {
        let own = format!("{WEBHOOK}&threadKey=all&messageReplyOption=REPLY_MESSAGE_OR_FAIL");
        let (address, body) = request(&own, "chat", Trigger::Push);
        assert!(address.starts_with(&format!("POST {own}&requestId=")), "{address}");
        assert_eq!(body.get("thread"), None);
    }

    #[test]
    fn the_markup_is_named_and_used() {
        let (_, chat) = request(WEBHOOK, "chat", Trigger::Push);
        let (_, markdown) = request(WEBHOOK, "Markdown", Trigger::Push);
        let text = |body: &Json| body["text"].as_str().expect("a text").to_owned();
        assert_eq!(chat["markupSyntax"], "MARKUP_SYNTAX_CHAT");
        assert!(text(&chat).contains("<https://gitlab.example.com/acme/rocket|Acme / Rocket>"), "{chat}");
        assert_eq!(markdown["markupSyntax"], "MARKUP_SYNTAX_MARKDOWN");
        assert!(
            text(&markdown).contains("[Acme / Rocket](https://gitlab.example.com/acme/rocket)"),
            "{markdown}"
        );
    }

    #[test]
    fn webhooks_of_one_space_share_its_quota() {
        let keys = |webhook: &str| {
            let buckets = sample_buckets("hangouts-chat", &[("webhook", webhook)]);
            buckets.into_iter().map(|bucket| bucket.key.0.to_string()).collect::<Vec<_>>()
        };
        let (one, other) = (keys(WEBHOOK), keys(&WEBHOOK.replace("a-key", "another")));
        assert_ne!(one[0], other[0], "a webhook's failures do not hold another one");
        assert_eq!(one[1], other[1]);
        assert_ne!(one[1], keys(&WEBHOOK.replace("spaces/A", "spaces/B"))[1]);
    }
}
