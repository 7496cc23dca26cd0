//! Alerts that monitoring systems report, and which reports are new alerts.
//!
//! A report says that an alert fires or has ended. The first report of a firing alert begins an *occurrence*, which has
//! a number and leads to an event. Later reports are counted. The report that the alert has ended ends the occurrence.
//! If the alert fires again after that, another occurrence begins, with another event.

use async_trait::async_trait;
use jiff::Timestamp;

use super::Result;
use crate::event::{Event, EventId};

/// A monitoring system's report on one alert.
#[derive(Clone, Debug)]
pub struct AlertReport {
    /// Identifies the alert: a digest of the project and the alert's fingerprint.
    pub key: String,
    pub title: String,
    /// The event that notifies people if the alert is new. [`event_id`] completes its id. `None` if the alert has
    /// ended.
    pub event: Option<Event>,
}

/// The result of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotedAlert {
    /// The number of the occurrence. Numbers are never reused.
    pub number: i64,
    pub change: AlertChange,
}

/// What a report changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertChange {
    /// The alert did not fire before: its event is in the inbox.
    New,
    /// The alert still fires.
    Again,
    /// The alert fired before, and has ended.
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
    /// Notes reports in their order, and puts the events of new alerts in the inbox, all in one commit. Returns the
    /// result of each report; `None` for the end of an alert that did not fire.
    async fn note_alerts(&self, reports: Vec<AlertReport>, now: Timestamp)
    -> Result<Vec<Option<NotedAlert>>>;
}

/// The id of an occurrence's event: that of the report's event, with the occurrence's number.
pub(super) fn event_id(stem: &EventId, number: i64) -> Option<EventId> {
    EventId::new(&format!("{stem}-{number}"))
}
