//! Finds the scope of a request (a project, a group or the instance), and checks whether its token reaches the scope.
//!
//! A scope out of the token's reach is answered as if it did not exist.

use super::{ApiError, Level, PREFIX, address};
use crate::api::error::Missing;
use crate::catalog::{CachedCatalog, Catalog as _, Directory, ResolvedScope, Snapshot};
use crate::event::{Event, Project};
use crate::integration::Scope;
use crate::store::registry::{ScopeKey, StoredProject};

/// How an unknown name is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    IsMissing,
    /// A token of the instance may name something for the first time: a project by its number or path, a group by its path.
    /// So may a token of a group, for the paths of projects in it.
    IsNew,
}

/// The scope that a request's path names.
pub(super) fn named(directory: &Directory, path: &str, id: &str) -> Result<Scope, ApiError> {
    let level = match path.strip_prefix(PREFIX).unwrap_or_default().split('/').nth(1) {
        Some("projects") => Level::Project,
        Some("groups") => Level::Group,
        _ => Level::Instance,
    };
    named_at(directory, level, id)
}

/// The scope of this level and name.
pub(super) fn named_at(directory: &Directory, level: Level, id: &str) -> Result<Scope, ApiError> {
    match level {
        Level::Project => address::project(id).ok_or(ApiError::NotFound(Missing::Project)),
        Level::Group => group_scope(directory, id).ok_or(ApiError::NotFound(Missing::Group)),
        Level::Instance => Ok(Scope::Instance),
    }
}

/// A group, which a request may name by its number.
pub(super) fn group_scope(directory: &Directory, id: &str) -> Option<Scope> {
    match address::number(id) {
        Some(number) => directory.group_by_id(number)?.path.clone().map(Scope::Group),
        None => address::group_path(id).map(Scope::Group),
    }
}

/// The scope of this name, if a token of this reach may see it.
pub(super) fn find(
    snapshot: &Snapshot,
    scope: &Scope,
    reach: ScopeKey,
    unknown: Unknown,
) -> Result<ResolvedScope, ApiError> {
    let may_be_new = unknown == Unknown::IsNew && reach == ScopeKey::Instance;
    let (may_be_new, missing) = match scope {
        // The instance exists for everybody, so 404 would hide nothing.
        Scope::Instance if reach != ScopeKey::Instance => return Err(ApiError::Forbidden),
        // A token for a project may name it before anything else is known of it.
        Scope::ProjectId(id) => {
            (*id > 0 && (may_be_new || reach == ScopeKey::Project(*id)), Missing::Project)
        }
        // The groups in the path decide which tokens reach the project.
        Scope::ProjectPath(_) => {
            (unknown == Unknown::IsNew && !matches!(reach, ScopeKey::Project(_)), Missing::Project)
        }
        Scope::Instance => (false, Missing::Project),
        Scope::Group(_) => (may_be_new, Missing::Group),
    };
    let known = snapshot.known(scope);
    let found = known.or_else(|| may_be_new.then(|| snapshot.directory().resolve(scope)));
    found.filter(|scope| reaches(snapshot.directory(), reach, scope)).ok_or(ApiError::NotFound(missing))
}

/// Whether a token of this reach may see a scope: the scope is the reach itself or lies in it.
pub(super) fn reaches(directory: &Directory, reach: ScopeKey, scope: &ResolvedScope) -> bool {
    match reach {
        ScopeKey::Instance => true,
        // No token reaches a file.
        ScopeKey::File(_) => false,
        ScopeKey::Project(_) => scope.key() == Some(reach),
        ScopeKey::Group(_) if scope.key() == Some(reach) => true,
        ScopeKey::Group(key) => {
            let path = directory.group(key).and_then(|group| group.path.as_deref());
            path.is_some_and(|path| scope.ancestors().any(|above| above.eq_ignore_ascii_case(path)))
        }
    }
}

/// An event with only the facts for which a token of this reach is trusted; `None` if it is not trusted at all.
///
/// A sender can write any path into an event, and integrations are matched by path. So only a token of the instance is
/// trusted fully; for others the path must be the known one of the event's project number. The numbers of groups are removed,
/// where they are not known to be those of the paths beside them. A group's token may also send
/// events of a project that is not known yet, by number or by path, if its path lies in the group. The number is then
/// removed from the event. Otherwise an event with another project's number could make that project appear to lie in the
/// group: the group's token could then set its integrations, and its code would be read with the forge's token. The
/// number is also removed from the project in which a group was mentioned, wherever the project lies.
pub(in crate::api) fn trusted_event(catalog: &CachedCatalog, reach: ScopeKey, event: Event) -> Option<Event> {
    match catalog.read(|snapshot| trust(snapshot, reach, &event)) {
        Trust::Whole => Some(event),
        Trust::WithoutNumber => event.without_ids(|event| catalog.located(event)),
        Trust::None => None,
    }
}

/// As [`trusted_event`], for an event from quarantine with the sender that is noted there. A sender whose token is not
/// known is not trusted.
pub fn event_of_sender(catalog: &CachedCatalog, sender: &str, event: Event) -> Option<Event> {
    let reach = catalog.read(|snapshot| {
        snapshot.tokens().find(|token| token.as_sender() == sender).map(|token| token.access.reach)
    });
    trusted_event(catalog, reach?, catalog.located(event))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Whole,
    WithoutNumber,
    None,
}

fn trust(snapshot: &Snapshot, reach: ScopeKey, event: &Event) -> Trust {
    let directory = snapshot.directory();
    match (&event.group, &event.project) {
        _ if reach == ScopeKey::Instance => Trust::Whole,
        (Some(group), project) => {
            let group = directory.resolve(&Scope::Group(group.path.to_string()));
            let of_project = project.as_ref().map(|project| trust_in_project(directory, reach, project));
            match of_project {
                _ if group.key().is_none() || !reaches(directory, reach, &group) => Trust::None,
                _ if names_new_groups(directory, event) => Trust::WithoutNumber,
                None | Some(Trust::Whole) => Trust::Whole,
                // The group's integrations deliver the event, and need only the project's name.
                Some(Trust::WithoutNumber | Trust::None) => Trust::WithoutNumber,
            }
        }
        (None, Some(project)) => trust_in_project(directory, reach, project),
        (None, None) => Trust::None,
    }
}

/// Whether the event says something of a group's number and path that is not known. The path of a group decides what the
/// group's token reaches, so only a token of the instance may say it.
fn names_new_groups(directory: &Directory, event: &Event) -> bool {
    directory.unknown_groups_in(event).next().is_some()
}

fn trust_in_project(directory: &Directory, reach: ScopeKey, project: &Project) -> Trust {
    let path = &project.path_with_namespace;
    let (scope, trust) = match directory.project(project.id) {
        Some(known) if known.path.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(path)) => {
            (ResolvedScope::Project { id: Some(known.id), path: known.path.clone() }, Trust::Whole)
        }
        None if is_new(directory, path) && address::project_path(path).is_some() => {
            (ResolvedScope::Project { id: None, path: Some(path.to_string()) }, Trust::WithoutNumber)
        }
        _ => return Trust::None,
    };
    if reaches(directory, reach, &scope) { trust } else { Trust::None }
}

/// Whether no project is known to have this path with the forge's number.
fn is_new(directory: &Directory, path: &str) -> bool {
    directory.project_by_path(path).and_then(StoredProject::number).is_none()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::event::{EventId, Trigger, sample};
    use crate::store::registry::{Changes, Corrected, GroupKey, Learned, StoredGroup};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn snapshot() -> Snapshot {
        let project = |id: i64, path: &str| StoredProject {
            id,
            path: Some(path.to_owned()),
            learned: Learned::default(),
            corrected: Corrected::default(),
            revision: 1,
            created_at: NOW,
            updated_at: NOW,
        };
        let group = |key: i64, id: Option<i64>, path: &str| StoredGroup {
            key: GroupKey(key),
            id,
            path: Some(path.to_owned()),
            revision: 1,
            created_at: NOW,
        };
        let mut snapshot = Snapshot::default();
        snapshot.take_changes(Changes {
            revision: 1,
            projects: vec![
                project(42, "acme/rocket"),
                project(43, "acme/web/site"),
                project(44, "other/thing"),
            ],
            groups: vec![group(1, Some(7), "acme"), group(2, None, "acme/web"), group(3, None, "other")],
            ..Changes::default()
        });
        snapshot
    }

    const PROJECT: &str = "/api/v4/projects/x/integrations";
    const GROUP: &str = "/api/v4/groups/x/integrations";
    const INSTANCE: &str = "/api/v4/integrations";

    fn found(path: &str, id: &str, reach: ScopeKey, unknown: Unknown) -> Result<String, ApiError> {
        let snapshot = snapshot();
        let scope = named(snapshot.directory(), path, id)?;
        find(&snapshot, &scope, reach, unknown).map(|scope| scope.to_string())
    }

    fn project(id: &str, reach: ScopeKey) -> Result<String, ApiError> {
        found(PROJECT, id, reach, Unknown::IsMissing)
    }

    const NO_PROJECT: ApiError = ApiError::NotFound(Missing::Project);
    const NO_GROUP: ApiError = ApiError::NotFound(Missing::Group);
    const ACME: ScopeKey = ScopeKey::Group(GroupKey(1));

    #[test]
    fn the_path_says_whether_a_project_a_group_or_the_instance_is_meant() {
        let named = |path| named(snapshot().directory(), path, "acme/web").unwrap();
        let path = || "acme/web".to_owned();
        assert_eq!(named("/api/v4/projects/acme%2Fweb/integrations"), Scope::ProjectPath(path()));
        assert_eq!(named("/api/v4/groups/projects/services/slack"), Scope::Group(path()));
        assert_eq!(named("/api/v4/integrations/slack"), Scope::Instance);
    }

    #[test]
    fn a_project_is_found_by_number_and_by_path_in_any_case() {
        for id in ["42", "acme/rocket", "Acme/Rocket"] {
            assert_eq!(project(id, ScopeKey::Instance), Ok("project 42".to_owned()), "{id}");
        }
        assert_eq!(found(GROUP, "7", ScopeKey::Instance, Unknown::IsMissing), Ok("group acme".to_owned()));
    }

    #[test]
    fn what_is_not_reached_is_answered_as_missing() {
        assert!(project("42", ScopeKey::Project(42)).is_ok());
        assert!(project("acme/rocket", ScopeKey::Project(42)).is_ok());
        for (id, reach) in
            [("43", ScopeKey::Project(42)), ("acme/web/site", ScopeKey::Project(42)), ("44", ACME)]
        {
            assert_eq!(project(id, reach), Err(NO_PROJECT), "{id}");
        }
        assert_eq!(project("44", ACME), project("4711", ACME), "nothing tells the two apart");
        assert_eq!(found(GROUP, "acme", ScopeKey::Project(42), Unknown::IsNew), Err(NO_GROUP));
        assert_eq!(found(GROUP, "other", ACME, Unknown::IsNew), Err(NO_GROUP));
    }

    #[test]
    fn a_groups_token_reaches_all_that_lies_in_it() {
        for id in ["42", "43"] {
            assert!(project(id, ACME).is_ok(), "{id}");
        }
        for id in ["acme", "acme/web"] {
            assert!(found(GROUP, id, ACME, Unknown::IsMissing).is_ok(), "{id}");
        }
        assert_eq!(found(GROUP, "acme", ScopeKey::Group(GroupKey(2)), Unknown::IsMissing), Err(NO_GROUP));
    }

    fn push(id: i64, path: &str) -> Event {
        let raw = String::from_utf8(sample(Trigger::Push).raw.to_vec()).unwrap();
        let mut json: serde_json::Value = serde_json::from_str(&raw).unwrap();
        json["project"]["id"] = id.into();
        json["project_id"] = id.into();
        json["project"]["path_with_namespace"] = path.into();
        Event::decode(EventId::new("e").unwrap(), NOW, json.to_string().into()).unwrap()
    }

    #[test]
    fn an_event_is_not_trusted_with_its_own_path() {
        let may = |reach, event: Event| trust(&snapshot(), reach, &event) != Trust::None;
        assert!(may(ScopeKey::Project(42), push(42, "acme/rocket")));
        assert!(may(ACME, push(43, "acme/web/site")));
        assert!(may(ScopeKey::Instance, push(99, "new/thing")));
        for (reach, id, path) in [
            (ScopeKey::Project(42), 43, "acme/web/site"),
            (ScopeKey::Project(42), 42, "other/thing"),
            (ScopeKey::Project(42), 42, "acme/new"),
            (ScopeKey::Project(99), 99, "acme/rocket"),
            (ACME, 44, "other/thing"),
            (ACME, 44, "acme/thing"),
            (ACME, 99, "acme/rocket"),
            (ACME, 42, "acme/new"),
            (ACME, 99, "acmex/new"),
            (ACME, 99, "acme"),
            (ACME, 99, "acme/../other/new"),
            (ACME, 99, "acme//new"),
            (ACME, 99, "other/acme/new"),
            (ACME, 99, ""),
            (ScopeKey::Group(GroupKey(2)), 99, "acme/new"),
            (ScopeKey::Group(GroupKey(9)), 99, "acme/new"),
        ] {
            assert!(!may(reach, push(id, path)), "{reach:?} {id} {path}");
        }
    }

    #[test]
    fn a_groups_token_may_name_new_projects_in_the_group_but_not_their_numbers() {
        let told = |id, path| trust(&snapshot(), ACME, &push(id, path));
        for path in ["acme/new", "Acme/new", "acme/web/new", "acme/fresh/new"] {
            assert_eq!(told(99, path), Trust::WithoutNumber, "{path}");
        }
        assert_eq!(told(42, "Acme/Rocket"), Trust::Whole, "this one is known to be the group's");
    }

    #[test]
    fn a_mention_of_the_group_gives_no_number_to_the_project_that_it_was_in() {
        let told = |reach, id, path: &str| {
            let raw = serde_json::to_vec(&serde_json::json!({
                "object_kind": "group_mention",
                "mentioned": { "object_kind": "group", "name": "acme", "url": "https://forge.example/groups/acme" },
                "project": { "id": id, "path_with_namespace": path },
                "object_attributes": { "object_kind": "issue", "iid": 1, "url": "https://forge.example/x" },
            }));
            let event = Event::decode(EventId::new("e").unwrap(), NOW, raw.unwrap().into()).unwrap();
            assert!(event.group.is_some());
            trust(&snapshot(), reach, &event)
        };
        assert_eq!(told(ACME, 42, "acme/rocket"), Trust::Whole);
        // With a number, the event would have it that this project lies there.
        for (id, path) in [(44, "acme/thing"), (44, "other/thing"), (99, "acme/new"), (99, "elsewhere/new")] {
            assert_eq!(told(ACME, id, path), Trust::WithoutNumber, "{id} {path}");
        }
        assert_eq!(told(ScopeKey::Project(42), 42, "acme/rocket"), Trust::None);
        assert_eq!(told(ScopeKey::Group(GroupKey(3)), 44, "other/thing"), Trust::None);
        assert_eq!(told(ScopeKey::Instance, 99, "acme/new"), Trust::Whole);
    }

    fn change_in_group(body: &serde_json::Value) -> Event {
        Event::decode(EventId::new("e").unwrap(), NOW, body.to_string().into()).unwrap()
    }

    /// Otherwise the token of `acme` could give its own row the path of another group, and reach that.
    #[test]
    fn an_event_of_a_groups_token_says_nothing_new_of_the_paths_of_groups() {
        let subgroup = |group_id: i64, full_path: &str, parent: Option<i64>| {
            change_in_group(&serde_json::json!({
                "event_name": "subgroup_create", "name": "x", "group_id": group_id, "full_path": full_path,
                "parent_group_id": parent, "parent_full_path": "acme",
            }))
        };
        for (group_id, full_path, parent) in [
            (7, "other", None),
            (7, "other", Some(7)),
            (99, "other", None),
            (99, "acme/stolen", None),
            (99, "x", Some(99)),
        ] {
            let event = subgroup(group_id, full_path, parent);
            assert_eq!(trust(&snapshot(), ACME, &event), Trust::WithoutNumber, "{group_id} {full_path}");
            let trusted = event.without_ids(|event| event).expect("the path of the group is enough");
            assert_eq!(
                snapshot().directory().unknown_groups_in(&trusted).count(),
                0,
                "{group_id} {full_path}"
            );
            assert_eq!(trusted.group, event.group);
        }
        assert_eq!(trust(&snapshot(), ACME, &subgroup(7, "acme", Some(7))), Trust::Whole, "both are known");
        assert_eq!(trust(&snapshot(), ScopeKey::Instance, &subgroup(7, "other", None)), Trust::Whole);
        assert_eq!(trust(&snapshot(), ScopeKey::Group(GroupKey(3)), &subgroup(7, "acme", None)), Trust::None);
    }

    #[test]
    fn a_groups_token_may_tell_of_new_projects_in_the_group() {
        let created = change_in_group(&serde_json::json!({
            "event_name": "project_create", "name": "web", "path_with_namespace": "acme/web2", "project_id": 22,
            "project_namespace_id": 7,
        }));
        assert_eq!(trust(&snapshot(), ACME, &created), Trust::WithoutNumber);
        let trusted = created.without_ids(|event| event).expect("the group's path is enough");
        assert_eq!((trusted.project, trusted.group), (None, created.group));
    }

    #[test]
    fn the_instance_is_forbidden_to_other_tokens() {
        assert!(found(INSTANCE, "", ScopeKey::Instance, Unknown::IsMissing).is_ok());
        for reach in [ACME, ScopeKey::Project(42)] {
            assert_eq!(found(INSTANCE, "", reach, Unknown::IsNew), Err(ApiError::Forbidden));
        }
    }

    #[test]
    fn a_token_of_the_instance_may_name_something_for_the_first_time() {
        assert_eq!(project("99", ScopeKey::Instance), Err(NO_PROJECT));
        let new = |path, id| found(path, id, ScopeKey::Instance, Unknown::IsNew);
        assert_eq!(new(PROJECT, "99"), Ok("project 99".to_owned()));
        assert_eq!(new(GROUP, "fresh"), Ok("group fresh".to_owned()));
        assert_eq!(new(PROJECT, "fresh/thing"), Ok("project fresh/thing".to_owned()));
        for id in ["0", "thing", "fresh/..", "fresh//thing"] {
            assert_eq!(new(PROJECT, id), Err(NO_PROJECT), "{id}");
        }
        for (id, reach, expected) in [
            ("acme/new", ACME, Ok("project acme/new".to_owned())),
            ("fresh/thing", ACME, Err(NO_PROJECT)),
            ("acmes/new", ACME, Err(NO_PROJECT)),
            ("acme/new", ScopeKey::Project(42), Err(NO_PROJECT)),
        ] {
            assert_eq!(found(PROJECT, id, reach, Unknown::IsNew), expected, "{id} {reach:?}");
        }
        assert_eq!(project("acme/new", ACME), Err(NO_PROJECT), "reading makes nothing known");
        assert_eq!(new(GROUP, "99"), Err(NO_GROUP), "a number tells no path");
        assert!(project("99", ScopeKey::Project(99)).is_ok(), "its own token speaks of it");
        assert_eq!(found(PROJECT, "99", ACME, Unknown::IsNew), Err(NO_PROJECT));
    }
}
