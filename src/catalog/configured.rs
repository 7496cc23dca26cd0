//! One integration as it is configured in a file or with the API: the given values, and the parsed settings.

use std::sync::Arc;

use jiff::Timestamp;

use super::Resolved;
use crate::adapters::Entry;
use crate::integration::{Integration, IntegrationId, Scope};
use crate::settings::FieldError;
use crate::store::registry::{Configuration, StoredIntegration};

/// One configured integration.
#[derive(Clone, Debug)]
pub struct Configured {
    pub entry: &'static Entry,
    pub configuration: Configuration,
    /// What it means; for one that inherits, its own words mean nothing.
    pub resolved: Result<Arc<Resolved>, Vec<FieldError>>,
    pub origin: Origin,
}

/// Where it was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a provisioning file, by name: the API shows it and leaves it alone.
    File(Arc<str>),
    /// Through the API.
    Stored { id: i64, revision: i64, created_at: Timestamp, updated_at: Timestamp },
}

impl Origin {
    /// The word for what is stored.
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
    /// A setup from a file, whose terms were read already.
    pub fn of_file(
        entry: &'static Entry,
        configuration: Configuration,
        resolved: Result<Arc<Resolved>, Vec<FieldError>>,
        file: Arc<str>,
    ) -> Self {
        Self { entry, configuration, resolved, origin: Origin::File(file) }
    }

    /// A setup from the store.
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

    /// Whether it is switched on, and can be.
    pub fn is_active(&self) -> bool {
        self.configuration.active && self.resolved.is_ok()
    }
}

/// A setup and whose it is.
#[derive(Clone, Debug)]
pub struct ConfiguredAt {
    pub scope: Scope,
    pub configured: Configured,
}

impl ConfiguredAt {
    /// What it is by itself; `None` where it only follows a default.
    pub fn integration(&self) -> Option<Integration> {
        let Self { scope, configured } = self;
        let id = integration_id(scope, configured.slug());
        let resolved = configured.resolved.as_ref().ok()?;
        Some(resolved.integration(id, scope.clone(), configured.origin.name()))
    }
}

/// `42:slack`, `acme/rocket:slack`, `groups/acme:slack`.
pub fn integration_id(scope: &Scope, slug: &str) -> IntegrationId {
    IntegrationId::new(format!("{}:{slug}", scope.canonical()))
}
