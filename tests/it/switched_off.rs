//! An address that the service calls dead is switched off and shown as such, and whatever disproves that ends it: a
//! successful test, a retry of a delivery, a save of the same settings. What waited is delivered then.

use std::time::Duration;

use forgebell::store::State;
use serde_json::{Value, json};

use crate::harness::api::{Caller, administered};
use crate::harness::daemon::{Daemon, Home};
use crate::harness::forge::Forge;
use crate::harness::payloads::{payload, with};
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::wait::eventually;

/// The key of the secrets, which a database server has no file for.
const KEY: &str = "secrets.key=ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8=";
const SLACK: &str = "/projects/42/integrations/slack";
const LIST: &str = "/projects/42/integrations";

fn merge_request(iid: i64) -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| {
        json["project"]["id"] = json!(42);
        json["object_attributes"]["iid"] = json!(iid);
    })
}

/// A project whose Slack webhook was removed after its first messages, and is there again since.
struct Case {
    forge: Forge,
    home: Home,
    daemon: Daemon,
    admin: Caller,
    service: Receiver,
    settings: Value,
}

impl Case {
    async fn new(forge: Forge) -> Self {
        let service = Receiver::start().await;
        let hook = service.slack_like("/services/T0/B0/hook");
        let home = forge.home("").with(&["rate_limits.enabled=false", KEY]);
        let (daemon, admin) = administered(&home).await;
        let settings =
            json!({ "webhook": hook.url(), "channel": "#one, #two", "branches_to_be_notified": "all" });
        let case = Self { forge, home, daemon, admin, service, settings };
        let set = case.admin.put(SLACK, case.settings.clone()).await;
        assert_eq!((&set["active"], &set["switched_off"]), (&json!(true), &json!([])));
        case.forge.send(&case.daemon, "before", merge_request(1)).await;
        case.home.until(State::Delivered, 2).await;
        let hook = hook.answer(Answer::status(404).body("no_service"));
        case.forge.send(&case.daemon, "after", merge_request(2)).await;
        case.shown("the address is switched off", |integration| integration["active"] == false).await;
        let off = case.listed().await;
        let dead = &off["switched_off"][0];
        assert_eq!(dead["targets"], json!(["#one", "#two"]), "{off}");
        assert!(dead["reason"].as_str().is_some_and(|why| why.contains("no_service")), "{off}");
        assert_eq!(case.home.deliveries(Some(State::Waiting)).await.len(), 2);
        hook.answer(Answer::ok());
        case
    }

    /// The integration alone, once it is as it should be.
    async fn shown(&self, what: &str, is_right: impl Fn(&Value) -> bool) -> Value {
        eventually(what, Duration::from_secs(60), async || {
            let (status, integration) = self.admin.ask("GET", SLACK, None).await;
            (status == 200 && is_right(&integration)).then_some(integration)
        })
        .await
    }

    /// The integration as the list of active ones shows it.
    async fn listed(&self) -> Value {
        let (_, list) = self.admin.ask("GET", LIST, None).await;
        let [integration] = list.as_array().map(Vec::as_slice).unwrap_or_default() else { panic!("{list}") };
        integration.clone()
    }

    /// Everything that waited is delivered, and the API says that the integration sends.
    async fn until_well(self) {
        let expected = 4;
        self.home.until(State::Delivered, expected).await;
        let integration = self.shown("it is on again", |integration| integration["active"] == true).await;
        assert_eq!(integration["switched_off"], json!([]));
        assert_eq!(self.listed().await["active"], true);
        let told = |channel: &str| {
            let all = self.service.received();
            all.iter()
                .filter(|received| received.answered == Some(200) && received.json()["channel"] == channel)
                .count()
        };
        assert!(told("#one") >= 2 && told("#two") >= 2, "both channels were told of both events");
        self.daemon.stop().await;
    }
}

async fn a_successful_test_ends_a_switch_off(forge: Forge) {
    let case = Case::new(forge).await;
    let (status, test) = case.admin.ask("POST", &format!("{SLACK}/test"), None).await;
    assert_eq!((status, &test["success"]), (200, &json!(true)), "{test}");
    case.until_well().await;
}

async fn a_retry_of_a_delivery_ends_a_switch_off(forge: Forge) {
    let case = Case::new(forge).await;
    let told = case.home.deliveries(Some(State::Delivered)).await;
    let path = format!("{SLACK}/deliveries/{}/retry", told[0].id);
    let (status, retried) = case.admin.ask("POST", &path, None).await;
    assert_eq!(status, 201, "{retried}");
    case.until_well().await;
}

async fn a_save_of_the_same_settings_ends_a_switch_off(forge: Forge) {
    let case = Case::new(forge).await;
    let saved = case.admin.put(SLACK, case.settings.clone()).await;
    assert_eq!(
        (&saved["active"], &saved["switched_off"]),
        (&json!(true), &json!([])),
        "in the answer itself"
    );
    case.until_well().await;
}

macro_rules! on_both_stores {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() { super::$name(super::Forge::http()).await; })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::Forge::http_on_postgres()).await; })*
        }
    };
}

on_both_stores! {
    a_successful_test_ends_a_switch_off
    a_retry_of_a_delivery_ends_a_switch_off
    a_save_of_the_same_settings_ends_a_switch_off
}
