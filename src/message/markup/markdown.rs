//! Markdown in three variants: Mattermost's, Discord's, and CommonMark as Teams and others read it.
//!
//! Mattermost's parser accepts a backslash as an escape before `` ` * { } [ ] ( ) # + - . ! _ > | ~ `` and before
//! another backslash; before other characters it shows the backslash
//! (<https://github.com/mattermost/marked/blob/master/lib/marked.js>, `inline.escape`). Before that, its server
//! converts Slack's `<url|text>` to Markdown and `<!channel>` to `@channel`, anywhere in the text
//! (`linkWithTextRegex` in <https://github.com/mattermost/mattermost/blob/master/server/channels/app/webhook.go>).
//! So every `<` and `>` of people's text is written as an entity. Both parsers decode entities.
//! Emoji such as `:tada:` are not escaped: the forge shows them as emoji too.

use std::borrow::Cow;

use super::dialect::{CharContext, Dialect, Fit, Line, StyleContext, Within, ZERO_WIDTH_SPACE, link_words};
use crate::message::Style;

/// Replaces a `|` that would be read as a part of a link.
const LIKE_A_BAR: char = '\u{2223}';

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Markdown {
    Mattermost,
    Discord,
    Common,
}

impl Markdown {
    fn less_than(self) -> &'static str {
        match self {
            Self::Mattermost => "&lt;",
            Self::Discord | Self::Common => "\\<",
        }
    }

    fn ampersand(self) -> &'static str {
        match self {
            Self::Mattermost => "&amp;",
            Self::Discord | Self::Common => "\\&",
        }
    }

    /// Escapes what would begin a heading, a list or a quote at the start of a line.
    fn line_start(self, at: &CharContext<'_>, out: &mut String) {
        match (at.line, at.c) {
            (Line::Start, '>') if self == Self::Mattermost => {}
            (Line::Start, '#' | '+' | '-' | '>') | (Line::Digits, '.' | ')') => out.push('\\'),
            // Would underline a heading. A backslash would be shown.
            (Line::Start, '=') => out.push(ZERO_WIDTH_SPACE),
            _ => {}
        }
    }

    fn is_slack_bar(self, at: &CharContext<'_>) -> bool {
        self == Self::Mattermost && (at.within == Within::Link || makes_slack_link(at))
    }

    fn escaped(self, at: &CharContext<'_>, out: &mut String) {
        let word_follows = at.next().is_none_or(char::is_alphanumeric);
        let after_word = at.before.is_some_and(char::is_alphanumeric);
        match at.c {
            '|' if self.is_slack_bar(at) => out.push(LIKE_A_BAR),
            '`' | '*' | '_' | '[' | ']' | '|' => {
                out.push('\\');
                out.push(at.c);
            }
            '~' => {
                out.push_str("\\~");
                if word_follows && !after_word {
                    // Otherwise Mattermost links to a channel.
                    out.push(ZERO_WIDTH_SPACE);
                }
            }
            '\\' if at.next().is_some_and(|c| c.is_ascii_alphanumeric()) => out.push('\\'),
            '\\' => out.push_str("\\\\"),
            '<' => out.push_str(self.less_than()),
            // It might end a link that began in code before it.
            '>' if self == Self::Mattermost => out.push_str("&gt;"),
            '&' if begins_entity(at.after) => out.push_str(self.ampersand()),
            '@' => {
                out.push('@');
                if at.is_mention() {
                    out.push(ZERO_WIDTH_SPACE);
                }
            }
            '#' => {
                out.push('#');
                let numbered = at.next().is_some_and(char::is_numeric);
                if self == Self::Mattermost && word_follows && !numbered && !after_word {
                    // Otherwise it is a Mattermost hashtag.
                    out.push(ZERO_WIDTH_SPACE);
                }
            }
            // Before a link, it would make the link an image.
            '!' if at.next().is_none() => out.push_str("\\!"),
            '\t' | '\u{a0}' => out.push(' '),
            // Mattermost reads this symbol as a line break; the arrow looks alike.
            '\u{2424}' => out.push('\u{21b5}'),
            other => out.push(other),
        }
    }
}

impl Markdown {
    /// Writes the address of a link in brackets. Only brackets and entities have a meaning there.
    fn destination(self, address: &str, out: &mut String) {
        let brackets_end_it = !pair_up(address, '(', ')');
        for (index, c) in address.char_indices() {
            match c {
                '(' if brackets_end_it => out.push_str("%28"),
                ')' if brackets_end_it => out.push_str("%29"),
                '&' if begins_entity(&address[index + 1..]) => match self {
                    Self::Mattermost => out.push_str("&amp;"),
                    // Discord knows no entities.
                    Self::Discord => out.push('&'),
                    Self::Common => out.push_str("\\&"),
                },
                other => out.push(other),
            }
        }
    }
}

impl Dialect for Markdown {
    fn text_char(self, at: &CharContext<'_>, out: &mut String) {
        self.line_start(at, out);
        self.escaped(at, out);
    }

    fn code_char(self, at: &CharContext<'_>, out: &mut String) {
        match at.c {
            '@' if at.is_broadcast_mention() => {
                out.push('@');
                out.push(ZERO_WIDTH_SPACE);
            }
            // Three backticks end code in Discord, even if fewer began it.
            '`' if at.before == Some('`') => {
                out.push(ZERO_WIDTH_SPACE);
                out.push('`');
            }
            // Mentions in Slack's syntax, which the server expands within code too.
            '<' if self == Self::Mattermost && (at.after.starts_with(['!', '@']) || is_user_id(at.after)) => {
                out.push('<');
                out.push(ZERO_WIDTH_SPACE);
            }
            '|' if self.is_slack_bar(at) => out.push(LIKE_A_BAR),
            other => out.push(other),
        }
    }

    /// In CommonMark, a line break needs two spaces before it. Where it doesn't, the spaces are invisible.
    fn line_break(self) -> &'static str {
        match self {
            Self::Mattermost => "\n",
            Self::Discord | Self::Common => "  \n",
        }
    }

    /// Four spaces would begin a block of code. Mattermost treats no-break spaces like spaces.
    fn skips_at_line_start(self, c: char) -> bool {
        matches!(c, ' ' | '\t' | '\u{a0}')
    }

    fn style_marks(self, style: Style) -> (&'static str, &'static str) {
        match (style.bold, style.italic, style.strike) {
            (false, false, false) => ("", ""),
            (true, false, false) => ("**", "**"),
            (false, true, false) => ("*", "*"),
            (true, true, false) => ("***", "***"),
            (false, false, true) => ("~~", "~~"),
            (true, false, true) => ("~~**", "**~~"),
            (false, true, true) => ("~~*", "*~~"),
            (true, true, true) => ("~~***", "***~~"),
        }
    }

    /// CommonMark's left- and right-flanking rule (<https://spec.commonmark.org/0.31.2/#left-flanking-delimiter-run>).
    fn style_fit(self, around: &StyleContext) -> Fit {
        let is_edge = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || c.is_ascii_punctuation());
        let opens = !is_punctuation(around.first) || is_edge(around.before);
        let closes = !is_punctuation(around.last) || is_edge(around.after);
        if opens && closes && !around.at_closer { Fit::Direct } else { Fit::Omit }
    }

    fn link(self, words: &str, address: &str, out: &mut String) {
        let words = if self == Self::Discord { without_live_addresses(words) } else { words.into() };
        out.push('[');
        if pair_up(&words, '[', ']') {
            link_words(self, &words, out);
        } else {
            // Mattermost's and Discord's parsers ignore backslashes here: an unpaired bracket would break the link.
            link_words(self, &words.replace('[', "(").replace(']', ")"), out);
        }
        out.push_str("](");
        self.destination(address, out);
        out.push(')');
    }

    /// Writes the bare address where nothing in it, and nothing behind it, is markup: every client recognises it, and most
    /// show it better than a link in brackets.
    fn bare_link(self, _: &str, address: &str, after: Option<char>, out: &mut String) {
        if is_only_an_address(address) && after.is_none_or(ends_address) {
            out.push_str(address);
        } else if self == Self::Discord {
            // It shows a link in brackets as text where its words are an address.
            for part in ["<", address, ">"] {
                out.push_str(part);
            }
        } else {
            self.link(address, address, out);
        }
    }

    fn code_marks(self, code: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        // `code_char` breaks up runs of backticks, so that two backticks are longer than any run in the code.
        match (code.contains('`'), code.starts_with('`') || code.ends_with('`')) {
            (false, _) => ("`".into(), "`".into()),
            (true, false) => ("``".into(), "``".into()),
            (true, true) => ("`` ".into(), " ``".into()),
        }
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        ("```\n", "\n```")
    }

    /// A line directly after a quote would be read as a part of it.
    fn breaks_after_quote(self) -> u8 {
        2
    }
}

/// What CommonMark may read as punctuation: ASCII punctuation, and all other characters but letters, digits and spaces.
fn is_punctuation(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_punctuation() } else { !c.is_alphanumeric() && !c.is_whitespace() }
}

/// Whether what follows an `&` makes it an entity: `amp;`, `#60;`, `#x3c;`.
fn begins_entity(after: &str) -> bool {
    let name = after.strip_prefix('#').unwrap_or(after);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
    end > 0 && name[end..].starts_with(';')
}

/// Whether `<` is followed by what Mattermost's server reads as a user id: 26 letters and digits.
fn is_user_id(after: &str) -> bool {
    let end = after.find(|c: char| !c.is_ascii_alphanumeric());
    end == Some(26) && after[26..].starts_with('>')
}

/// Whether an address is without any character that is markup in some client when the address is bare.
fn is_only_an_address(address: &str) -> bool {
    let is_markup = |(index, c): (usize, char)| match c {
        '*' | '~' | '[' | ']' | '(' | ')' | '@' | '$' => true,
        '_' => {
            let around = [address[..index].chars().next_back(), address[index + 1..].chars().next()];
            !around.iter().all(|c| c.is_some_and(char::is_alphanumeric))
        }
        '&' => begins_entity(&address[index + 1..]),
        _ => false,
    };
    !address.char_indices().any(is_markup)
}

/// Whether clients end a bare address before this character.
fn ends_address(c: char) -> bool {
    c.is_whitespace() || matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | ')' | '"' | '\'' | '…')
}

/// The words with each address in them broken by an invisible character: where the words of a link contain an address,
/// Discord shows the whole link as text (<https://github.com/discord/discord-api-docs/issues/7721>).
fn without_live_addresses(words: &str) -> Cow<'_, str> {
    if words.contains("://") { words.replace("://", "://\u{200b}").into() } else { words.into() }
}

/// Whether brackets of this kind are paired, without nesting.
fn pair_up(words: &str, opener: char, closer: char) -> bool {
    let mut is_open = false;
    for c in words.chars().filter(|c| *c == opener || *c == closer) {
        if is_open == (c == opener) {
            return false;
        }
        is_open = c == opener;
    }
    !is_open
}

/// Whether a `|` would complete a Slack link, `<…|…>` on one line, with the text around it. Mattermost's server would
/// exchange the two parts, in code as well.
fn makes_slack_link(at: &CharContext<'_>) -> bool {
    let line = at.written.rsplit('\n').next().unwrap_or_default();
    let opened = line
        .rfind(['<', '|', '>'])
        .is_some_and(|mark| line[mark..].starts_with('<') && mark + 1 < line.len());
    let closes = match at.after.find(['|', '>', '\n']) {
        Some(0) => false,
        Some(mark) => at.after[mark..].starts_with('>'),
        // The text after a block is on another line; the text after any other span may close the link.
        None => at.within != Within::Block,
    };
    opened && closes
}
