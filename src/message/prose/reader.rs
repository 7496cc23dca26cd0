//! Reads the parser's events, and what GitLab's Markdown has beyond CommonMark.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::base::{Base, File};
use super::elements::Elements;
use super::writer::Writer;
use crate::message::markup::address_at_start;
use crate::message::{Style, Text};

/// Longer attributes of a picture are text, as in GitLab.
const LONGEST_ATTRIBUTES: usize = 100;

/// Parses Markdown that has only CommonMark's quotes.
pub(super) fn read(source: &str, base: Base<'_>, front_matter: Option<&str>) -> Text {
    let options = Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TABLES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_MATH;
    let mut reader = Reader {
        source,
        writer: Writer::new(base),
        elements: Elements::default(),
        html: None,
        literal: Vec::new(),
        address_end: 0,
        skip_to: 0,
        is_quote_start: false,
        is_item_start: false,
    };
    if let Some(matter) = front_matter {
        reader.writer.code_block(matter);
    }
    for (event, at) in Parser::new_ext(source, options).into_offset_iter() {
        reader.event(event, at);
    }
    reader.writer.finish()
}

struct Reader<'a> {
    source: &'a str,
    writer: Writer<'a>,
    elements: Elements,
    /// The HTML of the current block.
    html: Option<String>,
    /// For each style that is open: its mark where it is a part of an address.
    literal: Vec<Option<&'a str>>,
    /// Where in the source the last bare address ends.
    address_end: usize,
    /// Text before this position in the source is already read.
    skip_to: usize,
    /// Whether nothing of the current quote is read yet.
    is_quote_start: bool,
    /// Whether nothing of the current item is read yet.
    is_item_start: bool,
}

impl<'a> Reader<'a> {
    fn event(&mut self, event: Event<'a>, at: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, at),
            Event::End(tag) => self.end(tag, at),
            Event::Html(html) => match &mut self.html {
                Some(block) => block.push_str(&html),
                None => self.elements.read(&html, &mut self.writer),
            },
            _ if at.end <= self.skip_to => {}
            Event::Text(words) => self.text(&words, at),
            Event::Code(code) => self.writer.inline_code(&code),
            Event::InlineHtml(tag) => self.elements.read(&tag, &mut self.writer),
            // GitLab shows a space. A line break suits chats better: their lines are about as wide as the writer's.
            Event::SoftBreak | Event::HardBreak => self.writer.line_break(),
            Event::Rule => self.writer.rule(),
            Event::TaskListMarker(done) => self.writer.words(if done { "☑ " } else { "☐ " }),
            Event::InlineMath(formula) | Event::DisplayMath(formula) => self.formula(&formula, at),
            Event::FootnoteReference(label) => self.writer.words(&format!("[{label}]")),
        }
    }

    fn start(&mut self, tag: Tag<'a>, at: Range<usize>) {
        let is_quote_start = std::mem::take(&mut self.is_quote_start);
        match tag {
            Tag::Paragraph | Tag::Heading { .. } | Tag::TableCell => self.elements.begin_scope(false),
            Tag::BlockQuote(_) | Tag::Item | Tag::FootnoteDefinition(_) => self.elements.begin_scope(true),
            _ => {}
        }
        match tag {
            Tag::Paragraph => self.start_paragraph(at, is_quote_start),
            Tag::Heading { level, .. } => {
                self.writer.break_lines(2);
                self.writer.push_style(|style| Style {
                    bold: true,
                    italic: level > HeadingLevel::H3,
                    ..style
                });
            }
            Tag::TableHead => self.writer.push_style(|style| Style { bold: true, ..style }),
            Tag::Strong => self.start_style(2, at.start, |style| Style { bold: true, ..style }),
            Tag::Emphasis => self.start_style(1, at.start, |style| Style { italic: true, ..style }),
            Tag::Strikethrough => {
                let marks = if self.source[at.start..].starts_with("~~") { 2 } else { 1 };
                self.start_style(marks, at.start, |style| Style { strike: true, ..style });
            }
            Tag::BlockQuote(_) => {
                self.writer.begin_quote();
                self.is_quote_start = true;
            }
            Tag::CodeBlock(_) => self.writer.begin_code(),
            Tag::HtmlBlock => self.html = Some(String::new()),
            Tag::List(first) => self.writer.begin_list(first),
            Tag::Item => {
                self.writer.begin_item();
                self.is_item_start = true;
            }
            Tag::Link { dest_url, .. } if !self.writer.is_in_link() => {
                self.writer.begin_link(&dest_url, File::Page);
                self.literal.push(None);
            }
            // The picture's text becomes the link's text.
            Tag::Image { dest_url, .. } if !self.writer.is_in_link() => {
                self.writer.begin_link(&dest_url, File::Raw);
                self.literal.push(None);
            }
            // Within another link, which is the one to follow.
            Tag::Link { .. } | Tag::Image { .. } => self.literal.push(Some("")),
            Tag::Table(_) => self.writer.break_lines(1),
            Tag::TableCell => self.writer.begin_cell(),
            Tag::FootnoteDefinition(label) => {
                self.writer.end_block();
                self.writer.words(&format!("[{label}]: "));
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd, at: Range<usize>) {
        self.is_quote_start = false;
        self.is_item_start = false;
        if ends_html(tag) {
            self.elements.end_scope(&mut self.writer);
        }
        match tag {
            TagEnd::Paragraph => self.writer.end_block(),
            TagEnd::Heading(_) => {
                self.writer.pop_style();
                self.writer.break_lines(1);
            }
            TagEnd::Strong | TagEnd::Emphasis | TagEnd::Strikethrough => {
                if let Some(mark) = self.literal.pop().flatten() {
                    self.writer.words(mark);
                }
                self.writer.pop_style();
            }
            TagEnd::BlockQuote(_) => self.writer.end_quote(),
            TagEnd::CodeBlock => self.writer.end_code(true),
            TagEnd::HtmlBlock => {
                let html = self.html.take().unwrap_or_default();
                self.elements.block(&html, &mut self.writer);
                self.writer.end_block();
            }
            TagEnd::List(_) => self.writer.end_list(),
            TagEnd::Item | TagEnd::FootnoteDefinition => self.writer.break_lines(1),
            TagEnd::Link | TagEnd::Image => {
                let is_image = tag == TagEnd::Image;
                if self.literal.pop().flatten().is_none() {
                    self.writer.end_link(if is_image { "image" } else { "" });
                }
                if is_image {
                    self.skip_to = self.skip_to.max(at.end + attributes(&self.source[at.end..]));
                }
            }
            TagEnd::TableHead => {
                self.writer.pop_style();
                self.writer.end_row();
            }
            TagEnd::TableRow => self.writer.end_row(),
            TagEnd::Table => self.writer.break_lines(2),
            _ => {}
        }
    }

    // ---- text, and the addresses in it

    fn text(&mut self, words: &str, at: Range<usize>) {
        let known = self.skip_to.saturating_sub(at.start);
        let words = words.get(known..).unwrap_or_default();
        let start = at.start + known;
        if std::mem::take(&mut self.is_item_start) && self.source[start..].starts_with("[~] ") {
            // A task that does not apply any more.
            self.writer.words("☒ ");
            self.skip_to = start + "[~] ".len();
            return;
        }
        if !self.writer.is_in_link()
            && !self.writer.is_in_code()
            && self.source.get(start..at.end) == Some(words)
        {
            self.note_address(words, start);
        }
        self.writer.words(words);
    }

    /// Remembers where a bare address ends. It may have characters that CommonMark reads as marks of a style, while GitLab
    /// reads them as parts of the address.
    fn note_address(&mut self, words: &str, start: usize) {
        let Some(scheme_end) = words.rfind("://") else { return };
        let scheme = ["https", "http"].into_iter().find(|scheme| words[..scheme_end].ends_with(scheme));
        let Some(scheme) = scheme else { return };
        let address_at = start + scheme_end - scheme.len();
        let address = address_at_start(&self.source[address_at..]);
        self.address_end = address_at + address.len();
    }

    fn start_style(&mut self, marks: usize, at: usize, change: impl FnOnce(Style) -> Style) {
        let mark = self.source.get(at..at + marks).filter(|_| at < self.address_end);
        match mark {
            Some(mark) => {
                self.writer.words(mark);
                self.writer.push_style(|style| style);
            }
            None => self.writer.push_style(change),
        }
        self.literal.push(mark);
    }

    // ---- what GitLab has beyond CommonMark

    fn start_paragraph(&mut self, at: Range<usize>, is_quote_start: bool) {
        let text = self.source[at.clone()].trim();
        // The place of a table of contents, which a message does not have.
        if ["[TOC]", "[[_TOC_]]"].iter().any(|place| place.eq_ignore_ascii_case(text)) {
            self.skip_to = at.end;
        } else if is_quote_start {
            let line = self.source[at.clone()].lines().next().unwrap_or_default();
            if let Some(title) = alert_title(line) {
                self.writer.push_style(|style| Style { bold: true, ..style });
                self.writer.words(&title);
                self.writer.pop_style();
                self.skip_to = at.start + line.len();
            }
        }
    }

    /// A formula as it is written; `` $`x`$ `` is code to its readers.
    fn formula(&mut self, formula: &str, at: Range<usize>) {
        let code = formula.strip_prefix('`').and_then(|code| code.strip_suffix('`'));
        if let Some(code) = code {
            return self.writer.inline_code(code);
        }
        let source = &self.source[at];
        for (number, line) in source.lines().enumerate() {
            if number > 0 {
                self.writer.line_break();
            }
            self.writer.words(line);
        }
    }
}

/// Whether the HTML that began in a block ends with it.
const fn ends_html(tag: TagEnd) -> bool {
    matches!(
        tag,
        TagEnd::Paragraph
            | TagEnd::Heading(_)
            | TagEnd::BlockQuote(_)
            | TagEnd::Item
            | TagEnd::TableCell
            | TagEnd::FootnoteDefinition
    )
}

/// The length of a picture's attributes, `{width=900 height=506}`
/// (<https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/banzai/filter/attributes_filter.rb>).
fn attributes(source: &str) -> usize {
    let Some(inner) = source.strip_prefix('{') else { return 0 };
    let line = inner.lines().next().unwrap_or_default();
    let Some(end) = line.find('}').filter(|end| *end <= LONGEST_ATTRIBUTES) else { return 0 };
    let is_attribute = |part: &str| {
        part.starts_with(['.', '#']) || part.split_once('=').is_some_and(|(name, _)| !name.is_empty())
    };
    let mut parts = line[..end].split_whitespace().peekable();
    let are_attributes = parts.peek().is_some() && parts.all(is_attribute);
    if are_attributes { end + "{}".len() } else { 0 }
}

/// What an alert says above its text: `Warning: Data deletion` for `[!warning] Data deletion`
/// (<https://docs.gitlab.com/user/markdown/#alerts>).
fn alert_title(line: &str) -> Option<String> {
    let (kind, title) = line.trim_start().strip_prefix("[!")?.split_once(']')?;
    let kinds = ["Note", "Tip", "Important", "Caution", "Warning"];
    let kind = kinds.into_iter().find(|known| known.eq_ignore_ascii_case(kind))?;
    match title.trim() {
        "" => Some(kind.to_owned()),
        title => Some(format!("{kind}: {title}")),
    }
}
