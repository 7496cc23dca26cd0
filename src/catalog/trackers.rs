//! GitLab's rule that a project has at most one active issue tracker.

use super::{Origin, ResolvedScope, Snapshot};
use crate::adapters::contract::Linked;
use crate::adapters::{ADAPTERS, Entry};
use crate::settings::FieldError;
use crate::store::registry::Configuration;

/// GitLab's words, and the field that it gives them.
const ANOTHER: (&str, &str) = (
    "base",
    "Another issue tracker is already in use. Only one issue tracker service can be active at a time",
);

/// Whether an adapter is an issue tracker of the kind of which a project has at most one.
pub fn is_tracker(entry: &Entry) -> bool {
    entry.link.as_ref().is_some_and(|link| link.leads_to == Linked::Tracker)
}

/// All trackers but this one.
pub(super) fn other_trackers(entry: &Entry) -> impl Iterator<Item = &'static Entry> {
    let slug = entry.about.slug;
    ADAPTERS.iter().filter(move |other| is_tracker(other) && other.about.slug != slug)
}

/// Why a second active tracker of a project is refused.
pub(super) fn another() -> FieldError {
    let (field, problem) = ANOTHER;
    FieldError::new(field, problem)
}

/// Whether the configuration is active itself, and not by a default.
pub(super) fn is_own_active(configuration: &Configuration) -> bool {
    configuration.active && !configuration.inherits
}

/// Two active trackers of a project's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RivalTrackers {
    pub scope: ResolvedScope,
    /// The tracker from the file comes first.
    pub trackers: [&'static str; 2],
    /// The tracker that references lead to.
    pub counts: Option<&'static str>,
}

impl Snapshot {
    /// Why an active tracker must not be set for a scope: the project uses another one, its own or a default. Defaults of
    /// groups and of the instance may be several, as in GitLab.
    pub fn refused_tracker(&self, scope: &ResolvedScope, entry: &Entry) -> Option<FieldError> {
        let is_of_project = matches!(scope, ResolvedScope::Project { .. });
        if !is_of_project || !is_tracker(entry) {
            return None;
        }
        let is_refused = other_trackers(entry).any(|other| self.has_active(scope, other));
        is_refused.then(another)
    }

    /// The other active tracker that the project itself has. Defaults do not count.
    pub(super) fn own_rival(&self, scope: &ResolvedScope, entry: &Entry) -> Option<&'static str> {
        let is_of_project = matches!(scope, ResolvedScope::Project { .. });
        if !is_of_project || !is_tracker(entry) {
            return None;
        }
        let is_active = |slug: &&str| {
            let own = self.inheritance(scope, slug).own;
            own.is_some_and(|own| is_own_active(&own.configuration))
        };
        other_trackers(entry).map(|other| other.about.slug).find(is_active)
    }

    /// The projects with two active trackers of their own, one at least from a file. The API and the files each refuse
    /// a second tracker, but neither sees a tracker that the other sets later.
    pub(super) fn rival_trackers(&self) -> Vec<RivalTrackers> {
        let mut found: Vec<RivalTrackers> = Vec::new();
        for (scope, configured) in self.all_configured() {
            let is_of_file = matches!(configured.origin, Origin::File(_));
            if !is_of_file || !is_own_active(&configured.configuration) {
                continue;
            }
            let scope = self.directory().resolve(&scope);
            let Some(other) = self.own_rival(&scope, configured.entry) else { continue };
            if found.iter().any(|known| known.scope == scope) {
                continue;
            }
            let counts = self.links_at(&scope).tracker().map(|tracker| tracker.entry.about.slug);
            found.push(RivalTrackers { scope, trackers: [configured.slug(), other], counts });
        }
        found
    }

    fn has_active(&self, scope: &ResolvedScope, entry: &Entry) -> bool {
        let inheritance = self.inheritance(scope, entry.about.slug);
        let is_wanted = inheritance.own.is_none_or(|own| own.configuration.active);
        is_wanted && inheritance.effective().is_some_and(super::Configured::is_active)
    }
}
