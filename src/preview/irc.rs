//! IRC: lines, with mIRC's colours (<https://modern.ircdocs.horse/formatting>), out of what an irkerd is sent.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::page::esc;

/// Lines of JSON for an irkerd, by room; `None` where they are something else.
pub(super) fn draw(body: &[u8]) -> Option<String> {
    let mut rooms: Vec<(String, String)> = Vec::new();
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Json = serde_json::from_slice(line).ok()?;
        let said = line.get("privmsg")?.as_str()?;
        let to = match line.get("to")? {
            Json::Array(rooms) => {
                rooms.iter().filter_map(Json::as_str).map(room).collect::<Vec<_>>().join(", ")
            }
            one => room(one.as_str()?),
        };
        let at = rooms.iter().position(|(room, _)| *room == to).unwrap_or_else(|| {
            rooms.push((to, String::new()));
            rooms.len() - 1
        });
        for said in said.lines() {
            let _ = write!(rooms[at].1, "<div>&lt;irker&gt; {}</div>", coloured(said));
        }
    }
    let drawn = rooms.iter().map(|(room, lines)| format!("<div class=\"room\">{}</div>{lines}", esc(room)));
    Some(format!("<div class=\"irc\">{}</div>", drawn.collect::<String>()))
}

/// A room's address without what may be secret in it: a login, a key.
fn room(url: &str) -> String {
    let address = url.split('?').next().unwrap_or_default();
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => address.to_owned(),
    }
}

/// mIRC's sixteen, as clients on a dark ground show them.
const COLOURS: [&str; 16] = [
    "#ffffff", "#5c6370", "#6fa8ff", "#5fd75f", "#ff6b6b", "#d29a62", "#d78be8", "#ffaf5f", "#ffff87",
    "#87ff87", "#5fd7d7", "#87ffff", "#87afff", "#ff87ff", "#9aa0a6", "#d0d4da",
];

#[derive(Default)]
struct Look {
    bold: bool,
    italic: bool,
    underlined: bool,
    colour: Option<usize>,
}

impl Look {
    fn css(&self) -> String {
        let mut css = String::new();
        if self.bold {
            css.push_str("font-weight:700;");
        }
        if self.italic {
            css.push_str("font-style:italic;");
        }
        if self.underlined {
            css.push_str("text-decoration:underline;");
        }
        if let Some(colour) = self.colour.and_then(|colour| COLOURS.get(colour)) {
            let _ = write!(css, "color:{colour}");
        }
        css
    }
}

fn coloured(line: &str) -> String {
    let mut html = String::new();
    let mut look = Look::default();
    let mut words = String::new();
    let mut rest = line.chars().peekable();
    let put = |html: &mut String, words: &mut String, look: &Look| {
        let css = look.css();
        let words = esc(&std::mem::take(words));
        match css.as_str() {
            _ if words.is_empty() => {}
            "" => html.push_str(&words),
            css => _ = write!(html, "<span style=\"{css}\">{words}</span>"),
        }
    };
    while let Some(c) = rest.next() {
        if !matches!(c, '\u{2}' | '\u{3}' | '\u{f}' | '\u{16}' | '\u{1d}' | '\u{1f}') {
            words.push(c);
            continue;
        }
        put(&mut html, &mut words, &look);
        match c {
            '\u{2}' => look.bold = !look.bold,
            '\u{1d}' => look.italic = !look.italic,
            '\u{1f}' => look.underlined = !look.underlined,
            '\u{3}' => {
                let mut digits = String::new();
                while let Some(digit) = rest.next_if(|c| c.is_ascii_digit() && digits.len() < 2) {
                    digits.push(digit);
                }
                look.colour = digits.parse().ok();
            }
            '\u{f}' => look = Look::default(),
            _ => {}
        }
    }
    put(&mut html, &mut words, &look);
    html
}
