//! A file's text as tables, keys and values that know their lines.
//!
//! Mistakes of TOML's grammar come as [`ParseError`]s: [`Problem`](super::Problem)s are built from what this module
//! returns, never here.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::settings::Value;

/// One file's text.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    text: &'a str,
    /// The number of lines before the text in its file.
    lines_before: usize,
    /// Where each line begins, in bytes.
    line_starts: Vec<usize>,
}

/// The tables that a file may have; each may be repeated.
pub(super) const TABLES: [&str; 3] = ["project", "group", "integration"];

/// The least size of a part of a file in bytes, except for the last part. A parsed document takes many times the memory
/// of its text.
const PART: usize = 128 * 1024;

/// A mistake of grammar.
pub(super) struct ParseError {
    pub(super) line: Option<usize>,
    pub(super) message: String,
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
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { path, text, lines_before: 0, line_starts }
    }

    /// The text in parts, cut before lines that begin one of the [`TABLES`]. If every part parses, the parts are the
    /// documents of the file. A part does not parse if it was cut at such a line within a text of several lines.
    pub(super) fn parts(&self) -> impl Iterator<Item = Self> {
        let (mut rest, mut lines_before) = (self.text, 0);
        std::iter::from_fn(move || {
            let (part, after) = Some(rest.split_at(part_len(rest))).filter(|(part, _)| !part.is_empty())?;
            rest = after;
            let part = Self { lines_before, ..Self::new(self.path, part) };
            lines_before += part.line_starts.len() - 1;
            Some(part)
        })
    }

    /// The whole document, or every mistake of grammar in it. With such a mistake nothing else is read: the meaning of
    /// the rest would be a guess, and problems found in it misleading.
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'a>>, Vec<ParseError>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        if errors.is_empty() {
            return Ok(document);
        }
        // Never the error's own `Display`: it quotes the line, and the line may hold a secret.
        let read = |error: &toml::de::Error| ParseError {
            line: error.span().map(|span| self.line(span.start)),
            message: error.message().to_owned(),
        };
        Err(errors.iter().map(read).collect())
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

    /// The line, counted from 1, of the byte at this offset.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.lines_before + self.line_starts.partition_point(|start| *start <= offset)
    }
}

/// The length of the first part of a text.
fn part_len(text: &str) -> usize {
    let mut from = PART;
    while let Some(found) =
        text.as_bytes().get(from..).and_then(|rest| rest.windows(3).position(|w| w == b"\n[["))
    {
        let line = from + found + 1;
        let is_table =
            |name: &str| text[line + 2..].strip_prefix(name).is_some_and(|end| end.starts_with("]]"));
        if TABLES.into_iter().any(is_table) {
            return line;
        }
        from = line;
    }
    text.len()
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

/// A value as a problem shows it: short, on one line. `None` for what looks like an address: addresses of chat webhooks
/// are credentials and easily end up in the wrong setting.
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

/// A key as a problem shows it: keys may be quoted, and then contain anything.
pub(super) fn shown_key(key: &str) -> String {
    key.chars().take(60).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one_and_a_line_break_ends_its_line() {
        let source = Source::new(Path::new("a.toml"), "a\n\nbc\n");
        let lines: Vec<_> = (0..8).map(|offset| source.line(offset)).collect();
        assert_eq!(lines, [1, 1, 2, 3, 3, 3, 4, 4]);
        assert_eq!(Source::new(Path::new("a.toml"), "").line(0), 1);
    }
}
