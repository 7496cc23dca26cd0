//! Measures the time and the allocations of an event's steps that need no disk and no network, for each kind of payload.
//!
//! `cargo bench --bench compose [FILTER]`. The steps are those of the pipeline: `decode` on arrival, `wants` in dispatch,
//! `compose` and `call` in an attempt; `all_four` runs them one after the other. The adapter is Slack's.

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, black_box};
use forgebell::adapters::contract::LazyMessage;
use forgebell::adapters::{self, Entry, Notification, OperatorSettings};
use forgebell::call::{Call, Request};
use forgebell::catalog::{Catalog as _, ConfiguredAt, Snapshot};
use forgebell::event::{Event, EventId};
use forgebell::integration::{Integration, ProjectFacts, Scope, rules};
use forgebell::message::{Message, compose};
use forgebell::provision;
use forgebell::store::registry::{
    Changes, Corrected, GroupKey, Learned, ScopeKey, StoredGroup, StoredIntegration, StoredProject,
};
use jiff::Timestamp;

#[path = "../tests/it/harness/payloads.rs"]
#[expect(dead_code, reason = "the tests' harness; not all of it is needed here")]
mod payloads;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

const NOW: Timestamp = Timestamp::constant(1_768_469_400, 0);

/// One payload of each kind that chat services get, and two pushes, since these differ most in size.
const KINDS: [&str; 10] = [
    "push.json",
    "captured/push_14_commits.json",
    "tag_push.json",
    "issue_open.json",
    "merge_request_open.json",
    "note_merge_request.json",
    "pipeline_success.json",
    "wiki_page_create.json",
    "deployment_success.json",
    "vulnerability_confirmed.json",
];

fn main() {
    divan::main();
}

#[divan::bench(args = KINDS)]
fn decode(bencher: Bencher<'_, '_>, kind: &str) {
    let raw = Bytes::from(payloads::payload(kind));
    bencher.with_inputs(|| (id(), raw.clone())).bench_values(|(id, raw)| Event::decode(id, NOW, raw));
}

/// Who is concerned by a push, among a thousand projects.
#[divan::bench(args = WAYS)]
fn concerned(bencher: Bencher<'_, '_>, way: &str) {
    let (catalog, event) = (catalog(way), push());
    assert_eq!(catalog.concerned(&event).len(), 2, "{way}");
    bencher.bench_local(|| catalog.concerned(black_box(&event)));
}

/// One of them looked up again, as each attempt does.
#[divan::bench(args = WAYS)]
fn integration_by_id(bencher: Bencher<'_, '_>, way: &str) {
    let catalog = catalog(way);
    let id = catalog.concerned(&push())[0].id.clone();
    assert!(catalog.integration(&id).is_some(), "{way}");
    bencher.bench_local(|| catalog.integration(black_box(&id)));
}

#[divan::bench(args = KINDS)]
fn wants(bencher: Bencher<'_, '_>, kind: &str) {
    let (event, integration) = (event(kind), integration(kind));
    let facts = ProjectFacts::default();
    assert_eq!(rules::wants(&integration, &event, &facts), Ok(()), "{kind} is not wanted");
    bencher.bench_local(|| rules::wants(black_box(&integration), black_box(&event), &facts));
}

#[divan::bench(name = "compose", args = KINDS)]
fn compose_message(bencher: Bencher<'_, '_>, kind: &str) {
    let event = event(kind);
    bencher.bench_local(|| compose(black_box(&event)));
}

#[divan::bench(args = KINDS)]
fn call(bencher: Bencher<'_, '_>, kind: &str) {
    let (event, integration) = (event(kind), integration(kind));
    let message = compose(&event).expect("there is something to say");
    bencher
        .with_inputs(|| message.clone())
        .bench_values(|message| calling(&integration, black_box(&event), message));
}

#[divan::bench(args = KINDS)]
fn all_four(bencher: Bencher<'_, '_>, kind: &str) {
    let (raw, integration) = (Bytes::from(payloads::payload(kind)), integration(kind));
    let facts = ProjectFacts::default();
    bencher.with_inputs(|| (id(), raw.clone())).bench_values(|(id, raw)| {
        let event = Event::decode(id, NOW, raw).expect("a payload is an event");
        rules::wants(&integration, &event, &facts).expect("it is wanted");
        let message = compose(&event).expect("there is something to say");
        calling(&integration, &event, message)
    });
}

/// Who says what the projects tell: files, by number or by path; the store, or a default in it.
const WAYS: [&str; 4] = ["files by number", "files by path", "store", "default of a group"];

const PROJECTS: i64 = 1000;

fn push() -> Event {
    let body = r#"{"object_kind":"push","ref":"refs/heads/main",
        "project":{"id":500,"path_with_namespace":"acme/web/project-500"}}"#;
    Event::decode(id(), NOW, body.into()).expect("a push is an event")
}

/// A catalogue in which each of a thousand projects tells two services.
fn catalog(way: &str) -> Snapshot {
    let block = |n: i64| {
        let project = match way {
            "files by path" => format!("\"acme/web/project-{n}\""),
            _ => n.to_string(),
        };
        let block = |adapter: &str, webhook: &str| {
            format!(
                "[[integration]]\nproject = {project}\nadapter = \"{adapter}\"\nwebhook = \"{webhook}\"\n\n"
            )
        };
        block("slack", "https://hooks.slack.com/services/T0/B0/XXXX")
            + &block("mattermost", "https://chat.example.com/hooks/x")
    };
    let files = [("bench.toml".into(), (0..PROJECTS).map(|n| block(n + 1)).collect::<String>())];
    let read = provision::read(&files, &|_| Err(std::io::ErrorKind::NotFound.into()));
    let read = read.unwrap_or_else(|problems| panic!("{problems:?}"));
    if way.starts_with("files") { read.into_snapshot() } else { stored(&read, way) }
}

/// The same in the store: each project's own, or the group's alone.
fn stored(read: &provision::Provisioned, way: &str) -> Snapshot {
    let project = |n: i64| StoredProject {
        id: n,
        path: Some(format!("acme/web/project-{n}")),
        learned: Learned::default(),
        corrected: Corrected::default(),
        revision: 1,
        created_at: NOW,
        updated_at: NOW,
    };
    let group = StoredGroup {
        key: GroupKey(1),
        id: None,
        path: Some("acme".to_owned()),
        revision: 1,
        created_at: NOW,
    };
    let owner = |scope: &Scope| match scope {
        _ if way == "default of a group" => ScopeKey::Group(GroupKey(1)),
        Scope::ProjectId(id) => ScopeKey::Project(*id),
        other => panic!("{other} has no number"),
    };
    let row = |placed: &ConfiguredAt| StoredIntegration {
        id: 1,
        owner: owner(&placed.scope),
        slug: placed.configured.slug().to_owned(),
        configuration: placed.configured.configuration.clone(),
        revision: 1,
        created_at: NOW,
        updated_at: NOW,
    };
    let mut snapshot = Snapshot::default();
    snapshot.take_changes(Changes {
        revision: 1,
        integrations: read.integrations.iter().map(row).collect(),
        projects: (1..=PROJECTS).map(project).collect(),
        groups: vec![group],
        ..Changes::default()
    });
    snapshot
}

/// Allocated once, as the broker's message id is: its clone is counted, not its making.
fn id() -> EventId {
    EventId::new("0190f5a2-0000-7000-8000-000000000001").expect("a UUID is an id")
}

fn event(kind: &str) -> Event {
    Event::decode(id(), NOW, payloads::payload(kind).into()).expect("a payload is an event")
}

/// Builds the request without sending it, and returns it so that it isn't optimised away.
fn calling(integration: &Integration, event: &Event, message: Message) -> Request {
    let note = Notification {
        id: "0123456789abcdef",
        event,
        target: "",
        now: NOW,
        operator: &OperatorSettings::default(),
        links: forgebell::adapters::ProjectLinks::none(),
        open_request: None,
        may_have_been_sent: false,
        is_test: false,
        extent: forgebell::integration::Extent::default(),
        message: LazyMessage::composed(message),
    };
    let Call { request, .. } = slack().call(&integration.settings, &note).expect("a call can be made");
    request
}

fn slack() -> &'static Entry {
    adapters::find("slack").expect("there is an adapter for Slack")
}

/// It hears of everything in the payload's project.
fn integration(kind: &str) -> Integration {
    let project = event(kind).project.expect("a project's news").id;
    let text = format!(
        r#"
        [[integration]]
        project = {project}
        adapter = "slack"
        webhook = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
        branches_to_be_notified = "all"
        notify_only_broken_pipelines = false
        confidential_issues_events = true
        confidential_note_events = true
        deployment_events = true
        vulnerability_events = true
        "#
    );
    let files = [("bench.toml".into(), text)];
    let read = provision::read(&files, &|_| Err(std::io::ErrorKind::NotFound.into()));
    let read = read.unwrap_or_else(|problems| panic!("{problems:?}"));
    read.each().into_iter().next().expect("one integration was written")
}
