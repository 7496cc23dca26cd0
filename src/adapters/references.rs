//! Finds references to issues in a text: what a tracker's pattern matches, unless it is a part of something else (another
//! word, an address, a mail address, a path).
//!
//! GitLab's patterns begin and end with word boundaries, and some look behind. Patterns here do neither: they say what a
//! reference is, and the text around it is judged in one place, alike for all trackers.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A reference in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The reference's range of bytes in the text.
    pub range: Range<usize>,
    /// The issue's name: the match of the pattern's group `issue` or `key`.
    pub issue: &'a str,
}

/// Compiles a tracker's pattern. Its group `issue`, or else `key`, must match the issue's name.
pub fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("an adapter's own pattern is valid")
}

/// The references in a text, from left to right, without overlaps. The time is proportional to the length of the text.
pub fn references<'a>(pattern: &'a Regex, text: &'a str) -> References<'a> {
    references_within(pattern, text, usize::MAX)
}

/// As [`references`], for a pattern that people wrote. Such a pattern may read the whole text in each search (`a.*z`),
/// so the search ends when this many bytes may have been read.
pub fn references_within<'a>(pattern: &'a Regex, text: &'a str, most_bytes: usize) -> References<'a> {
    References { pattern, text, from: 0, addresses: Addresses::of(text), bytes: most_bytes, is_cut: false }
}

/// The references in a text. See [`references`].
pub struct References<'a> {
    pattern: &'a Regex,
    text: &'a str,
    from: usize,
    addresses: Addresses<'a>,
    /// How many bytes may still be read.
    bytes: usize,
    is_cut: bool,
}

impl References<'_> {
    /// Whether the search ended before the text did.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// How many bytes may still be read.
    pub fn bytes_left(&self) -> usize {
        self.bytes
    }
}

impl<'a> Iterator for References<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        let text = self.text;
        while self.from < text.len() {
            let Some(bytes) = self.bytes.checked_sub(text.len() - self.from) else {
                self.is_cut = true;
                return None;
            };
            self.bytes = bytes;
            let groups = self.pattern.captures_at(text, self.from)?;
            let range = groups.get(0)?.range();
            let issue = named(&groups).filter(|_| !range.is_empty());
            let is_reference = issue.is_some()
                && begins(&text[..range.start], &text[range.start..])
                && ends(&text[range.end..])
                && !self.addresses.contains(range.start);
            if let Some(issue) = issue.filter(|_| is_reference) {
                self.from = range.end;
                return Some(Found { range, issue });
            }
            // None begins in the middle of a word.
            self.from = range.start + first_word(&text[range.start..]);
        }
        None
    }
}

/// The name of the issue, if the text is one reference and nothing else.
pub fn whole<'a>(pattern: &Regex, text: &'a str) -> Option<&'a str> {
    let groups = pattern.captures(text)?;
    let is_whole = groups.get(0)?.range() == (0..text.len());
    named(&groups).filter(|_| is_whole)
}

fn named<'a>(groups: &Captures<'a>) -> Option<&'a str> {
    groups.name("issue").or_else(|| groups.name("key")).map(|name| name.as_str())
}

/// Whether a reference may begin between these texts. A key may follow a slash, as in the branch `feature/ABC-12`. A
/// number with `#` may not: `team/project#12`, `/#12` and `&#12;` have another meaning.
fn begins(before: &str, reference: &str) -> bool {
    let mut before = before.chars().rev();
    match before.next() {
        None => true,
        Some('/' | '&') => !reference.starts_with('#'),
        // The forge's own references to people, labels, milestones, merge requests and snippets begin with these.
        // A hyphen is inside of a word.
        Some('@' | '#' | '~' | '%' | '!' | '$' | '\\' | '-') => false,
        Some('.') => !before.next().is_some_and(is_word),
        Some(c) => !is_word(c),
    }
}

/// Whether a reference may end before this text. `ABC-12-fix` is a branch that names the issue, while `ABC-12-34`, `v-1.2`
/// and `node-12.example` are other words.
fn ends(after: &str) -> bool {
    let mut after = after.chars();
    match (after.next(), after.next()) {
        (None, _) => true,
        (Some('@'), _) => false,
        (Some('-'), Some(next)) => !next.is_numeric(),
        (Some('.'), Some(next)) => !is_word(next),
        (Some(c), _) => !is_word(c),
    }
}

/// Whether a character is a part of words: a letter, digit, mark, `_`, or what joins letters without a width.
fn is_word(c: char) -> bool {
    static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\w"));
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || c == '_'
    } else {
        WORD.is_match(c.encode_utf8(&mut [0; 4]))
    }
}

/// The length of the word at the start of the text; of another character, its own.
fn first_word(text: &str) -> usize {
    let first = text.chars().next().map_or(1, char::len_utf8);
    text.find(|c| !is_word(c)).map_or(text.len(), |end| end.max(first))
}

/// Finds addresses in a text: web addresses, with or without a scheme, and mail addresses. It must be queried from left
/// to right.
struct Addresses<'a> {
    text: &'a str,
    /// The last part of the text that was looked at: no address goes beyond white space.
    run: Range<usize>,
    found: Vec<Range<usize>>,
}

impl<'a> Addresses<'a> {
    const fn of(text: &'a str) -> Self {
        Self { text, run: 0..0, found: Vec::new() }
    }

    fn contains(&mut self, at: usize) -> bool {
        if !self.run.contains(&at) {
            let text = self.text;
            let start = text[..at].rfind(ends_address).map_or(0, |end| end + char_length(text, end));
            let end = text[at..].find(ends_address).map_or(text.len(), |length| at + length);
            self.found =
                addresses(&text[start..end]).map(|found| start + found.start..start + found.end).collect();
            self.run = start..end;
        }
        self.found.iter().any(|address| address.contains(&at))
    }
}

fn char_length(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

fn ends_address(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "<>\"`|\\^{}".contains(c)
}

/// The addresses in a text without white space.
fn addresses(run: &str) -> impl Iterator<Item = Range<usize>> {
    static MAIL: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"[\w.!#$%&'*+/=?^~-]*\w[.!#$%&'*+/=?^~-]*@[\w-]+(?:\.[\w-]+)*"));
    // A host has a dot in it, or a port behind it.
    static PAGE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"[A-Za-z][A-Za-z0-9+.-]*://|(?:[\w-]+\.)+[\w-]+(?::[0-9]+)?[/?]|[\w-]+:[0-9]+/")
    });
    let page = PAGE.find(run).map(|start| start.start()..run.len());
    MAIL.find_iter(run).map(|mail| mail.range()).chain(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The references of a pattern that takes keys and numbers.
    fn in_text(text: &str) -> Vec<&str> {
        static PATTERN: LazyLock<Regex> = LazyLock::new(|| pattern("(?:[A-Z][A-Z0-9_]*-|#)(?<issue>[0-9]+)"));
        references(&PATTERN, text).map(|found| &text[found.range]).collect()
    }

    #[test]
    fn references_are_found_between_words_and_signs() {
        for text in [
            "ABC-12",
            "(ABC-12)",
            "fix ABC-12: it",
            "[ABC-12] it",
            "ABC-12.",
            "ABC-12, it",
            "it's ABC-12's",
            "*ABC-12*",
            "feature/ABC-12",
            "Merge branch 'feature/ABC-12-fix'",
            "…ABC-12…",
            "...ABC-12...",
            "ABC-12-",
            "א ABC-12 ב",
            "\u{202e}ABC-12\u{202c}",
            "\u{200b}ABC-12\u{200b}",
            "日本 ABC-12、",
            "see https://a.example and ABC-12",
            "<https://a.example/ABC-1>ABC-12",
            "ada@example.com ABC-12",
            "key=ABC-12",
        ] {
            assert_eq!(in_text(text), ["ABC-12"], "{text}");
        }
        assert_eq!(in_text("ABC-12,#13/DEF-14+#15 (#16)"), ["ABC-12", "#13", "DEF-14", "#15", "#16"]);
    }

    #[test]
    fn parts_of_other_words_and_of_addresses_are_no_references() {
        for text in [
            "ABC-12-34",
            "CVE-2024-1",
            "xABC-12",
            "ABC-12x",
            "ABC-12_x",
            "éABC-12",
            "ABC-12é",
            "ABC-12\u{301}",
            "ABC-12\u{200d}",
            "ABC-1٢",
            "ABC-\u{200b}12",
            "ABC\u{200d}-12",
            "abc-12",
            "v-ABC-12",
            "-ABC-12",
            "@ABC-12",
            "~ABC-12",
            "%ABC-12",
            "ABC-12.5",
            "ABC-12.example.com",
            "www.ABC-12",
            "#fixme",
            "#12a",
            "#12-13",
            "##12",
            "a#12",
            "team/project#12",
            "/#12",
            "&#12;",
            "https://a.example/ABC-12",
            "https://a.example/?q=#12",
            "https://a.example/#ABC-12",
            "(https://a.example/browse/ABC-12)",
            "ssh://git@a.example:22/ABC-12",
            "a.example/browse/ABC-12",
            "a.example?q=ABC-12",
            "localhost:8080/ABC-12",
            "src/a.rs/ABC-12",
            "ABC-12@example.com",
            "ada+ABC-12@example.com",
            "ada/ABC-12@example.com",
            "ABC-12.ada@example.com",
            "ada@ABC-12",
            "ada@ABC-12.example.com",
            "ada@mail.ABC-12.example",
        ] {
            assert_eq!(in_text(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_reference_is_whole_or_not() {
        let key = pattern("(?<issue>[A-Z]+-[0-9]+)");
        assert_eq!(whole(&key, "ABC-12"), Some("ABC-12"));
        for other in ["", "ABC-12 ", " ABC-12", "ABC-12-3", "ABC-12\n", "ABC-%31"] {
            assert_eq!(whole(&key, other), None, "{other}");
        }
    }

    #[test]
    fn a_search_ends_when_it_has_read_so_much() {
        let keys = pattern("(?<issue>[A-Z]+-[0-9]+)");
        let mut search = references_within(&keys, "A-1 B-2 C-3", 11 + 8);
        let found: Vec<&str> = search.by_ref().map(|found| found.issue).collect();
        assert_eq!((found.as_slice(), search.is_cut()), (&["A-1", "B-2"][..], true));
        let mut search = references_within(&keys, "A-1 B-2", 7 + 4);
        assert_eq!((search.by_ref().count(), search.is_cut(), search.bytes_left()), (2, false, 0));
    }

    /// Texts of 200,000 characters that make a search restart often. If each restart read the whole text, this would
    /// take 10¹⁰ steps.
    #[test]
    fn long_texts_take_time_in_proportion() {
        for part in ["A", "A-", "#1-", "aA-1", "ABC-1,", "x@", "a.b/", "A-1@", "\u{301}A-1", "http://A-1/"] {
            let text = part.repeat(200_000 / part.len());
            let started = std::time::Instant::now();
            std::hint::black_box(in_text(&text).len());
            assert!(started.elapsed().as_secs() < 20, "{part}: {:?}", started.elapsed());
        }
    }
}
