//! Mentions of a group.

use super::{Context, Message, NAME, TITLE, Text, brief};
use crate::event::GroupMention;

pub(super) fn message(context: &Context, mention: &GroupMention) -> Message {
    let did = Text::new().plain(format!("{} mentioned group ", context.who()));
    let did = match mention.group_path.as_str() {
        "" => Text::new().plain(format!("{} mentioned your group", context.who())),
        path => did.link(brief(path, NAME), mention.group_url.as_str()),
    };
    let source = if mention.source.ends_with(['#', '!'])
        || mention.source.ends_with("#0")
        || mention.source.ends_with("!0")
    {
        String::new()
    } else {
        brief(&mention.source, NAME)
    };
    let did = match source.as_str() {
        "" => did.plain(" in ").link("a comment or description", mention.url.as_str()),
        source => did.plain(" in ").link(source, mention.url.as_str()),
    };
    let title = brief(&mention.title, TITLE);
    let more = if title.is_empty() { Text::new() } else { Text::new().plain(": ").bold(title) };
    Message { body: context.prose(&mention.text), ..context.message(did, " of ", more) }
}
