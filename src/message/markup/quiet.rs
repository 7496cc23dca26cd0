//! Text without markup, for services that look for mentions in it all the same: a zero-width space follows an `@` that
//! people wrote.

use std::borrow::Cow;

use super::dialect::{CharContext, Dialect, ZERO_WIDTH_SPACE, link_words};
use super::plain::Plain;
use crate::message::Style;

#[derive(Clone, Copy)]
pub(super) struct Quiet;

impl Dialect for Quiet {
    fn text_char(self, at: &CharContext<'_>, out: &mut String) {
        Plain.text_char(at, out);
        if at.is_mention() {
            out.push(ZERO_WIDTH_SPACE);
        }
    }

    fn code_char(self, at: &CharContext<'_>, out: &mut String) {
        self.text_char(at, out);
    }

    fn style_marks(self, style: Style) -> (&'static str, &'static str) {
        Plain.style_marks(style)
    }

    fn link(self, words: &str, address: &str, out: &mut String) {
        link_words(self, words, out);
        out.push_str(" (");
        out.push_str(address);
        out.push(')');
    }

    fn links_references(self) -> bool {
        false
    }

    fn bare_link(self, spelled: &str, address: &str, _: Option<char>, out: &mut String) {
        Plain.bare_link(spelled, address, None, out);
    }

    fn code_marks(self, code: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        Plain.code_marks(code)
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        Plain.block_marks()
    }
}
