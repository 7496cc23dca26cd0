//! The trait that each service's markup implements, and the types of its parameters.

use std::borrow::Cow;

use crate::message::Style;

/// Invisible, and not a space to any parser. Behind an `@` it keeps the following letters from being read as a name.
pub(super) const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// One service's markup.
pub(super) trait Dialect: Copy {
    /// Writes one character of text, escaped so that it is read as itself.
    fn text_char(self, at: &CharContext<'_>, out: &mut String);

    /// Writes one character of code.
    fn code_char(self, at: &CharContext<'_>, out: &mut String);

    /// What is written between two lines.
    fn line_break(self) -> &'static str {
        "\n"
    }

    /// Whether this character has a meaning at the start of a line (indentation) and is left out there.
    fn skips_at_line_start(self, c: char) -> bool {
        let _ = c;
        false
    }

    /// What opens and closes a style; two empty strings where the markup does not have it.
    fn style_marks(self, style: Style) -> (&'static str, &'static str);

    /// Whether a style works between these characters.
    fn style_fit(self, around: &StyleContext) -> Fit {
        let _ = around;
        Fit::Direct
    }

    /// Whether this character was written unescaped only because of the character after it, so that it must be removed
    /// where the text is cut between the two.
    fn drops_before_cut(self, c: char) -> bool {
        let _ = c;
        false
    }

    /// Writes a link. Neither the text nor the address is escaped yet; the address has only characters that RFC 3986
    /// allows. It must be read back unchanged: what would end the link is escaped, and encoded only where the markup has no
    /// escape for it.
    fn link(self, words: &str, address: &str, out: &mut String);

    /// Whether references in people's words are links. Where a link is its text and its address, they stay words.
    fn links_references(self) -> bool {
        true
    }

    /// Writes a link that shows its own address. `spelled` is the address as people wrote it; `after` is the character
    /// that follows it.
    fn bare_link(self, spelled: &str, address: &str, after: Option<char>, out: &mut String);

    /// What opens and closes code within a line.
    fn code_marks(self, code: &str) -> (Cow<'static, str>, Cow<'static, str>);

    /// What opens and closes code on lines of its own.
    fn block_marks(self) -> (&'static str, &'static str);

    /// What follows the end of a block of code, so that its last line contains nothing else.
    fn block_end(self) -> &'static str {
        "\n"
    }

    /// The mark at the start of a quoted line.
    fn quote_mark(self) -> &'static str {
        "> "
    }

    /// The number of line breaks after a quote.
    fn breaks_after_quote(self) -> u8 {
        1
    }

    /// Whether the lines of a code block within a quote get the quote mark.
    fn quotes_code(self) -> bool {
        true
    }
}

/// A character and its surroundings.
pub(super) struct CharContext<'a> {
    pub c: char,
    /// The character before it in the same span.
    pub before: Option<char>,
    /// The text after it in the same span.
    pub after: &'a str,
    pub line: Line,
    pub within: Within,
    /// What is rendered so far; empty for the text of a link, which is rendered separately.
    pub written: &'a str,
}

/// The kind of span that contains a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    Words,
    Link,
    Code,
    Block,
}

impl CharContext<'_> {
    pub fn next(&self) -> Option<char> {
        self.after.chars().next()
    }

    /// An `@` that notifies a whole channel: Slack's `@here`, `@channel` and `@everyone`, Mattermost's `@all`, in upper
    /// or lower case. Longer words with these beginnings count too, since truncation could shorten them.
    pub fn is_broadcast_mention(&self) -> bool {
        const MENTIONS: [&str; 4] = ["channel", "everyone", "here", "all"];
        let matches =
            |word: &str| self.after.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        self.c == '@' && MENTIONS.into_iter().any(matches)
    }

    /// An `@` that a service may read as the start of a user name; not the one in a mail address.
    pub fn is_mention(&self) -> bool {
        let after_word = self.before.is_some_and(char::is_alphanumeric);
        let in_mail_address = after_word && self.next().is_some() && !self.is_broadcast_mention();
        self.c == '@' && !in_mail_address && self.next().is_none_or(|c| !c.is_whitespace())
    }
}

/// How much of the current line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing.
    Start,
    /// Digits only: `1.` would begin a list.
    Digits,
    Mid,
}

/// The characters at both edges of a styled text. `None` is the edge of a line.
pub(super) struct StyleContext {
    pub before: Option<char>,
    pub first: char,
    pub last: char,
    pub after: Option<char>,
    /// Whether another style was closed right before it.
    pub at_closer: bool,
}

/// How a style can be written between its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Direct,
    /// With an invisible character before and after it.
    Padded,
    /// Not at all: its marks would be shown, so the text is written without the style.
    Omit,
}

/// Writes the text of a link.
pub(super) fn link_words<D: Dialect>(dialect: D, words: &str, out: &mut String) {
    let mut before = None;
    for (index, c) in words.char_indices() {
        let after = &words[index + c.len_utf8()..];
        dialect.text_char(
            &CharContext { c, before, after, line: Line::Mid, within: Within::Link, written: "" },
            out,
        );
        before = Some(c);
    }
}
