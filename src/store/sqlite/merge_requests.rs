//! The states of merge requests from events.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::rows::{self, change, find, ms};
use crate::store::Result;
use crate::store::merge_requests::{SeenMergeRequest, branch_key};

pub(super) fn remember(connection: &Connection, seen: &SeenMergeRequest) -> Result<()> {
    change(
        connection,
        "INSERT INTO merge_requests (project_id, iid, source_project_id, branch_key, state, seen_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (project_id, iid) DO UPDATE SET source_project_id = excluded.source_project_id,
             branch_key = excluded.branch_key, state = excluded.state, seen_at = excluded.seen_at
         WHERE excluded.seen_at >= seen_at",
        params![
            seen.project_id,
            seen.iid,
            seen.source_project_id,
            branch_key(&seen.source_branch),
            seen.state.name(),
            ms(seen.seen_at)
        ],
    )?;
    Ok(())
}

const OPEN: &str = "SELECT min(iid) FROM merge_requests INDEXED BY merge_requests_open
     WHERE project_id = ?1 AND branch_key = ?2 AND state = 'opened' AND source_project_id = ?1 AND seen_at >= ?3";

pub(super) fn open(
    connection: &Connection,
    project_id: i64,
    source_branch: &str,
    since: Timestamp,
) -> Result<Option<i64>> {
    let found =
        find::<Option<i64>>(connection, OPEN, params![project_id, branch_key(source_branch), ms(since)])?;
    Ok(found.flatten())
}

/// Sets times in the future to now: otherwise no event would replace these states until then. Returns their number.
pub(super) fn shorten(connection: &Connection, now: Timestamp) -> Result<usize> {
    let sql = "UPDATE merge_requests INDEXED BY merge_requests_seen SET seen_at = ?1 WHERE seen_at > ?1";
    Ok(change(connection, sql, [ms(now)])?)
}

const OLD: &str = "DELETE FROM merge_requests WHERE (project_id, iid) IN
     (SELECT project_id, iid FROM merge_requests INDEXED BY merge_requests_seen WHERE seen_at < ?1
      ORDER BY seen_at LIMIT ?2)";

/// Removes states from before this moment. Returns their number.
pub(super) fn sweep(connection: &Connection, before: i64, limit: usize) -> Result<usize> {
    Ok(change(connection, OLD, params![before, rows::limit(limit)])?)
}
