//! Comments.

use super::{Context, Message, NAME, TITLE, Text, Words, brief, capitalised};
use crate::event::{Note, Noteable, User};

/// The message; `None` for comments on designs, epics and other things that are not notified.
pub(super) fn message(context: &Context<'_>, note: &Note) -> Option<Message> {
    let on = match &note.on {
        Noteable::Commit(commit) => named("commit", "", commit.short_id()),
        Noteable::Issue { iid, .. } => named("issue", "#", &number(*iid)),
        Noteable::MergeRequest { iid, .. } => named("merge request", "!", &number(*iid)),
        Noteable::Snippet { id, .. } => named("snippet", "$", &number(*id)),
        Noteable::Other(_) => return None,
    };
    let title = brief(note.on.title(), TITLE);
    let more = if title.is_empty() {
        Text::new()
    } else {
        context.references.linked(Text::new().plain(": ").bold(title))
    };
    let did = did(context, note, &on);
    Some(Message { body: context.prose(&note.note, &note.url), ..context.message(did, " in ", more) })
}

/// Who wrote what on this: `Ada commented on issue #17`, where GitLab wrote it about what Ada did `Ada changed issue #17`,
/// and where it is not known who did it `A comment by Ada on issue #17 was edited`.
fn did(context: &Context<'_>, note: &Note, on: &str) -> Text {
    let link = |words: Words| Text::new().link(words, &note.url);
    let is_edited = note.action.as_deref() == Some("update");
    match &context.author {
        Some(author) => {
            let did = match (note.by_system, is_edited) {
                (true, _) => format!("changed {on}"),
                (false, true) => format!("edited a comment on {on}"),
                (false, false) => format!("commented on {on}"),
            };
            Text::new().plain(format!("{} ", author.display)).then(link(did.into()))
        }
        None if note.by_system => link(capitalised(on)).plain(" was changed"),
        None if is_edited => {
            let writer = note.user.as_ref().map(User::display).filter(|name| !name.is_empty());
            let by = writer.map_or_else(String::new, |name| format!(" by {}", brief(&name, NAME)));
            link(format!("A comment{by} on {on}").into()).plain(" was edited")
        }
        None => link(format!("New comment on {on}").into()),
    }
}

fn number(number: i64) -> String {
    if number > 0 { number.to_string() } else { String::new() }
}

fn named(thing: &str, sign: &str, number: &str) -> String {
    if number.is_empty() { super::with_article(thing) } else { format!("{thing} {sign}{number}") }
}
