//! The known projects and groups of the forge.

use std::collections::HashMap;

use crate::event::Event;
use crate::integration::{ProjectFacts, Scope};
use crate::store::registry::{
    GroupKey, Learned, ScopeKey, SeenProject, StoredGroup, StoredProject, Visibility,
};

/// Whose an integration is, with what is known of it: a name may stand for a row of the store, a row for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolvedScope {
    Instance,
    /// `key` is its row, if it has one; `path` its full path.
    Group {
        key: Option<GroupKey>,
        path: String,
    },
    /// Either may be unknown. `id` is the forge's number and also its row.
    Project {
        id: Option<i64>,
        path: Option<String>,
    },
}

impl ResolvedScope {
    /// The project of an event, or the group that it is about.
    pub fn of_event(event: &Event) -> Option<Self> {
        match (&event.group, &event.project) {
            (Some(group), _) => Some(Self::Group { key: None, path: group.path.clone() }),
            (None, Some(project)) => {
                let path = &project.path_with_namespace;
                Some(Self::Project {
                    id: Some(project.id).filter(|id| *id > 0),
                    path: Some(path.clone()).filter(|path| !path.is_empty()),
                })
            }
            (None, None) => None,
        }
    }

    /// What rows of the store belong to. `None` if no row can belong to it yet.
    pub fn key(&self) -> Option<ScopeKey> {
        match self {
            Self::Instance => Some(ScopeKey::Instance),
            Self::Group { key, .. } => key.map(ScopeKey::Group),
            Self::Project { id, .. } => id.map(ScopeKey::Project),
        }
    }

    /// Its best name: a project's number goes before its path.
    pub fn name(&self) -> Scope {
        match self {
            Self::Instance => Scope::Instance,
            Self::Group { path, .. } => Scope::Group(path.clone()),
            Self::Project { id: Some(id), .. } => Scope::ProjectId(*id),
            Self::Project { id: None, path } => Scope::ProjectPath(path.clone().unwrap_or_default()),
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

    /// The paths of the groups that it lies in, the nearest first.
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

/// Projects and groups, found by all their names.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    projects: HashMap<i64, StoredProject>,
    /// Keys in lower case: paths are compared without regard to case.
    numbers: HashMap<String, i64>,
    groups: HashMap<GroupKey, StoredGroup>,
    keys: HashMap<String, GroupKey>,
    /// What files tell: by `42`, by `acme/rocket`.
    told: HashMap<String, ProjectFacts>,
}

fn folded(path: &str) -> String {
    path.to_ascii_lowercase()
}

impl Directory {
    /// Takes up a project as it is now; whether it was known at another path, and so may follow other defaults.
    pub fn put_project(&mut self, project: StoredProject) -> bool {
        let known = self.projects.get(&project.id);
        if known.is_some_and(|known| known.revision > project.revision) {
            return false; // read earlier, and heard of later
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
            && let Some(robbed) = self.projects.get_mut(&former)
        {
            robbed.path = None;
            moved = true;
        }
        self.projects.insert(project.id, project);
        moved
    }

    /// Takes up a group as it is now.
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

    /// Forgets what the store told; what files tell stays.
    pub fn forget_rows(&mut self) {
        *self = Self { told: std::mem::take(&mut self.told), ..Self::default() };
    }

    /// What files tell of projects. Where facts of a project are told twice, the first count, and those told by its
    /// number before those told by its path.
    pub fn tell(&mut self, facts: Vec<(Scope, ProjectFacts)>) {
        self.told.clear();
        for (project, facts) in facts {
            self.told.entry(project.canonical()).or_insert(facts);
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

    pub fn group_by_path(&self, path: &str) -> Option<&StoredGroup> {
        self.groups.get(self.keys.get(&folded(path))?)
    }

    pub(super) fn has_groups(&self) -> bool {
        !self.keys.is_empty()
    }

    /// By the forge's number.
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

    /// What the rules must know of an event's project: what files say, else what people corrected, else what the event
    /// says, else what earlier events said.
    pub fn facts(&self, event: &Event) -> ProjectFacts {
        let Some(project) = &event.project else { return ProjectFacts::default() };
        let told =
            self.told(Some(project.id), Some(&project.path_with_namespace)).cloned().unwrap_or_default();
        let known = self.project(project.id);
        let corrected = known.map(|known| known.corrected.clone()).unwrap_or_default();
        let learned = || known.and_then(|known| known.learned.default_branch.clone());
        ProjectFacts {
            default_branch: told
                .default_branch
                .or(corrected.default_branch)
                .or_else(|| project.default_branch.clone())
                .or_else(learned),
            protected_branches: told.protected_branches.or(corrected.protected_branches),
        }
    }

    /// What files say of a project, by either of its names.
    pub fn told(&self, id: Option<i64>, path: Option<&str>) -> Option<&ProjectFacts> {
        if self.told.is_empty() {
            return None; // the ordinary case: no key need be made to look it up
        }
        let by_id = id.and_then(|id| self.told.get(&id.to_string()));
        by_id.or_else(|| self.told.get(&folded(path?)))
    }

    /// What an event shows of its project that is not known yet.
    pub fn news_of(&self, event: &Event) -> Option<SeenProject> {
        let project = event.project.as_ref().filter(|project| project.id > 0)?;
        let path = Some(&project.path_with_namespace).filter(|path| can_be_noted(path)).cloned();
        let learned = Learned {
            default_branch: project.default_branch.clone().filter(|branch| can_be_noted(branch)),
            visibility: visibility(project.visibility_level.as_ref()),
        };
        let seen = SeenProject { id: project.id, path, learned };
        let Some(known) = self.project(project.id) else { return Some(seen) };
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

/// Names longer than any forge allows are ignored: if an event contained more than the store accepts, it could not be
/// dispatched.
fn can_be_noted(name: &str) -> bool {
    const LONGEST: usize = 1000;
    !name.is_empty() && name.len() <= LONGEST && !name.contains(char::is_control)
}

/// GitLab's 0 private, 10 internal, 20 public, or the word.
fn visibility(told: Option<&serde_json::Value>) -> Option<Visibility> {
    let told = told?;
    match told.as_i64() {
        Some(0) => Some(Visibility::Private),
        Some(10) => Some(Visibility::Internal),
        Some(20) => Some(Visibility::Public),
        Some(_) => None,
        None => Visibility::ALL.into_iter().find(|word| Some(word.name()) == told.as_str()),
    }
}
