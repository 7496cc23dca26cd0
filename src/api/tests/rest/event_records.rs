//! The event log: what came, what became of it then, and what would become of it now.

use super::*;
use crate::event::EventId;
use crate::integration::IntegrationId;
use crate::store::{
    Dispatched, EventLog as _, Lane, LogLine, LoggedEvent, NewDelivery, Origin, Outbox as _, Remembered,
};

const SLACK: &str = "/projects/42/integrations/slack";

fn named(id: &str) -> Arc<Event> {
    Arc::new(Event { id: EventId::new(id).unwrap(), ..sample(Trigger::Push) })
}

/// A server whose log has a push to project 42 that its Slack was told of, and one that it was not told of.
pub(super) async fn logged() -> (Api, String) {
    let api = Api::open().await;
    let admin = api.admin().await;
    for id in [42, 43] {
        let path = format!("/projects/{id}/integrations/slack");
        assert_eq!(api.put(&admin, &path, &json!({ "webhook": HOOK, "channel": "#ops" })).await.status, 200);
    }
    let delivery = NewDelivery {
        integration: IntegrationId::new("42:slack"),
        target: "#ops".into(),
        destination: "slack:1".into(),
        share: "slack:1".into(),
        lane: Lane(1),
        replaces: false,
        lease: None,
    };
    let told = Dispatched {
        event: named("told"),
        origin: Origin::Broker { digest: None, redelivered: false },
        deliveries: vec![delivery],
        remembered: Remembered {
            log: Some(LogLine { source: "amqp", verdicts: None }),
            ..Remembered::default()
        },
    };
    api.store.enqueue(vec![told], NOW).await.unwrap();
    let verdicts = Some(json!([["42:slack", "push events were off"]]).to_string());
    let line = LogLine { source: "http", verdicts };
    let untold = LoggedEvent { event: named("not/told"), received_at: NOW, line, keeps_json: true };
    api.store.log_events(vec![untold]).await.unwrap();
    (api, admin)
}

fn ids(answer: &Answer) -> Vec<String> {
    let list = answer.json();
    let all = list.as_array().unwrap_or_else(|| panic!("{list}"));
    all.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn events_are_listed_with_what_became_of_them() {
    let (api, admin) = logged().await;
    api.put(&admin, "/projects/42", &json!({ "path_with_namespace": "acme/rocket" })).await;
    let list = api.get(&admin, "/events").await;
    assert_eq!(ids(&list), ["not/told", "told"]);
    let [untold, told] = [&list.json()[0], &list.json()[1]].map(Clone::clone);
    assert_eq!((&told["source"], &told["result"]), (&json!("amqp"), &json!("1 waiting")));
    assert_eq!(told["verdicts"][0]["integration"], "42:slack");
    assert_eq!(told["verdicts"][0]["deliveries"][0]["target"], "#ops");
    assert_eq!(untold["result"], "told to none of 1 integration");
    let verdict = json!([{ "integration": "42:slack", "deliveries": [], "why": "push events were off" }]);
    assert_eq!(untold["verdicts"], verdict);

    for (query, expected) in [
        ("?told=true", vec!["told"]),
        ("?told=false", vec!["not/told"]),
        ("?kind=push&integration=42:slack", vec!["not/told", "told"]),
        ("?integration=acme/rocket:slack", vec!["not/told", "told"]),
        ("?integration=43:slack", vec![]),
        ("?until=2026-01-15T09:30:00Z", vec![]),
        ("?since=2026-01-15T09:30:00Z", vec!["not/told", "told"]),
    ] {
        assert_eq!(ids(&api.get(&admin, &format!("/events{query}")).await), expected, "{query}");
    }
    for (query, wrong) in [
        ("?kind=pull", "kind"),
        ("?integration=42:slcak", "integration"),
        ("?told=perhaps", "told"),
        ("?since=noon", "since"),
        ("?before=%01", "before"),
    ] {
        let refused = api.get(&admin, &format!("/events{query}")).await;
        assert_eq!(refusal(&refused), error(400, &format!("{wrong} does not have a valid value")), "{query}");
    }
    let first = api.get(&admin, "/events?per_page=1").await;
    let next = first.headers["link"].to_str().unwrap().split(['<', '>']).nth(1).unwrap().to_owned();
    assert_eq!(ids(&api.get(&admin, next.strip_prefix("/api/v4").unwrap()).await), ["told"]);
}

#[tokio::test]
async fn a_token_sees_the_events_of_what_it_reaches() {
    let (api, admin) = logged().await;
    api.put(&admin, "/projects/42", &json!({ "path_with_namespace": "acme/rocket" })).await;
    let of_project = api.token(ScopeKey::Project(42), Right::Read).await;
    let of_other = api.token(ScopeKey::Project(43), Right::Read).await;
    assert_eq!(refusal(&api.get(&of_project, "/events").await), message(403, "403 Forbidden"));
    assert_eq!(refusal(&api.get(&of_project, "/events/told").await), message(403, "403 Forbidden"));
    assert_eq!(ids(&api.get(&of_project, "/projects/42/events").await), ["not/told", "told"]);
    assert_eq!(api.get(&of_project, "/projects/42/events/told").await.status, 200);
    let unseen = message(404, "404 Project Not Found");
    assert_eq!(refusal(&api.get(&of_other, "/projects/42/events").await), unseen);
    assert_eq!(refusal(&api.get(&of_other, "/projects/42/events/told").await), unseen);
    assert!(ids(&api.get(&of_other, "/projects/43/events").await).is_empty());
    let missing = message(404, "404 Event Not Found");
    assert_eq!(refusal(&api.get(&of_other, "/projects/43/events/told").await), missing);
    assert_eq!(refusal(&api.get(&admin, "/events/never").await), missing);
    let acme = api.group("acme").await;
    let of_group = api.token(ScopeKey::Group(acme), Right::Read).await;
    assert_eq!(ids(&api.get(&of_group, "/groups/acme/events").await), ["not/told", "told"]);
    assert_eq!(api.get(&of_group, "/groups/acme/events/not%2Ftold").await.status, 200);
    let ingest = api.token(ScopeKey::Instance, Right::Ingest).await;
    assert_eq!(api.get(&ingest, "/events").await.status, 403);
}

#[tokio::test]
async fn an_event_shows_what_would_become_of_it_now() {
    let (api, admin) = logged().await;
    let shown = api.get(&admin, "/events/not%2Ftold").await.json();
    assert_eq!(shown["payload"]["object_kind"], "push");
    let expected = json!([{
        "integration": "42:slack", "is_different": true,
        "then": { "targets": [], "why": "push events were off" },
        "now": { "targets": ["#ops"], "why": null },
    }]);
    assert_eq!(shown["comparison"], expected);
    let same = api.get(&admin, "/events/told").await.json();
    assert_eq!(same["comparison"][0]["is_different"], false, "{same}");
    assert_eq!(api.ask(&admin, "DELETE", SLACK).await.status, 204);
    let off = api.get(&admin, "/events/told").await.json();
    let comparison = &off["comparison"][0];
    assert_eq!((&comparison["is_different"], &comparison["now"]["targets"]), (&json!(true), &json!([])));
}
