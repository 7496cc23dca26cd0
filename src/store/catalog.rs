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
    facts_by_id: HashMap<i64, ProjectFacts>,
    facts_by_path: HashMap<String, ProjectFacts>,
}

impl Snapshot {
    /// Sorts integrations by whom they concern, and facts by project. Where facts of a project are told twice, the
    /// first count, and those told by its number before those told by its path.
    pub fn new(integrations: Vec<Integration>, facts: Vec<(ProjectRef, ProjectFacts)>) -> Self {
        let mut snapshot = Self::default();
        for (project, facts) in facts {
            match project {
                ProjectRef::Id(id) => snapshot.facts_by_id.entry(id).or_insert(facts),
                ProjectRef::Path(path) => {
                    snapshot.facts_by_path.entry(path.to_ascii_lowercase()).or_insert(facts)
                }
            };
        }
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

    fn told(&self, project: &Project) -> Option<&ProjectFacts> {
        let by_path = || self.facts_by_path.get(&project.path_with_namespace.to_ascii_lowercase());
        self.facts_by_id.get(&project.id).or_else(by_path)
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
        let told = self.told(project).cloned().unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;
    use serde_json::json;

    use super::Snapshot;
    use crate::event::{Event, EventId, GroupRef, Triggers};
    use crate::integration::{
        Channels, Family, Filters, Fingerprint, Integration, IntegrationId, ProjectFacts, ProjectRef, Rules,
        Scope,
    };
    use crate::settings::Parsed;
    use crate::store::Catalog;

    crate::settings! {
        /// None that matter here.
        pub struct Settings {
            /// Whatever.
            pub _note: Option<String> = "",
        }
    }

    fn integration(id: &str, scope: Scope) -> Integration {
        Integration {
            id: IntegrationId::new(id),
            scope,
            slug: "slack",
            active: true,
            triggers: Triggers::by_default(),
            filters: Filters::default(),
            channels: Channels::default(),
            rules: Rules { supported: Triggers::by_default(), family: Family::Chat },
            settings: Parsed::new(Settings { _note: None }),
            origin: "test".into(),
            fingerprint: Fingerprint(1),
        }
    }

    fn by_id(id: i64) -> ProjectRef {
        ProjectRef::Id(id)
    }

    fn by_path(path: &str) -> ProjectRef {
        ProjectRef::Path(path.to_owned())
    }

    fn event(project_id: i64, path: &str) -> Event {
        let project = json!({ "id": project_id, "path_with_namespace": path, "default_branch": "trunk" });
        let body = json!({ "object_kind": "push", "ref": "refs/heads/main", "project": project });
        let id = EventId::new("e1").unwrap();
        Event::decode(id, Timestamp::UNIX_EPOCH, Bytes::from(body.to_string())).unwrap()
    }

    fn concerned(snapshot: &Snapshot, event: &Event) -> Vec<String> {
        let mut ids: Vec<_> = snapshot.concerned(event).iter().map(|found| found.id.to_string()).collect();
        ids.sort();
        ids
    }

    #[test]
    fn a_project_is_found_by_number_and_by_path_in_any_case() {
        let snapshot = Snapshot::new(
            vec![
                integration("number", Scope::Project(by_id(7))),
                integration("path", Scope::Project(by_path("Acme/Web"))),
                integration("other", Scope::Project(by_path("acme/website"))),
                integration("group", Scope::Group("acme".to_owned())),
            ],
            Vec::new(),
        );
        assert_eq!(concerned(&snapshot, &event(7, "acme/WEB")), ["number", "path"]);
        assert_eq!(concerned(&snapshot, &event(7, "acme/renamed")), ["number"]);
        assert_eq!(concerned(&snapshot, &event(8, "acme/web")), ["path"]);
        assert!(concerned(&snapshot, &event(8, "acme/none")).is_empty());
    }

    #[test]
    fn a_group_hears_of_its_own_alone() {
        let snapshot = Snapshot::new(
            vec![
                integration("group", Scope::Group("Acme".to_owned())),
                integration("project", Scope::Project(by_path("acme"))),
            ],
            Vec::new(),
        );
        let mut mention = event(7, "acme");
        mention.group = Some(GroupRef { path: "aCME".to_owned(), url: String::new() });
        assert_eq!(concerned(&snapshot, &mention), ["group"]);
    }

    #[test]
    fn facts_are_found_by_number_before_path_and_fall_back_on_the_event() {
        let facts =
            |branch: &str| ProjectFacts { default_branch: Some(branch.to_owned()), protected_branches: None };
        let protected =
            ProjectFacts { default_branch: None, protected_branches: Some(vec!["*-stable".to_owned()]) };
        let snapshot = Snapshot::new(
            Vec::new(),
            vec![
                (by_path("ACME/web"), facts("by-path")),
                (by_path("acme/WEB"), facts("told twice")),
                (by_id(7), facts("by-number")),
                (by_id(9), protected.clone()),
            ],
        );
        let branch = |event: &Event| snapshot.facts(event).default_branch.unwrap();
        assert_eq!(branch(&event(7, "acme/web")), "by-number");
        assert_eq!(branch(&event(8, "Acme/Web")), "by-path");
        assert_eq!(branch(&event(8, "acme/none")), "trunk");
        let both = snapshot.facts(&event(9, "acme/none"));
        assert_eq!(
            (both.default_branch.as_deref(), both.protected_branches),
            (Some("trunk"), protected.protected_branches)
        );
    }

    #[test]
    fn integrations_are_listed_by_id_and_looked_up() {
        let project = |id: &str| integration(id, Scope::Project(by_id(7)));
        let snapshot = Snapshot::new(vec![project("b"), project("a")], Vec::new());
        let listed: Vec<_> = snapshot.integrations().iter().map(|found| found.id.to_string()).collect();
        assert_eq!(listed, ["a", "b"]);
        assert_eq!((snapshot.len(), snapshot.is_empty()), (2, false));
        assert!(snapshot.integration(&IntegrationId::new("a")).is_some());
        assert!(snapshot.integration(&IntegrationId::new("c")).is_none());
        assert_eq!(snapshot.fingerprints().len(), 2);
    }
}
