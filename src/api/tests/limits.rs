//! Limits of connections and memory for one client, and the rest for others.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::server::{heard, say};
use super::*;

/// Another address of the loopback network.
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn of_two() -> Config {
    Config { connection_limit: 8, connection_limit_per_client: 2, ..config() }
}

/// Connects from an address, sends bytes, and keeps the connection.
async fn open(server: &TestServer, from: Ipv4Addr, bytes: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    let mut stream = socket.connect(server.address().parse().unwrap()).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

fn event(headers: &str) -> String {
    let body = String::from_utf8(push().to_vec()).unwrap();
    format!(
        "POST /events HTTP/1.1\r\nhost: x\r\nx-gitlab-token: {TOKEN}\r\nconnection: close\r\n{headers}content-length: \
         {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request whose body is awaited by the handler: the server says so by `100 Continue`.
async fn awaited(server: &TestServer, headers: &str) -> TcpStream {
    let head = event(headers).replace("connection: close", "expect: 100-continue");
    let (head, _) = head.split_once('{').unwrap();
    let mut stream = open(server, Ipv4Addr::LOCALHOST, head).await;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 100");
    stream
}

#[tokio::test]
async fn who_has_its_share_gets_503_and_health_and_others_get_in() {
    let server = TestServer::open_with(of_two()).await;
    let half = "POST /events HTTP/1.1\r\nhost:";
    let _held =
        [open(&server, Ipv4Addr::LOCALHOST, half).await, open(&server, Ipv4Addr::LOCALHOST, half).await];

    let refused = say(&server, &event("")).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(
        refused.contains("retry-after: 2\r\n") && refused.contains("connection_limit_per_client"),
        "{refused}"
    );
    let health = say(&server, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 200 ") && health.contains("connection: close"), "{health}");

    let accepted = heard(open(&server, OTHER, &event("")).await).await;
    assert!(accepted.starts_with("HTTP/1.1 202 "), "{accepted}");
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_its_share() {
    let body_timeout = Duration::from_secs(10);
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let server = TestServer::open_with(Config { body_timeout, trusted_proxies, ..of_two() }).await;
    let one = "x-forwarded-for: 192.0.2.1\r\n";
    let _held = [awaited(&server, one).await, awaited(&server, one).await];

    let refused = say(&server, &event(one)).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    for _ in 0..4 {
        let accepted = say(&server, &event("x-forwarded-for: 192.0.2.2\r\n")).await;
        assert!(accepted.starts_with("HTTP/1.1 202 "), "{accepted}");
    }
}

#[tokio::test]
async fn when_the_quarantine_is_full_a_kind_that_is_not_known_is_still_answered_with_202() {
    let server = TestServer::open().await;
    let send = async || answer(server.webhook(r#"{"object_kind":"never_heard_of"}"#)).await;
    for _ in 0..30 {
        assert!(send().await.json()["result"].as_str().unwrap().starts_with("quarantined: "));
    }
    let full = send().await;
    assert_eq!(full.status, 202);
    assert!(full.json()["result"].as_str().unwrap().starts_with("not kept, because the quarantine is full"));
    assert_eq!(server.store.reasons().len(), 30);
}

#[tokio::test]
async fn when_all_places_are_taken_the_longest_silent_connection_gives_way() {
    let server = TestServer::open_with(Config { connection_limit: 2, ..of_two() }).await;
    let silent = open(&server, OTHER, "POST /events").await;
    let newer = open(&server, OTHER, "").await;
    let accepted = say(&server, &event("")).await;
    assert!(accepted.starts_with("HTTP/1.1 202 "), "{accepted}");
    assert_eq!(heard(silent).await, "", "it was closed");
    drop(newer);
}

#[tokio::test]
async fn large_bodies_that_do_not_end_leave_memory_for_the_events_of_others() {
    let (body_limit, body_timeout) = (1_000_000, Duration::from_secs(30));
    let server = TestServer::open_with(Config { body_limit, body_timeout, ..config() }).await;
    let large = |size: usize| {
        let head = event("").replace("connection: close\r\n", "");
        let (head, _) = head.split_once("content-length").unwrap();
        format!("{head}content-length: {size}\r\n\r\n{}", "x".repeat(size * 2 / 3))
    };
    // The first takes all that one client may have, and the second waits until it is refused.
    let _held = open(&server, Ipv4Addr::LOCALHOST, &large(900_000)).await;
    let second = large(300_000);
    let (refused, accepted) = tokio::join!(say(&server, &second), async {
        heard(open(&server, Ipv4Addr::LOCALHOST, &event("")).await).await
    });
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("http.body_memory"), "{refused}");
    assert!(accepted.starts_with("HTTP/1.1 202 "), "small events need none of it: {accepted}");
}
