//! The texts that explain what becomes of an event.

use std::sync::Arc;

use jiff::Timestamp;

use super::dispatch::Verdict;
use super::open_requests::open_request;
use crate::adapters::{self, OperatorSettings};
use crate::event::Event;
use crate::integration::Integration;
use crate::store::Result;
use crate::store::merge_requests::MergeRequests;
use crate::store::registry::Mute;

/// Leaves out what an attempt would not send, because an open merge request starts the build.
///
/// # Errors
/// The store does not answer.
pub async fn heed(
    verdicts: &mut [(Arc<Integration>, Verdict)],
    event: &Event,
    operator: &OperatorSettings,
    store: &dyn MergeRequests,
    now: Timestamp,
) -> Result<()> {
    for (integration, verdict) in verdicts {
        let Some(entry) = adapters::find(integration.slug) else { continue };
        if let Verdict::Sends { deliveries, left_out } = verdict
            && !deliveries.is_empty()
            && let Some(why) = open_request(entry, event, operator, store, now).await?
        {
            deliveries.clear();
            left_out.push(why);
        }
    }
    Ok(())
}

/// Of an event that passes all filters, and for which the adapter names no target and no reason.
const NOTHING_TO_TELL: &str = "the service has no message for it, or the integration has no recipient";

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
