//! The reverse of reading: writes the configuration from the API as a provisioning file. Secrets go into separate
//! files, whose names are written into the provisioning file; the caller writes them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use toml::Value as Toml;

use super::scope;
use crate::adapters::Entry;
use crate::adapters::common_settings::{FLAGS_WITHOUT_TRIGGER, common_fields};
use crate::catalog::{Configured, Origin, Snapshot};
use crate::event::Trigger;
use crate::integration::Scope;
use crate::settings::{Kind, Secret, Value, read_bool};
use crate::store::registry::{Corrected, StoredGroup, StoredProject};

/// The parts of an export.
#[derive(Debug)]
pub struct Written {
    /// The provisioning file.
    pub text: String,
    /// The secrets with the names of their files, relative to the provisioning file.
    pub secrets: Vec<(String, Secret)>,
}

/// Writes the configuration from the API: integrations, corrections of projects, and the numbers of groups.
/// Configuration from files is left out.
pub fn write(snapshot: &Snapshot) -> Written {
    let stored = |(scope, configured): (Scope, &'_ Configured)| {
        matches!(configured.origin, Origin::Stored { .. }).then(|| (scope, configured.clone()))
    };
    let configured: Vec<_> = snapshot.all_configured().into_iter().filter_map(stored).collect();
    let with_settings: BTreeSet<_> = configured.iter().map(|(scope, _)| scope.canonical()).collect();
    let directory = snapshot.directory();
    let mut text = String::new();
    let named = |project: &&StoredProject| project.number().is_some() || project.path.is_some();
    for project in directory.projects().into_iter().filter(named) {
        if project.corrected != Corrected::default() || with_settings.contains(&project.id.to_string()) {
            write_project(&mut text, project);
        }
    }
    for group in directory.groups().into_iter().filter(|group| group.id.is_some() && group.path.is_some()) {
        write_group(&mut text, group);
    }
    let mut secrets = Vec::new();
    for (scope, configured) in &configured {
        write_setup(&mut text, scope, configured, &mut secrets);
    }
    Written { text, secrets }
}

fn write_project(text: &mut String, project: &StoredProject) {
    text.push_str("[[project]]\n");
    if let Some(id) = project.number() {
        line(text, "id", id);
    }
    // Events may contain any path. A path that reading would refuse is left out.
    if let Some(path) = project.path.clone().map(Value::Text)
        && matches!(scope::project(&path), Ok(Scope::ProjectPath(_)))
    {
        line(text, "path", path.as_text());
    }
    let corrected = &project.corrected;
    let is_name = |branch: &&String| !branch.trim().is_empty();
    if let Some(branch) = corrected.default_branch.as_ref().filter(is_name) {
        line(text, "default_branch", branch.as_str());
    }
    if let Some(branches) = &corrected.protected_branches {
        let branches = branches.iter().filter(is_name).map(|branch| Toml::from(branch.as_str()));
        line(text, "protected_branches", Toml::Array(branches.collect()));
    }
    if let Some(visibility) = corrected.visibility {
        line(text, "visibility", visibility.name());
    }
    text.push('\n');
}

fn write_group(text: &mut String, group: &StoredGroup) {
    text.push_str("[[group]]\n");
    if let Some(path) = &group.path {
        line(text, "path", path.as_str());
    }
    if let Some(id) = group.id {
        line(text, "id", id);
    }
    text.push('\n');
}

fn write_setup(
    text: &mut String,
    scope: &Scope,
    configured: &Configured,
    secrets: &mut Vec<(String, Secret)>,
) {
    text.push_str("[[integration]]\n");
    match scope {
        Scope::ProjectId(id) => line(text, "project", *id),
        Scope::ProjectPath(path) => line(text, "project", path.as_str()),
        Scope::Group(path) => line(text, "group", path.as_str()),
        Scope::Instance => line(text, "instance", true),
    }
    line(text, "adapter", configured.slug());
    let configuration = &configured.configuration;
    if !configuration.active {
        line(text, "active", false);
    }
    if configuration.inherits {
        line(text, "use_inherited_settings", true);
    }
    for (name, secret) in &configuration.secrets {
        let file = format!("secrets/{}.{}.{name}", file_name(&scope.canonical()), configured.slug());
        line(text, &format!("{name}_file"), file.as_str());
        secrets.push((file, secret.clone()));
    }
    for (name, value) in &configuration.properties {
        let Some(kind) = kind_of(configured.entry, name) else { continue };
        let value = match (value, read_bool(value)) {
            (_, Some(value)) if kind == Kind::Bool => Toml::Boolean(value),
            (Value::Bool(value), _) => Toml::Boolean(*value),
            (Value::Integer(value), _) => Toml::Integer(*value),
            (Value::Text(value), _) => value.as_str().into(),
        };
        line(text, name, value);
    }
    for (flag, on) in configuration.flags.iter().filter(|(flag, _)| is_flag(flag)) {
        line(text, flag, *on);
    }
    text.push('\n');
}

/// The kind of a setting; `None` for settings that no file may contain, such as those that an adapter no longer has.
fn kind_of(entry: &Entry, name: &str) -> Option<Kind> {
    let own = entry.fields.iter().find(|field| field.name == name).map(|field| field.kind);
    let shared = common_fields(&entry.about).into_iter();
    own.or_else(|| {
        shared
            .filter(|field| field.group.is_setting())
            .find(|field| field.name == name)
            .map(|field| field.kind)
    })
}

fn is_flag(name: &str) -> bool {
    Trigger::from_flag(name).is_some() || FLAGS_WITHOUT_TRIGGER.contains(&name)
}

/// A scope as part of a file's name. Different scopes have different names: `acme/web` is not `acme-web`.
fn file_name(key: &str) -> String {
    key.replace('%', "%25").replace('/', "%2F")
}

fn line(text: &mut String, key: &str, value: impl Into<Toml>) {
    let value = value.into();
    let _ = writeln!(text, "{key} = {value}");
}
