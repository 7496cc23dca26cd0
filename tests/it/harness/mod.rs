//! Everything that stands around the daemon in a test, and misbehaves when it is told to.
//!
//! * [`authority`]: makes certificates that no machine trusts by itself.
//! * [`daemon`]: the daemon itself, in this process, with a home of its own that survives it.
//! * [`forge`]: sends events to it, over HTTP or through the shared broker.
//! * [`postgres`]: a private PostgreSQL, a database for each who asks.
//! * [`python`]: other people's clients of the API.
//! * [`rabbit`]: a private `RabbitMQ` node; it can lose its power, freeze and come back with its data.
//! * [`receiver`]: the service that is told of things: an HTTP server that records every request and answers by script.
//! * [`irc`]: an IRC server, the real irkerd, and a person who listens.
//! * [`proxy`]: the cable between two of them; it can be cut, frozen, healed, or cut after so many bytes.
//! * [`mail`]: a real mail server, one that misbehaves, and an independent reader of mails.
//! * [`payloads`]: what a forge says, as files, and variants of them.
//! * [`wait`]: waits for a state, with a bound. Nothing else in the tests waits by looking again.
//! * [`ports`]: ports which nobody else is handed, for what has to come back at the same address.
//!
//! The cast lives in real time, among real sockets and processes: a test that uses it can't stop the clock
//! (`tokio::time::pause`), since every bound would then run out at once.

pub mod authority;
pub mod daemon;
pub mod forge;
pub mod irc;
pub mod mail;
pub mod payloads;
pub mod ports;
#[path = "../../../src/store/suite/private_postgres.rs"]
pub mod postgres;
pub mod proxy;
pub mod python;
pub mod rabbit;
pub mod receiver;
pub mod wait;

/// A client for the tests' own requests, which go to loopback and through no proxy.
pub fn client() -> reqwest::Client {
    // Chosen by whoever comes first; all who come choose the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}
