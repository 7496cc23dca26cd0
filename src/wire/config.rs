//! The room's own settings. `config/default.toml` explains each to people; the defaults here are the same.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as friendly;
use serde::Deserialize;

use super::guard::Guard;

/// How connections are made, and where none may go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// For finding the address, connecting and the TLS handshake together. Keep it below every request's own
    /// time-out: what runs out while connecting was certainly not sent, what runs out later may have been.
    #[serde(with = "friendly")]
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Below the 60 s after which common load balancers drop theirs: a request
    /// that meets a connection in the moment of its closing is one that may have been taken.
    #[serde(with = "friendly")]
    pub idle_timeout: Duration,
    /// How many unused connections are kept for one host.
    pub idle_per_host: usize,
    /// Networks that may be called though they are not public: `10.20.0.0/16`, `127.0.0.1/32`.
    pub allow_networks: Vec<IpNet>,
    /// Single services that may be called by bare TCP though they are not public: irkerd on this machine.
    pub allow_tcp: Vec<SocketAddr>,
    /// Certificates of private authorities (PEM), trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are heeded.
    pub system_proxy: bool,
    /// The hosts of those proxies. The guard permits them, since an operator's proxy may have a private address. The code
    /// that reads the environment sets this.
    #[serde(skip)]
    pub proxy_hosts: Vec<String>,
    /// `[smtp]`, a section of its own.
    #[serde(skip)]
    pub smtp: super::smtp::Config,
}

impl Config {
    /// What speaks against calling a URL, as far as that can be told from how it is written: `Requests to the local
    /// network are not allowed`. `None` where nothing does. Names are looked up only when they are called.
    pub fn blocks(&self, url: &url::Url) -> Option<&'static str> {
        Guard::new(self.allow_networks.clone(), &self.proxy_hosts).blocks(url)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
            idle_per_host: 64,
            allow_networks: Vec::new(),
            allow_tcp: Vec::new(),
            ca_file: None,
            system_proxy: true,
            proxy_hosts: Vec::new(),
            smtp: super::smtp::Config::default(),
        }
    }
}
