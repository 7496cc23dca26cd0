//! Any issue tracker whose issues have an address each (`app/models/concerns/integrations/base/custom_issue_tracker.rb` in
//! <https://gitlab.com/gitlab-org/gitlab>).

use super::tracker::{Names, Pages, Tracker, about, issue_links, keys_and_numbers};
use crate::adapters::contract::{About, Adapter};
use crate::settings::{FieldError, PageUrl};

crate::settings! {
    /// What leads to the tracker.
    pub struct Settings {
        /// The project's page in the tracker.
        pub project_url: PageUrl = "https://tracker.example.com/rocket",
        /// The address of an issue, with `:id` in the place of its number.
        pub issues_url: PageUrl = "https://tracker.example.com/rocket/issues/:id",
        /// The page for a new issue.
        pub new_issue_url: PageUrl = "https://tracker.example.com/rocket/issues/new",
        /// The tracker's name for people.
        pub title: Option<String> = "Rocket issues",
        /// What the tracker is for. It is kept and shown, and has no effect.
        pub description: Option<String> = "Where the rocket team plans",
        /// Whether `#12` is an issue of this tracker too. If not, it is the forge's own, and only `ABC-12` leads here.
        pub short_references: bool = "true",
    }
}

/// The adapter.
pub struct CustomIssueTracker;

impl Adapter for CustomIssueTracker {
    const ABOUT: About = about(
        "custom-issue-tracker",
        "Custom issue tracker",
        "Links references such as `ABC-12` in messages to issues in a tracker of your own.",
    );
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

issue_links!(CustomIssueTracker);

#[cfg(test)]
mod tests {
    use super::super::tracker::tests::{issue, links, settings};

    const PAGES: [(&str, &str); 3] = [
        ("project_url", "https://t.example/p"),
        ("issues_url", "https://t.example/:id/show?id=:id"),
        ("new_issue_url", "https://t.example/new"),
    ];

    #[test]
    fn the_number_alone_names_an_issue() {
        let tracker = settings("custom-issue-tracker", &PAGES);
        assert_eq!(
            links(&tracker, "See ABC-12, A-1 and #13."),
            ["ABC-12 https://t.example/12/show?id=12", "A-1 https://t.example/1/show?id=1"]
        );
        for name in ["12", "#12", "ABC-12"] {
            assert_eq!(issue(&tracker, name).as_deref(), Some("https://t.example/12/show?id=12"), "{name}");
        }
        for name in ["", "#", "x", "12 ", "ABC-12-3", "%31", "12%2F..", "١٢"] {
            assert_eq!(issue(&tracker, name), None, "{name}");
        }
    }

    #[test]
    fn people_call_it_by_its_title() {
        let name = |more: &[(&str, &str)]| {
            super::super::tracker::tests::name(&settings(
                "custom-issue-tracker",
                &[&PAGES[..], more].concat(),
            ))
        };
        assert_eq!(name(&[("title", " Rocket issues ")]), "Rocket issues");
        assert_eq!(name(&[]), "Custom issue tracker");
    }
}
