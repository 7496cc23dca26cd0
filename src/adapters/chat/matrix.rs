//! Matrix, through the client-server API of a homeserver
//! (<https://spec.matrix.org/latest/client-server-api/#sending-events-to-a-room>).
//!
//! A message is sent with a transaction id, which is the notification's: a repeated request makes no second message. A room
//! that is named by its alias is looked up first. A bot that is not in the room yet accepts its invitation, or joins where
//! that is open, and sends again. Every error is JSON with an `errcode`, so an answer without one is not a homeserver's.
//!
//! End-to-end encryption is not supported: an encrypted room shows these messages as not encrypted.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::one_text::one_text;
use crate::adapters::contract::{About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, is_seen, usual_status};
use crate::call::{
    Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Method, Pace, Sent, by_status, describe,
    is_page, unavailable,
};
use crate::event::{Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Limit, Markup};
use crate::settings::{FieldError, Secret, Url};

/// An event has 65,536 bytes with everything that servers add
/// (<https://spec.matrix.org/latest/client-server-api/#size-limits>). Quotation marks and backslashes are two bytes in JSON.
const BODY: Limit = Limit::Bytes(12_000);
const FORMATTED: Limit = Limit::Bytes(18_000);
/// Servers set their own limits; these values are our choice.
const PER_ROOM: (u32, u32) = (1, 5);
const PER_TOKEN: (u32, u32) = (5, 10);
/// An alias seldom changes the room that it leads to.
const KEEP_ALIAS: Duration = Duration::from_secs(600);
/// Homeservers may be slow in large rooms.
const TIMEOUT: Duration = Duration::from_secs(20);

crate::settings! {
    /// What Matrix needs.
    pub struct Settings {
        /// The access token of the bot's account.
        pub token: Secret = "syt_Zm9yZ2ViZWxs_kQxhHWXuGcCqjbSqYwRe_0Gx2Cd",
        /// The room: its id (`!…`) or an alias (`#…`).
        pub room: String = "!qporfwt:matrix.example.com",
        /// The address of the homeserver.
        pub hostname: Url = "https://matrix.example.com" or "https://matrix-client.matrix.org",
    }
}

/// The adapter.
pub struct Matrix;

impl Adapter for Matrix {
    const ABOUT: About = About {
        slug: "matrix",
        title: "Matrix",
        summary: "Sends notices to a room of Matrix.",
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
        // The token is sent in a header.
        if !settings.token.expose().trim().bytes().all(|byte| byte.is_ascii_graphic()) {
            errors.push(FieldError::new("token", "must be one word of letters, digits and signs"));
        }
        let room = settings.room.trim();
        let named = |sign| room.strip_prefix(sign).is_some_and(|name: &str| !name.is_empty());
        let is_alias = named('#') && room.contains(':');
        if !(named('!') || is_alias) || room.contains(|c: char| c.is_whitespace() || c.is_control()) {
            errors.push(FieldError::new(
                "room",
                "must be a room's id, as in !abc:example.com, or its alias, as in #news:example.com",
            ));
        }
        errors
    }
}

impl Deliver for Matrix {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // The transaction id makes a repetition harmless.
        retry_ambiguous: true,
        concurrency: 1,
        // Look the alias up, send, join, send again. All but one are rare.
        calls: 4,
        limits: "1 message a second per room (bursts of 5), 5 a second per token (bursts of 10); texts are cut at 12,000 bytes, \
                 18,000 with markup, descriptions and comments at 2,000 characters or 40 lines.",
        preview: Preview::AfterLookUp {
            answer: r#"{"room_id":"!room:example.com"}"#,
            then: &Preview::Text { field: "formatted_body", markup: Markup::MatrixHtml },
        },
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // The rest of the limit is room for the fields that servers add.
        largest_body: 61_000,
        fault: |body| (!is_seen(&body["body"]) || !is_seen(&body["formatted_body"])).then_some("no text"),
        mentions: &["@room"],
        status: |status| match status {
            // A homeserver answers with the event's id.
            200..=299 => "unavailable",
            other => usual_status(other),
        },
        answers: &[
            Expected { status: 200, headers: &[], body: r#"{"event_id":"$x"}"#, outcome: "taken" },
            Expected { status: 200, headers: &[], body: "{}", outcome: "unavailable, perhaps taken" },
            Expected { status: 200, headers: &[], body: "<html>Sign in</html>", outcome: "unavailable" },
            Expected {
                status: 403,
                headers: &[],
                body: r#"{"errcode":"M_FORBIDDEN","error":"User not in room"}"#,
                outcome: "next call",
            },
            Expected {
                status: 403,
                headers: &[],
                body: r#"{"errcode":"M_USER_DEACTIVATED","error":"x"}"#,
                outcome: "misconfigured",
            },
            Expected { status: 403, headers: &[], body: "<html>no</html>", outcome: "unavailable" },
            Expected {
                status: 401,
                headers: &[],
                body: r#"{"errcode":"M_UNKNOWN_TOKEN","error":"x"}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"errcode":"M_UNRECOGNIZED","error":"x"}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 413,
                headers: &[],
                body: r#"{"errcode":"M_TOO_LARGE","error":"x"}"#,
                outcome: "rejected",
            },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"errcode":"M_BAD_JSON","error":"x"}"#,
                outcome: "rejected",
            },
            Expected {
                status: 429,
                headers: &[],
                body: r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":2500}"#,
                outcome: "throttled 2 s, shared",
            },
            Expected {
                status: 429,
                headers: &[("retry-after", "3")],
                body: r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":2500}"#,
                outcome: "throttled 3 s, shared",
            },
            Expected {
                status: 500,
                headers: &[],
                body: r#"{"errcode":"M_UNKNOWN","error":"Internal server error"}"#,
                outcome: "unavailable",
            },
        ],
        chain: &[
            (403, r#"{"errcode":"M_FORBIDDEN","error":"User @bell:example.com not in room !qporfwt"}"#),
            (200, r#"{"room_id":"!qporfwt:matrix.example.com"}"#),
            (200, r#"{"event_id":"$YUwRidLecu:example.com"}"#),
        ],
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let origin = settings.hostname.0.origin().ascii_serialization();
        let (token, room) = (settings.token.expose().trim(), settings.room.trim());
        let per = |kind, parts: &[&str], (count, burst)| {
            Bucket::new(kind, parts, count, Duration::from_secs(1), burst)
        };
        Pace::of(per("matrix room", &[&origin, token, room], PER_ROOM)).and(per(
            "matrix token",
            &[&origin, token],
            PER_TOKEN,
        ))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let text = one_text(note.message()?);
        let body = json!({
            "msgtype": "m.notice",
            "body": Markup::Quiet.render_within(&text, BODY),
            "format": "org.matrix.custom.html",
            "formatted_body": Markup::MatrixHtml.render_within(&text, FORMATTED),
            // The text mentions no one
            // (<https://spec.matrix.org/latest/client-server-api/#user-and-room-mentions>).
            "m.mentions": {},
        });
        let message = Message {
            server: settings.hostname.0.clone(),
            token: settings.token.expose().trim().to_owned(),
            room: settings.room.trim().to_owned(),
            transaction: note.id.to_owned(),
            body,
            may_join: true,
        };
        Ok(if message.room.starts_with('#') { message.look_up() } else { message.send() })
    }
}

/// A message on its way.
struct Message {
    server: url::Url,
    token: String,
    /// An id, or an alias until it is looked up.
    room: String,
    transaction: String,
    body: Json,
    /// Whether joining the room was not tried yet.
    may_join: bool,
}

impl Message {
    /// An address below the homeserver's. Each part is encoded on its own.
    fn address(&self, parts: &[&str]) -> url::Url {
        let mut url = self.server.clone();
        url.set_query(None);
        url.set_fragment(None);
        let mut path = url.path_segments_mut().expect("an http address has a path");
        path.pop_if_empty().extend(["_matrix", "client", "v3"]).extend(parts);
        drop(path);
        url
    }

    fn request(&self, method: Method, url: url::Url, body: &Json) -> HttpRequest {
        let mut request = HttpRequest { method, timeout: TIMEOUT, ..HttpRequest::post_json(url, body) };
        request.headers.push(("authorization", format!("Bearer {}", self.token)));
        request
    }

    /// Asks which room an alias leads to. The answer is public, so it is cached for all tokens.
    fn look_up(self) -> Call<Sent> {
        let url = self.address(&["directory", "room", &self.room]);
        let request =
            HttpRequest { timeout: TIMEOUT, keep: Some(KEEP_ALIAS), ..HttpRequest::new(Method::Get, url) };
        Call::http(request, move |response| {
            let answer = parsed(response);
            match (response.status, answer["room_id"].as_str()) {
                (200, Some(id)) => Answer::Next(Self { room: id.to_owned(), ..self }.send()),
                (404, _) if answer["errcode"] == "M_NOT_FOUND" => {
                    let why = format!("{}: no room has the alias {}", describe(response), self.room);
                    Answer::Failed(Failure::Misconfigured(why))
                }
                _ => refused(response),
            }
        })
    }

    fn send(self) -> Call<Sent> {
        let url = self.address(&["rooms", &self.room, "send", "m.room.message", &self.transaction]);
        let request = self.request(Method::Put, url, &self.body);
        Call::http(request, move |response| {
            let answer = parsed(response);
            match response.status {
                200 if answer["event_id"].is_string() => Answer::Done(Sent),
                403 if answer["errcode"] == "M_FORBIDDEN" && self.may_join => Answer::Next(self.join()),
                403 if answer["errcode"] == "M_FORBIDDEN" => {
                    let why =
                        format!("{}: the bot is in the room, and may not write there", describe(response));
                    Answer::Failed(Failure::Misconfigured(why))
                }
                _ => refused(response),
            }
        })
    }

    /// Accepts the invitation to the room.
    fn join(self) -> Call<Sent> {
        let url = self.address(&["join", &self.room]);
        let request = self.request(Method::Post, url, &json!({}));
        Call::http(request, move |response| {
            let answer = parsed(response);
            match response.status {
                200 if answer["room_id"].is_string() => Answer::Next(Self { may_join: false, ..self }.send()),
                403 | 404 if answer["errcode"].is_string() => {
                    let why = format!("{}: invite the account of the token to the room", describe(response));
                    Answer::Failed(Failure::Misconfigured(why))
                }
                _ => refused(response),
            }
        })
    }
}

fn parsed(response: &HttpResponse) -> Json {
    serde_json::from_str(&response.text()).unwrap_or_default()
}

/// Errors that mean the same in every step (<https://spec.matrix.org/latest/client-server-api/#api-standards>).
fn refused(response: &HttpResponse) -> Answer<Sent> {
    let answer = parsed(response);
    let Some(code) = answer["errcode"].as_str() else {
        return match response.status {
            200..=299 => Answer::Failed(unavailable(response, !is_page(response))),
            _ => by_status(response),
        };
    };
    let (wait, why) = (response.retry_after(), describe(response));
    Answer::Failed(match (response.status, code) {
        // Servers count by account, over all rooms.
        (429, _) | (_, "M_LIMIT_EXCEEDED") => {
            let named = answer["retry_after_ms"].as_u64().map(Duration::from_millis);
            Failure::Throttled { wait: wait.or(named), why, shared: true }
        }
        (500..=599, _) => Failure::Unavailable { maybe_taken: false, wait, why },
        (401 | 403 | 404 | 405, _) => Failure::Misconfigured(why),
        _ => Failure::Rejected(why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::{Played, errors, play, sample_buckets};

    const OK: (u16, &str) = (200, r#"{"event_id":"$x"}"#);
    const NOT_IN_ROOM: (u16, &str) = (403, r#"{"errcode":"M_FORBIDDEN","error":"not in room"}"#);
    const JOINED: (u16, &str) = (200, r#"{"room_id":"!abc:example.com"}"#);
    const SEND: &str = "PUT https://matrix-client.matrix.org/_matrix/client/v3/rooms/!abc:example.com/send/m.room.message/01912d68783e7a0384675661c1243ad4";

    fn played(room: &str, answers: &[(u16, &str)]) -> Played {
        play("matrix", &[("token", "syt_s3cret"), ("room", room)], Trigger::Push, answers)
    }

    #[test]
    fn the_notifications_id_is_the_transaction_and_the_token_a_header() {
        let played = played("!abc:example.com", &[OK]);
        assert_eq!(played.address(0), SEND);
        assert_eq!(played.header(0, "authorization"), "Bearer syt_s3cret");
        assert_eq!(played.outcome, "taken");
        let body = played.body(0);
        assert_eq!((&body["msgtype"], &body["m.mentions"]), (&json!("m.notice"), &json!({})));
        assert_eq!(body["format"], "org.matrix.custom.html");
        assert!(body["formatted_body"].as_str().is_some_and(|html| html.contains("<a href=")), "{body}");
        assert!(body["body"].as_str().is_some_and(|text| !text.contains('<')), "{body}");
    }

    #[test]
    fn an_alias_is_looked_up_and_encoded() {
        let played = played("#a/b?:example.com", &[JOINED, OK]);
        let directory = "GET https://matrix-client.matrix.org/_matrix/client/v3/directory/room/";
        assert_eq!(played.address(0), format!("{directory}%23a%2Fb%3F:example.com"));
        assert_eq!(played.header(0, "authorization"), "", "the answer is kept for every token");
        assert_eq!((played.address(1), played.outcome.as_str()), (SEND, "taken"));
    }

    #[test]
    fn an_alias_that_leads_nowhere_is_named() {
        let played = played("#old:example.com", &[(404, r#"{"errcode":"M_NOT_FOUND","error":"x"}"#)]);
        assert_eq!(played.outcome, "misconfigured");
        assert!(played.why.ends_with("no room has the alias #old:example.com"), "{}", played.why);
    }

    #[test]
    fn an_invitation_is_accepted_and_the_message_sent_again_under_the_same_id() {
        let played = played("!abc:example.com", &[NOT_IN_ROOM, JOINED, OK]);
        assert_eq!(
            played.address(1),
            "POST https://matrix-client.matrix.org/_matrix/client/v3/join/!abc:example.com"
        );
        assert_eq!((played.address(0), played.address(2)), (SEND, SEND));
        assert_eq!(played.body(0), played.body(2));
        assert_eq!(played.outcome, "taken");
    }

    #[test]
    fn without_an_invitation_the_remedy_is_said() {
        let alone = played("!abc:example.com", &[NOT_IN_ROOM, NOT_IN_ROOM]);
        assert_eq!(alone.outcome, "misconfigured");
        assert!(alone.why.ends_with("invite the account of the token to the room"), "{}", alone.why);
        let muted = played("!abc:example.com", &[NOT_IN_ROOM, JOINED, NOT_IN_ROOM]);
        assert_eq!((muted.requests.len(), muted.outcome.as_str()), (3, "misconfigured"));
        assert!(muted.why.ends_with("the bot is in the room, and may not write there"), "{}", muted.why);
        let proxy = played("!abc:example.com", &[NOT_IN_ROOM, (403, "<html>no</html>")]);
        assert_eq!(proxy.outcome, "unavailable");
    }

    #[test]
    fn the_servers_own_address_may_have_a_path() {
        let settings =
            [("token", "x-token"), ("room", "!a:b"), ("hostname", "https://example.com/matrix/?x=y")];
        let played = play("matrix", &settings, Trigger::Incident, &[]);
        let start = "PUT https://example.com/matrix/_matrix/client/v3/rooms/!a:b/send/";
        assert!(played.address(0).starts_with(start), "{}", played.address(0));
    }

    #[test]
    fn invalid_settings_are_named() {
        let room = "room: must be a room's id, as in !abc:example.com, or its alias, as in #news:example.com";
        for wrong in ["news", "!", "#news", "@ada:example.com", "!a b:c"] {
            assert_eq!(errors("matrix", &[("token", "x"), ("room", wrong)]), [room], "{wrong}");
        }
        assert_eq!(errors("matrix", &[("token", "x"), ("room", "!v12_has_no_server")]), Vec::<String>::new());
        let token = "token: must be one word of letters, digits and signs";
        assert_eq!(errors("matrix", &[("token", "a b"), ("room", "!a:b")]), [token]);
    }

    #[test]
    fn rooms_of_one_account_share_its_limit() {
        let keys = |token: &str, room: &str| {
            let buckets = sample_buckets("matrix", &[("token", token), ("room", room)]);
            buckets.into_iter().map(|bucket| bucket.key.0.to_string()).collect::<Vec<_>>()
        };
        let (one, other) = (keys("t-one", "!a:b"), keys("t-one", "!c:b"));
        assert!(one[0] != other[0] && one[1] == other[1], "{one:?} {other:?}");
        assert_ne!(one[1], keys("t-two", "!a:b")[1]);
    }
}
