//! Alerts that monitoring systems report: which of them are news.
//!
//! A report says that an alert fires or has ended. The first one that says it fires begins an *occurrence*, which has a
//! number and leads to an event; later ones are counted, and the one that says it has ended ends the occurrence. When the
//! alert fires again after that, it is another occurrence, and news.

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::event::{Event, EventId};

/// What a monitoring system reported of one alert.
#[derive(Clone, Debug)]
pub struct AlertReport {
    /// A digest of what reports of the same alert have in common: the project and the fingerprint.
    pub key: String,
    pub title: String,
    /// The event that tells people of the alert if it is news; its id is made whole by [`event_id`]. `None` if the alert
    /// has ended.
    pub event: Option<Event>,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotedAlert {
    /// The number of the occurrence. Numbers are never used again.
    pub number: i64,
    pub change: AlertChange,
}

/// What a report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertChange {
    /// The alert did not fire before: its event is in the inbox.
    New,
    /// It fires still.
    Again,
    /// It fired, and has ended.
    Ended,
}

impl AlertChange {
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Again => "again",
            Self::Ended => "ended",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        [Self::New, Self::Again, Self::Ended].into_iter().find(|change| change.name() == name)
    }
}

/// Alerts that monitoring systems reported.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// Notes reports in their order, and puts the events of new alerts in the inbox, all in one commit. Returns what became
    /// of each; `None` for the end of an alert that did not fire.
    async fn note_alerts(&self, reports: Vec<AlertReport>, now: Timestamp)
    -> Result<Vec<Option<NotedAlert>>>;
}

/// The id of an occurrence's event: that of the report's event, with the occurrence's number.
pub(super) fn event_id(stem: &EventId, number: i64) -> Option<EventId> {
    EventId::new(&format!("{stem}-{number}"))
}
