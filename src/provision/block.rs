//! `[[integration]]`: one project's or group's use of one adapter.

use std::collections::BTreeMap;
use std::path::Path;

use super::fingerprint::{Content, scope_key};
use super::keys::{Keys, literal};
use super::problem::{Level, Problem, did_you_mean};
use super::read::{Given, Identity, Place};
use super::scope;
use super::shared::{channel_limit, channel_setting, channel_triggers};
use super::text::{Entry, Table, shown, shown_key, simple};
use crate::adapters::Entry as Adapter;
use crate::event::{Trigger, Triggers};
use crate::integration::{
    BranchFilter, Channels, Filters, Fingerprint, Integration, IntegrationId, LabelBehavior, LabelFilter,
    Rules, Scope,
};
use crate::settings::{Parsed, Value, read_bool};

/// What a block turned out to be.
pub(super) struct Outcome {
    pub(super) identity: Option<Identity>,
    /// There where nothing is wrong with the block.
    pub(super) integration: Option<Integration>,
    pub(super) problems: Vec<Problem>,
    pub(super) inline_secret: bool,
}

/// The problems of one block, with the words that name it.
pub(super) struct Notes<'a> {
    file: &'a Path,
    label: Option<String>,
    problems: Vec<Problem>,
}

impl Notes<'_> {
    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(super) fn error(&self, entry: &Entry<'_>, problem: impl Into<String>) -> Problem {
        self.about(Level::Error, entry.line, entry.key, problem)
    }

    /// Where relative names of files begin.
    pub(super) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    fn about(&self, level: Level, line: usize, key: &str, problem: impl Into<String>) -> Problem {
        Problem {
            line: Some(line),
            integration: self.label.clone(),
            key: Some(shown_key(key)),
            ..Problem::new(level, self.file, problem)
        }
    }

    fn about_all(&self, level: Level, line: usize, problem: impl Into<String>) -> Problem {
        Problem { key: None, ..self.about(level, line, "", problem) }
    }

    fn flawed(&self) -> bool {
        self.problems.iter().any(|problem| problem.level == Level::Error)
    }
}

pub(super) fn read(given: Given<'_>, file: &Path, table: &Table<'_>) -> Outcome {
    let mut notes = Notes { file, label: None, problems: Vec::new() };
    let adapter = read_adapter(given.adapters, table, &mut notes);
    notes.label = adapter.map(|adapter| adapter.about.slug.to_owned());
    let scope = read_scope(table, &mut notes);
    let slug = adapter.map_or("integration", |adapter| adapter.about.slug);
    if let Some(scope) = &scope {
        notes.label = Some(format!("{slug} of {scope}"));
    }
    let active = read_active(table, &mut notes);
    let Some(adapter) = adapter else {
        return Outcome { identity: None, integration: None, problems: notes.problems, inline_secret: false };
    };

    let keys = Keys::read(given, adapter, table, &mut notes);
    let settings = read_settings(adapter, &keys, table.line, &mut notes);
    let filters = read_filters(adapter, &keys, &mut notes);
    let channels = read_channels(adapter, &keys, &mut notes);
    let mut triggers = Triggers::by_default();
    for (_, trigger, on) in &keys.flags {
        triggers.set(*trigger, *on);
    }
    if let Some(scope) = &scope {
        warn_of_deafness(adapter, scope, triggers, &keys, table.line, &mut notes);
    }

    let identity = scope.clone().map(|scope| Identity {
        scope,
        slug,
        label: notes.label.clone().unwrap_or_default(),
        place: Place { file: file.to_owned(), line: table.line },
    });
    let sound = settings.zip(scope).filter(|_| !notes.flawed());
    let integration = sound.map(|(settings, scope)| Integration {
        id: IntegrationId::new(format!("{}:{slug}", scope_key(&scope))),
        rules: Rules { supported: adapter.about.triggers, family: adapter.about.family },
        origin: file.display().to_string().into(),
        fingerprint: Fingerprint(0),
        scope,
        slug,
        active,
        triggers,
        filters,
        channels,
        settings,
    });
    let integration = integration.map(|integration| with_fingerprint(integration, adapter, &keys));
    Outcome { identity, integration, problems: notes.problems, inline_secret: keys.inline_secret }
}

fn with_fingerprint(integration: Integration, adapter: &Adapter, keys: &Keys) -> Integration {
    let content = Content {
        scope: &integration.scope,
        slug: integration.slug,
        active: integration.active,
        triggers: integration.triggers,
        rules: integration.rules,
        filters: &integration.filters,
        channels: &integration.channels,
        fields: adapter.fields,
        properties: &keys.own,
    };
    Integration { fingerprint: content.fingerprint(), ..integration }
}

fn read_adapter(
    adapters: &'static [Adapter],
    table: &Table<'_>,
    notes: &mut Notes<'_>,
) -> Option<&'static Adapter> {
    let slugs = || adapters.iter().map(|adapter| adapter.about.slug);
    let list = || slugs().collect::<Vec<_>>().join(", ");
    let Some(entry) = table.get("adapter") else {
        let missing = notes.about(Level::Error, table.line, "adapter", "is missing");
        notes.push(missing.remedy(format!("write adapter = \"…\"; there are {}", list())));
        return None;
    };
    let value = simple(entry.value).ok();
    let named = entry.value.as_str().unwrap_or_default().trim().to_lowercase().replace('_', "-");
    let found = adapters.iter().find(|adapter| adapter.about.slug == named);
    if found.is_none() {
        let remedy = did_you_mean(&named, slugs()).unwrap_or_else(|| format!("there are {}", list()));
        notes.push(notes.error(&entry, "unknown adapter").showing(value.as_ref()).remedy(remedy));
    }
    found
}

fn read_scope(table: &Table<'_>, notes: &mut Notes<'_>) -> Option<Scope> {
    let (entry, read) = match (table.get("project"), table.get("group")) {
        (Some(entry), None) => {
            (entry, simple(entry.value).map(|value| scope::project(&value).map(Scope::Project)))
        }
        (None, Some(entry)) => (entry, simple(entry.value).map(|value| scope::group(&value))),
        (None, None) => {
            let missing = notes.about(Level::Error, table.line, "project", "is missing");
            notes.push(missing.remedy("write project = \"acme/rocket\", or group = \"acme\""));
            return None;
        }
        (Some(_), Some(entry)) => {
            notes.push(notes.error(&entry, "is set beside `project`").remedy("write a block for each"));
            return None;
        }
    };
    match read {
        Ok(Ok(scope)) => Some(scope),
        Ok(Err(scope::Misnamed { problem, remedy })) => {
            let value = simple(entry.value).ok();
            notes.push(notes.error(&entry, problem).showing(value.as_ref()).remedy(remedy));
            None
        }
        Err(what) => {
            notes.push(
                notes.error(&entry, format!("is {what}")).remedy("write a path, as in \"acme/rocket\""),
            );
            None
        }
    }
}

fn read_active(table: &Table<'_>, notes: &mut Notes<'_>) -> bool {
    // Who writes a block means it; GitLab's own default is for forms that somebody has yet to fill in.
    let Some(entry) = table.get("active") else { return true };
    let value = simple(entry.value).ok();
    value.as_ref().and_then(read_bool).unwrap_or_else(|| {
        let problem = notes.error(&entry, "is not true or false").showing(value.as_ref());
        notes.push(problem.remedy("write true or false"));
        true
    })
}

fn read_settings(adapter: &Adapter, keys: &Keys, line: usize, notes: &mut Notes<'_>) -> Option<Parsed> {
    let errors = match adapter.read(&keys.own) {
        Ok(settings) => return Some(settings),
        Err(errors) => errors,
    };
    for error in errors.into_iter().filter(|error| !keys.unreadable.contains(error.field.as_str())) {
        let field = adapter.fields.iter().find(|field| field.name == error.field);
        let line = keys.lines.get(error.field.as_str()).copied().unwrap_or(line);
        let value = keys.own.get(&error.field).filter(|_| field.is_some_and(|field| !field.kind.is_secret()));
        let problem = notes.about(Level::Error, line, &error.field, error.problem).showing(value);
        let remedy = field.map(|field| {
            let in_file = if field.kind.is_secret() {
                format!(", or {}_file = \"/run/secrets/NAME\"", field.name)
            } else {
                String::new()
            };
            format!("write {} = {}{in_file}", field.name, literal(field.kind, field.example))
        });
        notes.push(Problem { remedy, ..problem });
    }
    None
}

fn read_filters(adapter: &Adapter, keys: &Keys, notes: &mut Notes<'_>) -> Filters {
    let offers = adapter.about.offers;
    let switch = |name: &str, default: bool| keys.bools.get(name).map_or(default, |(_, value)| *value);
    Filters {
        branches_to_be_notified: offers.branches.map(|default| read_branches(default, keys, notes)),
        notify_only_broken_pipelines: switch("notify_only_broken_pipelines", offers.only_broken_pipelines),
        notify_only_when_pipeline_status_changes: switch("notify_only_when_pipeline_status_changes", false),
        labels: read_labels(keys, notes),
    }
}

fn read_branches(default: &str, keys: &Keys, notes: &mut Notes<'_>) -> BranchFilter {
    const KEY: &str = "branches_to_be_notified";
    const OLD_KEY: &str = "notify_only_default_branch";
    let told = keys.texts.get(KEY).map(|(line, word)| (*line, BranchFilter::from_setting(word)));
    let old = keys.bools.get(OLD_KEY).map(|(line, only)| (*line, if *only { "default" } else { "all" }));
    if let Some((line, meaning)) = old {
        let remedy = format!("write {KEY} = \"{meaning}\" instead");
        let deprecated = match &told {
            Some(_) => notes
                .about(Level::Warning, line, OLD_KEY, format!("is not heeded, since `{KEY}` is set"))
                .remedy("leave it out"),
            None => notes.about(Level::Warning, line, OLD_KEY, "is deprecated").remedy(remedy),
        };
        notes.push(deprecated);
    }
    let Some((line, filter)) = told else {
        return BranchFilter::from_setting(old.map_or(default, |(_, meaning)| meaning));
    };
    if let BranchFilter::Unknown(word) = &filter {
        let words = ["all", "default", "protected", "default_and_protected"];
        let remedy =
            did_you_mean(word, words).unwrap_or_else(|| format!("write one of {}", words.join(", ")));
        let value = Value::Text(word.clone());
        let unknown = notes.about(Level::Warning, line, KEY, "matches no branch").showing(Some(&value));
        notes.push(unknown.remedy(remedy));
    }
    filter
}

fn read_labels(keys: &Keys, notes: &mut Notes<'_>) -> LabelFilter {
    const KEY: &str = "labels_to_be_notified_behavior";
    let list = keys.texts.get("labels_to_be_notified").map_or("", |(_, list)| list);
    let behavior = match keys.texts.get(KEY).map(|(line, word)| (line, word, word.trim())) {
        None | Some((_, _, "" | "match_any")) => LabelBehavior::MatchAny,
        Some((_, _, "match_all")) => LabelBehavior::MatchAll,
        Some((line, word, _)) => {
            let value = Value::Text(word.clone());
            let problem = notes.about(Level::Error, *line, KEY, "is not included in the list");
            notes.push(problem.showing(Some(&value)).remedy("write \"match_any\" or \"match_all\""));
            LabelBehavior::MatchAny
        }
    };
    LabelFilter::from_setting(list, behavior)
}

fn read_channels(adapter: &Adapter, keys: &Keys, notes: &mut Notes<'_>) -> Channels {
    let Some(at_most) = channel_limit(&adapter.about.offers) else { return Channels::default() };
    let mut list = |name: &str| {
        let (line, list) = keys.texts.get(name)?;
        let channels = Channels::parse_list(list);
        if channels.len() > at_most {
            let problem = format!("cannot have more than {at_most} channels");
            let remedy = format!("it has {}", channels.len());
            notes.push(notes.about(Level::Error, *line, name, problem).remedy(remedy));
        }
        Some(channels)
    };
    let default = list("channel").unwrap_or_default();
    let per_trigger: BTreeMap<_, _> = channel_triggers(&adapter.about)
        .iter()
        .filter_map(|trigger| Some((trigger, list(&channel_setting(trigger))?)))
        .filter(|(_, channels)| !channels.is_empty())
        .collect();
    Channels { default, per_trigger }
}

const MENTIONS: [Trigger; 2] = [Trigger::GroupMention, Trigger::GroupConfidentialMention];

/// A group's integrations hear of the group's mentions and of nothing else, a project's of everything but those:
/// flags that say otherwise are accepted, as GitLab does, and would leave somebody waiting.
fn warn_of_deafness(
    adapter: &Adapter,
    scope: &Scope,
    triggers: Triggers,
    keys: &Keys,
    line: usize,
    notes: &mut Notes<'_>,
) {
    let of_group = matches!(scope, Scope::Group(_));
    for (line, trigger, _) in keys.flags.iter().filter(|(_, _, on)| *on) {
        let why = match (of_group, MENTIONS.contains(trigger)) {
            (true, false) => "has no effect for a group, which hears of its mentions only",
            (false, true) => "has no effect for a project: only groups hear of their mentions",
            _ => continue,
        };
        notes.push(notes.about(Level::Warning, *line, trigger.flag(), why).remedy("leave it out"));
    }
    if !of_group {
        return;
    }
    let slug = adapter.about.slug;
    if MENTIONS.iter().all(|mention| !adapter.about.triggers.contains(*mention)) {
        let deaf = format!("will hear of nothing: {slug} does not tell of group mentions");
        notes.push(notes.about_all(Level::Warning, line, deaf));
    } else if MENTIONS.iter().all(|mention| !triggers.contains(*mention)) {
        let deaf = notes.about_all(Level::Warning, line, "will hear of nothing: no flag for mentions is on");
        notes.push(deaf.remedy("write group_mention_events = true"));
    }
}

impl Problem {
    /// Shows what stands there, unless that is or may be a secret.
    pub(super) fn showing(self, value: Option<&Value>) -> Self {
        Self { value: value.and_then(shown), ..self }
    }
}
