//! Builds that are watched.

use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use super::connection::Connection;
use super::rows::{self, moment, ms, signed, text};
use crate::call::BuildState;
use crate::store::columns::EventColumns;
use crate::store::columns::TableRow as _;
use crate::store::columns::watches::{WatchRow, watch_columns};
use crate::store::watches::{ClaimedWatches, NewWatch, SettledWatch, Watch};
use crate::store::{Hold, Result};

pub(super) async fn watch(connection: &Connection, mut watches: Vec<NewWatch>) -> Result<()> {
    const WATCH: &str =
        "INSERT INTO watches AS w
             (key, integration, project_id, project, sha, ref_name, project_json, since, due, kind)
         SELECT DISTINCT ON (key) * FROM unnest(
             $1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::bigint[],
             $9::bigint[], $10::text[]
         ) AS new (key, integration, project_id, project, sha, ref_name, project_json, since, due, kind)
         ON CONFLICT (key) DO UPDATE SET project_json = excluded.project_json, since = excluded.since,
             due = excluded.due, polls = 0, state = NULL, page = NULL, note = '', checked_at = NULL, ended_at = NULL
         WHERE w.ended_at < excluded.since";
    // Two nodes that lock the same rows do it in the same order.
    watches.sort_by_cached_key(NewWatch::key);
    let keys: Vec<_> = watches.iter().map(NewWatch::key).collect();
    let integrations: Vec<_> = watches.iter().map(|watch| text(&watch.integration.0)).collect();
    let project_ids: Vec<i64> = watches.iter().map(|watch| watch.project_id).collect();
    let projects: Vec<_> = watches.iter().map(|watch| text(&watch.project)).collect();
    let shas: Vec<_> = watches.iter().map(|watch| text(&watch.sha)).collect();
    let refs: Vec<_> = watches.iter().map(|watch| text(&watch.ref_name)).collect();
    let json: Vec<&[u8]> = watches.iter().map(|watch| watch.project_json.as_ref()).collect();
    let since: Vec<i64> = watches.iter().map(|watch| ms(watch.since)).collect();
    let due: Vec<i64> = watches.iter().map(|watch| ms(watch.due)).collect();
    let kinds: Vec<&str> = watches.iter().map(|watch| watch.kind.name()).collect();
    let columns: [&(dyn ToSql + Sync); 10] =
        [&keys, &integrations, &project_ids, &projects, &shas, &refs, &json, &since, &due, &kinds];
    connection.query(WATCH, &columns).await.map(drop)
}

const CLAIM: &str = concat!(
    "UPDATE watches SET due = $2 WHERE number IN (
         SELECT number FROM watches WHERE ended_at IS NULL AND due <= $1 ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED
     ) RETURNING ",
    watch_columns!()
);

const NEXT: &str = "SELECT min(due) FROM watches WHERE ended_at IS NULL";

pub(super) async fn claim(
    connection: &Connection,
    now: Timestamp,
    hidden_until: Timestamp,
    limit: usize,
) -> Result<ClaimedWatches> {
    let found = connection.query(CLAIM, &[&ms(now), &ms(hidden_until), &rows::limit(limit)]).await?;
    let mut watches = read(&found)?;
    watches.sort_by_key(|watch| watch.number);
    let next: Option<i64> = connection.row(NEXT, &[]).await?.get(0);
    Ok(ClaimedWatches { watches, next: next.map(moment).transpose()? })
}

const BEFORE: &str = "SELECT state FROM watches
     WHERE project_id = $1 AND integration = $2 AND ref_name = $3 AND number <> $4 AND ended_at IS NOT NULL
       AND state IN ('success', 'success-with-warnings', 'failed')
     ORDER BY ended_at DESC, number DESC LIMIT 1";

pub(super) async fn outcome_before(connection: &Connection, watch: &Watch) -> Result<Option<BuildState>> {
    let of: [&(dyn ToSql + Sync); 4] =
        [&watch.project_id, &text(&watch.integration.0), &text(&watch.ref_name), &watch.number];
    let found = connection.query(BEFORE, &of).await?;
    Ok(found.first().and_then(|row| BuildState::of_name(row.get(0))))
}

/// Begins a hold. This is done before the watch that led to it is settled.
async fn begin_hold(connection: &Connection, hold: &Hold) -> Result<()> {
    const BEGIN: &str = "SELECT begin_hold($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let (kind, integration, name) = hold.key.columns();
    let (made_by, fingerprint) = match &hold.made_under {
        Some((integration, fingerprint)) => (Some(&*integration.0), Some(fingerprint.0)),
        None => (None, None),
    };
    let columns: [&(dyn ToSql + Sync); 10] = [
        &kind,
        &text(integration),
        &text(name),
        &hold.cause.name(),
        &text(&hold.reason),
        &ms(hold.since),
        &ms(hold.until),
        &signed(hold.strikes),
        &made_by,
        &fingerprint,
    ];
    connection.query(BEGIN, &columns).await.map(drop)
}

pub(super) async fn settle(connection: &Connection, settled: &SettledWatch) -> Result<bool> {
    const SETTLE: &str =
        "SELECT settle_watch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    for hold in &settled.begin {
        begin_hold(connection, hold).await?;
    }
    let (state, page) = match &settled.seen {
        Some(seen) => (Some(seen.state.name()), seen.page.as_deref().map(text)),
        None => (None, None),
    };
    let event = settled.announce.as_ref().map(EventColumns::new);
    let event = event.as_ref();
    let written = connection
        .row(
            SETTLE,
            &[
                &settled.number,
                &signed(settled.polls),
                &text(&settled.note),
                &ms(settled.at),
                &settled.again.map(ms),
                &state,
                &page,
                &event.map(|event| event.id.as_str()),
                &event.and_then(|event| event.trigger),
                &event.map(|event| event.kind),
                &event.and_then(|event| event.project_id),
                &event.and_then(|event| event.project.as_deref()).map(text),
                &event.map(|event| text(&event.subject)),
                &event.map(|event| ms(event.occurred_at)),
                &event.map(|event| &event.raw[..]),
            ],
        )
        .await?;
    Ok(written.get(0))
}

const OF_COMMIT: &str =
    concat!("SELECT ", watch_columns!(), " FROM watches WHERE project_id = $1 AND sha = $2 ORDER BY number");

pub(super) async fn of_commit(connection: &Connection, project_id: i64, sha: &str) -> Result<Vec<Watch>> {
    read(&connection.query(OF_COMMIT, &[&project_id, &text(sha)]).await?)
}

const ENDED: &str = "WITH gone AS (DELETE FROM watches WHERE number IN
         (SELECT number FROM watches WHERE ended_at < $1 ORDER BY ended_at LIMIT $2) RETURNING 1)
     SELECT count(*) FROM gone";

/// Removes watches that ended before this moment. Returns how many.
pub(super) async fn sweep(connection: &Connection, before: i64, limit: i64) -> Result<i64> {
    Ok(connection.row(ENDED, &[&before, &limit]).await?.get(0))
}

/// The number of watches that have not ended, and when the first of them is due.
pub(super) async fn open(connection: &Connection) -> Result<(u64, Option<Timestamp>)> {
    const OPEN: &str = "SELECT count(*), min(due) FROM watches WHERE ended_at IS NULL";
    let row = connection.row(OPEN, &[]).await?;
    let due: Option<i64> = row.get(1);
    Ok((row.get::<_, i64>(0).unsigned_abs(), due.map(moment).transpose()?))
}

fn read(found: &[tokio_postgres::Row]) -> Result<Vec<Watch>> {
    found.iter().map(|row| WatchRow::from_cells(row)?.read()).collect()
}
