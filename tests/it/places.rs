//! A refusal of the place (channel, thread, workflow) holds the place: messages wait there, one after the other, and are
//! delivered when it takes them again. None becomes a dead letter.

use std::time::Duration;

use forgebell::store::State;
use serde_json::json;

use crate::harness::api::administered;
use crate::harness::forge::Forge;
use crate::harness::payloads::{payload, with};
use crate::harness::receiver::{Answer, Receiver};
use crate::harness::wait::eventually;

/// A service's refusal of a place, as the service writes it.
struct Place {
    slug: &'static str,
    path: &'static str,
    refusal: Answer,
    taken: Answer,
}

fn places() -> Vec<Place> {
    let discord = |status, code: u32, message: &str| Place {
        slug: "discord",
        path: "/api/webhooks/1/t0ken",
        refusal: Answer::json(status, &json!({ "message": message, "code": code })),
        taken: Answer::json(200, &json!({ "id": "1" })),
    };
    let slack = |status, body: &'static str| Place {
        slug: "slack",
        path: "/services/T0/B0/t0ken",
        refusal: Answer::status(status).body(body),
        taken: Answer::ok(),
    };
    let mattermost = |status: u16, id: &str| Place {
        slug: "mattermost",
        path: "/hooks/t0ken",
        refusal: Answer::json(status, &json!({ "id": id, "message": "…", "status_code": status })),
        taken: Answer::ok(),
    };
    let teams = |status, code: &str| Place {
        slug: "microsoft-teams",
        path: "/workflows/1/triggers/manual/paths/invoke",
        refusal: Answer::json(status, &json!({ "error": { "code": code, "message": "…" } })),
        taken: Answer::status(202),
    };
    vec![
        discord(400, 50_083, "Thread is archived"),
        discord(403, 50_013, "Missing Permissions"),
        slack(404, "channel_not_found"),
        slack(410, "channel_is_archived"),
        slack(403, "is_archived"),
        mattermost(404, "web.incoming_webhook.channel.app_error"),
        mattermost(403, "web.incoming_webhook.channel_locked.app_error"),
        teams(400, "TriggerInputSchemaMismatch"),
        teams(409, "WorkflowTriggerIsNotEnabled"),
    ]
}

fn merge_request(iid: i64) -> Vec<u8> {
    with(&payload("merge_request_open.json"), |json| {
        json["project"]["id"] = json!(42);
        json["object_attributes"]["iid"] = json!(iid);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_place_refuses_waits_and_is_delivered_when_the_place_works_again() {
    for Place { slug, path, refusal, taken } in places() {
        let service = Receiver::start().await;
        let hook = service.at(path).answer(refusal);
        let home =
            Forge::http().home("").with(&["rate_limits.enabled=false", "service_hosts.discord=127.0.0.1"]);
        let (daemon, admin) = administered(&home).await;
        let integration = format!("/projects/42/integrations/{slug}");
        let settings = json!({ "webhook": hook.url(), "branches_to_be_notified": "all" });
        admin.put(&integration, settings).await;
        for iid in 1..=3 {
            assert_eq!(daemon.send(&format!("mr-{iid}"), merge_request(iid)).await.0, 202);
        }
        let held = eventually("the route is held", Duration::from_secs(30), async || {
            let (_, lines) = admin.ask("GET", &format!("{integration}/deliveries"), None).await;
            let id = lines[0]["id"].as_i64()?;
            let (_, detail) = admin.ask("GET", &format!("{integration}/deliveries/{id}"), None).await;
            Some(detail["hold"].clone()).filter(|hold| hold["cause"] == "misconfigured")
        })
        .await;
        assert_eq!(held["kind"], "route", "{slug}: {held}");
        home.until(State::Waiting, 3).await;
        assert_eq!(hook.received().len(), 1, "{slug}: one message was refused, and the others waited");

        hook.answer(taken);
        let (status, test) = admin.ask("POST", &format!("{integration}/test"), None).await;
        assert_eq!((status, &test["success"]), (200, &json!(true)), "{slug}: {test}");
        home.until(State::Delivered, 3).await;
        daemon.stop().await;
    }
}
