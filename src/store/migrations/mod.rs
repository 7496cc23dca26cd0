//! The steps of the schema, the same number of them for both databases.
//!
//! A step that was released is never edited. A change is a new step.

/// One step, as SQL of each database.
pub(super) struct Step {
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

macro_rules! steps {
    ($($name:literal,)+) => {
        &[$(Step {
            sqlite: include_str!(concat!($name, ".sql")),
            postgres: include_str!(concat!("postgres_", $name, ".sql")),
        },)+]
    };
}

pub(super) const STEPS: &[Step] = steps![
    "0001_first",
    "0002_registry",
    "0003_contract",
    "0004_keys",
    "0005_started",
    "0006_quarantine_sender",
    "0007_watches",
    "0008_merge_requests",
    "0009_alerts",
    "0010_health",
    "0011_history",
    "0012_nodes",
    "0013_event_json",
];

/// The version of the schema that this program works with.
pub(super) fn known() -> i64 {
    i64::try_from(STEPS.len()).expect("the list of steps is short")
}
