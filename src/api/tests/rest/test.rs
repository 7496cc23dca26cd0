//! Tests of integrations: real attempts, reported with every request and answer.

use super::*;

const TEST: &str = "/projects/42/integrations/slack/test";

async fn set_up(settings: &Value) -> (Api, String) {
    let api = Api::open().await;
    let admin = api.admin().await;
    let mut all = json!({ "webhook": HOOK });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let put = api.put(&admin, "/projects/42/integrations/slack", &all).await;
    assert_eq!(put.status, 200, "{put:?}");
    (api, admin)
}

#[tokio::test]
async fn a_test_says_that_it_is_one_and_tells_what_went_over_the_wire() {
    let (api, admin) = set_up(&json!({ "channel": "#ops, #dev" })).await;
    let response = api.ask(&admin, "POST", TEST).await;
    assert_eq!(response.status, 200, "{response:?}");
    let outcome = response.json();
    assert_eq!((&outcome["success"], &outcome["trigger"]), (&json!(true), &json!("push")));
    let attempts = outcome["attempts"].as_array().unwrap();
    let targets: Vec<_> = attempts.iter().map(|attempt| attempt["target"].clone()).collect();
    assert_eq!(targets, ["#ops", "#dev"]);
    let exchange = &attempts[0]["exchanges"][0];
    assert_eq!(exchange["request"]["url"], "https://hooks.slack.com/************");
    assert_eq!(exchange["answer"], json!({ "status": 200, "body": "ok" }));
    assert!(!response.text.contains("s3cret"), "{response:?}");
    let heard = api.service.heard.lock().unwrap();
    assert_eq!(heard.len(), 2);
    let sent = String::from_utf8_lossy(&heard[0].body).into_owned();
    assert!(sent.contains("Test"), "{sent}");
    assert_eq!(heard[0].url.as_str(), HOOK);
}

#[tokio::test]
async fn a_failure_is_reported_with_its_reason_and_without_the_secret() {
    let (api, admin) = set_up(&json!({})).await;
    api.service.status.store(404, Ordering::Relaxed);
    let response = api.ask(&admin, "POST", TEST).await;
    let outcome = response.json();
    assert_eq!((response.status, &outcome["success"]), (200, &json!(false)));
    assert_eq!(outcome["attempts"][0]["status"], 404);
    assert!(outcome["message"].as_str().unwrap().contains("answered 404"), "{outcome}");
    assert!(!response.text.contains("s3cret"), "{response:?}");
}

#[tokio::test]
async fn a_kind_of_event_or_an_event_itself_may_be_asked_for() {
    let (api, admin) = set_up(&json!({})).await;
    let note = api.ask(&admin, "POST", &format!("{TEST}?trigger=note")).await.json();
    assert_eq!((&note["trigger"], &note["success"]), (&json!("note"), &json!(true)));
    let wrong = api.ask(&admin, "POST", &format!("{TEST}?trigger=nonsense")).await;
    assert_eq!(refusal(&wrong), error(400, "trigger does not have a valid value"));
    let issue: Value = serde_json::from_slice(&sample(Trigger::Issue).raw).unwrap();
    let given = api.send(&admin, "POST", TEST, &issue).await.json();
    assert_eq!((&given["trigger"], &given["success"]), (&json!("issue"), &json!(true)));
    let nonsense = api.send(&admin, "POST", TEST, &json!({ "object_kind": "nonsense" })).await;
    assert_eq!(nonsense.status, 422, "{nonsense:?}");
}

#[tokio::test]
async fn an_event_of_a_project_that_the_token_does_not_reach_is_not_tried() {
    let (api, _) = set_up(&json!({})).await;
    api.project(42, "acme/rocket").await;
    api.project(43, "other/thing").await;
    let own = api.token(ScopeKey::Project(42), Right::Maintain).await;
    let mut event: Value = serde_json::from_slice(&sample(Trigger::Push).raw).unwrap();
    event["project"]["id"] = json!(43);
    event["project_id"] = json!(43);
    event["project"]["path_with_namespace"] = json!("other/thing");
    let foreign = api.send(&own, "POST", TEST, &event).await;
    assert_eq!(refusal(&foreign), message(404, "404 Project Not Found"));
    assert!(api.service.heard.lock().unwrap().is_empty(), "nothing is asked and nothing sent");
    event["project"]["id"] = json!(42);
    event["project_id"] = json!(42);
    event["project"]["path_with_namespace"] = json!("acme/rocket");
    assert_eq!(api.send(&own, "POST", TEST, &event).await.json()["success"], true);
}

#[tokio::test]
async fn an_inactive_integration_can_be_tested_and_a_missing_one_can_not() {
    let (api, admin) = set_up(&json!({})).await;
    api.ask(&admin, "DELETE", "/projects/42/integrations/slack").await;
    assert_eq!(api.ask(&admin, "POST", TEST).await.json()["success"], true);
    let never = api.ask(&admin, "POST", "/projects/42/integrations/discord/test").await;
    assert_eq!(refusal(&never), message(404, "404 Integration Not Found"));
    let reader = api.token(ScopeKey::Project(42), Right::Read).await;
    assert_eq!(api.ask(&reader, "POST", TEST).await.status, 403);
}

#[tokio::test]
async fn tests_keep_to_the_services_rate_limit() {
    let (api, admin) = set_up(&json!({})).await;
    let mut outcomes = Vec::new();
    for _ in 0..30 {
        outcomes.push(api.ask(&admin, "POST", TEST).await.json()["attempts"][0]["outcome"].clone());
    }
    assert!(outcomes.contains(&json!("throttled")), "{outcomes:?}");
    assert!(api.service.heard.lock().unwrap().len() < 30);
}

#[tokio::test]
async fn a_sample_names_the_project_that_the_integration_is_of() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let of = "/projects/tower%2Fbell/integrations/slack";
    assert_eq!(api.put(&admin, of, &json!({ "webhook": HOOK })).await.status, 200);
    let tested = api.ask(&admin, "POST", &format!("{of}/test")).await.json();
    assert_eq!(tested["success"], json!(true), "{tested}");
    let sent = String::from_utf8_lossy(&api.service.heard.lock().unwrap()[0].body).into_owned();
    assert!(sent.contains("tower / bell") && sent.contains("/tower/bell/-/"), "{sent}");
    assert!(!sent.contains("acme/rocket") && !sent.contains("Rocket"), "{sent}");
}
