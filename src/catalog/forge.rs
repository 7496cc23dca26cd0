//! Where the forge lies. The address of a project's page does not say where the forge's own path ends and the project's
//! begins.

use super::Snapshot;
use crate::event::Project;
use crate::integration::Scope;

/// The forge's address without its scheme: `example.com/gitlab`. Empty means unknown.
#[derive(Clone, Debug, Default)]
pub(super) struct Forge(String);

impl Forge {
    pub(super) fn at(url: &str) -> Self {
        Self(without_scheme(url.trim()).trim_end_matches('/').to_owned())
    }

    /// The path of the project with this page; `None` if the page does not lie below the forge's address.
    fn path_of<'a>(&self, page: &'a str) -> Option<&'a str> {
        let (start, rest) = without_scheme(page).split_at_checked(self.0.len())?;
        let is_below = !self.0.is_empty() && start.eq_ignore_ascii_case(&self.0);
        rest.strip_prefix('/').filter(|path| is_below && !path.is_empty())
    }
}

/// The forge may be reached over HTTP and HTTPS.
fn without_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

impl Snapshot {
    /// Sets the forge's address for people.
    pub fn set_forge(&mut self, url: &str) {
        self.forge = Forge::at(url);
    }

    /// The path of a project of which only the page's address is known; `None` if nothing better than the guess is
    /// known. If the forge's address is not known, the project's earlier path shows where the forge lies.
    pub(super) fn path_of_guessed(&self, project: &Project) -> Option<String> {
        if let Some(path) = self.forge.path_of(&project.web_url) {
            return Some(path.to_owned());
        }
        let known = self.directory().project(project.id).filter(|known| known.id > 0)?;
        let known = known.path.as_deref()?;
        let above = project.path_with_namespace.strip_suffix(known)?.strip_suffix('/')?;
        // The project was moved into this group, and its earlier path is outdated.
        let is_group = self.known(&Scope::Group(above.to_owned())).is_some();
        (!is_group).then(|| known.to_owned())
    }
}
