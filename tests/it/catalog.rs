//! What the live catalogue promises, over both stores: two nodes over one store change it, and each hears of the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forgebell::adapters::{self, Entry};
use forgebell::catalog::{
    Actor, CachedCatalog, Catalog as _, Change, ChangeError, InvalidChange, Origin, Request, ResolvedScope,
};
use forgebell::event::{Event, EventId, PATH_MAX_BYTES};
use forgebell::integration::Scope;
use forgebell::provision;
use forgebell::settings::{Secret, Value};
use forgebell::store::Registry;
use forgebell::store::postgres::Postgres;
use forgebell::store::registry::{AuditLine, Configuration, Correction, Mute, ProjectCorrection, ScopeKey};
use forgebell::store::seal::{Config, Keyring, SealingKey};
use forgebell::store::sqlite::Sqlite;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::json;

use crate::harness::postgres;

/// Makes a test of one promise over each store.
macro_rules! promises {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Disk::sqlite()).await; })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Disk::postgres()).await; })*
        }
    };
}

promises! {
    changes_of_different_settings_by_many_on_two_nodes_lose_nothing
    each_change_has_its_line_in_the_log_and_what_changes_nothing_has_none
    a_secret_set_on_one_node_is_opened_on_the_other
    what_a_file_says_is_changed_in_the_file
    a_change_is_refused_to_whoever_has_not_seen_the_last_one
    what_is_set_for_a_path_moves_to_the_projects_number_once_it_is_known
    what_a_projects_number_has_counts_before_what_was_set_for_its_path
    what_is_refused_changes_nothing
    a_default_is_heard_of_at_once_and_on_the_other_node_when_it_looks
    an_event_makes_its_project_known_and_a_rename_follows_the_number
    a_path_that_moves_to_another_project_takes_no_settings_along
    a_group_that_is_renamed_keeps_its_settings
    events_tell_the_numbers_of_groups_and_their_new_paths
    no_name_in_an_event_is_more_than_the_store_takes
    what_people_correct_counts_on_both_nodes
    a_mute_is_heard_of_on_the_other_node_and_ends
    whoever_waits_for_changes_is_woken_by_those_that_matter
}

const HOOK: &str = "https://hooks.slack.com/services/T0/B0/s3cret";

/// Where a store is kept.
enum Kind {
    Sqlite(tempfile::TempDir),
    Postgres(Secret),
}

struct Disk {
    kind: Kind,
    keys: Keyring,
}

impl Disk {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Sqlite::migrate(&folder.path().join("forgebell.db")).expect("it is made");
        Self::of(Kind::Sqlite(folder))
    }

    fn postgres() -> Self {
        Self::of(Kind::Postgres(Secret::new(postgres::database())))
    }

    fn of(kind: Kind) -> Self {
        let key = Some(SealingKey::make().expect("there is randomness"));
        Self { kind, keys: Keyring::new(&Config { key, old_keys: Vec::new() }) }
    }

    async fn store(&self) -> Arc<dyn Registry> {
        match &self.kind {
            Kind::Sqlite(folder) => {
                let path = folder.path().join("forgebell.db");
                Arc::new(Sqlite::open_shared(&path, self.keys.clone()).expect("it opens"))
            }
            Kind::Postgres(url) => {
                Arc::new(Postgres::open(url, None, self.keys.clone()).await.expect("it opens"))
            }
        }
    }

    async fn node(&self) -> CachedCatalog {
        CachedCatalog::open(self.store().await).await.expect("the store answers")
    }

    async fn two_nodes(&self) -> (CachedCatalog, CachedCatalog) {
        (self.node().await, self.node().await)
    }

    async fn log(&self) -> Vec<AuditLine> {
        let mut log = self.store().await.audit_log(None, 1000).await.expect("the store answers");
        log.reverse();
        log
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("a moment")
}

fn slack() -> &'static Entry {
    adapters::find("slack").expect("there is an adapter for Slack")
}

fn rocket() -> Scope {
    Scope::ProjectId(42)
}

fn group(path: &str) -> Scope {
    Scope::Group(path.to_owned())
}

/// What a node knows of a scope.
fn resolved(node: &CachedCatalog, scope: &Scope) -> ResolvedScope {
    node.read(|state| state.directory().resolve(scope))
}

fn ask(settings: &[(&str, &str)]) -> Request {
    let value = |value: &str| Value::Text(value.to_owned());
    let settings = settings.iter().map(|(name, text)| ((*name).to_owned(), value(text)));
    Request { settings: settings.collect(), ..Request::default() }
}

async fn put(node: &CachedCatalog, scope: &Scope, request: &Request, second: i64) -> Result<(), ChangeError> {
    let (scope, actor) = (resolved(node, scope), Actor("token ci (3)".to_owned()));
    let change =
        Change { scope: &scope, entry: slack(), unless_changed_since: None, actor: &actor, now: at(second) };
    node.put(change, request).await
}

async fn set(node: &CachedCatalog, scope: &Scope, settings: &[(&str, &str)]) {
    put(node, scope, &ask(settings), 0).await.expect("it is set");
}

async fn deactivate(node: &CachedCatalog, scope: &Scope, second: i64) -> Result<(), ChangeError> {
    let (scope, actor) = (resolved(node, scope), Actor("token ci (3)".to_owned()));
    let change =
        Change { scope: &scope, entry: slack(), unless_changed_since: None, actor: &actor, now: at(second) };
    node.deactivate(change).await
}

/// The own configuration of a scope, as a node has it.
fn own(node: &CachedCatalog, scope: &Scope) -> Configuration {
    let scope = resolved(node, scope);
    node.read(|state| state.inheritance(&scope, "slack").own.map(|own| own.configuration.clone()))
        .expect("it is configured")
}

fn push(id: i64, path: &str) -> Arc<Event> {
    let project = json!({ "id": id, "path_with_namespace": path, "default_branch": "main" });
    let body = json!({ "object_kind": "push", "ref": "refs/heads/main", "project": project });
    let event_id = EventId::new("event").expect("a short id");
    Arc::new(Event::decode(event_id, at(0), body.to_string().into()).expect("it is a push"))
}

/// The channels that a node would tell of a push.
fn told(node: &CachedCatalog, id: i64, path: &str) -> Vec<String> {
    let concerned = node.concerned(&push(id, path));
    let active = concerned.iter().filter(|integration| integration.active);
    active.map(|integration| integration.channels.default.join(",")).collect()
}

async fn refresh(node: &CachedCatalog) {
    node.refresh().await.expect("the store answers");
}

fn from_files(text: &str) -> provision::Provisioned {
    let no_secrets = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let files = [(PathBuf::from("team.toml"), text.to_owned())];
    provision::read(&files, &no_secrets).unwrap_or_else(|problems| panic!("{problems:?}"))
}

async fn changes_of_different_settings_by_many_on_two_nodes_lose_nothing(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    set(&one, &rocket(), &[("webhook", HOOK)]).await;
    let names = [
        "channel",
        "username",
        "push_channel",
        "issue_channel",
        "confidential_issue_channel",
        "merge_request_channel",
        "note_channel",
        "tag_push_channel",
        "pipeline_channel",
        "wiki_page_channel",
        "labels_to_be_notified",
        "branches_to_be_notified",
    ];
    let value = |name: &str| if name == "branches_to_be_notified" { "all" } else { "#ops" };
    let changes = names.iter().enumerate().map(|(n, name)| {
        let node = if n % 2 == 0 { &one } else { &two };
        let mut request = ask(&[(name, value(name))]);
        // Each changes a flag as well, and no two the same.
        request.flags.insert(forgebell::event::Trigger::ALL[n].flag().to_owned(), n % 3 == 0);
        async move { put(node, &rocket(), &request, 1).await }
    });
    for done in join_all(changes).await {
        done.expect("each is made in the end");
    }
    refresh(&one).await;
    refresh(&two).await;
    let kept = own(&one, &rocket());
    assert_eq!(kept, own(&two, &rocket()));
    assert_eq!(kept.secrets["webhook"], Secret::new(HOOK));
    for (n, name) in names.into_iter().enumerate() {
        assert_eq!(kept.properties[name], Value::Text(value(name).to_owned()), "{name}");
        assert_eq!(kept.flags[forgebell::event::Trigger::ALL[n].flag()], n % 3 == 0);
    }
    let log = disk.log().await;
    let mut said: Vec<_> =
        log.iter().filter(|line| line.at == at(1)).map(|line| line.fields.clone()).collect();
    said.sort();
    let mut expected: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            let mut fields = vec![(*name).to_owned(), forgebell::event::Trigger::ALL[n].flag().to_owned()];
            fields.sort();
            fields
        })
        .collect();
    expected.sort();
    assert_eq!(said, expected, "each line names what that change changed, and nothing else");
}

async fn each_change_has_its_line_in_the_log_and_what_changes_nothing_has_none(disk: Disk) {
    let node = disk.node().await;
    let asked = ask(&[("webhook", HOOK), ("channel", "#ops")]);
    for second in [1, 2] {
        put(&node, &rocket(), &asked, second).await.expect("it is set");
    }
    deactivate(&node, &rocket(), 3).await.expect("it is switched off");
    deactivate(&node, &rocket(), 4).await.expect("it is off already");
    let (scope, actor) = (resolved(&node, &rocket()), Actor("command line".to_owned()));
    let change =
        Change { scope: &scope, entry: slack(), unless_changed_since: None, actor: &actor, now: at(5) };
    let next = Configuration { active: true, ..own(&node, &rocket()) };
    node.replace(change, &next).await.expect("it is set to that");
    node.replace(change, &next).await.expect("it is that already");
    assert_eq!(own(&node, &rocket()), next);

    let log = disk.log().await;
    let lines: Vec<_> = log
        .iter()
        .filter(|line| line.action.starts_with("integration."))
        .map(|line| (line.at, &*line.who, &*line.action, &*line.object, line.fields.join(" ")))
        .collect();
    let token = "token ci (3)";
    assert_eq!(
        lines,
        [
            (at(1), token, "integration.update", "project 42 slack", "active channel webhook".to_owned()),
            (at(3), token, "integration.deactivate", "project 42 slack", "active".to_owned()),
            (at(5), "command line", "integration.apply", "project 42 slack", "active".to_owned()),
        ]
    );
    assert!(!format!("{log:?}").contains("s3cret"));
}

async fn a_secret_set_on_one_node_is_opened_on_the_other(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    set(&one, &rocket(), &[("webhook", HOOK)]).await;
    refresh(&two).await;
    assert_eq!(own(&two, &rocket()).secrets["webhook"], Secret::new(HOOK));
    let third = disk.node().await;
    assert_eq!(own(&third, &rocket()).secrets["webhook"], Secret::new(HOOK));
    let stranger = Disk { keys: Keyring::none(), ..disk };
    let Err(why) = CachedCatalog::open(stranger.store_without_key().await).await else {
        panic!("it opened without a key");
    };
    assert!(why.to_string().contains("secrets.key_file"), "{why}");
}

impl Disk {
    /// As a command opens it that was given no key.
    async fn store_without_key(&self) -> Arc<dyn Registry> {
        match &self.kind {
            Kind::Sqlite(_) => self.store().await,
            Kind::Postgres(url) => {
                Arc::new(Postgres::open_shared(url, None, Keyring::none()).await.expect("it opens"))
            }
        }
    }
}

async fn what_a_file_says_is_changed_in_the_file(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    set(&two, &rocket(), &[("webhook", HOOK), ("channel", "#by-api")]).await;
    one.learn(&[push(42, "acme/rocket")], at(0)).await.expect("the store takes it");
    let text = "[[integration]]\nproject = \"Acme/Rocket\"\nadapter = \"slack\"\nchannel = \"#by-file\"\n\
                webhook = \"https://hooks.slack.com/services/T/B/file\"\n";
    let files = from_files(text);
    one.set_files(files.integrations, files.facts, files.numbers, at(0)).await.expect("the store takes it");
    let refused = ChangeError::Provisioned("team.toml".to_owned());
    assert_eq!(put(&one, &rocket(), &ask(&[("channel", "#other")]), 1).await, Err(refused.clone()));
    assert_eq!(deactivate(&one, &rocket(), 1).await, Err(refused.clone()));
    assert!(refused.to_string().contains("team.toml"));
    assert_eq!(told(&one, 42, "acme/rocket"), ["#by-file"], "the file's word goes before the API's");
    let origin = |node: &CachedCatalog| {
        let scope = resolved(node, &rocket());
        node.read(|state| state.inheritance(&scope, "slack").own.map(|own| own.origin.clone()))
    };
    assert_eq!(origin(&one), Some(Origin::File("team.toml".into())));
    assert_eq!(disk.log().await.iter().filter(|line| line.at == at(1)).count(), 0);

    one.set_files_in_memory(Vec::new(), Vec::new());
    refresh(&one).await;
    assert_eq!(told(&one, 42, "acme/rocket"), ["#by-api"], "without the file, the API's word is there again");
    put(&one, &rocket(), &ask(&[("channel", "#other")]), 2).await.expect("no file says anything any more");
}

async fn a_change_is_refused_to_whoever_has_not_seen_the_last_one(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    put(&one, &rocket(), &ask(&[("webhook", HOOK)]), 10).await.expect("it is set");
    put(&two, &rocket(), &ask(&[("channel", "#theirs")]), 20).await.expect("it is set");
    let (scope, actor) = (resolved(&one, &rocket()), Actor("token ci (3)".to_owned()));
    let change = |seen: i64| {
        let unless_changed_since = Some(at(seen));
        Change { scope: &scope, entry: slack(), unless_changed_since, actor: &actor, now: at(30) }
    };
    let asked = ask(&[("channel", "#mine")]);
    assert_eq!(one.put(change(10), &asked).await, Err(ChangeError::ChangedSince));
    assert_eq!(one.deactivate(change(19)).await, Err(ChangeError::ChangedSince));
    assert_eq!(own(&one, &rocket()).properties["channel"], Value::Text("#theirs".to_owned()));
    one.put(change(20), &asked).await.expect("a change based on the current version is accepted");
    assert_eq!(own(&one, &rocket()).properties["channel"], Value::Text("#mine".to_owned()));
}

async fn what_is_set_for_a_path_moves_to_the_projects_number_once_it_is_known(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    let by_path = Scope::ProjectPath("acme/rocket".to_owned());
    set(&one, &by_path, &[("webhook", HOOK), ("channel", "#rocket")]).await;
    refresh(&two).await;
    assert_eq!(
        own(&two, &Scope::ProjectPath("Acme/Rocket".to_owned())).secrets["webhook"],
        Secret::new(HOOK)
    );
    let written = provision::write(&two.read(Clone::clone)).text;
    assert!(written.contains("project = \"acme/rocket\"") && !written.contains('-'), "{written}");
    // The other node learns of the number first.
    two.learn(&[push(42, "acme/rocket")], at(2)).await.expect("the store takes it");
    one.learn(&[push(42, "acme/rocket")], at(3)).await.expect("the store takes it");
    for node in [&one, &two] {
        refresh(node).await;
        assert_eq!(told(node, 42, "acme/rocket"), ["#rocket"]);
        for name in [&rocket(), &by_path] {
            assert_eq!(own(node, name).secrets["webhook"], Secret::new(HOOK));
            assert_eq!(resolved(node, name), resolved(node, &rocket()));
        }
        assert_eq!(node.read(|state| state.all_configured().len()), 1, "nothing is left at the path alone");
    }
    // It is the number's: another project that gets the path does not get it.
    one.learn(&[push(43, "acme/rocket")], at(4)).await.expect("the store takes it");
    assert!(told(&one, 43, "acme/rocket").is_empty());
}

async fn what_a_projects_number_has_counts_before_what_was_set_for_its_path(disk: Disk) {
    let node = disk.node().await;
    node.learn(&[push(42, "acme/former")], at(1)).await.expect("the store takes it");
    set(&node, &rocket(), &[("webhook", HOOK), ("channel", "#former")]).await;
    set(&node, &Scope::ProjectPath("acme/rocket".to_owned()), &[("webhook", HOOK), ("channel", "#new")])
        .await;
    node.learn(&[push(42, "acme/rocket")], at(2)).await.expect("the store takes it");
    assert_eq!(told(&node, 42, "acme/rocket"), ["#former"]);
}

async fn what_is_refused_changes_nothing(disk: Disk) {
    let node = disk.node().await;
    assert_eq!(deactivate(&node, &rocket(), 1).await, Err(ChangeError::NeverConfigured));
    let Err(ChangeError::Invalid(InvalidChange::Settings(errors))) =
        put(&node, &rocket(), &ask(&[]), 1).await
    else {
        panic!("a Slack without a webhook was taken");
    };
    assert_eq!(errors[0].field, "webhook");
    let follow = Request { use_inherited_settings: Some(true), ..Request::default() };
    assert_eq!(put(&node, &rocket(), &follow, 1).await, Err(ChangeError::Invalid(InvalidChange::NoDefault)));
    assert_eq!(node.read(forgebell::catalog::Snapshot::len), 0);
    assert!(disk.log().await.iter().all(|line| !line.action.starts_with("integration.")));
}

async fn a_default_is_heard_of_at_once_and_on_the_other_node_when_it_looks(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    let both = |channels: &[&str]| {
        assert_eq!(told(&one, 42, "acme/web/rocket"), channels, "on the node that set it");
        assert_eq!(told(&two, 42, "acme/web/rocket"), channels, "on the other");
    };
    set(&one, &Scope::Instance, &[("webhook", HOOK), ("channel", "#all")]).await;
    refresh(&two).await;
    both(&["#all"]);
    set(&two, &group("acme"), &[]).await;
    refresh(&one).await;
    both(&["#all"]); // the group follows, as everything below a default does
    let apart =
        Request { use_inherited_settings: Some(false), ..ask(&[("webhook", HOOK), ("channel", "#acme")]) };
    put(&two, &group("acme"), &apart, 1).await.expect("it is set");
    refresh(&one).await;
    both(&["#acme"]);
    deactivate(&one, &rocket(), 1).await.expect("a default holds there");
    refresh(&two).await;
    both(&[]);
    let follow = Request { use_inherited_settings: Some(true), ..Request::default() };
    put(&two, &rocket(), &follow, 2).await.expect("there is a default");
    refresh(&one).await;
    both(&["#acme"]);
    deactivate(&one, &group("acme"), 3).await.expect("it is configured");
    refresh(&two).await;
    both(&[]);
}

async fn an_event_makes_its_project_known_and_a_rename_follows_the_number(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    set(&one, &group("acme"), &[("webhook", HOOK), ("channel", "#acme")]).await;
    set(&one, &group("other"), &[("webhook", HOOK), ("channel", "#other")]).await;
    one.learn(&[push(42, "acme/rocket"), push(43, "acme/shed")], at(1)).await.expect("the store takes it");
    refresh(&two).await;
    let waiting = one.concerned(&push(42, "acme/rocket")).remove(0).id.clone();
    let channel =
        |node: &CachedCatalog| node.integration(&waiting).map(|found| found.channels.default.join(","));
    assert_eq!((channel(&one), channel(&two)), (Some("#acme".to_owned()), Some("#acme".to_owned())));

    two.learn(&[push(42, "other/rocket")], at(2)).await.expect("the store takes it");
    assert_eq!(channel(&two).as_deref(), Some("#other"), "the node that received the event knows at once");
    refresh(&one).await;
    assert_eq!(channel(&one).as_deref(), Some("#other"));
    let found = |path: &str| {
        let scope = Scope::ProjectPath(path.to_owned());
        one.read(|state| state.known(&scope)).map(|scope| scope.to_string())
    };
    assert_eq!(found("Other/Rocket").as_deref(), Some("project 42"));
    assert_eq!(found("acme/rocket"), None, "no project has this path any more");
    assert_eq!(found("acme/shed").as_deref(), Some("project 43"));

    // Of two events in one batch, the one that names the path counts.
    let attributes = json!({ "project_id": 44, "url": "https://forge.example/gitlab/acme/new/-/x" });
    let body = json!({ "object_kind": "vulnerability", "object_attributes": attributes });
    let id = EventId::new("guess").expect("a short id");
    let guess = Event::decode(id, at(0), body.to_string().into()).expect("it is an event");
    one.learn(&[push(44, "acme/new"), Arc::new(guess)], at(3)).await.expect("the store takes it");
    assert_eq!(found("acme/new").as_deref(), Some("project 44"));
}

async fn a_path_that_moves_to_another_project_takes_no_settings_along(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    one.learn(&[push(42, "acme/rocket")], at(1)).await.expect("the store takes it");
    set(&one, &rocket(), &[("webhook", HOOK), ("channel", "#secret-plans")]).await;
    // 42 was removed, and a new project was created at its path.
    one.learn(&[push(43, "acme/rocket")], at(2)).await.expect("the store takes it");
    for node in [&one, &two] {
        assert!(told(node, 43, "acme/rocket").is_empty());
        let paths = node.read(|state| {
            [42, 43].map(|id| state.directory().project(id).and_then(|known| known.path.clone()))
        });
        assert_eq!(paths, [None, Some("acme/rocket".to_owned())], "a path is one project's");
        refresh(&two).await;
        assert_eq!(own(node, &rocket()).properties["channel"], Value::Text("#secret-plans".to_owned()));
    }
}

async fn events_tell_the_numbers_of_groups_and_their_new_paths(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    let told_of = async |body: serde_json::Value| {
        let id = EventId::new("event").expect("a short id");
        let event = Event::decode(id, at(0), body.to_string().into()).expect("it is an event");
        one.learn(&[Arc::new(event)], at(1)).await.expect("the store takes it");
        refresh(&two).await;
    };
    let number = |node: &CachedCatalog, path: &str| {
        node.read(|state| state.directory().group_by_path(path).and_then(|group| group.id))
    };
    set(&one, &group("acme"), &[("webhook", HOOK), ("channel", "#acme")]).await;
    told_of(json!({
        "event_name": "subgroup_create", "name": "web", "group_id": 10, "full_path": "acme/web",
        "parent_group_id": 7, "parent_full_path": "acme"
    }))
    .await;
    for node in [&one, &two] {
        assert_eq!((number(node, "acme"), number(node, "acme/web")), (Some(7), Some(10)));
    }
    told_of(json!({ "event_name": "group_rename", "name": "apex", "group_id": 7, "full_path": "apex" }))
        .await;
    for node in [&one, &two] {
        assert_eq!((number(node, "acme"), number(node, "apex")), (None, Some(7)));
        assert_eq!(own(node, &group("apex")).properties["channel"], Value::Text("#acme".to_owned()));
    }
    told_of(json!({ "event_name": "group_destroy", "name": "x", "group_id": 11, "full_path": "gone" })).await;
    told_of(json!({ "event_name": "group_create", "name": "x", "group_id": -1, "full_path": "odd//path" }))
        .await;
    assert_eq!((number(&one, "gone"), one.read(|state| state.directory().groups().len())), (None, 2));
}

async fn a_group_that_is_renamed_keeps_its_settings(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    let actor = Actor("token ci (3)".to_owned());
    one.put_group(Some(7), "acme", &actor, at(0)).await.expect("the store takes it");
    set(&one, &group("acme"), &[("webhook", HOOK), ("channel", "#acme")]).await;
    refresh(&two).await;
    two.put_group(Some(7), "emca", &actor, at(1)).await.expect("the store takes it");
    refresh(&one).await;
    for node in [&one, &two] {
        assert!(told(node, 42, "acme/rocket").is_empty());
        assert_eq!(told(node, 42, "emca/rocket"), ["#acme"]);
    }
}

async fn no_name_in_an_event_is_more_than_the_store_takes(disk: Disk) {
    let node = disk.node().await;
    // Random letters: a long name of few letters could be packed.
    let mut letter = 1_u32;
    // An event with a longer path is no event.
    let long: String = (0..PATH_MAX_BYTES - "acme/".len())
        .map(|_| {
            letter = letter.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            char::from(b'a' + u8::try_from(letter >> 16 & 15).expect("less than 16"))
        })
        .collect();
    let events =
        [push(42, &format!("acme/{long}")), push(43, "acme/nul\0"), push(44, "acme/rocket"), push(-1, "x/y")];
    node.learn(&events, at(1)).await.expect("the store takes it");
    let known = node.read(|state| {
        let projects = state.directory().projects().into_iter();
        projects.map(|project| (project.id, project.path.clone())).collect::<Vec<_>>()
    });
    let longest = format!("acme/{long}");
    assert_eq!(known, [(42, Some(longest)), (43, None), (44, Some("acme/rocket".to_owned()))]);
}

async fn what_people_correct_counts_on_both_nodes(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    one.learn(&[push(42, "acme/rocket")], at(1)).await.expect("the store takes it");
    let corrected = ProjectCorrection {
        default_branch: Correction::Is("trunk".to_owned()),
        protected_branches: Correction::Is(vec!["*-stable".to_owned()]),
        ..ProjectCorrection::of(42)
    };
    let actor = Actor("token ci (3)".to_owned());
    one.correct(corrected, &actor, at(2)).await.expect("the store takes it");
    refresh(&two).await;
    for node in [&one, &two] {
        let facts = node.facts(&push(42, "acme/rocket"));
        assert_eq!(facts.default_branch.as_deref(), Some("trunk"), "people go before events");
        assert_eq!(facts.protected_branches, Some(vec!["*-stable".to_owned()]));
    }
    let line = disk.log().await.into_iter().find(|line| line.action == "project.update").expect("it is said");
    assert_eq!(
        (&*line.object, line.fields),
        ("project 42", vec!["default_branch".to_owned(), "protected_branches".to_owned()])
    );
}

async fn a_mute_is_heard_of_on_the_other_node_and_ends(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    set(&one, &rocket(), &[("webhook", HOOK), ("channel", "#ops, #dev")]).await;
    let mute = |until| Mute {
        project: 42,
        slug: "slack".to_owned(),
        channel: Mute::channel_of("#Ops"),
        until,
        by: "@ada".to_owned(),
        revision: 0,
    };
    let actor = Actor("slash command of @ada".to_owned());
    one.mute(mute(at(100)), &actor, at(1)).await.expect("the store takes it");
    refresh(&two).await;
    let event = push(42, "acme/rocket");
    let muted = |node: &CachedCatalog, target: &str, now| {
        let integration = node.concerned(&event).remove(0);
        node.muted(&event, &integration, target, now).map(|mute| mute.by)
    };
    for node in [&one, &two] {
        assert_eq!(muted(node, "#ops", at(99)).as_deref(), Some("@ada"));
        assert_eq!(muted(node, "#dev", at(99)), None);
        assert_eq!(muted(node, "#ops", at(100)), None, "a mute that is over is over");
    }
    two.mute(mute(at(50)), &actor, at(50)).await.expect("the store takes it");
    refresh(&one).await;
    for node in [&one, &two] {
        assert_eq!(muted(node, "#ops", at(60)), None, "it was ended");
    }
    let log = disk.log().await;
    let did: Vec<_> = log.iter().filter(|line| line.action.starts_with("channel.")).collect();
    assert_eq!((&*did[0].action, &*did[1].action), ("channel.mute", "channel.unmute"));
    assert_eq!(did[0].object, "project 42 slack ops");
}

async fn whoever_waits_for_changes_is_woken_by_those_that_matter(disk: Disk) {
    let (one, two) = disk.two_nodes().await;
    let mut changes = two.watch();
    let mut woken = async || {
        refresh(&two).await;
        let woken = changes.has_changed().expect("the node is there");
        changes.mark_unchanged();
        woken
    };
    one.learn(&[push(42, "acme/rocket")], at(1)).await.expect("the store takes it");
    assert!(!woken().await, "that a project is there changes nothing of what waits");
    set(&one, &rocket(), &[("webhook", HOOK)]).await;
    assert!(woken().await);
    assert!(!woken().await);
    one.learn(&[push(42, "other/rocket")], at(2)).await.expect("the store takes it");
    assert!(woken().await, "a project that moves may follow other defaults");
}

/// What a backup brings back is all that there is: nothing of later times stays in memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_restored_to_an_older_state_is_read_again() {
    let disk = Disk::sqlite();
    let Kind::Sqlite(folder) = &disk.kind else { unreachable!("it was just made") };
    let node = disk.node().await;
    set(&node, &rocket(), &[("webhook", HOOK), ("channel", "#then")]).await;
    let by_hand = rusqlite::Connection::open(folder.path().join("forgebell.db")).expect("it opens");
    let backup = folder.path().join("backup.db");
    by_hand.execute("VACUUM INTO ?1", [backup.display().to_string()]).expect("a copy is made");

    set(&node, &rocket(), &[("channel", "#later")]).await;
    set(&node, &Scope::Instance, &[("webhook", HOOK), ("channel", "#all")]).await;
    node.learn(&[push(43, "acme/later")], at(1)).await.expect("the store takes it");
    let mut changes = node.watch();
    changes.mark_unchanged();

    by_hand.execute("ATTACH ?1 AS backup", [backup.display().to_string()]).expect("it opens");
    let tables = ["registry", "integrations", "projects", "groups", "tokens", "mutes", "audit"];
    let put_back =
        tables.map(|table| format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM backup.{table};"));
    by_hand
        .execute_batch(&format!("BEGIN IMMEDIATE; {} COMMIT;", put_back.concat()))
        .expect("it is put back");

    refresh(&node).await;
    assert!(changes.has_changed().expect("the node is there"), "what waits may be meant for others now");
    assert_eq!(told(&node, 42, "acme/rocket"), ["#then"]);
    assert!(told(&node, 43, "acme/later").is_empty());
    assert_eq!(node.read(|state| state.directory().project(43).cloned()), None);
    // And from there it goes on.
    set(&node, &rocket(), &[("channel", "#anew")]).await;
    assert_eq!(told(&node, 42, "acme/rocket"), ["#anew"]);
    let row =
        disk.store().await.integration(ScopeKey::Project(42), "slack").await.expect("the store answers");
    assert_eq!(
        row.expect("it is there").configuration.properties["channel"],
        Value::Text("#anew".to_owned())
    );
}
