//! The catalogue as a snapshot in memory, replaced whole when the configuration changes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::{Event, Project};
use crate::integration::{Fingerprint, Integration, IntegrationId, ProjectFacts, ProjectRef, Scope};

/// Everything that is configured, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    by_id: HashMap<IntegrationId, Arc<Integration>>,
    by_project_id: HashMap<i64, Vec<Arc<Integration>>>,
    /// Keys in lower case: paths are compared without regard to case.
    by_project_path: HashMap<String, Vec<Arc<Integration>>>,
    by_group: HashMap<String, Vec<Arc<Integration>>>,
    facts: Vec<(ProjectRef, ProjectFacts)>,
}

impl Snapshot {
    /// Sorts integrations by whom they concern.
    pub fn new(integrations: Vec<Integration>, facts: Vec<(ProjectRef, ProjectFacts)>) -> Self {
        let mut snapshot = Self { facts, ..Self::default() };
        for integration in integrations.into_iter().map(Arc::new) {
            let list = match &integration.scope {
                Scope::Project(ProjectRef::Id(id)) => snapshot.by_project_id.entry(*id).or_default(),
                Scope::Project(ProjectRef::Path(path)) => {
                    snapshot.by_project_path.entry(path.to_ascii_lowercase()).or_default()
                }
                Scope::Group(path) => snapshot.by_group.entry(path.to_ascii_lowercase()).or_default(),
            };
            list.push(Arc::clone(&integration));
            snapshot.by_id.insert(integration.id.clone(), integration);
        }
        snapshot
    }

    /// How many integrations there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Every integration, in the order of their ids.
    pub fn integrations(&self) -> Vec<Arc<Integration>> {
        let mut all: Vec<_> = self.by_id.values().cloned().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    fn of_project(&self, project: &Project) -> impl Iterator<Item = &Arc<Integration>> {
        let by_id = self.by_project_id.get(&project.id).into_iter().flatten();
        let path = project.path_with_namespace.to_ascii_lowercase();
        by_id.chain(self.by_project_path.get(&path).into_iter().flatten())
    }
}

impl super::Catalog for Snapshot {
    fn concerned(&self, event: &Event) -> Vec<Arc<Integration>> {
        match (&event.group, &event.project) {
            (Some(group), _) => {
                self.by_group.get(&group.path.to_ascii_lowercase()).cloned().unwrap_or_default()
            }
            (None, Some(project)) => self.of_project(project).cloned().collect(),
            (None, None) => Vec::new(),
        }
    }

    fn integration(&self, id: &IntegrationId) -> Option<Arc<Integration>> {
        self.by_id.get(id).cloned()
    }

    fn facts(&self, event: &Event) -> ProjectFacts {
        let Some(project) = &event.project else { return ProjectFacts::default() };
        let told = self.facts.iter().find(|(of, _)| of.is(project)).map(|(_, facts)| facts.clone());
        let told = told.unwrap_or_default();
        ProjectFacts {
            default_branch: told.default_branch.or_else(|| project.default_branch.clone()),
            protected_branches: told.protected_branches,
        }
    }

    fn fingerprints(&self) -> Vec<(IntegrationId, Fingerprint)> {
        self.by_id.values().map(|integration| (integration.id.clone(), integration.fingerprint)).collect()
    }
}

/// The catalogue that the pipeline reads: the present snapshot behind a pointer that a reload swaps.
impl super::Catalog for arc_swap::ArcSwap<Snapshot> {
    fn concerned(&self, event: &Event) -> Vec<Arc<Integration>> {
        self.load().concerned(event)
    }

    fn integration(&self, id: &IntegrationId) -> Option<Arc<Integration>> {
        self.load().integration(id)
    }

    fn facts(&self, event: &Event) -> ProjectFacts {
        self.load().facts(event)
    }

    fn fingerprints(&self) -> Vec<(IntegrationId, Fingerprint)> {
        self.load().fingerprints()
    }
}
