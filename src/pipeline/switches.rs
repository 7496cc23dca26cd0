//! Integrations that were switched off because their address is dead, until their settings change.
//!
//! What is meant for them is written all the same, and waits: when somebody corrects the address in time, it is told.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::integration::{Fingerprint, Integration, IntegrationId};
use crate::store::Hold;

/// Which integrations are off, and why. Shared by attempts, which leave them alone, and whoever explains.
#[derive(Clone, Debug, Default)]
pub struct Switches(Arc<RwLock<HashMap<IntegrationId, Off>>>);

/// One integration that is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Off {
    pub why: String,
    /// Under other settings than these it is on again.
    under: Fingerprint,
}

impl Switches {
    /// Why this integration is off, if it is.
    pub fn off(&self, integration: &Integration) -> Option<String> {
        let switches = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let off = switches.get(&integration.id)?;
        (off.under == integration.fingerprint).then(|| off.why.clone())
    }

    /// Switches one off.
    pub fn switch_off(&self, id: IntegrationId, under: Fingerprint, why: String) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id, Off { why, under });
    }

    /// Takes up what the store remembers.
    pub fn restore(&self, holds: &[Hold]) {
        let off = holds.iter().filter(|hold| hold.key.starts_with("off:"));
        let off = off.filter_map(|hold| {
            let (id, under) = hold.made_under.clone()?;
            Some((id, Off { why: hold.why.clone(), under }))
        });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = off.collect();
    }
}
