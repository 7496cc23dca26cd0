//! Removes control characters and the sequences that they begin, and finds grapheme clusters.

use std::borrow::Cow;

/// Text as it may be shown: line breaks of any kind become `\n`; control characters, the colours of a terminal and
/// direction marks are removed. With direction marks, a title could show text and links in another order than they are written
/// (<https://www.unicode.org/reports/tr9/#Explicit_Directional_Embeddings>).
pub(in crate::message) fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii_graphic() || b == b' ' || b == b'\n') || text.chars().all(is_shown) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            ESCAPE if chars.peek() == Some(&'[') => {
                chars.next();
                skip_sequence(&mut chars);
            }
            c if is_line_break(c) => kept.push('\n'),
            c if is_shown(c) => kept.push(c),
            _ => {}
        }
    }
    Cow::Owned(kept)
}

const ESCAPE: char = '\u{1b}';

/// Skips the rest of a terminal's control sequence, `31m` of `ESC [31m`
/// (<https://ecma-international.org/publications-and-standards/standards/ecma-48/>, 5.4).
fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(|c| matches!(c, '\u{20}'..='\u{3f}')).is_some() {}
    chars.next_if(|c| matches!(c, '\u{40}'..='\u{7e}'));
}

/// The first character of the cleaned text.
pub(super) fn first(text: &str) -> Option<char> {
    if text.contains(ESCAPE) {
        return clean(text).chars().next();
    }
    text.chars().find_map(|c| if is_line_break(c) { Some('\n') } else { is_shown(c).then_some(c) })
}

fn is_shown(c: char) -> bool {
    c == '\n' || c == '\t' || !(c.is_control() || is_direction_mark(c))
}

const fn is_line_break(c: char) -> bool {
    matches!(c, '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// [`clean`] text on one line.
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

/// The start of a text, at most so many bytes, cut between characters.
pub(in crate::message) fn start(text: &str, at_most: usize) -> &str {
    let end = (0..=at_most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Direction marks, line separators (which `clean` turns into line breaks), and the byte order mark.
const fn is_direction_mark(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'
            ..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    )
}

/// The length in bytes of the grapheme cluster at the start of `text`: a letter with its accents, a family of emoji, a
/// flag. The length is bounded, since a letter can have a thousand accents. This implements the part of
/// <https://www.unicode.org/reports/tr29/> that is common in chats.
pub(in crate::message) fn grapheme_len(text: &str) -> usize {
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

/// Accents, joiners, variation selectors, skin tones and tags, which never start a cluster.
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
    fn control_characters_and_direction_marks_are_removed() {
        assert_eq!(clean("a\0b\u{7}c\u{202e}d\u{2066}e\u{200f}f\u{9b}g"), "abcdefg");
        assert_eq!(clean("one\r\ntwo\rthree\u{2028}four\u{85}five"), "one\ntwo\nthree\nfour\nfive");
        assert_eq!(clean("tab\tstays"), "tab\tstays");
        assert_eq!(clean("\u{1b}[1;31mred\u{1b}[0m \u{1b}[2K\u{1b}]\u{1b}[31"), "red ]");
        assert!(matches!(clean("plain words, nothing else\n"), Cow::Borrowed(_)));
        assert_eq!(one_line("  a\n\n b\tc "), "a b c");
    }

    #[test]
    fn grapheme_clusters_are_found() {
        let first = |text: &'static str| &text[..grapheme_len(text)];
        assert_eq!(first("abc"), "a");
        assert_eq!(first("e\u{301}a"), "e\u{301}");
        assert_eq!(first("👩‍👩‍👧x"), "👩‍👩‍👧");
        assert_eq!(first("👍🏽x"), "👍🏽");
        assert_eq!(first("🇩🇪🇫🇷"), "🇩🇪");
        assert_eq!(first(""), "");
        let zalgo = "z".to_owned() + &"\u{301}".repeat(1000);
        assert!(grapheme_len(&zalgo) < 60);
    }
}
