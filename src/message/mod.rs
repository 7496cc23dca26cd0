//! Messages: what people read about an event, and its rendering in each service's markup.
//!
//! [`compose()`] turns an [`Event`](crate::event::Event) into a [`Message`]: a one-line [`Message::summary`] that is
//! complete by itself, and the parts that richer services show with it (a linked title, lines or prose, fields, an
//! author, a [`Tone`]). All text is a [`Text`]: spans, not strings, so that each character is escaped exactly once.
//! [`Markup`] renders a text for one service; it escapes and truncates. No other module may write markup.
//! [`prose()`] parses GitLab's Markdown, which people write, into a text. [`Links`] says where references in their words
//! lead, such as `ABC-12`, and which wiki the project has.
//!
//! Information, links and colours are those of GitLab's own notifications; the wording is Forgebell's.

mod code;
mod compose;
mod links;
mod markup;
mod prose;
mod text;
mod words;

use std::ops::Range;
use std::sync::Arc;

pub use code::without_code;
pub use compose::{compose, compose_with, description};
pub use links::{Links, MOST_REFERENCES, NoLinks, Reference, References, Wiki};
#[cfg(test)]
pub(crate) use markup::without_addresses;
pub use markup::{Limit, Markup};
pub use prose::{Base, prose};
pub use text::{Span, Style, Text};
pub use words::Words;

/// What a test message begins with.
pub const TEST_MARK: &str = "[Test]";

/// What people read about one event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// The whole message in one line; every service shows at least this.
    pub summary: Text,
    /// The spans of the summary that say in which project it happened; see [`Message::headline`].
    pub location_span: Range<usize>,
    /// Whether title, author, body and fields together say all that the summary says. Services that show them then
    /// use the summary for previews only.
    pub self_contained_parts: bool,
    /// The title of the event's subject (`#23 New API`, `Pipeline #31 has passed in 01:03`), where there is more to show
    /// than the summary.
    pub title: Option<Title>,
    /// What is shown below: a push's commits, an issue's description, a comment.
    pub body: Body,
    /// Names and values: branch, commit, failed jobs, severity.
    pub fields: Vec<Field>,
    pub tone: Tone,
    /// Who caused the event, or what did: a schedule, the API; `None` where that is not known.
    pub author: Option<Arc<Person>>,
    pub project: Arc<ProjectInfo>,
    /// When the subject ended (a pipeline's finish), for services that show a time.
    pub ended_at: Option<jiff::Timestamp>,
    /// Whether this is a test message. Summary and title say so; an adapter that shows neither must mark it by itself.
    pub is_test: bool,
    /// Whether some references stayed words, because a message has at most [`MOST_REFERENCES`] links of references.
    pub has_unlinked_references: bool,
}

impl Message {
    /// The summary without the part that names the project, for services that show the project separately.
    pub fn headline(&self) -> Text {
        let location = &self.location_span;
        let is_kept = |(index, _): &(usize, &Span)| !location.contains(index);
        Text(self.summary.0.iter().enumerate().filter(is_kept).map(|(_, span)| span.clone()).collect())
    }

    /// The same message, marked as a test.
    #[must_use]
    pub fn marked_as_test(self) -> Self {
        let mark = format!("{TEST_MARK} ");
        let location = self.location_span;
        let title = self.title.map(|title| Title { text: format!("{mark}{}", title.text).into(), ..title });
        Self {
            summary: Text::new().plain(mark).then(self.summary),
            location_span: location.start + 1..location.end + 1,
            title,
            is_test: true,
            ..self
        }
    }

    /// The same message with nothing but its summary.
    #[must_use]
    pub fn summary_alone(self) -> Self {
        Self { self_contained_parts: false, title: None, body: Body::None, fields: Vec::new(), ..self }
    }

    /// The title where it is to be shown beside the summary; `None` where the summary says it already.
    pub fn title_beside_summary(&self) -> Option<&Title> {
        let title = self.title.as_ref()?;
        let says = |span: &Span| {
            matches!(span, Span::Text { text, .. } | Span::Link { text, .. }
                if !text.is_empty() && title.text.strip_prefix(TEST_MARK).unwrap_or(&title.text).trim() == text.trim())
        };
        (self.self_contained_parts || !self.summary.0.iter().any(says)).then_some(title)
    }

    /// The headline without its author, for services that show the author separately: `Opened issue #23 New API`.
    pub fn action(&self) -> Text {
        self.without_author(self.headline())
    }

    /// The summary without its author: `Opened issue #23 New API in GitlabHQ / Gitlab Test`.
    pub fn deed(&self) -> Text {
        self.without_author(self.summary.clone())
    }

    fn without_author(&self, sentence: Text) -> Text {
        let who = self.author.as_ref().map(|author| author.display.as_str()).filter(|who| !who.is_empty());
        let rest = match (sentence.0.first(), who) {
            (Some(Span::Text { text, .. }), Some(who)) => text.strip_prefix(who).map(Words::from),
            _ => None,
        };
        let Some(rest) = rest else { return sentence };
        let mut spans = sentence.0;
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

fn capitalised(words: &str) -> Words {
    let mut letters = words.chars();
    match letters.next() {
        Some(first) if !first.to_uppercase().eq([first]) => {
            first.to_uppercase().chain(letters).collect::<String>().into()
        }
        _ => words.into(),
    }
}

/// A title and its link.
#[derive(Clone, Debug, PartialEq)]
pub struct Title {
    pub text: Words,
    pub url: Option<Words>,
}

/// What is shown below the summary.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Body {
    #[default]
    None,
    /// One text per line: a push's commits.
    Lines(Vec<Text>),
    /// Text that people wrote: a description, a comment.
    Prose(Text),
}

/// A name and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: Words,
    pub value: Text,
    /// Whether it is short enough to be shown next to another field.
    pub short: bool,
}

/// The person who caused an event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Person {
    /// `Full Name (username)`, or the part of it that is known.
    pub display: Words,
    pub username: Words,
    pub avatar_url: Option<Words>,
    /// The person's page in the forge.
    pub url: Option<Words>,
}

/// The project that an event happened in, as messages show it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProjectInfo {
    /// `Group / Project`.
    pub full_name: Words,
    pub name: Words,
    pub url: Words,
    pub avatar_url: Option<Words>,
}

/// What the event means to its readers; services show it as a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Routine: pushes, merge requests, comments.
    #[default]
    Neutral,
    /// Worth attention: an issue was opened, an alert fires.
    Notice,
    Good,
    Warning,
    Danger,
}
