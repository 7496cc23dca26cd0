//! IRC: one line, with mIRC's codes for bold and colour or without
//! (<https://modern.ircdocs.horse/formatting>).

use std::borrow::Cow;

use super::dialect::{At, Dialect};
use crate::message::Style;

const BOLD: &str = "\x02";
const ITALIC: &str = "\x1d";
const BOLD_ITALIC: &str = "\x02\x1d";
const STRIKE: &str = "\x1e";
const MONOSPACE: &str = "\x11";
/// Dark blue and underlined. The underline's code also keeps digits that follow out of the colour's number.
const ADDRESS: &str = "\x0302\x1f";
/// Ends everything.
const RESET: &str = "\x0f";

/// An IRC line. A line break in it would be another command to the server: all of them become spaces.
#[derive(Clone, Copy)]
pub(super) struct Irc {
    pub colors: bool,
}

impl Irc {
    fn address(self, address: &str, out: &mut String) {
        if self.colors {
            for part in [ADDRESS, address, RESET] {
                out.push_str(part);
            }
        } else {
            out.push_str(address);
        }
    }
}

impl Dialect for Irc {
    fn glyph(self, at: &At<'_>, out: &mut String) {
        out.push(if at.glyph == '\t' { ' ' } else { at.glyph });
    }

    fn code_glyph(self, at: &At<'_>, out: &mut String) {
        self.glyph(at, out);
    }

    fn line_break(self) -> &'static str {
        " "
    }

    fn trims(self, glyph: char) -> bool {
        matches!(glyph, ' ' | '\t')
    }

    fn marks(self, style: Style) -> (&'static str, &'static str) {
        match style {
            _ if !self.colors => ("", ""),
            Style { bold: true, italic: true, .. } => (BOLD_ITALIC, RESET),
            Style { bold: true, .. } => (BOLD, RESET),
            Style { italic: true, .. } => (ITALIC, RESET),
            Style { strike: true, .. } => (STRIKE, RESET),
            Style { .. } => ("", ""),
        }
    }

    fn link(self, words: &str, address: &str, out: &mut String) {
        out.push_str(words);
        out.push_str(" (");
        self.address(address, out);
        out.push(')');
    }

    /// The encoded address, not the words: an IRC client shows what it gets, and ends addresses at odd letters.
    fn bare_link(self, _: &str, address: &str, out: &mut String) {
        self.address(address, out);
    }

    fn code_marks(self, _: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        if self.colors { (MONOSPACE.into(), MONOSPACE.into()) } else { ("".into(), "".into()) }
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        ("", "")
    }

    fn block_end(self) -> &'static str {
        " "
    }

    fn quote_mark(self) -> &'static str {
        "> "
    }
}
