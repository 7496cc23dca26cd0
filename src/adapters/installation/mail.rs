//! `[mail]`: who mails are from.

use serde::Deserialize;

/// What all mails have in common. `config/default.toml` explains each to people; the defaults here are the same.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The address that mails come from, in the envelope and in the `From` header.
    pub from: String,
    /// The name beside it, where no person's stands there.
    pub from_name: String,
    /// Where answers go; empty: to nobody in particular.
    pub reply_to: String,
    /// The right side of message ids, a domain of ours; empty: that of `from`.
    pub message_id_domain: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            from: "forgebell@localhost".to_owned(),
            from_name: "Forgebell".to_owned(),
            reply_to: String::new(),
            message_id_domain: String::new(),
        }
    }
}

impl Config {
    /// The right side of message ids and list ids.
    pub fn domain(&self) -> &str {
        match self.message_id_domain.as_str() {
            "" => self.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain),
            domain => domain,
        }
    }
}
