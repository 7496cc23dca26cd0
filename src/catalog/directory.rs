//! The known projects and groups of the forge.

use std::collections::{BTreeMap, HashMap};

use super::paths::within;
use crate::digest::Digest;
use crate::event::{Event, GroupChange, PATH_MAX_BYTES, Payload};
use crate::integration::{ProjectFacts, Scope};
use crate::store::registry::{
    GroupKey, Learned, ScopeKey, SeenProject, StoredGroup, StoredProject, Visibility,
};

/// The scope of an integration, with its known names and its row in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolvedScope {
    Instance,
    /// `key` is the group's row, if it has one; `path` is its full path.
    Group {
        key: Option<GroupKey>,
        path: String,
    },
    /// Either may be unknown. `id` is the forge's number and also its row. Where only the path is known, the row has a
    /// provisional number, which is negative.
    Project {
        id: Option<i64>,
        path: Option<String>,
    },
}

impl ResolvedScope {
    /// The project of an event, or the group that it is about.
    pub fn of_event(event: &Event) -> Option<Self> {
        match (&event.group, &event.project) {
            (Some(group), _) => Some(Self::Group { key: None, path: group.path.to_string() }),
            (None, Some(project)) => {
                let path = &project.path_with_namespace;
                Some(Self::Project {
                    id: Some(project.id).filter(|id| *id > 0),
                    path: Some(path.to_string()).filter(|path| !path.is_empty()),
                })
            }
            (None, None) => None,
        }
    }

    /// The key of the scope's rows in the store. `None` if no row can belong to the scope yet.
    pub fn key(&self) -> Option<ScopeKey> {
        match self {
            Self::Instance => Some(ScopeKey::Instance),
            Self::Group { key, .. } => key.map(ScopeKey::Group),
            Self::Project { id, .. } => id.map(ScopeKey::Project),
        }
    }

    /// The best name: the forge's number of a project, if known, else the path.
    pub fn name(&self) -> Scope {
        match self {
            Self::Instance => Scope::Instance,
            Self::Group { path, .. } => Scope::Group(path.clone()),
            Self::Project { id: Some(id), .. } if *id > 0 => Scope::ProjectId(*id),
            Self::Project { path, .. } => Scope::ProjectPath(path.clone().unwrap_or_default()),
        }
    }

    /// Its full path; the instance has none.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Instance => None,
            Self::Group { path, .. } => Some(path),
            Self::Project { path, .. } => path.as_deref(),
        }
    }

    /// The paths of the groups around the scope, the nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = &str> {
        let parent = |path: &str| path.rfind('/');
        let path = self.path().unwrap_or_default();
        std::iter::successors(parent(path).map(|end| &path[..end]), move |path| {
            parent(path).map(|end| &path[..end])
        })
    }
}

impl std::fmt::Display for ResolvedScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.name().fmt(f)
    }
}

/// The number under which a project is kept until the forge's is known. It is the same on all nodes.
pub(super) fn provisional_number(path: &str) -> i64 {
    -(Digest::of([folded(path).as_bytes()]).number() & (i64::MAX >> 1)) - 1
}

/// Projects and groups, found by all their names.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    projects: HashMap<i64, StoredProject>,
    /// Keys in lower case: paths are compared without regard to case.
    numbers: BTreeMap<String, i64>,
    groups: HashMap<GroupKey, StoredGroup>,
    keys: BTreeMap<String, GroupKey>,
    /// Facts from files, by `42` and by `acme/rocket`.
    file_facts: HashMap<String, ProjectFacts>,
}

fn folded(path: &str) -> String {
    path.to_ascii_lowercase()
}

impl Directory {
    /// Adds or replaces a project. Returns whether a path changed: other defaults may apply then.
    pub fn put_project(&mut self, project: StoredProject) -> bool {
        let known = self.projects.get(&project.id);
        if known.is_some_and(|known| known.revision > project.revision) {
            return false; // read before the known row, and arrived after it
        }
        let mut moved = known.is_some_and(|known| known.path != project.path);
        if let Some(former) = known.and_then(|former| former.path.as_deref()) {
            let former = folded(former);
            if self.numbers.get(&former) == Some(&project.id) {
                self.numbers.remove(&former);
            }
        }
        let former = project.path.as_ref().and_then(|path| self.numbers.insert(folded(path), project.id));
        if let Some(former) = former.filter(|former| *former != project.id)
            && let Some(former) = self.projects.get_mut(&former)
        {
            former.path = None;
            moved = true;
        }
        self.projects.insert(project.id, project);
        moved
    }

    /// Adds or replaces a group.
    pub fn put_group(&mut self, group: StoredGroup) {
        if let Some(former) = self.groups.get(&group.key).and_then(|former| former.path.as_deref()) {
            let former = folded(former);
            if self.keys.get(&former) == Some(&group.key) {
                self.keys.remove(&former);
            }
        }
        if let Some(path) = &group.path {
            self.keys.insert(folded(path), group.key);
        }
        self.groups.insert(group.key, group);
    }

    /// Removes all entries from the store. Facts from files stay.
    pub fn remove_rows(&mut self) {
        *self = Self { file_facts: std::mem::take(&mut self.file_facts), ..Self::default() };
    }

    /// Replaces the facts from files. If a project has two, the first counts, and facts by its number count before facts
    /// by its path.
    pub fn set_file_facts(&mut self, facts: Vec<(Scope, ProjectFacts)>) {
        self.file_facts.clear();
        for (project, facts) in facts {
            self.file_facts.entry(project.canonical()).or_insert(facts);
        }
    }

    pub fn project(&self, id: i64) -> Option<&StoredProject> {
        self.projects.get(&id)
    }

    /// All projects, by number.
    pub fn projects(&self) -> Vec<&StoredProject> {
        let mut all: Vec<_> = self.projects.values().collect();
        all.sort_by_key(|project| project.id);
        all
    }

    pub fn group(&self, key: GroupKey) -> Option<&StoredGroup> {
        self.groups.get(&key)
    }

    /// All groups, by path.
    pub fn groups(&self) -> Vec<&StoredGroup> {
        let mut all: Vec<_> = self.groups.values().collect();
        all.sort_by(|a, b| a.path.cmp(&b.path));
        all
    }

    pub fn project_by_path(&self, path: &str) -> Option<&StoredProject> {
        self.projects.get(self.numbers.get(&folded(path))?)
    }

    /// The paths of projects at and below this path, in order and in lower case; all paths for `None`.
    pub(super) fn project_paths(&self, path: Option<&str>) -> impl Iterator<Item = &str> + use<'_> {
        within(&self.numbers, path)
    }

    /// The paths of groups, as [`Self::project_paths`].
    pub(super) fn group_paths(&self, path: Option<&str>) -> impl Iterator<Item = &str> + use<'_> {
        within(&self.keys, path)
    }

    /// The projects whose path is not known.
    pub(super) fn pathless(&self) -> impl Iterator<Item = &StoredProject> {
        self.projects.values().filter(|project| project.path.is_none())
    }

    /// The row of a project of which only the path is known.
    pub(super) fn provisional(&self, path: &str) -> Option<&StoredProject> {
        self.project_by_path(path).filter(|project| project.number().is_none())
    }

    pub fn group_by_path(&self, path: &str) -> Option<&StoredGroup> {
        self.groups.get(self.keys.get(&folded(path))?)
    }

    pub(super) fn has_groups(&self) -> bool {
        !self.keys.is_empty()
    }

    /// A group by the forge's number.
    pub fn group_by_id(&self, id: i64) -> Option<&StoredGroup> {
        self.groups.values().find(|group| group.id == Some(id))
    }

    /// A scope by one of its names, with its other names and its row if they are known.
    pub fn resolve(&self, scope: &Scope) -> ResolvedScope {
        match scope {
            Scope::Instance => ResolvedScope::Instance,
            Scope::Group(path) => match self.group_by_path(path) {
                Some(StoredGroup { key, path, .. }) => {
                    ResolvedScope::Group { key: Some(*key), path: path.clone().unwrap_or_default() }
                }
                None => ResolvedScope::Group { key: None, path: path.clone() },
            },
            Scope::ProjectId(id) => {
                let path = self.project(*id).and_then(|project| project.path.clone());
                ResolvedScope::Project { id: Some(*id), path }
            }
            Scope::ProjectPath(path) => match self.project_by_path(path) {
                Some(project) => ResolvedScope::Project { id: Some(project.id), path: project.path.clone() },
                None => ResolvedScope::Project { id: None, path: Some(path.clone()) },
            },
        }
    }

    /// The facts on an event's project that the rules need. The first source that has a fact counts: files, corrections
    /// by people, the event, earlier events.
    pub fn facts(&self, event: &Event) -> ProjectFacts {
        let Some(project) = &event.project else { return ProjectFacts::default() };
        let file = self.file_facts(Some(project.id), Some(&project.path_with_namespace));
        let file = file.cloned().unwrap_or_default();
        let known = self.project(project.id);
        let corrected = known.map(|known| known.corrected.clone()).unwrap_or_default();
        let learned = || known.and_then(|known| known.learned.default_branch.clone());
        ProjectFacts {
            default_branch: file
                .default_branch
                .or(corrected.default_branch)
                .or_else(|| project.default_branch.as_ref().map(String::from))
                .or_else(learned),
            protected_branches: file.protected_branches.or(corrected.protected_branches),
        }
    }

    /// The facts from files on a project, by either of its names.
    pub fn file_facts(&self, id: Option<i64>, path: Option<&str>) -> Option<&ProjectFacts> {
        if self.file_facts.is_empty() {
            return None; // the ordinary case, without allocating a key
        }
        let by_id = id.and_then(|id| self.file_facts.get(&id.to_string()));
        by_id.or_else(|| self.file_facts.get(&folded(path?)))
    }

    /// The numbers and paths of groups in an event that are not known yet.
    pub fn unknown_groups_in<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = (i64, &'a str)> {
        let change = match &event.payload {
            Payload::GroupChange(change) => Some(change),
            _ => None,
        };
        let named = change.into_iter().flat_map(GroupChange::groups);
        let sound =
            named.filter(|(id, path)| *id > 0 && is_storable(path) && !path.split('/').any(str::is_empty));
        sound.filter(|(id, path)| {
            let known = self.group_by_path(path);
            known.is_none_or(|known| known.id != Some(*id) || known.path.as_deref() != Some(*path))
        })
    }

    /// The new facts on its project in an event. A guessed path makes a project known, and does not replace a known
    /// path.
    pub fn unknown_in(&self, event: &Event) -> Option<SeenProject> {
        let project = event.project.as_ref().filter(|project| project.id > 0)?;
        let known = self.project(project.id);
        let is_worse = project.has_guessed_path && known.is_some_and(|known| known.path.is_some());
        let path = Some(&project.path_with_namespace).filter(|path| !is_worse && is_storable(path));
        let learned = Learned {
            default_branch: project
                .default_branch
                .as_ref()
                .filter(|branch| is_storable(branch))
                .map(String::from),
            visibility: visibility(project.visibility_level.as_ref()),
        };
        let seen = SeenProject { id: project.id, path: path.map(String::from), learned };
        let Some(known) = known else { return Some(seen) };
        let is_new = |shown: bool, same: bool| shown && !same;
        let news = is_new(seen.path.is_some(), seen.path == known.path)
            || is_new(
                seen.learned.default_branch.is_some(),
                seen.learned.default_branch == known.learned.default_branch,
            )
            || is_new(seen.learned.visibility.is_some(), seen.learned.visibility == known.learned.visibility);
        news.then_some(seen)
    }
}

/// Whether a forge can give such a name. An event can contain any text, and a name that the store refuses would prevent
/// the event's dispatch.
fn is_storable(name: &str) -> bool {
    !name.is_empty() && name.len() <= PATH_MAX_BYTES && !name.contains(char::is_control)
}

/// GitLab's 0 private, 10 internal, 20 public, or the word.
fn visibility(level: Option<&serde_json::Value>) -> Option<Visibility> {
    let level = level?;
    match level.as_i64() {
        Some(0) => Some(Visibility::Private),
        Some(10) => Some(Visibility::Internal),
        Some(20) => Some(Visibility::Public),
        Some(_) => None,
        None => Visibility::ALL.into_iter().find(|word| Some(word.name()) == level.as_str()),
    }
}
