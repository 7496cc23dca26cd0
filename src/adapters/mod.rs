//! HOW EACH SERVICE IS TOLD: one file an adapter, one table of them all.
//!
//! An [`Adapter`] is a declaration ([`About`], settings) and pure functions: settings → what to call → how to read
//! the answer. It touches no network, clock, log or other adapter. [`ADAPTERS`] is an ordinary static table;
//! provisioning, help pages, metrics labels and the contract tests are read off it. Adding a service is one file and
//! two lines here.
//!
//! [`Entry`] is an adapter with its types forgotten, so that all fit the table; [`Notification`] is all that an
//! adapter may know of what it tells, [`OperatorSettings`] what it may know of where. Six files are no adapters: [`common_settings`]
//! declares the settings that several of them offer, `attachment` holds what Slack's kin share, `mail` what the two kinds
//! of mail share, `commands` what those share that only hear, `redact` keeps credentials out of what services' answers
//! let us say, and `operator` is the operator's part.

mod attachment;
mod commands;
pub mod common_settings;
#[cfg(test)]
mod contract;
mod discord;
mod emails_on_push;
mod hipchat;
mod irker;
mod mail;
mod mattermost;
mod mattermost_slash_commands;
mod microsoft_teams;
pub mod operator;
mod pipelines_email;
mod redact;
mod slack;
mod slack_slash_commands;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::call::{Bucket, Call, Failure, Sent};
use crate::event::{Event, Triggers};
use crate::integration::Family;
use crate::message::Message;
use crate::settings::{Field, FieldError, Parsed, Properties, Settings};

pub use operator::OperatorSettings;

/// Every adapter, by slug.
pub static ADAPTERS: &[Entry] = &[
    Entry::of::<discord::Discord>(),
    Entry::of::<emails_on_push::EmailsOnPush>(),
    Entry::of::<hipchat::HipChat>(),
    Entry::of::<irker::Irker>(),
    Entry::of::<mattermost::Mattermost>(),
    Entry::of::<mattermost_slash_commands::MattermostSlashCommands>(),
    Entry::of::<microsoft_teams::MicrosoftTeams>(),
    Entry::of::<pipelines_email::PipelinesEmail>(),
    Entry::of::<slack::Slack>(),
    Entry::of::<slack_slash_commands::SlackSlashCommands>(),
];

/// The adapter with this slug, dashes and underscores alike.
pub fn find(slug: &str) -> Option<&'static Entry> {
    let slug = slug.replace('_', "-");
    ADAPTERS.iter().find(|entry| entry.about.slug == slug)
}

/// A service that can be told things.
pub trait Adapter: 'static {
    const ABOUT: About;
    type Settings: Settings;

    /// Mistakes that concern more than one field, or GitLab's rules beyond a field's type.
    fn validate(_settings: &Self::Settings) -> Vec<FieldError> {
        Vec::new()
    }

    /// Whom an event goes to: each becomes a delivery of its own, so that a retry never says a thing twice elsewhere.
    /// `channels` are those that the integration's settings name for this event; the empty target is the address's own.
    /// Targets are stored and shown: they are never secrets.
    fn targets(_settings: &Self::Settings, _event: &Event, channels: &[String]) -> Vec<String> {
        if channels.is_empty() { vec![String::new()] } else { channels.to_vec() }
    }

    /// What limits the pace. The first one's key is the destination.
    fn buckets(settings: &Self::Settings, target: &str) -> Vec<Bucket>;

    /// What to call for this notification.
    ///
    /// # Errors
    /// A [`Failure`] that is known before anything is sent.
    fn call(settings: &Self::Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure>;
}

/// What an adapter is and may do: data, read by everyone else.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// GitLab's name for it in URLs.
    pub slug: &'static str,
    pub title: &'static str,
    /// One sentence for lists.
    pub summary: &'static str,
    /// What it can hear of.
    pub triggers: Triggers,
    pub family: Family,
    /// Which of the shared settings it offers.
    pub common: CommonSettings,
    /// How old news may be and still be told.
    pub max_age: Duration,
    /// Whether a message that may have been taken may be sent again.
    pub retry_ambiguous: bool,
    /// How many attempts may be under way to one destination at once.
    pub concurrency: usize,
    /// What the service accepts and how fast, in a line for people; the facts are in the adapter's constants.
    pub limits: &'static str,
}

/// The settings that several adapters share. They are declared once, in [`common_settings`], and offered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommonSettings {
    /// `channel` and `<event>_channel`.
    pub channels: ChannelSettings,
    /// `branches_to_be_notified`, with this default.
    pub branches: Option<&'static str>,
    /// `notify_only_broken_pipelines` (on unless said otherwise).
    pub only_broken_pipelines: bool,
    /// `notify_only_when_pipeline_status_changes`.
    pub only_status_changes: bool,
    /// `labels_to_be_notified` and its behaviour.
    pub labels: bool,
}

/// Whether messages can be sent to other channels than the address's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelSettings {
    None,
    /// Names, comma-separated, up to this many for one event.
    Names {
        at_most: usize,
    },
}

/// All that an adapter may know of what it tells.
pub struct Notification<'a> {
    /// The same on every attempt, and no other notification's: for transaction ids, message ids, idempotency keys.
    pub id: &'a str,
    pub event: &'a Event,
    pub message: &'a Message,
    /// One of those from [`Adapter::targets`].
    pub target: &'a str,
    /// Adapters have no clock.
    pub now: Timestamp,
    pub operator: &'a OperatorSettings,
}

/// An adapter with its types forgotten.
pub struct Entry {
    pub about: About,
    /// Its own settings; the shared ones follow from [`About::common`].
    pub fields: &'static [Field],
    read: fn(&Properties) -> Result<Parsed, Vec<FieldError>>,
    targets: fn(&Parsed, &Event, &[String]) -> Vec<String>,
    buckets: fn(&Parsed, &str) -> Vec<Bucket>,
    call: fn(&Parsed, &Notification<'_>) -> Result<Call<Sent>, Failure>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.about.slug)
    }
}

impl Entry {
    pub(crate) const fn of<A: Adapter>() -> Self {
        Self {
            about: A::ABOUT,
            fields: A::Settings::FIELDS,
            read: |properties| {
                let settings = A::Settings::read(properties)?;
                let errors = A::validate(&settings);
                if errors.is_empty() { Ok(Parsed::new(settings)) } else { Err(errors) }
            },
            targets: |settings, event, channels| A::targets(settings_of::<A>(settings), event, channels),
            buckets: |settings, target| A::buckets(settings_of::<A>(settings), target),
            call: |settings, note| A::call(settings_of::<A>(settings), note).map(redact::redacted),
        }
    }

    /// Whether it sends notifications; adapters that don't only answer commands.
    pub fn can_deliver(&self) -> bool {
        self.about.family != Family::Commands
    }

    /// Reads and checks the adapter's own settings.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn read(&self, properties: &Properties) -> Result<Parsed, Vec<FieldError>> {
        (self.read)(properties)
    }

    /// See [`Adapter::targets`].
    pub fn targets(&self, settings: &Parsed, event: &Event, channels: &[String]) -> Vec<String> {
        (self.targets)(settings, event, channels)
    }

    /// See [`Adapter::buckets`].
    pub fn buckets(&self, settings: &Parsed, target: &str) -> Vec<Bucket> {
        (self.buckets)(settings, target)
    }

    /// What a rate limit or a hold of the service belongs to: the first bucket's key.
    pub fn destination(&self, settings: &Parsed, target: &str) -> Arc<str> {
        match self.buckets(settings, target).into_iter().next() {
            Some(bucket) => bucket.key.0.into(),
            None => self.about.slug.into(),
        }
    }

    /// See [`Adapter::call`].
    ///
    /// # Errors
    /// A [`Failure`] that is known before anything is sent.
    pub fn call(&self, settings: &Parsed, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        (self.call)(settings, note)
    }
}

/// `settings` were read by the same entry that uses them: an integration keeps its slug and settings together.
fn settings_of<A: Adapter>(settings: &Parsed) -> &A::Settings {
    settings.get().expect("an entry is called with the settings that it read itself")
}
