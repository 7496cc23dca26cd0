//! Changes of the configuration: by the API, by `apply`, by a slash command. Each change reads the present row,
//! computes the next one from it, and starts again if another change was written in between.

use jiff::Timestamp;
use tracing::warn;

use super::change::{self, InvalidChange, Request};
use super::configured::{Configured, Origin};
use super::directory::provisional_number;
use super::file_notes::{self, Unnoted};
use super::snapshot::{Inheritance, Snapshot};
use super::trackers::{another, is_own_active, is_tracker, other_trackers};
use super::url_policy::warn_of_blocked_urls;
use super::{CachedCatalog, Catalog as _, ResolvedScope};
use crate::adapters::{self, Entry};
use crate::settings::FieldError;
use crate::store::StoreError;
use crate::store::registry::{
    AuditEntry, Configuration, Corrected, Learned, MadeFrom, Mute, ProjectCorrection, Put, Rivals, ScopeKey,
    SeenProject, StoredGroup, StoredProject,
};

/// How often a change starts again. In every round another change succeeded.
const ROUNDS: usize = 50;

/// The actor of changes by files.
const PROVISIONING: &str = "provisioning files";

/// The other trackers of a project, if its own tracker is being activated. They were read in the snapshot of this
/// revision.
fn rivals(change: Change<'_>, next: &Configuration, seen: i64) -> Option<Rivals> {
    let is_of_project = matches!(change.scope, ResolvedScope::Project { .. });
    let is_rival = is_of_project && is_own_active(next) && is_tracker(change.entry);
    is_rival
        .then(|| Rivals { slugs: other_trackers(change.entry).map(|other| other.about.slug).collect(), seen })
}

/// Who makes a change, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor(pub String);

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error("it was never configured")]
    NeverConfigured,
    /// The integration comes from a file.
    #[error("it is configured in {0} and must be changed there")]
    Provisioned(String),
    /// The integration changed after the time in the request.
    #[error("it was changed since then")]
    ChangedSince,
    #[error("the request can't be met")]
    Invalid(InvalidChange),
    /// Every round failed because of another change.
    #[error("other changes are made to it at the same time; try again")]
    Contended,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which integration to change, by whom and when.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    pub scope: &'a ResolvedScope,
    pub entry: &'static Entry,
    /// `If-Unmodified-Since`.
    pub unless_changed_since: Option<Timestamp>,
    pub actor: &'a Actor,
    pub now: Timestamp,
}

impl CachedCatalog {
    /// Sets an integration.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn put(&self, change: Change<'_>, request: &Request) -> Result<(), ChangeError> {
        self.change(change, "integration.update", |inheritance| {
            let url_policy = &*self.url_policy();
            let next =
                change::put(change.entry, inheritance, request, url_policy).map_err(ChangeError::Invalid)?;
            if let Some(refused) = self.refused_tracker(change, &next) {
                return Err(ChangeError::Invalid(InvalidChange::Settings(vec![refused])));
            }
            warn_of_blocked_urls(change.entry, &next, url_policy);
            Ok(next)
        })
        .await
    }

    /// Why a tracker can't be set like this, if there is another one. As in GitLab, a configuration that only inherits
    /// is not refused.
    fn refused_tracker(&self, change: Change<'_>, next: &Configuration) -> Option<FieldError> {
        let refused = || self.read(|state| state.refused_tracker(change.scope, change.entry));
        if is_own_active(next) { refused() } else { None }
    }

    /// Deactivates an integration; its settings stay.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn deactivate(&self, change: Change<'_>) -> Result<(), ChangeError> {
        self.change(change, "integration.deactivate", |inheritance| {
            change::deactivate(inheritance).ok_or(ChangeError::NeverConfigured)
        })
        .await
    }

    /// Sets an integration to exactly this, as `apply` does.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub async fn replace(
        &self,
        change: Change<'_>,
        configuration: &Configuration,
    ) -> Result<(), ChangeError> {
        self.change(change, "integration.apply", |_| {
            // The plan was made earlier, so another tracker may have been set since.
            let has_rival = || self.read(|state| state.own_rival(change.scope, change.entry).is_some());
            if is_own_active(configuration) && has_rival() {
                return Err(ChangeError::Invalid(InvalidChange::Settings(vec![another()])));
            }
            Ok(configuration.clone())
        })
        .await
    }

    async fn change(
        &self,
        change: Change<'_>,
        action: &'static str,
        next: impl Fn(Inheritance<'_>) -> Result<Configuration, ChangeError>,
    ) -> Result<(), ChangeError> {
        let Change { scope, entry, unless_changed_since, actor, now } = change;
        let slug = entry.about.slug;
        for _ in 0..ROUNDS {
            self.refresh().await?;
            let (in_memory, default) = self.read(|state| {
                let inheritance = state.inheritance(scope, slug);
                (inheritance.own.cloned(), inheritance.default.cloned())
            });
            if let Some(Configured { origin: Origin::File(name), .. }) = &in_memory {
                return Err(ChangeError::Provisioned(name.to_string()));
            }
            // An invalid change must not record a new project or group, so it is checked before.
            next(Inheritance { own: in_memory.as_ref(), default: default.as_ref() })?;
            let owner = self.owner(scope, actor, now).await?;
            let row = self.registry().integration(owner, slug).await?;
            let revision = row.as_ref().map(|row| row.revision);
            let updated_at = row.as_ref().map(|row| row.updated_at);
            // The header has a precision of one second.
            if let (Some(updated_at), Some(moment)) = (updated_at, unless_changed_since)
                && updated_at.as_second() > moment.as_second()
            {
                return Err(ChangeError::ChangedSince);
            }
            let own = row.map(|row| Configured::of_row(entry, row));
            let inheritance = Inheritance { own: own.as_ref(), default: default.as_ref() };
            let seen = self.read(Snapshot::revision);
            let configuration = next(inheritance)?;
            let made_from = MadeFrom { revision, rivals: rivals(change, &configuration, seen) };
            let before = own.as_ref().map(|own| &own.configuration);
            let fields = change::differences(before, &configuration);
            if before == Some(&configuration) {
                return Ok(()); // nothing would change
            }
            let audit = AuditEntry {
                at: now,
                who: actor.0.clone(),
                action,
                object: format!("{scope} {slug}"),
                fields,
            };
            match self.registry().put_integration(owner, slug, configuration, made_from, audit).await? {
                Put::Done(_) => return Ok(self.refresh().await?),
                Put::Outdated => {}
            }
        }
        Err(ChangeError::Contended)
    }

    /// The owner of rows of this scope. A project or group that is new is recorded.
    async fn owner(
        &self,
        scope: &ResolvedScope,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<ScopeKey, ChangeError> {
        match scope {
            ResolvedScope::Instance => Ok(ScopeKey::Instance),
            ResolvedScope::Project { id: None, path: Some(path) } => {
                Ok(ScopeKey::Project(self.name_project(path, now).await?))
            }
            ResolvedScope::Project { id, path } => {
                let id = id.unwrap_or_default();
                if self.read(|state| state.directory().project(id).is_none()) {
                    let path = path.clone();
                    self.record_projects(vec![SeenProject { id, path, learned: Learned::default() }], now)
                        .await?;
                }
                Ok(ScopeKey::Project(id))
            }
            ResolvedScope::Group { path, .. } => {
                let known = self.read(|state| state.directory().group_by_path(path).map(|row| row.key));
                let key = match known {
                    Some(key) => key,
                    None => self.put_group(None, path, actor, now).await?.key,
                };
                Ok(ScopeKey::Group(key))
            }
        }
    }

    /// Records a project of which only the path is known, and returns its number, which is provisional.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn name_project(&self, path: &str, now: Timestamp) -> Result<i64, ChangeError> {
        // An event on another node may have made the number known a moment ago.
        if let Some(known) = self.registry().project_by_path(path).await? {
            self.refresh().await?;
            return Ok(known.id);
        }
        let id = provisional_number(path);
        let seen = SeenProject { id, path: Some(path.to_owned()), learned: Learned::default() };
        self.record_projects(vec![seen], now).await?;
        Ok(id)
    }

    /// Moves the configuration of a path to the project's number, which has become known. The number's existing
    /// configuration takes precedence. The move can be repeated, because the provisional row loses the path only at the
    /// end.
    pub(super) async fn adopt(
        &self,
        path: Option<&str>,
        id: i64,
        now: Timestamp,
    ) -> crate::store::Result<()> {
        let provisional = |state: &Snapshot| state.directory().provisional(path?).cloned();
        if id < 1 || self.read(provisional).is_none() {
            return Ok(());
        }
        self.refresh().await?;
        let Some(former) = self.read(provisional) else { return Ok(()) };
        let (rows, mutes) = self.read(|state| {
            let mutes: Vec<Mute> = state.mutes(former.id, now).cloned().collect();
            (state.rows_of(ScopeKey::Project(former.id)), mutes)
        });
        let audit = |action: &'static str, object: String| {
            AuditEntry::whole(now, "the project's first event", action, object)
        };
        for (slug, configuration) in rows {
            let audit = audit("integration.move", format!("project {id} {slug}"));
            let owner = ScopeKey::Project(id);
            let configuration = self.without_rival(id, slug, configuration);
            self.registry().put_integration(owner, slug, configuration, None.into(), audit).await?;
        }
        for mute in mutes {
            let audit = audit("channel.mute", format!("project {id} {} {}", mute.slug, mute.channel));
            self.registry().mute(Mute { project: id, ..mute }, audit).await?;
        }
        if former.corrected != Corrected::default() {
            let Corrected { default_branch, visibility, protected_branches } = former.corrected;
            let correction = ProjectCorrection {
                id,
                path: None,
                default_branch: default_branch.into(),
                visibility: visibility.into(),
                protected_branches: protected_branches.into(),
            };
            self.registry()
                .override_project(correction, audit("project.update", format!("project {id}")))
                .await?;
        }
        // Deliveries of the event with the number find the integrations at the number.
        self.refresh().await
    }

    /// A path's configuration, as it is moved to a project. A second active tracker is switched off, because the
    /// project's own tracker counts.
    fn without_rival(&self, project: i64, slug: &str, moved: Configuration) -> Configuration {
        let scope = ResolvedScope::Project { id: Some(project), path: None };
        let rival = adapters::find(slug)
            .filter(|_| is_own_active(&moved))
            .and_then(|entry| self.read(|state| state.own_rival(&scope, entry)));
        let Some(rival) = rival else { return moved };
        warn!(
            project,
            slug,
            "set for the project's path, and switched off now: the project uses {rival}, and can use one issue tracker"
        );
        moved.switched_off()
    }

    /// Corrects the known facts on a project.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn correct(
        &self,
        correction: ProjectCorrection,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<StoredProject, ChangeError> {
        let ProjectCorrection { id, path, .. } = &correction;
        self.adopt(path.as_deref(), *id, now).await?;
        let before = self.read(|state| state.directory().project(*id).cloned());
        let was = before.as_ref().map(|row| row.corrected.clone()).unwrap_or_default();
        let corrected = correction.over(&was);
        let changed = [
            ("path", path.is_some() && before.as_ref().and_then(|row| row.path.as_ref()) != path.as_ref()),
            ("default_branch", was.default_branch != corrected.default_branch),
            ("visibility", was.visibility != corrected.visibility),
            ("protected_branches", was.protected_branches != corrected.protected_branches),
        ];
        let fields = changed.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned());
        let audit = AuditEntry {
            at: now,
            who: actor.0.clone(),
            action: "project.update",
            object: format!("project {id}"),
            fields: fields.collect(),
        };
        let row = self.registry().override_project(correction, audit).await?;
        self.refresh().await?;
        Ok(row)
    }

    /// Records a group, or its new path.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn put_group(
        &self,
        id: Option<i64>,
        path: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<StoredGroup, ChangeError> {
        let audit = AuditEntry {
            at: now,
            who: actor.0.clone(),
            action: "group.update",
            object: format!("group {path}"),
            fields: vec!["path".to_owned()],
        };
        let row = self.registry().put_group(id, path, audit).await?;
        self.refresh().await?;
        Ok(row)
    }

    /// Writes the times of the files' integrations to the store. A call writes only some of them, so that a start with
    /// many files is not delayed. Returns whether there are more.
    ///
    /// # Errors
    /// The store does not take it. Missing times are written after the next reload or start.
    pub async fn note_files(&self) -> Result<bool, ChangeError> {
        const AT_ONCE: usize = 50;
        let some = self.write(|state| state.take_unnoted(AT_ONCE));
        for unnoted in &some {
            let Unnoted { scope, slug, made_from, at, .. } = unnoted;
            let audit = AuditEntry {
                at: *at,
                who: PROVISIONING.to_owned(),
                action: "integration.provision",
                object: format!("{scope} {slug}"),
                fields: Vec::new(),
            };
            let owner = ScopeKey::File(file_notes::key(scope));
            // If another node wrote the row meanwhile, that row counts.
            let configuration = unnoted.configuration();
            self.registry().put_integration(owner, slug, configuration, (*made_from).into(), audit).await?;
        }
        if !some.is_empty() {
            self.refresh().await?;
        }
        Ok(some.len() == AT_ONCE)
    }

    /// Records the numbers of groups from files.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn note_groups(
        &self,
        groups: Vec<(String, Option<i64>)>,
        now: Timestamp,
    ) -> Result<(), ChangeError> {
        let actor = Actor(PROVISIONING.to_owned());
        for (path, id) in groups.into_iter().filter(|(_, id)| id.is_some()) {
            let known = self.read(|state| state.directory().group_by_path(&path).and_then(|group| group.id));
            if known != id {
                self.put_group(id, &path, &actor, now).await?;
            }
        }
        Ok(())
    }

    /// Mutes a channel for a project until a time; a time in the past ends the mute. To end a mute that does not exist
    /// changes nothing, and leaves no line in the audit log.
    ///
    /// # Errors
    /// The store does not take it.
    pub async fn mute(&self, mute: Mute, actor: &Actor, now: Timestamp) -> Result<(), ChangeError> {
        let ends = mute.until <= now;
        if ends && !self.is_muted(&mute, now).await? {
            return Ok(());
        }
        let audit = AuditEntry {
            at: now,
            who: actor.0.clone(),
            action: if ends { "channel.unmute" } else { "channel.mute" },
            object: format!("project {} {} {}", mute.project, mute.slug, mute.channel),
            fields: vec!["until".to_owned()],
        };
        self.registry().mute(mute, audit).await?;
        Ok(self.refresh().await?)
    }

    /// Whether a mute of this channel has not ended, in the store as it is now.
    async fn is_muted(&self, like: &Mute, now: Timestamp) -> crate::store::Result<bool> {
        self.refresh().await?;
        let is_same = |mute: &Mute| (&mute.slug, &mute.channel) == (&like.slug, &like.channel);
        Ok(self.read(|state| state.mutes(like.project, now).any(is_same)))
    }
}
