//! Integrations: the use of one adapter by a project, a group or the instance, and the rules that select its events.
//!
//! An [`Integration`] has its enabled events ([`Triggers`]), its filters ([`Filters`]), its channels ([`Channels`]) and
//! its adapter's settings. [`rules::wants`] decides whether it takes an event. The function is pure and returns the
//! reason of a refusal as a value. [`ProjectFacts`] has the facts on a project that the rules need and an event may not
//! contain.
//!
//! This module must not know any adapter: what an adapter supports is passed in as data ([`Rules`]).

#[cfg(test)]
mod example;
pub mod rules;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::event::{GroupRef, MergeRequestAction, Project, Trigger, Triggers};
use crate::settings::Parsed;

/// Names an integration: `acme/web:slack`. Stable across restarts and changes of its settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntegrationId(pub Arc<str>);

impl IntegrationId {
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for IntegrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One use of one adapter.
#[derive(Clone, Debug)]
pub struct Integration {
    pub id: IntegrationId,
    pub scope: Scope,
    /// The adapter's slug.
    pub slug: &'static str,
    pub active: bool,
    /// The events that are switched on.
    pub triggers: Triggers,
    pub filters: Arc<Filters>,
    pub channels: Arc<Channels>,
    pub extent: Extent,
    /// Whether the outcome of a build that it triggered becomes an event.
    pub announce_result: bool,
    /// The events that its adapter supports, and the rules of its family of adapters.
    pub rules: Rules,
    pub settings: Parsed,
    /// Where it was configured: a file's name.
    pub origin: Arc<str>,
    /// A digest of everything above, which changes with the settings.
    pub fingerprint: Fingerprint,
}

/// A digest of an integration's settings. It reveals none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub i64);

/// The project, group or instance that an integration belongs to, by name.
///
/// Rows of the store are keyed by [`ScopeKey`](crate::store::registry::ScopeKey); a scope with all that is known of it is
/// a [`ResolvedScope`](crate::catalog::ResolvedScope).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A project by its number, which survives renames.
    ProjectId(i64),
    /// A project by its full path.
    ProjectPath(String),
    /// A group by its full path. An integration of a group receives only mentions of the group.
    Group(String),
    /// The instance. Its integrations are defaults for groups and projects, and receive no events themselves.
    Instance,
}

impl Scope {
    /// Whether an event of this project or group is an event of this scope. Paths are compared as GitLab does, without
    /// regard to case.
    pub fn covers(&self, project: Option<&Project>, group: Option<&GroupRef>) -> bool {
        match (self, project, group) {
            (Self::Group(path), _, Some(group)) => path.eq_ignore_ascii_case(&group.path),
            (Self::ProjectId(id), Some(project), None) => *id == project.id,
            (Self::ProjectPath(path), Some(project), None) => {
                path.eq_ignore_ascii_case(&project.path_with_namespace)
            }
            _ => false,
        }
    }

    /// The form in which scopes are compared and ids name them: paths in lower case. No project is called `groups/…` or
    /// `instance`, because GitLab reserves the first word and the second has no slash.
    pub fn canonical(&self) -> String {
        match self {
            Self::ProjectId(id) => id.to_string(),
            Self::ProjectPath(path) => path.to_ascii_lowercase(),
            Self::Group(path) => format!("groups/{}", path.to_ascii_lowercase()),
            Self::Instance => "instance".to_owned(),
        }
    }
}

impl Scope {
    /// The scope that has this canonical form.
    pub fn from_canonical(name: &str) -> Self {
        if name == "instance" {
            return Self::Instance;
        }
        match (name.strip_prefix("groups/"), name.parse()) {
            (Some(path), _) => Self::Group(path.to_owned()),
            (None, Ok(id)) => Self::ProjectId(id),
            (None, Err(_)) => Self::ProjectPath(name.to_owned()),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProjectId(id) => write!(f, "project {id}"),
            Self::ProjectPath(path) => write!(f, "project {path}"),
            Self::Group(path) => write!(f, "group {path}"),
            Self::Instance => f.write_str("the whole instance"),
        }
    }
}

/// Facts on a project that the rules need and an event may not contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectFacts {
    pub default_branch: Option<String>,
    /// Names and wildcards (`*-stable`) of protected branches; `None` where they are not known.
    pub protected_branches: Option<Vec<String>>,
}

/// The filters of an integration. `None` means that its adapter does not offer the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    pub branches_to_be_notified: Option<BranchFilter>,
    pub notify_only_broken_pipelines: bool,
    pub notify_only_when_pipeline_status_changes: bool,
    pub labels: LabelFilter,
    pub merge_request_actions: MergeRequestActions,
}

/// `merge_request_actions`: the actions of merge requests that are notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeRequestActions(pub Vec<MergeRequestAction>);

impl Default for MergeRequestActions {
    /// The actions that GitLab notifies of.
    fn default() -> Self {
        Self(MergeRequestAction::ALL.into_iter().filter(|action| action.is_told_by_gitlab()).collect())
    }
}

impl MergeRequestActions {
    /// Reads a comma-separated list, in the order of [`MergeRequestAction::ALL`].
    ///
    /// # Errors
    /// The words that are no actions.
    pub fn from_setting(list: &str) -> Result<Self, Vec<String>> {
        let words: Vec<&str> = list.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        let unknown = |word: &&&str| MergeRequestAction::named(word).is_none();
        let unknown: Vec<String> = words.iter().filter(unknown).map(|word| (*word).to_owned()).collect();
        let is_named = |action: &MergeRequestAction| words.contains(&action.name());
        if unknown.is_empty() {
            Ok(Self(MergeRequestAction::ALL.into_iter().filter(is_named).collect()))
        } else {
            Err(unknown)
        }
    }
}

impl fmt::Display for MergeRequestActions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|action| action.name()).collect::<Vec<_>>().join(", "))
    }
}

/// How detailed messages are: `detail` and `max_commits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    pub detail: Detail,
    /// The most commits of a push that are listed; `None` where the service's own limit applies.
    pub max_commits: Option<usize>,
}

/// `detail`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// The summary and what belongs to it: commits, a description, a comment, failed jobs.
    #[default]
    Full,
    /// The summary alone.
    Title,
}

/// `branches_to_be_notified`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BranchFilter {
    All,
    Default,
    Protected,
    DefaultAndProtected,
    /// A value that GitLab accepts, but that matches no branch.
    Unknown(String),
}

impl BranchFilter {
    /// The setting with this name. Any other value matches no branch, as in GitLab.
    pub fn from_setting(word: &str) -> Self {
        match word.trim() {
            "all" => Self::All,
            "default" => Self::Default,
            "protected" => Self::Protected,
            "default_and_protected" => Self::DefaultAndProtected,
            other => Self::Unknown(other.to_owned()),
        }
    }

    pub fn as_setting(&self) -> &str {
        match self {
            Self::All => "all",
            Self::Default => "default",
            Self::Protected => "protected",
            Self::DefaultAndProtected => "default_and_protected",
            Self::Unknown(word) => word,
        }
    }
}

/// `labels_to_be_notified` and its behaviour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelFilter {
    /// Label titles, exact and case-sensitive; empty lets everything pass.
    pub labels: Vec<String>,
    pub behavior: LabelBehavior,
}

impl LabelFilter {
    /// Reads `~backend, ~team one`: every `~` is dropped, commas separate, spaces around are trimmed. A blank setting
    /// is no filter. A list that names no label (`~`, `,`) is a filter that nothing passes, as in GitLab.
    pub fn from_setting(list: &str, behavior: LabelBehavior) -> Self {
        let titles = list.replace('~', "");
        let titles = titles.split(',').map(str::trim).filter(|title| !title.is_empty());
        let mut labels: Vec<String> = titles.map(str::to_owned).collect();
        if labels.is_empty() && !list.trim().is_empty() {
            labels.push(String::new());
        }
        Self { labels, behavior }
    }

    /// Whether the setting is a list that contains no label (`~`, `,`).
    pub fn names_no_label(&self) -> bool {
        self.labels.iter().all(String::is_empty) && !self.labels.is_empty()
    }
}

/// `labels_to_be_notified_behavior`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelBehavior {
    #[default]
    MatchAny,
    MatchAll,
}

/// The channels that messages go to, by trigger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// `channel`.
    pub default: Vec<String>,
    /// `push_channel`, `confidential_issue_channel` …
    pub per_trigger: BTreeMap<Trigger, Vec<String>>,
}

impl Channels {
    /// The longest name of a channel, in characters. No service has longer ones.
    pub const MAX_CHARS: usize = 255;

    /// The channels for one trigger: its own; or, for a confidential trigger, those of its public counterpart; or the
    /// default. An empty list means the address's own channel.
    pub fn for_trigger(&self, trigger: Trigger) -> &[String] {
        let own = |trigger: Trigger| self.per_trigger.get(&trigger).filter(|channels| !channels.is_empty());
        let sibling = match trigger {
            Trigger::ConfidentialIssue => own(Trigger::Issue),
            Trigger::ConfidentialNote => own(Trigger::Note),
            _ => None,
        };
        own(trigger).or(sibling).unwrap_or(&self.default)
    }

    /// The names of all channels. A name may come several times.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.per_trigger.values().chain([&self.default]).flatten().map(String::as_str)
    }

    /// Reads a comma-separated list in order: entries are trimmed, blank and repeated ones are left out.
    pub fn parse_list(list: &str) -> Vec<String> {
        let mut channels: Vec<String> = Vec::new();
        for channel in list.split(',').map(str::trim).filter(|channel| !channel.is_empty()) {
            if !channels.iter().any(|seen| seen == channel) {
                channels.push(channel.to_owned());
            }
        }
        channels
    }
}

/// The events that an adapter supports, and its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    pub supported: Triggers,
    pub family: Family,
}

/// A group of adapters that select events by the same rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Notifies people in a channel. Updates and unfinished pipelines are not notified, and pipelines of tags pass the
    /// branch filter.
    Chat,
    /// Mails every push.
    PushMail,
    /// Mails about ended pipelines; a tag's name is compared like a branch's.
    PipelineMail,
    /// Gets every event as it is: issue trackers, build servers.
    Hook,
    /// Sends no notifications; answers commands that people type in a channel.
    Commands,
}
