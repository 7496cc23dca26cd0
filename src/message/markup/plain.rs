//! No markup.

use std::borrow::Cow;

use super::dialect::{At, Dialect};
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
