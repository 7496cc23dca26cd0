//! The texts that explain what dispatch does with an event.

use crate::store::registry::Mute;

/// Of an event that passes all filters, and then leads to no delivery.
pub const NOTHING_TO_TELL: &str = "it says nothing that this service tells, or nobody is there to tell";

/// Who wants to hear nothing where, and until when.
pub fn muted(target: &str, mute: &Mute) -> String {
    format!("{} is muted by {} until {}", named(target), mute.by, mute.until)
}

/// A target as people call it.
pub fn named(target: &str) -> &str {
    if target.is_empty() { "where its settings say" } else { target }
}
