//! The settings that several adapters have, declared once. They are parsed here for every adapter, and listed for help
//! pages, provisioning files and the API.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::contract::{About, ChannelSettings, CommonSettings};
use crate::event::{MergeRequestAction, Trigger, Triggers};
use crate::integration::{
    BranchFilter, Channels, Detail, Extent, Family, Filters, LabelBehavior, LabelFilter, MergeRequestActions,
};
use crate::settings::{FieldError, Kind, Properties, Value, read_bool};

/// Flags without a trigger that GitLab has on every integration. All adapters accept them. They have an effect only for
/// adapters that declare a setting with this name, which is stored as a flag.
pub const FLAGS_WITHOUT_TRIGGER: [&str; 2] = ["commit_events", "comment_on_event_enabled"];

/// A common setting, as a help page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonField {
    pub name: Cow<'static, str>,
    pub kind: Kind,
    pub help: Cow<'static, str>,
    pub example: Cow<'static, str>,
    /// The default; `None` if there is none.
    pub default: Option<&'static str>,
    pub group: Group,
    /// Whether GitLab does not have it. The API shows such a setting only where it is set, so that clients made for GitLab
    /// find the properties that they know.
    pub is_addition: bool,
}

/// The purpose of a common setting. Help pages are grouped by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Where messages go.
    Channels,
    /// Which events pass.
    Filters,
    /// The content of messages.
    Messages,
    /// Which kinds of event are delivered at all.
    Flags,
}

impl Group {
    /// Whether the setting is more than a flag for a kind of event.
    pub fn is_setting(self) -> bool {
        self != Self::Flags
    }
}

/// One row of the table below.
struct Shared {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    example: &'static str,
    group: Group,
    /// See [`CommonField::is_addition`].
    is_addition: bool,
    /// Whether an adapter offers it, and with which default.
    offered: fn(&About) -> Option<Offered>,
}

struct Offered {
    default: Option<&'static str>,
}

/// Whether an adapter's messages have parts below their summary: commits, comments, fields.
fn shows_parts(about: &About) -> bool {
    about.family == Family::Chat && about.triggers.contains(Trigger::Note)
}

/// Whether an adapter selects by what happened to a merge request.
fn selects_merge_requests(about: &About) -> bool {
    about.family == Family::Chat && about.triggers.contains(Trigger::MergeRequest)
}

impl Offered {
    fn when(offers: bool, default: Option<&'static str>) -> Option<Self> {
        offers.then_some(Self { default })
    }
}

const MERGE_REQUEST_ACTIONS: &str = "merge_request_actions";
const DETAIL: &str = "detail";
const DETAILS: [&str; 2] = ["full", "title"];
const MAX_COMMITS: &str = "max_commits";
/// An event lists no more.
const MOST_COMMITS: usize = 20;

static SHARED: &[Shared] = &[
    Shared {
        name: "channel",
        kind: Kind::Text,
        help: "The channels for messages without a more specific channel setting; names separated by \
               commas, each of which gets the message. Blank: the address's own channel.",
        example: "#ops, #dev",
        group: Group::Channels,
        is_addition: false,
        offered: |about| Offered::when(channel_limit(&about.common).is_some(), None),
    },
    Shared {
        name: "branches_to_be_notified",
        kind: Kind::Text,
        help: "The branches whose pushes, pipelines and deployments are notified: `all`, `default`, `protected` or \
               `default_and_protected`. Tags always pass, except in pipeline emails: there a tag's name is compared like \
               a branch's.",
        example: "default_and_protected",
        group: Group::Filters,
        is_addition: false,
        offered: |about| about.common.branches.map(|default| Offered { default: Some(default) }),
    },
    Shared {
        name: "notify_only_default_branch",
        kind: Kind::Bool,
        help: "Deprecated. It is used only if `branches_to_be_notified` is not set: true means `default`, false \
               means `all`.",
        example: "true",
        group: Group::Filters,
        is_addition: false,
        offered: |about| Offered::when(about.common.branches.is_some(), None),
    },
    Shared {
        name: "notify_only_broken_pipelines",
        kind: Kind::Bool,
        help: "Notifies failed pipelines only.",
        example: "true",
        group: Group::Filters,
        is_addition: false,
        offered: |about| Offered::when(about.common.only_broken_pipelines, Some("true")),
    },
    Shared {
        name: "notify_only_when_pipeline_status_changes",
        kind: Kind::Bool,
        help: "Notifies a pipeline only if it broke or fixed its branch.",
        example: "false",
        group: Group::Filters,
        is_addition: false,
        offered: |about| Offered::when(about.common.only_status_changes, Some("false")),
    },
    Shared {
        name: "labels_to_be_notified",
        kind: Kind::Text,
        help: "Notifies only issues, merge requests and comments with these labels; titles separated by commas, \
               each with or without `~`. Blank: labels don't matter.",
        example: "~backend, ~frontend",
        group: Group::Filters,
        is_addition: false,
        offered: |about| Offered::when(about.common.labels, None),
    },
    Shared {
        name: "labels_to_be_notified_behavior",
        kind: Kind::Text,
        help: "Whether one of those labels is enough (`match_any`) or all are needed (`match_all`).",
        example: "match_any",
        group: Group::Filters,
        is_addition: false,
        offered: |about| Offered::when(about.common.labels, Some("match_any")),
    },
    Shared {
        name: "announce_result",
        kind: Kind::Bool,
        help: "Whether the outcome of a build is told to people: the project's chat and mail integrations get it as a \
               pipeline event, which is compared with the build before of the same branch. Not a setting of \
               GitLab's.",
        example: "true",
        group: Group::Filters,
        is_addition: true,
        offered: |about| Offered::when(about.common.announce_result, Some("false")),
    },
    Shared {
        name: MERGE_REQUEST_ACTIONS,
        kind: Kind::Text,
        help: "What is notified of merge requests; names separated by commas: `open`, `close`, `reopen`, `merge`, `approved`, \
               `unapproved`, `approval`, `unapproval`, `reviewers` (GitLab notifies these), `assignees`, `draft` (marked as \
               draft or as ready), `title`, `labels`, `target_branch`, `commits` (pushed to its branch), `description`. \
               Not a setting of GitLab's.",
        example: "open, merge, draft",
        group: Group::Filters,
        is_addition: true,
        offered: |about| {
            Offered::when(
                selects_merge_requests(about),
                Some("open, close, reopen, merge, approved, unapproved, approval, unapproval, reviewers"),
            )
        },
    },
    Shared {
        name: DETAIL,
        kind: Kind::Choice(&DETAILS),
        help: "How much messages say: `full`, or `title` for their first line alone, without commits, descriptions, \
               comments and fields. Not a setting of GitLab's.",
        example: "full",
        group: Group::Messages,
        is_addition: true,
        offered: |about| Offered::when(shows_parts(about), Some("full")),
    },
    Shared {
        name: MAX_COMMITS,
        kind: Kind::Integer,
        help: "The most commits of a push that are listed, from 0 to 20; the others are counted. Unless set, the service's \
               limit applies. Not a setting of GitLab's.",
        example: "5",
        group: Group::Messages,
        is_addition: true,
        offered: |about| Offered::when(shows_parts(about), None),
    },
];

/// Whether a setting of this name is stored as a flag: see [`FLAGS_WITHOUT_TRIGGER`].
pub fn is_stored_as_flag(name: &str) -> bool {
    FLAGS_WITHOUT_TRIGGER.contains(&name)
}

/// Whether there is a common setting of this name.
pub fn is_common(name: &str) -> bool {
    SHARED.iter().any(|shared| shared.name == name)
}

/// The common settings that an adapter has, in the order of a help page: channels, filters, flags.
pub fn common_fields(about: &About) -> Vec<CommonField> {
    let flags = about.triggers.without(about.common.without_flag);
    let declared = SHARED.iter().filter_map(|shared| {
        let Offered { default } = (shared.offered)(about)?;
        let Shared { name, kind, help, example, group, is_addition, .. } = *shared;
        Some(CommonField {
            name: name.into(),
            kind,
            help: help.into(),
            example: example.into(),
            default,
            group,
            is_addition,
        })
    });
    let channels = channel_triggers(about).iter().map(channel_field);
    let mut fields: Vec<_> =
        declared.chain(channels).chain(flags.iter().map(|trigger| flag_field(about, trigger))).collect();
    fields.sort_by_key(|field| field.group);
    fields
}

/// The largest number of channels for one event; `None` if the adapter has no channels.
pub fn channel_limit(offers: &CommonSettings) -> Option<usize> {
    match offers.channels {
        ChannelSettings::None => None,
        ChannelSettings::Names { at_most } => Some(at_most),
    }
}

/// The triggers that have a channel setting of their own.
pub fn channel_triggers(about: &About) -> Triggers {
    if channel_limit(&about.common).is_some() { about.triggers } else { Triggers::default() }
}

/// The settings `push_channel`, `issue_channel` and so on.
pub fn channel_setting(trigger: Trigger) -> String {
    format!("{trigger}_channel")
}

fn channel_field(trigger: Trigger) -> CommonField {
    let otherwise = match trigger {
        Trigger::ConfidentialIssue => "`issue_channel` or else `channel` is",
        Trigger::ConfidentialNote => "`note_channel` or else `channel` is",
        _ => "`channel` is",
    };
    CommonField {
        name: channel_setting(trigger).into(),
        kind: Kind::Text,
        help: format!("The channels for {} events. If blank, {otherwise} used.", spoken(trigger)).into(),
        example: "#dev".into(),
        default: None,
        group: Group::Channels,
        is_addition: false,
    }
}

fn flag_field(about: &About, trigger: Trigger) -> CommonField {
    let only = match trigger {
        Trigger::GroupMention | Trigger::GroupConfidentialMention | Trigger::Subgroup | Trigger::Project => {
            " Only for integrations of groups."
        }
        _ => "",
    };
    let CommonSettings { off_by_default, own_events, .. } = about.common;
    let is_on = trigger.on_by_default() && !off_by_default.and(own_events).contains(trigger);
    let own = if own_events.contains(trigger) { " GitLab does not offer them for this service." } else { "" };
    CommonField {
        name: trigger.flag().into(),
        kind: Kind::Bool,
        help: format!("Notifies {} events.{only}{own}", spoken(trigger)).into(),
        example: "true".into(),
        default: Some(if is_on { "true" } else { "false" }),
        group: Group::Flags,
        is_addition: false,
    }
}

fn spoken(trigger: Trigger) -> String {
    trigger.name().replace('_', " ")
}

/// How much of a wrong channel an error shows.
const SHOWN_CHARS: usize = 40;

/// The common settings, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommonValues {
    pub filters: Filters,
    pub channels: Channels,
    pub extent: Extent,
    pub announce_result: bool,
}

/// Reads the common settings that an adapter has. The caller handles all others.
///
/// # Errors
/// All errors in them, in GitLab's words.
pub fn read_common(about: &About, given: &Properties) -> Result<CommonValues, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut reader = Reader { given, errors: &mut errors };
    let filters = Filters {
        branches_to_be_notified: about.common.branches.map(|default| reader.branches(default)),
        notify_only_broken_pipelines: about.common.only_broken_pipelines
            && reader.switch("notify_only_broken_pipelines", true),
        notify_only_when_pipeline_status_changes: about.common.only_status_changes
            && reader.switch("notify_only_when_pipeline_status_changes", false),
        labels: if about.common.labels { reader.labels() } else { LabelFilter::default() },
        merge_request_actions: if selects_merge_requests(about) {
            reader.merge_request_actions()
        } else {
            MergeRequestActions::default()
        },
    };
    let extent = if shows_parts(about) { reader.extent() } else { Extent::default() };
    let channels = reader.channels(about);
    let announce_result = about.common.announce_result && reader.switch("announce_result", false);
    if errors.is_empty() {
        Ok(CommonValues { filters, channels, extent, announce_result })
    } else {
        Err(errors)
    }
}

/// The branches that `branches_to_be_notified` can name.
pub const BRANCHES: [&str; 4] = ["all", "default", "protected", "default_and_protected"];

/// The common settings that are accepted, and have no effect with these events switched on.
pub fn warnings(about: &About, given: &Properties, triggers: Triggers) -> Vec<FieldError> {
    const FILTER: &str = "branches_to_be_notified";
    let text = |name: &str| given.get(name).map(Value::as_text).filter(|text| !text.trim().is_empty());
    let mut warnings = Vec::new();
    let filter = about.common.branches.and(given.get(FILTER)).map(Value::as_text);
    if filter.is_some_and(|word| matches!(BranchFilter::from_setting(&word), BranchFilter::Unknown(_))) {
        let problem = format!("matches no branch: it must be one of {}", BRANCHES.join(", "));
        warnings.push(FieldError::new(FILTER, problem));
    }
    if let Some(list) = text(MERGE_REQUEST_ACTIONS).filter(|_| selects_merge_requests(about)) {
        let flag = Trigger::MergeRequest.flag();
        if MergeRequestActions::from_setting(&list).is_ok_and(|actions| actions.0.is_empty()) {
            let problem =
                format!("names no action, so no merge request is notified: set {flag} to false instead");
            warnings.push(FieldError::new(MERGE_REQUEST_ACTIONS, problem));
        } else if !triggers.contains(Trigger::MergeRequest) {
            let problem = format!("has no effect, because {flag} is false");
            warnings.push(FieldError::new(MERGE_REQUEST_ACTIONS, problem));
        }
    }
    let is_title_alone = text(DETAIL).is_some_and(|detail| detail.trim().eq_ignore_ascii_case("title"));
    if is_title_alone && shows_parts(about) && text(MAX_COMMITS).is_some() {
        let problem = "has no effect, because with detail = title no commits are listed";
        warnings.push(FieldError::new(MAX_COMMITS, problem));
    }
    warnings
}

/// The error in a channel's name, if any.
fn wrong(channel: &str) -> Option<String> {
    let shown: String = channel.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect();
    let length = channel.chars().count();
    if length > Channels::MAX_CHARS {
        let most = Channels::MAX_CHARS;
        return Some(format!("has a channel of {length} characters (`{shown}…`): a name has at most {most}"));
    }
    let is_plain = !channel.contains(char::is_control);
    (!is_plain).then(|| format!("has a control character in the channel `{shown}`: leave it out"))
}

struct Reader<'a> {
    given: &'a Properties,
    errors: &'a mut Vec<FieldError>,
}

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.given.get(name).map(Value::as_text)
    }

    fn switch(&mut self, name: &str, default: bool) -> bool {
        let Some(value) = self.given.get(name) else { return default };
        // A form sends a blank value for an unset field.
        if matches!(value, Value::Text(text) if text.trim().is_empty()) {
            return default;
        }
        read_bool(value).unwrap_or_else(|| {
            self.errors.push(FieldError::new(name, "is not true or false"));
            default
        })
    }

    /// The old setting counts only if the new one was never set.
    fn branches(&mut self, default: &str) -> BranchFilter {
        if let Some(word) = self.text("branches_to_be_notified") {
            return BranchFilter::from_setting(&word);
        }
        if !self.given.contains_key("notify_only_default_branch") {
            return BranchFilter::from_setting(default);
        }
        let only_default = self.switch("notify_only_default_branch", true);
        BranchFilter::from_setting(if only_default { "default" } else { "all" })
    }

    fn labels(&mut self) -> LabelFilter {
        const BEHAVIOR: &str = "labels_to_be_notified_behavior";
        let list = self.text("labels_to_be_notified").unwrap_or_default();
        let behavior = match self.text(BEHAVIOR).as_deref().map(str::trim) {
            None | Some("" | "match_any") => LabelBehavior::MatchAny,
            Some("match_all") => LabelBehavior::MatchAll,
            Some(_) => {
                self.errors.push(FieldError::new(BEHAVIOR, "is not included in the list"));
                LabelBehavior::MatchAny
            }
        };
        LabelFilter::from_setting(&list, behavior)
    }

    fn merge_request_actions(&mut self) -> MergeRequestActions {
        let list = self.text(MERGE_REQUEST_ACTIONS).filter(|list| !list.trim().is_empty());
        let Some(list) = list else { return MergeRequestActions::default() };
        MergeRequestActions::from_setting(&list).unwrap_or_else(|unknown| {
            let shown: String =
                unknown.join("`, `").chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect();
            let known = MergeRequestAction::ALL.map(MergeRequestAction::name).join(", ");
            let problem = format!("has `{shown}`: it must be a list of {known}");
            self.errors.push(FieldError::new(MERGE_REQUEST_ACTIONS, problem));
            MergeRequestActions::default()
        })
    }

    fn extent(&mut self) -> Extent {
        let detail = match self.text(DETAIL).unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "full" => Detail::Full,
            "title" => Detail::Title,
            _ => {
                self.errors.push(FieldError::new(DETAIL, "must be full or title"));
                Detail::Full
            }
        };
        let number = self.text(MAX_COMMITS).filter(|number| !number.trim().is_empty());
        let max_commits = number.and_then(|number| {
            let read = number.trim().parse().ok().filter(|number| *number <= MOST_COMMITS);
            if read.is_none() {
                let problem = format!("must be a number from 0 to {MOST_COMMITS}");
                self.errors.push(FieldError::new(MAX_COMMITS, problem));
            }
            read
        });
        Extent { detail, max_commits }
    }

    fn channels(&mut self, about: &About) -> Channels {
        let Some(at_most) = channel_limit(&about.common) else { return Channels::default() };
        let default = self.channel_list("channel", at_most);
        let per_trigger: BTreeMap<_, _> = channel_triggers(about)
            .iter()
            .map(|trigger| (trigger, self.channel_list(&channel_setting(trigger), at_most)))
            .filter(|(_, channels)| !channels.is_empty())
            .collect();
        Channels { default, per_trigger }
    }

    fn channel_list(&mut self, name: &str, at_most: usize) -> Vec<String> {
        let channels = Channels::parse_list(&self.text(name).unwrap_or_default());
        if channels.len() > at_most {
            self.errors.push(FieldError::new(name, format!("cannot have more than {at_most} channels")));
        }
        self.errors
            .extend(channels.iter().filter_map(|channel| Some(FieldError::new(name, wrong(channel)?))));
        channels
    }
}
