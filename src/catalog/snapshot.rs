//! The catalogue at one moment: everything that is configured, and what holds where.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::Catalog;
use super::configured::{Configured, ConfiguredAt, integration_id};
use super::directory::{Directory, ResolvedScope};
use crate::adapters;
use crate::event::Event;
use crate::integration::{Integration, IntegrationId, ProjectFacts, Scope};
use crate::store::registry::{Changes, Mute, ScopeKey, StoredToken};

/// Everything that is configured, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What of the store it knows.
    revision: i64,
    files: Files,
    rows: HashMap<ScopeKey, Shelf>,
    directory: Directory,
    /// By project.
    mutes: HashMap<i64, Vec<Mute>>,
    tokens: HashMap<[u8; 32], StoredToken>,
}

/// What files say. Paths are keys in lower case: they are compared without regard to case.
#[derive(Clone, Debug, Default)]
struct Files {
    by_number: HashMap<i64, Shelf>,
    by_path: HashMap<String, Shelf>,
    groups: HashMap<String, Shelf>,
    instance: Shelf,
}

impl Files {
    fn shelf(&mut self, scope: &Scope) -> &mut Shelf {
        match scope {
            Scope::ProjectId(id) => self.by_number.entry(*id).or_default(),
            Scope::ProjectPath(path) => self.by_path.entry(path.to_ascii_lowercase()).or_default(),
            Scope::Group(path) => self.groups.entry(path.to_ascii_lowercase()).or_default(),
            Scope::Instance => &mut self.instance,
        }
    }

    fn of_path(&self, path: &str) -> Option<&Shelf> {
        if self.by_path.is_empty() {
            return None; // no key need be made to look it up
        }
        self.by_path.get(&path.to_ascii_lowercase())
    }

    fn of_group(&self, path: &str) -> Option<&Shelf> {
        if self.groups.is_empty() { None } else { self.groups.get(&path.to_ascii_lowercase()) }
    }

    /// By the scope's key: `42`, `acme/rocket`, `groups/acme`.
    fn at(&self, key: &str) -> Option<&Shelf> {
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

    /// All of them. Paths come in lower case.
    fn shelves(&self) -> impl Iterator<Item = (Scope, &Shelf)> {
        let by_number = self.by_number.iter().map(|(id, shelf)| (Scope::ProjectId(*id), shelf));
        let by_path = self.by_path.iter().map(|(path, shelf)| (Scope::ProjectPath(path.clone()), shelf));
        let groups = self.groups.iter().map(|(path, shelf)| (Scope::Group(path.clone()), shelf));
        by_number.chain(by_path).chain(groups).chain([(Scope::Instance, &self.instance)])
    }
}

/// The setups of one scope, by slug.
type Shelf = BTreeMap<&'static str, Held>;

/// A setup, and the integration that it makes where it stands.
#[derive(Clone, Debug)]
struct Held {
    configured: Configured,
    /// Made once, for what is asked for with every event; `None` where it only follows a default, can't be read, or
    /// stands in a group, which may be renamed.
    integration: Option<Arc<Integration>>,
}

/// What holds at a scope for one adapter: its own setup, and the default that it follows or would follow.
#[derive(Clone, Copy, Debug)]
pub struct Inheritance<'a> {
    pub own: Option<&'a Configured>,
    /// The nearest one above that has settings of its own, active or not.
    pub default: Option<&'a Configured>,
}

impl<'a> Inheritance<'a> {
    /// What counts. A default that is switched off says nothing to those who have no setup of their own.
    pub fn effective(self) -> Option<&'a Configured> {
        match self.own {
            Some(own) if !own.configuration.inherits => Some(own),
            Some(_) => self.default,
            None => self.default.filter(|default| default.configuration.active),
        }
    }

    /// Whether what counts is a default from above.
    pub fn is_inherited(self) -> bool {
        self.own.is_none_or(|own| own.configuration.inherits)
    }
}

impl Snapshot {
    /// What files say, in place of what they said before.
    pub fn set_files(&mut self, placed: Vec<ConfiguredAt>, facts: Vec<(Scope, ProjectFacts)>) {
        self.directory.tell(facts);
        self.files = Files::default();
        for placed in placed {
            let integration = placed.integration().map(Arc::new);
            let shelf = self.files.shelf(&placed.scope);
            shelf.insert(placed.configured.slug(), Held { configured: placed.configured, integration });
        }
    }

    /// What changed in the store; whether any integration may be another now.
    pub fn take_changes(&mut self, changes: Changes) -> bool {
        let Changes { revision, integrations, projects, groups, tokens, mutes } = changes;
        let put_back = revision < self.revision;
        let mut matters = put_back || !integrations.is_empty() || !groups.is_empty();
        if put_back {
            // The store was put back to an older state, and these changes are all that there is.
            self.rows.clear();
            self.mutes.clear();
            self.tokens.clear();
            self.directory.forget_rows();
        }
        self.revision = revision;
        for project in projects {
            matters |= self.directory.put_project(project);
        }
        for group in groups {
            self.directory.put_group(group);
        }
        for row in integrations {
            // A later version of us may have had an adapter that we don't know.
            let Some(entry) = adapters::find(&row.slug) else { continue };
            let owner = row.owner;
            let configured = Configured::of_row(entry, row);
            let integration = match owner {
                ScopeKey::Project(id) if !configured.configuration.inherits => {
                    let scope = Scope::ProjectId(id);
                    ConfiguredAt { scope, configured: configured.clone() }.integration().map(Arc::new)
                }
                _ => None,
            };
            self.rows.entry(owner).or_default().insert(configured.slug(), Held { configured, integration });
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

    /// What of the store this knows.
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

    /// Every token that there ever was.
    pub fn tokens(&self) -> impl Iterator<Item = &StoredToken> {
        self.tokens.values()
    }

    /// The mutes of a project that are not over.
    pub fn mutes(&self, project: i64, now: Timestamp) -> impl Iterator<Item = &Mute> {
        self.mutes.get(&project).into_iter().flatten().filter(move |mute| mute.until > now)
    }

    /// What holds at a scope for an adapter.
    pub fn inheritance(&self, scope: &ResolvedScope, slug: &str) -> Inheritance<'_> {
        Inheritance {
            own: self
                .own_shelves(scope)
                .into_iter()
                .flatten()
                .find_map(|(_, shelf)| shelf.get(slug))
                .map(|held| &held.configured),
            default: self
                .default_shelves(scope)
                .into_iter()
                .filter_map(|shelf| shelf.get(slug))
                .map(|held| &held.configured)
                .find(|configured| !configured.configuration.inherits),
        }
    }

    /// The integration that events of this scope meet, for an adapter.
    pub fn at(&self, scope: &ResolvedScope, slug: &str) -> Option<Arc<Integration>> {
        self.all_at(scope).into_iter().find(|integration| integration.slug == slug)
    }

    /// The name under which an adapter's deliveries for this scope are kept: a file may call a project by its path where
    /// its number is known too.
    pub fn id_at(&self, scope: &ResolvedScope, slug: &str) -> IntegrationId {
        let present = self.at(scope, slug).map(|integration| integration.id.clone());
        present.unwrap_or_else(|| integration_id(&scope.name(), slug))
    }

    /// The setup in the store of this owner.
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
                    || self.directory.told(*id, path.as_deref()).is_some()
            }
        };
        is_known.then_some(resolved)
    }

    /// Every setup from a file or the store, with the scope that it stands at: what an export writes.
    pub fn all_configured(&self) -> Vec<(Scope, &Configured)> {
        let of_row = |owner: &ScopeKey| match owner {
            ScopeKey::Instance => Some(Scope::Instance),
            ScopeKey::Project(id) => Some(Scope::ProjectId(*id)),
            ScopeKey::Group(key) => self.directory.group(*key)?.path.clone().map(Scope::Group),
        };
        let rows = self.rows.iter().filter_map(|(owner, shelf)| Some((of_row(owner)?, shelf)));
        let all = rows.chain(self.files.shelves());
        let mut all: Vec<_> = all
            .flat_map(|(scope, shelf)| shelf.values().map(move |held| (scope.clone(), &held.configured)))
            .collect();
        all.sort_by_key(|(scope, configured)| (scope.canonical(), configured.slug()));
        all
    }

    /// The number of configured integrations.
    pub fn len(&self) -> usize {
        let files = self.files.shelves().map(|(_, shelf)| shelf);
        files.chain(self.rows.values()).map(BTreeMap::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where setups stand.
    pub fn scopes(&self) -> Vec<Scope> {
        let mut scopes: Vec<_> = self.all_configured().into_iter().map(|(scope, _)| scope).collect();
        scopes.dedup();
        scopes
    }

    /// A scope's own setups: those from files go before those from the store, which come last. A project may be named by
    /// number in one file and by path in another.
    fn own_shelves(&self, scope: &ResolvedScope) -> [Option<(Named, &Shelf)>; 3] {
        let files = &self.files;
        let (by_number, by_path) = match scope {
            ResolvedScope::Project { id, path } => (
                id.and_then(|id| files.by_number.get(&id)),
                path.as_ref().and_then(|path| files.of_path(path)),
            ),
            ResolvedScope::Group { path, .. } => (None, files.of_group(path)),
            ResolvedScope::Instance => (None, Some(&files.instance)),
        };
        let row = self.owner(scope).and_then(|owner| self.rows.get(&owner));
        let named = |named, shelf: Option<_>| shelf.map(|shelf| (named, shelf));
        [named(Named::Best, by_number), named(Named::ByPath, by_path), named(Named::Best, row)]
    }

    /// The defaults above a scope, the nearest first.
    fn default_shelves(&self, scope: &ResolvedScope) -> Vec<&Shelf> {
        if *scope == ResolvedScope::Instance {
            return Vec::new();
        }
        let mut shelves = Vec::new();
        if self.directory.has_groups() || !self.files.groups.is_empty() {
            for path in scope.ancestors() {
                shelves.extend(self.files.of_group(path));
                let row = self.directory.group_by_path(path).map(|group| ScopeKey::Group(group.key));
                shelves.extend(row.and_then(|owner| self.rows.get(&owner)));
            }
        }
        shelves.extend(Some(&self.files.instance).filter(|shelf| !shelf.is_empty()));
        shelves.extend(self.rows.get(&ScopeKey::Instance));
        shelves
    }

    fn owner(&self, scope: &ResolvedScope) -> Option<ScopeKey> {
        match scope {
            ResolvedScope::Group { key: None, path } => {
                self.directory.group_by_path(path).map(|group| ScopeKey::Group(group.key))
            }
            other => other.key(),
        }
    }

    /// The integrations that hold at a scope, its own first.
    fn all_at(&self, scope: &ResolvedScope) -> Vec<Arc<Integration>> {
        let mut found = Vec::new();
        let own = self.own_shelves(scope);
        let is_own = |slug: &str, before: usize| {
            own[..before].iter().flatten().any(|(_, shelf)| shelf.contains_key(slug))
        };
        for (at, (named, shelf)) in own.iter().enumerate().filter_map(|(at, own)| Some((at, (*own)?))) {
            // A file's word goes before the API's.
            let is_row = at + 1 == own.len();
            let heard = shelf.iter().filter(|(slug, held)| hears(held) && !(is_row && is_own(slug, at)));
            found.extend(heard.filter_map(|(_, held)| self.made(scope, named, held)));
        }
        let defaults = self.default_shelves(scope);
        for (at, shelf) in defaults.iter().enumerate() {
            let is_nearer = |slug: &str| defaults[..at].iter().any(|nearer| is_default(nearer, slug));
            let counts = |slug: &str| is_default(shelf, slug) && !is_own(slug, own.len()) && !is_nearer(slug);
            let heard = shelf.iter().filter(|(slug, held)| hears(held) && counts(slug));
            let active = heard.filter(|(_, held)| held.configured.is_active());
            found.extend(
                active.filter_map(|(_, held)| inherited(&held.configured, &scope.name()).map(Arc::new)),
            );
        }
        found
    }

    /// The integration that a scope's own setup makes, by itself or by the default that it follows.
    fn made(&self, scope: &ResolvedScope, named: Named, held: &Held) -> Option<Arc<Integration>> {
        if let Some(integration) = &held.integration {
            return Some(Arc::clone(integration));
        }
        let configured = if held.configured.configuration.inherits {
            self.inheritance(scope, held.configured.slug()).default?
        } else {
            &held.configured
        };
        let scope = match (named, scope) {
            (Named::ByPath, ResolvedScope::Project { path: Some(path), .. }) => {
                Scope::ProjectPath(path.clone())
            }
            _ => scope.name(),
        };
        inherited(configured, &scope).map(Arc::new)
    }
}

/// Which name of a project its integration was set with.
#[derive(Clone, Copy)]
enum Named {
    /// Its id, or the best known name of the scope.
    Best,
    ByPath,
}

/// Some only answer what people type.
fn hears(held: &Held) -> bool {
    held.configured.entry.can_deliver()
}

/// Whether there are settings here for those below; one that follows has none.
fn is_default(shelf: &Shelf, slug: &str) -> bool {
    shelf.get(slug).is_some_and(|held| !held.configured.configuration.inherits)
}

/// A setup that stands somewhere else, as it holds here.
fn inherited(configured: &Configured, scope: &Scope) -> Option<Integration> {
    let resolved = configured.resolved.as_ref().ok()?;
    Some(resolved.integration(
        integration_id(scope, configured.slug()),
        scope.clone(),
        configured.origin.name(),
    ))
}

/// The scope that has this key.
fn scope_of(key: &str) -> Scope {
    if key == "instance" {
        return Scope::Instance;
    }
    match (key.strip_prefix("groups/"), key.parse()) {
        (Some(path), _) => Scope::Group(path.to_owned()),
        (None, Ok(id)) => Scope::ProjectId(id),
        (None, Err(_)) => Scope::ProjectPath(key.to_owned()),
    }
}

impl Catalog for Snapshot {
    fn concerned(&self, event: &Event) -> Vec<Arc<Integration>> {
        ResolvedScope::of_event(event).map(|scope| self.all_at(&scope)).unwrap_or_default()
    }

    fn integration(&self, id: &IntegrationId) -> Option<Arc<Integration>> {
        let (key, slug) = id.0.rsplit_once(':')?;
        // The ordinary case where files say who is told: their own words, found without any name being made.
        if let Some(made) = self.files.at(key).and_then(|shelf| shelf.get(slug)?.integration.as_ref()) {
            return Some(Arc::clone(made));
        }
        let scope = scope_of(key);
        if scope == Scope::Instance {
            return None; // it hears of nothing itself
        }
        let resolved = self.directory.resolve(&scope);
        let own = self.own_shelves(&resolved).into_iter().flatten().find_map(|(_, shelf)| shelf.get(slug));
        let made = own.and_then(|held| held.integration.clone()).filter(|made| made.id == *id);
        made.or_else(|| inherited(self.inheritance(&resolved, slug).effective()?, &scope).map(Arc::new))
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
        // An address's own channel has no name that we know: it may be the one.
        let hears = |mute: &&Mute| channel.is_empty() || mute.channel == channel;
        mutes.find(|mute| mute.slug == integration.slug && hears(mute)).cloned()
    }
}
