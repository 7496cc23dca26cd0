//! The surroundings of the daemon in a test. They fail in the ways that a test asks for.
//!
//! * [`api`]: a client of the daemon's API, with a token.
//! * [`attack`]: connections that misbehave, many at once.
//! * [`authority`]: makes certificates of a private authority.
//! * [`bursts`]: events that show whether the order is kept.
//! * [`daemon`]: the daemon itself, in this process, with a folder that outlives it.
//! * [`forge`]: sends events to it, over HTTP or through the shared broker.
//! * [`postgres`]: a private PostgreSQL server, with a new database for each test.
//! * [`program`]: runs a program to its end.
//! * [`process`]: the daemon as a process of its own, whose memory can be measured.
//! * [`python`]: third-party clients of the API.
//! * [`rabbit`]: a private `RabbitMQ` node; it can be killed, frozen and restarted with its data.
//! * [`receiver`]: a service that receives messages: an HTTP server that records every request and answers by script.
//! * [`irc`]: an IRC server, the real irkerd, and an IRC client.
//! * [`reverse_proxy`]: an HTTP proxy that says where a request came from.
//! * [`proxy`]: a TCP proxy; its connections can be cut, frozen, restored, or cut after a number of bytes.
//! * [`small_disk`]: a disk that a test can fill.
//! * [`mail`]: a real mail server, a faulty one, and an independent parser of mails.
//! * [`payloads`]: events of a forge, from files, and variants of them.
//! * [`wait`]: waits for a state, with a bound. Nothing else in the tests polls.
//! * [`ports`]: ports for servers that have to return at the same address.
//!
//! The long tests (`tests/long`) use it too.
//!
//! The harness uses real sockets and processes in real time. A test that uses it can't stop the clock
//! (`tokio::time::pause`), since every bound would then be exceeded at once.

pub mod alertmanager;
pub mod api;
pub mod attack;
pub mod authority;
pub mod bursts;
pub mod daemon;
pub mod forge;
pub mod irc;
pub mod mail;
pub mod payloads;
pub mod ports;
#[path = "../../../src/store/suite/private_postgres.rs"]
pub mod postgres;
pub mod process;
pub mod program;
pub mod proxy;
pub mod python;
pub mod rabbit;
pub mod receiver;
pub mod reverse_proxy;
pub mod small_disk;
pub mod wait;

/// A client for the tests' own requests, which go to loopback and through no proxy.
pub fn client() -> reqwest::Client {
    // The first call installs it; later calls change nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}
