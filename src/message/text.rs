//! Text as spans: styled text, links and code, independent of any markup.

use super::Words;
use super::markup::{address, clean, grapheme_len, one_line};

/// An excerpt may cut longer words in the middle.
const LONGEST_WORD: usize = 24;

/// A run of spans. Build it with the chaining methods; render it with [`Markup`](super::Markup).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub Vec<Span>);

/// A piece of text of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Text: always escaped, never read as markup. May contain line breaks.
    Text { text: Words, style: Style },
    /// A link. Its address is checked when it is rendered: only `http`, `https` and `mailto` become links.
    Link { text: Words, url: Words, style: Style },
    /// A reference to something that people call by this text. Where a markup has links, it is one; elsewhere it stays
    /// the text that it is.
    Reference { text: Words, url: Words, style: Style },
    /// Code within a line.
    Code(Words),
    /// Code on lines of its own.
    CodeBlock(Words),
    /// A quotation.
    Quote(Text),
}

/// The style of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub bold: bool,
    pub italic: bool,
    pub strike: bool,
}

impl Style {
    pub const PLAIN: Self = Self { bold: false, italic: false, strike: false };
    pub const BOLD: Self = Self { bold: true, ..Self::PLAIN };
}

impl Text {
    /// An empty text, to add to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends text without a style.
    #[must_use]
    pub fn plain(mut self, words: impl Into<Words>) -> Self {
        self.0.push(Span::Text { text: words.into(), style: Style::PLAIN });
        self
    }

    /// Appends bold text.
    #[must_use]
    pub fn bold(mut self, words: impl Into<Words>) -> Self {
        self.0.push(Span::Text { text: words.into(), style: Style::BOLD });
        self
    }

    /// Appends a link, or text without a style where the address is empty.
    #[must_use]
    pub fn link(mut self, words: impl Into<Words>, url: impl Into<Words>) -> Self {
        let (text, url) = (words.into(), url.into());
        self.0.push(if url.is_empty() {
            Span::Text { text, style: Style::PLAIN }
        } else {
            Span::Link { text, url, style: Style::PLAIN }
        });
        self
    }

    /// Appends code within the line.
    #[must_use]
    pub fn code(mut self, code: impl Into<Words>) -> Self {
        self.0.push(Span::Code(code.into()));
        self
    }

    /// Appends another text.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Concatenates texts with a separator between them.
    pub fn join(texts: impl IntoIterator<Item = Self>, between: &str) -> Self {
        let mut joined = Self::new();
        for text in texts {
            if !joined.0.is_empty() {
                joined = joined.plain(between);
            }
            joined = joined.then(text);
        }
        joined
    }

    /// Appends text in a style.
    #[must_use]
    pub fn styled(mut self, words: impl Into<Words>, style: Style) -> Self {
        self.0.push(Span::Text { text: words.into(), style });
        self
    }

    /// The text without styles and addresses, for previews, mail subjects and the like.
    pub fn plain_text(&self) -> String {
        // More, where characters have several bytes or code is on lines of its own.
        let mut words = String::with_capacity(self.0.iter().map(length).sum());
        self.add_plain_text(&mut words);
        words
    }

    /// The number of characters of the [plain text](Self::plain_text).
    pub(super) fn length(&self) -> usize {
        let breaks = |span: &Span| match span {
            Span::CodeBlock(_) => 2,
            Span::Quote(quoted) => 2 + quoted.length() - length(span),
            _ => 0,
        };
        self.0.iter().map(|span| length(span) + breaks(span)).sum()
    }

    fn add_plain_text(&self, words: &mut String) {
        for span in &self.0 {
            match span {
                Span::Text { text, .. } | Span::Link { text, .. } | Span::Reference { text, .. } => {
                    words.push_str(text);
                }
                Span::Code(code) => words.push_str(code),
                Span::CodeBlock(code) => {
                    words.push('\n');
                    words.push_str(code);
                    words.push('\n');
                }
                Span::Quote(text) => {
                    words.push('\n');
                    text.add_plain_text(words);
                    words.push('\n');
                }
            }
        }
    }

    /// The start of the text, truncated with `…` where it has more characters (addresses don't count). The cut is made
    /// between words where that loses little; links, code and quotes stay what they are.
    #[must_use]
    pub fn excerpt(&self, at_most: usize) -> Self {
        let mut room = at_most;
        let mut kept = Self::new();
        for span in &self.0 {
            let length = length(span);
            if length <= room {
                room -= length;
                kept.0.push(span.clone());
                continue;
            }
            kept.0.push(match span {
                Span::Text { text, style } => Span::Text { text: cut(text, room).into(), style: *style },
                Span::Link { text, url, style } => {
                    Span::Link { text: cut(text, room).into(), url: url.clone(), style: *style }
                }
                // A part of it would be another reference.
                Span::Reference { .. } => Span::Text { text: "…".into(), style: Style::PLAIN },
                Span::Code(code) => Span::Code(cut(code, room).into()),
                Span::CodeBlock(code) => Span::CodeBlock(cut(code, room).into()),
                Span::Quote(text) => Span::Quote(text.excerpt(room)),
            });
            break;
        }
        kept
    }

    /// The first lines of the text, followed by a line `…` where it has more. Code and quotes stay what they are.
    #[must_use]
    pub fn first_lines(&self, at_most: usize) -> Self {
        let mut room = at_most.max(1);
        let mut kept = Self::new();
        for span in &self.0 {
            let breaks = line_breaks(span);
            if breaks < room {
                room -= breaks;
                kept.0.push(span.clone());
                continue;
            }
            // A block begins on a new line, so one line break is already used.
            kept.0.push(match span {
                Span::Text { text, style } => {
                    Span::Text { text: cut_lines(text, room).into(), style: *style }
                }
                Span::CodeBlock(code) => Span::CodeBlock(cut_lines(code, (room - 1).max(1)).into()),
                Span::Quote(text) => Span::Quote(text.first_lines(room - 1)),
                Span::Link { .. } | Span::Reference { .. } | Span::Code(_) => span.clone(),
            });
            let has_ellipsis = kept.plain_text().trim_end().ends_with('…');
            return if has_ellipsis { kept } else { kept.plain("\n…") };
        }
        kept
    }

    /// The text and address of each link to a web page, for services that show links separately. Links with unsafe
    /// addresses are left out, as in every markup. Links within quotes are left out too.
    pub fn links(&self) -> Vec<(String, String)> {
        let page = |span: &Span| match span {
            Span::Link { text, url, .. } => {
                let url = address(url).filter(|url| url.starts_with("http"))?;
                Some((text.to_string(), url.into_owned()))
            }
            _ => None,
        };
        self.0.iter().filter_map(page).collect()
    }

    /// The number of links, including those in quotes.
    pub(super) fn count_links(&self) -> usize {
        let count = |span: &Span| match span {
            Span::Link { .. } | Span::Reference { .. } => 1,
            Span::Quote(text) => text.count_links(),
            _ => 0,
        };
        self.0.iter().map(count).sum()
    }

    /// The same text with only the first `at_most` links; of the others, the link text stays.
    pub(super) fn with_links(&self, mut at_most: usize) -> Self {
        let mut limited = |span: &Span| match span {
            Span::Link { text, style, .. } | Span::Reference { text, style, .. }
                if at_most == 0 && !is_blank(text) =>
            {
                Span::Text { text: one_line(text).into(), style: *style }
            }
            Span::Quote(text) => {
                let kept = text.with_links(at_most);
                at_most = at_most.saturating_sub(text.count_links());
                Span::Quote(kept)
            }
            other => {
                let is_link = matches!(other, Span::Link { .. } | Span::Reference { .. });
                at_most -= usize::from(is_link && at_most > 0);
                other.clone()
            }
        };
        Self(self.0.iter().map(&mut limited).collect())
    }

    /// Whether nothing of the text is visible.
    pub fn is_blank(&self) -> bool {
        self.0.iter().all(|span| match span {
            Span::Text { text, .. } | Span::Link { text, .. } | Span::Reference { text, .. } => {
                is_blank(text)
            }
            Span::Code(code) | Span::CodeBlock(code) => is_blank(code),
            Span::Quote(text) => text.is_blank(),
        })
    }
}

fn is_blank(words: &str) -> bool {
    clean(words).trim().is_empty()
}

fn length(span: &Span) -> usize {
    match span {
        Span::Text { text, .. } | Span::Link { text, .. } | Span::Reference { text, .. } => {
            text.chars().count()
        }
        Span::Code(code) | Span::CodeBlock(code) => code.chars().count(),
        Span::Quote(text) => text.0.iter().map(length).sum(),
    }
}

/// The visible line breaks of a span. Code blocks and quotes begin on a line of their own.
fn line_breaks(span: &Span) -> usize {
    match span {
        Span::Text { text, .. } => text.matches('\n').count(),
        Span::Link { .. } | Span::Reference { .. } | Span::Code(_) => 0,
        Span::CodeBlock(code) => code.trim_matches('\n').matches('\n').count() + 1,
        Span::Quote(text) => text.0.iter().map(line_breaks).sum::<usize>() + 1,
    }
}

/// The first lines of a text that has more, with `…` in place of the others.
fn cut_lines(words: &str, at_most: usize) -> String {
    let ends = words.match_indices('\n').map(|(at, _)| at);
    let end = ends.take(at_most.max(1)).last().unwrap_or(words.len());
    format!("{}\n…", words[..end].trim_end())
}

/// The start of a text that is too long, with `…` at its end.
fn cut(words: &str, room: usize) -> String {
    let (mut end, mut left) = (0, room.saturating_sub(1));
    while end < words.len() {
        let whole = grapheme_len(&words[end..]);
        let cost = words[end..end + whole].chars().count();
        if cost > left {
            break;
        }
        left -= cost;
        end += whole;
    }
    // Back to the end of the previous word, if that is near.
    let kept = &words[..end];
    let word_end = kept.rfind(char::is_whitespace).filter(|at| kept[*at..].chars().count() <= LONGEST_WORD);
    let kept = match word_end {
        Some(at) if !words[end..].starts_with(char::is_whitespace) => &kept[..at],
        _ => kept,
    };
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lists_only_web_pages() {
        let text = Text::new()
            .plain("see ")
            .link("this", "https://a.example/x y")
            .link("that", "javascript:alert(1)")
            .link("mail", "mailto:a@b.example");
        assert_eq!(text.links(), [("this".to_owned(), "https://a.example/x%20y".to_owned())]);
    }

    #[test]
    fn an_excerpt_ends_between_words_and_keeps_links_code_and_quotes() {
        let words = |text: &str, at_most| Text::new().plain(text).excerpt(at_most).plain_text();
        assert_eq!(words("short enough", 12), "short enough");
        assert_eq!(words("short enough, or is it", 13), "short…");
        assert_eq!(words("short enough, or is it", 14), "short enough,…");
        assert_eq!(words(&"x".repeat(50), 20), "x".repeat(19) + "…");
        assert_eq!(words("so 👩‍👩‍👧 it is", 6), "so…", "an emoji is not split");
        let text = Text::new().plain("see ").link("this long page", "https://a.example/").code("after");
        assert_eq!(text.excerpt(10), Text::new().plain("see ").link("this…", "https://a.example/"));
        assert_eq!(text.excerpt(1000), text);
        let quote = Text(vec![Span::Quote(Text::new().plain("one two three")), Span::Code("code".into())]);
        assert_eq!(quote.excerpt(9), Text(vec![Span::Quote(Text::new().plain("one two…"))]));
        assert_eq!(quote.excerpt(15).0[1], Span::Code("c…".into()));
        assert_eq!(quote.excerpt(0).plain_text().trim(), "…");
    }
    #[test]
    fn first_lines_end_with_a_line_and_an_ellipsis() {
        let words = |text: &str, at_most| Text::new().plain(text).first_lines(at_most).plain_text();
        assert_eq!(words("one\ntwo\nthree", 3), "one\ntwo\nthree");
        assert_eq!(words("one\ntwo\nthree", 2), "one\ntwo\n…");
        assert_eq!(words("one\n\ntwo", 2), "one\n…");
        assert_eq!(words("one\ntwo", 0), "one\n…");
        let text = Text::new().plain("see\n").link("this", "https://a.example/").plain(" and\nthat");
        assert_eq!(text.first_lines(3), text);
        assert_eq!(text.first_lines(2).plain_text(), "see\nthis and\n…");
        let code = Text(vec![
            Span::Text { text: "so:".into(), style: Style::PLAIN },
            Span::CodeBlock("a\nb\nc\n".into()),
        ]);
        assert_eq!(code.first_lines(4), code);
        assert_eq!(code.first_lines(3).0[1], Span::CodeBlock("a\nb\n…".into()));
        let quote = Text(vec![Span::Quote(Text::new().plain("a\nb")), Span::Quote(Text::new().plain("c"))]);
        assert_eq!(quote.first_lines(2).0, [Span::Quote(Text::new().plain("a\n…"))]);
        assert_eq!(quote.first_lines(3).0[0], quote.0[0]);
        assert!(quote.first_lines(3).plain_text().ends_with("…"), "{:?}", quote.first_lines(3));
    }
}
