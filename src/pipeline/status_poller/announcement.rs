//! Makes the event that tells people the result of a build.

use serde_json::json;

use crate::call::BuildState;
use crate::digest::Digest;
use crate::event::{Event, EventId};
use crate::pipeline::build_watch::project_of;
use crate::store::{SettledWatch, Watch};

/// The event for a result; `None` as long as the build has not ended. `service` is the build service's name for people.
///
/// The event is a pipeline event in GitLab's form, so that the same flags and filters apply as for the forge's own
/// pipelines. Its id is made of integration, commit, ref, the time of the trigger and final state, so an answer that is
/// read twice is one event.
/// `before` is the result of the previous build of the same ref.
pub fn announcement(
    watch: &Watch,
    settled: &SettledWatch,
    service: &str,
    before: Option<BuildState>,
) -> Option<Event> {
    let seen = settled.seen.as_ref().filter(|seen| seen.state.is_final() && settled.again.is_none())?;
    let state = seen.state.name();
    let project = project_of(watch)?;
    // GitLab distinguishes pipelines that passed although jobs failed only in the detailed status.
    let (status, detailed) = match state {
        "success-with-warnings" => ("success", "passed with warnings"),
        "success" => ("success", "passed"),
        other => (other, other),
    };
    let seconds = settled.at.duration_since(watch.since).as_secs();
    let body = json!({
        "object_kind": "pipeline",
        "object_attributes": {
            "ref": watch.ref_name,
            "sha": watch.sha,
            "status": status,
            "detailed_status": detailed,
            "ref_status_name": ref_status_name(status, before),
            "source": "external",
            "finished_at": settled.at.to_string(),
            "duration": seconds,
            "url": seen.page,
        },
        "project": project,
        "forgebell_build": { "integration": &*watch.integration.0, "service": service },
    });
    let triggered = watch.since.as_millisecond().to_string();
    let parts = [&*watch.integration.0, watch.sha.as_str(), watch.ref_name.as_str(), &triggered, state];
    let id = EventId::new(&format!("build-{}", Digest::of(parts.map(str::as_bytes)).hex(16)))?;
    Event::decode(id, settled.at, body.to_string().into()).ok()
}

/// GitLab's name for how a status compares with the previous one (`app/models/ci/ref.rb` in
/// <https://gitlab.com/gitlab-org/gitlab>). Without a known previous status, a failure is a change and a success is
/// not.
fn ref_status_name(status: &str, before: Option<BuildState>) -> Option<&'static str> {
    let has_failed = before == Some(BuildState::Failed);
    Some(match (status, has_failed) {
        ("failed", true) => "still_failing",
        ("failed", false) => "broken",
        ("success", true) => "fixed",
        ("success", false) => "success",
        _ => return None,
    })
}
