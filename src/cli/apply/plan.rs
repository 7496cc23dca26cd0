//! The changes that make the store match provisioning files: pure functions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::bail;

use crate::adapters::{ADAPTERS, Entry};
use crate::catalog::{Configured, ConfiguredAt, Origin, Snapshot, is_tracker};
use crate::cli::table::printable;
use crate::integration::Scope;
use crate::provision::Provisioned;
use crate::settings::{Secret, Url, Value};
use crate::store::registry::{Configuration, Corrected, ProjectCorrection};

/// One change.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) deed: Deed,
    /// The change as text: a heading, and a line for each setting.
    pub(super) words: String,
}

/// The kind of change.
#[derive(Debug)]
pub(super) enum Deed {
    Project(ProjectCorrection),
    Group { path: String, id: Option<i64> },
    Integration { scope: Scope, entry: &'static Entry, next: Configuration },
}

impl Deed {
    /// The kind of object that changes.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Project(_) => "project",
            Self::Group { .. } => "group",
            Self::Integration { .. } => "integration",
        }
    }
}

/// Settings with their values, as text.
type Shown = BTreeMap<String, String>;

/// The changes: projects and groups first, since integrations refer to them.
pub(super) fn plan(wanted: &Provisioned, present: &Snapshot, prune: bool) -> anyhow::Result<Vec<Step>> {
    let mut steps: Vec<_> =
        wanted.projects.iter().filter_map(|project| project_step(project, present)).collect();
    steps.extend(wanted.groups.iter().filter_map(|(path, id)| group_step(path, *id, present)));
    steps.extend(integration_steps(wanted, present, prune)?);
    Ok(steps)
}

/// Attributes of a project that the files do not name stay unchanged.
fn project_step(wanted: &ProjectCorrection, present: &Snapshot) -> Option<Step> {
    let known = present.directory().project(wanted.id);
    let was = known.map(|known| known.corrected.clone()).unwrap_or_default();
    let corrected = wanted.over(&was);
    let path = known.and_then(|known| known.path.as_ref());
    let shown = (project_shown(path, &was), project_shown(wanted.path.as_ref().or(path), &corrected));
    if known.is_some() && shown.0 == shown.1 {
        return None;
    }
    let words =
        words(known.is_some(), &format!("project {}", wanted.id), &shown.0, &shown.1, &BTreeSet::new());
    Some(Step { deed: Deed::Project(wanted.clone()), words })
}

fn project_shown(path: Option<&String>, corrected: &Corrected) -> Shown {
    let settings = [
        ("path", path.cloned()),
        ("default_branch", corrected.default_branch.clone()),
        ("visibility", corrected.visibility.map(|visibility| visibility.name().to_owned())),
        ("protected_branches", corrected.protected_branches.as_ref().map(|branches| branches.join(", "))),
    ];
    settings.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn group_step(path: &str, id: Option<i64>, present: &Snapshot) -> Option<Step> {
    let known = present.directory().group_by_path(path);
    if known.is_some_and(|known| id.is_none() || known.id == id) {
        return None;
    }
    let shown = |id: Option<i64>| id.map(|id| ("id".to_owned(), id.to_string())).into_iter().collect();
    let before: Shown = shown(known.and_then(|known| known.id));
    let words = words(known.is_some(), &format!("group {path}"), &before, &shown(id), &BTreeSet::new());
    Some(Step { deed: Deed::Group { path: path.to_owned(), id }, words })
}

fn integration_steps(wanted: &Provisioned, present: &Snapshot, prune: bool) -> anyhow::Result<Vec<Step>> {
    let rows: Rows<'_> = present
        .all_configured()
        .into_iter()
        .filter(|(_, configured)| matches!(configured.origin, Origin::Stored { .. }))
        .map(|(scope, configured)| ((scope.canonical(), configured.slug()), (scope, configured)))
        .collect();
    let mut named = BTreeSet::new();
    let mut steps = Vec::new();
    for placed in &wanted.integrations {
        let scope = numbered(&placed.scope, wanted, present);
        let entry = placed.configured.entry;
        let key = (scope.canonical(), placed.configured.slug());
        if let Some(file) = provisioned(&scope, key.1, present) {
            bail!("{} of {scope} is configured in {file}: change it there", key.1);
        }
        let before = rows.get(&key).map(|(_, configured)| &configured.configuration);
        steps.extend(integration_step(scope.clone(), entry, before, &placed.configured.configuration));
        if !named.insert(key) {
            bail!("{} of {scope} is configured twice: by its id and by its path", entry.about.slug);
        }
    }
    for placed in &wanted.integrations {
        let scope = numbered(&placed.scope, wanted, present);
        if let Some(other) = other_tracker(&scope, placed, &rows, &named, prune, present) {
            let slug = placed.configured.slug();
            bail!(
                "{slug} of {scope}: the project uses {other}, and only one issue tracker can be active at a time: add {other} \
                 to the files with active = false, or switch it off by the API"
            );
        }
    }
    if prune {
        for (key, (scope, configured)) in rows.iter().filter(|(key, _)| !named.contains(*key)) {
            let before = &configured.configuration;
            if before.active && provisioned(scope, key.1, present).is_none() {
                let next = if has_default(scope, key.1, wanted, present) {
                    Configuration::following()
                } else {
                    before.switched_off()
                };
                steps.extend(integration_step(scope.clone(), configured.entry, Some(before), &next));
            }
        }
    }
    // A tracker is refused while the project uses another one, so the steps that deactivate trackers come first.
    steps.sort_by_key(activates_tracker);
    Ok(steps)
}

fn activates_tracker(step: &Step) -> bool {
    let Deed::Integration { entry, next, .. } = &step.deed else { return false };
    is_tracker(entry) && next.active && !next.inherits
}

/// The rows of the store, by scope and slug.
type Rows<'a> = BTreeMap<(String, &'static str), (Scope, &'a Configured)>;

/// The other tracker that would stay active although the files activate one.
fn other_tracker(
    scope: &Scope,
    placed: &ConfiguredAt,
    rows: &Rows<'_>,
    named: &BTreeSet<(String, &'static str)>,
    prune: bool,
    present: &Snapshot,
) -> Option<&'static str> {
    let Configuration { active, inherits, .. } = placed.configured.configuration;
    let is_of_project = matches!(scope, Scope::ProjectId(_) | Scope::ProjectPath(_));
    if !active || inherits || !is_of_project || !is_tracker(placed.configured.entry) {
        return None;
    }
    let others =
        ADAPTERS.iter().filter(|other| is_tracker(other) && other.about.slug != placed.configured.slug());
    others.map(|other| other.about.slug).find(|other| {
        let key = (scope.canonical(), *other);
        // The files decide about integrations that they name, and pruned ones are not used any more.
        let is_decided = named.contains(&key) || prune && rows.contains_key(&key);
        let of_file = provisioned(scope, other, present).is_some();
        let is_used = rows.get(&key).is_some_and(|(_, configured)| configured.is_active()) || of_file;
        !is_decided && is_used
    })
}

/// Whether the files set a default that applies to a scope without its own integration.
fn has_default(scope: &Scope, slug: &str, wanted: &Provisioned, present: &Snapshot) -> bool {
    if *scope == Scope::Instance {
        return false;
    }
    let resolved = present.directory().resolve(scope);
    let groups = resolved.ancestors().map(|path| Scope::Group(path.to_owned()));
    groups.chain([Scope::Instance]).any(|above| {
        let says = |placed: &ConfiguredAt| {
            let configuration = &placed.configured.configuration;
            placed.configured.slug() == slug
                && !configuration.inherits
                && placed.scope.canonical() == above.canonical()
        };
        wanted.integrations.iter().any(says) || provisioned(&above, slug, present).is_some()
    })
}

/// The daemon's own provisioning file that sets this integration.
fn provisioned(scope: &Scope, slug: &str, present: &Snapshot) -> Option<String> {
    match &present.inheritance(&present.directory().resolve(scope), slug).own?.origin {
        Origin::File(file) => Some(file.to_string()),
        Origin::Stored { .. } => None,
    }
}

/// A project by its id, which identifies it in the store, where that is known.
fn numbered(scope: &Scope, wanted: &Provisioned, present: &Snapshot) -> Scope {
    let Scope::ProjectPath(path) = scope else { return scope.clone() };
    let listed = wanted
        .numbers
        .iter()
        .find(|(_, listed)| listed.as_ref().is_some_and(|listed| listed.eq_ignore_ascii_case(path)));
    let known = || present.directory().project_by_path(path)?.number();
    let id = listed.map(|(id, _)| *id).or_else(known);
    id.map_or_else(|| scope.clone(), Scope::ProjectId)
}

/// Whether settings are equal as text: `"1"` and 1 are.
fn integration_step(
    scope: Scope,
    entry: &'static Entry,
    before: Option<&Configuration>,
    next: &Configuration,
) -> Option<Step> {
    let is_known = before.is_some();
    let nothing = Configuration::default();
    let before = before.unwrap_or(&nothing);
    let (was, will) = (if is_known { shown(before) } else { Shown::new() }, shown(next));
    let names = before.secrets.keys().filter(|name| next.secrets.contains_key(*name));
    let other_secrets: BTreeSet<_> =
        names.filter(|name| before.secrets[*name] != next.secrets[*name]).map(String::as_str).collect();
    if is_known && was == will && other_secrets.is_empty() {
        return None;
    }
    let words = words(is_known, &format!("{} of {scope}", entry.about.slug), &was, &will, &other_secrets);
    Some(Step { deed: Deed::Integration { scope, entry, next: next.clone() }, words })
}

/// `+` for a new object, `~` for an existing one; below it, each setting that is set, changed or removed.
fn words(is_known: bool, heading: &str, was: &Shown, will: &Shown, other_secrets: &BTreeSet<&str>) -> String {
    let sign = if is_known { '~' } else { '+' };
    let mut text = format!("{sign} {}\n", printable(heading));
    let names: BTreeSet<_> = was.keys().chain(will.keys()).collect();
    for name in names {
        let of = |all: &Shown| all.get(name).map(|value| quoted(value));
        let _ = match (of(was), of(will)) {
            (Some(_), Some(_)) if other_secrets.contains(name.as_str()) => {
                writeln!(text, "    {name}: another secret")
            }
            (was, will) if was == will => Ok(()),
            (None, Some(will)) => writeln!(text, "    {name} = {will}"),
            (Some(was), None) => writeln!(text, "    {name}: {was} -> not set"),
            (Some(was), Some(will)) => writeln!(text, "    {name}: {was} -> {will}"),
            (None, None) => Ok(()),
        };
    }
    text
}

/// A blank value is shown as `""`.
fn quoted(value: &str) -> String {
    if value.trim().is_empty() { format!("\"{value}\"") } else { printable(value) }
}

/// Every setting with its value; a secret is shown as the mask.
fn shown(configuration: &Configuration) -> Shown {
    let text = |value: &Value| Url::masked(&value.as_text()).unwrap_or_else(|| value.as_text());
    let settings = configuration.properties.iter().map(|(name, value)| (name.clone(), text(value)));
    let secrets = configuration.secrets.keys().map(|name| (name.clone(), Secret::MASK.to_owned()));
    let flags = configuration.flags.iter().map(|(name, on)| (name.clone(), on.to_string()));
    let active = (!configuration.inherits).then_some(("active", configuration.active));
    let inherits = configuration.inherits.then_some(("use_inherited_settings", true));
    let switches =
        [active, inherits].into_iter().flatten().map(|(name, on)| (name.to_owned(), on.to_string()));
    settings.chain(secrets).chain(flags).chain(switches).collect()
}
