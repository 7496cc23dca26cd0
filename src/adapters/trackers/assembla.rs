//! Assembla: a space gets the pushes of its repositories at the address of its GitHub tool
//! (`POST /spaces/<space>/github_tool?secret_key=<token>`).
//!
//! The body is an object whose only part, `payload`, is the event's JSON, byte for byte. Assembla documents no answers, so only
//! their status is read.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::address::below;
use crate::adapters::builds::forward;
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected};
use crate::call::{Bucket, Call, Failure, HttpRequest, Method, Pace, Sent, by_status};
use crate::event::{Event, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{FieldError, Secret, Url};

const SERVER: &str = "https://atlas.assembla.com";
/// No rate is published; this value is our choice.
const PER_SPACE: (u32, u32) = (2, 5);
const TIMEOUT: Duration = Duration::from_secs(15);

crate::settings! {
    /// What Assembla needs.
    pub struct Settings {
        /// The secret key of the space's GitHub tool.
        pub token: Secret = "7d1a9f3e5b8c2046e4f6a8b0c2d4e6f8",
        /// The space's name, as in the address of its pages. GitLab calls it the subdomain. Nothing is sent without it.
        pub subdomain: Option<String> = "acme-rocket",
        /// The address of a compatible server. Blank: Assembla.
        pub base_url: Option<Url> = "https://assembla.example.com",
    }
}

impl Settings {
    fn space(&self) -> Option<&str> {
        self.subdomain.as_deref().map(str::trim).filter(|space| !space.is_empty())
    }
}

/// The adapter.
pub struct Assembla;

impl Adapter for Assembla {
    const ABOUT: About = About {
        slug: "assembla",
        title: "Assembla",
        summary: "Tells a space of Assembla about pushes.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    };
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let is_name = |space: &str| {
            let is_plain = !space.contains(|c: char| c.is_control() || c.is_whitespace() || c == '/');
            is_plain && !matches!(space, "." | "..")
        };
        let is_wrong = settings.space().is_some_and(|space| !is_name(space));
        let error = || FieldError::new("subdomain", "must be the space's name: one word without a slash");
        if is_wrong { vec![error()] } else { Vec::new() }
    }

    fn warnings(settings: &Settings) -> Vec<FieldError> {
        let warning = || FieldError::new("subdomain", "is not set, so nothing is sent");
        if settings.space().is_none() { vec![warning()] } else { Vec::new() }
    }
}

impl Deliver for Assembla {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        // Assembla has no idempotency key. A repeated push is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "2 pushes a second per space (bursts of 5).",
        preview: Preview::Call,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        largest_body: forward::LARGEST_BODY,
        // Texts of people are only in the event's JSON.
        forwards: true,
        mentions: &[],
        answers: &[
            Expected { status: 200, headers: &[], body: "", outcome: "taken" },
            Expected { status: 201, headers: &[], body: "{}", outcome: "taken" },
            Expected { status: 200, headers: &[], body: "<html>Sign in</html>", outcome: "unavailable" },
            Expected { status: 302, headers: &[("location", "/login")], body: "", outcome: "unavailable" },
            // Errors have no form that is known to be Assembla's own.
            Expected { status: 401, headers: &[], body: "Unauthorized", outcome: "unavailable" },
            Expected { status: 404, headers: &[], body: "<html>no</html>", outcome: "unavailable" },
            Expected { status: 422, headers: &[], body: r#"{"error":"x"}"#, outcome: "rejected" },
            Expected { status: 429, headers: &[("retry-after", "4")], body: "", outcome: "throttled 4 s" },
            Expected { status: 500, headers: &[], body: "", outcome: "unavailable" },
        ],
        ..Contract::USUAL
    };

    fn targets(settings: &Settings, _event: &Event, _channels: &[String]) -> Targets {
        // GitLab requires only the token.
        settings.space().map_or_else(|| Targets::none("`subdomain` is not set"), |_| Targets::own())
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_SPACE;
        let server = below(settings.base_url.as_ref(), SERVER, []).origin().ascii_serialization();
        let parts = [server.as_str(), settings.space().unwrap_or_default(), settings.token.expose().trim()];
        Pace::of(Bucket::new("assembla space", &parts, count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let unset = || Failure::Misconfigured("`subdomain` is not set".to_owned());
        let space = settings.space().ok_or_else(unset)?;
        let mut url = below(settings.base_url.as_ref(), SERVER, ["spaces", space, "github_tool"]);
        url.query_pairs_mut().append_pair("secret_key", settings.token.expose().trim());
        let request = HttpRequest {
            headers: vec![("content-type", "application/json".to_owned())],
            body: wrapped(&forward::whole(note.event)?),
            timeout: TIMEOUT,
            ..HttpRequest::new(Method::Post, url)
        };
        Ok(Call::http(request, by_status))
    }
}

/// `{"payload": <the event>}`.
fn wrapped(event: &[u8]) -> Bytes {
    const BEFORE: &[u8] = b"{\"payload\":";
    let mut body = BytesMut::with_capacity(BEFORE.len() + event.len() + 1);
    body.put_slice(BEFORE);
    body.put_slice(event);
    body.put_u8(b'}');
    body.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::{errors, http_call, targets_of};

    const REQUIRED: [(&str, &str); 2] = [("token", "a+b c=&"), ("subdomain", "acme-rocket")];

    #[test]
    fn a_push_is_wrapped_byte_for_byte_and_the_key_is_encoded() {
        let request = http_call("assembla", &REQUIRED, Trigger::Push);
        assert_eq!(
            request.url.as_str(),
            "https://atlas.assembla.com/spaces/acme-rocket/github_tool?secret_key=a%2Bb+c%3D%26"
        );
        let event = crate::event::sample(Trigger::Push).raw;
        let json: serde_json::Value = serde_json::from_slice(&event).expect("JSON");
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!(body, serde_json::json!({ "payload": json }));
    }

    #[test]
    fn compatible_servers_are_called_at_their_own_address() {
        let settings = [REQUIRED[0], REQUIRED[1], ("base_url", "https://u:p@a.example/below/?x=y")];
        let url = http_call("assembla", &settings, Trigger::Push).url;
        assert_eq!(
            url.as_str(),
            "https://u:p@a.example/below/spaces/acme-rocket/github_tool?secret_key=a%2Bb+c%3D%26"
        );
    }

    #[test]
    fn a_space_is_one_word_and_nothing_is_sent_without_it() {
        for wrong in ["a/b", "..", "a b", "\u{7}"] {
            let errors = errors("assembla", &[REQUIRED[0], ("subdomain", wrong)]);
            assert_eq!(
                errors,
                ["subdomain: must be the space's name: one word without a slash"],
                "{wrong:?}"
            );
        }
        for blank in [vec![REQUIRED[0]], vec![REQUIRED[0], ("subdomain", " ")]] {
            assert!(errors("assembla", &blank).is_empty(), "GitLab requires the token alone");
            assert_eq!(
                targets_of("assembla", &blank, Trigger::Push),
                Targets::none("`subdomain` is not set")
            );
        }
        assert_eq!(targets_of("assembla", &REQUIRED, Trigger::Push), Targets::own());
    }
}
