//! What GitLab reads before the Markdown: front matter, and quotes between lines of `>>>`.

use std::borrow::Cow;

/// Quotes nested deeper than this are not opened.
const DEEPEST: usize = 4;
const SHORTEST_FENCE: usize = 3;

/// The front matter of a text, and what follows it
/// (<https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/front_matter.rb>).
pub(super) fn front_matter(markdown: &str) -> (Option<&str>, &str) {
    found(markdown).map_or((None, markdown), |(matter, rest)| (Some(matter), rest))
}

fn found(markdown: &str) -> Option<(&str, &str)> {
    let text = markdown.trim_start();
    let (first, inner) = text.split_once('\n')?;
    let fence = ["---", "+++", ";;;"].into_iter().find(|fence| first.starts_with(fence))?;
    let language = first[fence.len()..].trim();
    // A longer row of dashes is a line across the page.
    if language.contains(char::is_whitespace) || language.starts_with(&fence[..1]) {
        return None;
    }
    let mut at = 0;
    for line in inner.split_inclusive('\n') {
        if [fence, "..."].contains(&line.trim_end()) {
            let matter = &inner[..at];
            return (!matter.trim().is_empty()).then_some((matter, &inner[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

/// The text with each quote between lines of `>>>` marked as CommonMark marks it, with `> ` before every line
/// (<https://docs.gitlab.com/user/markdown/#multiline-blockquote>). Code is left as it is. A quote without an end lasts to
/// the end of the text.
pub(super) fn quotes_marked(markdown: &str) -> Cow<'_, str> {
    if !markdown.contains(">>>") {
        return Cow::Borrowed(markdown);
    }
    let mut marked = String::with_capacity(markdown.len() * 2);
    let mut quotes: Vec<usize> = Vec::new();
    let mut indent = 0;
    let mut code: Option<(char, usize)> = None;
    for line in markdown.split('\n') {
        let inner = unindented(line, indent);
        let fence = if code.is_none() { Fence::of(inner) } else { None };
        match fence {
            Some(fence)
                if quotes.last().is_some_and(|open| fence.length >= *open && fence.title.is_empty()) =>
            {
                quotes.pop();
                // The line keeps what follows from being read as a part of the quote.
                add(&mut marked, indent, quotes.len(), "");
            }
            Some(fence) if quotes.len() < DEEPEST => {
                if quotes.is_empty() {
                    indent = fence.indent;
                    add(&mut marked, 0, 0, "");
                }
                quotes.push(fence.length);
                add(&mut marked, indent, quotes.len(), fence.title);
            }
            _ => {
                code = code_after(code, inner);
                add(
                    &mut marked,
                    if quotes.is_empty() { 0 } else { indent },
                    quotes.len(),
                    if quotes.is_empty() { line } else { inner },
                );
            }
        }
        if quotes.is_empty() {
            indent = 0;
        }
    }
    marked.pop();
    Cow::Owned(marked)
}

fn add(marked: &mut String, indent: usize, depth: usize, line: &str) {
    marked.extend(std::iter::repeat_n(' ', indent));
    marked.extend(std::iter::repeat_n("> ", depth));
    marked.push_str(line);
    marked.push('\n');
}

/// The line without at most so many spaces at its start.
fn unindented(line: &str, at_most: usize) -> &str {
    let spaces = line.bytes().take(at_most).take_while(|b| *b == b' ').count();
    &line[spaces..]
}

/// A line of `>>>`.
struct Fence<'a> {
    length: usize,
    indent: usize,
    /// `[!note] Title`, where the quote is an alert.
    title: &'a str,
}

impl<'a> Fence<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let marks = line.trim_start_matches(' ');
        let indent = line.len() - marks.len();
        let title = marks.trim_start_matches('>');
        let length = marks.len() - title.len();
        let title = title.trim();
        let is_fence =
            indent < 4 && length >= SHORTEST_FENCE && (title.is_empty() || title.starts_with("[!"));
        is_fence.then_some(Self { length, indent, title })
    }
}

/// Whether the lines after this one are code between lines of backticks or tildes, and which end it.
fn code_after(code: Option<(char, usize)>, line: &str) -> Option<(char, usize)> {
    let text = line.trim_start_matches(' ');
    let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'));
    let rest = mark.map_or(text, |mark| text.trim_start_matches(mark));
    let length = text.len() - rest.len();
    let is_fence = line.len() - text.len() < 4 && length >= 3;
    match (code, mark) {
        (None, Some(mark)) if is_fence && !(mark == '`' && rest.contains('`')) => Some((mark, length)),
        (Some((open, least)), Some(mark))
            if is_fence && mark == open && length >= least && rest.trim().is_empty() =>
        {
            None
        }
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_is_between_its_marks_at_the_start() {
        assert_eq!(front_matter("---\na: b\n---\ntext"), (Some("a: b\n"), "text"));
        assert_eq!(front_matter("\n+++ toml\na = 1\n+++\n"), (Some("a = 1\n"), ""));
        assert_eq!(front_matter(";;;\n{}\n;;;"), (Some("{}\n"), ""));
        assert_eq!(front_matter("---\na: b\n...\ntext"), (Some("a: b\n"), "text"));
        for none in [
            "---\n\n---\ntext",
            "text\n---\na\n---",
            "---\na: b",
            "-----\na\n---",
            "--- two words\na\n---",
            "---",
            "",
        ] {
            assert_eq!(front_matter(none), (None, none), "{none}");
        }
    }

    #[test]
    fn quotes_between_lines_are_marked() {
        let marked = |text: &str| quotes_marked(text).into_owned();
        assert_eq!(marked("a\n>>>\nb\n\nc\n>>>\nd"), "a\n\n> \n> b\n> \n> c\n\nd");
        assert_eq!(marked(">>>>\na\n>>>\nb\n>>>\n>>>>\nc"), "\n> \n> a\n> > \n> > b\n> \n\nc");
        assert_eq!(marked(">>> [!note] Mind\na\n>>>"), "\n> [!note] Mind\n> a\n");
        assert_eq!(marked("- a\n  >>>\n  b\n  >>>\n  c"), "- a\n\n  > \n  > b\n  \n  c");
        assert_eq!(marked(">>>\na"), "\n> \n> a");
        for same in ["```\n>>>\n```\n", "~~~\n>>>\n```\n>>>", ">>> print(1)", "    >>>", "a >>> b", ""] {
            assert_eq!(marked(same), same);
        }
    }
}
