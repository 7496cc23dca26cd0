//! The issue tracker of a project. As in GitLab, at most one is active.

use super::{ResolvedScope, Snapshot};
use crate::adapters::contract::Linked;
use crate::adapters::{ADAPTERS, Entry, Links};
use crate::settings::{FieldError, Parsed};

/// GitLab's words, and the field that it gives them.
const ANOTHER: (&str, &str) = (
    "base",
    "Another issue tracker is already in use. Only one issue tracker service can be active at a time",
);

/// A tracker with a project's settings of it.
#[derive(Clone, Debug)]
pub struct Tracker {
    pub entry: &'static Entry,
    settings: Parsed,
}

impl Tracker {
    /// Its name for people.
    pub fn name(&self) -> String {
        self.links().map(|links| links.name(&self.settings)).unwrap_or_default()
    }

    /// The address of one issue, named as people name it.
    pub fn issue(&self, name: &str) -> Option<String> {
        self.links()?.issue(&self.settings, name)
    }

    /// The project's page.
    pub fn project(&self) -> Option<String> {
        self.links()?.project(&self.settings)
    }

    /// The page at which people write a new issue.
    pub fn new_issue(&self) -> Option<String> {
        self.links()?.new_issue(&self.settings)
    }

    fn links(&self) -> Option<&'static Links> {
        self.entry.link.as_ref()
    }
}

/// Whether an adapter is an issue tracker of the kind of which a project has one.
pub fn is_tracker(entry: &Entry) -> bool {
    entry.link.as_ref().is_some_and(|link| link.leads_to == Linked::Tracker)
}

impl Snapshot {
    /// The active tracker of a project. Files and defaults can bring several; then the project's own goes before those
    /// that it inherits.
    pub fn tracker(&self, scope: &ResolvedScope) -> Option<Tracker> {
        let active = |entry: &&'static Entry| self.has_active(scope, entry);
        let inherits = |entry: &&'static Entry| self.inheritance(scope, entry.about.slug).is_inherited();
        let entry = ADAPTERS.iter().filter(|entry| is_tracker(entry)).filter(active).min_by_key(inherits)?;
        let configured = self.inheritance(scope, entry.about.slug).effective()?;
        Some(Tracker { entry, settings: configured.resolved.as_ref().ok()?.settings().clone() })
    }

    /// Why an active tracker must not be set for a scope: the project uses another one, its own or a default. Defaults of
    /// groups and of the instance may be several, as in GitLab.
    pub fn refused_tracker(&self, scope: &ResolvedScope, entry: &Entry) -> Option<FieldError> {
        let is_of_project = matches!(scope, ResolvedScope::Project { .. });
        if !is_of_project || !is_tracker(entry) {
            return None;
        }
        let others =
            ADAPTERS.iter().filter(|other| is_tracker(other) && other.about.slug != entry.about.slug);
        let (field, problem) = ANOTHER;
        others.into_iter().any(|other| self.has_active(scope, other)).then(|| FieldError::new(field, problem))
    }

    fn has_active(&self, scope: &ResolvedScope, entry: &Entry) -> bool {
        let inheritance = self.inheritance(scope, entry.about.slug);
        let is_wanted = inheritance.own.is_none_or(|own| own.configuration.active);
        is_wanted && inheritance.effective().is_some_and(super::Configured::is_active)
    }
}
