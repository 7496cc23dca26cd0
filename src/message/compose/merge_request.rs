//! Merge requests.

use super::{Context, Message, NAME, Text, brief, enumerated, numbered};
use crate::event::{MergeRequest, ReviewersChanged, User};

pub(super) fn message(context: &Context, merge_request: &MergeRequest) -> Message {
    let label = numbered('!', merge_request.iid, first_line(&merge_request.title));
    let did = Text::new().plain(format!("{} {} ", context.who(), done(merge_request)));
    let did = match label.as_str() {
        "" => did.plain("a merge request"),
        label => did.plain("merge request ").link(label, url(context, merge_request)),
    };
    context.message(did, " in ", Text::new())
}

/// The merge request's page, built from the project's address where that is known: the address in the payload often
/// has an internal host name.
fn url(context: &Context, merge_request: &MergeRequest) -> String {
    let known = merge_request.iid > 0 && !context.project_info.url.is_empty();
    if known {
        context.page(&format!("merge_requests/{}", merge_request.iid))
    } else {
        merge_request.url.clone()
    }
}

/// What was done, as words that `merge request` follows.
fn done(merge_request: &MergeRequest) -> String {
    let done = match merge_request.action.as_deref().unwrap_or_default() {
        "open" => "opened",
        "close" => "closed",
        "reopen" => "reopened",
        "merge" => "merged",
        "approved" => "approved",
        "unapproved" => "unapproved",
        "approval" => "added their approval to",
        "unapproval" => "removed their approval from",
        "update" => match &merge_request.reviewers_changed {
            Some(changed) => return reviewers(changed),
            None if merge_request.oldrev.is_some() => "pushed new commits to",
            None => "updated",
        },
        _ if merge_request.state.is_empty() => "updated",
        _ => return brief(&merge_request.state, NAME),
    };
    done.to_owned()
}

fn reviewers(changed: &ReviewersChanged) -> String {
    let is_in = |user: &User, users: &[User]| users.iter().any(|other| other.username == user.username);
    let without = |users: &[User], others: &[User]| -> Vec<String> {
        let names = users.iter().filter(|user| !is_in(user, others)).map(|user| brief(&user.display(), NAME));
        names.filter(|name| !name.is_empty()).take(super::MOST_NAMES).collect()
    };
    let asked = without(&changed.current, &changed.previous);
    let dropped = without(&changed.previous, &changed.current);
    let as_reviewers = if dropped.len() == 1 { "as reviewer" } else { "as reviewers" };
    match (asked.is_empty(), dropped.is_empty()) {
        (true, true) => "updated".to_owned(),
        (false, true) => format!("requested a review from {} of", enumerated(&asked)),
        (true, false) if changed.current.is_empty() => "removed all reviewers from".to_owned(),
        (true, false) => format!("removed {} {as_reviewers} from", enumerated(&dropped)),
        (false, false) => format!(
            "requested a review from {} and removed {} {as_reviewers} of",
            enumerated(&asked),
            enumerated(&dropped)
        ),
    }
}

fn first_line(title: &str) -> &str {
    title.trim_start().lines().next().unwrap_or_default()
}
