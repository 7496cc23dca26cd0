//! Health, metrics, unknown task, and rude callers.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

#[tokio::test]
async fn it_lives_even_while_it_is_not_ready() {
    let server = TestServer::open().await;
    server.store.away.store(true, Ordering::Relaxed);
    assert_eq!(server.get("/healthz").await.status, 200);
    assert_eq!(server.get("/readyz").await.status, 503);
}

#[tokio::test]
async fn readiness_names_each_part_and_why_it_is_not_ready() {
    let server = TestServer::open().await;
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.json(), json!({ "status": "ready", "store": "ok" }), "there is no broker");

    *server.broker.lock().unwrap() = Some(Ok(()));
    let expected = json!({ "status": "ready", "store": "ok", "broker": "ok" });
    assert_eq!(server.get("/readyz").await.json(), expected);
    *server.broker.lock().unwrap() = Some(Err("away since noon".to_owned()));
    let ready = server.get("/readyz").await;
    let expected = json!({ "status": "ready", "store": "ok", "broker": "away since noon" });
    assert_eq!(
        (ready.status, ready.json()),
        (200, expected),
        "events over HTTP are taken without the broker"
    );

    server.store.away.store(true, Ordering::Relaxed);
    assert!(server.get("/readyz").await.json()["store"].as_str().unwrap().contains("the disk is full"));
}

/// The store's words name files and hosts.
#[tokio::test]
async fn readiness_tells_other_hosts_which_part_failed_and_not_why() {
    let server = TestServer::open().await;
    let remote = async || {
        let request = server.client.get(format!("{}/readyz", server.base));
        answer(request.header("x-forwarded-for", "203.0.113.7")).await
    };
    *server.broker.lock().unwrap() = Some(Ok(()));
    let expected = json!({ "status": "ready", "store": "ok", "broker": "ok" });
    assert_eq!(remote().await.json(), expected);
    *server.broker.lock().unwrap() = Some(Err("no login as forge at mq.example".to_owned()));
    server.store.away.store(true, Ordering::Relaxed);
    let failed = remote().await;
    assert_eq!(failed.status, 503);
    for part in ["store", "broker"] {
        let words = failed.json()[part].as_str().unwrap().to_owned();
        assert!(words.starts_with("failed; the daemon's log says why"), "{part}: {words}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_not_ready() {
    let server = TestServer::open().await;
    server.store.commits.forget_permits(Semaphore::MAX_PERMITS);
    let not = server.get("/readyz").await;
    assert_eq!((not.status, not.json()["store"].clone()), (503, json!("the store does not answer")));
}

#[tokio::test]
async fn metrics_are_shown_where_they_are_wanted() {
    let server = TestServer::open().await;
    let shown = server.get("/metrics").await;
    assert_eq!(shown.status, 200);
    assert!(shown.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    assert!(shown.text.contains("forgebell_build_info"), "{}", shown.text);

    let quiet = TestServer::open_with(Config { metrics: false, ..config() }).await;
    assert_eq!(quiet.get("/metrics").await.status, 404);
}

#[tokio::test]
async fn unknown_routes_and_methods_are_answered_in_json() {
    let server = TestServer::open().await;
    for path in ["/events/", "/api/v5/projects", "/api/v4", "/%00", "/healthz/../events"] {
        let answer = server.get(path).await;
        if path == "/healthz/../events" {
            // The client walks the path itself: this is a GET of `/events`.
            assert_eq!(answer.status, 405);
            continue;
        }
        assert_eq!((answer.status, answer.json()), (404, json!({ "error": "404 Not Found" })), "{path}");
    }
    let get = server.get("/events").await;
    assert_eq!(get.status, 405);
    assert!(get.json()["error"].as_str().unwrap().starts_with("405 "));
    assert_eq!(get.headers["allow"], "POST");
    let post = answer(server.client.post(format!("{}/healthz", server.base))).await;
    assert_eq!(post.status, 405);
}

/// Sends bytes over a bare connection, and reads until it is closed.
pub(super) async fn say(server: &TestServer, words: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(words.as_bytes()).await.unwrap();
    heard(stream).await
}

pub(super) async fn heard(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection stays open: {:?}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

fn head(length: usize) -> String {
    format!("POST /events HTTP/1.1\r\nhost: x\r\nx-gitlab-token: {TOKEN}\r\ncontent-length: {length}\r\n\r\n")
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = TestServer::open().await;
    let answer = say(&server, &format!("{}{{\"object_kind\"", head(100))).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(server.store.reasons(), [] as [&str; 0], "an incomplete body is not kept");
}

#[tokio::test]
async fn a_body_without_a_length_does_not_bypass_the_limit() {
    let server = TestServer::open().await;
    let head = head(0).replace("content-length: 0", "transfer-encoding: chunked");
    let chunk = "x".repeat(BODY_LIMIT + 1);
    let answer = say(&server, &format!("{head}{:x}\r\n{chunk}\r\n0\r\n\r\n", chunk.len())).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(server.store.reasons(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_kept() {
    let server = TestServer::open().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(format!("{}{{\"object_kind\"", head(100)).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    heard(stream).await;
    assert_eq!(server.get("/healthz").await.status, 200);
    assert_eq!((server.store.ids().len(), server.store.reasons().len()), (0, 0));
}

#[tokio::test]
async fn nonsense_and_endless_headers_are_turned_away() {
    let server = TestServer::open().await;
    let nonsense = say(&server, "\u{16}\u{3}\u{1} hello\r\n\r\n").await;
    assert!(nonsense.starts_with("HTTP/1.1 400 "), "{nonsense}");

    let many: String = (0..500).map(|i| format!("x-{i}: y\r\n")).collect::<Vec<_>>().concat();
    let answer = say(&server, &format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");

    let odd = "GET /healthz HTTP/1.1\r\nhost: x\r\nx-gitlab-token: \u{e9}\r\nconnection: close\r\n\r\n";
    assert!(say(&server, odd).await.starts_with("HTTP/1.1 200 "));
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

#[tokio::test]
async fn a_request_without_a_host_or_with_two_is_refused_in_plain_text() {
    let server = TestServer::open().await;
    for hosts in ["", "host: a\r\nhost: a\r\n", "host: a\r\nHost: b\r\n", "host: a@b\r\n"] {
        let answer = say(&server, &format!("GET /healthz HTTP/1.1\r\n{hosts}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{hosts:?}: {answer}");
        assert!(answer.contains("content-type: text/plain"), "{answer}");
        assert!(answer.contains("header Host"), "{answer}");
    }
    // A body that is still to come does not keep the answer back.
    let answer = say(&server, "POST /events HTTP/1.1\r\ncontent-length: 1000\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let old = say(&server, "GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 "), "{old}");
}

#[tokio::test]
async fn a_head_whose_lines_end_with_a_line_feed_alone_is_refused() {
    let server = TestServer::open().await;
    for head in [
        "GET /healthz HTTP/1.1\nhost: x\n\n",
        "GET /healthz HTTP/1.1\r\nhost: x\nx-y: z\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n\n",
        "\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let answer = say(&server, head).await;
        assert_eq!(statuses(&answer), ["400"], "{head:?}: {answer}");
    }
    // The same in a head that follows the body of another request.
    let second = "{}GET /healthz HTTP/1.1\r\nhost: x\nx: y\r\n\r\n";
    let answer = say(&server, &format!("{}{second}", head(2))).await;
    assert_eq!(statuses(&answer), ["400", "400"], "no event, and no head: {answer}");
    assert_eq!(server.store.reasons().len(), 1);
}

/// Four requests on one connection: with a length, chunked with line feeds in the body and a trailer, without a body, and
/// without one at the end.
fn four_requests() -> String {
    let event = String::from_utf8(push().to_vec()).unwrap();
    let chunked = head(0).replace("content-length: 0", "transfer-encoding: chunked\r\nidempotency-key: two");
    let one = head(event.len()).replace("host: x", "host: x\r\nidempotency-key: one");
    let get = "GET /healthz HTTP/1.1\r\nhost: x\r\n";
    let (half, rest) = event.split_at(100);
    format!(
        "{one}{event}{chunked}{:x}\r\n{half}\r\n{:x};note\r\n{rest}\n\n\n\r\n0\r\nx-end: 1\r\n\r\n{get}\r\n{get}connection: \
         close\r\n\r\n",
        half.len(),
        rest.len() + 3,
    )
}

#[tokio::test]
async fn requests_that_come_one_behind_the_other_are_answered_in_their_order() {
    let server = TestServer::open().await;
    let answers = say(&server, &four_requests()).await;
    assert_eq!(statuses(&answers), ["202", "202", "200", "200"], "{answers}");
    assert_eq!(server.store.ids(), ["one", "two"]);
}

#[tokio::test]
async fn requests_that_come_in_small_pieces_are_answered_all_the_same() {
    let server = TestServer::open_with(Config { body_timeout: Duration::from_secs(10), ..config() }).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in four_requests().as_bytes().chunks(7) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    let answers = heard(stream).await;
    assert_eq!(statuses(&answers), ["202", "202", "200", "200"], "{answers}");
}

#[tokio::test]
async fn who_never_finishes_a_head_is_shown_out() {
    let server = TestServer::open().await;
    let stream = {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(b"POST /events HTTP/1.1\r\nhost:").await.unwrap();
        stream
    };
    heard(stream).await;
}

#[tokio::test]
async fn stopping_finishes_requests_under_way_and_waits_for_no_idle_connection() {
    let mut server = TestServer::open().await;
    // One that is silent, one in the middle of a head, and an event that waits for its commit.
    let silent = TcpStream::connect(server.address()).await.unwrap();
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    slow.write_all(b"POST /events HTTP/1.1\r\nhost:").await.unwrap();
    server.store.commits.forget_permits(Semaphore::MAX_PERMITS);
    let mut under_way = JoinSet::new();
    under_way.spawn(answer(server.webhook(push()).header("idempotency-key", "last")));
    // It must have come in before we stop.
    tokio::time::sleep(Duration::from_millis(200)).await;

    server.stop.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(server.address()).await.is_err(), "the port is closed at once");
    server.store.commits.add_permits(1);
    assert_eq!(under_way.join_next().await.unwrap().unwrap().status, 202);

    let shut = tokio::time::timeout(Duration::from_secs(15), server.task.join_next()).await;
    assert!(shut.is_ok(), "one who dawdles keeps the daemon from stopping");
    drop((silent, slow));
}
