//! Builds that are watched.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::rows::{self, EventRow, change, find, moment, ms};
use super::{holds, inbox};
use crate::call::BuildState;
use crate::store::Result;
use crate::store::columns::watches::{WatchRow, watch_columns};
use crate::store::watches::{ClaimedWatches, NewWatch, SettledWatch, Watch};

pub(super) fn watch(connection: &Connection, watches: &[NewWatch]) -> Result<()> {
    for watch in watches {
        change(
            connection,
            "INSERT INTO watches (key, integration, project_id, project, sha, ref_name, project_json, since, due, kind)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (key) DO UPDATE SET project_json = excluded.project_json, since = excluded.since,
                 due = excluded.due, polls = 0, state = NULL, page = NULL, note = '', checked_at = NULL, ended_at = NULL
             WHERE ended_at < excluded.since",
            params![
                watch.key(),
                watch.integration.0,
                watch.project_id,
                watch.project,
                watch.sha,
                watch.ref_name,
                watch.project_json.as_ref(),
                ms(watch.since),
                ms(watch.due),
                watch.kind.name(),
            ],
        )?;
    }
    Ok(())
}

const DUE: &str = concat!(
    "SELECT ",
    watch_columns!(),
    " FROM watches INDEXED BY watches_due WHERE ended_at IS NULL AND due <= ?1 ORDER BY due LIMIT ?2"
);

const NEXT: &str = "SELECT min(due) FROM watches INDEXED BY watches_due WHERE ended_at IS NULL";

pub(super) fn claim(
    connection: &Connection,
    now: Timestamp,
    hidden_until: Timestamp,
    limit: usize,
) -> Result<ClaimedWatches> {
    let due: Vec<WatchRow> = rows::all(connection, DUE, params![ms(now), rows::limit(limit)])?;
    for row in &due {
        let put_off = "UPDATE watches SET due = ?2 WHERE number = ?1";
        change(connection, put_off, params![row.number, ms(hidden_until)])?;
    }
    let next = find::<Option<i64>>(connection, NEXT, [])?.flatten();
    Ok(ClaimedWatches {
        watches: due.into_iter().map(WatchRow::read).collect::<Result<_>>()?,
        next: next.map(moment).transpose()?,
    })
}

pub(super) fn settle(
    connection: &Connection,
    settled: &SettledWatch,
    announce: Option<&EventRow>,
) -> Result<bool> {
    for hold in &settled.begin {
        holds::begin(connection, hold)?;
    }
    let (state, page) = match &settled.seen {
        Some(seen) => (Some(seen.state.name()), seen.page.as_deref()),
        None => (None, None),
    };
    let written = change(
        connection,
        "UPDATE watches SET polls = ?2, note = ?3, checked_at = ?4, due = ifnull(?5, due),
                            ended_at = CASE WHEN ?5 IS NULL THEN ?4 END,
                            state = ifnull(?6, state), page = CASE WHEN ?6 IS NULL THEN page ELSE ?7 END
         WHERE number = ?1 AND ended_at IS NULL",
        params![
            settled.number,
            settled.polls,
            settled.note,
            ms(settled.at),
            settled.again.map(ms),
            state,
            page
        ],
    )?;
    match announce {
        Some(event) if written == 1 => inbox::push(connection, event),
        _ => Ok(false),
    }
}

const OF_COMMIT: &str = concat!(
    "SELECT ",
    watch_columns!(),
    " FROM watches INDEXED BY watches_commit WHERE project_id = ?1 AND sha = ?2 ORDER BY number"
);

pub(super) fn of_commit(connection: &Connection, project_id: i64, sha: &str) -> Result<Vec<Watch>> {
    let found: Vec<WatchRow> = rows::all(connection, OF_COMMIT, params![project_id, sha])?;
    found.into_iter().map(WatchRow::read).collect()
}

const SHORTEN: &str = "UPDATE watches SET due = min(due, ?2), since = min(since, ?1)
     WHERE ended_at IS NULL AND (due > ?2 OR since > ?1)";

/// Shortens waits to this moment, and sets begins in the future to now. Returns the number of changed rows.
pub(super) fn shorten(connection: &Connection, now: Timestamp, latest: Timestamp) -> Result<usize> {
    Ok(change(connection, SHORTEN, params![ms(now), ms(latest)])?)
}

const BEFORE: &str = "SELECT state FROM watches INDEXED BY watches_commit
     WHERE project_id = ?1 AND integration = ?2 AND ref_name = ?3 AND number <> ?4 AND ended_at IS NOT NULL
       AND state IN ('success', 'success-with-warnings', 'failed')
     ORDER BY ended_at DESC, number DESC LIMIT 1";

pub(super) fn outcome_before(connection: &Connection, watch: &Watch) -> Result<Option<BuildState>> {
    let of = params![watch.project_id, watch.integration.0, watch.ref_name, watch.number];
    let state = find::<String>(connection, BEFORE, of)?;
    Ok(state.and_then(|state| BuildState::of_name(&state)))
}

const ENDED: &str = "DELETE FROM watches WHERE number IN
     (SELECT number FROM watches INDEXED BY watches_ended WHERE ended_at IS NOT NULL AND ended_at < ?1
      ORDER BY ended_at LIMIT ?2)";

/// Removes watches that ended before this moment. Returns how many.
pub(super) fn sweep(connection: &Connection, before: i64, limit: usize) -> Result<usize> {
    Ok(change(connection, ENDED, params![before, rows::limit(limit)])?)
}

const OPEN: &str = "SELECT count(*), min(due) FROM watches INDEXED BY watches_due WHERE ended_at IS NULL";

/// The number of watches that have not ended, and when the first of them is due.
pub(super) fn open(connection: &Connection) -> Result<(u64, Option<Timestamp>)> {
    let (count, due): (i64, Option<i64>) =
        rows::prepare(connection, OPEN)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((count.unsigned_abs(), due.map(moment).transpose()?))
}
