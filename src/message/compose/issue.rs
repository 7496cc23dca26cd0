//! Issues, incidents, and other work items.

use super::{Context, Message, NAME, Text, Tone, Words, brief, numbered, title, with_article};
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
fn done(action: &str, state: &str) -> Words {
    match (action, state) {
        ("open", _) => "opened".into(),
        ("close", _) => "closed".into(),
        ("reopen", _) => "reopened".into(),
        ("update", _) | (_, "") => "updated".into(),
        (_, state) => brief(state, NAME),
    }
}

/// `issue`, `confidential incident`, `task`.
fn kind(issue: &Issue) -> Words {
    let word = match (&issue.issue_type, issue.kind) {
        (Some(word), _) => lowered(&brief(word, NAME)),
        (None, IssueKind::Incident) => "incident".into(),
        (None, _) => "issue".into(),
    };
    if issue.confidential { format!("confidential {word}").into() } else { word }
}

/// `Key Result` → `key result`, but `SLA` as it is.
fn lowered(words: &str) -> Words {
    if words.chars().all(|c| !c.is_lowercase()) { words.into() } else { words.to_lowercase().into() }
}
