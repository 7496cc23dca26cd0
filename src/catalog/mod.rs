//! WHO IS CONFIGURED: integrations from files and from the API, the projects and groups that they are of, and what holds
//! where.
//!
//! A [`Configured`] is one integration as somebody configured it; [`Resolved`] are what it means. The [`Snapshot`] holds them
//! all with the [`Directory`] of projects and groups, and answers who is concerned by an event. What has no setup of its
//! own, or one that inherits, follows the nearest default: of the groups it lies in, then of the instance
//! ([`Inheritance`]). [`CachedCatalog`] keeps a snapshot fresh from the store and the files, and is what the pipeline reads
//! ([`Catalog`]). [`change`] makes a new configuration out of an old one and a request, and
//! `blocked` knows what of it would never be called: pure; `desk` carries it out.
//!
//! Absent here: HTTP, TOML and SQL.

mod cached;
mod change;
mod configured;
mod directory;
mod fingerprint;
mod resolved;
mod snapshot;
#[cfg(test)]
mod tests;
mod update;
mod url_policy;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::adapters::Entry;
use crate::event::Event;
use crate::integration::{Fingerprint, Integration, IntegrationId, ProjectFacts};
use crate::store::registry::Mute;

pub use cached::CachedCatalog;
pub use change::{InvalidChange, Request};
pub use configured::{Configured, ConfiguredAt, Origin, integration_id};
pub use directory::{Directory, ResolvedScope};
pub use resolved::{Resolved, sort_secrets};
pub use snapshot::{Inheritance, Snapshot};
pub use update::{Actor, Change, ChangeError};
pub use url_policy::{UrlPolicy, allow_all_urls, blocked_urls};

/// Who is configured. Read on every event: answers from memory.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// The integrations that an event of this project or group concerns, inactive ones too (they say why not).
    fn concerned(&self, event: &Event) -> Vec<Arc<Integration>>;
    fn integration(&self, id: &IntegrationId) -> Option<Arc<Integration>>;
    /// What is known of the event's project beyond the event.
    fn facts(&self, event: &Event) -> ProjectFacts;
    /// Whether this channel wants to hear nothing of this project at the moment.
    fn muted(&self, event: &Event, integration: &Integration, target: &str, now: Timestamp) -> Option<Mute>;

    /// Whether what is known of an integration comes from this node's files, or nothing is known of it: then those of
    /// another node may say otherwise. What the store says, all nodes are told.
    fn hangs_on_files(&self, _id: &IntegrationId) -> bool {
        false
    }

    /// The present fingerprint of an integration.
    fn fingerprint(&self, id: &IntegrationId) -> Option<Fingerprint> {
        self.integration(id).map(|integration| integration.fingerprint)
    }

    /// Takes up what others changed in the store, where there is one behind it.
    async fn refresh(&self) -> crate::store::Result<()> {
        Ok(())
    }

    /// Notes the projects that these events show, before anything is written that goes by them.
    async fn learn(&self, _events: &[Arc<Event>], _now: Timestamp) -> crate::store::Result<()> {
        Ok(())
    }
}

/// Whether a setting of an adapter must not be shown: because of its kind, or because it is an old or unknown name that
/// sounds like a secret. Values that are not settings of the adapter are never shown.
pub(crate) fn is_secret(entry: &Entry, name: &str) -> bool {
    entry.fields.iter().any(|field| field.name == name && field.kind.is_secret())
}
