//! Messages in other formats than Slack's: cards, embeds, HTML, lines, mails.

use serde_json::Value as Json;

use super::{Look, Paint, Reader, WIDTH, clean, folded, words};
use crate::cli::demo::stand_ins::Service;

pub(super) fn message(service: Service, body: &Json, paint: Paint) -> Vec<String> {
    let text = |text: &Json| words(service, text, paint, WIDTH);
    match service {
        Service::HipChat => {
            let html =
                body["message"].as_str().unwrap_or_default().replace("<br />", "\n").replace("<br>", "\n");
            folded(text(&html.into()), paint)
        }
        Service::Teams => {
            let bar = paint.dim("▌");
            let card = card(&body["attachments"][0]["content"]["body"]);
            let lines = card.iter().flat_map(|line| text(&line.as_str().into())).collect();
            folded(lines, paint).iter().map(|line| format!("{bar} {line}")).collect()
        }
        Service::Discord => {
            let embeds = body["embeds"].as_array().into_iter().flatten();
            let mut lines = text(&body["content"]);
            lines.extend(embeds.flat_map(|embed| embed_lines(embed, paint)));
            lines
        }
        Service::Mail => {
            let subject = paint.bold(&clean(body["subject"].as_str().unwrap_or_default()));
            std::iter::once(subject).chain(folded(text(&body["text"]), paint)).collect()
        }
        Service::Irker | Service::Slack | Service::Mattermost => text(&body["text"]),
    }
}

/// All texts of a card, and its facts, one a line.
fn card(element: &Json) -> Vec<String> {
    match element {
        Json::Array(items) => items.iter().flat_map(card).collect(),
        Json::Object(parts) => {
            let string = |name: &str| parts.get(name).and_then(Json::as_str);
            match (string("text"), string("title"), string("value")) {
                (Some(text), _, _) => vec![text.to_owned()],
                (None, Some(title), Some(value)) => vec![format!("**{title}:** {value}")],
                _ => {
                    let inner = ["columns", "items", "facts", "inlines", "rows", "cells"];
                    inner.iter().filter_map(|name| parts.get(*name)).flat_map(card).collect()
                }
            }
        }
        _ => Vec::new(),
    }
}

/// An embed beside a bar in its colour.
fn embed_lines(embed: &Json, paint: Paint) -> Vec<String> {
    let text = |text: &Json| words(Service::Discord, text, paint, WIDTH - 2);
    let name = |name: &Json| clean(name.as_str().unwrap_or_default());
    let mut lines = vec![paint.dim(&name(&embed["author"]["name"]))];
    lines.push(paint.bold(&name(&embed["title"])));
    lines.extend(text(&embed["description"]));
    for field in embed["fields"].as_array().into_iter().flatten() {
        let value = text(&field["value"]).join(" ");
        lines.push(format!("{} {value}", paint.bold(&format!("{}:", name(&field["name"])))));
    }
    lines.push(paint.dim(&name(&embed["footer"]["text"])));
    lines.retain(|line| !line.is_empty());
    let colour = embed["color"].as_u64().map(|colour| format!("#{colour:06x}")).unwrap_or_default();
    let bar = paint.in_colour(&colour, "▌");
    folded(lines, paint).iter().map(|line| format!("{bar} {line}")).collect()
}

impl Reader<'_> {
    /// Reads `<a href="…">text</a>`, `<b>`, `<strong>` and escaped characters; other tags are dropped.
    pub(super) fn html(&mut self) {
        if let Some((tag, rest)) = self.rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
            self.rest = rest;
            match tag.split(' ').next().unwrap_or_default() {
                "a" => {
                    let (words, rest) = rest.split_once("</a>").unwrap_or((rest, ""));
                    self.push(&unescaped(words), Look::Link);
                    self.rest = rest;
                }
                "b" | "strong" => self.bold = true,
                "/b" | "/strong" => self.bold = false,
                _ => {}
            }
            return;
        }
        for (escaped, letter) in ESCAPED {
            if let Some(rest) = self.rest.strip_prefix(escaped) {
                self.push(letter, Look::Plain);
                self.rest = rest;
                return;
            }
        }
        self.letter();
    }

    /// Reads mIRC's codes: bold, and underlined addresses. Colours are dropped.
    pub(super) fn irc(&mut self) {
        let Some(code) = self.rest.strip_prefix(['\x02', '\x03', '\x0f', '\x1f']) else {
            return self.letter();
        };
        match self.rest.as_bytes()[0] {
            0x02 => self.bold = !self.bold,
            0x0f => self.bold = false,
            // The two digits of a colour.
            0x03 => return self.rest = code.get(2..).unwrap_or_default(),
            _ => {
                let end = code.find('\x0f').unwrap_or(code.len());
                self.push(&code[..end], Look::Link);
                return self.rest = &code[end..];
            }
        }
        self.rest = code;
    }
}

const ESCAPED: [(&str, &str); 6] =
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];

fn unescaped(text: &str) -> String {
    ESCAPED.iter().fold(text.to_owned(), |text, (escaped, letter)| text.replace(escaped, letter))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: Paint = Paint { on: false };

    #[test]
    fn html_is_shown_by_its_words() {
        let body = json!({ "message": "Ada pushed to <a href=\"https://x.example\">a &amp; b</a><br />- <b>2 &lt; 3</b>" });
        assert_eq!(message(Service::HipChat, &body, PLAIN), ["Ada pushed to a & b", "- 2 < 3"]);
    }

    #[test]
    fn irc_is_shown_without_its_codes() {
        let body = json!({ "text": "[\x0304Rocket\x0f] Ada pushed \x022\x0f to \x0305main\x0f: \x0302\x1fhttps://x.example\x0f\nmore" });
        let lines = message(Service::Irker, &body, PLAIN);
        assert_eq!(lines, ["[Rocket] Ada pushed 2 to main: https://x.example", "more"]);
        let painted = message(Service::Irker, &body, Paint { on: true }).join("\n");
        assert!(
            painted.contains("\u{1b}[1m2\u{1b}[0m") && painted.contains("\u{1b}[4mhttps://x.example"),
            "{painted:?}"
        );
        assert!(!painted.contains('\x03'), "{painted:?}");
    }

    #[test]
    fn cards_and_embeds_are_shown_by_their_texts() {
        let card = json!({ "attachments": [{ "content": { "body": [
            { "type": "TextBlock", "text": "[Issue](https://x.example)" },
            { "type": "Container", "items": [{ "type": "ColumnSet", "columns": [{ "items": [{ "text": "by **Ada**" }] }] }] },
            { "type": "FactSet", "facts": [{ "title": "Branch", "value": "main" }] },
        ] } }] });
        assert_eq!(message(Service::Teams, &card, PLAIN), ["▌ Issue", "▌ by Ada", "▌ Branch: main"]);
        let embed = json!({ "embeds": [{
            "author": { "name": "Ada" }, "title": "Opened issue", "color": 255, "description": "**Now**",
            "fields": [{ "name": "Branch", "value": "main" }], "footer": { "text": "Rocket" },
        }] });
        assert_eq!(
            message(Service::Discord, &embed, PLAIN),
            ["▌ Ada", "▌ Opened issue", "▌ Now", "▌ Branch: main", "▌ Rocket"]
        );
    }

    #[test]
    fn mails_are_shown_by_their_subject_and_the_first_of_their_lines() {
        let text = (1..=20).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        let lines = message(Service::Mail, &json!({ "subject": "Hello", "text": text }), PLAIN);
        assert_eq!(lines.len(), 8);
        assert_eq!((lines[0].as_str(), lines[7].as_str()), ("Hello", "… 14 more lines"));
    }
}
