//! The representation of watches in columns.

use bytes::Bytes;

use super::{Cells, TableRow, moment, rows};
use crate::integration::IntegrationId;
use crate::store::Result;
use crate::store::watches::{Watch, WatchKind, seen};

rows! {
    /// A row of `watches`, as [`watch_columns`] selects it.
    WatchRow {
        number: i64,
        kind: String,
        integration: String,
        project_id: i64,
        project: String,
        sha: String,
        ref_name: String,
        project_json: Vec<u8>,
        since: i64,
        polls: i32,
        state: Option<String>,
        page: Option<String>,
        note: String,
        checked_at: Option<i64>,
        ended_at: Option<i64>,
    }
}

/// The columns of [`WatchRow`].
macro_rules! watch_columns {
    () => {
        "number, kind, integration, project_id, project, sha, ref_name, project_json, since, polls, state, page,
         note, checked_at, ended_at"
    };
}
pub(in crate::store) use watch_columns;

impl WatchRow {
    pub fn read(self) -> Result<Watch> {
        Ok(Watch {
            number: self.number,
            kind: WatchKind::of_name(&self.kind)?,
            integration: IntegrationId::new(self.integration),
            project_id: self.project_id,
            project: self.project,
            sha: self.sha,
            ref_name: self.ref_name,
            project_json: Bytes::from(self.project_json),
            since: moment(self.since)?,
            polls: self.polls.unsigned_abs(),
            seen: seen(self.state.as_deref(), self.page),
            note: self.note,
            checked_at: self.checked_at.map(moment).transpose()?,
            ended_at: self.ended_at.map(moment).transpose()?,
        })
    }
}
