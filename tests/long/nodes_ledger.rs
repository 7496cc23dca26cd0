//! Several nodes with one PostgreSQL, and what becomes of every message while something fails: lost, out of order, told again,
//! and for how long a destination is silent. Each test prints a line.
//!
//! The nodes are processes of their own, with the settings that are shipped (leases of two minutes), so that they can be killed
//! and stopped. [`Told`] is the ledger: it is read from what the service got.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use forgebell::store::State;
use forgebell::store::registry::{Right, ScopeKey};
use serde_json::{Value, json};

use crate::harness::bursts::{self, Told};
use crate::harness::daemon::Home;
use crate::harness::payloads::{payload, with};
use crate::harness::postgres::{self, Postgres};
use crate::harness::process::Process;
use crate::harness::proxy::CuttingProxy;
use crate::harness::rabbit;
use crate::harness::receiver::{Answer, Received, Receiver};
use crate::harness::wait::eventually;

const PROJECTS: usize = 20;
const EVENTS: usize = 6_000;
/// How long the service takes to answer. One destination gets one message at a time, so this sets the rate.
const DELAY: Duration = Duration::from_millis(30);
/// A destination may be silent for this long after a fault, whatever the lease.
const SILENCE: Duration = Duration::from_secs(15);
/// The sealing key of all nodes.
const KEY: &str = "ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8=";

/// Nodes at work on a backlog.
struct World {
    service: Receiver,
    homes: Vec<Home>,
    nodes: Vec<Option<Process>>,
}

impl World {
    /// Nodes with these databases (one URL each), one queue with a backlog, and a service that takes its time. It returns when a
    /// tenth was told.
    async fn at_work(databases: &[&str]) -> Self {
        let service = Receiver::start().await;
        let integrations = bursts::integrations(&service);
        for project in 0..PROJECTS {
            let slow = Answer::ok().body("ok").delay(DELAY);
            service.at(&format!("/services/T{project}/B/hook")).answer(slow);
        }
        let (broker, queue) = (rabbit::shared().await.url(), rabbit::unique("ledger"));
        let home = |(n, database): (usize, &&str)| {
            let home = Home::new(&integrations).with_broker(&broker, &queue);
            let home = home.with_postgres(database, &format!("node{n}"));
            home.with(&["delivery.lease=2m", "rate_limits.enabled=false", &format!("secrets.key={KEY}")])
        };
        let homes: Vec<_> = databases.iter().enumerate().map(home).collect();
        let mut nodes = Vec::new();
        for home in &homes {
            let node = Process::start(home).await;
            node.until_ready().await;
            nodes.push(Some(node));
        }
        bursts::publish(&homes[0], 0..EVENTS).await;
        let world = Self { service, homes, nodes };
        world.told(EVENTS / 10).await;
        world
    }

    async fn told(&self, count: usize) {
        eventually("they are at work", Duration::from_secs(120), async || {
            (taken(&self.service.received()).count() >= count).then_some(())
        })
        .await;
    }

    /// Waits until a node has delivered a message for each project since its start, or all are told.
    async fn until_delivers(&self, n: usize) {
        eventually("the node delivers", Duration::from_secs(60), async || {
            let (_, metrics) = self.node(n).get("/metrics").await?;
            let is_over = || taken(&self.service.received()).count() >= EVENTS;
            (delivered(&metrics) >= PROJECTS || is_over()).then_some(())
        })
        .await;
    }

    fn node(&self, n: usize) -> &Process {
        self.nodes[n].as_ref().expect("it runs")
    }

    async fn kill(&mut self, n: usize) {
        self.nodes[n].take().expect("it runs").kill().await;
    }

    async fn start(&mut self, n: usize) {
        self.nodes[n] = Some(Process::start(&self.homes[n]).await);
    }

    /// Waits until all is told, prints the ledger, and checks it. `since` is the moment of the fault.
    async fn settle(self, name: &str, since: Instant, most_repeated: usize) -> Duration {
        let by = self.nodes.iter().position(Option::is_some).expect("one is left");
        // The store is asked when the service has heard all, because asking takes time from the nodes.
        eventually("all is told", Duration::from_secs(240), async || {
            let all = taken(&self.service.received()).count() >= EVENTS;
            (all && Told::by(&self.service, EVENTS).lost.is_empty()).then_some(())
        })
        .await;
        eventually("nothing waits", Duration::from_secs(60), async || {
            self.homes[by].deliveries(Some(State::Waiting)).await.is_empty().then_some(())
        })
        .await;
        let (told, silence) = (Told::by(&self.service, EVENTS), longest_silence(&self.service, since));
        println!(
            "nodes {name}: lost={} out_of_order={} repeated={} silence={:.1}s",
            told.lost.len(),
            told.out_of_order.len(),
            told.repeated,
            silence.as_secs_f64()
        );
        told.assert_all_in_order();
        assert!(told.repeated <= most_repeated, "{} were told again", told.repeated);
        for node in self.nodes.into_iter().flatten() {
            node.stop().await;
        }
        silence
    }
}

fn taken<'a>(received: &'a [std::sync::Arc<Received>]) -> impl Iterator<Item = &'a Received> {
    received.iter().map(|received| &**received).filter(|received| received.answered == Some(200))
}

/// How many messages a node has delivered since its start, by its metrics.
fn delivered(metrics: &str) -> usize {
    let lines = metrics.lines().filter(|line| line.starts_with("forgebell_deliveries_total{"));
    let delivered = lines.filter(|line| line.contains("\"delivered\""));
    delivered.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
}

/// The longest time after `since` in which a destination that had more to tell heard nothing.
fn longest_silence(service: &Receiver, since: Instant) -> Duration {
    let mut last: HashMap<String, Instant> = HashMap::new();
    let mut longest = Duration::ZERO;
    for received in taken(&service.received()) {
        let before = last.insert(received.path.clone(), received.at);
        let before = before.unwrap_or(since).max(since);
        longest = longest.max(received.at.saturating_duration_since(before));
    }
    longest
}

/// A database of the server that tests share, once for each node.
fn databases(nodes: usize) -> Vec<String> {
    vec![postgres::database(); nodes]
}

async fn at_work(nodes: usize) -> World {
    let databases = databases(nodes);
    World::at_work(&databases.iter().map(String::as_str).collect::<Vec<_>>()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_for_good_is_replaced_in_seconds() {
    for nodes in [2, 3] {
        let mut world = at_work(nodes).await;
        let since = Instant::now();
        world.kill(0).await;
        let silence = world.settle(&format!("killed for good, of {nodes}"), since, 256).await;
        assert!(silence < SILENCE, "{silence:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_and_comes_back_goes_on() {
    let mut world = at_work(2).await;
    let since = Instant::now();
    for _ in 0..3 {
        world.kill(0).await;
        world.start(0).await;
        world.until_delivers(0).await;
    }
    let silence = world.settle("killed three times and restarted", since, 3 * PROJECTS).await;
    assert!(silence < SILENCE, "{silence:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_stopped_and_goes_on_later_repeats_what_it_had_under_way() {
    for nodes in [2, 3] {
        let world = at_work(nodes).await;
        let since = Instant::now();
        world.node(0).signal("STOP").await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        world.node(0).signal("CONT").await;
        let silence = world.settle(&format!("stopped for 20 s, of {nodes}"), since, PROJECTS).await;
        assert!(silence < SILENCE, "{silence:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_cable_to_the_database_passes_nothing_is_replaced() {
    let database = postgres::database();
    let server = url::Url::parse(&database).expect("a URL").port().expect("a port");
    let cable = CuttingProxy::start(([127, 0, 0, 1], server).into()).await;
    let through = database.replace(&format!(":{server}/"), &format!(":{}/", cable.addr().port()));
    let world = World::at_work(&[&through, &database]).await;
    let since = Instant::now();
    cable.freeze();
    tokio::time::sleep(Duration::from_secs(25)).await;
    cable.heal().await;
    let silence = world.settle("a cable that passed nothing for 25 s", since, PROJECTS).await;
    assert!(silence < SILENCE, "{silence:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_crashes_loses_nothing() {
    let server = Postgres::alone("ledger");
    let database = server.database();
    let world = World::at_work(&[&database, &database]).await;
    let since = Instant::now();
    for _ in 0..3 {
        tokio::task::block_in_place(|| server.crash_and_restart());
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let silence = world.settle("the database crashed three times", since, 3 * PROJECTS).await;
    assert!(silence < SILENCE, "{silence:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_ended_lose_nothing() {
    const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let database = postgres::database();
    let world = World::at_work(&[&database, &database]).await;
    let since = Instant::now();
    for _ in 0..5 {
        sql(&database, END).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let silence = world.settle("all sessions ended five times", since, 5 * PROJECTS).await;
    assert!(silence < SILENCE, "{silence:?}");
}

/// Runs statements in a database.
async fn sql(database: &str, statements: &str) {
    let (client, connection) =
        tokio_postgres::connect(database, tokio_postgres::NoTls).await.expect("the database answers");
    tokio::spawn(connection);
    client.batch_execute(statements).await.expect("the database does it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_is_said_within_seconds() {
    let database = postgres::database();
    let world = World::at_work(&[&database, &database]).await;
    let (mut locker, connection) =
        tokio_postgres::connect(&database, tokio_postgres::NoTls).await.expect("the database answers");
    tokio::spawn(connection);
    let process: i32 = locker.query_one("SELECT pg_backend_pid()", &[]).await.expect("it answers").get(0);
    let since = Instant::now();
    let lock = locker.transaction().await.expect("a transaction begins");
    lock.batch_execute("LOCK TABLE forgebell.deliveries IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("it is locked");
    let said = format!("process {process}");
    let (status, _) = eventually("/readyz names the session that has the lock", SILENCE, async || {
        world.node(0).get("/readyz").await.filter(|(_, text)| text.contains(&said))
    })
    .await;
    println!("nodes a locked table: said after {:.1}s", since.elapsed().as_secs_f64());
    assert_eq!(status, 503);
    assert!(world.node(0).log().contains(&said), "{}", world.node(0).log());
    lock.rollback().await.expect("it is free again");
    let silence = world.settle("a locked table", since, PROJECTS).await;
    assert!(silence < Duration::from_secs(30), "{silence:?}");
}

/// Messages to hooks of one host, with the limits that are shipped: five a second over all hooks, in bursts of 20. A node
/// joins, the one that works the host is killed and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_a_host_holds_over_all_nodes() {
    const HOOKS: usize = 24;
    const EACH: usize = 8;
    const BURST: i64 = 20;
    const PER_SECOND: i64 = 5;
    let service = Receiver::start().await;
    let mut integrations = String::new();
    for hook in 0..HOOKS {
        let hook_url = service.slack_like(&format!("/hooks/{hook:024}")).url();
        integrations += &format!(
            "[[integration]]\nproject = {}\nadapter = \"mattermost\"\nwebhook = \"{hook_url}\"\n\n",
            1000 + hook
        );
    }
    let database = postgres::database();
    let home =
        |name: &str| Home::new(&integrations).with_postgres(&database, name).with(&["delivery.lease=2m"]);
    let homes = [home("one"), home("two")];
    let mut nodes = vec![Process::start(&homes[0]).await];
    nodes[0].until_ready().await;
    for n in 0..HOOKS * EACH {
        let (hook, round) = (n % HOOKS, n / HOOKS);
        let body = with(&payload("merge_request_open.json"), |json| {
            json["project"]["id"] = json!(1000 + hook);
            json["project"]["path_with_namespace"] = json!(format!("gitlabhq/test-{hook}"));
            json["object_attributes"]["iid"] = json!(round + 1);
            json["object_attributes"]["title"] = json!(format!("event {n} end"));
        });
        post_event(&nodes[0], &format!("event-{n}"), body).await;
    }
    nodes.push(Process::start(&homes[1]).await);
    let told = async |count: usize| {
        eventually("they are told", Duration::from_secs(120), async || {
            (taken(&service.received()).count() >= count).then_some(())
        })
        .await;
    };
    told(HOOKS * EACH / 3).await;
    let worker = usize::from(worker(&database).await == "two");
    nodes.remove(worker).kill().await;
    told(HOOKS * EACH / 2).await;
    nodes.push(Process::start(&homes[worker]).await);
    told(HOOKS * EACH).await;
    let received = service.received();
    let at: Vec<Instant> = taken(&received).map(|received| received.at).collect();
    // In thousandths of a message.
    let mut worst = i64::MIN;
    for (n, begin) in at.iter().enumerate() {
        for (more, end) in at[n..].iter().enumerate() {
            let within = i64::try_from(end.duration_since(*begin).as_millis()).expect("minutes");
            let count = i64::try_from(more + 1).expect("a few");
            worst = worst.max(1000 * (count - BURST) - PER_SECOND * within);
        }
    }
    let took = at[at.len() - 1].duration_since(at[0]);
    let mut times: HashMap<String, usize> = HashMap::new();
    for received in taken(&received) {
        *times.entry(received.text()).or_default() += 1;
    }
    let repeated = times.values().filter(|times| **times > 1).count();
    println!(
        "nodes one host's limit: {} in {:.1}s, at most {} thousandths of a message over the limit, repeated={repeated}",
        at.len(),
        took.as_secs_f64(),
        worst.max(0)
    );
    assert_eq!(times.len(), HOOKS * EACH, "none is lost");
    // The network may bring two of them closer together.
    assert!(worst <= 2000, "{worst} thousandths of a message more than the limit allows");
    for node in nodes {
        node.stop().await;
    }
}

/// The node that works the only share.
async fn worker(database: &str) -> String {
    let (client, connection) =
        tokio_postgres::connect(database, tokio_postgres::NoTls).await.expect("the database answers");
    tokio::spawn(connection);
    let row = client.query_one("SELECT node::text FROM forgebell.workers", &[]).await;
    row.expect("there is one share").get(0)
}

async fn post_event(node: &Process, id: &str, body: Vec<u8>) {
    let request = crate::harness::client().post(format!("http://{}/events", node.address()));
    let request = request.header("content-type", "application/json").header("idempotency-key", id);
    let status = request.body(body).send().await.expect("the daemon answers").status();
    assert_eq!(status, 202);
}

/// An event of project 1000, whose number can be read in its message.
fn numbered(n: usize) -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| {
        json["project"]["id"] = json!(1000);
        json["project"]["path_with_namespace"] = json!("gitlabhq/test-0");
        json["object_attributes"]["title"] = json!(format!("event {n} end"));
    })
}

/// Sets project 1000's Slack integration over a node's API.
async fn set_slack(node: &Process, token: &str, settings: Value) {
    let url = format!("http://{}/api/v4/projects/1000/integrations/slack", node.address());
    let request = crate::harness::client().put(url).header("private-token", token);
    let request = request.header("content-type", "application/json").body(settings.to_string());
    let answer = request.send().await.expect("the daemon answers");
    let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
    assert_eq!(status, 200, "{text}");
}

/// Two nodes without a broker, as this role of the database, and a token for their API.
async fn two_over_http(database: &str) -> ([Home; 2], [Process; 2], String) {
    let home = |name: &str| {
        let home = Home::new("").with_postgres(database, name);
        home.with(&["delivery.lease=2m", "rate_limits.enabled=false", &format!("secrets.key={KEY}")])
    };
    let homes = [home("one"), home("two")];
    let nodes = [Process::start(&homes[0]).await, Process::start(&homes[1]).await];
    for node in &nodes {
        node.until_ready().await;
    }
    let token = homes[0].token(ScopeKey::Instance, Right::Maintain).await;
    for node in &nodes {
        let known = async || {
            let url = format!("http://{}/api/v4/projects", node.address());
            let answer =
                crate::harness::client().get(url).header("private-token", &token).send().await.ok()?;
            (answer.status() != 401).then_some(())
        };
        eventually("the node knows the token", Duration::from_secs(20), known).await;
    }
    (homes, nodes, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_corrected_on_another_node_heal_what_is_leased() {
    let service = Receiver::start().await;
    let wrong = service.at("/services/T0/B/wrong").answer(Answer::status(404).body("no_team"));
    let right = service.slack_like("/services/T0/B/right");
    let (homes, nodes, token) = two_over_http(&postgres::database()).await;
    set_slack(&nodes[0], &token, json!({ "webhook": wrong.url() })).await;
    for n in 0..40 {
        post_event(&nodes[n % 2], &format!("event-{n}"), numbered(n)).await;
    }
    wrong.wait_for(1).await;
    let since = Instant::now();
    set_slack(&nodes[1], &token, json!({ "webhook": right.url() })).await;
    homes[0].until(State::Delivered, 40).await;
    let order: Vec<_> = right.received().iter().map(|received| received.text()).collect();
    let first = order.iter().position(|text| text.contains("event 0 end"));
    let last = order.iter().position(|text| text.contains("event 39 end"));
    println!(
        "nodes settings corrected: {} told, the last after {:.1}s",
        order.len(),
        since.elapsed().as_secs_f64()
    );
    assert_eq!((order.len(), first), (40, Some(0)));
    assert!(last > first && since.elapsed() < SILENCE);
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_owns_nothing_but_its_schema_is_enough() {
    let server = Postgres::alone("limited");
    let database = server.database();
    let name = database.rsplit('/').next().expect("the URL ends with the name").to_owned();
    server.sql(
        &name,
        "REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE ROLE limited LOGIN;
         CREATE SCHEMA forgebell AUTHORIZATION limited",
    );
    let limited = database.replace("forgebell@", "limited@");
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B/hook");
    let (homes, [one, two], token) = two_over_http(&limited).await;
    set_slack(&one, &token, json!({ "webhook": hook.url() })).await;
    for n in 0..20 {
        post_event(&two, &format!("event-{n}"), numbered(n)).await;
    }
    homes[0].until(State::Delivered, 20).await;
    // It may take over, and end its own former connections.
    one.kill().await;
    for n in 20..40 {
        post_event(&two, &format!("event-{n}"), numbered(n)).await;
    }
    homes[1].until(State::Delivered, 40).await;
    println!("nodes a role with its schema alone: lost=0 repeated={}", hook.received().len() - 40);
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_over_the_api_stop_nobody() {
    let service = Receiver::start().await;
    let hook = service.slack_like("/services/T0/B/hook");
    let (homes, [one, two], token) = two_over_http(&postgres::database()).await;
    let names =
        ["'; DROP TABLE deliveries; --", "$$ $1 \\", "ä€𝄞\u{202e}\u{200b}", "a\"b'c`d", &"x".repeat(255)];
    for (n, name) in names.iter().enumerate() {
        set_slack(&one, &token, json!({ "webhook": hook.url(), "merge_request_channel": name })).await;
        let body = with(&numbered(n), |json| {
            json["object_attributes"]["source_branch"] = json!(name);
            json["project"]["name"] = json!(name);
        });
        post_event(&two, &format!("event-{n}"), body).await;
        homes[0].until(State::Delivered, n + 1).await;
    }
    let channels: Vec<_> =
        hook.received().iter().map(|received| received.json()["channel"].clone()).collect();
    println!("nodes hostile names: {} of {} told", channels.len(), names.len());
    assert_eq!(channels.len(), names.len());
    one.stop().await;
    two.stop().await;
}
