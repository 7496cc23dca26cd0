//! Relative addresses, and addresses that services cannot link to.

use crate::message::markup::address;

/// What the addresses in a text are relative to. Parts that are not known are empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Base<'a> {
    /// The page that shows the text: `#steps` is a part of it.
    pub page_url: &'a str,
    /// The project's page; uploads and the files of its repository are below it.
    pub project_url: &'a str,
    /// The path with which the project's address ends: `group/project`.
    pub project_path: &'a str,
    /// The branch whose files are meant.
    pub default_branch: &'a str,
}

/// What becomes of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// It is linked to.
    Link(String),
    /// It is shown as text: no service links to it, or what it is relative to is not known.
    Words(String),
    /// It is not shown: it is a script, or there is none.
    Nothing,
}

/// How the files of a repository are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    /// On a page of their own.
    Page,
    /// As they are: pictures.
    Raw,
}

impl<'a> Base<'a> {
    /// The base of a text of which only the project is known.
    pub fn of_project(project_url: &'a str) -> Self {
        Self { project_url, ..Self::default() }
    }

    /// Resolves an address as GitLab does: uploads belong to the project, and other relative addresses are files of its
    /// repository
    /// (<https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/banzai/filter/repository_link_filter.rb>).
    pub(super) fn resolve(&self, destination: &str, file: File) -> Target {
        let destination = destination.trim();
        if let Some(scheme) = scheme_of(destination) {
            return match scheme.to_ascii_lowercase().as_str() {
                "javascript" | "vbscript" | "data" => Target::Nothing,
                _ => linked(destination.to_owned()),
            };
        }
        match destination.as_bytes() {
            [] => Target::Nothing,
            [b'#', ..] => match self.page_url.split('#').next().unwrap_or_default() {
                "" => Target::Words(destination.to_owned()),
                page => linked(format!("{page}{destination}")),
            },
            [b'/', b'/', ..] => {
                linked(format!("{}:{destination}", scheme_of(self.project_url).unwrap_or("https")))
            }
            _ if self.project().is_empty() => Target::Words(destination.to_owned()),
            [b'/', ..] if is_upload(destination) => linked(format!("{}{destination}", self.project())),
            [b'/', ..] if self.is_page(destination) => linked(self.on_the_forge(destination)),
            _ => linked(self.in_repository(destination, file)),
        }
    }

    fn project(&self) -> &'a str {
        self.project_url.trim_end_matches('/')
    }

    /// The forge's own address, which may have a path.
    fn forge(&self) -> &'a str {
        let project = self.project();
        let known = project.strip_suffix(self.project_path).filter(|forge| !forge.is_empty());
        known.map_or(origin(project), |forge| forge.trim_end_matches('/'))
    }

    /// Whether the path is one of the forge's pages, not of a file.
    fn is_page(&self, path: &str) -> bool {
        let group = self.project_path.split('/').next().filter(|group| !group.is_empty());
        let in_group = group.is_some_and(|group| {
            path[1..].strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let root = &self.forge()[origin(self.forge()).len()..];
        in_group || path.contains("/-/") || (!root.is_empty() && path.starts_with(&format!("{root}/")))
    }

    fn on_the_forge(&self, path: &str) -> String {
        let forge = self.forge();
        let origin = origin(forge);
        let root = &forge[origin.len()..];
        let has_root = path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        if has_root { format!("{origin}{path}") } else { format!("{forge}{path}") }
    }

    fn in_repository(&self, destination: &str, file: File) -> String {
        let end = destination.find(['?', '#']).unwrap_or(destination.len());
        let (path, more) = destination.split_at(end);
        let mut parts = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        let pages = match file {
            File::Page => "blob",
            File::Raw => "raw",
        };
        // `HEAD` is the default branch.
        let branch = if self.default_branch.is_empty() { "HEAD" } else { self.default_branch };
        let branch = branch.replace('%', "%25").replace('#', "%23").replace('?', "%3F");
        format!("{}/-/{pages}/{branch}/{}{more}", self.project(), parts.join("/"))
    }
}

/// Whether the path is of a file that was uploaded to the project.
fn is_upload(path: &str) -> bool {
    path.starts_with("/uploads/") && !path.starts_with("/uploads/-/")
}

fn linked(url: String) -> Target {
    if address(&url).is_some() { Target::Link(url) } else { Target::Words(url) }
}

/// `https` of `https://forge.example`.
fn scheme_of(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-'));
    is_scheme.then_some(scheme)
}

/// `https://forge.example` of `https://forge.example/group/project`.
fn origin(url: &str) -> &str {
    let host_at = url.find("://").map_or(0, |at| at + "://".len());
    let end = url[host_at..].find('/').map_or(url.len(), |at| host_at + at);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Base<'_> = Base {
        page_url: "https://forge.example/acme/rocket/-/issues/3#note_1",
        project_url: "https://forge.example/acme/rocket",
        project_path: "acme/rocket",
        default_branch: "main",
    };

    fn link(base: Base<'_>, destination: &str) -> String {
        match base.resolve(destination, File::Page) {
            Target::Link(url) => url,
            Target::Words(words) => format!("as words: {words}"),
            Target::Nothing => String::new(),
        }
    }

    #[test]
    fn relative_addresses_are_of_the_page_the_project_or_its_repository() {
        let resolved = [
            ("#steps", "https://forge.example/acme/rocket/-/issues/3#steps"),
            ("/uploads/1f/a.png", "https://forge.example/acme/rocket/uploads/1f/a.png"),
            ("/uploads/-/system/x.png", "https://forge.example/uploads/-/system/x.png"),
            ("/-/project/42/uploads/1f/a.png", "https://forge.example/-/project/42/uploads/1f/a.png"),
            ("/acme/rocket/-/wikis/home", "https://forge.example/acme/rocket/-/wikis/home"),
            ("/acme", "https://forge.example/acme"),
            ("/docs/a.md", "https://forge.example/acme/rocket/-/blob/main/docs/a.md"),
            ("docs/a.md?plain=1#x", "https://forge.example/acme/rocket/-/blob/main/docs/a.md?plain=1#x"),
            ("./../../a/./b/../c.md", "https://forge.example/acme/rocket/-/blob/main/a/c.md"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("mailto:a@b.example", "mailto:a@b.example"),
            ("https://a.example/x", "https://a.example/x"),
            ("irc://irc.example/ops", "as words: irc://irc.example/ops"),
            ("http://", "as words: http://"),
            ("JavaScript:alert(1)", ""),
            ("data:text/html,x", ""),
            (" ", ""),
        ];
        for (destination, expected) in resolved {
            assert_eq!(link(BASE, destination), expected, "{destination}");
        }
        let raw = BASE.resolve("a.png", File::Raw);
        assert_eq!(raw, Target::Link("https://forge.example/acme/rocket/-/raw/main/a.png".to_owned()));
    }

    #[test]
    fn a_forge_below_a_path_keeps_it() {
        let base = Base { project_url: "https://forge.example/git/acme/rocket", ..BASE };
        assert_eq!(
            link(base, "/acme/rocket/-/wikis/home"),
            "https://forge.example/git/acme/rocket/-/wikis/home"
        );
        assert_eq!(link(base, "/git/acme/rocket"), "https://forge.example/git/acme/rocket");
    }

    #[test]
    fn what_an_address_is_relative_to_may_be_unknown() {
        let nothing = Base::default();
        for destination in ["#steps", "/uploads/1f/a.png", "docs/a.md", "/acme/rocket"] {
            assert_eq!(link(nothing, destination), format!("as words: {destination}"));
        }
        let project = Base::of_project("http://gitlab/acme/rocket/");
        assert_eq!(link(project, "a b.md"), "http://gitlab/acme/rocket/-/blob/HEAD/a b.md");
        assert_eq!(link(project, "//cdn.example/x"), "http://cdn.example/x");
        let odd = Base { default_branch: "50%#1", ..BASE };
        assert_eq!(link(odd, "a.md"), "https://forge.example/acme/rocket/-/blob/50%25%231/a.md");
    }
}
