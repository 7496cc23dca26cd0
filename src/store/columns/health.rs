//! The representation of health in columns.

use super::{Cells, TableRow, moment, rows};
use crate::integration::IntegrationId;
use crate::store::{HealthRecord, Result};

rows! {
    /// A row of `health`, as [`health_columns`] selects it.
    HealthRow {
        integration: String,
        reached: bool,
        note: String,
        since: i64,
        checked_at: i64,
    }
}

/// The columns of [`HealthRow`].
macro_rules! health_columns {
    () => {
        "integration, reached, note, since, checked_at"
    };
}
pub(in crate::store) use health_columns;

impl HealthRow {
    pub fn read(self) -> Result<HealthRecord> {
        Ok(HealthRecord {
            integration: IntegrationId::new(self.integration),
            reached: self.reached,
            note: self.note,
            since: moment(self.since)?,
            checked_at: moment(self.checked_at)?,
        })
    }
}
