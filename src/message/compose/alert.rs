//! Alerts.

use super::{Context, Message, NAME, TITLE, Text, Tone, brief, humanized, short_field};
use crate::event::{Alert, parse_time};

pub(super) fn message(context: &Context<'_>, alert: &Alert) -> Message {
    let title = brief(&alert.title, TITLE);
    let what = match title.as_str() {
        "" => Text::new().link("Alert firing", alert.url.as_str()),
        title => Text::new().plain("Alert firing: ").link(title, alert.url.as_str()),
    };
    let mut fields = Vec::new();
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            fields.push(short_field(name, Text::new().plain(value)));
        }
    };
    field("Severity", humanized(&alert.severity));
    field("Events", if alert.events > 0 { alert.events.to_string() } else { String::new() });
    field("Status", humanized(&alert.status));
    field("Start time", moment(&alert.started_at));
    Message { title: super::title(title, &alert.url), fields, tone: Tone::Notice, ..context.report(what) }
}

/// A time in UTC, since the reader's time zone is unknown; unchanged where it cannot be parsed.
fn moment(text: &str) -> String {
    match parse_time(text) {
        Some(moment) => moment.strftime("%-d %B %Y, %H:%M UTC").to_string(),
        None => brief(text, NAME),
    }
}
