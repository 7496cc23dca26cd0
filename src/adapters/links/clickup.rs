//! ClickUp: an issue tracker (`app/models/concerns/integrations/base/clickup.rb` in <https://gitlab.com/gitlab-org/gitlab>).
//!
//! A task has an id of letters and digits, written `CU-8669dk3ab` or `#8669dk3ab`, and may have one of the team's own,
//! `DEV-12`. GitLab's pattern also takes words (`#fixme`) and spans of numbers (`10-12`): here an id has a digit, and one
//! of the team's own has a letter.

use std::sync::LazyLock;

use regex::Regex;

use super::tracker::{Names, Pages, Tracker, about, issue_links};
use crate::adapters::contract::{About, Adapter};
use crate::adapters::references::pattern;
use crate::settings::{FieldError, PageUrl};

/// Whether this is an id or a key of a task, not a word or a span of numbers.
fn is_task(name: &str) -> bool {
    let has_letter = name.bytes().any(|byte| byte.is_ascii_alphabetic());
    let has_digit = name.bytes().any(|byte| byte.is_ascii_digit());
    has_digit && (has_letter || !name.contains('-'))
}

crate::settings! {
    /// What leads to ClickUp.
    pub struct Settings {
        /// The project's page in ClickUp.
        pub project_url: PageUrl = "https://app.clickup.com/1234567",
        /// The address of an issue, with `:id` in the place of its id.
        pub issues_url: PageUrl = "https://app.clickup.com/t/:id",
        /// Whether `#8669dk3ab` is a task in ClickUp too. If not, it is the forge's own, and `CU-8669dk3ab` leads here.
        pub short_references: bool = "true",
    }
}

/// The adapter.
pub struct ClickUp;

impl Adapter for ClickUp {
    const ABOUT: About = about(
        "clickup",
        "ClickUp",
        "Links references such as `CU-8669dk3ab` and `DEV-12` in messages to tasks in ClickUp.",
    );
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
        static IDS: LazyLock<Regex> =
            LazyLock::new(|| pattern("CU-(?<issue>[a-z0-9]+)|(?<key>[A-Z0-9_]{2,10}-[0-9]+)"));
        static ALL: LazyLock<Regex> =
            LazyLock::new(|| pattern("(?:#|CU-)(?<issue>[a-z0-9]+)|(?<key>[A-Z0-9_]{2,10}-[0-9]+)"));
        let pattern = if self.short_references { &ALL } else { &IDS };
        Names { pattern, named: &ALL, are_numbers: false, is_one: is_task }
    }
}

issue_links!(ClickUp);

#[cfg(test)]
mod tests {
    use super::super::tracker::tests::{issue, links, settings};

    const PAGES: [(&str, &str); 2] =
        [("project_url", "https://t.example/p"), ("issues_url", "https://t.example/t/:id")];

    #[test]
    fn ids_and_keys_of_the_team_are_references() {
        let tracker = settings("clickup", &PAGES);
        let text = "CU-8669dk3ab, CU-12 DEV-12 D2_-3 #8669dk3ab";
        let expected = [
            "CU-8669dk3ab https://t.example/t/8669dk3ab",
            "CU-12 https://t.example/t/12",
            "DEV-12 https://t.example/t/DEV-12",
            "D2_-3 https://t.example/t/D2_-3",
        ];
        assert_eq!(links(&tracker, text), expected);
        for text in
            ["CU-later", "10-12", "2024-11", "D-1", "ABCDEFGHIJK-1", "dev-12", "CU-8669DK", "CVE-2024-1"]
        {
            assert_eq!(links(&tracker, text), [""; 0], "{text}");
        }
        let both = settings("clickup", &[&PAGES[..], &[("short_references", "true")]].concat());
        assert_eq!(
            links(&both, "#8669dk3ab #fixme #12"),
            ["#8669dk3ab https://t.example/t/8669dk3ab", "#12 https://t.example/t/12"]
        );
        assert_eq!(issue(&tracker, "#8669dk3ab").as_deref(), Some("https://t.example/t/8669dk3ab"));
        assert_eq!(issue(&tracker, "DEV-12").as_deref(), Some("https://t.example/t/DEV-12"));
        assert_eq!(issue(&tracker, "#fixme"), None);
    }
}
