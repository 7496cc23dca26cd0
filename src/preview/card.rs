//! Teams: an Adaptive Card as workflows take it (<https://adaptivecards.io/explorer/>, version 1.2), or the `MessageCard`
//! of the old connectors (<https://learn.microsoft.com/en-us/outlook/actionable-messages/message-card-reference>).

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::markup::markdown;
use super::page::{avatar, colour, esc, link};
use super::raw::{list, text};

/// Cards within cards beyond this are no card of ours.
const DEEPEST: usize = 12;

/// The one of the two that it is; `None` where it is neither.
pub(super) fn draw(body: &Json) -> Option<String> {
    if text(body, "@type") == "MessageCard" {
        return Some(message_card(body));
    }
    let is_card = |card: &&Json| text(card, "type") == "AdaptiveCard";
    let attached = list(body, "attachments").iter().filter_map(|attachment| attachment.get("content"));
    let cards: String = attached.chain([body]).filter(is_card).map(adaptive_card).collect();
    (!cards.is_empty()).then_some(cards)
}

// ---- Adaptive Cards

fn adaptive_card(card: &Json) -> String {
    let mut html = "<div class=\"card\">".to_owned();
    elements(&mut html, list(card, "body"), 0);
    actions(&mut html, list(card, "actions"));
    html.push_str("</div>");
    html
}

fn elements(html: &mut String, elements: &[Json], depth: usize) {
    for element in elements {
        let rule = element.get("separator") == Some(&Json::Bool(true));
        let wide = matches!(
            text(element, "spacing").to_ascii_lowercase().as_str(),
            "medium" | "large" | "extralarge"
        );
        let gap = if wide { " gap" } else { "" };
        let _ = write!(html, "<div class=\"block{gap}{}\">", if rule { " rule" } else { "" });
        one(html, element, depth);
        html.push_str("</div>");
    }
}

fn one(html: &mut String, element: &Json, depth: usize) {
    if depth > DEEPEST {
        return;
    }
    match text(element, "type") {
        "TextBlock" => {
            let words = markdown(text(element, "text"));
            let _ = write!(html, "<div style=\"{}\">{words}</div>", look(element));
        }
        "RichTextBlock" => {
            for run in list(element, "inlines") {
                let words = run.as_str().unwrap_or_else(|| text(run, "text"));
                let words = link(text(&run["selectAction"], "url"), &esc(words));
                let _ = write!(html, "<span style=\"{}\">{words}</span>", look(run));
            }
        }
        "Image" | "Media" => html.push_str(&picture(element)),
        "ImageSet" => list(element, "images").iter().for_each(|image| html.push_str(&picture(image))),
        "FactSet" => {
            html.push_str("<div class=\"facts\">");
            for fact in list(element, "facts") {
                let (name, value) = (markdown(text(fact, "title")), markdown(text(fact, "value")));
                let _ = write!(html, "<b>{name}</b><div>{value}</div>");
            }
            html.push_str("</div>");
        }
        "ColumnSet" => {
            html.push_str("<div class=\"columns\">");
            for column in list(element, "columns") {
                let width = match column.get("width") {
                    Some(Json::String(width)) if width == "auto" => "flex:none".to_owned(),
                    Some(Json::Number(weight)) => format!("flex:{}", weight.as_u64().unwrap_or(1)),
                    _ => "flex:1".to_owned(),
                };
                let _ = write!(html, "<div style=\"{width}\">");
                elements(html, list(column, "items"), depth + 1);
                html.push_str("</div>");
            }
            html.push_str("</div>");
        }
        "Container" => {
            let style = match text(element, "style") {
                style @ ("emphasis" | "good" | "attention" | "warning" | "accent") => {
                    format!(" class=\"box {style}\"")
                }
                _ => String::new(),
            };
            let _ = write!(html, "<div{style}>");
            elements(html, list(element, "items"), depth + 1);
            html.push_str("</div>");
        }
        "ActionSet" => actions(html, list(element, "actions")),
        other => {
            let name = if other.is_empty() { "no element" } else { other };
            let _ = write!(html, "<pre>{}: {}</pre>", esc(name), esc(&format!("{element:#}")));
        }
    }
}

/// What of a text's look a page can show.
fn look(element: &Json) -> String {
    let mut css = String::new();
    match text(element, "size").to_ascii_lowercase().as_str() {
        "small" => css.push_str("font-size:12px;"),
        "medium" => css.push_str("font-size:17px;"),
        "large" => css.push_str("font-size:20px;"),
        "extralarge" => css.push_str("font-size:25px;"),
        _ => {}
    }
    match text(element, "weight").to_ascii_lowercase().as_str() {
        "bolder" => css.push_str("font-weight:600;"),
        "lighter" => css.push_str("font-weight:300;"),
        _ => {}
    }
    match text(element, "color").to_ascii_lowercase().as_str() {
        "good" => css.push_str("color:#237b4b;"),
        "warning" => css.push_str("color:#9a5b00;"),
        "attention" => css.push_str("color:#a4262c;"),
        "accent" => css.push_str("color:#4f52b2;"),
        "light" => css.push_str("color:#8a8886;"),
        _ => {}
    }
    if element.get("isSubtle") == Some(&Json::Bool(true)) {
        css.push_str("opacity:.7;");
    }
    if text(element, "fontType").eq_ignore_ascii_case("monospace") {
        css.push_str("font-family:monospace;");
    }
    // Words that may not wrap are cut.
    if text(element, "type") == "TextBlock" && element.get("wrap") != Some(&Json::Bool(true)) {
        css.push_str("white-space:nowrap;overflow:hidden;text-overflow:ellipsis;");
    }
    css
}

fn picture(image: &Json) -> String {
    avatar(Some(text(image, "altText")).filter(|alt| !alt.is_empty()).unwrap_or("?"))
}

fn actions(html: &mut String, actions: &[Json]) {
    for action in actions {
        let button = format!("<span class=\"button\">{}</span>", esc(text(action, "title")));
        html.push_str(&link(text(action, "url"), &button));
    }
}

// ---- MessageCard

fn message_card(card: &Json) -> String {
    let bar = colour(text(card, "themeColor"))
        .map(|bar| format!(" style=\"border-color:{bar}\""))
        .unwrap_or_default();
    let mut html = format!("<div class=\"card\"{bar}>");
    put(&mut html, "font-size:17px;font-weight:600", text(card, "title"));
    put(&mut html, "", text(card, "text"));
    for section in list(card, "sections") {
        put(&mut html, "font-weight:600", text(section, "title"));
        let activity = ["activityTitle", "activitySubtitle", "activityText"].map(|name| text(section, name));
        if activity.iter().any(|words| !words.is_empty()) {
            let _ = write!(
                html,
                "<div class=\"columns block\"><div style=\"flex:none\">{}</div><div>",
                avatar(activity[0])
            );
            put(&mut html, "font-weight:600", activity[0]);
            put(&mut html, "opacity:.7", activity[1]);
            put(&mut html, "", activity[2]);
            html.push_str("</div></div>");
        }
        put(&mut html, "", text(section, "text"));
        let facts = list(section, "facts");
        if !facts.is_empty() {
            html.push_str("<div class=\"facts\">");
            for fact in facts {
                let (name, value) = (markdown(text(fact, "name")), markdown(text(fact, "value")));
                let _ = write!(html, "<b>{name}</b><div>{value}</div>");
            }
            html.push_str("</div>");
        }
        potential_actions(&mut html, section);
    }
    potential_actions(&mut html, card);
    html.push_str("</div>");
    html
}

fn put(html: &mut String, css: &str, words: &str) {
    if !words.is_empty() {
        let _ = write!(html, "<div class=\"block\" style=\"{css}\">{}</div>", markdown(words));
    }
}

fn potential_actions(html: &mut String, of: &Json) {
    for action in list(of, "potentialAction") {
        let button = format!("<span class=\"button\">{}</span>", esc(text(action, "name")));
        let target = list(action, "targets").first().map_or("", |target| text(target, "uri"));
        html.push_str(&link(target, &button));
    }
}
