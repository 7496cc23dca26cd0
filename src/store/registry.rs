//! The configuration by people: integrations, projects, groups, tokens, mutes, and the audit log.
//!
//! # The contract
//!
//! - **One count of changes.** Each change gets the next revision, in the order of commits. A caller that has seen revision
//!   *n* misses nothing if it asks for the changes after *n*. Rows are never deleted: an ended row is marked as ended.
//!   Only mutes that ended long ago are swept, because nobody acts on an ended mute.
//! - **No lost updates.** A change to an integration names the revision that it was made from. It is refused where another
//!   change came first ([`Put::Outdated`]).
//! - **Secrets are sealed.** The store encrypts them before it writes them and decrypts them when it reads them. They are
//!   bound to their row: in another row they can't be decrypted.
//! - **The audit log is complete.** A change and its line in the audit log are one transaction. A call that changes nothing
//!   writes no line.
//! - **A path belongs to one project and to one group.** Paths are compared without regard to case. If a project gets a
//!   path, the project that had the path before loses it; both rows change. Configuration that belongs to a project's
//!   number stays with the number.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::settings::{Properties, Secret, SmallMap};

/// The owner of a row, or the scope of a token, as a key in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScopeKey {
    /// A default for everyone.
    Instance,
    Group(GroupKey),
    /// By the forge's number, which survives renames.
    Project(i64),
    /// A scope that a provisioning file names. Its rows keep the times of the file's integrations. The settings stay in
    /// the file.
    File(FileKey),
}

impl ScopeKey {
    /// The two columns of the key: its kind, and its number within the kind.
    pub(super) fn columns(self) -> (&'static str, i64) {
        match self {
            Self::Instance => ("instance", 0),
            Self::Group(GroupKey(key)) => ("group", key),
            Self::Project(number) => ("project", number),
            Self::File(FileKey(key)) => ("file", key),
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

/// The number of a group's row. It is not the forge's id of the group, which events do not contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey(pub i64);

/// The digest of a scope's name in a provisioning file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileKey(pub i64);

/// The configuration of one integration, as it was given. Names are GitLab's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    pub active: bool,
    /// Inherits the nearest default of a group above, or of the instance (`use_inherited_settings`).
    pub inherits: bool,
    /// The flags (`push_events` and so on) that were ever set. The others have their defaults.
    pub flags: SmallMap<String, bool>,
    /// Settings that are not secret.
    pub properties: Properties,
    /// Secret settings.
    pub secrets: SmallMap<String, Secret>,
}

impl Configuration {
    /// A configuration that inherits the nearest default, and has no settings of its own.
    pub fn following() -> Self {
        Self { active: true, inherits: true, ..Self::default() }
    }

    /// This configuration, switched off. If it inherited a default, an inactive configuration remains, so that the
    /// default does not apply.
    #[must_use]
    pub fn switched_off(&self) -> Self {
        let own = if self.inherits { Self::default() } else { self.clone() };
        Self { active: false, ..own }
    }
}

/// An integration as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIntegration {
    /// Its number, which never changes.
    pub id: i64,
    pub owner: ScopeKey,
    /// With dashes.
    pub slug: String,
    pub configuration: Configuration,
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The state that a change to an integration was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeFrom {
    /// The revision of the integration; `None`: there is none yet.
    pub revision: Option<i64>,
    /// Set for an integration that must not be active beside certain others.
    pub rivals: Option<Rivals>,
}

/// The integrations of the same owner beside which the changed one must not be active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rivals {
    pub slugs: Vec<&'static str>,
    /// The registry's revision at which the rivals were read. If one was activated later, the change is outdated. So if
    /// two rivals are activated at the same time, even by two nodes, one is refused.
    pub seen: i64,
}

impl From<Option<i64>> for MadeFrom {
    fn from(revision: Option<i64>) -> Self {
        Self { revision, rivals: None }
    }
}

impl MadeFrom {
    /// The rivals' slugs and the revision at which they were read, for a statement.
    pub(super) fn rivals(&self) -> (&[&'static str], i64) {
        self.rivals.as_ref().map_or((&[], 0), |rivals| (&rivals.slugs, rivals.seen))
    }
}

/// The result of a change to an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    Done(StoredIntegration),
    /// The row, or one of its rivals, was changed in the meantime. The caller has to read it again and repeat the change.
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
    /// The forge's number. A negative number is provisional: the forge's number is unknown, and the project's
    /// configuration is moved when it becomes known.
    pub id: i64,
    /// Its full path; `None` where it is not known yet, or another project has it now.
    pub path: Option<String>,
    /// As events contain it.
    pub learned: Learned,
    /// As people corrected it. This takes precedence over events.
    pub corrected: Corrected,
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl StoredProject {
    /// The forge's number, where it is known.
    pub fn number(&self) -> Option<i64> {
        Some(self.id).filter(|id| *id > 0)
    }
}

/// The facts of a project that events contain, in addition to its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    pub default_branch: Option<String>,
    pub visibility: Option<Visibility>,
}

/// The corrections of a project by people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrected {
    pub default_branch: Option<String>,
    pub visibility: Option<Visibility>,
    /// Names and wildcards; `None` if they are not known.
    pub protected_branches: Option<Vec<String>>,
}

/// A project as one event showed it. Values that the event does not contain stay as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenProject {
    pub id: i64,
    pub path: Option<String>,
    pub learned: Learned,
}

/// Corrections to the facts of a project. Fields that are not named keep their current value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectCorrection {
    pub id: i64,
    /// `None` leaves it as it is.
    pub path: Option<String>,
    pub default_branch: Correction<String>,
    pub visibility: Correction<Visibility>,
    pub protected_branches: Correction<Vec<String>>,
}

/// A person's correction of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Correction<T> {
    /// No correction: the value stays as it is.
    Stays,
    Is(T),
    /// An earlier correction is removed.
    TakenBack,
}

impl<T: Clone> Correction<T> {
    /// The resulting value.
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

    /// The new value, if there is one.
    pub fn value(&self) -> Option<&T> {
        if let Self::Is(value) = self { Some(value) } else { None }
    }
}

/// The default changes nothing.
impl<T> From<Option<T>> for Correction<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Stays, Self::Is)
    }
}

impl ProjectCorrection {
    /// Notes only that a project of this number exists.
    pub fn of(id: i64) -> Self {
        let (default_branch, visibility, protected_branches) =
            (Correction::Stays, Correction::Stays, Correction::Stays);
        Self { id, path: None, default_branch, visibility, protected_branches }
    }

    /// The corrections after this change, given those before it.
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

/// A token with its rights. The token itself is not stored.
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

impl StoredToken {
    /// Whether the token is neither revoked nor expired.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none_or(|at| at > now) && self.expires_at.is_none_or(|at| at > now)
    }

    /// The token as the sender of a quarantined message. Token rows are never deleted, so this leads back to the
    /// token's reach for as long as the message is kept.
    pub fn as_sender(&self) -> String {
        format!("token {}", self.id)
    }

    /// Whether it is an alert token of this project.
    pub fn admits_alerts_of(&self, project: ScopeKey) -> bool {
        self.access == Access { reach: project, right: Right::Alerts }
    }
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
    /// Only send events.
    Ingest,
    /// Only report alerts of its project.
    Alerts,
}

impl Right {
    pub const ALL: [Self; 4] = [Self::Maintain, Self::Read, Self::Ingest, Self::Alerts];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Maintain => "maintain",
            Self::Read => "read",
            Self::Ingest => "ingest",
            Self::Alerts => "alerts",
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

/// A channel that gets no messages for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mute {
    pub project: i64,
    /// The adapter whose messages are muted.
    pub slug: String,
    /// As [`Mute::channel_of`] makes it.
    pub channel: String,
    /// A time in the past ends the mute.
    pub until: Timestamp,
    /// The user that muted the channel.
    pub by: String,
    pub revision: i64,
}

impl Mute {
    /// A channel's name or id as it is compared: without `#`, in lower case.
    pub fn channel_of(name: &str) -> String {
        name.trim().trim_start_matches('#').to_lowercase()
    }
}

/// A line of the audit log, which is written in the transaction of the change.
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
    /// A line for an object without fields.
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

/// The rows that changed after some revision, in their current state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The newest revision; the caller's own if nothing changed.
    pub revision: i64,
    pub integrations: Vec<StoredIntegration>,
    pub projects: Vec<StoredProject>,
    pub groups: Vec<StoredGroup>,
    pub tokens: Vec<StoredToken>,
    pub mutes: Vec<Mute>,
}

/// The configuration by people.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The changes after this revision, as one consistent snapshot. After 0, all rows are returned. If the revision is
    /// newer than the store's (because the store was restored to an older state), everything is returned too.
    async fn changes(&self, after: i64) -> Result<Changes>;

    /// The integration of this owner, as it is at this moment.
    async fn integration(&self, owner: ScopeKey, slug: &str) -> Result<Option<StoredIntegration>>;

    /// Sets an integration, if the state that the change was made from is still current.
    async fn put_integration(
        &self,
        owner: ScopeKey,
        slug: &str,
        configuration: Configuration,
        made_from: MadeFrom,
        audit: AuditEntry,
    ) -> Result<Put>;

    /// Notes projects as events showed them. A project takes its path from another project that had it. Returns the rows
    /// in the given order; an unchanged row keeps its revision.
    async fn upsert_seen_projects(
        &self,
        seen: Vec<SeenProject>,
        now: Timestamp,
    ) -> Result<Vec<StoredProject>>;

    /// Writes a person's corrections of a project, even if the project is not known yet.
    async fn override_project(&self, project: ProjectCorrection, audit: AuditEntry) -> Result<StoredProject>;

    /// Notes a group. A known id identifies it (it may have been renamed); otherwise its path does, if no other id is known
    /// for the path; otherwise it is a new group.
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

    /// Revokes a token. Returns `false` if there is none of this number, or if it is revoked already.
    async fn revoke_token(&self, id: i64, audit: AuditEntry) -> Result<bool>;

    /// All tokens, oldest first, including revoked ones.
    async fn tokens(&self) -> Result<Vec<StoredToken>>;

    /// Notes that a session of the page, identified by the digest of its cookie, was ended early. Expired sessions are
    /// forgotten.
    async fn end_session(&self, digest: [u8; 32], ends: Timestamp, now: Timestamp) -> Result<()>;

    /// Whether a session was ended early.
    async fn session_ended(&self, digest: [u8; 32]) -> Result<bool>;

    /// Mutes a channel, or ends a mute (with a time in the past). The given revision is ignored.
    async fn mute(&self, mute: Mute, audit: AuditEntry) -> Result<()>;

    /// Writes a line of the audit log for an action that changes nothing in the registry.
    async fn note(&self, audit: AuditEntry) -> Result<()>;

    /// The audit log, newest first, after (below) line `before`.
    async fn audit_log(&self, before: Option<i64>, limit: usize) -> Result<Vec<AuditLine>>;

    /// Encrypts all secrets again with the current key, including those under older keys. Returns the number of rows. The
    /// secrets do not change, so revisions do not either.
    async fn rekey(&self, audit: AuditEntry) -> Result<usize>;

    /// Removes the secrets that no available key decrypts, and switches their integrations off. Each integration gets a line
    /// in the audit log, with its name as the line's object. Returns the owners of the integrations.
    async fn drop_undecryptable(&self, audit: AuditEntry) -> Result<Vec<(ScopeKey, String)>>;
}
