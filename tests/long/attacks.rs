//! What the daemon has of memory under attacks on its HTTP server. Each test prints its figures.
//!
//! The daemon is a process of its own. Its peak (`VmHWM`) has to stay below 400 MB, which is what the documentation
//! promises with the default limits, and the memory comes back after the attack. The attackers come from many addresses,
//! because the shares of one are smaller.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use forgebell::store::registry::{Right, ScopeKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness;
use crate::harness::attack::{Attack, Habit, at_most};
use crate::harness::process::DaemonProcess;
use crate::harness::wait::eventually;

const TOKEN: &str = "t0ken-of-the-forge";
const PROMISED_MB: u64 = 400;
/// What may be left of an attack: pieces of memory that the allocator keeps for later.
const LEFT_MB: u64 = 100;

fn addresses() -> Vec<Ipv4Addr> {
    (20..60).map(|last| Ipv4Addr::new(127, 0, 0, last)).collect()
}

fn post(body_length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /events HTTP/1.1\r\nhost: x\r\nx-gitlab-token: {TOKEN}\r\ncontent-length: {body_length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

async fn daemon() -> DaemonProcess {
    DaemonProcess::start(&[&format!("http.webhook_token={TOKEN}")]).await
}

/// Attacks for some seconds, and looks at the daemon's memory during and after.
async fn stays_small(name: &str, daemon: &DaemonProcess, count: usize, habit: Habit) {
    let before = daemon.memory();
    let mut attack = Attack::new();
    attack.add(count, &addresses(), daemon.address(), &habit);
    tokio::time::sleep(Duration::from_secs(12)).await;
    let (during, open) = (daemon.memory(), attack.open());
    drop(attack);
    compare(name, daemon, before.now, &format!("{open} of {count} connections open, {} MB", during.now))
        .await;
}

async fn compare(name: &str, daemon: &DaemonProcess, before: u64, during: &str) {
    let mut left = 0;
    let given_back = async {
        eventually("the memory comes back", Duration::from_secs(60), async || {
            // An allocator gives memory back when it is used.
            let alive = harness::client().get(format!("http://{}/healthz", daemon.address())).send().await;
            left = daemon.memory().now;
            (alive.is_ok() && left <= before + LEFT_MB).then_some(())
        })
        .await;
    };
    given_back.await;
    let peak = daemon.memory().peak;
    eprintln!("{name}: {before} MB before, {during} during, {peak} MB at most, {left} MB after");
    assert!(peak < PROMISED_MB, "{name}: {peak} MB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_ten_megabytes_that_do_not_end() {
    let daemon = daemon().await;
    let habit = Habit::Silent(Arc::new(post(10_000_000, &b"[".repeat(9_000_000))));
    stays_small("150 unfinished bodies of 10 MB", &daemon, 150, habit).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifteen_hundred_connections_with_large_heads() {
    let daemon = daemon().await;
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: {}", "a".repeat(60_000));
    let count = at_most(1500);
    stays_small("connections with 60 kB of a head", &daemon, count, Habit::Silent(Arc::new(head.into())))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_that_is_deep_or_has_many_values() {
    let daemon = daemon().await;
    let before = daemon.memory().now;
    let wide = |value: &str| {
        format!(
            "{{\"object_kind\":\"push\",\"commits\":[{}{value}]}}",
            format!("{value},").repeat(9_000_000 / (value.len() + 1))
        )
    };
    let bodies = [
        "[".repeat(10_000_000),
        format!("{{\"object_kind\":{}", "{\"a\":".repeat(1_900_000)),
        wide("{}"),
        wide("[]"),
        wide("1"),
    ];
    for body in bodies {
        let what: String = body.chars().take(60).collect();
        let request = Arc::new([post(body.len(), body.as_bytes())].concat());
        let mut sent = tokio::task::JoinSet::new();
        for from in addresses() {
            sent.spawn(answer(from, daemon.address(), Arc::clone(&request)));
        }
        let answers = sent.join_all().await;
        let refused = answers.iter().filter(|status| *status == "HTTP/1.1 503").count();
        eprintln!("{what}…: {} answers, {refused} of them 503, {:?}", answers.len(), daemon.memory());
        assert!(
            answers.iter().all(|status| ["HTTP/1.1 400", "HTTP/1.1 503"].contains(&status.as_str())),
            "{answers:?}"
        );
    }
    compare("deep and wide JSON", &daemon, before, "40 bodies of 10 MB at once").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_answers_that_are_not_read() {
    let daemon = daemon().await;
    let token = daemon.home.token(ScopeKey::Instance, Right::Read).await;
    // What is in quarantine is shown whole.
    let junk = post(10_000_000, &b"x".repeat(10_000_000));
    let status = answer(Ipv4Addr::LOCALHOST, daemon.address(), Arc::new(junk)).await;
    assert_eq!(status, "HTTP/1.1 400");
    let request = format!("GET /api/v4/quarantine/1 HTTP/1.1\r\nhost: x\r\nprivate-token: {token}\r\n\r\n");
    let status = answer(Ipv4Addr::LOCALHOST, daemon.address(), Arc::new(request.clone().into())).await;
    assert_eq!(status, "HTTP/1.1 200");
    stays_small("unread answers of 10 MB", &daemon, 150, Habit::DoesNotRead(Arc::new(request.into()))).await;
}

/// Sends a request, and returns the status of its answer.
async fn answer(from: Ipv4Addr, to: SocketAddr, request: Arc<Vec<u8>>) -> String {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from((from, 0))).expect("an address of the loopback network");
    let mut stream: TcpStream = socket.connect(to).await.expect("the daemon listens");
    let (mut read, mut write) = stream.split();
    let mut status = [0; 12];
    let answered = async {
        // A client that is refused reads the answer, and may not get rid of the rest.
        let (_, answered) = tokio::join!(write.write_all(&request), read.read_exact(&mut status));
        answered.map(drop)
    };
    match tokio::time::timeout(Duration::from_secs(120), answered).await {
        Ok(Ok(())) => String::from_utf8_lossy(&status).into_owned(),
        other => format!("{other:?}"),
    }
}
