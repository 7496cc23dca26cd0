//! The commits of a push, for trackers that get each commit.

use crate::event::{Commit, Event, Payload, Push};

/// GitLab puts at most this many commits into an event.
pub(super) const MOST_COMMITS: usize = 20;
/// Longer ids are none: SHA-256 has 64 digits.
const LONGEST_ID: usize = 64;

/// The push of an event; `None` for other kinds.
pub(super) fn push(event: &Event) -> Option<&Push> {
    match &event.payload {
        Payload::Push(push) => Some(push),
        _ => None,
    }
}

/// The commits to report, oldest first, each once, and the reasons why others are left out.
pub(super) fn told_of(push: &Push) -> (Vec<&Commit>, Vec<String>) {
    let (mut told, mut left_out) = (Vec::<&Commit>::new(), Vec::new());
    let newest = push.commits.len().saturating_sub(MOST_COMMITS);
    for commit in &push.commits[newest..] {
        if !is_id(&commit.id) {
            left_out.push("a commit without an id".to_owned());
        } else if !told.iter().any(|known| known.id == commit.id) {
            told.push(commit);
        }
    }
    let listed = push.commits.len().min(MOST_COMMITS) as u64;
    match push.commit_count() {
        None => left_out.push("the push has no commits".to_owned()),
        Some(count) if count > listed => {
            left_out.push(format!(
                "the other {} commits of the push, which the event does not list",
                count - listed
            ));
        }
        Some(_) => {}
    }
    (told, left_out)
}

fn is_id(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The commit of this id.
pub(super) fn find<'a>(push: &'a Push, id: &str) -> Option<&'a Commit> {
    push.commits.iter().find(|commit| commit.id == id)
}
