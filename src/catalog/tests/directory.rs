//! Who is found by which name, and what is known of them.

use super::*;
use crate::catalog::ResolvedScope;
use crate::integration::{IntegrationId, ProjectFacts};
use crate::store::registry::{Corrected, Visibility};

#[test]
fn a_project_is_found_by_number_and_by_path_in_any_case() {
    let snapshot = files(vec![
        in_file(by_id(7), slack(&[("channel", "#number")])),
        in_file(by_path("Acme/Web"), slack(&[("channel", "#path")])),
        in_file(by_path("acme/website"), slack(&[("channel", "#other")])),
        in_file(of_group("acme-web"), slack(&[("channel", "#group")])),
    ]);
    assert_eq!(concerned(&snapshot, &push(7, "acme/WEB")), ["7:slack #number", "acme/web:slack #path"]);
    assert_eq!(concerned(&snapshot, &push(7, "acme/renamed")), ["7:slack #number"]);
    assert_eq!(concerned(&snapshot, &push(8, "acme/web")), ["acme/web:slack #path"]);
    assert!(concerned(&snapshot, &push(8, "acme/none")).is_empty());
}

#[test]
fn a_group_and_a_project_of_the_same_path_are_different() {
    let snapshot = files(vec![
        in_file(of_group("Acme"), slack(&[("channel", "#group")])),
        in_file(by_path("acme"), slack(&[("channel", "#project")])),
    ]);
    assert_eq!(concerned(&snapshot, &mention("aCME")), ["groups/acme:slack #group"]);
    assert_eq!(concerned(&snapshot, &push(7, "acme")), ["acme:slack #project"]);
}

#[test]
fn integrations_are_looked_up_by_the_id_that_their_scope_gives() {
    let snapshot = files(vec![in_file(by_id(7), slack(&[])), in_file(by_path("Acme/Web"), slack(&[]))]);
    assert_eq!((snapshot.len(), snapshot.is_empty()), (2, false));
    assert!(snapshot.integration(&IntegrationId::new("7:slack")).is_some());
    assert!(snapshot.integration(&IntegrationId::new("acme/web:slack")).is_some());
    assert!(snapshot.integration(&IntegrationId::new("8:slack")).is_none());
    assert!(snapshot.fingerprint(&IntegrationId::new("7:slack")).is_some());
}

#[test]
fn facts_come_from_files_then_people_then_the_event_then_earlier_ones() {
    let facts =
        |branch: &str| ProjectFacts { default_branch: Some(branch.to_owned()), protected_branches: None };
    let branch = |snapshot: &Snapshot, event: &Event| snapshot.facts(event).default_branch;
    let mut learned = project(42, "acme/web");
    learned.learned.default_branch = Some("earlier".to_owned());
    let mut snapshot = Snapshot::default();
    let take = |snapshot: &mut Snapshot, project| {
        snapshot.take_changes(Changes { revision: 1, projects: vec![project], ..Changes::default() });
    };
    take(&mut snapshot, learned.clone());
    let mut event = push(42, "acme/web");
    assert_eq!(branch(&snapshot, &event).as_deref(), Some("trunk"));
    event.project.as_mut().unwrap().default_branch = None;
    assert_eq!(branch(&snapshot, &event).as_deref(), Some("earlier"));
    let protected_branches = Some(vec!["*-stable".to_owned()]);
    learned.corrected = Corrected {
        default_branch: Some("corrected".to_owned()),
        protected_branches: protected_branches.clone(),
        ..Corrected::default()
    };
    take(&mut snapshot, learned);
    assert_eq!(branch(&snapshot, &push(42, "acme/web")).as_deref(), Some("corrected"));
    snapshot.set_files(
        Vec::new(),
        vec![
            (Scope::ProjectPath("ACME/web".to_owned()), facts("by-path")),
            (Scope::ProjectPath("acme/WEB".to_owned()), facts("repeated")),
            (Scope::ProjectId(7), facts("by-number")),
        ],
    );
    assert_eq!(branch(&snapshot, &push(42, "acme/web")).as_deref(), Some("by-path"));
    assert_eq!(branch(&snapshot, &push(7, "acme/web")).as_deref(), Some("by-number"));
    assert_eq!(branch(&snapshot, &push(8, "acme/none")).as_deref(), Some("trunk"));
    // What one source does not say, the next one may.
    assert_eq!(snapshot.facts(&push(42, "acme/web")).protected_branches, protected_branches);
}

#[test]
fn only_new_facts_of_an_event_are_written() {
    let mut snapshot = Snapshot::default();
    let news = |snapshot: &Snapshot, event: &Event| snapshot.directory().unknown_in(event);
    let mut event = push(42, "acme/web");
    event.project.as_mut().unwrap().visibility_level = Some(json!(20));
    let seen = news(&snapshot, &event).unwrap();
    assert_eq!((seen.id, seen.path.as_deref()), (42, Some("acme/web")));
    assert_eq!(seen.learned.visibility, Some(Visibility::Public));
    let known = StoredProject { learned: seen.learned, ..project(42, "acme/web") };
    snapshot.take_changes(Changes { revision: 1, projects: vec![known], ..Changes::default() });
    assert_eq!(news(&snapshot, &event), None);
    // A payload that says less takes nothing back.
    event.project.as_mut().unwrap().default_branch = None;
    event.project.as_mut().unwrap().visibility_level = None;
    assert_eq!(news(&snapshot, &event), None);
    assert!(news(&snapshot, &push(42, "acme/renamed")).is_some());
    assert_eq!(news(&snapshot, &push(0, "acme/numberless")), None);
}

#[test]
fn a_scope_is_known_by_a_row_or_by_a_file_that_names_it() {
    let mut snapshot = rows(Vec::new());
    let known = |snapshot: &Snapshot, scope: Scope| snapshot.known(&scope).map(|scope| scope.to_string());
    assert_eq!(known(&snapshot, by_id(42)).as_deref(), Some("project 42"));
    assert_eq!(known(&snapshot, by_path("ACME/web/Rocket")).as_deref(), Some("project 42"));
    assert_eq!(known(&snapshot, of_group("Acme")).as_deref(), Some("group acme"));
    assert_eq!(known(&snapshot, by_id(43)), None);
    assert_eq!(known(&snapshot, by_path("acme/none")), None);
    assert_eq!(known(&snapshot, of_group("none")), None);
    snapshot.set_files(vec![in_file(by_path("acme/filed"), slack(&[]))], Vec::new());
    assert_eq!(known(&snapshot, by_path("acme/filed")).as_deref(), Some("project acme/filed"));
}

#[test]
fn an_older_row_that_arrives_later_changes_nothing() {
    let mut snapshot = Snapshot::default();
    let take = |snapshot: &mut Snapshot, revision, project: StoredProject| {
        snapshot.take_changes(Changes { revision, projects: vec![project], ..Changes::default() })
    };
    take(&mut snapshot, 1, StoredProject { revision: 3, ..project(42, "acme/renamed") });
    assert!(!take(&mut snapshot, 2, StoredProject { revision: 2, ..project(42, "acme/former") }));
    assert_eq!(snapshot.directory().project(42).unwrap().path.as_deref(), Some("acme/renamed"));
    assert!(snapshot.directory().project_by_path("acme/former").is_none());
    // A store that was put back knows better than what was read before.
    assert!(take(&mut snapshot, 1, StoredProject { revision: 1, ..project(42, "acme/then") }));
    assert_eq!(snapshot.directory().project(42).unwrap().path.as_deref(), Some("acme/then"));
}

#[test]
fn a_path_belongs_to_one_project_even_before_the_store_reports_the_other() {
    let mut snapshot = rows(Vec::new());
    let changes =
        Changes { revision: 2, projects: vec![project(43, "ACME/web/rocket")], ..Changes::default() };
    assert!(snapshot.take_changes(changes), "who had it may follow other defaults now");
    assert_eq!(snapshot.directory().project(42).unwrap().path, None);
    assert_eq!(snapshot.directory().project_by_path("acme/web/rocket").unwrap().id, 43);
}

#[test]
fn the_scopes_of_a_group_are_found_by_path_in_order_and_each_once() {
    let mut snapshot = rows(vec![row(ScopeKey::Project(42), slack(&[]))]);
    snapshot.take_changes(Changes {
        revision: 2,
        projects: vec![project(43, "acme-x/other"), project(44, "Acme/alone")],
        ..Changes::default()
    });
    snapshot.set_files(
        vec![
            in_file(by_path("acme/web/rocket"), slack(&[])),
            in_file(by_path("acme/web/of-file"), slack(&[])),
            in_file(of_group("acme/tools"), slack(&[])),
            in_file(by_id(99), slack(&[])),
            in_file(Scope::Instance, slack(&[])),
        ],
        Vec::new(),
    );
    let titles = |scopes: &mut dyn Iterator<Item = ResolvedScope>| -> Vec<String> {
        scopes.map(|scope| scope.path().map_or_else(|| scope.to_string(), str::to_owned)).collect()
    };
    let within_acme = ["acme", "Acme/alone", "acme/tools", "acme/web", "acme/web/of-file", "acme/web/rocket"];
    assert_eq!(titles(&mut snapshot.scopes_within("ACME")), within_acme);
    assert_eq!(titles(&mut snapshot.scopes_within("acme/web")), within_acme[3..]);
    assert_eq!(titles(&mut snapshot.scopes_within("none")), [""; 0]);
    let all = titles(&mut snapshot.all_scopes());
    assert_eq!(all[0], ResolvedScope::Instance.to_string());
    let (pathless, with_path) = all[1..].split_last().unwrap();
    assert!(within_acme.iter().all(|path| with_path.contains(&(*path).to_owned())), "{all:?}");
    assert_eq!(
        (with_path.len(), with_path[1].as_str(), pathless.as_str()),
        (7, "acme-x/other", "project 99")
    );
}

#[test]
fn the_adapters_of_a_scope_are_its_own_and_those_that_it_could_inherit() {
    let of = |snapshot: &Snapshot, scope: &Scope| {
        let scope = snapshot.directory().resolve(scope);
        (snapshot.slugs_at(&scope).into_iter().collect::<Vec<_>>(), snapshot.has_own(&scope))
    };
    let at_group = |configuration| rows(vec![row(ScopeKey::Group(GroupKey(1)), configuration)]);
    let rocket = by_path("acme/web/rocket");
    assert_eq!(of(&at_group(inactive(slack(&[]))), &rocket), (vec!["slack"], false));
    assert_eq!(of(&at_group(slack(&[])), &of_group("acme")), (vec!["slack"], true));
    assert_eq!(of(&at_group(following()), &rocket), (vec![], false), "there is nothing to inherit");
    assert_eq!(of(&rows(vec![row(ScopeKey::Project(42), following())]), &rocket), (vec!["slack"], true));
    assert_eq!(of(&rows(vec![]), &rocket), (vec![], false));
}
