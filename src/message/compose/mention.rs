//! Mentions of a group.

use super::{Context, Message, NAME, TITLE, Text, Words, brief};
use crate::event::GroupMention;

/// The message; `None` for mentions in epics and other things that are not notified.
pub(super) fn message(context: &Context<'_>, mention: &GroupMention) -> Option<Message> {
    if mention.elsewhere.is_some() {
        return None;
    }
    let group = match mention.group_path.as_str() {
        "" => Text::new().plain("your group"),
        path => Text::new().plain("group ").link(brief(path, NAME), mention.group_url.as_str()),
    };
    let did = context.deed("mentioned", group, "was mentioned");
    let source = if mention.source.ends_with(['#', '!'])
        || mention.source.ends_with("#0")
        || mention.source.ends_with("!0")
    {
        Words::default()
    } else {
        brief(&mention.source, NAME)
    };
    let did = match source.as_str() {
        "" => did.plain(" in ").link("a comment or description", mention.url.as_str()),
        source => did.plain(" in ").link(source, mention.url.as_str()),
    };
    let title = brief(&mention.title, TITLE);
    let more = if title.is_empty() {
        Text::new()
    } else {
        context.references.linked(Text::new().plain(": ").bold(title))
    };
    Some(Message { body: context.prose(&mention.text, &mention.url), ..context.message(did, " of ", more) })
}
