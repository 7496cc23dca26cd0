//! HTML with the few tags that mail readers and HipChat show (`a b i br pre code`).

use std::borrow::Cow;

use super::dialect::{CharContext, Dialect};
use crate::message::Style;

/// HTML. In text that people wrote, every `<`, `>`, `&` and quotation mark becomes an entity.
#[derive(Clone, Copy)]
pub(super) struct Html;

/// Escaped text without any tags, for attributes and titles.
#[derive(Clone, Copy)]
pub(super) struct Label;

pub(super) fn escape(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        other => out.push(other),
    }
}

pub(super) fn anchor(words: &str, address: &str, out: &mut String) {
    out.push_str("<a href=\"");
    address.chars().for_each(|c| escape(c, out));
    out.push_str("\">");
    words.chars().for_each(|c| escape(c, out));
    out.push_str("</a>");
}

impl Dialect for Html {
    fn text_char(self, at: &CharContext<'_>, out: &mut String) {
        escape(at.c, out);
    }

    fn code_char(self, at: &CharContext<'_>, out: &mut String) {
        escape(at.c, out);
    }

    fn line_break(self) -> &'static str {
        "<br />"
    }

    /// HipChat has no tag for strike-through, so such text is written without a style.
    fn style_marks(self, style: Style) -> (&'static str, &'static str) {
        match (style.bold, style.italic) {
            (true, true) => ("<b><i>", "</i></b>"),
            (true, false) => ("<b>", "</b>"),
            (false, true) => ("<i>", "</i>"),
            (false, false) => ("", ""),
        }
    }

    fn link(self, words: &str, address: &str, out: &mut String) {
        anchor(words, address, out);
    }

    fn bare_link(self, spelled: &str, address: &str, _: Option<char>, out: &mut String) {
        anchor(spelled, address, out);
    }

    fn code_marks(self, _: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        ("<code>".into(), "</code>".into())
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        ("<pre>", "</pre>")
    }

    fn block_end(self) -> &'static str {
        ""
    }

    fn quote_mark(self) -> &'static str {
        "&gt; "
    }
}

impl Dialect for Label {
    fn text_char(self, at: &CharContext<'_>, out: &mut String) {
        escape(at.c, out);
    }

    fn code_char(self, at: &CharContext<'_>, out: &mut String) {
        escape(at.c, out);
    }

    fn style_marks(self, _: Style) -> (&'static str, &'static str) {
        ("", "")
    }

    fn link(self, words: &str, _: &str, out: &mut String) {
        words.chars().for_each(|c| escape(c, out));
    }

    fn bare_link(self, spelled: &str, _: &str, _: Option<char>, out: &mut String) {
        spelled.chars().for_each(|c| escape(c, out));
    }

    fn code_marks(self, _: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        ("".into(), "".into())
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        ("", "")
    }
}
