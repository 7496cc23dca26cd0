//! Jira's wiki markup (<https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all>): people's words in it, and
//! the comments that Jira's issues get.
//!
//! A backslash before a sign takes its meaning away. Two backslashes are a line break, so a backslash itself is written as
//! a character reference. Words and signs of people never begin a macro, link, image, mention, table, list, heading or style.

use std::fmt::Write as _;

use url::Url;

use crate::message::{Limit, Markup};

/// The longest comment, in UTF-16 units: Jira's default (`jira.text.field.character.limit`), and Jira Cloud's limit.
pub(super) const MOST_UNITS: usize = 32_767;
/// The longest name in a comment (a person, project or branch), in characters.
const NAME: usize = 255;
/// Longer addresses are left out of comments.
const LONGEST_URL: usize = 2_000;
const CUT: char = '…';
/// The words by which a comment is known that says that the issue is mentioned, or solved.
const MENTIONED: &str = " mentioned this issue in ";
const SOLVED: &str = "Issue solved with ";

/// Words with an address, where there is one.
pub(super) struct Named<'a> {
    pub words: &'a str,
    pub url: Option<&'a str>,
}

/// A comment that says where the issue is mentioned. `quoted` is cut where the comment would be too long.
pub(super) fn mention(
    who: &Named<'_>,
    object: &Named<'_>,
    project: &Named<'_>,
    branch: Option<&Named<'_>>,
    quoted: &str,
) -> String {
    let mut head = format!("{}{MENTIONED}{} of {}", link(who), link(object), link(project));
    if let Some(branch) = branch {
        let _ = write!(head, " on branch {}", link(branch));
    }
    let (open, close) = (":{quote}", "{quote}");
    let room = MOST_UNITS.saturating_sub(units(&head) + units(open) + units(close));
    format!("{head}{open}{}{close}", within(&escaped(quoted), room))
}

/// A comment that says by what the issue is solved.
pub(super) fn solved(object: &Named<'_>) -> String {
    format!("{SOLVED}{}.", link(object))
}

/// Whether a comment says that the issue is mentioned in the object of this address.
pub(super) fn says_mentioned(comment: &str, url: &str) -> bool {
    comment.contains(MENTIONED) && names(comment, url)
}

/// Whether a comment says that the issue is solved.
pub(super) fn says_solved(comment: &str) -> bool {
    comment.contains(SOLVED)
}

/// Whether this address is in a comment, and not only as the beginning of another one.
pub(super) fn names(comment: &str, url: &str) -> bool {
    let url = encoded(url);
    let ends = |after: &str| {
        after.chars().next().is_none_or(|c| matches!(c, '|' | ']' | ')' | '.' | ',') || c.is_whitespace())
    };
    comment.match_indices(&url).any(|(at, _)| ends(&comment[at + url.len()..]))
}

/// `[words|address]`, or the words alone where there is no address of a page.
fn link(named: &Named<'_>) -> String {
    let words = escaped(&Markup::Plain.label(named.words, Limit::Chars(NAME)));
    let page = named.url.map(encoded).filter(|url| is_page(url));
    match page {
        Some(url) => format!("[{words}|{url}]"),
        None => words,
    }
}

fn is_page(url: &str) -> bool {
    url.len() <= LONGEST_URL && Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// An address without the signs that would end it in a link.
fn encoded(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for c in url.trim().chars() {
        match c {
            ' ' | '"' | '<' | '>' | '[' | '\\' | ']' | '^' | '`' | '{' | '|' | '}' | '!' | '*' | '\'' => {
                let _ = write!(out, "%{:02X}", u32::from(c));
            }
            c if c.is_control() || c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// People's words, in which no sign has a meaning. Lines stay.
pub(super) fn escaped(words: &str) -> String {
    let mut out = String::with_capacity(words.len() + words.len() / 8);
    for (number, line) in words.lines().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        let line = Markup::Plain.label(line, Limit::Bytes(usize::MAX));
        let heading = heading_mark(&line);
        for (at, c) in line.char_indices() {
            match c {
                '\\' => out.push_str("&#92;"),
                '.' if heading == Some(at) => out.push_str("\\."),
                c if has_meaning(c) => out.extend(['\\', c]),
                c => out.push(c),
            }
        }
    }
    out
}

/// Signs that begin or end something in wiki markup, or make an address, a smiley or a mention of what stands around them.
pub(super) const fn has_meaning(c: char) -> bool {
    matches!(
        c,
        '{' | '}'
            | '['
            | ']'
            | '('
            | ')'
            | '*'
            | '_'
            | '-'
            | '+'
            | '^'
            | '~'
            | '?'
            | '!'
            | '|'
            | ':'
            | ';'
            | '#'
            | '@'
            | '&'
            | '<'
            | '>'
    )
}

/// The position of the dot in a line that would be a heading (`h1. `) or a quote (`bq. `).
fn heading_mark(line: &str) -> Option<usize> {
    let start = line.len() - line.trim_start().len();
    let rest = &line.as_bytes()[start..];
    let is_mark = match rest {
        [b'h' | b'H', b'0'..=b'9', b'.', ..] => true,
        [first, second, b'.', ..] => [*first, *second].eq_ignore_ascii_case(b"bq"),
        _ => false,
    };
    is_mark.then_some(start + 2)
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The beginning of an escaped text. The cut is never within an escape or a character reference.
fn within(text: &str, room: usize) -> String {
    if text.len() <= room || units(text) <= room {
        return text.to_owned();
    }
    let (mut used, mut end) = (0, 0);
    let mut rest = text;
    while let Some(length) = piece(rest) {
        used += units(&rest[..length]);
        if used + 1 > room {
            break;
        }
        end += length;
        rest = &rest[length..];
    }
    format!("{}{CUT}", text[..end].trim_end())
}

/// The length of the first piece that can't be divided.
fn piece(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    Some(match first {
        '\\' => 1 + text[1..].chars().next().map_or(0, char::len_utf8),
        '&' if text.starts_with("&#92;") => "&#92;".len(),
        c => c.len_utf8(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The signs with a meaning in wiki markup that a text contains, without escaped ones.
    fn meaningful(text: &str) -> Vec<(usize, char)> {
        let mut found = Vec::new();
        let mut chars = text.char_indices().peekable();
        let mut is_start = true;
        while let Some((at, c)) = chars.next() {
            let rest = &text[at..];
            if c == '\\' {
                // An escape takes one sign with it; two backslashes are a line break.
                match chars.next() {
                    Some((_, '\\')) | None => found.push((at, '\\')),
                    Some((_, next)) if next.is_ascii_punctuation() => {}
                    Some(_) => found.push((at, '\\')),
                }
            } else if has_meaning(c) && !rest.starts_with("&#92;") {
                found.push((at, c));
            } else if is_start && heading_mark(rest).is_some() {
                found.push((at, '.'));
            }
            if rest.starts_with("&#92;") {
                for _ in 1.."&#92;".len() {
                    chars.next();
                }
            }
            is_start = c == '\n' || is_start && c.is_whitespace();
        }
        found
    }

    #[test]
    fn the_check_finds_what_is_not_escaped() {
        for wrong in [
            "{code}", "[a|b]", "!x!", "a \\\\ b", "[~ada]", "h1. x", " bq. x", "x\nh2. y", "http://x", ":)",
            "&#123;", "\\a",
        ] {
            assert!(!meaningful(wrong).is_empty(), "{wrong}");
        }
        assert_eq!(meaningful("\\{code\\} a. b &#92; c\\: d"), []);
    }

    #[test]
    fn known_ways_to_open_something_are_written_out() {
        for (words, expected) in [
            ("{code}rm{code}", "\\{code\\}rm\\{code\\}"),
            ("[~admin] [x|javascript:alert(1)]", "\\[\\~admin\\] \\[x\\|javascript\\:alert\\(1\\)\\]"),
            ("!http://a.example/x.png!", "\\!http\\://a.example/x.png\\!"),
            ("C:\\temp\\\\x", "C\\:&#92;temp&#92;&#92;x"),
            ("h1. Title", "h1\\. Title"),
            ("bq. Title h1. x", "bq\\. Title h1. x"),
            ("one\nh3. two\r\n* three", "one\nh3\\. two\n\\* three"),
            ("&#123;code}", "\\&\\#123\\;code\\}"),
            ("plain words, 12.5 % and 'more'", "plain words, 12.5 % and 'more'"),
        ] {
            assert_eq!(escaped(words), expected);
        }
    }

    fn named<'a>(words: &'a str, url: &'a str) -> Named<'a> {
        Named { words, url: Some(url) }
    }

    #[test]
    fn a_comment_is_known_by_its_words_and_address() {
        let url = "https://forge.example/a/-/merge_requests/5";
        let comment = mention(
            &named("Ada [x]", "https://forge.example/ada"),
            &named("a merge request", url),
            &named("Acme / Rocket", "https://forge.example/a"),
            Some(&named("fix|x", "https://forge.example/a/-/tree/fix|x")),
            "Fix {it}",
        );
        assert_eq!(
            comment,
            "[Ada \\[x\\]|https://forge.example/ada] mentioned this issue in \
             [a merge request|https://forge.example/a/-/merge_requests/5] of [Acme / Rocket|https://forge.example/a] \
             on branch [fix\\|x|https://forge.example/a/-/tree/fix%7Cx]:{quote}Fix \\{it\\}{quote}"
        );
        assert!(says_mentioned(&comment, url) && !says_solved(&comment));
        assert!(!says_mentioned(&comment, &url[..url.len() - 1]), "that is another object");
        assert!(!says_mentioned(&comment, &format!("{url}5")));
        assert!(!says_mentioned(&format!("see {url}"), url), "a person wrote this");
        // Jira Cloud stores its own form, and writes links as it likes to.
        let cloud = comment.replace(&format!("{url}]"), &format!("{url}|smart-link]"));
        assert!(says_mentioned(&cloud, url));
        let solved = solved(&named("da156088", "https://forge.example/a/-/commit/da156088"));
        assert_eq!(solved, "Issue solved with [da156088|https://forge.example/a/-/commit/da156088].");
        assert!(says_solved(&solved) && names(&solved, "https://forge.example/a/-/commit/da156088"));
    }

    #[test]
    fn an_address_that_is_no_page_makes_no_link() {
        for address in ["", "javascript:alert(1)", "/relative", "~admin", "#anchor", "mailto:a@b"] {
            assert_eq!(link(&named("x", address)), "x", "{address}");
        }
        assert_eq!(link(&named("x", &format!("https://a.example/{}", "x".repeat(3_000)))), "x");
        assert_eq!(link(&named("x", " https://a.example/a b|c]\n")), "[x|https://a.example/a%20b%7Cc%5D]");
    }

    #[test]
    fn a_long_quote_is_cut_and_the_comment_fits() {
        for words in [
            "a".repeat(40_000),
            "🦊".repeat(40_000),
            "{".repeat(40_000),
            "\\".repeat(40_000),
            "a\n".repeat(40_000),
        ] {
            let who = named("Ada", "https://forge.example/ada");
            let comment = mention(&who, &who, &who, None, &words);
            assert!((MOST_UNITS - 8..=MOST_UNITS).contains(&units(&comment)), "{}", units(&comment));
            assert!(comment.ends_with("…{quote}"), "{}", &comment[comment.len() - 30..]);
        }
    }

    /// Ordinary texts mixed with wiki markup.
    fn words() -> impl Strategy<Value = String> {
        let parts = [
            "{",
            "}",
            "[",
            "]",
            "|",
            "!",
            "~",
            "\\",
            "\\\\",
            "&",
            "#",
            ";",
            "{quote}",
            "{code}",
            "[~",
            "!x!",
            "h1. ",
            "bq. ",
            "\n",
            "\r\n",
            "http://",
            "a",
            " ",
            "-",
            "*",
            "_",
            "&#92;",
            "\u{0}",
            "\u{202e}",
            "🦊",
            ":)",
            "(!)",
            "||",
            "@x",
            "\t",
            "\u{2028}",
            "h1.\u{200b}",
        ];
        prop_oneof![
            prop::collection::vec(prop::sample::select(parts.to_vec()), 0..30)
                .prop_map(|parts| parts.concat()),
            any::<String>(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_words_open_a_macro_link_image_or_mention(words in words(), room in 0_usize..200) {
            let whole = escaped(&words);
            prop_assert_eq!(meaningful(&whole), [], "{:?} of {:?}", whole, words);
            let cut = within(&whole, room);
            prop_assert_eq!(meaningful(&cut), [], "{:?} of {:?}", cut, words);
            prop_assert!(units(&cut) <= room.max(1));
            prop_assert!(!whole.contains(|c: char| c.is_control() && c != '\n'), "{:?}", whole);
        }

        /// A comment contains only the links and the quote that Forgebell writes.
        #[test]
        fn a_comment_has_our_links_and_quote_only(words in words(), url in words()) {
            let any = Named { words: &words, url: Some(&url) };
            let page = Named { words: &words, url: Some("https://forge.example/x") };
            let comment = mention(&page, &page, &page, Some(&any), &words);
            let brackets = meaningful(&comment).into_iter().filter(|(_, c)| *c == '[').count();
            let is_link = usize::from(link(&any).starts_with('['));
            prop_assert_eq!(brackets, 3 + is_link, "{:?}", comment);
            let braces = meaningful(&comment).into_iter().filter(|(_, c)| *c == '{').count();
            prop_assert_eq!(braces, 2, "{:?}", comment);
        }
    }
}
