//! Writes spans in one dialect, within a limit.
//!
//! All output goes through [`Renderer::put`] in pieces that must not be split: an escaped character with its accents,
//! a whole link. A piece is written only if the limit has room for it, for everything that must still be closed, and
//! for the `…` that marks a truncated text.

use std::borrow::{Borrow, Cow};

use super::Limit;
use super::address::{Piece, address, pieces};
use super::clean::{clean, first, grapheme_len, one_line};
use super::dialect::{CharContext, Dialect, Fit, Line, StyleContext, Within, ZERO_WIDTH_SPACE};
use crate::message::{Span, Style, Text};

const ELLIPSIS: &str = "…";

/// Quotes nested deeper than this are left out.
const DEEPEST_QUOTE: usize = 8;

/// The state of rendering one text.
pub(super) struct Renderer<D> {
    dialect: D,
    out: String,
    budget: Option<Budget>,
    /// Whether the limit is reached: nothing more is written.
    full: bool,
    line: Line,
    /// How many quotes the current span is nested in.
    quote_depth: usize,
    /// The number of line breaks to write before anything else.
    due_breaks: u8,
    /// Whether the end of a block has already written the next line break.
    after_block: bool,
    /// The closing marks of what is open, outermost first.
    open: Vec<Cow<'static, str>>,
    /// Spaces before this position belong to markup and are not trimmed.
    trim_floor: usize,
    /// Position at which the last style was closed.
    closed_at: Option<usize>,
    /// Position at which the last bare address ended. Text directly after it would be read as a part of it.
    address_end: Option<usize>,
    piece_buffer: String,
}

/// What is left of a limit, without what is reserved for closing marks.
struct Budget {
    limit: Limit,
    left: usize,
}

impl<D: Dialect> Renderer<D> {
    pub fn new(dialect: D, limit: Option<Limit>) -> Self {
        let budget = limit.map(|limit| {
            let left = limit.allowance().checked_sub(limit.cost(ELLIPSIS));
            (Budget { limit, left: left.unwrap_or(0) }, left.is_none())
        });
        Self {
            dialect,
            out: String::new(),
            full: budget.as_ref().is_some_and(|(_, too_small)| *too_small),
            budget: budget.map(|(budget, _)| budget),
            line: Line::Start,
            quote_depth: 0,
            due_breaks: 0,
            after_block: false,
            open: Vec::new(),
            trim_floor: 0,
            closed_at: None,
            address_end: None,
            piece_buffer: String::new(),
        }
    }

    /// The spans in this markup.
    pub fn write<S: Borrow<Span>>(mut self, spans: &[S]) -> String {
        let too_small = self.full;
        // Most texts have few escapes, and addresses beside the words of links.
        self.out.reserve(spans.iter().map(|span| room(span.borrow())).sum());
        self.spans(spans);
        if too_small { String::new() } else { self.finish() }
    }

    /// [`clean`](super::clean::one_line) words without a style, as [`Renderer::write`] writes a text of them alone.
    pub fn write_words(mut self, words: &str) -> String {
        let too_small = self.full;
        self.out.reserve(words.len());
        self.words(words, Style::PLAIN, None);
        if too_small { String::new() } else { self.finish() }
    }

    fn finish(mut self) -> String {
        if self.full {
            let drops = |c: char| c.is_whitespace() || self.dialect.drops_before_cut(c);
            let kept = self.out[self.trim_floor..].trim_end_matches(drops).len();
            self.out.truncate(self.trim_floor + kept);
            if self.address_end == Some(self.out.len()) {
                self.out.push(' ');
            }
            self.out.push_str(ELLIPSIS);
            for closer in self.open.iter().rev() {
                self.out.push_str(closer);
            }
        }
        if self.after_block || self.full {
            self.out.truncate(self.out.trim_end().len());
        }
        self.out
    }

    fn spans<S: Borrow<Span>>(&mut self, spans: &[S]) {
        let mut at = 0;
        while at < spans.len() && !self.full {
            let mut next = at + 1;
            match spans[at].borrow() {
                Span::Text { text: words, style } => {
                    let alike =
                        |span: &S| matches!(span.borrow(), Span::Text { style: other, .. } if other == style);
                    while spans.get(next).is_some_and(alike) {
                        next += 1;
                    }
                    let words = match next - at {
                        1 => Cow::Borrowed(words.as_str()),
                        _ => Cow::Owned(joined(&spans[at..next])),
                    };
                    self.words(&words, *style, first_char(&spans[next..]));
                }
                Span::Link { text: words, url, style } => {
                    self.link(words, url, *style, first_char(&spans[next..]));
                }
                Span::Reference { text: words, url, style } => {
                    let after = first_char(&spans[next..]);
                    if self.dialect.links_references() {
                        self.link(words, url, *style, after);
                    } else {
                        self.words(words, *style, after);
                    }
                }
                Span::Code(code) => self.code(code, first_char(&spans[next..])),
                Span::CodeBlock(code) => self.code_block(code),
                Span::Quote(quoted) => self.quote(quoted),
            }
            at = next;
        }
    }

    /// Writes text line by line, with the style opened and closed on each line.
    fn words(&mut self, words: &str, style: Style, next: Option<char>) {
        let words = clean(words);
        let mut lines = words.split('\n').peekable();
        while let Some(line) = lines.next() {
            let next = if lines.peek().is_none() { next } else { None };
            let inner = line.trim();
            if style == Style::PLAIN || inner.is_empty() {
                self.plain(line, next);
            } else {
                let lead = &line[..line.len() - line.trim_start().len()];
                let trail = &line[line.trim_end().len()..];
                self.plain(lead, None);
                self.styled(inner, style, trail.chars().next().or(next));
                self.plain(trail, next);
            }
            if lines.peek().is_some() {
                self.new_line();
            }
        }
    }

    fn styled(&mut self, inner: &str, style: Style, after: Option<char>) {
        let (opener, closer) = self.dialect.style_marks(style);
        let mut ends = inner.chars();
        let (Some(first), false) = (ends.next(), opener.is_empty()) else { return self.plain(inner, after) };
        let last = ends.next_back().unwrap_or(first);
        let end = closer.chars().next();
        match self.style_fit(first, last, after) {
            Fit::Omit => self.plain(inner, after),
            Fit::Direct => self.enclosed(opener, closer.into(), |renderer| renderer.plain(inner, end)),
            Fit::Padded => {
                self.put(ZERO_WIDTH_SPACE.encode_utf8(&mut [0; 4]));
                self.enclosed(opener, closer.into(), |renderer| renderer.plain(inner, end));
                self.put(ZERO_WIDTH_SPACE.encode_utf8(&mut [0; 4]));
            }
        }
    }

    fn style_fit(&mut self, first: char, last: char, after: Option<char>) -> Fit {
        self.write_due_breaks();
        let before = if self.line == Line::Start { None } else { self.out.chars().next_back() };
        let at_closer = self.closed_at == Some(self.out.len()) && self.line != Line::Start;
        self.dialect.style_fit(&StyleContext { before, first, last, after, at_closer })
    }

    /// Writes a line of text without style, with the addresses in it as links. `next` is the character after the line.
    fn plain(&mut self, line: &str, next: Option<char>) {
        if !line.contains("://") {
            return self.chars(line);
        }
        let mut pieces = pieces(line).into_iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Text(words) => self.chars(words),
                Piece::Address(spelled, address) => {
                    let after = pieces.peek().map_or(next, |piece| piece.spelled().chars().next());
                    self.bare_link(spelled, &address, after);
                }
            }
        }
    }

    fn bare_link(&mut self, spelled: &str, address: &str, after: Option<char>) {
        let mut piece = std::mem::take(&mut self.piece_buffer);
        piece.clear();
        self.dialect.bare_link(spelled, address, after, &mut piece);
        // There must be room for a space between the address and the `…`.
        if self.fits(&piece, 1) {
            self.put(&piece);
            self.address_end = Some(self.out.len());
        } else {
            self.full = true;
        }
        self.piece_buffer = piece;
    }

    fn chars(&mut self, words: &str) {
        if words.is_empty() {
            return;
        }
        self.write_due_breaks();
        let mut before = None;
        let mut rest = words;
        while !self.full {
            if self.budget.is_none() && self.line == Line::Mid {
                let harmless = rest.bytes().take_while(|b| is_harmless(*b)).count();
                if harmless > 0 {
                    self.out.push_str(&rest[..harmless]);
                    before = rest[..harmless].chars().next_back();
                    rest = &rest[harmless..];
                }
            }
            let Some(c) = rest.chars().next() else { break };
            let whole = if self.budget.is_some() { grapheme_len(rest) } else { c.len_utf8() };
            let after = &rest[c.len_utf8()..];
            if !(self.line == Line::Start && self.dialect.skips_at_line_start(c)) {
                let mut piece = std::mem::take(&mut self.piece_buffer);
                piece.clear();
                let at = CharContext {
                    c,
                    before,
                    after,
                    line: self.line,
                    within: Within::Words,
                    written: &self.out,
                };
                self.dialect.text_char(&at, &mut piece);
                piece.push_str(&rest[c.len_utf8()..whole]);
                let digits = c.is_ascii_digit() && self.line != Line::Mid;
                self.put(&piece);
                if digits && !self.full {
                    self.line = Line::Digits;
                }
                self.piece_buffer = piece;
            }
            before = rest[..whole].chars().next_back();
            rest = &rest[whole..];
        }
    }

    fn link(&mut self, words: &str, url: &str, style: Style, after: Option<char>) {
        let words = one_line(words);
        let Some(address) = address(url) else { return self.words(&words, style, after) };
        if words.is_empty() {
            return self.bare_link(&address, &address, after);
        }
        if words == url.trim() {
            return self.bare_link(&words, &address, after);
        }
        let (opener, closer) = self.dialect.style_marks(style);
        // Some readers would end the style at its mark within the address.
        let ends_within = opener.contains(|mark| matches!(mark, '*' | '~') && address.contains(mark));
        let (opener, closer) = if ends_within { ("", "") } else { (opener, closer) };
        // In every markup, a link begins and ends with punctuation.
        let (opener, closer) = match self.style_fit('[', ')', after) {
            Fit::Direct => (opener, closer),
            Fit::Padded | Fit::Omit => ("", ""),
        };
        let mut piece = std::mem::take(&mut self.piece_buffer);
        piece.clear();
        piece.push_str(opener);
        self.dialect.link(&words, &address, &mut piece);
        piece.push_str(closer);
        if self.fits(&piece, 0) {
            self.put(&piece);
            self.trim_floor = self.out.len();
            self.closed_at = (!closer.is_empty()).then_some(self.out.len());
        } else {
            self.plain(&words, after);
        }
        self.piece_buffer = piece;
    }

    fn code(&mut self, code: &str, after: Option<char>) {
        let code = one_line(code);
        if code.is_empty() {
            return;
        }
        self.write_due_breaks();
        let (mut opener, mut closer) = self.dialect.code_marks(&code);
        if !opener.is_empty() {
            // Marks next to letters, or to other marks, are not read as code.
            let touches = |c: char| c.is_alphanumeric() || c == '`';
            if self.line != Line::Start && self.out.ends_with(touches) {
                opener = format!("{ZERO_WIDTH_SPACE}{opener}").into();
            }
            if after.is_some_and(touches) {
                closer = format!("{closer}{ZERO_WIDTH_SPACE}").into();
            }
        }
        self.enclosed(&opener, closer, |renderer| renderer.code_chars(&code, Within::Code));
    }

    fn code_block(&mut self, code: &str) {
        let code = clean(code);
        let code = code.trim_matches('\n');
        if code.trim().is_empty() {
            return;
        }
        let (opener, closer) = self.dialect.block_marks();
        let end = self.dialect.block_end();
        if !end.is_empty() {
            self.fresh_line();
        }
        let depth = if self.dialect.quotes_code() { self.quote_depth } else { 0 };
        let outer_depth = std::mem::replace(&mut self.quote_depth, depth);
        let mark = self.dialect.quote_mark().repeat(self.quote_depth);
        let closer = match closer.strip_prefix('\n') {
            Some(closer) => format!("\n{mark}{closer}{end}"),
            None => format!("{closer}{end}"),
        };
        let line_break = if opener.is_empty() { self.dialect.line_break() } else { "\n" };
        self.enclosed(opener, closer.into(), |renderer| {
            if opener.ends_with('\n') {
                renderer.put_unmarked(&mark);
            }
            for (number, line) in code.split('\n').enumerate() {
                if number > 0 {
                    renderer.put_unmarked(line_break);
                    renderer.put_unmarked(&mark);
                }
                renderer.code_chars(line, Within::Block);
            }
        });
        self.quote_depth = outer_depth;
        self.after_block = !end.is_empty();
        self.line = if end.is_empty() { Line::Mid } else { Line::Start };
    }

    fn code_chars(&mut self, code: &str, within: Within) {
        let mut before = None;
        let mut rest = code;
        while let (Some(c), false) = (rest.chars().next(), self.full) {
            let whole = if self.budget.is_some() { grapheme_len(rest) } else { c.len_utf8() };
            let mut piece = std::mem::take(&mut self.piece_buffer);
            let after = &rest[c.len_utf8()..];
            let at = CharContext { c, before, after, line: Line::Mid, within, written: &self.out };
            piece.clear();
            self.dialect.code_char(&at, &mut piece);
            piece.push_str(&rest[c.len_utf8()..whole]);
            self.put(&piece);
            self.piece_buffer = piece;
            before = rest[..whole].chars().next_back();
            rest = &rest[whole..];
        }
    }

    fn quote(&mut self, text: &Text) {
        if self.quote_depth >= DEEPEST_QUOTE || text.is_blank() {
            return;
        }
        self.fresh_line();
        self.quote_depth += 1;
        self.spans(&text.0);
        self.quote_depth -= 1;
        self.due_breaks = self.dialect.breaks_after_quote();
    }

    /// Writes the opening mark, the content and the closing mark. If the limit is reached in between,
    /// [`Renderer::finish`] writes the closing mark.
    fn enclosed(&mut self, opener: &str, closer: Cow<'static, str>, write: impl FnOnce(&mut Self)) {
        if self.full {
            return;
        }
        if let Some(budget) = &mut self.budget {
            let closing = budget.limit.cost(&closer);
            if budget.left < closing {
                self.full = true;
                return;
            }
            budget.left -= closing;
        }
        self.put(opener);
        if self.full {
            return;
        }
        self.trim_floor = self.out.len();
        self.open.push(closer);
        write(self);
        if !self.full {
            // Its length was reserved above.
            self.out.push_str(&self.open.pop().unwrap_or_default());
            self.trim_floor = self.out.len();
            self.closed_at = Some(self.out.len());
        }
    }

    fn fresh_line(&mut self) {
        if self.line != Line::Start && self.due_breaks == 0 {
            self.due_breaks = 1;
        }
    }

    fn new_line(&mut self) {
        if std::mem::take(&mut self.after_block) {
            return;
        }
        self.due_breaks = self.due_breaks.saturating_sub(1);
        self.write_line_break();
    }

    fn write_line_break(&mut self) {
        if self.line == Line::Start && self.quote_depth > 0 {
            let mark = self.dialect.quote_mark().repeat(self.quote_depth);
            self.put_unmarked(&mark);
        }
        self.put_unmarked(self.dialect.line_break());
        self.line = Line::Start;
    }

    fn fits(&self, piece: &str, spare: usize) -> bool {
        self.budget.as_ref().is_none_or(|budget| {
            let breaks = budget.limit.cost(self.dialect.line_break()) * usize::from(self.due_breaks);
            let starts = if self.line == Line::Start || self.due_breaks > 0 {
                1 + usize::from(self.due_breaks)
            } else {
                0
            };
            let marks = budget.limit.cost(self.dialect.quote_mark()) * self.quote_depth * starts;
            budget.limit.cost(piece) + breaks + marks + spare <= budget.left
        })
    }

    /// Writes the line breaks that are due. After this, `line` describes the line of the next piece.
    fn write_due_breaks(&mut self) {
        self.after_block = false;
        while self.due_breaks > 0 && !self.full {
            self.due_breaks -= 1;
            self.write_line_break();
        }
    }

    /// Writes a piece completely or not at all, after the line breaks that are due and the marks of a quoted line.
    fn put(&mut self, piece: &str) {
        if piece.is_empty() || self.full {
            return;
        }
        self.write_due_breaks();
        if self.line == Line::Start && self.quote_depth > 0 {
            let mark = self.dialect.quote_mark().repeat(self.quote_depth);
            self.put_unmarked(&mark);
        }
        self.put_unmarked(piece);
        self.line = Line::Mid;
    }

    fn put_unmarked(&mut self, piece: &str) {
        if self.full {
            return;
        }
        if let Some(budget) = &mut self.budget {
            let cost = budget.limit.cost(piece);
            if cost > budget.left {
                self.full = true;
                return;
            }
            budget.left -= cost;
        }
        self.out.push_str(piece);
    }
}

/// Bytes without a meaning in any markup, except at the start of a line.
const fn is_harmless(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b',' | b'.' | b':' | b'/' | b'(' | b')')
}

/// About so many bytes a span takes.
fn room(span: &Span) -> usize {
    match span {
        Span::Text { text, .. } | Span::Code(text) | Span::CodeBlock(text) => text.len(),
        Span::Link { text, url, .. } | Span::Reference { text, url, .. } => text.len() + url.len() + 4,
        Span::Quote(text) => text.0.iter().map(room).sum(),
    }
}

/// The words of texts of one style.
fn joined<S: Borrow<Span>>(spans: &[S]) -> String {
    let words = || {
        spans.iter().map(|span| match span.borrow() {
            Span::Text { text, .. } => text.as_str(),
            _ => "",
        })
    };
    let mut all = String::with_capacity(words().map(str::len).sum());
    all.extend(words());
    all
}

/// The first character that these spans will write, to decide how a style before them can end.
fn first_char<S: Borrow<Span>>(spans: &[S]) -> Option<char> {
    let is_written = |span: &&Span| match span {
        Span::Text { text, .. } => first(text).is_some(),
        Span::Link { text, url, .. } | Span::Reference { text, url, .. } => {
            first(text).or_else(|| first(url)).is_some()
        }
        Span::Code(code) | Span::CodeBlock(code) => !clean(code).trim().is_empty(),
        Span::Quote(quoted) => !quoted.is_blank(),
    };
    match spans.iter().map(S::borrow).find(is_written)? {
        Span::Text { text, .. } => first(text),
        // A link whose address is dropped is written as its text, on one line.
        Span::Link { text, url, .. } | Span::Reference { text, url, .. } => {
            one_line(text).chars().next().or_else(|| first(url))
        }
        Span::Code(_) => Some('`'),
        Span::CodeBlock(_) | Span::Quote(_) => None,
    }
}
