//! The question whether a service can be reached, which a push leaves for [`super::status_poller`]. Pure.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::after;
use crate::adapters;
use crate::event::{Event, Payload};
use crate::integration::Integration;
use crate::store::{NewWatch, WatchKind};

/// The watch that a push leaves; `None` where the service is not asked after pushes. An integration has one such watch:
/// pushes within `pause` lead to one question.
pub(super) fn probe_of(
    integration: &Integration,
    event: &Event,
    pause: Duration,
    now: Timestamp,
) -> Option<NewWatch> {
    let entry = adapters::find(integration.slug)?;
    let (true, Payload::Push(_)) = (entry.is_probed_after_pushes(), &event.payload) else { return None };
    let project = event.project.as_ref()?;
    Some(NewWatch {
        kind: WatchKind::Probe,
        integration: integration.id.clone(),
        project_id: project.id,
        project: project.path_with_namespace.to_string(),
        sha: String::new(),
        ref_name: String::new(),
        project_json: Bytes::new(),
        since: now,
        due: after(now, pause),
    })
}
