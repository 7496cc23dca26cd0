//! Slack: incoming webhooks, and the webhooks of its workflow builder.
//!
//! A webhook takes JSON and answers `200` with the body `ok`, or a status with a token that names the mistake
//! (<https://api.slack.com/messaging/webhooks#handling_errors>,
//! <https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>). The token is read first: its
//! status varies. A workflow's trigger has the same host and another path, takes a flat object of strings, and answers
//! `{"ok":true}` or nothing.
//!
//! Only webhooks of the older kind ("custom integrations") heed `channel` and `username`; those of apps post where they
//! were installed, whatever is sent.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::attachment::Form;
use super::{About, Adapter, ChannelSettings, Notification, Offers};
use crate::call::{
    Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Request, Response, by_status, describe,
};
use crate::event::{Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Limit, Markup, Message};
use crate::settings::SecretUrl;

/// Characters of a message's own text. 40,000 are taken, but beyond 4,000 clients split it
/// (<https://api.slack.com/changelog/2018-04-truncating-really-long-messages>).
const TEXT_LIMIT: usize = 4000;
/// Characters of an attachment's text: no limit is published; clients fold it after 700 anyway.
const ATTACHMENT_LIMIT: usize = 8000;
/// Characters of a field, as Slack limits them in blocks (<https://api.slack.com/reference/block-kit/blocks#section>).
const FIELD_LIMIT: usize = 2000;
/// How often a dead webhook must say so before it is believed.
const CONFIRMATIONS: u8 = 3;

crate::settings! {
    /// What Slack needs to be told.
    pub struct Settings {
        /// The incoming webhook's address, as Slack shows it when the webhook is made.
        pub webhook: SecretUrl = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
        /// The name under which messages appear. Webhooks of Slack apps ignore it.
        pub username: Option<String> = "forgebell",
    }
}

/// Slack, told through a webhook.
pub struct Slack;

const FORM: Form = Form {
    markup: Markup::Slack,
    text_limit: ATTACHMENT_LIMIT,
    field_limit: FIELD_LIMIT,
    mrkdwn_in: Some(&["text", "fields"]),
};

impl Adapter for Slack {
    const ABOUT: About = About {
        slug: "slack",
        title: "Slack notifications",
        summary: "Posts to Slack channels through an incoming webhook.",
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
            Trigger::Deployment,
            Trigger::Alert,
            Trigger::Incident,
            Trigger::Vulnerability,
            Trigger::GroupMention,
            Trigger::GroupConfidentialMention,
        ]),
        family: Family::Chat,
        offers: Offers {
            channels: ChannelSettings::Names { at_most: 10 },
            branches: Some("default"),
            only_broken_pipelines: true,
            only_status_changes: false,
            labels: true,
        },
        patience: Duration::from_secs(8 * 3600),
        repeatable: true,
        concurrency: 1,
        limits: "1 message a second per webhook (bursts of 5), 5 a second per workspace; text up to 4,000 characters",
    };
    type Settings = Settings;

    fn buckets(settings: &Settings, _target: &str) -> Vec<Bucket> {
        let url = settings.webhook.expose();
        let host = url.host_str().unwrap_or_default();
        let webhook = Bucket::new("slack webhook", &[url.as_str()], 1, Duration::from_secs(1), 5);
        // /services/T…/B…/…, /workflows/T…/… and /triggers/T…/…: the second part is the workspace.
        match url.path_segments().and_then(|mut segments| segments.nth(1)) {
            Some(team) => {
                vec![webhook, Bucket::new("slack workspace", &[host, team], 5, Duration::from_secs(1), 10)]
            }
            None => vec![webhook],
        }
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call, Failure> {
        let url = settings.webhook.expose().clone();
        let body = if is_workflow(&url) { workflow(note) } else { message(settings, note) };
        let request = Request::Http(HttpRequest::post_json(url, &body));
        Ok(Call { request, read: Box::new(|response| read(response)) })
    }
}

fn is_workflow(url: &url::Url) -> bool {
    url.path().starts_with("/triggers/") || url.path().starts_with("/workflows/")
}

fn message(settings: &Settings, note: &Notification<'_>) -> Value {
    let mut body = Map::new();
    let text = Markup::Slack.render_within(&note.message.summary, Limit::Chars(TEXT_LIMIT));
    body.insert("text".to_owned(), json!(text));
    if let Some(attachment) = FORM.attachment(note.message) {
        body.insert("attachments".to_owned(), json!([attachment]));
    }
    if !note.target.is_empty() {
        body.insert("channel".to_owned(), json!(note.target));
    }
    if let Some(username) = &settings.username {
        body.insert("username".to_owned(), json!(username));
    }
    // Links lead to the forge, which mostly needs a login: their previews are noise.
    body.insert("unfurl_links".to_owned(), json!(false));
    body.insert("unfurl_media".to_owned(), json!(false));
    Value::Object(body)
}

/// A workflow's variables: strings only, by these names.
fn workflow(note: &Notification<'_>) -> Value {
    let Message { summary, project, author, .. } = note.message;
    json!({
        "text": Markup::Plain.render_within(summary, Limit::Chars(TEXT_LIMIT)),
        "event": note.event.kind(),
        "project": project.full_name,
        "project_url": project.url,
        "user": author.as_ref().map(|author| author.display.as_str()).unwrap_or_default(),
    })
}

fn read(response: &Response) -> Answer {
    let Response::Http(response) = response;
    let text = response.text();
    let word = error_word(&text);
    if let Some(failure) = word.as_deref().and_then(|word| by_word(word, response)) {
        return Answer::Failed(failure);
    }
    match (response.status, word.as_deref()) {
        (200..=299, None | Some("ok")) => Answer::Taken,
        // Something between us and Slack answered: a proxy's page, a portal. Slack itself says `ok`.
        (200..=299, Some(_)) => {
            Answer::Failed(Failure::Unavailable { maybe_taken: false, wait: None, why: describe(response) })
        }
        // Where a status comes without a word that we know, its class decides.
        (400, _) => Answer::Failed(Failure::Rejected(describe(response))),
        _ => by_status(response),
    }
}

/// The word that Slack answers with: the body itself, or the `error` of a JSON body. `None` where it says nothing, or a
/// workflow says `{"ok":true}`.
fn error_word(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let Ok(Value::Object(answer)) = serde_json::from_str::<Value>(text) else {
        return Some(text.split([':', ' ', '\n']).next().unwrap_or_default().to_owned());
    };
    match (answer.get("ok"), answer.get("error").and_then(Value::as_str)) {
        (Some(Value::Bool(true)), _) => None,
        (_, Some(error)) => Some(error.to_owned()),
        _ => Some("unknown".to_owned()),
    }
}

fn by_word(word: &str, response: &HttpResponse) -> Option<Failure> {
    let why = || describe(response);
    Some(match word {
        "no_service" | "no_service_id" | "no_team" | "team_disabled" | "invalid_token"
        | "no_active_hooks" => Failure::Gone { why: why(), confirmations: CONFIRMATIONS },
        "user_not_found"
        | "channel_not_found"
        | "channel_is_archived"
        | "action_prohibited"
        | "posting_to_general_channel_denied" => Failure::Misconfigured(why()),
        "invalid_payload"
        | "invalid_blocks"
        | "invalid_blocks_format"
        | "no_text"
        | "too_many_attachments"
        | "msg_too_long"
        | "msg_blocks_too_long"
        | "missing_text_or_fallback_or_attachments" => Failure::Rejected(why()),
        "rate_limited" | "ratelimited" => Failure::Throttled { wait: response.retry_after(), why: why() },
        "rollup_error" => {
            Failure::Unavailable { maybe_taken: false, wait: response.retry_after(), why: why() }
        }
        _ => return None,
    })
}
