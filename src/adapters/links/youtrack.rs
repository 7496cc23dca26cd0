//! YouTrack: an issue tracker (`app/models/concerns/integrations/base/youtrack.rb` in
//! <https://gitlab.com/gitlab-org/gitlab>).
//!
//! People name its issues by the whole key, in upper or lower case. Issues never have only a number.

use std::sync::LazyLock;

use regex::Regex;

use super::tracker::{Names, Pages, Tracker, about, issue_links};
use crate::adapters::contract::{About, Adapter};
use crate::adapters::references::pattern;
use crate::settings::{FieldError, PageUrl};

crate::settings! {
    /// What leads to YouTrack.
    pub struct Settings {
        /// The project's page in YouTrack.
        pub project_url: PageUrl = "https://youtrack.example.com/projects/rocket",
        /// The address of an issue, with `:id` in the place of its key.
        pub issues_url: PageUrl = "https://youtrack.example.com/issue/:id",
        /// What the tracker is for. It is kept and shown, and has no effect.
        pub description: Option<String> = "Where the rocket team plans",
    }
}

/// The adapter.
pub struct YouTrack;

impl Adapter for YouTrack {
    const ABOUT: About =
        about("youtrack", "YouTrack", "Links references such as `ABC-12` in messages to issues in YouTrack.");
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
        static KEYS: LazyLock<Regex> = LazyLock::new(|| pattern("(?<issue>[A-Za-z][A-Za-z0-9_]*-[0-9]+)"));
        Names { pattern: &KEYS, named: &KEYS, are_numbers: false, is_one: |_| true }
    }
}

issue_links!(YouTrack);

#[cfg(test)]
mod tests {
    use super::super::tracker::tests::{issue, links, settings};

    const PAGES: [(&str, &str); 2] =
        [("project_url", "https://t.example/p"), ("issues_url", "https://t.example/issue/:id")];

    #[test]
    fn a_key_in_any_case_is_a_reference() {
        let tracker = settings("youtrack", &PAGES);
        for key in ["ABC-12", "YT-1", "yt-1", "Yt_2-1", "A1-2"] {
            assert_eq!(
                links(&tracker, &format!("({key})")),
                [format!("{key} https://t.example/issue/{key}")]
            );
            assert_eq!(issue(&tracker, key), Some(format!("https://t.example/issue/{key}")));
        }
        for text in ["#12", "12", "1A-2", "_A-1", "YT-1a", "CVE-2024-1", "node-1.example", "é-1"] {
            assert_eq!(links(&tracker, text), [""; 0], "{text}");
            assert_eq!(issue(&tracker, text), None, "{text}");
        }
    }
}
