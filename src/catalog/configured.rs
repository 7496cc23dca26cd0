//! One integration as it was configured, in a file or through the API: as given, and with its settings read.

use std::sync::Arc;

use jiff::Timestamp;

use super::Resolved;
use crate::adapters::Entry;
use crate::integration::{Integration, IntegrationId, Scope};
use crate::settings::FieldError;
use crate::store::registry::{Configuration, StoredIntegration};

/// One integration as it was configured.
#[derive(Clone, Debug)]
pub struct Configured {
    pub entry: &'static Entry,
    pub configuration: Configuration,
    /// The meaning of its settings. It is not used for one that inherits.
    pub resolved: Result<Arc<Resolved>, Vec<FieldError>>,
    pub origin: Origin,
}

/// Where it was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a provisioning file, by name. The API shows it and does not change it.
    File(Arc<str>),
    /// Through the API.
    Stored { id: i64, revision: i64, created_at: Timestamp, updated_at: Timestamp },
}

impl Origin {
    /// How the origin of what is stored is called.
    pub const API: &'static str = "the API";

    /// For people.
    pub fn name(&self) -> Arc<str> {
        match self {
            Self::File(name) => Arc::clone(name),
            Self::Stored { .. } => Self::API.into(),
        }
    }
}

impl Configured {
    /// From a file. The file's reader has read the settings already.
    pub fn of_file(
        entry: &'static Entry,
        configuration: Configuration,
        resolved: Result<Arc<Resolved>, Vec<FieldError>>,
        file: Arc<str>,
    ) -> Self {
        Self { entry, configuration, resolved, origin: Origin::File(file) }
    }

    /// From the store.
    pub fn of_row(entry: &'static Entry, row: StoredIntegration) -> Self {
        let StoredIntegration { id, configuration, revision, created_at, updated_at, .. } = row;
        let resolved = Resolved::read(entry, &configuration).map(Arc::new);
        Self {
            entry,
            configuration,
            resolved,
            origin: Origin::Stored { id, revision, created_at, updated_at },
        }
    }

    pub fn slug(&self) -> &'static str {
        self.entry.about.slug
    }

    /// The integration that it makes of a scope, its own or one that inherits it; `None` where its settings are invalid.
    pub fn integration(&self, scope: &Scope) -> Option<Integration> {
        let resolved = self.resolved.as_ref().ok()?;
        let id = integration_id(scope, self.slug());
        Some(resolved.integration(id, scope.clone(), self.origin.name()))
    }

    /// Whether it is active and its settings are valid.
    pub fn is_active(&self) -> bool {
        self.configuration.active && self.resolved.is_ok()
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
