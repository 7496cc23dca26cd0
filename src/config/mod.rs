//! The daemon's settings: read from four sources, checked as a whole, with all mistakes reported together.
//!
//! * [`DEFAULT`] is the documentation, the defaults and the schema: a key that is not in it is not a setting.
//! * `layers` reads it, the operator's file, the environment and the command line into trees that remember where each
//!   value came from.
//! * `changes` names what differs between two configurations.
//! * `tree` checks the merged tree against the schema, and `rules` checks what no type expresses.
//! * Each section becomes the `Config` of the module that uses it; [`Config`] holds them all.
//!
//! Only this module reads the environment.

mod changes;
mod layers;
mod rules;
mod tree;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::adapters::operator::OperatorSettings;
use crate::wire::Config as Wire;
use crate::wire::smtp::Config as Smtp;
use tree::Tree;

/// The default configuration, commented: what `config/default.toml` holds.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

/// The operator's file where `--config` names no other. It need not exist.
pub const DEFAULT_FILE: &str = "/etc/forgebell/forgebell.toml";

/// The settings of the whole daemon.
#[derive(Clone, Debug)]
pub struct Config {
    pub node: Node,
    pub log: crate::log::Config,
    pub http: crate::api::Config,
    pub amqp: crate::pipeline::amqp::Config,
    pub commands: crate::pipeline::amqp::CommandsConfig,
    pub store: crate::store::Config,
    /// `[secrets]`: the keys that encrypt the store's secrets.
    pub secrets: crate::store::seal::Config,
    /// `[wire]`, and `[smtp]` within it.
    pub wire: Wire,
    /// `[mail]`, `[forge]` and `[google]`.
    pub operator: OperatorSettings,
    pub rate_limits: crate::wire::pace::Config,
    pub delivery: crate::pipeline::Config,
    pub retry: crate::pipeline::retry::Config,
    /// `[builds]`: how often build services are asked.
    pub builds: crate::pipeline::status_poller::Config,
    /// `[probes]`: when services are asked whether they can be reached.
    pub probes: crate::pipeline::status_poller::Config,
    /// The maximum age of an event when it is sent, by the adapter's slug (with dashes), where it differs from the
    /// adapter's default. `forgebell check` reports slugs that no adapter has.
    pub max_age: BTreeMap<String, Duration>,
    /// The hosts that are permitted for a service's addresses beside its own, by the adapter's slug (with dashes).
    pub service_hosts: BTreeMap<String, Vec<String>>,
    pub provision: crate::provision::Config,
    digests: changes::Digests,
}

/// `[node]`: the identity of this node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Leases are noted under this name.
    pub name: String,
}

/// The sources of settings besides [`DEFAULT`]. Later fields override earlier ones.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// It must exist.
    pub file: Option<PathBuf>,
    /// `FORGEBELL__SECTION__KEY` and the system's proxy variables are used.
    pub environment: Vec<(OsString, OsString)>,
    /// `section.key=value`.
    pub options: Vec<String>,
}

impl Sources {
    /// The sources of this process: the given file, or [`DEFAULT_FILE`] if it exists; its environment; and the options of
    /// its command line.
    pub fn of_process(file: Option<PathBuf>, options: Vec<String>) -> Self {
        let default_file =
            || Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.try_exists().unwrap_or(true));
        Self { file: file.or_else(default_file), environment: std::env::vars_os().collect(), options }
    }

    /// These options over the defaults, without this process's file and environment.
    pub fn for_tests(options: &[String]) -> Self {
        Self { options: options.to_vec(), ..Self::default() }
    }

    /// The file that is read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// A mistake in one setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigError {
    /// `section.key`; empty where a whole file can't be read.
    pub key: String,
    /// The given value, unless it may be a secret.
    pub value: Option<String>,
    /// Where it was given: `/etc/forgebell/forgebell.toml:7`, `FORGEBELL__HTTP__LISTEN`.
    pub origin: Option<String>,
    pub problem: String,
    /// A key that was probably meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        match (self.key.as_str(), &self.value) {
            ("", _) => {}
            (key, None) => write!(f, "{key}: ")?,
            (key, Some(value)) => write!(f, "{key} = {value}: ")?,
        }
        f.write_str(&self.problem)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean {suggestion}?"),
            None => Ok(()),
        }
    }
}

/// All mistakes in a configuration, one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mistakes = if self.0.len() == 1 { "a mistake" } else { "mistakes" };
        write!(f, "the configuration has {mistakes}:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

impl std::ops::Deref for ConfigErrors {
    type Target = [ConfigError];

    fn deref(&self) -> &[ConfigError] {
        &self.0
    }
}

impl Config {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// All mistakes, not only the first.
    pub fn load(sources: Sources) -> Result<Self, ConfigErrors> {
        Self::read(sources, None)
    }

    /// Reads and checks everything, for a command that needs the secrets of these sections alone. A secret of another section
    /// is not set where its file can't be read, as where only the daemon may read it.
    ///
    /// # Errors
    /// All mistakes, not only the first.
    pub fn load_for(sources: Sources, needed: &[&str]) -> Result<Self, ConfigErrors> {
        Self::read(sources, Some(needed))
    }

    fn read(sources: Sources, needed: Option<&[&str]>) -> Result<Self, ConfigErrors> {
        let proxies = proxies(&sources.environment);
        let (layers, mut errors) = layers::read(sources);
        let mut tree = Tree::merge(layers, &mut errors);
        tree.report_unknown();
        tree.read_secrets_from_files(|section| needed.is_none_or(|needed| needed.contains(&section)));
        let node = tree.section("node", rules::node);
        let log = tree.section("log", rules::none);
        let http = tree.section("http", rules::http);
        let amqp = tree.section("amqp", rules::amqp);
        let commands = tree.section("commands", rules::commands);
        let store = tree.section("store", rules::store);
        let secrets = tree.section("secrets", rules::none);
        let wire = tree.section("wire", rules::wire);
        let smtp = tree.section("smtp", rules::smtp);
        let mail = tree.section("mail", rules::mail);
        let forge = tree.section("forge", rules::forge);
        let google = tree.section("google", rules::google);
        let rate_limits = tree.section("rate_limits", rules::rate_limits);
        let delivery = tree.section("delivery", rules::delivery);
        let retry = tree.section("retry", rules::retry);
        let builds = tree.section("builds", rules::asked);
        let probes = tree.section("probes", rules::asked);
        let max_age = tree.section("max_age", rules::max_age);
        let service_hosts = tree.section("service_hosts", rules::service_hosts);
        let provision = tree.section("provision", rules::none);
        let digests = tree.digests();
        errors.extend(tree.into_errors());

        // All sections were read, so that all mistakes are reported. From here on one missing section is enough.
        let complete = move || {
            let wire = connected(wire?, delivery.as_ref()?.concurrency);
            Some(Self {
                node: node?,
                log: log?,
                http: http?,
                amqp: amqp?,
                commands: commands?,
                store: store?,
                secrets: secrets?,
                wire: Wire {
                    smtp: Smtp { mail_domain: mail.as_ref()?.domain().to_owned(), ..smtp? },
                    ..with_proxies(wire, proxies)
                },
                operator: OperatorSettings { mail: mail?, forge: forge?, google: google? },
                rate_limits: rate_limits?,
                delivery: delivery?,
                retry: retry?,
                builds: builds?,
                probes: probes?,
                max_age: max_age?.by_slug(),
                service_hosts: service_hosts?.by_slug(),
                provision: provision?,
                digests,
            })
        };
        match complete() {
            Some(config) if errors.is_empty() => Ok(config),
            _ => Err(ConfigErrors(errors)),
        }
    }
}

/// A secret with fewer characters can be guessed.
const FEWEST_CHARACTERS: usize = 16;

impl Config {
    /// A warning where the secret that admits clients can be guessed. It names the setting and not the secret.
    pub fn weak_secret(&self) -> Option<String> {
        let token = self.http.webhook_token.as_ref()?.expose();
        (token.trim().chars().count() < FEWEST_CHARACTERS).then(|| {
            format!(
                "http.webhook_token has fewer than {FEWEST_CHARACTERS} characters, so it can be guessed: make a longer \
                 one, for example with `openssl rand -hex 32`"
            )
        })
    }
}

/// `[max_age]`, as it is read.
#[derive(Deserialize)]
struct MaxAge(BTreeMap<String, Friendly>);

impl MaxAge {
    /// By the adapters' slugs; GitLab's slugs with underscores (`microsoft_teams`) are accepted.
    fn by_slug(self) -> BTreeMap<String, Duration> {
        self.0.into_iter().map(|(slug, age)| (slug.replace('_', "-"), age.0)).collect()
    }
}

/// `[service_hosts]`, as it is read: hosts separated by commas.
#[derive(Deserialize)]
struct ServiceHosts(BTreeMap<String, String>);

impl ServiceHosts {
    fn hosts(list: &str) -> impl Iterator<Item = &str> {
        list.split(',').map(str::trim).filter(|host| !host.is_empty())
    }

    /// By the adapters' slugs, as [`MaxAge::by_slug`].
    fn by_slug(self) -> BTreeMap<String, Vec<String>> {
        let of = |(slug, list): (String, String)| {
            (slug.replace('_', "-"), Self::hosts(&list).map(str::to_owned).collect())
        };
        self.0.into_iter().map(of).collect()
    }
}

/// A duration as people write it.
#[derive(Deserialize)]
struct Friendly(#[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")] Duration);

/// Keeps a connection for each attempt that may run, where no other number is set.
fn connected(config: Wire, concurrency: usize) -> Wire {
    let idle_per_host = if config.idle_per_host == 0 { concurrency } else { config.idle_per_host };
    Wire { idle_per_host, ..config }
}

/// Tells the guard which hosts are the system's proxies.
fn with_proxies(config: Wire, proxy_hosts: Vec<String>) -> Wire {
    if config.system_proxy { Wire { proxy_hosts, ..config } } else { config }
}

/// The hosts of the system's proxies, from the variables that the HTTP client uses too.
fn proxies(environment: &[(OsString, OsString)]) -> Vec<String> {
    const VARIABLES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];
    let is_proxy = |name: &OsString| {
        name.to_str().is_some_and(|name| VARIABLES.contains(&name.to_ascii_lowercase().as_str()))
    };
    let proxies = environment.iter().filter(|(name, _)| is_proxy(name));
    proxies.filter_map(|(_, value)| proxy_host(value.to_str()?)).collect()
}

/// The host of a proxy, written as a URL or without its scheme.
fn proxy_host(address: &str) -> Option<String> {
    let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    Some(url::Url::parse(&address).ok()?.host_str()?.to_owned())
}

#[cfg(test)]
mod tests;
