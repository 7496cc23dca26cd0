//! Microsoft Teams, through webhooks of two kinds.
//!
//! *Workflows* of Power Automate take Adaptive Cards and answer that they have queued them; they never report the result
//! (`workflows`, <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>).
//! *Connectors* of Office 365, which Microsoft is ending, take message cards and always answer 200; the body has the
//! result (`connector`,
//! <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>).
//! Both cards show one [`Story`]; the host of an address determines the format.

mod connector;
mod workflows;

use std::time::Duration;

use serde_json::Value as Json;

use crate::adapters::contract::{About, Adapter, CommonSettings, Deliver, Delivery, Notification, Preview};
#[cfg(test)]
use crate::adapters::tests::Contract;
use crate::call::{Bucket, Call, Failure, HttpRequest, Pace, Sent};
use crate::event::{Payload, RefType, Trigger, Triggers};
use crate::integration::Family;
use crate::message::{Message, Text};
use crate::settings::SecretUrl;

/// "If more than four requests are made in a second, the client connection is throttled", for both kinds.
const PER_WEBHOOK: (u32, u32) = (4, 4);
/// Our own messages have at most eight facts.
const MOST_FACTS: usize = 12;
/// Limits in bytes for a card's longest text, the largest first. The first one with which the whole card fits is used. With
/// the last one, every card fits.
const ROOMS: [usize; 5] = [12_000, 7_000, 4_000, 2_000, 600];

crate::settings! {
    /// What Microsoft Teams needs.
    pub struct Settings {
        /// The address of a workflow of Teams or Power Automate (or of an Office 365 connector). It is called exactly as it is.
        pub webhook: SecretUrl = "https://prod-1.westeurope.logic.azure.com/workflows/0a1b2c3d4e/triggers/manual/paths/invoke?sv=1.0&sig=aB3dE5fG7hI9jK1lM3nO5p",
        /// What the address belongs to: workflows or connector. If it is not set, the address's host decides.
        pub webhook_kind: Option<WebhookKind> = "workflows",
    }
}

crate::choices! {
    /// What the address belongs to.
    pub enum WebhookKind {
        Workflows = "workflows",
        Connector = "connector",
    }
}

impl WebhookKind {
    fn of(settings: &Settings) -> Self {
        settings.webhook_kind.unwrap_or_else(|| Self::of_host(settings.webhook.expose().host_str()))
    }

    /// Connectors have a few known hosts; any other host is taken for Power Automate's.
    fn of_host(host: Option<&str>) -> Self {
        match host {
            Some("webhook.office.com" | "outlook.office.com" | "outlook.office365.com") => Self::Connector,
            Some(host) if host.ends_with(".webhook.office.com") => Self::Connector,
            _ => Self::Workflows,
        }
    }
}

/// The adapter.
pub struct MicrosoftTeams;

impl Adapter for MicrosoftTeams {
    const ABOUT: About = About {
        slug: "microsoft-teams",
        title: "Microsoft Teams notifications",
        summary: "Posts cards to Microsoft Teams through a workflow's webhook.",
        triggers: Triggers::of(&[
            Trigger::Push,
            Trigger::TagPush,
            Trigger::Issue,
            Trigger::ConfidentialIssue,
            Trigger::MergeRequest,
            Trigger::Note,
            Trigger::ConfidentialNote,
            Trigger::Pipeline,
            Trigger::WikiPage,
        ]),
        family: Family::Chat,
        common: CommonSettings {
            branches: Some("default"),
            only_broken_pipelines: true,
            ..CommonSettings::NONE
        },
    }
    .with_own_events();
    type Settings = Settings;
}

impl Deliver for MicrosoftTeams {
    const DELIVERY: Delivery = Delivery {
        max_age: Duration::from_secs(8 * 3600),
        // Teams has no idempotency key. A duplicate card is better than a lost one.
        retry_ambiguous: true,
        concurrency: 1,
        calls: 1,
        limits: "4 messages a second per webhook; cards are cut at 24 KB (20 KB for connectors), descriptions and \
                 comments at 2,000 characters or 40 lines. A workflow that accepts a card may fail afterwards: only its \
                 run history tells.",
        preview: Preview::Cards,
    };

    #[cfg(test)]
    const CONTRACT: Contract = Contract {
        // The example's address is a workflow's. It is not certain that Teams accepts 28 KB.
        largest_body: 24_001,
        fault: workflows::fault,
        variants: &[&[("webhook_kind", "connector")]],
        ..Contract::USUAL
    };

    fn pace(settings: &Settings, _target: &str) -> Pace {
        let (count, burst) = PER_WEBHOOK;
        let url = settings.webhook.expose().as_str();
        Pace::of(Bucket::new("teams webhook", &[url], count, Duration::from_secs(1), burst))
    }

    fn call(settings: &Settings, note: &Notification<'_>) -> Result<Call<Sent>, Failure> {
        let (url, story) = (settings.webhook.expose().clone(), Story::of(note, note.message()?));
        Ok(match WebhookKind::of(settings) {
            WebhookKind::Workflows => {
                let request = HttpRequest::post_json(url, &workflows::envelope(&story));
                Call::http(HttpRequest { timeout: workflows::TIMEOUT, ..request }, workflows::read)
            }
            WebhookKind::Connector => {
                let request = HttpRequest::post_json(url, &connector::card(&story));
                Call::http(HttpRequest { timeout: connector::TIMEOUT, ..request }, connector::read)
            }
        })
    }
}

/// The content of a card of either format.
struct Story<'a> {
    message: &'a Message,
    /// The whole in one line, for notifications and for clients that show no cards.
    preview: String,
    headline: Text,
    /// The project, and the author if the headline doesn't name one.
    place: Text,
    /// The pages to open, with the texts of their buttons.
    buttons: Vec<(String, String)>,
}

impl<'a> Story<'a> {
    fn of(note: &Notification<'_>, message: &'a Message) -> Self {
        let [did, at, more] = parts(message);
        let title = message.title.as_ref();
        let url = title.and_then(|title| title.url.as_deref()).map(str::to_owned);
        if let Some(title) = title.filter(|_| message.self_contained_parts) {
            return Self {
                message,
                preview: message.summary.plain_text(),
                headline: Text::new().link(&title.text, url.clone().unwrap_or_default()),
                place: by_whom(message).then(place(message)),
                buttons: url.map(|url| (button(note).to_owned(), url)).into_iter().collect(),
            };
        }
        // A link after the project becomes a button; other text is a part of the headline.
        let extra = if did.0.is_empty() { Vec::new() } else { more.links() };
        let main = url.or_else(|| did.links().into_iter().next().map(|(_, url)| url));
        // A push's button opens the comparison; its branch is linked in the headline.
        let is_push = matches!(note.event.payload, Payload::Push(_));
        let main = main.filter(|_| !is_push || extra.is_empty()).map(|url| (button(note).to_owned(), url));
        let (preview, headline) = if extra.is_empty() {
            (message.summary.plain_text(), message.headline())
        } else {
            (did.plain_text() + &at.plain_text(), did)
        };
        Self {
            message,
            preview,
            headline,
            place: place(message),
            buttons: main.into_iter().chain(extra).collect(),
        }
    }
}

/// The parts of the summary: what was done, the project, and the text after it.
fn parts(message: &Message) -> [Text; 3] {
    let spans = &message.summary.0;
    let end = message.location_span.end.min(spans.len());
    let start = message.location_span.start.min(end);
    [&spans[..start], &spans[start..end], &spans[end..]].map(|part| Text(part.to_vec()))
}

/// The text of the button that opens the event's object.
fn button(note: &Notification<'_>) -> &'static str {
    match &note.event.payload {
        Payload::Push(push) if push.ref_type() == RefType::Tag => "Open tag",
        Payload::Push(_) => "Open branch",
        Payload::Issue(_) => "Open issue",
        Payload::MergeRequest(_) => "Open merge request",
        Payload::Note(_) => "Open comment",
        Payload::Pipeline(_) => "Open pipeline",
        Payload::WikiPage(_) => "Open page",
        _ => "Open",
    }
}

fn by_whom(message: &Message) -> Text {
    match &message.author {
        None => Text::new(),
        Some(author) => {
            let url = author.url.clone().unwrap_or_default();
            Text::new()
                .plain("by ")
                .link(&author.display, url)
                .plain(if message.project.full_name.is_empty() { "" } else { " in " })
        }
    }
}

fn place(message: &Message) -> Text {
    let project = &message.project;
    if project.full_name.is_empty() {
        Text::new()
    } else {
        Text::new().link(&project.full_name, &project.url)
    }
}

/// The longest card within so many bytes. `make` builds a card from the limit of its longest text.
fn within(limit: usize, card: impl Fn(usize) -> Json) -> Json {
    let [longer @ .., last] = &ROOMS;
    let fitting = longer.iter().map(|room| card(*room)).find(|card| card.to_string().len() <= limit);
    fitting.unwrap_or_else(|| card(*last))
}
