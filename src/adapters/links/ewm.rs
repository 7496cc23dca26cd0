//! IBM Engineering Workflow Management, formerly Rational Team Concert: an issue tracker
//! (`app/models/concerns/integrations/base/ewm.rb` in <https://gitlab.com/gitlab-org/gitlab>).
//!
//! A reference is the word for a work item and its number: `bug 12`, `Work Item 12`.

use std::sync::LazyLock;

use regex::Regex;

use super::tracker::{Names, Pages, Tracker, about, issue_links};
use crate::adapters::contract::{About, Adapter};
use crate::adapters::references::pattern;
use crate::settings::{FieldError, PageUrl};

crate::settings! {
    /// What leads to EWM.
    pub struct Settings {
        /// The project's page in EWM.
        pub project_url: PageUrl = "https://ewm.example.com/ccm/web/projects/rocket",
        /// The address of an issue, with `:id` in the place of its number.
        pub issues_url: PageUrl = "https://ewm.example.com/ccm/resource/itemName/com.ibm.team.workitem.WorkItem/:id",
        /// The page for a new issue.
        pub new_issue_url: PageUrl = "https://ewm.example.com/ccm/web/projects/rocket#action=com.ibm.team.workitem.newWorkItem",
    }
}

/// The adapter.
pub struct Ewm;

impl Adapter for Ewm {
    const ABOUT: About =
        about("ewm", "EWM", "Links references such as `task 12` in messages to work items in EWM.");
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
        // On one line: a word at its end and a number at the next one's start are apart.
        static WORDS: LazyLock<Regex> = LazyLock::new(|| {
            pattern(r"(?i)(?:bug|task|work item|workitem|rtcwi|defect)[\s--\n\r]+(?<issue>[0-9]+)")
        });
        Names { pattern: &WORDS, named: &WORDS, are_numbers: true, is_one: |_| true }
    }
}

issue_links!(Ewm);

#[cfg(test)]
mod tests {
    use super::super::tracker::tests::{issue, links, settings};

    const PAGES: [(&str, &str); 3] = [
        ("project_url", "https://t.example/p"),
        ("issues_url", "https://t.example/:id"),
        ("new_issue_url", "https://t.example/new"),
    ];

    #[test]
    fn a_word_and_a_number_are_a_reference() {
        let tracker = settings("ewm", &PAGES);
        for text in [
            "bug 12",
            "task 12",
            "work item 12",
            "workitem 12",
            "rtcwi 12",
            "defect 12",
            "Bug \t12",
            "WORK ITEM 12",
        ] {
            assert_eq!(links(&tracker, &format!("Fixes {text}.")), [format!("{text} https://t.example/12")]);
            assert_eq!(issue(&tracker, text).as_deref(), Some("https://t.example/12"));
        }
        for text in [
            "debug 12",
            "bug12",
            "bugs 12",
            "task\n12",
            "a_task 12",
            "bug 12a",
            "bug 12-13",
            "bug 1.2",
            "ABC-12",
            "#12",
            "work 12",
        ] {
            assert_eq!(links(&tracker, text), [""; 0], "{text}");
        }
        assert_eq!(issue(&tracker, "12").as_deref(), Some("https://t.example/12"));
    }
}
