//! The pipeline over a store in a folder, with a service whose answers the test controls.

mod deliver;
mod dispatch;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::attempt::Attempter;
use super::condition::Condition;
use super::deliver::{Deliverer, DelivererHandle, Deps};
use super::dispatch::FirstPauses;
use super::events_in_hand::EventsInHand;
use super::holds::Holds;
use super::live::Live;
use super::retry::Policy;
use super::source::{Inbound, Receipt};
use super::*;
use crate::adapters::ProjectLinks;
use crate::call::{HttpResponse, Request, Response};
use crate::catalog::{Catalog, Snapshot};
use crate::event::{Event, EventId};
use crate::integration::{Integration, IntegrationId, ProjectFacts};
use crate::settings::{Properties, Secret, Value};
use crate::store::registry::{Changes, Configuration, Mute, ScopeKey, StoredIntegration};
use crate::store::seal::Keyring;
use crate::store::sqlite::Sqlite;
use crate::store::{DeliveryFilter, DeliveryLine, EventLog, Ledger, NodeId, Origin, Outbox, State};
use crate::wire::pace::Pace;
use crate::wire::{SendError, Transport};

const PAUSES: FirstPauses = FirstPauses { build: Duration::from_secs(5), probe: Duration::from_secs(10) };

fn now() -> Timestamp {
    Timestamp::from_second(1_768_469_400).unwrap()
}

/// Accepts a message for each permit.
struct Service {
    /// The addresses that were called.
    heard: Mutex<Vec<String>>,
    answers: Semaphore,
}

#[async_trait]
impl Transport for Service {
    async fn send(&self, request: &Request) -> Result<Response, SendError> {
        if let Request::Http(request) = request {
            self.heard.lock().unwrap().push(request.url.to_string());
        }
        self.answers.acquire().await.unwrap().forget();
        let body = Bytes::from_static(b"ok");
        Ok(Response::Http(HttpResponse { status: 200, headers: Vec::new(), body, at: now() }))
    }
}

impl Service {
    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// A catalog whose settings a test changes.
struct Settings(Mutex<Arc<Snapshot>>);

impl Settings {
    /// Configures Slack for project 42, with these channels and the webhook of this name.
    fn set(&self, hook: &str, channels: &str) {
        *self.0.lock().unwrap() = Arc::new(slack(hook, channels));
    }

    fn get(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Catalog for Settings {
    fn concerned(&self, event: &Event) -> Vec<Arc<Integration>> {
        self.get().concerned(event)
    }

    fn integration(&self, id: &IntegrationId) -> Option<Arc<Integration>> {
        self.get().integration(id)
    }

    fn links(&self, event: &Event) -> ProjectLinks {
        self.get().links(event)
    }

    fn located(&self, event: Event) -> Event {
        self.get().located(event)
    }

    fn facts(&self, event: &Event) -> ProjectFacts {
        self.get().facts(event)
    }

    fn muted(&self, event: &Event, integration: &Integration, target: &str, now: Timestamp) -> Option<Mute> {
        self.get().muted(event, integration, target, now)
    }
}

fn slack(hook: &str, channels: &str) -> Snapshot {
    let webhook = Secret::new(format!("https://chat.example.com/hooks/{hook}"));
    let row = StoredIntegration {
        id: 1,
        owner: ScopeKey::Project(42),
        slug: "slack".to_owned(),
        configuration: Configuration {
            active: true,
            properties: Properties::from(
                [("channel", channels), ("branches_to_be_notified", "all")]
                    .map(|(name, value)| (name.to_owned(), Value::Text(value.to_owned()))),
            ),
            secrets: [("webhook".to_owned(), webhook)].into(),
            ..Configuration::default()
        },
        revision: 1,
        created_at: now(),
        updated_at: now(),
    };
    let mut snapshot = Snapshot::default();
    snapshot.take_changes(Changes { revision: 1, integrations: vec![row], ..Changes::default() });
    snapshot
}

/// A pipeline whose clock stands still.
struct Pipeline {
    store: Arc<Sqlite>,
    service: Arc<Service>,
    settings: Arc<Settings>,
    attempts: Attempter,
    handle: DelivererHandle,
    events_in_hand: EventsInHand,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// `None` after [`Pipeline::start`], which runs the deliverer.
    deliverer: Option<Deliverer>,
    _folder: tempfile::TempDir,
}

impl Pipeline {
    /// A pipeline that delivers to these channels of a Slack.
    fn new(channels: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("forgebell.db"), Keyring::none()).unwrap());
        let service = Arc::new(Service { heard: Mutex::default(), answers: Semaphore::new(0) });
        let settings = Arc::new(Settings(Mutex::new(Arc::new(slack("one", channels)))));
        let attempts = Attempter {
            catalog: Arc::clone(&settings) as Arc<dyn Catalog>,
            transport: Arc::clone(&service) as Arc<dyn Transport>,
            merge_requests: Arc::clone(&store) as _,
            holds: Holds::default(),
            clock: Clock::new(now),
            max_age: Live::default(),
            operator: Live::default(),
            first_build_pause: PAUSES.build,
        };
        let (tasks, events_in_hand) = (TaskTracker::new(), EventsInHand::default());
        let deps = Deps {
            config: config(),
            policy: policy(),
            node: NodeId("here".into()),
            outbox: Arc::clone(&store) as Arc<dyn Outbox>,
            event_log: Arc::clone(&store) as Arc<dyn EventLog>,
            events_in_hand: events_in_hand.clone(),
            prefetch: 134,
            attempts: attempts.clone(),
            pace: Arc::new(Pace::new(crate::wire::pace::Config { enabled: false, scale: 1.0 })),
            condition: Condition::default(),
            tasks: tasks.clone(),
        };
        let (deliverer, handle) = Deliverer::new(deps);
        let stop = CancellationToken::new();
        let deliverer = Some(deliverer);
        Self {
            store,
            service,
            settings,
            attempts,
            handle,
            events_in_hand,
            stop,
            tasks,
            deliverer,
            _folder: folder,
        }
    }

    /// The deliverer begins to work.
    fn start(mut self) -> Self {
        let deliverer = self.deliverer.take().unwrap();
        self.tasks.spawn(deliverer.run(self.stop.clone(), self.stop.clone()));
        self
    }

    /// The deliverer stops, and everything is written.
    async fn stopped(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The deliveries in the store, oldest first.
    async fn lines(&self) -> Vec<DeliveryLine> {
        let filter = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
        let mut lines = self.store.deliveries(filter).await.unwrap();
        lines.sort_by_key(|line| line.id);
        lines
    }

    async fn states(&self) -> Vec<(String, State)> {
        self.lines().await.into_iter().map(|line| (line.target, line.state)).collect()
    }
}

fn config() -> Config {
    let seconds = Duration::from_secs;
    Config {
        concurrency: 8,
        buffer: 100,
        lease: seconds(60),
        shutdown_timeout: Duration::from_millis(200),
        unknown_integration_grace: Duration::ZERO,
        breaker_threshold: 3,
        breaker_max: seconds(900),
    }
}

fn policy() -> Policy {
    let (initial, max) = (Duration::from_secs(5), Duration::from_secs(3600));
    let retry = super::retry::Config { initial, multiplier: 3.0, max, attempts: 9 };
    let longest_pause = Duration::from_secs(600);
    Policy { retry, breaker_threshold: 3, breaker_max: Duration::from_secs(900), longest_pause }
}

/// A push to a branch, which is its subject.
fn push(id: &str, branch: &str, number: u64) -> Inbound {
    let body = format!(
        r#"{{"object_kind":"push","ref":"refs/heads/{branch}","user_name":"Ada",
            "project":{{"id":42,"path_with_namespace":"acme/rocket","default_branch":"main"}}}}"#
    );
    Inbound {
        id: EventId::new(id),
        occurred_at: now(),
        received_at: now(),
        raw: body.into(),
        refused: None,
        origin: Origin::Broker { digest: None, redelivered: false },
        receipt: Receipt { generation: 1, number },
        again: false,
    }
}

/// Waits for a state.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let looking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while !is_so().await {
            ticks.tick().await;
        }
    };
    let bound = Duration::from_secs(30);
    tokio::time::timeout(bound, looking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}
