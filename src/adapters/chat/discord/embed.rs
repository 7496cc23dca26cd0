//! An embed: the author, what was done and in which project, details and facts, with a coloured bar
//! (<https://docs.discord.com/developers/resources/message#embed-object>).
//!
//! Nothing is repeated: the author is shown above, so the text begins with the action. The title of an object is shown
//! once. The description takes the content that does not fit elsewhere: a title that is too long, and links that
//! Discord accepts only there (the project's link, and the link of a title whose address has a bare host name).

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::adapters::contract::Notification;
use crate::event::Payload;
use crate::message::{Body, Limit, Markup, Message, Span, Style, Text, Tone};

// <https://docs.discord.com/developers/resources/message#embed-object-embed-limits>. Discord does not document the unit of
// these limits. UTF-16 units are used, because they give the largest count.
const TITLE: usize = 256;
const DESCRIPTION: usize = 4096;
const MOST_FIELDS: usize = 25;
const NAME: usize = 256;
const VALUE: usize = 1024;
const AUTHOR: usize = 256;
/// Discord allows 2,048; a line is enough for a project's name.
const FOOTER: usize = 256;
/// The limit for all parts together.
const WHOLE: usize = 6000;
/// A value that would be cut to less is left out.
const WORTH_SAYING: usize = 20;

/// The message as an embed.
pub(super) fn embed(note: &Notification<'_>, message: &Message) -> Value {
    let mut embed = Embed { parts: Map::new(), left: WHOLE };
    embed.add("color", Some(json!(color(&note.event.payload, message.tone))));
    // Discord refuses very old times.
    let at = message.ended_at.filter(|at| *at >= Timestamp::UNIX_EPOCH).unwrap_or(note.event.occurred_at);
    embed.add("timestamp", Some(json!(at.to_string())));
    embed.author(message);
    embed.footer(message);
    embed.title_and_description(message);
    embed.fields(message);
    Value::Object(embed.parts)
}

struct Embed {
    parts: Map<String, Value>,
    /// The remaining length of the whole embed.
    left: usize,
}

impl Embed {
    fn add(&mut self, name: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.parts.insert(name.to_owned(), value);
        }
    }

    /// Markdown within a part's limit and the remaining length; `None` if the result is not readable.
    fn rendered(&mut self, text: &Text, limit: usize) -> Option<String> {
        let rendered = Markup::Discord.render_within(text, Limit::Utf16(limit.min(self.left)));
        self.counted(rendered.trim())
    }

    /// A part in which Discord reads no Markdown.
    fn label(&mut self, words: &str, limit: usize) -> Option<String> {
        let label = Markup::Discord.label(words, Limit::Utf16(limit.min(self.left)));
        self.counted(label.trim())
    }

    /// Discord trims texts, and refuses those that are then empty.
    fn counted(&mut self, text: &str) -> Option<String> {
        self.left -= text.encode_utf16().count();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn author(&mut self, message: &Message) {
        let Some(author) = &message.author else { return };
        let Some(name) = self.label(&author.display, AUTHOR) else { return };
        let mut shown = Map::from_iter([("name".to_owned(), json!(name))]);
        for (key, url) in [("url", &author.url), ("icon_url", &author.avatar_url)] {
            if let Some(url) = url.as_deref().and_then(known_to_all) {
                shown.insert(key.to_owned(), json!(url));
            }
        }
        self.add("author", Some(Value::Object(shown)));
    }

    /// The project, where the description cannot link to it.
    fn footer(&mut self, message: &Message) {
        if !message.project.url.is_empty() {
            return;
        }
        let Some(text) = self.label(&message.project.full_name, FOOTER) else { return };
        let mut footer = json!({ "text": text });
        if let Some(icon) = message.project.avatar_url.as_deref().and_then(known_to_all) {
            footer["icon_url"] = json!(icon);
        }
        self.add("footer", Some(footer));
    }

    fn title_and_description(&mut self, message: &Message) {
        let url = url_of(message);
        let (title, words) = told_once(message);
        let is_carried = url.is_some() && title.as_deref().is_none_or(fits_title);
        let linked = title.as_deref().filter(|_| !is_carried).and_then(|title| bold_link(title, message));
        let title = title.filter(|_| linked.is_none());
        let (more, gap) = match &message.body {
            Body::None => (None, ""),
            Body::Lines(lines) => {
                let lines = lines.iter().map(|line| without_author(line, message));
                (Some(Text::join(lines.filter(|line| !line.is_blank()), "\n")), "\n")
            }
            // People's text begins a paragraph of its own.
            Body::Prose(prose) => (Some(prose.clone()), "\n\n"),
        };
        let place = words.is_none().then(|| place(message));
        let head = linked.into_iter().chain(words).chain(place).filter(|text| !text.is_blank());
        let head = Text::join(head, "\n");
        let texts = [Some(head), more].into_iter().flatten().filter(|text| !text.is_blank());
        let description = Text::join(texts, gap);
        let title = title.and_then(|title| self.rendered(&Text::new().plain(title), TITLE));
        if let (Some(_), Some(url)) = (&title, url) {
            self.add("url", Some(json!(url)));
        }
        self.add("title", title.map(Value::String));
        let description = self.rendered(&description, DESCRIPTION);
        self.add("description", description.map(Value::String));
    }

    fn fields(&mut self, message: &Message) {
        let mut fields = Vec::new();
        for field in message.fields.iter().take(MOST_FIELDS) {
            if self.left < field.name.encode_utf16().count().min(NAME) + WORTH_SAYING
                || field.value.is_blank()
            {
                continue;
            }
            let Some(name) = self.rendered(&Text::new().plain(field.name.as_str()), NAME) else { continue };
            if let Some(value) = self.rendered(&field.value, VALUE) {
                fields.push(json!({ "name": name, "value": value, "inline": field.short }));
            }
        }
        self.add("fields", (!fields.is_empty()).then(|| fields.into()));
    }
}

/// The title in bold, and what was done and where, unless the title says what was done.
fn told_once(message: &Message) -> (Option<String>, Option<Text>) {
    let Some(title) = &message.title else { return (None, Some(message.deed())) };
    let action = message.action();
    let is_title = |span: &Span| matches!(span, Span::Link { text, .. } if *text == title.text);
    if message.self_contained_parts {
        (Some(title.text.to_string()), None)
    } else if action.0.iter().any(is_title) {
        // `Opened issue #23 New API` without a repeated `#23 New API`.
        (Some(action.plain_text()), None)
    } else {
        (Some(title.text.to_string()), Some(message.deed()))
    }
}

/// Whether Discord shows the whole title. A title that is too long even for a description is cut.
fn fits_title(title: &str) -> bool {
    let length = Markup::Discord.render(&Text::new().plain(title)).encode_utf16().count();
    length <= TITLE || length > 2 * TITLE
}

/// A title that Discord cannot link, or not whole, as a line of the description.
fn bold_link(title: &str, message: &Message) -> Option<Text> {
    let url = message.title.as_ref()?.url.clone()?;
    let text = title.trim();
    (!text.is_empty()).then(|| Text(vec![Span::Link { text: text.into(), url, style: Style::BOLD }]))
}

/// The project, linked; blank where it has no page.
fn place(message: &Message) -> Text {
    match message.project.url.as_str() {
        "" => Text::new(),
        url => Text::new().link(message.project.full_name.as_str(), url),
    }
}

/// The line without the author at its end (`Job #796 by Ada Lovelace (ada)`), because the author is shown above.
fn without_author(line: &Text, message: &Message) -> Text {
    let Some(author) = &message.author else { return line.clone() };
    match line.0.as_slice() {
        [before @ .., Span::Text { text: by, .. }, Span::Text { text, .. } | Span::Link { text, .. }]
            if by.trim().eq_ignore_ascii_case("by") && *text == author.display =>
        {
            Text(before.to_vec())
        }
        _ => line.clone(),
    }
}

fn url_of(message: &Message) -> Option<&str> {
    message.title.as_ref()?.url.as_deref().and_then(known_to_all)
}

/// Whether Discord accepts this address in an embed's fields. Discord refuses a whole message because of one address whose
/// host is a bare name (`http://gitlab/…`), although readers in that network could open it
/// (<https://github.com/bugsink/bugsink/issues/280>). It accepts such addresses in a description.
fn known_to_all(url: &str) -> Option<&str> {
    const LONGEST: usize = 2048;
    let parsed = url::Url::parse(url).ok()?;
    let known = parsed.host_str().is_some_and(|host| host.contains('.'));
    (known && url.len() <= LONGEST).then_some(url)
}

/// GitLab's own colours, which people know, for each kind of event
/// (<https://gitlab.com/gitlab-org/gitlab/-/blob/master/app/models/concerns/integrations/base/discord.rb>).
const fn color(payload: &Payload, tone: Tone) -> u32 {
    match (payload, tone) {
        (Payload::Issue(_), _) | (_, Tone::Notice) => 0xC9_58_23,
        (
            Payload::MergeRequest(_) | Payload::Note(_) | Payload::WikiPage(_) | Payload::GroupMention(_),
            _,
        ) => 0xFC_6D_26,
        (_, Tone::Good) => 0x0D_53_2A,
        (_, Tone::Warning) => 0x70_38_00,
        (_, Tone::Danger) => 0x8D_13_00,
        (_, Tone::Neutral) => 0x33_44_55,
    }
}
