//! Redmine: an issue tracker (`app/models/concerns/integrations/base/redmine.rb` in
//! <https://gitlab.com/gitlab-org/gitlab>).
//!
//! Redmine's own issues have numbers alone, so of `ABC-12` the number is its issue, as in GitLab.

use super::tracker::{Names, Pages, Tracker, about, issue_links, keys_and_numbers};
use crate::adapters::contract::{About, Adapter};
use crate::settings::{FieldError, PageUrl};

crate::settings! {
    /// What leads to Redmine.
    pub struct Settings {
        /// The project's page in Redmine.
        pub project_url: PageUrl = "https://redmine.example.com/projects/rocket",
        /// The address of an issue, with `:id` in the place of its number.
        pub issues_url: PageUrl = "https://redmine.example.com/issues/:id",
        /// The page for a new issue.
        pub new_issue_url: PageUrl = "https://redmine.example.com/projects/rocket/issues/new",
        /// What the tracker is for. It is kept and shown, and has no effect.
        pub description: Option<String> = "Where the rocket team plans",
        /// Whether `#12` is an issue of this tracker too. If not, it is the forge's own, and only `ABC-12` leads here.
        pub short_references: bool = "true",
    }
}

/// The adapter.
pub struct Redmine;

impl Adapter for Redmine {
    const ABOUT: About =
        about("redmine", "Redmine", "Links references such as `ABC-12` in messages to issues in Redmine.");
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
            title: None,
        }
    }

    fn names(&self) -> Names {
        keys_and_numbers(self.short_references)
    }
}

issue_links!(Redmine);

#[cfg(test)]
mod tests {
    use super::super::tracker::tests::{issue, links, settings};

    const PAGES: [(&str, &str); 3] = [
        ("project_url", "https://t.example/p"),
        ("issues_url", "https://t.example/issues/:id"),
        ("new_issue_url", "https://t.example/new"),
    ];

    #[test]
    fn the_number_alone_names_an_issue() {
        let tracker = settings("redmine", &PAGES);
        assert_eq!(
            links(&tracker, "See ABC-12, A-1 and #13."),
            ["ABC-12 https://t.example/issues/12", "A-1 https://t.example/issues/1"]
        );
        for name in ["12", "#12", "ABC-12"] {
            assert_eq!(issue(&tracker, name).as_deref(), Some("https://t.example/issues/12"), "{name}");
        }
        for name in ["", "#", "x", "12 ", "ABC-12-3", "%31", "12%2F..", "١٢"] {
            assert_eq!(issue(&tracker, name), None, "{name}");
        }
    }

    #[test]
    fn a_sign_and_a_number_are_the_forges_own_unless_the_settings_say_so() {
        let both = settings("redmine", &[&PAGES[..], &[("short_references", "true")]].concat());
        assert_eq!(links(&both, "#13 a#14 #15a ##16"), ["#13 https://t.example/issues/13"]);
        assert_eq!(links(&settings("redmine", &PAGES), "#13"), [""; 0]);
    }
}
