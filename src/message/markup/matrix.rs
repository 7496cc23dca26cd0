//! HTML with the tags that Matrix clients show
//! (<https://spec.matrix.org/latest/client-server-api/#mroommessage-msgtypes>).
//!
//! Older servers look for `@room` and for names in the text, so a zero-width space follows an `@` that people wrote.

use std::borrow::Cow;

use super::dialect::{CharContext, Dialect, ZERO_WIDTH_SPACE};
use super::html::Html;
use crate::message::Style;

#[derive(Clone, Copy)]
pub(super) struct MatrixHtml;

impl Dialect for MatrixHtml {
    fn text_char(self, at: &CharContext<'_>, out: &mut String) {
        Html.text_char(at, out);
        if at.is_mention() {
            out.push(ZERO_WIDTH_SPACE);
        }
    }

    fn code_char(self, at: &CharContext<'_>, out: &mut String) {
        Html.code_char(at, out);
    }

    fn line_break(self) -> &'static str {
        Html.line_break()
    }

    fn style_marks(self, style: Style) -> (&'static str, &'static str) {
        match (style.bold, style.italic, style.strike) {
            (false, false, false) => ("", ""),
            (true, false, false) => ("<b>", "</b>"),
            (false, true, false) => ("<i>", "</i>"),
            (false, false, true) => ("<del>", "</del>"),
            (true, true, false) => ("<b><i>", "</i></b>"),
            (true, false, true) => ("<b><del>", "</del></b>"),
            (false, true, true) => ("<i><del>", "</del></i>"),
            (true, true, true) => ("<b><i><del>", "</del></i></b>"),
        }
    }

    fn link(self, words: &str, address: &str, out: &mut String) {
        Html.link(words, address, out);
    }

    fn bare_link(self, spelled: &str, address: &str, _: Option<char>, out: &mut String) {
        Html.bare_link(spelled, address, None, out);
    }

    fn code_marks(self, code: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        Html.code_marks(code)
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        Html.block_marks()
    }

    fn block_end(self) -> &'static str {
        Html.block_end()
    }

    fn quote_mark(self) -> &'static str {
        Html.quote_mark()
    }
}
