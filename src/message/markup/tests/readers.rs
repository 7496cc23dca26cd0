//! A reader for each markup, written from the services' documentation, not from the renderer. It returns what the
//! service would show, and panics where the markup is broken.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// What a reader of one markup sees.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    /// All text, in order, unescaped.
    pub words: String,
    /// Addresses of links that show another text than the address.
    pub links: Vec<String>,
    /// All other markup in the text: `bold`, `heading`, `list` …
    pub marks: Vec<&'static str>,
}

/// Slack: <https://docs.slack.dev/messaging/formatting-message-text>.
pub fn slack(text: &str) -> Seen {
    let mut seen = Seen::default();
    let mut rest = text;
    let mut before = None;
    let mut in_block = false;
    let mut in_code = false;
    // The number of each style's marks in the line.
    let mut styles = [0; 3];
    let closed = |styles: &mut [i32; 3]| {
        assert!(styles.iter().all(|count| count % 2 == 0), "a style without an end in {text:?}");
        *styles = [0; 3];
    };
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("```") {
            in_block = !in_block;
            seen.marks.push("block");
            rest = &rest[3..];
            before = Some('`');
            continue;
        }
        let mut taken = c.len_utf8();
        match c {
            '<' => {
                let end = rest.find('>').unwrap_or_else(|| panic!("`<` without `>`: {text:?}"));
                let inner = &rest[1..end];
                assert!(!inner.contains(['<', '\n']), "broken link {inner:?} in {text:?}");
                let (url, label) = inner.split_once('|').map_or((inner, None), |(url, l)| (url, Some(l)));
                let schemes = ["http://", "https://", "mailto:"];
                assert!(schemes.iter().any(|s| url.starts_with(s)), "no link: {inner:?} in {text:?}");
                assert!(!url.contains([' ', '`']), "{url:?}");
                match label {
                    Some(label) => {
                        assert!(!label.contains('|'), "{label:?}");
                        seen.links.push(entities(url));
                        seen.words.push_str(&entities(label));
                    }
                    None => seen.words.push_str(&entities(url)),
                }
                taken = end + 1;
            }
            '>' => panic!("a bare `>` in {text:?}"),
            '&' => {
                let entity = ["&amp;", "&lt;", "&gt;"].into_iter().find(|entity| rest.starts_with(entity));
                let entity = entity.unwrap_or_else(|| panic!("a bare `&` in {text:?}"));
                let at_line_start = text[..text.len() - rest.len()].ends_with('\n') || before.is_none();
                if at_line_start && entity == "&gt;" && !in_block {
                    seen.marks.push("quote");
                } else {
                    seen.words.push_str(&entities(entity));
                }
                taken = entity.len();
            }
            '`' if !in_block => {
                in_code = !in_code;
                seen.marks.push("code");
            }
            '*' | '_' | '~' if !in_block && !in_code => {
                let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
                let next = rest[1..].chars().next();
                if is_word(before) && is_word(next) {
                    seen.words.push(c);
                } else {
                    seen.marks.push("style");
                    styles["*_~".find(c).expect("one of them")] += 1;
                }
            }
            '\n' => {
                assert!(!in_code, "code across lines in {text:?}");
                closed(&mut styles);
                seen.words.push('\n');
            }
            c => seen.words.push(c),
        }
        before = rest[..taken].chars().next_back();
        rest = &rest[taken..];
    }
    closed(&mut styles);
    assert!(!in_code && !in_block, "code without an end in {text:?}");
    seen
}

fn entities(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// CommonMark with GitHub's extensions, read by a third-party parser.
pub fn markdown(text: &str) -> Seen {
    let options = Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TABLES
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_HEADING_ATTRIBUTES;
    let mut seen = Seen::default();
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Text(words) => seen.words.push_str(&words),
            Event::Code(code) => {
                seen.marks.push("code");
                seen.words.push_str(&code);
            }
            Event::SoftBreak
            | Event::HardBreak
            | Event::Start(Tag::Paragraph)
            | Event::End(TagEnd::Paragraph) => seen.words.push('\n'),
            Event::Start(Tag::Link { dest_url, .. }) => seen.links.push(dest_url.to_string()),
            Event::Start(Tag::Emphasis | Tag::Strong | Tag::Strikethrough) => seen.marks.push("style"),
            Event::Start(Tag::BlockQuote(_)) => seen.marks.push("quote"),
            Event::Start(Tag::CodeBlock(_)) => seen.marks.push("block"),
            Event::End(_) => {}
            Event::Html(_) | Event::InlineHtml(_) => seen.marks.push("html"),
            Event::Start(Tag::Heading { .. }) => seen.marks.push("heading"),
            Event::Start(Tag::List(_) | Tag::Item) => seen.marks.push("list"),
            Event::Start(Tag::Image { .. }) => seen.marks.push("image"),
            _ => seen.marks.push("other"),
        }
    }
    seen
}

/// Panics if Mattermost's server would convert anything in the text before its Markdown is read.
/// (`expandAnnouncement` and `linkWithTextRegex` of the server; `<userid>` has 26 letters and digits.)
pub fn mattermost(text: &str) -> Seen {
    for call in ["<!channel>", "<!here>", "<!all>"] {
        assert!(!text.contains(call), "{call} in {text:?}");
    }
    for line in text.split('\n') {
        for start in line.match_indices('<').map(|(at, _)| at) {
            let inner = line[start + 1..].split(['<', '>']).next().unwrap_or_default();
            let closed = line[start + 1 + inner.len()..].starts_with('>');
            let parts: Vec<&str> = inner.split('|').collect();
            let link = closed && parts.len() == 2 && parts.iter().all(|part| !part.is_empty());
            assert!(!link, "a Slack link in {text:?}");
        }
    }
    markdown(text)
}

/// HTML with the few tags that Forgebell writes.
pub fn html(text: &str) -> Seen {
    let mut seen = Seen::default();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '<' => {
                let end = rest.find('>').unwrap_or_else(|| panic!("a tag without an end in {text:?}"));
                match &rest[1..end] {
                    "br /" => seen.words.push('\n'),
                    tag @ ("b" | "i" | "code" | "pre") => {
                        seen.marks.push("style");
                        open.push(tag);
                    }
                    tag if tag.starts_with('/') => assert_eq!(open.pop(), Some(&tag[1..]), "in {text:?}"),
                    tag => {
                        let url = tag.strip_prefix("a href=\"").and_then(|url| url.strip_suffix('"'));
                        let url = url.unwrap_or_else(|| panic!("<{tag}> in {text:?}"));
                        assert!(!url.contains(['"', '<', '\'', ' ']), "{url:?}");
                        seen.links.push(html_entities(url));
                        open.push("a");
                    }
                }
                taken = end + 1;
            }
            '>' | '"' | '\'' => panic!("a bare {c} in {text:?}"),
            '&' => {
                let end = rest.find(';').unwrap_or_else(|| panic!("a bare & in {text:?}"));
                let entity = &rest[..=end];
                let decoded = html_entities(entity);
                assert_ne!(decoded, entity, "in {text:?}");
                seen.words.push_str(&decoded);
                taken = entity.len();
            }
            c => seen.words.push(c),
        }
        rest = &rest[taken..];
    }
    assert!(open.is_empty(), "{open:?} left open in {text:?}");
    seen
}

fn html_entities(text: &str) -> String {
    entities(&text.replace("&quot;", "\"").replace("&#39;", "'"))
}

/// The text without what rendering may change: spaces, invisible characters, look-alikes.
pub fn comparable(words: &str) -> String {
    let invisible =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}' | '\u{ad}' | '\u{feff}');
    let same = |c: char| match c {
        '\u{2217}' => '*',
        '\u{2cd}' => '_',
        '\u{223c}' => '~',
        '\u{2cb}' | '｀' => '`',
        '\u{2223}' => '|',
        '\u{21b5}' => '\u{2424}',
        '\u{fe61}' => '＊',
        '\u{2e0f}' => '＿',
        c => c,
    };
    words.chars().filter(|c| !invisible(*c) && !is_direction_mark(*c)).map(same).collect()
}

fn is_direction_mark(c: char) -> bool {
    "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}"
        .contains(c)
}

/// The text without the addresses of its links, in which no service looks for mentions.
pub fn without_addresses(text: &str) -> String {
    let mut left = String::new();
    let mut rest = text;
    let begins = ["<http", "<mailto:", "](http", "](mailto:"];
    while let Some((at, mark)) =
        begins.iter().filter_map(|mark| rest.find(mark).map(|at| (at, mark))).min_by_key(|(at, _)| *at)
    {
        let (before, address) = rest.split_at(at + if mark.starts_with('<') { 1 } else { 2 });
        left.push_str(before);
        let mut depth = 0;
        let ends = |c: char| match c {
            '(' if mark.starts_with(']') => {
                depth += 1;
                false
            }
            ')' if mark.starts_with(']') => {
                depth -= 1;
                depth < 0
            }
            c => matches!(c, '|' | '>' | ' ' | '\n'),
        };
        rest = &address[address.find(ends).unwrap_or(address.len())..];
    }
    left + rest
}

/// Panics if the text mentions a whole channel or a user.
pub fn assert_no_mentions(text: &str) {
    let text = &without_addresses(text);
    let without_mail = |part: &str| part[part.find(['|', ')', '>', ' ']).unwrap_or(0)..].to_lowercase();
    let mut parts = text.split("mailto:");
    let first = parts.next().unwrap_or_default().to_lowercase();
    let lower = parts.map(without_mail).fold(first, |all, part| all + " " + &part);
    for call in ["@channel", "@here", "@everyone", "@all"] {
        for (at, _) in lower.match_indices(call) {
            let next = lower[at + call.len()..].chars().next();
            assert!(next.is_some_and(char::is_alphanumeric), "{call} in {text:?}");
        }
    }
    assert!(!text.contains("<!") && !text.contains("<@"), "{text:?}");
}
