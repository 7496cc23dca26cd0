//! Decides which events an integration wants, by GitLab's rules.
//!
//! [`wants`] checks in this order: whether the event concerns the integration (active, scope, supported, flag), whether
//! this family of adapters notifies the action, the labels, and the branch. The first failed check is returned as a
//! [`WhyNot`].
//!
//! This module does not apply an adapter's own rules (`restrict_to_branch`), which are settings of the adapter, and does
//! not choose channels ([`Channels`](super::Channels)).

mod branches;
#[cfg(test)]
mod tests;

use super::{
    Family, Filters, Integration, LabelBehavior, LabelFilter, MergeRequestActions, ProjectFacts, Scope,
};
use crate::event::{
    Event, GroupMention, Issue, IssueKind, Label, MergeRequest, Note, Noteable, Payload, Pipeline, Trigger,
};

/// Why an integration does not want an event. The text is for people, and names the setting and its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    #[error("no integration takes `{kind}` events")]
    NoTrigger { kind: &'static str },
    #[error("the ref `{name}` is neither a branch nor a tag")]
    HiddenRef { name: String },
    #[error("the integration is switched off (active = false)")]
    Inactive,
    #[error("the event belongs to {place}, and the integration to {scope}")]
    Elsewhere { place: String, scope: Scope },
    #[error("{slug} does not support `{trigger}` events")]
    Unsupported { slug: &'static str, trigger: Trigger },
    #[error("the integration is switched off for `{trigger}` events ({} = false)", .trigger.flag())]
    SwitchedOff { trigger: Trigger },
    #[error("updates are not notified (`{kind}` event with action = update)")]
    Update { kind: &'static str },
    #[error("{}", action_text(.happened, .told))]
    MergeRequestAction { happened: Vec<String>, told: MergeRequestActions },
    #[error("an incident is notified by its `incident` event, not by its `work_item` event")]
    ComesAsIncident,
    #[error("comments on this kind of object are not notified (noteable_type = {noteable_type})")]
    Noteable { noteable_type: String },
    #[error("mentions in this kind of object are not notified (object_kind = {object_kind})")]
    Mention { object_kind: String },
    #[error("GitLab wrote the comment itself, as a record of a change (system = true)")]
    SystemNote,
    #[error("the pipeline is neither `success` nor `failed` (status = {status})")]
    PipelineStatus { status: String },
    #[error(
        "it is the outcome of a build of {service}, which only chat and mail integrations are notified of"
    )]
    AnnouncedBuild { service: String },
    #[error("the pipeline is not broken (notify_only_broken_pipelines = true, status = success)")]
    NotBroken,
    #[error("{}", unchanged_text(.status, .ref_status_name.as_deref()))]
    StatusUnchanged { status: String, ref_status_name: Option<String> },
    #[error("{}", branches::text(.branch, .is))]
    Branch { branch: String, is: NotNotified },
    #[error("{}", labels_text(.wanted, .found))]
    Labels { wanted: LabelFilter, found: Vec<String> },
}

/// The condition of the branch filter that the branch does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotNotified {
    /// `None` where the default branch is not known.
    Default {
        default_branch: Option<String>,
    },
    /// `known` is false where the protected branches are not known.
    Protected {
        known: bool,
    },
    DefaultNorProtected {
        default_branch: Option<String>,
        known: bool,
    },
    /// The setting itself matches no branch.
    AnyOfTheSettings {
        setting: String,
    },
}

impl WhyNot {
    /// A short code from a fixed set, for metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoTrigger { .. } => "no_trigger",
            Self::HiddenRef { .. } => "hidden_ref",
            Self::Inactive => "inactive",
            Self::Elsewhere { .. } => "elsewhere",
            Self::Unsupported { .. } => "unsupported",
            Self::SwitchedOff { .. } => "switched_off",
            Self::Update { .. } => "update",
            Self::MergeRequestAction { .. } => "merge_request_action",
            Self::ComesAsIncident => "comes_as_incident",
            Self::Noteable { .. } => "noteable",
            Self::Mention { .. } => "mention",
            Self::SystemNote => "system_note",
            Self::PipelineStatus { .. } => "pipeline_status",
            Self::AnnouncedBuild { .. } => "announced_build",
            Self::NotBroken => "not_broken",
            Self::StatusUnchanged { .. } => "status_unchanged",
            Self::Branch { .. } => "branch",
            Self::Labels { .. } => "labels",
        }
    }
}

/// Whether the integration wants the event; if not, why not.
pub fn wants(integration: &Integration, event: &Event, facts: &ProjectFacts) -> Result<(), WhyNot> {
    is_addressed(integration, event)?;
    is_notified(integration.rules.family, &integration.filters, event)?;
    labels_pass(&integration.filters.labels, event)?;
    branches::pass(integration, event, facts)
}

fn is_addressed(integration: &Integration, event: &Event) -> Result<(), WhyNot> {
    let Some(trigger) = event.trigger else { return Err(why_untriggered(event)) };
    if !integration.active {
        return Err(WhyNot::Inactive);
    }
    if !integration.scope.covers(event.project.as_ref(), event.group.as_ref()) {
        return Err(WhyNot::Elsewhere { place: place_of(event), scope: integration.scope.clone() });
    }
    if !integration.rules.supported.contains(trigger) {
        return Err(WhyNot::Unsupported { slug: integration.slug, trigger });
    }
    if !integration.triggers.contains(trigger) {
        return Err(WhyNot::SwitchedOff { trigger });
    }
    Ok(())
}

/// Why no integration takes an event that has no trigger.
pub fn why_untriggered(event: &Event) -> WhyNot {
    match &event.payload {
        Payload::Push(push) => WhyNot::HiddenRef { name: push.full_ref.chars().take(LONGEST_REF).collect() },
        _ => WhyNot::NoTrigger { kind: event.kind() },
    }
}

/// How much of a ref is quoted, in characters. A sender can write any text as a ref.
const LONGEST_REF: usize = 255;

fn place_of(event: &Event) -> String {
    match (&event.group, &event.project) {
        (Some(group), _) => format!("group {}", group.path),
        (None, Some(project)) if project.path_with_namespace.is_empty() => format!("project {}", project.id),
        (None, Some(project)) => format!("project {}", project.path_with_namespace),
        (None, None) => "no project".to_owned(),
    }
}

fn is_notified(family: Family, filters: &Filters, event: &Event) -> Result<(), WhyNot> {
    match (family, &event.payload) {
        (Family::Hook | Family::PushMail | Family::Commands, Payload::Pipeline(pipeline)) => {
            match &pipeline.external {
                Some(build) => Err(WhyNot::AnnouncedBuild { service: build.service.to_string() }),
                None => Ok(()),
            }
        }
        (Family::Chat, Payload::Issue(issue)) => issue_is_notified(issue),
        (Family::Chat, Payload::MergeRequest(merge_request)) => {
            merge_request_is_notified(merge_request, &filters.merge_request_actions)
        }
        (Family::Chat, Payload::Note(note)) => note_is_notified(note),
        (_, Payload::GroupMention(mention)) => mention_is_notified(mention),
        (Family::Chat | Family::PipelineMail, Payload::Pipeline(pipeline)) => {
            pipeline_is_notified(pipeline, filters)
        }
        _ => Ok(()),
    }
}

fn issue_is_notified(issue: &Issue) -> Result<(), WhyNot> {
    if issue.kind == IssueKind::WorkItem && issue.issue_type.as_deref() == Some("Incident") {
        return Err(WhyNot::ComesAsIncident);
    }
    if is_update(issue.action.as_deref()) {
        return Err(WhyNot::Update { kind: issue.kind.name() });
    }
    Ok(())
}

/// An action is notified if the setting names it, and an update if the setting names anything that it changed. Actions
/// that are not known are notified unless the setting is narrower than GitLab's rules.
fn merge_request_is_notified(merge_request: &MergeRequest, told: &MergeRequestActions) -> Result<(), WhyNot> {
    let happened = merge_request.actions();
    if happened.iter().any(|action| told.0.contains(action)) {
        return Ok(());
    }
    let is_update = is_update(merge_request.action.as_deref());
    if happened.is_empty() && is_update {
        return Err(WhyNot::Update { kind: "merge_request" });
    }
    let tells_all = MergeRequestActions::default().0.iter().all(|action| told.0.contains(action));
    if happened.is_empty() && tells_all {
        return Ok(());
    }
    let word = merge_request.action.as_ref().unwrap_or(&merge_request.state);
    let happened = match happened.as_slice() {
        [] => vec![word.to_string()],
        known => known.iter().map(ToString::to_string).collect(),
    };
    Err(WhyNot::MergeRequestAction { happened, told: told.clone() })
}

/// Edited comments are notified again, as in GitLab. Comments by which GitLab records other changes are not: those changes
/// have events of their own.
fn note_is_notified(note: &Note) -> Result<(), WhyNot> {
    if note.by_system {
        return Err(WhyNot::SystemNote);
    }
    match &note.on {
        Noteable::Other(noteable_type) => Err(WhyNot::Noteable { noteable_type: noteable_type.clone() }),
        Noteable::Commit(_)
        | Noteable::Issue { .. }
        | Noteable::MergeRequest { .. }
        | Noteable::Snippet { .. } => Ok(()),
    }
}

fn mention_is_notified(mention: &GroupMention) -> Result<(), WhyNot> {
    match &mention.elsewhere {
        Some(object_kind) => Err(WhyNot::Mention { object_kind: object_kind.clone() }),
        None => Ok(()),
    }
}

fn pipeline_is_notified(pipeline: &Pipeline, filters: &Filters) -> Result<(), WhyNot> {
    let status = pipeline.status.as_str();
    let news = match status {
        "failed" => "broken",
        "success" if filters.notify_only_broken_pipelines => return Err(WhyNot::NotBroken),
        "success" => "fixed",
        _ => return Err(WhyNot::PipelineStatus { status: status.to_owned() }),
    };
    let ref_status_name = pipeline.ref_status_name.as_deref();
    if filters.notify_only_when_pipeline_status_changes && ref_status_name != Some(news) {
        return Err(WhyNot::StatusUnchanged {
            status: status.to_owned(),
            ref_status_name: ref_status_name.map(str::to_owned),
        });
    }
    Ok(())
}

fn is_update(action: Option<&str>) -> bool {
    action == Some("update")
}

/// Issues, merge requests and notes have labels; all other events pass any filter.
fn labels_pass(wanted: &LabelFilter, event: &Event) -> Result<(), WhyNot> {
    let labels = match &event.payload {
        Payload::Issue(issue) => &issue.labels,
        Payload::MergeRequest(merge_request) => &merge_request.labels,
        Payload::Note(note) => &note.labels,
        _ => return Ok(()),
    };
    if wanted.labels.is_empty() {
        return Ok(());
    }
    let labels: &[Label] = labels.as_deref().unwrap_or_default();
    let is_there = |title: &String| !title.is_empty() && labels.iter().any(|label| label.title == *title);
    let pass = match wanted.behavior {
        LabelBehavior::MatchAny => wanted.labels.iter().any(is_there),
        LabelBehavior::MatchAll => wanted.labels.iter().all(is_there),
    };
    if pass {
        return Ok(());
    }
    let found = labels.iter().map(|label| label.title.to_string()).collect();
    Err(WhyNot::Labels { wanted: wanted.clone(), found })
}

fn labels_text(wanted: &LabelFilter, found: &[String]) -> String {
    if wanted.names_no_label() {
        return "labels_to_be_notified is set but names no label, so nothing matches it".to_owned();
    }
    let (which, behavior) = match wanted.behavior {
        LabelBehavior::MatchAny => ("none", "match_any"),
        LabelBehavior::MatchAll => ("not all", "match_all"),
    };
    let found = match found {
        [] => "it has no labels".to_owned(),
        found => format!("its labels are {}", found.join(", ")),
    };
    let wanted = wanted.labels.join(", ");
    format!(
        "it has {which} of the required labels: {found} (labels_to_be_notified = {wanted}, \
         labels_to_be_notified_behavior = {behavior})"
    )
}

fn action_text(happened: &[String], told: &MergeRequestActions) -> String {
    let happened = match happened {
        [one] => format!("the action `{one}` is not notified"),
        several => format!("none of the actions `{}` is notified", several.join("`, `")),
    };
    format!("{happened} (merge_request_actions = {told})")
}

fn unchanged_text(status: &str, ref_status_name: Option<&str>) -> String {
    const SETTING: &str = "notify_only_when_pipeline_status_changes = true";
    match ref_status_name {
        Some(name) => {
            format!("the pipeline is `{status}` as it was before ({SETTING}, ref_status_name = {name})")
        }
        None => {
            format!(
                "it is not known whether the pipeline was `{status}` before ({SETTING}, no ref_status_name)"
            )
        }
    }
}
