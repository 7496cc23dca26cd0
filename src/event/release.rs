//! Releases.

use serde::Deserialize;

use super::read::{lenient, parse};
use super::{Commit, Decoded, Payload, Trigger};

/// A release was created, changed or deleted. The payload does not say by whom.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Release {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub tag: String,
    #[serde(deserialize_with = "lenient")]
    pub description: String,
    #[serde(deserialize_with = "lenient")]
    pub url: String,
    /// `create`, `update`, `delete`.
    #[serde(deserialize_with = "lenient")]
    pub action: String,
    /// The commit that the tag is on.
    pub commit: Option<Commit>,
    #[serde(deserialize_with = "lenient")]
    assets: Assets,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Assets {
    #[serde(deserialize_with = "lenient")]
    links: Vec<AssetLink>,
}

/// A file or page that belongs to a release.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AssetLink {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub url: String,
}

impl Release {
    /// What people attached to it. The archives of its source code, which every release has, are not among them.
    pub fn assets(&self) -> &[AssetLink] {
        &self.assets.links
    }
}

pub(super) fn decode(json: &str, _: &str) -> Result<Decoded, String> {
    let release: Release = parse(json)?;
    Ok(Decoded {
        trigger: Some(Trigger::Release),
        subject: format!("release:{}", release.tag),
        payload: Payload::Release(Box::new(release)),
    })
}
