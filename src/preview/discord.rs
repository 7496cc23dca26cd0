//! Discord: a content, and embeds.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::markup::markdown;
use super::page::{avatar, esc, link};
use super::raw::{list, text};

/// A message to a webhook; `None` where it is something else.
pub(super) fn draw(body: &Json) -> Option<String> {
    let embeds = body.get("embeds")?.as_array()?;
    let mut html = format!(
        "<div class=\"discord\"><div class=\"said\">{}<div><span class=\"who\">Forgebell</span>\
         <span class=\"tag\">APP</span><div>{}</div>",
        avatar("Forge Bell"),
        markdown(text(body, "content"))
    );
    for embed in embeds {
        html.push_str(&draw_embed(embed));
    }
    html.push_str("</div></div></div>");
    Some(html)
}

fn draw_embed(embed: &Json) -> String {
    let colour = embed.get("color").and_then(Json::as_u64).filter(|colour| *colour <= 0xff_ff_ff);
    let bar = colour.map(|colour| format!(" style=\"border-color:#{colour:06x}\"")).unwrap_or_default();
    let mut html = format!("<div class=\"embed\"{bar}>");
    let author = &embed["author"];
    let name = text(author, "name");
    if !name.is_empty() {
        let _ = write!(
            html,
            "<div class=\"author\">{} {}</div>",
            avatar(name),
            link(text(author, "url"), &esc(name))
        );
    }
    let title = text(embed, "title");
    if !title.is_empty() {
        let _ = write!(html, "<div class=\"title\">{}</div>", link(text(embed, "url"), &markdown(title)));
    }
    let _ = write!(html, "<div>{}</div>", markdown(text(embed, "description")));
    let fields = list(embed, "fields");
    if !fields.is_empty() {
        html.push_str("<div class=\"fields\">");
        for field in fields {
            let long = if field.get("inline") == Some(&Json::Bool(true)) { "" } else { " class=\"long\"" };
            let (name, value) = (markdown(text(field, "name")), markdown(text(field, "value")));
            let _ = write!(html, "<div{long}><div class=\"name\">{name}</div>{value}</div>");
        }
        html.push_str("</div>");
    }
    let time = text(embed, "timestamp").parse::<jiff::Timestamp>().ok();
    let time = time.map(|time| time.strftime("%Y-%m-%d %H:%M UTC").to_string());
    let footer = Some(esc(text(&embed["footer"], "text"))).filter(|foot| !foot.is_empty());
    let foot: Vec<String> = footer.into_iter().chain(time).collect();
    if !foot.is_empty() {
        let _ = write!(html, "<div class=\"foot\">{}</div>", foot.join(" • "));
    }
    html.push_str("</div>");
    html
}
