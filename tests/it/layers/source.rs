//! Reads what a source file names: paths, words and texts, each with its line, and whether it is compiled for tests only.
//!
//! `proc_macro2` makes the tokens. The input of macros is read like other code; what they expand to is not seen.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// One file below `src/`.
pub struct Source {
    /// `adapters/chat/slack.rs`
    pub path: String,
    /// `["adapters", "chat", "slack"]`
    pub module: Vec<String>,
    pub found: Vec<Found>,
    /// Modules in files of their own that are declared for tests only.
    pub test_modules: Vec<Vec<String>>,
}

pub struct Found {
    pub line: usize,
    pub for_tests: bool,
    pub what: What,
}

pub enum What {
    /// `crate::event::Event`. It begins with `crate` where it leads to this crate, however it is written.
    Path {
        segments: Vec<String>,
        is_macro: bool,
    },
    Word(String),
    /// A string literal, without its opening quote and the white space after that.
    Text(String),
}

impl Source {
    pub fn read(path: &str, text: &str) -> Source {
        let stem = path.strip_suffix(".rs").unwrap_or(path);
        let mut module: Vec<String> = stem.split('/').map(str::to_owned).collect();
        if ["lib", "main"].contains(&stem) || stem.ends_with("/mod") {
            module.pop();
        }
        let mut source =
            Source { path: path.to_owned(), module, found: Vec::new(), test_modules: Vec::new() };
        let tokens = text.parse().unwrap_or_else(|error| panic!("src/{path}: {error}"));
        source.collect(tokens, &source.module.clone(), false);
        source
    }

    /// `adapters`; of a file at the top, its own name.
    pub fn top(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or_default()
    }

    /// The words of code that is not for tests, in order.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.found.iter().filter(|found| !found.for_tests).filter_map(|found| match &found.what {
            What::Word(word) => Some(word.as_str()),
            What::Path { .. } | What::Text(_) => None,
        })
    }

    fn collect(&mut self, tokens: TokenStream, module: &[String], mut all_for_tests: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut at, mut tests_until, mut path_until) = (0, 0, 0);
        while at < tokens.len() {
            if let Some((attribute, is_inner, end)) = attribute(&tokens, at) {
                if is_cfg_test(&attribute) {
                    all_for_tests |= is_inner;
                    tests_until = tests_until.max(end_of_item(&tokens, end));
                }
                // A doc comment is an attribute too, and its text is no code.
                if !begins_with(&attribute, "doc") {
                    self.collect(attribute, module, all_for_tests || at < tests_until);
                }
                at = end;
                continue;
            }
            let for_tests = all_for_tests || at < tests_until;
            if at >= path_until && begins_path(&tokens, at) {
                path_until = self.spread(&tokens, at, &[], module, for_tests);
            }
            let line = tokens[at].span().start().line;
            match &tokens[at] {
                TokenTree::Ident(word) => {
                    let what = What::Word(word.to_string());
                    self.found.push(Found { line, for_tests, what });
                }
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let is_opening = |c: char| c.is_whitespace() || r#"bcr#"\n"#.contains(c);
                    let what = What::Text(text.trim_start_matches(is_opening).to_owned());
                    self.found.push(Found { line, for_tests, what });
                }
                // The branches of a `use` group are part of its path.
                TokenTree::Group(_) if at < path_until => {}
                TokenTree::Group(group) => match module_name(&tokens, at) {
                    Some(name) => self.collect(group.stream(), &joined(module, &name), for_tests),
                    None => self.collect(group.stream(), module, for_tests),
                },
                TokenTree::Punct(mark) => {
                    let declared = module_name(&tokens, at).filter(|_| mark.as_char() == ';' && for_tests);
                    self.test_modules.extend(declared.map(|name| joined(module, &name)));
                }
            }
            at += 1;
        }
    }

    /// Follows a path, and each branch of a `use` group, to its end. Returns where the path ends.
    fn spread(
        &mut self,
        tokens: &[TokenTree],
        mut at: usize,
        prefix: &[String],
        module: &[String],
        for_tests: bool,
    ) -> usize {
        let mut segments = prefix.to_vec();
        if is_colons(tokens, at) {
            at += 2;
        }
        loop {
            match tokens.get(at) {
                Some(TokenTree::Ident(word)) => segments.push(word.to_string()),
                Some(TokenTree::Punct(mark)) if mark.as_char() == '*' && !segments.is_empty() => {
                    segments.push("*".to_owned());
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in inner.split(|token| is_mark(Some(token), ',')) {
                        self.spread(branch, 0, &segments, module, for_tests);
                    }
                    return at + 1;
                }
                _ => return at,
            }
            let line = tokens[at].span().start().line;
            at += 1;
            if is_colons(tokens, at) && !is_mark(tokens.get(at + 2), '<') {
                at += 2;
                continue;
            }
            let is_macro = matches!(tokens.get(at), Some(TokenTree::Punct(mark))
                if mark.as_char() == '!' && mark.spacing() == Spacing::Alone);
            let what = What::Path { segments: resolved(segments, module), is_macro };
            self.found.push(Found { line, for_tests, what });
            return at;
        }
    }
}

/// `super::x` and `self::x`, as seen from a module, begin with `crate` too.
fn resolved(mut segments: Vec<String>, module: &[String]) -> Vec<String> {
    // `use crate::event::{self}` is `crate::event`.
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    let relative =
        segments.iter().take_while(|segment| ["self", "super"].contains(&segment.as_str())).count();
    if relative == 0 {
        return segments;
    }
    let rest = segments.split_off(relative);
    let up = segments.iter().filter(|segment| *segment == "super").count();
    let base = &module[..module.len().saturating_sub(up)];
    ["crate".to_owned()].into_iter().chain(base.iter().cloned()).chain(rest).collect()
}

fn begins_path(tokens: &[TokenTree], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at));
    if is_word(before(1), "use") {
        return true;
    }
    let is_start = matches!(tokens[at], TokenTree::Ident(_)) && is_colons(tokens, at + 1);
    if at >= 2 && is_colons(tokens, at - 2) {
        // `tokio` begins a path in `::tokio::spawn`; `b` does not in `a::b::c` or `<A>::b::c`.
        return is_start && !matches!(before(3), Some(TokenTree::Ident(_))) && !is_mark(before(3), '>');
    }
    is_start && !is_mark(before(1), '.')
}

/// The tokens of an attribute that begins here, whether it is an inner one, and where it ends.
fn attribute(tokens: &[TokenTree], at: usize) -> Option<(TokenStream, bool, usize)> {
    let is_inner = is_mark(tokens.get(at + 1), '!');
    let end = at + 1 + usize::from(is_inner);
    match tokens.get(end) {
        Some(TokenTree::Group(group))
            if is_mark(tokens.get(at), '#') && group.delimiter() == Delimiter::Bracket =>
        {
            Some((group.stream(), is_inner, end + 1))
        }
        _ => None,
    }
}

fn is_cfg_test(attribute: &TokenStream) -> bool {
    let text = if begins_with(attribute, "cfg") { attribute.to_string() } else { return false };
    let has =
        |wanted: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == wanted);
    has("test") && !has("not")
}

fn begins_with(tokens: &TokenStream, word: &str) -> bool {
    is_word(tokens.clone().into_iter().next().as_ref(), word)
}

/// One past the item that begins here: its semicolon, or its closing brace.
fn end_of_item(tokens: &[TokenTree], from: usize) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_mark(Some(token), ';'),
    };
    tokens[from..].iter().position(ends).map_or(tokens.len(), |at| from + at + 1)
}

/// `x`, where `mod x` stands before this token.
fn module_name(tokens: &[TokenTree], at: usize) -> Option<String> {
    let is_module = at >= 2 && is_word(tokens.get(at - 2), "mod");
    is_module.then(|| tokens[at - 1].to_string())
}

fn joined(module: &[String], name: &str) -> Vec<String> {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

fn is_word(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == word)
}

fn is_mark(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    let is_joint =
        |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.spacing() == Spacing::Joint);
    is_mark(tokens.get(at), ':') && tokens.get(at).is_some_and(is_joint) && is_mark(tokens.get(at + 1), ':')
}

fn paths(source: &Source) -> Vec<String> {
    let path = |found: &Found| match &found.what {
        What::Path { segments, .. } => Some(segments.join("::")),
        What::Word(_) | What::Text(_) => None,
    };
    source.found.iter().filter_map(path).collect()
}

#[test]
fn groups_are_spread_out_and_aliases_left_out() {
    let source = Source::read(
        "api/mod.rs",
        "use crate::{event::{self, Event as E}, call::*};\nuse std::{fs, io as i};",
    );
    assert_eq!(
        paths(&source),
        ["crate::event", "crate::event::Event", "crate::call::*", "std::fs", "std::io"]
    );
}

#[test]
fn relative_paths_are_resolved() {
    let of = |path, text| paths(&Source::read(path, text));
    assert_eq!(of("adapters/slack.rs", "use super::discord::Colour;"), ["crate::adapters::discord::Colour"]);
    assert_eq!(of("adapters/mod.rs", "use super::store::Outbox;"), ["crate::store::Outbox"]);
    let nested = "mod tests { use super::super::teams; mod deep { use super::x; } }\nuse self::a;";
    let expected =
        ["crate::adapters::teams", "crate::adapters::slack::tests::x", "crate::adapters::slack::a"];
    assert_eq!(of("adapters/slack.rs", nested), expected);
}

#[test]
fn paths_are_found_in_expressions_but_not_in_strings_and_comments() {
    let text = r##"
        /// crate::store in a comment /* and
        fn f<'a>(x: &'a str) -> Vec::<crate::call::Call> { /* crate::store /* ::nested */ */
            let c = '"'; let d = '\''; let e = b'"'; "crate::store \" crate::store"; r#"tokio::" spawn"#;
            ::axum::serve(x.y::<u8>(), <A as B>::c(), $crate::event::x!(), 1..2);
        }"##;
    let source = Source::read("api/mod.rs", text);
    assert_eq!(paths(&source), ["Vec", "crate::call::Call", "axum::serve", "crate::event::x"]);
    let lines: Vec<usize> = source
        .found
        .iter()
        .filter(|found| matches!(found.what, What::Path { .. }))
        .map(|found| found.line)
        .collect();
    assert_eq!(lines, [3, 3, 5, 5]);
}

#[test]
fn test_code_is_recognised() {
    let text = "use a::x;\n#[cfg(test)]\n#[rustfmt::skip]\nmod tests { fn f() { b::x } }\nuse c::x;\n\
                #[cfg(not(test))] use d::x;\n#[cfg(test)] mod suite;\nuse e::x;\n#[cfg(test)] fn g(a: [u8; 2]) { f::x }";
    let source = Source::read("store/mod.rs", text);
    let of_paths = source.found.iter().filter_map(|found| match &found.what {
        What::Path { segments, .. } => Some((segments[0].as_str(), found.for_tests)),
        What::Word(_) | What::Text(_) => None,
    });
    let expected =
        [("a", false), ("rustfmt", true), ("b", true), ("c", false), ("d", false), ("e", false), ("f", true)];
    assert_eq!(of_paths.collect::<Vec<_>>(), expected);
    assert_eq!(source.test_modules, [["store", "suite"]]);
}
