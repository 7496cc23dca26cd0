//! IRC: one line, with or without mIRC's codes for bold and colour
//! (<https://modern.ircdocs.horse/formatting>).

use std::borrow::Cow;

use super::dialect::{CharContext, Dialect};
use crate::message::Style;

const BOLD: &str = "\x02";
const ITALIC: &str = "\x1d";
const BOLD_ITALIC: &str = "\x02\x1d";
const STRIKE: &str = "\x1e";
const MONOSPACE: &str = "\x11";
/// Dark blue and underlined. The underline's code also separates the colour's number from digits that follow.
const ADDRESS: &str = "\x0302\x1f";
/// Ends all styles.
const RESET: &str = "\x0f";

/// An IRC line. All line breaks become spaces: a line break would begin another command to the server.
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
    fn text_char(self, at: &CharContext<'_>, out: &mut String) {
        out.push(if at.c == '\t' { ' ' } else { at.c });
    }

    fn code_char(self, at: &CharContext<'_>, out: &mut String) {
        self.text_char(at, out);
    }

    fn line_break(self) -> &'static str {
        " "
    }

    fn skips_at_line_start(self, c: char) -> bool {
        matches!(c, ' ' | '\t')
    }

    fn style_marks(self, style: Style) -> (&'static str, &'static str) {
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

    fn links_references(self) -> bool {
        false
    }

    /// Writes the encoded address, not the one that people wrote: IRC clients end an address at unusual letters.
    fn bare_link(self, _: &str, address: &str, _: Option<char>, out: &mut String) {
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
