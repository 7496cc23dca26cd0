//! The catalog at one moment: everything that is configured, and which settings apply where.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::Catalog;
use super::configured::{Configured, ConfiguredAt, integration_id};
use super::directory::{Directory, ResolvedScope};
use super::file_notes::{FileNotes, Unnoted};
use super::forge::Forge;
use super::paths::{merged, within};
use crate::adapters::{self, Entry, ProjectLinks};
use crate::event::Event;
use crate::integration::{Integration, IntegrationId, ProjectFacts, Scope};
use crate::settings::SmallMap;
use crate::store::registry::{Changes, Configuration, Mute, ScopeKey, StoredIntegration, StoredToken};

/// Everything that is configured, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The newest revision of the store that is included.
    revision: i64,
    files: Files,
    rows: HashMap<ScopeKey, BySlug>,
    directory: Directory,
    pub(super) forge: Forge,
    /// Whether any integration may lead to a tracker or a wiki.
    has_links: bool,
    /// By project.
    mutes: HashMap<i64, Vec<Mute>>,
    tokens: HashMap<[u8; 32], StoredToken>,
    /// The times of the files' integrations.
    file_notes: FileNotes,
    /// The times that are to be written.
    unnoted: Vec<Unnoted>,
}

/// The configuration from files. Paths are keys in lower case, because they are compared without regard to case.
#[derive(Clone, Debug, Default)]
struct Files {
    by_number: HashMap<i64, BySlug>,
    by_path: BTreeMap<String, BySlug>,
    groups: BTreeMap<String, BySlug>,
    instance: BySlug,
}

impl Files {
    fn by_slug_mut(&mut self, scope: &Scope) -> &mut BySlug {
        match scope {
            Scope::ProjectId(id) => self.by_number.entry(*id).or_default(),
            Scope::ProjectPath(path) => self.by_path.entry(path.to_ascii_lowercase()).or_default(),
            Scope::Group(path) => self.groups.entry(path.to_ascii_lowercase()).or_default(),
            Scope::Instance => &mut self.instance,
        }
    }

    fn of_path(&self, path: &str) -> Option<&BySlug> {
        if self.by_path.is_empty() {
            return None; // the ordinary case, without allocating a key
        }
        self.by_path.get(&path.to_ascii_lowercase())
    }

    fn of_group(&self, path: &str) -> Option<&BySlug> {
        if self.groups.is_empty() { None } else { self.groups.get(&path.to_ascii_lowercase()) }
    }

    /// By a scope's canonical name: `42`, `acme/rocket`, `groups/acme`.
    fn at(&self, key: &str) -> Option<&BySlug> {
        match (key.parse(), key.strip_prefix("groups/")) {
            (Ok(id), _) => self.by_number.get(&id),
            (Err(_), Some(group)) => self.groups.get(group),
            (Err(_), None) => self.by_path.get(key),
        }
    }

    fn names(&self, scope: &Scope) -> bool {
        match scope {
            Scope::ProjectId(id) => self.by_number.contains_key(id),
            Scope::ProjectPath(path) => self.of_path(path).is_some(),
            Scope::Group(path) => self.of_group(path).is_some(),
            Scope::Instance => !self.instance.is_empty(),
        }
    }

    /// All of them. Paths are in lower case.
    fn all(&self) -> impl Iterator<Item = (Scope, &BySlug)> {
        let by_number = self.by_number.iter().map(|(id, by_slug)| (Scope::ProjectId(*id), by_slug));
        let by_path = self.by_path.iter().map(|(path, by_slug)| (Scope::ProjectPath(path.clone()), by_slug));
        let groups = self.groups.iter().map(|(path, by_slug)| (Scope::Group(path.clone()), by_slug));
        by_number.chain(by_path).chain(groups).chain([(Scope::Instance, &self.instance)])
    }
}

/// The integrations configured for one scope, by slug.
type BySlug = SmallMap<&'static str, Cached>;

/// An integration as configured, and as it applies to its own scope.
#[derive(Clone, Debug)]
struct Cached {
    configured: Configured,
    /// Built once, because it is looked up for every event. `None` where it inherits its settings, where they are invalid,
    /// and for rows of groups, which may be renamed.
    integration: Option<Arc<Integration>>,
}

/// The configuration of one adapter for a scope, and the default that it inherits or could inherit.
#[derive(Clone, Copy, Debug)]
pub struct Inheritance<'a> {
    pub own: Option<&'a Configured>,
    /// The nearest configuration above that has settings, active or not.
    pub default: Option<&'a Configured>,
}

impl<'a> Inheritance<'a> {
    /// The configuration that applies. An inactive default does not apply to scopes without their own configuration.
    pub fn effective(self) -> Option<&'a Configured> {
        match self.own {
            Some(own) if !own.configuration.inherits => Some(own),
            Some(_) => self.default,
            None => self.default.filter(|default| default.configuration.active),
        }
    }

    /// Whether a default from above applies.
    pub fn is_inherited(self) -> bool {
        self.own.is_none_or(|own| own.configuration.inherits)
    }
}

impl Snapshot {
    /// Replaces the configuration from files, for a reader that does not need its times.
    pub fn set_files(&mut self, integrations: Vec<ConfiguredAt>, facts: Vec<(Scope, ProjectFacts)>) {
        self.set_files_read_at(integrations, facts, Timestamp::UNIX_EPOCH);
    }

    /// Replaces the configuration from files, which were read at this moment.
    pub(super) fn set_files_read_at(
        &mut self,
        integrations: Vec<ConfiguredAt>,
        facts: Vec<(Scope, ProjectFacts)>,
        read_at: Timestamp,
    ) {
        self.directory.set_file_facts(facts);
        self.files = Files::default();
        self.unnoted.clear();
        for ConfiguredAt { scope, mut configured } in integrations {
            let (noted, unnoted) = self.file_notes.note(&scope, &configured, read_at);
            configured.noted = noted;
            self.unnoted.extend(unnoted);
            self.has_links |= configured.entry.link.is_some();
            let integration = configured.integration(&scope).map(Arc::new);
            let by_slug = self.files.by_slug_mut(&scope);
            by_slug.insert(configured.slug(), Cached { configured, integration });
        }
    }

    /// Applies changes of the store. Returns whether any integration may have changed.
    pub fn take_changes(&mut self, changes: Changes) -> bool {
        let Changes { revision, integrations, projects, groups, tokens, mutes } = changes;
        let is_restored = revision < self.revision;
        let is_note = |row: &StoredIntegration| matches!(row.owner, ScopeKey::File(_));
        let mut matters = is_restored || !integrations.iter().all(is_note) || !groups.is_empty();
        if is_restored {
            // The store was restored from a backup, and these changes are its whole content.
            self.rows.clear();
            self.mutes.clear();
            self.tokens.clear();
            self.file_notes.clear();
            self.directory.remove_rows();
        }
        self.revision = revision;
        for project in projects {
            matters |= self.directory.put_project(project);
        }
        for group in groups {
            self.directory.put_group(group);
        }
        for row in integrations {
            if let ScopeKey::File(key) = row.owner {
                self.file_notes.take(key, &row);
                continue;
            }
            // A newer version of Forgebell may have stored an adapter that this version does not have.
            let Some(entry) = adapters::find(&row.slug) else { continue };
            self.has_links |= entry.link.is_some();
            let owner = row.owner;
            let configured = Configured::of_row(entry, row);
            let integration = match owner {
                ScopeKey::Project(id) if id > 0 && !configured.configuration.inherits => {
                    configured.integration(&Scope::ProjectId(id)).map(Arc::new)
                }
                _ => None,
            };
            self.rows.entry(owner).or_default().insert(configured.slug(), Cached { configured, integration });
        }
        for token in tokens {
            self.tokens.insert(token.hash, token);
        }
        for mute in mutes {
            let of_project = self.mutes.entry(mute.project).or_default();
            of_project.retain(|known| (&known.slug, &known.channel) != (&mute.slug, &mute.channel));
            of_project.push(mute);
        }
        matters
    }

    /// Forgets the mutes that ended before this moment. The store forgets them too, and reports no change.
    pub(super) fn forget_mutes(&mut self, before: Timestamp) {
        self.mutes.retain(|_, mutes| {
            mutes.retain(|mute| mute.until >= before);
            !mutes.is_empty()
        });
    }

    /// Up to so many integrations of files that are to be noted in the store. Each is returned once.
    pub(super) fn take_unnoted(&mut self, at_most: usize) -> Vec<Unnoted> {
        self.unnoted.split_off(self.unnoted.len().saturating_sub(at_most))
    }

    /// The newest revision of the store that is included.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(super) fn directory_mut(&mut self) -> &mut Directory {
        &mut self.directory
    }

    /// The token with this hash.
    pub fn token(&self, hash: &[u8; 32]) -> Option<&StoredToken> {
        self.tokens.get(hash)
    }

    /// All tokens, including revoked and expired ones.
    pub fn tokens(&self) -> impl Iterator<Item = &StoredToken> {
        self.tokens.values()
    }

    /// The mutes of a project that have not ended.
    pub fn mutes(&self, project: i64, now: Timestamp) -> impl Iterator<Item = &Mute> {
        self.mutes.get(&project).into_iter().flatten().filter(move |mute| mute.until > now)
    }

    /// The configuration of an adapter for a scope.
    pub fn inheritance(&self, scope: &ResolvedScope, slug: &str) -> Inheritance<'_> {
        Inheritance {
            own: self
                .own(scope)
                .into_iter()
                .flatten()
                .find_map(|by_slug| by_slug.get(slug))
                .map(|cached| &cached.configured),
            default: self
                .defaults(scope)
                .into_iter()
                .filter_map(|by_slug| by_slug.get(slug))
                .map(|cached| &cached.configured)
                .find(|configured| !configured.configuration.inherits),
        }
    }

    /// The integration of an adapter that receives events of this scope.
    pub fn at(&self, scope: &ResolvedScope, slug: &str) -> Option<Arc<Integration>> {
        self.all_at(scope, Entry::takes_events).into_iter().find(|integration| integration.slug == slug)
    }

    /// The id under which an adapter's deliveries for this scope are stored. It contains a project's path if a file names
    /// the project so, even where its number is known.
    pub fn id_at(&self, scope: &ResolvedScope, slug: &str) -> IntegrationId {
        let present = self.at(scope, slug).map(|integration| integration.id.clone());
        present.unwrap_or_else(|| integration_id(&scope.name(), slug))
    }

    /// All ids under which the deliveries of an integration may be stored, given one of them: the given one, the present one,
    /// and those with the project's number and with its path. An integration that a file set by path, and the API by number
    /// later, has deliveries under two of them.
    pub fn ids_of(&self, id: &IntegrationId) -> Vec<IntegrationId> {
        let mut ids = vec![id.clone()];
        let Some((name, slug)) = id.0.rsplit_once(':') else { return ids };
        let scope = self.directory.resolve(&Scope::from_canonical(name));
        ids.push(self.id_at(&scope, slug));
        ids.push(integration_id(&scope.name(), slug));
        if let ResolvedScope::Project { path: Some(path), .. } = &scope {
            ids.push(integration_id(&Scope::ProjectPath(path.clone()), slug));
        }
        let mut seen = HashSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        ids
    }

    /// The configuration of the integration with this id: its own settings, or the default that it follows.
    pub fn configured(&self, id: &IntegrationId) -> Option<&Configured> {
        let (key, slug) = id.0.rsplit_once(':')?;
        self.inheritance(&self.directory.resolve(&Scope::from_canonical(key)), slug).effective()
    }

    /// The configuration in the store.
    pub(super) fn stored(&self, owner: ScopeKey, slug: &str) -> Option<&Configured> {
        Some(&self.rows.get(&owner)?.get(slug)?.configured)
    }

    /// A scope by one of its names, if it has a row or a file names it.
    pub fn known(&self, scope: &Scope) -> Option<ResolvedScope> {
        let resolved = self.directory.resolve(scope);
        let is_known = match &resolved {
            ResolvedScope::Instance => true,
            ResolvedScope::Group { key, .. } => key.is_some() || self.files.names(scope),
            ResolvedScope::Project { id, path } => {
                id.is_some_and(|id| self.directory.project(id).is_some())
                    || self.files.names(scope)
                    || self.directory.file_facts(*id, path.as_deref()).is_some()
            }
        };
        is_known.then_some(resolved)
    }

    /// The configurations of an owner in the store, by slug.
    pub(super) fn rows_of(&self, owner: ScopeKey) -> Vec<(&'static str, Configuration)> {
        let rows = self.rows.get(&owner).into_iter().flatten();
        rows.map(|(slug, cached)| (*slug, cached.configured.configuration.clone())).collect()
    }

    /// Every configuration from a file or the store, with its scope. An export writes these.
    pub fn all_configured(&self) -> Vec<(Scope, &Configured)> {
        let of_row = |owner: &ScopeKey| match owner {
            ScopeKey::Instance => Some(Scope::Instance),
            ScopeKey::Project(id) if *id > 0 => Some(Scope::ProjectId(*id)),
            // A row whose configuration was moved to the project's number has no path any more.
            ScopeKey::Project(id) => self.directory.project(*id)?.path.clone().map(Scope::ProjectPath),
            ScopeKey::Group(key) => self.directory.group(*key)?.path.clone().map(Scope::Group),
            ScopeKey::File(_) => None,
        };
        let rows = self.rows.iter().filter_map(|(owner, by_slug)| Some((of_row(owner)?, by_slug)));
        let all = rows.chain(self.files.all());
        let mut all: Vec<_> = all
            .flat_map(|(scope, by_slug)| {
                by_slug.values().map(move |cached| (scope.clone(), &cached.configured))
            })
            .collect();
        all.sort_by_key(|(scope, configured)| (scope.canonical(), configured.slug()));
        all
    }

    /// The number of configured integrations.
    pub fn len(&self) -> usize {
        let files = self.files.all().map(|(_, by_slug)| by_slug);
        files.chain(self.rows.values()).map(SmallMap::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The scopes that have configurations.
    pub fn scopes(&self) -> Vec<Scope> {
        let mut scopes: Vec<_> = self.all_configured().into_iter().map(|(scope, _)| scope).collect();
        scopes.dedup();
        scopes
    }

    /// The known projects and groups at and below this path, ordered by path. The work is that of the scopes that are
    /// taken.
    pub fn scopes_within(&self, path: &str) -> impl Iterator<Item = ResolvedScope> + use<'_> {
        self.scopes_with_path(Some(path))
    }

    /// Everything that is known: the instance where it has defaults, projects and groups ordered by path, and projects
    /// without a known path.
    pub fn all_scopes(&self) -> impl Iterator<Item = ResolvedScope> + use<'_> {
        let has_defaults = self.rows.contains_key(&ScopeKey::Instance) || !self.files.instance.is_empty();
        let of_files = self.files.by_number.keys().filter(|id| self.directory.project(**id).is_none());
        let pathless = self.directory.pathless().map(|project| project.id).chain(of_files.copied());
        has_defaults
            .then_some(ResolvedScope::Instance)
            .into_iter()
            .chain(self.scopes_with_path(None))
            .chain(pathless.map(|id| ResolvedScope::Project { id: Some(id), path: None }))
    }

    fn scopes_with_path(&self, path: Option<&str>) -> impl Iterator<Item = ResolvedScope> + use<'_> {
        let projects = merged(self.directory.project_paths(path), within(&self.files.by_path, path));
        let groups = merged(self.directory.group_paths(path), within(&self.files.groups, path));
        merged(projects, groups).flat_map(move |path| {
            let named = [Scope::Group(path.to_owned()), Scope::ProjectPath(path.to_owned())];
            named.into_iter().filter_map(|scope| self.known(&scope))
        })
    }

    /// Whether a scope has a configuration of its own.
    pub fn has_own(&self, scope: &ResolvedScope) -> bool {
        self.own(scope).into_iter().flatten().any(|by_slug| !by_slug.is_empty())
    }

    /// The adapters that are configured for a scope, or that it could inherit.
    pub fn slugs_at(&self, scope: &ResolvedScope) -> BTreeSet<&'static str> {
        let own = self.own(scope).into_iter().flatten().flat_map(|by_slug| by_slug.iter());
        let defaults = self.defaults(scope).into_iter().flat_map(|by_slug| by_slug.iter());
        let inheritable = defaults.filter(|(_, cached)| cached.has_settings());
        own.chain(inheritable).map(|(slug, _)| *slug).collect()
    }

    /// A scope's own integrations. Those from files count before those in the store. A project may be named by number in
    /// one file and by path in another.
    fn own(&self, scope: &ResolvedScope) -> [Option<&BySlug>; 3] {
        let files = &self.files;
        let (by_number, by_path) = match scope {
            ResolvedScope::Project { id, path } => (
                id.and_then(|id| files.by_number.get(&id)),
                path.as_ref().and_then(|path| files.of_path(path)),
            ),
            ResolvedScope::Group { path, .. } => (None, files.of_group(path)),
            ResolvedScope::Instance => (None, Some(&files.instance)),
        };
        let stored = self.key(scope).and_then(|key| self.rows.get(&key));
        let mut own = [by_number, None, None];
        own[BY_PATH] = by_path;
        own[STORED] = stored;
        own
    }

    /// The defaults above a scope, the nearest first.
    fn defaults(&self, scope: &ResolvedScope) -> Vec<&BySlug> {
        if *scope == ResolvedScope::Instance {
            return Vec::new();
        }
        let mut defaults = Vec::new();
        if self.directory.has_groups() || !self.files.groups.is_empty() {
            for path in scope.ancestors() {
                defaults.extend(self.files.of_group(path));
                let row = self.directory.group_by_path(path).map(|group| ScopeKey::Group(group.key));
                defaults.extend(row.and_then(|owner| self.rows.get(&owner)));
            }
        }
        defaults.extend(Some(&self.files.instance).filter(|by_slug| !by_slug.is_empty()));
        defaults.extend(self.rows.get(&ScopeKey::Instance));
        defaults
    }

    fn key(&self, scope: &ResolvedScope) -> Option<ScopeKey> {
        match scope {
            ResolvedScope::Group { key: None, path } => {
                self.directory.group_by_path(path).map(|group| ScopeKey::Group(group.key))
            }
            // An event of a project with only a known path: the project's first event, or one whose number can't be
            // trusted.
            ResolvedScope::Project { id, path: Some(path) }
                if id.is_none_or(|id| self.directory.project(id).is_none()) =>
            {
                let provisional = self.directory.provisional(path).map(|project| project.id);
                provisional.or(*id).map(ScopeKey::Project)
            }
            other => other.key(),
        }
    }

    /// The tracker and the wiki of a scope.
    pub fn links_at(&self, scope: &ResolvedScope) -> ProjectLinks {
        if !self.has_links {
            return ProjectLinks::default(); // the ordinary case, asked for every message
        }
        let linked = self.all_at(scope, |entry| entry.link.is_some());
        ProjectLinks::of(linked.iter().map(|integration| &**integration))
    }

    /// The integrations of a scope whose adapters pass `is_such`: its own first, then the defaults that apply to it.
    fn all_at(&self, scope: &ResolvedScope, is_such: impl Fn(&Entry) -> bool) -> Vec<Arc<Integration>> {
        let own = self.own(scope);
        let is_in = |slug: &str, sources: &[Option<&BySlug>]| {
            sources.iter().flatten().any(|by_slug| by_slug.contains_key(slug))
        };
        let mut found = Vec::new();
        for (source, by_slug) in own.iter().enumerate() {
            for (slug, cached) in by_slug.iter().flat_map(|by_slug| by_slug.iter()) {
                let is_overridden = source == STORED && is_in(slug, &own[..STORED]);
                if is_such(cached.configured.entry) && !is_overridden {
                    found.extend(self.own_integration(scope, source, cached));
                }
            }
        }
        let defaults = self.defaults(scope);
        for (distance, by_slug) in defaults.iter().enumerate() {
            for (slug, cached) in *by_slug {
                let is_default = |nearer: &&BySlug| nearer.get(slug).is_some_and(Cached::has_settings);
                if is_such(cached.configured.entry)
                    && cached.has_settings()
                    && cached.configured.is_active()
                    && !is_in(slug, &own)
                    && !defaults[..distance].iter().any(is_default)
                {
                    found.extend(cached.configured.integration(&scope.name()).map(Arc::new));
                }
            }
        }
        found
    }

    /// The integration of a scope's own configuration, which may inherit its settings.
    fn own_integration(
        &self,
        scope: &ResolvedScope,
        source: usize,
        cached: &Cached,
    ) -> Option<Arc<Integration>> {
        if let Some(integration) = &cached.integration {
            return Some(Arc::clone(integration));
        }
        let configured = if cached.has_settings() {
            &cached.configured
        } else {
            self.inheritance(scope, cached.configured.slug()).default?
        };
        let name = match (source, scope) {
            (BY_PATH, ResolvedScope::Project { path: Some(path), .. }) => Scope::ProjectPath(path.clone()),
            _ => scope.name(),
        };
        configured.integration(&name).map(Arc::new)
    }
}

/// Positions in [`Snapshot::own`]; position 0 is files that name a project by its number.
const BY_PATH: usize = 1;
const STORED: usize = 2;

impl Cached {
    /// Whether it has settings that others can inherit.
    fn has_settings(&self) -> bool {
        !self.configured.configuration.inherits
    }
}

impl Catalog for Snapshot {
    fn unusable(&self, id: &IntegrationId) -> Option<String> {
        let configured = self.configured(id)?;
        let errors = configured.unusable()?;
        Some(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    fn concerned(&self, event: &Event) -> Vec<Arc<Integration>> {
        ResolvedScope::of_event(event)
            .map(|scope| self.all_at(&scope, Entry::takes_events))
            .unwrap_or_default()
    }

    fn integration(&self, id: &IntegrationId) -> Option<Arc<Integration>> {
        let (key, slug) = id.0.rsplit_once(':')?;
        // The ordinary case with files, without allocating a name.
        if let Some(integration) =
            self.files.at(key).and_then(|by_slug| by_slug.get(slug)?.integration.as_ref())
        {
            return Some(Arc::clone(integration));
        }
        let scope = Scope::from_canonical(key);
        if scope == Scope::Instance {
            return None; // a default receives no events itself
        }
        let resolved = self.directory.resolve(&scope);
        let own = self.own(&resolved).into_iter().flatten().find_map(|by_slug| by_slug.get(slug));
        let cached = own.and_then(|cached| cached.integration.clone()).filter(|cached| cached.id == *id);
        cached.or_else(|| self.inheritance(&resolved, slug).effective()?.integration(&scope).map(Arc::new))
    }

    fn links(&self, event: &Event) -> ProjectLinks {
        ResolvedScope::of_event(event).map(|scope| self.links_at(&scope)).unwrap_or_default()
    }

    fn located(&self, event: Event) -> Event {
        match event.guessed_project().and_then(|project| self.path_of_guessed(project)) {
            Some(path) => event.with_path(&path),
            None => event,
        }
    }

    fn facts(&self, event: &Event) -> ProjectFacts {
        self.directory.facts(event)
    }

    fn muted(&self, event: &Event, integration: &Integration, target: &str, now: Timestamp) -> Option<Mute> {
        if self.mutes.is_empty() {
            return None; // the ordinary case
        }
        let channel = Mute::channel_of(target);
        let mut mutes = self.mutes(event.project.as_ref()?.id, now);
        // The name of an address's default channel is unknown, so it may be the muted one.
        let names = |muted: &str| integration.channels.all().any(|name| Mute::channel_of(name) == muted);
        let is_muted = |mute: &&Mute| mute.channel == channel || channel.is_empty() && !names(&mute.channel);
        mutes.find(|mute| mute.slug == integration.slug && is_muted(mute)).cloned()
    }
}
