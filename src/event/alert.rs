//! Alerts, from a monitoring system through the forge.

use serde::Deserialize;

use super::frame::{Body, Frame};
use super::read::{lenient, number, object};
use super::{Decoded, Payload, SharedStr, Trigger};

/// A new alert fired.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Alert {
    #[serde(deserialize_with = "lenient")]
    pub title: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub url: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub severity: SharedStr,
    /// How often it was reported.
    #[serde(deserialize_with = "number")]
    pub events: u64,
    #[serde(deserialize_with = "lenient")]
    pub status: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub started_at: SharedStr,
    /// This and the following fields are not in GitLab's event. Alerts that come to the alert addresses have them.
    #[serde(deserialize_with = "lenient")]
    pub description: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub runbook: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub environment: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub service: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub monitoring_tool: SharedStr,
    #[serde(deserialize_with = "lenient")]
    pub hosts: Vec<SharedStr>,
}

#[derive(Deserialize)]
pub(super) struct Raw {
    #[serde(deserialize_with = "object")]
    object_attributes: Alert,
}

impl Body for Raw {
    fn decoded(self, _: &Frame) -> Result<Decoded, String> {
        let Self { object_attributes: alert } = self;
        Ok(Decoded {
            trigger: Some(Trigger::Alert),
            subject: format!("alert:{}", alert.url),
            payload: Payload::Alert(alert),
        })
    }
}
