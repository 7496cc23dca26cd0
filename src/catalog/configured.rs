//! One integration as it was configured in a file or through the API, both as given and with its settings read.

use std::sync::Arc;

use jiff::Timestamp;

use super::Resolved;
use crate::adapters::Entry;
use crate::digest::Digest;
use crate::integration::{Fingerprint, Integration, IntegrationId, Scope};
use crate::settings::FieldError;
use crate::store::registry::{Configuration, StoredIntegration};

/// One integration as it was configured.
#[derive(Clone, Debug)]
pub struct Configured {
    pub entry: &'static Entry,
    pub configuration: Configuration,
    /// The meaning of the settings. Not used for an integration that inherits.
    pub resolved: Result<Arc<Resolved>, Vec<FieldError>>,
    pub origin: Origin,
    pub noted: Noted,
}

/// The number of an integration, and the times of its creation and last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    pub id: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The first number of integrations without a row. Their numbers are derived from the integration's name, so that they
/// are the same on all nodes and after every start. They are above all numbers of rows, and within the integers that
/// JavaScript represents exactly.
pub const FIRST_DERIVED_ID: i64 = 1 << 52;

impl Noted {
    /// The numbers and times for an integration of this name without a row in the store.
    pub fn derived(name: &IntegrationId, created_at: Timestamp, updated_at: Timestamp) -> Self {
        let digest = Digest::of([name.0.as_bytes()]).number();
        Self { id: FIRST_DERIVED_ID | (digest & (FIRST_DERIVED_ID - 1)), created_at, updated_at }
    }
}

/// Where it was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a provisioning file with this name. The API shows the integration, but can't change it.
    File(Arc<str>),
    /// Through the API.
    Stored { revision: i64 },
}

impl Origin {
    /// The name of the origin of stored integrations.
    pub const API: &'static str = "the API";

    /// The name of the origin, for people.
    pub fn name(&self) -> Arc<str> {
        match self {
            Self::File(name) => Arc::clone(name),
            Self::Stored { .. } => Self::API.into(),
        }
    }
}

impl Configured {
    /// An integration from a file. The file's reader has read the settings already. The snapshot adds its number and
    /// times.
    pub fn of_file(
        entry: &'static Entry,
        configuration: Configuration,
        resolved: Result<Arc<Resolved>, Vec<FieldError>>,
        file: Arc<str>,
    ) -> Self {
        let never = Timestamp::UNIX_EPOCH;
        let noted = Noted { id: 0, created_at: never, updated_at: never };
        Self { entry, configuration, resolved, origin: Origin::File(file), noted }
    }

    /// An integration from the store.
    pub fn of_row(entry: &'static Entry, row: StoredIntegration) -> Self {
        let StoredIntegration { id, configuration, revision, created_at, updated_at, .. } = row;
        let resolved = Resolved::read(entry, &configuration).map(Arc::new);
        Self {
            entry,
            configuration,
            resolved,
            origin: Origin::Stored { revision },
            noted: Noted { id, created_at, updated_at },
        }
    }

    /// A digest of what the integration does: two with the same fingerprint do the same.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.resolved.as_ref().map_or(Fingerprint(0), |resolved| resolved.fingerprint())
    }

    pub fn slug(&self) -> &'static str {
        self.entry.about.slug
    }

    /// The integration for a scope: its own, or one that inherits this configuration. `None` where the settings are
    /// invalid.
    pub fn integration(&self, scope: &Scope) -> Option<Integration> {
        let resolved = self.resolved.as_ref().ok()?;
        let id = integration_id(scope, self.slug());
        Some(resolved.integration(id, scope.clone(), self.origin.name()))
    }

    /// Whether the integration is meant to be active, by its configuration and its settings.
    pub fn is_switched_on(&self) -> bool {
        self.configuration.active && self.resolved.as_ref().map_or(true, |resolved| resolved.is_active())
    }

    /// The errors in the settings, if the integration is switched on. It sends nothing until they are corrected.
    pub fn unusable(&self) -> Option<&[FieldError]> {
        let is_on = self.configuration.active && !self.configuration.inherits;
        self.resolved.as_ref().err().filter(|_| is_on).map(Vec::as_slice)
    }

    /// Whether the integration is active and its settings are valid.
    pub fn is_active(&self) -> bool {
        self.is_switched_on() && self.resolved.is_ok()
    }
}

/// An integration as configured, and its scope.
#[derive(Clone, Debug)]
pub struct ConfiguredAt {
    pub scope: Scope,
    pub configured: Configured,
}

/// The id of an integration: `42:slack`, `acme/rocket:slack`, `groups/acme:slack`.
pub fn integration_id(scope: &Scope, slug: &str) -> IntegrationId {
    IntegrationId::new(format!("{}:{slug}", scope.canonical()))
}
