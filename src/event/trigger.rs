//! The flags by which an integration selects its events, with GitLab's names.

/// What selects an event: each trigger is one `…_events` flag of an integration and one `…_channel` setting.
///
/// Confidential issues, notes and mentions have a trigger of their own, and *only* that one: an integration that
/// takes issues does not get confidential issues unless that flag is set too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trigger {
    Push,
    TagPush,
    Issue,
    ConfidentialIssue,
    MergeRequest,
    Note,
    ConfidentialNote,
    Pipeline,
    Job,
    WikiPage,
    Deployment,
    Alert,
    Incident,
    Vulnerability,
    GroupMention,
    GroupConfidentialMention,
    ArchiveTrace,
}

impl Trigger {
    /// Every trigger, in the order in which GitLab's documentation lists the flags.
    pub const ALL: [Self; 17] = [
        Self::Push,
        Self::TagPush,
        Self::Issue,
        Self::ConfidentialIssue,
        Self::MergeRequest,
        Self::Note,
        Self::ConfidentialNote,
        Self::Pipeline,
        Self::Job,
        Self::WikiPage,
        Self::Deployment,
        Self::Alert,
        Self::Incident,
        Self::Vulnerability,
        Self::GroupMention,
        Self::GroupConfidentialMention,
        Self::ArchiveTrace,
    ];

    /// The event's name, as in `event_type` and before `_channel`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::TagPush => "tag_push",
            Self::Issue => "issue",
            Self::ConfidentialIssue => "confidential_issue",
            Self::MergeRequest => "merge_request",
            Self::Note => "note",
            Self::ConfidentialNote => "confidential_note",
            Self::Pipeline => "pipeline",
            Self::Job => "job",
            Self::WikiPage => "wiki_page",
            Self::Deployment => "deployment",
            Self::Alert => "alert",
            Self::Incident => "incident",
            Self::Vulnerability => "vulnerability",
            Self::GroupMention => "group_mention",
            Self::GroupConfidentialMention => "group_confidential_mention",
            Self::ArchiveTrace => "archive_trace",
        }
    }

    /// The integration's flag. Three are plural, as in GitLab.
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Push => "push_events",
            Self::TagPush => "tag_push_events",
            Self::Issue => "issues_events",
            Self::ConfidentialIssue => "confidential_issues_events",
            Self::MergeRequest => "merge_requests_events",
            Self::Note => "note_events",
            Self::ConfidentialNote => "confidential_note_events",
            Self::Pipeline => "pipeline_events",
            Self::Job => "job_events",
            Self::WikiPage => "wiki_page_events",
            Self::Deployment => "deployment_events",
            Self::Alert => "alert_events",
            Self::Incident => "incident_events",
            Self::Vulnerability => "vulnerability_events",
            Self::GroupMention => "group_mention_events",
            Self::GroupConfidentialMention => "group_confidential_mention_events",
            Self::ArchiveTrace => "archive_trace_events",
        }
    }

    /// The flag's value on a new integration.
    pub const fn on_by_default(self) -> bool {
        !matches!(
            self,
            Self::Deployment
                | Self::Incident
                | Self::Vulnerability
                | Self::GroupMention
                | Self::GroupConfidentialMention
                | Self::ArchiveTrace
        )
    }

    /// The trigger with this `…_events` flag.
    pub fn from_flag(flag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trigger| trigger.flag() == flag)
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl std::fmt::Display for Trigger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of triggers: those that an integration has enabled, or those that an adapter supports.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Triggers(u32);

impl Triggers {
    /// The set of the given triggers.
    pub const fn of(triggers: &[Trigger]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < triggers.len() {
            bits |= triggers[i].bit();
            i += 1;
        }
        Self(bits)
    }

    /// GitLab's defaults for a new integration.
    pub fn by_default() -> Self {
        Trigger::ALL.into_iter().filter(|t| t.on_by_default()).collect()
    }

    /// These, but for those.
    #[must_use]
    pub const fn without(self, those: Self) -> Self {
        Self(self.0 & !those.0)
    }

    pub const fn contains(self, trigger: Trigger) -> bool {
        self.0 & trigger.bit() != 0
    }

    /// Adds or removes one trigger.
    pub fn set(&mut self, trigger: Trigger, on: bool) {
        if on {
            self.0 |= trigger.bit();
        } else {
            self.0 &= !trigger.bit();
        }
    }

    /// The members, in the order of [`Trigger::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Trigger> {
        Trigger::ALL.into_iter().filter(move |trigger| self.contains(*trigger))
    }
}

impl FromIterator<Trigger> for Triggers {
    fn from_iter<I: IntoIterator<Item = Trigger>>(triggers: I) -> Self {
        let mut set = Self::default();
        triggers.into_iter().for_each(|trigger| set.set(trigger, true));
        set
    }
}

impl std::fmt::Debug for Triggers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
