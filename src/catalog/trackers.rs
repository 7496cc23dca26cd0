//! GitLab's rule that a project has at most one active issue tracker.

use super::{ResolvedScope, Snapshot};
use crate::adapters::contract::Linked;
use crate::adapters::{ADAPTERS, Entry};
use crate::settings::FieldError;

/// GitLab's words, and the field that it gives them.
const ANOTHER: (&str, &str) = (
    "base",
    "Another issue tracker is already in use. Only one issue tracker service can be active at a time",
);

/// Whether an adapter is an issue tracker of the kind of which a project has one.
pub fn is_tracker(entry: &Entry) -> bool {
    entry.link.as_ref().is_some_and(|link| link.leads_to == Linked::Tracker)
}

/// All trackers but this one.
pub(super) fn other_trackers(entry: &Entry) -> impl Iterator<Item = &'static Entry> {
    let slug = entry.about.slug;
    ADAPTERS.iter().filter(move |other| is_tracker(other) && other.about.slug != slug)
}

impl Snapshot {
    /// Why an active tracker must not be set for a scope: the project uses another one, its own or a default. Defaults of
    /// groups and of the instance may be several, as in GitLab.
    pub fn refused_tracker(&self, scope: &ResolvedScope, entry: &Entry) -> Option<FieldError> {
        let is_of_project = matches!(scope, ResolvedScope::Project { .. });
        if !is_of_project || !is_tracker(entry) {
            return None;
        }
        let (field, problem) = ANOTHER;
        let is_refused = other_trackers(entry).any(|other| self.has_active(scope, other));
        is_refused.then(|| FieldError::new(field, problem))
    }

    fn has_active(&self, scope: &ResolvedScope, entry: &Entry) -> bool {
        let inheritance = self.inheritance(scope, entry.about.slug);
        let is_wanted = inheritance.own.is_none_or(|own| own.configuration.active);
        is_wanted && inheritance.effective().is_some_and(super::Configured::is_active)
    }
}
