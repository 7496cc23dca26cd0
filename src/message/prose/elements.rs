//! The HTML elements of a text that are open, and what they do to the words within them.

use super::base::File;
use super::html::{Element, Piece, Tag, pieces};
use super::writer::Writer;
use crate::message::Style;

/// Elements nested deeper than this have no effect.
const DEEPEST: usize = 50;

/// The elements that are open, outermost first.
#[derive(Default)]
pub(super) struct Elements {
    open: Vec<Open>,
    /// The Markdown blocks around the current one. A block's HTML ends with it.
    scopes: Vec<Scope>,
}

struct Scope {
    /// How many elements were open where it began.
    depth: usize,
    /// Whether no element from outside ends within it: so it is for quotes and items, but not for paragraphs.
    is_closed: bool,
}

struct Open {
    element: Element,
    effect: Effect,
}

/// What ends with an element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Nothing,
    Style,
    Superscript,
    Code,
    Pre,
    Link,
    Quote,
    List,
}

impl Elements {
    /// A Markdown block begins.
    pub fn begin_scope(&mut self, is_closed: bool) {
        self.scopes.push(Scope { depth: self.open.len(), is_closed });
    }

    /// A Markdown block ends, and the elements that began in it.
    pub fn end_scope(&mut self, writer: &mut Writer<'_>) {
        let depth = self.scopes.pop().map_or(0, |scope| scope.depth);
        self.close_to(depth, writer);
    }

    /// The HTML of a whole block. Elements like `<details>` may have Markdown within them and end in a later block.
    pub fn block(&mut self, html: &str, writer: &mut Writer<'_>) {
        self.read(html, writer);
        let floor = self.scopes.last().map_or(0, |scope| scope.depth);
        while self.open.len() > floor && self.open.last().is_some_and(|open| open.element.is_inline()) {
            self.close_to(self.open.len() - 1, writer);
        }
    }

    /// HTML within a line.
    pub fn read(&mut self, html: &str, writer: &mut Writer<'_>) {
        for piece in pieces(html) {
            match piece {
                Piece::Words(words) => write(&words, writer),
                Piece::Start(tag) => self.start(&tag, writer),
                Piece::End(element) => self.end(element, writer),
            }
        }
    }

    fn start(&mut self, tag: &Tag<'_>, writer: &mut Writer<'_>) {
        let effect = if writer.is_in_code() {
            if tag.element == Element::Break {
                writer.line_break();
            }
            Effect::Nothing
        } else {
            begin(tag, writer)
        };
        if !tag.element.is_void() && !tag.is_closed && self.open.len() < DEEPEST {
            self.open.push(Open { element: tag.element, effect });
        } else {
            undo(effect, writer);
        }
    }

    fn end(&mut self, element: Element, writer: &mut Writer<'_>) {
        let floor = self.scopes.iter().rfind(|scope| scope.is_closed).map_or(0, |scope| scope.depth);
        let within = &self.open[floor.min(self.open.len())..];
        if let Some(at) = within.iter().rposition(|open| open.element == element) {
            self.close_to(floor + at, writer);
        }
        match element {
            Element::Block | Element::Quote => writer.end_block(),
            Element::Line | Element::Item | Element::Heading => writer.break_lines(1),
            Element::Row => writer.end_row(),
            _ => {}
        }
    }

    fn close_to(&mut self, depth: usize, writer: &mut Writer<'_>) {
        while self.open.len() > depth {
            if let Some(open) = self.open.pop() {
                undo(open.effect, writer);
            }
        }
    }
}

/// What an element does where it begins; what ends with it.
fn begin(tag: &Tag<'_>, writer: &mut Writer<'_>) -> Effect {
    match tag.element {
        Element::Bold => writer.push_style(|style| Style { bold: true, ..style }),
        Element::Italic => writer.push_style(|style| Style { italic: true, ..style }),
        Element::Strike => writer.push_style(|style| Style { strike: true, ..style }),
        Element::Heading => {
            writer.break_lines(2);
            writer.push_style(|style| Style { bold: true, ..style });
        }
        Element::HeadCell => {
            writer.begin_cell();
            writer.push_style(|style| Style { bold: true, ..style });
        }
        Element::Superscript => {
            writer.begin_superscript();
            return Effect::Superscript;
        }
        Element::Code => {
            writer.begin_code();
            return Effect::Code;
        }
        Element::Pre => {
            writer.begin_code();
            return Effect::Pre;
        }
        Element::Link => match tag.attribute("href") {
            Some(address) if !writer.is_in_link() => {
                writer.begin_link(&address, File::Page);
                return Effect::Link;
            }
            _ => return Effect::Nothing,
        },
        Element::Quote => {
            writer.begin_quote();
            return Effect::Quote;
        }
        Element::List | Element::OrderedList => {
            writer.begin_list((tag.element == Element::OrderedList).then_some(1));
            return Effect::List;
        }
        other => {
            write_at(other, tag, writer);
            return Effect::Nothing;
        }
    }
    Effect::Style
}

/// Writes what an element without an effect on its words stands for.
fn write_at(element: Element, tag: &Tag<'_>, writer: &mut Writer<'_>) {
    match element {
        Element::Image => {
            let description = tag.attribute("alt").or_else(|| tag.attribute("title")).unwrap_or_default();
            writer.image(&tag.attribute("src").unwrap_or_default(), &description, "image");
        }
        Element::Media => {
            if let Some(source) = tag.attribute("src") {
                writer.image(&source, &tag.attribute("title").unwrap_or_default(), "video");
            }
        }
        Element::Break => writer.line_break(),
        Element::Rule => writer.rule(),
        Element::Item => writer.begin_item(),
        Element::Cell => writer.begin_cell(),
        Element::Row => writer.end_row(),
        Element::Block => writer.end_block(),
        Element::Line => writer.break_lines(1),
        _ => {}
    }
}

fn undo(effect: Effect, writer: &mut Writer<'_>) {
    match effect {
        Effect::Nothing => {}
        Effect::Style => writer.pop_style(),
        Effect::Superscript => writer.end_superscript(),
        Effect::Code => writer.end_code(false),
        Effect::Pre => writer.end_code(true),
        Effect::Link => writer.end_link(""),
        Effect::Quote => writer.end_quote(),
        Effect::List => writer.end_list(),
    }
}

/// Writes text of HTML: spaces are one, and lines are kept, as those of Markdown are.
fn write(words: &str, writer: &mut Writer<'_>) {
    if writer.is_in_code() {
        return writer.words(words);
    }
    for (number, line) in words.split('\n').enumerate() {
        if number > 0 && !writer.is_at_line_start() {
            writer.line_break();
        }
        let mut spaced = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.starts_with(char::is_whitespace) && !writer.is_at_line_start() {
            spaced.insert(0, ' ');
        }
        if line.ends_with(char::is_whitespace) && !spaced.trim().is_empty() {
            spaced.push(' ');
        }
        writer.words(&spaced);
    }
}
