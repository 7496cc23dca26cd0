//! The catalogue at one moment: everything that is configured, and what holds where.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::directory::{Directory, GroupName, Place};
use super::setup::{Origin, Placed, Setup, integration_id};
use super::{Catalog, ProjectName};
use crate::adapters;
use crate::event::Event;
use crate::integration::{Integration, IntegrationId, ProjectFacts, ProjectRef, Scope};
use crate::store::registry::{Changes, Mute, Owner, StoredToken};

/// Everything that is configured, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What of the store it knows.
    revision: i64,
    /// By the scope's key: `42`, `acme/rocket`, `groups/acme`, `instance`.
    files: HashMap<String, Shelf>,
    rows: HashMap<Owner, Shelf>,
    directory: Directory,
    /// By project.
    mutes: HashMap<i64, Vec<Mute>>,
    tokens: HashMap<[u8; 32], StoredToken>,
}

/// The setups of one place, by slug.
type Shelf = BTreeMap<&'static str, Held>;

/// A setup, and the integration that it makes where it stands.
#[derive(Clone, Debug)]
struct Held {
    setup: Setup,
    /// Made once, for what is asked for with every event; `None` where it only follows a default, can't be read, or
    /// stands in a group, which may be renamed.
    integration: Option<Arc<Integration>>,
}

/// What holds at a place for one adapter: its own setup, and the default that it follows or would follow.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    pub own: Option<&'a Setup>,
    /// The nearest one above that has settings of its own, active or not.
    pub default: Option<&'a Setup>,
}

impl<'a> Standing<'a> {
    /// What counts. A default that is switched off says nothing to those who have no setup of their own.
    pub fn effective(self) -> Option<&'a Setup> {
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
    pub fn take_files(&mut self, placed: Vec<Placed>, facts: Vec<(ProjectRef, ProjectFacts)>) {
        self.directory.tell(facts);
        self.files.clear();
        for placed in placed {
            let integration = placed.integration().map(Arc::new);
            let shelf = self.files.entry(placed.scope.key()).or_default();
            shelf.insert(placed.setup.slug(), Held { setup: placed.setup, integration });
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
            let setup = Setup::of_row(entry, row);
            let integration = match owner {
                Owner::Project(id) if !setup.configuration.inherits => {
                    let scope = Scope::Project(ProjectRef::Id(id));
                    Placed { scope, setup: setup.clone() }.integration().map(Arc::new)
                }
                _ => None,
            };
            self.rows.entry(owner).or_default().insert(setup.slug(), Held { setup, integration });
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

    /// What holds at a place for an adapter.
    pub fn standing(&self, place: &Place, slug: &str) -> Standing<'_> {
        Standing {
            own: self.own_shelves(place).find_map(|(_, shelf)| shelf.get(slug)).map(|held| &held.setup),
            default: self
                .default_shelves(place)
                .into_iter()
                .filter_map(|shelf| shelf.get(slug))
                .map(|held| &held.setup)
                .find(|setup| !setup.configuration.inherits),
        }
    }

    /// The integration that events of this place meet, for an adapter.
    pub fn at(&self, place: &Place, slug: &str) -> Option<Arc<Integration>> {
        self.all_at(place).into_iter().find(|integration| integration.slug == slug)
    }

    /// The place by one of a project's or a group's names, if anything is known of it: a row, or a file that names it.
    pub fn place(&self, scope: &Scope) -> Option<Place> {
        match scope {
            Scope::Instance => Some(Place::Instance),
            Scope::Project(project) => {
                let named = self.directory.named(project);
                let known = named.id.is_some_and(|id| self.directory.project(id).is_some())
                    || self.files.contains_key(&scope.key())
                    || self.directory.told(&named).is_some();
                known.then_some(Place::Project(named))
            }
            Scope::Group(path) => {
                let row = self.directory.group_by_path(path);
                let known = row.is_some() || self.files.contains_key(&scope.key());
                let path = row.map_or_else(|| path.clone(), |row| row.path.clone().unwrap_or_default());
                known.then(|| Place::Group(GroupName { key: row.map(|row| row.key), path }))
            }
        }
    }

    /// Every setup from a file or the store, with the place that it stands at: what an export writes.
    pub fn setups(&self) -> Vec<(Scope, &Setup)> {
        let of_row = |owner: &Owner| match owner {
            Owner::Instance => Some(Scope::Instance),
            Owner::Project(id) => Some(Scope::Project(ProjectRef::Id(*id))),
            Owner::Group(key) => self.directory.group(*key)?.path.clone().map(Scope::Group),
        };
        let rows = self.rows.iter().filter_map(|(owner, shelf)| Some((of_row(owner)?, shelf)));
        let files = self.files.iter().map(|(key, shelf)| (scope_of(key), shelf));
        let all = rows.chain(files);
        let mut all: Vec<_> = all
            .flat_map(|(scope, shelf)| shelf.values().map(move |held| (scope.clone(), &held.setup)))
            .collect();
        all.sort_by_key(|(scope, setup)| (scope.key(), setup.slug()));
        all
    }

    /// How many integrations somebody configured.
    pub fn len(&self) -> usize {
        self.files.values().chain(self.rows.values()).map(BTreeMap::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where setups stand.
    pub fn scopes(&self) -> Vec<Scope> {
        let mut scopes: Vec<_> = self.setups().into_iter().map(|(scope, _)| scope).collect();
        scopes.dedup();
        scopes
    }

    /// A place's own setups: those from files go before those from the store. A project may be named by number in one
    /// file and by path in another.
    fn own_shelves(&self, place: &Place) -> impl Iterator<Item = (Named, &Shelf)> {
        let (by_number, by_path) = match place {
            _ if self.files.is_empty() => (None, None), // no key need be made to look it up
            Place::Project(ProjectName { id, path }) => {
                let by_number = id.and_then(|id| self.files.get(&id.to_string()));
                (by_number, path.as_ref().and_then(|path| self.files.get(&path.to_ascii_lowercase())))
            }
            other => (None, self.files.get(&other.scope().key())),
        };
        let row = self.owner(place).and_then(|owner| self.rows.get(&owner));
        let shelves = [(Named::Best, by_number), (Named::ByPath, by_path), (Named::Best, row)];
        shelves.into_iter().filter_map(|(named, shelf)| Some((named, shelf?)))
    }

    /// The defaults above a place, the nearest first.
    fn default_shelves(&self, place: &Place) -> Vec<&Shelf> {
        if *place == Place::Instance {
            return Vec::new();
        }
        let mut shelves = Vec::new();
        if self.directory.has_groups() || !self.files.is_empty() {
            for path in place.ancestors() {
                let file = || self.files.get(&Scope::Group(path.to_owned()).key());
                shelves.extend(if self.files.is_empty() { None } else { file() });
                let row = self.directory.group_by_path(path).map(|group| Owner::Group(group.key));
                shelves.extend(row.and_then(|owner| self.rows.get(&owner)));
            }
        }
        shelves.extend(self.files.get(INSTANCE));
        shelves.extend(self.rows.get(&Owner::Instance));
        shelves
    }

    fn owner(&self, place: &Place) -> Option<Owner> {
        match place {
            Place::Group(GroupName { key: None, path }) => {
                self.directory.group_by_path(path).map(|group| Owner::Group(group.key))
            }
            other => other.owner(),
        }
    }

    /// The integrations that hold at a place, its own first.
    fn all_at(&self, place: &Place) -> Vec<Arc<Integration>> {
        let mut found = Vec::new();
        let mut settled: Vec<&str> = Vec::new();
        for (named, shelf) in self.own_shelves(place) {
            for (slug, held) in shelf.iter().filter(|(_, held)| hears_of_events(held)) {
                // A file's word goes before the API's.
                let is_file = matches!(held.setup.origin, Origin::File(_));
                if is_file || !settled.contains(slug) {
                    found.extend(self.made(place, named, held));
                }
                settled.push(slug);
            }
        }
        for shelf in self.default_shelves(place) {
            let defaults = shelf.iter().filter(|(_, held)| !held.setup.configuration.inherits);
            for (slug, held) in defaults.filter(|(_, held)| hears_of_events(held)) {
                if !settled.contains(slug) && held.setup.is_active() {
                    found.extend(inherited(&held.setup, &place.scope()).map(Arc::new));
                }
                settled.push(slug);
            }
        }
        found
    }

    /// The integration that a place's own setup makes, by itself or by the default that it follows.
    fn made(&self, place: &Place, named: Named, held: &Held) -> Option<Arc<Integration>> {
        if let Some(integration) = &held.integration {
            return Some(Arc::clone(integration));
        }
        let setup = if held.setup.configuration.inherits {
            self.standing(place, held.setup.slug()).default?
        } else {
            &held.setup
        };
        let scope = match (named, place) {
            (Named::ByPath, Place::Project(ProjectName { path: Some(path), .. })) => {
                Scope::Project(ProjectRef::Path(path.clone()))
            }
            _ => place.scope(),
        };
        inherited(setup, &scope).map(Arc::new)
    }
}

/// By which of its names somebody set a project's integration.
#[derive(Clone, Copy)]
enum Named {
    /// Its number, or whatever is the place's best name.
    Best,
    ByPath,
}

/// The instance's key among files.
const INSTANCE: &str = "instance";

/// Some only answer what people type.
fn hears_of_events(held: &Held) -> bool {
    held.setup.entry.tells()
}

/// A setup that stands somewhere else, as it holds here.
fn inherited(setup: &Setup, scope: &Scope) -> Option<Integration> {
    let terms = setup.terms.as_ref().ok()?;
    Some(terms.integration(integration_id(scope, setup.slug()), scope.clone(), setup.origin.word()))
}

/// The scope that has this key.
fn scope_of(key: &str) -> Scope {
    if key == INSTANCE {
        return Scope::Instance;
    }
    match (key.strip_prefix("groups/"), key.parse()) {
        (Some(path), _) => Scope::Group(path.to_owned()),
        (None, Ok(id)) => Scope::Project(ProjectRef::Id(id)),
        (None, Err(_)) => Scope::Project(ProjectRef::Path(key.to_owned())),
    }
}

impl Catalog for Snapshot {
    fn concerned(&self, event: &Event) -> Vec<Arc<Integration>> {
        Place::of(event).map(|place| self.all_at(&place)).unwrap_or_default()
    }

    fn integration(&self, id: &IntegrationId) -> Option<Arc<Integration>> {
        let (key, slug) = id.0.rsplit_once(':')?;
        let in_file = self.files.get(key).and_then(|shelf| shelf.get(slug));
        if let Some(integration) = in_file.and_then(|held| held.integration.as_ref()) {
            return Some(Arc::clone(integration));
        }
        let scope = scope_of(key);
        let place = match &scope {
            Scope::Project(project) => Place::Project(self.directory.named(project)),
            Scope::Group(path) => Place::Group(GroupName { key: None, path: path.clone() }),
            Scope::Instance => return None, // it hears of nothing itself
        };
        let (_, shelf) = self.own_shelves(&place).find(|(_, shelf)| shelf.contains_key(slug)).unzip();
        if let Some(integration) = shelf.and_then(|shelf| shelf.get(slug)?.integration.as_ref())
            && integration.id == *id
        {
            return Some(Arc::clone(integration));
        }
        inherited(self.standing(&place, slug).effective()?, &scope).map(Arc::new)
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
