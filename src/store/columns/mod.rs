//! How values lie in columns: the same in both stores.
//!
//! Moments are milliseconds. This module has what events and deliveries need, [`registry`] has what is configured.

pub(super) mod registry;

use bytes::Bytes;
use jiff::Timestamp;

use super::{NewState, Result, State, StoreError};
use crate::event::{Event, EventId, Trigger};

/// The state of a delivery's row: [`State`], with *waiting* divided. Partial indexes follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowState(pub i32);

impl RowState {
    /// Waiting, leased to no node, the first such row of its lane.
    pub const READY: Self = Self(0);
    /// Waiting, leased to no node, behind a ready row of its lane.
    pub const BEHIND: Self = Self(1);
    /// Waiting, leased to a node.
    pub const LEASED: Self = Self(2);
    pub const DELIVERED: Self = Self(10);
    const SKIPPED: Self = Self(11);
    const FAILED: Self = Self(20);
    const EXPIRED: Self = Self(21);
    pub const CANCELLED: Self = Self(22);

    /// The state after a settlement; `None` for a row that is to wait.
    pub fn after(settlement: &NewState) -> Option<Self> {
        match settlement {
            NewState::Waiting(_) => None,
            NewState::Delivered => Some(Self::DELIVERED),
            NewState::Skipped => Some(Self::SKIPPED),
            NewState::Failed => Some(Self::FAILED),
            NewState::Expired => Some(Self::EXPIRED),
            NewState::Cancelled => Some(Self::CANCELLED),
        }
    }

    /// The row's state for this one; *waiting* has several.
    pub fn of(state: State) -> Option<Self> {
        match state {
            State::Waiting => None,
            State::Delivered => Some(Self::DELIVERED),
            State::Skipped => Some(Self::SKIPPED),
            State::Failed => Some(Self::FAILED),
            State::Expired => Some(Self::EXPIRED),
            State::Cancelled => Some(Self::CANCELLED),
        }
    }

    /// # Errors
    /// This version knows no such state.
    pub fn state(self) -> Result<State> {
        match self {
            Self::READY | Self::BEHIND | Self::LEASED => Ok(State::Waiting),
            settled => State::ALL
                .into_iter()
                .find(|state| Self::of(*state) == Some(settled))
                .ok_or_else(|| StoreError::Broken(format!("a delivery has the unknown state {}", self.0))),
        }
    }

    pub fn is_unleased(self) -> bool {
        self.0 <= Self::BEHIND.0
    }
}

/// What is written of an event.
pub(super) struct EventColumns {
    pub id: EventId,
    pub trigger: Option<&'static str>,
    pub kind: &'static str,
    pub project_id: Option<i64>,
    /// The project's full path, or the group's.
    pub project: Option<String>,
    pub subject: String,
    pub occurred_at: Timestamp,
    pub raw: Bytes,
}

impl EventColumns {
    pub fn new(event: &Event) -> Self {
        let project = event.project.as_ref().map(|project| &project.path_with_namespace);
        let path = project.or(event.group.as_ref().map(|group| &group.path));
        Self {
            id: event.id.clone(),
            trigger: event.trigger.map(Trigger::name),
            kind: event.kind(),
            project_id: event.project.as_ref().map(|project| project.id),
            project: path.cloned(),
            subject: event.subject.clone(),
            occurred_at: event.occurred_at,
            raw: event.raw.clone(),
        }
    }
}

/// A moment as it is written.
pub(super) fn ms(moment: Timestamp) -> i64 {
    moment.as_millisecond()
}

/// A moment as it was written.
///
/// # Errors
/// There is no such moment.
pub(super) fn moment(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms)
        .map_err(|_| StoreError::Broken(format!("{ms} ms is outside the range of time")))
}

/// A `LIMIT`.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
