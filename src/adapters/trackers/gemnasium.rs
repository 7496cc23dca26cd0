//! Gemnasium: the dependency files that a push touched are read from the forge and posted to a project of the service
//! (<https://github.com/gemnasium/gemnasium-gitlab-service>).
//!
//! The service ended in 2018. The settings are kept. Files are posted only if `base_url` names a compatible server and
//! the operator configured the forge's API. An event contains no files, so they are read at the last commit of the
//! push, one after another, at most 20. A failure of the forge defers the delivery, and is not held against the server.
//!
//! A server's errors are JSON with `error`, a word, and `message`.

mod files;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value as Json, json};

use self::files::{Content, Read, TouchedFiles};
use super::address::{below, without_login};
use super::commits::push;
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview, Targets,
};
use crate::adapters::operator::{ForgeConfig, OperatorSettings};
#[cfg(test)]
use crate::adapters::tests::{Contract, Expected, OwnEvent, usual_status};
use crate::call::{
    Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Method, Pace, Sent, by_status, describe,
};
use crate::event::{Event, Push, RefChange, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{FieldError, Secret, Url};

const SERVER: &str = "https://api.gemnasium.com";
/// No rate is published; this value is our choice.
const PER_PROJECT: (u32, u32) = (1, 3);
const TIMEOUT: Duration = Duration::from_secs(30);
/// The line length of the client's Base64 (RFC 2045 allows 76).
const LINE: usize = 60;

crate::settings! {
    /// What Gemnasium needs.
    pub struct Settings {
        /// The key of a user or team.
        pub api_key: Secret = "b3a1f6c8d2e4075968a7b5c3d1e0f2a4",
        /// The project's name in addresses at Gemnasium.
        pub token: String = "acme-rocket",
        /// The address of a compatible server. Gemnasium has ended, so nothing is sent without it.
        pub base_url: Option<Url> = "https://gemnasium.example.com",
    }
}

const ENDED: &str = "Gemnasium has ended, and `base_url` names a compatible server";
const WITHOUT_FORGE: &str = "dependency files are read from the forge, whose API is not configured: the operator sets \
                             `forge.api_url` and `forge.token`";

/// The adapter.
pub struct Gemnasium;

impl Adapter for Gemnasium {
    const ABOUT: About = About {
        slug: "gemnasium",
        title: "Gemnasium",
        summary: "Posts the dependency files that a push touched to a server that is compatible with Gemnasium.",
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    };
    type Settings = Settings;

    fn warnings(settings: &Settings) -> Vec<FieldError> {
        let warning = || FieldError::new("base_url", format!("is not set, so nothing is sent: {ENDED}"));
        if settings.base_url.is_none() { vec![warning()] } else { Vec::new() }
    }
}

impl Deliver for Gemnasium {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(24 * 3600),
        // A repeat does no harm, because it posts the same files of the same commit.
        retry_ambiguous: true,
        concurrency: 1,
        // The files at the forge, and the upload.
        calls: 21,
        limits: "1 push a second per project (bursts of 3); 20 files of at most 1 MiB each, 8 MiB in all.",
        preview: Preview::AfterLookUp { answer: "source 'https://rubygems.org'\n", then: &Preview::Call },
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        links_references: false,
        // 8 MiB in Base64 with line breaks, which JSON escapes.
        largest_body: 13_000_000,
        mentions: &[],
        targets_of_event: true,
        needs_forge: true,
        own_event: Some(OwnEvent {
            name: "push_of_files",
            file: "push.json",
            change: |push| {
                push["commits"][0]["added"] = json!(["Gemfile", "docs/a b/100%/ü.gemspec"]);
            },
        }),
        status: |status| match status {
            // An empty file.
            200 => "next call",
            201..=299 => "unavailable",
            other => usual_status(other),
        },
        // Answers of the forge: the first call reads a file.
        answers: &[
            Expected { status: 200, headers: &[], body: "gem 'rails'", outcome: "next call" },
            Expected { status: 200, headers: &[], body: "<html>Sign in", outcome: "unavailable" },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"message":"404 File Not Found"}"#,
                outcome: "next call",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"message":"404 Project Not Found"}"#,
                outcome: "unavailable",
            },
            Expected {
                status: 404,
                headers: &[],
                body: r#"{"message":"404 Commit Not Found"}"#,
                outcome: "skipped",
            },
            Expected { status: 429, headers: &[("retry-after", "7")], body: "", outcome: "throttled 7 s" },
        ],
        chain: &[(200, "source 'https://rubygems.org'\n"), (200, "Gem::Specification.new"), (200, "{}")],
        ..Contract::USUAL
    };

    fn targets(settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        let Some(push) = push(event) else { return Targets::none("only pushes have files") };
        if settings.base_url.is_none() {
            return Targets::none(format!("`base_url` is not set: {ENDED}"));
        }
        if push.change() == RefChange::Removed {
            return Targets::none("a branch that is removed has no files");
        }
        let TouchedFiles { read, more } = TouchedFiles::of(push);
        if read.is_empty() {
            return Targets::none(
                "the push touched no dependency files (Gemfile, package.json and the like)",
            );
        }
        let left_out =
            (more > 0).then(|| format!("{more} more dependency files: at most {} are read", files::MOST));
        Targets { left_out: left_out.into_iter().collect(), ..Targets::own() }
    }

    fn unmet(_settings: &Settings, operator: &OperatorSettings) -> Option<String> {
        let ForgeConfig { api_url, token, .. } = &operator.forge;
        (api_url.is_empty() || token.is_blank()).then(|| WITHOUT_FORGE.to_owned())
    }

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_PROJECT;
        let server = below(settings.base_url.as_ref(), SERVER, []).origin().ascii_serialization();
        let parts = [server.as_str(), settings.token.trim(), settings.api_key.expose().trim()];
        Pace::of(Bucket::new("gemnasium project", &parts, count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let none = |why: &str| Failure::Rejected(why.to_owned());
        let push = push(note.event).ok_or_else(|| none("only pushes have files"))?;
        let project = note.event.project.as_ref().map(|project| project.id).filter(|id| *id > 0);
        let project = project.ok_or_else(|| none("the event does not name the project's id"))?;
        if let Some(why) = Self::unmet(settings, note.operator) {
            return Err(Failure::OperatorError(why));
        }
        let upload = Upload::to(settings, push);
        let files = TouchedFiles::of(push).read;
        Read::at(&note.operator.forge, project, &push.after, files, upload)
            .ok_or_else(|| none("the push touched no dependency files"))
    }
}

/// The destination of the files, and their metadata.
struct Upload {
    request: HttpRequest,
}

impl Upload {
    fn to(settings: &Settings, push: &Push) -> Self {
        let segments = ["v1", "projects", settings.token.trim(), "dependency_files"];
        let url = without_login(below(settings.base_url.as_ref(), SERVER, segments));
        let login = BASE64.encode(format!("X:{}", settings.api_key.expose().trim()));
        let headers = vec![
            ("accept", "application/json".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("authorization", format!("Basic {login}")),
            ("x-gms-branch", header(push.short_ref())),
            ("x-gms-revision", header(&push.after)),
        ];
        Self { request: HttpRequest { headers, timeout: TIMEOUT, ..HttpRequest::new(Method::Post, url) } }
    }

    fn post(self, contents: &[Content]) -> Call<Sent> {
        let file = |file: &Content| json!({ "path": file.path, "sha": file.blob_id, "content": in_lines(&file.bytes) });
        let files: Vec<Json> = contents.iter().map(file).collect();
        let body = Json::from(files).to_string().into();
        Call::http(HttpRequest { body, ..self.request }, read)
    }
}

/// Base64 with a line break after every 60 characters and at the end, as the service's own client writes it.
fn in_lines(bytes: &[u8]) -> String {
    let encoded = BASE64.encode(bytes);
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / LINE + 1);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        lines.push_str(line);
        lines.push('\n');
        rest = after;
    }
    lines
}

/// A text as a header's value: what a header can't contain is encoded as in addresses.
fn header(text: &str) -> String {
    const OUTSIDE: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%');
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { text.to_owned() } else { percent_encoding::utf8_percent_encode(text, OUTSIDE).to_string() }
}

/// The server's own errors name a code. Without it, the answer may be anything's.
fn read(response: &HttpResponse) -> Answer<Sent> {
    let answer: Json = serde_json::from_slice(&response.body).unwrap_or_default();
    let is_own = answer.as_object().is_some_and(|answer| answer.len() == 2)
        && answer["message"].is_string()
        && answer["error"].as_str().is_some_and(is_code);
    match response.status {
        401 | 403 | 404 if is_own => Answer::Failed(Failure::Misconfigured(describe(response))),
        _ => by_status(response),
    }
}

/// `invalid_api_key`.
fn is_code(word: &str) -> bool {
    !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests;
