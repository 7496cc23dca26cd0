//! A new configuration from the present one and a request, by GitLab's rules. Pure.

use std::collections::BTreeSet;

use super::snapshot::Inheritance;
use super::{Resolved, Rule, UrlPolicy, is_secret, refused_urls, sort_secrets};
use crate::adapters::Entry;
use crate::adapters::contract::Login;
use crate::settings::{Addresses, FieldError, Kind, Properties, Secret, SmallMap, Url, Value};
use crate::store::registry::Configuration;

/// A requested change. Parts that it does not name stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub flags: SmallMap<String, bool>,
    /// The adapter's own settings, secrets among them, and those that adapters share.
    pub settings: Properties,
    /// Settings that are stored as if they had never been set: those that were sent as null, and Forgebell's own
    /// settings that were sent blank. Texts among them are blank in `settings`.
    pub unset: BTreeSet<String>,
    pub use_inherited_settings: Option<bool>,
    /// Whether the integration is active afterwards. `None` means active.
    pub active: Option<bool>,
}

/// Why a request is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidChange {
    /// The request asks to inherit, and there is no default.
    NoDefault,
    Settings(Vec<FieldError>),
}

/// The configuration after a request. As in GitLab, it is active unless the request says otherwise. A configuration
/// that inherits continues to inherit and ignores settings in the request, unless the request says
/// `use_inherited_settings = false`.
///
/// # Errors
/// Everything that is wrong with the result.
pub fn put(
    entry: &'static Entry,
    inheritance: Inheritance<'_>,
    request: &Request,
    url_policy: &UrlPolicy<'_>,
) -> Result<Configuration, InvalidChange> {
    // Without a default that applies, a request that was answered with success would change nothing.
    let has_default = inheritance.effective().is_some_and(|default| default.configuration.active);
    let inherits = has_default && inheritance.is_inherited();
    match request.use_inherited_settings {
        Some(true) if inheritance.default.is_none() => Err(InvalidChange::NoDefault),
        Some(true) => Ok(Configuration::following()),
        None if inherits => Ok(Configuration::following()),
        Some(false) | None => {
            let own = inheritance.own.filter(|own| !own.configuration.inherits);
            let present = own.map(|own| own.configuration.clone()).unwrap_or_default();
            let next = merged(entry, &present, request).map_err(InvalidChange::Settings)?;
            let mut errors = Resolved::read(entry, &next).err().unwrap_or_default();
            let refused = refused_urls(entry, &next, url_policy).into_iter().filter(|refused| {
                refused.rule == Rule::NeverCalled || !stays(&present, &next, &refused.error.field)
            });
            errors.extend(refused.map(|refused| refused.error));
            if errors.is_empty() { Ok(next) } else { Err(InvalidChange::Settings(errors)) }
        }
    }
}

/// The deactivated configuration. Settings and flags stay. A configuration that inherited a default now disables that
/// default.
pub fn deactivate(inheritance: Inheritance<'_>) -> Option<Configuration> {
    inheritance.effective().or(inheritance.own)?;
    Some(inheritance.own.map(|own| own.configuration.switched_off()).unwrap_or_default())
}

/// The names of the fields that differ, for the audit log.
pub fn differences(before: Option<&Configuration>, after: &Configuration) -> Vec<String> {
    let nothing = Configuration::default();
    let before = before.unwrap_or(&nothing);
    let mut names = BTreeSet::new();
    differing(&before.flags, &after.flags, &mut names);
    differing(&before.properties, &after.properties, &mut names);
    differing(&before.secrets, &after.secrets, &mut names);
    let switches = [
        ("active", before.active != after.active),
        ("use_inherited_settings", before.inherits != after.inherits),
    ];
    names.extend(switches.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()));
    names.into_iter().collect()
}

fn differing<T: PartialEq>(
    before: &SmallMap<String, T>,
    after: &SmallMap<String, T>,
    names: &mut BTreeSet<String>,
) {
    let all = before.keys().chain(after.keys());
    names.extend(all.filter(|name| before.get(*name) != after.get(*name)).cloned());
}

/// Whether an active integration keeps the value of a secret address. As in GitLab, an address at another host keeps
/// working if it was accepted before the rule existed.
fn stays(present: &Configuration, next: &Configuration, field: &str) -> bool {
    let same = |before: &Configuration| before.secrets.get(field).filter(|_| before.active).cloned();
    same(present).is_some() && same(present) == same(next)
}

/// # Errors
/// A masked credential was sent, but no credential is stored for its address.
fn merged(
    entry: &'static Entry,
    present: &Configuration,
    request: &Request,
) -> Result<Configuration, Vec<FieldError>> {
    let active = request.active.unwrap_or(true);
    let mut next = Configuration { active, inherits: false, ..present.clone() };
    next.flags.extend(request.flags.clone());
    // Forms show the mask instead of a secret. If the mask is sent back, the secret stays.
    let is_mask = |name: &str, value: &Value| {
        let Value::Text(text) = value else { return false };
        // In an address with a password, only the password is masked.
        let shown = present.properties.get(name).and_then(|value| Url::masked(&value.as_text()));
        is_secret(entry, name) && text == Secret::MASK || shown.is_some_and(|shown| shown == *text)
    };
    let settings = request.settings.iter().filter(|(name, value)| !is_mask(name, value));
    let settings: Properties = settings.map(|(name, value)| (name.clone(), value.clone())).collect();
    let settings = unmasked(entry, present, settings)?;
    if address_moves(entry, present, &settings) {
        // A person who may set the address, but does not know the secret, must not have it sent to another host. This does
        // not concern addresses that are themselves the secret.
        let is_sent = |name: &str| {
            let field = entry.fields.iter().find(|field| field.name == name);
            field.is_some_and(|field| matches!(field.kind, Kind::Secret | Kind::Addresses | Kind::Base))
        };
        next.secrets.retain(|name, _| settings.contains_key(name) || !is_sent(name));
    }
    let blanks_user = |login: &Login| {
        let user = settings.get(login.username).map(Value::as_text);
        user.is_some_and(|user| user.trim().is_empty()) && !settings.contains_key(login.password)
    };
    if let Some(login) = entry.login.filter(blanks_user) {
        next.secrets.remove(login.password);
    }
    sort_secrets(entry, settings, &mut next);
    next.properties.retain(|name, _| !request.unset.contains(name));
    // A blank secret removes it.
    next.secrets.retain(|_, secret| !secret.is_blank());
    Ok(next)
}

/// Restores the credentials of addresses that were shown masked and sent back unchanged. This is done only for the
/// address that the credentials are stored for, and only while it leads to the same place.
///
/// # Errors
/// A masked credential is not stored for its address, or it would be sent to another place.
fn unmasked(
    entry: &Entry,
    present: &Configuration,
    mut settings: Properties,
) -> Result<Properties, Vec<FieldError>> {
    let mut errors = Vec::new();
    for field in entry.fields.iter().filter(|field| matches!(field.kind, Kind::Url | Kind::InternalUrl)) {
        let Some(Value::Text(text)) = settings.get_mut(field.name) else { continue };
        if !Url::has_masked_password(text) {
            continue;
        }
        let stored = present.properties.get(field.name).map(Value::as_text).unwrap_or_default();
        match Url::with_password_of(text, &stored) {
            Some(whole) => *text = whole,
            None => errors.push(FieldError::new(field.name, NOT_STORED)),
        }
    }
    for kind in [Kind::Base, Kind::Addresses] {
        // The base addresses are unmasked before the check whether they move.
        let moves = kind == Kind::Addresses && address_moves(entry, present, &settings);
        for field in entry.fields.iter().filter(|field| field.kind == kind) {
            let Some(Value::Text(text)) = settings.get_mut(field.name) else { continue };
            if !text.contains(Secret::MASK) {
                continue;
            }
            let stored = present.secrets.get(field.name).map(Secret::expose).unwrap_or_default();
            match Addresses::unmasked(text, stored).filter(|_| !moves) {
                Some(whole) => *text = whole,
                None => errors.push(FieldError::new(field.name, NOT_STORED)),
            }
        }
    }
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

const NOT_STORED: &str = "holds a masked password or key (************) that is not stored for this address: write the \
                          password or key itself";

/// Whether an address that secrets are sent to gets another host, port or scheme. All fields of these kinds are
/// checked. An unset address means the service's own, so setting or removing an address is a move too.
fn address_moves(entry: &Entry, present: &Configuration, settings: &Properties) -> bool {
    entry.fields.iter().any(|field| {
        let Some(next) = settings.get(field.name).map(Value::as_text) else { return false };
        let shown = present.properties.get(field.name).map(Value::as_text);
        let shown = shown.or(field.default.map(str::to_owned)).unwrap_or_default();
        match field.kind {
            Kind::Url | Kind::InternalUrl => origin(&shown) != origin(&next),
            Kind::Host => !shown.trim().eq_ignore_ascii_case(next.trim()),
            // Only the service knows the meaning of the parts, so any difference is a move.
            Kind::Base => {
                let present = present.secrets.get(field.name);
                present.map(Secret::expose).unwrap_or_default().trim() != next.trim()
            }
            _ => false,
        }
    })
}

fn origin(address: &str) -> Option<String> {
    url::Url::parse(address.trim()).ok().map(|url| url.origin().ascii_serialization())
}
