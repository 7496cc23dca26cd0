//! What no service should see, and what belongs together.

use std::borrow::Cow;

/// People's words as they may be shown: line breaks of any kind as `\n`, and without what is invisible and acts
/// on the words around it. Those are control characters, and the marks by which text changes its direction: with
/// them a title can show words in another order than they are written, links included
/// (<https://www.unicode.org/reports/tr9/#Explicit_Directional_Embeddings>).
pub(in crate::message) fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii_graphic() || b == b' ' || b == b'\n') || text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            c if is_line_break(c) => kept.push('\n'),
            c if harmless(c) => kept.push(c),
            _ => {}
        }
    }
    Cow::Owned(kept)
}

/// The first character that is left of a text.
pub(super) fn first(text: &str) -> Option<char> {
    text.chars().find_map(|c| if is_line_break(c) { Some('\n') } else { harmless(c).then_some(c) })
}

fn harmless(c: char) -> bool {
    c == '\n' || c == '\t' || !(c.is_control() || is_invisible_actor(c))
}

const fn is_line_break(c: char) -> bool {
    matches!(c, '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The same on one line.
pub(in crate::message) fn one_line(text: &str) -> Cow<'_, str> {
    let text = match clean(text) {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    };
    if text.contains(['\n', '\t']) {
        return Cow::Owned(text.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    text
}

/// The start of a text, so many bytes at the most, cut between characters.
pub(in crate::message) fn start(text: &str, at_most: usize) -> &str {
    let end = (0..=at_most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Direction marks, line separators (made line breaks above), and the byte order mark.
const fn is_invisible_actor(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'
            ..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

/// How many bytes at the start of `text` a reader takes for one character: a letter with its accents, a family of
/// emoji, a flag. Bounded, since somebody will put a thousand accents on one letter. This is the part of
/// <https://www.unicode.org/reports/tr29/> that chat is full of, not all of it.
pub(in crate::message) fn cluster(text: &str) -> usize {
    const LONGEST: usize = 24;
    let mut chars = text.char_indices();
    let Some((_, first)) = chars.next() else { return 0 };
    let mut flag_half = is_flag_half(first);
    let mut joined = false;
    for (taken, (at, c)) in chars.enumerate() {
        let belongs = joined || is_extender(c) || (flag_half && is_flag_half(c));
        if !belongs || taken + 1 >= LONGEST {
            return at;
        }
        joined = c == ZERO_WIDTH_JOINER;
        flag_half = false;
    }
    text.len()
}

const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Accents, joiners, variation selectors, skin tones and tags: none of them starts anything.
const fn is_extender(c: char) -> bool {
    matches!(
        c,
        ZERO_WIDTH_JOINER
            | '\u{300}'..='\u{36f}'
            | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}'
            | '\u{20d0}'..='\u{20ff}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{fe20}'..='\u{fe2f}'
            | '\u{1f3fb}'..='\u{1f3ff}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

const fn is_flag_half(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_unseen_is_taken_out() {
        assert_eq!(clean("a\0b\u{7}c\u{202e}d\u{2066}e\u{200f}f\u{9b}g"), "abcdefg");
        assert_eq!(clean("one\r\ntwo\rthree\u{2028}four\u{85}five"), "one\ntwo\nthree\nfour\nfive");
        assert_eq!(clean("tab\tstays"), "tab\tstays");
        assert!(matches!(clean("plain words, nothing else\n"), Cow::Borrowed(_)));
        assert_eq!(one_line("  a\n\n b\tc "), "a b c");
    }

    #[test]
    fn what_a_reader_takes_for_one_character_stays_one() {
        let first = |text: &'static str| &text[..cluster(text)];
        assert_eq!(first("abc"), "a");
        assert_eq!(first("e\u{301}a"), "e\u{301}");
        assert_eq!(first("👩‍👩‍👧x"), "👩‍👩‍👧");
        assert_eq!(first("👍🏽x"), "👍🏽");
        assert_eq!(first("🇩🇪🇫🇷"), "🇩🇪");
        assert_eq!(first(""), "");
        let zalgo = "z".to_owned() + &"\u{301}".repeat(1000);
        assert!(cluster(&zalgo) < 60);
    }
}
