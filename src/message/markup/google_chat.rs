//! Google Chat's own markup (<https://developers.google.com/workspace/chat/format-messages>).
//!
//! It looks like Slack's, but has no escapes at all: a `<` begins a link or a mention (`<users/all>`) only before an address
//! or a name, so a zero-width space after it disables it. Where `*`, `_`, `~` and the backtick could begin or end a style,
//! they are replaced by characters that look alike, as for Slack. A line that begins with `* `, `- ` or `> ` would become a
//! list or a quote; a zero-width space before it disables that.

use std::borrow::Cow;

use super::dialect::{CharContext, Dialect, Fit, Line, StyleContext, Within, ZERO_WIDTH_SPACE, link_words};
use super::slack::{Slack, look_alike};
use crate::message::Style;

#[derive(Clone, Copy)]
pub(super) struct GoogleChat;

/// What would end the text of a link, by characters that look alike.
const fn in_link(c: char) -> Option<char> {
    Some(match c {
        '|' => '\u{2223}',
        '<' => '\u{2039}',
        '>' => '\u{203a}',
        _ => return None,
    })
}

/// Whether a `<` before this text could begin a link or a mention.
fn begins_reference(after: &str) -> bool {
    after.chars().next().is_none_or(|c| c.is_ascii_alphabetic())
}

impl Dialect for GoogleChat {
    fn text_char(self, at: &CharContext<'_>, out: &mut String) {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let within_word = is_word(at.before) && is_word(at.next()) && at.c != '`';
        if let (Within::Link, Some(other)) = (at.within, in_link(at.c)) {
            return out.push(other);
        }
        match at.c {
            '<' if begins_reference(at.after) => {
                out.push('<');
                out.push(ZERO_WIDTH_SPACE);
            }
            '>' | '-' if at.line == Line::Start => {
                out.push(ZERO_WIDTH_SPACE);
                out.push(at.c);
            }
            '\t' => out.push(' '),
            c => match look_alike(c) {
                Some(other) if !within_word => out.push(other),
                _ => out.push(c),
            },
        }
    }

    fn code_char(self, at: &CharContext<'_>, out: &mut String) {
        match at.c {
            // Would end the code; it has no escape.
            '`' => out.push('\u{2cb}'),
            // Nothing says that mentions are not read within code.
            '<' if begins_reference(at.after) => {
                out.push('<');
                out.push(ZERO_WIDTH_SPACE);
            }
            other => out.push(other),
        }
    }

    fn style_marks(self, style: Style) -> (&'static str, &'static str) {
        Slack.style_marks(style)
    }

    fn drops_before_cut(self, c: char) -> bool {
        Slack.drops_before_cut(c) || c == '<'
    }

    fn style_fit(self, around: &StyleContext) -> Fit {
        Slack.style_fit(around)
    }

    fn link(self, words: &str, url: &str, out: &mut String) {
        out.push('<');
        out.push_str(url);
        out.push('|');
        link_words(self, words, out);
        out.push('>');
    }

    /// Clients recognise bare addresses, but no rule says where one ends that a style follows.
    fn bare_link(self, spelled: &str, address: &str, _: Option<char>, out: &mut String) {
        self.link(spelled, address, out);
    }

    fn code_marks(self, code: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        Slack.code_marks(code)
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        Slack.block_marks()
    }

    fn quotes_code(self) -> bool {
        false
    }
}
