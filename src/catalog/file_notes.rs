//! The times at which integrations of provisioning files were created and changed. Files do not contain these times, so
//! the store keeps one row for each integration, with a fingerprint of its settings. Pure.

use std::collections::HashMap;

use jiff::Timestamp;

use super::configured::{Configured, Noted, integration_id};
use crate::digest::Digest;
use crate::integration::{Fingerprint, Scope};
use crate::settings::Value;
use crate::store::registry::{Configuration, FileKey, StoredIntegration};

/// The setting under which a row has the fingerprint.
const FINGERPRINT: &str = "fingerprint";

/// The rows in the store.
#[derive(Clone, Debug, Default)]
pub(super) struct FileNotes(HashMap<(FileKey, String), Row>);

#[derive(Clone, Copy, Debug)]
struct Row {
    fingerprint: Option<i64>,
    revision: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// An integration of a file whose row in the store is missing or outdated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unnoted {
    pub scope: Scope,
    pub slug: &'static str,
    fingerprint: i64,
    /// The revision of the existing row.
    pub made_from: Option<i64>,
    /// When the file was read.
    pub at: Timestamp,
}

impl Unnoted {
    /// The content of the row, in place of settings.
    pub fn configuration(&self) -> Configuration {
        let properties = [(FINGERPRINT.to_owned(), Value::Integer(self.fingerprint))].into();
        Configuration { active: true, properties, ..Configuration::default() }
    }
}

/// The key of a scope's rows.
pub(super) fn key(scope: &Scope) -> FileKey {
    FileKey(Digest::of([scope.canonical().as_bytes()]).number())
}

impl FileNotes {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes in a row of the store.
    pub fn take(&mut self, key: FileKey, row: &StoredIntegration) {
        let fingerprint = match row.configuration.properties.get(FINGERPRINT) {
            Some(Value::Integer(fingerprint)) => Some(*fingerprint),
            _ => None,
        };
        let StoredIntegration { revision, created_at, updated_at, .. } = *row;
        self.0.insert((key, row.slug.clone()), Row { fingerprint, revision, created_at, updated_at });
    }

    /// The number and times of an integration in a file that was read at this moment, and the row to write if the store
    /// has none or an outdated one.
    pub fn note(
        &self,
        scope: &Scope,
        configured: &Configured,
        read_at: Timestamp,
    ) -> (Noted, Option<Unnoted>) {
        let (slug, Fingerprint(fingerprint)) = (configured.slug(), configured.fingerprint());
        let row = self.0.get(&(key(scope), slug.to_owned()));
        let name = integration_id(scope, slug);
        if let Some(row) = row.filter(|row| row.fingerprint == Some(fingerprint)) {
            return (Noted::derived(&name, row.created_at, row.updated_at), None);
        }
        let made_from = row.map(|row| row.revision);
        let unnoted = Unnoted { scope: scope.clone(), slug, fingerprint, made_from, at: read_at };
        let created_at = row.map_or(read_at, |row| row.created_at);
        (Noted::derived(&name, created_at, read_at), Some(unnoted))
    }
}
