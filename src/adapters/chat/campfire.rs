//! Campfire Classic, a chat of 37signals that has ended (<https://github.com/basecamp/campfire-api>). Servers that are
//! compatible with it live on; `base_url` names one.
//!
//! A room is looked up by its name, and the message is spoken there. Only a 201 says that it was. The service reports its
//! rate limit as 503 with `Retry-After`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value as Json;

use super::one_text::one_text;
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, is_seen, usual_status};
use crate::call::{
    Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Method, Pace, Sent, by_status, describe,
    is_page, unavailable,
};
use crate::event::{Event, Payload, Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Limit, Markup, Message, Text};
use crate::settings::{FieldError, Host, Secret, Url};

/// No limit is published; this value is our choice.
const TEXT: Limit = Limit::Chars(10_000);
/// "500 requests per 10 second period from the same IP address for the same account"; other clients need some of them.
const PER_ACCOUNT: (u32, u32) = (5, 10);
/// Rooms seldom get other names.
const KEEP_ROOMS: Duration = Duration::from_secs(300);
/// The most names of rooms that an error shows.
const MOST_NAMES: usize = 10;

crate::settings! {
    /// What Campfire needs.
    pub struct Settings {
        /// The token of the user who speaks.
        pub token: Secret = "605b32dd7dc4f7e2b5b6c9f0a5f9d1a3c4e8f7b2",
        /// The account's name, as in the address `https://acme.campfirenow.com`.
        pub subdomain: Option<Host> = "acme",
        /// The room: its name, or its number.
        pub room: Option<String> = "Release Room",
        /// The address of a compatible server. Blank: the account's at campfirenow.com.
        pub base_url: Option<Url> = "https://campfire.example.com",
    }
}

/// The adapter.
pub struct Campfire;

impl Adapter for Campfire {
    const ABOUT: About = About {
        slug: "campfire",
        title: "Campfire",
        summary: "Speaks pushes in a room of Campfire or of a compatible server.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Chat,
        common: CommonSettings::NONE,
    }
    .with_own_events();
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let is_label = |name: &str| {
            (1..=63).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && name.starts_with(|c: char| c.is_ascii_alphabetic())
                && !name.ends_with('-')
        };
        let is_wrong = settings.subdomain.as_ref().is_some_and(|subdomain| !is_label(subdomain.as_str()));
        let error = || {
            FieldError::new(
                "subdomain",
                "must be the account's name: up to 63 letters, digits and hyphens, a letter first and no hyphen last",
            )
        };
        if is_wrong { vec![error()] } else { Vec::new() }
    }
}

impl Deliver for Campfire {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // Campfire has no idempotency key. A duplicate message is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        // The list of rooms, and the message.
        calls: 2,
        limits: "5 requests a second per account (bursts of 10), 2 for a message; messages are cut at 10,000 characters.",
        preview: Preview::AfterLookUp {
            answer: r#"{"rooms":[{"id":1,"name":"Release Room"}]}"#,
            then: &Preview::Text { field: "message[body]", markup: Markup::Plain },
        },
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // Campfire shows text, and of a push its numbers and names alone.
        links_references: false,
        // 10,000 characters of four bytes, each of which is encoded as three.
        largest_body: 121_000,
        fault: |body| (!body.is_null() && !is_seen(&body["message[body]"])).then_some("no text"),
        mentions: &[],
        status: |status| match status {
            // The list of rooms is JSON.
            200..=299 => "unavailable",
            other => usual_status(other),
        },
        answers: &[
            Expected {
                status: 200,
                headers: &[],
                body: r#"{"rooms":[{"id":1,"name":"Release Room"}]}"#,
                outcome: "next call",
            },
            Expected {
                status: 200,
                headers: &[],
                body: r#"{"rooms":[{"id":1,"name":"Other"}]}"#,
                outcome: "misconfigured",
            },
            Expected { status: 200, headers: &[], body: r#"{"rooms":[]}"#, outcome: "misconfigured" },
            Expected { status: 200, headers: &[], body: "<html>Sign in</html>", outcome: "unavailable" },
            Expected { status: 302, headers: &[], body: "", outcome: "unavailable" },
            // Errors have no form of the service's own.
            Expected {
                status: 401,
                headers: &[],
                body: "HTTP Basic: Access denied.",
                outcome: "unavailable",
            },
            Expected { status: 404, headers: &[], body: "<html>no</html>", outcome: "unavailable" },
            Expected {
                status: 503,
                headers: &[("retry-after", "7")],
                body: "",
                outcome: "throttled 7 s, shared",
            },
            Expected { status: 503, headers: &[], body: "", outcome: "unavailable" },
        ],
        chain: &[
            (200, r#"{"rooms":[{"id":7,"name":"Lobby"},{"id":8,"name":"Release Room"}]}"#),
            (201, r#"{"message":{"id":1}}"#),
        ],
        ..Contract::USUAL
    };

    fn targets(settings: &Settings, _event: &Event, _channels: &[String]) -> Targets {
        // GitLab requires only the token.
        match (server(settings), room(settings)) {
            (None, _) => Targets::none("neither `subdomain` nor `base_url` is set"),
            (_, None) => Targets::none("`room` is not set"),
            (Some(_), Some(_)) => Targets::own(),
        }
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let origin = server(settings).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let (token, room) = (settings.token.expose().trim(), room(settings).unwrap_or_default());
        let per = |kind, parts: &[&str]| {
            let (count, burst) = PER_ACCOUNT;
            Bucket::new(kind, parts, count, Duration::from_secs(1), burst)
        };
        Pace::of(per("campfire room", &[&origin, token, room]))
            .and(per("campfire account", &[&origin]))
            .calls(Self::DELIVERY.calls)
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let unset = |what: &str| Failure::Misconfigured(format!("{what} is not set"));
        let server = server(settings).ok_or_else(|| unset("the address"))?;
        let room = room(settings).ok_or_else(|| unset("the room"))?;
        let message = note.message()?;
        let words = match &note.event.payload {
            Payload::Push(_) => text(message),
            _ => Markup::Plain.render_within(&one_text(message), TEXT),
        };
        let login = BASE64.encode(format!("{}:X", settings.token.expose().trim()));
        Ok(Speech { server, room: room.to_owned(), login: format!("Basic {login}"), words }.look_up())
    }
}

fn room(settings: &Settings) -> Option<&str> {
    settings.room.as_deref().map(str::trim).filter(|room| !room.is_empty())
}

/// The address that the API is below.
fn server(settings: &Settings) -> Option<url::Url> {
    if let Some(base) = &settings.base_url {
        return Some(base.0.clone());
    }
    let subdomain = settings.subdomain.as_ref()?.as_str();
    url::Url::parse(&format!("https://{subdomain}.campfirenow.com")).ok()
}

/// One line: `[Acme / Rocket] Ada (ada) pushed 2 commits to branch main. https://…/compare/…`. The place and the links of
/// the summary are left out, because the line has both.
fn text(message: &Message) -> String {
    let action = &message.summary.0[..message.location_span.start.min(message.summary.0.len())];
    let action = Text(action.to_vec()).plain_text().trim_end().to_owned();
    let project = message.project.full_name.as_str();
    let place = if project.is_empty() { String::new() } else { format!("[{project}] ") };
    // The branch's link may have the same words in it; it comes before the place.
    let after = message.location_span.end.min(message.summary.0.len());
    let links = Text(message.summary.0[after..].to_vec()).links();
    let compare = links.into_iter().map(|(_, url)| url).find(|url| url.contains("/-/compare/"));
    let mut text = Text::new().plain(format!("{place}{action}."));
    if let Some(url) = compare {
        text = text.plain(" ").link("", url);
    }
    Markup::Plain.render_within(&text, TEXT)
}

/// A message on its way.
struct Speech {
    server: url::Url,
    room: String,
    /// The header `Authorization`.
    login: String,
    words: String,
}

impl Speech {
    fn address(&self, parts: &[&str]) -> url::Url {
        let mut url = self.server.clone();
        url.set_query(None);
        url.set_fragment(None);
        let mut path = url.path_segments_mut().expect("an http address has a path");
        path.pop_if_empty().extend(parts);
        drop(path);
        url
    }

    fn look_up(self) -> Call<Sent> {
        let mut request = HttpRequest {
            keep: Some(KEEP_ROOMS),
            ..HttpRequest::new(Method::Get, self.address(&["rooms.json"]))
        };
        request.headers.push(("authorization", self.login.clone()));
        Call::http(request, move |response| {
            let answer: Json = serde_json::from_str(&response.text()).unwrap_or_default();
            let Some(rooms) = answer["rooms"].as_array().filter(|_| response.status == 200) else {
                return refused(response);
            };
            match id(rooms, &self.room) {
                Some(id) => Answer::Next(self.speak(&id)),
                None => Answer::Failed(Failure::Misconfigured(no_such_room(rooms, &self.room))),
            }
        })
    }

    fn speak(self, id: &str) -> Call<Sent> {
        let url = self.address(&["room", id, "speak.json"]);
        // A `TextMessage` has no line breaks.
        let kind = if self.words.contains('\n') { "PasteMessage" } else { "TextMessage" };
        let fields = [("message[type]", kind), ("message[body]", self.words.as_str())];
        let mut request = HttpRequest::post_form(url, fields);
        request.headers.push(("authorization", self.login));
        Call::http(request, |response| match response.status {
            201 => Answer::Done(Sent),
            200..=299 => Answer::Failed(unavailable(response, !is_page(response))),
            _ => refused(response),
        })
    }
}

/// The number of the room with this name; else the room with this number.
fn id(rooms: &[Json], wanted: &str) -> Option<String> {
    let number = |room: &Json| match &room["id"] {
        Json::Number(number) => Some(number.to_string()),
        Json::String(number) => Some(number.clone()),
        _ => None,
    };
    let named = rooms.iter().find(|room| room["name"] == wanted);
    let numbered = || rooms.iter().find(|room| number(room).is_some_and(|number| number == wanted));
    named.or_else(numbered).and_then(number)
}

fn no_such_room(rooms: &[Json], wanted: &str) -> String {
    let names: Vec<&str> = rooms.iter().filter_map(|room| room["name"].as_str()).take(MOST_NAMES).collect();
    match names.as_slice() {
        [] => format!("there is no room `{wanted}`; the token's user is in no room"),
        names => format!("there is no room `{wanted}`; the token's user is in {}", names.join(", ")),
    }
}

/// Errors that mean the same in both steps. Their bodies are plain texts, so they prove no more than their status. A
/// redirect leads to the login page, or from http to https.
fn refused(response: &HttpResponse) -> Answer<Sent> {
    let wait = response.retry_after();
    match response.status {
        // The body is not the list of rooms. No message was sent yet.
        200..=299 => Answer::Failed(unavailable(response, false)),
        503 if wait.is_some() => {
            Answer::Failed(Failure::Throttled { wait, why: describe(response), shared: true })
        }
        _ => by_status(response),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::{Played, changed_push, errors, play, sample_buckets};

    const ROOMS: (u16, &str) =
        (200, r#"{"rooms":[{"id":7,"name":"8"},{"id":8,"name":"Lobby"},{"id":9,"name":"Release Room"}]}"#);

    fn played(more: &[(&str, &str)], answers: &[(u16, &str)]) -> Played {
        let mut settings = vec![("token", "s3cret-t0ken"), ("subdomain", "acme"), ("room", "Release Room")];
        settings.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        settings.extend(more);
        play("campfire", &settings, Trigger::Push, answers)
    }

    #[test]
    fn the_room_is_looked_up_by_its_name_and_spoken_in() {
        let played = played(&[], &[ROOMS, (201, "{}")]);
        assert_eq!(played.address(0), "GET https://acme.campfirenow.com/rooms.json");
        assert_eq!(played.address(1), "POST https://acme.campfirenow.com/room/9/speak.json");
        let login = format!("Basic {}", BASE64.encode("s3cret-t0ken:X"));
        assert_eq!(
            (played.header(0, "authorization"), played.header(1, "authorization")),
            (&*login, &*login)
        );
        assert_eq!(played.header(1, "content-type"), "application/x-www-form-urlencoded");
        assert_eq!(played.body(1)["message[type]"], "TextMessage");
        let text = played.body(1)["message[body]"].as_str().expect("a text");
        assert!(
            text.starts_with("[Acme / Rocket] Ada Lovelace (ada) pushed 2 commits to branch main. https://"),
            "{text}"
        );
        assert!(text.contains("/-/compare/") && !text.contains('\n'), "{text}");
        assert_eq!(played.outcome, "taken");
    }

    #[test]
    fn a_branch_called_compare_is_not_taken_for_the_comparison() {
        let event = changed_push(|push| push["ref"] = serde_json::json!("refs/heads/x/-/compare/y"));
        let message = crate::message::compose(&event).expect("a push has a message");
        let text = text(&message);
        assert!(!text.contains("/-/commits/") && text.contains("/-/compare/"), "{text}");
    }

    #[test]
    fn a_number_is_a_room_that_no_room_has_as_its_name() {
        let spoken = |room: &str| played(&[("room", room)], &[ROOMS]).address(1).to_owned();
        assert_eq!(spoken("9"), "POST https://acme.campfirenow.com/room/9/speak.json");
        assert_eq!(
            spoken("8"),
            "POST https://acme.campfirenow.com/room/7/speak.json",
            "the name comes first"
        );
    }

    #[test]
    fn a_room_that_does_not_exist_is_named_with_those_that_do() {
        let missing = played(&[("room", "release room")], &[ROOMS]);
        assert_eq!(missing.outcome, "misconfigured");
        assert_eq!(
            missing.why,
            "there is no room `release room`; the token's user is in 8, Lobby, Release Room"
        );
    }

    #[test]
    fn only_201_says_that_it_was_spoken() {
        for (status, body, outcome) in [
            (201, "", "taken"),
            (200, "{}", "unavailable, perhaps taken"),
            (204, "", "unavailable, perhaps taken"),
            (200, "<html>Sign in</html>", "unavailable"),
            (302, "", "unavailable"),
            (404, "no such room", "unavailable"),
            (422, "too long", "rejected"),
            (502, "<html>no</html>", "unavailable"),
        ] {
            assert_eq!(played(&[], &[ROOMS, (status, body)]).outcome, outcome, "{status} {body}");
        }
    }

    #[test]
    fn compatible_servers_are_called_at_their_own_address() {
        let played = played(&[("base_url", "https://chat.example/below/?x=y")], &[ROOMS]);
        assert_eq!(played.address(0), "GET https://chat.example/below/rooms.json");
        assert_eq!(played.address(1), "POST https://chat.example/below/room/9/speak.json");
    }

    #[test]
    fn a_token_alone_is_accepted_and_says_what_is_missing() {
        let why = |settings: &[(&str, &str)]| {
            let entry = crate::adapters::find("campfire").expect("the adapter");
            let properties = settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), crate::settings::Value::Text((*value).to_owned())));
            let settings = entry.read(&properties.collect()).expect("valid settings");
            entry.targets(&settings, &crate::event::sample(Trigger::Push), &[]).left_out
        };
        assert_eq!(why(&[("token", "x")]), ["neither `subdomain` nor `base_url` is set"]);
        assert_eq!(why(&[("token", "x"), ("subdomain", "acme"), ("room", " ")]), ["`room` is not set"]);
        assert_eq!(why(&[("token", "x"), ("subdomain", "acme"), ("room", "1")]), Vec::<String>::new());
    }

    #[test]
    fn a_subdomain_is_one_label_of_a_host() {
        for wrong in ["acme.campfirenow.com", "-acme", "acme-", "1acme", "a_b"] {
            let errors = errors("campfire", &[("token", "x"), ("subdomain", wrong)]);
            assert!(errors[0].starts_with("subdomain: must be "), "{wrong}: {errors:?}");
        }
        assert!(errors("campfire", &[("token", "x"), ("subdomain", "Acme-2")]).is_empty());
    }

    #[test]
    fn rooms_of_one_account_share_its_limit() {
        let keys = |room: &str| {
            let settings = [("token", "x"), ("subdomain", "acme"), ("room", room)];
            sample_buckets("campfire", &settings)
                .into_iter()
                .map(|bucket| bucket.key.0.to_string())
                .collect::<Vec<_>>()
        };
        let (one, other) = (keys("1"), keys("2"));
        assert!(one[0] != other[0] && one[1] == other[1], "{one:?} {other:?}");
    }
}
