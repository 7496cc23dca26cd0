//! Comments.

use super::{Context, Message, TITLE, Text, brief};
use crate::event::{Note, Noteable};

/// The message; `None` for comments on designs, epics and other things that are not notified.
pub(super) fn message(context: &Context, note: &Note) -> Option<Message> {
    let on = match &note.on {
        Noteable::Commit(commit) => named("commit", "", commit.short_id()),
        Noteable::Issue { iid, .. } => named("issue", "#", &number(*iid)),
        Noteable::MergeRequest { iid, .. } => named("merge request", "!", &number(*iid)),
        Noteable::Snippet { id, .. } => named("snippet", "$", &number(*id)),
        Noteable::Other(_) => return None,
    };
    let did = if note.action.as_deref() == Some("update") { "edited a comment on" } else { "commented on" };
    let did = Text::new().plain(format!("{} ", context.who())).link(format!("{did} {on}"), note.url.as_str());
    let title = brief(note.on.title(), TITLE);
    let more = if title.is_empty() { Text::new() } else { Text::new().plain(": ").bold(title) };
    Some(Message { body: context.prose(&note.note), ..context.message(did, " in ", more) })
}

fn number(number: i64) -> String {
    if number > 0 { number.to_string() } else { String::new() }
}

fn named(thing: &str, sign: &str, number: &str) -> String {
    if number.is_empty() { super::with_article(thing) } else { format!("{thing} {sign}{number}") }
}
