//! GitLab's rules for which events start a build (`app/models/concerns/integrations/push_data_validations.rb` in
//! <https://gitlab.com/gitlab-org/gitlab>). The first "no" is a reason that `explain` shows.

use crate::adapters::contract::Targets;
use crate::event::{Event, MergeRequest, Payload, Push, RefChange};

/// The rule of every build server: a person may push without builds (`git push -o integrations.skip_ci`).
pub(super) fn unless_skipped(event: &Event) -> Targets {
    targets(skips_builds(event))
}

/// The rules of servers that check out what was pushed: there must be new commits, and a merge request must be open and
/// its commits new.
pub(super) fn with_new_commits(event: &Event) -> Targets {
    targets(skips_builds(event).or_else(|| has_no_new_commits(event)))
}

fn targets(why_not: Option<String>) -> Targets {
    why_not.map_or_else(Targets::own, Targets::none)
}

fn skips_builds(event: &Event) -> Option<String> {
    let Payload::Push(push) = &event.payload else { return None };
    push.skips_builds.then(|| "the push asks to start no build (push option integrations.skip_ci)".to_owned())
}

fn has_no_new_commits(event: &Event) -> Option<String> {
    match &event.payload {
        Payload::Push(push) => push_brings_nothing(push),
        Payload::MergeRequest(merge_request) => merge_request_brings_nothing(merge_request),
        _ => None,
    }
}

fn push_brings_nothing(push: &Push) -> Option<String> {
    let kind = push.ref_type().name();
    if push.change() == RefChange::Removed {
        return Some(format!("the removal of a {kind} starts no build"));
    }
    push.brings_no_commits().then(|| format!("a push without commits starts no build ({kind} push)"))
}

fn merge_request_brings_nothing(merge_request: &MergeRequest) -> Option<String> {
    if merge_request.state != "opened" {
        return Some(format!("the merge request is not open (state = {})", merge_request.state));
    }
    let has_oldrev = merge_request.oldrev.as_ref().is_some_and(|oldrev| !oldrev.is_empty());
    match merge_request.action.as_deref() {
        Some("open" | "reopen") => None,
        Some("update") if has_oldrev => None,
        Some("update") => Some("the update of the merge request brought no commits (no oldrev)".to_owned()),
        action => {
            Some(format!("nothing was pushed to the merge request (action = {})", action.unwrap_or("none")))
        }
    }
}
