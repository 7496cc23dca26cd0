//! Addresses of integrations that were switched off because they are dead, until the settings change.
//!
//! An integration may have several (a webhook for each kind of event): only the dead one is off. What is meant for it is
//! written all the same, and waits: if the address is corrected in time, it is sent.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::integration::{Fingerprint, Integration, IntegrationId};
use crate::store::{Hold, switch_key};

/// Which addresses are off, and why. Shared by attempts, which do not call them, and by explanations.
#[derive(Clone, Debug, Default)]
pub struct Switches(Arc<RwLock<HashMap<Arc<str>, Off>>>);

/// One address that is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Off {
    pub why: String,
    /// Under other settings than these it is on again.
    under: Fingerprint,
}

impl Switches {
    /// Why this integration's way to a destination is off, if it is.
    pub fn off(&self, integration: &Integration, destination: &str) -> Option<String> {
        let switches = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if switches.is_empty() {
            return None; // the ordinary case: no key need be made to look it up
        }
        let off = switches.get(&switch_key(&integration.id, destination))?;
        (off.under == integration.fingerprint).then(|| off.why.clone())
    }

    /// Switches one off.
    pub fn switch_off(&self, id: &IntegrationId, destination: &str, under: Fingerprint, why: String) {
        let key = switch_key(id, destination);
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, Off { why, under });
    }

    /// Takes up what the store remembers, in place of all that is known.
    pub fn restore(&self, holds: &[Hold]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = switched_off(holds).collect();
    }

    /// Takes up what other nodes switched off, beside what is known: what was switched off here a moment ago may not be
    /// written yet.
    pub fn hear_of(&self, holds: &[Hold]) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).extend(switched_off(holds));
    }
}

fn switched_off(holds: &[Hold]) -> impl Iterator<Item = (Arc<str>, Off)> {
    let off = holds.iter().filter(|hold| hold.key.starts_with("off:"));
    off.filter_map(|hold| {
        let (_, under) = hold.made_under.clone()?;
        Some((Arc::clone(&hold.key), Off { why: hold.why.clone(), under }))
    })
}
