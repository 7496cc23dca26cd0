//! Addresses that are never called, recognised by how they are written. They are reported when they are set, before the
//! first message fails.

use url::Url;

use super::resolved::own_settings;
use crate::adapters::Entry;
use crate::settings::{FieldError, Kind};
use crate::store::registry::Configuration;

/// The reason why a URL is never called, as far as its text shows it; it follows the words `is blocked:`. The check is
/// `wire`'s; the daemon passes it to the catalog.
pub type UrlPolicy<'a> = dyn Fn(&Url) -> Option<&'static str> + Send + Sync + 'a;

/// Where nothing is known of what may be called.
pub fn allow_all_urls(_: &Url) -> Option<&'static str> {
    None
}

/// The settings of a configuration that name such an address, in GitLab's words.
pub fn blocked_urls(entry: &Entry, given: &Configuration, blocks: &UrlPolicy<'_>) -> Vec<FieldError> {
    let own = own_settings(entry, given);
    let urls = entry.fields.iter().filter(|field| matches!(field.kind, Kind::Url | Kind::SecretUrl));
    let errors = urls.filter_map(|field| {
        // What is no URL has been told as such.
        let url = Url::parse(own.get(field.name)?.as_text().trim()).ok()?;
        blocks(&url).map(|why| FieldError::new(field.name, format!("is blocked: {why}")))
    });
    errors.collect()
}
