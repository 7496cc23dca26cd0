//! Slack's mrkdwn (<https://docs.slack.dev/messaging/formatting-message-text>).
//!
//! Slack has escapes for three characters, `&`, `<` and `>`. They are sufficient for links, mentions and broadcasts.
//! It has none for `*`, `_`, `~` and the backtick. A zero-width space next to one of them does not disable it (people
//! use that to *enable* bold within a word). So where one of them could begin or end a style, it is replaced by a
//! character that looks alike: `∗`, `ˍ`, `∼`, `ˋ`. Between two letters or digits, as in `snake_case`, Slack ignores
//! them, and they stay.

use std::borrow::Cow;

use super::dialect::{CharContext, Dialect, Fit, Line, StyleContext, Within, ZERO_WIDTH_SPACE, link_words};
use crate::message::Style;

/// Invisible; keeps Slack from reading the `>` after it as a quote.
const SOFT_HYPHEN: char = '\u{ad}';

#[derive(Clone, Copy)]
pub(super) struct Slack;

/// Only Slack's escapes, for titles, names and footers, where it reads no styles.
#[derive(Clone, Copy)]
pub(super) struct Label;

/// Writes the three escapes, and disables mentions of a whole channel, which a workspace may read in plain text.
fn escape(at: &CharContext<'_>, out: &mut String) {
    match at.c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '@' if at.is_broadcast_mention() => {
            out.push('@');
            out.push(ZERO_WIDTH_SPACE);
        }
        '\t' => out.push(' '),
        other => out.push(other),
    }
}

/// A character that looks alike, for each that begins or ends a style. Slack reads the full-width forms as well.
pub(super) const fn look_alike(c: char) -> Option<char> {
    Some(match c {
        '*' => '\u{2217}',
        '_' => '\u{2cd}',
        '~' => '\u{223c}',
        '`' | '｀' => '\u{2cb}',
        '＊' => '\u{fe61}',
        '＿' => '\u{2e0f}',
        _ => return None,
    })
}

fn address(address: &str, out: &mut String) {
    let mut pieces = address.split('&');
    out.extend(pieces.next());
    for piece in pieces {
        out.push_str("&amp;");
        out.push_str(piece);
    }
}

impl Dialect for Slack {
    fn text_char(self, at: &CharContext<'_>, out: &mut String) {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let within_word = is_word(at.before) && is_word(at.next()) && at.c != '`';
        match at.c {
            '>' | '＞' if at.line == Line::Start => {
                out.push(SOFT_HYPHEN);
                escape(at, out);
            }
            // Would end the address within a link.
            '|' if at.within == Within::Link => out.push('\u{2223}'),
            c => match look_alike(c) {
                Some(other) if !within_word => out.push(other),
                _ => escape(at, out),
            },
        }
    }

    fn code_char(self, at: &CharContext<'_>, out: &mut String) {
        match at.c {
            // Would end the code; it has no escape.
            '`' => out.push('\u{2cb}'),
            '\t' => out.push('\t'),
            _ => escape(at, out),
        }
    }

    fn style_marks(self, style: Style) -> (&'static str, &'static str) {
        match (style.bold, style.italic, style.strike) {
            (false, false, false) => ("", ""),
            (true, false, false) => ("*", "*"),
            (false, true, false) => ("_", "_"),
            (false, false, true) => ("~", "~"),
            (true, true, false) => ("*_", "_*"),
            (true, false, true) => ("*~", "~*"),
            (false, true, true) => ("_~", "~_"),
            (true, true, true) => ("*_~", "~_*"),
        }
    }

    /// These stay unescaped within a word, but would begin or end a style at its end.
    fn drops_before_cut(self, c: char) -> bool {
        matches!(c, '*' | '_' | '~')
    }

    /// Slack requires a word boundary on both sides of a style; a zero-width space makes one.
    fn style_fit(self, around: &StyleContext) -> Fit {
        let is_word = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace() && !c.is_ascii_punctuation());
        let snug = !is_word(around.before) && !is_word(around.after) && !around.at_closer;
        if snug { Fit::Direct } else { Fit::Padded }
    }

    fn link(self, words: &str, url: &str, out: &mut String) {
        out.push('<');
        address(url, out);
        out.push('|');
        link_words(self, words, out);
        out.push('>');
    }

    fn bare_link(self, _: &str, url: &str, _: Option<char>, out: &mut String) {
        out.push('<');
        address(url, out);
        out.push('>');
    }

    fn code_marks(self, _: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        ("`".into(), "`".into())
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        ("```\n", "\n```")
    }

    fn quote_mark(self) -> &'static str {
        "&gt; "
    }

    /// Slack reads the mark of a quoted line as a part of the code.
    fn quotes_code(self) -> bool {
        false
    }
}

impl Dialect for Label {
    fn text_char(self, at: &CharContext<'_>, out: &mut String) {
        escape(at, out);
    }

    fn code_char(self, at: &CharContext<'_>, out: &mut String) {
        escape(at, out);
    }

    fn style_marks(self, _: Style) -> (&'static str, &'static str) {
        ("", "")
    }

    fn link(self, words: &str, _: &str, out: &mut String) {
        link_words(self, words, out);
    }

    fn bare_link(self, spelled: &str, _: &str, _: Option<char>, out: &mut String) {
        link_words(self, spelled, out);
    }

    fn code_marks(self, _: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        ("".into(), "".into())
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        ("", "")
    }
}
