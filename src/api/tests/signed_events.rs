//! `POST /events` with signatures. They were made by another implementation: see `signed_webhooks.json`.

use super::server::say;
use super::*;
use crate::api::SigningKeys;

fn vector() -> Value {
    serde_json::from_str(include_str!("signed_webhooks.json")).unwrap()
}

fn with_key(webhook_token: Option<&str>) -> Config {
    let keys = SigningKeys::parse(vector()["keys"][0].as_str().unwrap()).unwrap();
    Config { webhook_token: webhook_token.map(Secret::new), signing_keys: Some(keys), ..config() }
}

/// The signed request, with one of the vector's signatures and without any token.
fn signed(server: &TestServer, by: usize) -> reqwest::RequestBuilder {
    let vector = vector();
    let text = |name: &str| vector[name].as_str().unwrap().to_owned();
    server
        .client
        .post(format!("{}/events", server.base))
        .header("content-type", "application/json")
        .header("webhook-id", text("id"))
        .header("webhook-timestamp", vector["timestamp"].to_string())
        .header("webhook-signature", vector["signatures"][by].as_str().unwrap())
        .body(text("body"))
}

#[tokio::test]
async fn a_valid_signature_needs_no_token_and_its_id_is_the_events() {
    assert_eq!(vector()["timestamp"], NOW.as_second());
    for token in [None, Some(TOKEN)] {
        let server = TestServer::open_with(with_key(token)).await;
        let taken = answer(signed(&server, 0).header("idempotency-key", "unsigned")).await;
        assert_eq!(
            (taken.status, taken.json()),
            (202, json!({ "id": vector()["id"], "result": "accepted" }))
        );
        // A copy is recognised, even with other unsigned headers.
        let copy = answer(signed(&server, 0).header("idempotency-key", "another")).await;
        assert!(copy.json()["result"].as_str().unwrap().starts_with("known"), "{copy:?}");
        assert_eq!(server.store.ids(), [vector()["id"].as_str().unwrap()]);
    }
}

#[tokio::test]
async fn a_bad_signature_is_refused_whatever_the_token() {
    let server = TestServer::open_with(with_key(Some(TOKEN))).await;
    for request in [
        signed(&server, 1),
        signed(&server, 0).body(push()),
        signed(&server, 0).header("webhook-id", "second"),
        server.webhook(push()).header("webhook-signature", "v1,c2ln"),
        server.webhook(push()).header("webhook-signature", ""),
    ] {
        let refused = answer(request.header("x-gitlab-token", TOKEN)).await;
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(refused.json()["error"].as_str().unwrap().contains("signature is refused"), "{refused:?}");
    }
    assert_eq!((server.store.ids(), server.store.reasons()), (vec![], vec![]));
}

/// Otherwise a client without a key could have the server keep bodies for it.
#[tokio::test]
async fn headers_that_can_not_be_a_valid_signature_are_refused_before_the_body_comes() {
    let server = TestServer::open_with(with_key(None)).await;
    let (now, vector) = (NOW.as_second(), vector());
    let signature = vector["signatures"][0].as_str().unwrap();
    for (timestamp, signature) in [
        (now - 301, signature),
        (now + 301, signature),
        (now, "v1,c2ln"),
        (now, "v1a,c2ln"),
        (now, "v1,not Base64"),
        (now, " "),
    ] {
        let head = format!(
            "POST /events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 9999\r\nwebhook-id: 1\r\n\
             webhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n\r\n"
        );
        let refused = say(&server, &head).await;
        assert!(refused.starts_with("HTTP/1.1 401 "), "{timestamp} {signature}: {refused}");
    }
}

#[tokio::test]
async fn bad_signatures_are_limited_as_wrong_tokens_are_and_good_ones_are_not() {
    let server = TestServer::open_with(Config { login_failures: 2, ..with_key(None) }).await;
    for status in [401, 401, 429] {
        assert_eq!(answer(signed(&server, 1)).await.status, status);
    }
    assert_eq!(answer(signed(&server, 0)).await.status, 202);
}

#[tokio::test]
async fn a_token_admits_unsigned_events_and_a_key_alone_closes_the_route_to_them() {
    let both = TestServer::open_with(with_key(Some(TOKEN))).await;
    assert_eq!(answer(both.webhook(push())).await.status, 202);
    let key_alone = TestServer::open_with(with_key(None)).await;
    let unsigned = || key_alone.client.post(format!("{}/events", key_alone.base)).body(push());
    let refused = answer(unsigned()).await;
    assert_eq!(refused.status, 401);
    assert!(refused.json()["error"].as_str().unwrap().contains("webhook-signature"), "{refused:?}");
    assert_eq!(answer(unsigned().header("x-gitlab-token", TOKEN)).await.status, 401);
    assert_eq!(key_alone.store.ids(), [] as [&str; 0]);
}

#[tokio::test]
async fn without_a_key_the_token_counts_alone() {
    let server = TestServer::open().await;
    assert_eq!(answer(signed(&server, 1)).await.status, 401);
    assert_eq!(answer(signed(&server, 1).header("x-gitlab-token", TOKEN)).await.status, 202);
}
