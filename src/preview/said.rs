//! Services that show one text: who says it, what it is about, and the text.

use serde_json::Value as Json;

use super::markup::{few_tags, google_chat, markdown, mrkdwn};
use super::page::{avatar, esc};
use super::raw::text;
use crate::message::Markup;

/// The text in this field of a request; `None` where there is none.
pub(super) fn draw(body: &Json, field: &str, markup: Markup) -> Option<String> {
    let words = body.get(field)?.as_str()?;
    let read = reader(markup, body);
    let who = Some(text(&body["author"], "name")).filter(|name| !name.is_empty()).unwrap_or("Forgebell");
    let about =
        [text(body, "subject"), text(&body["thread"], "title")].into_iter().find(|about| !about.is_empty());
    let about = about.map(|about| format!("<div class=\"about\">{}</div>", read(about))).unwrap_or_default();
    // An activity has its details apart from its title.
    let details = if field == "title" { read(text(body, "body")) } else { String::new() };
    Some(format!(
        "<div class=\"said\">{}<div><span class=\"who\">{}</span><span class=\"tag\">BOT</span>{about}\
         <div class=\"text\">{}{details}</div></div></div>",
        avatar(who),
        esc(who),
        read(words)
    ))
}

fn reader(markup: Markup, body: &Json) -> fn(&str) -> String {
    match markup {
        Markup::GoogleChat if text(body, "markupSyntax") == "MARKUP_SYNTAX_MARKDOWN" => markdown,
        Markup::GoogleChat => google_chat,
        Markup::Slack => mrkdwn,
        Markup::Mattermost | Markup::Discord | Markup::Markdown => markdown,
        // Without a mark for it, a text is as Telegram shows it.
        Markup::Telegram if text(body, "parse_mode").is_empty() => esc,
        Markup::Telegram => with_lines,
        Markup::Html | Markup::MatrixHtml => few_tags,
        Markup::Plain | Markup::Quiet | Markup::Irc { .. } => esc,
    }
}

/// Line breaks are line breaks.
fn with_lines(text: &str) -> String {
    format!("<span class=\"lines\">{}</span>", few_tags(text))
}
