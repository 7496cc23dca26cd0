//! Finds the integrations that a person's `resume` or a save of settings concerns, and counts the holds that it can
//! end. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::holds::HoldSet;
use crate::catalog::{ResolvedScope, Snapshot};
use crate::integration::IntegrationId;
use crate::store::Hold;

/// The integrations that use the settings of a scope: the scope's own, and those that inherit them and have holds.
pub fn of_these_settings(
    snapshot: &Snapshot,
    holds: &HoldSet,
    scope: &ResolvedScope,
    slug: &str,
) -> BTreeSet<IntegrationId> {
    let saved = snapshot.inheritance(scope, slug).own;
    let mut ids = holds.makers();
    ids.retain(|id| {
        let applies = snapshot.configured(id);
        saved.zip(applies).is_some_and(|(saved, applies)| std::ptr::eq(saved, applies))
    });
    ids.insert(snapshot.id_at(scope, slug));
    ids
}

/// How many holds the settings of these integrations led to.
pub fn held_by(holds: &[Hold], integrations: &BTreeSet<IntegrationId>, now: Timestamp) -> usize {
    let is_theirs = |hold: &&Hold| {
        hold.until > now && hold.made_under.as_ref().is_some_and(|(id, _)| integrations.contains(id))
    };
    holds.iter().filter(is_theirs).count()
}
