//! Merge requests.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::merge_request_action::MergeRequestAction;
use super::read::{lenient, number, number_or_none, object, parse};
use super::{Commit, Decoded, Label, Payload, Project, Trigger, User};

/// Something happened to a merge request.
#[derive(Clone, Debug, Default)]
pub struct MergeRequest {
    pub iid: i64,
    pub title: String,
    pub description: String,
    pub url: String,
    /// The state after the event: `opened`, `closed`, `merged`, `locked`.
    pub state: String,
    /// `open`, `close`, `reopen`, `update`, `merge`, `approved`, `unapproved`, `approval`, `unapproval`.
    pub action: Option<String>,
    /// The project of the source branch; another one for a fork's.
    pub source_project_id: Option<i64>,
    pub source_branch: String,
    pub target_branch: String,
    /// The full path of the project that the source branch is in, where it is another one: a fork.
    pub fork: Option<String>,
    pub draft: bool,
    pub assignees: Vec<User>,
    pub reviewers: Vec<User>,
    pub last_commit: Option<Commit>,
    /// The commit before a push to the source branch; present only on an `update` made by such a push.
    pub oldrev: Option<String>,
    pub labels: Option<Vec<Label>>,
    /// The user in whose session it happened; see `by_system`.
    pub user: Option<User>,
    /// What GitLab did by itself; `None` where the user did it.
    pub by_system: Option<SystemAction>,
    /// Whether this event changed the title or the description.
    pub text_changed: bool,
    /// Whether it is a draft now, where this event changed that.
    pub draft_changed: Option<bool>,
    /// What else this event changed.
    pub changed: Changed,
    /// The reviewers before and after, where this event changed them.
    pub reviewers_changed: Option<ReviewersChanged>,
}

/// What an update changed, besides reviewers and the draft mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The title before. A change of the draft mark in the title does not count.
    pub title: Option<String>,
    pub labels: Option<Replaced<Label>>,
    pub assignees: Option<Replaced<User>>,
    /// The target branch before.
    pub target_branch: Option<String>,
    pub description: bool,
}

/// A list before and after an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, bound(deserialize = ""))]
pub struct Replaced<T: Default + DeserializeOwned> {
    #[serde(deserialize_with = "lenient")]
    pub previous: Vec<T>,
    #[serde(deserialize_with = "lenient")]
    pub current: Vec<T>,
}

impl<T: Default + DeserializeOwned + PartialEq> Replaced<T> {
    /// Those that were added.
    pub fn added(&self) -> impl Iterator<Item = &T> {
        self.current.iter().filter(|one| !self.previous.contains(one))
    }

    /// Those that were removed.
    pub fn removed(&self) -> impl Iterator<Item = &T> {
        self.previous.iter().filter(|one| !self.current.contains(one))
    }
}

impl MergeRequest {
    /// What happened to it; nothing where the payload does not say, or says it in a word that is not known.
    pub fn actions(&self) -> Vec<MergeRequestAction> {
        match self.action.as_deref().unwrap_or_default() {
            "update" => self.updates(),
            // Payloads of tests have a state alone.
            "" => match self.state.as_str() {
                "opened" => vec![MergeRequestAction::Open],
                "closed" => vec![MergeRequestAction::Close],
                "merged" => vec![MergeRequestAction::Merge],
                _ => Vec::new(),
            },
            // An update's parts are no actions of their own in a payload.
            word => MergeRequestAction::named(word)
                .filter(|action| *action < MergeRequestAction::Reviewers)
                .into_iter()
                .collect(),
        }
    }

    fn updates(&self) -> Vec<MergeRequestAction> {
        let changed = &self.changed;
        let happened = [
            (MergeRequestAction::Reviewers, self.reviewers_changed.is_some()),
            (MergeRequestAction::Assignees, changed.assignees.is_some()),
            (MergeRequestAction::Draft, self.draft_changed.is_some()),
            (MergeRequestAction::Title, changed.title.is_some()),
            (MergeRequestAction::Labels, changed.labels.is_some()),
            (MergeRequestAction::TargetBranch, changed.target_branch.is_some()),
            (MergeRequestAction::Commits, self.oldrev.as_deref().is_some_and(|sha| !sha.is_empty())),
            (MergeRequestAction::Description, changed.description),
        ];
        happened.into_iter().filter(|(_, is_so)| *is_so).map(|(action, _)| action).collect()
    }

    /// The title without the mark of a draft, which a message says in words.
    pub fn title_without_mark(&self) -> &str {
        without_mark(&self.title)
    }
}

/// The title without the marks of drafts at its start, in the forms that GitLab's releases know.
fn without_mark(title: &str) -> &str {
    const MARKS: [&str; 7] = ["draft:", "[draft]", "(draft)", "draft - ", "wip:", "[wip]", "wip "];
    let mut rest = title.trim_start();
    while let Some(mark) =
        MARKS.iter().find(|mark| rest.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark)))
    {
        rest = rest[mark.len()..].trim_start();
    }
    rest
}

/// Why GitLab changed a merge request by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemAction {
    /// New commits were pushed, and the project's settings take approvals back then.
    ApprovalsReset,
    Other,
}

/// Reviewers before and after an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ReviewersChanged {
    #[serde(deserialize_with = "lenient")]
    pub previous: Vec<Reviewer>,
    #[serde(deserialize_with = "lenient")]
    pub current: Vec<Reviewer>,
}

/// A reviewer, and how far their review is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Reviewer {
    #[serde(flatten)]
    pub user: User,
    /// `unreviewed`, `review_started`, `reviewed`, `requested_changes`, `approved`, `unapproved`.
    #[serde(deserialize_with = "lenient")]
    pub state: String,
    /// Whether this event asks for another review.
    #[serde(deserialize_with = "lenient")]
    pub re_requested: bool,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    user: Option<User>,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
    #[serde(default)]
    labels: Option<Vec<Label>>,
    #[serde(default)]
    assignees: Value,
    /// Releases before 13.4 know one assignee.
    #[serde(default)]
    assignee: Value,
    #[serde(default)]
    reviewers: Value,
    #[serde(default, deserialize_with = "lenient")]
    changes: Changes,
}

/// Most changes are read after the payload, so that one in an unknown form is as good as none.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Changes {
    reviewers: Option<ReviewersChanged>,
    draft: Option<Value>,
    title: Value,
    labels: Value,
    assignees: Value,
    target_branch: Value,
    description: Value,
}

impl Changes {
    fn draft_changed(&self) -> Option<bool> {
        let has_mark =
            |side: &str| self.title[side].as_str().map(|title| without_mark(title) != title.trim_start());
        match &self.draft {
            Some(change) => change["current"].as_bool(),
            // Releases before 13.12 change the title alone.
            None => {
                has_mark("current").filter(|now| has_mark("previous").is_some_and(|before| before != *now))
            }
        }
    }

    fn changed(&self) -> Changed {
        let previous = |change: &Value| change["previous"].as_str().map(str::to_owned);
        let (before, after) = (previous(&self.title), self.title["current"].as_str());
        let title = before.filter(|before| {
            after.is_some_and(|after| without_mark(before).trim_end() != without_mark(after).trim_end())
        });
        Changed {
            title,
            labels: replaced(&self.labels),
            assignees: replaced(&self.assignees),
            target_branch: previous(&self.target_branch).filter(|name| !name.is_empty()),
            description: self.description.is_object(),
        }
    }
}

/// A list that an update replaced by another one; `None` where both are the same.
fn replaced<T: Default + DeserializeOwned + PartialEq>(change: &Value) -> Option<Replaced<T>> {
    let lists: Replaced<T> =
        if change.is_null() { None } else { serde_json::from_value(change.clone()).ok() }?;
    let is_news = lists.added().next().is_some() || lists.removed().next().is_some();
    is_news.then_some(lists)
}

/// People beside the attributes; none where they are listed in a form that is not known.
fn people(list: Value) -> Vec<User> {
    serde_json::from_value(list).unwrap_or_default()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "number")]
    iid: i64,
    #[serde(deserialize_with = "lenient")]
    title: String,
    #[serde(deserialize_with = "lenient")]
    description: String,
    #[serde(deserialize_with = "lenient")]
    url: String,
    #[serde(deserialize_with = "lenient")]
    state: String,
    action: Option<String>,
    #[serde(deserialize_with = "number_or_none")]
    source_project_id: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    source_branch: String,
    #[serde(deserialize_with = "lenient")]
    target_branch: String,
    #[serde(deserialize_with = "lenient")]
    draft: bool,
    /// The name of `draft` before 13.12.
    #[serde(deserialize_with = "lenient")]
    work_in_progress: bool,
    source: Value,
    target: Value,
    last_commit: Option<Commit>,
    oldrev: Option<String>,
    labels: Option<Vec<Label>>,
    #[serde(deserialize_with = "lenient")]
    system: bool,
    #[serde(deserialize_with = "lenient")]
    system_action: String,
}

impl SystemAction {
    fn named(name: &str) -> Self {
        match name {
            "approvals_reset_on_push" | "code_owner_approvals_reset_on_push" => Self::ApprovalsReset,
            _ => Self::Other,
        }
    }
}

pub(super) fn decode(json: &str, _: &str) -> Result<Decoded, String> {
    let raw: Raw = parse(json)?;
    let attributes = raw.object_attributes;
    let assignees = match people(raw.assignees) {
        none if none.is_empty() => serde_json::from_value(raw.assignee).into_iter().collect(),
        some => some,
    };
    let merge_request = MergeRequest {
        iid: attributes.iid,
        title: attributes.title,
        description: attributes.description,
        url: attributes.url,
        state: attributes.state,
        action: attributes.action,
        source_project_id: attributes.source_project_id,
        source_branch: attributes.source_branch,
        target_branch: attributes.target_branch,
        fork: fork(attributes.source, attributes.target),
        draft: attributes.draft || attributes.work_in_progress,
        assignees,
        reviewers: people(raw.reviewers),
        last_commit: attributes.last_commit,
        oldrev: attributes.oldrev,
        labels: raw.labels.or(attributes.labels),
        user: raw.user,
        by_system: attributes.system.then(|| SystemAction::named(&attributes.system_action)),
        text_changed: raw.changes.title.is_object() || raw.changes.description.is_object(),
        draft_changed: raw.changes.draft_changed(),
        changed: raw.changes.changed(),
        reviewers_changed: raw.changes.reviewers,
    };
    Ok(Decoded {
        trigger: Some(Trigger::MergeRequest),
        subject: format!("merge_request:{}", merge_request.iid),
        payload: Payload::MergeRequest(Box::new(merge_request)),
    })
}

/// The full path of the source project, where that is not the target project.
fn fork(source: Value, target: Value) -> Option<String> {
    let path = |project: Value| {
        let project: Project = serde_json::from_value(project).ok()?;
        Some(project.path_with_namespace).filter(|path| !path.is_empty())
    };
    let (source, target) = (path(source)?, path(target)?);
    (!source.eq_ignore_ascii_case(&target)).then_some(source)
}
