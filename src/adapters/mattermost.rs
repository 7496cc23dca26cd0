//! Mattermost: incoming webhooks.
//!
//! They take Slack's attachments with real Markdown, and answer `200` with the body `ok`, or JSON whose `id` names the
//! mistake; its `message` is translated, so it is for people only
//! (<https://developers.mattermost.com/integrate/webhooks/incoming/>, `server/channels/web/webhook.go` of the server).

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::attachment::Form;
use super::{About, Adapter, ChannelSettings, Notification, Offers};
use crate::call::{
    Answer, Bucket, Call, Failure, HttpRequest, HttpResponse, Request, Response, by_status, describe,
};
use crate::event::{Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Limit, Markup};
use crate::settings::SecretUrl;

/// Characters of a post: a quarter of 65,535 bytes. The server splits what is longer
/// (<https://docs.mattermost.com/about/product.html>).
const TEXT_LIMIT: usize = 16_383;
/// Characters of an attachment's text: the server does not split attachments, so they stay well below a post.
const ATTACHMENT_LIMIT: usize = 8000;
const FIELD_LIMIT: usize = 2000;
/// How often a dead webhook must say so before it is believed: the server gives the same answer when its database
/// fails.
const CONFIRMATIONS: u8 = 3;

crate::settings! {
    /// What Mattermost needs to be told.
    pub struct Settings {
        /// The incoming webhook's address, as Mattermost shows it when the webhook is made.
        pub webhook: SecretUrl = "https://mattermost.example.com/hooks/xxxxxxxxxxxxxxxxxxxxxxxxxx",
        /// The name under which messages appear, if the server allows webhooks to choose one.
        pub username: Option<String> = "forgebell",
    }
}

/// Mattermost, told through a webhook.
pub struct Mattermost;

const FORM: Form = Form {
    markup: Markup::Mattermost,
    text_limit: ATTACHMENT_LIMIT,
    field_limit: FIELD_LIMIT,
    mrkdwn_in: None,
};

impl Adapter for Mattermost {
    const ABOUT: About = About {
        slug: "mattermost",
        title: "Mattermost notifications",
        summary: "Posts to Mattermost channels through an incoming webhook.",
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
            Trigger::Incident,
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
        limits: "5 messages a second per server (bursts of 20); text up to 16,383 characters",
    };
    type Settings = Settings;

    fn buckets(settings: &Settings, _target: &str) -> Vec<Bucket> {
        let url = settings.webhook.expose();
        let origin = url.origin().ascii_serialization();
        // A hook is a room, and what one room asks for holds up no other; the server counts requests by their sender,
        // so all hooks of one server share the second bucket.
        vec![
            Bucket::new("mattermost webhook", &[url.as_str()], 5, Duration::from_secs(1), 20),
            Bucket::new("mattermost server", &[&origin], 5, Duration::from_secs(1), 20),
        ]
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call, Failure> {
        let request = HttpRequest::post_json(settings.webhook.expose().clone(), &message(settings, note));
        Ok(Call { request: Request::Http(request), read: Box::new(|response| read(response)) })
    }
}

fn message(settings: &Settings, note: &Notification<'_>) -> Value {
    let mut body = Map::new();
    let text = Markup::Mattermost.render_within(&note.message.summary, Limit::Chars(TEXT_LIMIT));
    body.insert("text".to_owned(), json!(text));
    if let Some(attachment) = FORM.attachment(note.message) {
        body.insert("attachments".to_owned(), json!([attachment]));
    }
    // The server strips one leading `#` itself; `@user` opens a direct message.
    if !note.target.is_empty() {
        body.insert("channel".to_owned(), json!(note.target));
    }
    if let Some(username) = &settings.username {
        body.insert("username".to_owned(), json!(username));
    }
    Value::Object(body)
}

/// The server's error, as far as it matters here.
#[derive(Deserialize)]
struct Refusal {
    id: String,
}

fn read(response: &Response) -> Answer {
    let Response::Http(response) = response;
    let refusal = serde_json::from_slice::<Refusal>(&response.body).ok();
    if let Some(failure) = refusal.and_then(|refusal| by_id(&refusal.id, response)) {
        return Answer::Failed(failure);
    }
    match response.status {
        200..=299 if matches!(response.text().trim(), "ok" | "") => Answer::Taken,
        // A login page, a proxy's greeting: not what the server says when it has a message.
        200..=299 => {
            Answer::Failed(Failure::Unavailable { maybe_taken: false, wait: None, why: describe(response) })
        }
        429 => Answer::Failed(Failure::Throttled { wait: wait(response), why: describe(response) }),
        _ => by_status(response),
    }
}

/// `Retry-After`, or the server's own header: seconds from now, unlike others' of that name.
fn wait(response: &HttpResponse) -> Option<Duration> {
    let reset = || response.header("x-ratelimit-reset")?.trim().parse().ok().map(Duration::from_secs);
    response.retry_after().or_else(reset)
}

fn by_id(id: &str, response: &HttpResponse) -> Option<Failure> {
    let why = || describe(response);
    Some(match id {
        "web.incoming_webhook.text.app_error"
        | "model.incoming_hook.parse_data.app_error"
        | "web.incoming_webhook.parse.app_error"
        | "api.webhook.incoming.error" => Failure::Rejected(why()),
        "web.incoming_webhook.invalid.app_error" => {
            Failure::Gone { why: why(), confirmations: CONFIRMATIONS }
        }
        "web.incoming_webhook.user.app_error"
        | "web.incoming_webhook.channel_locked.app_error"
        | "web.incoming_webhook.permissions.app_error"
        | "web.incoming_webhook.channel.app_error"
        | "app.channel.get.existing.app_error"
        | "web.incoming_webhook.disabled.app_error" => Failure::Misconfigured(why()),
        _ => return None,
    })
}
