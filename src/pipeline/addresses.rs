//! Which addresses of an integration are dead, as its service reported, and whether any is left.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::holds::HoldSet;
use crate::adapters;
use crate::event::sample;
use crate::integration::Integration;
use crate::store::DestinationKey;

/// The state of an integration's addresses.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The oldest first.
    pub dead: Vec<DeadAddress>,
    /// Whether every address for the events that the integration takes is dead.
    pub all_dead: bool,
}

/// An address that the service reported as dead.
#[derive(Debug, PartialEq, Eq)]
pub struct DeadAddress {
    /// The channels or other targets behind the address. The name of the address's default target is empty.
    pub targets: Vec<String>,
    /// What the service answered.
    pub reason: String,
    pub since: Timestamp,
}

impl Addresses {
    pub fn of(integration: &Integration, holds: &HoldSet) -> Self {
        let dead = holds.dead_addresses(integration);
        if dead.is_empty() {
            return Self::default(); // the ordinary case
        }
        let targets = targets(integration);
        let is_dead = |destination: &DestinationKey| dead.iter().any(|(dead, _)| *dead == destination);
        let all_dead = !targets.is_empty() && targets.keys().all(is_dead);
        let dead = dead
            .iter()
            .map(|(destination, hold)| DeadAddress {
                targets: targets.get(*destination).into_iter().flatten().cloned().collect(),
                reason: hold.reason.clone(),
                since: hold.since,
            })
            .collect();
        Self { dead, all_dead }
    }
}

/// The targets of the kinds of event that an integration takes, by destination.
pub(super) fn targets(integration: &Integration) -> BTreeMap<DestinationKey, BTreeSet<String>> {
    let mut found: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    let Some(entry) = adapters::find(integration.slug) else { return found };
    for trigger in integration.triggers.iter().filter(|trigger| entry.about.triggers.contains(*trigger)) {
        let channels = integration.channels.for_trigger(trigger);
        for target in entry.targets(&integration.settings, &sample(trigger), channels).send {
            let destination = entry.destination(&integration.settings, &target.name);
            found.entry(destination).or_default().insert(target.name);
        }
    }
    found
}
