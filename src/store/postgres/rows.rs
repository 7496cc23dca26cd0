//! How values are stored in PostgreSQL's columns.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::row::RowIndex;

use crate::integration::{Fingerprint, IntegrationId};
use crate::store::columns::event_id;
pub(super) use crate::store::columns::{RowState, limit, moment, ms, signed};
use crate::store::{Hold, HoldCause, HoldKey, Result, StoreError, StoredEvent};

/// A text as PostgreSQL takes it, which allows every character except NUL.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
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
macro_rules! select_holds {
    ($rest:literal) => {
        concat!(
            "SELECT kind, integration, name, cause, reason, since, until, strikes, made_by, fingerprint FROM holds ",
            $rest
        )
    };
}
pub(super) use select_holds;

pub(super) fn hold(row: &Row) -> Result<Hold> {
    let (kind, integration, cause): (&str, &str, &str) = (row.get(0), row.get(1), row.get(3));
    let (made_by, fingerprint): (Option<&str>, Option<i64>) = (row.get(8), row.get(9));
    let unknown = |what: &str| StoreError::Broken(format!("a hold is of {what}, which is unknown"));
    Ok(Hold {
        key: HoldKey::of_columns(kind, integration, shared(row, 2)).ok_or_else(|| unknown(kind))?,
        cause: HoldCause::of_name(cause).ok_or_else(|| unknown(cause))?,
        reason: row.get(4),
        since: moment(row.get(5))?,
        until: moment(row.get(6))?,
        strikes: unsigned(row.get(7)),
        made_under: made_by
            .zip(fingerprint)
            .map(|(made_by, fingerprint)| (IntegrationId::new(made_by), Fingerprint(fingerprint))),
    })
}

/// Counts are kept in signed columns.
pub(super) fn unsigned(number: i32) -> u32 {
    number.unsigned_abs()
}
