//! What must wait: the types that the store keeps. `pipeline::holds` decides when a hold begins and ends.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::DestinationKey;
use crate::integration::{Fingerprint, IntegrationId};

/// What a hold keeps back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HoldKey {
    /// Everything that goes to one destination.
    Destination(DestinationKey),
    /// What one integration sends to one target: a channel that does not exist holds up no other.
    Route { integration: IntegrationId, target: Arc<str> },
    /// What one integration sends to one of its addresses, which the service calls dead.
    Address { integration: IntegrationId, destination: DestinationKey },
    /// Everything that shares one rate limit with others (a token, a workspace, a host), by the limit's key.
    Bucket(Arc<str>),
}

impl HoldKey {
    /// All kinds, as [`HoldKey::kind`] names them.
    pub const KINDS: [&'static str; 4] = ["destination", "route", "address", "bucket"];

    /// The kind in one word, as people and columns have it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Destination(_) => "destination",
            Self::Route { .. } => "route",
            Self::Address { .. } => "address",
            Self::Bucket(_) => "bucket",
        }
    }

    /// The key's columns: kind, integration (empty where the key names none) and name.
    pub(super) fn columns(&self) -> (&'static str, &str, &str) {
        let (integration, name) = match self {
            Self::Destination(name) | Self::Bucket(name) => ("", name),
            Self::Route { integration, target } => (&*integration.0, target),
            Self::Address { integration, destination } => (&*integration.0, destination),
        };
        (self.kind(), integration, name)
    }

    /// The key that these columns hold; `None` for a kind that is unknown.
    pub(super) fn of_columns(kind: &str, integration: &str, name: Arc<str>) -> Option<Self> {
        let integration = || IntegrationId::new(integration);
        Some(match kind {
            "destination" => Self::Destination(name),
            "route" => Self::Route { integration: integration(), target: name },
            "address" => Self::Address { integration: integration(), destination: name },
            "bucket" => Self::Bucket(name),
            _ => return None,
        })
    }
}

/// A destination, route, address or bucket that gets nothing for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub key: HoldKey,
    pub cause: HoldCause,
    /// Why, in words, with no secret in them.
    pub reason: String,
    /// When the first of its strikes was found.
    pub since: Timestamp,
    pub until: Timestamp,
    /// How often in a row it was found: what the growth of waits and the count of confirmations go by.
    pub strikes: u32,
    /// Whose settings led to it, and which: another version of them ends it.
    pub made_under: Option<(IntegrationId, Fingerprint)>,
}

/// What a hold follows from, in the words of attempts' outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoldCause {
    /// The destination kept failing.
    Unavailable,
    /// The service asked for it.
    Throttled,
    /// A limit that ends at a moment which the service named.
    Quota,
    /// The operator has to change something.
    OperatorError,
    /// The integration's settings have to change.
    Misconfigured,
    /// The service calls the address dead, and has not confirmed it often enough.
    Gone,
    /// The address is dead.
    SwitchedOff,
}

impl HoldCause {
    pub const ALL: [Self; 7] = [
        Self::Unavailable,
        Self::Throttled,
        Self::Quota,
        Self::OperatorError,
        Self::Misconfigured,
        Self::Gone,
        Self::SwitchedOff,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::Quota => "quota",
            Self::OperatorError => "operator_error",
            Self::Misconfigured => "misconfigured",
            Self::Gone => "gone",
            Self::SwitchedOff => "switched_off",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }

    /// A service's own word: it ends by time alone.
    pub const fn ends_by_time_alone(self) -> bool {
        matches!(self, Self::Throttled | Self::Quota)
    }
}

impl fmt::Display for HoldCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_found_by_its_name() {
        for cause in HoldCause::ALL {
            assert_eq!(HoldCause::of_name(cause.name()), Some(cause));
        }
        assert_eq!(HoldCause::of_name("out of mood"), None);
    }
}
