//! Redmine: an issue tracker (`app/models/concerns/integrations/base/redmine.rb` in
//! <https://gitlab.com/gitlab-org/gitlab>).
//!
//! Redmine's own issues have numbers alone, so of `ABC-12` the number is its issue, as in GitLab.

use super::tracker::{Pages, about, keys_and_numbers};
use crate::adapters::contract::{About, Adapter, Link, Linked};
use crate::message::Reference;
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
        /// The tracker's name for people.
        pub title: Option<String> = "Redmine of the rocket team",
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
        pages(settings).errors()
    }
}

fn pages(settings: &Settings) -> Pages<'_> {
    Pages {
        project: &settings.project_url,
        issues: &settings.issues_url,
        new_issue: Some(&settings.new_issue_url),
        title: settings.title.as_deref(),
    }
}

impl Link for Redmine {
    const LEADS_TO: Linked = Linked::Tracker;

    fn references(settings: &Settings, text: &str) -> Vec<Reference> {
        pages(settings).references(keys_and_numbers(settings.short_references), text)
    }

    fn issue(settings: &Settings, name: &str) -> Option<String> {
        pages(settings).numbered_issue(name)
    }

    fn project(settings: &Settings) -> Option<String> {
        pages(settings).project()
    }

    fn new_issue(settings: &Settings) -> Option<String> {
        pages(settings).new_issue()
    }

    fn name(settings: &Settings) -> String {
        pages(settings).name(Self::ABOUT.title)
    }
}
