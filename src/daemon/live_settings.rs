//! Applies new settings to the running daemon, as far as that is possible, and names what needs a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use crate::adapters::OperatorSettings;
use crate::api;
use crate::catalog::CachedCatalog;
use crate::config::Config;
use crate::pipeline::amqp::{self, Commands};
use crate::pipeline::live::Live;
use crate::wire::Wire;
use crate::wire::pace::Pace;
use crate::{log, metrics};

/// The settings that are applied at once: whole sections, and single keys. All others are applied at a start.
const APPLIED: [&str; 15] = [
    "log.filter",
    "amqp.",
    "commands.",
    "wire.",
    "smtp.",
    "mail.",
    "forge.",
    "google.",
    "rate_limits.",
    "max_age.",
    "service_hosts.",
    "provision.",
    "http.webhook_",
    "http.trusted_proxies",
    "http.body_timeout",
];

/// Whether a setting is applied to a running daemon.
pub(super) fn is_applied(key: &str) -> bool {
    APPLIED.iter().any(|applied| key.starts_with(applied))
}

/// The parts of the daemon that new settings are applied to.
pub(super) struct LiveSettings {
    /// The settings that the daemon started with.
    pub(super) started: Config,
    /// The settings that were applied last.
    pub(super) current: Config,
    pub(super) operator: Live<OperatorSettings>,
    pub(super) wire: Live<Wire>,
    pub(super) pace: Arc<Pace>,
    pub(super) max_age: Live<BTreeMap<String, Duration>>,
    pub(super) http: Live<api::Config>,
    pub(super) catalog: Arc<CachedCatalog>,
    /// The broker is connected again with the settings that are sent here.
    pub(super) broker: watch::Sender<amqp::Config>,
    pub(super) commands: Live<Option<Commands>>,
}

impl LiveSettings {
    /// Applies the settings that can be applied to a running daemon, or none on an error. Returns whether any of them
    /// changed.
    ///
    /// # Errors
    /// A setting can't be used: a file of certificates can't be read, or the log's filter is not one.
    pub(super) fn apply(&mut self, new: Config) -> Result<bool, String> {
        let changed = self.current.changed(&new);
        let is_changed = |section: &str| changed.iter().any(|key| key.starts_with(section));
        let wire = if is_changed("wire.") || is_changed("smtp.") || is_changed("mail.") {
            Some(Wire::new(&new.wire).map_err(|error| error.to_string())?)
        } else {
            None
        };
        if is_changed("log.filter") {
            log::set_filter(&new.log).map_err(|error| error.to_string())?;
        }
        if let Some(wire) = wire {
            self.wire.set(wire);
        }
        self.operator.set(new.operator.clone());
        self.catalog.set_forge(&new.operator.forge.url);
        self.max_age.set(new.max_age.clone());
        if is_changed("rate_limits.") {
            self.pace.configure(new.rate_limits);
        }
        if is_changed("wire.") || is_changed("service_hosts.") {
            self.catalog.set_url_policy(Arc::new(super::url_policy(&new)));
        }
        if is_changed("amqp.") {
            self.broker.send_replace(new.amqp.clone());
        }
        if is_changed("amqp.") || is_changed("commands.") {
            self.commands.set(Commands::new(&new.amqp, &new.commands));
        }
        let started = &self.started.http;
        // The server's limits are those of its start.
        self.http.set(api::Config {
            webhook_token: new.http.webhook_token.clone(),
            signing_keys: new.http.signing_keys.clone(),
            trusted_proxies: new.http.trusted_proxies.clone(),
            body_timeout: new.http.body_timeout,
            ..started.clone()
        });
        self.say(&changed, &new);
        self.current = new;
        Ok(changed.iter().any(|key| is_applied(key)))
    }

    /// The names of changed settings that need a restart.
    pub(super) fn waiting(&self) -> Vec<String> {
        needs_restart(&self.started, &self.current)
    }

    fn say(&self, changed: &[String], new: &Config) {
        let applied: Vec<&str> = changed.iter().map(String::as_str).filter(|key| is_applied(key)).collect();
        if !applied.is_empty() {
            info!(settings = applied.join(", "), "new settings apply");
        }
        let waiting = needs_restart(&self.started, new);
        metrics::settings_need_restart(waiting.len());
        if !waiting.is_empty() {
            warn!(settings = waiting.join(", "), "changed settings need a restart to apply");
        }
    }
}

fn needs_restart(started: &Config, now: &Config) -> Vec<String> {
    let mut changed = started.changed(now);
    changed.retain(|key| !is_applied(key));
    changed
}

#[cfg(test)]
impl LiveSettings {
    /// Settings with these options over the defaults, which apply only to the catalog.
    pub(super) fn for_tests(options: &[String], catalog: &Arc<CachedCatalog>) -> Self {
        let config = Config::load(crate::config::Sources::for_tests(options)).unwrap();
        Self {
            started: config.clone(),
            current: config.clone(),
            operator: Live::default(),
            wire: Live::new(Wire::new(&config.wire).unwrap()),
            pace: Arc::default(),
            max_age: Live::default(),
            http: Live::new(config.http),
            catalog: Arc::clone(catalog),
            broker: watch::Sender::new(config.amqp),
            commands: Live::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn every_applied_name_is_a_setting() {
        let sections: toml::Table = crate::config::DEFAULT.parse().unwrap();
        for applied in APPLIED {
            let (section, key) = applied.split_once('.').unwrap();
            let known = sections[section].as_table().unwrap();
            assert!(key.is_empty() || known.keys().any(|known| known.starts_with(key)), "{applied}");
        }
    }

    #[test]
    fn limits_of_the_server_and_the_store_need_a_restart() {
        let config = |options: &[&str]| {
            let options: Vec<String> = options.iter().map(ToString::to_string).collect();
            Config::load(Sources::for_tests(&options)).unwrap()
        };
        let new =
            config(&["http.body_limit=1000", "store.path=/tmp/x", "log.filter=debug", "mail.from=a@b.c"]);
        let changed = config(&[]).changed(&new);
        let waiting: Vec<_> = changed.iter().filter(|key| !is_applied(key)).collect();
        assert_eq!(waiting, ["http.body_limit", "store.path"]);
    }
}
