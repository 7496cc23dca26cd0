//! Refuses addresses when they are set: those that are never called, as far as their text shows, so that the error
//! comes before the first message fails, and those at another host than the service's.

use std::collections::BTreeMap;

use tracing::warn;
use url::Url;

use super::resolved::own_settings;
use crate::adapters::Entry;
use crate::settings::{Field, FieldError, Kind};
use crate::store::registry::Configuration;

/// Why a URL is never called, as far as its text shows. The text follows `is blocked:`.
type Blocks<'a> = dyn Fn(&Url) -> Option<&'static str> + Send + Sync + 'a;

/// Hosts that the operator permits beside a service's own, by slug.
pub type PermittedHosts = BTreeMap<String, Vec<String>>;

/// Which addresses may be set. The `wire` module knows what is never called, and the operator which hosts are permitted; the
/// daemon passes both on.
pub struct UrlPolicy<'a> {
    blocks: Box<Blocks<'a>>,
    /// `None`: any host is permitted.
    hosts: Option<PermittedHosts>,
}

/// An address that can't be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedUrl {
    pub error: FieldError,
    pub rule: Rule,
}

/// Why an address can't be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    NeverCalled,
    OtherHost,
}

impl Rule {
    /// The operator's setting that can permit the address.
    pub const fn permitted_by(self) -> &'static str {
        match self {
            Self::NeverCalled => "wire.allow_networks",
            Self::OtherHost => "service_hosts",
        }
    }
}

impl<'a> UrlPolicy<'a> {
    pub fn new(
        blocks: impl Fn(&Url) -> Option<&'static str> + Send + Sync + 'a,
        hosts: PermittedHosts,
    ) -> Self {
        Self { blocks: Box::new(blocks), hosts: Some(hosts) }
    }

    /// Blocks nothing.
    pub fn allow_all() -> Self {
        Self { blocks: Box::new(|_| None), hosts: None }
    }

    fn judge(&self, entry: &Entry, field: &str, url: &Url) -> Option<BlockedUrl> {
        if let Some(why) = (self.blocks)(url) {
            let error = FieldError::new(field, format!("is blocked: {why}"));
            return Some(BlockedUrl { error, rule: Rule::NeverCalled });
        }
        let permitted = self.hosts.as_ref()?;
        let own = entry.hosts;
        let is_at = |host: &str| url.host_str().is_some_and(|at| at.eq_ignore_ascii_case(host));
        let is_own = url.scheme() == "https" && own.iter().any(|host| is_at(host));
        let is_permitted = || permitted.get(entry.about.slug).into_iter().flatten().any(|host| is_at(host));
        if own.is_empty() || is_own || is_permitted() {
            return None;
        }
        // GitLab's words.
        let error = FieldError::new(field, format!("URL must point to {}", own.join(" or ")));
        Some(BlockedUrl { error, rule: Rule::OtherHost })
    }
}

/// The addresses of a configuration that can't be set, in GitLab's words.
pub fn blocked_urls(entry: &Entry, given: &Configuration, policy: &UrlPolicy<'_>) -> Vec<BlockedUrl> {
    let own = own_settings(entry, given);
    let is_url = |field: &&Field| matches!(field.kind, Kind::Url | Kind::InternalUrl | Kind::SecretUrl);
    let blocked = entry.fields.iter().filter(is_url).filter_map(|field| {
        // An invalid URL is reported elsewhere.
        let url = Url::parse(own.get(field.name)?.as_text().trim()).ok()?;
        policy.judge(entry, field.name, &url)
    });
    blocked.collect()
}

/// The blocked addresses that are refused when they are set. An address that is usually in the operator's own network
/// is saved, and refused when it is called.
pub(super) fn refused_urls(
    entry: &Entry,
    given: &Configuration,
    url_policy: &UrlPolicy<'_>,
) -> Vec<BlockedUrl> {
    let mut blocked = blocked_urls(entry, given, url_policy);
    blocked.retain(|blocked| !is_internal(entry, &blocked.error.field));
    blocked
}

/// Logs the other blocked addresses, which were saved.
pub(super) fn warn_of_blocked_urls(entry: &Entry, given: &Configuration, url_policy: &UrlPolicy<'_>) {
    for BlockedUrl { error: FieldError { field, problem }, rule } in blocked_urls(entry, given, url_policy) {
        warn!(
            slug = entry.about.slug,
            setting = field,
            permitted_by = rule.permitted_by(),
            "saved an address that is not called: it {problem}"
        );
    }
}

fn is_internal(entry: &Entry, name: &str) -> bool {
    entry.fields.iter().any(|field| field.name == name && field.kind == Kind::InternalUrl)
}
