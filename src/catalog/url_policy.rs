//! Addresses that are never called, judged by how they are written, so that they are refused when they are set and not
//! when the first message fails.

use tracing::warn;
use url::Url;

use super::resolved::own_settings;
use crate::adapters::Entry;
use crate::settings::{Field, FieldError, Kind};
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
    let is_url = |field: &&Field| matches!(field.kind, Kind::Url | Kind::InternalUrl | Kind::SecretUrl);
    let errors = entry.fields.iter().filter(is_url).filter_map(|field| {
        // What is not a URL is reported elsewhere.
        let url = Url::parse(own.get(field.name)?.as_text().trim()).ok()?;
        url_policy(&url).map(|why| FieldError::new(field.name, format!("is blocked: {why}")))
    });
    errors.collect()
}

/// Those of them that are refused when they are set. An address that is usually in the operator's own network is saved, and
/// refused when it is called.
pub(super) fn refused_urls(
    entry: &Entry,
    given: &Configuration,
    url_policy: &UrlPolicy<'_>,
) -> Vec<FieldError> {
    let mut errors = blocked_urls(entry, given, url_policy);
    errors.retain(|error| !is_internal(entry, &error.field));
    errors
}

/// Logs the others, which were saved.
pub(super) fn warn_of_blocked_urls(entry: &Entry, given: &Configuration, url_policy: &UrlPolicy<'_>) {
    for FieldError { field, problem } in blocked_urls(entry, given, url_policy) {
        warn!(
            slug = entry.about.slug,
            setting = field,
            "saved an address that is not called: it {problem}; `wire.allow_networks` can permit it"
        );
    }
}

fn is_internal(entry: &Entry, name: &str) -> bool {
    entry.fields.iter().any(|field| field.name == name && field.kind == Kind::InternalUrl)
}
