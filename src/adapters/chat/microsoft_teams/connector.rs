//! Message cards, for Office 365 connectors
//! (<https://learn.microsoft.com/outlook/actionable-messages/message-card-reference>), and the connectors' answers.

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::{MOST_FACTS, Story, within};
use crate::call::{Answer, Failure, HttpResponse, Sent, by_status, describe, is_page, unavailable};
use crate::message::{Body, Field, Limit, Markup, Span, Text, Tone};

pub(super) const TIMEOUT: Duration = Duration::from_secs(15);
/// The documentation says 28 KB, but cards from 21 KB on were refused.
const WHOLE: usize = 20_000;
/// About three lines, and a few addresses.
const HEADLINE: Limit = Limit::Bytes(1500);
const PLACE: Limit = Limit::Bytes(1000);
const NAME: Limit = Limit::Chars(300);
const BUTTON: Limit = Limit::Chars(60);
/// The service behind the connector also reports a channel as unknown during its own failures.
const CONFIRMATIONS: u8 = 3;
/// The remedy for a connector that does not exist any more.
const MOVE_ON: &str = "Microsoft has ended connectors; give the address of a workflow instead";

pub(super) fn card(story: &Story<'_>) -> Json {
    within(WHOLE, |room| sized(story, room))
}

fn sized(story: &Story<'_>, room: usize) -> Json {
    let mut card = json!({
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "summary": Markup::Markdown.label(&story.preview, NAME),
        "themeColor": color(story.message.tone),
        "sections": [section(story, room)],
    });
    let project = &story.message.project.full_name;
    if !project.is_empty() {
        // Some clients read Markdown here, so a name must not become a link.
        let name = project.replace('[', "(").replace(']', ")");
        card["title"] = json!(Markup::Markdown.label(&name, NAME));
    }
    if !story.buttons.is_empty() {
        let open = |(name, url): &(String, String)| {
            json!({
                "@type": "OpenUri",
                "name": Markup::Markdown.label(name, BUTTON),
                "targets": [{"os": "default", "uri": url}],
            })
        };
        card["potentialAction"] = story.buttons.iter().map(open).collect();
    }
    card
}

fn section(story: &Story<'_>, room: usize) -> Json {
    let mut section = Map::new();
    let mut add = |name: &str, value: Json| section.insert(name.to_owned(), value);
    add("activityTitle", json!(Markup::Markdown.render_within(&story.headline, HEADLINE)));
    if !story.place.is_blank() {
        add("activitySubtitle", json!(Markup::Markdown.render_within(&story.place, PLACE)));
    }
    if let Some(url) = story.message.author.as_ref().and_then(|author| author.avatar_url.as_ref()) {
        add("activityImage", json!(url));
    }
    let text = match &story.message.body {
        Body::None => String::new(),
        // Connectors show single line breaks as spaces.
        Body::Lines(lines) => {
            Markup::Markdown.render_within(&Text::join(lines.clone(), "\n\n"), Limit::Bytes(room))
        }
        Body::Prose(prose) => Markup::Markdown.render_within(&spaced(prose), Limit::Bytes(room)),
    };
    if !text.is_empty() {
        add("text", json!(text));
    }
    let facts = facts(&story.message.fields, room);
    if !facts.is_empty() {
        add("facts", json!(facts));
    }
    add("markdown", json!(true));
    Json::Object(section)
}

/// The text with every line as a paragraph.
fn spaced(text: &Text) -> Text {
    let span = |span: &Span| match span {
        Span::Text { text, style } => Span::Text { text: text.replace('\n', "\n\n").into(), style: *style },
        Span::Quote(text) => Span::Quote(spaced(text)),
        other => other.clone(),
    };
    Text(text.0.iter().map(span).collect())
}

fn facts(fields: &[Field], room: usize) -> Vec<Json> {
    let value = |field: &Field| Markup::Markdown.render_within(&field.value, Limit::Bytes(room / 4));
    let known = fields.iter().filter(|field| !field.value.is_blank()).take(MOST_FACTS);
    known.map(|field| json!({"name": field.name, "value": value(field)})).collect()
}

/// GitLab's own colours, which people know.
const fn color(tone: Tone) -> &'static str {
    match tone {
        Tone::Neutral => "334455",
        Tone::Notice => "C95823",
        Tone::Good => "2DA160",
        Tone::Warning => "FC9403",
        Tone::Danger => "DD2B0E",
    }
}

/// The status is always 200. The body is a number if the card was accepted, and an error text if not
/// (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#rate-limiting-for-connectors>).
pub(super) fn read(response: &HttpResponse) -> Answer<Sent> {
    let body = response.text();
    let said = body.trim();
    let number = said.trim_matches('"');
    Answer::Failed(match response.status {
        status if !(200..=299).contains(&status) && is_retired(response) => gone(response),
        200..=299 if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Answer::Done(Sent);
        }
        200..=299 => match http_error(said) {
            Some(status) => inner(status, response),
            None if is_retired(response) => gone(response),
            // The body should be a number; a proxy may have removed it.
            None => unavailable(response, said.is_empty()),
        },
        _ => return by_status(response),
    })
}

/// The status of the service behind the connector, which the body quotes.
fn inner(status: u16, response: &HttpResponse) -> Failure {
    let (wait, why) = (response.retry_after(), describe(response));
    match status {
        429 => Failure::Throttled { wait, why, shared: false },
        404 | 410 => gone(response),
        401 | 403 => Failure::Misconfigured(why),
        400 | 413 => Failure::Rejected(why),
        _ => unavailable(response, false),
    }
}

/// `… Microsoft Teams endpoint returned HTTP error 429 with ContextId …` → 429.
fn http_error(body: &str) -> Option<u16> {
    let (_, behind) = body.split_once("Microsoft Teams endpoint returned HTTP error ")?;
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|status| (100..=599).contains(status))
}

/// Whether the answer says that connectors have ended. The wording varies.
fn is_retired(response: &HttpResponse) -> bool {
    let body = response.text().to_lowercase();
    let ended = ["retired", "retirement", "deprecated", "no longer supported"];
    !is_page(response) && body.contains("connector") && ended.iter().any(|word| body.contains(word))
}

fn gone(response: &HttpResponse) -> Failure {
    let why = format!("{}; {MOVE_ON}", describe(response));
    Failure::Gone { why, confirmations: CONFIRMATIONS }
}
