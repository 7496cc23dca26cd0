//! Draws messages roughly as their services show them.
//!
//! The requests are those that would be sent; a *drawer* makes HTML of one. [`drawn`] finds the drawer by what the
//! request is, [`page()`] holds what stands around the drawings, `markup` reads the services' ways to mark text up. All of
//! it are pure functions from requests to text.

mod attachments;
mod call;
mod card;
mod discord;
mod hipchat;
mod irc;
mod mail;
mod markup;
mod page;
mod raw;
mod said;

use crate::adapters::contract::Preview;
use crate::adapters::{Entry, ProjectLinks};
use crate::call::{
    Answer, Call, HttpRequest, HttpResponse, Mail, Method, Request, Response, Sent, TcpRequest,
};
use crate::event::{Event, Trigger};
use crate::message::{Limit, Markup, compose_with};
use crate::pipeline::attempt::Outgoing;
use crate::pipeline::trace::masked;
use crate::settings::Secrets;
use attachments::Reader;
pub use page::{POLICY, page};
pub use raw::pretty;

/// One event on the page.
pub struct Shown {
    pub title: String,
    pub kind: String,
    /// The file, or that it is a sample; and what event it is.
    pub source: String,
    pub messages: Vec<Drawn>,
    /// The slugs of the adapters that do not support the event.
    pub unheard: Vec<String>,
    /// Whether some references stayed words, because there were too many.
    pub has_unlinked_references: bool,
}

/// One message on the page.
pub struct Drawn {
    pub service: String,
    pub place: String,
    /// HTML.
    pub drawing: String,
    /// Why the rules would not send it, with the settings that it is drawn with.
    pub unwanted: Option<String>,
    /// It needs the page's whole width.
    pub wide: bool,
}

/// A few lines, of the longest titles and names.
const HEADLINE: Limit = Limit::Chars(500);

impl Shown {
    /// An event under its message's headline, or under these words where it has no message.
    pub fn new(source: &str, words: &str, event: &Event, links: &ProjectLinks) -> Self {
        let composed = compose_with(event, links, None);
        let has_unlinked_references =
            composed.as_ref().is_some_and(|message| message.has_unlinked_references);
        let headline = composed
            .map(|message| Markup::Plain.label(&message.summary.plain_text(), HEADLINE))
            .filter(|words| !words.is_empty());
        Self {
            title: headline.unwrap_or_else(|| words.to_owned()),
            kind: event.trigger.map_or(event.kind(), Trigger::name).to_owned(),
            source: format!("{source}: {words}"),
            messages: Vec::new(),
            unheard: Vec::new(),
            has_unlinked_references,
        }
    }
}

impl Drawn {
    /// The message that would be sent, drawn; or why there is none. `place` says where it goes. Secrets are masked in it,
    /// where they are given.
    pub fn of(
        outgoing: &Outgoing<'_>,
        place: String,
        unwanted: Option<String>,
        secrets: Option<&Secrets>,
    ) -> Self {
        let entry = outgoing.entry;
        let preview = entry.deliver.as_ref().map_or(Preview::Request, |deliver| deliver.about.preview);
        let (drawing, wide) = match outgoing.build_call() {
            Ok(call) => {
                let (preview, request) = shown_of(preview, call);
                let request = secrets.map(|secrets| without_secrets(&request, secrets)).unwrap_or(request);
                (drawn(preview, &request), matches!(request, Request::Smtp(_)))
            }
            Err(outcome) => {
                let why = outcome.to_string();
                let why = secrets.map(|secrets| secrets.mask_echo(why.clone())).unwrap_or(why);
                (nothing(&why), false)
            }
        };
        Self { service: entry.about.title.to_owned(), place, drawing, unwanted, wide }
    }

    /// In place of a message of this service that would not be sent.
    pub fn none(entry: &Entry, why: &str, unwanted: Option<String>) -> Self {
        let service = entry.about.title.to_owned();
        Self { service, place: String::new(), drawing: nothing(why), unwanted, wide: false }
    }
}

/// The request of a call that is shown: the one with the message, where the call begins by looking something up.
fn shown_of(preview: Preview, call: Call<Sent>) -> (Preview, Request) {
    let Preview::AfterLookUp { answer, then } = preview else { return (preview, call.request) };
    if !matches!(&call.request, Request::Http(request) if request.method == Method::Get) {
        return (*then, call.request);
    }
    let look_up = call.request.clone();
    let response = HttpResponse {
        status: 200,
        headers: Vec::new(),
        body: answer.into(),
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    match (call.read)(&Response::Http(response)) {
        Answer::Next(next) => (*then, next.request),
        _ => (Preview::Request, look_up),
    }
}

/// The same request with secrets masked by position and in people's words, before any of it becomes markup.
fn without_secrets(request: &Request, secrets: &Secrets) -> Request {
    let body = |body: &[u8]| secrets.mask(String::from_utf8_lossy(body).into_owned()).into();
    let address = match request {
        Request::Http(request) => Some(call::masked(&request.url, secrets)),
        _ => None,
    };
    match masked(request) {
        Request::Http(request) => {
            let url = address.unwrap_or_else(|| request.url.clone());
            Request::Http(HttpRequest { url, body: body(&request.body), ..request })
        }
        Request::Tcp(request) => Request::Tcp(TcpRequest { body: body(&request.body), ..request }),
        Request::Smtp(mail) => {
            let (subject, text, html) = (
                secrets.mask(mail.subject.clone()),
                secrets.mask(mail.text.clone()),
                secrets.mask(mail.html.clone()),
            );
            Request::Smtp(Box::new(Mail { subject, text, html, ..*mail }))
        }
    }
}

fn nothing(why: &str) -> String {
    format!("<div class=\"nothing\">Nothing would be sent: {}.</div>", page::esc(why))
}

/// A request, drawn as its service would draw it; as it is, where no drawing is known.
pub fn drawn(preview: Preview, request: &Request) -> String {
    match request {
        Request::Smtp(mail) => mail::draw(mail),
        Request::Tcp(request) => irc::draw(&request.body).unwrap_or_else(|| raw::draw("", &request.body)),
        Request::Http(request) => http(preview, request),
    }
}

fn http(preview: Preview, request: &HttpRequest) -> String {
    let json = || serde_json::from_slice(&request.body).ok();
    let drawing = match preview {
        Preview::Attachments(markup) => json().and_then(|body| attachments::draw(&body, &reader(markup))),
        Preview::Embeds => json().and_then(|body| discord::draw(&body)),
        Preview::Html => hipchat::draw(&json().unwrap_or_else(|| form(&request.body))),
        Preview::Cards => json().and_then(|body| card::draw(&body)),
        Preview::Text { field, markup } => {
            said::draw(&json().unwrap_or_else(|| form(&request.body)), field, markup)
        }
        Preview::Call => Some(call::draw(request)),
        Preview::Request | Preview::AfterLookUp { .. } => None,
    };
    let content_type = request.headers.iter().find(|(name, _)| *name == "content-type");
    drawing.unwrap_or_else(|| raw::draw(content_type.map_or("", |(_, value)| value), &request.body))
}

fn reader(markup: Markup) -> Reader {
    match markup {
        Markup::Slack => Reader { words: markup::mrkdwn, labels: markup::entities },
        _ => Reader { words: markup::markdown, labels: page::esc },
    }
}

/// A form's fields, by name.
fn form(body: &[u8]) -> serde_json::Value {
    let field = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        (name.into_owned(), value.into())
    };
    url::form_urlencoded::parse(body).map(field).collect::<serde_json::Map<_, _>>().into()
}
