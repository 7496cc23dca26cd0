//! Slack and Mattermost: a text, and attachments with a coloured bar.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::page::{avatar, colour, esc, link};
use super::raw::{list, text};

/// How a service's texts become HTML; and how the words where it reads no markup do, in which Slack has escapes.
pub(super) struct Reader {
    pub words: fn(&str) -> String,
    pub labels: fn(&str) -> String,
}

/// A message to an incoming webhook; `None` where it is something else (a workflow's variables).
pub(super) fn draw(body: &Json, read: &Reader) -> Option<String> {
    body.get("text")?;
    let attachments = body.get("attachments")?.as_array()?;
    let name = Some(text(body, "username")).filter(|name| !name.is_empty()).unwrap_or("forgebell");
    let mut html = format!(
        "<div class=\"said\">{}<div><span class=\"who\">{}</span><span class=\"tag\">APP</span><div>{}</div>",
        avatar(name),
        esc(name),
        (read.words)(text(body, "text"))
    );
    for attachment in attachments {
        html.push_str(&draw_attachment(attachment, read));
    }
    html.push_str("</div></div>");
    Some(html)
}

fn draw_attachment(attachment: &Json, read: &Reader) -> String {
    let bar = match text(attachment, "color") {
        "good" => Some("#2eb67d".to_owned()),
        "warning" => Some("#ecb22e".to_owned()),
        "danger" => Some("#e01e5a".to_owned()),
        other => colour(other),
    };
    let bar = bar.map(|bar| format!(" style=\"border-color:{bar}\"")).unwrap_or_default();
    let mut html = format!("<div class=\"attachment\"{bar}>");
    let author = text(attachment, "author_name");
    if !author.is_empty() {
        let name = link(text(attachment, "author_link"), &(read.labels)(author));
        let _ = write!(html, "<div class=\"author\">{} {name}</div>", avatar(author));
    }
    let title = text(attachment, "title");
    if !title.is_empty() {
        let url = text(attachment, "title_link");
        // Without a link, some clients read markup in it.
        let words = if url.is_empty() { (read.words)(title) } else { link(url, &(read.labels)(title)) };
        let _ = write!(html, "<div class=\"title\">{words}</div>");
    }
    let _ = write!(html, "<div>{}</div>", (read.words)(text(attachment, "text")));
    let fields = list(attachment, "fields");
    if !fields.is_empty() {
        html.push_str("<div class=\"fields\">");
        for field in fields {
            let long = if field.get("short") == Some(&Json::Bool(true)) { "" } else { " class=\"long\"" };
            let (name, value) = ((read.labels)(text(field, "title")), (read.words)(text(field, "value")));
            let _ = write!(html, "<div{long}><div class=\"name\">{name}</div>{value}</div>");
        }
        html.push_str("</div>");
    }
    let time =
        attachment.get("ts").and_then(Json::as_i64).and_then(|ts| jiff::Timestamp::from_second(ts).ok());
    let footer = (read.labels)(text(attachment, "footer"));
    let time = time.map(|time| time.strftime("%Y-%m-%d %H:%M UTC").to_string());
    let foot: Vec<String> =
        [Some(footer).filter(|foot| !foot.is_empty()), time].into_iter().flatten().collect();
    if !foot.is_empty() {
        let _ = write!(html, "<div class=\"foot\">{}</div>", foot.join(" | "));
    }
    html.push_str("</div>");
    html
}
