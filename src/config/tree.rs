//! Checks the merged tree against the schema: unknown keys, values of the wrong type, secrets in files. Then reads each
//! section as the type of the module that uses it.

use std::collections::{BTreeMap, BTreeSet};

use config::{Map, Value, ValueKind};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::ConfigError;
use super::layers::{self, Layer};
use super::rules::Problem;
use crate::digest::Digest;

/// The end of a key that names a file with a secret.
const IN_FILE: &str = "_file";

/// How similar two keys must be for one to be suggested for the other (Jaro-Winkler).
const ALIKE: f64 = 0.8;

type Table = Map<String, Value>;
type Section = serde_json::Map<String, Json>;

pub(super) struct Tree {
    schema: Table,
    merged: Table,
    errors: Vec<ConfigError>,
    /// Secrets, as `section.key`, whose files could not be read. They are not needed, or the file is complained of.
    unread: BTreeSet<String>,
}

impl Tree {
    pub(super) fn merge(layers: Vec<Layer>, errors: &mut Vec<ConfigError>) -> Self {
        let mut builder = config::Config::builder();
        for layer in layers {
            builder = builder.add_source(layer);
        }
        let merged = match builder.build().map(|built| built.cache.kind) {
            Ok(ValueKind::Table(merged)) => merged,
            Ok(_) => layers::defaults(),
            Err(error) => {
                errors.push(ConfigError { problem: error.to_string(), ..ConfigError::default() });
                layers::defaults()
            }
        };
        Self { schema: layers::defaults(), merged, errors: Vec::new(), unread: BTreeSet::new() }
    }

    /// Digests of all values, by `section.key`, as their types read them.
    pub(super) fn digests(&self) -> BTreeMap<String, i64> {
        let mut digests = BTreeMap::new();
        for (section, value) in &self.merged {
            let known = self.schema.get(section).and_then(table_of);
            for (key, value) in table_of(value).into_iter().flatten() {
                let model = known.and_then(|known| known.get(key)).map_or(&value.kind, |model| &model.kind);
                let read = shaped(&value.kind, model).map_or_else(|_| shown(value), |json| json.to_string());
                digests.insert(format!("{section}.{key}"), Digest::of([read.as_bytes()]).number());
            }
        }
        digests
    }

    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        self.errors
    }

    /// Reports sections and keys that do not exist, and values where a section should be.
    pub(super) fn report_unknown(&mut self) {
        let mut errors = Vec::new();
        for (section, value) in sorted(&self.merged) {
            let origin = origin_of(value).map(str::to_owned);
            let known = self.schema.get(section).and_then(table_of);
            match (known, table_of(value)) {
                (None, _) => errors.push(ConfigError {
                    key: section.clone(),
                    origin,
                    problem: "there is no such section".to_owned(),
                    suggestion: self.like_section(section),
                    ..ConfigError::default()
                }),
                (Some(_), None) => errors.push(ConfigError {
                    key: section.clone(),
                    origin,
                    problem: format!("is a section: its keys go under [{section}]"),
                    ..ConfigError::default()
                }),
                // A section without keys in the schema accepts any key: its keys are names.
                (Some(known), Some(given)) if !known.is_empty() => {
                    for (key, value) in sorted(given).into_iter().filter(|(key, _)| !known.contains_key(*key))
                    {
                        errors.push(ConfigError {
                            key: format!("{section}.{key}"),
                            origin: value.origin().map(str::to_owned),
                            problem: "there is no such setting".to_owned(),
                            suggestion: self.like_key(section, key),
                            ..ConfigError::default()
                        });
                    }
                }
                _ => {}
            }
        }
        self.errors.append(&mut errors);
    }

    fn like_section(&self, wrong: &str) -> Option<String> {
        let closest = closest(wrong, self.schema.keys()).map(|section| format!("[{section}]"));
        // It may be a key without its section.
        closest.or_else(|| self.same_key_elsewhere(wrong))
    }

    fn like_key(&self, section: &str, wrong: &str) -> Option<String> {
        let siblings = table_of(self.schema.get(section)?)?;
        let closest = closest(wrong, siblings.keys()).map(|key| format!("{section}.{key}"));
        closest.or_else(|| self.same_key_elsewhere(wrong))
    }

    fn same_key_elsewhere(&self, key: &str) -> Option<String> {
        let mut sections = sorted(&self.schema).into_iter();
        let (section, _) =
            sections.find(|(_, value)| table_of(value).is_some_and(|known| known.contains_key(key)))?;
        Some(format!("{section}.{key}"))
    }

    /// Reads the files of secrets, and sets the secrets to their contents. Those of sections that are not needed may be
    /// unreadable.
    pub(super) fn read_secrets_from_files(&mut self, is_needed: impl Fn(&str) -> bool) {
        let pairs: Vec<(String, String)> = sorted(&self.schema)
            .into_iter()
            .flat_map(|(section, value)| {
                let known = table_of(value).into_iter().flat_map(Map::keys);
                let secrets = known.filter(|key| self.is_secret(section, key));
                secrets.map(|key| (section.clone(), key.clone())).collect::<Vec<_>>()
            })
            .collect();
        for (section, key) in pairs {
            self.read_secret(&section, &key, is_needed(&section));
        }
    }

    /// A setting is secret if it can be in a file of its own.
    fn is_secret(&self, section: &str, key: &str) -> bool {
        let known = self.schema.get(section).and_then(table_of);
        known.is_some_and(|known| known.contains_key(&format!("{key}{IN_FILE}")))
    }

    fn read_secret(&mut self, section: &str, key: &str, is_needed: bool) {
        let file_key = format!("{key}{IN_FILE}");
        let file = match self.given(section, &file_key) {
            Some(Value { kind: ValueKind::String(file), .. }) if !file.is_empty() => file.clone(),
            _ => return,
        };
        let is_unset = |value: &Value| match &value.kind {
            ValueKind::String(text) => text.is_empty(),
            ValueKind::Array(items) => items.is_empty(),
            _ => false,
        };
        if !self.given(section, key).is_none_or(is_unset) {
            let problem = format!("{section}.{key} is set as well; set the other to \"\"");
            return self.complain(section, &file_key, problem);
        }
        match std::fs::read_to_string(&file) {
            Err(_) if !is_needed => {
                self.unread.insert(format!("{section}.{key}"));
            }
            Err(error) => {
                self.unread.insert(format!("{section}.{key}"));
                self.complain(section, &file_key, layers::unreadable(&error));
            }
            Ok(secret) if secret.trim().is_empty() => {
                self.unread.insert(format!("{section}.{key}"));
                self.complain(section, &file_key, "the file is empty".to_owned());
            }
            Ok(secret) => {
                let secret = secret.strip_suffix('\n').unwrap_or(&secret);
                let secret = secret.strip_suffix('\r').unwrap_or(secret);
                let value = Value::new(Some(&file), secret);
                if let Some(ValueKind::Table(table)) =
                    self.merged.get_mut(section).map(|value| &mut value.kind)
                {
                    table.insert(key.to_owned(), value);
                }
            }
        }
    }

    /// A section as the type of its module, or `None` and an error for each mistake.
    ///
    /// `rules` checks what the type does not. A type reports only its first mistake. So where the whole section can't be
    /// read, each value is tried alone among the defaults.
    pub(super) fn section<T: DeserializeOwned>(
        &mut self,
        section: &str,
        rules: impl Fn(&T) -> Vec<Problem>,
    ) -> Option<T> {
        let before = self.errors.len();
        let base = base::<T>(self.schema.get(section).and_then(table_of)?);
        let given = self.merged.get(section).and_then(table_of).cloned().unwrap_or_default();
        let values: Vec<(String, Json)> = sorted(&given)
            .into_iter()
            .filter_map(|(key, value)| Some((key.clone(), self.value(section, key, value, &base)?)))
            .collect();

        let mut whole = base.clone();
        whole.extend(values.iter().cloned());
        if let Ok(read) = serde_json::from_value(Json::Object(whole)) {
            for (key, problem) in rules(&read) {
                // The rules miss a secret that is there for the daemon, or whose file is the mistake.
                if !self.unread.contains(&format!("{section}.{key}")) {
                    self.complain(section, &key, problem.to_owned());
                }
            }
            return (self.errors.len() == before).then_some(read);
        }
        for (key, value) in values {
            let mut alone = base.clone();
            alone.insert(key.clone(), value);
            if let Err(error) = serde_json::from_value::<T>(Json::Object(alone)) {
                self.complain(section, &key, plain(&error.to_string()));
            }
        }
        if self.errors.len() == before {
            self.complain(section, "", "its values do not go together".to_owned());
        }
        None
    }

    /// A value in the form that its section's type reads. `None` where it has the wrong type or is left out.
    fn value(&mut self, section: &str, key: &str, value: &Value, base: &Section) -> Option<Json> {
        let known = self.schema.get(section).and_then(table_of)?;
        let is_free = known.is_empty();
        let is_file_of_secret = key.strip_suffix(IN_FILE).is_some_and(|secret| known.contains_key(secret));
        // Unknown keys were reported before.
        if is_file_of_secret || !is_free && !known.contains_key(key) {
            return None;
        }
        let model =
            known.get(key).map_or_else(|| ValueKind::String(String::new()), |value| value.kind.clone());
        match shaped(&value.kind, &model) {
            Ok(Json::String(text)) if text.is_empty() && !is_free && !base.contains_key(key) => None,
            Ok(value) => Some(value),
            Err(problem) => {
                self.complain(section, key, problem);
                None
            }
        }
    }

    /// Adds an error about a value, with its origin and default; about a whole section where `key` is empty.
    fn complain(&mut self, section: &str, key: &str, problem: String) {
        let given = self.given(section, key);
        let default = self.schema.get(section).and_then(table_of).and_then(|known| known.get(key)).map(shown);
        let shown = given.map(shown).filter(|_| !self.is_secret(section, key));
        let hint = match default.filter(|default| default != "\"\"" && default != "[]") {
            Some(default) if shown.as_ref() != Some(&default) => format!(" (the default is {default})"),
            _ => String::new(),
        };
        self.errors.push(ConfigError {
            key: if key.is_empty() { section.to_owned() } else { format!("{section}.{key}") },
            value: shown,
            origin: given.and_then(origin_of).map(str::to_owned),
            problem: problem + &hint,
            suggestion: None,
        });
    }

    fn given(&self, section: &str, key: &str) -> Option<&Value> {
        self.merged.get(section).and_then(table_of)?.get(key)
    }
}

/// A section's defaults in the form that its type reads. Keys that are empty by default are left out where the type allows
/// that: they are "not set".
fn base<T: DeserializeOwned>(known: &Table) -> Section {
    let is_file_of_secret =
        |key: &str| key.strip_suffix(IN_FILE).is_some_and(|secret| known.contains_key(secret));
    let mut base: Section = known
        .iter()
        .filter(|(key, _)| !is_file_of_secret(key))
        .filter_map(|(key, value)| Some((key.clone(), shaped(&value.kind, &value.kind).ok()?)))
        .collect();
    let empty = |value: &Json| value.as_str().is_some_and(str::is_empty);
    let empties: Vec<String> =
        base.iter().filter(|(_, value)| empty(value)).map(|(key, _)| key.clone()).collect();
    for key in empties {
        let without: Section =
            base.iter().filter(|(other, _)| **other != key).map(|(k, v)| (k.clone(), v.clone())).collect();
        if serde_json::from_value::<T>(Json::Object(without.clone())).is_ok() {
            base = without;
        }
    }
    base
}

/// A value as JSON, if it has its model's type. Texts are parsed, since the environment and the command line hold nothing
/// else.
fn shaped(value: &ValueKind, model: &ValueKind) -> Result<Json, String> {
    match (model, value) {
        (ValueKind::Boolean(_), ValueKind::Boolean(value)) => Ok((*value).into()),
        (ValueKind::Boolean(_), ValueKind::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true.into()),
            "false" | "no" | "off" | "0" => Ok(false.into()),
            _ => Err("must be true or false".to_owned()),
        },
        (ValueKind::Boolean(_), _) => Err("must be true or false".to_owned()),
        (ValueKind::I64(_), ValueKind::I64(number)) => Ok((*number).into()),
        (ValueKind::I64(_), ValueKind::String(text)) => {
            text.trim().parse::<i64>().map(Json::from).map_err(|_| "must be a whole number".to_owned())
        }
        (ValueKind::I64(_), _) => Err("must be a whole number".to_owned()),
        (ValueKind::Float(_), ValueKind::Float(number)) => finite(*number),
        #[expect(clippy::cast_precision_loss, reason = "no setting has sixteen digits")]
        (ValueKind::Float(_), ValueKind::I64(number)) => finite(*number as f64),
        (ValueKind::Float(_), ValueKind::String(text)) => finite(text.trim().parse().unwrap_or(f64::NAN)),
        (ValueKind::Float(_), _) => finite(f64::NAN),
        (ValueKind::Array(_), ValueKind::Array(items)) => {
            items.iter().map(|item| shaped(&item.kind, &ValueKind::String(String::new()))).collect()
        }
        (ValueKind::Array(_), ValueKind::String(text)) => {
            list(text).map(Json::from).ok_or_else(|| NO_LIST.to_owned())
        }
        (ValueKind::Array(_), _) => Err(NO_LIST.to_owned()),
        (_, ValueKind::String(text)) => Ok(text.as_str().into()),
        _ => Err("must be a text, in quotes".to_owned()),
    }
}

const NO_LIST: &str = "must be a list of texts: [\"one\", \"two\"]";

/// A list in a text: in TOML's form, or separated by commas or line breaks.
fn list(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if text.starts_with('[') {
        #[derive(serde::Deserialize)]
        struct Holder {
            list: Vec<String>,
        }
        return toml::from_str::<Holder>(&format!("list = {text}")).ok().map(|holder| holder.list);
    }
    Some(text.split([',', '\n']).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
}

fn finite(number: f64) -> Result<Json, String> {
    if number.is_finite() { Ok(number.into()) } else { Err("must be a number".to_owned()) }
}

/// A type's error message in words for people who do not know Rust.
fn plain(problem: &str) -> String {
    const WORDS: [(&str, &str); 6] = [
        ("expected u16", "expected 0 to 65535"),
        ("expected u32", "expected 0 to 4294967295"),
        ("expected usize", "expected 0 or more"),
        ("expected u64", "expected 0 or more"),
        ("invalid value: ", ""),
        ("invalid type: ", ""),
    ];
    if problem.contains("duration format") {
        return "is no duration; they are written \"300ms\", \"10s\", \"5m\" or \"1h 30m\", in hours at most"
            .to_owned();
    }
    WORDS.iter().fold(problem.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// A value as it is written in a file.
fn shown(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        ValueKind::Table(_) => "{…}".to_owned(),
        // In TOML's form: 1.0, not 1.
        ValueKind::Float(number) => format!("{number:?}"),
        other => other.to_string(),
    }
}

/// Where a value came from. Merged tables have no origin of their own, so theirs is that of their first value.
fn origin_of(value: &Value) -> Option<&str> {
    let first_inside = || sorted(table_of(value)?).into_iter().find_map(|(_, inner)| origin_of(inner));
    value.origin().or_else(first_inside)
}

fn table_of(value: &Value) -> Option<&Table> {
    match &value.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    }
}

/// In the order of the keys, so that errors always come in the same order.
fn sorted(table: &Table) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

fn closest<'a>(wrong: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let scored = known.map(|known| (strsim::jaro_winkler(wrong, known), known));
    let best = scored.max_by(|(a, left), (b, right)| a.total_cmp(b).then_with(|| right.cmp(left)));
    best.filter(|(score, _)| *score >= ALIKE).map(|(_, known)| known)
}
