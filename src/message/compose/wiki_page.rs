//! Wiki pages. The page's link is the forge's: the page was changed there. Where the project has its wiki elsewhere, the
//! message leads there too, as GitLab's sidebar does.

use super::{Body, Context, Message, NAME, TITLE, Text, brief};
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
    let changes = page.diff_url.as_deref().filter(|url| !deleted && !url.is_empty());
    let changes = changes.map(|url| Text::new().link("Compare changes", url));
    let wiki =
        context.references.links.wiki().map(|wiki| Text::new().link(brief(&wiki.name, NAME), wiki.url));
    let links: Vec<Text> = changes.into_iter().chain(wiki).collect();
    let more = match links.as_slice() {
        [] => Text::new(),
        _ => Text::new().plain(" (").then(Text::join(links, ", ")).plain(")"),
    };
    let words = context.words(brief(&page.message, MESSAGE));
    let body = if words.is_blank() { Body::None } else { Body::Prose(words) };
    Message { body, ..context.message(did, " in ", more) }
}
