//! Wiki pages.

use super::{Body, Context, Message, TITLE, Text, brief};
use crate::event::WikiPage;

/// How much is shown of the commit message, which is usually one line.
const MESSAGE: usize = 500;

pub(super) fn message(context: &Context<'_>, page: &WikiPage) -> Message {
    let (done, deleted) = match page.action.as_str() {
        "create" => ("created", false),
        "delete" => ("deleted", true),
        _ => ("edited", false),
    };
    let title = brief(if page.title.is_empty() { &page.slug } else { &page.title }, TITLE);
    let object = match title.as_str() {
        "" => Text::new().plain("a wiki page"),
        // A deleted page has no address.
        title if deleted => Text::new().plain(format!("wiki page {title}")),
        title => Text::new().plain("wiki page ").link(title, page.url.as_str()),
    };
    let did = context.deed(done, object, &format!("was {done}"));
    let more = match page.diff_url.as_deref() {
        Some(url) if !deleted => Text::new().plain(" (").link("Compare changes", url).plain(")"),
        _ => Text::new(),
    };
    let words = Text::new().plain(brief(&page.message, MESSAGE));
    let body = if words.is_blank() { Body::None } else { Body::Prose(words) };
    Message { body, ..context.message(did, " in ", more) }
}
