//! Phorge, a successor of Phabricator: an issue tracker (`app/models/concerns/integrations/base/phorge.rb` in
//! <https://gitlab.com/gitlab-org/gitlab>).

use std::sync::LazyLock;

use regex::Regex;

use super::tracker::{Names, Pages, Tracker, about, issue_links};
use crate::adapters::contract::{About, Adapter};
use crate::adapters::references::pattern;
use crate::settings::{FieldError, PageUrl};

crate::settings! {
    /// What leads to Phorge.
    pub struct Settings {
        /// The project's page in Phorge.
        pub project_url: PageUrl = "https://phorge.example.com/project/view/12/",
        /// The address of an issue, with `:id` in the place of its name, such as `T12`.
        pub issues_url: PageUrl = "https://phorge.example.com/:id",
    }
}

/// The adapter.
pub struct Phorge;

impl Adapter for Phorge {
    const ABOUT: About =
        about("phorge", "Phorge", "Links references such as `T12` in messages to tasks in Phorge.");
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        settings.pages().errors()
    }
}

impl Tracker for Settings {
    fn pages(&self) -> Pages<'_> {
        Pages { project: &self.project_url, issues: &self.issues_url, new_issue: None, title: None }
    }

    fn names(&self) -> Names {
        static TASKS: LazyLock<Regex> = LazyLock::new(|| pattern("(?<issue>T[0-9]+)"));
        Names { pattern: &TASKS, named: &TASKS, are_numbers: false, is_one: |_| true }
    }
}

issue_links!(Phorge);

#[cfg(test)]
mod tests {
    use super::super::tracker::tests::{issue, links, settings};

    const PAGES: [(&str, &str); 2] =
        [("project_url", "https://t.example/p"), ("issues_url", "https://t.example/:id")];

    #[test]
    fn a_letter_and_a_number_are_a_reference() {
        let tracker = settings("phorge", &PAGES);
        assert_eq!(links(&tracker, "T12, (T13)"), ["T12 https://t.example/T12", "T13 https://t.example/T13"]);
        for text in ["@T12", "-T12", "x-T12", "UT12", "t12", "T12a", "T12-13", "#12", "12"] {
            assert_eq!(links(&tracker, text), [""; 0], "{text}");
        }
        assert_eq!(issue(&tracker, "T12").as_deref(), Some("https://t.example/T12"));
        assert_eq!(issue(&tracker, "12"), None);
    }
}
