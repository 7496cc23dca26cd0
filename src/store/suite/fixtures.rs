//! Values and helpers for the tests.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::{Backend, Former};
use crate::event::{Event, EventId};
use crate::integration::{Fingerprint, IntegrationId};
use crate::settings::{Secret, Value};
use crate::store::registry::{AuditEntry, Configuration, Put, ScopeKey, StoredIntegration};
use crate::store::seal::{Config, Keyring, SealingKey};
use crate::store::{
    AttemptRecord, Claim, Delivery, DeliveryId, Dispatched, Hold, HoldCause, HoldKey, Inbox, Lane, Lease,
    NewDelivery, NewState, NodeId, Origin, Outbox, Portion, Registry, Remembered, Settled,
};

/// A moment, in seconds after the start of the test's time.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

pub(super) fn node(name: &str) -> NodeId {
    NodeId(name.into())
}

/// A lease of a minute.
pub(super) fn lease(name: &str, now: Timestamp) -> Lease {
    Lease { node: node(name), until: now + SignedDuration::from_secs(60) }
}

/// A push. Its JSON contains its id.
pub(super) fn event(id: &str) -> Event {
    let raw = format!(
        r#"{{"object_kind":"push","ref":"refs/heads/main","after":"{id}",
            "project":{{"id":7,"path_with_namespace":"acme/web"}}}}"#
    );
    Event::decode(EventId::new(id).unwrap(), at(-5), Bytes::from(raw)).unwrap()
}

/// A delivery of the integration `slack` to the default channel of the destination `hook`, in lane 1.
pub(super) fn delivery() -> NewDelivery {
    NewDelivery {
        integration: IntegrationId::new("slack"),
        target: "".into(),
        destination: "hook".into(),
        share: "hook".into(),
        lane: Lane(1),
        replaces: false,
        lease: None,
    }
}

pub(super) trait Change: Sized {
    fn of(self, integration: &str) -> Self;
    fn to(self, target: &str) -> Self;
    fn over(self, destination: &str) -> Self;
    fn lane(self, lane: i64) -> Self;
    fn replacing(self) -> Self;
    fn leased(self, node: &str, now: Timestamp) -> Self;
}

impl Change for NewDelivery {
    fn of(self, integration: &str) -> Self {
        Self { integration: IntegrationId::new(integration), ..self }
    }

    fn to(self, target: &str) -> Self {
        Self { target: target.into(), ..self }
    }

    fn over(self, destination: &str) -> Self {
        Self { destination: destination.into(), ..self }
    }

    fn lane(self, lane: i64) -> Self {
        Self { lane: Lane(lane), ..self }
    }

    fn replacing(self) -> Self {
        Self { replaces: true, ..self }
    }

    fn leased(self, node: &str, now: Timestamp) -> Self {
        Self { lease: Some(lease(node, now)), ..self }
    }
}

pub(super) fn from_broker(event: Event, deliveries: Vec<NewDelivery>) -> Dispatched {
    Dispatched {
        event: Arc::new(event),
        origin: Origin::Broker { digest: None, redelivered: false },
        deliveries,
        remembered: Remembered::default(),
    }
}

pub(super) fn settled(delivery: DeliveryId, state: NewState, now: Timestamp) -> Settled {
    let record = AttemptRecord {
        at: now,
        latency_ms: 12,
        outcome: if state == NewState::Delivered { "delivered" } else { "unavailable" },
        status: Some(if state == NewState::Delivered { 200 } else { 503 }),
        note: format!("{state:?}"),
    };
    Settled { delivery, state, attempts: 1, record, end: Vec::new(), begin: Vec::new(), watch: None, at: now }
}

/// A hold of a destination.
pub(super) fn hold(destination: &str, until: Timestamp) -> Hold {
    hold_on(HoldKey::Destination(destination.into()), HoldCause::Unavailable, until)
}

pub(super) fn hold_on(key: HoldKey, cause: HoldCause, until: Timestamp) -> Hold {
    let reason = "it said so".to_owned();
    Hold { key, cause, reason, since: at(0), until, strikes: 1, made_under: None }
}

/// The route of the integration `slack` to a channel.
pub(super) fn route(target: &str) -> HoldKey {
    HoldKey::Route { integration: IntegrationId::new("slack"), target: target.into() }
}

/// A hold of the route of the integration `slack` to a channel.
pub(super) fn held_route(target: &str, until: Timestamp) -> Hold {
    hold_on(route(target), HoldCause::Misconfigured, until)
}

pub(super) fn made_under(hold: Hold, integration: &str, fingerprint: i64) -> Hold {
    Hold { made_under: Some((IntegrationId::new(integration), Fingerprint(fingerprint))), ..hold }
}

/// A keyring with the key of this name and older keys.
pub(super) fn keys(present: &str, old: &[&str]) -> Keyring {
    let key = |name: &str| SealingKey::read(&STANDARD.encode(Sha256::digest(name))).unwrap();
    Keyring::new(&Config { key: Some(key(present)), old_keys: old.iter().copied().map(key).collect() })
}

/// A line for the audit log.
pub(super) fn audit(action: &'static str, now: Timestamp) -> AuditEntry {
    AuditEntry {
        at: now,
        who: "token ci (3)".to_owned(),
        action,
        object: "project 42 slack".to_owned(),
        fields: vec!["webhook".to_owned(), "push_events".to_owned()],
    }
}

/// Settings of an integration, one of them secret.
pub(super) fn configuration(secret: &str) -> Configuration {
    Configuration {
        active: true,
        inherits: false,
        flags: [("push_events".to_owned(), false), ("job_events".to_owned(), true)].into(),
        properties: [
            ("channel".to_owned(), Value::Text("#ops, #dev".to_owned())),
            ("volume".to_owned(), Value::Integer(11)),
            ("notify_only_broken_pipelines".to_owned(), Value::Bool(true)),
        ]
        .into(),
        secrets: [("webhook".to_owned(), Secret::new(secret))].into(),
    }
}

/// An open store with its backend, and what tests often do with it.
pub(super) struct Case<B: Backend> {
    pub(super) store: B::Store,
    backend: B,
}

impl<B: Backend> Case<B> {
    pub(super) async fn new() -> Self {
        let backend = B::make();
        Self { store: backend.open().await, backend }
    }

    /// A store of an earlier version, opened by this one.
    pub(super) async fn restored(version: Former) -> Self {
        let backend = B::make();
        let keys = backend.restore(version).await;
        Self { store: backend.open_with(keys).await.unwrap(), backend }
    }

    /// The daemon ends and starts again.
    pub(super) async fn reopened(self) -> Self {
        drop(self.store);
        Self { store: self.backend.open().await, backend: self.backend }
    }

    /// The daemon ends and starts again with these keys.
    pub(super) async fn reopened_with(self, keys: Keyring) -> Self {
        drop(self.store);
        Self { store: self.backend.open_with(keys).await.unwrap(), backend: self.backend }
    }

    /// The daemon ends.
    pub(super) fn closed(self) -> B {
        self.backend
    }

    pub(super) fn backend(&self) -> &B {
        &self.backend
    }

    /// Sets project 42's integration, new or not, at second 0.
    pub(super) async fn set(&self, slug: &str, configuration: Configuration) -> StoredIntegration {
        let owner = ScopeKey::Project(42);
        let before = self.store.integration(owner, slug).await.unwrap().map(|found| found.revision);
        let note = audit("integration.update", at(0));
        match self.store.put_integration(owner, slug, configuration, before.into(), note).await.unwrap() {
            Put::Done(stored) => stored,
            Put::Outdated => panic!("nothing else changes it"),
        }
    }

    /// Writes one event with these deliveries.
    pub(super) async fn write_all(
        &self,
        id: &str,
        deliveries: Vec<NewDelivery>,
        now: Timestamp,
    ) -> Vec<Option<Delivery>> {
        self.store.enqueue(vec![from_broker(event(id), deliveries)], now).await.unwrap().remove(0)
    }

    /// Writes one event with this one delivery, which is new.
    pub(super) async fn write(&self, id: &str, delivery: NewDelivery, now: Timestamp) -> DeliveryId {
        self.write_all(id, vec![delivery], now).await.remove(0).unwrap().id
    }

    /// The rows that a node gets of one destination.
    pub(super) async fn claim(&self, name: &str, destination: &str, now: Timestamp) -> Vec<DeliveryId> {
        self.claim_some(name, destination, Portion::rows(100), now).await.0
    }

    /// The rows that a node gets of one destination, each with whether its attempt was started before.
    pub(super) async fn claim_started(&self, name: &str, now: Timestamp) -> Vec<(DeliveryId, bool)> {
        let (destinations, portion) = (vec!["hook".into()], Portion::rows(100));
        let claim = Claim { destinations, portion, lease: lease(name, now), now };
        let claimed = self.store.claim(claim).await.unwrap().remove(0).deliveries;
        claimed.into_iter().map(|(delivery, _)| (delivery.id, delivery.started)).collect()
    }

    /// The rows that a node gets of one destination in one portion, and whether there are more.
    pub(super) async fn claim_some(
        &self,
        name: &str,
        destination: &str,
        portion: Portion,
        now: Timestamp,
    ) -> (Vec<DeliveryId>, bool) {
        let claim = Claim { destinations: vec![destination.into()], portion, lease: lease(name, now), now };
        let mut claimed = self.store.claim(claim).await.unwrap();
        assert_eq!(claimed.len(), 1, "one answer for each destination");
        let claimed = claimed.remove(0);
        assert!(claimed.deliveries.iter().all(|(delivery, _)| delivery.leased));
        (claimed.deliveries.iter().map(|(delivery, _)| delivery.id).collect(), claimed.more)
    }

    pub(super) async fn settle(&self, name: &str, settled: Settled) {
        self.store.settle(&node(name), vec![settled]).await.unwrap();
    }

    /// Settles a delivery in this state.
    pub(super) async fn end(&self, name: &str, id: DeliveryId, state: NewState, now: Timestamp) {
        self.settle(name, settled(id, state, now)).await;
    }

    /// Begins a hold. Holds come with a settlement, here one of a row that does not exist.
    pub(super) async fn hold(&self, hold: Hold, now: Timestamp) {
        let settled = settled(DeliveryId(-1), NewState::Delivered, now);
        self.settle("any", Settled { begin: vec![hold], ..settled }).await;
    }

    /// Ends a hold. Holds end with a settlement, here one of a row that does not exist.
    pub(super) async fn end_hold(&self, key: &HoldKey, now: Timestamp) {
        let settled = settled(DeliveryId(-1), NewState::Delivered, now);
        self.settle("any", Settled { end: vec![key.clone()], ..settled }).await;
    }

    pub(super) async fn waiting(&self, now: Timestamp) -> Vec<(String, Timestamp)> {
        let waiting = self.store.waiting(now, 100).await.unwrap();
        waiting.into_iter().map(|(destination, moment)| (destination.to_string(), moment)).collect()
    }

    pub(super) async fn push(&self, id: &str, now: Timestamp) -> bool {
        self.store.push(&event(id), now).await.unwrap()
    }

    pub(super) async fn inbox(&self, after: i64) -> Vec<(i64, String)> {
        let events = self.store.peek(after, Portion::rows(100)).await.unwrap();
        events.into_iter().map(|(number, event)| (number, event.id.to_string())).collect()
    }
}
