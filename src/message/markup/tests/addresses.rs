//! Rendering: the address that is read back out of each markup is the one that was put in.

use proptest::prelude::*;
use pulldown_cmark::{Event, Parser, Tag};

use super::{readers, tag_readers};
use crate::message::{Markup, Span, Style, Text};

/// An address of a web page, with all characters that RFC 3986 allows
/// (<https://www.rfc-editor.org/rfc/rfc3986#appendix-A>), and square brackets where browsers accept them.
fn addresses() -> impl Strategy<Value = String> {
    const HOST: &str = r"https?://[a-w]([a-z0-9-]{0,4}[a-z0-9])?(\.[a-z]{2,5})?(:[1-9][0-9]{0,3})?";
    const PART: &str = r"([A-Za-z0-9._~!$&'()*+,;=:@\[\]-]|%[0-9A-F]{2}|&lt;|&amp;|__|~~|\*\*|\(x\)){0,8}";
    // A letter at the end: punctuation there belongs to the sentence around an address in a text.
    proptest::string::string_regex(&format!(r"{HOST}(/{PART}){{0,3}}(\?{PART})?(#{PART})?/x"))
        .expect("a regular expression")
}

/// The address as Markdown can write it: parentheses that are not paired, or nested, are encoded, for not every client
/// knows an escape for them.
fn in_markdown(address: &str) -> String {
    let mut left = address.to_owned();
    while let Some(close) = left.find(')') {
        match left[..close].rfind('(') {
            Some(open) if !left[open + 1..close].contains('(') && left[..open].matches('(').count() == 0 => {
                left.replace_range(open..=close, "");
            }
            _ => break,
        }
    }
    if left.contains(['(', ')']) {
        address.replace('(', "%28").replace(')', "%29")
    } else {
        address.to_owned()
    }
}

/// The only link that a CommonMark parser finds.
fn link_of(markdown: &str) -> Option<String> {
    let mut links = Parser::new(markdown).filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    });
    let link = links.next();
    assert_eq!(links.next(), None, "{markdown}");
    link
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let inner = text.strip_prefix(before).and_then(|text| text.strip_suffix(after));
    inner.unwrap_or_else(|| panic!("{text:?} is not {before:?} … {after:?}"))
}

/// The address that a reader finds in a rendered link with the words `the page`.
fn read_link(markup: Markup, rendered: &str) -> String {
    match markup {
        Markup::Slack => {
            let url = between(rendered, "<", "|the page>");
            assert!(!url.contains(['<', '>', '|']), "{rendered:?}");
            url.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        }
        Markup::Mattermost | Markup::Markdown => {
            link_of(rendered).unwrap_or_else(|| panic!("no link in {rendered:?}"))
        }
        // It decodes nothing, and ends the address at the parenthesis that is not paired.
        Markup::Discord => between(rendered, "[the page](", ")").to_owned(),
        Markup::Html => readers::html(rendered).links.concat(),
        Markup::GoogleChat => between(rendered, "<", "|the page>").to_owned(),
        Markup::Telegram => tag_readers::telegram(rendered).links.concat(),
        Markup::MatrixHtml => tag_readers::matrix(rendered).links.concat(),
        Markup::Plain | Markup::Quiet | Markup::Irc { colors: false } => {
            between(rendered, "the page (", ")").to_owned()
        }
        Markup::Irc { colors: true } => between(rendered, "the page (\u{3}02\u{1f}", "\u{f})").to_owned(),
    }
}

/// The address that a reader finds in the text `see … soon`.
fn read_bare(markup: Markup, rendered: &str) -> String {
    let inner = between(rendered, "see ", " soon");
    match markup {
        Markup::Slack => {
            let url = between(inner, "<", ">");
            url.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        }
        Markup::Discord if inner.starts_with('<') => between(inner, "<", ">").to_owned(),
        Markup::Mattermost | Markup::Markdown | Markup::Discord => link_of(inner).unwrap_or_else(|| {
            // Clients link bare addresses, so nothing in it may be markup.
            let seen = readers::markdown(inner);
            assert!(seen.marks.is_empty() && !inner.contains(['(', ')']), "{rendered:?}");
            seen.words.trim().to_owned()
        }),
        Markup::Html => readers::html(inner).links.concat(),
        Markup::GoogleChat => tag_readers::google_chat(inner).links.concat(),
        Markup::Telegram => tag_readers::telegram(inner).links.concat(),
        Markup::MatrixHtml => tag_readers::matrix(inner).links.concat(),
        Markup::Plain | Markup::Quiet | Markup::Irc { colors: false } => inner.to_owned(),
        Markup::Irc { colors: true } => between(inner, "\u{3}02\u{1f}", "\u{f}").to_owned(),
    }
}

const ALL: [Markup; 12] = [
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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_address_of_a_link_is_read_back_unchanged(url in addresses()) {
        for markup in ALL {
            let expected = match markup {
                Markup::Mattermost | Markup::Discord | Markup::Markdown => in_markdown(&url),
                _ => url.clone(),
            };
            let rendered = markup.render(&Text::new().link("the page", url.as_str()));
            prop_assert_eq!(read_link(markup, &rendered), expected, "{:?} {:?}", markup, rendered);
        }
    }

    /// The same for references, except that they stay words where a link would be words and an address.
    #[test]
    fn the_address_of_a_reference_is_read_back_unchanged(url in addresses()) {
        for markup in ALL {
            let (text, style) = ("the page".into(), Style::PLAIN);
            let rendered = markup.render(&Text(vec![Span::Reference { text, url: url.as_str().into(), style }]));
            let expected = match markup {
                Markup::Plain | Markup::Quiet | Markup::Irc { .. } => {
                    prop_assert_eq!(rendered, "the page");
                    continue;
                }
                Markup::Mattermost | Markup::Discord | Markup::Markdown => in_markdown(&url),
                _ => url.clone(),
            };
            prop_assert_eq!(read_link(markup, &rendered), expected, "{:?} {:?}", markup, rendered);
        }
    }

    #[test]
    fn an_address_in_a_text_is_read_back_unchanged(url in addresses()) {
        // In a text, these two end an address: people write links where none are read.
        prop_assume!(!url.contains("]("));
        for markup in ALL {
            let rendered = markup.render(&Text::new().plain(format!("see {url} soon")));
            let read = read_bare(markup, &rendered);
            let expected = if rendered.contains("](") { in_markdown(&url) } else { url.clone() };
            prop_assert_eq!(read, expected, "{:?} {:?}", markup, rendered);
        }
    }

    /// What is not allowed in an address is encoded, and nothing else is.
    #[test]
    fn only_what_an_address_may_not_have_is_encoded(url in addresses(), odd in "[ \"<>^`{|}é漢\u{1F600}\u{7f}]{1,3}") {
        let with = format!("{url}{odd}y");
        let expected = odd.bytes().fold(url, |address, byte| format!("{address}%{byte:02X}"));
        prop_assert_eq!(Text::new().link("x", with).links(), vec![("x".to_owned(), format!("{expected}y"))]);
    }
}

#[test]
fn reserved_characters_stay_where_they_end_nothing() {
    let url = "https://git.example.org/?p=core.git;a=commit;h=(3a)@[5]*'c'";
    let text = Text::new().link("the page", url);
    for markup in ALL {
        let rendered = markup.render(&text).replace("&#39;", "'");
        assert!(rendered.contains(url), "{markup:?}: {rendered}");
    }
}
