//! `preview`: one page that shows each message as its service would draw it.
//!
//! The requests are those that `send` would make; a *drawer* makes HTML of one. [`drawn`] finds the drawer by what the
//! request is, `page` holds what stands around the drawings, `markup` reads the services' ways to mark text up. All of
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
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::ValueHint;
use clap::builder::PossibleValuesParser;

use super::explain::{fresh_id, read, title};
use super::options::Options;
use super::send::{examples_with, one_off_quietly, outcome_words, pair, targets};
use super::{say, state};
use crate::adapters::contract::Preview;
use crate::adapters::{ADAPTERS, Entry, OperatorSettings, ProjectLinks};
use crate::call::{
    Answer, Call, HttpRequest, HttpResponse, Mail, Method, Request, Response, Sent, TcpRequest,
};
use crate::catalog::{Catalog as _, Snapshot};
use crate::daemon;
use crate::event::{Event, Trigger, sample};
use crate::integration::{Integration, rules};
use crate::message::{Limit, Markup, compose_with};
use crate::pipeline::attempt::Outgoing;
use crate::pipeline::trace::masked;
use crate::settings::Secrets;
use attachments::Reader;

const ALL: &str = "all";
/// A few lines, of the longest titles and names.
const HEADLINE: Limit = Limit::Chars(500);

#[derive(Debug, clap::Args)]
#[command(after_help = "For example:\n  \
    forgebell preview payloads/push.json --to slack,discord --out preview.html\n  \
    forgebell preview --sample all --out preview.html\n\n\
    Nothing is sent, and no settings are needed: the examples of each adapter are used. References such as `ABC-12` lead to \
    the project's tracker, as configured, or to a tracker that `--to` names:\n  \
    forgebell preview payloads/push.json --to slack,redmine --set short_references=true --out preview.html")]
pub(super) struct Args {
    /// Webhook payloads (JSON); `-` reads standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "samples")]
    files: Vec<PathBuf>,
    /// A made-up event of this kind, or `all` of them
    #[arg(long = "sample", value_name = "KIND", value_parser = kinds(), value_delimiter = ',')]
    samples: Vec<String>,
    /// For which services: see `forgebell adapters`; `all` of them unless said
    #[arg(long, value_name = "SLUG", value_parser = destinations(), value_delimiter = ',', default_value = ALL)]
    to: Vec<String>,
    /// One of the adapters' settings, for those that have it, instead of its example
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    settings: Vec<(String, String)>,
    /// Write the page to this file instead of standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    out: Option<PathBuf>,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Trigger::ALL.map(Trigger::name).into_iter().chain([ALL]))
}

fn destinations() -> PossibleValuesParser {
    PossibleValuesParser::new(ADAPTERS.iter().map(|entry| entry.about.slug).chain([ALL]))
}

/// One event on the page.
struct Shown {
    title: String,
    kind: String,
    /// The file, or that it is a sample; and what event it is.
    source: String,
    messages: Vec<Drawn>,
    /// The slugs of the adapters that do not support the event.
    unheard: Vec<String>,
    /// Whether some references stayed words, because there were too many.
    has_unlinked_references: bool,
}

/// One message on the page.
struct Drawn {
    service: String,
    place: String,
    /// HTML.
    drawing: String,
    /// Why the rules would not send it, with the settings that it is drawn with.
    unwanted: Option<String>,
    /// It needs the page's whole width.
    wide: bool,
}

pub(super) async fn run(args: &Args, options: &Options) -> anyhow::Result<ExitCode> {
    let config = options.config_for(&[])?;
    let everyone = args.to.iter().any(|slug| slug == ALL);
    let is_named = |entry: &Entry| args.to.iter().any(|slug| slug == entry.about.slug);
    let chosen = ADAPTERS.iter().filter(|entry| everyone && entry.can_deliver() || is_named(entry));
    let chosen: Vec<&'static Entry> = chosen.collect();
    if let Some((key, _)) =
        args.settings.iter().find(|(key, _)| !chosen.iter().any(|entry| super::send::has(entry, key)))
    {
        bail!("--set {key}: none of these services has such a setting");
    }
    // Trackers and wikis get no messages: those of the others lead there.
    let drawn: Vec<&'static Entry> = chosen.iter().copied().filter(|entry| !is_only_linked(entry)).collect();
    let mut shown = Vec::new();
    for (source, event) in events(args)? {
        let links = match named_links(&chosen, &args.settings, &event)? {
            Some(links) => links,
            None => state::links(&config, &event).await,
        };
        shown.push(show(&source, &event, &drawn, &args.settings, (&config.operator, &links))?);
    }
    let page = page::page(&shown);
    match &args.out {
        Some(file) => {
            std::fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))?;
        }
        None => say(&page)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn events(args: &Args) -> anyhow::Result<Vec<(String, Event)>> {
    let mut events = Vec::new();
    for file in &args.files {
        let event = Event::decode(fresh_id(), daemon::now(), read(file)?)
            .with_context(|| format!("{} is no event that we know", file.display()))?;
        events.push((file.display().to_string(), event));
    }
    let wanted = |trigger: &Trigger| args.samples.iter().any(|kind| kind == ALL || kind == trigger.name());
    for trigger in Trigger::ALL.into_iter().filter(wanted) {
        events.push(("a sample".to_owned(), sample(trigger)));
    }
    Ok(events)
}

/// The trackers and wikis among the named services, with the settings of the command line; `None` where none is named.
fn named_links(
    chosen: &[&'static Entry],
    settings: &[(String, String)],
    event: &Event,
) -> anyhow::Result<Option<ProjectLinks>> {
    let mut named = Vec::new();
    for entry in chosen.iter().filter(|entry| entry.link.is_some()) {
        let all = examples_with(entry, settings);
        let (integration, ..) = one_off_quietly(entry, &all, event, |path| std::fs::read_to_string(path))?;
        named.push(integration);
    }
    Ok((!named.is_empty()).then(|| ProjectLinks::of(&named)))
}

fn is_only_linked(entry: &Entry) -> bool {
    entry.link.is_some() && !entry.can_deliver()
}

fn show(
    source: &str,
    event: &Event,
    chosen: &[&'static Entry],
    settings: &[(String, String)],
    (operator, links): (&OperatorSettings, &ProjectLinks),
) -> anyhow::Result<Shown> {
    let supports =
        |entry: &Entry| event.trigger.is_some_and(|trigger| entry.about.triggers.contains(trigger));
    let (supporting, others): (Vec<&'static Entry>, Vec<_>) =
        chosen.iter().partition(|entry| supports(entry));
    let messages = supporting.into_iter().map(|entry| message(entry, event, settings, (operator, links)));
    // The message, or the event where there is no message.
    let composed = compose_with(event, links, None);
    let has_unlinked_references = composed.as_ref().is_some_and(|message| message.has_unlinked_references);
    let headline = composed
        .map(|message| Markup::Plain.label(&message.summary.plain_text(), HEADLINE))
        .filter(|words| !words.is_empty());
    Ok(Shown {
        title: headline.unwrap_or_else(|| title(event)),
        kind: event.trigger.map_or(event.kind(), Trigger::name).to_owned(),
        source: format!("{source}: {}", title(event)),
        messages: messages.collect::<anyhow::Result<_>>()?,
        has_unlinked_references,
        unheard: others.iter().map(|entry| entry.about.slug.to_owned()).collect(),
    })
}

fn message(
    entry: &'static Entry,
    event: &Event,
    settings: &[(String, String)],
    (operator, links): (&OperatorSettings, &ProjectLinks),
) -> anyhow::Result<Drawn> {
    let all = examples_with(entry, settings);
    let (integration, secrets, _) =
        one_off_quietly(entry, &all, event, |path| std::fs::read_to_string(path))?;
    let facts = Snapshot::default().facts(event);
    let unwanted =
        rules::wants(&listening(&integration, event), event, &facts).err().map(|why| why.to_string());
    let targets = targets(entry, &integration, event);
    let service = entry.about.title.to_owned();
    let Some(target) = targets.first() else {
        let drawing = nothing("it has no target");
        return Ok(Drawn { service, place: String::new(), drawing, unwanted, wide: false });
    };
    let others = match targets.len() {
        1 => String::new(),
        many => format!(", and {} more", many - 1),
    };
    let outgoing = Outgoing {
        entry,
        integration: &integration,
        event,
        target,
        id: "01912d68783e7a0384675661c1243ad4",
        now: daemon::now(),
        operator,
        links,
        may_have_been_sent: false,
        test: false,
    };
    let preview = entry.deliver.as_ref().map_or(Preview::Request, |deliver| deliver.about.preview);
    let (drawing, wide) = match outgoing.build_call() {
        Ok(call) => {
            let (preview, request) = shown_of(preview, call);
            // The examples are no secrets, and may be words of any message.
            let request = if settings.is_empty() { request } else { without_secrets(&request, &secrets) };
            (drawn(preview, &request), matches!(request, Request::Smtp(_)))
        }
        Err(outcome) => (nothing(&outcome_words(&outcome)), false),
    };
    // The address's own place has no name.
    let place = if target.is_empty() { String::new() } else { format!("to {target}{others}") };
    Ok(Drawn { service, place, drawing, unwanted, wide })
}

/// The integration with the event's kind switched on: a preview was asked for it.
fn listening(integration: &Integration, event: &Event) -> Integration {
    let mut integration = integration.clone();
    if let Some(trigger) = event.trigger {
        integration.triggers.set(trigger, true);
    }
    integration
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
fn drawn(preview: Preview, request: &Request) -> String {
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
