//! No markup.

use std::borrow::Cow;

use super::dialect::{At, Dialect, ZERO_WIDTH_SPACE, link_words};
use crate::message::Style;

/// Words as they are; links as `text (url)`.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Dialect for Plain {
    fn glyph(self, at: &At<'_>, out: &mut String) {
        out.push(if at.glyph == '\t' { ' ' } else { at.glyph });
    }

    fn code_glyph(self, at: &At<'_>, out: &mut String) {
        out.push(at.glyph);
    }

    fn marks(self, _: Style) -> (&'static str, &'static str) {
        ("", "")
    }

    fn link(self, words: &str, address: &str, out: &mut String) {
        for part in [words, " (", address, ")"] {
            out.push_str(part);
        }
    }

    fn bare_link(self, spelled: &str, _: &str, out: &mut String) {
        out.push_str(spelled);
    }

    fn code_marks(self, _: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        ("".into(), "".into())
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        ("", "")
    }
}

/// Words as they are, for the titles and names of services that read calls (`@channel`, `@jane`, `<!here>`) but no
/// other markup there.
#[derive(Clone, Copy)]
pub(super) struct Label;

impl Dialect for Label {
    fn glyph(self, at: &At<'_>, out: &mut String) {
        Plain.glyph(at, out);
        if at.names_someone() || (at.glyph == '<' && at.after.starts_with(['!', '@'])) {
            out.push(ZERO_WIDTH_SPACE);
        }
    }

    fn code_glyph(self, at: &At<'_>, out: &mut String) {
        self.glyph(at, out);
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
