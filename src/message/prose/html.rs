//! HTML within Markdown, as pieces: text and the tags that GitLab's sanitizer allows
//! (<https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/banzai/filter/base_sanitization_filter.rb>).

use std::borrow::Cow;

use pulldown_cmark::{Event, Parser};

use crate::message::markup::start;

/// A longer tag is text.
const LONGEST_TAG: usize = 8_000;
/// An entity's name is not longer.
const LONGEST_ENTITY: usize = 40;

/// A piece of HTML.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Text, with its entities decoded.
    Words(Cow<'a, str>),
    Start(Tag<'a>),
    End(Element),
}

/// An opening tag.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub element: Element,
    attributes: &'a str,
    /// `<br/>`: nothing is within it.
    pub is_closed: bool,
}

/// What an element means to its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Bold,
    Italic,
    Strike,
    Superscript,
    Code,
    Pre,
    Link,
    Image,
    /// A video or a sound.
    Media,
    Quote,
    List,
    OrderedList,
    Item,
    Row,
    Cell,
    HeadCell,
    Heading,
    /// A block with space around it.
    Block,
    /// A block without space around it.
    Line,
    Break,
    Rule,
    /// Words within a line that need no mark.
    Plain,
}

impl Element {
    /// The element of a tag; `None` for what is no tag that people use: `Vec<T>`, `<your name>`.
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "b" | "strong" => Self::Bold,
            "i" | "em" | "cite" | "dfn" | "var" => Self::Italic,
            "s" | "del" | "strike" => Self::Strike,
            "sup" => Self::Superscript,
            "code" | "kbd" | "samp" | "tt" => Self::Code,
            "pre" => Self::Pre,
            "a" => Self::Link,
            "img" => Self::Image,
            "video" | "audio" | "source" => Self::Media,
            "blockquote" => Self::Quote,
            "ul" => Self::List,
            "ol" => Self::OrderedList,
            "li" => Self::Item,
            "tr" => Self::Row,
            "td" => Self::Cell,
            "th" => Self::HeadCell,
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => Self::Heading,
            "p" | "div" | "section" | "center" | "table" | "dl" | "figure" => Self::Block,
            "details" | "summary" | "dt" | "dd" | "caption" | "figcaption" | "thead" | "tbody" | "tfoot" => {
                Self::Line
            }
            "br" => Self::Break,
            "hr" => Self::Rule,
            "abbr" | "bdo" | "col" | "colgroup" | "font" | "ins" | "mark" | "picture" | "q" | "ruby"
            | "rt" | "rp" | "small" | "span" | "sub" | "u" | "wbr" => Self::Plain,
            _ => return None,
        })
    }

    /// Whether it never has an end.
    pub const fn is_void(self) -> bool {
        matches!(self, Self::Image | Self::Media | Self::Break | Self::Rule)
    }

    /// Whether it is a part of a line, and so ends with the block that it is in.
    pub const fn is_inline(self) -> bool {
        matches!(
            self,
            Self::Bold
                | Self::Italic
                | Self::Strike
                | Self::Superscript
                | Self::Code
                | Self::Pre
                | Self::Link
                | Self::HeadCell
                | Self::Heading
        )
    }
}

impl Tag<'_> {
    /// The value of an attribute, with its entities decoded; `None` where it has none.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let mut rest = self.attributes;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            let end = rest.find(|c: char| c.is_whitespace() || c == '=' || c == '/').unwrap_or(rest.len());
            let (found, after) = rest.split_at(end);
            let value = after.trim_start().strip_prefix('=').map(str::trim_start);
            let (value, after) = match value {
                None => ("", after),
                Some(value) => match value.chars().next() {
                    Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
                    _ => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
                },
            };
            if found.eq_ignore_ascii_case(name) {
                let value = decoded(value);
                return (!value.trim().is_empty()).then(|| value.trim().to_owned());
            }
            // A lone sign is no name.
            rest = if found.is_empty() { after.get(1..).unwrap_or_default() } else { after };
            if rest.trim().is_empty() {
                return None;
            }
        }
    }
}

/// The pieces of a text. Comments are left out, and what only looks like a tag is text.
pub(super) fn pieces(html: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut words_from = 0;
    let mut at = 0;
    while let Some(start) = html[at..].find('<').map(|start| at + start) {
        let Some((piece, length)) = markup_at_start(&html[start..]) else {
            at = start + 1;
            continue;
        };
        if words_from < start {
            found.push(Piece::Words(decoded(&html[words_from..start])));
        }
        found.extend(piece);
        at = start + length;
        words_from = at;
    }
    if words_from < html.len() {
        found.push(Piece::Words(decoded(&html[words_from..])));
    }
    found
}

/// The comment or tag at the start of a text, and its length.
fn markup_at_start(html: &str) -> Option<(Option<Piece<'_>>, usize)> {
    if let Some(comment) = html.strip_prefix("<!--") {
        let length = comment.find("-->").map_or(html.len(), |end| "<!--".len() + end + "-->".len());
        return Some((None, length));
    }
    let name_at = if html[1..].starts_with('/') { 2 } else { 1 };
    let name = &html[name_at..];
    let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len())];
    let element = Element::named(name)?;
    let attributes = start(&html[name_at + name.len()..], LONGEST_TAG);
    if !attributes.starts_with(|c: char| c.is_whitespace() || c == '>' || c == '/') {
        return None;
    }
    let end = end_of_tag(attributes)?;
    let length = name_at + name.len() + end + 1;
    if name_at == 2 {
        return Some((Some(Piece::End(element)), length));
    }
    let attributes = &attributes[..end];
    let is_closed = attributes.ends_with('/');
    Some((Some(Piece::Start(Tag { element, attributes, is_closed })), length))
}

/// Where the `>` is that ends a tag: not within quotation marks.
fn end_of_tag(attributes: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in attributes.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    // A quotation mark without its second one: the first `>` ends the tag.
    attributes.find('>')
}

/// The text with its entities decoded, which HTML and Markdown share.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        words.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.bytes().take(LONGEST_ENTITY).position(|b| b == b';').map_or(1, |end| end + 1);
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'#';
        let entity = &rest[..end];
        if end > 2 && entity[1..end - 1].bytes().all(is_name) {
            for event in Parser::new(entity) {
                if let Event::Text(decoded) = event {
                    words.push_str(&decoded);
                }
            }
        } else {
            words.push_str(entity);
        }
        rest = &rest[end..];
    }
    words.push_str(rest);
    Cow::Owned(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Piece<'_> {
        Piece::Words(text.into())
    }

    #[test]
    fn tags_comments_and_entities_are_read() {
        let found = pieces("a &lt;&amp;&hellip;&x; <!-- b > --><b>c</B> Vec<T> 1 < 2 <your name>");
        let bold = Tag { element: Element::Bold, attributes: "", is_closed: false };
        let expected = [
            words("a <&…&x; "),
            Piece::Start(bold),
            words("c"),
            Piece::End(Element::Bold),
            words(" Vec<T> 1 < 2 <your name>"),
        ];
        assert_eq!(found, expected);
        assert_eq!(pieces("<!-- no end"), []);
        assert_eq!(pieces("<b"), [words("<b")]);
        assert_eq!(pieces("<body>"), [words("<body>")]);
    }

    #[test]
    fn attributes_are_read() {
        let of = |html: &str, name: &str| match pieces(html).remove(0) {
            Piece::Start(tag) => tag.attribute(name),
            other => panic!("{other:?}"),
        };
        let img = "<img ALT='a > b' src=\"/x?a=1&amp;b=2\" width=20 hidden/>";
        assert_eq!(of(img, "alt").as_deref(), Some("a > b"));
        assert_eq!(of(img, "src").as_deref(), Some("/x?a=1&b=2"));
        assert_eq!(of(img, "width").as_deref(), Some("20"));
        assert_eq!(of(img, "hidden"), None);
        assert_eq!(of(img, "title"), None);
        assert_eq!(of("<a href=https://a.example/x>", "href").as_deref(), Some("https://a.example/x"));
        assert_eq!(of("<a = \"\" == href='' title>", "href"), None);
        assert_eq!(of("<img src=\"never closed>", "src").as_deref(), Some("never closed"));
    }
}
