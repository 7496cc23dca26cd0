//! References to issues of a tracker in people's words, and how they become links.
//!
//! [`Links`] is what a message may know of the project's tracker and wiki. References are looked for in a text as its
//! readers see it, over all its spans, so that `x**ABC-12**` is a word and no reference. A reference is never within code
//! or another link, and people's words stay what they are.

use std::cell::Cell;
use std::ops::Range;

use super::{Span, Style, Text};

/// In one message, so many references become links. The others stay as they are written. A chat message of more links is
/// one that services cut or refuse.
pub const MOST_REFERENCES: usize = 100;

/// A reference to an issue in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// The issue's address.
    pub url: String,
}

/// The tracker and the wiki that a project has elsewhere.
pub trait Links {
    /// The references to the tracker's issues in a text, from left to right, without overlaps.
    fn references(&self, text: &str) -> Vec<Reference>;

    /// Whether there is a tracker. If not, no text is searched.
    fn has_tracker(&self) -> bool;

    fn wiki(&self) -> Option<Wiki>;
}

/// The wiki that a project has elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiki {
    /// Its name for people.
    pub name: String,
    pub url: String,
}

/// For projects whose tracker and wiki are the forge's.
pub struct NoLinks;

impl Links for NoLinks {
    fn references(&self, _text: &str) -> Vec<Reference> {
        Vec::new()
    }

    fn has_tracker(&self) -> bool {
        false
    }

    fn wiki(&self) -> Option<Wiki> {
        None
    }
}

/// Turns the references of one message into links, up to [`MOST_REFERENCES`].
pub struct References<'a> {
    pub(super) links: &'a dyn Links,
    left: Cell<usize>,
    has_more: Cell<bool>,
}

impl<'a> References<'a> {
    pub fn new(links: &'a dyn Links) -> Self {
        Self { links, left: Cell::new(MOST_REFERENCES), has_more: Cell::new(false) }
    }

    /// Whether some references stayed as they are written, because there were too many.
    pub fn has_more(&self) -> bool {
        self.has_more.get()
    }

    /// The text with its references as links.
    pub fn linked(&self, text: Text) -> Text {
        if !self.links.has_tracker() {
            return text;
        }
        let mut seen = String::new();
        let places: Vec<Range<usize>> = text.0.iter().map(|span| as_seen(span, &mut seen)).collect();
        let mut found = self.find(&seen).into_iter().peekable();
        let mut linked = Vec::with_capacity(text.0.len());
        for (span, place) in text.0.into_iter().zip(places) {
            let mut within = Vec::new();
            while let Some(Reference { range, url }) = found.next_if(|found| found.range.start < place.end) {
                // One in two styles is in two spans, and no link could show it whole.
                if place.start <= range.start && range.end <= place.end {
                    within.push(Reference { range: range.start - place.start..range.end - place.start, url });
                }
            }
            match span {
                Span::Text { text, style } if !within.is_empty() => {
                    let plain = |words: &str| vec![Span::Text { text: words.into(), style }];
                    linked.extend(divided(&text, within, style, plain));
                }
                Span::Quote(quoted) => linked.push(Span::Quote(self.linked(quoted))),
                other => linked.push(other),
            }
        }
        Text(linked)
    }

    /// Words that link to a page, such as a title, in which references link to their issues.
    pub fn title(&self, words: &str, url: &str) -> Text {
        if url.is_empty() {
            return self.linked(Text::new().plain(words));
        }
        let found = if self.links.has_tracker() { self.find(words) } else { Vec::new() };
        if found.is_empty() {
            return Text::new().link(words, url);
        }
        Text(divided(words, found, Style::PLAIN, |words| link_within(words, url)))
    }

    /// The references in a text, as far as there are links left.
    fn find(&self, text: &str) -> Vec<Reference> {
        let mut found = self.links.references(text);
        if found.len() > self.left.get() {
            self.has_more.set(true);
            found.truncate(self.left.get());
        }
        self.left.set(self.left.get() - found.len());
        found
    }
}

/// Adds what readers see of a span, and returns its place. Code and links are no part of a word, and no reference is in
/// them.
fn as_seen(span: &Span, seen: &mut String) -> Range<usize> {
    const SOMETHING: char = '\u{fffc}';
    let start = seen.len();
    match span {
        Span::Text { text, .. } => seen.push_str(text),
        Span::Link { .. } | Span::Reference { .. } | Span::Code(_) => seen.push(SOMETHING),
        Span::CodeBlock(_) | Span::Quote(_) => seen.push('\n'),
    }
    start..seen.len()
}

/// Words with references in them as spans: the references as links, and what `other` makes of the words between them.
fn divided(
    words: &str,
    references: Vec<Reference>,
    style: Style,
    other: impl Fn(&str) -> Vec<Span>,
) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut written = 0;
    for Reference { range, url } in references {
        if range.start > written {
            spans.extend(other(&words[written..range.start]));
        }
        written = range.end;
        spans.push(Span::Reference { text: words[range].into(), url: url.into(), style });
    }
    if written < words.len() {
        spans.extend(other(&words[written..]));
    }
    spans
}

/// A part of a link's words. Signs alone, and spaces and signs between the words and a reference, are not linked.
fn link_within(words: &str, url: &str) -> Vec<Span> {
    let begins = |c: char| c.is_whitespace() || ":,;.)]}>/-–—".contains(c);
    let ends = |c: char| c.is_whitespace() || "([{<:,;/-–—".contains(c);
    if !words.contains(char::is_alphanumeric) {
        return Text::new().plain(words).0;
    }
    let inner = words.trim_start_matches(begins);
    let start = words.len() - inner.len();
    let inner = inner.trim_end_matches(ends);
    let (before, after) = (&words[..start], &words[start + inner.len()..]);
    let mut text = Text::new();
    if !before.is_empty() {
        text = text.plain(before);
    }
    text = text.link(inner, url);
    if !after.is_empty() {
        text = text.plain(after);
    }
    text.0
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A tracker whose issues are `ABC-` and digits, as far as the space behind them.
    pub struct Tracker;

    impl Links for Tracker {
        fn references(&self, text: &str) -> Vec<Reference> {
            let words = text.match_indices("ABC-");
            let found = words.filter(|(at, _)| !text[..*at].ends_with(char::is_alphanumeric));
            let reference = |(at, sign): (usize, &str)| {
                let digits = text[at + sign.len()..].bytes().take_while(u8::is_ascii_digit).count();
                let range = at..at + sign.len() + digits;
                (digits > 0)
                    .then(|| Reference { url: format!("https://t.example/{}", &text[range.clone()]), range })
            };
            found.filter_map(reference).collect()
        }

        fn has_tracker(&self) -> bool {
            true
        }

        fn wiki(&self) -> Option<Wiki> {
            None
        }
    }

    fn linked(text: Text) -> Text {
        References::new(&Tracker).linked(text)
    }

    fn reference(words: &str, style: Style) -> Span {
        Span::Reference { text: words.into(), url: format!("https://t.example/{words}").into(), style }
    }

    #[test]
    fn references_in_every_style_and_quote_are_links() {
        let text = Text::new().plain("see ABC-1, ").bold("ABC-2 now");
        let quoted = Span::Quote(Text::new().plain("ABC-3"));
        let made = linked(Text([text.0, vec![quoted]].concat()));
        let expected = Text::new()
            .plain("see ")
            .then(Text(vec![reference("ABC-1", Style::PLAIN)]))
            .plain(", ")
            .then(Text(vec![reference("ABC-2", Style::BOLD)]))
            .bold(" now")
            .then(Text(vec![Span::Quote(Text(vec![reference("ABC-3", Style::PLAIN)]))]));
        assert_eq!(made, expected);
    }

    #[test]
    fn code_links_and_words_across_styles_are_left_alone() {
        let same = |text: Text| assert_eq!(linked(text.clone()), text);
        same(Text::new().code("ABC-1").link("ABC-2", "https://a.example"));
        same(Text(vec![Span::CodeBlock("ABC-1".into())]));
        same(Text::new().plain("x").bold("ABC-1"));
        same(Text::new().plain("AB").bold("C-1"));
        same(Text::new().plain("ABC-").bold("1"));
        same(Text::new().plain("no reference").bold("").plain(""));
        assert_eq!(References::new(&NoLinks).linked(Text::new().plain("ABC-1")), Text::new().plain("ABC-1"));
        let after_code = linked(Text::new().code("x").plain("ABC-1"));
        assert_eq!(after_code, Text::new().code("x").then(Text(vec![reference("ABC-1", Style::PLAIN)])));
    }

    #[test]
    fn a_title_leads_to_its_page_and_its_references_to_their_issues() {
        let title = |words: &str, url: &str| References::new(&Tracker).title(words, url);
        let page = "https://f.example/1";
        assert_eq!(title("!1 Fix it", page), Text::new().link("!1 Fix it", page));
        let expected = Text::new()
            .link("!1", page)
            .plain(" ")
            .then(Text(vec![reference("ABC-1", Style::PLAIN)]))
            .plain(": ")
            .then(Text(vec![reference("ABC-2", Style::PLAIN)]))
            .plain("; ")
            .link("do (it)", page);
        assert_eq!(title("!1 ABC-1: ABC-2; do (it)", page), expected);
        assert_eq!(title("ABC-1", ""), Text(vec![reference("ABC-1", Style::PLAIN)]));
    }

    #[test]
    fn a_message_has_a_hundred_references_at_most() {
        let references = References::new(&Tracker);
        let many = (0..10_000).map(|number| format!("ABC-{number} ")).collect::<Vec<_>>().concat();
        let count = |text: Text| text.0.iter().filter(|span| matches!(span, Span::Reference { .. })).count();
        assert_eq!(count(references.linked(Text::new().plain("ABC-1 ABC-2"))), 2);
        assert!(!references.has_more());
        let text = references.linked(Text::new().plain(many.as_str()));
        assert_eq!(text.plain_text(), many);
        assert_eq!(count(text), 98);
        assert!(references.has_more());
        assert_eq!(
            references.title("ABC-1", "https://f.example"),
            Text::new().link("ABC-1", "https://f.example")
        );
    }

    proptest! {
        /// People's words stay theirs, whatever is linked in them.
        #[test]
        fn linking_changes_no_words(parts in prop::collection::vec("[a-z ]{0,3}|ABC-1|ABC-|\\PC{0,2}|\u{202e}|\u{200b}", 0..12)) {
            let styles = [Style::PLAIN, Style::BOLD];
            let span = |(at, text): (usize, &String)| match at % 4 {
                3 => Span::Code(text.into()),
                at => Span::Text { text: text.into(), style: styles[at % 2] },
            };
            let text = Text(parts.iter().enumerate().map(span).collect());
            let made = linked(text.clone());
            prop_assert_eq!(made.plain_text(), text.plain_text());
            let has_reference = made.0.iter().any(|span| matches!(span, Span::Reference { .. }));
            prop_assert!(has_reference || made == text, "{:?}", made);
            let code = |text: &Text| text.0.iter().filter(|span| matches!(span, Span::Code(_))).cloned().collect::<Vec<_>>();
            prop_assert_eq!(code(&made), code(&text));
        }
    }
}
