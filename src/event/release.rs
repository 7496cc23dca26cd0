//! Releases.

use serde::Deserialize;

use super::frame::{Body, Frame};
use super::read::lenient;
use super::{Commit, Decoded, Payload, SharedStr, Trigger};

/// A release was created, changed or deleted. The payload does not say by whom.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Release {
    #[serde(deserialize_with = "lenient")]
    pub name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub tag: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub description: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub url: SharedStr,
    /// `create`, `update`, `delete`.
    #[serde(deserialize_with = "lenient")]
    pub action: SharedStr,
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
    pub name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub url: SharedStr,
}

impl Release {
    /// The assets that people attached, without the source code archives that every release has.
    pub fn assets(&self) -> &[AssetLink] {
        &self.assets.links
    }
}

impl Body for Release {
    fn decoded(self, _: &Frame) -> Result<Decoded, String> {
        Ok(Decoded {
            trigger: Some(Trigger::Release),
            subject: format!("release:{}", self.tag),
            payload: Payload::Release(Box::new(self)),
        })
    }
}
