//! Mattermost, through incoming webhooks
//! (<https://developers.mattermost.com/integrate/webhooks/incoming/>).
//!
//! It accepts Slack's message format, with Markdown as text. Errors are JSON with an `id`. Their text is translated, so
//! only the id is read. A proxy before the server answers in HTML.

use std::time::Duration;

use serde::Deserialize;

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
use crate::message::{Limit, Markup, Message};
use crate::settings::SecretUrl;

/// A post can have 16,383 characters, and 4,000 on servers that were set up long ago
/// (<https://docs.mattermost.com/product-overview/product-limits.html>). The server splits longer ones.
const TEXT: Limit = Limit::Chars(4000);
/// Half of what a server allows by default to one address, if its limiter is on. All projects share this limit
/// (<https://docs.mattermost.com/administration-guide/configure/rate-limiting-configuration-settings.html>).
const PER_HOST: (u32, u32) = (5, 20);
/// The server also reports a webhook as unknown while its database is unavailable.
const CONFIRMATIONS: u8 = 3;

crate::settings! {
    /// What Mattermost needs.
    pub struct Settings {
        /// The address of an incoming webhook.
        pub webhook: SecretUrl = "https://mattermost.example.com/hooks/xxx-generatedkey-xxx",
        /// The name that messages are posted under, if the server allows another name than the webhook's own.
        pub username: Option<String> = "forgebell",
    }
}

/// The adapter.
pub struct Mattermost;

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

impl Deliver for Mattermost {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // Mattermost has no idempotency key. A duplicate post is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "5 messages a second per server (bursts of 20); texts are cut at 4,000 characters, attachments at 8,000, \
                 descriptions and comments at 2,000 or 40 lines. A webhook that is locked to its channel refuses others.",
        preview: Preview::Attachments(Markup::Mattermost),
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // The server's default for a whole body: MaximumPayloadSizeBytes.
        largest_body: 300_000,
        fault: super::attachment::fault,
        // Only Slack and compatible services read the bracketed ones, even after a backslash or within code.
        mentions: &["<!channel", "<!here", "<@U1", "@channel", "@here", "@everyone", "@all"],
        target: "#general",
        status: |status| match status {
            // The server never answers like this: its body says that a post was accepted.
            200..=299 => "unavailable",
            other => usual_status(other),
        },
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let url = settings.webhook.expose();
        let origin = url.origin().ascii_serialization();
        let per = |kind, part: &str| {
            let (count, burst) = PER_HOST;
            Bucket::new(kind, &[part], count, Duration::from_secs(1), burst)
        };
        // The destination is the webhook, so failures of one webhook do not hold another. The server counts calls by
        // sender, over all webhooks, so all webhooks of one host share a bucket.
        Pace::of(per("mattermost webhook", url.as_str())).and(per("mattermost host", &origin))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let url = settings.webhook.expose().clone();
        Ok(Call::http(HttpRequest::post_json(url, &post(settings, note, note.message()?)), read))
    }
}

fn post<'a>(settings: &'a Settings, note: &'a Notification<'_>, message: &'a Message) -> Post<'a> {
    let text = if message.self_contained_parts {
        String::new()
    } else {
        Markup::Mattermost.render_within(&message.summary, TEXT)
    };
    Post {
        attachments: Vec::from_iter(attachment(message, Markup::Mattermost)),
        channel: note.target,
        text,
        username: settings.username.as_deref(),
    }
}

/// The server's errors (`AppError` in
/// <https://github.com/mattermost/mattermost/blob/master/server/public/model/utils.go>). The status in the body is the
/// answer's, which tells them from errors of other services.
#[derive(Deserialize)]
struct AppError {
    id: String,
    #[serde(default)]
    status_code: Option<u16>,
}

fn read(response: &HttpResponse) -> Answer<Sent> {
    let body = response.text();
    let error: Option<AppError> = serde_json::from_str(&body).ok();
    let error = error.filter(|error| error.status_code.is_none_or(|status| status == response.status));
    if let Some(failure) = error.and_then(|error| named(&error.id, response)) {
        return Answer::Failed(failure);
    }
    Answer::Failed(match response.status {
        200..=299 if body.trim() == "ok" => return Answer::Done(Sent),
        // A proxy answered with a page instead of the server, so nothing was accepted.
        200..=299 if is_page(response) => unavailable(response, false),
        // This is not the server's usual answer, but it may have accepted the post.
        200..=299 => unavailable(response, true),
        // Its limiter counts by sender, so all hooks of the host are held.
        429 => {
            let wait = response.retry_after().or_else(|| reset(response));
            Failure::Throttled { wait, why: describe(response), shared: true }
        }
        _ => return by_status(response),
    })
}

/// Seconds from now, unlike most services' header of this name
/// (<https://docs.mattermost.com/administration-guide/configure/rate-limiting-configuration-settings.html>).
fn reset(response: &HttpResponse) -> Option<Duration> {
    let seconds = response.header("x-ratelimit-reset")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The consequence of the errors that the server names; `None` for unknown ones. They are those of the functions
/// `incomingWebhook`, `HandleIncomingWebhook`, `CreateWebhookPost` and `CreatePost`
/// (<https://github.com/mattermost/mattermost/tree/master/server/channels>, in `web/webhook.go`, `app/webhook.go` and
/// `app/post.go`).
fn named(id: &str, response: &HttpResponse) -> Option<Failure> {
    let why = describe(response);
    Some(match id {
        // The server could not look the channel or the user up: a failure of its database.
        _ if response.status >= 500 && response.status != 501 => return None,
        // Errors about the content or the length of the message.
        "web.incoming_webhook.text.app_error"
        | "web.incoming_webhook.parse.app_error"
        | "model.incoming_hook.parse_data.app_error"
        | "web.incoming_webhook.split_props_length.app_error"
        | "model.post.is_valid.msg.app_error"
        | "model.post.is_valid.props.app_error"
        | "api.webhook.incoming.error" => Failure::Rejected(why),
        "web.incoming_webhook.invalid.app_error" => Failure::Gone { why, confirmations: CONFIRMATIONS },
        // The channel or the person, or what may be posted there. Messages wait until that changes.
        "web.incoming_webhook.user.app_error"
        | "web.incoming_webhook.channel_locked.app_error"
        | "web.incoming_webhook.permissions.app_error"
        | "web.incoming_webhook.channel.app_error"
        | "app.channel.get.existing.app_error"
        | "api.channel.create_direct_channel.invalid_user.app_error"
        | "api.post.create_post.can_not_post_to_deleted.error"
        | "api.post.create_post.can_not_post_in_restricted_dm.error"
        | "api.post.create_post.town_square_read_only"
        // The whole server takes no webhooks, or has none at this address.
        | "web.incoming_webhook.disabled.app_error"
        | "api.context.404.app_error" => Failure::Misconfigured(why),
        _ => return None,
    })
}
