//! `POST /events`.

use super::*;

#[tokio::test]
async fn an_event_is_accepted_under_the_forges_own_id_and_wakes_the_source() {
    let server = TestServer::open().await;
    let answer = answer(server.webhook(push()).header("idempotency-key", "key-1")).await;

    assert_eq!((answer.status, answer.json()), (202, json!({ "id": "key-1", "result": "accepted" })));
    assert_eq!(
        *server.store.events.lock().unwrap(),
        [("key-1".to_owned(), push())],
        "the bytes as they came"
    );
    let woken = tokio::time::timeout(Duration::from_secs(5), server.arrived.notified()).await;
    assert!(woken.is_ok(), "the source is woken");
}

#[tokio::test]
async fn nothing_is_answered_before_the_commit() {
    let server = TestServer::open().await;
    server.store.commits.forget_permits(Semaphore::MAX_PERMITS);
    let request = answer(server.webhook(push()));
    tokio::pin!(request);

    let early = tokio::time::timeout(Duration::from_millis(200), &mut request).await;
    assert!(early.is_err(), "answered without a commit: {early:?}");
    server.store.commits.add_permits(1);
    assert_eq!(request.await.status, 202);
}

#[tokio::test]
async fn a_retry_bears_the_same_key_and_is_known() {
    let server = TestServer::open().await;
    let send = || answer(server.webhook(push()).header("idempotency-key", "key-1"));

    assert_eq!(send().await.json()["result"], "accepted");
    let again = send().await;
    assert_eq!((again.status, again.json()["id"].clone()), (202, json!("key-1")));
    assert_ne!(again.json()["result"], "accepted");
    assert_eq!(server.store.ids().len(), 1);
}

#[tokio::test]
async fn events_that_share_gitlabs_event_uuid_are_still_several() {
    // GitLab gives one UUID to all that one request set off, and to what webhooks set off in turn:
    // https://docs.gitlab.com/user/project/integrations/webhooks/#delivery-headers
    let server = TestServer::open().await;
    let uuid = "13792a34-cac6-4fda-95a8-c58e00a3954e";
    for trigger in [Trigger::Issue, Trigger::Note, Trigger::Issue] {
        let request = server.webhook(sample(trigger).raw).header("x-gitlab-event-uuid", uuid);
        assert_eq!(answer(request).await.status, 202);
    }
    let ids = server.store.ids();
    assert_eq!(ids.len(), 2, "an issue and a comment, and the issue sent again: {ids:?}");
}

#[tokio::test]
async fn the_key_goes_before_the_event_uuid() {
    let server = TestServer::open().await;
    for key in ["key-1", "key-2"] {
        let request =
            server.webhook(push()).header("x-gitlab-event-uuid", "u").header("idempotency-key", key);
        assert_eq!(answer(request).await.json()["id"], key);
    }
}

#[tokio::test]
async fn an_event_without_any_id_gets_a_fresh_one() {
    let server = TestServer::open().await;
    for _ in 0..2 {
        assert_eq!(answer(server.webhook(push())).await.json()["result"], "accepted");
    }
    let ids = server.store.ids();
    assert_eq!(ids.len(), 2, "nothing says that they are the same event: {ids:?}");
    // The time in a UUID of version 7 is the clock's.
    let millis = u64::try_from(NOW.as_millisecond()).unwrap();
    let hex = ids[0].replace('-', "");
    assert_eq!(u64::from_str_radix(&hex[..12], 16).unwrap(), millis, "{ids:?}");
}

#[tokio::test]
async fn an_unwieldy_key_still_makes_repeats_known() {
    let server = TestServer::open().await;
    let long = "k".repeat(5000);
    for _ in 0..2 {
        assert_eq!(answer(server.webhook(push()).header("idempotency-key", &long)).await.status, 202);
    }
    assert_eq!(server.store.ids().len(), 1, "a key that is too long to keep is a key all the same");
}

#[tokio::test]
async fn a_wrong_or_missing_token_is_refused_and_nothing_is_kept() {
    let server = TestServer::open().await;
    for token in [None, Some(""), Some("t0ken"), Some("t0ken-of-the-forge "), Some("T0KEN-OF-THE-FORGE")] {
        let mut request = server.client.post(format!("{}/events", server.base)).body("no event");
        if let Some(token) = token {
            request = request.header("x-gitlab-token", token);
        }
        let answer = answer(request).await;
        // The protocol trims the spaces around a header's value: that one is the right token.
        if token == Some("t0ken-of-the-forge ") {
            assert_ne!(answer.status, 401);
            continue;
        }
        assert_eq!(answer.status, 401, "{token:?}");
        assert!(answer.json()["error"].is_string());
        assert!(!answer.text.contains(TOKEN), "{answer:?}");
    }
    assert_eq!(server.store.ids(), [] as [&str; 0]);
}

#[tokio::test]
async fn who_shows_too_many_wrong_tokens_has_to_wait_and_who_has_the_right_one_does_not() {
    let server = TestServer::open_with(Config { login_failures: 3, ..config() }).await;
    let send = |token: Option<&'static str>| {
        let request = server.client.post(format!("{}/events", server.base)).body(push());
        answer(token.into_iter().fold(request, |request, token| request.header("x-gitlab-token", token)))
    };
    for token in [None, Some(""), Some("guess"), Some("fbt-guess"), None, Some("guess")] {
        assert_eq!(send(token).await.status, 401, "{token:?}");
    }
    for token in ["guess", "fbt-guess"] {
        let response = send(Some(token)).await;
        assert_eq!((response.status, response.json()), (429, json!({ "message": "429 Too Many Requests" })));
        assert_eq!(response.headers["retry-after"], "6");
    }
    assert_eq!(send(None).await.status, 401, "who shows none tries none");
    assert_eq!(send(Some(TOKEN)).await.status, 202);
    assert_eq!(server.store.ids().len(), 1, "and nothing of the others is kept");
}

#[tokio::test]
async fn a_stranger_may_not_fill_the_quarantine() {
    let server = TestServer::open().await;
    let request = server.client.post(format!("{}/events", server.base)).body("no event");
    assert_eq!(answer(request).await.status, 401);
    assert_eq!(server.store.reasons(), [] as [&str; 0]);
}

#[tokio::test]
async fn without_a_configured_token_any_client_may_send_events() {
    let server = TestServer::open_with(Config { webhook_token: None, ..config() }).await;
    let post = || server.client.post(format!("{}/events", server.base)).body(push());
    assert_eq!(answer(post()).await.status, 202);
    let of_a_page = post().header("origin", "https://evil.example");
    assert_eq!(answer(of_a_page).await.status, 403, "a page of another site, in a browser of this machine");
}

#[test]
fn a_blank_token_is_a_mistake_and_opens_nothing() {
    // `FORGEBELL_HTTP_WEBHOOK_TOKEN=$UNSET` must not admit every client.
    let section = |token: &str| {
        toml::from_str::<Config>(&format!(
            "listen = '127.0.0.1:8484'\nbody_limit = 1\nbody_timeout = '10s'\nmetrics = true\npage = true\nlogin_failures = 1\nconnection_limit = 1\n\
             connection_limit_per_client = 1\nhealth_connections = 1\nbody_memory = 1\nanswer_memory = 1\n{token}"
        ))
    };
    assert!(section("").unwrap().webhook_token.is_none());
    assert!(section("webhook_token = 'x'").unwrap().webhook_token.is_some());
    assert!(section("webhook_token = ''").is_err());
    assert!(section("webhook_token = '  '").is_err());
    assert!(section("").unwrap().signing_keys.is_none());
    assert!(section("webhook_signing_key = '  '").is_err());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let server = TestServer::open().await;
    let large = "x".repeat(BODY_LIMIT + 1);
    let response = answer(server.webhook(large)).await;
    assert_eq!(response.status, 413);
    assert!(response.json()["error"].as_str().unwrap().contains("16384"), "{response:?}");
    assert_eq!(server.store.reasons(), [] as [&str; 0]);
}

#[tokio::test]
async fn only_json_is_taken_and_no_word_about_it_is_taken_for_json() {
    let server = TestServer::open().await;
    let send = |kind: &'static str| {
        let url = format!("{}/events", server.base);
        answer(
            server.client.post(url).header("x-gitlab-token", TOKEN).header("content-type", kind).body(push()),
        )
    };
    for kind in
        ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"]
    {
        assert_eq!(send(kind).await.status, 202, "{kind}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "", "json"] {
        let answer = send(kind).await;
        assert_eq!(answer.status, 415, "{kind}");
        assert!(answer.json()["error"].is_string());
    }
    let unsaid =
        server.client.post(format!("{}/events", server.base)).header("x-gitlab-token", TOKEN).body(push());
    assert_eq!(answer(unsaid).await.status, 202);
}

#[tokio::test]
async fn what_is_no_event_is_refused_with_the_reason_and_kept() {
    let server = TestServer::open().await;
    for (body, status) in [
        ("{\"object_kind\": \"push\"", 400),
        ("", 400),
        ("[1, 2]", 400),
        ("{\"hello\": \"world\"}", 400),
        ("{\"object_kind\": \"push\", \"ref\": 7}", 400),
    ] {
        let answer = answer(server.webhook(body).header("idempotency-key", "bad")).await;
        assert_eq!(answer.status, status, "{body}");
        let reason = answer.json()["error"].as_str().unwrap().to_owned();
        let quarantine = server.store.quarantine.lock().unwrap();
        let kept = quarantine.last().unwrap();
        assert_eq!((&kept.reason, kept.raw.as_ref()), (&reason, body.as_bytes()));
        assert_eq!((kept.source, kept.received_at), ("http", NOW));
        assert_eq!(kept.id.as_ref().map(ToString::to_string).as_deref(), Some("bad"));
    }
    assert_eq!(server.store.reasons().len(), 5);
    assert_eq!(server.store.ids(), [] as [&str; 0]);
}

#[tokio::test]
async fn an_unknown_kind_is_quarantined_without_giving_gitlab_a_reason_to_disable_the_webhook() {
    let server = TestServer::open().await;
    let answer = answer(server.webhook("{\"object_kind\": \"unheard_of\"}")).await;
    assert_eq!(answer.status, 202);
    let result = answer.json()["result"].as_str().unwrap().to_owned();
    assert!(result.starts_with("quarantined") && result.contains("unheard_of"), "{result}");
    assert_eq!(server.store.reasons().len(), 1);
}

#[tokio::test]
async fn a_kind_that_no_integration_takes_is_taken_for_dispatch_which_counts_it() {
    let server = TestServer::open().await;
    let mut hidden: Value = serde_json::from_slice(&push()).unwrap();
    hidden["ref"] = "refs/merge-requests/1/head".into();
    let payloads = [
        (
            "emoji",
            Bytes::from_static(include_bytes!("../../../payloads/emoji_award.json")),
            "no integration takes `emoji` events",
        ),
        (
            "user",
            Bytes::from_static(include_bytes!("../../../payloads/reported/05b_user_create.json")),
            "no integration takes `user` events",
        ),
        (
            "hidden",
            hidden.to_string().into(),
            "the ref `refs/merge-requests/1/head` is neither a branch nor a tag",
        ),
    ];
    for (kind, body, why) in payloads {
        let answer = answer(server.webhook(body).header("idempotency-key", kind)).await;
        assert_eq!(answer.status, 202);
        assert_eq!(answer.json()["result"], format!("dropped: {why}"));
        assert_eq!(server.store.reasons().len(), 0, "{kind}");
        assert!(server.store.ids().iter().any(|id| *id == kind), "{kind} is not in the inbox");
    }
}

#[tokio::test]
async fn while_the_store_is_unavailable_the_sender_is_asked_to_send_the_event_again() {
    let server = TestServer::open().await;
    server.store.away.store(true, Ordering::Relaxed);
    for body in [push(), Bytes::from_static(b"no event")] {
        let answer = answer(server.webhook(body)).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.headers["retry-after"], "5");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.ends_with("the event was not stored, send it again"), "{message}");
    }

    server.store.away.store(false, Ordering::Relaxed);
    assert_eq!(answer(server.webhook(push())).await.status, 202, "and the same event is new");
}

#[tokio::test]
async fn a_store_that_never_answers_does_not_keep_the_sender_for_ever() {
    let server = TestServer::open().await;
    server.store.commits.forget_permits(Semaphore::MAX_PERMITS);
    let patient = server.webhook(push()).timeout(Duration::from_secs(30));
    let answer = answer(patient).await;
    assert_eq!(answer.status, 503, "GitLab itself gives up after ten seconds");
    assert_eq!(answer.headers["retry-after"], "5");
}
