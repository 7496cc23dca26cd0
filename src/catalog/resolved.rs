//! The meaning of an integration's configuration: its triggers, filters, channels and the adapter's settings. Pure.

use std::sync::Arc;

use super::fingerprint::Content;
use crate::adapters::Entry;
use crate::adapters::common_settings::{is_stored_as_flag, read_common};
use crate::event::{Trigger, Triggers};
use crate::integration::{Channels, Extent, Filters, Fingerprint, Integration, IntegrationId, Rules, Scope};
use crate::settings::{FieldError, Parsed, Properties, Value};
use crate::store::registry::Configuration;

/// The meaning of a configuration, whatever scope it applies to.
#[derive(Clone, Debug)]
pub struct Resolved {
    slug: &'static str,
    active: bool,
    triggers: Triggers,
    filters: Arc<Filters>,
    channels: Arc<Channels>,
    extent: Extent,
    announce_result: bool,
    rules: Rules,
    settings: Parsed,
    fingerprint: Fingerprint,
}

impl Resolved {
    /// Reads a configuration. Settings that the adapter does not have are ignored, as in GitLab.
    ///
    /// # Errors
    /// Everything that is wrong with it, in GitLab's words.
    pub fn read(entry: &'static Entry, given: &Configuration) -> Result<Self, Vec<FieldError>> {
        let about = &entry.about;
        let own = own_settings(entry, given);
        let (shared, settings) = match (read_common(about, &given.properties), entry.read(&own)) {
            (Ok(shared), Ok(settings)) => (shared, settings),
            (shared, settings) => {
                let own = settings.err().into_iter().flatten();
                return Err(own.chain(shared.err().into_iter().flatten()).collect());
            }
        };
        let triggers = triggers(entry, given);
        let errors = entry.validate_triggers(&settings, triggers);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut resolved = Self {
            slug: about.slug,
            active: given.active && entry.is_in_use(&settings),
            triggers,
            filters: Arc::new(shared.filters),
            channels: Arc::new(shared.channels),
            extent: shared.extent,
            announce_result: shared.announce_result,
            rules: Rules { supported: about.triggers, family: about.family },
            settings,
            fingerprint: Fingerprint(0),
        };
        let content = Content {
            slug: resolved.slug,
            active: resolved.active,
            triggers: resolved.triggers,
            rules: resolved.rules,
            filters: &resolved.filters,
            channels: &resolved.channels,
            extent: resolved.extent,
            announce_result: resolved.announce_result,
            fields: entry.fields,
            properties: &own,
        };
        resolved.fingerprint = content.fingerprint();
        Ok(resolved)
    }

    pub fn settings(&self) -> &Parsed {
        &self.settings
    }

    pub fn is_active(&self) -> bool {
        self.active
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub fn triggers(&self) -> Triggers {
        self.triggers
    }

    /// The integration of a scope.
    pub fn integration(&self, id: IntegrationId, scope: Scope, origin: Arc<str>) -> Integration {
        Integration {
            id,
            scope,
            slug: self.slug,
            active: self.active,
            triggers: self.triggers,
            filters: Arc::clone(&self.filters),
            channels: Arc::clone(&self.channels),
            extent: self.extent,
            announce_result: self.announce_result,
            rules: self.rules,
            settings: self.settings.clone(),
            origin,
            fingerprint: self.fingerprint,
        }
    }
}

/// The flags of a new integration, with those that are set.
fn triggers(entry: &Entry, given: &Configuration) -> Triggers {
    let mut triggers = entry.default_triggers();
    for (flag, on) in &given.flags {
        let without_flag = entry.about.common.without_flag;
        if let Some(trigger) = Trigger::from_flag(flag).filter(|trigger| !without_flag.contains(*trigger)) {
            triggers.set(trigger, *on);
        }
    }
    triggers
}

/// The adapter's own settings, secrets among them.
pub(super) fn own_settings(entry: &Entry, given: &Configuration) -> Properties {
    let value = |name: &str| {
        let secret = given.secrets.get(name).map(|secret| Value::Text(secret.expose().to_owned()));
        let flag = || given.flags.get(name).filter(|_| is_stored_as_flag(name)).map(|on| Value::Bool(*on));
        secret.or_else(|| given.properties.get(name).cloned()).or_else(flag)
    };
    let own = entry.fields.iter().map(|field| field.name);
    own.filter_map(|name| Some((name.to_owned(), value(name)?))).collect()
}

/// Sorts settings into properties and secrets.
pub fn sort_secrets(entry: &Entry, settings: Properties, into: &mut Configuration) {
    for (name, value) in settings {
        if super::is_secret(entry, &name) {
            into.secrets.insert(name, crate::settings::Secret::new(value.as_text()));
        } else {
            into.properties.insert(name, value);
        }
    }
}
