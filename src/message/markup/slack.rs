//! Slack's mrkdwn (<https://docs.slack.dev/messaging/formatting-message-text>).
//!
//! Slack has escapes for three characters, `&`, `<` and `>`, and that settles links, mentions and broadcasts. It
//! has none for `*`, `_`, `~` and the backtick. A zero-width space beside one of them does not disarm it (that
//! is how people *enable* bold within a word), so where one could begin or end a style, a sign of the same
//! shape stands in its place: `∗`, `ˍ`, `∼`, `ˋ`. Between two letters or digits, as in `snake_case`, they mean
//! nothing to Slack and stay.

use std::borrow::Cow;

use super::dialect::{Around, At, Dialect, Fit, Line, Place, ZERO_WIDTH_SPACE, link_words};
use crate::message::Style;

/// Invisible, and Slack no longer sees a quote in the `>` behind it.
const SOFT_HYPHEN: char = '\u{ad}';

#[derive(Clone, Copy)]
pub(super) struct Slack;

/// Slack's escapes alone, for titles, names and footers, where it reads no styles.
#[derive(Clone, Copy)]
pub(super) struct Label;

/// The three escapes, and room-wide calls, which a workspace may still read in bare words.
fn escape(at: &At<'_>, out: &mut String) {
    match at.glyph {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '@' if at.calls_everyone() => {
            out.push('@');
            out.push(ZERO_WIDTH_SPACE);
        }
        '\t' => out.push(' '),
        other => out.push(other),
    }
}

/// The sign of the same shape, for what begins and ends a style. Slack reads the full-width forms as well.
const fn look_alike(glyph: char) -> Option<char> {
    Some(match glyph {
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
    for c in address.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            other => out.push(other),
        }
    }
}

impl Dialect for Slack {
    fn glyph(self, at: &At<'_>, out: &mut String) {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let within_word = is_word(at.before) && is_word(at.next()) && at.glyph != '`';
        match at.glyph {
            '>' | '＞' if at.line == Line::Start => {
                out.push(SOFT_HYPHEN);
                escape(at, out);
            }
            // Ends the address within a link.
            '|' if at.place == Place::Link => out.push('\u{2223}'),
            glyph => match look_alike(glyph) {
                Some(other) if !within_word => out.push(other),
                _ => escape(at, out),
            },
        }
    }

    fn code_glyph(self, at: &At<'_>, out: &mut String) {
        match at.glyph {
            // Would end the code: neither of its forms has an escape.
            '`' => out.push('\u{2cb}'),
            '\t' => out.push('\t'),
            _ => escape(at, out),
        }
    }

    fn marks(self, style: Style) -> (&'static str, &'static str) {
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

    /// Kept within a word, at whose end it would begin or end a style.
    fn dangles(self, glyph: char) -> bool {
        matches!(glyph, '*' | '_' | '~')
    }

    /// Slack wants a boundary on either side of a style; a zero-width space makes one.
    fn fit(self, around: &Around) -> Fit {
        let is_word = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace() && !c.is_ascii_punctuation());
        let snug = !is_word(around.before) && !is_word(around.after) && !around.at_closer;
        if snug { Fit::Snug } else { Fit::Padded }
    }

    fn link(self, words: &str, url: &str, out: &mut String) {
        out.push('<');
        address(url, out);
        out.push('|');
        link_words(self, words, out);
        out.push('>');
    }

    fn bare_link(self, _: &str, url: &str, out: &mut String) {
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

    /// Slack takes the mark of a quoted line for a part of the code.
    fn quotes_code(self) -> bool {
        false
    }
}

impl Dialect for Label {
    fn glyph(self, at: &At<'_>, out: &mut String) {
        escape(at, out);
    }

    fn code_glyph(self, at: &At<'_>, out: &mut String) {
        escape(at, out);
    }

    fn marks(self, _: Style) -> (&'static str, &'static str) {
        ("", "")
    }

    fn link(self, words: &str, _: &str, out: &mut String) {
        link_words(self, words, out);
    }

    fn bare_link(self, spelled: &str, _: &str, out: &mut String) {
        link_words(self, spelled, out);
    }

    fn code_marks(self, _: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        ("".into(), "".into())
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        ("", "")
    }
}
