//! `[forge]`: the forge whose events these are.

use serde::Deserialize;

use crate::settings::Secret;

/// Where the forge is. `config/default.toml` explains each to people; the defaults here are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Its address as people know it, `https://gitlab.example.com`; empty: nobody said.
    pub url: String,
    /// Its API, `https://gitlab.example.com/api/v4`; empty: it is never asked anything.
    pub api_url: String,
    /// What it is shown in `PRIVATE-TOKEN`; `read_api` is enough.
    pub token: Secret,
}

impl Config {
    /// The host that the forge's own users have their addresses at, or below.
    pub fn host(&self) -> Option<String> {
        url::Url::parse(&self.url).ok()?.host_str().map(str::to_owned)
    }
}
