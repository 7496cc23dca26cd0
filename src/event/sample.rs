//! One realistic event per trigger: what a test delivery sends, and what the adapters' contract tests use.

use bytes::Bytes;
use jiff::Timestamp;

use super::{Event, EventId, Trigger};

/// The time at which every sample happened.
const OCCURRED_AT: Timestamp = Timestamp::constant(1_768_469_400, 0);

/// The sample event for one trigger. It is the same at every call: id `sample-<trigger>`, a fixed time, and a
/// fictional project `acme/rocket` (id 42). It passes GitLab's default filters.
pub fn sample(trigger: Trigger) -> Event {
    let id = EventId::new(&format!("sample-{trigger}")).expect("a trigger's name is printable and short");
    Event::decode(id, OCCURRED_AT, Bytes::from_static(trigger.sample_json().as_bytes()))
        .expect("a test decodes every sample")
}

#[cfg(test)]
mod tests {
    use super::{OCCURRED_AT, sample};
    use crate::event::{Trigger, User};

    #[test]
    fn every_trigger_has_a_sample_of_its_own_and_those_of_projects_have_the_same() {
        for trigger in Trigger::ALL {
            let event = sample(trigger);
            assert_eq!(event.trigger, Some(trigger));
            assert_eq!(event.id.as_str(), format!("sample-{}", trigger.name()));
            assert_eq!(event.occurred_at, OCCURRED_AT);
            if matches!(trigger, Trigger::Subgroup | Trigger::Project) {
                continue;
            }
            let project = event.project.expect("every sample names the project");
            assert_eq!((project.id, project.path_with_namespace.as_str()), (42, "acme/rocket"), "{trigger}");
            assert_eq!(project.web_url, "https://gitlab.example.com/acme/rocket", "{trigger}");
        }
    }

    #[test]
    fn samples_happened_at_a_fixed_time() {
        assert_eq!(OCCURRED_AT.to_string(), "2026-01-15T09:30:00Z");
    }

    #[test]
    fn samples_name_people_by_name_and_username() {
        let display = |trigger| sample(trigger).user().map(User::display);
        assert_eq!(display(Trigger::Push).as_deref(), Some("Ada Lovelace (ada)"));
        assert_eq!(display(Trigger::MergeRequest).as_deref(), Some("Grace Hopper (grace)"));
    }

    #[test]
    fn only_the_kinds_of_groups_name_a_group() {
        for trigger in Trigger::ALL {
            let group = sample(trigger).group.map(|group| group.path);
            let expected = match trigger {
                Trigger::GroupMention | Trigger::GroupConfidentialMention => Some("acme/launch-crew"),
                Trigger::Subgroup | Trigger::Project => Some("acme"),
                _ => None,
            };
            assert_eq!(group.as_deref(), expected, "{trigger}");
        }
    }
}
