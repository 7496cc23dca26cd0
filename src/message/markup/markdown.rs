//! Markdown in two readings: Mattermost's, and CommonMark as Discord, Teams and others read it.
//!
//! Mattermost's parser knows a backslash before `` ` * { } [ ] ( ) # + - . ! _ > | ~ `` and before another
//! backslash; before anything else it shows it
//! (<https://github.com/mattermost/marked/blob/master/lib/marked.js>, `inline.escape`). Its server, before that,
//! makes Markdown of Slack's `<url|words>` and `@channel` of `<!channel>`, wherever they stand
//! (`linkWithTextRegex` in <https://github.com/mattermost/mattermost/blob/master/server/channels/app/webhook.go>):
//! so no `<` and `>` of people's words is left in a text, only their entities. Both parsers turn entities back.
//! Emoji such as `:tada:` are left alone: the forge shows them as emoji too, and that is what was meant.

use std::borrow::Cow;

use super::dialect::{Around, At, Dialect, Fit, Line, Place, ZERO_WIDTH_SPACE, link_words};
use crate::message::Style;

/// Stands for a `|` that would be read as a part of a link.
const LIKE_A_BAR: char = '\u{2223}';

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Markdown {
    Mattermost,
    Common,
}

impl Markdown {
    fn less_than(self) -> &'static str {
        match self {
            Self::Mattermost => "&lt;",
            Self::Common => "\\<",
        }
    }

    fn ampersand(self) -> &'static str {
        match self {
            Self::Mattermost => "&amp;",
            Self::Common => "\\&",
        }
    }

    /// What begins a heading, a list or a quote at the start of a line.
    fn line_start(self, at: &At<'_>, out: &mut String) {
        match (at.line, at.glyph) {
            (Line::Start, '>') if self == Self::Mattermost => {}
            (Line::Start, '#' | '+' | '-' | '>') | (Line::Digits, '.' | ')') => out.push('\\'),
            // Underlines a heading. A backslash would be seen.
            (Line::Start, '=') => out.push(ZERO_WIDTH_SPACE),
            _ => {}
        }
    }

    fn is_slack_bar(self, at: &At<'_>) -> bool {
        self == Self::Mattermost && (at.place == Place::Link || makes_slack_link(at))
    }

    fn escaped(self, at: &At<'_>, out: &mut String) {
        let word_follows = at.next().is_none_or(char::is_alphanumeric);
        let after_word = at.before.is_some_and(char::is_alphanumeric);
        match at.glyph {
            '|' if self.is_slack_bar(at) => out.push(LIKE_A_BAR),
            '`' | '*' | '_' | '[' | ']' | '|' => {
                out.push('\\');
                out.push(at.glyph);
            }
            '~' => {
                out.push_str("\\~");
                if word_follows && !after_word {
                    // Mattermost's link to a channel.
                    out.push(ZERO_WIDTH_SPACE);
                }
            }
            '\\' if at.next().is_some_and(|c| c.is_ascii_alphanumeric()) => out.push('\\'),
            '\\' => out.push_str("\\\\"),
            '<' => out.push_str(self.less_than()),
            // Behind code it might end a link that the code began.
            '>' if self == Self::Mattermost => out.push_str("&gt;"),
            '&' if begins_entity(at.after) => out.push_str(self.ampersand()),
            '@' => {
                out.push('@');
                if at.names_someone() {
                    out.push(ZERO_WIDTH_SPACE);
                }
            }
            '#' => {
                out.push('#');
                let numbered = at.next().is_some_and(char::is_numeric);
                if self == Self::Mattermost && word_follows && !numbered && !after_word {
                    // Mattermost's hashtag.
                    out.push(ZERO_WIDTH_SPACE);
                }
            }
            // Before a link it would make an image of it.
            '!' if at.next().is_none() => out.push_str("\\!"),
            '\t' | '\u{a0}' => out.push(' '),
            // Mattermost takes this picture of a line break for one; the arrow says the same.
            '\u{2424}' => out.push('\u{21b5}'),
            other => out.push(other),
        }
    }
}

impl Dialect for Markdown {
    fn glyph(self, at: &At<'_>, out: &mut String) {
        self.line_start(at, out);
        self.escaped(at, out);
    }

    fn code_glyph(self, at: &At<'_>, out: &mut String) {
        match at.glyph {
            '@' if at.calls_everyone() => {
                out.push('@');
                out.push(ZERO_WIDTH_SPACE);
            }
            // Three of them end the code in Discord, however many began it.
            '`' if at.before == Some('`') => {
                out.push(ZERO_WIDTH_SPACE);
                out.push('`');
            }
            // Calls after Slack's fashion, which the server expands within code too.
            '<' if self == Self::Mattermost && (at.after.starts_with(['!', '@']) || is_user_id(at.after)) => {
                out.push('<');
                out.push(ZERO_WIDTH_SPACE);
            }
            '|' if self.is_slack_bar(at) => out.push(LIKE_A_BAR),
            other => out.push(other),
        }
    }

    /// Two spaces make the break a real one in CommonMark; where breaks are real already, nobody sees them.
    fn line_break(self) -> &'static str {
        match self {
            Self::Mattermost => "\n",
            Self::Common => "  \n",
        }
    }

    /// Four spaces would begin a block of code. To Mattermost, no-break spaces are spaces like others.
    fn trims(self, glyph: char) -> bool {
        matches!(glyph, ' ' | '\t' | '\u{a0}')
    }

    fn marks(self, style: Style) -> (&'static str, &'static str) {
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
    fn fit(self, around: &Around) -> Fit {
        let is_edge = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || c.is_ascii_punctuation());
        let opens = !is_punctuation(around.first) || is_edge(around.before);
        let closes = !is_punctuation(around.last) || is_edge(around.after);
        if opens && closes && !around.at_closer { Fit::Snug } else { Fit::Not }
    }

    fn link(self, words: &str, address: &str, out: &mut String) {
        out.push('[');
        if brackets_pair_up(words) {
            link_words(self, words, out);
        } else {
            // Mattermost's and Discord's parsers see no backslash here: a lone bracket would break the link.
            link_words(self, &words.replace('[', "(").replace(']', ")"), out);
        }
        out.push_str("](");
        for c in address.chars() {
            match c {
                // `~~` would end a style around the link.
                '~' => out.push_str("%7E"),
                other => out.push(other),
            }
        }
        out.push(')');
    }

    /// The address as it is: every client finds it by itself, most show it better than a link in brackets, and
    /// percent-encoding keeps its parts from being read as emphasis.
    fn bare_link(self, _: &str, address: &str, out: &mut String) {
        let mut before = None;
        for (index, c) in address.char_indices() {
            let next = address[index + 1..].chars().next();
            let within_word = [before, next].iter().all(|c| c.is_some_and(|c: char| c.is_alphanumeric()));
            match c {
                '~' => out.push_str("%7E"),
                '_' if !within_word => out.push_str("%5F"),
                other => out.push(other),
            }
            before = Some(c);
        }
    }

    fn code_marks(self, code: &str) -> (Cow<'static, str>, Cow<'static, str>) {
        // Runs of backticks are broken up in `code_glyph`, so two are always more than any run within.
        match (code.contains('`'), code.starts_with('`') || code.ends_with('`')) {
            (false, _) => ("`".into(), "`".into()),
            (true, false) => ("``".into(), "``".into()),
            (true, true) => ("`` ".into(), " ``".into()),
        }
    }

    fn block_marks(self) -> (&'static str, &'static str) {
        ("```\n", "\n```")
    }

    /// A line right behind a quote would be read as the quote's next one.
    fn breaks_after_quote(self) -> u8 {
        2
    }
}

/// What may be punctuation to CommonMark: all of ASCII's, and whatever else is neither letter nor digit.
fn is_punctuation(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_punctuation() } else { !c.is_alphanumeric() && !c.is_whitespace() }
}

/// `amp;`, `#60;`, `#x3c;`: what behind an `&` would be read as one character.
fn begins_entity(after: &str) -> bool {
    let name = after.strip_prefix('#').unwrap_or(after);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
    end > 0 && name[end..].starts_with(';')
}

/// Whether `<` is followed by what Mattermost's server would take for one of its users: 26 letters and digits.
fn is_user_id(after: &str) -> bool {
    let end = after.find(|c: char| !c.is_ascii_alphanumeric());
    end == Some(26) && after[26..].starts_with('>')
}

/// Whether the brackets in a link's words pair up, none within another.
fn brackets_pair_up(words: &str) -> bool {
    let mut open = false;
    for c in words.chars() {
        match c {
            '[' | ']' if open == (c == '[') => return false,
            '[' | ']' => open = c == '[',
            _ => {}
        }
    }
    !open
}

/// Whether a `|` would make a Slack link, `<…|…>` on one line, of what was written and what follows: Mattermost's
/// server would turn the two parts around, in code as well.
fn makes_slack_link(at: &At<'_>) -> bool {
    let line = at.written.rsplit('\n').next().unwrap_or_default();
    let opened = line
        .rfind(['<', '|', '>'])
        .is_some_and(|mark| line[mark..].starts_with('<') && mark + 1 < line.len());
    let closes = match at.after.find(['|', '>', '\n']) {
        Some(0) => false,
        Some(mark) => at.after[mark..].starts_with('>'),
        // What follows a block stands on another line; what follows anything else may close the link.
        None => at.place != Place::Block,
    };
    opened && closes
}
