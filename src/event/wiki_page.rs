//! Wiki pages.

use serde::Deserialize;

use super::read::{lenient, object, parse};
use super::{Decoded, Payload, Trigger, User};

/// A wiki page was created, edited or deleted.
#[derive(Clone, Debug, Default)]
pub struct WikiPage {
    pub title: String,
    pub slug: String,
    pub url: String,
    /// The commit message of the change.
    pub message: String,
    /// `create`, `update`, `delete`.
    pub action: String,
    pub diff_url: Option<String>,
    pub user: Option<User>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    user: Option<User>,
    #[serde(deserialize_with = "object")]
    object_attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    #[serde(deserialize_with = "lenient")]
    title: String,
    #[serde(deserialize_with = "lenient")]
    slug: String,
    #[serde(deserialize_with = "lenient")]
    url: String,
    #[serde(deserialize_with = "lenient")]
    message: String,
    #[serde(deserialize_with = "lenient")]
    action: String,
    diff_url: Option<String>,
}

pub(super) fn decode(json: &str, _: &str) -> Result<Decoded, String> {
    let raw: Raw = parse(json)?;
    let attributes = raw.object_attributes;
    let page = WikiPage {
        title: attributes.title,
        slug: attributes.slug,
        url: attributes.url,
        message: attributes.message,
        action: attributes.action,
        diff_url: attributes.diff_url.filter(|url| !url.is_empty()),
        user: raw.user,
    };
    Ok(Decoded {
        trigger: Some(Trigger::WikiPage),
        subject: format!("wiki_page:{}", page.slug),
        payload: Payload::WikiPage(page),
    })
}
