//! `[[integration]]`: one project's or group's use of one adapter.

use std::path::Path;
use std::sync::Arc;

use super::keys::{Keys, literal};
use super::problem::{Problem, Severity, did_you_mean};
use super::read::{BlockKey, Location, ReadContext};
use super::scope;
use super::text::{Entry, Table, shown, shown_key, simple};
use crate::adapters::Entry as Adapter;
use crate::catalog::{Configured, ConfiguredAt, Resolved, UrlPolicy, blocked_urls, sort_secrets};
use crate::event::{Trigger, Triggers};
use crate::integration::{BranchFilter, Channels, Scope};
use crate::settings::{FieldError, Value, read_bool};
use crate::store::registry::Configuration;

/// What a block turned out to be.
pub(super) struct BlockResult {
    pub(super) key: Option<BlockKey>,
    /// There where nothing is wrong with the block.
    pub(super) integration: Option<ConfiguredAt>,
    pub(super) problems: Vec<Problem>,
    pub(super) inline_secret: bool,
}

/// The problems of one block, with the words that name it.
pub(super) struct BlockProblems<'a> {
    file: &'a Path,
    label: Option<String>,
    problems: Vec<Problem>,
}

impl BlockProblems<'_> {
    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn error(&self, entry: &Entry<'_>, problem: impl Into<String>) -> Problem {
        self.about(Severity::Error, entry.line, entry.key, problem)
    }

    /// Where relative names of files begin.
    pub(super) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    fn about(&self, severity: Severity, line: usize, key: &str, problem: impl Into<String>) -> Problem {
        Problem {
            line: Some(line),
            integration: self.label.clone(),
            key: Some(shown_key(key)),
            ..Problem::new(severity, self.file, problem)
        }
    }

    fn flawed(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

pub(super) fn read(context: ReadContext<'_>, file: &Path, table: &Table<'_>) -> BlockResult {
    let mut problems = BlockProblems { file, label: None, problems: Vec::new() };
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
            problems: problems.problems,
            inline_secret: false,
        };
    };

    let keys = Keys::read(context, adapter, table, &mut problems);
    let configuration = configuration(adapter, active, inherits, &keys);
    let resolved = if inherits {
        Err(Vec::new()) // its own words mean nothing
    } else {
        Resolved::read(adapter, &configuration).map(Arc::new).inspect_err(|errors| {
            // What is switched off needs nothing: it may stand there only to keep a default out.
            let is_set = |error: &&FieldError| active || keys.lines.contains_key(error.field.as_str());
            let errors: Vec<_> = errors.iter().filter(is_set).cloned().collect();
            complain(adapter, &errors, &keys, table.line, &mut problems);
        })
    };
    if let Some(entry) = table.get("active").filter(|_| inherits && !active) {
        let unheeded = problems.about(
            Severity::Warning,
            entry.line,
            entry.key,
            "is not heeded, since `use_inherited_settings` is true",
        );
        problems.push(unheeded.remedy("leave one of the two out"));
    }
    if active {
        warn_of_blocked(adapter, &configuration, context.blocks, &keys, &mut problems);
    }
    warn_of_branches(&keys, &mut problems);
    if let (Some(scope), Ok(resolved)) = (&scope, &resolved) {
        warn_of_deafness(scope, resolved.triggers(), &keys, &mut problems);
    }

    let key = scope.clone().map(|scope| BlockKey {
        scope,
        slug,
        label: problems.label.clone().unwrap_or_default(),
        location: Location { file: file.to_owned(), line: table.line },
    });
    let origin: Arc<str> = file.display().to_string().into();
    let sound = scope.filter(|_| !problems.flawed());
    let integration = sound.map(|scope| ConfiguredAt {
        scope,
        configured: Configured::of_file(adapter, configuration, resolved, origin),
    });
    BlockResult { key, integration, problems: problems.problems, inline_secret: keys.inline_secret }
}

fn configuration(adapter: &Adapter, active: bool, inherits: bool, keys: &Keys) -> Configuration {
    if inherits {
        return Configuration::following();
    }
    let flags = keys.flags.iter().map(|(_, trigger, on)| (trigger.flag(), *on));
    let flags = flags.chain(keys.inert_flags.iter().copied()).map(|(flag, on)| (flag.to_owned(), on));
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
        problems.push(missing.remedy(format!("write adapter = \"…\"; there are {}", list())));
        return None;
    };
    let value = simple(entry.value).ok();
    let named = entry.value.as_str().unwrap_or_default().trim().to_lowercase().replace('_', "-");
    let found = adapters.iter().find(|adapter| adapter.about.slug == named);
    if found.is_none() {
        let remedy = did_you_mean(&named, slugs()).unwrap_or_else(|| format!("there are {}", list()));
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
        "group" => scope::group(&value),
        _ => scope::instance(&value),
    });
    match read {
        Ok(Ok(scope)) => Some(scope),
        Ok(Err(scope::Misnamed { problem, remedy })) => {
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

/// A block in a file is active by default. GitLab's own default (inactive) is for forms that are not filled in yet.
fn read_switch(key: &str, default: bool, table: &Table<'_>, problems: &mut BlockProblems<'_>) -> bool {
    let Some(entry) = table.get(key) else { return default };
    let value = simple(entry.value).ok();
    value.as_ref().and_then(read_bool).unwrap_or_else(|| {
        let problem = problems.error(&entry, "is not true or false").showing(value.as_ref());
        problems.push(problem.remedy("write true or false"));
        default
    })
}

/// Tells what is wrong with the settings, each with its place and what to write instead.
fn complain(
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

/// Addresses that are never called. The API refuses them; here they are no reason to stand still for everybody else.
fn warn_of_blocked(
    adapter: &Adapter,
    given: &Configuration,
    blocks: &UrlPolicy<'_>,
    keys: &Keys,
    problems: &mut BlockProblems<'_>,
) {
    for FieldError { field, problem } in blocked_urls(adapter, given, blocks) {
        let line = keys.lines.get(field.as_str()).copied().unwrap_or_default();
        let warning = problems.about(Severity::Warning, line, &field, problem);
        problems.push(warning.remedy("`wire.allow_networks` can permit it"));
    }
}

/// Branch settings that are accepted, as GitLab accepts them, and probably not meant.
fn warn_of_branches(keys: &Keys, problems: &mut BlockProblems<'_>) {
    const KEY: &str = "branches_to_be_notified";
    const OLD_KEY: &str = "notify_only_default_branch";
    let line_of = |key: &str| keys.lines.get(key).copied().unwrap_or_default();
    let told = keys.settings.get(KEY);
    if let Some(old) = keys.settings.get(OLD_KEY) {
        let meaning = if read_bool(old) == Some(false) { "all" } else { "default" };
        let deprecated = if told.is_some() {
            problems
                .about(
                    Severity::Warning,
                    line_of(OLD_KEY),
                    OLD_KEY,
                    format!("is not heeded, since `{KEY}` is set"),
                )
                .remedy("leave it out")
        } else {
            problems
                .about(Severity::Warning, line_of(OLD_KEY), OLD_KEY, "is deprecated")
                .remedy(format!("write {KEY} = \"{meaning}\" instead"))
        };
        problems.push(deprecated);
    }
    let Some(told) = told else { return };
    if let BranchFilter::Unknown(word) = BranchFilter::from_setting(&told.as_text()) {
        let words = ["all", "default", "protected", "default_and_protected"];
        let remedy =
            did_you_mean(&word, words).unwrap_or_else(|| format!("write one of {}", words.join(", ")));
        let value = Value::Text(word);
        let unknown =
            problems.about(Severity::Warning, line_of(KEY), KEY, "matches no branch").showing(Some(&value));
        problems.push(unknown.remedy(remedy));
    }
}

const MENTIONS: [Trigger; 2] = [Trigger::GroupMention, Trigger::GroupConfidentialMention];

/// Only a group's own integrations are notified of its mentions. A project's flag for them is accepted, as in GitLab, but
/// has no effect, so it is warned of. A group's other flags are for the projects in it.
fn warn_of_deafness(scope: &Scope, triggers: Triggers, keys: &Keys, problems: &mut BlockProblems<'_>) {
    if !matches!(scope, Scope::ProjectId(_) | Scope::ProjectPath(_)) {
        return;
    }
    for (line, trigger, _) in keys.flags.iter().filter(|(_, trigger, _)| MENTIONS.contains(trigger)) {
        if triggers.contains(*trigger) {
            let why = "has no effect for a project: only groups hear of their mentions";
            problems
                .push(problems.about(Severity::Warning, *line, trigger.flag(), why).remedy("leave it out"));
        }
    }
}

impl Problem {
    /// Shows what stands there, unless that is or may be a secret.
    pub(super) fn showing(self, value: Option<&Value>) -> Self {
        Self { value: value.and_then(shown), ..self }
    }
}
