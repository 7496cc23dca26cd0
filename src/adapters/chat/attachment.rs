//! Attachments in Slack's format, which other services share: a message's parts below its text, with a coloured bar
//! (<https://docs.slack.dev/messaging/formatting-message-text/>, "secondary attachments"). This module is not an adapter.

use serde::Serialize;
#[cfg(test)]
use serde_json::Value;

use crate::message::{Body, Field, Limit, Markup, Message, Text, Title, Tone};

/// More than a screenful. Clients fold attachments long before this limit, and the title links to the whole.
const TEXT: Limit = Limit::Chars(8000);
/// About two lines.
const NAME: Limit = Limit::Chars(300);
/// A field may contain an error message.
const VALUE: Limit = Limit::Chars(2000);
/// Our own messages have at most eight fields.
const MOST_FIELDS: usize = 20;

/// A message's parts, with the fields in the order of their names.
#[derive(Serialize)]
pub(super) struct Attachment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    author_icon: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author_link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author_name: Option<String>,
    color: &'static str,
    fallback: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Fact<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    footer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    footer_icon: Option<&'a str>,
    /// The parts that Slack reads as markup; other services know no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mrkdwn_in: Option<[&'static str; 2]>,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title_link: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<i64>,
}

#[derive(Serialize)]
struct Fact<'a> {
    short: bool,
    title: &'a str,
    value: String,
}

/// The message's parts in this markup; `None` if the summary contains everything.
pub(super) fn attachment(message: &Message, markup: Markup) -> Option<Attachment<'_>> {
    let text = match &message.body {
        Body::None => String::new(),
        Body::Lines(lines) => markup.render_lines_within(lines, TEXT),
        Body::Prose(prose) => markup.render_within(prose, TEXT),
    };
    let title = message.title_beside_summary();
    if text.is_empty() && message.fields.is_empty() && title.is_none() {
        return None;
    }
    let (title, title_link) = titled(title, markup);
    // The author, the place and the time are otherwise in the summary.
    let author = message.author.as_ref().filter(|_| message.self_contained_parts);
    let place = Some(&message.project).filter(|_| message.self_contained_parts);
    let label = |words: &str| markup.label(words, NAME);
    Some(Attachment {
        author_icon: author.and_then(|author| author.avatar_url.as_deref()),
        author_link: author.and_then(|author| author.url.as_deref()),
        author_name: author.map(|author| label(&author.display)),
        color: color(message.tone),
        fallback: label(&message.summary.plain_text()),
        fields: message.fields.iter().take(MOST_FIELDS).map(|field| fact(field, markup)).collect(),
        footer: place.filter(|place| !place.full_name.is_empty()).map(|place| label(&place.full_name)),
        footer_icon: place.and_then(|place| place.avatar_url.as_deref()),
        mrkdwn_in: None,
        text,
        title,
        title_link,
        ts: message.ended_at.filter(|_| message.self_contained_parts).map(jiff::Timestamp::as_second),
    })
}

/// The title and its address.
fn titled(title: Option<&Title>, markup: Markup) -> (Option<String>, Option<&str>) {
    match title {
        None => (None, None),
        Some(Title { text, url: Some(url) }) => (Some(markup.label(text, NAME)), Some(url)),
        // Some clients read markup in a title that has no link.
        Some(Title { text, url: None }) => {
            (Some(markup.render_within(&Text::new().plain(text.as_str()), NAME)), None)
        }
    }
}

fn fact(field: &Field, markup: Markup) -> Fact<'_> {
    Fact { short: field.short, title: &field.name, value: markup.render_within(&field.value, VALUE) }
}

/// A message with attachments, with the fields in the order of their names.
#[derive(Serialize)]
pub(super) struct Post<'a> {
    pub attachments: Vec<Attachment<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub channel: &'a str,
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<&'a str>,
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
            let field = |n: usize| Field { name: format!("Fact {n}").into(), value: endless(), short: false };
            let message = Message {
                summary: endless(),
                title: Some(Title { text: filler.repeat(3_000).into(), url: None }),
                body: Body::Prose(endless()),
                fields: (0..100).map(field).collect(),
                self_contained_parts: true,
                ..Message::default()
            };
            for markup in [Markup::Slack, Markup::Mattermost] {
                let made = attachment(&message, markup).expect("an attachment");
                let made = serde_json::to_value(made).expect("it can be written");
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
