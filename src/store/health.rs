//! Whether services can be reached, as far as they were asked: see [`Watches`](super::Watches).

use jiff::Timestamp;

use crate::integration::IntegrationId;

/// The answer to the question whether an integration's service can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHealth {
    pub integration: IntegrationId,
    pub reached: bool,
    /// What it answered, or why it was not reached.
    pub note: String,
    pub at: Timestamp,
}

/// The last answer, and since when the answers have been alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRecord {
    pub integration: IntegrationId,
    pub reached: bool,
    pub note: String,
    pub since: Timestamp,
    pub checked_at: Timestamp,
}
