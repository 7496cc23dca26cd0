//! Texts that tell people why an event leads to no delivery, for the event log and `explain`. Pure.

use crate::store::registry::Mute;

/// For an event that passes all filters, when the adapter names no target and no reason.
const NOTHING_TO_TELL: &str = "the service has no message for it, or the integration has no recipient";

/// Why an event that passes all filters leads to no delivery.
pub fn why_nothing(left_out: &[String]) -> String {
    reasons(left_out).unwrap_or_else(|| NOTHING_TO_TELL.to_owned())
}

/// An adapter's reasons for targets that it leaves out, in one line.
pub fn reasons(left_out: &[String]) -> Option<String> {
    (!left_out.is_empty()).then(|| left_out.join("; "))
}

/// Who muted which target, and until when.
pub fn muted(target: &str, mute: &Mute) -> String {
    format!("{} is muted by {} until {}", named(target), mute.by, mute.until)
}

/// The name of a target for people.
pub fn named(target: &str) -> &str {
    if target.is_empty() { "where its settings say" } else { target }
}
