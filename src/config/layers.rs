//! Reads settings from their sources, each into a tree whose values know their origin.

use std::io::ErrorKind;
use std::path::Path;

use config::{Map, Source, Value, ValueKind};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, DEFAULT, Sources};

const PREFIX: &str = "FORGEBELL__";

/// The values of one source.
#[derive(Clone, Debug)]
pub(super) struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// All layers, the one with the lowest priority first, and what in them could not be read.
pub(super) fn read(sources: Sources) -> (Vec<Layer>, Vec<ConfigError>) {
    let mut errors = Vec::new();
    let mut layers = vec![Layer(defaults())];
    if let Some(file) = sources.file {
        match of_file(&file) {
            Ok(values) => layers.push(Layer(values)),
            Err(error) => errors.push(error),
        }
    }
    for (name, value) in sources.environment {
        let Some(path) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let name = name.to_string_lossy();
        let path: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        match value.to_str() {
            Some(value) => layers.push(single(&path, value, &name)),
            None => errors.push(ConfigError {
                key: path.join("."),
                origin: Some(name.into_owned()),
                problem: "is not UTF-8".to_owned(),
                ..ConfigError::default()
            }),
        }
    }
    for option in sources.options {
        match option.split_once('=') {
            Some((key, value)) => {
                let path: Vec<String> = key.trim().split('.').map(str::to_owned).collect();
                layers.push(single(&path, value, "the command line"));
            }
            // The option is not quoted: it may be a value without its key, and that a secret.
            None => errors.push(ConfigError {
                origin: Some("the command line".to_owned()),
                problem: "an option has no `=`; they are written section.key=value".to_owned(),
                ..ConfigError::default()
            }),
        }
    }
    (layers, errors)
}

/// The built-in defaults, which are also the schema.
pub(super) fn defaults() -> Map<String, Value> {
    // Defaults have no origin.
    parse(DEFAULT, None).expect("config/default.toml is TOML: a test reads it")
}

/// Why a file can't be read, with the remedy where another user may read it.
pub(super) fn unreadable(error: &std::io::Error) -> String {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => {
            "; run the command as the daemon's user (`sudo -u forgebell forgebell …`), or let this user read the file"
        }
        _ => "",
    };
    format!("cannot be read: {error}{remedy}")
}

fn of_file(file: &Path) -> Result<Map<String, Value>, ConfigError> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
        origin: Some(name.clone()),
        problem: unreadable(&error),
        ..ConfigError::default()
    })?;
    parse(&text, Some(&name))
}

/// Reads TOML, with each value's line in its origin.
fn parse(text: &str, name: Option<&str>) -> Result<Map<String, Value>, ConfigError> {
    let document = Document { text, name };
    match DeTable::parse(text) {
        Ok(table) => Ok(document.table(table.get_ref())),
        // The library's own message quotes the line, which may hold a password.
        Err(error) => Err(ConfigError {
            origin: document.origin(error.span().map_or(0, |span| span.start)),
            problem: format!("is not TOML: {}", error.message()),
            ..ConfigError::default()
        }),
    }
}

/// A TOML text, and the file's name for origins.
struct Document<'a> {
    text: &'a str,
    name: Option<&'a str>,
}

impl Document<'_> {
    fn table(&self, table: &DeTable<'_>) -> Map<String, Value> {
        let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let key: &Spanned<std::borrow::Cow<'_, str>> = key;
            let origin = self.origin(key.span().start);
            (key.get_ref().to_string(), Value::new(origin.as_ref(), self.kind(value.get_ref())))
        };
        table.iter().map(entry).collect()
    }

    fn kind(&self, value: &DeValue<'_>) -> ValueKind {
        match value {
            DeValue::String(text) => ValueKind::String(text.to_string()),
            DeValue::Boolean(value) => ValueKind::Boolean(*value),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                // It is too large for any setting. As a text it is reported as "must be a whole number".
                .map_or_else(|_| ValueKind::String(number.to_string()), ValueKind::I64),
            DeValue::Float(number) => number
                .as_str()
                .parse()
                .map_or_else(|_| ValueKind::String(number.as_str().to_owned()), ValueKind::Float),
            DeValue::Datetime(moment) => ValueKind::String(moment.to_string()),
            DeValue::Array(items) => ValueKind::Array(
                items.iter().map(|item| Value::new(None, self.kind(item.get_ref()))).collect(),
            ),
            DeValue::Table(table) => ValueKind::Table(self.table(table)),
        }
    }

    fn origin(&self, offset: usize) -> Option<String> {
        let line = self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        Some(format!("{}:{line}", self.name?))
    }
}

/// A layer of one value, still a text: the schema knows its type.
fn single(path: &[String], text: &str, origin: &str) -> Layer {
    let origin = origin.to_owned();
    let leaf = Value::new(Some(&origin), text);
    let (last, sections) = path.split_last().map_or(("", path), |(last, rest)| (last.as_str(), rest));
    let table = |key: &str, value| Map::from_iter([(key.to_owned(), value)]);
    let tree = sections.iter().rev().fold(table(last, leaf), |inner, section| {
        table(section, Value::new(Some(&origin), ValueKind::Table(inner)))
    });
    Layer(tree)
}
