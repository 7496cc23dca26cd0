//! Finds code in people's words: what stands in it names no issue and mentions no person.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event as Markdown, Options, Parser, Tag};

/// The same text with backticks in place of code. All else keeps its place. Only in Markdown are lines with an indent code, and is
/// there HTML whose comments are left out; in a commit's message they are words.
pub fn without_code(text: &str, is_markdown: bool) -> Cow<'_, str> {
    // Most commit messages have none of the signs.
    if !text.contains(['`', '~', '<']) && (!is_markdown || !text.contains(['\t', ' '])) {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.as_bytes().to_vec();
    let mut hide = |range: Range<usize>| bytes[range].fill(b'`');
    for (event, range) in Parser::new_ext(text, Options::empty()).into_offset_iter() {
        match event {
            Markdown::Code(_) | Markdown::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => hide(range),
            Markdown::Start(Tag::CodeBlock(CodeBlockKind::Indented)) if is_markdown => hide(range),
            Markdown::InlineHtml(_) | Markdown::Start(Tag::HtmlBlock) if is_markdown => {
                comments(&text[range.clone()])
                    .for_each(|comment| hide(range.start + comment.start..range.start + comment.end));
            }
            _ => {}
        }
    }
    Cow::Owned(String::from_utf8(bytes).unwrap_or_default())
}

/// Where comments are in HTML. One that does not end goes to the end.
fn comments(html: &str) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + html[from..].find("<!--")?;
        let end = html[start..].find("-->").map_or(html.len(), |length| start + length + "-->".len());
        from = end;
        Some(start..end)
    })
}
