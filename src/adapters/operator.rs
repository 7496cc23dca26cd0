//! What the operator configures once for all integrations, as far as adapters may know it: `[mail]` and `[forge]`.

use serde::Deserialize;

use crate::settings::Secret;

/// The operator's settings that adapters read.
#[derive(Clone, Debug, Default)]
pub struct OperatorSettings {
    pub mail: MailConfig,
    pub forge: ForgeConfig,
}

/// `[mail]`: what all mails have in common. `config/default.toml` explains each key; the defaults here are the same.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailConfig {
    /// The address that mails come from, in the envelope and in the `From` header.
    pub from: String,
    /// The name beside it, where no person's name stands there.
    pub from_name: String,
    /// The address for replies; empty: mails name none.
    pub reply_to: String,
    /// The right side of message ids, a domain of the operator's; empty: that of `from`.
    pub message_id_domain: String,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            from: "forgebell@localhost".to_owned(),
            from_name: "Forgebell".to_owned(),
            reply_to: String::new(),
            message_id_domain: String::new(),
        }
    }
}

impl MailConfig {
    /// The right side of message ids and list ids.
    pub fn domain(&self) -> &str {
        match self.message_id_domain.as_str() {
            "" => self.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain),
            domain => domain,
        }
    }
}

/// `[forge]`: where the forge is. `config/default.toml` explains each key; the defaults here are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForgeConfig {
    /// Its address as people know it, `https://gitlab.example.com`; empty: unknown.
    pub url: String,
    /// The address of its API, `https://gitlab.example.com/api/v4`; empty: the API is never called.
    pub api_url: String,
    /// Sent to the API as `PRIVATE-TOKEN`; the scope `read_api` is enough.
    pub token: Secret,
}

impl ForgeConfig {
    /// The host that the forge's own users have their addresses at, or below.
    pub fn host(&self) -> Option<String> {
        url::Url::parse(&self.url).ok()?.host_str().map(str::to_owned)
    }
}
