//! A block's keys, each classified: a setting of the adapter, a setting that adapters share, a flag, or unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;

use super::context::ReadContext;
use super::problem::{AS_THE_DAEMON, BlockProblems, Problem, Severity, did_you_mean};
use super::text::{Entry, Table, simple};
use crate::adapters::Entry as Adapter;
use crate::adapters::common_settings::{
    CommonField, FLAGS_WITHOUT_TRIGGER, channel_limit, common_fields, is_common,
};
use crate::event::Trigger;
use crate::settings::{Field, FieldError, Kind, Properties, Value, read_bool};

/// The keys that every `[[integration]]` may have, of any adapter.
pub static COMMON_KEYS: &[Field] = &[
    Field {
        name: "project",
        kind: Kind::Text,
        required: false,
        help: "Whose events it receives: a project's full path or its number. Write one of `project`, `group` and `instance`.",
        example: "acme/rocket",
        default: None,
    },
    Field {
        name: "group",
        kind: Kind::Text,
        required: false,
        help: "A group's full path: the integration receives mentions of that group, and is the default for the \
               projects and groups in it.",
        example: "acme",
        default: None,
    },
    Field {
        name: "instance",
        kind: Kind::Bool,
        required: false,
        help: "True makes it the default for all groups and projects.",
        example: "true",
        default: None,
    },
    Field {
        name: "adapter",
        kind: Kind::Text,
        required: true,
        help: "The service that receives notifications.",
        example: "slack",
        default: None,
    },
    Field {
        name: "active",
        kind: Kind::Bool,
        required: false,
        help: "Whether the integration is active, as it is by default. An inactive one disables a default from above.",
        example: "true",
        default: None,
    },
    Field {
        name: "use_inherited_settings",
        kind: Kind::Bool,
        required: false,
        help: "True uses the nearest default above; other settings are then ignored.",
        example: "true",
        default: None,
    },
];

/// The keys of a block, classified.
#[derive(Default)]
pub(super) struct Keys {
    /// The adapter's own settings, with the content of secret files, and those that adapters share. Contains secrets: no `Debug`.
    pub(super) settings: Properties,
    /// Settings that can't be read. They are reported already, so they must not be reported as missing.
    pub(super) unreadable: BTreeSet<&'static str>,
    /// Secrets whose file can't be read: the integration is off until it can be.
    pub(super) missing_secrets: Vec<FieldError>,
    /// The lines of settings, by the setting's name, also where the key is `NAME_file`.
    pub(super) lines: BTreeMap<String, usize>,
    pub(super) flags: Vec<(usize, Trigger, bool)>,
    pub(super) other_flags: Vec<(&'static str, bool)>,
    /// A secret is written in the block itself.
    pub(super) has_secret: bool,
}

/// The meaning of a key.
enum Meaning {
    Common,
    Own(&'static Field),
    /// `NAME_file` for an own setting `NAME`.
    FileOf(&'static Field),
    Shared(CommonField),
    Flag(Trigger),
    /// A flag without a trigger.
    OtherFlag(&'static str),
}

impl Keys {
    pub(super) fn read(
        context: ReadContext<'_>,
        adapter: &'static Adapter,
        table: &Table<'_>,
        problems: &mut BlockProblems<'_>,
    ) -> Self {
        let mut keys = Self::default();
        let shared = common_fields(&adapter.about);
        for entry in &table.entries {
            match meaning(adapter, &shared, entry.key) {
                None => {
                    let remedy = suggestion(context.adapters, adapter, &shared, entry.key);
                    problems.push(problems.error(entry, "unknown setting").remedy(remedy));
                }
                Some(Meaning::Common) => {}
                Some(Meaning::Own(field)) => keys.own(field, entry, problems),
                Some(Meaning::FileOf(field)) => keys.file_of(context, field, table, entry, problems),
                Some(Meaning::Shared(field)) => keys.shared(&field, entry, problems),
                Some(Meaning::Flag(trigger)) => {
                    if let Some(on) = bool_of(entry, problems) {
                        keys.flags.push((entry.line, trigger, on));
                    }
                }
                Some(Meaning::OtherFlag(flag)) => {
                    keys.other_flags.extend(bool_of(entry, problems).map(|on| (flag, on)));
                }
            }
        }
        keys
    }

    fn own(&mut self, field: &'static Field, entry: &Entry<'_>, problems: &mut BlockProblems<'_>) {
        self.lines.insert(field.name.to_owned(), entry.line);
        match simple(entry.value) {
            Ok(value) => {
                self.has_secret |= field.kind.hides(&value.as_text());
                self.settings.insert(field.name.to_owned(), value);
            }
            Err(what) => {
                self.unreadable.insert(field.name);
                problems.push(wrong_type(
                    problems.error(entry, format!("is {what}")),
                    field.kind,
                    field.example,
                ));
            }
        }
    }

    fn file_of(
        &mut self,
        context: ReadContext<'_>,
        field: &'static Field,
        table: &Table<'_>,
        entry: &Entry<'_>,
        problems: &mut BlockProblems<'_>,
    ) {
        let name = field.name;
        let content = if !field.kind.is_secret() {
            let remedy = format!("write {name} = {}", literal(field.kind, field.example));
            Err(NoSecret::mistake(format!("`{name}` is not a secret and can't be read from a file"), remedy))
        } else if table.get(name).is_some() {
            Err(NoSecret::mistake(format!("is set beside `{name}`"), "keep one of the two".to_owned()))
        } else {
            secret_of(context, entry, problems.folder())
        };
        self.lines.entry(name.to_owned()).or_insert(entry.line);
        match content {
            Ok(secret) => _ = self.settings.insert(name.to_owned(), Value::Text(secret)),
            Err(NoSecret { problem, remedy, is_missing }) => {
                self.unreadable.insert(name);
                // One team's missing file must not keep the daemon from starting: its integration is off meanwhile.
                let severity = if is_missing { Severity::Warning } else { Severity::Error };
                if is_missing {
                    self.missing_secrets.push(FieldError::new(entry.key, format!("{problem}; {remedy}")));
                }
                problems.push(problems.about(severity, entry.line, entry.key, problem).remedy(remedy));
            }
        }
    }

    fn shared(&mut self, field: &CommonField, entry: &Entry<'_>, problems: &mut BlockProblems<'_>) {
        let name = || field.name.clone().into_owned();
        self.lines.insert(name(), entry.line);
        if field.kind == Kind::Bool {
            if let Some(value) = bool_of(entry, problems) {
                self.settings.insert(name(), Value::Bool(value));
            }
            return;
        }
        let what = match simple(entry.value) {
            // A number may be a channel's id.
            Ok(value @ (Value::Text(_) | Value::Integer(_))) => {
                self.settings.insert(name(), Value::Text(value.as_text()));
                return;
            }
            Ok(Value::Bool(_)) => "true or false",
            Err(what) => what,
        };
        problems.push(wrong_type(problems.error(entry, format!("is {what}")), field.kind, &field.example));
    }
}

fn meaning(adapter: &'static Adapter, shared: &[CommonField], key: &str) -> Option<Meaning> {
    let own = |name: &str| adapter.fields.iter().find(|field| field.name == name);
    let common = || COMMON_KEYS.iter().any(|field| field.name == key).then_some(Meaning::Common);
    let file_of = || key.strip_suffix("_file").and_then(own).map(Meaning::FileOf);
    let of_shared = || shared.iter().find(|f| f.name == key && f.group.is_setting()).cloned();
    let other_flag = || FLAGS_WITHOUT_TRIGGER.into_iter().find(|flag| *flag == key).map(Meaning::OtherFlag);
    common()
        .or_else(other_flag)
        .or_else(|| own(key).map(Meaning::Own))
        .or_else(file_of)
        .or_else(|| of_shared().map(Meaning::Shared))
        .or_else(|| Trigger::from_flag(key).map(Meaning::Flag))
}

/// Suggests the probable meaning of an unknown key. Its value is not shown, because it may be a secret under a misspelt
/// name.
fn suggestion(adapters: &[Adapter], adapter: &Adapter, shared: &[CommonField], key: &str) -> String {
    let slug = adapter.about.slug;
    let event =
        key.strip_suffix("_channel").and_then(|event| Trigger::ALL.iter().find(|t| t.name() == event));
    // Some services' channels are addresses, which are settings of the adapter.
    let own_channels = || adapter.fields.iter().any(|field| field.name.ends_with("_channel"));
    let has_channels = channel_limit(&adapter.about.common).is_some() || own_channels();
    if let Some(trigger) = event.filter(|trigger| has_channels && !adapter.about.triggers.contains(**trigger))
    {
        return format!("{slug} does not receive {trigger} events");
    }
    if is_common(key) || event.is_some() {
        return format!("{slug} does not have it");
    }
    let own = || adapter.fields.iter().map(|field| field.name);
    let secret_files: Vec<String> = secret_files(adapter).collect();
    let known = (COMMON_KEYS.iter().map(|field| field.name))
        .chain(own())
        .chain(secret_files.iter().map(String::as_str))
        .chain(shared.iter().map(|field| field.name.as_ref()))
        .chain(Trigger::ALL.iter().map(|trigger| trigger.flag()));
    did_you_mean(key, known).unwrap_or_else(|| {
        let owners = adapters.iter().filter(|other| other.fields.iter().any(|field| field.name == key));
        match owners.map(|owner| owner.about.slug).collect::<Vec<_>>().as_slice() {
            [] => {
                let own = own().collect::<Vec<_>>().join(", ");
                format!("{slug} has {own}; `forgebell adapters {slug}` lists all settings")
            }
            owners => format!("it is a setting of {}, not of {slug}", owners.join(", ")),
        }
    })
}

fn secret_files(adapter: &Adapter) -> impl Iterator<Item = String> {
    adapter.fields.iter().filter(|field| field.kind.is_secret()).map(|field| format!("{}_file", field.name))
}

/// Why there is no secret, and what to do.
struct NoSecret {
    problem: String,
    remedy: String,
    /// Whether the problem is the file with the secret, and not this block.
    is_missing: bool,
}

impl NoSecret {
    fn mistake(problem: String, remedy: String) -> Self {
        Self { problem, remedy, is_missing: false }
    }

    fn missing(problem: String, remedy: String) -> Self {
        Self { problem, remedy, is_missing: true }
    }
}

/// The secret in the file that an entry names.
fn secret_of(context: ReadContext<'_>, entry: &Entry<'_>, folder: &Path) -> Result<String, NoSecret> {
    let Some(named) = entry.value.as_str().filter(|path| !path.trim().is_empty()) else {
        let remedy = "write \"/run/secrets/NAME\"".to_owned();
        return Err(NoSecret::mistake("is not a file's name".to_owned(), remedy));
    };
    let path = folder.join(named);
    let secret = (context.read_secret)(&path).map_err(|error| {
        // The value may be the secret itself, written here by mistake. Only what is clearly a path is shown.
        let is_path = ["/", "./", "../"].iter().any(|start| named.starts_with(start));
        let which = if is_path {
            format!("the file {}", path.to_string_lossy().escape_debug())
        } else {
            "the file".to_owned()
        };
        let mut remedy = if Path::new(named).is_absolute() {
            "name a file that the daemon is allowed to read".to_owned()
        } else {
            format!(
                "name a file that the daemon is allowed to read; relative names refer to {}",
                folder.display()
            )
        };
        if error.kind() == ErrorKind::PermissionDenied {
            remedy = format!("{remedy}; or {AS_THE_DAEMON}");
        }
        NoSecret::missing(format!("{which} can't be read: {error}"), remedy)
    })?;
    // Editors and `echo` end a file with a line break, which is not part of the secret.
    let secret = secret.trim_end_matches(['\n', '\r']);
    if secret.trim().is_empty() {
        let remedy = "put only the secret into it".to_owned();
        return Err(NoSecret::missing("names an empty file".to_owned(), remedy));
    }
    Ok(secret.to_owned())
}

fn bool_of(entry: &Entry<'_>, problems: &mut BlockProblems<'_>) -> Option<bool> {
    let value = simple(entry.value).ok();
    let read = value.as_ref().and_then(read_bool);
    if read.is_none() {
        let problem = problems.error(entry, "is not true or false").showing(value.as_ref());
        problems.push(problem.remedy("write true or false"));
    }
    read
}

fn wrong_type(problem: Problem, kind: Kind, example: &str) -> Problem {
    problem.remedy(format!("write {}, as in {}", kind.name(), literal(kind, example)))
}

/// An example as TOML.
pub(super) fn literal(kind: Kind, example: &str) -> String {
    match kind {
        Kind::Bool | Kind::Integer => example.to_owned(),
        _ => format!("{example:?}"),
    }
}
