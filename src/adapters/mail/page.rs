//! A mail's text and its HTML, written together and limited in length.
//!
//! The HTML has inline styles, no pictures and no external resources. So all mail programs show it in the same way, and the
//! sender can't track readers. Colours only repeat what the text says.

use crate::message::{Limit, Markup, Text};

/// The limit for text and HTML together; a mail stays below a megabyte.
const MOST_TEXT: usize = 300_000;
const MOST_HTML: usize = 640_000;
/// The space that is reserved for the end of the page.
const RESERVE: usize = 8_000;
/// The part of the reserve for a notice about content that was left out.
const LAST_WORD: usize = 1_000;
/// The limit for lines of diffs in a mail.
const LONGEST_CODE_LINE: usize = 2_000;
/// The beginnings of the lines that name a file above its changes.
const NAMES: [&str; 4] = ["--- a/", "+++ b/", "--- /dev/null", "+++ /dev/null"];

const FONT: &str = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const MONO: &str = "font-family:Menlo,Consolas,'Liberation Mono',monospace";

/// The meaning of a text, which sets its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Neutral,
    Good,
    Warning,
    Bad,
}

impl Mood {
    const fn color(self) -> &'static str {
        match self {
            Self::Neutral => "#1f5fa8",
            Self::Good => "#1a7f37",
            Self::Warning => "#9a6700",
            Self::Bad => "#c0281c",
        }
    }
}

/// A page that is being written.
#[derive(Clone, Debug, Default)]
pub struct Page {
    text: String,
    html: String,
}

impl Page {
    pub fn new() -> Self {
        Self::default()
    }

    /// The first line: what happened.
    pub fn headline(&mut self, words: &Text, mood: Mood) {
        let style = format!(
            "border-left:6px solid {0};padding:6px 0 6px 12px;margin:0 0 16px;font-size:18px;color:{0}",
            mood.color()
        );
        // A link in blue would hide the colour's meaning, so it has the headline's colour and is underlined.
        let html = html_of(words).replace("<a href=", "<a style=\"color:inherit\" href=");
        self.push(&words_of(words), &format!("<div style=\"{style}\"><b>{html}</b></div>\n"));
    }

    /// A heading within.
    pub fn heading(&mut self, words: &str) {
        let html = Markup::Html.label(words, Limit::Chars(200));
        let words = Markup::Plain.label(words, Limit::Chars(200));
        self.push(
            &format!("\n{words}\n"),
            &format!("<h3 style=\"font-size:16px;margin:20px 0 6px\">{html}</h3>\n"),
        );
    }

    /// A paragraph.
    pub fn paragraph(&mut self, words: &Text) {
        let text = format!("\n{}", words_of(words));
        self.push(&text, &format!("<p style=\"margin:0 0 8px\">{}</p>\n", html_of(words)));
    }

    /// A notice for the reader. A short one fits into the reserve even if the page is full.
    pub fn notice(&mut self, words: &str) {
        let words = Text::new().plain(words);
        let html = html_of(&words);
        self.push_leaving(
            RESERVE - LAST_WORD,
            &format!("\n{}", words_of(&words)),
            &format!("<p style=\"margin:12px 0;padding:8px;background:#fff4d6;color:#5c4400\">{html}</p>\n"),
        );
    }

    /// Facts as a table of names and values. Facts without a value are left out.
    pub fn facts(&mut self, facts: &[(&str, Text)]) {
        let rows: Vec<_> = facts.iter().filter(|(_, value)| !value.is_blank()).collect();
        let mut text = "\n".to_owned();
        for (name, value) in &rows {
            text.extend([*name, ": ", &words_of(value)]);
        }
        let row = |(name, value): &&(&str, Text)| {
            format!(
                "<tr><td style=\"padding:2px 12px 2px 0;color:#666;vertical-align:top\">{name}</td>\
                 <td style=\"padding:2px 0;word-break:break-word\">{}</td></tr>\n",
                html_of(value)
            )
        };
        let html: String = rows.iter().map(row).collect();
        self.push(
            &text,
            &format!("<table style=\"border-collapse:collapse;font-size:15px\">\n{html}</table>\n"),
        );
    }

    /// An entry with a head and a text below it. Returns false if it does not fit.
    pub fn entry(&mut self, head: &Text, words: &Text) -> bool {
        let text = format!("\n{}\n{}\n- - - - -\n", words_of(head), words_of(words));
        let html = format!(
            "<div style=\"margin:0 0 12px;padding:0 0 8px;border-bottom:1px solid #ddd\">\
             <div style=\"color:#666\">{}</div><div style=\"margin-top:4px;word-break:break-word;white-space:pre-wrap\">{}</div></div>\n",
            html_of(head),
            html_of(words)
        );
        // Half of the page is kept for diffs.
        let fits =
            self.text.len() + text.len() < MOST_TEXT / 2 && self.html.len() + html.len() < MOST_HTML / 2;
        fits && self.push(&text, &html)
    }

    /// A list.
    pub fn list(&mut self, items: &[Text]) {
        let text: String = items.iter().flat_map(|item| ["- ".to_owned(), words_of(item)]).collect();
        let item = |item: &Text| format!("<li style=\"word-break:break-word\">{}</li>\n", html_of(item));
        let html: String = items.iter().map(item).collect();
        self.push(&text, &format!("<ul style=\"margin:0 0 8px;padding-left:20px\">\n{html}</ul>\n"));
    }

    /// Lines of a diff, unchanged. Returns false if not all of them fit.
    pub fn diff<'a>(&mut self, lines: impl Iterator<Item = &'a str>) -> bool {
        let begin = format!(
            "<pre style=\"margin:0 0 12px;padding:8px;background:#f6f8fa;border:1px solid #ddd;overflow-x:auto;\
             font-size:13px;{MONO}\">"
        );
        if !self.push("", &begin) {
            return false;
        }
        let (mut whole, mut in_head) = (true, true);
        for line in lines {
            let line = clean(line);
            in_head &= !line.starts_with("@@");
            let style = match line.as_bytes().first() {
                // Lines with the file's names are neither added nor removed lines.
                _ if in_head && NAMES.iter().any(|name| line.starts_with(name)) => "",
                Some(b'+') => "color:#116329;background:#dafbe1",
                Some(b'-') => "color:#82071e;background:#ffebe9",
                Some(b'@') => "color:#6639ba",
                _ => "",
            };
            let escaped = escape(&line);
            let html = if style.is_empty() {
                format!("{escaped}\n")
            } else {
                format!("<span style=\"{style}\">{escaped}</span>\n")
            };
            whole = self.push(&format!("{line}\n"), &html);
            if !whole {
                break;
            }
        }
        // The closing tag uses the reserve.
        self.html.push_str("</pre>\n");
        self.text.push('\n');
        whole
    }

    /// Adds to text and HTML, if it fits into both.
    fn push(&mut self, text: &str, html: &str) -> bool {
        self.push_leaving(RESERVE, text, html)
    }

    /// Adds the part if this much space is left afterwards.
    fn push_leaving(&mut self, reserve: usize, text: &str, html: &str) -> bool {
        let fits = self.text.len() + text.len() <= MOST_TEXT - reserve
            && self.html.len() + html.len() <= MOST_HTML - reserve;
        if fits {
            self.text.push_str(text);
            self.html.push_str(html);
        }
        fits
    }

    /// The end of the page: a link, and the reason why the reader gets the mail. There is always space for it.
    pub fn foot(&mut self, view: Option<(&str, &str)>, why: &str) {
        let link = view.map(|(words, url)| Text::new().link(words, url)).unwrap_or_default();
        if !link.is_blank() {
            self.text.push('\n');
            self.text.push_str(&words_of(&link));
            self.html.extend(["<p style=\"margin:16px 0\">", &html_of(&link), "</p>\n"]);
        }
        // Mail programs recognise a signature by the two dashes.
        let words = Markup::Plain.label(why, Limit::Chars(500));
        self.text.extend(["\n-- \n", &words, "\n"]);
        let words = Markup::Html.label(why, Limit::Chars(500));
        self.html.extend(["<p style=\"margin:16px 0 0;font-size:12px;color:#666\">", &words, "</p>\n"]);
    }

    /// The text, and the HTML as a whole document.
    pub(super) fn finish(self, title: &str) -> (String, String) {
        let title = Markup::Html.label(title, Limit::Chars(300));
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n</head>\n\
             <body style=\"margin:0;padding:12px;max-width:800px;font-size:15px;line-height:1.45;color:#222;\
             background:#fff;{FONT}\">\n{}</body>\n</html>\n",
            self.html
        );
        (self.text, html)
    }
}

fn words_of(text: &Text) -> String {
    Markup::Plain.render(text) + "\n"
}

fn html_of(text: &Text) -> String {
    Markup::Html.render(text)
}

/// A line of code without invisible characters: control characters, and the marks that make code look like other code
/// (<https://trojansource.codes/>).
fn clean(line: &str) -> String {
    let is_seen = |c: &char| {
        *c == '\t'
            || !(c.is_control()
                || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'))
    };
    let cleaned: String = line.chars().filter(is_seen).take(LONGEST_CODE_LINE + 1).collect();
    match cleaned.char_indices().nth(LONGEST_CODE_LINE) {
        Some((end, _)) => cleaned[..end].to_owned() + "…",
        None => cleaned,
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
