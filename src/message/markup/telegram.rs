//! HTML with the tags of Telegram's bot API (<https://core.telegram.org/bots/api#html-style>).
//!
//! Every `<`, `>` and `&` that is not a part of a tag must be an entity; a message with any other markup is refused. There
//! are no paragraphs: a line break is a line break. Clients make a mention of `@name` wherever it is in the text, so a
//! zero-width space follows an `@` that people wrote.

use std::borrow::Cow;

use super::dialect::{CharContext, Dialect, ZERO_WIDTH_SPACE};
use super::html::{anchor, escape};
use crate::message::Style;

#[derive(Clone, Copy)]
pub(super) struct Telegram;

impl Dialect for Telegram {
    fn text_char(self, at: &CharContext<'_>, out: &mut String) {
        escape(if at.c == '\t' { ' ' } else { at.c }, out);
        if at.is_mention() {
            out.push(ZERO_WIDTH_SPACE);
        }
    }

    /// Mentions are not read within code.
    fn code_char(self, at: &CharContext<'_>, out: &mut String) {
        escape(at.c, out);
    }

    fn style_marks(self, style: Style) -> (&'static str, &'static str) {
        match (style.bold, style.italic, style.strike) {
            (false, false, false) => ("", ""),
            (true, false, false) => ("<b>", "</b>"),
            (false, true, false) => ("<i>", "</i>"),
            (false, false, true) => ("<s>", "</s>"),
            (true, true, false) => ("<b><i>", "</i></b>"),
            (true, false, true) => ("<b><s>", "</s></b>"),
            (false, true, true) => ("<i><s>", "</s></i>"),
            (true, true, true) => ("<b><i><s>", "</s></i></b>"),
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

    fn quote_mark(self) -> &'static str {
        "&gt; "
    }
}
