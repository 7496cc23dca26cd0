//! Confluence: a wiki (`app/models/concerns/integrations/base/confluence.rb` in <https://gitlab.com/gitlab-org/gitlab>).
//! Messages about the project's wiki lead to it.

use super::address::for_people;
use super::wiki;
use crate::adapters::contract::{About, Adapter, Link, Linked};
use crate::settings::{FieldError, PageUrl};

crate::settings! {
    /// What leads to Confluence.
    pub struct Settings {
        /// The address of the Confluence Cloud workspace.
        pub confluence_url: PageUrl = "https://rocket.atlassian.net/wiki",
    }
}

/// The adapter.
pub struct Confluence;

impl Adapter for Confluence {
    const ABOUT: About = wiki::about(
        "confluence",
        "Confluence Workspace",
        "Links messages about the project's wiki to a Confluence Cloud workspace.",
    );
    type Settings = Settings;

    fn validate(settings: &Settings) -> Vec<FieldError> {
        let problem = "URL must be to a Confluence Cloud Workspace hosted on atlassian.net";
        let is_workspace = is_workspace(&settings.confluence_url.0);
        (!is_workspace).then(|| FieldError::new("confluence_url", problem)).into_iter().collect()
    }
}

fn is_workspace(url: &url::Url) -> bool {
    let name = url.host_str().and_then(|host| host.strip_suffix(".atlassian.net"));
    let is_wiki = url.path() == "/wiki" || url.path().starts_with("/wiki/");
    name.is_some_and(|name| !name.is_empty()) && is_wiki
}

impl Link for Confluence {
    const LEADS_TO: Linked = Linked::Wiki;

    fn wiki(settings: &Settings) -> Option<String> {
        Some(for_people(&settings.confluence_url).into())
    }

    fn name(_settings: &Settings) -> String {
        "Confluence".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use crate::adapters::tests::settings_with;

    #[test]
    fn the_address_is_a_workspaces() {
        for right in [
            "https://rocket.atlassian.net/wiki",
            "http://rocket.atlassian.net/wiki/",
            "https://a.b.atlassian.net/wiki/spaces/X",
        ] {
            assert!(settings_with("confluence", &[("confluence_url", right)]).is_ok(), "{right}");
        }
        let problem =
            "confluence_url: URL must be to a Confluence Cloud Workspace hosted on atlassian.net".to_owned();
        for wrong in [
            "https://atlassian.net/wiki",
            "https://.atlassian.net/wiki",
            "https://rocket.atlassian.net/",
            "https://rocket.atlassian.net/wikis",
            "https://rocket.atlassian.net/x/wiki",
            "https://rocket.atlassian.net.evil.example/wiki",
            "https://evilatlassian.net/wiki",
        ] {
            let errors = settings_with("confluence", &[("confluence_url", wrong)]).unwrap_err();
            assert_eq!(errors, [problem.as_str()], "{wrong}");
        }
        let errors = settings_with("confluence", &[("confluence_url", "ftp://rocket.atlassian.net/wiki")]);
        assert_eq!(errors.unwrap_err(), ["confluence_url: must be an http or https URL"]);
        let errors = settings_with("confluence", &[("confluence_url", " ")]);
        assert_eq!(errors.unwrap_err(), ["confluence_url: can't be blank"]);
    }
}
