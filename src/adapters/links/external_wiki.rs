//! A wiki of one's own (`app/models/concerns/integrations/base/external_wiki.rb` in
//! <https://gitlab.com/gitlab-org/gitlab>). Messages about the project's wiki lead to it.

use super::wiki;
use crate::adapters::contract::{About, Adapter, Link, Linked};
use crate::settings::PageUrl;

crate::settings! {
    /// What leads to the wiki.
    pub struct Settings {
        /// The wiki's address.
        pub external_wiki_url: PageUrl = "https://wiki.example.com/rocket",
    }
}

/// The adapter.
pub struct ExternalWiki;

impl Adapter for ExternalWiki {
    const ABOUT: About = wiki::about(
        "external-wiki",
        "External wiki",
        "Links messages about the project's wiki to a wiki of your own.",
    );
    type Settings = Settings;
}

impl Link for ExternalWiki {
    const LEADS_TO: Linked = Linked::Wiki;

    fn wiki(settings: &Settings) -> Option<String> {
        Some(settings.external_wiki_url.0.to_string())
    }
}
