//! Projects and groups: their facts, and the owner of a path.

use super::Backend;
use super::fixtures::{Case, at, audit, configuration};
use crate::store::Registry;
use crate::store::registry::{
    Corrected, Correction, Learned, ProjectCorrection, Put, ScopeKey, SeenProject, StoredGroup,
    StoredProject, Visibility,
};

fn seen(id: i64, path: &str) -> SeenProject {
    SeenProject { id, path: Some(path.to_owned()), learned: Learned::default() }
}

async fn upsert_seen_projects<B: Backend>(
    case: &Case<B>,
    seen: Vec<SeenProject>,
    second: i64,
) -> Vec<StoredProject> {
    case.store.upsert_seen_projects(seen, at(second)).await.unwrap()
}

/// The path that a project has now.
async fn path_of<B: Backend>(case: &Case<B>, id: i64) -> Option<String> {
    case.store.project(id).await.unwrap().unwrap().path
}

/// The number of the project that has this path now.
async fn at_path<B: Backend>(case: &Case<B>, path: &str) -> Option<i64> {
    case.store.project_by_path(path).await.unwrap().map(|project| project.id)
}

pub(super) async fn a_project_is_learned_and_what_is_not_told_stays<B: Backend>() {
    let case = Case::<B>::new().await;
    let learned = Learned { default_branch: Some("main".to_owned()), visibility: Some(Visibility::Private) };
    let first = SeenProject { learned: learned.clone(), ..seen(42, "acme/web") };
    let stored = upsert_seen_projects(&case, vec![first], 1).await.remove(0);
    let expected = StoredProject {
        id: 42,
        path: Some("acme/web".to_owned()),
        learned: learned.clone(),
        corrected: Corrected::default(),
        revision: 1,
        created_at: at(1),
        updated_at: at(1),
    };
    assert_eq!(stored, expected);
    let trunk = Learned { default_branch: Some("trunk".to_owned()), visibility: None };
    let stored = upsert_seen_projects(&case, vec![SeenProject { id: 42, path: None, learned: trunk }], 2)
        .await
        .remove(0);
    let learned = Learned { default_branch: Some("trunk".to_owned()), ..learned };
    assert_eq!(stored, StoredProject { learned, revision: 2, updated_at: at(2), ..expected });
    let unnamed = SeenProject { id: 43, path: None, learned: Learned::default() };
    assert_eq!(upsert_seen_projects(&case, vec![unnamed], 3).await[0].path, None);
}

pub(super) async fn what_is_as_it_was_keeps_its_revision<B: Backend>() {
    let case = Case::<B>::new().await;
    let rows = upsert_seen_projects(&case, vec![seen(1, "acme/a"), seen(2, "acme/b")], 1).await;
    assert_eq!(
        upsert_seen_projects(&case, vec![seen(2, "acme/b"), seen(1, "acme/a")], 2).await,
        [rows[1].clone(), rows[0].clone()]
    );
    let mixed =
        upsert_seen_projects(&case, vec![seen(1, "acme/a"), seen(3, "acme/c"), seen(1, "acme/a")], 3).await;
    assert_eq!((&mixed[0], &mixed[2]), (&rows[0], &rows[0]), "in the given order, twice if asked twice");
    assert_eq!((mixed[1].id, mixed[1].revision), (3, 3));
    assert!(upsert_seen_projects(&case, Vec::new(), 4).await.is_empty());

    let corrected =
        case.store.override_project(ProjectCorrection::of(1), audit("project.update", at(4))).await.unwrap();
    assert_eq!(corrected, rows[0]);
    let group = case.store.put_group(Some(9), "acme", audit("group.create", at(4))).await.unwrap();
    let again = case.store.put_group(Some(9), "acme", audit("group.create", at(5))).await.unwrap();
    assert_eq!(group, again);
    let lines = case.store.audit_log(None, 10).await.unwrap();
    assert_eq!(lines.len(), 1, "what changes nothing is not said");
}

pub(super) async fn a_rename_follows_the_number<B: Backend>() {
    let case = Case::<B>::new().await;
    upsert_seen_projects(&case, vec![seen(42, "acme/web")], 1).await;
    upsert_seen_projects(&case, vec![seen(42, "acme/site")], 2).await;
    assert_eq!((at_path(&case, "acme/site").await, at_path(&case, "acme/web").await), (Some(42), None));
    let correction = ProjectCorrection { path: Some("acme/pages".to_owned()), ..ProjectCorrection::of(42) };
    case.store.override_project(correction, audit("project.update", at(3))).await.unwrap();
    assert_eq!(path_of(&case, 42).await.as_deref(), Some("acme/pages"));
}

pub(super) async fn a_path_is_taken_from_whoever_had_it<B: Backend>() {
    let case = Case::<B>::new().await;
    upsert_seen_projects(&case, vec![seen(1, "acme/web")], 1).await;
    let taken = upsert_seen_projects(&case, vec![seen(2, "acme/web")], 2).await.remove(0);
    assert_eq!(path_of(&case, 1).await, None);
    assert_eq!(at_path(&case, "acme/web").await, Some(2));
    let changed: Vec<_> = case
        .store
        .changes(1)
        .await
        .unwrap()
        .projects
        .into_iter()
        .map(|p| (p.id, p.path, p.updated_at))
        .collect();
    let path = Some("acme/web".to_owned());
    assert_eq!(
        changed,
        [(1, None, at(2)), (2, path.clone(), at(2))],
        "a reader of the changes after revision 1 sees both"
    );
    assert_eq!(taken.revision, 3);

    let correction = ProjectCorrection { path, ..ProjectCorrection::of(3) };
    case.store.override_project(correction, audit("project.update", at(3))).await.unwrap();
    assert_eq!((path_of(&case, 2).await, at_path(&case, "acme/web").await), (None, Some(3)));
}

pub(super) async fn two_projects_that_swap_their_paths_both_keep_one<B: Backend>() {
    let case = Case::<B>::new().await;
    upsert_seen_projects(&case, vec![seen(1, "acme/a"), seen(2, "acme/b")], 1).await;
    let rows = upsert_seen_projects(&case, vec![seen(1, "acme/b"), seen(2, "acme/a")], 2).await;
    assert_eq!((rows[0].path.as_deref(), rows[1].path.as_deref()), (Some("acme/b"), Some("acme/a")));
    // In one batch, the later project gets the path, and the answer shows both.
    let rows = upsert_seen_projects(&case, vec![seen(1, "acme/c"), seen(2, "acme/c")], 3).await;
    assert_eq!((rows[0].path.as_deref(), rows[1].path.as_deref()), (None, Some("acme/c")));
}

pub(super) async fn a_correction_stays_beside_what_is_learned<B: Backend>() {
    let case = Case::<B>::new().await;
    let corrected = Corrected {
        default_branch: Some("trunk".to_owned()),
        visibility: Some(Visibility::Public),
        protected_branches: Some(vec!["v*".to_owned()]),
    };
    let correction = all_said(42, corrected.clone());
    let stored = case.store.override_project(correction, audit("project.update", at(1))).await.unwrap();
    assert_eq!((stored.path, &stored.corrected), (None, &corrected), "known or not");
    let learned = Learned { default_branch: Some("main".to_owned()), visibility: Some(Visibility::Internal) };
    let stored = upsert_seen_projects(
        &case,
        vec![SeenProject { learned: learned.clone(), ..seen(42, "acme/web") }],
        2,
    )
    .await;
    assert_eq!((&stored[0].corrected, &stored[0].learned), (&corrected, &learned));

    let correction = ProjectCorrection {
        visibility: Correction::TakenBack,
        protected_branches: Correction::Is(Vec::new()),
        ..ProjectCorrection::of(42)
    };
    let stored = case.store.override_project(correction, audit("project.update", at(3))).await.unwrap();
    let expected = Corrected { visibility: None, protected_branches: Some(Vec::new()), ..corrected };
    assert_eq!((&stored.corrected, &stored.learned), (&expected, &learned));
    assert_eq!((stored.path.as_deref(), stored.created_at), (Some("acme/web"), at(1)));
}

/// Two people override different fields of one project at the same time.
pub(super) async fn what_a_correction_does_not_name_is_anothers<B: Backend>() {
    let case = Case::<B>::new().await;
    let branch =
        ProjectCorrection { default_branch: Correction::Is("trunk".to_owned()), ..ProjectCorrection::of(42) };
    let seen =
        ProjectCorrection { visibility: Correction::Is(Visibility::Public), ..ProjectCorrection::of(42) };
    let said = |correction| case.store.override_project(correction, audit("project.update", at(1)));
    let (one, other) = tokio::join!(said(branch), said(seen));
    let last = [one.unwrap(), other.unwrap()].into_iter().max_by_key(|row| row.revision).unwrap();
    let expected = Corrected {
        default_branch: Some("trunk".to_owned()),
        visibility: Some(Visibility::Public),
        protected_branches: None,
    };
    assert_eq!(last.corrected, expected);
    let none = said(ProjectCorrection::of(42)).await.unwrap();
    assert_eq!(none, last, "what changes nothing keeps its revision");
}

fn all_said(id: i64, corrected: Corrected) -> ProjectCorrection {
    ProjectCorrection {
        id,
        path: None,
        default_branch: corrected.default_branch.into(),
        visibility: corrected.visibility.into(),
        protected_branches: corrected.protected_branches.into(),
    }
}

pub(super) async fn paths_differ_by_more_than_the_case_of_letters<B: Backend>() {
    let case = Case::<B>::new().await;
    upsert_seen_projects(&case, vec![seen(1, "Acme/Web_Site")], 1).await;
    assert_eq!(at_path(&case, "acme/web_site").await, Some(1));
    assert_eq!(at_path(&case, "acme/web-site").await, None);
    upsert_seen_projects(&case, vec![seen(2, "ACME/web_site")], 2).await;
    assert_eq!((path_of(&case, 1).await, path_of(&case, 2).await.as_deref()), (None, Some("ACME/web_site")));
    upsert_seen_projects(&case, vec![seen(2, "acme/web_site")], 3).await;
    assert_eq!(path_of(&case, 2).await.as_deref(), Some("acme/web_site"), "spelt as the forge spells it");

    let group = case.store.put_group(None, "Acme", audit("group.create", at(1))).await.unwrap();
    let again = case.store.put_group(None, "acme", audit("group.create", at(2))).await.unwrap();
    assert_eq!(group, again);
    let found = case.store.group_by_path("ACME").await.unwrap();
    assert_eq!(found, Some(group));
}

async fn put_group<B: Backend>(case: &Case<B>, id: Option<i64>, path: &str) -> StoredGroup {
    case.store.put_group(id, path, audit("group.update", at(5))).await.unwrap()
}

pub(super) async fn a_group_is_found_by_its_number_and_then_by_its_path<B: Backend>() {
    let case = Case::<B>::new().await;
    let first = put_group(&case, None, "acme").await;
    assert_eq!((first.id, first.path.as_deref(), first.revision), (None, Some("acme"), 1));
    let numbered = put_group(&case, Some(9), "acme").await;
    assert_eq!(numbered, StoredGroup { id: Some(9), revision: 2, ..first.clone() });
    let renamed = put_group(&case, Some(9), "apex").await;
    assert_eq!(renamed, StoredGroup { path: Some("apex".to_owned()), revision: 3, ..numbered });
    assert_eq!(put_group(&case, None, "apex").await, renamed);
    assert_ne!(put_group(&case, None, "acme").await.key, first.key, "that one is called otherwise now");
    assert_eq!(case.store.group(first.key).await.unwrap(), Some(renamed));
}

pub(super) async fn a_groups_path_passes_on_without_what_hangs_on_the_group<B: Backend>() {
    let case = Case::<B>::new().await;
    let old = put_group(&case, Some(1), "acme").await;
    let owner = ScopeKey::Group(old.key);
    let put = case.store.put_integration(owner, "slack", configuration("s"), None.into(), audit("x", at(0)));
    assert!(matches!(put.await.unwrap(), Put::Done(_)));

    let new = put_group(&case, Some(2), "acme").await;
    assert_ne!(new.key, old.key, "another number is another group");
    assert!(case.store.integration(ScopeKey::Group(new.key), "slack").await.unwrap().is_none());
    let left = case.store.group(old.key).await.unwrap().unwrap();
    assert_eq!((left.path, left.id), (None, Some(1)));

    let other = put_group(&case, None, "apex").await;
    let renamed = put_group(&case, Some(1), "apex").await;
    assert_eq!((renamed.key, renamed.path.as_deref()), (old.key, Some("apex")));
    let left = case.store.group(other.key).await.unwrap().unwrap();
    assert_eq!(left.path, None);
    let changed: Vec<_> =
        case.store.changes(other.revision).await.unwrap().groups.iter().map(|group| group.key).collect();
    assert_eq!(changed, [other.key, old.key]);
}
