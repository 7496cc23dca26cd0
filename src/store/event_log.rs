//! The event log: what came, and why it led to no delivery.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::event::Event;

/// What the event log says of an event, beside what the event says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// `amqp` or `http`.
    pub source: &'static str,
    /// The integrations that the event concerned and that are not told of it, with the reasons, as a JSON array of pairs
    /// `[integration, reason]`. `None` where there are none.
    pub verdicts: Option<String>,
}

/// An event that leads to no delivery.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    pub event: Arc<Event>,
    pub received_at: Timestamp,
    pub line: LogLine,
    /// Whether its JSON is kept too, so that people can ask what would become of it now.
    pub keeps_json: bool,
}

/// The log of events that lead to no delivery. Those that lead to some are logged when these are written.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Writes events. Their ids do not become known: a repeat is looked at by the settings of its own time. An event of which
    /// deliveries were made stays as it is.
    async fn log_events(&self, events: Vec<LoggedEvent>) -> Result<()>;
}
