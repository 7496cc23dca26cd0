//! Issues, incidents, and other work items.

use super::{Context, Message, NAME, Text, Tone, brief, numbered, title, with_article};
use crate::event::{Issue, IssueKind};

pub(super) fn message(context: &Context<'_>, issue: &Issue) -> Message {
    let action = issue.action.as_deref().unwrap_or_default();
    let label = numbered('#', issue.iid, &issue.title);
    let object = match label.as_str() {
        "" => Text::new().plain(with_article(&kind(issue))),
        label => Text::new().plain(format!("{} ", kind(issue))).link(label, issue.url.as_str()),
    };
    let done = done(action, &issue.state);
    let message = context.message(context.deed(&done, object, &format!("was {done}")), " in ", Text::new());
    if action != "open" {
        let reopened = action == "reopen";
        return Message { tone: if reopened { Tone::Notice } else { Tone::Neutral }, ..message };
    }
    Message {
        title: title(label, &issue.url),
        body: context.prose(&issue.description, &issue.url),
        tone: Tone::Notice,
        ..message
    }
}

/// What was done to it. The state says less (a reopened issue is `opened`), but some payloads have no action.
fn done(action: &str, state: &str) -> String {
    match (action, state) {
        ("open", _) => "opened".to_owned(),
        ("close", _) => "closed".to_owned(),
        ("reopen", _) => "reopened".to_owned(),
        ("update", _) | (_, "") => "updated".to_owned(),
        (_, state) => brief(state, NAME),
    }
}

/// `issue`, `confidential incident`, `task`.
fn kind(issue: &Issue) -> String {
    let word = match (&issue.issue_type, issue.kind) {
        (Some(word), _) => lowered(&brief(word, NAME)),
        (None, IssueKind::Incident) => "incident".to_owned(),
        (None, _) => "issue".to_owned(),
    };
    if issue.confidential { format!("confidential {word}") } else { word }
}

/// `Key Result` → `key result`, but `SLA` as it is.
fn lowered(words: &str) -> String {
    if words.chars().all(|c| !c.is_lowercase()) { words.to_owned() } else { words.to_lowercase() }
}
