//! What a markup must answer for `page` to write in it.

use std::borrow::Cow;

use crate::message::Style;

/// Invisible, no space to any parser, and cuts a word in two: `@` and what follows no longer make a name.
pub(super) const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// One service's markup.
pub(super) trait Dialect: Copy {
    /// One character of people's words, so that it is read as itself.
    fn glyph(self, at: &At<'_>, out: &mut String);

    /// One character of code.
    fn code_glyph(self, at: &At<'_>, out: &mut String);

    /// Between two lines.
    fn line_break(self) -> &'static str {
        "\n"
    }

    /// Whether this is a space that would mean something at the start of a line, and is left out there.
    fn trims(self, glyph: char) -> bool {
        let _ = glyph;
        false
    }

    /// What opens and closes a style; two empty strings where the markup has none for it.
    fn marks(self, style: Style) -> (&'static str, &'static str);

    /// Whether a style takes where it stands.
    fn fit(self, around: &Around) -> Fit {
        let _ = around;
        Fit::Snug
    }

    /// Whether this meant nothing only because of what would have followed it, and goes where a text is cut behind it.
    fn dangles(self, glyph: char) -> bool {
        let _ = glyph;
        false
    }

    /// A link, whole. Both the words and the address are as they are, not yet escaped.
    fn link(self, words: &str, address: &str, out: &mut String);

    /// A link that shows its own address. `spelled` is how people wrote it.
    fn bare_link(self, spelled: &str, address: &str, out: &mut String);

    /// What opens and closes this code within a line.
    fn code_marks(self, code: &str) -> (Cow<'static, str>, Cow<'static, str>);

    /// What opens and closes code on lines of its own.
    fn block_marks(self) -> (&'static str, &'static str);

    /// What follows the end of such code, so that nothing else stands on its last line.
    fn block_end(self) -> &'static str {
        "\n"
    }

    /// What a quoted line begins with.
    fn quote_mark(self) -> &'static str {
        "> "
    }

    /// How many line breaks end a quote.
    fn breaks_after_quote(self) -> u8 {
        1
    }

    /// Whether lines of code within a quote can be quoted as well.
    fn quotes_code(self) -> bool {
        true
    }
}

/// Where a character stands.
pub(super) struct At<'a> {
    pub glyph: char,
    /// The character before it in the same words; `None` where they begin.
    pub before: Option<char>,
    /// What follows it in the same words.
    pub after: &'a str,
    pub line: Line,
    pub place: Place,
    /// What the page holds so far; nothing in the words of a link, which are written apart.
    pub written: &'a str,
}

/// What a character is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Words,
    Link,
    Code,
    Block,
}

impl At<'_> {
    pub fn next(&self) -> Option<char> {
        self.after.chars().next()
    }

    /// An `@` before a word that calls a whole room: Slack's `@here`, `@channel` and `@everyone`, Mattermost's
    /// `@all`, in any case. Longer words count as well: a cut could make the shorter one of them.
    pub fn calls_everyone(&self) -> bool {
        const CALLS: [&str; 4] = ["channel", "everyone", "here", "all"];
        let called =
            |word: &str| self.after.get(..word.len()).is_some_and(|said| said.eq_ignore_ascii_case(word));
        self.glyph == '@' && CALLS.into_iter().any(called)
    }

    /// An `@` that a service may take for the start of somebody's name; not that of a mail address.
    pub fn names_someone(&self) -> bool {
        let after_word = self.before.is_some_and(char::is_alphanumeric);
        let in_mail_address = after_word && self.next().is_some() && !self.calls_everyone();
        self.glyph == '@' && !in_mail_address && self.next().is_none_or(|c| !c.is_whitespace())
    }
}

/// How far a line has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing yet.
    Start,
    /// Digits only: `1.` would begin a list.
    Digits,
    Mid,
}

/// What a style would stand between. `None` is the edge of a line.
pub(super) struct Around {
    pub before: Option<char>,
    pub first: char,
    pub last: char,
    pub after: Option<char>,
    /// Another style was closed right here.
    pub at_closer: bool,
}

/// Whether a style takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Snug,
    /// With something invisible before and after it.
    Padded,
    /// Not at all: better plain words than stray marks.
    Not,
}

/// Words as they stand within a link.
pub(super) fn link_words<D: Dialect>(dialect: D, words: &str, out: &mut String) {
    let mut before = None;
    for (index, glyph) in words.char_indices() {
        let after = &words[index + glyph.len_utf8()..];
        dialect.glyph(&At { glyph, before, after, line: Line::Mid, place: Place::Link, written: "" }, out);
        before = Some(glyph);
    }
}
