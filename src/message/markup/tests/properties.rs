//! Rendering: properties of any text.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::readers::{self, Seen, comparable};
use super::tag_readers;
use crate::message::{Limit, Markup, Span, Style, Text};

pub const ALL: [Markup; 12] = [
    Markup::Plain,
    Markup::Slack,
    Markup::Mattermost,
    Markup::Discord,
    Markup::Markdown,
    Markup::Html,
    Markup::Irc { colors: false },
    Markup::Irc { colors: true },
    Markup::GoogleChat,
    Markup::Telegram,
    Markup::MatrixHtml,
    Markup::Quiet,
];

/// Pieces of text that have a meaning in some markup.
const NASTY: &[&str] = &[
    "<!channel>",
    "<!here|here>",
    "@channel",
    "@here",
    "@Everyone",
    "@all",
    "<@U123>",
    "<#C1>",
    "@root",
    "a@all",
    "*",
    "**",
    "_",
    "__",
    "~",
    "~~",
    "`",
    "``",
    "```",
    "~~~",
    "[",
    "]",
    "(",
    ")",
    "[x](y)",
    "![x](y)",
    "[x]: y",
    "<",
    ">",
    "&",
    "&lt;",
    "&amp;",
    "&#60;",
    "&copy;",
    "<b>",
    "</b>",
    "<!--",
    "|",
    "||",
    "\\",
    "\\\\",
    "\"",
    "'",
    "#",
    "# x",
    "#tag",
    "- ",
    "+ ",
    "1. ",
    "12) ",
    "=",
    "===",
    "---",
    "\n",
    "\n\n",
    "\r\n",
    "    ",
    "\t",
    "> ",
    "|a|b|\n|-|-|\n",
    ":",
    "!",
    "{",
    "}",
    "$",
    "%",
    "^",
    "\0",
    "\u{1}",
    "\u{2}",
    "\u{3}04",
    "\u{7f}",
    "\u{9b}",
    "\u{202e}",
    "\u{2066}",
    "\u{200f}",
    "\u{200b}",
    "\u{2028}",
    "\u{feff}",
    "\u{a0}",
    "\u{2424}",
    "＊",
    "＿",
    "｀",
    "＞",
    "＠channel",
    "e\u{301}",
    "👩‍👩‍👧",
    "🇩🇪",
    "漢字",
    "é",
    "ﬀ",
    "word",
    "snake_case",
    "a*b*c",
    "x",
    "1",
    " ",
    " ",
    ".",
    "<a|b>",
    "<x|y|z>",
    "Vec<T>",
    "~town-square",
    "<users/all>",
    "@room",
    ":tada:",
    "mailto:a@b.example",
    "javascript:x",
];

/// The same pieces and addresses.
const ADDRESSES: &[&str] = &[
    "http://a.example",
    "https://b.example/_x_*y*~z~",
    "https://c.example/@all",
    "https://d.example/a_b?c=d&e=(f)",
    "http://",
    "https://[::1]/x",
    "://",
    "https://u:p@e.example/`|>",
];

fn words() -> impl Strategy<Value = String> {
    vec(prop_oneof![4 => select(NASTY).prop_map(str::to_owned), 1 => "\\PC{0,4}", 1 => "[a-z ]{0,8}"], 0..10)
        .prop_map(|pieces| pieces.concat())
}

fn words_and_addresses() -> impl Strategy<Value = String> {
    vec(prop_oneof![3 => words(), 1 => select(ADDRESSES).prop_map(str::to_owned)], 0..5)
        .prop_map(|pieces| pieces.concat())
}

fn urls() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("https://forge.example/a/b/-/issues/1".to_owned()),
        Just("https://forge.example/a?b=c&d=%20#e".to_owned()),
        words().prop_map(|words| format!("https://forge.example/{words}")),
        words(),
        Just("mailto:a@b.example?subject=<x>".to_owned()),
        Just("javascript:alert(1)".to_owned()),
        Just(String::new()),
    ]
}

fn styles() -> impl Strategy<Value = Style> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(bold, italic, strike)| Style {
        bold,
        italic,
        strike,
    })
}

fn texts() -> impl Strategy<Value = Text> {
    let leaf = prop_oneof![
        3 => (words_and_addresses(), Just(Style::PLAIN)).prop_map(|(text, style)| Span::Text { text: text.into(), style }),
        2 => (words(), styles()).prop_map(|(text, style)| Span::Text { text: text.into(), style }),
        2 => (words(), urls(), styles()).prop_map(|(text, url, style)| Span::Link { text: text.into(), url: url.into(), style }),
        2 => (words(), urls(), styles()).prop_map(|(text, url, style)| Span::Reference { text: text.into(), url: url.into(), style }),
        1 => words().prop_map(|code| Span::Code(code.into())),
        1 => words().prop_map(|code| Span::CodeBlock(code.into())),
    ];
    let spans =
        leaf.prop_recursive(2, 12, 4, |inner| vec(inner, 0..4).prop_map(|spans| Span::Quote(Text(spans))));
    vec(spans, 0..7).prop_map(Text)
}

fn limits() -> impl Strategy<Value = Limit> {
    prop_oneof![
        (0..90_usize).prop_map(Limit::Chars),
        (0..90_usize).prop_map(Limit::Bytes),
        (0..90_usize).prop_map(Limit::Utf16),
    ]
}

/// What a service reads of a rendered text, where the tests have a reader for it.
fn read(markup: Markup, rendered: &str) -> Option<Seen> {
    match markup {
        Markup::Slack => Some(readers::slack(rendered)),
        Markup::Mattermost => Some(readers::mattermost(rendered)),
        Markup::Discord | Markup::Markdown => Some(readers::markdown(rendered)),
        Markup::Html => Some(readers::html(rendered)),
        Markup::GoogleChat => Some(tag_readers::google_chat(rendered)),
        Markup::Telegram => Some(tag_readers::telegram(rendered)),
        Markup::MatrixHtml => Some(tag_readers::matrix(rendered)),
        Markup::Plain | Markup::Irc { .. } | Markup::Quiet => None,
    }
}

/// Panics where the markup is broken, mentions someone, or has signs that turn the text around.
pub fn check(markup: Markup, rendered: &str) {
    read(markup, rendered);
    if matches!(markup, Markup::Slack | Markup::Mattermost) {
        readers::assert_no_mentions(rendered);
    }
    let colors =
        |c: char| matches!(c, '\u{2}' | '\u{3}' | '\u{f}' | '\u{11}' | '\u{1d}' | '\u{1e}' | '\u{1f}');
    let may = |c: char| match markup {
        Markup::Irc { colors: true } => colors(c),
        Markup::Irc { colors: false } => false,
        _ => c == '\n' || c == '\t',
    };
    assert!(
        !rendered.chars().any(|c| c.is_control() && !may(c)),
        "{markup:?}: a control character in {rendered:?}"
    );
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!rendered.contains(turns), "{markup:?}: a direction mark in {rendered:?}");
}

/// All text without addresses, which each markup encodes in its own way.
fn all_words(text: &Text) -> String {
    comparable(&text.plain_text())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Text is read as text only.
    #[test]
    fn text_stays_text(words in words()) {
        let text = Text::new().plain(words.as_str());
        for markup in ALL {
            let rendered = markup.render(&text);
            check(markup, &rendered);
            readers::assert_no_mentions(&match markup {
                Markup::Slack | Markup::Mattermost => rendered.clone(),
                Markup::Discord | Markup::Markdown => rendered.replace('<', ""),
                _ => String::new(),
            });
            if let Some(seen) = read(markup, &rendered) {
                prop_assert_eq!(&seen.links, &Vec::<String>::new(), "{:?} {:?}", markup, &rendered);
                prop_assert_eq!(&seen.marks, &Vec::<&str>::new(), "{:?} {:?}", markup, &rendered);
                prop_assert_eq!(comparable(&seen.words), comparable(&words), "{:?} {:?}", markup, &rendered);
            }
        }
    }

    /// An address in a text links to itself only, and is not markup.
    #[test]
    fn addresses_in_text_link_to_themselves(words in words_and_addresses()) {
        let text = Text::new().plain(words.as_str());
        for markup in ALL {
            let rendered = markup.render(&text);
            check(markup, &rendered);
            if let Some(seen) = read(markup, &rendered) {
                prop_assert!(seen.marks.is_empty(), "{:?} {:?}", markup, &rendered);
                let entities = rendered.replace("&#39;", "'").replace("&amp;", "&");
                // Discord decodes no entities, so an address may spell one.
                let readings = [rendered.clone(), entities, rendered.replace("\\&", "&")];
                let spelled = |link: &str| readings.iter().any(|reading| reading.contains(link));
                let elsewhere: Vec<&String> = seen.links.iter().filter(|link| !spelled(link)).collect();
                prop_assert!(elsewhere.is_empty(), "{:?} {:?}", elsewhere, &rendered);
                let strange: Vec<&String> = seen.links.iter().filter(|link| !link.starts_with("http")).collect();
                prop_assert!(strange.is_empty(), "{:?} {:?}", strange, &rendered);
            }
        }
    }

    /// Links keep their text and addresses, code its characters, and styles end where they should.
    #[test]
    fn texts_are_read_as_they_were_built(text in texts()) {
        for markup in ALL {
            let rendered = markup.render(&text);
            check(markup, &rendered);
            let has_addresses = text.plain_text().contains("://");
            if let (Some(seen), false) = (read(markup, &rendered), has_addresses) {
                prop_assert!(!seen.marks.iter().any(|mark| ["html", "heading", "list", "image", "other"].contains(mark)), "{:?} {:?}", markup, &rendered);
                // The reader does not tell code from text in quotes. Except for those, all text must be present.
                let expected = all_words(&text);
                let all_there = comparable(&seen.words);
                if !text.0.iter().any(|span| matches!(span, Span::Link { .. } | Span::Reference { .. } | Span::Quote(_))) {
                    prop_assert_eq!(all_there, expected, "{:?} {:?}", markup, &rendered);
                }
            }
        }
    }

    /// A truncated text fits, is valid markup, and has no link that the whole text does not have.
    #[test]
    fn cut_texts_fit_and_keep_their_links(text in texts(), limit in limits()) {
        for markup in ALL {
            let whole = markup.render(&text);
            let cut = markup.render_within(&text, limit);
            match limit {
                Limit::Chars(most) => prop_assert!(cut.chars().count() <= most, "{:?} {:?}", markup, &cut),
                Limit::Bytes(most) => prop_assert!(cut.len() <= most, "{:?} {:?}", markup, &cut),
                Limit::Utf16(most) => {
                    prop_assert!(cut.encode_utf16().count() <= most, "{:?} {:?}", markup, &cut);
                }
            }
            check(markup, &cut);
            if let (Some(whole), Some(cut)) = (read(markup, &whole), read(markup, &cut)) {
                for link in &cut.links {
                    prop_assert!(whole.links.contains(link), "{:?}: {} is only in the truncated text {:?}", markup, link, &cut);
                }
            }
        }
    }

    #[test]
    fn labels_are_one_escaped_line(words in words_and_addresses(), limit in limits()) {
        for markup in ALL {
            let label = markup.label(&words, limit);
            prop_assert!(!label.contains('\n'));
            match limit {
                Limit::Chars(most) => prop_assert!(label.chars().count() <= most),
                Limit::Bytes(most) => prop_assert!(label.len() <= most),
                Limit::Utf16(most) => prop_assert!(label.encode_utf16().count() <= most),
            }
            if markup == Markup::Html {
                prop_assert_eq!(readers::html(&label).links.len(), 0);
            }
            if markup == Markup::Slack {
                prop_assert!(!label.contains(['<', '>']), "{:?}", label);
            }
            if matches!(markup, Markup::Slack | Markup::Mattermost | Markup::Discord | Markup::Markdown) {
                readers::assert_no_mentions(&label);
            }
        }
    }
}
