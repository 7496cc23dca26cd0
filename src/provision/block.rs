//! `[[integration]]`: one project's or group's use of one adapter.

use std::path::Path;
use std::sync::Arc;

use super::context::ReadContext;
use super::keys::{Keys, literal};
use super::problem::{BlockProblems, InvalidValue, Location, Problem, Severity, did_you_mean};
use super::scope;
use super::text::{Table, simple};
use crate::adapters::Entry as Adapter;
use crate::adapters::common_settings::BRANCHES;
use crate::catalog::{
    BlockedUrl, Configured, ConfiguredAt, Resolved, UrlPolicy, blocked_urls, is_tracker, sort_secrets,
};
use crate::event::{Trigger, Triggers};
use crate::integration::{BranchFilter, Channels, Scope};
use crate::settings::{FieldError, Value, read_bool};
use crate::store::registry::Configuration;

/// One block, read.
pub(super) struct BlockResult {
    /// `None` where the block does not name its scope or its adapter.
    pub(super) key: Option<BlockKey>,
    /// `None` where the block has an error.
    pub(super) integration: Option<ConfiguredAt>,
    pub(super) problems: Vec<Problem>,
    /// A secret is written in the block itself.
    pub(super) has_secret: bool,
}

/// The key that must be unique among blocks, and the line where the block begins.
pub(super) struct BlockKey {
    pub(super) scope: Scope,
    pub(super) slug: &'static str,
    pub(super) label: String,
    pub(super) location: Location,
    /// Whether the block is an active tracker. A project has at most one.
    pub(super) is_active_tracker: bool,
}

pub(super) fn read(context: ReadContext<'_>, file: &Path, table: &Table<'_>) -> BlockResult {
    let mut problems = BlockProblems::new(file);
    let adapter = read_adapter(context.adapters, table, &mut problems);
    problems.label = adapter.map(|adapter| adapter.about.slug.to_owned());
    let scope = read_scope(table, &mut problems);
    let slug = adapter.map_or("integration", |adapter| adapter.about.slug);
    if let Some(scope) = &scope {
        problems.label = Some(format!("{slug} of {scope}"));
    }
    let active = read_switch("active", true, table, &mut problems);
    let inherits = read_switch("use_inherited_settings", false, table, &mut problems);
    let Some(adapter) = adapter else {
        return BlockResult {
            key: None,
            integration: None,
            problems: problems.into_vec(),
            has_secret: false,
        };
    };

    let keys = Keys::read(context, adapter, table, &mut problems);
    let configuration = configuration(adapter, active, inherits, &keys);
    let resolved = if inherits {
        Err(Vec::new()) // its own settings are ignored
    } else if !keys.missing_secrets.is_empty() {
        Err(keys.missing_secrets.clone())
    } else {
        Resolved::read(adapter, &configuration).map(Arc::new).inspect_err(|errors| {
            // An inactive block needs no settings: its purpose may be to disable a default.
            let is_set = |error: &&FieldError| active || keys.lines.contains_key(error.field.as_str());
            let errors: Vec<_> = errors.iter().filter(is_set).cloned().collect();
            report(adapter, &errors, &keys, table.line, &mut problems);
        })
    };
    if let Some(entry) = table.get("active").filter(|_| inherits && !active) {
        let ignored = "is ignored, because `use_inherited_settings` is true";
        let warning = problems.about(Severity::Warning, entry.line, entry.key, ignored);
        problems.push(warning.remedy("leave one of the two out"));
    }
    if active {
        warn_of_blocked_urls(adapter, &configuration, context.url_policy, &keys, table.line, &mut problems);
    }
    warn_of_branches(&keys, &mut problems);
    for error in resolved.iter().flat_map(|resolved| adapter.warnings(resolved.settings())) {
        problems.push(warning(&error, &keys, table.line, &problems));
    }
    if let (Some(scope), Ok(resolved)) = (&scope, &resolved) {
        warn_of_useless_flags(scope, resolved.triggers(), &keys, &mut problems);
    }

    let key = scope.clone().map(|scope| BlockKey {
        scope,
        slug,
        label: problems.label.clone().unwrap_or_default(),
        location: Location { file: file.to_owned(), line: table.line },
        is_active_tracker: active && !inherits && is_tracker(adapter),
    });
    let origin: Arc<str> = file.display().to_string().into();
    let scope = scope.filter(|_| !problems.has_errors());
    let integration = scope.map(|scope| ConfiguredAt {
        scope,
        configured: Configured::of_file(adapter, configuration, resolved, origin),
    });
    BlockResult { key, integration, problems: problems.into_vec(), has_secret: keys.has_secret }
}

fn configuration(adapter: &Adapter, active: bool, inherits: bool, keys: &Keys) -> Configuration {
    if inherits {
        return Configuration::following();
    }
    let flags = keys.flags.iter().map(|(_, trigger, on)| (trigger.flag(), *on));
    let flags = flags.chain(keys.other_flags.iter().copied()).map(|(flag, on)| (flag.to_owned(), on));
    let mut configuration =
        Configuration { active, inherits: false, flags: flags.collect(), ..Configuration::default() };
    sort_secrets(adapter, keys.settings.clone(), &mut configuration);
    configuration
}

fn read_adapter(
    adapters: &'static [Adapter],
    table: &Table<'_>,
    problems: &mut BlockProblems<'_>,
) -> Option<&'static Adapter> {
    let slugs = || adapters.iter().map(|adapter| adapter.about.slug);
    let list = || slugs().collect::<Vec<_>>().join(", ");
    let Some(entry) = table.get("adapter") else {
        let missing = problems.about(Severity::Error, table.line, "adapter", "is missing");
        problems.push(missing.remedy(format!("write adapter = \"…\"; the adapters are {}", list())));
        return None;
    };
    let value = simple(entry.value).ok();
    let named = entry.value.as_str().unwrap_or_default().trim().to_lowercase().replace('_', "-");
    let found = adapters.iter().find(|adapter| adapter.about.slug == named);
    if found.is_none() {
        let remedy = did_you_mean(&named, slugs()).unwrap_or_else(|| format!("the adapters are {}", list()));
        problems.push(problems.error(&entry, "unknown adapter").showing(value.as_ref()).remedy(remedy));
    }
    found
}

fn read_scope(table: &Table<'_>, problems: &mut BlockProblems<'_>) -> Option<Scope> {
    let named: Vec<_> =
        ["project", "group", "instance"].into_iter().filter_map(|key| table.get(key)).collect();
    let entry = match named.as_slice() {
        [entry] => *entry,
        [] => {
            let missing = problems.about(Severity::Error, table.line, "project", "is missing");
            let remedy = "write project = \"acme/rocket\", or group = \"acme\", or instance = true";
            problems.push(missing.remedy(remedy));
            return None;
        }
        [first, entry, ..] => {
            let twice = problems.error(entry, format!("is set beside `{}`", first.key));
            problems.push(twice.remedy("write a block for each"));
            return None;
        }
    };
    let read = simple(entry.value).map(|value| match entry.key {
        "project" => scope::project(&value),
        "group" => scope::group_path(&value).map(Scope::Group),
        _ => scope::instance(&value),
    });
    match read {
        Ok(Ok(scope)) => Some(scope),
        Ok(Err(InvalidValue { problem, remedy })) => {
            let value = simple(entry.value).ok();
            problems.push(problems.error(&entry, problem).showing(value.as_ref()).remedy(remedy));
            None
        }
        Err(what) => {
            problems.push(
                problems.error(&entry, format!("is {what}")).remedy("write a path, as in \"acme/rocket\""),
            );
            None
        }
    }
}

/// A block is active by default. GitLab's own default is for forms that have not been filled in yet.
fn read_switch(key: &str, default: bool, table: &Table<'_>, problems: &mut BlockProblems<'_>) -> bool {
    let Some(entry) = table.get(key) else { return default };
    let value = simple(entry.value).ok();
    value.as_ref().and_then(read_bool).unwrap_or_else(|| {
        let problem = problems.error(&entry, "is not true or false").showing(value.as_ref());
        problems.push(problem.remedy("write true or false"));
        default
    })
}

/// Reports what is wrong with the settings, each with its line and what to write instead.
fn report(
    adapter: &Adapter,
    errors: &[FieldError],
    keys: &Keys,
    line: usize,
    problems: &mut BlockProblems<'_>,
) {
    for error in errors.iter().filter(|error| !keys.unreadable.contains(error.field.as_str())) {
        let field = adapter.fields.iter().find(|field| field.name == error.field);
        let line = keys.lines.get(error.field.as_str()).copied().unwrap_or(line);
        let value =
            keys.settings.get(&error.field).filter(|_| !field.is_some_and(|field| field.kind.is_secret()));
        let is_list = error.field == "channel" || error.field.ends_with("_channel");
        let shown = value.filter(|_| field.is_some() || !is_list);
        let problem =
            problems.about(Severity::Error, line, &error.field, error.problem.clone()).showing(shown);
        let remedy = match field {
            Some(field) if field.kind.is_secret() => Some(format!(
                "write {} = {}, or {0}_file = \"/run/secrets/NAME\"",
                field.name,
                literal(field.kind, field.example)
            )),
            Some(field) => Some(format!("write {} = {}", field.name, literal(field.kind, field.example))),
            None if error.field == "labels_to_be_notified_behavior" => {
                Some("write \"match_any\" or \"match_all\"".to_owned())
            }
            None => value.map(|list| format!("it has {}", Channels::parse_list(&list.as_text()).len())),
        };
        problems.push(Problem { remedy, ..problem });
    }
}

/// Addresses that are never called. The API refuses them; here they are warnings, so that other integrations still work.
fn warn_of_blocked_urls(
    adapter: &Adapter,
    given: &Configuration,
    url_policy: &UrlPolicy<'_>,
    keys: &Keys,
    line: usize,
    problems: &mut BlockProblems<'_>,
) {
    for BlockedUrl { error, rule } in blocked_urls(adapter, given, url_policy) {
        let warning = warning(&error, keys, line, problems);
        problems.push(warning.remedy(format!("`{}` can permit it", rule.permitted_by())));
    }
}

/// A warning about a key, or, if the block does not have the key, about the block, which begins in this line.
fn warning(
    FieldError { field, problem }: &FieldError,
    keys: &Keys,
    line: usize,
    problems: &BlockProblems<'_>,
) -> Problem {
    let line = keys.lines.get(field.as_str()).copied().unwrap_or(line);
    problems.about(Severity::Warning, line, field, problem.clone())
}

/// Branch settings that are accepted, as GitLab accepts them, and probably not intended.
fn warn_of_branches(keys: &Keys, problems: &mut BlockProblems<'_>) {
    const KEY: &str = "branches_to_be_notified";
    const OLD_KEY: &str = "notify_only_default_branch";
    let line_of = |key: &str| keys.lines.get(key).copied().unwrap_or_default();
    let filter = keys.settings.get(KEY);
    if let Some(old) = keys.settings.get(OLD_KEY) {
        let meaning = if read_bool(old) == Some(false) { "all" } else { "default" };
        let (problem, remedy) = if filter.is_some() {
            (format!("is ignored, because `{KEY}` is set"), "leave it out".to_owned())
        } else {
            ("is deprecated".to_owned(), format!("write {KEY} = \"{meaning}\" instead"))
        };
        let deprecated = problems.about(Severity::Warning, line_of(OLD_KEY), OLD_KEY, problem);
        problems.push(deprecated.remedy(remedy));
    }
    let Some(filter) = filter else { return };
    if let BranchFilter::Unknown(word) = BranchFilter::from_setting(&filter.as_text()) {
        let remedy =
            did_you_mean(&word, BRANCHES).unwrap_or_else(|| format!("write one of {}", BRANCHES.join(", ")));
        let value = Value::Text(word);
        let unknown =
            problems.about(Severity::Warning, line_of(KEY), KEY, "matches no branch").showing(Some(&value));
        problems.push(unknown.remedy(remedy));
    }
}

const MENTIONS: [Trigger; 2] = [Trigger::GroupMention, Trigger::GroupConfidentialMention];

/// Only groups receive mentions of groups. A project's flag for mentions is accepted, as in GitLab, but has no effect.
/// The other flags of a group are for the projects in it.
fn warn_of_useless_flags(scope: &Scope, triggers: Triggers, keys: &Keys, problems: &mut BlockProblems<'_>) {
    if !matches!(scope, Scope::ProjectId(_) | Scope::ProjectPath(_)) {
        return;
    }
    for (line, trigger, _) in keys.flags.iter().filter(|(_, trigger, _)| MENTIONS.contains(trigger)) {
        if triggers.contains(*trigger) {
            let why = "has no effect for a project: only groups receive their mentions";
            problems
                .push(problems.about(Severity::Warning, *line, trigger.flag(), why).remedy("leave it out"));
        }
    }
}
