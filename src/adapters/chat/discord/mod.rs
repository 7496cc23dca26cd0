//! Discord, through webhooks (<https://docs.discord.com/developers/resources/webhook#execute-webhook>).
//!
//! One message is one embed. Each kind of event can have a webhook of its own, because a webhook belongs to one channel.
//! A *target* is the name of the kind whose webhook is used, never the webhook's address. [`Hook`] parses an address,
//! `embed` makes the message, `answer` reads the answer, and this file makes the call.

mod answer;
mod embed;
mod hook;

use std::time::Duration;

use serde_json::json;

use self::hook::Hook;
use crate::adapters::contract::{
    About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview, Targets,
};
#[cfg(test)]
use crate::adapters::tests::{Contract, is_seen};
use crate::call::{Bucket, Call, Failure, HttpRequest, Pace, Sent};
use crate::event::{Event, Trigger, Triggers};
use crate::integration::Family;
use crate::settings::{FieldError, SecretUrl};

/// The documentation names no numbers. Observed limits are 5 requests in 2 seconds for a webhook, and 30 messages in a
/// minute for a channel (<https://github.com/discord/discord-api-docs/issues/6753>). This rate keeps both, except for a
/// burst.
const PER_WEBHOOK: (u32, Duration, u32) = (1, Duration::from_secs(2), 5);
/// "50 requests per second", over all routes (<https://docs.discord.com/developers/topics/rate-limits#global-rate-limit>).
const PER_HOST: (u32, Duration, u32) = (50, Duration::from_secs(1), 50);

/// An address as Discord shows it.
const EXAMPLE: &str = "https://discord.com/api/webhooks/123456789012345678/t0ken-of-the-webhook";

crate::settings! {
    /// What Discord needs.
    pub struct Settings {
        /// The address of a webhook.
        pub webhook: SecretUrl = EXAMPLE,
        /// The webhook for pushes, if they go to another channel.
        pub push_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for issues.
        pub issue_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for confidential issues. Blank: the one for issues.
        pub confidential_issue_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for merge requests.
        pub merge_request_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for comments.
        pub note_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for confidential comments. Blank: the one for comments.
        pub confidential_note_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for tags.
        pub tag_push_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for pipelines.
        pub pipeline_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for wiki pages.
        pub wiki_page_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for deployments.
        pub deployment_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for mentions of a group.
        pub group_mention_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for confidential mentions of a group.
        pub group_confidential_mention_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for alerts.
        pub alert_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for vulnerabilities.
        pub vulnerability_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for releases.
        pub release_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for feature flags.
        pub feature_flag_channel: Option<SecretUrl> = EXAMPLE,
        /// The webhook for milestones.
        pub milestone_channel: Option<SecretUrl> = EXAMPLE,
    }
}

impl Settings {
    /// The webhook that this kind of event has of its own.
    fn of_its_own(&self, trigger: Trigger) -> Option<&SecretUrl> {
        let own = match trigger {
            Trigger::Push => &self.push_channel,
            Trigger::Issue => &self.issue_channel,
            Trigger::ConfidentialIssue => &self.confidential_issue_channel,
            Trigger::MergeRequest => &self.merge_request_channel,
            Trigger::Note => &self.note_channel,
            Trigger::ConfidentialNote => &self.confidential_note_channel,
            Trigger::TagPush => &self.tag_push_channel,
            Trigger::Pipeline => &self.pipeline_channel,
            Trigger::WikiPage => &self.wiki_page_channel,
            Trigger::Deployment => &self.deployment_channel,
            Trigger::GroupMention => &self.group_mention_channel,
            Trigger::GroupConfidentialMention => &self.group_confidential_mention_channel,
            Trigger::Alert => &self.alert_channel,
            Trigger::Vulnerability => &self.vulnerability_channel,
            Trigger::Release => &self.release_channel,
            Trigger::FeatureFlag => &self.feature_flag_channel,
            Trigger::Milestone => &self.milestone_channel,
            _ => return None,
        };
        own.as_ref()
    }

    /// The kind whose webhook is used: the event's own, or for a confidential event that of its public counterpart.
    fn kind(&self, trigger: Trigger) -> Option<Trigger> {
        let also = match trigger {
            Trigger::ConfidentialIssue => Some(Trigger::Issue),
            Trigger::ConfidentialNote => Some(Trigger::Note),
            _ => None,
        };
        [trigger].into_iter().chain(also).find(|kind| self.of_its_own(*kind).is_some())
    }

    /// The webhook of a target. The settings may have changed since the target was chosen.
    fn webhook(&self, target: &str) -> &SecretUrl {
        let trigger = Discord::ABOUT.triggers.iter().find(|trigger| trigger.name() == target);
        let kind = trigger.and_then(|trigger| self.kind(trigger));
        kind.and_then(|kind| self.of_its_own(kind)).unwrap_or(&self.webhook)
    }
}

/// The adapter.
pub struct Discord;

impl Adapter for Discord {
    const ABOUT: About = About {
        slug: "discord",
        title: "Discord Notifications",
        summary: "Posts to Discord channels through webhooks, one for all events or one for each kind.",
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
            Trigger::GroupMention,
            Trigger::GroupConfidentialMention,
        ]),
        family: Family::Chat,
        common: CommonSettings {
            // A channel is a webhook here, which is a secret, so the channels are settings of this adapter.
            branches: Some("default"),
            only_broken_pipelines: true,
            only_status_changes: true,
            ..CommonSettings::NONE
        },
    }
    .with_own_events();
    type Settings = Settings;

    /// The hosts as in GitLab. Source:
    /// <https://gitlab.com/gitlab-org/gitlab/-/blob/master/app/models/concerns/integrations/base/discord.rb>.
    const HOSTS: &'static [&'static str] = &["discord.com"];

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let own = Self::ABOUT.triggers.iter().filter_map(|trigger| {
            settings.of_its_own(trigger).map(|webhook| (format!("{trigger}_channel"), webhook))
        });
        let error = |(field, webhook): (String, &SecretUrl)| {
            Hook::of(webhook.expose()).err().map(|problem| FieldError::new(field, problem))
        };
        std::iter::once(("webhook".to_owned(), &settings.webhook)).chain(own).filter_map(error).collect()
    }
}

impl Deliver for Discord {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // Discord has no idempotency key. A duplicate message is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "1 message every 2 seconds per webhook (bursts of 5), 50 a second in all; texts are cut at 4,096 characters, whole messages at 6,000, \
                 descriptions and comments at 2,000 or 40 lines.",
        preview: Preview::Embeds,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // Embeds contain 6,000 characters; the rest is for JSON and addresses.
        largest_body: 64_000,
        fault: |body| {
            let embed = &body["embeds"][0];
            (!is_seen(&embed["title"]) && !is_seen(&embed["description"])).then_some("an embed without words")
        },
        ..Contract::USUAL
    };

    fn targets(settings: &Settings, event: &Event, _channels: &[String]) -> Targets {
        let kind = event.trigger.and_then(|trigger| settings.kind(trigger));
        Targets::named([kind.map_or("", Trigger::name).to_owned()])
    }

    fn pace(settings: &Settings, target: &str) -> Pace {
        let url = settings.webhook(target).expose();
        let per = |kind, parts: &[&str], (count, per, burst)| Bucket::new(kind, parts, count, per, burst);
        // The query is left out, because a thread shares its channel's limit.
        let webhook = match Hook::of(url) {
            Ok(Hook { id, token, .. }) => per("discord webhook", &[id, token], PER_WEBHOOK),
            Err(_) => per("discord webhook", &[url.as_str()], PER_WEBHOOK),
        };
        // A limit of Discord or Cloudflare for all our requests holds all webhooks.
        Pace::of(webhook).and(per("discord host", &[hook::service(url)], PER_HOST))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let url = settings.webhook(note.target).expose();
        Hook::of(url).map_err(|why| Failure::Misconfigured(why.to_owned()))?;
        let body = json!({
            "embeds": [embed::embed(note, note.message()?)],
            "allowed_mentions": { "parse": [] },
        });
        Ok(Call::http(HttpRequest::post_json(hook::address(url), &body), answer::read))
    }
}
