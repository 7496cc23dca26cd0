//! A form that several services understand: attachments as Slack invented them.
//!
//! This is no adapter, but what Slack and those who took over its webhooks have in common: a coloured bar with a title,
//! text, fields and a footer. Each adapter says in which markup and how long.
//!
//! Fields: <https://api.slack.com/reference/messaging/attachments>,
//! <https://developers.mattermost.com/integrate/reference/message-attachments/>.

use serde_json::{Map, Value, json};

use crate::message::{Body, Field, Limit, Markup, Message, Text, Tone};

/// How one service wants its attachments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) markup: Markup,
    /// Characters of an attachment's text.
    pub(super) text_limit: usize,
    /// Characters of one field's value.
    pub(super) field_limit: usize,
    /// What to say of the fields in which markup is read, for services that want to be told.
    pub(super) mrkdwn_in: Option<&'static [&'static str]>,
}

/// Characters of a title or a name.
const LABEL_LIMIT: usize = 250;
/// Fields beyond these are no reading any more.
const FIELDS_AT_MOST: usize = 20;

impl Form {
    /// What stands below the summary; nothing where the summary says it all.
    pub(super) fn attachment(&self, message: &Message) -> Option<Value> {
        let text = self.body(&message.body);
        let fields: Vec<Value> = message.fields.iter().take(FIELDS_AT_MOST).map(|f| self.field(f)).collect();
        if text.is_empty() && fields.is_empty() {
            return None;
        }
        let mut attachment = Map::new();
        let mut set = |key: &str, value: Value| drop(attachment.insert(key.to_owned(), value));
        set("fallback", json!(Markup::Plain.render_within(&message.summary, Limit::Chars(self.text_limit))));
        set("color", json!(color(message.tone)));
        // Of facts the summary is the headline already; prose gets the title that it belongs to.
        if let (Some(title), false) = (&message.title, text.is_empty()) {
            set("title", json!(self.markup.label(&title.text, Limit::Chars(LABEL_LIMIT))));
            if let Some(url) = title.url.as_deref().filter(|url| is_web(url)) {
                set("title_link", json!(url));
            }
        }
        if !text.is_empty() {
            set("text", json!(text));
        }
        if !fields.is_empty() {
            set("fields", json!(fields));
            self.footer(message, &mut set);
        }
        if let Some(places) = self.mrkdwn_in {
            set("mrkdwn_in", json!(places));
        }
        Some(Value::Object(attachment))
    }

    fn footer(&self, message: &Message, set: &mut impl FnMut(&str, Value)) {
        let place = &message.project;
        if place.full_name.is_empty() {
            return;
        }
        set("footer", json!(self.markup.label(&place.full_name, Limit::Chars(LABEL_LIMIT))));
        if let Some(icon) = place.avatar_url.as_deref().filter(|url| is_web(url)) {
            set("footer_icon", json!(icon));
        }
        if let Some(at) = message.at {
            set("ts", json!(at.as_second()));
        }
    }

    fn body(&self, body: &Body) -> String {
        let text = match body {
            Body::None => return String::new(),
            Body::Lines(lines) => Text::join(lines.iter().cloned(), "\n"),
            Body::Prose(text) => text.clone(),
        };
        self.markup.render_within(&text, Limit::Chars(self.text_limit))
    }

    fn field(&self, field: &Field) -> Value {
        json!({
            "title": self.markup.label(&field.name, Limit::Chars(LABEL_LIMIT)),
            "value": self.markup.render_within(&field.value, Limit::Chars(self.field_limit)),
            "short": field.short,
        })
    }
}

/// GitLab's colours; the words are Slack's own names for green, yellow and red.
fn color(tone: Tone) -> &'static str {
    match tone {
        Tone::Neutral => "#334455",
        Tone::Notice => "#C95823",
        Tone::Good => "good",
        Tone::Warning => "warning",
        Tone::Danger => "danger",
    }
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}
