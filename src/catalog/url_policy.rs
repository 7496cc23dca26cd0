//! Addresses that are never called, judged by how they are written, so that they are refused when they are set and not
//! when the first message fails.

use url::Url;

use super::resolved::own_settings;
use crate::adapters::Entry;
use crate::settings::{FieldError, Kind};
use crate::store::registry::Configuration;

/// Why a URL is never called, judged by how it is written; in words that follow `is blocked:`. The `wire` module knows, and
/// the daemon passes its answer on.
pub type UrlPolicy<'a> = dyn Fn(&Url) -> Option<&'static str> + Send + Sync + 'a;

/// Blocks nothing.
pub fn allow_all_urls(_: &Url) -> Option<&'static str> {
    None
}

/// The settings of a configuration that contain a blocked address, in GitLab's words.
pub fn blocked_urls(entry: &Entry, given: &Configuration, url_policy: &UrlPolicy<'_>) -> Vec<FieldError> {
    let own = own_settings(entry, given);
    let urls = entry.fields.iter().filter(|field| matches!(field.kind, Kind::Url | Kind::SecretUrl));
    let errors = urls.filter_map(|field| {
        // What is not a URL is reported elsewhere.
        let url = Url::parse(own.get(field.name)?.as_text().trim()).ok()?;
        url_policy(&url).map(|why| FieldError::new(field.name, format!("is blocked: {why}")))
    });
    errors.collect()
}
