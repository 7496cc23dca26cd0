//! The states of merge requests from events. The function `enqueue` writes them.

use jiff::Timestamp;

use super::connection::Connection;
use super::rows::ms;
use crate::store::Result;
use crate::store::merge_requests::{SeenMergeRequest, branch_key};

/// The columns of a batch.
#[derive(Default)]
pub(super) struct Seen {
    pub project_id: Vec<i64>,
    pub iid: Vec<i64>,
    pub source_project_id: Vec<i64>,
    pub branch_key: Vec<i64>,
    pub state: Vec<&'static str>,
    pub at: Vec<i64>,
}

impl Seen {
    pub(super) fn add(&mut self, seen: &SeenMergeRequest) {
        self.project_id.push(seen.project_id);
        self.iid.push(seen.iid);
        self.source_project_id.push(seen.source_project_id);
        self.branch_key.push(branch_key(&seen.source_branch));
        self.state.push(seen.state.name());
        self.at.push(ms(seen.seen_at));
    }
}

pub(super) async fn open(
    connection: &Connection,
    project_id: i64,
    source_branch: &str,
    since: Timestamp,
) -> Result<Option<i64>> {
    const OPEN: &str = "SELECT min(iid) FROM merge_requests
         WHERE project_id = $1 AND branch_key = $2 AND state = 'opened' AND source_project_id = $1 AND seen_at >= $3";
    Ok(connection.row(OPEN, &[&project_id, &branch_key(source_branch), &ms(since)]).await?.get(0))
}

/// Removes states from before this moment. Returns their number.
pub(super) async fn sweep(connection: &Connection, before: i64, limit: i64) -> Result<i64> {
    const OLD: &str = "WITH gone AS (DELETE FROM merge_requests WHERE (project_id, iid) IN
             (SELECT project_id, iid FROM merge_requests WHERE seen_at < $1 ORDER BY seen_at LIMIT $2) RETURNING 1)
         SELECT count(*) FROM gone";
    Ok(connection.row(OLD, &[&before, &limit]).await?.get(0))
}
