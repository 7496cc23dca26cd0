//! GitLab's rule that a push starts no build where an open merge request has the pushed branch. It applies to some
//! services ([`Deliver::HEEDS_OPEN_REQUESTS`](crate::adapters::contract::Deliver::HEEDS_OPEN_REQUESTS)).
//!
//! A push does not say which merge requests are open. Where the operator configured the forge's API, the adapter asks it.
//! Otherwise, and where the forge can't tell, the merge requests' events decide: dispatch remembers them for every
//! project with such a service, even if no integration takes the event ([`seen`]). An attempt asks the store for them
//! ([`open_request`]). If nothing is known, or only something older than [`REMEMBERED`], the build is started: two
//! builds of one commit are better than none.

use std::sync::Arc;

use jiff::Timestamp;

use crate::adapters::{self, Entry};
use crate::event::{Event, Payload, RefType};
use crate::integration::Integration;
use crate::store::Result;
use crate::store::merge_requests::{MergeRequestState, MergeRequests, REMEMBERED, SeenMergeRequest};

/// The state of a merge request in an event, if one of these integrations is active and follows the rule.
pub(super) fn seen<'a>(
    event: &Event,
    mut concerned: impl Iterator<Item = &'a Arc<Integration>>,
) -> Option<SeenMergeRequest> {
    let Payload::MergeRequest(merge_request) = &event.payload else { return None };
    let project_id = event.project.as_ref()?.id;
    let source_project_id = merge_request.source_project_id?;
    let is_named = project_id > 0 && merge_request.iid > 0 && !merge_request.source_branch.is_empty();
    if !is_named || !concerned.any(|integration| integration.active && heeds(integration)) {
        return None;
    }
    Some(SeenMergeRequest {
        project_id,
        iid: merge_request.iid,
        source_project_id,
        source_branch: merge_request.source_branch.to_string(),
        state: MergeRequestState::of_name(&merge_request.state),
        seen_at: event.occurred_at,
    })
}

fn heeds(integration: &Integration) -> bool {
    adapters::find(integration.slug).is_some_and(Entry::heeds_open_requests)
}

/// The open merge request whose own event starts the build instead of this push; `None` where no event showed one.
///
/// # Errors
/// The store does not answer.
pub async fn open_request(
    entry: &Entry,
    event: &Event,
    store: &dyn MergeRequests,
    now: Timestamp,
) -> Result<Option<i64>> {
    let (Payload::Push(push), Some(project)) = (&event.payload, &event.project) else { return Ok(None) };
    let is_asked = entry.heeds_open_requests() && push.ref_type() == RefType::Branch && project.id > 0;
    if !is_asked {
        return Ok(None);
    }
    let since = now.checked_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
    store.open_merge_request(project.id, push.short_ref(), since).await
}
