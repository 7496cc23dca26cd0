//! Milestones.

use super::{Context, Field, Message, NAME, TITLE, Text, Tone, Words, brief, short_field, title};
use crate::event::{GroupRef, Milestone};

pub(super) fn message(context: &Context<'_>, milestone: &Milestone, group: Option<&GroupRef>) -> Message {
    let label = brief(&milestone.title, TITLE);
    let is_gone = milestone.action == "delete";
    // A group's milestone names no address of the group.
    let page = if milestone.iid > 0 && !is_gone {
        context.page(format_args!("milestones/{}", milestone.iid))
    } else {
        Words::default()
    };
    let object = match label.as_str() {
        "" => Text::new().plain("a milestone"),
        label => Text::new().plain("milestone ").link(label, page.as_str()),
    };
    let done: Words = match (milestone.action.as_str(), milestone.state.as_str()) {
        ("create", _) => "created".into(),
        ("close", _) | ("", "closed") => "closed".into(),
        ("reopen", _) => "reopened".into(),
        ("delete", _) => "deleted".into(),
        ("" | "update", _) => "updated".into(),
        (other, _) => brief(other, NAME),
    };
    let of_group = group.map(|group| format!(" in group {}", brief(&group.path, NAME))).unwrap_or_default();
    let did = context.deed(&done, object, &format!("was {done}")).plain(of_group);
    let message = context.message(did, " in ", Text::new());
    if !matches!(milestone.action.as_str(), "create" | "reopen") {
        return message;
    }
    let body = context.prose(&milestone.description, &page);
    Message { title: title(label, &page), body, fields: dates(milestone), tone: Tone::Notice, ..message }
}

fn dates(milestone: &Milestone) -> Vec<Field> {
    let date = |name: &str, day: &str| short_field(name, Text::new().plain(brief(day, NAME)));
    vec![date("Starts", &milestone.start_date), date("Due", &milestone.due_date)]
}
