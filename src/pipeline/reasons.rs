//! The words in which people read why an event leads to no delivery, in the event log as in `explain`. Pure.

use crate::store::registry::Mute;

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
