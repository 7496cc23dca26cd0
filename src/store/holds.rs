//! Holds, as the store keeps them. A hold delays deliveries for a time; `pipeline::holds` decides when it begins and
//! ends.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::DestinationKey;
use super::columns::key_of;
use crate::integration::{Fingerprint, IntegrationId};

/// The deliveries that a hold delays.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HoldKey {
    /// Everything that goes to one destination.
    Destination(DestinationKey),
    /// Everything that one integration sends to one target. So a channel that does not exist does not block other
    /// channels.
    Route { integration: IntegrationId, target: Arc<str> },
    /// Everything that one integration sends to one of its addresses, which the service reports as dead.
    Address { integration: IntegrationId, destination: DestinationKey },
    /// Everything that shares one rate limit (of a token, a workspace, a host), by the limit's key.
    Bucket(Arc<str>),
}

impl HoldKey {
    /// All kinds, as [`HoldKey::kind`] names them.
    pub const KINDS: [&'static str; 4] = ["destination", "route", "address", "bucket"];

    /// The kind in one word, for people and for the column.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Destination(_) => "destination",
            Self::Route { .. } => "route",
            Self::Address { .. } => "address",
            Self::Bucket(_) => "bucket",
        }
    }

    /// The key's columns: kind, integration (empty if the key has none) and name.
    pub(super) fn columns(&self) -> (&'static str, &str, &str) {
        let (integration, name) = match self {
            Self::Destination(name) | Self::Bucket(name) => ("", name),
            Self::Route { integration, target } => (&*integration.0, target),
            Self::Address { integration, destination } => (&*integration.0, destination),
        };
        (self.kind(), integration, name)
    }

    /// The digest of integration and name. For a route it is the deliveries' `route_key`.
    pub(super) fn digest(&self) -> i64 {
        let (_, integration, name) = self.columns();
        key_of(&[integration, name])
    }

    /// The key with these columns; `None` for an unknown kind.
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

/// A destination, route, address or bucket that gets no deliveries for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub key: HoldKey,
    pub cause: HoldCause,
    /// The reason, as a text without secrets.
    pub reason: String,
    /// When the first of its strikes was found.
    pub since: Timestamp,
    pub until: Timestamp,
    /// How often in a row the cause was found. Waits grow with this number, and it counts confirmations of dead
    /// addresses.
    pub strikes: u32,
    /// The integration and the version of its settings that caused the hold. Another version of the settings ends it.
    pub made_under: Option<(IntegrationId, Fingerprint)>,
}

/// The cause of a hold, named as the outcomes of attempts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoldCause {
    /// The destination kept failing.
    Unavailable,
    /// The service asked for a wait.
    Throttled,
    /// A quota is used up until a time that the service named.
    Quota,
    /// The operator has to change something.
    OperatorError,
    /// The integration's settings have to change.
    Misconfigured,
    /// The service reports the address as dead, but not often enough for a confirmation.
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

    /// Whether only time ends the hold, because the service asked for the wait.
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
