//! Text without markup.

use std::borrow::Cow;

use super::dialect::{CharContext, Dialect, ZERO_WIDTH_SPACE, link_words};
use crate::message::Style;

/// Unescaped text; links are `text (url)`.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Dialect for Plain {
    fn text_char(self, at: &CharContext<'_>, out: &mut String) {
        out.push(if at.c == '\t' { ' ' } else { at.c });
    }

    fn code_char(self, at: &CharContext<'_>, out: &mut String) {
        out.push(at.c);
    }

    fn style_marks(self, _: Style) -> (&'static str, &'static str) {
        ("", "")
    }

    fn link(self, words: &str, address: &str, out: &mut String) {
        for part in [words, " (", address, ")"] {
            out.push_str(part);
        }
    }

    fn links_references(self) -> bool {
        false
    }

    fn bare_link(self, spelled: &str, _: &str, _: Option<char>, out: &mut String) {
        out.push_str(spelled);
    }

    fn code_marks(self, _: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        ("".into(), "".into())
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        ("", "")
    }
}

/// Text for the titles and names of services that read only mentions there (`@channel`, `@jane`, `<!here>`), no other
/// markup.
#[derive(Clone, Copy)]
pub(super) struct Label;

impl Dialect for Label {
    fn text_char(self, at: &CharContext<'_>, out: &mut String) {
        Plain.text_char(at, out);
        if at.is_mention() || (at.c == '<' && at.after.starts_with(['!', '@'])) {
            out.push(ZERO_WIDTH_SPACE);
        }
    }

    fn code_char(self, at: &CharContext<'_>, out: &mut String) {
        self.text_char(at, out);
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
