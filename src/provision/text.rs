//! A file's text as tables, keys and values that know their lines.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Severity};
use crate::settings::Value;

/// One file, to be read.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

/// A table whose keys are in the order of their lines.
pub(super) struct Table<'a> {
    pub(super) line: usize,
    pub(super) entries: Vec<Entry<'a>>,
}

/// `key = value`, on a line.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) line: usize,
    pub(super) key: &'a str,
    pub(super) value: &'a DeValue<'a>,
}

impl<'a> Source<'a> {
    /// The whole document, or every mistake of grammar in it. What stands beside such a mistake is not read: its
    /// meaning would be a guess, and the complaints about it noise.
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'a>>, Vec<Problem>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        if errors.is_empty() {
            return Ok(document);
        }
        // Never the error's own `Display`: it quotes the line, and the line may hold a secret.
        let told = |error: &toml::de::Error| Problem {
            line: error.span().map(|span| self.line(span.start)),
            ..Problem::new(Severity::Error, self.path, format!("not TOML: {}", error.message()))
        };
        Err(errors.iter().map(told).collect())
    }

    pub(super) fn table(&self, line: usize, table: &'a DeTable<'a>) -> Table<'a> {
        let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<_>)| Entry {
            line: self.line(key.span().start),
            key: AsRef::<std::borrow::Cow<'a, str>>::as_ref(key).as_ref(),
            value: value.get_ref(),
        };
        let mut entries: Vec<_> = table.iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.line);
        Table { line, entries }
    }

    /// The line, counted from 1, on which this byte stands.
    pub(super) fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

impl<'a> Table<'a> {
    pub(super) fn get(&self, key: &str) -> Option<Entry<'a>> {
        self.entries.iter().find(|entry| entry.key == key).copied()
    }
}

/// A setting's value; the error names what it is instead.
pub(super) fn simple(value: &DeValue<'_>) -> Result<Value, &'static str> {
    match value {
        DeValue::String(text) => Ok(Value::Text(text.to_string())),
        DeValue::Boolean(value) => Ok(Value::Bool(*value)),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Value::Integer)
            .map_err(|_| "a number that is too large"),
        DeValue::Float(_) => Err("a number with a fraction"),
        DeValue::Datetime(_) => Err("a date"),
        DeValue::Array(_) => Err("a list"),
        DeValue::Table(_) => Err("a table"),
    }
}

/// A value as a problem shows it: short, on one line; hidden where it looks like an address, since addresses of
/// chat webhooks are credentials and end up in the wrong setting easily.
pub(super) fn shown(value: &Value) -> Option<String> {
    let text = value.as_text();
    if text.contains("://") {
        return None;
    }
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    Some(match value {
        Value::Text(_) => format!("{short:?}"),
        Value::Bool(_) | Value::Integer(_) => short,
    })
}

/// A key as a problem shows it: keys may be quoted, and then hold anything.
pub(super) fn shown_key(key: &str) -> String {
    key.chars().take(60).flat_map(char::escape_debug).collect()
}
