//! The operator's settings that adapters may read: `[mail]`, `[forge]` and `[google]`. They apply to all integrations.

use serde::Deserialize;

use crate::settings::Secret;

/// The operator's settings that adapters read.
#[derive(Clone, Debug, Default)]
pub struct OperatorSettings {
    pub mail: MailConfig,
    pub forge: ForgeConfig,
    pub google: GoogleConfig,
}

/// `[mail]`, which applies to all mails. `config/default.toml` explains each key; the defaults here are the same.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailConfig {
    /// The address that mails come from, in the envelope and in the `From` header.
    pub from: String,
    /// The name of the sender, if the mail does not carry a person's name.
    pub from_name: String,
    /// The address for replies. If empty, mails have no `Reply-To`.
    pub reply_to: String,
    /// The domain of message ids, which belongs to the operator. If empty, it is the domain of `from`.
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
    /// The domain of message ids and list ids.
    pub fn domain(&self) -> &str {
        match self.message_id_domain.as_str() {
            "" => self.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain),
            domain => domain,
        }
    }
}

/// `[forge]`, the forge's addresses. `config/default.toml` explains each key; the defaults here are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForgeConfig {
    /// Its address for people, `https://gitlab.example.com`. Empty means unknown.
    pub url: String,
    /// The address of its API, `https://gitlab.example.com/api/v4`. If empty, the API is never called.
    pub api_url: String,
    /// Sent to the API as `PRIVATE-TOKEN`; the scope `read_api` is enough.
    pub token: Secret,
}

/// `[google]`, for services behind Google's Identity-Aware Proxy. `config/default.toml` explains the key; the default here
/// is the same.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GoogleConfig {
    /// Where tokens are requested. An integration can't name another address, so its settings can't choose who gets the
    /// signed request.
    pub token_url: String,
}

impl Default for GoogleConfig {
    fn default() -> Self {
        Self { token_url: "https://oauth2.googleapis.com/token".to_owned() }
    }
}

impl ForgeConfig {
    /// Whether its API can be asked.
    pub fn can_be_asked(&self) -> bool {
        !self.api_url.is_empty() && !self.token.is_blank()
    }
}

impl ForgeConfig {
    /// The forge's host; its users have mail addresses at this domain or a parent domain.
    pub fn host(&self) -> Option<String> {
        url::Url::parse(&self.url).ok()?.host_str().map(str::to_owned)
    }
}
