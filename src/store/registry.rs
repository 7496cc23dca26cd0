//! What people configured: integrations, projects, groups, tokens, mutes, and the audit log.
//!
//! # The contract
//!
//! - **One count of changes.** Each change gets the next revision, in the order of commits. A caller that has seen revision
//!   *n* misses nothing if it asks for the changes after *n*. Rows are never deleted: a row that is over says so.
//! - **No lost updates.** A change to an integration names the revision that it was made from. It is refused where another
//!   change came first ([`Put::Outdated`]).
//! - **Secrets are sealed.** The store encrypts them before it writes them and decrypts them when it reads them. They are
//!   bound to their row: in another row they do not open.
//! - **The audit log is complete.** A change and its line in the audit log are one transaction. A call that changes nothing
//!   writes no line.
//! - **A path belongs to one project and to one group.** Paths are compared without regard to case. A project that gets a
//!   path takes it from the project that had it; both change. What belongs to a project's number stays with the number.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::settings::{Properties, Secret};

/// Whose a row is, or what a token reaches: what rows of the store go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScopeKey {
    /// A default for everyone.
    Instance,
    Group(GroupKey),
    /// By the forge's number, which outlives renames.
    Project(i64),
}

impl ScopeKey {
    /// Its kind, and its number within the kind: the two columns that it is written to.
    pub(super) fn columns(self) -> (&'static str, i64) {
        match self {
            Self::Instance => ("instance", 0),
            Self::Group(GroupKey(key)) => ("group", key),
            Self::Project(number) => ("project", number),
        }
    }
}

impl fmt::Display for ScopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.columns()) {
            (Self::Instance, _) => f.write_str("the instance"),
            (_, (kind, number)) => write!(f, "{kind} {number}"),
        }
    }
}

/// A group's row. Not the forge's number of it, which events do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey(pub i64);

/// What one integration is set to, as it was given. Names are GitLab's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    pub active: bool,
    /// Follows the nearest default of a group above, or of the instance (`use_inherited_settings`).
    pub inherits: bool,
    /// `push_events` and its like: those that were ever set. The others are as they are on a new integration.
    pub flags: BTreeMap<String, bool>,
    /// Settings that are not secret.
    pub properties: Properties,
    /// Secret settings.
    pub secrets: BTreeMap<String, Secret>,
}

impl Configuration {
    /// One that follows the nearest default. It has nothing of its own.
    pub fn following() -> Self {
        Self { active: true, inherits: true, ..Self::default() }
    }

    /// The same, switched off. Of one that followed a default, what is left keeps that default out.
    #[must_use]
    pub fn switched_off(&self) -> Self {
        let own = if self.inherits { Self::default() } else { self.clone() };
        Self { active: false, ..own }
    }
}

/// An integration as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIntegration {
    /// Its number, the same for ever.
    pub id: i64,
    pub owner: ScopeKey,
    /// With dashes.
    pub slug: String,
    pub configuration: Configuration,
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What became of a change to an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    Done(StoredIntegration),
    /// The row has changed meanwhile: read it again and repeat the change.
    Outdated,
}

/// Who may see a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    Private,
    Internal,
    Public,
}

impl Visibility {
    pub const ALL: [Self; 3] = [Self::Private, Self::Internal, Self::Public];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Internal => "internal",
            Self::Public => "public",
        }
    }
}

/// A project of the forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProject {
    /// The forge's number.
    pub id: i64,
    /// Its full path; `None` where it is not known yet, or another project has it now.
    pub path: Option<String>,
    /// As events tell it.
    pub learned: Learned,
    /// As people corrected it; goes before what events tell.
    pub corrected: Corrected,
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What events tell of a project beside its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    pub default_branch: Option<String>,
    pub visibility: Option<Visibility>,
}

/// What people said of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrected {
    pub default_branch: Option<String>,
    pub visibility: Option<Visibility>,
    /// Names and wildcards; `None` where they are not known.
    pub protected_branches: Option<Vec<String>>,
}

/// A project as one event showed it. What an event does not tell stays as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenProject {
    pub id: i64,
    pub path: Option<String>,
    pub learned: Learned,
}

/// Corrections to what is known of a project. Fields that are not named keep their value of that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectCorrection {
    pub id: i64,
    /// `None` leaves it as it is.
    pub path: Option<String>,
    pub default_branch: Correction<String>,
    pub visibility: Correction<Visibility>,
    pub protected_branches: Correction<Vec<String>>,
}

/// What a person says of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Correction<T> {
    /// Nothing: it stays as it is.
    Stays,
    Is(T),
    /// What was said before does not count any more.
    TakenBack,
}

impl<T: Clone> Correction<T> {
    /// What holds then.
    fn over(&self, present: Option<&T>) -> Option<T> {
        match self {
            Self::Stays => present.cloned(),
            Self::Is(value) => Some(value.clone()),
            Self::TakenBack => None,
        }
    }

    pub fn stays(&self) -> bool {
        matches!(self, Self::Stays)
    }

    /// The new value, where there is one.
    pub fn value(&self) -> Option<&T> {
        if let Self::Is(value) = self { Some(value) } else { None }
    }
}

/// Nothing said is nothing changed.
impl<T> From<Option<T>> for Correction<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Stays, Self::Is)
    }
}

impl ProjectCorrection {
    /// Says of a project that there is one of this number, and nothing more.
    pub fn of(id: i64) -> Self {
        let (default_branch, visibility, protected_branches) =
            (Correction::Stays, Correction::Stays, Correction::Stays);
        Self { id, path: None, default_branch, visibility, protected_branches }
    }

    /// What is corrected then, where this was before.
    pub fn over(&self, present: &Corrected) -> Corrected {
        Corrected {
            default_branch: self.default_branch.over(present.default_branch.as_ref()),
            visibility: self.visibility.over(present.visibility.as_ref()),
            protected_branches: self.protected_branches.over(present.protected_branches.as_ref()),
        }
    }
}

/// A group of the forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGroup {
    pub key: GroupKey,
    /// The forge's id, where it is known.
    pub id: Option<i64>,
    /// Its full path; `None` where another group has it now.
    pub path: Option<String>,
    pub revision: i64,
    pub created_at: Timestamp,
}

/// A token: what it opens. The token itself is nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    pub id: i64,
    pub name: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    pub access: Access,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub revision: i64,
    pub created_at: Timestamp,
}

/// What a token may do, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub reach: ScopeKey,
    pub right: Right,
}

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// See and change.
    Maintain,
    /// See.
    Read,
    /// Hand in events, and nothing else.
    Ingest,
}

impl Right {
    pub const ALL: [Self; 3] = [Self::Maintain, Self::Read, Self::Ingest];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Maintain => "maintain",
            Self::Read => "read",
            Self::Ingest => "ingest",
        }
    }
}

/// A token to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    pub name: String,
    pub hash: [u8; 32],
    pub access: Access,
    pub expires_at: Option<Timestamp>,
}

/// A channel that wants to hear nothing for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mute {
    pub project: i64,
    /// The adapter whose messages stay away.
    pub slug: String,
    /// As [`Mute::channel_of`] makes it.
    pub channel: String,
    /// A moment that is past ends it.
    pub until: Timestamp,
    /// Who asked for it.
    pub by: String,
    pub revision: i64,
}

impl Mute {
    /// A channel's name or id as it is compared: without `#`, in lower case.
    pub fn channel_of(name: &str) -> String {
        name.trim().trim_start_matches('#').to_lowercase()
    }
}

/// A line of the audit log, to be written with what it tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// `token ci (3)`, `command line`, `slash command of @ada`.
    pub who: String,
    /// `integration.update`, `token.create` …
    pub action: &'static str,
    /// `project 42 slack`
    pub object: String,
    /// The names of what changed. Never a value.
    pub fields: Vec<String>,
}

impl AuditEntry {
    /// For what has no fields.
    pub fn whole(at: Timestamp, who: &str, action: &'static str, object: String) -> Self {
        Self { at, who: who.to_owned(), action, object, fields: Vec::new() }
    }
}

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    pub id: i64,
    pub at: Timestamp,
    pub who: String,
    pub action: String,
    pub object: String,
    pub fields: Vec<String>,
}

/// What changed after some revision: the rows as they are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The newest revision that there is; that of the question where nothing changed.
    pub revision: i64,
    pub integrations: Vec<StoredIntegration>,
    pub projects: Vec<StoredProject>,
    pub groups: Vec<StoredGroup>,
    pub tokens: Vec<StoredToken>,
    pub mutes: Vec<Mute>,
}

/// What people configured.
#[async_trait]
pub trait Registry: Send + Sync {
    /// What changed after this revision, as one consistent snapshot; everything, after 0. If the revision is newer than the
    /// store's (because the store was restored to an older state), everything is returned too.
    async fn changes(&self, after: i64) -> Result<Changes>;

    /// The integration of this owner, as it is at this moment.
    async fn integration(&self, owner: ScopeKey, slug: &str) -> Result<Option<StoredIntegration>>;

    /// Sets an integration, if it still has the revision `made_from` (`None`: if there is none yet).
    async fn put_integration(
        &self,
        owner: ScopeKey,
        slug: &str,
        configuration: Configuration,
        made_from: Option<i64>,
        audit: AuditEntry,
    ) -> Result<Put>;

    /// Notes projects as events showed them. A path that another project had is this one's now. Answers with the rows,
    /// in the given order; one that is as it was keeps its revision.
    async fn upsert_seen_projects(
        &self,
        seen: Vec<SeenProject>,
        now: Timestamp,
    ) -> Result<Vec<StoredProject>>;

    /// Notes what a person says of a project, known or not.
    async fn override_project(&self, project: ProjectCorrection, audit: AuditEntry) -> Result<StoredProject>;

    /// Notes a group: by its number where that is known already (it was renamed), else by its path, where no other number
    /// is known for that, else as a new one.
    async fn put_group(&self, id: Option<i64>, path: &str, audit: AuditEntry) -> Result<StoredGroup>;

    /// A project that is known, as it is at this moment.
    async fn project(&self, id: i64) -> Result<Option<StoredProject>>;

    /// The project that has this path, as it is at this moment.
    async fn project_by_path(&self, path: &str) -> Result<Option<StoredProject>>;

    /// A group that is known, as it is at this moment.
    async fn group(&self, key: GroupKey) -> Result<Option<StoredGroup>>;

    /// The group that has this path, as it is at this moment.
    async fn group_by_path(&self, path: &str) -> Result<Option<StoredGroup>>;

    /// Keeps a token.
    async fn create_token(&self, token: NewToken, audit: AuditEntry) -> Result<StoredToken>;

    /// Ends a token's life. `false` where there is none of this number, or it is over already.
    async fn revoke_token(&self, id: i64, audit: AuditEntry) -> Result<bool>;

    /// All tokens, oldest first, those that are over too.
    async fn tokens(&self) -> Result<Vec<StoredToken>>;

    /// Mutes a channel, or (by a moment that is past) ends that. The revision given is not heeded.
    async fn mute(&self, mute: Mute, audit: AuditEntry) -> Result<()>;

    /// The audit log, newest first, after (below) line `before`.
    async fn audit_log(&self, before: Option<i64>, limit: usize) -> Result<Vec<AuditLine>>;

    /// Seals all secrets anew with the present key, those under older keys as well; answers how many rows there were.
    /// What they are does not change, and so no revision.
    async fn rekey(&self, audit: AuditEntry) -> Result<usize>;

    /// Gives up the secrets that no key at hand opens: their integrations are switched off, and have them no more. Each gets
    /// a line of the audit log, with its name in the place of the entry's object. Answers whose they were.
    async fn drop_undecryptable(&self, audit: AuditEntry) -> Result<Vec<(ScopeKey, String)>>;
}
