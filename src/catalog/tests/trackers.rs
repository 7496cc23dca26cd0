//! Of the issue trackers of a project, one is to be active.

use std::sync::Arc;

use super::*;
use crate::catalog::ResolvedScope;

fn tracker() -> Configuration {
    let mut configuration = Configuration { active: true, ..Configuration::default() };
    let pages = [
        ("project_url", "https://t.example/p"),
        ("issues_url", "https://t.example/:id"),
        ("new_issue_url", "https://t.example/new"),
    ];
    let pages = pages.map(|(name, page)| (name.to_owned(), Value::Text(page.to_owned())));
    configuration.properties.extend(pages);
    configuration
}

/// A tracker of a file.
fn of_file(scope: Scope, slug: &str, configuration: Configuration) -> ConfiguredAt {
    let entry = adapters::find(slug).unwrap();
    let resolved = Resolved::read(entry, &configuration).map(Arc::new);
    ConfiguredAt { scope, configured: Configured::of_file(entry, configuration, resolved, "a.toml".into()) }
}

/// A project whose Redmine is set by the API, and this file.
fn beside(redmine: Configuration, file: ConfiguredAt) -> Snapshot {
    let redmine = StoredIntegration { slug: "redmine".to_owned(), ..row(ScopeKey::Project(42), redmine) };
    let mut snapshot = rows(vec![redmine]);
    snapshot.set_files(vec![file], Vec::new());
    snapshot
}

#[test]
fn two_trackers_of_a_project_are_found_with_the_one_that_counts() {
    for scope in [by_id(42), by_path("acme/web/rocket")] {
        let found = beside(tracker(), of_file(scope, "bugzilla", tracker())).rival_trackers();
        let [rivals] = found.as_slice() else { panic!("{found:?}") };
        let path = Some("acme/web/rocket".to_owned());
        assert_eq!(rivals.scope, ResolvedScope::Project { id: Some(42), path });
        assert_eq!((rivals.trackers, rivals.counts), (["bugzilla", "redmine"], Some("bugzilla")));
    }
}

#[test]
fn a_tracker_that_is_off_inherited_or_of_a_group_or_no_tracker_is_no_rival() {
    let of_project = || of_file(by_id(42), "bugzilla", tracker());
    for snapshot in [
        beside(inactive(tracker()), of_project()),
        beside(following(), of_project()),
        beside(tracker(), of_file(by_id(42), "bugzilla", inactive(tracker()))),
        beside(tracker(), of_file(by_id(42), "redmine", tracker())),
        beside(tracker(), of_file(of_group("acme/web"), "bugzilla", tracker())),
        beside(tracker(), in_file(by_id(42), slack(&[]))),
    ] {
        assert_eq!(snapshot.rival_trackers(), []);
    }
}
