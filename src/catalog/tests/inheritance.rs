//! Instance → group → project, after GitLab's rules.

use super::*;
use crate::integration::IntegrationId;

fn everywhere() -> StoredIntegration {
    row(ScopeKey::Instance, slack(&[("channel", "#all")]))
}

fn in_acme(channel: &str) -> StoredIntegration {
    row(ScopeKey::Group(GroupKey(1)), slack(&[("channel", channel)]))
}

fn in_web(channel: &str) -> StoredIntegration {
    row(ScopeKey::Group(GroupKey(2)), slack(&[("channel", channel)]))
}

fn in_rocket(configuration: Configuration) -> StoredIntegration {
    row(ScopeKey::Project(42), configuration)
}

fn rocket() -> Event {
    push(42, "acme/web/rocket")
}

#[test]
fn a_project_without_settings_inherits_the_nearest_default() {
    assert_eq!(concerned(&rows(vec![everywhere()]), &rocket()), ["42:slack #all"]);
    assert_eq!(concerned(&rows(vec![everywhere(), in_acme("#acme")]), &rocket()), ["42:slack #acme"]);
    let all = rows(vec![everywhere(), in_acme("#acme"), in_web("#web")]);
    assert_eq!(concerned(&all, &rocket()), ["42:slack #web"]);
    assert_eq!(concerned(&all, &push(43, "acme/other")), ["43:slack #acme"]);
    assert_eq!(concerned(&all, &push(44, "elsewhere/entirely")), ["44:slack #all"]);
}

#[test]
fn an_unknown_project_inherits_by_the_path_in_its_event() {
    let snapshot = rows(vec![in_web("#web")]);
    assert_eq!(concerned(&snapshot, &push(99, "ACME/Web/new")), ["99:slack #web"]);
    assert_eq!(concerned(&snapshot, &push(0, "acme/web/numberless")), ["acme/web/numberless:slack #web"]);
}

#[test]
fn a_projects_own_settings_take_precedence_over_any_default() {
    let own = in_rocket(slack(&[("channel", "#rocket")]));
    assert_eq!(concerned(&rows(vec![everywhere(), in_web("#web"), own]), &rocket()), ["42:slack #rocket"]);
}

#[test]
fn a_project_that_is_switched_off_inherits_no_default() {
    let off = in_rocket(inactive(slack(&[("channel", "#rocket")])));
    assert_eq!(concerned(&rows(vec![everywhere(), off]), &rocket()), ["42:slack #rocket (off)"]);
    let off = in_rocket(inactive(Configuration::default()));
    assert!(rows(vec![everywhere(), off]).concerned(&rocket()).iter().all(|found| !found.active));
}

#[test]
fn an_inheriting_project_follows_changes_of_the_default_at_once() {
    let mut snapshot = rows(vec![everywhere(), in_rocket(following())]);
    assert_eq!(concerned(&snapshot, &rocket()), ["42:slack #all"]);
    let change = |integration| Changes { revision: 2, integrations: vec![integration], ..Changes::default() };
    snapshot.take_changes(change(in_acme("#acme")));
    assert_eq!(concerned(&snapshot, &rocket()), ["42:slack #acme"]);
    snapshot.take_changes(change(row(ScopeKey::Group(GroupKey(1)), inactive(slack(&[])))));
    assert_eq!(concerned(&snapshot, &rocket()), ["42:slack  (off)"]);
}

#[test]
fn an_inheriting_group_is_skipped() {
    let web_follows = row(ScopeKey::Group(GroupKey(2)), following());
    assert_eq!(concerned(&rows(vec![in_acme("#acme"), web_follows]), &rocket()), ["42:slack #acme"]);
}

#[test]
fn a_default_that_is_switched_off_notifies_nothing() {
    let off = row(ScopeKey::Group(GroupKey(1)), inactive(slack(&[])));
    assert!(concerned(&rows(vec![everywhere(), off]), &rocket()).is_empty());
}

#[test]
fn a_groups_settings_apply_to_its_mentions_and_to_its_projects() {
    let snapshot = rows(vec![everywhere(), in_web("#web")]);
    assert_eq!(concerned(&snapshot, &mention("acme/WEB")), ["groups/acme/web:slack #web"]);
    assert_eq!(concerned(&snapshot, &mention("acme")), ["groups/acme:slack #all"]);
    assert_eq!(concerned(&snapshot, &rocket()), ["42:slack #web"]);
}

#[test]
fn files_support_inheritance_and_take_precedence_over_the_api() {
    let mut snapshot = rows(vec![everywhere(), in_rocket(slack(&[("channel", "#by-api")]))]);
    let group = in_file(of_group("Acme/Web"), slack(&[("channel", "#web")]));
    let instance = in_file(Scope::Instance, slack(&[("channel", "#file")]));
    snapshot.set_files(vec![group.clone(), instance.clone()], Vec::new());
    assert_eq!(concerned(&snapshot, &rocket()), ["42:slack #by-api"]);
    assert_eq!(concerned(&snapshot, &push(43, "acme/web/other")), ["43:slack #web"]);
    assert_eq!(concerned(&snapshot, &push(44, "elsewhere/entirely")), ["44:slack #file"]);
    let own = in_file(by_path("acme/web/rocket"), slack(&[("channel", "#by-file")]));
    snapshot.set_files(vec![group, instance, own], Vec::new());
    assert_eq!(concerned(&snapshot, &rocket()), ["acme/web/rocket:slack #by-file"]);
}

#[test]
fn a_waiting_delivery_finds_its_settings() {
    let snapshot = rows(vec![in_web("#web"), everywhere()]);
    for event in [rocket(), push(44, "elsewhere/entirely"), mention("acme/web")] {
        let mut snapshot = snapshot.clone();
        snapshot.take_changes(Changes {
            revision: 2,
            projects: vec![project(44, "elsewhere/entirely")],
            ..Changes::default()
        });
        for integration in snapshot.concerned(&event) {
            let found = snapshot.integration(&integration.id).unwrap();
            assert_eq!(found.channels, integration.channels, "{}", integration.id);
            assert_eq!(found.scope, integration.scope);
        }
    }
    assert!(snapshot.integration(&IntegrationId::new("42:mattermost")).is_none());
    assert!(snapshot.integration(&IntegrationId::new("instance:slack")).is_none());
    assert!(snapshot.integration(&IntegrationId::new("nonsense")).is_none());
}

#[test]
fn a_project_that_is_renamed_keeps_its_settings_and_follows_its_new_groups() {
    let mut snapshot = rows(vec![everywhere(), in_web("#web")]);
    let waiting = snapshot.concerned(&rocket()).remove(0).id.clone();
    snapshot.take_changes(Changes {
        revision: 2,
        projects: vec![project(42, "elsewhere/rocket")],
        ..Changes::default()
    });
    assert_eq!(snapshot.integration(&waiting).unwrap().channels.default, ["#all"]);
    assert!(snapshot.directory().project_by_path("acme/web/rocket").is_none());
    assert_eq!(snapshot.directory().project_by_path("Elsewhere/Rocket").unwrap().id, 42);
}

/// A tracker's row.
fn redmine(owner: ScopeKey, host: &str, active: bool) -> StoredIntegration {
    let pages = [("project_url", "p"), ("issues_url", "issues/:id"), ("new_issue_url", "new")];
    let setting =
        |(name, page): (&str, &str)| (name.to_owned(), Value::Text(format!("https://{host}/{page}")));
    let properties = pages.map(setting).into_iter().collect();
    let configuration = Configuration { active, properties, ..Configuration::default() };
    StoredIntegration { slug: "redmine".to_owned(), ..row(owner, configuration) }
}

#[test]
fn a_projects_own_tracker_comes_before_those_above() {
    let leads = |stored: Vec<StoredIntegration>| {
        let tracker = rows(stored).links(&rocket()).tracker();
        tracker.and_then(|tracker| tracker.issue("ABC-1")).unwrap_or_default()
    };
    let everywhere = || redmine(ScopeKey::Instance, "everywhere.example", true);
    let group = || redmine(ScopeKey::Group(GroupKey(2)), "group.example", true);
    let own = |active| redmine(ScopeKey::Project(42), "own.example", active);
    assert_eq!(leads(vec![everywhere(), group(), own(true)]), "https://own.example/issues/1");
    assert_eq!(leads(vec![everywhere(), group()]), "https://group.example/issues/1");
    assert_eq!(leads(vec![everywhere()]), "https://everywhere.example/issues/1");
    assert_eq!(leads(vec![everywhere(), own(false)]), "", "switched off for the project");
    assert_eq!(leads(vec![row(ScopeKey::Instance, slack(&[]))]), "");
}
