//! The tracker and the wiki of a project, which references and wiki links lead to.

use super::{Entry, Links, find};
use crate::integration::Integration;
use crate::message::{Reference, Wiki};
use crate::settings::Parsed;

/// The destination of an adapter with [`Link`](super::contract::Link).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// An issue tracker. A project has at most one that is active.
    Tracker,
    Wiki,
}

/// The tracker and the wiki of a project.
#[derive(Clone, Debug, Default)]
pub struct ProjectLinks {
    tracker: Option<Linking>,
    wiki: Option<Linking>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Linking {
    pub entry: &'static Entry,
    settings: Parsed,
}

impl Linking {
    /// Its name for people.
    pub fn name(&self) -> String {
        self.links().map(|links| links.name(&self.settings)).unwrap_or_default()
    }

    /// See [`Link::issue`](super::contract::Link::issue).
    pub fn issue(&self, name: &str) -> Option<String> {
        self.links()?.issue(&self.settings, name)
    }

    /// See [`Link::project`](super::contract::Link::project).
    pub fn project(&self) -> Option<String> {
        self.links()?.project(&self.settings)
    }

    /// See [`Link::new_issue`](super::contract::Link::new_issue).
    pub fn new_issue(&self) -> Option<String> {
        self.links()?.new_issue(&self.settings)
    }

    fn links(&self) -> Option<&'static Links> {
        self.entry.link.as_ref()
    }
}

impl ProjectLinks {
    /// For projects whose tracker and wiki are the forge's.
    pub fn none() -> &'static Self {
        static NONE: ProjectLinks = ProjectLinks { tracker: None, wiki: None };
        &NONE
    }

    /// The tracker.
    pub fn tracker(self) -> Option<Linking> {
        self.tracker
    }

    /// The first active tracker and the first active wiki among these integrations.
    pub fn of<'a>(integrations: impl IntoIterator<Item = &'a Integration>) -> Self {
        let active = integrations.into_iter().filter(|integration| integration.active);
        active.fold(Self::default(), |links, integration| match find(integration.slug) {
            Some(entry) => links.or(entry, &integration.settings),
            None => links,
        })
    }

    /// The links with this tracker or wiki added, if there is none yet.
    pub(super) fn or(mut self, entry: &'static Entry, settings: &Parsed) -> Self {
        let place = match entry.link.as_ref().map(|link| link.leads_to) {
            Some(Linked::Tracker) => &mut self.tracker,
            Some(Linked::Wiki) => &mut self.wiki,
            None => return self,
        };
        place.get_or_insert_with(|| Linking { entry, settings: settings.clone() });
        self
    }
}

impl crate::message::Links for ProjectLinks {
    fn references(&self, text: &str) -> Vec<Reference> {
        let tracker = self.tracker.as_ref();
        let found = tracker.and_then(|tracker| Some(tracker.links()?.references(&tracker.settings, text)));
        found.unwrap_or_default()
    }

    fn has_tracker(&self) -> bool {
        self.tracker.is_some()
    }

    fn wiki(&self) -> Option<Wiki> {
        let Linking { entry, settings } = self.wiki.as_ref()?;
        let links = entry.link.as_ref()?;
        Some(Wiki { name: links.name(settings), url: links.wiki(settings)? })
    }
}
