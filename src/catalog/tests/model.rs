//! GitLab's rules of inheritance as a simple model, which is compared with the catalogue in
//! trees of any shape.

use std::collections::BTreeMap;

use proptest::collection::btree_map;
use proptest::prelude::*;

use super::*;

/// What is set for a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Own { active: bool },
    Follows,
}

const GROUPS: [&str; 5] = ["a", "a/b", "a/b/c", "a/d", "e"];
/// Ids are positions in this list, counted from 1. The group of the last one has no settings.
const PROJECTS: [&str; 7] = ["a/x", "a/b/x", "a/b/c/x", "a/b/c/y", "a/d/x", "e/x", "f/x"];
const SLUGS: [&str; 2] = ["slack", "mattermost"];
const INSTANCE: &str = "";

/// The number of what stands at this place in a list.
fn number(at: usize) -> i64 {
    i64::try_from(at).unwrap() + 1
}

/// What is set where, by place and slug: groups by path, projects by path, the instance by nothing.
type World = BTreeMap<(&'static str, &'static str), Set>;

/// The scope whose settings apply to a project or group, after `gitlab-matching`.
fn naive(world: &World, place: &str, slug: &'static str) -> Option<String> {
    let set = |place: &str| world.iter().find(|(key, _)| *key == &(place, slug)).map(|(_, set)| *set);
    // The nearest group above with settings of its own, else the instance.
    let mut above = place.to_owned();
    let default = loop {
        above = match above.rsplit_once('/') {
            Some((parent, _)) => parent.to_owned(),
            None => INSTANCE.to_owned(),
        };
        match set(&above) {
            Some(Set::Own { active }) => break Some((above, active)),
            _ if above == INSTANCE => break None,
            _ => {}
        }
    };
    match set(place) {
        Some(Set::Own { active }) => active.then(|| place.to_owned()),
        // An active default was copied to those without anything; those that follow were kept as it is.
        Some(Set::Follows) | None => default.filter(|(_, active)| *active).map(|(place, _)| place),
    }
}

fn place() -> impl Strategy<Value = &'static str> {
    prop::sample::select([&[INSTANCE][..], &GROUPS, &PROJECTS].concat())
}

fn world() -> impl Strategy<Value = World> {
    let set = prop_oneof![
        3 => any::<bool>().prop_map(|active| Set::Own { active }),
        1 => Just(Set::Follows),
    ];
    btree_map((place(), prop::sample::select(SLUGS.to_vec())), set, 0..20)
}

/// The row that says so, its channel named after its place.
fn stored(place: &'static str, slug: &str, set: Set) -> StoredIntegration {
    let position = |list: &[&str]| list.iter().position(|path| *path == place).map(number);
    let owner = position(&GROUPS).map(|key| ScopeKey::Group(GroupKey(key)));
    let owner = owner.or_else(|| position(&PROJECTS).map(ScopeKey::Project)).unwrap_or(ScopeKey::Instance);
    let configuration = match set {
        Set::Own { active } => Configuration { active, ..slack(&[("channel", &format!("at-{place}"))]) },
        Set::Follows => following(),
    };
    StoredIntegration { slug: slug.to_owned(), ..row(owner, configuration) }
}

/// What the catalogue says: the places whose settings are heard by, by slug.
fn heard(snapshot: &Snapshot, event: &Event) -> BTreeMap<&'static str, String> {
    let active = snapshot.concerned(event).into_iter().filter(|integration| integration.active);
    let named = active.map(|integration| {
        let again = snapshot.integration(&integration.id).expect("what is concerned can be looked up");
        assert_eq!((again.fingerprint, &again.scope), (integration.fingerprint, &integration.scope));
        let channel = integration.channels.default.join(",");
        (integration.slug, channel.strip_prefix("at-").expect("the test's own channel").to_owned())
    });
    let named: Vec<_> = named.collect();
    let count = named.len();
    let heard: BTreeMap<_, _> = named.into_iter().collect();
    assert_eq!(heard.len(), count, "each service is notified once");
    heard
}

proptest! {
    #[test]
    fn inheritance_agrees_with_the_model_for_any_settings(
        world in world(),
        before in world(),
        known in prop::collection::vec(any::<bool>(), PROJECTS.len()),
        moves in prop::option::of((0..PROJECTS.len(), 0..PROJECTS.len())),
    ) {
        let mut snapshot = Snapshot::default();
        let groups = GROUPS.iter().enumerate().map(|(at, path)| group(number(at), path)).collect();
        // At first something else is set, and two projects have each other's paths.
        let mut paths = PROJECTS;
        if let Some((one, other)) = moves {
            paths.swap(one, other);
        }
        let projects = |paths: [&str; PROJECTS.len()], revision: i64| {
            let all = paths.into_iter().enumerate();
            let known = all.filter(|(at, _)| known[*at] || moves.is_some_and(|(one, other)| [one, other].contains(at)));
            known.map(|(at, path)| StoredProject { revision, ..project(number(at), path) }).collect()
        };
        let rows = |world: &World| world.iter().map(|((place, slug), set)| stored(place, slug, *set)).collect();
        snapshot.take_changes(Changes {
            revision: 1,
            integrations: rows(&before),
            groups,
            projects: projects(paths, 1),
            ..Changes::default()
        });
        snapshot.take_changes(Changes {
            revision: 2,
            integrations: rows(&world),
            projects: projects(PROJECTS, 2),
            ..Changes::default()
        });
        // What was set before and is not set now is there still: rows are never removed.
        let mut world = world;
        for (key, set) in before {
            world.entry(key).or_insert(set);
        }
        let expected = |place: &str| -> BTreeMap<_, _> {
            SLUGS.into_iter().filter_map(|slug| Some((slug, naive(&world, place, slug)?))).collect()
        };
        for (at, path) in PROJECTS.into_iter().enumerate().filter(|(at, _)| known[*at]) {
            let found = heard(&snapshot, &push(number(at), &path.to_uppercase()));
            prop_assert_eq!(found, expected(path), "project {}", path);
        }
        for path in GROUPS {
            prop_assert_eq!(heard(&snapshot, &mention(path)), expected(path), "group {}", path);
        }
    }
}
