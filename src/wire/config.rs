//! The settings of this module. `config/default.toml` explains each to operators; the defaults here are the same.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly;
use serde::Deserialize;

use super::guard::Guard;

/// `[wire]`: how connections are made, and which addresses are allowed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The time for finding the address, connecting and the TLS handshake together. Keep it below every request's own
    /// timeout: a request that times out while connecting was certainly not sent, one that times out later may have been.
    #[serde(with = "friendly")]
    pub connect_timeout: Duration,
    /// How long an unused connection is kept open. It is below the 60 s after which common load balancers close
    /// connections. If a connection is being closed while a request is sent, it is unknown whether the request was
    /// received.
    #[serde(with = "friendly")]
    pub idle_timeout: Duration,
    /// The number of unused connections that are kept open to one host. The setting's 0 is replaced by the number of attempts
    /// that may run at the same time: with fewer, a host that has all webhooks is connected to again and again.
    pub idle_per_host: usize,
    /// Networks that may be called although they are not public: `10.20.0.0/16`, `127.0.0.1/32`.
    pub allow_networks: Vec<IpNet>,
    /// Single services that may be called over bare TCP although they are not public: irkerd on this machine.
    pub allow_tcp: Vec<SocketAddr>,
    /// Certificates of private authorities (PEM), trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are used.
    pub system_proxy: bool,
    /// The hosts of those proxies, which the guard allows even at private addresses. `config` fills them in from the
    /// environment.
    #[serde(skip)]
    pub proxy_hosts: Vec<String>,
    /// `[smtp]`, a section of its own.
    #[serde(skip)]
    pub smtp: super::smtp::Config,
}

impl Config {
    /// Why a URL may not be called, as far as its text shows: `Requests to the local network are not allowed`. Host names
    /// are looked up only when they are called.
    pub fn blocks(&self, url: &url::Url) -> Option<&'static str> {
        Guard::new(self.allow_networks.clone(), &self.proxy_hosts).blocks(url)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
            idle_per_host: 256,
            allow_networks: Vec::new(),
            allow_tcp: Vec::new(),
            ca_file: None,
            system_proxy: true,
            proxy_hosts: Vec::new(),
            smtp: super::smtp::Config::default(),
        }
    }
}
