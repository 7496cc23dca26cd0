//! Metrics.

/// stub
pub fn event(_source: &'static str, _kind: &'static str, _fate: &'static str) {}
/// stub
pub fn attempt(_adapter: &'static str, _outcome: &'static str, _took: Option<std::time::Duration>) {}
/// stub
pub fn delivery(_adapter: &'static str, _outcome: &'static str) {}
/// stub
pub fn retry(_adapter: &'static str) {}
/// stub
pub fn entry_to_acceptance(_adapter: &'static str, _took: std::time::Duration) {}
/// stub
pub fn switched_off(_adapter: &'static str) {}
/// stub
pub fn broker_connected(_connected: bool) {}
