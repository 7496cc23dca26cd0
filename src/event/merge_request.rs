//! Merge requests.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::frame::{Body, Frame};
use super::merge_request_action::MergeRequestAction;
use super::read::{lenient, number, number_or_none, object, or_default};
use super::{Commit, Decoded, Label, Payload, Project, SharedStr, Trigger, User};

/// Something happened to a merge request.
#[derive(Clone, Debug, Default)]
pub struct MergeRequest {
    pub iid: i64,
    pub title: SharedStr,
    pub description: SharedStr,
    pub url: SharedStr,
    /// The state after the event: `opened`, `closed`, `merged`, `locked`.
    pub state: SharedStr,
    /// `open`, `close`, `reopen`, `update`, `merge`, `approved`, `unapproved`, `approval`, `unapproval`.
    pub action: Option<SharedStr>,
    /// The project of the source branch. It differs from the event's project for a fork.
    pub source_project_id: Option<i64>,
    pub source_branch: SharedStr,
    pub target_branch: SharedStr,
    /// The full path of the project that the source branch is in, where it is another one: a fork.
    pub fork: Option<SharedStr>,
    pub draft: bool,
    pub assignees: Vec<User>,
    pub reviewers: Vec<User>,
    pub last_commit: Option<Commit>,
    /// The commit before a push to the source branch; present only on an `update` made by such a push.
    pub oldrev: Option<SharedStr>,
    pub labels: Option<Vec<Label>>,
    /// The user in whose session it happened; see `by_system`.
    pub user: Option<User>,
    /// The action that GitLab did by itself; `None` where the user did it.
    pub by_system: Option<SystemAction>,
    /// Whether this event changed the title or the description.
    pub text_changed: bool,
    /// Whether it is a draft now, where this event changed that.
    pub draft_changed: Option<bool>,
    /// The other changes of this event.
    pub changed: Changed,
    /// The reviewers before and after, where this event changed them.
    pub reviewers_changed: Option<ReviewersChanged>,
}

/// What an update changed, besides reviewers and the draft mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The title before. A change of the draft mark in the title does not count.
    pub title: Option<SharedStr>,
    pub labels: Option<Replaced<Label>>,
    pub assignees: Option<Replaced<User>>,
    /// The target branch before.
    pub target_branch: Option<SharedStr>,
    pub description: bool,
}

/// So many entries of a list are compared. No list of labels or people that a forge shows is as long.
const MOST_COMPARED: usize = 500;

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
        let previous = &self.previous[..self.previous.len().min(MOST_COMPARED)];
        self.current.iter().take(MOST_COMPARED).filter(|one| !previous.contains(one))
    }

    /// Those that were removed.
    pub fn removed(&self) -> impl Iterator<Item = &T> {
        let current = &self.current[..self.current.len().min(MOST_COMPARED)];
        self.previous.iter().take(MOST_COMPARED).filter(|one| !current.contains(one))
    }
}

impl MergeRequest {
    /// Whether its branch is one of a fork of this project. A branch of the project may have the same name.
    pub fn is_from_fork_of(&self, project: i64) -> bool {
        self.source_project_id.is_some_and(|source| source != project)
    }

    /// What happened to the merge request. Empty where the payload does not say so, or uses an unknown word.
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
        let rest = without_mark(&self.title, Marks::Present);
        // Where `Draft` marks it, `WIP` is a word of the title.
        if rest == self.title.trim_start() { without_mark(&self.title, Marks::Old) } else { rest }
    }
}

/// The words at the start of a title that mark a draft, by the release that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marks {
    /// `WIP` is a word like any other.
    Present,
    /// Before 13.12, payloads have no `draft`, and `WIP` marks a draft too.
    Old,
}

/// The title without the marks of drafts at its start.
fn without_mark(title: &str, marks: Marks) -> &str {
    const MARKS: [&str; 7] = ["draft:", "[draft]", "(draft)", "draft - ", "wip:", "[wip]", "wip "];
    let marks = match marks {
        Marks::Present => &MARKS[..3],
        Marks::Old => &MARKS,
    };
    let mut rest = title.trim_start();
    while let Some(mark) =
        marks.iter().find(|mark| rest.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark)))
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
    pub state: SharedStr,
    /// Whether this event asks for another review.
    #[serde(deserialize_with = "lenient")]
    pub re_requested: bool,
}

#[derive(Deserialize)]
pub(super) struct Raw {
    #[serde(default)]
    user: Option<User>,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
    #[serde(default)]
    labels: Option<Vec<Label>>,
    /// People listed beside the attributes; none where they are listed in an unknown form.
    #[serde(default, deserialize_with = "or_default")]
    assignees: Vec<User>,
    /// Releases before 13.4 have one assignee.
    #[serde(default, deserialize_with = "or_default")]
    assignee: Option<User>,
    #[serde(default, deserialize_with = "or_default")]
    reviewers: Vec<User>,
    #[serde(default, deserialize_with = "lenient")]
    changes: Changes,
}

/// A change in an unknown form is read as no change, for most changes.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Changes {
    reviewers: Option<ReviewersChanged>,
    draft: Option<Change<bool>>,
    title: Option<Change<SharedStr>>,
    #[serde(deserialize_with = "or_default")]
    labels: Option<Replaced<Label>>,
    #[serde(deserialize_with = "or_default")]
    assignees: Option<Replaced<User>>,
    target_branch: Option<Change<SharedStr>>,
    description: Option<Change<IgnoredAny>>,
}

/// A value before and after an update, each where it is of the expected form.
struct Change<T> {
    is_object: bool,
    previous: Option<T>,
    current: Option<T>,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(bound = "T: DeserializeOwned")]
        struct Sides<T>(#[serde(deserialize_with = "object")] Named<T>);

        #[derive(Deserialize)]
        #[serde(bound = "T: DeserializeOwned")]
        struct Named<T> {
            #[serde(default = "Option::default", deserialize_with = "or_default")]
            previous: Option<T>,
            #[serde(default = "Option::default", deserialize_with = "or_default")]
            current: Option<T>,
        }

        let sides: Option<Sides<T>> = or_default(deserializer)?;
        Ok(match sides {
            Some(Sides(Named { previous, current })) => Self { is_object: true, previous, current },
            None => Self { is_object: false, previous: None, current: None },
        })
    }
}

impl Changes {
    fn draft_changed(&self, marks: Marks) -> Option<bool> {
        let has_mark =
            |title: Option<&SharedStr>| title.map(|title| without_mark(title, marks) != title.trim_start());
        let title = self.title.as_ref();
        match &self.draft {
            Some(change) => change.current,
            None if marks == Marks::Present => None,
            // Releases before 13.12 change the title alone.
            None => has_mark(title.and_then(|title| title.current.as_ref())).filter(|now| {
                has_mark(title.and_then(|title| title.previous.as_ref())).is_some_and(|before| before != *now)
            }),
        }
    }

    fn text_changed(&self) -> bool {
        self.title.as_ref().is_some_and(|title| title.is_object)
            || self.description.as_ref().is_some_and(|description| description.is_object)
    }

    fn changed(self, marks: Marks) -> Changed {
        let title = self.title.as_ref().and_then(|title| {
            let (before, after) = (title.previous.as_ref()?, title.current.as_ref()?);
            (without_mark(before, marks).trim_end() != without_mark(after, marks).trim_end())
                .then(|| before.clone())
        });
        let target_branch = self.target_branch.as_ref().and_then(|change| change.previous.clone());
        Changed {
            title,
            labels: replaced(self.labels),
            assignees: replaced(self.assignees),
            target_branch: target_branch.filter(|name| !name.is_empty()),
            description: self.description.as_ref().is_some_and(|description| description.is_object),
        }
    }
}

/// A list that an update replaced by another one; `None` where both are the same.
fn replaced<T: Default + DeserializeOwned + PartialEq>(lists: Option<Replaced<T>>) -> Option<Replaced<T>> {
    lists.filter(|lists| lists.added().next().is_some() || lists.removed().next().is_some())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "number")]
    iid: i64,
    #[serde(deserialize_with = "lenient")]
    title: SharedStr,
    #[serde(deserialize_with = "lenient")]
    description: SharedStr,
    #[serde(deserialize_with = "lenient")]
    url: SharedStr,
    #[serde(deserialize_with = "lenient")]
    state: SharedStr,
    action: Option<SharedStr>,
    #[serde(deserialize_with = "number_or_none")]
    source_project_id: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    source_branch: SharedStr,
    #[serde(deserialize_with = "lenient")]
    target_branch: SharedStr,
    #[serde(deserialize_with = "or_default")]
    draft: Option<bool>,
    /// The name of `draft` before 13.12.
    #[serde(deserialize_with = "lenient")]
    work_in_progress: bool,
    #[serde(deserialize_with = "or_default")]
    source: Option<Project>,
    #[serde(deserialize_with = "or_default")]
    target: Option<Project>,
    last_commit: Option<Commit>,
    oldrev: Option<SharedStr>,
    labels: Option<Vec<Label>>,
    #[serde(deserialize_with = "lenient")]
    system: bool,
    #[serde(deserialize_with = "lenient")]
    system_action: SharedStr,
}

impl SystemAction {
    fn named(name: &str) -> Self {
        match name {
            "approvals_reset_on_push" | "code_owner_approvals_reset_on_push" => Self::ApprovalsReset,
            _ => Self::Other,
        }
    }
}

impl Body for Raw {
    fn decoded(mut self, _: &Frame) -> Result<Decoded, String> {
        let attributes = self.object_attributes;
        let assignees =
            if self.assignees.is_empty() { Vec::from_iter(self.assignee) } else { self.assignees };
        let marks = if attributes.draft.is_some() { Marks::Present } else { Marks::Old };
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
            draft: attributes.draft.unwrap_or(attributes.work_in_progress),
            assignees,
            reviewers: self.reviewers,
            last_commit: attributes.last_commit,
            oldrev: attributes.oldrev,
            labels: self.labels.or(attributes.labels),
            user: self.user,
            by_system: attributes.system.then(|| SystemAction::named(&attributes.system_action)),
            text_changed: self.changes.text_changed(),
            draft_changed: self.changes.draft_changed(marks),
            reviewers_changed: self.changes.reviewers.take(),
            changed: self.changes.changed(marks),
        };
        Ok(Decoded {
            trigger: Some(Trigger::MergeRequest),
            subject: format!("merge_request:{}", merge_request.iid),
            payload: Payload::MergeRequest(Box::new(merge_request)),
        })
    }
}

/// The full path of the source project, where that is not the target project.
fn fork(source: Option<Project>, target: Option<Project>) -> Option<SharedStr> {
    let path = |project: Project| Some(project.path_with_namespace).filter(|path| !path.is_empty());
    let (source, target) = (path(source?)?, path(target?)?);
    (!source.eq_ignore_ascii_case(&target)).then_some(source)
}
