//! Readers for the markups of Telegram, Matrix and Google Chat, written from the services' documentation.

use super::readers::Seen;

/// Telegram's HTML: <https://core.telegram.org/bots/api#html-style>. What it would refuse, or read as a mention, panics.
pub fn telegram(text: &str) -> Seen {
    let seen = tags(text, &["b", "i", "s", "code", "pre"], &["amp", "lt", "gt", "quot", "#39"]);
    no_mention(text, &["<code>", "<pre>", "<a "]);
    seen
}

/// Matrix: <https://spec.matrix.org/latest/client-server-api/#mroommessage-msgtypes>.
pub fn matrix(text: &str) -> Seen {
    tags(text, &["b", "i", "del", "code", "pre", "br"], &["amp", "lt", "gt", "quot", "#39"])
}

/// HTML with these tags, which must be closed in order, and these entities.
fn tags(text: &str, known: &[&'static str], entities: &[&str]) -> Seen {
    let mut seen = Seen::default();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '<' => {
                let end = rest.find('>').unwrap_or_else(|| panic!("a tag without an end in {text:?}"));
                let tag = &rest[1..end];
                if tag == "br /" && known.contains(&"br") {
                    seen.words.push('\n');
                } else if let Some(closed) = tag.strip_prefix('/') {
                    assert_eq!(open.pop(), Some(closed), "in {text:?}");
                } else if let Some(known) = known.iter().find(|known| **known == tag) {
                    seen.marks.push("style");
                    open.push(known);
                } else {
                    let url = tag.strip_prefix("a href=\"").and_then(|url| url.strip_suffix('"'));
                    let url = url.unwrap_or_else(|| panic!("<{tag}> in {text:?}"));
                    assert!(!url.contains(['"', '<', ' ']), "{url:?}");
                    seen.links.push(url.replace("&#39;", "'").replace("&amp;", "&"));
                    open.push("a");
                }
                taken = end + 1;
            }
            '>' => panic!("a bare > in {text:?}"),
            '&' => {
                let end = rest.find(';').unwrap_or_else(|| panic!("a bare & in {text:?}"));
                let name = &rest[1..end];
                assert!(entities.contains(&name), "&{name}; in {text:?}");
                let signs = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("#39", '\'')];
                let sign = signs.into_iter().find(|(entity, _)| *entity == name);
                seen.words.push(sign.expect("one of them").1);
                taken = end + 1;
            }
            c => seen.words.push(c),
        }
        rest = &rest[taken..];
    }
    assert!(open.is_empty(), "{open:?} left open in {text:?}");
    seen
}

/// No `@name` outside of these tags, unless it is within a mail address.
fn no_mention(text: &str, except_in: &[&str]) {
    let mut rest = text;
    let mut outside = String::new();
    while let Some(start) = except_in.iter().filter_map(|tag| rest.find(tag)).min() {
        outside.push_str(&rest[..start]);
        outside.push(' ');
        let name = rest[start + 1..].split([' ', '>']).next().unwrap_or_default();
        let close = format!("</{name}>");
        let end = rest[start..].find(&close).map_or(rest.len(), |end| start + end + close.len());
        rest = &rest[end..];
    }
    outside.push_str(rest);
    for (at, _) in outside.match_indices('@') {
        let before = outside[..at].chars().next_back();
        let next = outside[at + 1..].chars().next();
        let is_name = next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        assert!(!is_name || before.is_some_and(char::is_alphanumeric), "a mention in {text:?}");
    }
}

/// Google Chat: <https://developers.google.com/workspace/chat/format-messages>.
pub fn google_chat(text: &str) -> Seen {
    let mut seen = Seen::default();
    let mut rest = text;
    let mut before: Option<char> = None;
    let (mut in_block, mut in_code) = (false, false);
    let mut styles = 0;
    while let Some(c) = rest.chars().next() {
        let at_line_start = before.is_none_or(|before| before == '\n');
        let mut taken = c.len_utf8();
        match c {
            '`' if rest.starts_with("```") => {
                in_block = !in_block;
                seen.marks.push("block");
                taken = 3;
            }
            '`' if !in_block => {
                in_code = !in_code;
                seen.marks.push("code");
            }
            '<' if rest[1..].starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let end = rest.find('>').unwrap_or_else(|| panic!("a link without an end in {text:?}"));
                let (url, words) = rest[1..end].split_once('|').unwrap_or_else(|| panic!("in {text:?}"));
                assert!(["http://", "https://", "mailto:"].iter().any(|scheme| url.starts_with(scheme)));
                assert!(!words.contains(['<', '|', '\n']), "{words:?} in {text:?}");
                seen.links.push(url.to_owned());
                seen.words.push_str(words);
                taken = end + 1;
            }
            '>' | '-' | '*' if at_line_start && !in_block && rest[1..].starts_with(' ') => {
                seen.marks.push(if c == '>' { "quote" } else { "list" });
            }
            '*' | '_' | '~' if !in_block && !in_code => {
                let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
                if is_word(before) && is_word(rest[1..].chars().next()) {
                    seen.words.push(c);
                } else {
                    seen.marks.push("style");
                    styles += 1;
                }
            }
            '\n' => {
                assert!(!in_code, "code across lines in {text:?}");
                seen.words.push('\n');
            }
            c => seen.words.push(c),
        }
        before = rest[..taken].chars().next_back();
        rest = &rest[taken..];
    }
    assert!(!in_code && !in_block && styles % 2 == 0, "left open in {text:?}");
    assert!(!text.contains("<users/"), "a mention in {text:?}");
    seen
}
