//! Adapters: one file for each service, and one table of all.
//!
//! [`contract`] defines the interface of adapters; [`ADAPTERS`] lists all adapters with their capabilities.
//! Provisioning, the API's parameters, help pages, metric labels, previews and the contract tests use this table.
//! Adding a service is one file in the folder of its family, and two lines here: its module and its row.
//!
//! [`Entry`] is an adapter without its types, so that all fit the table. [`common_settings`] declares the settings that
//! several adapters have; `redact` removes credentials from texts that quote services' answers; `references` finds
//! references to issues in texts, and [`ProjectLinks`] are their destinations in a project; [`operator`] has the
//! operator's settings for all integrations.

pub mod common_settings;
pub mod contract;
pub mod operator;
mod project_links;
mod redact;
mod references;
#[cfg(test)]
pub(crate) mod tests;

/// Monitoring systems and their reports. These modules are shared, or belong to one adapter:
///
/// - `alertmanager`, `generic`: the two formats of reports.
/// - `iap`: tokens for Google's Identity-Aware Proxy.
/// - `reading`: the values of reports.
pub mod alerts {
    mod alertmanager;
    pub mod endpoint;
    mod generic;
    mod iap;
    pub mod prometheus;
    mod reading;
}

/// Build servers, and services that get builds and pushes for machine processing. Several adapters share these modules:
///
/// - `address`: paths below a base address, logins in addresses.
/// - `answers`: the consequences of answers, where a build must not be started twice.
/// - `forward`: the event's JSON, forwarded byte for byte; for trackers too.
/// - `open_requests`: pushes whose build an open merge request starts; asks the forge for it.
/// - `sending`: which events start a build.
pub mod builds {
    mod address;
    mod answers;
    pub mod bamboo;
    pub mod buildkite;
    pub mod datadog;
    pub mod drone_ci;
    pub(super) mod forward;
    pub mod github;
    pub mod jenkins;
    pub mod jenkins_deprecated;
    pub mod mock_ci;
    pub(crate) mod open_requests;
    pub mod packagist;
    mod sending;
    mod statuses;
    pub mod teamcity;
}

/// Chat services. They share these modules:
///
/// - `attachment`: the attachments of Slack and the services with the same format.
/// - `one_text`: a message as one text.
pub mod chat {
    mod attachment;
    pub mod campfire;
    pub mod discord;
    pub mod flowdock;
    pub mod hangouts_chat;
    pub mod hipchat;
    pub mod matrix;
    pub mod mattermost;
    pub mod microsoft_teams;
    mod one_text;
    pub mod pumble;
    pub mod slack;
    pub mod telegram;
    pub mod unify_circuit;
    pub mod webex_teams;
}

/// Slash commands, which people type in a channel. `form` reads the request that Slack and Mattermost send alike.
pub mod commands {
    mod form;
    pub mod mattermost_slash_commands;
    pub mod slack_slash_commands;
}

/// IRC. `recipients` reads addresses; `lines` splits a push into lines that fit IRC.
pub mod irc {
    pub mod irker;
    mod lines;
    mod recipients;
}

/// Trackers and wikis that messages lead to. They share these modules:
///
/// - `address`: addresses of issues, made of a pattern with `:id`.
/// - `project_page`: whether a tracker can be reached.
/// - `tracker`: pages, and names of issues, of trackers whose settings are addresses.
/// - `wiki`: what the wikis share.
pub mod links {
    mod address;
    pub mod bugzilla;
    pub mod clickup;
    pub mod confluence;
    pub mod custom_issue_tracker;
    pub mod ewm;
    pub mod external_wiki;
    pub mod linear;
    pub mod phorge;
    mod project_page;
    pub mod redmine;
    mod tracker;
    mod wiki;
    pub mod youtrack;
}

/// Mails through the operator's relay. Both adapters share these modules:
///
/// - `addresses`: addresses of recipients, and whether a mail may be from its author's address.
/// - `diffs`: the diff of a push, from the event or from the forge.
/// - `head`: a mail's headers: names, ids, threads, lists.
/// - `page`: the text and the HTML, written side by side and limited in length.
/// - `relay`: the rate limit of the relay.
/// - `replies`: the consequences of the relay's replies.
pub mod mail {
    pub(super) mod addresses;
    mod diffs;
    pub mod emails_on_push;
    mod head;
    mod page;
    pub mod pipelines_email;
    mod relay;
    pub(super) mod replies;
}

/// Push services, which show messages on people's phones.
pub mod push {
    pub mod pushover;
}

/// Issue trackers that get commits and issues. They share these modules:
///
/// - `address`: paths below a base address, tokens, pages.
/// - `commits`: the commits of a push.
/// - `restrict`: `restrict_to_branch`.
/// - `tasks`: Asana's tasks in a commit's message.
pub mod trackers {
    mod address;
    pub mod asana;
    pub mod assembla;
    mod commits;
    pub mod gemnasium;
    pub mod jira;
    pub mod pivotaltracker;
    mod restrict;
    pub mod squash_tm;
    mod tasks;
}

use std::sync::Arc;

use jiff::Timestamp;

use crate::call::{Call, CommitStatus, Failure, Health, Pace, Sent};
use crate::event::{Event, Triggers};
use crate::message::Reference;
use crate::settings::{Field, FieldError, Kind, Parsed, Properties, SecretSettings, Settings};

use builds::{
    bamboo, buildkite, datadog, drone_ci, github, jenkins, jenkins_deprecated, mock_ci, packagist, teamcity,
};
use chat::{discord, hipchat, mattermost, microsoft_teams, slack};
use commands::{mattermost_slash_commands, slack_slash_commands};
use common_settings::{CommonField, common_fields, is_stored_as_flag};
use contract::{
    About, Adapter, BuiltCommit, CommonSettings, Deliver, Delivery, Inbound, InboundKind, InboundRequest,
    Link, Linked, Login, Probe, Reaction, Status, Targets,
};
use irc::irker;
use mail::{emails_on_push, pipelines_email};

pub use builds::open_requests::starts_build as open_request_starts_build;
pub use contract::Notification;
pub use operator::OperatorSettings;
pub use project_links::{Linking, ProjectLinks};
pub use redact::secrets_of;

/// Every adapter, by slug.
pub static ADAPTERS: &[Entry] = &[
    Entry::of::<alerts::endpoint::AlertsEndpoint>().inbound::<alerts::endpoint::AlertsEndpoint>(),
    Entry::of::<trackers::asana::Asana>()
        .delivers::<trackers::asana::Asana>()
        .probes::<trackers::asana::Asana>(),
    Entry::of::<trackers::assembla::Assembla>().delivers::<trackers::assembla::Assembla>(),
    Entry::of::<bamboo::Bamboo>().delivers::<bamboo::Bamboo>().status::<bamboo::Bamboo>(),
    Entry::of::<links::bugzilla::Bugzilla>()
        .links::<links::bugzilla::Bugzilla>()
        .probes::<links::bugzilla::Bugzilla>(),
    Entry::of::<buildkite::Buildkite>().delivers::<buildkite::Buildkite>().status::<buildkite::Buildkite>(),
    Entry::of::<chat::campfire::Campfire>().delivers::<chat::campfire::Campfire>(),
    Entry::of::<links::clickup::ClickUp>()
        .links::<links::clickup::ClickUp>()
        .probes::<links::clickup::ClickUp>(),
    Entry::of::<links::confluence::Confluence>().links::<links::confluence::Confluence>(),
    Entry::of::<links::custom_issue_tracker::CustomIssueTracker>()
        .links::<links::custom_issue_tracker::CustomIssueTracker>()
        .probes::<links::custom_issue_tracker::CustomIssueTracker>(),
    Entry::of::<datadog::Datadog>().delivers::<datadog::Datadog>(),
    Entry::of::<discord::Discord>().delivers::<discord::Discord>(),
    Entry::of::<drone_ci::DroneCi>().delivers::<drone_ci::DroneCi>().status::<drone_ci::DroneCi>(),
    Entry::of::<emails_on_push::EmailsOnPush>().delivers::<emails_on_push::EmailsOnPush>(),
    Entry::of::<links::ewm::Ewm>().links::<links::ewm::Ewm>().probes::<links::ewm::Ewm>(),
    Entry::of::<links::external_wiki::ExternalWiki>()
        .links::<links::external_wiki::ExternalWiki>()
        .probes::<links::external_wiki::ExternalWiki>(),
    Entry::of::<chat::flowdock::Flowdock>().delivers::<chat::flowdock::Flowdock>(),
    Entry::of::<trackers::gemnasium::Gemnasium>().delivers::<trackers::gemnasium::Gemnasium>(),
    Entry::of::<github::GitHub>().delivers::<github::GitHub>(),
    Entry::of::<chat::hangouts_chat::HangoutsChat>().delivers::<chat::hangouts_chat::HangoutsChat>(),
    Entry::of::<hipchat::HipChat>().delivers::<hipchat::HipChat>(),
    Entry::of::<irker::Irker>().delivers::<irker::Irker>(),
    Entry::of::<jenkins::Jenkins>().delivers::<jenkins::Jenkins>().status::<jenkins::Jenkins>(),
    Entry::of::<jenkins_deprecated::JenkinsDeprecated>()
        .delivers::<jenkins_deprecated::JenkinsDeprecated>()
        .status::<jenkins_deprecated::JenkinsDeprecated>(),
    Entry::of::<trackers::jira::Jira>()
        .delivers::<trackers::jira::Jira>()
        .links::<trackers::jira::Jira>()
        .probes::<trackers::jira::Jira>(),
    Entry::of::<links::linear::Linear>().links::<links::linear::Linear>().probes::<links::linear::Linear>(),
    Entry::of::<chat::matrix::Matrix>().delivers::<chat::matrix::Matrix>(),
    Entry::of::<mattermost::Mattermost>().delivers::<mattermost::Mattermost>(),
    Entry::of::<mattermost_slash_commands::MattermostSlashCommands>()
        .inbound::<mattermost_slash_commands::MattermostSlashCommands>(),
    Entry::of::<microsoft_teams::MicrosoftTeams>().delivers::<microsoft_teams::MicrosoftTeams>(),
    Entry::of::<mock_ci::MockCi>().status::<mock_ci::MockCi>(),
    Entry::of::<packagist::Packagist>().delivers::<packagist::Packagist>(),
    Entry::of::<links::phorge::Phorge>().links::<links::phorge::Phorge>().probes::<links::phorge::Phorge>(),
    Entry::of::<pipelines_email::PipelinesEmail>().delivers::<pipelines_email::PipelinesEmail>(),
    Entry::of::<trackers::pivotaltracker::PivotalTracker>()
        .delivers::<trackers::pivotaltracker::PivotalTracker>(),
    Entry::of::<alerts::prometheus::Prometheus>()
        .inbound::<alerts::prometheus::Prometheus>()
        .probes::<alerts::prometheus::Prometheus>(),
    Entry::of::<chat::pumble::Pumble>().delivers::<chat::pumble::Pumble>(),
    Entry::of::<push::pushover::Pushover>().delivers::<push::pushover::Pushover>(),
    Entry::of::<links::redmine::Redmine>()
        .links::<links::redmine::Redmine>()
        .probes::<links::redmine::Redmine>(),
    Entry::of::<slack::Slack>().delivers::<slack::Slack>(),
    Entry::of::<slack_slash_commands::SlackSlashCommands>()
        .inbound::<slack_slash_commands::SlackSlashCommands>(),
    Entry::of::<trackers::squash_tm::SquashTm>().delivers::<trackers::squash_tm::SquashTm>(),
    Entry::of::<teamcity::TeamCity>().delivers::<teamcity::TeamCity>().status::<teamcity::TeamCity>(),
    Entry::of::<chat::telegram::Telegram>().delivers::<chat::telegram::Telegram>(),
    Entry::of::<chat::unify_circuit::UnifyCircuit>().delivers::<chat::unify_circuit::UnifyCircuit>(),
    Entry::of::<chat::webex_teams::WebexTeams>().delivers::<chat::webex_teams::WebexTeams>(),
    Entry::of::<links::youtrack::YouTrack>()
        .links::<links::youtrack::YouTrack>()
        .probes::<links::youtrack::YouTrack>(),
];

/// The adapter with this slug. Dashes and underscores are equivalent.
pub fn find(slug: &str) -> Option<&'static Entry> {
    let dashed = |letter: u8| if letter == b'_' { b'-' } else { letter };
    let is_same = |known: &str| known.len() == slug.len() && known.bytes().eq(slug.bytes().map(dashed));
    ADAPTERS.iter().find(|entry| is_same(entry.about.slug))
}

/// An adapter without its types.
pub struct Entry {
    pub about: About,
    pub login: Option<Login>,
    /// The adapter's own settings. The common ones follow from [`About::common`].
    pub fields: &'static [Field],
    /// See [`Adapter::HOSTS`].
    pub hosts: &'static [&'static str],
    /// `None` for services that no events are delivered to.
    pub deliver: Option<Deliveries>,
    /// `None` for services that are not asked for builds.
    pub status: Option<Statuses>,
    /// `None` for services that can't be asked whether they answer.
    pub probe: Option<Probes>,
    /// `None` for services that send no requests of their own.
    pub inbound: Option<Requests>,
    /// `None` for services that people are not led to.
    pub link: Option<Links>,
    read: fn(&Properties) -> Result<Parsed, Vec<FieldError>>,
    validate_triggers: fn(&Parsed, Triggers) -> Vec<FieldError>,
    is_in_use: fn(&Parsed) -> bool,
    warnings: fn(&Parsed) -> Vec<FieldError>,
}

/// [`Deliver`] without its types.
pub struct Deliveries {
    pub about: Delivery,
    /// See [`Deliver::LOOKS_FIRST`].
    pub looks_first: bool,
    #[cfg(test)]
    contract: tests::Contract,
    heeds_open_requests: bool,
    targets: fn(&Parsed, &Event, &[String]) -> Targets,
    unmet: fn(&Parsed, &OperatorSettings) -> Option<String>,
    pace: fn(&Parsed, &str) -> Pace,
    call: fn(&Parsed, &Notification<'_>) -> Result<Call<Sent>, Failure>,
}

/// [`Status`] without its types.
pub struct Statuses {
    pub limits: &'static str,
    pub calls: u32,
    pace: fn(&Parsed) -> Pace,
    status: fn(&Parsed, &BuiltCommit<'_>) -> Result<Call<CommitStatus>, Failure>,
}

impl Statuses {
    /// See [`Status::pace`].
    pub fn pace(&self, settings: &Parsed) -> Pace {
        (self.pace)(settings)
    }

    /// See [`Status::status`].
    ///
    /// # Errors
    /// A [`Failure`] that is known before anything is sent.
    pub fn status(&self, settings: &Parsed, commit: &BuiltCommit<'_>) -> Result<Call<CommitStatus>, Failure> {
        (self.status)(settings, commit)
    }
}

/// [`Probe`] without its types.
pub struct Probes {
    pub limits: &'static str,
    pub calls: u32,
    /// See [`Probe::AFTER_PUSHES`].
    pub after_pushes: bool,
    pace: fn(&Parsed) -> Pace,
    probe: fn(&Parsed, Timestamp, &OperatorSettings) -> Result<Call<Health>, Failure>,
}

impl Probes {
    /// See [`Probe::pace`].
    pub fn pace(&self, settings: &Parsed) -> Pace {
        (self.pace)(settings)
    }

    /// See [`Probe::probe`].
    ///
    /// # Errors
    /// A [`Failure`] that is known before anything is sent.
    pub fn probe(
        &self,
        settings: &Parsed,
        now: Timestamp,
        operator: &OperatorSettings,
    ) -> Result<Call<Health>, Failure> {
        (self.probe)(settings, now, operator)
    }
}

/// [`Inbound`] without its types.
pub struct Requests {
    pub limits: &'static str,
    pub kind: InboundKind,
    receive: fn(&InboundRequest) -> Result<Reaction, Failure>,
}

/// [`Link`] without its types.
pub struct Links {
    pub leads_to: Linked,
    references: fn(&Parsed, &str) -> Vec<Reference>,
    issue: fn(&Parsed, &str) -> Option<String>,
    project: fn(&Parsed) -> Option<String>,
    new_issue: fn(&Parsed) -> Option<String>,
    wiki: fn(&Parsed) -> Option<String>,
    name: fn(&Parsed) -> String,
}

impl Links {
    /// See [`Link::references`].
    pub fn references(&self, settings: &Parsed, text: &str) -> Vec<Reference> {
        (self.references)(settings, text)
    }

    /// See [`Link::issue`].
    pub fn issue(&self, settings: &Parsed, name: &str) -> Option<String> {
        (self.issue)(settings, name)
    }

    /// See [`Link::project`].
    pub fn project(&self, settings: &Parsed) -> Option<String> {
        (self.project)(settings)
    }

    /// See [`Link::new_issue`].
    pub fn new_issue(&self, settings: &Parsed) -> Option<String> {
        (self.new_issue)(settings)
    }

    /// See [`Link::wiki`].
    pub fn wiki(&self, settings: &Parsed) -> Option<String> {
        (self.wiki)(settings)
    }

    /// See [`Link::name`].
    pub fn name(&self, settings: &Parsed) -> String {
        (self.name)(settings)
    }
}

/// The pace of deliveries to a target, as the settings have it.
struct PaceOfTarget {
    target: Box<str>,
    pace: Arc<Pace>,
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
            login: A::LOGIN,
            fields: A::Settings::FIELDS,
            hosts: A::HOSTS,
            deliver: None,
            status: None,
            probe: None,
            inbound: None,
            link: None,
            read: |properties| {
                let settings = A::Settings::read(properties)?;
                let errors = A::validate(&settings);
                if !errors.is_empty() {
                    return Err(errors);
                }
                Ok(Parsed::new(settings).with_secrets(SecretSettings::of(A::Settings::FIELDS, properties)))
            },
            validate_triggers: |settings, triggers| {
                A::validate_triggers(settings_of::<A>(settings), triggers)
            },
            is_in_use: |settings| A::is_in_use(settings_of::<A>(settings)),
            warnings: |settings| A::warnings(settings_of::<A>(settings)),
        }
    }

    pub(crate) const fn delivers<A: Deliver>(mut self) -> Self {
        self.deliver = Some(Deliveries {
            about: A::DELIVERY,
            looks_first: A::LOOKS_FIRST,
            #[cfg(test)]
            contract: A::CONTRACT,
            heeds_open_requests: A::HEEDS_OPEN_REQUESTS,
            targets: |settings, event, channels| A::targets(settings_of::<A>(settings), event, channels),
            unmet: |settings, operator| A::unmet(settings_of::<A>(settings), operator),
            pace: |settings, target| A::pace(settings_of::<A>(settings), target),
            call: |settings, note| {
                let call = A::call(settings_of::<A>(settings), note)?;
                Ok(redact::redacted(call, settings.secret_settings()))
            },
        });
        self
    }

    pub(crate) const fn status<A: Status>(mut self) -> Self {
        self.status = Some(Statuses {
            limits: A::LIMITS,
            calls: A::CALLS,
            pace: |settings| A::pace(settings_of::<A>(settings)),
            status: |settings, commit| {
                let call = A::status(settings_of::<A>(settings), commit)?;
                Ok(redact::redacted(call, settings.secret_settings()))
            },
        });
        self
    }

    pub(crate) const fn probes<A: Probe>(mut self) -> Self {
        self.probe = Some(Probes {
            limits: A::LIMITS,
            calls: A::CALLS,
            after_pushes: A::AFTER_PUSHES,
            pace: |settings| A::pace(settings_of::<A>(settings)),
            probe: |settings, now, operator| {
                let call = A::probe(settings_of::<A>(settings), now, operator)?;
                Ok(redact::redacted(call, settings.secret_settings()))
            },
        });
        self
    }

    pub(crate) const fn inbound<A: Inbound>(mut self) -> Self {
        self.inbound = Some(Requests { limits: A::LIMITS, kind: A::KIND, receive: A::receive });
        self
    }

    pub(crate) const fn links<A: Link>(mut self) -> Self {
        self.link = Some(Links {
            leads_to: A::LEADS_TO,
            references: |settings, text| A::references(settings_of::<A>(settings), text),
            issue: |settings, name| A::issue(settings_of::<A>(settings), name),
            project: |settings| A::project(settings_of::<A>(settings)),
            new_issue: |settings| A::new_issue(settings_of::<A>(settings)),
            wiki: |settings| A::wiki(settings_of::<A>(settings)),
            name: |settings| A::name(settings_of::<A>(settings)),
        });
        self
    }

    /// Whether events are delivered to it.
    pub fn can_deliver(&self) -> bool {
        self.deliver.is_some()
    }

    /// Whether events concern it: they are delivered to it, or it is asked something after pushes.
    pub fn takes_events(&self) -> bool {
        self.can_deliver() || self.is_only_asked()
    }

    /// The service's size and rate limits in a line for people.
    pub fn limits(&self) -> &'static str {
        let delivers = self.deliver.as_ref().map(|deliver| deliver.about.limits);
        let asked = self.status.as_ref().map(|status| status.limits);
        let probed = self.probe.as_ref().map(|probe| probe.limits).filter(|limits| !limits.is_empty());
        let inbound = self.inbound.as_ref().map(|inbound| inbound.limits);
        let linked = self.link.as_ref().map(|_| "Nothing is sent to it.");
        delivers.or(inbound).or(asked).or(probed).or(linked).unwrap_or_default()
    }

    /// See [`Deliver::HEEDS_OPEN_REQUESTS`].
    pub fn heeds_open_requests(&self) -> bool {
        self.deliver.as_ref().is_some_and(|deliver| deliver.heeds_open_requests)
    }

    /// Whether pushes only make it be asked, for builds or whether it answers: events are not delivered to it.
    pub fn is_only_asked(&self) -> bool {
        self.deliver.is_none() && (self.status.is_some() || self.is_probed_after_pushes())
    }

    /// See [`Probe::AFTER_PUSHES`].
    pub fn is_probed_after_pushes(&self) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.after_pushes)
    }

    /// Reads and checks the adapter's own settings.
    ///
    /// # Errors
    /// All errors in them.
    pub fn read(&self, properties: &Properties) -> Result<Parsed, Vec<FieldError>> {
        (self.read)(properties)
    }

    /// Errors in the combination of settings and enabled events.
    pub fn validate_triggers(&self, settings: &Parsed, triggers: Triggers) -> Vec<FieldError> {
        (self.validate_triggers)(settings, triggers)
    }

    /// See [`Adapter::is_in_use`].
    pub fn is_in_use(&self, settings: &Parsed) -> bool {
        (self.is_in_use)(settings)
    }

    /// See [`Adapter::warnings`].
    pub fn warnings(&self, settings: &Parsed) -> Vec<FieldError> {
        (self.warnings)(settings)
    }

    /// The events that are switched on if the flags are not set.
    pub fn default_triggers(&self) -> Triggers {
        let CommonSettings { off_by_default, own_events, .. } = self.about.common;
        Triggers::by_default().without(off_by_default).without(own_events)
    }

    /// Every setting of the adapter that the API accepts and shows in `properties`, the adapter's own first: name, kind,
    /// default and (in [`Kind::Choice`]) the possible values. Flags, and settings that are stored as such, are not among them.
    pub fn api_fields(&self) -> Vec<ApiField> {
        let own = self.fields.iter().filter(|field| !is_stored_as_flag(field.name)).map(|field| ApiField {
            name: field.name.into(),
            kind: field.kind,
            default: field.default,
            is_addition: false,
        });
        let common = common_fields(&self.about).into_iter().filter(|field| field.group.is_setting());
        let common = common.map(|CommonField { name, kind, default, is_addition, .. }| ApiField {
            name,
            kind,
            default,
            is_addition,
        });
        own.chain(common).collect()
    }

    /// See [`Deliver::targets`]; no target if no events are delivered to the adapter.
    pub fn targets(&self, settings: &Parsed, event: &Event, channels: &[String]) -> Targets {
        self.deliver.as_ref().map(|deliver| (deliver.targets)(settings, event, channels)).unwrap_or_default()
    }

    /// See [`Deliver::unmet`].
    pub fn unmet(&self, settings: &Parsed, operator: &OperatorSettings) -> Option<String> {
        self.deliver.as_ref().and_then(|deliver| (deliver.unmet)(settings, operator))
    }

    /// See [`Deliver::pace`]. The pace of the first target is computed once, because most integrations have only one
    /// target.
    pub fn pace(&self, settings: &Parsed, target: &str) -> Option<Arc<Pace>> {
        let deliver = self.deliver.as_ref()?;
        let work_out = || Arc::new((deliver.pace)(settings, target));
        let first = settings.derived(|| PaceOfTarget { target: target.into(), pace: work_out() });
        let known = first.filter(|first| &*first.target == target).map(|first| Arc::clone(&first.pace));
        Some(known.unwrap_or_else(work_out))
    }

    /// The scope of the service's rate limits and holds.
    pub fn destination(&self, settings: &Parsed, target: &str) -> Arc<str> {
        let pace = self.pace(settings, target);
        pace.map_or_else(|| self.about.slug.into(), |pace| Arc::clone(&pace.destination.key.0))
    }

    /// The scope of the service's rate limits and holds, and the widest bucket that it takes from: see [`Pace::widest`].
    pub fn destination_and_share(&self, settings: &Parsed, target: &str) -> (Arc<str>, Arc<str>) {
        let Some(pace) = self.pace(settings, target) else {
            let slug: Arc<str> = self.about.slug.into();
            return (Arc::clone(&slug), slug);
        };
        (Arc::clone(&pace.destination.key.0), Arc::clone(&pace.widest().key.0))
    }

    /// See [`Deliver::call`].
    ///
    /// # Errors
    /// A [`Failure`] that is known before anything is sent.
    pub fn call(&self, settings: &Parsed, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        match &self.deliver {
            Some(deliver) => (deliver.call)(settings, note),
            None => Err(Failure::Rejected(format!("{} takes no events", self.about.slug))),
        }
    }

    /// See [`Inbound::receive`].
    ///
    /// # Errors
    /// A [`Failure`] of the request.
    pub fn receive(&self, request: &InboundRequest) -> Result<Reaction, Failure> {
        match &self.inbound {
            Some(inbound) => (inbound.receive)(request),
            None => Err(Failure::Rejected(format!("{} sends no requests", self.about.slug))),
        }
    }
}

/// A setting as the API accepts and shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiField {
    pub name: std::borrow::Cow<'static, str>,
    pub kind: Kind,
    /// The default; `None` if there is none, which the API shows as `null`.
    pub default: Option<&'static str>,
    /// See [`CommonField::is_addition`].
    pub is_addition: bool,
}

/// `settings` were read by the same entry that uses them, because an integration keeps its slug and settings together.
fn settings_of<A: Adapter>(settings: &Parsed) -> &A::Settings {
    settings.get().expect("an entry is called with the settings that it read itself")
}
