//! Feature flags.

use serde::Deserialize;

use super::read::{lenient, object, parse};
use super::{Decoded, Payload, Trigger, User};

/// A feature flag was turned on or off.
#[derive(Clone, Debug, Default)]
pub struct FeatureFlag {
    pub name: String,
    pub description: String,
    pub active: bool,
    pub user: Option<User>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    user: Option<User>,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "lenient")]
    name: String,
    #[serde(deserialize_with = "lenient")]
    description: String,
    #[serde(deserialize_with = "lenient")]
    active: bool,
}

pub(super) fn decode(json: &str, _: &str) -> Result<Decoded, String> {
    let Raw { user, object_attributes: Attributes { name, description, active } } = parse(json)?;
    Ok(Decoded {
        trigger: Some(Trigger::FeatureFlag),
        subject: format!("feature_flag:{name}"),
        payload: Payload::FeatureFlag(FeatureFlag { name, description, active, user }),
    })
}
