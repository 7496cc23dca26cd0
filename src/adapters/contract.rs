//! The adapter contract: a declaration ([`About`], settings) and pure functions, one trait for each capability.
//!
//! Every adapter is an [`Adapter`]. One that events are delivered to has [`Deliver`]; one that receives what people type
//! in a channel has [`Inbound`]. Which capabilities an adapter has says its row in the table (see the parent module), so the
//! table alone calls these functions.
//!
//! An adapter must not use a network, clock, log or other adapter. All that it may know of an event is in
//! [`Notification`].

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::operator::OperatorSettings;
use crate::call::{Call, Failure, Pace, Sent};
use crate::event::{Event, Triggers};
use crate::integration::Family;
use crate::message::{Markup, Message, compose};
use crate::settings::{FieldError, Settings};

/// A service.
pub trait Adapter: 'static {
    const ABOUT: About;
    type Settings: Settings;

    /// Mistakes that concern more than one field, or GitLab's rules beyond a field's type.
    fn validate(_settings: &Self::Settings) -> Vec<FieldError> {
        Vec::new()
    }
}

/// What an adapter is: data, read by everything else.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// GitLab's name for it in URLs.
    pub slug: &'static str,
    pub title: &'static str,
    /// One sentence for lists.
    pub summary: &'static str,
    /// The events that it takes.
    pub triggers: Triggers,
    pub family: Family,
    /// Which of the common settings it has.
    pub common: CommonSettings,
}

/// Which of the common settings (see [`super::common_settings`]) an adapter has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommonSettings {
    /// `channel` and `<event>_channel`.
    pub channels: ChannelSettings,
    /// `branches_to_be_notified`, with this default.
    pub branches: Option<&'static str>,
    /// `notify_only_broken_pipelines` (on by default).
    pub only_broken_pipelines: bool,
    /// `notify_only_when_pipeline_status_changes`.
    pub only_status_changes: bool,
    /// `labels_to_be_notified` and its behaviour.
    pub labels: bool,
    /// Flags that this adapter has off where others have them on by default.
    pub off_by_default: Triggers,
}

impl CommonSettings {
    /// None of them: adapters name those that they have.
    pub const NONE: Self = Self {
        channels: ChannelSettings::None,
        branches: None,
        only_broken_pipelines: false,
        only_status_changes: false,
        labels: false,
        off_by_default: Triggers::of(&[]),
    };
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

/// A service that events are delivered to.
pub trait Deliver: Adapter {
    const DELIVERY: Delivery;

    /// What the contract tests must know of the service.
    #[cfg(test)]
    const CONTRACT: super::tests::Contract;

    /// Where an event goes: each target becomes a delivery of its own, so that a retry repeats nothing elsewhere.
    /// `channels` are those that the integration's settings name for this event; the empty target is the address's own.
    fn targets(_settings: &Self::Settings, _event: &Event, channels: &[String]) -> Targets {
        if channels.is_empty() { Targets::own() } else { Targets::named(channels.iter().cloned()) }
    }

    /// What limits the pace of deliveries to a target.
    fn pace(settings: &Self::Settings, target: &str) -> Pace;

    /// What to call for this notification.
    ///
    /// # Errors
    /// A [`Failure`] that is known before anything is sent.
    fn call(settings: &Self::Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure>;
}

/// How deliveries to a service are worked.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// An older event is not delivered any more.
    pub max_age: Duration,
    /// Whether a message that the service may have taken may be sent again.
    pub retry_ambiguous: bool,
    /// How many attempts may be under way to one destination at once.
    pub concurrency: usize,
    /// How many calls one attempt makes at most, over all services.
    pub calls: u32,
    /// What the service accepts and how fast, in a line for people; the facts are in the adapter's constants.
    pub limits: &'static str,
    /// How the service draws an HTTP request's body; mails and lines over TCP are drawn as such.
    pub preview: Preview,
}

/// What an HTTP request's body is to the service, for `preview`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preview {
    /// Shown as it is sent.
    Request,
    /// A text and attachments as Slack has them, in this markup.
    Attachments(Markup),
    /// Embeds as Discord has them.
    Embeds,
    /// HTML in the field `message`, of JSON or of a form.
    Html,
    /// Adaptive Cards.
    Cards,
}

/// Where an event goes, and why it goes nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    pub send: Vec<Target>,
    /// What was left out, each with its reason, for people: "a push without commits starts no build".
    pub left_out: Vec<String>,
}

impl Targets {
    /// The address's own target alone.
    pub fn own() -> Self {
        Self::named([String::new()])
    }

    pub fn named(names: impl IntoIterator<Item = String>) -> Self {
        Self { send: names.into_iter().map(Target::named).collect(), left_out: Vec::new() }
    }

    /// None, for this reason.
    pub fn none(why: impl Into<String>) -> Self {
        Self { send: Vec::new(), left_out: vec![why.into()] }
    }
}

/// One channel, recipient, issue, commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Stored and shown: never a secret.
    pub name: String,
    /// What order is kept for, where that is not the event's subject (a commit and its context, an issue).
    pub lane: Option<LaneKey>,
    /// Whether this delivery makes older ones of its lane needless that are not delivered yet: they are cancelled.
    pub replaces: bool,
}

impl Target {
    pub fn named(name: String) -> Self {
        Self { name, lane: None, replaces: false }
    }
}

/// Names what order is kept for, within an integration's target and project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneKey(pub String);

/// All that an adapter may know of what it delivers.
pub struct Notification<'a> {
    /// The same on every attempt, another one after a resend, and no other notification's: for transaction ids, message
    /// ids, idempotency keys.
    pub id: &'a str,
    pub event: &'a Event,
    /// One of those from [`Deliver::targets`].
    pub target: &'a str,
    /// Adapters have no clock.
    pub now: Timestamp,
    pub operator: &'a OperatorSettings,
    /// An earlier attempt may have reached the service: for those that must look before they repeat anything.
    pub may_have_been_sent: bool,
    /// The message says of itself that it is a test.
    pub is_test: bool,
    /// Empty until an adapter asks for it.
    pub message: LazyMessage,
}

/// A message that is composed when it is asked for: adapters that forward the event's JSON never do.
#[derive(Default)]
pub struct LazyMessage(OnceCell<Option<Message>>);

impl LazyMessage {
    /// A message that was composed already.
    pub fn composed(message: Message) -> Self {
        Self(OnceCell::from(Some(message)))
    }
}

impl Notification<'_> {
    /// The event as a message to people.
    ///
    /// # Errors
    /// There is no message for events of this kind.
    pub fn message(&self) -> Result<&Message, Failure> {
        let composed = self.message.0.get_or_init(|| {
            let message = compose(self.event)?;
            Some(if self.is_test { message.marked_as_test() } else { message })
        });
        composed.as_ref().ok_or_else(|| Failure::Rejected(nothing_to_say(self.event)))
    }

    /// Why there is no message, where an adapter asked for one in vain.
    pub fn without_message(&self) -> Option<String> {
        matches!(self.message.0.get(), Some(None)).then(|| nothing_to_say(self.event))
    }
}

fn nothing_to_say(event: &Event) -> String {
    format!("there is nothing to say of an event of kind {}", event.kind())
}

/// A service that sends requests of its own.
pub trait Inbound: Adapter {
    /// How long the service waits for the answer, and its other limits, in a line for people.
    const LIMITS: &'static str;

    /// What a request asks for. Whether it may is not judged here: see [`Reaction`].
    ///
    /// # Errors
    /// A [`Failure`] of the request: it is none that this service sends.
    fn receive(settings: &Self::Settings, request: &InboundRequest) -> Result<Reaction, Failure>;
}

/// A request as it came in over HTTP.
#[derive(Clone, Debug, Default)]
pub struct InboundRequest {
    /// The fields of a form, or of a flat JSON object; of fields that are named twice, the last.
    pub form: BTreeMap<String, String>,
}

impl InboundRequest {
    /// A field; empty where there is none.
    pub fn field(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }
}

/// What an inbound request asks for. The API authenticates it and carries it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    Command(ChatCommand),
}

/// What a person typed in a channel of a chat service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatCommand {
    /// The adapter that delivers to the same channels.
    pub notifier: &'static str,
    /// The command itself, as in `/forge`.
    pub command: String,
    /// What was typed behind it.
    pub text: String,
    /// The channel, for people: `#ops`; of channels without a name, the id.
    pub channel: String,
    /// Everything that a setting may call this channel.
    pub channel_names: Vec<String>,
    /// Who typed it; empty where the service does not say.
    pub user: String,
}
