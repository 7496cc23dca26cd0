//! Writes spans in one dialect, within a limit.
//!
//! What is written goes through [`Page::put`] in pieces that may not be torn: an escaped character with its
//! accents, a whole link. A piece is written only if there is room for it, for everything that must still be
//! closed, and for the `…` that will say that something is missing.

use std::borrow::Cow;

use super::Limit;
use super::address::{Piece, address, pieces};
use super::clean::{clean, cluster, first, one_line};
use super::dialect::{Around, At, Dialect, Fit, Line, Place, ZERO_WIDTH_SPACE};
use crate::message::{Span, Style, Text};

const ELLIPSIS: &str = "…";

/// Quotes within quotes beyond this are somebody's experiment, and are left out.
const DEEPEST_QUOTE: usize = 8;

/// A text on its way into one markup.
pub(super) struct Page<D> {
    dialect: D,
    out: String,
    room: Option<Room>,
    /// Nothing more goes in: what follows is not written.
    full: bool,
    line: Line,
    /// How many quotes we are in.
    quoted: usize,
    /// Line breaks that are due before anything else is written.
    due: u8,
    /// The last line break was written by the end of a block, and stands for the next one.
    after_block: bool,
    /// What is open and must be closed, outermost first.
    open: Vec<Cow<'static, str>>,
    /// Up to here, spaces belong to markup and must stay.
    solid: usize,
    /// Where the last style was closed.
    closed_at: Option<usize>,
    /// Where the last bare address ended: what stands right behind it would be taken for a part of it.
    address_end: Option<usize>,
    scratch: String,
}

/// What is left of a limit, less all that is already promised.
struct Room {
    limit: Limit,
    left: usize,
}

impl<D: Dialect> Page<D> {
    pub fn new(dialect: D, limit: Option<Limit>) -> Self {
        let room = limit.map(|limit| {
            let left = limit.allowance().checked_sub(limit.cost(ELLIPSIS));
            (Room { limit, left: left.unwrap_or(0) }, left.is_none())
        });
        Self {
            dialect,
            out: String::new(),
            full: room.as_ref().is_some_and(|(_, too_small)| *too_small),
            room: room.map(|(room, _)| room),
            line: Line::Start,
            quoted: 0,
            due: 0,
            after_block: false,
            open: Vec::new(),
            solid: 0,
            closed_at: None,
            address_end: None,
            scratch: String::new(),
        }
    }

    /// The text in this markup.
    pub fn write(mut self, text: &Text) -> String {
        let too_small = self.full;
        self.spans(text);
        if too_small { String::new() } else { self.finish() }
    }

    fn finish(mut self) -> String {
        if self.full {
            let dangles = |c: char| c.is_whitespace() || self.dialect.dangles(c);
            let kept = self.out[self.solid..].trim_end_matches(dangles).len();
            self.out.truncate(self.solid + kept);
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

    fn spans(&mut self, text: &Text) {
        let spans = &text.0;
        let mut at = 0;
        while at < spans.len() && !self.full {
            let mut next = at + 1;
            match &spans[at] {
                Span::Text { text: words, style } => {
                    let alike =
                        |span: &Span| matches!(span, Span::Text { style: other, .. } if other == style);
                    while spans.get(next).is_some_and(alike) {
                        next += 1;
                    }
                    let words = match next - at {
                        1 => Cow::Borrowed(words.as_str()),
                        _ => Cow::Owned(Text(spans[at..next].to_vec()).plain_text()),
                    };
                    self.words(&words, *style, first_glyph(&spans[next..]));
                }
                Span::Link { text: words, url, style } => {
                    self.link(words, url, *style, first_glyph(&spans[next..]));
                }
                Span::Code(code) => self.code(code, first_glyph(&spans[next..])),
                Span::CodeBlock(code) => self.code_block(code),
                Span::Quote(quoted) => self.quote(quoted),
            }
            at = next;
        }
    }

    /// People's words, line by line, each line with the style on its own.
    fn words(&mut self, words: &str, style: Style, next: Option<char>) {
        let words = clean(words);
        let mut lines = words.split('\n').peekable();
        while let Some(line) = lines.next() {
            let next = if lines.peek().is_none() { next } else { None };
            let inner = line.trim();
            if style == Style::PLAIN || inner.is_empty() {
                self.plain(line);
            } else {
                let lead = &line[..line.len() - line.trim_start().len()];
                let trail = &line[line.trim_end().len()..];
                self.plain(lead);
                self.styled(inner, style, trail.chars().next().or(next));
                self.plain(trail);
            }
            if lines.peek().is_some() {
                self.new_line();
            }
        }
    }

    fn styled(&mut self, inner: &str, style: Style, after: Option<char>) {
        let (opener, closer) = self.dialect.marks(style);
        let mut ends = inner.chars();
        let (Some(first), false) = (ends.next(), opener.is_empty()) else { return self.plain(inner) };
        let last = ends.next_back().unwrap_or(first);
        match self.fit(first, last, after) {
            Fit::Not => self.plain(inner),
            Fit::Snug => self.enclosed(opener, closer.into(), |page| page.plain(inner)),
            Fit::Padded => {
                self.put(ZERO_WIDTH_SPACE.encode_utf8(&mut [0; 4]));
                self.enclosed(opener, closer.into(), |page| page.plain(inner));
                self.put(ZERO_WIDTH_SPACE.encode_utf8(&mut [0; 4]));
            }
        }
    }

    fn fit(&mut self, first: char, last: char, after: Option<char>) -> Fit {
        self.begin();
        let before = if self.line == Line::Start { None } else { self.out.chars().next_back() };
        let at_closer = self.closed_at == Some(self.out.len()) && self.line != Line::Start;
        self.dialect.fit(&Around { before, first, last, after, at_closer })
    }

    /// A line of words without style, with the addresses that people spelled out in it.
    fn plain(&mut self, line: &str) {
        if !line.contains("://") {
            return self.glyphs(line);
        }
        for piece in pieces(line) {
            match piece {
                Piece::Words(words) => self.glyphs(words),
                Piece::Address(spelled, address) => self.bare_link(spelled, &address),
            }
        }
    }

    fn bare_link(&mut self, spelled: &str, address: &str) {
        let mut piece = std::mem::take(&mut self.scratch);
        piece.clear();
        self.dialect.bare_link(spelled, address, &mut piece);
        // A space must fit between it and the `…`.
        if self.fits(&piece, 1) {
            self.put(&piece);
            self.address_end = Some(self.out.len());
        } else {
            self.full = true;
        }
        self.scratch = piece;
    }

    fn glyphs(&mut self, words: &str) {
        if words.is_empty() {
            return;
        }
        self.begin();
        let mut before = None;
        let mut rest = words;
        while !self.full {
            if self.room.is_none() && self.line == Line::Mid {
                let harmless = rest.bytes().take_while(|b| is_harmless(*b)).count();
                if harmless > 0 {
                    self.out.push_str(&rest[..harmless]);
                    before = rest[..harmless].chars().next_back();
                    rest = &rest[harmless..];
                }
            }
            let Some(glyph) = rest.chars().next() else { break };
            let whole = if self.room.is_some() { cluster(rest) } else { glyph.len_utf8() };
            let after = &rest[glyph.len_utf8()..];
            if !(self.line == Line::Start && self.dialect.trims(glyph)) {
                let mut piece = std::mem::take(&mut self.scratch);
                piece.clear();
                let at =
                    At { glyph, before, after, line: self.line, place: Place::Words, written: &self.out };
                self.dialect.glyph(&at, &mut piece);
                piece.push_str(&rest[glyph.len_utf8()..whole]);
                let digits = glyph.is_ascii_digit() && self.line != Line::Mid;
                self.put(&piece);
                if digits && !self.full {
                    self.line = Line::Digits;
                }
                self.scratch = piece;
            }
            before = rest[..whole].chars().next_back();
            rest = &rest[whole..];
        }
    }

    fn link(&mut self, words: &str, url: &str, style: Style, after: Option<char>) {
        let words = one_line(words);
        let Some(address) = address(url) else { return self.words(&words, style, after) };
        if words.is_empty() {
            return self.bare_link(&address, &address);
        }
        if words == url.trim() {
            return self.bare_link(&words, &address);
        }
        let (opener, closer) = self.dialect.marks(style);
        // What a link begins and ends with is punctuation in every markup.
        let (opener, closer) = match self.fit('[', ')', after) {
            Fit::Snug => (opener, closer),
            Fit::Padded | Fit::Not => ("", ""),
        };
        let mut piece = String::with_capacity(words.len() + address.len() + 16);
        piece.push_str(opener);
        self.dialect.link(&words, &address, &mut piece);
        piece.push_str(closer);
        if self.fits(&piece, 0) {
            self.put(&piece);
            self.solid = self.out.len();
            self.closed_at = (!closer.is_empty()).then_some(self.out.len());
        } else {
            self.plain(&words);
        }
    }

    fn code(&mut self, code: &str, after: Option<char>) {
        let code = one_line(code);
        if code.is_empty() {
            return;
        }
        self.begin();
        let (mut opener, mut closer) = self.dialect.code_marks(&code);
        if !opener.is_empty() {
            // Marks that touch letters, or one another, are read as something else.
            let touches = |c: char| c.is_alphanumeric() || c == '`';
            if self.line != Line::Start && self.out.ends_with(touches) {
                opener = format!("{ZERO_WIDTH_SPACE}{opener}").into();
            }
            if after.is_some_and(touches) {
                closer = format!("{closer}{ZERO_WIDTH_SPACE}").into();
            }
        }
        self.enclosed(&opener, closer, |page| page.code_glyphs(&code, Place::Code));
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
        let quoted = if self.dialect.quotes_code() { self.quoted } else { 0 };
        let quoted = std::mem::replace(&mut self.quoted, quoted);
        let mark = self.dialect.quote_mark().repeat(self.quoted);
        let closer = match closer.strip_prefix('\n') {
            Some(closer) => format!("\n{mark}{closer}{end}"),
            None => format!("{closer}{end}"),
        };
        let line_break = if opener.is_empty() { self.dialect.line_break() } else { "\n" };
        self.enclosed(opener, closer.into(), |page| {
            if opener.ends_with('\n') {
                page.put_unmarked(&mark);
            }
            for (number, line) in code.split('\n').enumerate() {
                if number > 0 {
                    page.put_unmarked(line_break);
                    page.put_unmarked(&mark);
                }
                page.code_glyphs(line, Place::Block);
            }
        });
        self.quoted = quoted;
        self.after_block = !end.is_empty();
        self.line = if end.is_empty() { Line::Mid } else { Line::Start };
    }

    fn code_glyphs(&mut self, code: &str, place: Place) {
        let mut before = None;
        let mut rest = code;
        while let (Some(glyph), false) = (rest.chars().next(), self.full) {
            let whole = if self.room.is_some() { cluster(rest) } else { glyph.len_utf8() };
            let mut piece = std::mem::take(&mut self.scratch);
            let after = &rest[glyph.len_utf8()..];
            let at = At { glyph, before, after, line: Line::Mid, place, written: &self.out };
            piece.clear();
            self.dialect.code_glyph(&at, &mut piece);
            piece.push_str(&rest[glyph.len_utf8()..whole]);
            self.put(&piece);
            self.scratch = piece;
            before = rest[..whole].chars().next_back();
            rest = &rest[whole..];
        }
    }

    fn quote(&mut self, text: &Text) {
        if self.quoted >= DEEPEST_QUOTE || text.is_blank() {
            return;
        }
        self.fresh_line();
        self.quoted += 1;
        self.spans(text);
        self.quoted -= 1;
        self.due = self.dialect.breaks_after_quote();
    }

    /// Opens, writes and closes. Where the room ends in between, [`Page::finish`] does the closing.
    fn enclosed(&mut self, opener: &str, closer: Cow<'static, str>, write: impl FnOnce(&mut Self)) {
        if self.full {
            return;
        }
        if let Some(room) = &mut self.room {
            let closing = room.limit.cost(&closer);
            if room.left < closing {
                self.full = true;
                return;
            }
            room.left -= closing;
        }
        self.put(opener);
        if self.full {
            return;
        }
        self.solid = self.out.len();
        self.open.push(closer);
        write(self);
        if !self.full {
            // Its room was set aside above.
            self.out.push_str(&self.open.pop().unwrap_or_default());
            self.solid = self.out.len();
            self.closed_at = Some(self.out.len());
        }
    }

    fn fresh_line(&mut self) {
        if self.line != Line::Start && self.due == 0 {
            self.due = 1;
        }
    }

    fn new_line(&mut self) {
        if std::mem::take(&mut self.after_block) {
            return;
        }
        self.due = self.due.saturating_sub(1);
        self.write_line_break();
    }

    fn write_line_break(&mut self) {
        if self.line == Line::Start && self.quoted > 0 {
            let mark = self.dialect.quote_mark().repeat(self.quoted);
            self.put_unmarked(&mark);
        }
        self.put_unmarked(self.dialect.line_break());
        self.line = Line::Start;
    }

    fn fits(&self, piece: &str, spare: usize) -> bool {
        self.room.as_ref().is_none_or(|room| {
            let breaks = room.limit.cost(self.dialect.line_break()) * usize::from(self.due);
            let starts = if self.line == Line::Start || self.due > 0 { 1 + usize::from(self.due) } else { 0 };
            let marks = room.limit.cost(self.dialect.quote_mark()) * self.quoted * starts;
            room.limit.cost(piece) + breaks + marks + spare <= room.left
        })
    }

    /// Writes the line breaks that are due: after this, `line` says where the next piece will stand.
    fn begin(&mut self) {
        self.after_block = false;
        while self.due > 0 && !self.full {
            self.due -= 1;
            self.write_line_break();
        }
    }

    /// Writes a piece, whole or not at all, after the line breaks that are due and the marks of a quoted line.
    fn put(&mut self, piece: &str) {
        if piece.is_empty() || self.full {
            return;
        }
        self.begin();
        if self.line == Line::Start && self.quoted > 0 {
            let mark = self.dialect.quote_mark().repeat(self.quoted);
            self.put_unmarked(&mark);
        }
        self.put_unmarked(piece);
        self.line = Line::Mid;
    }

    fn put_unmarked(&mut self, piece: &str) {
        if self.full {
            return;
        }
        if let Some(room) = &mut self.room {
            let cost = room.limit.cost(piece);
            if cost > room.left {
                self.full = true;
                return;
            }
            room.left -= cost;
        }
        self.out.push_str(piece);
    }
}

/// Bytes that stand for themselves in every markup, but for the start of a line.
const fn is_harmless(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b',' | b'.' | b':' | b'/' | b'(' | b')')
}

/// What the next thing written will begin with, as far as a style that ends before it is concerned.
fn first_glyph(spans: &[Span]) -> Option<char> {
    let is_written = |span: &&Span| match span {
        Span::Text { text, .. } => first(text).is_some(),
        Span::Link { text, url, .. } => first(text).or_else(|| first(url)).is_some(),
        Span::Code(code) | Span::CodeBlock(code) => !clean(code).trim().is_empty(),
        Span::Quote(quoted) => !quoted.is_blank(),
    };
    match spans.iter().find(is_written)? {
        Span::Text { text, .. } => first(text),
        // Of a link whose address is dropped, the words are left.
        Span::Link { text, url, .. } => first(text).or_else(|| first(url)),
        Span::Code(_) => Some('`'),
        Span::CodeBlock(_) | Span::Quote(_) => None,
    }
}
