//! The catalog: integrations from files and from the API, the projects and groups that they belong to, and which
//! settings apply where.
//!
//! A [`Configured`] is one integration as it was configured, in a file or through the API; [`Resolved`] is the meaning of
//! its settings. The [`Snapshot`] holds all of them together with the [`Directory`] of projects and groups, and returns the
//! integrations that an event concerns. A scope without settings of its own, or whose settings say that they inherit,
//! uses the nearest default: that of the groups around it, then that of the instance ([`Inheritance`]).
//! [`CachedCatalog`] keeps a snapshot in step with the store and the files; the pipeline reads it through [`Catalog`].
//! `change` computes a new configuration from an old one and a request, `url_policy` finds addresses in it that would
//! never be called (both pure), and `update` writes it. `file_notes` keeps the times of the files' integrations.
//! `trackers` refuses a second issue tracker of a project. `paths` finds what lies below a path. `forge` finds the path
//! of a project of which an event names only the address of a page.
//!
//! Absent here: HTTP, TOML and SQL.

mod cached;
mod change;
mod configured;
mod directory;
mod file_notes;
mod fingerprint;
mod forge;
mod paths;
mod resolved;
mod snapshot;
#[cfg(test)]
mod tests;
mod trackers;
mod update;
mod url_policy;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::adapters::{Entry, ProjectLinks, common_settings};
use crate::event::{Event, EventId, Undecodable};
use crate::integration::{Fingerprint, Integration, IntegrationId, ProjectFacts};
use crate::settings::FieldError;
use crate::store::registry::Mute;

pub use cached::CachedCatalog;
pub use change::{InvalidChange, Request};
pub use configured::{Configured, ConfiguredAt, FIRST_DERIVED_ID, Noted, Origin, integration_id};
pub use directory::{Directory, ResolvedScope};
pub use resolved::{Resolved, sort_secrets};
pub use snapshot::{Inheritance, Snapshot};
pub use trackers::is_tracker;
pub use update::{Actor, Change, ChangeError};
use url_policy::refused_urls;
pub use url_policy::{BlockedUrl, PermittedHosts, Rule, UrlPolicy, blocked_urls};

/// The configuration. It is read for every event and answers from memory.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// The integrations of the project or group of an event, including inactive ones: `explain` shows those too.
    fn concerned(&self, event: &Event) -> Vec<Arc<Integration>>;
    fn integration(&self, id: &IntegrationId) -> Option<Arc<Integration>>;
    /// The tracker and the wiki that the event's project has elsewhere.
    fn links(&self, event: &Event) -> ProjectLinks;
    /// The event with the path of its project as the forge has it, where the payload names only the address of a page.
    fn located(&self, event: Event) -> Event;

    /// The event in a webhook's body. All events that come from elsewhere are decoded here, so that each is of the
    /// right project, wherever the forge lies.
    ///
    /// # Errors
    /// [`Undecodable`] names what is wrong.
    fn decode(&self, id: EventId, occurred_at: Timestamp, raw: Bytes) -> Result<Event, Undecodable> {
        Event::decode(id, occurred_at, raw).map(|event| self.located(event))
    }

    /// The known facts on the event's project beyond the event.
    fn facts(&self, event: &Event) -> ProjectFacts;
    /// The mute of this channel for the event's project, if there is one now.
    fn muted(&self, event: &Event, integration: &Integration, target: &str, now: Timestamp) -> Option<Mute>;

    /// Whether an integration comes from this node's files or is unknown here. The files of another node may then differ;
    /// what is in the store is the same for all nodes.
    fn hangs_on_files(&self, _id: &IntegrationId) -> bool {
        false
    }

    /// Why an integration that is switched on can't be used: its settings are not valid. Its deliveries continue to
    /// wait.
    fn unusable(&self, _id: &IntegrationId) -> Option<String> {
        None
    }

    /// The present fingerprint of an integration.
    fn fingerprint(&self, id: &IntegrationId) -> Option<Fingerprint> {
        self.integration(id).map(|integration| integration.fingerprint)
    }

    /// Reads what other processes changed in the store, if there is a store.
    async fn refresh(&self) -> crate::store::Result<()> {
        Ok(())
    }

    /// Records the projects of these events, before rows are written that refer to them.
    async fn learn(&self, _events: &[Arc<Event>], _now: Timestamp) -> crate::store::Result<()> {
        Ok(())
    }
}

/// Warnings about accepted settings without an effect, such as addresses that are never called. Invalid settings give
/// no warnings.
pub fn warnings(configured: &Configured, url_policy: &UrlPolicy<'_>) -> Vec<FieldError> {
    let Configured { entry, configuration, resolved: Ok(resolved), .. } = configured else {
        return Vec::new();
    };
    let mut warnings =
        common_settings::warnings(&entry.about, &configuration.properties, resolved.triggers());
    warnings.extend(entry.warnings(resolved.settings()));
    let blocked = blocked_urls(entry, configuration, url_policy).into_iter();
    warnings.extend(blocked.map(|BlockedUrl { error: FieldError { field, problem }, rule }| FieldError {
        field,
        problem: format!("{problem}; `{}` can permit it", rule.permitted_by()),
    }));
    warnings
}

/// Whether a setting of an adapter is a secret. Names that the adapter does not have are not shown in any case.
pub(crate) fn is_secret(entry: &Entry, name: &str) -> bool {
    entry.fields.iter().any(|field| field.name == name && field.kind.is_secret())
}
