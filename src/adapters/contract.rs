//! The adapter contract: a declaration ([`About`], settings) and pure functions, one trait for each capability.
//!
//! Every adapter is an [`Adapter`]. An adapter that events are delivered to implements [`Deliver`]; one that receives what
//! people type in a channel implements [`Inbound`]; one that people are led to implements [`Link`]; one that can only be
//! asked whether it answers implements [`Probe`]. An adapter's row in the table (see the parent module) lists its
//! capabilities, and only the table calls these functions.
//!
//! An adapter must not use a network, clock, log or other adapter. Everything that it may know of an event is in
//! [`Notification`].

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::operator::OperatorSettings;
pub use super::project_links::Linked;
use super::project_links::ProjectLinks;
use crate::call::{Call, CommitStatus, Failure, Health, Pace, Sent};
use crate::event::{Event, Trigger, Triggers};
use crate::integration::{Detail, Extent, Family};
use crate::message::{Markup, Message, Reference, References, compose_with};
use crate::settings::{FieldError, Settings};

/// A service.
pub trait Adapter: 'static {
    const ABOUT: About;
    /// The settings that a person logs in with, if the service has such.
    const LOGIN: Option<Login> = None;
    type Settings: Settings;

    /// The hosts at one of which its addresses must be, where the service has no others. The operator may permit more.
    const HOSTS: &'static [&'static str] = &[];

    /// Checks that concern more than one field, and GitLab's rules beyond a field's type.
    fn validate(_settings: &Self::Settings) -> Vec<FieldError> {
        Vec::new()
    }

    /// Checks that concern the settings together with the events that are switched on.
    fn validate_triggers(_settings: &Self::Settings, _triggers: Triggers) -> Vec<FieldError> {
        Vec::new()
    }

    /// Whether the settings themselves leave it switched on. A setting may switch it off, as in GitLab.
    fn is_in_use(_settings: &Self::Settings) -> bool {
        true
    }

    /// Settings that are accepted, as in GitLab, but have no effect, such as unreadable entries of a list, or a missing
    /// setting without which nothing can be sent. The texts follow the field's name and contain no secret.
    fn warnings(_settings: &Self::Settings) -> Vec<FieldError> {
        Vec::new()
    }
}

/// The settings for a user and a password. A request that blanks the user without naming the password removes both, as in
/// GitLab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    pub username: &'static str,
    pub password: &'static str,
}

/// The description of an adapter, as data.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// GitLab's name for the service in URLs.
    pub slug: &'static str,
    pub title: &'static str,
    /// A description in one sentence, for lists.
    pub summary: &'static str,
    /// The events that it takes: those that GitLab offers for it, and its [own](CommonSettings::own_events).
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
    /// `announce_result`. Adapters that implement [`Status`] have it.
    pub announce_result: bool,
    /// Flags that are on by default for other adapters, and off for this one.
    pub off_by_default: Triggers,
    /// The events whose flag has no effect here, because GitLab switches them by another setting.
    pub without_flag: Triggers,
    /// Whether a `PUT` may say `active=false`. For other adapters the parameter is ignored, as in GitLab.
    pub active_parameter: bool,
    /// The events that GitLab does not offer for the service. Their flags are off by default. See
    /// [`About::with_own_events`].
    pub own_events: Triggers,
}

impl CommonSettings {
    /// No common settings; adapters name those that they have.
    pub const NONE: Self = Self {
        channels: ChannelSettings::None,
        branches: None,
        only_broken_pipelines: false,
        only_status_changes: false,
        labels: false,
        announce_result: false,
        off_by_default: Triggers::of(&[]),
        without_flag: Triggers::of(&[]),
        active_parameter: false,
        own_events: Triggers::of(&[]),
    };
}

/// The events that every service for people can tell. GitLab offers them for a few services only, with flags that keep
/// GitLab's defaults there.
pub const OWN_EVENTS: Triggers = Triggers::of(&[
    Trigger::Deployment,
    Trigger::Alert,
    Trigger::Vulnerability,
    Trigger::Release,
    Trigger::FeatureFlag,
    Trigger::Milestone,
]);

impl About {
    /// The service with the events of [`OWN_EVENTS`] added that GitLab does not offer for it.
    #[must_use]
    pub const fn with_own_events(mut self) -> Self {
        self.common.own_events = OWN_EVENTS.without(self.triggers);
        self.triggers = self.triggers.and(OWN_EVENTS);
        self
    }
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
    /// Whether a repeated attempt looks first whether an earlier one reached the service: see
    /// [`Notification::may_have_been_sent`]. An attempt that is no repeat makes one call. Attempts are marked in the
    /// store before anything is sent, so that they are known of after a crash too.
    const LOOKS_FIRST: bool = false;
    /// Whether a push starts nothing where an open merge request has the pushed branch, because the merge request's own
    /// event does: GitLab's rule for some build servers.
    const HEEDS_OPEN_REQUESTS: bool = false;

    /// Facts on the service for the contract tests.
    #[cfg(test)]
    const CONTRACT: super::tests::Contract;

    /// The targets of an event. Each target becomes a delivery of its own, so that a retry repeats nothing at other
    /// targets. `channels` are those that the integration's settings name for this event; the empty target is the
    /// address's own channel.
    fn targets(_settings: &Self::Settings, _event: &Event, channels: &[String]) -> Targets {
        if channels.is_empty() { Targets::own() } else { Targets::named(channels.iter().cloned()) }
    }

    /// Why nothing can be sent with the operator's configuration. Such a delivery is skipped with this reason.
    fn unmet(_settings: &Self::Settings, _operator: &OperatorSettings) -> Option<String> {
        None
    }

    /// The rate limits of deliveries to a target.
    fn pace(settings: &Self::Settings, target: &str) -> Pace;

    /// The call to make for this notification.
    ///
    /// # Errors
    /// A [`Failure`] that is known before anything is sent.
    fn call(settings: &Self::Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure>;
}

/// How deliveries to a service are carried out.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// Older events are not delivered.
    pub max_age: Duration,
    /// Whether a message that the service may have accepted may be sent again.
    pub retry_ambiguous: bool,
    /// How many attempts may be in flight to one destination at once.
    pub concurrency: usize,
    /// The largest number of calls in one attempt, over all services.
    pub calls: u32,
    /// The service's size and rate limits in a line for people. The values in effect are the adapter's constants.
    pub limits: &'static str,
    /// How `preview` renders an HTTP request's body. Mails and lines over TCP have a rendering of their own.
    pub preview: Preview,
}

/// The format of an HTTP request's body, for `preview`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preview {
    /// Shown as it is sent.
    Request,
    /// The whole call, for services that are not for people: method, address, the event's name and the body.
    Call,
    /// A text and attachments in Slack's format, in this markup.
    Attachments(Markup),
    /// Embeds in Discord's format.
    Embeds,
    /// HTML in the field `message`, of JSON or of a form.
    Html,
    /// Adaptive Cards.
    Cards,
    /// One text in this markup, in this field of JSON or of a form. A subject, author or thread beside it is shown too.
    Text { field: &'static str, markup: Markup },
    /// The call begins with a look-up. The preview shows the call after this answer (200).
    AfterLookUp { answer: &'static str, then: &'static Preview },
}

/// The targets of an event, and the reasons why others were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    pub send: Vec<Target>,
    /// The reason for each target that was left out, for people: "a push without commits starts no build".
    pub left_out: Vec<String>,
}

impl Targets {
    /// Only the address's own target.
    pub fn own() -> Self {
        Self::named([String::new()])
    }

    pub fn named(names: impl IntoIterator<Item = String>) -> Self {
        Self { send: names.into_iter().map(Target::named).collect(), left_out: Vec::new() }
    }

    /// No target, for this reason.
    pub fn none(why: impl Into<String>) -> Self {
        Self { send: Vec::new(), left_out: vec![why.into()] }
    }
}

/// One channel, recipient, issue, commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// It is stored and shown, so it must not be a secret.
    pub name: String,
    /// The lane, if it is not the event's subject (a commit and its context, an issue). Deliveries of a lane are sent in
    /// order.
    pub lane: Option<LaneKey>,
    /// Whether this delivery supersedes older ones of its lane that are not delivered yet. If so, they are cancelled.
    pub replaces: bool,
}

impl Target {
    pub fn named(name: String) -> Self {
        Self { name, lane: None, replaces: false }
    }
}

/// Names a lane within an integration and project. Deliveries of a lane are sent in order, also to different targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneKey(pub String);

/// Everything that an adapter may know of what it delivers.
pub struct Notification<'a> {
    /// The unique id of this notification. It is the same on every attempt, and differs after a resend. Adapters use it
    /// for transaction ids, message ids and idempotency keys.
    pub id: &'a str,
    pub event: &'a Event,
    /// One of those from [`Deliver::targets`].
    pub target: &'a str,
    /// Adapters have no clock.
    pub now: Timestamp,
    pub operator: &'a OperatorSettings,
    /// The tracker and the wiki of the event's project, at the time of the attempt.
    pub links: &'a ProjectLinks,
    /// The open merge request of the pushed branch by events, for a service that follows GitLab's rule and asks the
    /// forge. It counts only if the forge can't tell.
    pub open_request: Option<i64>,
    /// Whether an earlier attempt may have reached the service. Some adapters must check before they repeat anything.
    pub may_have_been_sent: bool,
    /// Whether this is a test; its message says so.
    pub is_test: bool,
    /// How much the integration wants messages to say.
    pub extent: Extent,
    /// Empty until an adapter asks for it.
    pub message: LazyMessage,
}

/// A message that is composed on first use. Adapters that forward the event's JSON never use it.
#[derive(Default)]
pub struct LazyMessage(OnceCell<Option<Message>>);

impl LazyMessage {
    /// A message that is already composed.
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
            let message = compose_with(self.event, self.links, self.extent.max_commits)?;
            let message = match self.extent.detail {
                Detail::Full => message,
                Detail::Title => message.summary_alone(),
            };
            Some(if self.is_test { message.marked_as_test() } else { message })
        });
        composed.as_ref().ok_or_else(|| Failure::Rejected(nothing_to_say(self.event)))
    }

    /// Makes links of the references in what people wrote, for adapters that show more of it than the message.
    pub fn references(&self) -> References<'_> {
        References::new(self.links)
    }

    /// The error for an adapter that needs a message where there is none.
    pub fn without_message(&self) -> Option<String> {
        matches!(self.message.0.get(), Some(None)).then(|| nothing_to_say(self.event))
    }
}

fn nothing_to_say(event: &Event) -> String {
    format!("there is no message for events of kind {}", event.kind())
}

/// A build service that can be asked for the result of a commit's build.
///
/// The service is asked after a build was triggered, or, if it gets no events, after every push that passes its flags
/// and filters.
pub trait Status: Adapter {
    /// The service's limits in a line for people, where no events are delivered to it.
    const LIMITS: &'static str = "";
    /// The largest number of calls in one question.
    const CALLS: u32 = 1;

    /// The rate limits of a question.
    fn pace(settings: &Self::Settings) -> Pace;

    /// The call that asks. A service that does not know the build yet says [`Pending`](crate::call::BuildState::Pending).
    ///
    /// # Errors
    /// A [`Failure`] that is known before anything is sent.
    fn status(settings: &Self::Settings, commit: &BuiltCommit<'_>) -> Result<Call<CommitStatus>, Failure>;
}

/// The commit that a build service is asked about.
#[derive(Clone, Copy, Debug)]
pub struct BuiltCommit<'a> {
    pub sha: &'a str,
    /// The branch or tag, without `refs/…/`. For a merge request, it is the source branch, even in a fork.
    pub ref_name: &'a str,
    /// The project's full path.
    pub project: &'a str,
}

/// A tracker or wiki that people are led to. All of this is read off the settings: nothing is asked of the service.
pub trait Link: Adapter {
    const LEADS_TO: Linked;

    /// The references to the tracker's issues in a text: in the order of the text, and none within another word. Not among
    /// them are references that are as well the forge's own, such as `#12`, unless the settings say so.
    fn references(_settings: &Self::Settings, _text: &str) -> Vec<Reference> {
        Vec::new()
    }

    /// The address of one issue, named as people name it (`12`, `#12`, `ABC-12`); `None` if the tracker has no issues of
    /// such a name.
    fn issue(_settings: &Self::Settings, _name: &str) -> Option<String> {
        None
    }

    /// The address of the project's page in the tracker.
    fn project(_settings: &Self::Settings) -> Option<String> {
        None
    }

    /// The address at which people write a new issue.
    fn new_issue(_settings: &Self::Settings) -> Option<String> {
        None
    }

    /// The wiki's address.
    fn wiki(_settings: &Self::Settings) -> Option<String> {
        None
    }

    /// Its name for people.
    fn name(_settings: &Self::Settings) -> String {
        Self::ABOUT.title.to_owned()
    }
}

/// A service that can be asked whether it is reachable and accepts the settings.
///
/// A test of the integration asks the service. `pipeline::status_poller` also asks it [after
/// pushes](Self::AFTER_PUSHES), if the adapter declares that, and keeps the answer as the integration's health. A probe
/// is never a delivery.
pub trait Probe: Adapter {
    /// The service's limits in a line for people, where no events are delivered to it.
    const LIMITS: &'static str = "";
    /// The largest number of calls in one question.
    const CALLS: u32 = 1;
    /// Whether it is asked after the pushes that its flags and filters let through.
    const AFTER_PUSHES: bool = false;

    /// The rate limits of a question.
    fn pace(settings: &Self::Settings) -> Pace;

    /// The call that asks. If there is no connection, the transport's failure is the answer.
    ///
    /// # Errors
    /// A [`Failure`] that is known before anything is sent.
    fn probe(
        settings: &Self::Settings,
        now: Timestamp,
        operator: &OperatorSettings,
    ) -> Result<Call<Health>, Failure>;
}

/// A service that sends requests of its own.
pub trait Inbound: Adapter {
    /// The service's limits, such as its timeout for the answer, in a line for people.
    const LIMITS: &'static str;
    /// The kind of its requests, which decides the addresses that they come to.
    const KIND: InboundKind;

    /// Reads a request. The API authenticates the request before it carries out the reaction.
    ///
    /// # Errors
    /// A [`Failure`] if the request does not have the service's format.
    fn receive(request: &InboundRequest) -> Result<Reaction, Failure>;
}

/// The kind of a service's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboundKind {
    /// Slash commands, which come to the integration's own address.
    Commands,
    /// Alerts, which come to the project's alert addresses.
    Alerts,
}

/// A request as it came in over HTTP.
#[derive(Clone, Debug, Default)]
pub struct InboundRequest {
    /// The fields of a form, or of a flat JSON object. The last one of repeated fields counts.
    pub form: BTreeMap<String, String>,
    /// The body, for services that send other JSON.
    pub body: Bytes,
}

impl InboundRequest {
    /// A field; empty if it is missing.
    pub fn field(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }
}

/// The reaction to an inbound request. The API authenticates the request and carries out the reaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reaction {
    Command(ChatCommand),
    Alerts(ReportedAlerts),
}

/// The alerts of one report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportedAlerts {
    pub alerts: Vec<ReportedAlert>,
    /// Why others of the report can't be used. In words without values.
    pub unusable: Vec<&'static str>,
    /// How many were beyond the limit of one report.
    pub beyond_limit: usize,
}

/// An alert that a monitoring system reported. Its texts are cut to GitLab's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedAlert {
    pub title: String,
    pub description: String,
    pub severity: Severity,
    /// The moment of the report if it is not named.
    pub started_at: Option<Timestamp>,
    /// Whether the alert ended.
    pub ended: bool,
    /// The page in the monitoring system; empty where there is none.
    pub url: String,
    pub runbook: String,
    pub environment: String,
    pub service: String,
    pub monitoring_tool: String,
    pub hosts: Vec<String>,
    /// Identifies reports of the same alert. Without a fingerprint, each report is a separate alert.
    pub fingerprint: Option<String>,
}

/// How bad an alert is, in GitLab's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    #[default]
    Critical,
    High,
    Medium,
    Low,
    Info,
}

impl Severity {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }
}

/// A command that a person typed in a channel of a chat service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatCommand {
    /// The adapter that delivers to the same channels.
    pub notifier: &'static str,
    /// The command itself, as in `/forge`.
    pub command: String,
    /// The text after the command.
    pub text: String,
    /// The channel's name for people (`#ops`), or its id if it has no name.
    pub channel: String,
    /// All names that a setting may use for this channel.
    pub channel_names: Vec<String>,
    /// The user that typed the command; empty if the service does not name one.
    pub user: String,
}
