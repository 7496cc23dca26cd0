//! Pushover: pushes as notifications on people's phones (<https://pushover.net/api>).
//!
//! Errors are JSON with `status: 0`, whatever the HTTP status, and name the field that is wrong. Whoever goes on sending
//! what is refused is blocked by address after some minutes: so everything that the settings cause holds the route. A
//! 429 is no short limit: the application's messages for the month are used up.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::adapters::contract::{About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, is_seen, usual_status};
use crate::call::{
    Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Pace, Sent, by_status, describe,
};
use crate::event::{Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Body, Limit, Markup, Message, Text};
use crate::settings::{FieldError, Secret, Url};

const API: &str = "https://api.pushover.net";
/// <https://pushover.net/api#limits>.
const MESSAGE: Limit = Limit::Chars(1024);
const TITLE: Limit = Limit::Chars(250);
const LONGEST_URL: usize = 512;
const URL_TITLE: Limit = Limit::Chars(100);
/// No rate is published; this is ours.
const PER_APPLICATION: (u32, u32) = (1, 5);
/// An address that fails is asked again no sooner (<https://pushover.net/api#friendly>).
const PAUSE: Duration = Duration::from_secs(5);
/// The wait where the quota is used up and its end is not named.
const UNNAMED_QUOTA: Duration = Duration::from_secs(3600);
/// How often an emergency is repeated at most, and how long at most (<https://pushover.net/api#priority>).
const SHORTEST_RETRY: i64 = 30;
const LONGEST_EXPIRE: i64 = 10_800;

crate::settings! {
    /// What Pushover needs.
    pub struct Settings {
        /// The application's key.
        pub api_key: Secret = "azGDORePK8gMaC0QOYAMyEEuzJnyUi",
        /// The key of a user or a group.
        pub user_key: Secret = "uQiRzpo4DXghDmr9QzzfQu27cmVRsG",
        /// Only to this device; blank: to all of the user's. Several are separated by commas.
        pub device: Option<String> = "droid4",
        /// How loud a push is: -2 (lowest), -1, 0 (normal), 1 (high) or 2 (emergency: repeated until it is confirmed).
        pub priority: Priority = "0",
        /// The sound; blank: as the user set it.
        pub sound: Option<Sound> = "bike",
        /// Of emergencies: after how many seconds each is repeated, 30 at least.
        pub retry: i64 = "60" or "60",
        /// Of emergencies: after how many seconds the repetitions end, 10800 at most.
        pub expire: i64 = "3600" or "3600",
        /// The address of a service that answers as Pushover does, where it is not Pushover.
        pub base_url: Option<Url> = "https://pushover.example.com",
    }
}

crate::choices! {
    /// How loud a notification is.
    pub enum Priority {
        Lowest = "-2",
        Low = "-1",
        Normal = "0",
        High = "1",
        Emergency = "2",
    }
}

crate::choices! {
    /// What is heard.
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
        summary: "Sends pushes as notifications to phones and desktops.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Chat,
        common: CommonSettings::NONE,
    };
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
        // Pushover has no key to tell a repeated message by; a notification too many is better than none.
        retry_ambiguous: true,
        // Two connections from one address are allowed in all.
        concurrency: 1,
        calls: 1,
        limits: "1 message a second per application (bursts of 5), 10,000 a month; messages are cut at 1,024 characters, \
                 titles at 250; an address of more than 512 is left out.",
        preview: Preview::Request,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // The limits above in characters of four bytes, each written as three.
        largest_body: 20_000,
        fault: |body| (!is_seen(&body["message"])).then_some("a blank message"),
        // Notifications call only the user that the settings name.
        mentions: &[],
        status: |status| match status {
            // Pushover answers with JSON: without it, it is not known whether it took the message.
            200..=299 | 501 => "unavailable",
            410 => "misconfigured",
            // The end of the quota is not named.
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
        // The quota is the application's, so that is the destination: its end holds all who share the key.
        Pace::of(Bucket::new("pushover application", &parts, count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let message = note.message()?;
        let fields = fields(settings, message);
        let pairs = fields.iter().map(|(name, value)| (*name, value.as_str()));
        Ok(Call::http(HttpRequest::post_form(api(settings), pairs), read))
    }
}

/// Where messages are sent to.
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

fn fields(settings: &Settings, message: &Message) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("token", settings.api_key.expose().trim().to_owned()),
        ("user", settings.user_key.expose().trim().to_owned()),
        // GitLab sends it blank too.
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
    // A part of an address leads elsewhere.
    if !project.url.is_empty() && project.url.chars().count() <= LONGEST_URL {
        fields.push(("url", project.url.clone()));
        let name = format!("See project {}", project.full_name);
        fields.push(("url_title", Markup::Plain.label(name.trim(), URL_TITLE)));
    }
    fields
}

/// Who did what, and a push's commits: words without addresses, since there is one link below. What stands behind the
/// place in the summary is a link alone.
fn text(message: &Message) -> String {
    let action = &message.summary.0[..message.location_span.start.min(message.summary.0.len())];
    let mut words = Text(action.to_vec()).plain_text().trim_end().to_owned();
    if words.is_empty() {
        words = message.headline().plain_text();
    }
    if let Body::Lines(lines) = &message.body {
        for line in lines {
            words = format!("{words}\n{}", line.plain_text());
        }
    }
    Markup::Plain.render_within(&Text::new().plain(words), MESSAGE)
}

fn read(response: &HttpResponse) -> Answer<Sent> {
    let body = response.text();
    let answer: Json = serde_json::from_str(&body).unwrap_or_default();
    let why = describe(response);
    let unavailable = |maybe_taken| {
        let wait = Some(response.retry_after().unwrap_or_default().max(PAUSE));
        Answer::Failed(Failure::Unavailable { maybe_taken, wait, why: why.clone() })
    };
    match (response.status, answer["status"].as_i64()) {
        (200..=299, Some(1)) => Answer::Done(Sent),
        (429, _) => Answer::Failed(quota(response)),
        (500..=599, _) => unavailable(false),
        (200..=299 | 400..=499, Some(_)) => Answer::Failed(refusal(&answer, why)),
        // A page in Pushover's place: it took nothing.
        (200..=299, None) if body.trim_start().starts_with('<') => unavailable(false),
        (200..=299, None) => unavailable(true),
        // Pushover gives up no key with this status; something before it may.
        (410, None) => Answer::Failed(Failure::Misconfigured(why)),
        _ => by_status(response),
    }
}

/// `status: 0`: the answer names the field that is wrong. All but the words come from the settings.
fn refusal(answer: &Json, why: String) -> Failure {
    const OF_SETTINGS: [&str; 7] = ["token", "user", "device", "priority", "sound", "retry", "expire"];
    let is_named = |field: &str| answer[field].as_str().is_some_and(|problem| problem != "valid");
    if OF_SETTINGS.iter().any(|field| is_named(field)) {
        Failure::Misconfigured(why)
    } else {
        Failure::Rejected(why)
    }
}

/// The month's messages are used up; a header names the moment of the next ones, in seconds since 1970.
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
    use crate::settings::{Properties, Settings as _, Value};

    fn properties(more: &[(&str, &str)]) -> Properties {
        let required = [("api_key", " a-key "), ("user_key", "u-key"), ("priority", "0")];
        let property = |(name, value): &(&str, &str)| ((*name).to_owned(), Value::Text((*value).to_owned()));
        required.iter().chain(more).map(property).collect()
    }

    /// The form for a message.
    fn form(more: &[(&str, &str)], message: &Message) -> BTreeMap<&'static str, String> {
        let settings = Settings::read(&properties(more)).expect("valid settings");
        fields(&settings, message).into_iter().collect()
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
    fn what_is_not_set_is_not_sent_but_for_the_device() {
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
    fn what_is_too_long_is_cut_and_an_address_is_whole_or_not_there() {
        let mut long = message();
        long.summary = Text::new().plain("🔔".repeat(2_000));
        long.location_span = 1..1;
        long.project.full_name = "n".repeat(300);
        long.project.url = format!("https://forge.example/{}", "p".repeat(600));
        let sent = form(&[], &long);
        let length = |name: &str| sent[name].chars().count();
        assert!((1_000..=1024).contains(&length("message")) && length("title") == 250, "{sent:?}");
        assert!(!sent.contains_key("url") && !sent.contains_key("url_title"), "{sent:?}");
    }

    #[test]
    fn look_alikes_are_called_at_their_own_address() {
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
    fn one_application_s_deliveries_share_their_destination() {
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
