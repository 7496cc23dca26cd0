//! Pushover: notifications on people's phones (<https://pushover.net/api>).
//!
//! Errors are JSON with `status: 0`, whatever the HTTP status, and name the field that is wrong. Pushover blocks the address
//! of a client that keeps sending refused requests, so every error in the settings holds the route. A 429 is not a short
//! limit: it means that the application's messages for the month are used up.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::adapters::contract::{About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, is_seen, usual_status};
use crate::call::{
    Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Pace, Sent, by_status, describe, is_page,
    unavailable,
};
use crate::event::{Event, Payload, Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Body, Limit, Markup, Message, Text};
use crate::settings::{FieldError, Secret, Url};

const API: &str = "https://api.pushover.net";
/// <https://pushover.net/api#limits>.
const MESSAGE: Limit = Limit::Chars(1024);
const TITLE: Limit = Limit::Chars(250);
const LONGEST_URL: usize = 512;
const URL_TITLE: Limit = Limit::Chars(100);
/// No rate is published; this value is our choice.
const PER_APPLICATION: (u32, u32) = (1, 5);
/// Pushover accepts two connections from one address, whatever applications they are for
/// (<https://pushover.net/api#friendly>).
const CONNECTIONS: usize = 2;
/// The shortest wait after a failure (<https://pushover.net/api#friendly>).
const PAUSE: Duration = Duration::from_secs(5);
/// The wait if the quota is used up and the answer does not contain its end.
const UNNAMED_QUOTA: Duration = Duration::from_secs(3600);
/// The limits for the repetition of emergencies: the shortest interval and the longest time
/// (<https://pushover.net/api#priority>).
const SHORTEST_RETRY: i64 = 30;
const LONGEST_EXPIRE: i64 = 10_800;

crate::settings! {
    /// What Pushover needs.
    pub struct Settings {
        /// The application's key.
        pub api_key: Secret = "azGDORePK8gMaC0QOYAMyEEuzJnyUi",
        /// The key of a user or a group.
        pub user_key: Secret = "uQiRzpo4DXghDmr9QzzfQu27cmVRsG",
        /// The devices that get messages, separated by commas. Blank: all of the user's devices.
        pub device: Option<String> = "droid4",
        /// The priority of messages: -2 (lowest), -1, 0 (normal), 1 (high) or 2 (emergency: repeated until it is confirmed).
        pub priority: Priority = "0",
        /// The sound. Blank: the user's own setting.
        pub sound: Option<Sound> = "bike",
        /// For emergencies: the seconds between repetitions, at least 30.
        pub retry: i64 = "60" or "60",
        /// For emergencies: the seconds after which the repetitions end, at most 10800.
        pub expire: i64 = "3600" or "3600",
        /// The address of a compatible service. Blank: Pushover.
        pub base_url: Option<Url> = "https://pushover.example.com",
    }
}

crate::choices! {
    /// The priority of a message.
    pub enum Priority {
        Lowest = "-2",
        Low = "-1",
        Normal = "0",
        High = "1",
        Emergency = "2",
    }
}

crate::choices! {
    /// The sound of a message.
    pub enum Sound {
        Pushover = "pushover",
        Bike = "bike",
        Bugle = "bugle",
        CashRegister = "cashregister",
        Classical = "classical",
        Cosmic = "cosmic",
        Falling = "falling",
        Gamelan = "gamelan",
        Incoming = "incoming",
        Intermission = "intermission",
        Magic = "magic",
        Mechanical = "mechanical",
        PianoBar = "pianobar",
        Siren = "siren",
        SpaceAlarm = "spacealarm",
        Tugboat = "tugboat",
        Alien = "alien",
        Climb = "climb",
        Persistent = "persistent",
        Echo = "echo",
        UpDown = "updown",
        None = "none",
    }
}

/// The adapter.
pub struct Pushover;

impl Adapter for Pushover {
    const ABOUT: About = About {
        slug: "pushover",
        title: "Pushover",
        summary: "Sends pushes, and releases, alerts and others if switched on, as notifications to phones and desktops.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Chat,
        common: CommonSettings::NONE,
    }
    .with_own_events();
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if settings.retry < SHORTEST_RETRY {
            errors.push(FieldError::new("retry", format!("must be {SHORTEST_RETRY} or more")));
        }
        if !(1..=LONGEST_EXPIRE).contains(&settings.expire) {
            errors.push(FieldError::new("expire", format!("must be from 1 to {LONGEST_EXPIRE}")));
        }
        errors
    }
}

impl Deliver for Pushover {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // Pushover has no idempotency key. A duplicate notification is better than a lost one.
        retry_ambiguous: true,
        // The notifications of one application are sent one after the other. `CONNECTIONS` bounds all applications.
        concurrency: 1,
        calls: 1,
        limits: "1 message a second per application (bursts of 5), 10,000 a month; 2 requests at once for all \
                 applications; messages are cut at 1,024 characters, titles at 250; an address of more than 512 is \
                 left out.",
        preview: Preview::Request,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // A notification shows who pushed where, and no commits.
        links_references: false,
        // The limits above in characters of four bytes, each of which is encoded as three.
        largest_body: 20_000,
        fault: |body| (!is_seen(&body["message"])).then_some("a blank message"),
        // Notifications go only to the user in the settings.
        mentions: &[],
        status: |status| match status {
            // Pushover answers with JSON. Without it, it is unknown whether the message was accepted.
            200..=299 => "unavailable",
            // The answer does not contain the end of the quota.
            429 => "throttled",
            other => usual_status(other),
        },
        answers: &[
            Expected {
                status: 200,
                headers: &[],
                body: r#"{"status":1,"request":"e460545a"}"#,
                outcome: "taken",
            },
            Expected {
                status: 200,
                headers: &[],
                body: r#"{"status":0,"errors":["message cannot be blank"],"message":"cannot be blank"}"#,
                outcome: "rejected",
            },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"user":"invalid","errors":["user identifier is not a valid user"],"status":0}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"token":"invalid","errors":["application token is invalid"],"status":0}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"message":"cannot be blank","errors":["message cannot be blank"],"status":0}"#,
                outcome: "rejected",
            },
            Expected {
                status: 400,
                headers: &[],
                body: r#"{"expire":"must be supplied with priority=2","errors":["expire must be supplied"],"status":0}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 429,
                headers: &[("x-limit-app-remaining", "0"), ("x-limit-app-reset", "1393653600")],
                body: r#"{"user":"valid","errors":["application is over its quota"],"status":0}"#,
                outcome: "quota until 2014-03-01T06:00:00Z",
            },
            Expected { status: 429, headers: &[], body: "", outcome: "throttled 3600 s" },
            Expected {
                status: 429,
                headers: &[("x-limit-app-reset", "soon")],
                body: "",
                outcome: "throttled 3600 s",
            },
            Expected { status: 200, headers: &[], body: "", outcome: "unavailable, perhaps taken" },
            Expected {
                status: 200,
                headers: &[],
                body: "<html>Sign in to the network</html>",
                outcome: "unavailable",
            },
            Expected { status: 500, headers: &[], body: "<html>Oops</html>", outcome: "unavailable" },
            Expected { status: 502, headers: &[], body: "", outcome: "unavailable" },
        ],
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_APPLICATION;
        let api = api(settings);
        let parts = [api.as_str(), settings.api_key.expose().trim()];
        // The quota belongs to the application, so the application is the destination: a used-up quota holds all
        // integrations with this key.
        Pace::of(Bucket::new("pushover application", &parts, count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let message = note.message()?;
        let fields = fields(settings, note.event, message);
        let pairs = fields.iter().map(|(name, value)| (*name, value.as_str()));
        let request = HttpRequest::post_form(api(settings), pairs).with_secret_fields(&["token", "user"]);
        let request = HttpRequest { at_once: Some(CONNECTIONS), ..request };
        Ok(Call::http(request, read))
    }
}

/// The address that messages are sent to.
fn api(settings: &Settings) -> url::Url {
    let default = || url::Url::parse(API).expect("the constant is an address");
    let mut url = settings.base_url.as_ref().map_or_else(default, |base| base.0.clone());
    url.set_query(None);
    url.set_fragment(None);
    let mut path = url.path_segments_mut().expect("an http address has a path");
    path.pop_if_empty().extend(["1", "messages.json"]);
    drop(path);
    url
}

fn fields(settings: &Settings, event: &Event, message: &Message) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("token", settings.api_key.expose().trim().to_owned()),
        ("user", settings.user_key.expose().trim().to_owned()),
        // GitLab also sends a blank value.
        ("device", settings.device.clone().unwrap_or_default()),
        ("priority", settings.priority.name().to_owned()),
        ("message", text(message)),
    ];
    if settings.priority == Priority::Emergency {
        fields.push(("retry", settings.retry.to_string()));
        fields.push(("expire", settings.expire.to_string()));
    }
    if let Some(sound) = settings.sound {
        fields.push(("sound", sound.name().to_owned()));
    }
    let project = &message.project;
    if !project.full_name.is_empty() {
        fields.push(("title", Markup::Plain.label(&project.full_name, TITLE)));
    }
    let page = message.title.as_ref().filter(|_| !is_push(event)).and_then(|title| title.url.clone());
    let (url, name) = match page {
        Some(page) => (page, "See more".to_owned()),
        None => (project.url.clone(), format!("See project {}", project.full_name)),
    };
    // An address can't be cut, so it is left out if it is too long.
    if !url.is_empty() && url.chars().count() <= LONGEST_URL {
        fields.push(("url", url.into()));
        fields.push(("url_title", Markup::Plain.label(name.trim(), URL_TITLE)));
    }
    fields
}

fn is_push(event: &Event) -> bool {
    matches!(event.payload, Payload::Push(_))
}

/// The summary, a push's commits, and an alert's details, without addresses, because there is one link below. The part
/// of the summary after the project is only a link, and is left out.
fn text(message: &Message) -> String {
    let action = &message.summary.0[..message.location_span.start.min(message.summary.0.len())];
    let mut words = Text(action.to_vec()).plain_text().trim_end().to_owned();
    // A message about an event without a person begins with the place.
    if message.location_span.start <= usize::from(message.is_test) {
        words = message.headline().plain_text();
    }
    match &message.body {
        Body::Lines(lines) => {
            for line in lines {
                words = format!("{words}\n{}", line.plain_text());
            }
        }
        Body::Prose(prose) => words = format!("{words}\n{}", prose.plain_text()),
        Body::None => {}
    }
    for field in &message.fields {
        words = format!("{words}\n{}: {}", field.name, field.value.plain_text());
    }
    Markup::Plain.render_within(&Text::new().plain(words), MESSAGE)
}

fn read(response: &HttpResponse) -> Answer<Sent> {
    let answer: Json = serde_json::from_str(&response.text()).unwrap_or_default();
    let again = |maybe_taken| match unavailable(response, maybe_taken) {
        Failure::Unavailable { maybe_taken, wait, why } => {
            Failure::Unavailable { maybe_taken, wait: Some(wait.unwrap_or_default().max(PAUSE)), why }
        }
        other => other,
    };
    Answer::Failed(match (response.status, answer["status"].as_i64()) {
        (200..=299, Some(1)) => return Answer::Done(Sent),
        (429, _) => quota(response),
        (200..=299 | 400..=499, Some(0)) => refusal(&answer, describe(response)),
        // Not Pushover's own answer, which always has a status of 0 or 1 in it.
        (200..=299, _) => again(!is_page(response)),
        _ => match by_status(response) {
            Answer::Failed(Failure::Unavailable { .. }) => again(false),
            other => return other,
        },
    })
}

/// `status: 0`: the answer names the field that is wrong. All fields except the message come from the settings.
fn refusal(answer: &Json, why: String) -> Failure {
    const OF_SETTINGS: [&str; 7] = ["token", "user", "device", "priority", "sound", "retry", "expire"];
    let is_named = |field: &str| answer[field].as_str().is_some_and(|problem| problem != "valid");
    if OF_SETTINGS.iter().any(|field| is_named(field)) {
        Failure::Misconfigured(why)
    } else {
        Failure::Rejected(why)
    }
}

/// The month's messages are used up. A header contains the time of the reset, in seconds since 1970.
fn quota(response: &HttpResponse) -> Failure {
    let why = describe(response);
    let reset = response.header("x-limit-app-reset").and_then(|seconds| seconds.trim().parse().ok());
    match reset.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
        Some(until) => Failure::Quota { until, why },
        None => Failure::Throttled { wait: Some(UNNAMED_QUOTA), why, shared: false },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::event::sample;
    use crate::settings::{Properties, Settings as _, Value};

    fn properties(more: &[(&str, &str)]) -> Properties {
        let required = [("api_key", " a-key "), ("user_key", "u-key"), ("priority", "0")];
        let property = |(name, value): &(&str, &str)| ((*name).to_owned(), Value::Text((*value).to_owned()));
        required.iter().chain(more).map(property).collect()
    }

    /// The form for a message.
    fn form(more: &[(&str, &str)], message: &Message) -> BTreeMap<&'static str, String> {
        let settings = Settings::read(&properties(more)).expect("valid settings");
        fields(&settings, &sample(Trigger::Push), message).into_iter().collect()
    }

    fn errors(more: &[(&str, &str)]) -> Vec<String> {
        let errors = match Settings::read(&properties(more)) {
            Ok(settings) => Pushover::validate(&settings),
            Err(errors) => errors,
        };
        errors.iter().map(ToString::to_string).collect()
    }

    fn message() -> Message {
        crate::message::compose(&crate::event::sample(Trigger::Push)).expect("a push has a message")
    }

    #[test]
    fn unset_settings_are_not_sent_except_for_the_device() {
        let bare = form(&[], &message());
        assert_eq!(
            (bare["token"].as_str(), bare["device"].as_str(), bare["priority"].as_str()),
            ("a-key", "", "0")
        );
        assert!(["sound", "retry", "expire"].iter().all(|name| !bare.contains_key(name)), "{bare:?}");
        let set = form(&[("sound", "Siren"), ("device", "phone"), ("retry", "90")], &message());
        assert_eq!((set["sound"].as_str(), set["device"].as_str()), ("siren", "phone"));
        assert!(!set.contains_key("retry"), "only emergencies are repeated");
    }

    #[test]
    fn an_emergency_is_repeated_until_it_expires() {
        let sent = form(&[("priority", "2"), ("retry", "30"), ("expire", " ")], &message());
        assert_eq!((sent["retry"].as_str(), sent["expire"].as_str()), ("30", "3600"));
        assert_eq!(errors(&[("retry", "29")]), ["retry: must be 30 or more"]);
        assert_eq!(errors(&[("expire", "10801")]), ["expire: must be from 1 to 10800"]);
        assert_eq!(errors(&[("priority", "3")]), ["priority: must be -2, -1, 0, 1 or 2"]);
        assert!(errors(&[("sound", "moo")])[0].starts_with("sound: must be pushover, bike, "));
    }

    #[test]
    fn long_texts_are_cut_and_long_addresses_are_left_out() {
        let mut long = message();
        long.summary = Text::new().plain("🔔".repeat(2_000));
        long.location_span = 1..1;
        let project = std::sync::Arc::make_mut(&mut long.project);
        project.full_name = "n".repeat(300).into();
        project.url = format!("https://forge.example/{}", "p".repeat(600)).into();
        let sent = form(&[], &long);
        let length = |name: &str| sent[name].chars().count();
        assert!((1_000..=1024).contains(&length("message")) && length("title") == 250, "{sent:?}");
        assert!(!sent.contains_key("url") && !sent.contains_key("url_title"), "{sent:?}");
    }

    #[test]
    fn compatible_services_are_called_at_their_own_address() {
        let called = |more: &[(&str, &str)]| {
            let settings = Settings::read(&properties(more)).expect("valid settings");
            api(&settings).to_string()
        };
        assert_eq!(called(&[]), "https://api.pushover.net/1/messages.json");
        assert_eq!(
            called(&[("base_url", "https://push.example/below/?x=y")]),
            "https://push.example/below/1/messages.json"
        );
    }

    #[test]
    fn all_applications_together_have_two_requests_with_pushover_at_once() {
        for key in ["one", "another"] {
            let properties = [("api_key", key), ("user_key", "u-key"), ("priority", "0")];
            let request = crate::adapters::tests::http_call("pushover", &properties, Trigger::Push);
            assert_eq!(request.at_once, Some(2), "the wire counts requests to one origin");
        }
    }

    #[test]
    fn deliveries_of_one_application_share_their_destination() {
        let destination = |more: &[(&str, &str)]| {
            let settings = Settings::read(&properties(more)).expect("valid settings");
            Pushover::pace(&settings, "").destination.key
        };
        assert_eq!(
            destination(&[("user_key", "another")]),
            destination(&[]),
            "the quota is the application's"
        );
        assert_ne!(destination(&[("api_key", "another")]), destination(&[]));
    }
}
