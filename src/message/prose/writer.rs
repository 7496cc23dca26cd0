//! Writes spans: line breaks where they are due, styles, links, lists, quotes and code.

use super::base::{Base, File, Target};
use crate::message::{Span, Style, Text};

/// Quotes nested deeper than this are read as one quote.
pub(super) const DEEPEST_QUOTE: usize = 4;

/// Collects the spans of a text.
pub(super) struct Writer<'a> {
    base: Base<'a>,
    /// The text being written (last), and the texts that it is quoted in, outermost first.
    texts: Vec<Vec<Span>>,
    /// Line breaks due before each of the quotes.
    owed_before: Vec<usize>,
    /// Quotes that are nested too deep for a text of their own.
    flattened: usize,
    styles: Vec<Style>,
    /// The number of the next item of each list; `None` for lists with bullets.
    lists: Vec<Option<u64>>,
    link: Option<Link>,
    code: Option<String>,
    superscripts: usize,
    /// Line breaks due before the next text.
    owed: usize,
    in_cell: bool,
}

/// A link whose words are being read.
struct Link {
    target: Target,
    words: String,
}

impl<'a> Writer<'a> {
    pub fn new(base: Base<'a>) -> Self {
        Self {
            base,
            texts: vec![Vec::new()],
            owed_before: Vec::new(),
            flattened: 0,
            styles: Vec::new(),
            lists: Vec::new(),
            link: None,
            code: None,
            superscripts: 0,
            owed: 0,
            in_cell: false,
        }
    }

    pub fn finish(mut self) -> Text {
        self.end_code(true);
        self.end_link("");
        while self.texts.len() > 1 {
            self.end_quote();
        }
        Text(self.texts.pop().unwrap_or_default())
    }

    fn spans(&mut self) -> &mut Vec<Span> {
        if self.texts.is_empty() {
            self.texts.push(Vec::new());
        }
        let innermost = self.texts.len() - 1;
        &mut self.texts[innermost]
    }

    // ---- lines

    /// Requires at least so many line breaks before the next text.
    pub fn break_lines(&mut self, breaks: usize) {
        if self.link.is_none() {
            self.owed = self.owed.max(breaks);
        }
    }

    /// A line break within a paragraph.
    pub fn line_break(&mut self) {
        match &mut self.code {
            Some(code) => code.push('\n'),
            None if self.in_cell || self.link.is_some() => self.words(" "),
            None => self.break_lines(1),
        }
    }

    /// The end of a paragraph or a list, which has space around it unless it is in a list.
    pub fn end_block(&mut self) {
        self.break_lines(if self.lists.is_empty() { 2 } else { 1 });
    }

    pub fn rule(&mut self) {
        self.break_lines(2);
        self.words("———");
        self.break_lines(2);
    }

    /// Whether the next text begins a line.
    pub fn is_at_line_start(&self) -> bool {
        match (&self.code, &self.link) {
            (Some(code), _) => code.is_empty(),
            (None, Some(link)) => link.words.is_empty(),
            (None, None) => self.owed > 0 || self.texts.last().is_none_or(Vec::is_empty),
        }
    }

    /// Writes the line breaks that are due; none at the start of a text.
    fn settle(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        let breaks = match self.spans().last() {
            None => 0,
            // These blocks are on lines of their own anyway.
            Some(Span::CodeBlock(_) | Span::Quote(_)) => 1,
            Some(_) => owed,
        };
        if breaks > 0 {
            push_words(self.spans(), &"\n".repeat(breaks), Style::PLAIN);
        }
    }

    // ---- words

    pub fn words(&mut self, words: &str) {
        if words.is_empty() {
            return;
        }
        if self.superscripts > 0 {
            let raised: String = words.chars().map(superscript).collect();
            self.write(&raised);
        } else {
            self.write(words);
        }
    }

    fn write(&mut self, words: &str) {
        if let Some(code) = &mut self.code {
            code.push_str(words);
            return;
        }
        if let Some(link) = &mut self.link {
            link.words.push_str(words);
            return;
        }
        self.settle();
        let style = self.style();
        push_words(self.spans(), words, style);
    }

    pub fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or_default()
    }

    pub fn push_style(&mut self, change: impl FnOnce(Style) -> Style) {
        self.styles.push(change(self.style()));
    }

    pub fn pop_style(&mut self) {
        self.styles.pop();
    }

    pub fn begin_superscript(&mut self) {
        self.superscripts += 1;
    }

    pub fn end_superscript(&mut self) {
        self.superscripts = self.superscripts.saturating_sub(1);
    }

    // ---- code

    pub fn inline_code(&mut self, code: &str) {
        if self.code.is_some() || self.link.is_some() {
            return self.write(code);
        }
        self.settle();
        self.spans().push(Span::Code(code.into()));
    }

    /// Whether what is written is code.
    pub fn is_in_code(&self) -> bool {
        self.code.is_some()
    }

    pub fn begin_code(&mut self) {
        // HTML may leave code open.
        self.end_code(false);
        self.code = Some(String::new());
    }

    pub fn end_code(&mut self, on_lines_of_its_own: bool) {
        let Some(code) = self.code.take() else { return };
        let on_one_line = || code.split_whitespace().collect::<Vec<_>>().join(" ");
        if code.trim().is_empty() {
            return;
        }
        if self.link.is_some() {
            self.write(&on_one_line());
        } else if on_lines_of_its_own {
            self.code_block(&code);
        } else if code.contains(['\n', '\r']) {
            self.inline_code(&on_one_line());
        } else {
            self.inline_code(&code);
        }
    }

    pub fn code_block(&mut self, code: &str) {
        self.owed = self.owed.min(1);
        self.settle();
        self.spans().push(Span::CodeBlock(code.trim_end().into()));
        self.break_lines(1);
    }

    // ---- lists and tables

    pub fn begin_list(&mut self, first: Option<u64>) {
        self.break_lines(1);
        self.lists.push(first);
    }

    pub fn end_list(&mut self) {
        self.lists.pop();
        self.end_block();
    }

    pub fn begin_item(&mut self) {
        self.break_lines(1);
        // Em spaces: a service's Markdown would read ordinary spaces as code.
        let depth = self.lists.len().max(1);
        let indent = "\u{2003}".repeat((depth - 1).min(6));
        let bullet = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number = number.saturating_add(1);
                format!("{}.", *number - 1)
            }
            _ => ["•", "◦", "▪"][(depth - 1).min(2)].to_owned(),
        };
        self.words(&format!("{indent}{bullet} "));
    }

    pub fn begin_cell(&mut self) {
        if self.in_cell {
            self.words(" | ");
        }
        self.in_cell = true;
    }

    pub fn end_row(&mut self) {
        self.in_cell = false;
        self.break_lines(1);
    }

    // ---- links and pictures

    /// Whether words belong to a link.
    pub fn is_in_link(&self) -> bool {
        self.link.is_some()
    }

    pub fn begin_link(&mut self, destination: &str, file: File) {
        self.link = Some(Link { target: self.base.resolve(destination, file), words: String::new() });
    }

    /// Ends a link. Without words of its own it shows `without_words`, or its address where these are empty.
    pub fn end_link(&mut self, without_words: &str) {
        let Some(Link { target, mut words }) = self.link.take() else { return };
        if words.trim().is_empty() {
            without_words.clone_into(&mut words);
        }
        let style = self.style();
        match target {
            // Code has no links. The words are already in it.
            Target::Link(address) | Target::Words(address) if self.code.is_some() => {
                self.words(&format!(" ({address})"));
            }
            Target::Link(url) => {
                let text = if words.is_empty() { url.clone() } else { words };
                self.settle();
                self.spans().push(Span::Link { text: text.into(), url: url.into(), style });
            }
            Target::Words(address) if words.is_empty() || words == address => self.words(&address),
            Target::Words(address) => self.words(&format!("{words} ({address})")),
            Target::Nothing => self.words(&words),
        }
    }

    /// A picture or a film becomes a link to it; within a link, its description is the link's text.
    pub fn image(&mut self, source: &str, description: &str, without_description: &str) {
        let is_own = self.link.is_none() && self.code.is_none();
        if is_own {
            self.begin_link(source, File::Raw);
        }
        self.words(description);
        if is_own {
            self.end_link(without_description);
        }
    }

    // ---- quotes

    pub fn begin_quote(&mut self) {
        if self.texts.len() > DEEPEST_QUOTE {
            self.flattened += 1;
            self.break_lines(2);
            return;
        }
        // They are written when the quote turns out not to be empty.
        self.owed_before.push(std::mem::take(&mut self.owed));
        self.texts.push(Vec::new());
    }

    pub fn end_quote(&mut self) {
        if self.flattened > 0 {
            self.flattened -= 1;
            self.break_lines(2);
            return;
        }
        if self.texts.len() < 2 {
            return;
        }
        self.owed = self.owed_before.pop().unwrap_or_default();
        let quoted = Text(self.texts.pop().unwrap_or_default());
        if !quoted.is_blank() {
            self.owed = self.owed.min(1);
            self.settle();
            self.spans().push(Span::Quote(quoted));
            self.break_lines(1);
        }
    }
}

/// Digits have raised forms, so that 10⁶ does not become 106.
const fn superscript(c: char) -> char {
    match c {
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        '9' => '⁹',
        other => other,
    }
}

/// Appends text to the last span where that has the same style, and as a new span otherwise.
pub(super) fn push_words(spans: &mut Vec<Span>, words: &str, style: Style) {
    match spans.last_mut() {
        Some(Span::Text { text, style: last }) if *last == style => text.push_str(words),
        _ => spans.push(Span::Text { text: words.into(), style }),
    }
}
