//! Of which project an event is that names only the address of a page.

use super::*;

/// A vulnerability whose page lies in the project with this address.
fn found_in(project_id: i64, project_url: &str) -> Event {
    let attributes = json!({
        "project_id": project_id,
        "url": format!("{project_url}/-/security/vulnerabilities/1"),
    });
    let body = json!({ "object_kind": "vulnerability", "object_attributes": attributes });
    Event::decode(EventId::new("e1").unwrap(), Timestamp::UNIX_EPOCH, body.to_string().into()).unwrap()
}

fn path_of(snapshot: &Snapshot, event: Event) -> String {
    snapshot.located(event).project.unwrap().path_with_namespace.to_string()
}

/// The project 42 is acme/web/rocket, and acme is a group.
fn with_forge(url: &str) -> Snapshot {
    let mut snapshot = rows(Vec::new());
    snapshot.set_forge(url);
    snapshot
}

#[test]
fn the_path_of_a_project_begins_after_the_forges_address() {
    for forge in ["https://Example.com/gitlab/", "http://example.com/gitlab", "example.com/gitlab"] {
        let snapshot = with_forge(forge);
        for (url, path) in [
            ("https://example.com/gitlab/acme/new", "acme/new"),
            ("https://example.com/gitlab/gitlab/new", "gitlab/new"),
            // Another address than the forge's.
            ("https://example.com/gitlabs/acme/new", "gitlabs/acme/new"),
            ("https://example.org/gitlab/acme/new", "gitlab/acme/new"),
        ] {
            assert_eq!(path_of(&snapshot, found_in(7, url)), path, "{forge} {url}");
            assert_eq!(path_of(&snapshot, found_in(0, url)), path, "{forge} {url}");
        }
    }
}

#[test]
fn if_the_forges_address_is_known_a_move_is_known_too() {
    for (forge, url) in [
        ("https://example.com", "https://example.com"),
        ("https://example.com/gitlab", "https://example.com/gitlab"),
    ] {
        let mut snapshot = with_forge(forge);
        for moved in ["other/acme/web/rocket", "apex/rocket"] {
            let event = snapshot.located(found_in(42, &format!("{url}/{moved}")));
            assert_eq!(event.project.as_ref().unwrap().path_with_namespace, moved, "{forge}");
            let news = snapshot.directory().unknown_in(&event).expect("the path is news");
            assert_eq!(news.path.as_deref(), Some(moved));
        }
        // A restored store has other rows, and the forge stays where it is.
        snapshot.take_changes(Changes::default());
        assert_eq!(path_of(&snapshot, found_in(42, &format!("{url}/acme/web/rocket"))), "acme/web/rocket");
    }
}

#[test]
fn if_the_forges_address_is_not_known_the_earlier_path_of_the_project_shows_it() {
    let snapshot = with_forge("");
    let at = |project_id, path: &str| {
        path_of(&snapshot, found_in(project_id, &format!("https://example.com/{path}")))
    };
    assert_eq!(at(42, "gitlab/acme/web/rocket"), "acme/web/rocket");
    assert_eq!(at(42, "acme/web/rocket"), "acme/web/rocket");
    assert_eq!(at(43, "gitlab/acme/web/rocket"), "gitlab/acme/web/rocket", "it may be another project");
    assert_eq!(at(42, "gitlabacme/web/rocket"), "gitlabacme/web/rocket", "half a name is another name");
    assert_eq!(at(42, "gitlab/apex/rocket"), "gitlab/apex/rocket");
}

#[test]
fn a_project_that_was_moved_into_a_known_group_is_not_at_its_earlier_path() {
    let mut snapshot = with_forge("");
    let moved = |snapshot: &Snapshot, group: &str| {
        path_of(snapshot, found_in(42, &format!("https://example.com/{group}/acme/web/rocket")))
    };
    assert_eq!(moved(&snapshot, "acme"), "acme/acme/web/rocket", "a group of the store");
    snapshot.set_files(vec![in_file(of_group("apex"), slack(&[]))], Vec::new());
    assert_eq!(moved(&snapshot, "apex"), "apex/acme/web/rocket", "a group of a file");
    assert_eq!(moved(&snapshot, "gitlab"), "acme/web/rocket");
}

/// Otherwise the project would be known by a path that begins with the forge's, and its tokens would not reach it.
#[test]
fn a_guess_does_not_replace_the_path_that_an_event_named() {
    let snapshot = with_forge("");
    let news = |project_id, url: &str| {
        let event = snapshot.located(found_in(project_id, url));
        snapshot.directory().unknown_in(&event).map(|seen| seen.path)
    };
    assert_eq!(news(42, "https://example.com/gitlab/apex/rocket"), None);
    assert_eq!(news(42, "https://example.com/gitlab/acme/web/rocket"), None);
    assert_eq!(news(7, "https://example.com/acme/new"), Some(Some("acme/new".to_owned())));
}

#[test]
fn a_payload_that_names_its_project_is_believed() {
    let snapshot = with_forge("https://example.com/gitlab");
    assert_eq!(path_of(&snapshot, push(42, "gitlab/acme/web/rocket")), "gitlab/acme/web/rocket");
}
