//! The settings that adapters share, declared once: read by the reader of files and by help pages alike.

use std::borrow::Cow;

use crate::adapters::{About, ChannelSettings, Offers};
use crate::event::{Trigger, Triggers};
use crate::settings::{Field, Kind};

/// What every `[[integration]]` begins with.
pub static HEADING: &[Field] = &[
    Field {
        name: "project",
        kind: Kind::Text,
        required: false,
        help: "Whose events it hears: a project's full path or its number. Either this or `group`.",
        example: "acme/rocket",
    },
    Field {
        name: "group",
        kind: Kind::Text,
        required: false,
        help: "A group's full path: the integration then hears of mentions of that group, and of nothing else.",
        example: "acme",
    },
    Field {
        name: "adapter",
        kind: Kind::Text,
        required: true,
        help: "Which service is told.",
        example: "slack",
    },
    Field {
        name: "active",
        kind: Kind::Bool,
        required: false,
        help: "Whether it is switched on; it is, unless this says no.",
        example: "true",
    },
];

/// Flags that GitLab has on every integration and that only Jira heeds: accepted, without effect.
pub(super) const INERT_FLAGS: [&str; 2] = ["commit_events", "comment_on_event_enabled"];

/// A shared setting, as a help page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedField {
    pub name: Cow<'static, str>,
    pub kind: Kind,
    pub help: Cow<'static, str>,
    pub example: Cow<'static, str>,
    /// What holds where nothing is said; `None` where then there is nothing.
    pub default: Option<&'static str>,
    pub part: Part,
}

/// What a shared setting is for; help pages group by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Where words go.
    Channels,
    /// Which events pass.
    Filters,
    /// Which kinds of event it hears of at all.
    Flags,
}

impl Part {
    /// Whether it says how, rather than of what: everything but the flags.
    pub(super) fn is_setting(self) -> bool {
        self != Self::Flags
    }
}

/// One declaration of the table below.
struct Shared {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    example: &'static str,
    part: Part,
    /// Whether an adapter offers it, and with which default.
    offered: fn(&Offers) -> Option<Offered>,
}

struct Offered {
    default: Option<&'static str>,
}

impl Offered {
    fn when(offers: bool, default: Option<&'static str>) -> Option<Self> {
        offers.then_some(Self { default })
    }
}

static SHARED: &[Shared] = &[
    Shared {
        name: "channel",
        kind: Kind::Text,
        help: "Where messages go that no more particular channel setting sends elsewhere; names separated by \
               commas, each of which gets the message. Blank: the address's own channel.",
        example: "#ops, #dev",
        part: Part::Channels,
        offered: |offers| Offered::when(channel_limit(offers).is_some(), None),
    },
    Shared {
        name: "branches_to_be_notified",
        kind: Kind::Text,
        help: "For which branches it hears of pushes, pipelines and deployments: `all`, `default`, `protected` or \
               `default_and_protected`. Tags always pass.",
        example: "default_and_protected",
        part: Part::Filters,
        offered: |offers| offers.branches.map(|default| Offered { default: Some(default) }),
    },
    Shared {
        name: "notify_only_default_branch",
        kind: Kind::Bool,
        help: "Deprecated, and heeded only where `branches_to_be_notified` is not set: true means `default`, false \
               means `all`.",
        example: "true",
        part: Part::Filters,
        offered: |offers| Offered::when(offers.branches.is_some(), None),
    },
    Shared {
        name: "notify_only_broken_pipelines",
        kind: Kind::Bool,
        help: "Hear of failed pipelines only.",
        example: "true",
        part: Part::Filters,
        offered: |offers| Offered::when(offers.only_broken_pipelines, Some("true")),
    },
    Shared {
        name: "notify_only_when_pipeline_status_changes",
        kind: Kind::Bool,
        help: "Hear of a pipeline only where its branch is broken or fixed by it.",
        example: "false",
        part: Part::Filters,
        offered: |offers| Offered::when(offers.only_status_changes, Some("false")),
    },
    Shared {
        name: "labels_to_be_notified",
        kind: Kind::Text,
        help: "Hear only of issues, merge requests and comments with these labels; titles separated by commas, \
               each with or without `~`. Blank: labels don't matter.",
        example: "~backend, ~frontend",
        part: Part::Filters,
        offered: |offers| Offered::when(offers.labels, None),
    },
    Shared {
        name: "labels_to_be_notified_behavior",
        kind: Kind::Text,
        help: "Whether one of those labels is enough (`match_any`) or all are needed (`match_all`).",
        example: "match_any",
        part: Part::Filters,
        offered: |offers| Offered::when(offers.labels, Some("match_any")),
    },
];

/// Whether some adapter may offer a setting of this name.
pub(super) fn is_shared(name: &str) -> bool {
    SHARED.iter().any(|shared| shared.name == name)
}

/// The shared settings that an adapter offers, in the order of a help page: channels, filters, flags.
pub fn shared_fields(about: &About) -> Vec<SharedField> {
    let declared = SHARED.iter().filter_map(|shared| {
        let Offered { default } = (shared.offered)(&about.offers)?;
        let Shared { name, kind, help, example, part, .. } = *shared;
        Some(SharedField {
            name: name.into(),
            kind,
            help: help.into(),
            example: example.into(),
            default,
            part,
        })
    });
    let channels = channel_triggers(about).iter().map(channel_field);
    let mut fields: Vec<_> = declared.chain(channels).chain(about.triggers.iter().map(flag_field)).collect();
    fields.sort_by_key(|field| field.part);
    fields
}

/// How many channels one event may go to; `None` where the adapter has no channels.
pub(super) fn channel_limit(offers: &Offers) -> Option<usize> {
    match offers.channels {
        ChannelSettings::None => None,
        ChannelSettings::Names { at_most } => Some(at_most),
    }
}

/// The triggers that have a channel setting of their own.
pub(super) fn channel_triggers(about: &About) -> Triggers {
    if channel_limit(&about.offers).is_some() { about.triggers } else { Triggers::default() }
}

/// `push_channel` and its like.
pub(super) fn channel_setting(trigger: Trigger) -> String {
    format!("{trigger}_channel")
}

fn channel_field(trigger: Trigger) -> SharedField {
    let otherwise = match trigger {
        Trigger::ConfidentialIssue => "`issue_channel`, and after it `channel`, is",
        Trigger::ConfidentialNote => "`note_channel`, and after it `channel`, is",
        _ => "`channel` is",
    };
    SharedField {
        name: channel_setting(trigger).into(),
        kind: Kind::Text,
        help: format!("Where {} events go. Blank: where {otherwise} sent.", spoken(trigger)).into(),
        example: "#dev".into(),
        default: None,
        part: Part::Channels,
    }
}

fn flag_field(trigger: Trigger) -> SharedField {
    let only = match trigger {
        Trigger::GroupMention | Trigger::GroupConfidentialMention => " Groups' integrations only.",
        _ => "",
    };
    SharedField {
        name: trigger.flag().into(),
        kind: Kind::Bool,
        help: format!("Hear of {} events.{only}", spoken(trigger)).into(),
        example: "true".into(),
        default: Some(if trigger.on_by_default() { "true" } else { "false" }),
        part: Part::Flags,
    }
}

fn spoken(trigger: Trigger) -> String {
    trigger.name().replace('_', " ")
}
