//! Holds: shown with the delivery that waits for them, and ended by what disproves them.

use super::*;
use crate::adapters;
use crate::call::Pace;
use crate::catalog::Catalog as _;
use crate::event::EventId;
use crate::integration::{Fingerprint, IntegrationId};
use crate::store::{
    AttemptRecord, DeliveryId, Dispatched, Hold, HoldCause, HoldKey, Lane, NewDelivery, NewState, NodeId,
    Origin, Outbox, Remembered, Settled,
};

const SLACK: &str = "/projects/42/integrations/slack";
const MINUTE: i64 = 60;

fn later(seconds: i64) -> Timestamp {
    NOW + jiff::SignedDuration::from_secs(seconds)
}

fn slack(project: i64) -> IntegrationId {
    IntegrationId::new(format!("{project}:slack"))
}

fn settings() -> Value {
    json!({ "webhook": HOOK, "channel": "#ops" })
}

/// A server with one integration of project 42, and a token for it.
async fn set_up() -> (Api, String) {
    let api = Api::open().await;
    let admin = api.admin().await;
    assert_eq!(api.put(&admin, SLACK, &settings()).await.status, 200);
    (api, admin)
}

pub(super) fn route(project: i64, target: &str) -> HoldKey {
    HoldKey::Route { integration: slack(project), target: target.into() }
}

impl Api {
    fn fingerprint(&self, project: i64) -> Fingerprint {
        self.catalog.integration(&slack(project)).unwrap().fingerprint
    }

    fn pace(&self) -> Pace {
        let integration = self.catalog.integration(&slack(42)).unwrap();
        let pace = adapters::find("slack").unwrap().pace(&integration.settings, "#ops").unwrap();
        (*pace).clone()
    }

    fn destination(&self) -> Arc<str> {
        self.pace().destination.key.0.clone()
    }

    /// A hold that the current settings of a project's Slack led to.
    pub(super) fn made(&self, project: i64, key: HoldKey, cause: HoldCause, until: Timestamp) -> Hold {
        let made_under = Some((slack(project), self.fingerprint(project)));
        Hold { key, cause, reason: "answered 404".to_owned(), since: NOW, until, strikes: 3, made_under }
    }

    /// The holds of a route, an address and a destination, all of project 42's Slack, and what a success or a retry leaves
    /// as it is: another target's route and another integration's route.
    fn usual_holds(&self) -> Vec<Hold> {
        let (until, destination) = (later(10 * MINUTE), self.destination());
        let address = HoldKey::Address { integration: slack(42), destination: destination.clone() };
        vec![
            self.made(42, HoldKey::Destination(destination), HoldCause::Unavailable, until),
            self.made(42, route(42, "#ops"), HoldCause::Misconfigured, until),
            self.made(42, address, HoldCause::SwitchedOff, until),
            self.made(42, route(42, "#dev"), HoldCause::Misconfigured, until),
            self.made(43, route(43, "#ops"), HoldCause::Misconfigured, until),
        ]
    }

    /// Settles an attempt at a delivery, as a service answered it in these words, and begins holds.
    pub(super) async fn settle(&self, delivery: DeliveryId, state: NewState, answer: &str, begin: Vec<Hold>) {
        let note = answer.to_owned();
        let record = AttemptRecord { at: NOW, latency_ms: 1, outcome: "failed", status: None, note };
        let settled =
            Settled { delivery, state, attempts: 1, record, end: Vec::new(), begin, watch: None, at: NOW };
        self.store.settle(&NodeId("test".into()), vec![settled]).await.unwrap();
    }

    /// Begins holds in the store, and has the server read them as the deliverer does.
    async fn hold(&self, begin: Vec<Hold>) {
        self.settle(DeliveryId(-1), NewState::Delivered, "", begin).await;
        self.sync_holds().await;
    }

    /// Has the server read the holds in the store.
    pub(super) async fn sync_holds(&self) {
        self.holds.sync(self.store.holds(NOW).await.unwrap(), NOW);
    }

    /// The holds in the store: kind, integration and target of each.
    async fn held(&self) -> Vec<String> {
        let name = |hold: Hold| match hold.key {
            HoldKey::Route { integration, target } => format!("route {integration} {target}"),
            HoldKey::Address { integration, .. } => format!("address {integration}"),
            key => key.kind().to_owned(),
        };
        let mut names: Vec<String> = self.store.holds(NOW).await.unwrap().into_iter().map(name).collect();
        names.sort();
        names
    }

    /// A waiting delivery of project 42's Slack to `#ops`.
    async fn delivery(&self) -> DeliveryId {
        let delivery = NewDelivery {
            integration: slack(42),
            target: "#ops".into(),
            destination: self.destination(),
            share: self.destination(),
            lane: Lane(1),
            replaces: false,
            lease: None,
        };
        let id = EventId::new(&format!("event-{}", self.events.fetch_add(1, Ordering::Relaxed))).unwrap();
        let event = Arc::new(Event { id, ..sample(Trigger::Push) });
        let origin = Origin::Broker { digest: None, redelivered: false };
        let dispatched =
            Dispatched { event, origin, deliveries: vec![delivery], remembered: Remembered::default() };
        self.store.enqueue(vec![dispatched], NOW).await.unwrap()[0][0].as_ref().unwrap().id
    }
}

const KEPT: [&str; 2] = ["route 42:slack #dev", "route 43:slack #ops"];
const ALL: [&str; 5] =
    ["address 42:slack", "destination", "route 42:slack #dev", "route 42:slack #ops", "route 43:slack #ops"];

/// The usual holds, with those of project 43 too.
async fn with_holds() -> (Api, String) {
    let (api, admin) = set_up().await;
    api.put(&admin, "/projects/43/integrations/slack", &settings()).await;
    api.hold(api.usual_holds()).await;
    assert_eq!(api.held().await, ALL);
    (api, admin)
}

/// The service's own throttle of the destination, in place of the hold for its failures.
async fn with_throttle() -> (Api, String) {
    let (api, admin) = with_holds().await;
    let throttle = HoldKey::Destination(api.destination());
    api.hold(vec![api.made(42, throttle, HoldCause::Throttled, later(20 * MINUTE))]).await;
    (api, admin)
}

fn with_destination(names: [&'static str; 2]) -> Vec<&'static str> {
    std::iter::once("destination").chain(names).collect()
}

#[tokio::test]
async fn a_delivery_shows_the_hold_that_it_waits_for() {
    let (api, admin) = set_up().await;
    let path = format!("{SLACK}/deliveries/{}", api.delivery().await);
    assert_eq!(api.get(&admin, &path).await.json()["hold"], Value::Null);

    let shared = HoldKey::Bucket(api.pace().shared[0].key.0.clone());
    api.hold(vec![api.made(42, shared, HoldCause::Throttled, later(MINUTE))]).await;
    let bucket = json!({
        "kind": "bucket", "cause": "throttled", "reason": "answered 404", "strikes": 3,
        "since": "2026-01-15T09:30:00.000Z", "until": "2026-01-15T09:31:00.000Z",
    });
    assert_eq!(api.get(&admin, &path).await.json()["hold"], bucket, "a limit that it shares with others");

    // Each of these is held longer than the ones before.
    let address = HoldKey::Address { integration: slack(42), destination: api.destination() };
    let longer = [
        (HoldKey::Destination(api.destination()), HoldCause::Quota, "destination", "quota"),
        (route(42, "#ops"), HoldCause::Misconfigured, "route", "misconfigured"),
        (address, HoldCause::SwitchedOff, "address", "switched_off"),
    ];
    for (minutes, (key, cause, kind, name)) in (2..).zip(longer) {
        api.hold(vec![api.made(42, key, cause, later(minutes * MINUTE))]).await;
        let shown = api.get(&admin, &path).await.json();
        assert_eq!((&shown["hold"]["kind"], &shown["hold"]["cause"]), (&json!(kind), &json!(name)));
    }
    api.later.store(5 * MINUTE, Ordering::Relaxed);
    assert_eq!(api.get(&admin, &path).await.json()["hold"], Value::Null, "all holds are over");
}

#[tokio::test]
async fn a_save_of_the_same_settings_ends_the_holds_that_they_led_to() {
    let (api, admin) = with_holds().await;
    let before = api.fingerprint(42);
    assert_eq!(api.put(&admin, SLACK, &settings()).await.status, 200);
    assert_eq!(api.fingerprint(42), before, "the settings are the same");
    assert_eq!(api.held().await, ["route 43:slack #ops"], "another integration's hold stays");
}

#[tokio::test]
async fn a_save_does_not_end_a_throttle_of_the_service() {
    let (api, admin) = with_throttle().await;
    assert_eq!(api.put(&admin, SLACK, &settings()).await.status, 200);
    assert_eq!(api.held().await, ["destination", "route 43:slack #ops"]);
}

#[tokio::test]
async fn a_resume_ends_the_holds_that_the_settings_led_to_and_says_how_many() {
    let (api, admin) = with_throttle().await;
    let resumed = api.ask(&admin, "POST", &format!("{SLACK}/resume")).await;
    assert_eq!((resumed.status, resumed.json()), (200, json!({ "integration": "42:slack", "ended": 3 })));
    assert_eq!(api.held().await, ["destination", "route 43:slack #ops"], "a service's throttle ends by time");
    let log = api.get(&admin, "/audit_events?per_page=1").await.json();
    assert_eq!((&log[0]["action"], &log[0]["object"]), (&json!("integration.resume"), &json!("42:slack")));

    let reader = api.token(ScopeKey::Project(42), Right::Read).await;
    assert_eq!(api.ask(&reader, "POST", &format!("{SLACK}/resume")).await.status, 403);
    let other = api.token(ScopeKey::Project(43), Right::Maintain).await;
    let unseen = api.ask(&other, "POST", &format!("{SLACK}/resume")).await;
    assert_eq!(refusal(&unseen), message(404, "404 Project Not Found"));
    let never = api.ask(&admin, "POST", "/projects/42/integrations/discord/resume").await;
    assert_eq!(refusal(&never), message(404, "404 Integration Not Found"));
}

#[tokio::test]
async fn a_successful_test_ends_the_holds_that_it_disproves() {
    let (api, admin) = with_holds().await;
    api.service.status.store(404, Ordering::Relaxed);
    let failed = api.ask(&admin, "POST", &format!("{SLACK}/test")).await.json();
    assert_eq!(failed["success"], false);
    assert_eq!(api.held().await, ALL, "a failure disproves nothing");
    api.service.status.store(200, Ordering::Relaxed);
    assert_eq!(api.ask(&admin, "POST", &format!("{SLACK}/test")).await.json()["success"], true);
    assert_eq!(api.held().await, KEPT);
}

#[tokio::test]
async fn a_successful_test_does_not_end_a_throttle_of_the_service() {
    let (api, admin) = with_throttle().await;
    assert_eq!(api.ask(&admin, "POST", &format!("{SLACK}/test")).await.json()["success"], true);
    assert_eq!(api.held().await, with_destination(KEPT));
}

#[tokio::test]
async fn a_retry_ends_the_holds_that_keep_its_delivery() {
    let (api, admin) = with_holds().await;
    let delivery = api.delivery().await;
    api.settle(delivery, NewState::Failed, "", Vec::new()).await;
    let path = format!("{SLACK}/deliveries/{delivery}");
    assert_eq!(api.ask(&admin, "POST", &format!("{path}/retry")).await.status, 201);
    assert_eq!(api.held().await, KEPT);
    assert_eq!(api.get(&admin, &path).await.json()["hold"], Value::Null, "this server knows it at once");
}

#[tokio::test]
async fn a_retry_does_not_end_a_throttle_of_the_service() {
    let (api, admin) = with_throttle().await;
    let delivery = api.delivery().await;
    api.settle(delivery, NewState::Failed, "", Vec::new()).await;
    let path = format!("{SLACK}/deliveries/{delivery}");
    assert_eq!(api.ask(&admin, "POST", &format!("{path}/retry")).await.status, 201);
    assert_eq!(api.held().await, with_destination(KEPT));
    assert_eq!(api.get(&admin, &path).await.json()["hold"]["cause"], "throttled");
}

#[tokio::test]
async fn a_delivery_that_waits_is_cancelled_and_one_that_has_ended_is_not() {
    let (api, admin) = set_up().await;
    let path = format!("{SLACK}/deliveries/{}", api.delivery().await);
    let reader = api.token(ScopeKey::Project(42), Right::Read).await;
    assert_eq!(api.ask(&reader, "POST", &format!("{path}/cancel")).await.status, 403);
    let cancelled = api.ask(&admin, "POST", &format!("{path}/cancel")).await;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (201, &json!("cancelled")));
    let shown = api.get(&admin, &path).await.json();
    assert_eq!(shown["attempt_records"][0]["note"], "cancelled by token ci (1)", "{shown}");
    let again = api.ask(&admin, "POST", &format!("{path}/cancel")).await;
    assert_eq!(refusal(&again), message(422, "it has ended already"));
    let missing = api.ask(&admin, "POST", &format!("{SLACK}/deliveries/4711/cancel")).await;
    assert_eq!(refusal(&missing), message(404, "404 Delivery Not Found"));
}

#[tokio::test]
async fn what_failed_in_a_time_is_sent_again_and_what_waits_is_cancelled_page_by_page() {
    let (api, admin) = set_up().await;
    let mut failed = Vec::new();
    for _ in 0..3 {
        let delivery = api.delivery().await;
        api.settle(delivery, NewState::Failed, "", Vec::new()).await;
        failed.push(delivery.0);
    }
    let delivered = api.delivery().await;
    api.settle(delivered, NewState::Delivered, "", Vec::new()).await;
    let ask = async |query: &str| api.ask(&admin, "POST", &format!("{SLACK}/deliveries/{query}")).await;
    let steps = |answer: &Answer| -> Vec<(i64, bool, String)> {
        let list = answer.json();
        let step = |step: &Value| {
            let (id, done) = (step["id"].as_i64().unwrap(), step["done"].as_bool().unwrap());
            (id, done, step["result"].as_str().unwrap().to_owned())
        };
        list.as_array().unwrap_or_else(|| panic!("{list}")).iter().map(step).collect()
    };
    assert_eq!(steps(&ask("retry?until=2026-01-15T09:30:00Z").await), [], "all ended at that moment");
    let first = ask("retry?since=2026-01-15T09:30:00Z&per_page=2").await;
    let again = |id: i64| (id, true, "due again".to_owned());
    assert_eq!(steps(&first), [again(failed[2]), again(failed[1])]);
    let next = first.headers["link"].to_str().unwrap().split(['<', '>']).nth(1).unwrap().to_owned();
    let next = next.split("/deliveries/").nth(1).unwrap().to_owned();
    assert_eq!(steps(&ask(&next).await), [again(failed[0])]);
    assert_eq!(steps(&ask("retry").await), [], "none is left that failed");
    assert_eq!(steps(&ask("cancel").await).len(), 3);
    assert_eq!(steps(&ask("retry?state=delivered").await), [again(delivered.0)]);
    let dead = api.delivery().await;
    api.settle(dead, NewState::Failed, "", Vec::new()).await;
    let cancelled = steps(&ask("cancel?state=failed").await);
    assert_eq!(cancelled.iter().map(|(id, done, _)| (*id, *done)).collect::<Vec<_>>(), [(dead.0, true)]);
    assert_eq!(steps(&ask("cancel?state=failed").await), [], "it is not counted as failed any more");
    for wrong in ["retry?state=waiting", "retry?state=lost", "cancel?state=delivered"] {
        assert_eq!(refusal(&ask(wrong).await), error(400, "state does not have a valid value"), "{wrong}");
    }
    let reader = api.token(ScopeKey::Project(42), Right::Read).await;
    for change in ["retry", "cancel"] {
        let refused = api.ask(&reader, "POST", &format!("{SLACK}/deliveries/{change}")).await;
        assert_eq!(refused.status, 403, "{change}");
    }
}

/// The integration as the API shows it alone, and in the list.
async fn shown(api: &Api, admin: &str) -> [Value; 2] {
    let alone = api.get(admin, SLACK).await.json();
    let list = api.get(admin, "/projects/42/integrations").await.json();
    let [listed] = list.as_array().unwrap().as_slice() else { panic!("{list}") };
    [alone, listed.clone()]
}

#[tokio::test]
async fn a_switched_off_integration_is_shown_as_not_active_with_the_reason() {
    let (api, admin) = set_up().await;
    for integration in shown(&api, &admin).await {
        assert_eq!((&integration["active"], &integration["switched_off"]), (&json!(true), &json!([])));
    }
    let (api, admin) = with_holds().await;
    let dead = json!([{
        "targets": ["#ops"], "reason": "answered 404", "since": "2026-01-15T09:30:00.000Z",
    }]);
    for integration in shown(&api, &admin).await {
        assert_eq!((&integration["active"], &integration["switched_off"]), (&json!(false), &dead));
    }
    let saved = api.put(&admin, SLACK, &settings()).await.json();
    assert_eq!((&saved["active"], &saved["switched_off"]), (&json!(true), &json!([])), "in its own answer");
    for integration in shown(&api, &admin).await {
        assert_eq!((&integration["active"], &integration["switched_off"]), (&json!(true), &json!([])));
    }
}

#[tokio::test]
async fn a_successful_test_and_a_retry_make_it_active_again() {
    for way in ["test", "retry"] {
        let (api, admin) = with_holds().await;
        let delivery = api.delivery().await;
        api.settle(delivery, NewState::Failed, "", Vec::new()).await;
        assert_eq!(shown(&api, &admin).await[0]["active"], false);
        let path = match way {
            "test" => format!("{SLACK}/test"),
            _ => format!("{SLACK}/deliveries/{delivery}/retry"),
        };
        let done = api.ask(&admin, "POST", &path).await;
        assert!(done.status < 300, "{way}: {done:?}");
        for integration in shown(&api, &admin).await {
            assert_eq!(
                (&integration["active"], &integration["switched_off"]),
                (&json!(true), &json!([])),
                "{way}"
            );
        }
    }
}

/// Discord has an address for each kind of event.
#[tokio::test]
async fn one_dead_address_of_several_leaves_the_integration_active() {
    const DISCORD: &str = "/projects/42/integrations/discord";
    let api = Api::open().await;
    let admin = api.admin().await;
    let hook = |name: &str| format!("https://discord.com/api/webhooks/1/{name}");
    let settings = json!({ "webhook": hook("all"), "push_channel": hook("pushes") });
    assert_eq!(api.put(&admin, DISCORD, &settings).await.status, 200);
    let integration = api.catalog.integration(&IntegrationId::new("42:discord")).unwrap();
    let address = |target: &str| HoldKey::Address {
        integration: integration.id.clone(),
        destination: adapters::find("discord").unwrap().destination(&integration.settings, target),
    };
    let made_under = Some((integration.id.clone(), integration.fingerprint));
    let off = |key| Hold {
        made_under: made_under.clone(),
        ..api.made(42, key, HoldCause::SwitchedOff, later(MINUTE))
    };
    let put = api.put(&admin, SLACK, &json!({ "webhook": HOOK })).await;
    assert_eq!(put.status, 200, "`made` asks for its fingerprint");
    api.hold(vec![off(address("push"))]).await;
    let shown = api.get(&admin, DISCORD).await.json();
    assert_eq!((&shown["active"], &shown["switched_off"][0]["targets"]), (&json!(true), &json!(["push"])));
    api.hold(vec![off(address(""))]).await;
    let shown = api.get(&admin, DISCORD).await.json();
    assert_eq!(shown["active"], false);
    assert_eq!(shown["switched_off"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_save_of_a_default_ends_the_holds_of_those_that_follow_it() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let everyone = "/integrations/slack";
    // Where a default applies already, a project follows it whatever it sends.
    api.put(&admin, "/projects/43/integrations/slack", &settings()).await;
    let default = api.put(&admin, everyone, &settings()).await;
    assert_eq!(default.status, 200, "{default:?}");
    assert_eq!(api.put(&admin, "/projects/42", &json!({})).await.status, 200);
    let address =
        |project: i64| HoldKey::Address { integration: slack(project), destination: api.destination() };
    let off = |project: i64| api.made(project, address(project), HoldCause::SwitchedOff, later(MINUTE));
    api.hold(vec![off(42), off(43)]).await;
    assert_eq!(api.get(&admin, SLACK).await.json()["active"], false);
    assert_eq!(api.put(&admin, everyone, &settings()).await.status, 200);
    assert_eq!(api.held().await, ["address 43:slack"], "project 43 has settings of its own");
    assert_eq!(api.get(&admin, SLACK).await.json()["active"], true);
}

#[tokio::test]
async fn the_status_names_what_is_held_why_and_what_helps() {
    let (api, admin) = set_up().await;
    api.put(&admin, "/projects/43/integrations/slack", &settings()).await;
    let well = api.ask(&admin, "GET", "/status").await.json();
    assert_eq!((&well["state"], &well["problems"]), (&json!("ok"), &json!(0)), "{well}");
    api.delivery().await;
    api.hold(api.usual_holds()).await;
    let status = api.ask(&admin, "GET", "/status").await.json();
    assert_eq!((&status["state"], &status["waiting"]), (&json!("problems"), &json!(1)), "{status}");
    assert_eq!(status["parts"][0], json!({ "part": "store", "state": "ok", "found": "ok" }));
    let held = status["held"].as_array().unwrap();
    let off = held.iter().find(|held| held["cause"] == "switched_off").unwrap();
    assert_eq!(off["integration"], "42:slack");
    assert_eq!((&off["targets"], &off["until"]), (&json!(["#ops"]), &Value::Null));
    assert_eq!((&off["reason"], &off["waiting"]), (&json!("answered 404"), &json!(1)));
    assert_eq!(off["command"], "forgebell integrations test 42:slack");
    assert!(held.iter().any(|held| held["integration"] == "43:slack" && held["kind"] == "route"), "{status}");
    assert_eq!(status["problems"], held.len());
}

#[tokio::test]
async fn a_token_of_a_project_sees_the_status_of_that_project_and_no_parts() {
    let (api, admin) = set_up().await;
    api.put(&admin, "/projects/43/integrations/slack", &settings()).await;
    api.delivery().await;
    api.hold(api.usual_holds()).await;
    let token = api.token(ScopeKey::Project(42), Right::Read).await;
    let status = api.ask(&token, "GET", "/status").await.json();
    let held = status["held"].as_array().unwrap();
    assert!(!held.is_empty() && held.iter().all(|held| held["integration"] == "42:slack"), "{status}");
    assert_eq!((&status["parts"], &status["waiting"]), (&json!([]), &json!(1)));
    let other = api.token(ScopeKey::Project(44), Right::Read).await;
    let none = api.ask(&other, "GET", "/status").await.json();
    assert_eq!((&none["state"], &none["waiting"], &none["held"]), (&json!("ok"), &json!(0), &json!([])));
}
