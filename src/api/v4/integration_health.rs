//! The health of integrations, as the API and commands show it.

use jiff::Timestamp;
use tracing::warn;

use crate::adapters;
use crate::api::resources::IntegrationHealth;
use crate::catalog::{ResolvedScope, Snapshot};
use crate::integration::IntegrationId;
use crate::store::Watches;

/// An integration whose service is asked whether it can be reached.
pub struct Probed {
    id: IntegrationId,
    /// When the settings that apply were last changed.
    set_at: Timestamp,
}

/// The integration of a scope; `None` where its service is not asked.
pub fn probed(snapshot: &Snapshot, scope: &ResolvedScope, slug: &str) -> Option<Probed> {
    adapters::find(slug)?.probe.as_ref()?;
    let inheritance = snapshot.inheritance(scope, slug);
    let set_at = inheritance.effective().or(inheritance.own)?.noted.updated_at;
    Some(Probed { id: snapshot.id_at(scope, slug), set_at })
}

/// The health of each of these integrations. Where the store does not answer, it is unknown.
pub async fn health_of(
    watches: &dyn Watches,
    integrations: &[Option<Probed>],
) -> Vec<Option<IntegrationHealth>> {
    let ids: Vec<IntegrationId> = integrations.iter().flatten().map(|probed| probed.id.clone()).collect();
    let known = if ids.is_empty() { Ok(Vec::new()) } else { watches.health(&ids).await };
    let known = known.unwrap_or_else(|error| {
        warn!(%error, "the health of integrations can't be read; it is shown as unknown");
        Vec::new()
    });
    let of = |probed: &Option<Probed>| {
        let Probed { id, set_at } = probed.as_ref()?;
        let record = known.iter().find(|record| record.integration == *id)?;
        IntegrationHealth::of(record, *set_at)
    };
    integrations.iter().map(of).collect()
}
