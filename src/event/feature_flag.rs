//! Feature flags.

use serde::Deserialize;

use super::frame::{Body, Frame};
use super::read::{lenient, object};
use super::{Decoded, Payload, SharedStr, Trigger, User};

/// A feature flag was turned on or off.
#[derive(Clone, Debug, Default)]
pub struct FeatureFlag {
    pub name: SharedStr,
    pub description: SharedStr,
    /// `None` where the payload does not say it.
    pub active: Option<bool>,
    pub user: Option<User>,
}

#[derive(Deserialize)]
pub(super) struct Raw {
    #[serde(default)]
    user: Option<User>,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "lenient")]
    name: SharedStr,
    #[serde(deserialize_with = "lenient")]
    description: SharedStr,
    #[serde(deserialize_with = "lenient")]
    active: Option<bool>,
}

impl Body for Raw {
    fn decoded(self, _: &Frame) -> Result<Decoded, String> {
        let Self { user, object_attributes: Attributes { name, description, active } } = self;
        Ok(Decoded {
            trigger: Some(Trigger::FeatureFlag),
            subject: format!("feature_flag:{name}"),
            payload: Payload::FeatureFlag(FeatureFlag { name, description, active, user }),
        })
    }
}
