//! Text to one service's markup: escaping and cutting, only here.
//!
//! `page` walks the spans, keeps count of the limit and closes what was opened; each service's file is a
//! [`Dialect`]: how *it* escapes a character, marks a style, writes a link. `clean` takes out
//! what no service should see, `address` makes URLs that cannot end the markup around them.
//!
//! What holds for every markup, whatever people wrote: their words open no link but to an address that they
//! spelled out, call nobody (`@channel`, `<!here>`, `@everyone`), and end no markup of ours.

mod address;
mod clean;
mod dialect;
mod html;
mod irc;
mod markdown;
mod page;
mod plain;
mod slack;
#[cfg(test)]
mod tests;

pub(super) use self::address::address;
pub(super) use self::clean::{clean, cluster, one_line, start};
use self::dialect::Dialect;
use self::html::Html;
use self::irc::Irc;
use self::markdown::Markdown;
use self::page::Page;
use self::plain::Plain;
use self::slack::Slack;
use super::Text;

/// A service's way of marking text up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup {
    /// No markup: links as `text (url)`.
    Plain,
    /// Slack's mrkdwn.
    Slack,
    /// Mattermost's Markdown.
    Mattermost,
    /// CommonMark as Teams' cards, Discord and the like read it.
    Markdown,
    /// HTML with the tags that mail and HipChat clients allow.
    Html,
    /// IRC lines, with mIRC colours and bold or without.
    Irc { colors: bool },
}

/// How long a rendered text may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    Chars(usize),
    Bytes(usize),
    /// As JavaScript counts: most emoji are two.
    Utf16(usize),
}

impl Limit {
    const fn allowance(self) -> usize {
        match self {
            Self::Chars(allowance) | Self::Bytes(allowance) | Self::Utf16(allowance) => allowance,
        }
    }

    /// What a piece of text costs of this limit.
    fn cost(self, piece: &str) -> usize {
        match self {
            Self::Chars(_) => piece.chars().count(),
            Self::Bytes(_) => piece.len(),
            Self::Utf16(_) => piece.encode_utf16().count(),
        }
    }

    fn holds(self, text: &str) -> bool {
        // A text never has more characters or units than bytes.
        text.len() <= self.allowance() || self.cost(text) <= self.allowance()
    }
}

impl Markup {
    /// The text in this markup, whole.
    pub fn render(self, text: &Text) -> String {
        self.render_within(text, Limit::Bytes(usize::MAX))
    }

    /// The text in this markup, cut with `…` where it is longer than the limit: never within a character, an
    /// escape, a link or an address, and with everything closed that was opened. Where there is no room for all
    /// addresses, the last links lose theirs before anything loses its words.
    pub fn render_within(self, text: &Text, limit: Limit) -> String {
        match self {
            Self::Plain => within(Plain, text, limit),
            Self::Slack => within(Slack, text, limit),
            Self::Mattermost => within(Markdown::Mattermost, text, limit),
            Self::Markdown => within(Markdown::Common, text, limit),
            Self::Html => within(Html, text, limit),
            Self::Irc { colors } => within(Irc { colors }, text, limit),
        }
    }

    /// Words for a place where the service reads no markup, only its escapes (a title, a name, a footer): on one
    /// line, cut with `…`.
    pub fn label(self, words: &str, limit: Limit) -> String {
        let text = Text::new().plain(clean::one_line(words));
        match self {
            Self::Slack => within(slack::Label, &text, limit),
            Self::Html => within(html::Label, &text, limit),
            // IRC calls nobody by `@here`; the bridges do that carry its lines into other services.
            Self::Mattermost | Self::Markdown | Self::Irc { .. } => within(plain::Label, &text, limit),
            Self::Plain => within(Plain, &text, limit),
        }
    }
}

/// Most texts fit: they are written once, without counting. Others may fit with fewer addresses; what does not even then is
/// cut.
fn within<D: Dialect>(dialect: D, text: &Text, limit: Limit) -> String {
    let whole = Page::new(dialect, None).write(text);
    if limit.holds(&whole) {
        return whole;
    }
    let with_links = |kept: usize| {
        let written = Page::new(dialect, None).write(&text.with_links(kept));
        limit.holds(&written).then_some(written)
    };
    let Some(mut all_words) = with_links(0) else { return Page::new(dialect, Some(limit)).write(text) };
    // The first addresses stay, as many as there is room for.
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
