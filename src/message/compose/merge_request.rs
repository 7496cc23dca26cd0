//! Merge requests.

use super::{Context, Message, NAME, Person, Text, brief, enumerated, numbered};
use crate::event::{MergeRequest, Reviewer, ReviewersChanged, SystemAction};

/// Who did what GitLab does by itself.
const SYSTEM: &str = "GitLab";

pub(super) fn message(context: &Context<'_>, merge_request: &MergeRequest) -> Message {
    let by_system = merge_request.by_system.map(|_| {
        let author = Some(Person { display: SYSTEM.to_owned(), ..Person::default() });
        Context { author, project_info: context.project_info.clone(), ..*context }
    });
    let context = by_system.as_ref().unwrap_or(context);
    let label = numbered('!', merge_request.iid, first_line(&merge_request.title));
    let object = match label.as_str() {
        "" => Text::new().plain("a merge request"),
        label => {
            Text::new().plain("merge request ").then(context.title_link(label, &url(context, merge_request)))
        }
    };
    let Done { active, passive, end } = done(context, merge_request);
    let did = context.deed(&active, object, &passive).plain(end);
    let because = match merge_request.by_system {
        Some(SystemAction::ApprovalsReset) => Text::new().plain(", because new commits were pushed"),
        Some(SystemAction::Other) | None => Text::new(),
    };
    context.message(did, " in ", because)
}

/// The merge request's page, built from the project's address where that is known: the address in the payload often
/// has an internal host name.
fn url(context: &Context<'_>, merge_request: &MergeRequest) -> String {
    let known = merge_request.iid > 0 && !context.project_info.url.is_empty();
    if known {
        context.page(&format!("merge_requests/{}", merge_request.iid))
    } else {
        merge_request.url.clone()
    }
}

/// What was done: the words before and behind the merge request, where it is known who did it and where not, and those at
/// the end.
struct Done {
    active: String,
    passive: String,
    end: &'static str,
}

impl Done {
    fn new(active: &str, passive: &str) -> Self {
        Self { active: active.to_owned(), passive: passive.to_owned(), end: "" }
    }

    /// `merged`, `was merged`.
    fn regular(done: &str) -> Self {
        Self::new(done, &format!("was {done}"))
    }
}

fn done(context: &Context<'_>, merge_request: &MergeRequest) -> Done {
    if merge_request.by_system == Some(SystemAction::ApprovalsReset) {
        return Done::new("reset the approvals of", "lost its approvals");
    }
    match merge_request.action.as_deref().unwrap_or_default() {
        "open" => Done::regular("opened"),
        "close" => Done::regular("closed"),
        "reopen" => Done::regular("reopened"),
        "merge" => Done::regular("merged"),
        "approved" => Done::regular("approved"),
        "unapproved" => Done::regular("unapproved"),
        "approval" if merge_request.by_system.is_some() => {
            Done::new("added an approval to", "got an approval")
        }
        "unapproval" if merge_request.by_system.is_some() => {
            Done::new("removed an approval from", "lost an approval")
        }
        "approval" => Done::new("added their approval to", "got an approval"),
        "unapproval" => Done::new("removed their approval from", "lost an approval"),
        "update" => updated(context, merge_request),
        _ if merge_request.state.is_empty() => Done::regular("updated"),
        _ => Done::regular(&brief(&merge_request.state, NAME)),
    }
}

fn updated(context: &Context<'_>, merge_request: &MergeRequest) -> Done {
    match (&merge_request.reviewers_changed, merge_request.draft_changed) {
        (Some(changed), _) => Done::new(&reviewers(context, changed), "was updated"),
        (None, Some(true)) => Done { end: " as draft", ..Done::regular("marked") },
        (None, Some(false)) => Done { end: " as ready", ..Done::regular("marked") },
        (None, None) if merge_request.oldrev.is_some() => {
            Done::new("pushed new commits to", "got new commits")
        }
        (None, None) => Done::regular("updated"),
    }
}

/// Who was asked for a review, asked for another one, or removed; or how far the actor's own review is.
fn reviewers(context: &Context<'_>, changed: &ReviewersChanged) -> String {
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
