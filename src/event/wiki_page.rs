//! Wiki pages.

use serde::Deserialize;

use super::frame::{Body, Frame};
use super::read::{lenient, object};
use super::{Decoded, Payload, SharedStr, Trigger, User};

/// A wiki page was created, edited or deleted.
#[derive(Clone, Debug, Default)]
pub struct WikiPage {
    pub title: SharedStr,
    pub slug: SharedStr,
    pub url: SharedStr,
    /// The commit message of the change.
    pub message: SharedStr,
    /// `create`, `update`, `delete`.
    pub action: SharedStr,
    pub diff_url: Option<SharedStr>,
    pub user: Option<User>,
}

#[derive(Deserialize)]
pub(super) struct Raw {
    #[serde(default)]
    user: Option<User>,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "lenient")]
    title: SharedStr,
    #[serde(deserialize_with = "lenient")]
    slug: SharedStr,
    #[serde(deserialize_with = "lenient")]
    url: SharedStr,
    #[serde(deserialize_with = "lenient")]
    message: SharedStr,
    #[serde(deserialize_with = "lenient")]
    action: SharedStr,
    diff_url: Option<SharedStr>,
}

impl Body for Raw {
    fn decoded(self, _: &Frame) -> Result<Decoded, String> {
        let attributes = self.object_attributes;
        let page = WikiPage {
            title: attributes.title,
            slug: attributes.slug,
            url: attributes.url,
            message: attributes.message,
            action: attributes.action,
            diff_url: attributes.diff_url.filter(|url| !url.is_empty()),
            user: self.user,
        };
        Ok(Decoded {
            trigger: Some(Trigger::WikiPage),
            subject: format!("wiki_page:{}", page.slug),
            payload: Payload::WikiPage(page),
        })
    }
}
