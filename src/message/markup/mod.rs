//! Renders texts in one service's markup. Escaping and truncation happen only here.
//!
//! `renderer` walks the spans, counts against the limit and closes what it opened. Each service's file implements
//! [`Dialect`]: how that service escapes a character, marks a style, writes a link. `clean` removes invisible control
//! characters, `address` makes addresses that may be linked to.
//!
//! For every markup, text that people wrote creates no links except to addresses in the text itself, mentions no
//! one (`@channel`, `<!here>`, `@everyone`), and cannot end Forgebell's markup.

mod address;
mod clean;
mod dialect;
mod google_chat;
mod html;
mod irc;
mod markdown;
mod matrix;
mod plain;
mod quiet;
mod renderer;
mod slack;
mod telegram;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;

pub(super) use self::address::{address, address_at_start};
pub(super) use self::clean::{clean, grapheme_len, one_line, start};
use self::dialect::Dialect;
use self::google_chat::GoogleChat;
use self::html::Html;
use self::irc::Irc;
use self::markdown::Markdown;
use self::matrix::MatrixHtml;
use self::plain::Plain;
use self::quiet::Quiet;
use self::renderer::Renderer;
use self::slack::Slack;
use self::telegram::Telegram;
#[cfg(test)]
pub(crate) use self::tests::{ALL, check, without_addresses};
use super::{Span, Style, Text};

/// The markup of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup {
    /// No markup; links are `text (url)`.
    Plain,
    /// Slack's mrkdwn.
    Slack,
    /// Mattermost's Markdown.
    Mattermost,
    /// Discord's Markdown.
    Discord,
    /// CommonMark as Teams' cards and the like read it.
    Markdown,
    /// HTML with the tags that mail and HipChat clients allow.
    Html,
    /// IRC lines, with or without mIRC's colours and bold.
    Irc { colors: bool },
    /// Google Chat's own markup.
    GoogleChat,
    /// HTML with the tags that Telegram's bot API takes.
    Telegram,
    /// HTML with the tags that Matrix clients show.
    MatrixHtml,
    /// No markup, as [`Markup::Plain`], and mentions are disabled: some services look for them in any text.
    Quiet,
}

/// The maximum length of a rendered text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Chars(usize),
    Bytes(usize),
    /// UTF-16 code units, as in JavaScript: most emoji are two.
    Utf16(usize),
}

impl Limit {
    const fn allowance(self) -> usize {
        match self {
            Self::Chars(allowance) | Self::Bytes(allowance) | Self::Utf16(allowance) => allowance,
        }
    }

    /// The length of a piece of text in the units of this limit.
    fn cost(self, piece: &str) -> usize {
        match self {
            Self::Chars(_) => piece.chars().count(),
            Self::Bytes(_) => piece.len(),
            Self::Utf16(_) => piece.encode_utf16().count(),
        }
    }

    fn holds(self, text: &str) -> bool {
        // A text never has more characters or UTF-16 units than bytes.
        text.len() <= self.allowance() || self.cost(text) <= self.allowance()
    }
}

impl Markup {
    /// The whole text in this markup.
    pub fn render(self, text: &Text) -> String {
        self.render_within(text, Limit::Bytes(usize::MAX))
    }

    /// The text in this markup, truncated with `…` where it is longer than the limit. It is never cut within a
    /// character, an escape, a link or an address, and all that was opened is closed. Where the limit has no room for all
    /// addresses, the last links are replaced by their text before any text is cut.
    pub fn render_within(self, text: &Text, limit: Limit) -> String {
        self.spans_within(&text.0, limit)
    }

    fn spans_within<S: Borrow<Span>>(self, spans: &[S], limit: Limit) -> String {
        match self {
            Self::Plain => within(Plain, spans, limit),
            Self::Slack => within(Slack, spans, limit),
            Self::Mattermost => within(Markdown::Mattermost, spans, limit),
            Self::Discord => within(Markdown::Discord, spans, limit),
            Self::Markdown => within(Markdown::Common, spans, limit),
            Self::Html => within(Html, spans, limit),
            Self::Irc { colors } => within(Irc { colors }, spans, limit),
            Self::GoogleChat => within(GoogleChat, spans, limit),
            Self::Telegram => within(Telegram, spans, limit),
            Self::MatrixHtml => within(MatrixHtml, spans, limit),
            Self::Quiet => within(Quiet, spans, limit),
        }
    }

    /// The lines in this markup, as [`Markup::render_within`] renders one text of them.
    pub fn render_lines_within(self, lines: &[Text], limit: Limit) -> String {
        let line_break = Span::Text { text: "\n".into(), style: Style::PLAIN };
        let mut spans = Vec::with_capacity(lines.iter().map(|line| line.0.len() + 1).sum());
        for line in lines {
            // A line without spans is no line.
            if !spans.is_empty() {
                spans.push(&line_break);
            }
            spans.extend(&line.0);
        }
        self.spans_within(&spans, limit)
    }

    /// Text for a field in which the service reads no markup, only its escapes (a title, a name, a footer): on one
    /// line, truncated with `…`.
    pub fn label(self, words: &str, limit: Limit) -> String {
        let words = clean::one_line(words);
        match self {
            Self::Slack => words_within(slack::Label, &words, limit),
            Self::Html | Self::Telegram | Self::MatrixHtml => words_within(html::Label, &words, limit),
            // `@here` means nothing in IRC, but bridges carry its lines into services where it does.
            Self::Mattermost | Self::Discord | Self::Markdown | Self::Irc { .. } | Self::Quiet => {
                words_within(plain::Label, &words, limit)
            }
            Self::GoogleChat => words_within(GoogleChat, &words, limit),
            Self::Plain => words_within(Plain, &words, limit),
        }
    }
}

/// Renders a text within a limit. Most texts fit, so the first attempt does not count. The next attempts drop addresses;
/// if the text does not fit without any, it is truncated.
fn within<D: Dialect, S: Borrow<Span>>(dialect: D, spans: &[S], limit: Limit) -> String {
    let whole = Renderer::new(dialect, None).write(spans);
    if limit.holds(&whole) {
        return whole;
    }
    let text = Text(spans.iter().map(|span| span.borrow().clone()).collect());
    let with_links = |kept: usize| {
        let written = Renderer::new(dialect, None).write(&text.with_links(kept).0);
        limit.holds(&written).then_some(written)
    };
    let Some(mut all_words) = with_links(0) else {
        return Renderer::new(dialect, Some(limit)).write(&text.0);
    };
    // Finds by bisection how many of the first addresses fit.
    let (mut fit, mut too_many) = (0, text.count_links());
    while too_many - fit > 1 {
        let kept = fit + (too_many - fit) / 2;
        match with_links(kept) {
            Some(written) => (fit, all_words) = (kept, written),
            None => too_many = kept,
        }
    }
    all_words
}

/// [`within`], for words without a style or links of their own.
fn words_within<D: Dialect>(dialect: D, words: &str, limit: Limit) -> String {
    let whole = Renderer::new(dialect, None).write_words(words);
    if limit.holds(&whole) { whole } else { Renderer::new(dialect, Some(limit)).write_words(words) }
}
