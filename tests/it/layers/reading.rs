//! Reads Rust just well enough to see who speaks of whom: words, marks and string literals with their lines; which of
//! them are there for tests alone; and every path, with `use` groups spread out and `super` resolved.
//!
//! * [`Source`]: one file.
//! * [`Token`]: a piece of it.
//! * [`Path`]: something like `crate::event::Event`.
//!
//! Not a parser: what macros make of their input is not seen, and what their input looks like is.

use std::iter;

/// One file below `src/`.
pub struct Source {
    /// `adapters/slack.rs`
    pub path: String,
    /// `["adapters", "slack"]`
    pub module: Vec<String>,
    pub tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub line: usize,
    pub kind: Kind,
    pub text: String,
    /// Within an item that is compiled for tests only.
    pub for_tests: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Word,
    Mark,
    /// A string literal, without its quotes.
    Literal,
}

#[derive(Debug, PartialEq)]
pub struct Path {
    pub line: usize,
    /// Begins with `crate` if it is in this crate, even if it was written in another way.
    pub segments: Vec<String>,
    pub is_macro: bool,
    pub for_tests: bool,
}

impl Source {
    pub fn read(path: &str, text: &str) -> Source {
        let mut tokens: Vec<Token> = Lexer { rest: text.chars().collect(), at: 0, line: 1 }.collect();
        mark_tests(&mut tokens);
        Source { path: path.to_owned(), module: module_of(path), tokens }
    }

    /// `adapters`; of a file at the top, its own name.
    pub fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Modules with a file of their own that are declared for tests only.
    pub fn test_modules(&self) -> Vec<Vec<String>> {
        let declarations = self.tokens.windows(3).filter(|found| {
            found[0].is("mod") && found[1].kind == Kind::Word && found[2].is(";") && found[0].for_tests
        });
        declarations.map(|found| joined(&self.module, &found[1].text)).collect()
    }

    pub fn paths(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        let mut inline: Vec<(usize, String)> = Vec::new();
        let (mut depth, mut at) = (0, 0);
        while let Some(token) = self.tokens.get(at) {
            if token.is("{") {
                depth += 1;
                if at >= 2 && self.tokens[at - 2].is("mod") {
                    inline.push((depth, self.tokens[at - 1].text.clone()));
                }
            } else if token.is("}") {
                inline.retain(|(opened, _)| *opened < depth);
                depth = depth.saturating_sub(1);
            }
            if !self.begins_path(at) {
                at += 1;
                continue;
            }
            let first = paths.len();
            at = self.spread(at, &[], &mut paths).max(at + 1);
            let module: Vec<String> =
                self.module.iter().cloned().chain(inline.iter().map(|(_, name)| name.clone())).collect();
            for path in &mut paths[first..] {
                path.segments = resolved(&path.segments, &module);
            }
        }
        paths
    }

    fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(text))
    }

    fn begins_path(&self, at: usize) -> bool {
        let previous = |back: usize| at.checked_sub(back).map(|at| &self.tokens[at]);
        if previous(1).is_some_and(|token| token.is("use")) {
            return true;
        }
        let is_start = self.tokens[at].kind == Kind::Word && self.is(at + 1, "::");
        match previous(1) {
            Some(token) if token.is(".") => false,
            // `::tokio::spawn` begins here, the `b` of `a::b` or of `<A>::b` does not.
            Some(token) if token.is("::") => {
                let goes_on = |token: &Token| token.kind == Kind::Word || token.is(">");
                is_start && !previous(2).is_some_and(goes_on)
            }
            _ => is_start,
        }
    }

    /// Follows a path, and each branch of a `use` group, to the end. Returns where to read on.
    fn spread(&self, mut at: usize, prefix: &[String], paths: &mut Vec<Path>) -> usize {
        let mut segments = prefix.to_vec();
        if self.is(at, "::") {
            at += 1;
        }
        while let Some(token) = self.tokens.get(at) {
            if token.is("{") {
                return self.spread_group(at + 1, &segments, paths);
            }
            let is_segment = token.kind == Kind::Word || token.is("*");
            if is_segment {
                segments.push(token.text.clone());
                at += 1;
            }
            if is_segment && self.is(at, "::") && !self.is(at + 1, "<") {
                at += 1;
                continue;
            }
            if !segments.is_empty() {
                let (line, for_tests) = (token.line, token.for_tests);
                paths.push(Path { line, segments, is_macro: self.is(at, "!"), for_tests });
            }
            break;
        }
        at
    }

    fn spread_group(&self, mut at: usize, prefix: &[String], paths: &mut Vec<Path>) -> usize {
        while at < self.tokens.len() && !self.is(at, "}") {
            at = self.spread(at, prefix, paths);
            // The rest of `a as b`, and the comma.
            while at < self.tokens.len() && !self.is(at, ",") && !self.is(at, "}") {
                at += 1;
            }
            if self.is(at, ",") {
                at += 1;
            }
        }
        at + 1
    }
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        self.kind != Kind::Literal && self.text == text
    }
}

fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    let is_root = module.len() == 1 && matches!(path, "lib" | "main");
    if is_root || module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

fn joined(module: &[String], name: &str) -> Vec<String> {
    module.iter().cloned().chain(iter::once(name.to_owned())).collect()
}

/// `super::x` and `self::x` as seen from a module, as `crate::…`.
fn resolved(segments: &[String], module: &[String]) -> Vec<String> {
    let mut segments = segments.to_vec();
    // `use crate::event::{self}` is `crate::event`.
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    if !matches!(segments[0].as_str(), "self" | "super") {
        return segments;
    }
    let mut base = module.to_vec();
    let relative = segments.iter().take_while(|segment| matches!(segment.as_str(), "self" | "super")).count();
    for _ in segments[..relative].iter().filter(|segment| *segment == "super") {
        base.pop();
    }
    iter::once("crate".to_owned()).chain(base).chain(segments.split_off(relative)).collect()
}

// ---- what is for tests -------------------------------------------------------------------------------------------

fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at < tokens.len() {
        let (is_inner, open) = if tokens[at].is("#") && tokens.get(at + 1).is_some_and(|next| next.is("!")) {
            (true, at + 2)
        } else {
            (false, at + 1)
        };
        if !(tokens[at].is("#") && tokens.get(open).is_some_and(|next| next.is("["))) {
            at += 1;
            continue;
        }
        let close = closing(tokens, open);
        let attribute = &tokens[open..close];
        let has = |word: &str| attribute.iter().any(|token| token.is(word));
        if has("cfg") && has("test") && !has("not") {
            let end = if is_inner { tokens.len() } else { end_of_item(tokens, close + 1) };
            tokens[at..end].iter_mut().for_each(|token| token.for_tests = true);
        }
        at = close + 1;
    }
}

/// The place of the bracket that closes the one here, or the end.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.kind == Kind::Mark {
            match token.text.as_str() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// One past the item that begins here: its semicolon, or its closing brace.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            ";" if token.kind == Kind::Mark => return at + 1,
            "{" if token.kind == Kind::Mark => return (closing(tokens, at) + 1).min(tokens.len()),
            "(" | "[" if token.kind == Kind::Mark => at = closing(tokens, at) + 1,
            _ => at += 1,
        }
    }
    tokens.len()
}

// ---- tokens ------------------------------------------------------------------------------------------------------

fn token(line: usize, kind: Kind, text: &str) -> Token {
    Token { line, kind, text: text.to_owned(), for_tests: false }
}

struct Lexer {
    rest: Vec<char>,
    at: usize,
    line: usize,
}

impl Iterator for Lexer {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let c = self.peek(0)?;
            match (c, self.peek(1)) {
                ('/', Some('/')) => drop(self.take_while(|c| c != '\n')),
                ('/', Some('*')) => self.skip_block_comment(),
                ('\'', _) => self.skip_char_or_lifetime(),
                _ if c.is_whitespace() => drop(self.bump()),
                _ if c == '"' => return Some(self.string()),
                _ if c.is_alphabetic() || c == '_' => return Some(self.word_or_prefixed_string()),
                _ if c.is_ascii_digit() => return Some(self.number()),
                (':', Some(':')) => {
                    self.bump();
                    self.bump();
                    return Some(token(self.line, Kind::Mark, "::"));
                }
                _ => {
                    self.bump();
                    return Some(token(self.line, Kind::Mark, &c.to_string()));
                }
            }
        }
    }
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while self.peek(0).is_some_and(&wanted) {
            taken.extend(self.bump());
        }
        taken
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.bump(), self.peek(0)) {
                (Some('/'), Some('*')) => {
                    self.bump();
                    depth += 1;
                }
                (Some('*'), Some('/')) => {
                    self.bump();
                    depth -= 1;
                }
                (None, _) => return,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_char_or_lifetime(&mut self) {
        self.bump();
        if self.peek(0) == Some('\\') {
            self.bump();
            self.bump();
            self.take_while(|c| c != '\'');
            self.bump();
        } else if self.peek(1) == Some('\'') {
            self.bump();
            self.bump();
        } else {
            self.take_while(|c| c.is_alphanumeric() || c == '_');
        }
    }

    fn word_or_prefixed_string(&mut self) -> Token {
        let line = self.line;
        let word = self.take_while(|c| c.is_alphanumeric() || c == '_');
        let hashes =
            iter::successors(Some(0), |n| Some(n + 1)).find(|n| self.peek(*n) != Some('#')).unwrap_or(0);
        let quoted = self.peek(hashes) == Some('"');
        match word.as_str() {
            "r" | "br" | "cr" if quoted => self.raw_string(hashes),
            "b" | "c" if quoted && hashes == 0 => self.string(),
            "b" if self.peek(0) == Some('\'') => {
                self.skip_char_or_lifetime();
                token(line, Kind::Mark, "'")
            }
            "r" if hashes == 1 => {
                self.bump();
                self.word_or_prefixed_string()
            }
            _ => token(line, Kind::Word, &word),
        }
    }

    fn string(&mut self) -> Token {
        let (line, mut text) = (self.line, String::new());
        self.bump();
        while let Some(c) = self.bump() {
            match c {
                '"' => break,
                '\\' => drop(self.bump()),
                _ => text.push(c),
            }
        }
        token(line, Kind::Literal, &text)
    }

    fn raw_string(&mut self, hashes: usize) -> Token {
        let (line, mut text) = (self.line, String::new());
        let end: String = iter::once('"').chain(iter::repeat_n('#', hashes)).collect();
        for _ in 0..=hashes {
            self.bump();
        }
        while let Some(c) = self.bump() {
            text.push(c);
            if text.ends_with(&end) {
                text.truncate(text.len() - end.len());
                break;
            }
        }
        token(line, Kind::Literal, &text)
    }

    fn number(&mut self) -> Token {
        let line = self.line;
        self.take_while(|c| c.is_alphanumeric() || c == '_');
        token(line, Kind::Mark, "0")
    }
}

mod tests {
    use super::*;

    fn paths(path: &str, text: &str) -> Vec<String> {
        Source::read(path, text).paths().into_iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn groups_are_spread_out_and_aliases_left_out() {
        let text = "use crate::{event::{self, Event as E}, call::*};\nuse std::{fs, io as i};";
        let expected = ["crate::event", "crate::event::Event", "crate::call::*", "std::fs", "std::io"];
        assert_eq!(paths("api/mod.rs", text), expected);
    }

    #[test]
    fn relative_paths_are_resolved() {
        assert_eq!(
            paths("adapters/slack.rs", "use super::discord::Colour;"),
            ["crate::adapters::discord::Colour"]
        );
        assert_eq!(paths("adapters/mod.rs", "use super::store::Outbox;"), ["crate::store::Outbox"]);
        let nested = "mod tests { use super::super::teams; mod deep { use super::x; } }\nuse self::a;";
        let expected =
            ["crate::adapters::teams", "crate::adapters::slack::tests::x", "crate::adapters::slack::a"];
        assert_eq!(paths("adapters/slack.rs", nested), expected);
    }

    #[test]
    fn paths_are_found_in_expressions_but_not_in_strings_and_comments() {
        let text = r##"
            /// crate::store in a comment /* and
            fn f<'a>(x: &'a str) -> Vec::<crate::call::Call> { /* crate::store /* ::nested */ */
                let c = '"'; let d = '\''; let e = b'"'; "crate::store \" crate::store"; r#"tokio::" spawn"#;
                ::axum::serve(x.y::<u8>(), <A as B>::c(), $crate::event::x!(), 1..2);
            }"##;
        let expected = ["Vec", "crate::call::Call", "axum::serve", "crate::event::x"];
        assert_eq!(paths("api/mod.rs", text), expected);
        let lines: Vec<usize> =
            Source::read("api/mod.rs", text).paths().iter().map(|path| path.line).collect();
        assert_eq!(lines, [3, 3, 5, 5]);
    }

    #[test]
    fn test_code_is_recognised() {
        let text = "use a::x;\n#[cfg(test)]\n#[rustfmt::skip]\nmod tests { fn f() { b::x } }\nuse c::x;\n\
                    #[cfg(not(test))] use d::x;\n#[cfg(test)] mod suite;\nuse e::x;\n#[cfg(test)] fn g(a: [u8; 2]) { f::x }";
        let source = Source::read("store/mod.rs", text);
        let for_tests: Vec<(String, bool)> =
            source.paths().into_iter().map(|path| (path.segments[0].clone(), path.for_tests)).collect();
        let expected = [
            ("a", false),
            ("rustfmt", true),
            ("b", true),
            ("c", false),
            ("d", false),
            ("e", false),
            ("f", true),
        ];
        assert_eq!(for_tests, expected.map(|(name, is)| (name.to_owned(), is)));
        assert_eq!(source.test_modules(), [["store", "suite"]]);
    }
}
