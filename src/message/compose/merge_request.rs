//! Merge requests.

use std::collections::HashMap;
use std::sync::Arc;

use super::{
    Context, Field, MOST_NAMES, Message, NAME, Person, TITLE, Text, Words, brief, enumerated, joined, listed,
    numbered, short_field,
};
use crate::event::{Label, MergeRequest, Reviewer, ReviewersChanged, SystemAction, User};

/// Who did what GitLab does by itself.
const SYSTEM: &str = "GitLab";

pub(super) fn message(context: &Context<'_>, merge_request: &MergeRequest) -> Message {
    let by_system = merge_request.by_system.map(|_| {
        let author = Some(Arc::new(Person { display: SYSTEM.into(), ..Person::default() }));
        Context { author, project_info: Arc::clone(&context.project_info), ..*context }
    });
    let context = by_system.as_ref().unwrap_or(context);
    let Done { active, passive, end, fields } = done(context, merge_request);
    let did = context.deed(&active, object(context, merge_request), &passive).plain(end);
    let more = match merge_request.by_system {
        Some(SystemAction::ApprovalsReset) => {
            branches(merge_request).plain(", because new commits were pushed")
        }
        Some(SystemAction::Other) | None => branches(merge_request),
    };
    Message { fields, ..context.message(did, " in ", more) }
}

/// `merge request !5 New API`, `draft merge request !5 New API`.
fn object(context: &Context<'_>, merge_request: &MergeRequest) -> Text {
    // What marks it as a draft says so; and one that is merged was none.
    let is_merged = merge_request.action.as_deref() == Some("merge") || merge_request.state == "merged";
    let is_draft = merge_request.draft && merge_request.draft_changed.is_none() && !is_merged;
    let title = if merge_request.draft { merge_request.title_without_mark() } else { &merge_request.title };
    let thing = if is_draft { "draft merge request" } else { "merge request" };
    match numbered('!', merge_request.iid, first_line(title)).as_str() {
        "" => Text::new().plain(format!("a {thing}")),
        label => Text::new()
            .plain(format!("{thing} "))
            .then(context.title_link(label, &url(context, merge_request))),
    }
}

/// ` (new-api → main)`, of a fork ` (ada/rocket:new-api → main)`. Plain words: their pages are behind the merge request's.
fn branches(merge_request: &MergeRequest) -> Text {
    let (source, target) = (&merge_request.source_branch, &merge_request.target_branch);
    if source.is_empty() || target.is_empty() {
        return Text::new();
    }
    let fork = merge_request.fork.as_ref().map_or_else(String::new, |path| format!("{}:", brief(path, NAME)));
    Text::new().plain(format!(" ({fork}{} → {})", brief(source, NAME), brief(target, NAME)))
}

/// The merge request's page, built from the project's address where that is known: the address in the payload often
/// has an internal host name.
fn url(context: &Context<'_>, merge_request: &MergeRequest) -> Words {
    let known = merge_request.iid > 0 && !context.project_info.url.is_empty();
    if known {
        context.page(format_args!("merge_requests/{}", merge_request.iid))
    } else {
        (&merge_request.url).into()
    }
}

/// What was done: the words before and behind the merge request, where it is known who did it and where not, those at
/// the end, and what is shown below.
struct Done {
    active: String,
    passive: String,
    end: &'static str,
    fields: Vec<Field>,
}

impl Done {
    fn new(active: &str, passive: &str) -> Self {
        Self { active: active.to_owned(), passive: passive.to_owned(), end: "", fields: Vec::new() }
    }

    /// `merged`, `was merged`.
    fn regular(done: &str) -> Self {
        Self::new(done, &format!("was {done}"))
    }

    fn with(self, fields: Vec<Field>) -> Self {
        Self { fields, ..self }
    }
}

fn done(context: &Context<'_>, merge_request: &MergeRequest) -> Done {
    if merge_request.by_system == Some(SystemAction::ApprovalsReset) {
        return Done::new("reset the approvals of", "lost its approvals");
    }
    match merge_request.action.as_deref().unwrap_or_default() {
        "open" => Done::regular("opened").with(about(merge_request)),
        "close" => Done::regular("closed").with(labels(merge_request)),
        "reopen" => Done::regular("reopened").with(about(merge_request)),
        "merge" => Done::regular("merged").with(labels(merge_request)),
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
        _ => Done::regular(&brief(&merge_request.state, NAME)).with(labels(merge_request)),
    }
}

/// Whom and what it concerns, where it asks for attention.
fn about(merge_request: &MergeRequest) -> Vec<Field> {
    let assignees = people(merge_request.assignees.iter());
    let reviewers = people(merge_request.reviewers.iter());
    let of_people = [counted("Assignee", &assignees), counted("Reviewer", &reviewers)];
    labels(merge_request).into_iter().chain(of_people.into_iter().flatten()).collect()
}

fn labels(merge_request: &MergeRequest) -> Vec<Field> {
    let titles = titles(merge_request.labels.iter().flatten());
    counted("Label", &titles).into_iter().collect()
}

/// The names under their number's form of a word; none where there are no names.
fn counted(word: &str, names: &[Words]) -> Option<Field> {
    let name = match names {
        [] => return None,
        [_] => Words::from(word),
        _ => format!("{word}s").into(),
    };
    Some(named(name, names))
}

fn named(name: impl Into<Words>, names: &[Words]) -> Field {
    short_field(name, listed(names, |name| Text::new().plain(name), ""))
}

fn titles<'a>(labels: impl Iterator<Item = &'a Label>) -> Vec<Words> {
    labels.map(|label| brief(&label.title, NAME)).filter(|title| !title.is_empty()).collect()
}

fn people<'a>(users: impl Iterator<Item = &'a User>) -> Vec<Words> {
    users.map(|user| brief(&user.display(), NAME)).filter(|name| !name.is_empty()).collect()
}

/// What an update changed: the first of its changes in the sentence, the others below it.
fn updated(context: &Context<'_>, merge_request: &MergeRequest) -> Done {
    let mut changes = changes(context, merge_request).into_iter();
    let Some(Change { done, shown_too, .. }) = changes.next() else {
        return Done::regular("updated");
    };
    let others = changes.filter_map(|change| change.field.or(change.shown_too));
    let attention = merge_request.draft_changed == Some(false);
    let about = if attention { about(merge_request) } else { Vec::new() };
    let fields = shown_too.into_iter().chain(others).chain(about).collect();
    done.with(fields)
}

/// One change of an update.
struct Change {
    done: Done,
    /// What is shown below the sentence, where the sentence is about this change.
    shown_too: Option<Field>,
    /// What is shown below where the sentence is about another change, if that is more than `shown_too`.
    field: Option<Field>,
}

impl Change {
    fn new(done: Done) -> Self {
        Self { done, shown_too: None, field: None }
    }
}

/// Everything that an update changed, the most important first.
fn changes(context: &Context<'_>, merge_request: &MergeRequest) -> Vec<Change> {
    let changed = &merge_request.changed;
    let before = |name: &str, value: &str| {
        let field = short_field(name, Text::new().plain(brief(first_line(value), TITLE)));
        Some(field).filter(|field| !field.value.is_blank())
    };
    let mut changes = Vec::new();
    if let Some(reviewers_changed) = &merge_request.reviewers_changed {
        changes.push(Change::new(Done::new(&reviewers(context, reviewers_changed), "was updated")));
    }
    if let Some(is_draft) = merge_request.draft_changed {
        let (end, now) =
            if is_draft { (" as draft", "marked as draft") } else { (" as ready", "marked as ready") };
        let done = Done { end, ..Done::regular("marked") };
        let field = Some(short_field("Draft", Text::new().plain(now)));
        changes.push(Change { field, ..Change::new(done) });
    }
    if let Some(title) = &changed.title {
        let done = Done::new("changed the title of", "got a new title");
        changes.push(Change { shown_too: before("Title before", title), ..Change::new(done) });
    }
    if let Some(replaced) = &changed.labels {
        let (added, removed) = (titles(replaced.added()), titles(replaced.removed()));
        let done = Done::new(&relabelled(&added, &removed), "got other labels");
        changes.push(Change { field: difference("Labels", &added, &removed), ..Change::new(done) });
    }
    if let Some(replaced) = &changed.assignees {
        let (added, removed) = (people(replaced.added()), people(replaced.removed()));
        let done = Done::new(&assigned(&added, &removed), "got other assignees");
        changes.push(Change { field: difference("Assignees", &added, &removed), ..Change::new(done) });
    }
    if let Some(branch) = &changed.target_branch {
        let done = Done::new("changed the target branch of", "got another target branch");
        changes.push(Change { shown_too: before("Target branch before", branch), ..Change::new(done) });
    }
    if merge_request.oldrev.as_deref().is_some_and(|sha| !sha.is_empty()) {
        let field = Some(short_field("Commits", Text::new().plain("new ones were pushed")));
        changes.push(Change { field, ..Change::new(Done::new("pushed new commits to", "got new commits")) });
    }
    if changed.description {
        let field = Some(short_field("Description", Text::new().plain("edited")));
        let done = Done::new("edited the description of", "got another description");
        changes.push(Change { field, ..Change::new(done) });
    }
    changes
}

/// `added the label bug to`, `removed the label bug from`, `added the label bug and removed the label api of`.
fn relabelled(added: &[Words], removed: &[Words]) -> String {
    let labels = |names: &[Words]| {
        let word = if names.len() == 1 { "label" } else { "labels" };
        format!("the {word} {}", some(names))
    };
    match (added, removed) {
        ([], []) => "changed the labels of".to_owned(),
        (added, []) => format!("added {} to", labels(added)),
        ([], removed) => format!("removed {} from", labels(removed)),
        (added, removed) => format!("added {} and removed {} of", labels(added), labels(removed)),
    }
}

/// `assigned Ada (ada) to`, `unassigned Ada (ada) from`, `replaced Ada (ada) by Grace (grace) as assignee of`.
fn assigned(added: &[Words], removed: &[Words]) -> String {
    match (added, removed) {
        ([], []) => "changed the assignees of".to_owned(),
        (added, []) => format!("assigned {} to", some(added)),
        ([], removed) => format!("unassigned {} from", some(removed)),
        ([one], [other]) => format!("replaced {other} by {one} as assignee of"),
        (added, removed) => format!("assigned {} and unassigned {} of", some(added), some(removed)),
    }
}

/// `A, B and C`; of a long list, the first ten and the number of the others.
fn some(names: &[Words]) -> Words {
    match names.split_at_checked(MOST_NAMES) {
        Some((first, rest)) if !rest.is_empty() => {
            format!("{} and {} more", joined(first), rest.len()).into()
        }
        _ => enumerated(names),
    }
}

/// `added bug, api; removed old`.
fn difference(name: &str, added: &[Words], removed: &[Words]) -> Option<Field> {
    let part = |what: &str, names: &[Words]| (!names.is_empty()).then(|| format!("{what} {}", some(names)));
    let parts: Vec<String> = [part("added", added), part("removed", removed)].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| short_field(name, Text::new().plain(parts.join("; "))))
}

/// Who was asked for a review, asked for another one, or removed; or how far the actor's own review is.
fn reviewers(context: &Context<'_>, changed: &ReviewersChanged) -> String {
    let by_name = |reviewers: &'_ [Reviewer]| -> HashMap<_, _> {
        reviewers.iter().map(|reviewer| (reviewer.user.username.clone(), reviewer.clone())).collect()
    };
    let (previous, current) = (by_name(&changed.previous), by_name(&changed.current));
    let before = |reviewer: &Reviewer| previous.get(&reviewer.user.username);
    let is_asked_again = |reviewer: &Reviewer| {
        before(reviewer).is_some_and(|previous| reviewer.re_requested && !previous.re_requested)
    };
    let is_reviewer = |user: &Reviewer| current.contains_key(&user.user.username);
    let asked = names(changed.current.iter().filter(|reviewer| before(reviewer).is_none()));
    let asked_again = names(changed.current.iter().filter(|reviewer| is_asked_again(reviewer)));
    let dropped = names(changed.previous.iter().filter(|previous| !is_reviewer(previous)));

    let mut done = Vec::new();
    if !asked.is_empty() {
        done.push(format!("requested a review from {}", some(&asked)).into());
    }
    if !asked_again.is_empty() {
        done.push(format!("requested another review from {}", some(&asked_again)).into());
    }
    let preposition = if done.is_empty() { "from" } else { "of" };
    if !dropped.is_empty() {
        let whom = match dropped.as_slice() {
            _ if changed.current.is_empty() => "all reviewers".to_owned(),
            [one] => format!("{one} as reviewer"),
            several => format!("{} as reviewers", some(several)),
        };
        done.push(format!("removed {whom}").into());
    }
    if !done.is_empty() {
        return format!("{} {preposition}", enumerated(&done));
    }
    let actor = context.author.as_ref().map(|author| author.username.as_str()).unwrap_or_default();
    let own = changed.current.iter().find(|reviewer| reviewer.user.username == actor && !actor.is_empty());
    let own = own.filter(|own| before(own).is_some_and(|previous| previous.state != own.state));
    own.map_or("updated", |own| reviewed(&own.state)).to_owned()
}

fn names<'a>(reviewers: impl Iterator<Item = &'a Reviewer>) -> Vec<Words> {
    let names = reviewers.map(|reviewer| brief(&reviewer.user.display(), NAME));
    names.filter(|name| !name.is_empty()).collect()
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
