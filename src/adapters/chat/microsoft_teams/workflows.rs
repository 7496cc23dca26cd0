//! Adaptive Cards, for workflows (<https://adaptivecards.io/explorer/AdaptiveCard.html>), and the workflows' answers.
//!
//! Cards are of version 1.2, which every Teams client shows. Their texts support little Markdown: bold, italics, links and
//! lists, but no headings, code, quotes or tables
//! (<https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format>). So code and quotes
//! become elements of their own.

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::{MOST_FACTS, Story, within};
use crate::call::{Answer, Failure, HttpResponse, Sent, by_status, describe, unavailable};
use crate::message::{Body, Field, Limit, Markup, Span, Style, Text, Tone};

/// A flow may be slow to answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
/// Teams accepts about 28 KB; longer messages fail without a visible error.
const WHOLE: usize = 24_000;
/// About three lines, and a few addresses.
const HEADLINE: Limit = Limit::Bytes(1500);
const PLACE: Limit = Limit::Bytes(1000);
const NAME: Limit = Limit::Chars(300);
const BUTTON: Limit = Limit::Chars(60);
/// A flow that Power Automate reports as unknown this often in a row was removed.
const CONFIRMATIONS: u8 = 3;
/// The approximate size of an element without its text.
const LEAST_OF_BLOCK: usize = 80;
/// A space as wide as a digit, which clients do not remove.
const INDENT: &str = "\u{2007}";

/// The message that workflows expect: their templates iterate over its attachments.
pub(super) fn envelope(story: &Story<'_>) -> Json {
    within(WHOLE, |room| {
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": card(story, room),
            }],
        })
    })
}

fn card(story: &Story<'_>, room: usize) -> Json {
    let mut body = vec![header(story)];
    body.extend(match &story.message.body {
        Body::None => Vec::new(),
        Body::Lines(lines) => told_by_line(lines, room),
        Body::Prose(prose) => prose_elements(prose, room),
    });
    body.extend(facts(&story.message.fields, room));
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "fallbackText": Markup::Markdown.label(&story.preview, NAME),
        "body": body,
        "msteams": {"width": "Full"},
    });
    if !story.buttons.is_empty() {
        let open = |(title, url): &(String, String)| json!({"type": "Action.OpenUrl", "title": Markup::Markdown.label(title, BUTTON), "url": url});
        card["actions"] = story.buttons.iter().map(open).collect();
    }
    card
}

/// The headline and the project beside the author's picture, with a background for the tone of the message.
fn header(story: &Story<'_>) -> Json {
    let mut headline = text_block(&story.headline, HEADLINE);
    headline["weight"] = json!("Bolder");
    let mut words = vec![headline];
    if !story.place.is_blank() {
        let mut place = text_block(&story.place, PLACE);
        place["isSubtle"] = json!(true);
        place["spacing"] = json!("None");
        words.push(place);
    }
    let picture =
        story.message.author.as_ref().and_then(|author| Some((author, author.avatar_url.as_ref()?)));
    let items = match picture {
        None => words,
        Some((author, url)) => vec![json!({
            "type": "ColumnSet",
            "columns": [
                {
                    "type": "Column",
                    "width": "auto",
                    "items": [{
                        "type": "Image",
                        "url": url,
                        "size": "Small",
                        "style": "Person",
                        "altText": Markup::Markdown.label(&author.display, NAME),
                    }],
                },
                {"type": "Column", "width": "stretch", "verticalContentAlignment": "Center", "items": words},
            ],
        })],
    };
    json!({"type": "Container", "style": style(story.message.tone), "bleed": true, "items": items})
}

const fn style(tone: Tone) -> &'static str {
    match tone {
        Tone::Neutral => "emphasis",
        Tone::Notice => "accent",
        Tone::Good => "good",
        Tone::Warning => "warning",
        Tone::Danger => "attention",
    }
}

fn text_block(text: &Text, limit: Limit) -> Json {
    json!({"type": "TextBlock", "text": Markup::Markdown.render_within(&simple(text), limit), "wrap": true})
}

/// A push's commits.
fn told_by_line(lines: &[Text], room: usize) -> Vec<Json> {
    let mut blocks = Blocks::new(room);
    for line in lines {
        blocks.add(line, Some("Small"), |_| {});
    }
    blocks.made
}

/// People's text, with code and quotes as elements of their own.
fn prose_elements(prose: &Text, room: usize) -> Vec<Json> {
    let mut blocks = Blocks::new(room);
    blocks.tell(prose, false);
    blocks.made
}

/// Elements below the headline, as many as fit. Each line is an element, because clients treat line breaks within an
/// element differently.
struct Blocks {
    made: Vec<Json>,
    most: usize,
    left: usize,
}

impl Blocks {
    fn new(room: usize) -> Self {
        Self { made: Vec::new(), most: room / LEAST_OF_BLOCK, left: room }
    }

    fn tell(&mut self, text: &Text, quoted: bool) {
        let mut words = Text::new();
        for span in &text.0 {
            match span {
                Span::Text { .. } | Span::Link { .. } | Span::Reference { .. } | Span::Code(_) => {
                    words.0.push(span.clone());
                }
                Span::CodeBlock(code) => {
                    self.words(&std::mem::take(&mut words), quoted);
                    self.code(code);
                }
                Span::Quote(quote) => {
                    self.words(&std::mem::take(&mut words), quoted);
                    self.tell(quote, true);
                }
            }
        }
        self.words(&words, quoted);
    }

    fn words(&mut self, words: &Text, quoted: bool) {
        let mut after_gap = true;
        for line in lines(words) {
            if line.is_blank() {
                after_gap = true;
                continue;
            }
            let spacing = if std::mem::take(&mut after_gap) { None } else { Some("Small") };
            self.add(&line, spacing, |block| {
                if quoted {
                    block["isSubtle"] = json!(true);
                }
            });
        }
    }

    fn code(&mut self, code: &str) {
        for (number, line) in code.trim_matches('\n').lines().enumerate() {
            let line = Text::new().plain(indented(line));
            let spacing = if number == 0 { None } else { Some("None") };
            self.add(&line, spacing, |block| block["fontType"] = json!("Monospace"));
        }
    }

    fn add(&mut self, text: &Text, spacing: Option<&str>, change: impl FnOnce(&mut Json)) {
        if self.left == 0 || text.is_blank() {
            return;
        }
        let whole = Markup::Markdown.render(&simple(text)).len();
        let mut block = text_block(text, Limit::Bytes(self.left));
        if block["text"] == "" || self.made.len() + 1 >= self.most {
            block = text_block(&Text::new().plain("…"), NAME);
            self.left = 0;
        }
        // The last element was cut.
        self.left = self.left.saturating_sub(whole);
        if let Some(spacing) = spacing {
            block["spacing"] = json!(spacing);
        }
        change(&mut block);
        self.made.push(block);
    }
}

fn lines(text: &Text) -> Vec<Text> {
    let mut lines = vec![Text::new()];
    for span in &text.0 {
        let Span::Text { text: words, style } = span else {
            if let Some(line) = lines.last_mut() {
                line.0.push(span.clone());
            }
            continue;
        };
        for (number, words) in words.split('\n').enumerate() {
            if number > 0 {
                lines.push(Text::new());
            }
            if let (Some(line), false) = (lines.last_mut(), words.is_empty()) {
                line.0.push(Span::Text { text: words.into(), style: *style });
            }
        }
    }
    lines
}

fn indented(line: &str) -> String {
    let code = line.trim_start_matches([' ', '\t']);
    let indent = &line[..line.len() - code.len()];
    let width: usize = indent.chars().map(|c| if c == '\t' { 4 } else { 1 }).sum();
    INDENT.repeat(width.min(40)) + code
}

/// The text in the supported markup: bold, italics and links.
fn simple(text: &Text) -> Text {
    Text(text.0.iter().map(simple_span).collect())
}

fn simple_span(span: &Span) -> Span {
    let plain = |style: Style| Style { strike: false, ..style };
    match span {
        Span::Text { text, style } => Span::Text { text: text.clone(), style: plain(*style) },
        Span::Link { text, url, style } => {
            Span::Link { text: text.clone(), url: url.clone(), style: plain(*style) }
        }
        Span::Reference { text, url, style } => {
            Span::Reference { text: text.clone(), url: url.clone(), style: plain(*style) }
        }
        Span::Code(code) | Span::CodeBlock(code) => Span::Text { text: code.clone(), style: Style::PLAIN },
        Span::Quote(text) => Span::Text { text: text.plain_text().into(), style: Style::PLAIN },
    }
}

/// The facts with their names; `None` if there are none.
fn facts(fields: &[Field], room: usize) -> Option<Json> {
    let value = |field: &Field| Markup::Markdown.render_within(&simple(&field.value), Limit::Bytes(room / 4));
    let facts: Vec<Json> = fields
        .iter()
        .filter(|field| !field.value.is_blank())
        .take(MOST_FACTS)
        .map(|field| json!({"title": field.name, "value": value(field)}))
        .collect();
    (!facts.is_empty()).then(|| {
        Json::Object(Map::from_iter([
            ("type".to_owned(), json!("FactSet")),
            ("facts".to_owned(), json!(facts)),
        ]))
    })
}

/// 202 means that the flow has the card, and so does 200 if the flow has an answer of its own
/// (<https://learn.microsoft.com/azure/connectors/connectors-native-reqres>).
pub(super) fn read(response: &HttpResponse) -> Answer<Sent> {
    let success = (200..=299).contains(&response.status);
    let answer: Json = serde_json::from_str(&response.text()).unwrap_or_default();
    let error = &answer["error"];
    Answer::Failed(match error["code"].as_str() {
        // An error in a successful answer is an error; its meaning is not documented.
        _ if success && error.is_object() => unavailable(response, true),
        Some(code) if (400..=499).contains(&response.status) => {
            match named(code, error["message"].as_str().unwrap_or_default(), describe(response)) {
                Some(failure) => failure,
                None if response.status == 429 => return by_status(response),
                None => unavailable(response, false),
            }
        }
        _ => return by_status(response),
    })
}

/// The consequence of the errors that Power Automate names, in the form of Azure's errors
/// (`{"error": {"code": …, "message": …}}`); `None` for unknown names. Microsoft documents few of them; they are seen in
/// <https://github.com/microsoft/coe-starter-kit/issues/8684> (a flow that is switched off),
/// <https://learn.microsoft.com/azure/logic-apps/logic-apps-http-endpoint> and in public clients' error handling.
fn named(code: &str, message: &str, why: String) -> Option<Failure> {
    Some(match code {
        "WorkflowNotFound" => Failure::Gone { why, confirmations: CONFIRMATIONS },
        // The address of a flow that was deleted never comes back: a new flow has a new address.
        "WorkflowTriggerIsNotEnabled" if message.contains("state 'Deleted'") => {
            Failure::Gone { why, confirmations: CONFIRMATIONS }
        }
        // The flow is switched off or suspended, and may be switched on again. The status is 409, or in some regions
        // 400.
        "WorkflowTriggerIsNotEnabled" => {
            Failure::Misconfigured(format!("{why}; switch the workflow on in Power Automate"))
        }
        // All cards have one shape, so a flow that refuses it refuses all.
        "TriggerInputSchemaMismatch" | "TriggerRequestMethodNotValid" | "WorkflowTriggerNotFound" => {
            Failure::Misconfigured(format!(
                "{why}; the workflow must start \"when a Teams webhook request is received\""
            ))
        }
        "DirectApiAuthorizationRequired"
        | "DirectApiInvalidAuthorizationSignature"
        | "InvalidUseOfOAuthToken"
        | "MisMatchingOAuthClaims" => Failure::Misconfigured(format!(
            "{why}; copy the whole address from the workflow again, and let anyone start it"
        )),
        "InvalidRequestContent" | "RequestEntityTooLarge" => Failure::Rejected(why),
        _ => return None,
    })
}

/// A part of a card that people could not read.
#[cfg(test)]
pub(super) fn fault(body: &Json) -> Option<&'static str> {
    use crate::adapters::tests::is_seen;

    let mut blank = false;
    let mut unread = vec![body];
    while let Some(json) = unread.pop() {
        blank |= json["type"] == "TextBlock" && !is_seen(&json["text"]);
        blank |=
            json["facts"].as_array().is_some_and(|facts| facts.iter().any(|fact| !is_seen(&fact["value"])));
        match json {
            Json::Object(parts) => unread.extend(parts.values()),
            Json::Array(items) => unread.extend(items),
            _ => {}
        }
    }
    blank.then_some("a text or a fact without words")
}
