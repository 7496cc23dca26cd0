//! Text as spans: words with a style, links, and line breaks, in no one's markup yet.

/// A run of spans. Build it with the chaining methods; render it with [`Markup`](super::Markup).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub Vec<Span>);

/// A piece of text of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Words, whoever's they are: always escaped, never markup. May hold line breaks.
    Words { text: String, style: Style },
    /// A link. The address is checked when it is rendered: only `http`, `https` and `mailto` become links.
    Link { text: String, url: String, style: Style },
    /// Code within a line.
    Code(String),
    /// Code on lines of its own.
    CodeBlock(String),
    /// Somebody else's words, quoted.
    Quote(Text),
}

/// How words look.
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

    /// Words without style.
    #[must_use]
    pub fn plain(mut self, words: impl Into<String>) -> Self {
        self.0.push(Span::Words { text: words.into(), style: Style::PLAIN });
        self
    }

    /// Words that matter.
    #[must_use]
    pub fn bold(mut self, words: impl Into<String>) -> Self {
        self.0.push(Span::Words { text: words.into(), style: Style::BOLD });
        self
    }

    /// Words that lead somewhere; plain words where the address is empty.
    #[must_use]
    pub fn link(mut self, words: impl Into<String>, url: impl Into<String>) -> Self {
        let (text, url) = (words.into(), url.into());
        self.0.push(if url.is_empty() {
            Span::Words { text, style: Style::PLAIN }
        } else {
            Span::Link { text, url, style: Style::PLAIN }
        });
        self
    }

    /// Code within the line.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.0.push(Span::Code(code.into()));
        self
    }

    /// Another text, appended.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Texts with words between them.
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

    /// Words in a style.
    #[must_use]
    pub fn styled(mut self, words: impl Into<String>, style: Style) -> Self {
        self.0.push(Span::Words { text: words.into(), style });
        self
    }

    /// The bare words, without addresses: for previews, mail subjects and the like.
    pub fn words(&self) -> String {
        let mut words = String::new();
        self.add_words(&mut words);
        words
    }

    fn add_words(&self, words: &mut String) {
        for span in &self.0 {
            match span {
                Span::Words { text, .. } | Span::Link { text, .. } => words.push_str(text),
                Span::Code(code) => words.push_str(code),
                Span::CodeBlock(code) => {
                    words.push('\n');
                    words.push_str(code);
                    words.push('\n');
                }
                Span::Quote(text) => {
                    words.push('\n');
                    text.add_words(words);
                    words.push('\n');
                }
            }
        }
    }

    /// Whether there is nothing to read.
    pub fn is_blank(&self) -> bool {
        self.0.iter().all(|span| match span {
            Span::Words { text, .. } | Span::Link { text, .. } => text.trim().is_empty(),
            Span::Code(code) | Span::CodeBlock(code) => code.trim().is_empty(),
            Span::Quote(text) => text.is_blank(),
        })
    }
}
