//! The build that an event triggers, and that [`super::status_poller`] then asks for. Pure.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::adapters;
use crate::event::{Event, Payload, Project, RefChange};
use crate::integration::Integration;
use crate::pipeline::after;
use crate::store::{NewWatch, WatchKind};

/// A commit's hash has at most this many digits (SHA-256).
const LONGEST_SHA: usize = 64;
/// Longer names of branches are a mistake of the sender. Git itself allows about 250 bytes for each part of a name.
const LONGEST_REF: usize = 1024;

/// The watch for the build that an event triggers; `None` where it triggers none, or where the service is not asked for
/// builds. `pause` lies between the trigger and the first question.
pub(super) fn watch_of(
    integration: &Integration,
    event: &Event,
    pause: Duration,
    now: Timestamp,
) -> Option<NewWatch> {
    adapters::find(integration.slug)?.status.as_ref()?;
    let (sha, ref_name) = commit(event)?;
    let project = event.project.as_ref()?;
    let is_readable = (1..=LONGEST_SHA).contains(&sha.len()) && sha.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_readable || ref_name.len() > LONGEST_REF {
        return None;
    }
    Some(NewWatch {
        kind: WatchKind::Build,
        integration: integration.id.clone(),
        project_id: project.id,
        project: project.path_with_namespace.to_string(),
        sha: sha.to_ascii_lowercase(),
        ref_name: ref_name.to_owned(),
        project_json: project_json(event, project),
        since: now,
        due: after(now, pause),
    })
}

/// The commit that is built, and its branch or tag.
fn commit(event: &Event) -> Option<(&str, &str)> {
    match &event.payload {
        Payload::Push(push) if push.skips_builds => None,
        Payload::Push(push) if push.change() != RefChange::Removed => Some((&push.after, push.short_ref())),
        Payload::MergeRequest(request) => Some((&request.last_commit.as_ref()?.id, &request.source_branch)),
        _ => None,
    }
}

/// The event's own `project` object, or the same made of what is known.
fn project_json(event: &Event, project: &Project) -> Bytes {
    let whole: Option<Value> = serde_json::from_slice(&event.raw).ok();
    let own = whole.and_then(|mut whole| whole.get_mut("project").map(Value::take));
    let own = own.filter(|own| own.get("id").is_some());
    let made = || {
        json!({
            "id": project.id,
            "name": project.name,
            "web_url": project.web_url,
            "path_with_namespace": project.path_with_namespace,
            "default_branch": project.default_branch,
        })
    };
    own.unwrap_or_else(made).to_string().into()
}
