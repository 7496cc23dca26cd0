//! HipChat, through room notifications: version 2 of its API, and version 1 for servers that do not support version 2
//! (<https://developer.atlassian.com/server/hipchat/sending-messages>).
//!
//! The hosted service ended in 2019; self-hosted servers remain. Messages are HTML with a few tags. Two limits
//! hold at once, one of the room and one of the token, each with headers that say when it ends
//! (<https://developer.atlassian.com/server/hipchat/hipchat-rest-api-rate-limits/>).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::one_text::one_text;
use crate::adapters::contract::{About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview};
#[cfg(test)]
use crate::adapters::tests::{Contract, is_seen};
use crate::call::{
    Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Pace, Sent, by_status, describe, is_page,
    unavailable,
};
use crate::event::{Payload, Trigger, Triggers};
use crate::integration::{Detail, Family};
use crate::message::{Body, Limit, Markup, Message, Text, description};
use crate::settings::{FieldError, Secret, Url};

const DEFAULT_SERVER: &str = "https://api.hipchat.com";
/// The limit of a message, in both versions.
const MESSAGE: Limit = Limit::Chars(10_000);
/// The label after the sender's name. Version 1 allows less than 15 characters, version 2 some more.
const FROM: &str = "GitLab";
/// More commits than this are counted, not listed.
const MOST_COMMITS: usize = 3;
/// How many characters of a description or a comment are shown.
const PROSE: usize = 200;
/// A room takes 30 messages a minute.
const PER_ROOM: (u32, Duration, u32) = (30, Duration::from_secs(60), 5);
/// A token allows 500 calls in five minutes.
const PER_TOKEN: (u32, Duration, u32) = (500, Duration::from_secs(300), 20);
/// The limit of version 1 is not documented any more; this is a server's limit for a person's token.
const PER_TOKEN_V1: (u32, Duration, u32) = (100, Duration::from_secs(300), 10);

crate::settings! {
    /// What HipChat needs.
    pub struct Settings {
        /// A token that may send notifications to the room.
        pub token: Secret = "cLfxlMFiLNUuAqTTGDPJmZAS5qOJx9Ojj1ZaNpWL",
        /// The room, by its whole name or its number. Without it nothing can be sent; GitLab accepts that too.
        pub room: Option<String> = "Release Room",
        /// The colour behind messages, unless a pipeline decides it: yellow (the default), red, green, purple, gray or random.
        pub color: Color = "purple" or "yellow",
        /// Whether the people in the room are notified, with a sound or as they set it.
        pub notify: bool = "true",
        /// The version of the server's API: v2 (the default) or v1.
        pub api_version: Version = "v2" or "v2",
        /// The address of a self-hosted server. If blank, it is the hosted service.
        pub server: Option<Url> = "https://hipchat.example.com",
    }
}

crate::choices! {
    /// The colour behind a message.
    pub enum Color {
        Yellow = "yellow",
        Red = "red",
        Green = "green",
        Purple = "purple",
        Gray = "gray",
        Random = "random",
    }
}

crate::choices! {
    /// The version of the server's API.
    pub enum Version {
        V1 = "v1",
        V2 = "v2",
    }
}

impl Settings {
    /// The room; blank if there is none.
    fn room(&self) -> &str {
        self.room.as_deref().unwrap_or_default().trim()
    }
}

/// The adapter.
pub struct HipChat;

impl Adapter for HipChat {
    const ABOUT: About = About {
        slug: "hipchat",
        title: "HipChat",
        summary: "Sends notifications to a HipChat room.",
        triggers: Triggers::of(&[
            Trigger::Push,
            Trigger::TagPush,
            Trigger::Issue,
            Trigger::ConfidentialIssue,
            Trigger::MergeRequest,
            Trigger::Note,
            Trigger::ConfidentialNote,
            Trigger::Pipeline,
        ]),
        family: Family::Chat,
        common: CommonSettings { only_broken_pipelines: true, ..CommonSettings::NONE },
    }
    .with_own_events();
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut wrong = |field, problem| errors.push(FieldError::new(field, problem));
        // The token is sent in a header.
        if !settings.token.expose().trim().bytes().all(|byte| byte.is_ascii_graphic()) {
            wrong("token", "must be one word of letters, digits and signs");
        }
        // In an address, these two mean another path, even if they are encoded.
        if matches!(settings.room(), "." | "..") {
            wrong("room", "must be a room's name or number");
        }
        let names_someone = |url: &Url| !url.0.username().is_empty() || url.0.password().is_some();
        if settings.server.as_ref().is_some_and(names_someone) {
            wrong(
                "server",
                "must be an address without a name and password; HipChat authenticates by the token only",
            );
        }
        errors
    }

    fn warnings(settings: &Settings) -> Vec<FieldError> {
        let missing = settings.room().is_empty();
        missing.then(|| FieldError::new("room", "is not set: nothing can be sent")).into_iter().collect()
    }
}

impl Deliver for HipChat {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // HipChat has no idempotency key. A duplicate message is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "30 messages a minute per room (bursts of 5), 500 in five minutes per token (100 with v1); messages are cut at \
                 10,000 characters; 3 commits and 200 characters of people's own words are shown.",
        preview: Preview::Html,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // 10,000 characters of four bytes, and the fields around them.
        largest_body: 41_000,
        fault: |body| (!is_seen(&body["message"])).then_some("no message"),
        // HTML messages do not notify people by name.
        mentions: &[],
        variants: &[&[("api_version", "v1")]],
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (server, token) = (root(settings), settings.token.expose().trim());
        let per = |kind, part: &str, (count, per, burst)| {
            Bucket::new(kind, &[server.as_str(), part], count, per, burst)
        };
        let per_token = match settings.api_version {
            Version::V1 => PER_TOKEN_V1,
            Version::V2 => PER_TOKEN,
        };
        Pace::of(per("hipchat room", settings.room(), PER_ROOM)).and(per("hipchat token", token, per_token))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        if settings.room().is_empty() {
            return Err(Failure::Misconfigured("no room is set: set `room`".to_owned()));
        }
        let (request, version) = (request(settings, note)?, settings.api_version);
        Ok(Call::http(request, move |response| read(response, version)))
    }
}

/// The server's address, without the API's version that some people append to it, and without a slash at the end.
fn root(settings: &Settings) -> url::Url {
    let default = || url::Url::parse(DEFAULT_SERVER).expect("the constant is an address");
    let mut root = settings.server.as_ref().map_or_else(default, |server| server.0.clone());
    root.set_query(None);
    root.set_fragment(None);
    let path = root.path().trim_end_matches('/');
    let path = path.strip_suffix("/v2").or_else(|| path.strip_suffix("/v1")).unwrap_or(path);
    let path = path.trim_end_matches('/').to_owned();
    root.set_path(&path);
    root
}

/// An address below the server's. Each part is encoded on its own, because a room's name may contain slashes and spaces.
fn address(settings: &Settings, parts: &[&str]) -> url::Url {
    let mut url = root(settings);
    let mut path = url.path_segments_mut().expect("an http address has a path");
    path.pop_if_empty().extend(parts);
    drop(path);
    url
}

fn request(settings: &Settings, note: &Notification<'_>) -> Result<HttpRequest, Failure> {
    let (token, room) = (settings.token.expose().trim(), settings.room());
    let (message, color) = (html(note, note.message()?), color(settings, note).name());
    Ok(match settings.api_version {
        Version::V2 => {
            let url = address(settings, &["v2", "room", room, "notification"]);
            let body = json!({
                "message": message,
                "message_format": "html",
                "color": color,
                "notify": settings.notify,
                "from": FROM,
            });
            let mut request = HttpRequest::post_json(url, &body);
            request.headers.push(("authorization", format!("Bearer {token}")));
            request
        }
        // <https://www.hipchat.com/docs/api/method/rooms/message>; the token must be in the query.
        Version::V1 => {
            let mut url = address(settings, &["v1", "rooms", "message"]);
            url.query_pairs_mut().append_pair("format", "json").append_pair("auth_token", token);
            let notify = if settings.notify { "1" } else { "0" };
            let fields = [
                ("room_id", room),
                ("from", FROM),
                ("message", &message),
                ("message_format", "html"),
                ("color", color),
                ("notify", notify),
            ];
            HttpRequest::post_form(url, fields)
        }
    })
}

/// The colour of the message. A pipeline's colour shows its status, even if the settings name a colour.
fn color(settings: &Settings, note: &Notification<'_>) -> Color {
    match &note.event.payload {
        Payload::Pipeline(pipeline) if pipeline.status == "success" => Color::Green,
        Payload::Pipeline(_) => Color::Red,
        _ => settings.color,
    }
}

fn html(note: &Notification<'_>, message: &Message) -> String {
    let trigger = note.event.trigger;
    if trigger.is_some_and(|trigger| HipChat::ABOUT.common.own_events.contains(trigger)) {
        return Markup::Html.render_within(&one_text(message), MESSAGE);
    }
    let summary = message.summary.clone();
    let description = description(note.event, note.links).filter(|_| note.extent.detail == Detail::Full);
    let text = match (&message.body, description) {
        // As in GitLab, the description is shown for every action on an issue or merge request.
        (_, Some(prose)) => summary.plain("\n").then(prose.excerpt(PROSE)),
        (Body::None, None) => summary,
        (Body::Lines(lines), None) => summary.then(listed(note, lines)),
        (Body::Prose(prose), None) => summary.plain("\n").then(prose.excerpt(PROSE)),
    };
    Markup::Html.render_within(&text, MESSAGE)
}

/// A push's first commits, one per line, and the number of the others.
fn listed(note: &Notification<'_>, lines: &[Text]) -> Text {
    let (shown, more) = match &note.event.payload {
        Payload::Push(push) => {
            let shown = push.commits.len().min(note.extent.max_commits.unwrap_or(MOST_COMMITS));
            (shown, push.commit_count().unwrap_or_default().saturating_sub(shown as u64))
        }
        _ => (lines.len(), 0),
    };
    let list = lines.iter().take(shown).cloned();
    let text = list.fold(Text::new(), |text, line| text.plain("\n- ").then(line));
    match more {
        0 => text,
        1 => text.plain("\n… 1 more commit"),
        more => text.plain(format!("\n… {more} more commits")),
    }
}

fn read(response: &HttpResponse, version: Version) -> Answer<Sent> {
    let page = is_page(response);
    Answer::Failed(match (response.status, version) {
        // A proxy answered instead of the server.
        (200..=299, _) if page => unavailable(response, false),
        (200..=299, Version::V1) if !says_sent(&response.text()) => unavailable(response, true),
        (200..=299, Version::V2) if !is_silent(&response.text()) => unavailable(response, true),
        (200..=299, _) => return Answer::Done(Sent),
        (429, _) => throttled(response, version),
        // Version 1 reports the rate limit as 403; a token without the right gets a 401.
        (403, Version::V1) if is_servers_own(response) => throttled(response, version),
        // The token, the room, or the token's right to notify it.
        (401 | 403..=405, _) if is_servers_own(response) => Failure::Misconfigured(describe(response)),
        _ => return by_status(response),
    })
}

/// Whether the error is in the form of HipChat's own, which repeats the status:
/// `{"error": {"code": 401, "type": "Unauthorized", "message": "Invalid OAuth session"}}`
/// (<https://gist.github.com/danriti/7345074> shows some).
fn is_servers_own(response: &HttpResponse) -> bool {
    let answer: serde_json::Value = serde_json::from_str(&response.text()).unwrap_or_default();
    answer["error"]["code"] == response.status && answer["error"]["type"].is_string()
}

/// An empty body, or an object without an error: version 2 answers with 204 and compatible servers with a small object.
fn is_silent(body: &str) -> bool {
    let answer: Option<serde_json::Map<_, _>> = serde_json::from_str(body).ok();
    body.trim().is_empty() || answer.is_some_and(|answer| !answer.contains_key("error"))
}

/// `{"status":"sent"}`, or an empty body.
fn says_sent(body: &str) -> bool {
    let answer: Option<serde_json::Value> = serde_json::from_str(body).ok();
    body.trim().is_empty() || answer.is_some_and(|answer| answer["status"] == "sent")
}

/// The limit that was reached: the room's, which holds only that room, or the token's, which holds all of its rooms.
fn throttled(response: &HttpResponse, version: Version) -> Failure {
    let room = Reached::of(response, "x-floodcontrol-remaining", "x-floodcontrol-reset");
    let token = Reached::of(response, "x-ratelimit-remaining", "x-ratelimit-reset");
    // Version 1 has no limit but the token's.
    let shared = token.is_some() || (version == Version::V1 && room.is_none());
    // If both are reached, the wait lasts until both end.
    let wait = room.into_iter().chain(token).filter_map(|reached| reached.ends_in).max();
    Failure::Throttled { wait: wait.or_else(|| response.retry_after()), why: describe(response), shared }
}

/// Whether a limit is used up.
struct Reached {
    /// When the limit ends, if the service says so.
    ends_in: Option<Duration>,
}

impl Reached {
    fn of(response: &HttpResponse, remaining: &str, reset: &str) -> Option<Self> {
        let remaining: i64 = response.header(remaining)?.trim().parse().ok()?;
        (remaining <= 0).then(|| Self { ends_in: ends_in(response, reset) })
    }
}

/// The header contains a time, in seconds since 1970.
fn ends_in(response: &HttpResponse, reset: &str) -> Option<Duration> {
    let end = Timestamp::from_second(response.header(reset)?.trim().parse().ok()?).ok()?;
    // The clocks may differ, so the wait has a lower limit.
    let wait = Duration::try_from(end.duration_since(response.at)).unwrap_or_default();
    Some(wait.max(Duration::from_secs(1)))
}
