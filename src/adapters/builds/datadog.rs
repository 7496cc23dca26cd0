//! Datadog: events are forwarded to its intake for webhooks, for CI Visibility and more
//! (<https://docs.datadoghq.com/continuous_integration/pipelines/gitlab/>).

use std::time::Duration;

use serde_json::Value as Json;
use url::Url as Address;

use super::answers;
use super::forward::{self, EventHeader};
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected};
use crate::call::{Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Pace, Sent, by_status};
use crate::event::{Event, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{FieldError, Secret, Site, Url};

const DEFAULT_SITE: &str = "datadoghq.com";
/// No rate is published for this intake; this value is our choice.
const PER_KEY: (u32, u32) = (5, 20);
/// Datadog's own API for pipelines takes none that are older.
const MAX_AGE: Duration = Duration::from_secs(18 * 3600);

crate::settings! {
    /// What Datadog needs.
    pub struct Settings {
        /// The API key.
        pub api_key: Secret = "d41d8cd98f00b204e9800998ecf8427e",
        /// The site that the data goes to. Without `api_url` it is needed.
        pub datadog_site: Option<Site> = "datadoghq.eu" or "datadoghq.com",
        /// The whole address of the intake, instead of the site's.
        pub api_url: Option<Url> = "https://intake.example.com/api/v2/webhook",
        /// The name under which this forge's data is found.
        pub datadog_service: Option<String> = "gitlab-acme",
        /// The environment's tag, to tell several forges apart.
        pub datadog_env: Option<String> = "production",
        /// Tags, one `name:value` a line.
        pub datadog_tags: Option<String> = "team:rockets",
        /// Whether pipelines, jobs and the archive of their logs are sent.
        pub datadog_ci_visibility: bool = "true" or "true",
    }
}

/// The adapter.
pub struct Datadog;

impl Adapter for Datadog {
    const ABOUT: About = About {
        slug: "datadog",
        title: "Datadog",
        summary: "Forwards pipelines, jobs, pushes, merge requests, comments and changes in groups to Datadog.",
        triggers: Triggers::of(&[
            Trigger::Pipeline,
            Trigger::Job,
            Trigger::ArchiveTrace,
            Trigger::Push,
            Trigger::MergeRequest,
            Trigger::Note,
            Trigger::TagPush,
            Trigger::Subgroup,
            Trigger::Project,
        ]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    };
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !settings.api_key.expose().trim().chars().all(is_word) {
            errors.push(FieldError::new("api_key", "must consist of letters, digits and underscores"));
        }
        if settings.api_url.is_none() && !is_site(site(settings)) {
            errors.push(FieldError::new("datadog_site", "must be a host's name, as datadoghq.com"));
        }
        if let Some(line) = tag_lines(settings).find(|line| !is_tag(line)) {
            let problem = format!("have an invalid format: `{line}` is not `name:value`");
            errors.push(FieldError::new("datadog_tags", problem));
        }
        errors
    }

    fn validate_triggers(settings: &Settings, triggers: Triggers) -> Vec<FieldError> {
        let asks = triggers.contains(Trigger::ArchiveTrace) && !settings.datadog_ci_visibility;
        asks.then(|| FieldError::new(Trigger::ArchiveTrace.flag(), NEEDS_CI)).into_iter().collect()
    }
}

/// GitLab's words.
const NEEDS_CI: &str = "requires CI Visibility to be enabled (datadog_ci_visibility = true)";

impl Deliver for Datadog {
    const DELIVERY: Delivery = Delivery {
        max_age: MAX_AGE,
        // Datadog tells repeated events apart by the ids in them.
        retry_ambiguous: true,
        concurrency: 4,
        calls: 1,
        limits: "5 events a second per API key (bursts of 20); events older than 18 hours are not sent.",
        preview: Preview::Call,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        largest_body: forward::LARGEST_BODY,
        forwards: true,
        mentions: &[],
        answers: &[
            Expected { status: 202, headers: &[], body: "{}", outcome: "taken" },
            Expected { status: 200, headers: &[], body: "", outcome: "taken" },
            Expected {
                status: 200,
                headers: &[],
                body: "<!DOCTYPE html><html>Log in",
                outcome: "unavailable",
            },
            Expected { status: 400, headers: &[], body: r#"{"errors":["bad"]}"#, outcome: "rejected" },
            Expected {
                status: 401,
                headers: &[],
                body: r#"{"errors":["Unauthorized"]}"#,
                outcome: "misconfigured",
            },
            Expected {
                status: 403,
                headers: &[],
                body: r#"{"errors":["Forbidden"]}"#,
                outcome: "misconfigured",
            },
            Expected { status: 408, headers: &[], body: "", outcome: "unavailable" },
            Expected { status: 403, headers: &[], body: "<html>Blocked", outcome: "unavailable" },
            Expected { status: 413, headers: &[], body: "", outcome: "rejected" },
            Expected {
                status: 429,
                headers: &[("x-ratelimit-reset", "33")],
                body: "",
                outcome: "throttled 33 s",
            },
            Expected {
                status: 429,
                headers: &[("retry-after", "5"), ("x-ratelimit-reset", "33")],
                body: "",
                outcome: "throttled 5 s",
            },
            Expected { status: 500, headers: &[], body: "", outcome: "unavailable" },
            Expected { status: 503, headers: &[], body: "", outcome: "unavailable" },
        ],
        ..Contract::USUAL
    };

    fn targets(settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        let is_of_ci =
            matches!(event.trigger, Some(Trigger::Pipeline | Trigger::Job | Trigger::ArchiveTrace));
        if is_of_ci && !settings.datadog_ci_visibility {
            return Targets::none("CI Visibility is switched off (datadog_ci_visibility = false)");
        }
        Targets::own()
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_KEY;
        let origin = intake(settings).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let parts = [origin.as_str(), settings.api_key.expose().trim()];
        Pace::of(Bucket::new("datadog key", &parts, count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let Some(url) = intake(settings) else {
            return Err(Failure::Misconfigured("datadog_site is not a host's name".to_owned()));
        };
        let request = forward::request(note, with_query(settings, url), EventHeader::Real)?;
        Ok(Call::http(HttpRequest { timeout: Duration::from_secs(10), ..request }, read))
    }
}

/// The site without the `app.` of its pages.
fn site(settings: &Settings) -> &str {
    let site = settings.datadog_site.as_ref().map_or(DEFAULT_SITE, Site::as_str);
    site.strip_prefix("app.").unwrap_or(site)
}

/// GitLab's rule: labels of a host's name, the last of two to five letters, and perhaps a port.
fn is_site(site: &str) -> bool {
    let (host, port) = site.split_once(':').map_or((site, None), |(host, port)| (host, Some(port)));
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let Some((labels, last)) = host.rsplit_once('.') else { return false };
    let is_label = |label: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(is_part)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    labels.split('.').all(is_label)
        && (2..=5).contains(&last.len())
        && last.bytes().all(|byte| byte.is_ascii_alphabetic())
        && port.is_none_or(is_port)
}

fn tag_lines(settings: &Settings) -> impl Iterator<Item = &str> {
    let lines = settings.datadog_tags.as_deref().unwrap_or_default().lines();
    lines.map(str::trim).filter(|line| !line.is_empty())
}

fn is_tag(line: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    line.split_once(':').is_some_and(|(name, value)| {
        !name.is_empty() && name.chars().all(is_part) && !value.trim().is_empty()
    })
}

/// The address without its query.
fn intake(settings: &Settings) -> Option<Address> {
    if let Some(url) = &settings.api_url {
        return Some(url.0.clone());
    }
    Address::parse(&format!("https://webhook-intake.{}/api/v2/webhook", site(settings))).ok()
}

/// The parameters in alphabetical order, as GitLab writes them. They replace a query of the address.
fn with_query(settings: &Settings, mut url: Address) -> Address {
    let quoted = |tag: &str| if tag.contains(',') { format!("\"{tag}\"") } else { tag.to_owned() };
    let tags: Vec<String> = tag_lines(settings).map(quoted).collect();
    let tags = tags.join(",");
    let text = |setting: &Option<String>| setting.as_deref().map(str::trim).unwrap_or_default().to_owned();
    let parameters = [
        ("dd-api-key", settings.api_key.expose().trim().to_owned()),
        ("env", text(&settings.datadog_env)),
        ("service", text(&settings.datadog_service)),
        ("tags", tags),
    ];
    url.set_fragment(None);
    url.query_pairs_mut().clear().extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
    url
}

/// A limit's end is in a header of Datadog's own, in seconds from now
/// (<https://docs.datadoghq.com/api/latest/rate-limits/>).
fn read(response: &HttpResponse) -> Answer<Sent> {
    let answer: Json = serde_json::from_slice(&response.body).unwrap_or_default();
    let errors = answer["errors"].as_array();
    let says_no = errors.is_some_and(|errors| errors.iter().any(Json::is_string));
    match response.status {
        401 | 403 if says_no => answers::misconfigured(response),
        _ => answers::with_wait_of("x-ratelimit-reset", response, by_status(response)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::tests::{header, http_call, settings_with, targets_of};

    const KEY: (&str, &str) = ("api_key", "abc_123");

    fn called(more: &[(&str, &str)]) -> String {
        http_call("datadog", &[&[KEY], more].concat(), Trigger::Push).url.to_string()
    }

    #[test]
    fn the_site_is_part_of_the_intakes_name_and_an_address_of_its_own_replaces_it() {
        assert_eq!(called(&[]), "https://webhook-intake.datadoghq.com/api/v2/webhook?dd-api-key=abc_123");
        assert_eq!(
            called(&[("datadog_site", "app.datadoghq.eu")]),
            "https://webhook-intake.datadoghq.eu/api/v2/webhook?dd-api-key=abc_123"
        );
        assert_eq!(
            called(&[("api_url", "http://dd.example/x?old=1#y"), ("datadog_site", "ignored")]),
            "http://dd.example/x?dd-api-key=abc_123"
        );
    }

    #[test]
    fn parameters_are_in_alphabetical_order_and_blank_ones_left_out() {
        let url = called(&[
            ("datadog_env", " prod "),
            ("datadog_service", "gitlab & co"),
            ("datadog_tags", "team:a\n\n  k-1:v, w \nz:1:2"),
        ]);
        assert_eq!(
            url.split_once('?').map(|(_, query)| query),
            Some(
                "dd-api-key=abc_123&env=prod&service=gitlab+%26+co&tags=team%3Aa%2C%22k-1%3Av%2C+w%22%2Cz%3A1%3A2"
            )
        );
    }

    #[test]
    fn every_kind_is_named_in_the_header() {
        for (trigger, name) in [
            (Trigger::Pipeline, "Pipeline Hook"),
            (Trigger::Job, "Job Hook"),
            (Trigger::ArchiveTrace, "Archive Trace Hook"),
            (Trigger::Push, "Push Hook"),
            (Trigger::MergeRequest, "Merge Request Hook"),
            (Trigger::Note, "Note Hook"),
            (Trigger::TagPush, "Tag Push Hook"),
            (Trigger::Subgroup, "Subgroup Hook"),
            (Trigger::Project, "Project Hook"),
        ] {
            let request = http_call("datadog", &[KEY], trigger);
            assert_eq!(header(&request, "x-gitlab-event"), Some(name));
        }
    }

    #[test]
    fn without_ci_visibility_only_what_is_not_of_ci_is_sent() {
        let sent = |visibility: &[(&str, &str)], trigger| {
            targets_of("datadog", &[&[KEY], visibility].concat(), trigger).send.len()
        };
        let off: &[(&str, &str)] = &[("datadog_ci_visibility", "false")];
        for trigger in [Trigger::Pipeline, Trigger::Job, Trigger::ArchiveTrace] {
            assert_eq!((sent(&[], trigger), sent(off, trigger)), (1, 0), "{trigger}");
        }
        assert_eq!(sent(off, Trigger::Push), 1);
    }

    #[test]
    fn archived_logs_need_ci_visibility() {
        let entry = crate::adapters::find("datadog").expect("it is in the table");
        let errors = |visibility: &str, trigger| {
            let settings = settings_with("datadog", &[KEY, ("datadog_ci_visibility", visibility)]);
            entry.validate_triggers(&settings.expect("valid settings"), Triggers::of(&[trigger]))
        };
        assert_eq!(errors("false", Trigger::ArchiveTrace)[0].field, "archive_trace_events");
        assert!(errors("true", Trigger::ArchiveTrace).is_empty());
        assert!(errors("false", Trigger::Pipeline).is_empty());
    }

    #[test]
    fn wrong_settings_are_named() {
        let errors = |more: &[(&str, &str)]| settings_with("datadog", &[&[KEY], more].concat()).unwrap_err();
        assert_eq!(
            errors(&[("datadog_tags", "a:b\nnonsense")]),
            ["datadog_tags: have an invalid format: `nonsense` is not `name:value`"]
        );
        for tag in [":b", "a: ", "a b:c"] {
            assert_eq!(errors(&[("datadog_tags", tag)]).len(), 1, "{tag}");
        }
        for site in ["https://datadoghq.com", "localhost", "a..com", "x.toolong", "dd.com:x", "a.com/evil"] {
            assert_eq!(errors(&[("datadog_site", site)]).len(), 1, "{site}");
        }
        assert!(settings_with("datadog", &[KEY, ("datadog_site", "us3.datadoghq.com:8443")]).is_ok());
        let errors = settings_with("datadog", &[("api_key", "not-a-word")]).unwrap_err();
        assert_eq!(errors, ["api_key: must consist of letters, digits and underscores"]);
    }
}
