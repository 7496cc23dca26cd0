//! Merge requests.

use super::{Context, Message, NAME, Person, Text, brief, enumerated, numbered};
use crate::event::{MergeRequest, Reviewer, ReviewersChanged, SystemAction};

/// Who did what GitLab does by itself.
const SYSTEM: &str = "GitLab";

pub(super) fn message(context: &Context, merge_request: &MergeRequest) -> Message {
    let by_system = merge_request.by_system.map(|_| {
        let author = Some(Person { display: SYSTEM.to_owned(), ..Person::default() });
        Context { author, project_info: context.project_info.clone() }
    });
    let context = by_system.as_ref().unwrap_or(context);
    let label = numbered('!', merge_request.iid, first_line(&merge_request.title));
    let did = Text::new().plain(format!("{} {} ", context.who(), done(context, merge_request)));
    let did = match label.as_str() {
        "" => did.plain("a merge request"),
        label => did.plain("merge request ").link(label, url(context, merge_request)),
    };
    let because = match merge_request.by_system {
        Some(SystemAction::ApprovalsReset) => Text::new().plain(", because new commits were pushed"),
        Some(SystemAction::Other) | None => Text::new(),
    };
    context.message(did, " in ", because)
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
fn done(context: &Context, merge_request: &MergeRequest) -> String {
    if merge_request.by_system == Some(SystemAction::ApprovalsReset) {
        return "reset the approvals of".to_owned();
    }
    let done = match merge_request.action.as_deref().unwrap_or_default() {
        "open" => "opened",
        "close" => "closed",
        "reopen" => "reopened",
        "merge" => "merged",
        "approved" => "approved",
        "unapproved" => "unapproved",
        "approval" if merge_request.by_system.is_some() => "added an approval to",
        "unapproval" if merge_request.by_system.is_some() => "removed an approval from",
        "approval" => "added their approval to",
        "unapproval" => "removed their approval from",
        "update" => match &merge_request.reviewers_changed {
            Some(changed) => return reviewers(context, changed),
            None if merge_request.oldrev.is_some() => "pushed new commits to",
            None => "updated",
        },
        _ if merge_request.state.is_empty() => "updated",
        _ => return brief(&merge_request.state, NAME),
    };
    done.to_owned()
}

/// Who was asked for a review, asked for another one, or removed; or how far the actor's own review is.
fn reviewers(context: &Context, changed: &ReviewersChanged) -> String {
    let before = |reviewer: &Reviewer| {
        changed.previous.iter().find(|previous| previous.user.username == reviewer.user.username)
    };
    let is_asked_again = |reviewer: &Reviewer| {
        before(reviewer).is_some_and(|previous| reviewer.re_requested && !previous.re_requested)
    };
    let is_reviewer =
        |user: &Reviewer| changed.current.iter().any(|other| other.user.username == user.user.username);
    let asked = names(changed.current.iter().filter(|reviewer| before(reviewer).is_none()));
    let asked_again = names(changed.current.iter().filter(|reviewer| is_asked_again(reviewer)));
    let dropped = names(changed.previous.iter().filter(|previous| !is_reviewer(previous)));

    let mut done = Vec::new();
    if !asked.is_empty() {
        done.push(format!("requested a review from {}", enumerated(&asked)));
    }
    if !asked_again.is_empty() {
        done.push(format!("requested another review from {}", enumerated(&asked_again)));
    }
    let preposition = if done.is_empty() { "from" } else { "of" };
    if !dropped.is_empty() {
        let whom = match dropped.as_slice() {
            _ if changed.current.is_empty() => "all reviewers".to_owned(),
            [one] => format!("{one} as reviewer"),
            several => format!("{} as reviewers", enumerated(several)),
        };
        done.push(format!("removed {whom}"));
    }
    if !done.is_empty() {
        return format!("{} {preposition}", enumerated(&done));
    }
    let actor = context.author.as_ref().map(|author| author.username.as_str()).unwrap_or_default();
    let own = changed.current.iter().find(|reviewer| reviewer.user.username == actor && !actor.is_empty());
    let own = own.filter(|own| before(own).is_some_and(|previous| previous.state != own.state));
    own.map_or("updated", |own| reviewed(&own.state)).to_owned()
}

fn names<'a>(reviewers: impl Iterator<Item = &'a Reviewer>) -> Vec<String> {
    let names = reviewers.map(|reviewer| brief(&reviewer.user.display(), NAME));
    names.filter(|name| !name.is_empty()).take(super::MOST_NAMES).collect()
}

/// What a reviewer did whose review is in this state.
fn reviewed(state: &str) -> &'static str {
    match state {
        "review_started" => "started a review of",
        "reviewed" => "reviewed",
        "requested_changes" => "requested changes to",
        "approved" => "approved",
        "unapproved" => "removed their approval from",
        _ => "updated",
    }
}

fn first_line(title: &str) -> &str {
    title.trim_start().lines().next().unwrap_or_default()
}
