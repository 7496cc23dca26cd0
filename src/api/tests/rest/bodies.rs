//! Parameters in every form, and invalid ones.

use super::*;

const SLACK: &str = "/projects/42/integrations/slack";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn json_forms_and_queries_set_the_same() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let put = || api.request("PUT", SLACK).header("private-token", &admin);
    let edge = "multipart/form-data; boundary=edge";
    let part = |name: &str, value: &str| {
        format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts = format!("{}{}--edge--\r\n", part("webhook", HOOK), part("push_events", "no"));
    let object = json!({ "webhook": HOOK, "push_events": false }).to_string();
    let query = encoded(&[("webhook", HOOK), ("push_events", "F")]);
    for request in [
        put().header("content-type", "application/json").body(object),
        form(put(), &[("webhook", HOOK), ("push_events", "0")]),
        api.request("PUT", &format!("{SLACK}?{query}")).header("private-token", &admin),
        put().header("content-type", edge).body(parts),
    ] {
        let response = answer(request).await;
        assert_eq!((response.status, &response.json()["push_events"]), (200, &json!(false)), "{response:?}");
    }
}

#[tokio::test]
async fn unknown_slugs_are_answered_as_gitlab_does() {
    let api = Api::open().await;
    let admin = api.admin().await;
    api.project(42, "acme/rocket").await;
    for path in ["/projects/42/integrations/slak", "/groups/acme/services/slak", "/integrations/slak"] {
        api.group("acme").await;
        for method in ["GET", "DELETE"] {
            let response = api.ask(&admin, method, path).await;
            assert_eq!(refusal(&response), error(400, "slug does not have a valid value"), "{method} {path}");
        }
        let put = api.put(&admin, path, &json!({})).await;
        assert_eq!(refusal(&put), error(404, "404 Not Found"), "{path}");
    }
    // A service that GitLab has and Forgebell does not offer is answered like one that was never set.
    for path in ["/projects/42/integrations/mock-monitoring", "/projects/42/services/mock_monitoring"] {
        for method in ["GET", "PUT", "DELETE"] {
            let response = api.ask(&admin, method, path).await;
            assert_eq!(refusal(&response), message(404, "404 Integration Not Found"), "{method} {path}");
        }
    }
    let post = api.ask(&admin, "POST", SLACK).await;
    assert_eq!(refusal(&post), error(405, "405 Not Allowed"));
    assert_eq!(post.headers["allow"], "GET,HEAD,PUT,DELETE");
    let none = api.get(&admin, "/nonsense").await;
    assert_eq!(refusal(&none), error(404, "404 Not Found"));
}

#[tokio::test]
async fn tricks_in_a_path_lead_nowhere() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let long = "x".repeat(10_000);
    for id in [
        "99999999999999999999999999",
        "9223372036854775808",
        "-1",
        "0",
        "rocket",
        "acme%2F..%2Frocket",
        "acme%2F%2Frocket",
        "acme%00%2Frocket",
        "acme%2Frocket%00",
        "acme%2F%FF",
        "%2Facme%2Frocket",
        "acme%2F%2e%2e",
        "acme%5Crocket",
        &long,
    ] {
        let response = api.get(&admin, &format!("/projects/{id}/integrations")).await;
        assert_eq!(refusal(&response), message(404, "404 Project Not Found"), "{id}");
        let put =
            api.put(&admin, &format!("/projects/{id}/integrations/slack"), &json!({ "webhook": HOOK })).await;
        assert_eq!(refusal(&put), message(404, "404 Project Not Found"), "{id}");
    }
}

#[tokio::test]
async fn bad_bodies_have_their_answers() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let put = async |kind: &str, body: Vec<u8>| {
        let request = api.request("PUT", SLACK).header("private-token", &admin);
        answer(request.header("content-type", kind).body(body)).await
    };
    let deep = format!("{{\"webhook\":{}", "[".repeat(500_000));
    let long = json!({ "webhook": HOOK, "username": "x".repeat(1_000_000) }).to_string();
    for (kind, body, status) in [
        (JSON, b"{\"webhook\":".to_vec(), 400),
        (JSON, b"[]".to_vec(), 400),
        (JSON, deep.into_bytes(), 400),
        (JSON, b"{\"webhook\":\"\xff\"}".to_vec(), 400),
        (JSON, b"{\"webhook\":{\"a\":1}}".to_vec(), 400),
        (JSON, br#"{"webhook":"a\u0000b"}"#.to_vec(), 400),
        (JSON, long.into_bytes(), 400),
        (FORM, b"webhook=%FF".to_vec(), 400),
        (FORM, b"webhook[]=a".to_vec(), 400),
        ("multipart/form-data; boundary=edge", b"--edge\r\n".to_vec(), 400),
        ("multipart/form-data", b"--edge--\r\n".to_vec(), 400),
        ("text/plain", b"webhook=a".to_vec(), 415),
        (JSON, vec![b' '; 2 * 1024 * 1024], 413),
    ] {
        let response = put(kind, body).await;
        assert_eq!(response.status, status, "{kind}: {response:?}");
        assert!(response.json().is_object());
    }
    assert_eq!(api.get(&admin, "/projects/42").await.status, 404, "nothing was kept");
}

#[tokio::test]
async fn slow_and_half_bodies_end_their_connection() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let head = |token: &str, length: usize| {
        format!(
            "PUT /api/v4{SLACK} HTTP/1.1\r\nhost: x\r\n{token}content-type: application/json\r\n\
             content-length: {length}\r\n\r\n{{\"webhook\""
        )
    };
    let known = format!("private-token: {admin}\r\n");
    let response = say(&api, &head(&known, 100)).await;
    assert!(response.starts_with("http/1.1 408 ") && response.contains("connection: close"), "{response}");
    // A caller without a token in a header may send it in the body, within the same time limit.
    let response = say(&api, &head("", 100)).await;
    assert!(response.starts_with("http/1.1 408 ") && response.contains("connection: close"), "{response}");
    let response = say(&api, &head(&known, 50 * 1024 * 1024)).await;
    assert!(response.starts_with("http/1.1 413 ") && response.contains("connection: close"), "{response}");
}

#[tokio::test]
async fn an_unreadable_query_reveals_no_more_than_a_readable_one() {
    let api = Api::open().await;
    api.project(42, "acme/rocket").await;
    let admin = api.admin().await;
    let reader = api.token(ScopeKey::Instance, Right::Read).await;
    let of_other = api.token(ScopeKey::Project(43), Right::Maintain).await;
    let unreadable = format!("{SLACK}?webhook=%FF");
    let not_utf8 = error(400, "the parameters are not valid UTF-8");
    for token in ["", "fbt-wrong"] {
        for (method, path) in [("PUT", unreadable.as_str()), ("GET", "/projects?x=%FF")] {
            assert_eq!(refusal(&api.ask(token, method, path).await), message(401, "401 Unauthorized"));
        }
    }
    assert_eq!(api.ask(&reader, "PUT", &unreadable).await.status, 403);
    let unseen = api.ask(&of_other, "PUT", &unreadable).await;
    assert_eq!(refusal(&unseen), message(404, "404 Project Not Found"));
    for path in [unreadable, "/projects/42?default_branch=%FF".to_owned()] {
        assert_eq!(refusal(&api.ask(&admin, "PUT", &path).await), not_utf8, "{path}");
    }
    assert_eq!(refusal(&api.get(&admin, "/projects?per_page=%FF").await), not_utf8);
    let in_query = api.request("GET", &format!("/projects?private_token={admin}&x=%FF"));
    assert_eq!(answer(in_query).await.status, 401, "what can't be read holds no token");
}

/// Many clients send all that they have before they listen.
#[tokio::test]
async fn a_client_that_is_refused_while_still_sending_gets_the_answer() {
    let api = Api::open().await;
    let admin = api.admin().await;
    let body = "x".repeat(5_000_000);
    let put = |token: &str| {
        format!(
            "PUT /api/v4/projects/42/integrations/slack HTTP/1.1\r\nhost: x\r\nprivate-token: {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let response = say(&api, &put(&admin)).await;
    assert!(response.starts_with("http/1.1 413 ") && response.contains("connection: close"), "{response}");
    // Where nothing is wrong with the body, the connection is as good as new.
    let next = "GET /api/v4/nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let response = say(&api, &format!("{}{next}", put("fbt-wrong"))).await;
    assert!(response.starts_with("http/1.1 401 ") && response.contains("http/1.1 404 "), "{response}");
}
