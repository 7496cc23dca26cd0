//! How values are stored in PostgreSQL's columns.

use std::sync::Arc;

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::row::RowIndex;

use crate::integration::{Fingerprint, IntegrationId};
use crate::store::columns::event_id;
pub(super) use crate::store::columns::{RowState, limit, moment, ms};
use crate::store::{Hold, Result, StoredEvent};

/// A text as PostgreSQL takes it, which allows every character except NUL.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// An event's id, moment and JSON, from three columns that begin here.
pub(super) fn stored_event(row: &Row, from: usize) -> Result<StoredEvent> {
    Ok(StoredEvent {
        id: event_id(row.get(from))?,
        occurred_at: moment(row.get(from + 1))?,
        raw: bytes(row, from + 2),
    })
}

pub(super) fn bytes(row: &Row, column: impl RowIndex + std::fmt::Display) -> Bytes {
    Bytes::from(row.get::<_, Vec<u8>>(column))
}

pub(super) fn shared(row: &Row, column: usize) -> Arc<str> {
    row.get::<_, &str>(column).into()
}

/// The columns that [`hold`] reads.
pub(super) const HOLD: &str = "key, until, why, strikes, integration, fingerprint";

pub(super) fn hold(row: &Row) -> Result<Hold> {
    let made_under = match (row.get::<_, Option<&str>>(4), row.get::<_, Option<i64>>(5)) {
        (Some(integration), Some(fingerprint)) => {
            Some((IntegrationId::new(integration), Fingerprint(fingerprint)))
        }
        _ => None,
    };
    Ok(Hold {
        key: shared(row, 0),
        until: moment(row.get(1))?,
        why: row.get(2),
        strikes: unsigned(row.get(3)),
        made_under,
    })
}

/// Counts are kept in signed columns.
pub(super) fn unsigned(number: i32) -> u32 {
    number.unsigned_abs()
}

pub(super) fn signed(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
