//! Several nodes with one PostgreSQL and one broker. Nodes fail, and in [`cables`] their connections to the database; [`order`]
//! is about the queue that they share.

mod cables;
mod order;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use forgebell::adapters;
use forgebell::catalog::{Actor, CachedCatalog, Catalog as _, Change, Request, UrlPolicy};
use forgebell::event::{Event, EventId};
use forgebell::integration::{IntegrationId, Scope};
use forgebell::pipeline::amqp::Publisher;
use forgebell::pipeline::dispatch::{Verdict, verdicts};
use forgebell::pipeline::holds::HoldSet;
use forgebell::provision;
use forgebell::settings::{Secret, Value};
use forgebell::store::postgres::Postgres;
use forgebell::store::seal::{self, Keyring, SealingKey};
use forgebell::store::{
    Dispatched, HoldCause, Lane, Lease, NewDelivery, NodeId, Origin, Outbox as _, Registry, Remembered, State,
};
use serde_json::json;

use crate::harness::daemon::{Daemon, Home};
use crate::harness::payloads::{payload, with};
use crate::harness::postgres;
use crate::harness::proxy::CuttingProxy;
use crate::harness::rabbit;
use crate::harness::receiver::{Answer, Received, Receiver};
use crate::harness::wait::eventually;

const PROJECTS: usize = 20;
const SUBJECTS: usize = 50;
const EVENTS: usize = 20_000;

/// The sealing key of all nodes.
const KEY: &str = "ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8=";

fn project_scope(project: usize) -> Scope {
    Scope::ProjectId(i64::try_from(1000 + project).expect("a few"))
}

/// Sets a Slack integration in this scope, as the API does.
async fn set(catalog: &CachedCatalog, scope: &Scope, webhook: &str) {
    let scope = catalog.read(|state| state.directory().resolve(scope));
    let request = Request {
        settings: [("webhook".to_owned(), Value::Text(webhook.to_owned()))].into(),
        use_inherited_settings: Some(false),
        ..Request::default()
    };
    let entry = adapters::find("slack").expect("there is an adapter for Slack");
    let (actor, now) = (Actor("token ci (1)".to_owned()), forgebell::daemon::now());
    let change = Change { scope: &scope, entry, unless_changed_since: None, actor: &actor, now };
    catalog.put(change, &request).await.expect("it is set");
}

fn path(project: usize) -> String {
    format!("/services/T{project}/B/hook")
}

fn integrations(receiver: &Receiver) -> String {
    let one = |project: usize| {
        let webhook = receiver.url(&path(project));
        format!(
            "[[integration]]\nproject = {}\nadapter = \"slack\"\nwebhook = \"{webhook}\"\n\n",
            1000 + project
        )
    };
    (0..PROJECTS).map(one).collect()
}

/// The `n`th event. Its number is in the message, and grows within a subject.
fn event(n: usize) -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| {
        json["project"]["id"] = json!(1000 + n % PROJECTS);
        json["project"]["path_with_namespace"] = json!(format!("gitlabhq/test-{}", n % PROJECTS));
        json["object_attributes"]["iid"] = json!(subject(n).1 + 1);
        json["object_attributes"]["title"] = json!(format!("event {n} end"));
    })
}

fn subject(n: usize) -> (usize, usize) {
    (n % PROJECTS, n / PROJECTS % SUBJECTS)
}

fn told(received: &Received) -> usize {
    let text = received.text();
    let number = text.split("event ").nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no event is named in {text}"))
}

/// Two homes with one database and one queue, and a catalog to change integrations with.
async fn two_nodes(settings: &[&str]) -> ([Home; 2], CachedCatalog) {
    let database = postgres::database();
    let api = api(&database).await;
    (nodes_at([&database, &database], "", settings).await, api)
}

/// The catalog of another node, which is nothing but a catalog.
async fn api(database: &str) -> CachedCatalog {
    let keys = Keyring::new(&seal::Config { key: SealingKey::read(KEY), old_keys: Vec::new() });
    let store = Postgres::open(&Secret::new(database), None, keys).await.expect("it opens");
    CachedCatalog::open(Arc::new(store) as Arc<dyn Registry>).await.expect("the store answers")
}

/// Sets each project's integration.
async fn set_all(api: &CachedCatalog, receiver: &Receiver) {
    for project in 0..PROJECTS {
        set(api, &project_scope(project), &receiver.url(&path(project))).await;
    }
}

/// Two homes with one queue, each with its own URL of the database.
async fn nodes_at(databases: [&str; 2], integrations: &str, settings: &[&str]) -> [Home; 2] {
    let (broker, queue) = (rabbit::shared().await.url(), rabbit::unique("nodes"));
    let node = |name, database| {
        let home = Home::new(integrations).with_broker(&broker, &queue).with_postgres(database, name);
        home.with(settings).with(&[&format!("secrets.key={KEY}")])
    };
    [node("one", databases[0]), node("two", databases[1])]
}

async fn publish(home: &Home, numbers: std::ops::Range<usize>) {
    let publisher = Publisher::connect(&home.config().amqp).await.expect("the broker is there");
    for n in numbers {
        let id = EventId::new(&format!("event-{n}")).expect("a short id");
        let now = forgebell::daemon::now();
        publisher.publish(&id, "merge_request", "test", now, &event(n)).await.expect("the broker confirms");
    }
}

fn taken(received: &[Arc<Received>]) -> Vec<&Arc<Received>> {
    received.iter().filter(|received| received.answered == Some(200)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_node_is_killed_the_other_sends_everything_once() {
    let service = Receiver::start().await;
    let hooks: Vec<_> = (0..PROJECTS).map(|project| service.slack_like(&path(project))).collect();
    let ([one, two], api) = two_nodes(&["rate_limits.enabled=false", "amqp.prefetch=64"]).await;
    set_all(&api, &service).await;
    let (first, second) = (one.start().await, two.start().await);
    publish(&one, 0..EVENTS / 2).await;
    eventually("both are at work", Duration::from_secs(60), async || {
        (taken(&service.received()).len() > EVENTS / 10).then_some(())
    })
    .await;
    first.crash();
    publish(&two, EVENTS / 2..EVENTS).await;
    two.until(State::Delivered, EVENTS).await;

    all_was_told_in_order(&service, EVENTS);
    for hook in &hooks {
        assert_eq!(hook.max_concurrency(), 1, "two nodes worked one room at once");
    }
    second.stop().await;
}

/// Nothing is lost, and each subject's events arrive in order. What a node had sent and not settled when it failed is sent
/// again, which is at most what may be under way at once.
fn all_was_told_in_order(service: &Receiver, events: usize) {
    told_in_order(service, events, 256);
}

fn told_in_order(service: &Receiver, events: usize, most_repeated: usize) {
    let received = service.received();
    let mut times = vec![0; events];
    for received in taken(&received) {
        times[told(received)] += 1;
    }
    let lost: Vec<_> = (0..events).filter(|n| times[*n] == 0).collect();
    assert!(lost.is_empty(), "never told: {lost:?}");
    let repeated = times.iter().filter(|times| **times > 1).count();
    assert!(repeated <= most_repeated, "{repeated} were told again");
    let mut last: HashMap<(usize, usize), usize> = HashMap::new();
    let mut seen = vec![false; events];
    for n in taken(&received).into_iter().map(|received| told(received)) {
        if !std::mem::replace(&mut seen[n], true) {
            let before = last.insert(subject(n), n);
            assert!(before.is_none_or(|before| before < n), "{n} was told after {before:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_from_the_database_stops_and_the_other_goes_on() {
    const FEW: usize = 4000;
    let service = Receiver::start().await;
    let slow = Answer::ok().body("ok").delay(Duration::from_millis(20));
    for project in 0..PROJECTS {
        service.at(&path(project)).answer(slow.clone());
    }
    let database = postgres::database();
    let server = url::Url::parse(&database).expect("a URL").port().expect("a port");
    let cable = CuttingProxy::start(([127, 0, 0, 1], server).into()).await;
    let through = database.replace(&format!(":{server}/"), &format!(":{}/", cable.addr().port()));
    let settings = ["rate_limits.enabled=false", "amqp.prefetch=64"];
    let [one, two] = nodes_at([&through, &database], &integrations(&service), &settings).await;
    let (first, second) = (one.start().await, two.start().await);
    publish(&two, 0..FEW).await;
    eventually("both are at work", Duration::from_secs(60), async || {
        (taken(&service.received()).len() > FEW / 10).then_some(())
    })
    .await;
    cable.cut().await;
    // The first node still has what it has not acknowledged. The second node gets the rest when the leases have lapsed.
    two.until(State::Delivered, FEW - 400).await;
    cable.heal().await;
    two.until(State::Delivered, FEW).await;
    all_was_told_in_order(&service, FEW);
    first.stop().await;
    second.stop().await;
}

/// The node that consumes the queue has a connection to the database that passes nothing, and that nobody closes.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_from_the_database_leaves_the_queue_to_another() {
    const FEW: usize = 20;
    let service = Receiver::start().await;
    for project in 0..PROJECTS {
        service.at(&path(project)).answer(Answer::ok().body("ok"));
    }
    let database = postgres::database();
    let server = url::Url::parse(&database).expect("a URL").port().expect("a port");
    let cable = CuttingProxy::start(([127, 0, 0, 1], server).into()).await;
    let through = database.replace(&format!(":{server}/"), &format!(":{}/", cable.addr().port()));
    let settings = ["rate_limits.enabled=false"];
    let [one, two] = nodes_at([&through, &database], &integrations(&service), &settings).await;
    // The first consumer of the queue is the active one.
    let first = one.start().await;
    publish(&two, 0..1).await;
    eventually("it consumes the queue", Duration::from_secs(60), async || {
        (taken(&service.received()).len() == 1).then_some(())
    })
    .await;
    let second = two.start().await;
    cable.freeze();
    publish(&two, 1..FEW).await;
    two.until(State::Delivered, FEW).await;
    cable.heal().await;
    told_in_order(&service, FEW, 0);
    first.stop().await;
    second.stop().await;
}

/// The first answer to a claim is lost on its way: the rows are leased, but the node does not know it.
#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_claim_was_not_answered_are_claimed_again() {
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let database = postgres::database();
    let home = Home::new(&integrations(&service)).with_postgres(&database, "one");
    let daemon = home.start().await;
    daemon.send("first", event(0)).await;
    hook.wait_for(1).await;
    daemon.stop().await;
    // A row as such a claim leaves it: leased to this node, but not in its memory.
    let daemon = home.start().await;
    let store =
        Postgres::open(&Secret::new(database.as_str()), None, Keyring::none()).await.expect("it opens");
    let (now, node) = (forgebell::daemon::now(), NodeId("one".into()));
    let lease = Lease { node, until: now + Duration::from_secs(10) };
    let event =
        Event::decode(EventId::new("second").expect("an id"), now, event(PROJECTS).into()).expect("an event");
    let told = home.deliveries(None).await.remove(0);
    let delivery = NewDelivery {
        integration: told.integration,
        target: "".into(),
        destination: told.destination.as_str().into(),
        share: told.destination.into(),
        lane: Lane(7),
        replaces: false,
        lease: Some(lease),
    };
    let origin = Origin::Broker { digest: None, redelivered: false };
    let dispatched = Dispatched {
        event: Arc::new(event),
        origin,
        deliveries: vec![delivery],
        remembered: Remembered::default(),
    };
    let written = store.enqueue(vec![dispatched], now).await.expect("it is written");
    assert!(written[0][0].as_ref().is_some_and(|delivery| delivery.leased));
    hook.wait_for(2).await;
    home.until(State::Delivered, 2).await;
    daemon.stop().await;
}

/// Slack's pace of one message per second, twenty times as fast: bursts of 5, then one each 50 ms.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_together_keep_the_rate_limit_of_one() {
    const EACH: usize = 60;
    let service = Receiver::start().await;
    let hooks: Vec<_> = (0..PROJECTS).map(|project| service.slack_like(&path(project))).collect();
    let ([one, two], api) = two_nodes(&["rate_limits.scale=20", "amqp.prefetch=8"]).await;
    set_all(&api, &service).await;
    let (first, second) = (one.start().await, two.start().await);
    publish(&one, 0..PROJECTS * EACH).await;
    two.until(State::Delivered, PROJECTS * EACH).await;
    for hook in &hooks {
        let received = hook.received();
        assert_eq!(received.len(), EACH);
        let at: Vec<_> = received.iter().map(|received| received.at).collect();
        for (n, begin) in at.iter().enumerate() {
            for (more, end) in at[n..].iter().enumerate().skip(6) {
                // `more + 1` messages arrived within this time. The network may have brought them closer together.
                let least = Duration::from_millis(50) * u32::try_from(more + 1 - 5).expect("a few");
                let took = end.duration_since(*begin) + Duration::from_millis(100);
                assert!(took >= least, "{} messages within {took:?}", more + 1);
            }
        }
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integration_switched_off_by_one_node_is_off_on_the_other() {
    let service = Receiver::start().await;
    let dead = service.at(&path(0)).answer(Answer::status(404).body("no_service"));
    // The first node works the destination for as long as it runs.
    let ([one, two], api) = two_nodes(&["rate_limits.enabled=false", "delivery.lease=60s"]).await;
    set(&api, &project_scope(0), &dead.url()).await;
    let first = one.start().await;
    let send = async |daemon: &Daemon, n: usize| {
        daemon.send(&format!("event-{n}"), event(n * PROJECTS)).await;
    };
    send(&first, 0).await;
    dead.wait_for(1).await;
    // The second node starts while the address is not yet given up by the first one.
    let second = two.start().await;
    for n in [1, 2] {
        send(&first, n).await;
    }
    let url = two.config().store.url.clone().expect("it is in a database");
    let store = Postgres::open_shared(&url, None, Keyring::none()).await.expect("it opens");
    eventually("the first gives it up", Duration::from_secs(30), async || {
        let holds = store.holds(forgebell::daemon::now()).await.expect("it answers");
        holds.iter().any(|hold| hold.cause == HoldCause::SwitchedOff).then_some(())
    })
    .await;
    let until_then = dead.received().len();
    first.stop().await;
    send(&second, 3).await;
    let outcome = eventually("the other has looked at it", Duration::from_secs(60), async || {
        let lines = two.deliveries(None).await;
        let line = lines.iter().find(|line| line.event.as_str() == "event-3")?;
        two.delivery(line).await.attempts.first().map(|(_, told)| told.outcome.clone())
    })
    .await;
    assert_eq!((&*outcome, dead.received().len()), ("switched_off", until_then));
    second.stop().await;
}

/// A node without files and without rate limits.
fn home_of_one(database: &str) -> Home {
    let key = format!("secrets.key={KEY}");
    Home::new("").with_postgres(database, "one").with(&["rate_limits.enabled=false", &key])
}

/// A database whose notifications of configuration changes are lost, so that nodes know only what they read. This is also
/// the node that changes settings and writes rows.
struct Quiet {
    database: tokio_postgres::Client,
    store: Postgres,
    catalog: CachedCatalog,
}

impl Quiet {
    async fn on(url: &str) -> Self {
        let (database, connection) =
            tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("it answers");
        tokio::spawn(connection);
        let next = "CREATE OR REPLACE FUNCTION next_revision() RETURNS bigint LANGUAGE sql AS \
                    'UPDATE registry SET revision = revision + 1 RETURNING revision'";
        database.batch_execute(next).await.expect("it is ours");
        let store = Postgres::open_shared(&Secret::new(url), None, Keyring::none()).await;
        Self { database, store: store.expect("it opens"), catalog: api(url).await }
    }

    /// The same, with files.
    async fn with_files(url: &str, files: &str) -> Self {
        let node = Self::on(url).await;
        let home = Home::new(files);
        let read =
            provision::load(&home.config().provision, &UrlPolicy::allow_all()).expect("the files are right");
        node.catalog.set_files_in_memory(read.integrations, read.facts);
        node
    }

    async fn sql(&self, sql: &str) {
        self.database.batch_execute(sql).await.expect("the database does it");
    }

    /// Writes an event with the deliveries that this node's catalog makes of it.
    async fn dispatch(&self, id: &str, body: Vec<u8>) {
        let now = forgebell::daemon::now();
        let event = Event::decode(EventId::new(id).expect("an id"), now, body.into()).expect("an event");
        let event = Arc::new(event);
        self.catalog.learn(&[Arc::clone(&event)], now).await.expect("the store takes it");
        let sent = verdicts(&event, &self.catalog, &HoldSet::default(), now).into_iter();
        let sent = sent.filter_map(|(_, verdict)| match verdict {
            Verdict::Sends { deliveries, .. } => Some(deliveries),
            _ => None,
        });
        self.write(event, sent.flatten().collect()).await;
    }

    async fn write(&self, event: Arc<Event>, deliveries: Vec<NewDelivery>) {
        assert!(!deliveries.is_empty(), "the event has a delivery");
        let origin = Origin::Broker { digest: None, redelivered: false };
        let dispatched = Dispatched { event, origin, deliveries, remembered: Remembered::default() };
        self.store.enqueue(vec![dispatched], forgebell::daemon::now()).await.expect("it is written");
    }

    /// Writes a row of an integration that never existed.
    async fn write_strange(&self, n: usize) {
        let now = forgebell::daemon::now();
        let id = EventId::new(&format!("strange-{n}")).expect("an id");
        let event = Arc::new(Event::decode(id, now, event(n).into()).expect("an event"));
        let lane = i64::try_from(n).expect("a few");
        self.write(event, vec![strange(lane, None)]).await;
    }
}

/// The destination of strange deliveries.
const SOMEWHERE: &str = "somewhere";

/// A delivery of an integration that never existed.
fn strange(lane: i64, lease: Option<Lease>) -> NewDelivery {
    NewDelivery {
        integration: IntegrationId::new("77:slack"),
        target: "".into(),
        destination: SOMEWHERE.into(),
        share: SOMEWHERE.into(),
        lane: Lane(lane),
        replaces: false,
        lease,
    }
}

/// The second node of this test is only a catalog, through which the API of any node makes changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_one_node_reaches_the_other_at_once() {
    // Much less than the period of the refresh.
    const AT_ONCE: Duration = Duration::from_secs(4);
    let service = Receiver::start().await;
    let wrong = service.at(&path(0)).answer(Answer::status(404).body("no_team"));
    let right = service.slack_like(&path(1));
    let database = postgres::database();
    let home = home_of_one(&database);
    let daemon = home.start().await;
    let api = api(&database).await;
    let mark = service.slack_like(&path(2));
    set(&api, &project_scope(2), &mark.url()).await;
    set(&api, &project_scope(0), &wrong.url()).await;
    let sent = AtomicUsize::new(0);
    eventually("an event finds who was set just now", AT_ONCE, async || {
        let n = sent.fetch_add(1, Ordering::Relaxed);
        daemon.send(&format!("event-{n}"), event(n * PROJECTS)).await;
        (!wrong.received().is_empty()).then_some(())
    })
    .await;
    let waiting = home.until(State::Waiting, 1).await.len();
    let more = sent.load(Ordering::Relaxed);
    daemon.send("one more", event(more * PROJECTS)).await;
    home.until(State::Waiting, waiting + 1).await;

    set(&api, &project_scope(0), &right.url()).await;
    eventually("what waits goes where it is meant for now", AT_ONCE, async || {
        (right.received().len() > waiting).then_some(())
    })
    .await;
    let scope = api.read(|state| state.known(&project_scope(0))).expect("it is known");
    let (actor, now) = (Actor("token ci (1)".to_owned()), forgebell::daemon::now());
    let entry = adapters::find("slack").expect("there is an adapter for Slack");
    let change = Change { scope: &scope, entry, unless_changed_since: None, actor: &actor, now };
    api.deactivate(change).await.expect("it is configured");
    let of_it = async || {
        let lines = home.deliveries(None).await;
        lines.iter().filter(|line| line.integration.0.starts_with("1000:")).count()
    };
    let marks = AtomicUsize::new(0);
    eventually("nothing is sent any more", AT_ONCE, async || {
        let before = of_it().await;
        for project in [0, 2] {
            let n = sent.fetch_add(1, Ordering::Relaxed) + 1;
            daemon.send(&format!("event-{n}"), event(n * PROJECTS + project)).await;
        }
        // They are dispatched in order, so the event before the mark was dispatched when the mark arrives.
        mark.wait_for(marks.fetch_add(1, Ordering::Relaxed) + 1).await;
        (of_it().await == before).then_some(())
    })
    .await;
    daemon.stop().await;
}

/// A node that gets a row of an integration that it does not know reads the configuration before it cancels the row.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_an_integration_not_yet_known_to_this_node_is_sent() {
    let service = Receiver::start().await;
    let database = postgres::database();
    let home = home_of_one(&database);
    let daemon = home.start().await;
    let other = Quiet::on(&database).await;
    for project in 0..PROJECTS {
        service.slack_like(&path(project));
        set(&other.catalog, &project_scope(project), &service.url(&path(project))).await;
        for n in [project, project + PROJECTS] {
            other.dispatch(&format!("event-{n}"), event(n)).await;
        }
    }
    home.until(State::Delivered, 2 * PROJECTS).await;
    assert_eq!(home.deliveries(Some(State::Cancelled)).await.len(), 0);
    all_was_told_in_order(&service, 2 * PROJECTS);

    // After a change of the address, deliveries of both nodes go to the new one.
    let moved = service.slack_like("/services/T0/B/moved");
    set(&other.catalog, &project_scope(0), &moved.url()).await;
    other.dispatch("event-moved", event(2 * PROJECTS)).await;
    assert_eq!(told(&moved.wait_for(1).await[0]), 2 * PROJECTS);
    daemon.stop().await;
}

/// A project's default depends on its groups. A node that does not know the project yet must not use another default.
#[tokio::test(flavor = "multi_thread")]
async fn a_project_not_yet_known_to_this_node_uses_its_groups_default() {
    let service = Receiver::start().await;
    let (all, group) = (service.slack_like("/services/T0/B/all"), service.slack_like("/services/T0/B/group"));
    let database = postgres::database();
    let home = home_of_one(&database);
    let daemon = home.start().await;
    let other = Quiet::on(&database).await;
    set(&other.catalog, &Scope::Instance, &all.url()).await;
    set(&other.catalog, &Scope::Group("gitlabhq".to_owned()), &group.url()).await;
    // After this event the node knows both defaults and none of the projects.
    other.dispatch("event-0", event(0)).await;
    group.wait_for(1).await;
    for n in 1..PROJECTS {
        other.dispatch(&format!("event-{n}"), event(n)).await;
    }
    home.until(State::Delivered, PROJECTS).await;
    assert_eq!((group.received().len(), all.received().len()), (PROJECTS, 0));
    daemon.stop().await;
}

/// A row without an integration is cancelled, but not by a node that can't read the configuration.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_a_deleted_integration_is_cancelled_after_the_catalog_is_read_again() {
    const STRANGE: usize = 40;
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let database = postgres::database();
    // The files are the same everywhere.
    let home = home_of_one(&database).with(&["delivery.unknown_integration_grace=0s"]);
    let daemon = home.start().await;
    let other = Quiet::on(&database).await;
    set(&other.catalog, &project_scope(0), &hook.url()).await;
    other.dispatch("event-0", event(0)).await;
    hook.wait_for(1).await;

    // The database answers, but queries of the configuration fail.
    let began = std::time::Instant::now();
    other.sql("ALTER TABLE registry RENAME TO away").await;
    for n in 0..STRANGE {
        other.write_strange(n).await;
    }
    let unanswered = eventually("each was asked for in vain", Duration::from_secs(30), async || {
        let waiting = home.deliveries(Some(State::Waiting)).await;
        let mut asked = 0;
        for line in &waiting {
            asked += usize::from(
                home.delivery(line).await.attempts.iter().any(|told| told.1.outcome == "store_unavailable"),
            );
        }
        (asked == STRANGE).then_some(waiting)
    })
    .await;
    assert_eq!(home.deliveries(Some(State::Cancelled)).await.len(), 0);
    // Other rows go on meanwhile, and the configuration is not read in a loop.
    other.dispatch("event-1", event(PROJECTS)).await;
    hook.wait_for(2).await;
    let mut most = 0;
    for line in &unanswered {
        most = most.max(home.delivery(line).await.attempts.len());
    }
    let turns = usize::try_from(began.elapsed().as_secs() / 5).expect("a few");
    assert!(most <= turns + 1, "asked {most} times: it spins");

    other.sql("ALTER TABLE away RENAME TO registry").await;
    let cancelled = home.until(State::Cancelled, STRANGE).await;
    let detail = home.delivery(&cancelled[0]).await;
    assert!(
        detail.attempts.iter().any(|told| told.1.note.contains("the integration was removed")),
        "{detail:?}"
    );
    // Now that the configuration can be read, further rows are cancelled at once.
    for n in STRANGE..2 * STRANGE {
        other.write_strange(n).await;
    }
    home.until(State::Cancelled, 2 * STRANGE).await;
    daemon.stop().await;
}

/// Files are changed on one node after another. A node with old files must not cancel rows that another node wrote by its
/// new files.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_an_integration_in_another_nodes_files_waits_for_this_nodes_files() {
    const NEXT: usize = PROJECTS * SUBJECTS;
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let database = postgres::database();
    let home = home_of_one(&database);
    let daemon = home.start().await;
    let files = integrations(&service);
    let other = Quiet::with_files(&database, &files).await;
    other.dispatch("event-0", event(0)).await;
    let attempts = eventually("the row is left to others", Duration::from_secs(30), async || {
        let lines = home.deliveries(Some(State::Waiting)).await;
        Some(home.delivery(lines.first()?).await.attempts).filter(|attempts| !attempts.is_empty())
    });
    let (_, first) = &attempts.await[0];
    assert_eq!(first.outcome, "unknown_integration");
    assert!(first.note.contains("the files of this node"), "{}", first.note);
    // The event is of the same merge request: the order is kept here too.
    other.dispatch("event-1", event(NEXT)).await;

    home.provision(&files);
    daemon.reload().await.expect("the files are right");
    home.until(State::Delivered, 2).await;
    assert_eq!(hook.received().iter().map(|received| told(received)).collect::<Vec<_>>(), [0, NEXT]);
    daemon.stop().await;
}

/// Such a row waits only for a limited time.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_of_an_integration_in_no_nodes_files_is_cancelled_after_the_grace_time() {
    let database = postgres::database();
    let home = home_of_one(&database).with(&["delivery.unknown_integration_grace=1s"]);
    let daemon = home.start().await;
    Quiet::on(&database).await.write_strange(0).await;
    let cancelled = home.until(State::Cancelled, 1).await;
    let attempts = home.delivery(&cancelled[0]).await.attempts;
    let words: Vec<_> = attempts.iter().map(|told| told.1.outcome.as_str()).collect();
    assert_eq!(words, ["unknown_integration", "cancelled"]);
    daemon.stop().await;
}

/// Programs are upgraded on one node after another as well.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_only_a_newer_version_can_read_waits_for_it() {
    let service = Receiver::start().await;
    let hook = service.slack_like(&path(0));
    let database = postgres::database();
    let home = home_of_one(&database);
    home.start().await.stop().await; // creates the tables
    let other = Quiet::on(&database).await;
    set(&other.catalog, &project_scope(0), &hook.url()).await;
    other.dispatch("event-0", event(0)).await;
    other.sql("UPDATE events SET raw = convert_to('{\"object_kind\": \"séance\"}', 'UTF8')").await;
    let daemon = home.start().await;
    let attempts = eventually("it was tried", Duration::from_secs(30), async || {
        let lines = home.deliveries(Some(State::Waiting)).await;
        Some(home.delivery(lines.first()?).await.attempts).filter(|attempts| !attempts.is_empty())
    });
    let (_, first) = &attempts.await[0];
    assert_eq!(first.outcome, "deferred");
    assert!(first.note.contains("this version of forgebell cannot read the event"), "{}", first.note);

    let body = String::from_utf8(event(0)).expect("JSON");
    other.sql(&format!("UPDATE events SET raw = convert_to($event${body}$event$, 'UTF8')")).await;
    assert_eq!(told(&hook.wait_for(1).await[0]), 0);
    home.until(State::Delivered, 1).await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_with_the_same_name_is_refused() {
    let database = postgres::database();
    let home = Home::new("").with_postgres(&database, "twin");
    let daemon = home.start().await;
    let store = forgebell::store::postgres::Postgres::open(
        &forgebell::settings::Secret::new(database),
        None,
        Keyring::none(),
    )
    .await;
    let listener = store
        .expect("it opens")
        .listener(&forgebell::store::NodeId("twin".into()), Duration::from_secs(60), Duration::ZERO)
        .await;
    let why = listener.map(drop).expect_err("the name is taken").to_string();
    assert!(why.contains("`twin`"), "{why}");
    daemon.stop().await;
}
