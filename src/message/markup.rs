//! Text to one service's markup: escaping and cutting, only here.
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
}

impl Markup {
    /// stub
    pub fn render(self, _text: &Text) -> String {
        todo!()
    }
    /// stub
    pub fn render_within(self, _text: &Text, _limit: Limit) -> String {
        todo!()
    }
}
