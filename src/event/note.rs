//! Comments. GitLab calls them notes.

use serde::Deserialize;

use super::frame::{Body, Frame};
use super::push::first_line;
use super::read::{excerpt, lenient, number, number_or_none, object};
use super::{Commit, Decoded, Label, Payload, SharedStr, Trigger, User};

/// A comment was added or edited.
#[derive(Clone, Debug)]
pub struct Note {
    pub note: SharedStr,
    pub url: SharedStr,
    /// `create` or `update`; older releases omit it.
    pub action: Option<SharedStr>,
    pub on: Noteable,
    pub confidential: bool,
    /// Whether GitLab wrote the comment, as a record of the user's action (`added 1 commit`).
    pub by_system: bool,
    pub labels: Option<Vec<Label>>,
    /// The comment's author, even if another person edited the comment.
    pub user: Option<User>,
    /// Whether another person, whose name is not in the payload, edited the comment.
    edited_by_another: bool,
}

impl Note {
    /// The user who caused the event.
    pub(super) fn actor(&self) -> Option<&User> {
        self.user.as_ref().filter(|_| !self.edited_by_another)
    }
}

/// The object of the comment.
#[derive(Clone, Debug)]
pub enum Noteable {
    Commit(Box<Commit>),
    Issue {
        iid: i64,
        title: SharedStr,
    },
    MergeRequest {
        iid: i64,
        title: SharedStr,
    },
    Snippet {
        id: i64,
        title: SharedStr,
    },
    /// A design, an epic …: comments on these are not notified.
    Other(String),
}

impl Noteable {
    /// The first line of its title.
    pub fn title(&self) -> &str {
        match self {
            Self::Commit(commit) => first_line(&commit.message),
            Self::Issue { title, .. } | Self::MergeRequest { title, .. } | Self::Snippet { title, .. } => {
                first_line(title)
            }
            Self::Other(_) => "",
        }
    }

    fn subject(&self) -> String {
        match self {
            Self::Commit(commit) => format!("commit:{}", commit.id),
            Self::Issue { iid, .. } => format!("issue:{iid}"),
            Self::MergeRequest { iid, .. } => format!("merge_request:{iid}"),
            Self::Snippet { id, .. } => format!("snippet:{id}"),
            Self::Other(kind) => format!("note:{kind}"),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Raw {
    #[serde(default)]
    user: Option<User>,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
    #[serde(default)]
    labels: Option<Vec<Label>>,
    #[serde(default)]
    commit: Option<Commit>,
    #[serde(default)]
    issue: Option<On>,
    #[serde(default)]
    merge_request: Option<On>,
    #[serde(default)]
    snippet: Option<On>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "lenient")]
    note: SharedStr,
    #[serde(deserialize_with = "lenient")]
    url: SharedStr,
    #[serde(deserialize_with = "lenient")]
    noteable_type: SharedStr,
    action: Option<SharedStr>,
    #[serde(deserialize_with = "lenient")]
    confidential: bool,
    #[serde(deserialize_with = "lenient")]
    internal: bool,
    #[serde(deserialize_with = "lenient")]
    system: bool,
    labels: Option<Vec<Label>>,
    #[serde(deserialize_with = "number_or_none")]
    author_id: Option<i64>,
    #[serde(deserialize_with = "number_or_none")]
    updated_by_id: Option<i64>,
}

impl Attributes {
    /// GitLab names the author of a comment as the user of each of its events
    /// (<https://gitlab.com/gitlab-org/gitlab/-/blob/master/app/services/notes/post_process_service.rb>). Only a number
    /// tells who edited it.
    fn is_edited_by_another(&self, user: Option<&User>) -> bool {
        let user = user.and_then(|user| user.id).or(self.author_id);
        let editor = self.updated_by_id.filter(|_| self.action.as_deref() == Some("update"));
        editor.is_some_and(|editor| user.is_some_and(|user| user != editor))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct On {
    #[serde(deserialize_with = "number")]
    id: i64,
    #[serde(deserialize_with = "number")]
    iid: i64,
    #[serde(deserialize_with = "lenient")]
    title: SharedStr,
    #[serde(deserialize_with = "lenient")]
    confidential: bool,
    labels: Option<Vec<Label>>,
}

impl Body for Raw {
    fn decoded(self, frame: &Frame) -> Result<Decoded, String> {
        let attributes = self.object_attributes;
        let confidential = attributes.confidential
            || attributes.internal
            || frame.event_type == Trigger::ConfidentialNote.name()
            || self.issue.as_ref().is_some_and(|issue| issue.confidential);
        let edited_by_another = attributes.is_edited_by_another(self.user.as_ref());
        let (mut issue, mut merge_request) =
            (self.issue.unwrap_or_default(), self.merge_request.unwrap_or_default());
        // The first list that is present counts, even if it is empty, as in GitLab.
        let labels =
            self.labels.or(issue.labels.take()).or(merge_request.labels.take()).or(attributes.labels);
        let on = match attributes.noteable_type.as_str() {
            "Commit" => Noteable::Commit(Box::new(self.commit.unwrap_or_default())),
            "Issue" => Noteable::Issue { iid: issue.iid, title: issue.title },
            "MergeRequest" => Noteable::MergeRequest { iid: merge_request.iid, title: merge_request.title },
            "Snippet" => {
                let snippet = self.snippet.unwrap_or_default();
                Noteable::Snippet { id: snippet.id, title: snippet.title }
            }
            other => Noteable::Other(excerpt(other, super::KIND_MAX_CHARS)),
        };
        let trigger = if confidential { Trigger::ConfidentialNote } else { Trigger::Note };
        let note = Note {
            edited_by_another,
            note: attributes.note,
            url: attributes.url,
            action: attributes.action,
            confidential,
            by_system: attributes.system,
            labels,
            user: self.user,
            on,
        };
        Ok(Decoded {
            trigger: Some(trigger),
            subject: note.on.subject(),
            payload: Payload::Note(Box::new(note)),
        })
    }
}
