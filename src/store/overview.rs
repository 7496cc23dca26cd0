//! Waiting deliveries, dead letters and watches, in groups: the store's part of `status`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::integration::IntegrationId;

/// The store's part of `status`. Where there are more than [`Overview::ROWS`] rows of a kind, the newest ones are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    pub waiting: Vec<WaitingGroup>,
    pub dead_letters: Vec<DeadLetters>,
    /// The number of watches that have not ended.
    pub watches: u64,
    /// When the first of these watches is due.
    pub first_watch_due: Option<Timestamp>,
}

impl Overview {
    /// The most rows of each kind that are read, so that people's questions do not slow down the store.
    pub const ROWS: usize = 50_000;
}

/// Deliveries that wait, of one integration to one target of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingGroup {
    pub integration: IntegrationId,
    pub target: String,
    pub destination: String,
    pub deliveries: u64,
    /// When the next of them is due.
    pub next_due: Timestamp,
    /// When the oldest of them was written.
    pub since: Timestamp,
}

/// Deliveries of one integration that were given up for the same cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    pub integration: IntegrationId,
    /// The outcome of the last attempt: `rejected`, `expired`.
    pub cause: String,
    pub deliveries: u64,
    /// When the last of them was given up.
    pub newest: Timestamp,
    /// The note of the last of them.
    pub note: String,
}

/// A delivery that was given up.
pub(super) struct DeadLetter {
    pub(super) integration: String,
    pub(super) cause: String,
    pub(super) note: String,
    pub(super) at: Timestamp,
}

/// Groups dead letters, whose order does not matter.
pub(super) fn grouped(letters: impl IntoIterator<Item = DeadLetter>) -> Vec<DeadLetters> {
    let mut groups: BTreeMap<(String, String), DeadLetters> = BTreeMap::new();
    for DeadLetter { integration, cause, note, at } in letters {
        let group = groups.entry((integration.clone(), cause.clone())).or_insert_with(|| DeadLetters {
            integration: IntegrationId::new(integration),
            cause,
            deliveries: 0,
            newest: at,
            note: note.clone(),
        });
        group.deliveries += 1;
        if at > group.newest {
            (group.newest, group.note) = (at, note);
        }
    }
    groups.into_values().collect()
}
