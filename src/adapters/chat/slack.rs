//! Slack, through incoming webhooks and workflow triggers.
//!
//! An incoming webhook takes a message: a text and attachments
//! (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>). A workflow's webhook looks similar,
//! but takes a flat object of strings, which are the workflow's variables
//! (<https://slack.com/help/articles/360041352714>). The path of an address shows the kind.
//!
//! Slack names errors in the body, and its documents disagree on the status codes, so the body is read first
//! (<https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>).

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::attachment::{Post, attachment};
use crate::adapters::contract::{
    About, Adapter, ChannelSettings, CommonSettings, Deliver, Delivery, Notification, Preview,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, usual_status};
use crate::call::{
    Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Pace, Sent, by_status, describe, is_page,
    unavailable,
};
use crate::event::{Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Body, Limit, Markup, Message, Text};
use crate::settings::SecretUrl;

/// Slack advises 4,000 characters and cuts at 40,000
/// (<https://docs.slack.dev/changelog/2018-truncating-really-long-messages/>).
const TEXT: Limit = Limit::Chars(4000);
/// The length limit for one variable of a workflow.
const VARIABLE: Limit = Limit::Chars(3000);
/// "One message per second" to a webhook, short bursts allowed
/// (<https://docs.slack.dev/apis/web-api/rate-limits/>).
const PER_WEBHOOK: (u32, u32) = (1, 5);
/// The limit of a whole workspace is not published; this value is our choice.
const PER_WORKSPACE: (u32, u32) = (5, 10);
/// A webhook that Slack reports as unknown this often in a row was removed.
const CONFIRMATIONS: u8 = 3;

crate::settings! {
    /// What Slack needs.
    pub struct Settings {
        /// The address of an incoming webhook, or of a workflow that starts from a webhook.
        pub webhook: SecretUrl = "https://hooks.slack.com/services/T00000000/B00000000/t0ken-of-the-webhook",
        /// The name that messages are posted under. Only webhooks of the old kind use it: those of Slack apps have a name and a channel of their own.
        pub username: Option<String> = "forgebell",
    }
}

/// The adapter.
pub struct Slack;

impl Adapter for Slack {
    const ABOUT: About = About {
        slug: "slack",
        title: "Slack notifications",
        summary: "Posts to Slack channels through an incoming webhook, or starts a workflow.",
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
        common: CommonSettings {
            channels: ChannelSettings::Names { at_most: 10 },
            branches: Some("default"),
            only_broken_pipelines: true,
            labels: true,
            ..CommonSettings::NONE
        },
    }
    .with_own_events();
    type Settings = Settings;
}

impl Deliver for Slack {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // Slack has no idempotency key. A duplicate message is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "1 message a second per webhook (bursts of 5), 5 a second per workspace; texts are cut at 4,000 characters, \
                 attachments at 8,000, descriptions and comments at 2,000 or 40 lines. Webhooks of Slack apps post to \
                 their own channel and under their own name, and ignore these settings.",
        preview: Preview::Attachments(Markup::Slack),
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // Slack names no limit; this is Mattermost's.
        largest_body: 300_000,
        fault: super::attachment::fault,
        // Only Slack and compatible services read the bracketed ones, even after a backslash or within code.
        mentions: &["<!channel", "<!here", "<@U1", "@channel", "@here", "@everyone", "@all"],
        target: "#general",
        status: |status| match status {
            // Slack never answers like this: its body says that a message was accepted.
            200..=299 => "unavailable",
            other => usual_status(other),
        },
        variants: &[&[(
            "webhook",
            "https://hooks.slack.com/triggers/T00000000/1140137995618/t0ken-of-the-trigger",
        )]],
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let url = settings.webhook.expose();
        let (second, host) = (Duration::from_secs(1), url.host_str().unwrap_or_default());
        let per = |kind, parts: &[&str], (count, burst)| Bucket::new(kind, parts, count, second, burst);
        Pace::of(per("slack webhook", &[url.as_str()], PER_WEBHOOK)).and(per(
            "slack workspace",
            &[host, workspace(url)],
            PER_WORKSPACE,
        ))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let url = settings.webhook.expose();
        let workflow = is_workflow(url);
        let message = note.message()?;
        let request = if workflow {
            HttpRequest::post_json(url.clone(), &variables(note, message))
        } else {
            HttpRequest::post_json(url.clone(), &post(settings, note, message))
        };
        Ok(Call::http(request, move |response| read(response, workflow)))
    }
}

/// The `T…` of `/services/T…/B…/…`. A self-hosted compatible service has one workspace.
fn workspace(url: &url::Url) -> &str {
    let team = url.path_segments().and_then(|mut segments| segments.nth(1));
    team.filter(|team| team.starts_with('T')).unwrap_or_default()
}

fn is_workflow(url: &url::Url) -> bool {
    let first = url.path_segments().and_then(|mut segments| segments.next());
    matches!(first, Some("triggers" | "workflows"))
}

fn post<'a>(settings: &'a Settings, note: &'a Notification<'_>, message: &'a Message) -> Post<'a> {
    let text = if message.self_contained_parts {
        // Desktop notifications show the attachment's fallback instead.
        String::new()
    } else {
        Markup::Slack.render_within(&message.summary, TEXT)
    };
    let mut attachment = attachment(message, Markup::Slack);
    if let Some(attachment) = &mut attachment {
        attachment.mrkdwn_in = Some(["text", "fields"]);
    }
    Post {
        attachments: Vec::from_iter(attachment),
        channel: note.target,
        text,
        username: settings.username.as_deref(),
    }
}

/// The variables for a workflow: plain strings, because the workflow may show them anywhere.
fn variables(note: &Notification<'_>, message: &Message) -> Value {
    let plain = |text: &Text| Markup::Slack.label(&text.plain_text(), VARIABLE);
    let label = |words: &str| Markup::Slack.label(words, VARIABLE);
    let details = match &message.body {
        Body::None => String::new(),
        Body::Lines(lines) => Markup::Slack.render_lines_within(lines, VARIABLE),
        Body::Prose(prose) => Markup::Slack.render_within(prose, VARIABLE),
    };
    json!({
        "event": note.event.kind(),
        "text": plain(&message.summary),
        "title": label(message.title.as_ref().map_or("", |title| &title.text)),
        "url": url_of(message),
        "details": details,
        "author": label(message.author.as_ref().map_or("", |author| &author.display)),
        "project": label(&message.project.full_name),
        "project_url": message.project.url,
    })
}

/// The page of the message: its title's, or the first one that its headline links to, or the project's.
fn url_of(message: &Message) -> String {
    let title = message.title.as_ref().and_then(|title| title.url.as_deref());
    title
        .map(str::to_owned)
        .or_else(|| message.headline().links().into_iter().next().map(|(_, url)| url))
        .unwrap_or_else(|| message.project.url.to_string())
}

fn read(response: &HttpResponse, workflow: bool) -> Answer<Sent> {
    let said = Said::of(&response.text());
    let success = (200..=299).contains(&response.status);
    if let Said::Word(name) | Said::No(name) = &said
        && let Some(failure) = named(name, response)
    {
        return Answer::Failed(failure);
    }
    Answer::Failed(match said {
        Said::Ok if success => return Answer::Done(Sent),
        Said::Nothing if success && workflow => return Answer::Done(Sent),
        // A workflow's variables are the same for all messages, so a refusal concerns the workflow. Not so a limit or a
        // server's error, which the status says.
        Said::No(_) if workflow && matches!(response.status, 200..=299 | 400..=428 | 430..=499) => {
            Failure::Misconfigured(describe(response))
        }
        Said::No(_) if success => Failure::Rejected(describe(response)),
        // A proxy answered instead of Slack.
        _ if success && is_page(response) => unavailable(response, false),
        // Neither "ok" nor a known error. Slack may have accepted the message. The message is sent again, because such
        // answers are rare and a duplicate does little harm.
        _ if success => unavailable(response, true),
        _ => return by_status(response),
    })
}

/// The meaning of a body.
enum Said {
    Ok,
    /// One word, which may be an error's name, possibly followed by details: `no_service`. Empty for anything that Slack
    /// does not send.
    Word(String),
    /// A refusal in Slack's form, with the error's name if there is one.
    No(String),
    Nothing,
    /// JSON that says neither: not Slack's.
    Other,
}

impl Said {
    fn of(body: &str) -> Self {
        if let Ok(Value::Object(answer)) = serde_json::from_str(body) {
            return Self::of_json(&answer);
        }
        let body = body.trim();
        let word = body.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap_or_default();
        match (body, word) {
            ("", _) => Self::Nothing,
            ("ok", _) => Self::Ok,
            (_, word) => Self::Word(word.to_owned()),
        }
    }

    /// `{"ok":true}`, `{"ok":false,"error":"…"}`. Compatible services say `success` in place of `ok`, or `{"status":"ok"}`,
    /// or send an empty object.
    fn of_json(answer: &Map<String, Value>) -> Self {
        let says =
            |value: bool| ["ok", "success"].iter().any(|word| answer.get(*word) == Some(&value.into()));
        let error = answer.get("error");
        match error.and_then(Value::as_str) {
            name if says(false) => Self::No(name.unwrap_or_default().to_owned()),
            _ if says(true) || answer.is_empty() => Self::Ok,
            _ if error.is_none()
                && ["ok", "success"].iter().any(|word| answer.get("status") == Some(&(*word).into())) =>
            {
                Self::Ok
            }
            _ => Self::Other,
        }
    }
}

/// The consequence of the errors that Slack names; `None` for unknown names. The names of incoming webhooks are in
/// <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors>; some others reach webhooks
/// from the method behind them, <https://docs.slack.dev/reference/methods/chat.postMessage#errors>.
fn named(error: &str, response: &HttpResponse) -> Option<Failure> {
    let (wait, why) = (response.retry_after(), describe(response));
    Some(match error {
        // Errors about the content or the length of the message.
        "invalid_payload"
        | "invalid_blocks"
        | "invalid_blocks_format"
        | "no_text"
        | "msg_too_long"
        | "msg_blocks_too_long"
        | "missing_text_or_fallback_or_attachments"
        | "too_many_attachments"
        | "attachment_payload_limit_exceeded"
        | "invalid_attachments" => Failure::Rejected(why),
        // The channel or the person, or what may be posted there. Messages wait until that changes.
        "user_not_found"
        | "action_prohibited"
        | "posting_to_general_channel_denied"
        | "channel_not_found"
        | "channel_is_archived"
        | "is_archived"
        | "invalid_channel"
        | "not_in_channel"
        | "no_permission"
        | "restricted_action"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_only_channel"
        | "restricted_action_non_threadable_channel"
        | "messages_tab_disabled"
        | "ekm_access_denied"
        | "enterprise_is_restricted"
        | "team_access_not_granted" => Failure::Misconfigured(why),
        // The webhook, or its workspace.
        "no_service" | "no_service_id" | "no_team" | "team_disabled" | "invalid_token"
        | "no_active_hooks" => Failure::Gone { why, confirmations: CONFIRMATIONS },
        "rate_limited" | "ratelimited" | "message_limit_exceeded" => {
            Failure::Throttled { wait, why, shared: false }
        }
        "rollup_error"
        | "fatal_error"
        | "internal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org"
        | "org_login_required" => Failure::Unavailable { maybe_taken: false, wait, why },
        _ => return None,
    })
}
