//! Alerts, from a monitoring system through the forge.

use serde::Deserialize;

use super::read::{lenient, number, object, parse};
use super::{Decoded, Payload, Trigger};

/// A new alert fired.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Alert {
    #[serde(deserialize_with = "lenient")]
    pub title: String,
    #[serde(deserialize_with = "lenient")]
    pub url: String,
    #[serde(deserialize_with = "lenient")]
    pub severity: String,
    /// How often it was reported.
    #[serde(deserialize_with = "number")]
    pub events: u64,
    #[serde(deserialize_with = "lenient")]
    pub status: String,
    #[serde(deserialize_with = "lenient")]
    pub started_at: String,
    /// This and what follows are not in GitLab's event: alerts that come to the alert addresses have them.
    #[serde(deserialize_with = "lenient")]
    pub description: String,
    #[serde(deserialize_with = "lenient")]
    pub runbook: String,
    #[serde(deserialize_with = "lenient")]
    pub environment: String,
    #[serde(deserialize_with = "lenient")]
    pub service: String,
    #[serde(deserialize_with = "lenient")]
    pub monitoring_tool: String,
    #[serde(deserialize_with = "lenient")]
    pub hosts: Vec<String>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(deserialize_with = "object")]
    object_attributes: Alert,
}

pub(super) fn decode(json: &str, _: &str) -> Result<Decoded, String> {
    let Raw { object_attributes: alert } = parse(json)?;
    Ok(Decoded {
        trigger: Some(Trigger::Alert),
        subject: format!("alert:{}", alert.url),
        payload: Payload::Alert(alert),
    })
}
