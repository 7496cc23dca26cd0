//! Pushes: branches and tags created, updated and removed.

use super::{Body, Context, Message, NAME, TITLE, Text, Words, brief};
use crate::event::{Commit, Push, RefChange};

/// GitLab puts at most this many commits into an event. Of a longer list, the other commits are counted, not shown.
const MOST_COMMITS: usize = 20;

pub(super) fn message(context: &Context<'_>, push: &Push) -> Message {
    let kind = push.ref_type().name();
    let name = || context.ref_link(push.ref_type(), push.short_ref());
    match push.change() {
        RefChange::Created => {
            let new = Text::new().plain(format!("new {kind} ")).then(name());
            context.message(context.deed("pushed", new, "was pushed"), " to ", Text::new())
        }
        // A removed branch or tag has no page.
        RefChange::Removed => {
            let removed = Text::new().plain(format!("{kind} {}", brief(push.short_ref(), NAME)));
            context.message(context.deed("removed", removed, "was removed"), " from ", Text::new())
        }
        RefChange::Updated => {
            let compare = compare_url(context, push);
            let did = pushed(context, push).plain(format!(" to {kind} ")).then(name());
            let more = match compare.as_str() {
                "" => Text::new(),
                url => Text::new().plain(" (").link("Compare changes", url).plain(")"),
            };
            Message { body: commits(context, push, &compare), ..context.message(did, " of ", more) }
        }
    }
}

/// `Ada pushed 3 commits`, `3 commits were pushed`.
fn pushed(context: &Context<'_>, push: &Push) -> Text {
    let (commits, were) = match push.commit_count() {
        None => ("commits".to_owned(), "were pushed"),
        Some(1) => ("1 commit".to_owned(), "was pushed"),
        Some(many) => (format!("{many} commits"), "were pushed"),
    };
    match (&context.author, push.commit_count()) {
        (Some(author), None) => Text::new().plain(format!("{} pushed", author.display)),
        _ => context.deed("pushed", Text::new().plain(commits), were),
    }
}

fn compare_url(context: &Context<'_>, push: &Push) -> Words {
    let is_sha = |sha: &str| !sha.is_empty() && sha.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_sha(&push.before) || !is_sha(&push.after) {
        return Words::default();
    }
    context.page(format_args!("compare/{}...{}", push.before, push.after))
}

fn commits(context: &Context<'_>, push: &Push, compare: &str) -> Body {
    let most = context.max_commits.unwrap_or(MOST_COMMITS).min(MOST_COMMITS);
    let newest = &push.commits[push.commits.len().saturating_sub(most)..];
    let mut lines: Vec<Text> = newest.iter().map(|commit| line(context, commit)).collect();
    match push.commit_count().unwrap_or_default().saturating_sub(newest.len() as u64) {
        _ if lines.is_empty() => return Body::None,
        0 => {}
        1 => lines.push(Text::new().plain("and ").link("1 more commit", compare)),
        more => lines.push(Text::new().plain("and ").link(format!("{more} more commits"), compare)),
    }
    Body::Lines(lines)
}

/// `da156088: fixed readme - GitLab dev user`.
fn line(context: &Context<'_>, commit: &Commit) -> Text {
    let url = match commit.url.as_str() {
        "" if commit.id.is_empty() => Words::default(),
        "" => context.page(format_args!("commit/{}", super::in_path(&commit.id))),
        _ => (&commit.url).into(),
    };
    let (title, author) = (brief(commit.title(), TITLE), brief(&commit.author.name, NAME));
    let mut line = Text::new();
    if !commit.id.is_empty() {
        line = line.link(commit.short_id(), url).plain(": ");
    }
    line = line.then(context.words(if title.is_empty() { "(no message)" } else { &title }));
    if author.is_empty() { line } else { line.plain(" - ").plain(author) }
}
