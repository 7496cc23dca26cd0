//! Linear: an issue tracker (`app/models/concerns/integrations/base/linear.rb` in <https://gitlab.com/gitlab-org/gitlab>).
//!
//! GitLab's pattern also takes spans of numbers (`10-12`). A team's key has a letter, so they are left alone here.

use std::sync::LazyLock;

use regex::Regex;

use super::project_page::ProjectPage;
use super::tracker::about;
use crate::adapters::contract::{About, Adapter, Link, Linked};
use crate::adapters::references::{pattern, references, whole};
use crate::message::{MOST_REFERENCES, Reference};
use crate::settings::{FieldError, PageUrl};

crate::settings! {
    /// What leads to Linear.
    pub struct Settings {
        /// The workspace's address.
        pub workspace_url: PageUrl = "https://linear.app/rocket",
    }
}

/// The adapter.
pub struct Linear;

impl Adapter for Linear {
    const ABOUT: About =
        about("linear", "Linear", "Links references such as `ABC-12` in messages to issues in Linear.");
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let problem = "URL must point to a workspace URL like https://linear.app/example";
        let is_workspace = is_workspace(settings.workspace_url.0.as_str());
        (!is_workspace).then(|| FieldError::new("workspace_url", problem)).into_iter().collect()
    }
}

fn is_workspace(url: &str) -> bool {
    static WORKSPACE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^https://linear\.app/[a-z0-9-]{3,32}/?$"));
    WORKSPACE.is_match(url)
}

fn key() -> &'static Regex {
    static KEY: LazyLock<Regex> = LazyLock::new(|| pattern("(?<issue>[A-Z0-9]{1,7}-[0-9]+)"));
    &KEY
}

fn page(settings: &Settings, key: &str) -> Option<String> {
    let workspace = settings.workspace_url.0.as_str().trim_end_matches('/');
    let has_letter = key.bytes().any(|byte| byte.is_ascii_uppercase());
    has_letter.then(|| format!("{workspace}/issue/{key}"))
}

impl ProjectPage for Linear {}

impl Link for Linear {
    const LEADS_TO: Linked = Linked::Tracker;

    fn references(settings: &Settings, text: &str) -> Vec<Reference> {
        let found = references(key(), text);
        let found = found
            .filter_map(|found| Some(Reference { range: found.range, url: page(settings, found.issue)? }));
        found.take(MOST_REFERENCES + 1).collect()
    }

    fn issue(settings: &Settings, name: &str) -> Option<String> {
        page(settings, whole(key(), name)?)
    }

    fn project(settings: &Settings) -> Option<String> {
        Some(settings.workspace_url.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tracker::tests::{issue, links, settings};
    use crate::adapters::tests::settings_with;

    #[test]
    fn keys_are_references() {
        for workspace in ["https://linear.app/rocket", "https://linear.app/rocket/"] {
            let tracker = settings("linear", &[("workspace_url", workspace)]);
            assert_eq!(
                links(&tracker, "ABC-12, A-1 1A-2"),
                [
                    "ABC-12 https://linear.app/rocket/issue/ABC-12",
                    "A-1 https://linear.app/rocket/issue/A-1",
                    "1A-2 https://linear.app/rocket/issue/1A-2"
                ]
            );
            for text in ["ABCDEFGH-12", "abc-12", "A_B-1", "10-12", "2024-11-30", "CVE-2024-1", "#12"] {
                assert_eq!(links(&tracker, text), [""; 0], "{text}");
            }
            assert_eq!(issue(&tracker, "ABC-12").as_deref(), Some("https://linear.app/rocket/issue/ABC-12"));
            assert_eq!(issue(&tracker, "12"), None);
        }
    }

    #[test]
    fn the_address_is_a_workspaces() {
        let problem = "workspace_url: URL must point to a workspace URL like https://linear.app/example";
        for wrong in [
            "https://linear.app/",
            "https://linear.app/ab",
            "https://linear.app/rocket/x",
            "https://linear.app/Rocket",
            "https://linear.app.example/rocket",
            "http://linear.app/rocket",
            "https://linear.app/rocket?x",
        ] {
            let errors = settings_with("linear", &[("workspace_url", wrong)]).unwrap_err();
            assert_eq!(errors, [problem], "{wrong}");
        }
    }
}
