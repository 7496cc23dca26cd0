//! Telegram, through a bot (<https://core.telegram.org/bots/api#sendmessage>).
//!
//! Messages are HTML with a few tags. A request that Telegram does not understand is repeated once as text without markup,
//! so that a message in an unusual form is seen rather than lost; only errors that name the chat or the bot are final. A
//! group that became a supergroup has a new id, which the answer names; the message follows it. Every answer is JSON with
//! `ok`, so an answer without it is not Telegram's.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

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
use crate::settings::{FieldError, Secret, Url};

/// 4,096 characters after the markup is read. We count the markup too.
const TEXT: Limit = Limit::Utf16(4096);
/// "avoid sending more than one message per second" in a chat, and "20 messages per minute" to a group
/// (<https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>).
const PER_CHAT: (u32, Duration, u32) = (1, Duration::from_secs(1), 3);
const PER_GROUP: (u32, Duration, u32) = (20, Duration::from_secs(60), 3);
/// "30 messages per second" of one bot.
const PER_BOT: (u32, Duration, u32) = (30, Duration::from_secs(1), 30);

crate::settings! {
    /// What Telegram needs.
    pub struct Settings {
        /// The token of the bot.
        pub token: Secret = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw4",
        /// The chat: its number (negative for a group), or `@` and the name of a public group or channel.
        pub room: String = "@forge_news",
        /// The number of a topic in a group that has topics.
        pub thread: Option<i64> = "7",
        /// The address of a bot API server of your own.
        pub hostname: Url = "https://telegram.example.com" or "https://api.telegram.org",
    }
}

/// The adapter.
pub struct Telegram;

impl Adapter for Telegram {
    const ABOUT: About = About {
        slug: "telegram",
        title: "Telegram",
        summary: "Sends messages to a chat, group or channel of Telegram through a bot.",
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
            Trigger::Incident,
        ]),
        family: Family::Chat,
        common: CommonSettings {
            branches: Some("default"),
            only_broken_pipelines: true,
            only_status_changes: true,
            ..CommonSettings::NONE
        },
    }
    .with_own_events();
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_');
        if !settings.token.expose().trim().bytes().all(is_token_byte) {
            errors.push(FieldError::new(
                "token",
                "must be as BotFather shows it: a number, a colon, and letters, digits, `-` and `_`",
            ));
        }
        let room = settings.room.trim();
        let is_number = room.parse::<i64>().is_ok();
        let is_name = room.strip_prefix('@').is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        if !is_number && !is_name {
            errors.push(FieldError::new(
                "room",
                "must be a chat's number, or `@` and the name of a public one",
            ));
        }
        if settings.thread.is_some_and(|thread| thread < 1) {
            errors.push(FieldError::new("thread", "must be a topic's number, 1 or more"));
        }
        errors
    }
}

impl Deliver for Telegram {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // Telegram has no idempotency key. A duplicate message is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        // The first, one to the group's new id, one without markup.
        calls: 3,
        limits: "1 message a second per chat (bursts of 3), 20 a minute per group, 30 a second per bot; messages are cut at \
                 4,096 characters, descriptions and comments at 2,000 or 40 lines.",
        preview: Preview::Text { field: "text", markup: Markup::Telegram },
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // 4,096 UTF-16 units are at most three bytes each; quotation marks are entities.
        largest_body: 13_000,
        fault: |body| (!is_seen(&body["text"])).then_some("no text"),
        mentions: &[],
        status: |status| match status {
            // Telegram answers with JSON.
            200..=299 => "unavailable",
            other => usual_status(other),
        },
        answers: &[
            Expected { status: 200, headers: &[], body: r#"{"ok":true,"result":{}}"#, outcome: "taken" },
            Expected { status: 200, headers: &[], body: "<html>Sign in</html>", outcome: "unavailable" },
            Expected { status: 200, headers: &[], body: "", outcome: "unavailable, perhaps taken" },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"ok":false,"error_code":400,"description":"Bad Request: can't parse entities: x"}"#,
                outcome: "next call",
            },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-100123}}"#,
                outcome: "next call",
            },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"ok":false,"error_code":400,"description":"Bad Request: message thread not found"}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 401,
                headers: &[],
                body: r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 403,
                headers: &[],
                body: r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked from the group chat"}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"ok":false,"error_code":404,"description":"Not Found"}"#,
                outcome: "misconfigured",
            },
            Expected { status: 404, headers: &[], body: "<html>no</html>", outcome: "unavailable" },
            Expected {
                status: 429,
                headers: &[],
                body: r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}"#,
                outcome: "throttled 35 s",
            },
            Expected {
                status: 429,
                headers: &[("retry-after", "9")],
                body: r#"{"ok":false,"error_code":429,"description":"Too Many Requests"}"#,
                outcome: "throttled 9 s",
            },
            Expected {
                status: 502,
                headers: &[],
                body: r#"{"ok":false,"error_code":502,"description":"Bad Gateway"}"#,
                outcome: "unavailable",
            },
        ],
        chain: &[
            (
                400,
                r#"{"ok":false,"error_code":400,"description":"Bad Request: can't parse entities: unsupported tag"}"#,
            ),
            (200, r#"{"ok":true,"result":{"message_id":1}}"#),
        ],
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (host, token, room) = (host(settings), settings.token.expose().trim(), settings.room.trim());
        // A person's chat has a positive number.
        let limit = if room.parse::<i64>().is_ok_and(|id| id > 0) { PER_CHAT } else { PER_GROUP };
        let per = |kind, parts: &[&str], (count, per, burst)| Bucket::new(kind, parts, count, per, burst);
        Pace::of(per("telegram chat", &[&host, token, room], limit)).and(per(
            "telegram bot",
            &[&host, token],
            PER_BOT,
        ))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let text = one_text(note.message()?);
        let mut body = Map::new();
        body.insert("chat_id".to_owned(), json!(settings.room.trim()));
        if let Some(thread) = settings.thread {
            body.insert("message_thread_id".to_owned(), json!(thread));
        }
        body.insert("text".to_owned(), json!(Markup::Telegram.render_within(&text, TEXT)));
        body.insert("parse_mode".to_owned(), json!("HTML"));
        // A preview would show the forge's login page.
        body.insert("link_preview_options".to_owned(), json!({ "is_disabled": true }));
        let plain = Some(Markup::Quiet.render_within(&text, TEXT));
        Ok(Message { url: address(settings), body, plain, may_move: true }.call())
    }
}

fn host(settings: &Settings) -> String {
    settings.hostname.0.origin().ascii_serialization()
}

/// The address that messages are sent to. The token is a part of it.
fn address(settings: &Settings) -> url::Url {
    let mut url = settings.hostname.0.clone();
    url.set_query(None);
    url.set_fragment(None);
    let bot = format!("bot{}", settings.token.expose().trim());
    let mut path = url.path_segments_mut().expect("an http address has a path");
    path.pop_if_empty().extend([bot.as_str(), "sendMessage"]);
    drop(path);
    url
}

/// A message on its way, and what may be changed in it yet.
struct Message {
    url: url::Url,
    body: Map<String, Json>,
    /// The text without markup, until it is sent.
    plain: Option<String>,
    /// Whether the chat's new id was not followed yet.
    may_move: bool,
}

impl Message {
    fn call(self) -> Call<Sent> {
        let request = HttpRequest::post_json(self.url.clone(), &Json::Object(self.body.clone()));
        Call::http(request, move |response| self.read(response))
    }

    fn read(mut self, response: &HttpResponse) -> Answer<Sent> {
        let Ok(said) = serde_json::from_str::<Said>(&response.text()) else {
            return match response.status {
                200..=299 => Answer::Failed(unavailable(response, !is_page(response))),
                _ => by_status(response),
            };
        };
        if said.ok {
            return Answer::Done(Sent);
        }
        let why = describe(response);
        match said.error_code.unwrap_or(response.status) {
            400 => {
                if let (Some(id), true) = (said.parameters.migrate_to_chat_id, self.may_move) {
                    self.may_move = false;
                    self.body.insert("chat_id".to_owned(), json!(id));
                    return Answer::Next(self.call());
                }
                if is_final(&said.description) {
                    return Answer::Failed(Failure::Misconfigured(why));
                }
                let Some(plain) = self.plain.take() else { return Answer::Failed(Failure::Rejected(why)) };
                self.body.insert("text".to_owned(), json!(plain));
                self.body.remove("parse_mode");
                Answer::Next(self.call())
            }
            // The token is wrong, or the bot may not write in the chat.
            401 | 403 | 404 => Answer::Failed(Failure::Misconfigured(why)),
            429 => {
                let named = said.parameters.retry_after.map(Duration::from_secs);
                let wait = named.or_else(|| response.retry_after());
                // The answer does not say whether the limit of the chat or of the bot is reached. The chat's limit is
                // much lower.
                Answer::Failed(Failure::Throttled { wait, why, shared: false })
            }
            _ => Answer::Failed(unavailable(response, false)),
        }
    }
}

/// Whether an error of status 400 names the chat or the bot's rights in it: without markup it would be the same
/// (`Client::fail_query_with_error` and the errors of `sendMessage` in
/// <https://github.com/tdlib/telegram-bot-api/blob/master/telegram-bot-api/Client.cpp>).
fn is_final(description: &str) -> bool {
    const NAMED: [&str; 9] = [
        "chat not found",
        "message thread not found",
        "topic_closed",
        "chat_id is empty",
        "user not found",
        "peer_id_invalid",
        "chat_write_forbidden",
        "not enough rights",
        "have no rights to send",
    ];
    let description = description.to_lowercase();
    NAMED.iter().any(|named| description.contains(named))
}

/// An answer of the bot API.
#[derive(Deserialize)]
struct Said {
    ok: bool,
    error_code: Option<u16>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Parameters,
}

/// <https://core.telegram.org/bots/api#responseparameters>
#[derive(Default, Deserialize)]
struct Parameters {
    migrate_to_chat_id: Option<i64>,
    /// In seconds.
    retry_after: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::{Played, errors, play, sample_buckets};

    const OK: (u16, &str) = (200, r#"{"ok":true,"result":{}}"#);
    const UNREADABLE: (u16, &str) =
        (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: can't parse entities"}"#);
    const MOVED: (u16, &str) = (
        400,
        r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded","parameters":{"migrate_to_chat_id":-1001}}"#,
    );

    fn with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut settings = vec![("token", "123456:ABC-def_1"), ("room", "-42")];
        settings.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        settings.extend(more);
        settings
    }

    fn played(more: &[(&str, &str)], answers: &[(u16, &str)]) -> Played {
        play("telegram", &with(more), Trigger::Push, answers)
    }

    #[test]
    fn the_token_is_in_the_path_and_blank_settings_are_not_sent() {
        let bare = played(&[], &[OK]);
        assert_eq!(bare.address(0), "POST https://api.telegram.org/bot123456:ABC-def_1/sendMessage");
        assert_eq!(bare.outcome, "taken");
        let body = bare.body(0);
        assert_eq!((&body["chat_id"], &body["parse_mode"]), (&json!("-42"), &json!("HTML")));
        assert_eq!(body.get("message_thread_id"), None);
        let own = played(&[("hostname", "https://bots.example/below/?x=y"), ("thread", "7")], &[]);
        assert_eq!(own.address(0), "POST https://bots.example/below/bot123456:ABC-def_1/sendMessage");
        assert_eq!(own.body(0)["message_thread_id"], 7);
    }

    #[test]
    fn what_is_not_understood_is_sent_once_more_as_text() {
        let played = played(&[], &[UNREADABLE, OK]);
        let (html, plain) = (played.body(0), played.body(1));
        assert!(html["text"].as_str().is_some_and(|text| text.contains("<a href=")), "{html}");
        assert_eq!(plain.get("parse_mode"), None);
        let text = plain["text"].as_str().expect("a text");
        assert!(
            !text.contains("<a href=") && text.contains("https://gitlab.example.com/acme/rocket"),
            "{text}"
        );
        assert_eq!(played.outcome, "taken");
    }

    #[test]
    fn text_that_is_refused_too_is_rejected() {
        let played = played(&[], &[UNREADABLE, UNREADABLE]);
        assert_eq!((played.requests.len(), played.outcome.as_str()), (2, "rejected"));
    }

    #[test]
    fn the_new_id_of_a_group_is_followed_once() {
        let moved = played(&[], &[MOVED, UNREADABLE, OK]);
        let ids: Vec<&Json> = (0..3).map(|index| &moved.body(index)["chat_id"]).collect();
        assert_eq!(ids, [&json!("-42"), &json!(-1001), &json!(-1001)]);
        assert_eq!(moved.outcome, "taken");
        let circle = played(&[], &[MOVED, MOVED, MOVED]);
        assert_eq!((circle.requests.len(), circle.outcome.as_str()), (3, "rejected"), "it ends");
    }

    #[test]
    fn errors_that_name_the_chat_are_final() {
        for description in [
            "Bad Request: chat not found",
            "Bad Request: message thread not found",
            "Bad Request: TOPIC_CLOSED",
            "Bad Request: not enough rights to send text messages to the chat",
        ] {
            let body = format!(r#"{{"ok":false,"error_code":400,"description":"{description}"}}"#);
            let played = played(&[], &[(400, body.as_str())]);
            assert_eq!(
                (played.requests.len(), played.outcome.as_str()),
                (1, "misconfigured"),
                "{description}"
            );
        }
    }

    #[test]
    fn the_token_is_in_no_reason() {
        let body = r#"{"ok":false,"error_code":404,"description":"no bot 123456:ABC-def_1"}"#;
        let played = played(&[], &[(404, body)]);
        assert!(played.why.contains("no bot ************"), "{}", played.why);
        assert!(!played.why.contains("ABC"), "{}", played.why);
    }

    #[test]
    fn invalid_settings_are_named() {
        assert_eq!(errors("telegram", &with(&[])), Vec::<String>::new());
        let room = "room: must be a chat's number, or `@` and the name of a public one";
        for wrong in ["news", "@", "@a b", "t.me/news"] {
            assert_eq!(errors("telegram", &with(&[("room", wrong)])), [room], "{wrong}");
        }
        let token = errors("telegram", &with(&[("token", "bot/x")]));
        assert!(token[0].starts_with("token: must be as BotFather shows it"), "{token:?}");
        assert_eq!(
            errors("telegram", &with(&[("thread", "0")])),
            ["thread: must be a topic's number, 1 or more"]
        );
        assert_eq!(errors("telegram", &with(&[("thread", "x")])), ["thread: is not a number"]);
        assert_eq!(errors("telegram", &with(&[("hostname", "x")])), ["hostname: must be a valid URL"]);
    }

    #[test]
    fn groups_are_slower_than_people_and_all_chats_share_the_bot() {
        let buckets = |room: &str| sample_buckets("telegram", &with(&[("room", room)]));
        let (person, group, channel) = (buckets("42"), buckets("-42"), buckets("@news"));
        assert_eq!(person[0].every, Duration::from_secs(1));
        assert_eq!((group[0].every, channel[0].every), (Duration::from_secs(3), Duration::from_secs(3)));
        assert_eq!((&person[1].key, &group[1].key), (&group[1].key, &channel[1].key));
        assert_ne!(person[0].key, group[0].key);
    }
}
