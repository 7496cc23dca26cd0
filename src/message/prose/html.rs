//! HTML within Markdown.

/// HTML as plain text: comments and well-known tags are removed, `<br>` becomes a line break, and what only looks
/// like a tag (`Vec<T>`) stays.
pub(super) fn without_tags(html: &str) -> String {
    let mut words = String::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        words.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + "-->".len()..]);
            continue;
        }
        let name = rest[1..].trim_start_matches('/');
        let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len())];
        let end = rest.find('>');
        if let Some(end) = end.filter(|_| is_tag(name)) {
            if name.eq_ignore_ascii_case("br") {
                words.push('\n');
            }
            rest = &rest[end + 1..];
        } else {
            words.push('<');
            rest = &rest[1..];
        }
    }
    words.push_str(rest);
    words
}

/// The tags that GitLab's sanitizer allows, without the rare ones.
fn is_tag(name: &str) -> bool {
    const TAGS: &[&str] = &[
        "a",
        "abbr",
        "b",
        "blockquote",
        "br",
        "caption",
        "center",
        "code",
        "dd",
        "del",
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "font",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "mark",
        "ol",
        "p",
        "picture",
        "pre",
        "q",
        "s",
        "samp",
        "small",
        "source",
        "span",
        "strike",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "tt",
        "u",
        "ul",
        "var",
        "video",
    ];
    TAGS.iter().any(|tag| tag.eq_ignore_ascii_case(name))
}
