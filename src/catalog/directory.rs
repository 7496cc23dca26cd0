//! The projects and groups of the forge, as far as anybody has told of them.

use std::collections::HashMap;

use crate::event::{Event, Project};
use crate::integration::{ProjectFacts, ProjectRef, Scope};
use crate::store::registry::{GroupKey, Learned, Owner, SeenProject, StoredGroup, StoredProject, Visibility};

/// Where an integration can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Instance,
    Group(GroupName),
    Project(ProjectName),
}

/// A group, by what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupName {
    /// Its row, where there is one.
    pub key: Option<GroupKey>,
    /// Its full path.
    pub path: String,
}

/// A project, by what is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectName {
    pub id: Option<i64>,
    pub path: Option<String>,
}

impl Place {
    /// What rows of the store belong to, where any can.
    pub fn owner(&self) -> Option<Owner> {
        match self {
            Self::Instance => Some(Owner::Instance),
            Self::Group(group) => group.key.map(Owner::Group),
            Self::Project(project) => project.id.map(Owner::Project),
        }
    }

    /// Whose events an integration at this place hears.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Instance => Scope::Instance,
            Self::Group(group) => Scope::Group(group.path.clone()),
            Self::Project(ProjectName { id: Some(id), .. }) => Scope::Project(ProjectRef::Id(*id)),
            Self::Project(ProjectName { path, .. }) => {
                Scope::Project(ProjectRef::Path(path.clone().unwrap_or_default()))
            }
        }
    }

    /// Its full path; the instance has none.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Instance => None,
            Self::Group(group) => Some(&group.path),
            Self::Project(project) => project.path.as_deref(),
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

    /// A place of which nothing more is known than its name.
    pub fn named(scope: &Scope) -> Self {
        match scope {
            Scope::Instance => Self::Instance,
            Scope::Group(path) => Self::Group(GroupName { key: None, path: path.clone() }),
            Scope::Project(ProjectRef::Id(id)) => Self::Project(ProjectName { id: Some(*id), path: None }),
            Scope::Project(ProjectRef::Path(path)) => {
                Self::Project(ProjectName { id: None, path: Some(path.clone()) })
            }
        }
    }

    /// The project of an event, or the group that it is about.
    pub fn of(event: &Event) -> Option<Self> {
        match (&event.group, &event.project) {
            (Some(group), _) => Some(Self::Group(GroupName { key: None, path: group.path.clone() })),
            (None, Some(project)) => Some(Self::Project(ProjectName::of(project))),
            (None, None) => None,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.scope().fmt(f)
    }
}

impl ProjectName {
    pub(super) fn of(project: &Project) -> Self {
        let path = &project.path_with_namespace;
        Self {
            id: Some(project.id).filter(|id| *id > 0),
            path: Some(path.clone()).filter(|path| !path.is_empty()),
        }
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
    pub fn tell(&mut self, facts: Vec<(ProjectRef, ProjectFacts)>) {
        self.told.clear();
        for (project, facts) in facts {
            self.told.entry(Scope::Project(project).key()).or_insert(facts);
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

    /// A project by one of its names, with the other where it is known.
    pub fn named(&self, project: &ProjectRef) -> ProjectName {
        match project {
            ProjectRef::Id(id) => ProjectName {
                id: Some(*id),
                path: self.project(*id).and_then(|project| project.path.clone()),
            },
            ProjectRef::Path(path) => match self.project_by_path(path) {
                Some(project) => ProjectName { id: Some(project.id), path: project.path.clone() },
                None => ProjectName { id: None, path: Some(path.clone()) },
            },
        }
    }

    /// What the rules must know of an event's project: what files say, else what people corrected, else what the event
    /// says, else what earlier events said.
    pub fn facts(&self, event: &Event) -> ProjectFacts {
        let Some(project) = &event.project else { return ProjectFacts::default() };
        let told = self.told(&ProjectName::of(project)).cloned().unwrap_or_default();
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

    /// What files say of a project.
    pub fn told(&self, project: &ProjectName) -> Option<&ProjectFacts> {
        if self.told.is_empty() {
            return None; // the ordinary case: no key need be made to look it up
        }
        let by_id = project.id.and_then(|id| self.told.get(&id.to_string()));
        by_id.or_else(|| self.told.get(&folded(project.path.as_deref()?)))
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

/// Longer names than any forge gives are none: nothing that somebody writes into an event may be more than a store takes,
/// for then the event could not be dispatched.
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
