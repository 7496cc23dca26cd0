//! Pushes to branches and of tags.

use serde::Deserialize;
use serde_json::Value;

use super::frame::{Body, Frame};
use super::read::{lenient, number_or_none};
use super::{Decoded, Payload, SharedStr, Trigger, User};

/// Commits were pushed, or a branch or tag was created or removed.
#[derive(Clone, Debug, Default)]
pub struct Push {
    /// The full ref: `refs/heads/main`, `refs/tags/v1.0.0`. See [`RefType`].
    pub full_ref: SharedStr,
    pub before: SharedStr,
    pub after: SharedStr,
    /// Whether the ref is protected in the forge; `None` where its release omits it.
    pub ref_protected: Option<bool>,
    pub user: User,
    /// At most the newest 20, oldest first.
    pub commits: Vec<Commit>,
    /// The number in the payload, if any; see [`Push::commit_count`] and [`Push::brings_no_commits`].
    total_commits_count: Option<u64>,
    /// One diff for the whole push, where the publisher included it.
    pub diff: Option<SharedStr>,
    /// Whether the person who pushed asked build servers to start no build (`git push -o integrations.skip_ci`).
    pub skips_builds: bool,
}

/// Whether a ref is a branch or a tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RefType {
    #[default]
    Branch,
    Tag,
    /// A ref of the forge's own, such as `refs/merge-requests/1/head` or `refs/keep-around/…`. It is not a branch and
    /// has no page.
    Hidden,
}

impl RefType {
    /// The type of a ref. A name without `refs/…/` is a branch.
    pub(super) fn of(full_ref: &str) -> Self {
        match full_ref.strip_prefix("refs/") {
            Some(rest) if rest.starts_with("tags/") => Self::Tag,
            Some(rest) if !rest.starts_with("heads/") => Self::Hidden,
            _ => Self::Branch,
        }
    }

    /// `branch`, `tag` or `ref`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::Tag => "tag",
            Self::Hidden => "ref",
        }
    }

    /// The name of a field with such a ref: `Branch`, `Tag`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Branch => "Branch",
            Self::Tag => "Tag",
            Self::Hidden => "Ref",
        }
    }
}

/// What a push did to its ref.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefChange {
    Created,
    Removed,
    Updated,
}

impl Push {
    /// The ref as people write it: `main`, `v1.0.0`.
    pub fn short_ref(&self) -> &str {
        short_ref(&self.full_ref)
    }

    pub fn ref_type(&self) -> RefType {
        RefType::of(&self.full_ref)
    }

    /// How many commits were pushed; the list holds only the newest. `None` where that is not known: events of system
    /// hooks list none and count 0, whatever was pushed, so 0 does not mean that commits were removed.
    pub fn commit_count(&self) -> Option<u64> {
        let said = self.total_commits_count.unwrap_or_default();
        Some(said.max(self.commits.len() as u64)).filter(|count| *count > 0)
    }

    /// Whether the forge says that no commits were pushed. `false` where it does not give a number and the ref changed,
    /// because its commits may be new.
    pub fn brings_no_commits(&self) -> bool {
        let is_said = self.total_commits_count.is_some();
        self.commit_count().is_none() && (is_said || self.before == self.after)
    }

    /// A ref without a commit before the push is new; one without a commit after it is removed. A commit id of zeros
    /// (40 for SHA-1, 64 for SHA-256) means "none".
    pub fn change(&self) -> RefChange {
        if is_blank_sha(&self.before) {
            RefChange::Created
        } else if is_blank_sha(&self.after) {
            RefChange::Removed
        } else {
            RefChange::Updated
        }
    }
}

/// The ref without `refs/heads/` or `refs/tags/`.
pub(super) fn short_ref(full_ref: &str) -> &str {
    let stripped = full_ref.strip_prefix("refs/heads/").or_else(|| full_ref.strip_prefix("refs/tags/"));
    stripped.unwrap_or(full_ref)
}

fn is_blank_sha(sha: &str) -> bool {
    !sha.is_empty() && sha.bytes().all(|b| b == b'0')
}

/// One commit.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Commit {
    #[serde(deserialize_with = "lenient")]
    pub id: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub message: SharedStr,
    #[serde(deserialize_with = "lenient")]
    title: Option<SharedStr>,
    #[serde(deserialize_with = "lenient")]
    pub timestamp: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub url: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub author: Author,
    #[serde(deserialize_with = "lenient")]
    pub added: Vec<SharedStr>,
    #[serde(deserialize_with = "lenient")]
    pub modified: Vec<SharedStr>,
    #[serde(deserialize_with = "lenient")]
    pub removed: Vec<SharedStr>,
    /// The commit's diff, where the publisher included it.
    #[serde(deserialize_with = "lenient")]
    pub diff: Option<SharedStr>,
}

impl Commit {
    /// The first eight characters of the id, as GitLab shows it.
    pub fn short_id(&self) -> &str {
        short_sha(&self.id)
    }

    /// The payload's title, or the message's first line where there is none.
    pub fn title(&self) -> &str {
        let first_line = || first_line(&self.message);
        self.title.as_deref().map(str::trim).filter(|title| !title.is_empty()).unwrap_or_else(first_line)
    }
}

/// The first eight characters of a commit id.
pub(super) fn short_sha(sha: &str) -> &str {
    sha.char_indices().nth(8).map_or(sha, |(end, _)| &sha[..end])
}

pub(super) fn first_line(text: &str) -> &str {
    text.trim_start().lines().next().unwrap_or_default().trim_end()
}

/// The author of a commit, as git records it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Author {
    #[serde(deserialize_with = "lenient")]
    pub name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub email: SharedStr,
}

#[derive(Deserialize)]
pub(super) struct Raw {
    #[serde(rename = "ref")]
    full_ref: Option<SharedStr>,
    #[serde(default, deserialize_with = "lenient")]
    before: SharedStr,
    #[serde(default, deserialize_with = "lenient")]
    after: SharedStr,
    #[serde(default)]
    ref_protected: Option<bool>,
    #[serde(default, deserialize_with = "number_or_none")]
    user_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    user_name: SharedStr,
    #[serde(default, deserialize_with = "lenient")]
    user_username: SharedStr,
    #[serde(default)]
    user_email: Option<SharedStr>,
    #[serde(default)]
    user_avatar: Option<SharedStr>,
    #[serde(default, deserialize_with = "lenient")]
    commits: Vec<Commit>,
    #[serde(default, deserialize_with = "number_or_none")]
    total_commits_count: Option<u64>,
    #[serde(default)]
    diff: Option<SharedStr>,
    #[serde(default)]
    push_options: Option<Value>,
}

/// A push option that was given without a value is `true` or 1 in the payload.
fn skips_builds(push_options: Option<&Value>) -> bool {
    match push_options.and_then(|options| options.pointer("/integrations/skip_ci")) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(_) => true,
    }
}

impl Body for Raw {
    fn decoded(self, frame: &Frame) -> Result<Decoded, String> {
        // System hooks, whose events have no kind, count 0 whatever was pushed.
        let is_counted = !frame.object_kind.is_empty();
        let full_ref = self.full_ref.filter(|r| !r.trim().is_empty());
        let full_ref = full_ref.ok_or_else(|| "`ref` is missing or empty".to_owned())?;
        let push = Push {
            before: self.before,
            after: self.after,
            ref_protected: self.ref_protected,
            user: User {
                id: self.user_id,
                name: self.user_name,
                username: self.user_username,
                avatar_url: self.user_avatar,
                email: self.user_email.filter(|email| !email.is_empty()),
            },
            total_commits_count: self.total_commits_count.filter(|count| is_counted || *count > 0),
            commits: self.commits,
            diff: self.diff,
            skips_builds: skips_builds(self.push_options.as_ref()),
            full_ref,
        };
        let trigger = match push.ref_type() {
            RefType::Branch => Some(Trigger::Push),
            RefType::Tag => Some(Trigger::TagPush),
            RefType::Hidden => None,
        };
        Ok(Decoded { trigger, subject: format!("ref:{}", push.full_ref), payload: Payload::Push(push) })
    }
}
