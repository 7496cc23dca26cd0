//! Parses Markdown that people wrote (descriptions, comments) into spans.
//!
//! The syntax is GitLab's: CommonMark with tables, task lists, strike-through and footnotes, and what GitLab adds
//! (<https://docs.gitlab.com/user/markdown/>). `source` rewrites what has another structure than CommonMark (front matter,
//! quotes between lines of `>>>`), and `reader` reads the parser's events; `html` and `elements` do the same for HTML;
//! `base` resolves addresses; `writer` makes the spans.
//!
//! What chats cannot show becomes text: headings are bold lines, lists have bullets, tables are lines of cells, pictures are
//! links, an alert begins with its kind. No words are dropped except for comments, which issue templates are full of, and
//! the place of a table of contents.

mod base;
mod elements;
mod html;
mod reader;
mod source;
#[cfg(test)]
mod tests;
mod writer;

pub use base::Base;

use self::writer::push_words;
use super::{Style, Text};

/// More characters than any service shows of one message. The rest is not parsed: descriptions of a megabyte exist.
const LONGEST: usize = 20_000;

/// Parses GitLab's Markdown. `base` completes relative addresses.
pub fn prose(markdown: &str, base: &Base<'_>) -> Text {
    let start = match markdown.char_indices().nth(LONGEST) {
        Some((end, _)) => &markdown[..end],
        None => markdown,
    };
    let (front_matter, rest) = source::front_matter(start);
    let mut text = reader::read(&source::quotes_marked(rest), *base, front_matter);
    if start.len() < markdown.len() {
        push_words(&mut text.0, "…", Style::PLAIN);
    }
    text
}
