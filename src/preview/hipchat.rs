//! HipChat: a bubble in the colour that was asked for.

use serde_json::Value as Json;

use super::markup::few_tags;
use super::page::{avatar, esc};
use super::raw::text;

/// A room notification; `None` where it is something else.
pub(super) fn draw(body: &Json) -> Option<String> {
    let message = body.get("message")?.as_str()?;
    let colour = match text(body, "color") {
        "green" => "#dff5d8",
        "red" => "#ffd9d9",
        "purple" => "#ecdfff",
        "gray" => "#ececec",
        // What a notification is where nothing is said.
        _ => "#fdf7c3",
    };
    let words = match text(body, "message_format") {
        "text" => format!("<pre>{}</pre>", esc(message)),
        _ => few_tags(message),
    };
    let from = Some(text(body, "from")).filter(|from| !from.is_empty()).unwrap_or("Forgebell");
    let notifies = body.get("notify") == Some(&Json::Bool(true)) || text(body, "notify") == "1";
    let rings = if notifies { "<span class=\"tag\">rings</span>" } else { "" };
    Some(format!(
        "<div class=\"hipchat\"><div>{} <span class=\"who\">{}</span>{rings}</div>\
         <div class=\"bubble\" style=\"background:{colour}\">{words}</div></div>",
        avatar(from),
        esc(from)
    ))
}
