//! Alerts of monitoring systems: who may report them, what is answered, and what is told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::api::ApiError;
use crate::api::alerts::BODY_LIMIT;
use crate::api::v4::alert_tokens;
use crate::catalog::Actor;
use crate::store::Inbox as _;

const ALERTS: &str = "/projects/42/integrations/alerts";
const PROMETHEUS: &str = "/acme/web/prometheus/alerts/notify.json";
const GENERIC: &str = "/acme/web/alerts/notify.json";
const NAMED: &str = "/acme/web/alerts/notify/my%2Ftool.v1/0123456789abcdef.json";

/// A server that knows the project `acme/web`, and a token of it.
async fn set_up() -> (Api, String, String) {
    let api = Api::open_with(Config { body_limit: 4 * 1024 * 1024, ..config() }).await;
    let admin = api.admin().await;
    api.project(42, "acme/web").await;
    api.project(43, "other/site").await;
    let put = api.put(&admin, ALERTS, &json!({})).await;
    let token = put.json()["token"].as_str().expect("a token").to_owned();
    (api, admin, token)
}

async fn post(api: &Api, path: &str, authorization: &str, body: String) -> Answer {
    let mut request = api.client.post(format!("{}{path}", api.base)).body(body);
    if !authorization.is_empty() {
        request = request.header("authorization", authorization);
    }
    answer(request).await
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn alert(name: &str, status: &str, started_at: &str) -> Value {
    json!({
        "status": status, "startsAt": started_at, "endsAt": "0001-01-01T00:00:00Z",
        "labels": { "alertname": name, "severity": "warning" }, "annotations": { "summary": format!("{name} fires") },
        "generatorURL": "http://p.example:9090/graph?g0.expr=up%3D%3D0",
    })
}

fn report(alerts: &[Value]) -> String {
    let report = json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "forgebell",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://alertmanager.example:9093", "alerts": alerts,
    });
    report.to_string()
}

fn firing(name: &str) -> String {
    report(&[alert(name, "firing", "2026-01-15T09:00:00Z")])
}

/// The titles of the alerts in the inbox.
async fn told(api: &Api) -> Vec<String> {
    let waiting = api.store.peek(0, Portion::rows(1_000)).await.unwrap();
    let title = |(_, event): (i64, StoredEvent)| {
        let json: Value = serde_json::from_slice(&event.raw).unwrap();
        json["object_attributes"]["title"].as_str().unwrap().to_owned()
    };
    waiting.into_iter().map(title).collect()
}

#[tokio::test]
async fn an_alert_is_told_once_by_whichever_address_and_header_it_comes() {
    let (api, _, token) = set_up().await;
    let basic = |login: String| format!("Basic {}", STANDARD.encode(login));
    let first = post(&api, PROMETHEUS, &bearer(&token), firing("Down")).await;
    assert_eq!((first.status, first.json()[0]["title"].as_str()), (200, Some("Down fires")), "{first:?}");
    for (path, authorization) in [
        (PROMETHEUS, basic(format!(":{token}"))),
        (GENERIC, bearer(&token)),
        (NAMED, basic(format!("alertmanager:{token}"))),
        ("/Acme/Web/alerts/notify.json", bearer(&token)),
    ] {
        let again = post(&api, path, &authorization, firing("Down")).await;
        assert_eq!((again.status, again.json()), (200, first.json()), "{path}: the same alert");
    }
    assert_eq!(told(&api).await, ["Down fires"]);
    let generic = post(&api, GENERIC, &bearer(&token), json!({ "title": "Disk" }).to_string()).await;
    assert_eq!(generic.json()[0]["title"], "Disk");
    assert_eq!(told(&api).await, ["Down fires", "Disk"]);
}

#[tokio::test]
async fn a_resolved_alert_tells_nothing_and_is_news_when_it_fires_again() {
    let (api, _, token) = set_up().await;
    let say = async |body: String| post(&api, PROMETHEUS, &bearer(&token), body).await;
    let both = |down: &str, full: &str| {
        report(&[alert("Down", down, "2026-01-15T09:00:00Z"), alert("Full", full, "2026-01-15T09:00:00Z")])
    };
    say(both("firing", "firing")).await;
    // Sent twice, as where the answer was lost.
    for _ in 0..2 {
        assert_eq!(say(both("resolved", "firing")).await.status, 200);
    }
    assert_eq!(told(&api).await, ["Down fires", "Full fires"]);
    let unknown = say(report(&[alert("Never", "resolved", "2026-01-15T09:00:00Z")])).await;
    assert_eq!((unknown.status, unknown.json()), (200, json!([])));
    say(report(&[alert("Down", "firing", "2026-01-22T09:00:00Z")])).await;
    assert_eq!(told(&api).await, ["Down fires", "Full fires", "Down fires"]);
    assert_eq!(say(report(&[])).await.json(), json!([]));
}

#[tokio::test]
async fn the_checks_have_gitlabs_order_and_statuses() {
    let (api, admin, token) = set_up().await;
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(super::super::super::alerts::BODY_LIMIT));
    for path in [PROMETHEUS, GENERIC] {
        let status = async |authorization: &str, body: &str| {
            post(&api, path, authorization, body.to_owned()).await.status
        };
        assert_eq!(status("", &large).await, 400, "{path}: before the token");
        assert_eq!(status("", "not json").await, 422, "{path}: before the token");
        assert_eq!(status("", &firing("X")).await, 401, "{path}");
        assert_eq!(status(&bearer("fbt-wrong"), &firing("X")).await, 401, "{path}");
        assert_eq!(status(&bearer(&token), &firing("X")).await, 200, "{path}");
    }
    let only_generic = json!({ "title": "X" }).to_string();
    assert_eq!(post(&api, PROMETHEUS, &bearer(&token), only_generic).await.status, 422);
    assert_eq!(api.ask(&admin, "DELETE", ALERTS).await.status, 204);
    let off = post(&api, GENERIC, &bearer(&token), firing("X")).await;
    assert!(off.status == 403 && off.text.contains("switched off"), "{off:?}");
    assert_eq!(post(&api, PROMETHEUS, &bearer(&token), firing("X")).await.status, 401);
    assert_eq!(api.client.get(format!("{}{GENERIC}", api.base)).send().await.unwrap().status(), 404);
    let elsewhere = post(&api, "/acme/web/alerts/notify.xml", &bearer(&token), firing("X")).await;
    assert_eq!(elsewhere.status, 404, "no such address");
}

#[tokio::test]
async fn no_answer_shows_which_projects_exist_and_only_alert_tokens_admit() {
    let (api, admin, token) = set_up().await;
    let refused = async |path: &str, token: &str| {
        let refused = post(&api, path, &bearer(token), firing("X")).await;
        (refused.status, refused.text)
    };
    let unknown = refused("/no/project/alerts/notify.json", &token).await;
    assert_eq!(unknown.0, 401);
    assert_eq!(
        refused("/other/site/alerts/notify.json", &token).await,
        unknown,
        "a token of another project"
    );
    assert_eq!(refused("/other/site/alerts/notify.json", "fbt-wrong").await, unknown);
    let ingest = api.token(ScopeKey::Project(42), Right::Ingest).await;
    for other in [&admin, &ingest] {
        assert_eq!(refused(GENERIC, other).await, unknown, "a token of another right");
    }
    // And an alert token admits nothing else.
    assert_eq!(api.get(&token, ALERTS).await.status, 403);
    let event = api.client.post(format!("{}/events", api.base)).header("private-token", &token);
    let event = answer(event.header("content-type", "application/json").body("{}")).await;
    assert_eq!(event.status, 403, "{event:?}");
    assert!(told(&api).await.is_empty());
}

#[tokio::test]
async fn too_many_wrong_tokens_have_to_wait_and_a_right_one_has_not() {
    let api = Api::open_with(Config { login_failures: 3, ..config() }).await;
    let admin = api.admin().await;
    api.project(42, "acme/web").await;
    let put = api.put(&admin, ALERTS, &json!({})).await;
    let token = put.json()["token"].as_str().unwrap().to_owned();
    for _ in 0..3 {
        assert_eq!(post(&api, GENERIC, &bearer("fbt-wrong"), firing("X")).await.status, 401);
    }
    assert_eq!(post(&api, GENERIC, &bearer("fbt-wrong"), firing("X")).await.status, 429);
    for body in ["not json".to_owned(), "x".repeat(BODY_LIMIT + 1)] {
        let answer = post(&api, GENERIC, &bearer("fbt-wrong"), body).await;
        assert_eq!(answer.status, 429, "the token is checked before the body: {answer:?}");
    }
    assert_eq!(post(&api, GENERIC, &bearer(&token), "not json".to_owned()).await.status, 422);
    assert_eq!(post(&api, GENERIC, "", firing("X")).await.status, 401, "no token is no guess");
    assert_eq!(post(&api, GENERIC, &bearer(&token), firing("X")).await.status, 200);
    let elsewhere = post(&api, "/no/project/alerts/notify.json", &bearer(&token), firing("X")).await;
    assert_eq!(elsewhere.status, 429, "a right token at a wrong place is a guess");
}

/// `forgebell token create --alerts` needs no integration.
#[tokio::test]
async fn a_token_of_a_project_for_which_nothing_was_set_can_be_revoked_through_the_api() {
    let api = Api::open_with(config()).await;
    let admin = api.admin().await;
    api.project(42, "acme/web").await;
    assert_eq!(api.ask(&admin, "DELETE", ALERTS).await.status, 404, "there is nothing to end");
    let own = api.token(ScopeKey::Project(42), Right::Alerts).await;
    assert_eq!(post(&api, GENERIC, &bearer(&own), firing("X")).await.status, 200);
    assert_eq!(api.ask(&admin, "DELETE", ALERTS).await.status, 204);
    assert_ne!(post(&api, GENERIC, &bearer(&own), firing("X")).await.status, 200);
}

#[tokio::test]
async fn a_token_is_shown_once_rotated_and_revoked() {
    let (api, admin, first) = set_up().await;
    let shown = api.get(&admin, ALERTS).await;
    let object = shown.json();
    assert_eq!(
        (&object["title"], &object["slug"], &object["active"]),
        (&json!("Alerts endpoint"), &json!("alerts"), &json!(true))
    );
    assert_eq!(object["alerts_path"], GENERIC);
    assert!(object.get("token").is_none() && !shown.text.contains("fbt-"), "{shown:?}");
    let listed = api.get(&admin, "/projects/42/integrations").await.json();
    assert!(listed.as_array().unwrap().iter().any(|one| one["slug"] == "alerts"), "{listed}");
    let own = api.token(ScopeKey::Project(42), Right::Alerts).await;
    let reset = json!({ "reset_token": true });
    let second = api.put(&admin, ALERTS, &reset).await.json()["token"].as_str().unwrap().to_owned();
    let status = async |token: &str| post(&api, GENERIC, &bearer(token), firing("X")).await.status;
    assert_eq!((status(&first).await, status(&second).await, status(&own).await), (401, 200, 200));
    let rows = api.store.tokens().await.unwrap();
    assert!(rows.iter().any(|row| row.hash == token::hash(&second)), "only a digest is kept");
    assert_eq!(api.ask(&admin, "DELETE", ALERTS).await.status, 204);
    assert_eq!((status(&second).await, status(&own).await), (403, 403), "all are revoked");
    assert_eq!(api.get(&admin, ALERTS).await.json()["active"], false);
    let third = api.put(&admin, ALERTS, &json!({})).await.json()["token"].as_str().unwrap().to_owned();
    assert_eq!((status(&third).await, status(&first).await), (200, 401));
    let audit = api.store.audit_log(None, 100).await.unwrap();
    assert!(audit.iter().any(|line| line.action == "token.revoke"), "{audit:?}");
    for other in ["/groups/acme/integrations/alerts", "/integrations/alerts"] {
        assert_eq!(api.put(&admin, other, &json!({})).await.status, 404, "{other}: alerts are of projects");
    }
    let unnumbered = api.put(&admin, "/projects/acme%2Fnew/integrations/alerts", &json!({})).await;
    assert!(unnumbered.status == 409 && unnumbered.text.contains("number"), "{unnumbered:?}");
}

#[tokio::test]
async fn a_put_that_runs_beside_a_delete_leaves_no_live_token() {
    let (api, admin, _) = set_up().await;
    assert_eq!(api.ask(&admin, "DELETE", ALERTS).await.status, 204);
    // The rest of a `PUT` on another node, which saved the settings before the `DELETE`.
    let node = state(api.store.clone(), api.service.clone()).await;
    let (project, actor) = (ScopeKey::Project(42), Actor("a test".to_owned()));
    let rest_of_put = alert_tokens::Change { state: &node, project, actor: &actor, now: NOW };
    let answer = rest_of_put.put(false).await;
    assert!(matches!(&answer, Err(ApiError::Conflict(why)) if why.contains("set it again")), "{answer:?}");
    let tokens = api.store.tokens().await.unwrap();
    let live = tokens.iter().filter(|token| token.admits_alerts_of(project) && token.is_live(NOW));
    assert_eq!(live.count(), 0, "{tokens:?}");
}

#[tokio::test]
async fn the_addresses_of_alerts_are_shown_where_they_can_be_known() {
    let (api, admin, _) = set_up().await;
    let prometheus = json!({ "api_url": "https://p.example" });
    let of = async |path: &str| api.put(&admin, path, &prometheus).await.json()["alerts_path"].clone();
    assert_eq!(of("/projects/42/integrations/prometheus").await, PROMETHEUS);
    assert_eq!(of("/projects/77/integrations/prometheus").await, json!(null), "its path is not known");
    assert_eq!(of("/integrations/prometheus").await, json!(null), "the instance has no alerts");
    let slack = api.put(&admin, "/projects/42/integrations/slack", &json!({ "webhook": HOOK })).await;
    assert_eq!(slack.json().get("alerts_path"), None);
    // A name in another script is in the path as clients send it.
    api.project(44, "acme/caf\u{e9}").await;
    let put = api.put(&admin, "/projects/44/integrations/alerts", &json!({})).await.json();
    let (path, token) = (put["alerts_path"].as_str().unwrap(), put["token"].as_str().unwrap());
    assert_eq!(path, "/acme/caf%C3%A9/alerts/notify.json");
    assert_eq!(post(&api, path, &bearer(token), firing("X")).await.status, 200);
}

#[tokio::test]
async fn a_put_of_what_was_read_keeps_the_token_and_says_nothing_of_it() {
    let (api, admin, token) = set_up().await;
    let shown = api.get(&admin, ALERTS).await;
    for again in
        [shown.json()["properties"].clone(), json!({ "reset_token": "" }), json!({ "reset_token": false })]
    {
        let put = api.put(&admin, ALERTS, &again).await;
        assert_eq!((put.status, put.json().get("token")), (200, None), "{put:?}");
        assert_eq!(put.text, shown.text);
    }
    assert_eq!(post(&api, GENERIC, &bearer(&token), firing("X")).await.status, 200);
    assert_eq!(api.store.tokens().await.unwrap().iter().filter(|token| token.name == "alerts").count(), 1);
    let wrong = api.put(&admin, ALERTS, &json!({ "reset_token": "perhaps" })).await;
    assert_eq!(refusal(&wrong), error(400, "reset_token is invalid"));
}

#[tokio::test]
async fn of_a_thousand_alerts_the_first_hundred_are_told_and_bad_ones_do_not_hold_back_good_ones() {
    let (api, _, token) = set_up().await;
    let many: Vec<Value> =
        (0..1_000).map(|n| alert(&format!("A{n}"), "firing", "2026-01-15T09:00:00Z")).collect();
    let taken = post(&api, PROMETHEUS, &bearer(&token), report(&many)).await;
    assert_eq!((taken.status, taken.json().as_array().unwrap().len()), (200, 100));
    assert_eq!(told(&api).await.len(), 100);
    let mixed = [json!({ "labels": {} }), alert("Good", "firing", "2999-01-01T00:00:00Z"), json!(7)];
    let taken = post(&api, PROMETHEUS, &bearer(&token), report(&mixed)).await;
    assert_eq!(taken.json().as_array().unwrap().len(), 1, "{taken:?}");
    let none = post(&api, PROMETHEUS, &bearer(&token), report(&[json!({ "labels": {} })])).await;
    assert!(none.status == 422 && none.text.contains("alertname"), "{none:?}");
    let past = report(&[alert("Past", "firing", "0001-01-01T00:00:00Z")]);
    assert_eq!(post(&api, PROMETHEUS, &bearer(&token), past).await.status, 200);
}

#[tokio::test]
async fn a_project_of_which_only_the_number_is_known_is_told_of_by_its_number() {
    let api = Api::open().await;
    let token = api.token(ScopeKey::Project(77), Right::Alerts).await;
    assert_eq!(post(&api, "/acme/new/alerts/notify.json", &bearer(&token), firing("X")).await.status, 200);
    let StoredEvent { id, occurred_at, raw } = api.store.peek(0, Portion::rows(1)).await.unwrap().remove(0).1;
    let event = Event::decode(id, occurred_at, raw).unwrap();
    let project = event.project.expect("a project");
    assert_eq!((project.id, project.path_with_namespace.as_str()), (77, ""));
    api.project(42, "acme/web").await;
    assert_eq!(
        post(&api, GENERIC, &bearer(&token), firing("X")).await.status,
        401,
        "that is another project"
    );
}
