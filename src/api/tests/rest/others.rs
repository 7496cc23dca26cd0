//! Projects, groups, explanations, quarantine, deliveries.

use super::*;
use crate::event::EventId;
use crate::integration::IntegrationId;
use crate::store::registry::StoredToken;
use crate::store::{Dispatched, Lane, NewDelivery, Origin, Outbox, Portion, Remembered};

#[tokio::test]
async fn what_is_known_of_a_project_can_be_corrected_and_the_correction_removed() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.project(42, "acme/rocket").await;
    let shown = api.get(&admin, "/projects/acme%2Frocket").await.json();
    assert_eq!((&shown["id"], &shown["path_with_namespace"]), (&json!(42), &json!("acme/rocket")));
    assert_eq!((&shown["default_branch"], &shown["protected_branches"]), (&json!(null), &json!(null)));
    let response = json!({ "default_branch": "trunk", "protected_branches": ["main", "*-stable"], "visibility": "public" });
    let put = api.put(&admin, "/projects/42", &response).await.json();
    for name in ["default_branch", "protected_branches", "visibility"] {
        assert_eq!(put[name], response[name]);
    }
    let put = api.put(&admin, "/projects/42", &json!({ "default_branch": null })).await.json();
    assert_eq!((&put["default_branch"], &put["visibility"]), (&json!(null), &json!("public")));
    let wrong = api.put(&admin, "/projects/42", &json!({ "visibility": "secret" })).await;
    assert_eq!(refusal(&wrong), error(400, "visibility does not have a valid value"));
}

#[tokio::test]
async fn a_project_may_be_set_before_its_first_event() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let missing = api.get(&admin, "/projects/99").await;
    assert_eq!(refusal(&missing), message(404, "404 Project Not Found"));
    let put = api.put(&admin, "/projects/99", &json!({ "path_with_namespace": "acme/new" })).await;
    assert_eq!((put.status, &put.json()["path_with_namespace"]), (200, &json!("acme/new")));
    assert_eq!(api.get(&admin, "/projects/acme%2Fnew/integrations").await.json(), json!([]));
}

#[tokio::test]
async fn a_project_may_be_named_by_its_path_before_its_number_is_known() {
    const SLACK: &str = "/projects/acme%2Frocket/integrations/slack";
    let api = Api::open().await;
    let admin = api.admin().await;
    let acme = api.group("acme").await;
    let of_group = api.token(ScopeKey::Group(acme), Right::Maintain).await;
    for method in ["GET", "DELETE"] {
        let missing = api.ask(&admin, method, SLACK).await;
        assert_eq!(refusal(&missing), message(404, "404 Project Not Found"), "{method}");
    }
    let refused = api.put(&of_group, SLACK, &json!({ "webhook": " " })).await;
    assert_eq!(refused.status, 400);
    assert_eq!(api.get(&admin, "/projects/acme%2Frocket").await.status, 404, "nothing was kept");

    let put = api.put(&of_group, SLACK, &json!({ "webhook": HOOK, "channel": "#ops" })).await;
    assert_eq!((put.status, &put.json()["properties"]["channel"]), (200, &json!("#ops")), "{put:?}");
    assert_eq!(api.get(&of_group, SLACK).await.text, put.text);
    let project = api.get(&of_group, "/projects/Acme%2FRocket").await.json();
    assert_eq!((&project["id"], &project["path_with_namespace"]), (&json!(null), &json!("acme/rocket")));
    let branch = json!({ "default_branch": "trunk" });
    assert_eq!(
        api.put(&of_group, "/projects/acme%2Frocket", &branch).await.json()["default_branch"],
        "trunk"
    );
    assert_eq!(api.get(&admin, "/projects").await.json(), json!([]));
    let deliveries = api.get(&admin, "/projects/acme%2Frocket/integrations/slack/deliveries").await;
    assert_eq!((deliveries.status, deliveries.json()), (200, json!([])));

    // An event of the group's token, whose number is not trusted, is told to it as well.
    let mut event: Value = serde_json::from_slice(&push()).unwrap();
    event["project"]["path_with_namespace"] = "acme/rocket".into();
    let explained = api.send(&of_group, "POST", "/events/explain", &event).await.json();
    assert_eq!(
        (&explained["verdicts"][0]["verdict"], &explained["verdicts"][0]["integration"]),
        (&json!("deliver"), &json!("acme/rocket:slack"))
    );

    api.put(&admin, "/projects/42", &json!({ "path_with_namespace": "acme/rocket" })).await;
    let by_number = api.get(&of_group, "/projects/42/integrations/slack").await.json();
    assert_eq!(by_number["properties"]["channel"], "#ops");
    assert_eq!(api.get(&of_group, SLACK).await.json(), by_number);
    let project = api.get(&admin, "/projects/acme%2Frocket").await.json();
    assert_eq!((&project["id"], &project["default_branch"]), (&json!(42), &json!("trunk")));
    let moved = api.get(&admin, "/audit_events").await.text;
    assert!(moved.contains("integration.move") && !moved.contains("s3cret"), "{moved}");
}

#[tokio::test]
async fn a_group_keeps_its_integrations_when_it_is_renamed_by_its_number() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let response = api.put(&admin, "/groups/acme", &json!({ "number": 7 })).await;
    assert_eq!((response.status, response.json()["id"].as_i64()), (200, Some(7)), "{response:?}");
    api.put(&admin, "/groups/acme/integrations/slack", &json!({ "webhook": HOOK, "channel": "#acme" })).await;
    let renamed = api.put(&admin, "/groups/7", &json!({ "full_path": "apex" })).await;
    assert_eq!(renamed.json()["full_path"], "apex", "{renamed:?}");
    let shown = api.get(&admin, "/groups/apex/integrations/slack").await;
    assert_eq!(shown.json()["properties"]["channel"], "#acme", "{shown:?}");
    assert_eq!(api.get(&admin, "/groups/acme").await.status, 404);
    let unnumbered = api.put(&admin, "/groups/fresh", &json!({ "full_path": "other" })).await;
    assert_eq!(unnumbered.status, 422);
    assert_eq!(api.put(&admin, "/groups/8", &json!({})).await.status, 404);
}

#[tokio::test]
async fn an_event_is_explained_to_tokens_that_reach_it() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.project(42, "acme/rocket").await;
    api.put(&admin, "/projects/42/integrations/slack", &json!({ "webhook": HOOK, "channel": "#ops" })).await;
    let muted = json!({ "webhook": HOOK, "push_events": false });
    api.put(&admin, "/projects/42/integrations/mattermost", &muted).await;
    let explain = async |token: &str, body: Bytes| {
        let request = api.request("POST", "/events/explain").header("private-token", token);
        answer(request.header("content-type", "application/json").body(body)).await
    };
    let response = explain(&admin, push()).await.json();
    let verdict = |slug: &str| {
        let verdicts = response["verdicts"].as_array().unwrap();
        verdicts.iter().find(|verdict| verdict["adapter"] == slug).unwrap().clone()
    };
    assert_eq!(verdict("slack")["verdict"], "deliver");
    assert_eq!(verdict("slack")["targets"][0]["target"], "#ops");
    assert_eq!(verdict("mattermost")["verdict"], "skip");
    assert!(verdict("mattermost")["why"].as_str().unwrap().contains("push"), "{response}");
    let own = api.token(ScopeKey::Project(42), Right::Read).await;
    assert_eq!(explain(&own, push()).await.status, 200);
    let other = api.token(ScopeKey::Project(43), Right::Read).await;
    assert_eq!(refusal(&explain(&other, push()).await), message(404, "404 Project Not Found"));
    assert_eq!(explain(&admin, Bytes::from_static(b"{}")).await.status, 422);
    assert_eq!(explain(&admin, Bytes::new()).await.status, 400);
    assert!(api.service.heard.lock().unwrap().is_empty(), "nothing is sent");
}

#[tokio::test]
async fn what_is_in_quarantine_can_be_seen_tried_again_and_thrown_away() {
    let api = Api::open().await;
    let admin = api.admin().await;
    for raw in [Bytes::from_static(b"{nonsense"), push()] {
        let reason = "no JSON".to_owned();
        let item = NewQuarantined { source: "http", sender: None, id: None, reason, received_at: NOW, raw };
        api.store.quarantine(vec![item]).await.unwrap();
    }
    let list = api.get(&admin, "/quarantine").await.json();
    let numbers: Vec<i64> = list.as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect();
    let [good, bad] = numbers[..] else { panic!("{list}") };
    let shown = api.get(&admin, &format!("/quarantine/{bad}")).await.json();
    assert_eq!(
        (&shown["body"], &shown["reason"], &shown["size"]),
        (&json!("{nonsense"), &json!("no JSON"), &json!(9))
    );
    let still = api.ask(&admin, "POST", &format!("/quarantine/{bad}/retry")).await;
    assert_eq!(still.status, 422, "{still:?}");
    assert_eq!(api.ask(&admin, "POST", &format!("/quarantine/{good}/retry")).await.status, 204);
    assert_eq!(api.store.peek(0, Portion::rows(10)).await.unwrap().len(), 1, "it is on its way");
    assert_eq!(api.ask(&admin, "DELETE", &format!("/quarantine/{bad}")).await.status, 204);
    assert_eq!(api.get(&admin, "/quarantine").await.json(), json!([]));
    let gone = api.ask(&admin, "DELETE", &format!("/quarantine/{bad}")).await;
    assert_eq!(refusal(&gone), message(404, "404 Quarantined Message Not Found"));
}

/// The message was quarantined before its project was known.
#[tokio::test]
async fn a_retried_message_is_dispatched_only_as_far_as_its_senders_token_reaches() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.project(42, "acme/rocket").await;
    for reach in [42, 43].map(ScopeKey::Project) {
        api.token(reach, Right::Ingest).await;
    }
    let tokens = api.store.tokens().await.unwrap();
    let of = |project: i64| {
        let reaches = |token: &&StoredToken| token.access.reach == ScopeKey::Project(project);
        Some(tokens.iter().find(reaches).unwrap().as_sender())
    };
    for (sender, expected) in
        [(of(43), 422), (Some("token 9999".to_owned()), 422), (of(42), 204), (None, 204)]
    {
        let id = EventId::new(&format!("of-{}", sender.as_deref().unwrap_or("all").replace(' ', "-")));
        let reason = "no JSON".to_owned();
        let item = NewQuarantined { source: "http", sender, id, reason, received_at: NOW, raw: push() };
        api.store.quarantine(vec![item]).await.unwrap();
        let newest = api.get(&admin, "/quarantine").await.json()[0].clone();
        let before = api.store.peek(0, Portion::rows(10)).await.unwrap().len();
        let retried = api.ask(&admin, "POST", &format!("/quarantine/{}/retry", newest["id"])).await;
        assert_eq!(retried.status, expected, "{newest} {retried:?}");
        let dispatched = api.store.peek(0, Portion::rows(10)).await.unwrap().len() - before;
        assert_eq!(dispatched, usize::from(expected == 204), "{newest}");
        let kept = api.get(&admin, &format!("/quarantine/{}", newest["id"])).await.status;
        assert_eq!(kept, if expected == 422 { 200 } else { 404 }, "{newest}: a refused message stays");
    }
}

#[tokio::test]
async fn the_junk_of_a_projects_token_is_named_and_leaves_room_for_that_of_others() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let send = async |token: &str| {
        let request = api.client.post(format!("{}/events", api.base)).header("private-token", token);
        answer(request.body("{nonsense")).await.status
    };
    let project = api.token(ScopeKey::Project(42), Right::Ingest).await;
    for _ in 0..6 {
        assert_eq!(send(&project).await, 400);
    }
    let instance = api.token(ScopeKey::Instance, Right::Ingest).await;
    assert_eq!(send(&instance).await, 400);
    let list = api.get(&admin, "/quarantine").await.json();
    let senders: Vec<_> = list.as_array().unwrap().iter().map(|one| one["sender"].as_str()).collect();
    let [None, Some(first), Some(second), Some(third)] = senders[..] else { panic!("a tenth of 30: {list}") };
    assert!(first.starts_with("token ") && first == second && second == third, "{list}");
}

#[tokio::test]
async fn answers_that_are_not_read_take_a_bounded_part_of_the_memory() {
    let (answer_memory, size) = (6_000_000, 5_000_000);
    let api = Api::open_with(Config { answer_memory, ..config() }).await;
    let admin = api.admin().await;
    let (reason, raw) = ("no JSON".to_owned(), Bytes::from(vec![b'x'; size]));
    let item = NewQuarantined { source: "http", sender: None, id: None, reason, received_at: NOW, raw };
    api.store.quarantine(vec![item]).await.unwrap();

    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = api.base.strip_prefix("http://").unwrap().parse().unwrap();
    let mut reads_nothing = socket.connect(address).await.unwrap();
    let request = format!("GET /api/v4/quarantine/1 HTTP/1.1\r\nhost: x\r\nprivate-token: {admin}\r\n\r\n");
    reads_nothing.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    reads_nothing.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");

    let refused = api.get(&admin, "/quarantine/1").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.text.contains("http.answer_memory"), "{refused:?}");
    assert_eq!(api.get(&admin, "/quarantine").await.status, 200, "small answers need none of it");

    drop(reads_nothing);
    let answered = async { while api.get(&admin, "/quarantine/1").await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(20), answered).await.expect("the memory is free again");
}

pub(super) async fn delivered(api: &Api, integration: &str) -> i64 {
    let delivery = NewDelivery {
        integration: IntegrationId::new(integration),
        target: "#ops".into(),
        destination: "slack:1".into(),
        share: "slack:1".into(),
        lane: Lane(1),
        replaces: false,
        lease: None,
    };
    let event = Arc::new(sample(Trigger::Push));
    let origin = Origin::Broker { digest: None, redelivered: false };
    let dispatched =
        Dispatched { event, origin, deliveries: vec![delivery], remembered: Remembered::default() };
    let written = api.store.enqueue(vec![dispatched], NOW).await.unwrap();
    written[0][0].as_ref().unwrap().id.0
}

#[tokio::test]
async fn an_integration_shows_its_own_deliveries_only() {
    let api = Api::open().await;
    let admin = api.admin().await;
    for id in [42, 43] {
        api.put(&admin, &format!("/projects/{id}/integrations/slack"), &json!({ "webhook": HOOK })).await;
    }
    let own = delivered(&api, "42:slack").await;
    let list = api.get(&admin, "/projects/42/integrations/slack/deliveries").await.json();
    assert_eq!((&list[0]["id"], &list[0]["state"]), (&json!(own), &json!("waiting")));
    assert_eq!((&list[0]["target"], &list[0]["trigger"]), (&json!("#ops"), &json!("push")));
    let one = |project: i64| format!("/projects/{project}/services/slack/deliveries/{own}");
    let shown = api.get(&admin, &one(42)).await.json();
    assert_eq!((&shown["payload"]["object_kind"], &shown["attempt_records"]), (&json!("push"), &json!([])));
    // The request, made again, without secrets.
    assert_eq!(shown["request"]["url"], "https://hooks.slack.com/************");
    assert!(
        shown["request"]["body"]["text"].as_str().is_some_and(|text| text.contains(" pushed ")),
        "{shown}"
    );
    assert_eq!((&shown["no_request"], &shown["project"]), (&json!(null), &json!("acme/rocket")));
    let listed = async |query: &str| {
        api.get(&admin, &format!("/projects/42/integrations/slack/deliveries{query}")).await
    };
    assert_eq!(listed("?state=waiting").await.json().as_array().map(Vec::len), Some(1));
    assert_eq!(listed("?state=delivered").await.json(), json!([]));
    assert_eq!(listed("?until=2000-01-01T00:00:00Z").await.json(), json!([]));
    for (query, wrong) in [("?state=lost", "state"), ("?since=noon", "since"), ("?event=%01", "event")] {
        assert_eq!(
            refusal(&listed(query).await),
            error(400, &format!("{wrong} does not have a valid value")),
            "{query}"
        );
    }
    let elsewhere = api.get(&admin, &one(43)).await;
    assert_eq!(refusal(&elsewhere), message(404, "404 Delivery Not Found"));
    assert_eq!(api.get(&admin, "/projects/43/integrations/slack/deliveries").await.json(), json!([]));
    let again = api.ask(&admin, "POST", &format!("{}/retry", one(42))).await;
    assert_eq!(refusal(&again), message(422, "it is still on its way"));
    let never = api.get(&admin, "/projects/42/integrations/discord/deliveries").await;
    assert_eq!(refusal(&never), message(404, "404 Integration Not Found"));
}
