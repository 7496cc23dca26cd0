//! The audit line of a change that a command makes.

use jiff::Timestamp;

use crate::store::registry::AuditEntry;

/// The actor of a command's changes.
pub(super) const COMMAND_LINE: &str = "command line";

/// The audit entry of a command.
pub(super) fn entry(action: &'static str, object: String, fields: &[&str], now: Timestamp) -> AuditEntry {
    let fields = fields.iter().map(ToString::to_string).collect();
    AuditEntry { at: now, who: COMMAND_LINE.to_owned(), action, object, fields }
}
