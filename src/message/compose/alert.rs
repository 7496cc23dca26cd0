//! Alerts.

use super::{
    Body, Context, Message, NAME, PROSE, PROSE_LINES, TITLE, Text, Tone, Words, brief, humanized, listed,
    short_field, web_address,
};
use crate::event::{Alert, parse_time};

pub(super) fn message(context: &Context<'_>, alert: &Alert) -> Message {
    let title = brief(&alert.title, TITLE);
    let what = match title.as_str() {
        "" => Text::new().link("Alert firing", alert.url.as_str()),
        title => Text::new().plain("Alert firing: ").link(title, alert.url.as_str()),
    };
    let mut fields = Vec::new();
    let mut field = |name: &str, value: Words| {
        if !value.is_empty() {
            fields.push(short_field(name, Text::new().plain(value)));
        }
    };
    field("Severity", humanized(&alert.severity));
    field("Events", if alert.events > 0 { alert.events.to_string().into() } else { Words::default() });
    field("Status", humanized(&alert.status));
    field("Start time", moment(&alert.started_at));
    field("Environment", brief(&alert.environment, NAME));
    field("Service", brief(&alert.service, NAME));
    field("Monitoring tool", brief(&alert.monitoring_tool, NAME));
    let hosts = if alert.hosts.len() == 1 { "Host" } else { "Hosts" };
    fields.push(short_field(hosts, listed(&alert.hosts, |host| Text::new().plain(brief(host, NAME)), "")));
    fields.push(short_field("Runbook", runbook(&alert.runbook)));
    Message {
        title: super::title(title, &alert.url),
        body: description(&alert.description),
        fields,
        tone: Tone::Notice,
        ..context.report(what)
    }
}

/// Monitoring systems fill templates with plain text: what looks like markup in it is none.
fn description(words: &str) -> Body {
    let text = Text::new().plain(words.trim()).first_lines(PROSE_LINES).excerpt(PROSE);
    if text.is_blank() { Body::None } else { Body::Prose(text) }
}

/// What to do about the alert: an address, or words.
fn runbook(runbook: &str) -> Text {
    let words = brief(runbook, TITLE);
    match web_address(Some(runbook.trim())) {
        Some(url) => Text::new().link(words, url),
        None => Text::new().plain(words),
    }
}

/// A time in UTC, since the reader's time zone is unknown; unchanged where it cannot be parsed.
fn moment(text: &str) -> Words {
    match parse_time(text) {
        Some(moment) => moment.strftime("%-d %B %Y, %H:%M UTC").to_string().into(),
        None => brief(text, NAME),
    }
}
