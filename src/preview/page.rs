//! The page: what stands around the drawings, and how all of it looks.
//!
//! Text that people wrote goes through [`esc`] or through a reader that removes unsafe markup. Should one of them
//! fail, the page's policy lets no script run and nothing be fetched.

use std::fmt::Write as _;

use super::Shown;
use crate::message::MOST_REFERENCES;

/// What the page may do: no scripts, no pictures, no fonts, no calls home: styles of its own, and nothing else.
pub const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE: &str = include_str!("page.css");

/// Text as text, in the page and in its attributes.
pub(super) fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // HTML has no way to write the others.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A link, where the address is one that a browser may open; else only the words, which are HTML already.
pub(super) fn link(url: &str, words: &str) -> String {
    if opens(url) {
        format!("<a href=\"{}\" rel=\"noreferrer\">{words}</a>", esc(url))
    } else {
        words.to_owned()
    }
}

/// Whether an address is one that a click may lead to.
pub(super) fn opens(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "mailto"))
}

/// A person's picture without fetching it: their initials, in a colour of their own.
pub(super) fn avatar(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let initials: String =
        words.filter_map(|word| word.chars().next()).take(2).flat_map(char::to_uppercase).collect();
    let hue = name.bytes().fold(7_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 360);
    format!("<span class=\"avatar\" style=\"background:hsl({hue} 45% 45%)\">{}</span>", esc(&initials))
}

/// A colour, where it is one: `#rgb` or `#rrggbb`, with or without the `#`.
pub(super) fn colour(text: &str) -> Option<String> {
    let digits = text.strip_prefix('#').unwrap_or(text);
    let is_colour = matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_colour.then(|| format!("#{digits}"))
}

/// The whole page.
pub fn page(shown: &[Shown]) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>What Forgebell would send</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>What Forgebell would send</h1>\n\
         <p class=\"about\">Each message is the request that would go out, drawn roughly as its service draws it. \
         Nothing was sent. Pictures are not fetched: initials stand in their place.</p>\n"
    );
    for event in shown {
        let _ = write!(
            html,
            "<section>\n<h2>{} <span class=\"kind\">{}</span></h2>\n<p class=\"from\">{}</p>\n<div class=\"messages\">\n",
            esc(&event.title),
            esc(&event.kind),
            esc(&event.source)
        );
        for message in &event.messages {
            let unwanted = message.unwanted.as_ref().map_or_else(String::new, |why| {
                format!("<p class=\"unwanted\">Would not be sent: {}.</p>\n", esc(why))
            });
            let whole = if message.wide { " class=\"wide\"" } else { "" };
            let _ = write!(
                html,
                "<figure{whole}>\n<figcaption>{} <span class=\"where\">{}</span></figcaption>\n{unwanted}{}\n</figure>\n",
                esc(&message.service),
                esc(&message.place),
                message.drawing
            );
        }
        html.push_str("</div>\n");
        if !event.unheard.is_empty() {
            let _ = writeln!(
                html,
                "<p class=\"unheard\">Nothing is sent to {}.</p>",
                esc(&event.unheard.join(", "))
            );
        }
        if event.has_unlinked_references {
            let _ = writeln!(
                html,
                "<p class=\"unheard\">The first {MOST_REFERENCES} references of the message are links. The others stay as they \
                 are written.</p>"
            );
        }
        html.push_str("</section>\n");
    }
    html.push_str("</body>\n</html>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_never_become_markup() {
        assert_eq!(esc("<b a='\"'>&\u{7}"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;\u{fffd}");
        assert_eq!(link("javascript:alert(1)", "x"), "x");
        assert_eq!(
            link("https://a.example/\"x", "x"),
            "<a href=\"https://a.example/&quot;x\" rel=\"noreferrer\">x</a>"
        );
        assert_eq!(colour("red;background:url(x)"), None);
        assert_eq!(colour("#8D1300").as_deref(), Some("#8D1300"));
        assert!(avatar("<script>alert</script> Ann").contains(">SA<"));
    }
}
