//! The event flags in an integration's object. Every object shows all of them, for any adapter, as GitLab does.

use crate::adapters::Entry;
use crate::event::Trigger;
use crate::settings::SmallMap;

/// GitLab's flags, in the order of its newest objects.
/// Source: <https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/api/entities/integration_basic.rb>.
pub(super) const SHOWN: [&str; 15] = [
    "commit_events",
    "push_events",
    "issues_events",
    "incident_events",
    "alert_events",
    "confidential_issues_events",
    "merge_requests_events",
    "tag_push_events",
    "deployment_events",
    "note_events",
    "confidential_note_events",
    "pipeline_events",
    "wiki_page_events",
    "job_events",
    "comment_on_event_enabled",
];

/// The other triggers' flags, which GitLab accepts and does not show, or shows in its paid editions only. They come after
/// GitLab's keys.
pub(super) fn shown_last() -> impl Iterator<Item = &'static str> {
    Trigger::ALL.into_iter().map(Trigger::flag).filter(|flag| !SHOWN.contains(flag))
}

/// Whether a flag is on: as it was set, else as on a new integration.
pub(super) fn is_on(entry: &Entry, set: &SmallMap<String, bool>, flag: &str) -> bool {
    let on_by_default = entry.default_triggers();
    let by_default = || Trigger::from_flag(flag).is_none_or(|trigger| on_by_default.contains(trigger));
    set.get(flag).copied().unwrap_or_else(by_default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::common_settings::FLAGS_WITHOUT_TRIGGER;

    #[test]
    fn every_trigger_has_its_flag_shown_once() {
        let shown: Vec<&str> = SHOWN.into_iter().chain(shown_last()).collect();
        for flag in Trigger::ALL.map(Trigger::flag).into_iter().chain(FLAGS_WITHOUT_TRIGGER) {
            assert_eq!(shown.iter().filter(|name| **name == flag).count(), 1, "{flag}");
        }
        assert_eq!(shown.len(), Trigger::ALL.len() + FLAGS_WITHOUT_TRIGGER.len());
    }

    #[test]
    fn what_was_never_set_is_as_on_a_new_integration() {
        let entry = crate::adapters::find("slack").unwrap();
        let set = SmallMap::from([("push_events".to_owned(), false)]);
        assert!(!is_on(entry, &set, "push_events"));
        for on in ["issues_events", "job_events", "alert_events", "commit_events", "comment_on_event_enabled"]
        {
            assert!(is_on(entry, &set, on), "{on}");
        }
        for off in ["deployment_events", "incident_events", "vulnerability_events", "archive_trace_events"] {
            assert!(!is_on(entry, &set, off), "{off}");
        }
    }
}
