//! Bugzilla: an issue tracker (`app/models/concerns/integrations/base/bugzilla.rb` in
//! <https://gitlab.com/gitlab-org/gitlab>).

use super::tracker::{Names, Pages, Tracker, about, issue_links, keys_and_numbers};
use crate::adapters::contract::{About, Adapter};
use crate::settings::{FieldError, PageUrl};

crate::settings! {
    /// What leads to Bugzilla.
    pub struct Settings {
        /// The project's page in Bugzilla.
        pub project_url: PageUrl = "https://bugzilla.example.com/describecomponents.cgi?product=rocket",
        /// The address of an issue, with `:id` in the place of its number.
        pub issues_url: PageUrl = "https://bugzilla.example.com/show_bug.cgi?id=:id",
        /// The page for a new issue.
        pub new_issue_url: PageUrl = "https://bugzilla.example.com/enter_bug.cgi?product=rocket",
        /// The tracker's name for people.
        pub title: Option<String> = "Bugs of the rocket",
        /// What the tracker is for. It is kept and shown, and has no effect.
        pub description: Option<String> = "Where the rocket team plans",
        /// Whether `#12` is an issue of this tracker too. If not, it is the forge's own, and only `ABC-12` leads here.
        pub short_references: bool = "true",
    }
}

/// The adapter.
pub struct Bugzilla;

impl Adapter for Bugzilla {
    const ABOUT: About =
        about("bugzilla", "Bugzilla", "Links references such as `ABC-12` in messages to bugs in Bugzilla.");
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        settings.pages().errors()
    }
}

impl Tracker for Settings {
    fn pages(&self) -> Pages<'_> {
        Pages {
            project: &self.project_url,
            issues: &self.issues_url,
            new_issue: Some(&self.new_issue_url),
            title: self.title.as_deref(),
        }
    }

    fn names(&self) -> Names {
        keys_and_numbers(self.short_references)
    }
}

issue_links!(Bugzilla);

#[cfg(test)]
mod tests {
    use super::super::tracker::tests::{issue, links, settings};

    const PAGES: [(&str, &str); 3] = [
        ("project_url", "https://t.example/p"),
        ("issues_url", "https://t.example/show_bug.cgi?id=:id"),
        ("new_issue_url", "https://t.example/new"),
    ];

    #[test]
    fn the_number_alone_names_an_issue() {
        let tracker = settings("bugzilla", &PAGES);
        assert_eq!(
            links(&tracker, "See ABC-12, A-1 and #13."),
            ["ABC-12 https://t.example/show_bug.cgi?id=12", "A-1 https://t.example/show_bug.cgi?id=1"]
        );
        for name in ["12", "#12", "ABC-12"] {
            assert_eq!(
                issue(&tracker, name).as_deref(),
                Some("https://t.example/show_bug.cgi?id=12"),
                "{name}"
            );
        }
        for name in ["", "#", "x", "12 ", "ABC-12-3", "%31", "12%2F..", "١٢"] {
            assert_eq!(issue(&tracker, name), None, "{name}");
        }
    }
}
