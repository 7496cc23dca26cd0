//! What dispatch would do with an event, told to whoever asks.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::dispatch::Verdict;
use crate::event::{Event, Trigger};
use crate::integration::Integration;
use crate::store::NewDelivery;
use crate::store::registry::Mute;

/// Of an event that passes all filters, and for which the adapter names no target and no reason.
const NOTHING_TO_TELL: &str = "it says nothing that this service tells, or nobody is there to tell";

/// Why an event that passes all filters leads to no delivery.
pub fn why_nothing(left_out: &[String]) -> String {
    reasons(left_out).unwrap_or_else(|| NOTHING_TO_TELL.to_owned())
}

/// An adapter's reasons for what it leaves out, in one line.
pub fn reasons(left_out: &[String]) -> Option<String> {
    (!left_out.is_empty()).then(|| left_out.join("; "))
}

/// Who wants to hear nothing where, and until when.
pub fn muted(target: &str, mute: &Mute) -> String {
    format!("{} is muted by {} until {}", named(target), mute.by, mute.until)
}

/// A target as people call it.
pub fn named(target: &str) -> &str {
    if target.is_empty() { "where its settings say" } else { target }
}

/// What each integration does with an event, and why: the same for scripts and for the API.
pub fn explanation(event: &Event, verdicts: &[(Arc<Integration>, Verdict)]) -> Json {
    let verdict_json = |(integration, verdict): &(Arc<Integration>, Verdict)| {
        let (word, targets, why) = match verdict {
            Verdict::Sends { deliveries, left_out } if deliveries.is_empty() => {
                ("skip", Vec::new(), Some(why_nothing(left_out)))
            }
            Verdict::Sends { deliveries, left_out } => {
                let target =
                    |new: &NewDelivery| json!({ "target": *new.target, "destination": *new.destination });
                ("deliver", deliveries.iter().map(target).collect(), reasons(left_out))
            }
            Verdict::Not(why) => ("skip", Vec::new(), Some(why.to_string())),
            Verdict::Muted { target, mute } => ("muted", Vec::new(), Some(muted(target, mute))),
            Verdict::SwitchedOff { why, .. } => ("switched_off", Vec::new(), Some(why.clone())),
        };
        json!({
            "integration": integration.id.to_string(),
            "adapter": integration.slug,
            "verdict": word,
            "targets": targets,
            "why": why,
        })
    };
    json!({
        "kind": event.kind(),
        "trigger": event.trigger.map(Trigger::name),
        "project": event.project.as_ref().map(|project| json!({ "id": project.id, "path": project.path_with_namespace })),
        "group": event.group.as_ref().map(|group| &group.path),
        "subject": event.subject,
        "verdicts": verdicts.iter().map(verdict_json).collect::<Vec<_>>(),
    })
}
