//! The event log: received events, and why they led to no delivery.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::event::Event;

/// The part of an event's line in the log that is not in the event itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// `amqp` or `http`.
    pub source: &'static str,
    /// The integrations that the event concerns and that are not notified, with the reasons, as a JSON array of pairs
    /// `[integration, reason]`. `None` where there are none.
    pub verdicts: Option<String>,
}

/// An event that leads to no delivery.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    pub event: Arc<Event>,
    pub received_at: Timestamp,
    pub line: LogLine,
    /// Whether the event's JSON is kept too, so that people can ask what integrations would do with the event now.
    pub keeps_json: bool,
}

/// The log of events that lead to no delivery. Events with deliveries are logged when the deliveries are written.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Writes events. Their ids do not count as known, so a repeat is planned again with the settings of its own time.
    /// The line of an event that has deliveries is not changed.
    async fn log_events(&self, events: Vec<LoggedEvent>) -> Result<()>;
}
