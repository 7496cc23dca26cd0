//! The last known health of services that are probed: see [`Watches`](super::Watches).

use jiff::Timestamp;

use crate::integration::IntegrationId;

/// The answer to the question whether an integration's service can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHealth {
    pub integration: IntegrationId,
    pub reached: bool,
    /// The service's answer, or why it was not reached.
    pub note: String,
    pub at: Timestamp,
}

/// The last answer, and since when the answers have been the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRecord {
    pub integration: IntegrationId,
    pub reached: bool,
    pub note: String,
    pub since: Timestamp,
    pub checked_at: Timestamp,
}
