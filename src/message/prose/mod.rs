//! Parses Markdown that people wrote (descriptions, comments) into spans.
//!
//! The syntax is CommonMark with GitHub's tables, task lists and strike-through, as in GitLab
//! (<https://docs.gitlab.com/user/markdown/>). What chats cannot show becomes text: headings are bold lines, lists
//! have bullets, tables are lines of cells, images are links. HTML becomes text too, without well-known tags and
//! without comments, which issue templates are full of.

mod html;
#[cfg(test)]
mod tests;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use self::html::without_tags;
use super::{Span, Style, Text};

/// More characters than any service shows of one message. The rest is not parsed: descriptions of a megabyte exist.
const LONGEST: usize = 20_000;

/// Quotes nested deeper than this are read as one quote.
const DEEPEST_QUOTE: usize = 4;

/// Parses Markdown. `project_url` completes the addresses of uploaded files.
pub fn prose(markdown: &str, project_url: &str) -> Text {
    let start = match markdown.char_indices().nth(LONGEST) {
        Some((end, _)) => &markdown[..end],
        None => markdown,
    };
    let options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS;
    let mut reader = Reader::new(project_url);
    Parser::new_ext(start, options).for_each(|event| reader.event(event));
    let mut text = reader.finish();
    if start.len() < markdown.len() {
        push_words(&mut text.0, "…", Style::PLAIN);
    }
    text
}

/// Collects spans from the parser's events.
struct Reader<'a> {
    project_url: &'a str,
    /// The text being written (last), and the texts that it is quoted in, outermost first.
    texts: Vec<Vec<Span>>,
    /// Line breaks due before each of the quotes.
    owed_before: Vec<usize>,
    /// Quotes that are nested too deep for a text of their own.
    flattened: usize,
    style: Vec<Style>,
    lists: Vec<Option<u64>>,
    /// A link's address, and its text so far.
    link: Option<(String, String)>,
    code: Option<String>,
    html: Option<String>,
    /// Line breaks due before the next text.
    owed: usize,
    in_cell: bool,
}

impl<'a> Reader<'a> {
    fn new(project_url: &'a str) -> Self {
        Self {
            project_url: project_url.trim_end_matches('/'),
            texts: vec![Vec::new()],
            owed_before: Vec::new(),
            flattened: 0,
            style: Vec::new(),
            lists: Vec::new(),
            link: None,
            code: None,
            html: None,
            owed: 0,
            in_cell: false,
        }
    }

    fn finish(mut self) -> Text {
        while self.texts.len() > 1 {
            self.end_quote();
        }
        Text(self.texts.pop().unwrap_or_default())
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(words) => match (&mut self.code, &mut self.html) {
                (Some(code), _) => code.push_str(&words),
                (None, Some(html)) => html.push_str(&words),
                (None, None) => self.words(&words),
            },
            Event::Code(code) => self.inline_code(&code),
            Event::Html(html) => match &mut self.html {
                Some(block) => block.push_str(&html),
                None => self.words(&without_tags(&html)),
            },
            Event::InlineHtml(tag) => match without_tags(&tag).as_str() {
                "\n" => self.line_break(),
                words => self.words(words),
            },
            // GitLab shows a space. A line break suits chats better: their lines are about as wide as the writer's.
            Event::SoftBreak | Event::HardBreak => self.line_break(),
            Event::Rule => {
                self.break_lines(2);
                self.words("———");
                self.break_lines(2);
            }
            Event::TaskListMarker(done) => self.words(if done { "☑ " } else { "☐ " }),
            Event::InlineMath(words) | Event::DisplayMath(words) | Event::FootnoteReference(words) => {
                self.words(&words);
            }
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => {
                self.break_lines(2);
                self.push_style(|style| Style { bold: true, italic: level > HeadingLevel::H3, ..style });
            }
            Tag::Strong | Tag::TableHead => self.push_style(|style| Style { bold: true, ..style }),
            Tag::Emphasis => self.push_style(|style| Style { italic: true, ..style }),
            Tag::Strikethrough => self.push_style(|style| Style { strike: true, ..style }),
            Tag::BlockQuote(_) => self.start_quote(),
            Tag::CodeBlock(_) => self.code = Some(String::new()),
            Tag::HtmlBlock => self.html = Some(String::new()),
            Tag::List(first) => {
                self.break_lines(1);
                self.lists.push(first);
            }
            Tag::Item => self.start_item(),
            Tag::Link { dest_url, .. } => self.start_link(&dest_url),
            // The image's text becomes the link's text.
            Tag::Image { dest_url, .. } if self.link.is_none() => self.start_link(&dest_url),
            Tag::Table(_) => self.break_lines(1),
            Tag::TableCell => {
                if self.in_cell {
                    self.words(" | ");
                }
                self.in_cell = true;
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.break_lines(if self.lists.is_empty() { 2 } else { 1 }),
            TagEnd::Heading(_) => {
                self.style.pop();
                self.break_lines(1);
            }
            TagEnd::Strong | TagEnd::Emphasis | TagEnd::Strikethrough => {
                self.style.pop();
            }
            TagEnd::BlockQuote(_) => self.end_quote(),
            TagEnd::CodeBlock => self.end_code_block(),
            TagEnd::HtmlBlock => self.end_html(),
            TagEnd::List(_) => {
                self.lists.pop();
                self.break_lines(if self.lists.is_empty() { 2 } else { 1 });
            }
            TagEnd::Item => self.break_lines(1),
            TagEnd::Link => self.end_link(""),
            TagEnd::Image => self.end_link("image"),
            TagEnd::TableHead => {
                self.style.pop();
                self.end_row();
            }
            TagEnd::TableRow => self.end_row(),
            TagEnd::Table => self.break_lines(2),
            _ => {}
        }
    }

    fn push_style(&mut self, change: impl FnOnce(Style) -> Style) {
        self.style.push(change(self.current_style()));
    }

    fn current_style(&self) -> Style {
        self.style.last().copied().unwrap_or_default()
    }

    fn spans(&mut self) -> &mut Vec<Span> {
        if self.texts.is_empty() {
            self.texts.push(Vec::new());
        }
        let innermost = self.texts.len() - 1;
        &mut self.texts[innermost]
    }

    /// Requires at least so many line breaks before the next text.
    fn break_lines(&mut self, breaks: usize) {
        self.owed = self.owed.max(breaks);
    }

    /// A line break within a paragraph.
    fn line_break(&mut self) {
        if self.in_cell || self.link.is_some() { self.words(" ") } else { self.break_lines(1) }
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

    fn words(&mut self, words: &str) {
        if words.is_empty() {
            return;
        }
        if let Some((_, seen)) = &mut self.link {
            seen.push_str(words);
            return;
        }
        self.settle();
        let style = self.current_style();
        push_words(self.spans(), words, style);
    }

    fn inline_code(&mut self, code: &str) {
        if let Some((_, seen)) = &mut self.link {
            seen.push_str(code);
            return;
        }
        self.settle();
        self.spans().push(Span::Code(code.to_owned()));
    }

    fn start_item(&mut self) {
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

    fn end_row(&mut self) {
        self.in_cell = false;
        self.break_lines(1);
    }

    fn start_link(&mut self, destination: &str) {
        self.settle();
        self.link = Some((self.absolute(destination), String::new()));
    }

    /// The full address of an upload, which is written without its project: `/uploads/<hash>/<file>`.
    fn absolute(&self, destination: &str) -> String {
        if destination.starts_with("/uploads/") && !self.project_url.is_empty() {
            return format!("{}{destination}", self.project_url);
        }
        destination.to_owned()
    }

    fn end_link(&mut self, without_words: &str) {
        let Some((url, mut words)) = self.link.take() else { return };
        if words.trim().is_empty() {
            without_words.clone_into(&mut words);
        }
        let style = self.current_style();
        if super::markup::address(&url).is_some() {
            self.spans().push(Span::Link { text: words, url, style });
        } else {
            push_words(self.spans(), &words, style);
        }
    }

    fn start_quote(&mut self) {
        if self.texts.len() > DEEPEST_QUOTE {
            self.flattened += 1;
            self.break_lines(2);
            return;
        }
        // They are written when the quote turns out not to be empty.
        self.owed_before.push(std::mem::take(&mut self.owed));
        self.texts.push(Vec::new());
    }

    fn end_quote(&mut self) {
        if self.flattened > 0 {
            self.flattened -= 1;
            self.break_lines(2);
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

    fn end_code_block(&mut self) {
        let code = self.code.take().unwrap_or_default();
        if code.trim().is_empty() {
            return;
        }
        self.owed = self.owed.min(1);
        self.settle();
        self.spans().push(Span::CodeBlock(code.trim_end().to_owned()));
        self.break_lines(1);
    }

    fn end_html(&mut self) {
        let html = self.html.take().unwrap_or_default();
        let words = without_tags(&html);
        self.words(words.trim());
        self.break_lines(2);
    }
}

/// Appends text to the last span where that has the same style, and as a new span otherwise.
fn push_words(spans: &mut Vec<Span>, words: &str, style: Style) {
    match spans.last_mut() {
        Some(Span::Text { text, style: last }) if *last == style => text.push_str(words),
        _ => spans.push(Span::Text { text: words.to_owned(), style }),
    }
}
