//! WHAT IS SAID: an event told to people, before anyone's markup.
//!
//! [`compose()`] turns an [`Event`](crate::event::Event) into a [`Message`]: a one-line [`Message::summary`] that
//! stands alone, and the parts that richer services show beside it (a linked title, lines or prose, fields, an
//! author, a [`Tone`]). All words are [`Text`]: spans, not strings, so that nothing is escaped twice or not at
//! all. [`Markup`] renders a text for one service, escaping and cutting; no other place knows any markup.
//! [`prose()`] reads what people wrote in Markdown into a text.
//!
//! The information, the links and the colours follow what GitLab's own notifications hold; the wording is ours.

mod compose;
mod markup;
mod prose;
mod text;

use std::ops::Range;

pub use compose::compose;
pub use markup::{Limit, Markup};
pub use prose::prose;
pub use text::{Span, Style, Text};

/// What a message begins with that only tries whether messages arrive.
pub const TEST_MARK: &str = "[Test]";

/// What one event says to people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// The whole story in one line; every service shows at least this.
    pub summary: Text,
    /// Which spans of the summary say where it happened; see [`Message::headline`].
    pub location_span: Range<usize>,
    /// Whether title, author, body and fields tell by themselves what the summary tells: services that show them
    /// keep the summary for previews.
    pub self_contained_parts: bool,
    /// The thing's own headline (`#23 New API`, `Pipeline #31 has passed in 01:03`), where there is more to show.
    pub title: Option<Title>,
    /// What is worth reading below: a push's commits, an issue's description, a comment.
    pub body: Body,
    /// Facts in pairs: branch, commit, failed jobs, severity.
    pub fields: Vec<Field>,
    pub tone: Tone,
    /// Who did it; `None` where nobody in particular did.
    pub author: Option<Person>,
    pub project: ProjectInfo,
    /// When the thing itself came to its end (a pipeline's finish), for services that show a time of their own.
    pub ended_at: Option<jiff::Timestamp>,
    /// It only tries whether messages arrive. Summary and title say so; who shows neither must say it by itself.
    pub is_test: bool,
}

impl Message {
    /// The summary without the words that say where it happened, for services that show the project by itself.
    pub fn headline(&self) -> Text {
        let place = &self.location_span;
        let elsewhere = |(index, _): &(usize, &Span)| !place.contains(index);
        Text(self.summary.0.iter().enumerate().filter(elsewhere).map(|(_, span)| span.clone()).collect())
    }

    /// The same, so that nobody takes it for news.
    #[must_use]
    pub fn marked_as_test(self) -> Self {
        let mark = format!("{TEST_MARK} ");
        let place = self.location_span;
        let title = self.title.map(|title| Title { text: format!("{mark}{}", title.text), ..title });
        Self {
            summary: Text::new().plain(mark).then(self.summary),
            location_span: place.start + 1..place.end + 1,
            title,
            is_test: true,
            ..self
        }
    }

    /// The headline without who did it, for services that show the author by themselves: `Opened issue #23 New API`.
    pub fn action(&self) -> Text {
        let headline = self.headline();
        let who = self.author.as_ref().map(|author| author.display.as_str()).filter(|who| !who.is_empty());
        let rest = match (headline.0.first(), who) {
            (Some(Span::Text { text, .. }), Some(who)) => text.strip_prefix(who).map(str::to_owned),
            _ => None,
        };
        let Some(rest) = rest else { return headline };
        let mut spans = headline.0;
        if rest.trim().is_empty() {
            spans.remove(0);
        } else if let Some(Span::Text { text, .. }) = spans.first_mut() {
            *text = rest;
        }
        if let Some(Span::Text { text, .. } | Span::Link { text, .. }) = spans.first_mut() {
            *text = capitalised(text.trim_start());
        }
        Text(spans)
    }
}

fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A headline, and where it leads.
#[derive(Clone, Debug, PartialEq)]
pub struct Title {
    pub text: String,
    pub url: Option<String>,
}

/// What stands below the summary.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Body {
    #[default]
    None,
    /// One text a line: a push's commits.
    Lines(Vec<Text>),
    /// People's own words: a description, a comment.
    Prose(Text),
}

/// One fact.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub value: Text,
    /// Short enough to stand beside another one.
    pub short: bool,
}

/// Who did it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Person {
    /// `Full Name (username)`, or what of it is known.
    pub display: String,
    pub username: String,
    pub avatar_url: Option<String>,
    /// Their page in the forge.
    pub url: Option<String>,
}

/// Where it happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProjectInfo {
    /// `Group / Project`.
    pub full_name: String,
    pub name: String,
    pub url: String,
    pub avatar_url: Option<String>,
}

/// What the news means, which services show as a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Everyday: pushes, merge requests, comments.
    #[default]
    Neutral,
    /// Wants a look: an issue was opened, an alert fires.
    Notice,
    Good,
    Warning,
    Danger,
}
