//! Code for trackers whose settings are addresses: their pages, and how people name their issues.

use std::sync::LazyLock;

use regex::Regex;

use super::address;
use crate::adapters::contract::{About, CommonSettings};
use crate::adapters::references::{pattern, references, whole};
use crate::event::{Trigger, Triggers};
use crate::integration::Family;
use crate::message::{MOST_REFERENCES, Reference};
use crate::settings::{FieldError, PageUrl};

/// The description that all of them share.
pub(super) const fn about(slug: &'static str, title: &'static str, summary: &'static str) -> About {
    About {
        slug,
        title,
        summary,
        // After a push, the tracker is probed.
        triggers: Triggers::of(&[Trigger::Push]),
        family: Family::Hook,
        common: CommonSettings::NONE,
    }
}

/// A tracker's settings.
pub(super) trait Tracker {
    fn pages(&self) -> Pages<'_>;
    fn names(&self) -> Names;

    /// The references to issues in a text.
    fn references(&self, text: &str) -> Vec<Reference> {
        let (pages, names) = (self.pages(), self.names());
        let found = references(names.pattern, text).filter(|found| (names.is_one)(found.issue));
        let found = found.map(|found| Reference { range: found.range, url: pages.issue(found.issue) });
        // With one more than become links, it is known that there are more.
        found.take(MOST_REFERENCES + 1).collect()
    }

    /// The address of the issue that people call so.
    fn issue(&self, name: &str) -> Option<String> {
        let names = self.names();
        let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        let issue = if is_number && names.are_numbers { Some(name) } else { whole(names.named, name) };
        issue.filter(|issue| (names.is_one)(issue)).map(|issue| self.pages().issue(issue))
    }
}

/// Implements [`Link`](crate::adapters::contract::Link) for an adapter whose settings are a [`Tracker`], and its probe.
macro_rules! issue_links {
    ($adapter:ty) => {
        impl super::project_page::ProjectPage for $adapter {}

        impl $crate::adapters::contract::Link for $adapter {
            const LEADS_TO: $crate::adapters::contract::Linked = $crate::adapters::contract::Linked::Tracker;

            fn references(settings: &Self::Settings, text: &str) -> Vec<$crate::message::Reference> {
                settings.references(text)
            }

            fn issue(settings: &Self::Settings, name: &str) -> Option<String> {
                settings.issue(name)
            }

            fn project(settings: &Self::Settings) -> Option<String> {
                Some(super::address::for_people(settings.pages().project).into())
            }

            fn new_issue(settings: &Self::Settings) -> Option<String> {
                settings.pages().new_issue.map(|page| super::address::for_people(page).into())
            }

            fn name(settings: &Self::Settings) -> String {
                settings.pages().title.unwrap_or(Self::ABOUT.title).trim().to_owned()
            }
        }
    };
}
pub(super) use issue_links;

/// The addresses of a tracker's pages.
#[derive(Clone, Copy)]
pub(super) struct Pages<'a> {
    pub project: &'a PageUrl,
    /// The address of an issue, with `:id` in the place of what names it.
    pub issues: &'a PageUrl,
    pub new_issue: Option<&'a PageUrl>,
    /// The tracker's name for people.
    pub title: Option<&'a str>,
}

impl Pages<'_> {
    /// The errors in the settings.
    pub fn errors(self) -> Vec<FieldError> {
        address::without_place(self.issues).into_iter().collect()
    }

    fn issue(self, id: &str) -> String {
        address::of_issue(self.issues, id)
    }
}

/// How a tracker's issues are named.
pub(super) struct Names {
    /// The references in texts.
    pub pattern: &'static Regex,
    /// The names of an issue in a context where only an issue can be meant.
    pub named: &'static Regex,
    /// Whether a number alone is such a name.
    pub are_numbers: bool,
    /// A check of an issue's number or key that a pattern can't express.
    pub is_one: fn(&str) -> bool,
}

/// `ABC-12`, and `#12` if the settings say so. The number alone names the issue.
pub(super) fn keys_and_numbers(short_references: bool) -> Names {
    static KEYS: LazyLock<Regex> = LazyLock::new(|| pattern("[A-Z][A-Z0-9_]*-(?<issue>[0-9]+)"));
    static BOTH: LazyLock<Regex> = LazyLock::new(|| pattern("(?:[A-Z][A-Z0-9_]*-|#)(?<issue>[0-9]+)"));
    let pattern = if short_references { &BOTH } else { &KEYS };
    Names { pattern, named: &BOTH, are_numbers: true, is_one: |_| true }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::adapters::tests::settings_with;
    use crate::adapters::{Links, find};
    use crate::settings::Parsed;

    /// An adapter's links with these settings.
    pub struct Linked(&'static Links, Parsed);

    pub fn settings(slug: &str, properties: &[(&str, &str)]) -> Linked {
        let links = find(slug).and_then(|entry| entry.link.as_ref()).expect("it has links");
        Linked(links, settings_with(slug, properties).expect("valid settings"))
    }

    /// The references in a text, each with its address.
    pub fn links(linked: &Linked, text: &str) -> Vec<String> {
        let found = linked.0.references(&linked.1, text).into_iter();
        found.map(|found| format!("{} {}", &text[found.range], found.url)).collect()
    }

    pub fn issue(linked: &Linked, name: &str) -> Option<String> {
        linked.0.issue(&linked.1, name)
    }

    pub fn name(linked: &Linked) -> String {
        linked.0.name(&linked.1)
    }

    const PAGES: [(&str, &str); 3] = [
        ("project_url", "https://t.example/p"),
        ("issues_url", "https://t.example/:id"),
        ("new_issue_url", "https://t.example/new"),
    ];

    #[test]
    fn pages_are_those_of_the_settings() {
        for slug in ["bugzilla", "custom-issue-tracker", "ewm", "redmine", "youtrack", "clickup", "phorge"] {
            let Linked(links, parsed) = settings(slug, &PAGES);
            assert_eq!(links.project(&parsed).as_deref(), Some("https://t.example/p"), "{slug}");
            let has_own = !["youtrack", "clickup", "phorge"].contains(&slug);
            let new = has_own.then_some("https://t.example/new");
            assert_eq!(links.new_issue(&parsed).as_deref(), new, "{slug}");
            assert_eq!(links.wiki(&parsed), None, "{slug}");
        }
    }

    #[test]
    fn addresses_are_checked_as_in_gitlab() {
        let errors = |name: &str, value: &str| {
            let mut changed = PAGES.to_vec();
            changed.retain(|(known, _)| *known != name);
            changed.push((name, value));
            settings_with("redmine", &changed).err().unwrap_or_default()
        };
        for (name, _) in PAGES {
            let whole = format!("https://t.example/:id{}", "x".repeat(2048 - 21));
            assert_eq!(errors(name, &whole), [""; 0], "{name}");
            let too_long = format!("{name}: is too long (maximum is 2048 characters)");
            assert_eq!(errors(name, &format!("{whole}x")), [too_long]);
            assert_eq!(errors(name, " "), [format!("{name}: can't be blank")]);
            assert_eq!(
                errors(name, "javascript://t.example/:id"),
                [format!("{name}: must be an http or https URL")]
            );
            assert_eq!(errors(name, ":id"), [format!("{name}: must be a valid URL")]);
        }
        let without = errors("issues_url", "https://t.example/issues/");
        assert_eq!(without.len(), 1);
        assert!(without[0].starts_with("issues_url: must contain `:id`"), "{without:?}");
    }

    #[test]
    fn ten_thousand_references_are_not_all_read() {
        let text = (0..10_000).map(|number| format!("ABC-{number} ")).collect::<Vec<_>>().concat();
        assert_eq!(links(&settings("redmine", &PAGES), &text).len(), crate::message::MOST_REFERENCES + 1);
    }
}
