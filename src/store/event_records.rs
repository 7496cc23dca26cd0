//! Reads the event log for people: received events, and what each integration did with them.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use super::{DeliveryId, Result, State};
use crate::event::EventId;
use crate::integration::IntegrationId;

/// Events with what each integration did with them.
#[async_trait]
pub trait EventRecords: Send + Sync {
    /// Newest first.
    async fn events(&self, filter: EventFilter) -> Result<Vec<EventRecord>>;
    /// One event, with its JSON if that is kept.
    async fn event(&self, id: &EventId) -> Result<Option<(EventRecord, Option<Bytes>)>>;
}

/// Which events to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// As [`crate::event::Event::kind`].
    pub kind: Option<String>,
    pub of: EventsOf,
    /// Only events that were sent to one of these integrations, or for which the log has a reason why one was not
    /// notified. Empty: all events.
    pub integrations: Vec<IntegrationId>,
    /// Only events with deliveries, or only events without.
    pub is_told: Option<bool>,
    /// Only events that came at this moment or later.
    pub since: Option<Timestamp>,
    /// Only events that came before this moment.
    pub until: Option<Timestamp>,
    /// Only events that came before this one, for the next page. If this event is unknown, nothing is listed.
    pub before: Option<EventId>,
    pub limit: usize,
}

/// The scope whose events are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EventsOf {
    #[default]
    All,
    /// The events of the project with this number, or of the project or group with this full path, compared without
    /// regard to case. The path counts only if one of the two numbers is unknown, because two projects may have had the
    /// path one after another.
    Place { project_id: Option<i64>, path: Option<String> },
    /// The events of the group with this full path, its subgroups, and their projects, compared without regard to case.
    Within(String),
}

impl EventsOf {
    /// Whether the scope includes an event.
    pub fn includes(&self, record: &EventRecord) -> bool {
        let path = record.project.as_deref().unwrap_or_default();
        match self {
            Self::All => true,
            Self::Place { project_id, path: wanted } => match (project_id, record.number()) {
                (Some(wanted), Some(number)) => *wanted == number,
                _ => wanted.as_ref().is_some_and(|wanted| wanted.eq_ignore_ascii_case(path)),
            },
            Self::Within(group) => {
                let (path, group) = (path.to_ascii_lowercase(), group.to_ascii_lowercase());
                path.strip_prefix(&group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

/// An event, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    pub id: EventId,
    pub kind: String,
    pub trigger: Option<String>,
    pub project_id: Option<i64>,
    /// The full path of the project or group, as it was then.
    pub project: Option<String>,
    pub subject: String,
    /// `amqp` or `http`; `None` if the log was switched off, or if a version without the log wrote the event.
    pub source: Option<String>,
    pub occurred_at: Timestamp,
    pub received_at: Timestamp,
    /// The event's deliveries, in the order in which they were written.
    pub told: Vec<Told>,
    /// The integrations that the event concerned and that were not notified, each with the reason.
    pub not_told: Vec<NotTold>,
}

impl EventRecord {
    /// The project's number, if the event has the forge's number.
    fn number(&self) -> Option<i64> {
        self.project_id.filter(|id| *id > 0)
    }

    /// Whether the log has a result for every integration that the event concerned.
    pub fn is_complete(&self) -> bool {
        self.source.is_some()
    }
}

/// A delivery of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub integration: IntegrationId,
    pub target: String,
    pub delivery: DeliveryId,
    pub state: State,
}

/// An integration that an event concerned and that was not notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTold {
    pub integration: IntegrationId,
    pub why: String,
}

impl NotTold {
    /// Reads the pairs `[integration, reason]` of the column `verdicts`. Other elements are left out.
    pub(super) fn read(verdicts: &str) -> Vec<Self> {
        let pairs: Vec<(String, String)> = serde_json::from_str(verdicts).unwrap_or_default();
        let read =
            |(integration, why): (String, String)| Self { integration: IntegrationId::new(integration), why };
        pairs.into_iter().map(read).collect()
    }

    /// The text in the column that names this integration.
    pub(super) fn named(integration: &IntegrationId) -> String {
        let name = serde_json::Value::from(&*integration.0);
        format!("[{name},")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_events_are_those_of_what_lies_in_it() {
        let record = |project_id, project: &str| EventRecord {
            id: EventId::new("e").unwrap(),
            kind: "push".to_owned(),
            trigger: None,
            project_id,
            project: Some(project.to_owned()),
            subject: String::new(),
            source: None,
            occurred_at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            told: Vec::new(),
            not_told: Vec::new(),
        };
        let acme = EventsOf::Within("Acme".to_owned());
        for (path, expected) in
            [("acme", true), ("acme/rocket", true), ("acmes/rocket", false), ("other/acme", false)]
        {
            assert_eq!(acme.includes(&record(None, path)), expected, "{path}");
        }
        let rocket = EventsOf::Place { project_id: Some(42), path: Some("acme/rocket".to_owned()) };
        assert!(rocket.includes(&record(Some(42), "acme/former-name")), "a project may have been renamed");
        assert!(rocket.includes(&record(None, "Acme/Rocket")));
        assert!(rocket.includes(&record(Some(0), "acme/rocket")), "an event without the forge's number");
        assert!(!rocket.includes(&record(Some(43), "acme/other")));
        assert!(!rocket.includes(&record(Some(43), "acme/rocket")), "the project that had the path before");
        let unnamed = EventsOf::Place { project_id: None, path: None };
        assert!(!unnamed.includes(&record(None, "acme/rocket")));
    }

    #[test]
    fn the_column_is_read_and_searched_by_the_integrations_name() {
        let column =
            serde_json::json!([["acme/rocket:slack", "push_events is off"], ["42:irker", "a \"b\""]])
                .to_string();
        let read = NotTold::read(&column);
        let pairs: Vec<_> = read.iter().map(|not| (&*not.integration.0, &*not.why)).collect();
        assert_eq!(pairs, [("acme/rocket:slack", "push_events is off"), ("42:irker", "a \"b\"")]);
        assert!(column.contains(&NotTold::named(&IntegrationId::new("42:irker"))));
        assert!(!column.contains(&NotTold::named(&IntegrationId::new("2:irker"))));
        assert!(NotTold::read("damaged").is_empty());
    }
}
