//! `[smtp]`: the relay. `config/default.toml` explains each setting to people; the defaults here are the same.

use std::path::PathBuf;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly;
use serde::Deserialize;

use crate::settings::Secret;

/// The mail relay and how to use it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// If empty, there is no relay and no mail is sent.
    pub host: String,
    /// 0 means the usual port for `tls`.
    pub port: u16,
    pub tls: Tls,
    /// A private authority's certificates (PEM), trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether the relay's certificate must be valid for its host.
    pub verify: bool,
    /// Empty: no login.
    pub username: String,
    pub password: Secret,
    /// The daemon's name in `EHLO`. If empty, it is this machine's name if that is fully qualified, or else the domain
    /// that mails are from.
    pub hello_name: String,
    /// The domain that mails are from, set from `mail.from`.
    #[serde(skip)]
    pub mail_domain: String,
    /// How many connections there are at once.
    pub connections: usize,
    /// How many mails go through one connection before it is closed.
    pub mails_per_connection: usize,
    /// How long an unused connection is kept.
    #[serde(with = "friendly")]
    pub idle_timeout: Duration,
    /// For finding the address, connecting and the TLS handshake.
    #[serde(with = "friendly")]
    pub connect_timeout: Duration,
    /// For each reply but the last.
    #[serde(with = "friendly")]
    pub command_timeout: Duration,
    /// For the reply to the content. Relays scan the mail before they reply. A client that gives up too early sends the
    /// mail twice.
    #[serde(with = "friendly")]
    pub content_timeout: Duration,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// A plain connection that must become a TLS one (RFC 3207).
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// No encryption, for relays on this machine.
    None,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 0,
            tls: Tls::Starttls,
            ca_file: None,
            verify: true,
            username: String::new(),
            password: Secret::default(),
            hello_name: String::new(),
            mail_domain: String::new(),
            connections: 4,
            mails_per_connection: 50,
            idle_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(60),
            content_timeout: Duration::from_secs(600),
        }
    }
}

impl Config {
    /// The relay's port: the one that is set, or the usual one for its encryption.
    pub const fn port(&self) -> u16 {
        match (self.port, self.tls) {
            (0, Tls::Starttls) => 587,
            (0, Tls::Implicit) => 465,
            (0, Tls::None) => 25,
            (port, _) => port,
        }
    }
}
