//! Deployments.

use serde::Deserialize;

use super::read::{lenient, parse};
use super::{Decoded, Payload, Trigger, User};

/// A deployment started or ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Deployment {
    /// `running`, `success`, `failed`, `canceled`; other statuses are shown unchanged.
    #[serde(deserialize_with = "lenient")]
    pub status: String,
    #[serde(deserialize_with = "lenient")]
    pub environment: String,
    #[serde(deserialize_with = "lenient")]
    pub environment_external_url: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub deployable_id: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    pub deployable_url: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub short_sha: String,
    #[serde(deserialize_with = "lenient")]
    pub commit_url: String,
    #[serde(deserialize_with = "lenient")]
    pub commit_title: String,
    /// The branch or tag; older releases of the forge omit it.
    #[serde(rename = "ref", deserialize_with = "lenient")]
    pub ref_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub user_url: String,
    pub user: Option<User>,
}

pub(super) fn decode(json: &str, _: &str) -> Result<Decoded, String> {
    let deployment: Deployment = parse(json)?;
    Ok(Decoded {
        trigger: Some(Trigger::Deployment),
        subject: format!("deployment:{}", deployment.environment),
        payload: Payload::Deployment(deployment),
    })
}
