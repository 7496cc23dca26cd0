//! Which settings differ between two configurations, by their names.

use std::collections::BTreeMap;

use super::Config;

/// Digests of the values, by `section.key`. A digest shows whether a value changed, and not the value.
pub(super) type Digests = BTreeMap<String, i64>;

impl Config {
    /// The settings of another configuration that differ from these, in the order of their names. A secret's file counts
    /// under the secret's name too.
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let keys = self.digests.keys().chain(other.digests.keys());
        let mut changed: Vec<String> =
            keys.filter(|key| self.digests.get(*key) != other.digests.get(*key)).cloned().collect();
        changed.sort();
        changed.dedup();
        changed
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Sources};

    fn config(options: &[&str]) -> Config {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        Config::load(Sources::for_tests(&options)).unwrap()
    }

    #[test]
    fn what_differs_is_named() {
        let before = config(&[]);
        assert_eq!(before.changed(&config(&[])), [""; 0]);
        let after = config(&["log.filter=debug", "http.webhook_token=open sesame", "max_age.slack=1h"]);
        assert_eq!(before.changed(&after), ["http.webhook_token", "log.filter", "max_age.slack"]);
        assert_eq!(after.changed(&before), before.changed(&after));
    }

    #[test]
    fn the_same_value_written_otherwise_is_no_change() {
        let before = config(&["provision.files=a.toml,b.toml"]);
        assert_eq!(before.changed(&config(&["provision.files=[\"a.toml\", \"b.toml\"]"])), [""; 0]);
    }
}
