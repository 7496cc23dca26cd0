//! Attachments in Slack's format, which other services share: a message's parts below its text, with a coloured bar
//! (<https://docs.slack.dev/messaging/formatting-message-text/>, "secondary attachments"). This module is not an adapter.

use serde_json::{Map, Value, json};

use crate::message::{Body, Field, Limit, Markup, Message, Text, Title, Tone};

/// More than a screenful. Clients fold attachments long before this limit, and the title links to the whole.
const TEXT: Limit = Limit::Chars(8000);
/// About two lines.
const NAME: Limit = Limit::Chars(300);
/// A field may contain an error message.
const VALUE: Limit = Limit::Chars(2000);
/// Our own messages have at most eight fields.
const MOST_FIELDS: usize = 20;

/// The message's parts in this markup; `None` if the summary contains everything.
pub(super) fn attachment(message: &Message, markup: Markup) -> Option<Value> {
    let text = match &message.body {
        Body::None => String::new(),
        Body::Lines(lines) => markup.render_within(&Text::join(lines.clone(), "\n"), TEXT),
        Body::Prose(prose) => markup.render_within(prose, TEXT),
    };
    let title = message.title_beside_summary();
    if text.is_empty() && message.fields.is_empty() && title.is_none() {
        return None;
    }
    let mut parts = Map::new();
    parts.insert("fallback".to_owned(), json!(markup.label(&message.summary.plain_text(), NAME)));
    parts.insert("color".to_owned(), json!(color(message.tone)));
    if let Some(title) = title {
        add_title(&mut parts, title, markup);
    }
    if !text.is_empty() {
        parts.insert("text".to_owned(), json!(text));
    }
    if !message.fields.is_empty() {
        let fields = message.fields.iter().take(MOST_FIELDS).map(|field| field_of(field, markup));
        parts.insert("fields".to_owned(), fields.collect());
    }
    if message.self_contained_parts {
        add_surroundings(&mut parts, message, markup);
    }
    Some(Value::Object(parts))
}

fn add_title(parts: &mut Map<String, Value>, title: &Title, markup: Markup) {
    let Some(url) = &title.url else {
        // Some clients read markup in a title that has no link.
        let words = markup.render_within(&Text::new().plain(title.text.as_str()), NAME);
        parts.insert("title".to_owned(), json!(words));
        return;
    };
    parts.insert("title".to_owned(), json!(markup.label(&title.text, NAME)));
    parts.insert("title_link".to_owned(), json!(url));
}

fn field_of(field: &Field, markup: Markup) -> Value {
    json!({
        "title": field.name,
        "value": markup.render_within(&field.value, VALUE),
        "short": field.short,
    })
}

/// The author, the place and the time, which are otherwise in the summary.
fn add_surroundings(parts: &mut Map<String, Value>, message: &Message, markup: Markup) {
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            parts.insert(name.to_owned(), value);
        }
    };
    if let Some(author) = &message.author {
        add("author_name", Some(json!(markup.label(&author.display, NAME))));
        add("author_link", author.url.as_ref().map(|url| json!(url)));
        add("author_icon", author.avatar_url.as_ref().map(|url| json!(url)));
    }
    let place = &message.project;
    add("footer", (!place.full_name.is_empty()).then(|| json!(markup.label(&place.full_name, NAME))));
    add("footer_icon", place.avatar_url.as_ref().map(|url| json!(url)));
    add("ts", message.ended_at.map(|at| json!(at.as_second())));
}

/// GitLab's own colours, which people know.
const fn color(tone: Tone) -> &'static str {
    match tone {
        Tone::Neutral => "#334455",
        Tone::Notice => "#C95823",
        Tone::Good => "good",
        Tone::Warning => "warning",
        Tone::Danger => "danger",
    }
}

/// A part of the message that the service would refuse or that people could not read.
#[cfg(test)]
pub(super) fn fault(body: &Value) -> Option<&'static str> {
    use crate::adapters::tests::is_seen;

    let attachment = &body["attachments"][0];
    let titled = is_seen(&attachment["title"]) || is_seen(&attachment["text"]);
    if !is_seen(&body["text"]) && !titled {
        return Some("neither a text nor an attachment");
    }
    let fields = attachment["fields"].as_array().into_iter().flatten();
    fields.into_iter().any(|field| !is_seen(&field["value"])).then_some("a field without a value")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mattermost takes 300,000 bytes in one request and 800,000 characters of attachments; Slack names no limit.
    #[test]
    fn the_size_of_an_attachment_is_limited() {
        for filler in ["👩‍👩‍👧", "\\\"*", "<@U1>|"] {
            let endless = || Text::new().plain(filler.repeat(3_000));
            let field = |n: usize| Field { name: format!("Fact {n}"), value: endless(), short: false };
            let message = Message {
                summary: endless(),
                title: Some(Title { text: filler.repeat(3_000), url: None }),
                body: Body::Prose(endless()),
                fields: (0..100).map(field).collect(),
                self_contained_parts: true,
                ..Message::default()
            };
            for markup in [Markup::Slack, Markup::Mattermost] {
                let made = attachment(&message, markup).expect("an attachment");
                let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
                let fields = made["fields"].as_array().expect("fields");
                assert_eq!(fields.len(), MOST_FIELDS);
                assert!(
                    fields.iter().all(|field| (1900..=2000).contains(&length(&field["value"]))),
                    "{filler}"
                );
                assert!((7900..=8000).contains(&length(&made["text"])), "{}", length(&made["text"]));
                assert!((250..=300).contains(&length(&made["title"])), "{}", length(&made["title"]));
                assert!(length(&made["fallback"]) <= 300);
                for text in fields.iter().map(|field| &field["value"]).chain([&made["text"], &made["title"]])
                {
                    assert!(text.as_str().is_some_and(|text| text.ends_with('…')), "{text}");
                }
                assert!(made.to_string().len() < 250_000, "{filler}: {}", made.to_string().len());
            }
        }
    }
}
