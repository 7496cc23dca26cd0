//! Which tokens may do what, and that the others learn nothing.

use super::*;

const SLACK: &str = "/projects/42/integrations/slack";

#[tokio::test]
async fn a_token_is_taken_in_each_of_gitlabs_ways() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let bearer = format!("Bearer {admin}");
    let version = || api.request("GET", "/version");
    let query = |name: &str| api.request("GET", &format!("/version?{}", encoded(&[(name, &admin)])));
    for request in [
        version().header("private-token", &admin),
        version().header("authorization", &bearer),
        query("private_token"),
        query("access_token"),
    ] {
        let response = answer(request).await;
        assert_eq!(
            (response.status, response.json()["version"].as_str()),
            (200, Some(env!("CARGO_PKG_VERSION")))
        );
    }
    let in_body = form(api.request("PUT", "/projects/42"), &[("private_token", &admin)]);
    assert_eq!(answer(in_body).await.status, 200);
}

#[tokio::test]
async fn an_unknown_token_is_answered_before_anything_else() {
    let api = Api::open().await;
    api.project(42, "acme/rocket").await;
    for (method, path) in [
        ("GET", "/projects/42/integrations"),
        ("GET", "/projects/4711/integrations"),
        ("GET", "/projects/42/integrations/nonsense"),
        ("PUT", SLACK),
        ("PUT", "/projects/42/integrations/nonsense"),
        ("DELETE", "/groups/acme/services/slack"),
        ("GET", "/integrations"),
        ("GET", "/projects"),
        ("GET", "/quarantine"),
        ("GET", "/audit_events"),
        ("POST", "/events/explain"),
        ("POST", "/projects/42/integrations/slack/test"),
        ("GET", "/version"),
        ("GET", "/metadata"),
        ("GET", "/user"),
    ] {
        for token in ["", "fbt-unknown"] {
            let response = api.ask(token, method, path).await;
            assert_eq!(refusal(&response), message(401, "401 Unauthorized"), "{method} {path}");
            assert!(response.headers.contains_key("www-authenticate"));
            api.later.fetch_add(60, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn a_token_that_is_over_says_why() {
    let api = Api::open().await;
    let expired = api.token_until(ScopeKey::Instance, Right::Maintain, Some(NOW)).await;
    let response = api.get(&expired, "/version").await;
    assert_eq!((response.status, &response.json()["error"]), (401, &json!("invalid_token")));
    assert!(response.json()["error_description"].as_str().unwrap().starts_with("Token is expired."));
    let revoked = api.admin().await;
    assert_eq!(api.get(&revoked, "/version").await.status, 200);
    let row = api.store.changes(0).await.unwrap().tokens.pop().unwrap();
    assert!(api.store.revoke_token(row.id, audit("token.revoke")).await.unwrap());
    let response = api.get(&revoked, "/version").await;
    assert_eq!(response.status, 401);
    assert!(response.json()["error_description"].as_str().unwrap().starts_with("Token was revoked."));
}

#[tokio::test]
async fn every_kind_of_token_learns_who_it_is_and_what_answers() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let acme = api.group("acme").await;
    api.group("other").await;
    api.put(&admin, "/groups/acme", &json!({ "number": 7 })).await;
    for (reach, username) in [
        (ScopeKey::Instance, "bot_"),
        (ScopeKey::Project(42), "project_42_bot_"),
        (ScopeKey::Group(acme), "group_7_bot_"),
        (ScopeKey::Group(GroupKey(2)), "group_bot_"),
    ] {
        for right in Right::ALL {
            let token = api.token(reach, right).await;
            let user = api.get(&token, "/user").await;
            assert_eq!(user.status, 200, "{reach:?} {right:?}: {user:?}");
            let user = user.json();
            assert_eq!(user["username"], format!("{username}{}", user["id"]), "{reach:?}");
            assert_eq!(
                (&user["name"], &user["state"], &user["bot"]),
                (&json!("ci"), &json!("active"), &json!(true))
            );
            assert_eq!(user["created_at"], "2026-01-15T09:30:00.000Z");
            assert_eq!(user["is_admin"], reach == ScopeKey::Instance && right == Right::Maintain);
            let metadata = api.get(&token, "/metadata").await;
            let expected = json!({
                "version": env!("CARGO_PKG_VERSION"),
                "revision": "forgebell",
                "kas": { "enabled": false, "externalUrl": null, "externalK8sProxyUrl": null, "version": null },
                "enterprise": false,
            });
            assert_eq!((metadata.status, metadata.json()), (200, expected));
            assert_eq!(api.get(&token, "/version").await.json(), metadata.json());
        }
    }
    let text = api.get(&admin, "/user").await.text;
    let expected = r#"{"id":1,"username":"bot_1","public_email":null,"name":"ci","state":"active","#;
    assert!(text.starts_with(expected), "{text}");
}

#[tokio::test]
async fn a_right_that_is_too_small_is_answered_whether_or_not_the_object_exists() {
    let api = Api::open().await;
    api.project(42, "acme/rocket").await;
    let reader = api.token(ScopeKey::Instance, Right::Read).await;
    let ingester = api.token(ScopeKey::Instance, Right::Ingest).await;
    assert_eq!(api.get(&reader, "/projects/42/integrations").await.status, 200);
    for path in [SLACK, "/projects/4711/integrations/slack", "/projects/42/integrations/nonsense"] {
        let response = api.put(&reader, path, &json!({ "webhook": HOOK })).await;
        assert_eq!((response.status, &response.json()["scope"]), (403, &json!("api")), "{path}");
        assert_eq!(response.json()["error"], "insufficient_scope");
        let response = api.get(&ingester, path).await;
        assert_eq!((response.status, &response.json()["scope"]), (403, &json!("api read_api")), "{path}");
    }
}

#[tokio::test]
async fn what_a_token_does_not_reach_is_answered_as_missing() {
    let api = Api::open().await;
    let admin = api.admin().await;
    for (id, path) in [(42, "acme/rocket"), (43, "acme/other"), (44, "elsewhere/thing")] {
        api.project(id, path).await;
        api.put(&admin, &format!("/projects/{id}/integrations/slack"), &json!({ "webhook": HOOK })).await;
    }
    let key = api.group("acme").await;
    let of_project = api.token(ScopeKey::Project(42), Right::Maintain).await;
    let of_group = api.token(ScopeKey::Group(key), Right::Maintain).await;
    let nobodys = refusal(&api.get(&of_project, "/projects/4711/integrations/slack").await);
    assert_eq!(nobodys, message(404, "404 Project Not Found"));
    for (token, path) in [
        (&of_project, "/projects/43/integrations/slack"),
        (&of_project, "/projects/acme%2Fother/integrations/slack"),
        (&of_project, "/projects/43/integrations/nonsense"),
        (&of_project, "/projects/43/integrations/slack/deliveries"),
        (&of_project, "/projects/43"),
        (&of_group, "/projects/44/integrations/slack"),
        (&of_group, "/projects/44"),
    ] {
        assert_eq!(refusal(&api.get(token, path).await), nobodys, "{path}");
        assert_eq!(refusal(&api.put(token, path, &json!([])).await).0 / 100, 4);
    }
    assert_eq!(api.get(&of_project, SLACK).await.status, 200);
    assert_eq!(api.get(&of_group, SLACK).await.status, 200);
    let group = api.get(&of_project, "/groups/acme/integrations").await;
    assert_eq!(refusal(&group), message(404, "404 Group Not Found"));
    let known = |answer: Answer| {
        let list = answer.json();
        list.as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(known(api.get(&of_project, "/projects").await), [42]);
    assert_eq!(known(api.get(&of_group, "/projects").await), [43, 42]);
    assert_eq!(known(api.get(&admin, "/projects").await), [44, 43, 42]);
}

#[tokio::test]
async fn what_is_for_the_instance_is_forbidden_to_others() {
    let api = Api::open().await;
    let key = api.group("acme").await;
    let of_group = api.token(ScopeKey::Group(key), Right::Maintain).await;
    for path in ["/integrations", "/integrations/slack", "/quarantine", "/quarantine/1", "/audit_events"] {
        assert_eq!(refusal(&api.get(&of_group, path).await), message(403, "403 Forbidden"), "{path}");
    }
    let renamed = api.put(&of_group, "/groups/acme", &json!({ "full_path": "other" })).await;
    assert_eq!(refusal(&renamed), message(403, "403 Forbidden"));
    api.project(42, "acme/rocket").await;
    let moved = api.put(&of_group, "/projects/42", &json!({ "path_with_namespace": "other/rocket" })).await;
    assert_eq!(refusal(&moved), message(403, "403 Forbidden"), "a path decides who reaches it");
    let branch = api.put(&of_group, "/projects/42", &json!({ "default_branch": "trunk" })).await;
    assert_eq!((branch.status, &branch.json()["default_branch"]), (200, &json!("trunk")));
}

#[tokio::test]
async fn a_client_that_tries_too_many_tokens_has_to_wait_and_one_with_a_valid_token_does_not() {
    let api = Api::open().await;
    let admin = api.admin().await;
    for _ in 0..10 {
        assert_eq!(api.get("fbt-guess", "/version").await.status, 401);
    }
    let response = api.get("fbt-guess", "/version").await;
    assert_eq!(refusal(&response), message(429, "429 Too Many Requests"));
    assert_eq!(response.headers["retry-after"], "6");
    assert_eq!(api.get(&admin, "/version").await.status, 200);
    assert_eq!(answer(api.request("GET", "/version")).await.status, 401, "who shows none tries none");
    api.later.store(6, Ordering::Relaxed);
    assert_eq!(api.get("fbt-guess", "/version").await.status, 401);
}

#[tokio::test]
async fn behind_a_trusted_proxy_it_is_the_caller_who_waits() {
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let api = Api::open_with(Config { trusted_proxies, login_failures: 1, ..config() }).await;
    let admin = api.admin().await;
    let from = async |address: &str, token: &str| {
        let request = api.request("GET", "/version").header("private-token", token);
        answer(request.header("x-forwarded-for", address)).await.status
    };
    assert_eq!(from("203.0.113.7", "fbt-guess").await, 401);
    assert_eq!(from("203.0.113.7", "fbt-guess").await, 429);
    assert_eq!(
        from("192.0.2.1, 203.0.113.7", "fbt-guess").await,
        429,
        "a caller can write anything before it"
    );
    assert_eq!(from("203.0.113.7", &admin).await, 200);
    assert_eq!(from("203.0.113.8", "fbt-guess").await, 401);
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_by_the_names_of_what_changed() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.put(&admin, SLACK, &json!({ "webhook": HOOK, "channel": "#ops" })).await;
    api.ask(&admin, "DELETE", SLACK).await;
    let log = api.get(&admin, "/audit_events").await;
    assert!(!log.text.contains("s3cret") && !log.text.contains("#ops"), "{log:?}");
    let lines = log.json();
    assert_eq!(lines[0]["action"], "integration.deactivate");
    assert_eq!(lines[1]["action"], "integration.update");
    assert_eq!(lines[1]["who"], "token ci (1)");
    assert_eq!(lines[1]["object"], "project 42 slack");
    assert_eq!(lines[1]["fields"], json!(["active", "channel", "webhook"]));
    let page = api.get(&admin, "/audit_events?per_page=1").await;
    let next = page.headers["link"].to_str().unwrap().to_owned();
    let path = next.split(['<', '>']).nth(1).unwrap().strip_prefix("/api/v4").unwrap().to_owned();
    assert_eq!(api.get(&admin, &path).await.json()[0], lines[1], "{next}");
}

#[tokio::test]
async fn events_are_taken_with_a_token_for_just_that() {
    let api = Api::open().await;
    api.project(42, "acme/rocket").await;
    api.project(43, "acme/other").await;
    let hand_in = async |header: &str, token: &str| {
        let request = api.client.post(format!("{}/events", api.base)).header(header, token);
        answer(request.header("content-type", "application/json").body(push())).await
    };
    let all = api.token(ScopeKey::Instance, Right::Ingest).await;
    let of_project = api.token(ScopeKey::Project(42), Right::Ingest).await;
    let of_other = api.token(ScopeKey::Project(43), Right::Ingest).await;
    let reader = api.token(ScopeKey::Instance, Right::Read).await;
    for (header, token, expected) in [
        ("x-gitlab-token", TOKEN, 202),
        ("x-gitlab-token", all.as_str(), 202),
        ("private-token", &all, 202),
        ("x-gitlab-token", &of_project, 202),
        ("x-gitlab-token", &of_other, 403),
        ("x-gitlab-token", &reader, 403),
        ("x-gitlab-token", "wrong", 401),
        ("x-gitlab-token", "fbt-wrong", 401),
    ] {
        let response = hand_in(header, token).await;
        assert_eq!(response.status, expected, "{header} {token}: {response:?}");
    }
}

/// Such an event names no project, only the address of a page.
#[tokio::test]
async fn vulnerabilities_are_taken_from_tokens_of_their_project_and_group_if_the_forge_lies_below_a_path() {
    let api = Api::open().await;
    api.project(42, "acme/rocket").await;
    let acme = api.group("acme").await;
    let of_project = api.token(ScopeKey::Project(42), Right::Ingest).await;
    let of_group = api.token(ScopeKey::Group(acme), Right::Ingest).await;
    let reads = api.token(ScopeKey::Group(acme), Right::Read).await;
    let found_in = |id: i64, path: &str| {
        let url = format!("https://forge.example/gitlab/{path}/-/security/vulnerabilities/1");
        json!({ "object_kind": "vulnerability", "object_attributes": { "project_id": id, "url": url } })
    };
    let hand_in = async |token: &str, id: i64, path: &str| {
        let request = api.client.post(format!("{}/events", api.base)).header("private-token", token);
        let request = request.header("content-type", "application/json");
        answer(request.body(found_in(id, path).to_string())).await.status
    };
    // The known path of the project shows where the forge lies.
    assert_eq!(hand_in(&of_project, 42, "acme/rocket").await, 202);
    assert_eq!(hand_in(&of_group, 42, "acme/rocket").await, 202);
    assert_eq!(hand_in(&of_group, 99, "acme/new").await, 403);

    api.catalog.set_forge("https://forge.example/gitlab");
    assert_eq!(hand_in(&of_project, 42, "acme/rocket").await, 202);
    assert_eq!(hand_in(&of_project, 43, "acme/other").await, 403);
    assert_eq!(
        hand_in(&of_group, 99, "acme/new").await,
        202,
        "the number is not trusted, and the path is enough"
    );
    assert_eq!(hand_in(&of_group, 99, "other/new").await, 403);
    let explained = api.send(&reads, "POST", "/events/explain", &found_in(42, "acme/rocket")).await;
    assert_eq!(explained.json()["project"], json!({ "id": 42, "path": "acme/rocket" }));
}

#[tokio::test]
async fn a_groups_token_may_send_a_new_projects_first_event_and_gains_no_other_project() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.project(42, "acme/rocket").await;
    api.project(43, "elsewhere/thing").await;
    let key = api.group("acme").await;
    let of_group = api.token(ScopeKey::Group(key), Right::Maintain).await;
    api.put(&admin, "/groups/acme/integrations/slack", &json!({ "webhook": HOOK })).await;
    let event = |id: i64, path: &str| {
        let mut json: Value = serde_json::from_slice(&push()).unwrap();
        json["project"]["id"] = id.into();
        json["project_id"] = id.into();
        json["project"]["path_with_namespace"] = path.into();
        json.to_string()
    };
    let hand_in = async |token: &str, id: i64, path: &str| {
        let request = api.client.post(format!("{}/events", api.base)).header("x-gitlab-token", token);
        answer(request.header("content-type", "application/json").body(event(id, path))).await
    };
    let response = hand_in(&of_group, 99, "acme/new").await;
    assert_eq!(response.status, 202, "{response:?}");
    let kept = api.store.peek(0, Portion::rows(10)).await.unwrap();
    let [(_, kept)] = kept.as_slice() else { panic!("one event: {kept:?}") };
    let kept: Value = serde_json::from_slice(&kept.raw).unwrap();
    assert_eq!(kept["project"]["path_with_namespace"], "acme/new");
    assert_eq!((&kept["project"]["id"], &kept["project_id"]), (&Value::Null, &Value::Null));
    let explained = api.send(&of_group, "POST", "/events/explain", &event_json(&event(99, "acme/new"))).await;
    assert_eq!(explained.json()["verdicts"][0]["verdict"], "deliver", "{explained:?}");
    // The project with id 99 may belong to anyone: nothing of it has become the group's.
    for (method, path) in [("GET", "/projects/99"), ("PUT", "/projects/99/integrations/slack")] {
        let response = api.send(&of_group, method, path, &json!({ "webhook": HOOK })).await;
        assert_eq!(refusal(&response), message(404, "404 Project Not Found"), "{method}");
    }
    for (id, path) in [
        (43, "acme/new"),
        (43, "elsewhere/thing"),
        (99, "elsewhere/new"),
        (99, "acme/rocket"),
        (99, "acmes/new"),
    ] {
        let response = hand_in(&of_group, id, path).await;
        assert_eq!(response.status, 403, "{id} {path}: {response:?}");
        assert!(
            response.json()["error"].as_str().unwrap().contains("PUT /api/v4/projects/:id"),
            "it says what to do"
        );
    }
    assert_eq!(api.store.peek(0, Portion::rows(10)).await.unwrap().len(), 1, "and nothing of those is kept");
    // Once a token for everything has named the project, the group's token may use its id and path.
    api.put(&admin, "/projects/99", &json!({ "path_with_namespace": "acme/new" })).await;
    assert_eq!(hand_in(&of_group, 99, "acme/new").await.status, 202);
    assert_eq!(api.get(&of_group, "/projects/99").await.status, 200);
}

fn event_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
