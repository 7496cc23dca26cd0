//! The ledger, and the removal of old rows.

use std::borrow::Cow;

use jiff::Timestamp;
use tokio_postgres::types::ToSql;

use super::connection::Connection;
use super::outbox::MOST_BYTES;
use super::rows::{self, RowState, bytes, moment, ms, select_holds};
use super::{alerts, event_log, health, merge_requests, registry, watches};
use crate::store::columns::{
    AttemptRow, DeadRow, LineRow, QUARANTINE_USE, QuarantineRow, QuarantineUseRow, TableRow as _, WaitingRow,
    dead_columns, key_of, line_columns, quarantine_columns, waiting_columns,
};
use crate::store::overview::grouped;
use crate::store::{
    DeliveryDetail, DeliveryFilter, DeliveryId, DeliveryLine, Depth, Hold, NewQuarantined, Overview,
    QuarantineUse, Quarantined, Result, Retention, State, StoredAttempt, Swept,
};

/// A query of [`LineRow`]s.
macro_rules! lines {
    ($more:literal, $($rest:tt)+) => {
        concat!(
            "SELECT ",
            line_columns!(),
            $more,
            " FROM deliveries AS d JOIN events AS e ON e.seq = d.event ",
            $($rest)+
        )
    };
}

/// The conditions of a list that do not choose an index; `$1` to `$8`.
macro_rules! listed {
    ($state:literal) => {
        lines!(
            "",
            concat!(
                "WHERE d.id < $1 AND ",
                $state,
                " AND ($2::text[] IS NULL OR d.integration = ANY ($2))
                  AND ($4::text IS NULL OR lower(e.project) = lower($4)
                       OR starts_with(lower(e.project), lower($4) || '/'))
                  AND ($5::text IS NULL OR e.id = $5)
                  AND ($6::bigint IS NULL OR coalesce(d.settled_at, d.created_at) >= $6)
                  AND ($7::bigint IS NULL OR coalesce(d.settled_at, d.created_at) < $7)
                  AND ($8::bigint IS NULL OR coalesce(e.project_id, 0) <= 0 OR e.project_id = $8)
                ORDER BY d.id DESC LIMIT $3"
            )
        )
    };
}

const WAITING: &str = listed!("d.state <= 2");
const SETTLED: &str = listed!("d.state = $9");
const ANY: &str = listed!("true");
const ONE: &str = lines!(", e.raw AS raw", "WHERE d.id = $1");

pub(super) async fn list(connection: &Connection, filter: &DeliveryFilter) -> Result<Vec<DeliveryLine>> {
    let before = filter.before.map_or(i64::MAX, |before| before.0);
    let named = || filter.integrations.iter().map(|id| rows::text(&id.0).into_owned()).collect();
    let integrations: Option<Vec<String>> = (!filter.integrations.is_empty()).then(named);
    let limit = rows::limit(filter.limit);
    let project = filter.project.as_deref().map(rows::text);
    let event = filter.event.as_ref().map(crate::event::EventId::as_str);
    let (since, until) = (filter.since.map(ms), filter.until.map(ms));
    let state = filter.state.and_then(RowState::of).map(|state| state.0);
    let project_id = filter.project_id;
    let common: [&(dyn ToSql + Sync); 8] =
        [&before, &integrations, &limit, &project, &event, &since, &until, &project_id];
    let found = match (filter.state, &state) {
        (_, Some(state)) => {
            let all: Vec<&(dyn ToSql + Sync)> = common.into_iter().chain([state as _]).collect();
            connection.query(SETTLED, &all).await
        }
        (Some(_), None) => connection.query(WAITING, &common).await,
        (None, None) => connection.query(ANY, &common).await,
    };
    found?.iter().map(|row| LineRow::from_cells(row)?.read()).collect()
}

pub(super) async fn detail(connection: &Connection, id: DeliveryId) -> Result<Option<DeliveryDetail>> {
    let found = connection.query(ONE, &[&id.0]).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let (line, raw) = (LineRow::from_cells(row)?.read()?, bytes(row, "raw"));
    let hold = if line.state == State::Waiting { hold_on(connection, &line).await? } else { None };
    Ok(Some(DeliveryDetail { attempts: attempts(connection, id).await?, line, raw: Some(raw), hold }))
}

/// The hold that keeps a delivery longest.
async fn hold_on(connection: &Connection, line: &DeliveryLine) -> Result<Option<Hold>> {
    const HOLD_ON: &str = select_holds!(
        "WHERE (kind = 'destination' AND name = $1) OR (kind = 'route' AND key = $2) OR (kind = 'address' AND key = $3)
         ORDER BY until DESC LIMIT 1"
    );
    let key = |name: &str| key_of(&[&line.integration.0, name]);
    let of_line: [&(dyn ToSql + Sync); 3] = [&line.destination, &key(&line.target), &key(&line.destination)];
    connection.query(HOLD_ON, &of_line).await?.first().map(rows::hold).transpose()
}

async fn attempts(connection: &Connection, id: DeliveryId) -> Result<Vec<(u32, StoredAttempt)>> {
    let found = connection.query("SELECT * FROM attempts WHERE delivery = $1 ORDER BY n", &[&id.0]).await?;
    found.iter().map(|row| AttemptRow::from_cells(row)?.read()).collect()
}

const DEPTH: &str = "SELECT
     (SELECT count(*) FROM inbox),
     (SELECT count(*) FROM deliveries WHERE state <= 2),
     (SELECT min(created_at) FROM deliveries WHERE state <= 2),
     (SELECT count(*) FROM deliveries WHERE state >= 20 AND state IN (20, 21)),
     (SELECT count(*) FROM quarantine),
     (SELECT count(*) FROM holds WHERE until > $1)";

pub(super) async fn depth(connection: &Connection, now: Timestamp) -> Result<Depth> {
    let row = connection.row(DEPTH, &[&ms(now)]).await?;
    let count = |column| row.get::<_, i64>(column).unsigned_abs();
    Ok(Depth {
        inbox: count(0),
        waiting: count(1),
        oldest_waiting: row.get::<_, Option<i64>>(2).map(moment).transpose()?,
        dead_letters: count(3),
        quarantined: count(4),
        held: count(5),
    })
}

const OVERVIEW_WAITING: &str = concat!(
    "SELECT ",
    waiting_columns!(),
    " FROM (SELECT integration, target, destination, due, created_at FROM deliveries WHERE state <= 2
            ORDER BY id DESC LIMIT $1) AS waiting
      GROUP BY integration, target, destination ORDER BY integration, target, destination"
);

const OVERVIEW_DEAD: &str = concat!(
    "SELECT ",
    dead_columns!(),
    " FROM deliveries AS d WHERE d.state >= 20 AND d.state = $1 ORDER BY d.id DESC LIMIT $2"
);

pub(super) async fn overview(connection: &Connection) -> Result<Overview> {
    let limit = rows::limit(Overview::ROWS);
    let waiting = connection.query(OVERVIEW_WAITING, &[&limit]).await?;
    let mut dead = Vec::new();
    for state in [State::Failed, State::Expired].into_iter().filter_map(RowState::of) {
        for row in connection.query(OVERVIEW_DEAD, &[&state.0, &limit]).await? {
            dead.push(DeadRow::from_cells(&row)?.read()?);
        }
    }
    let (watches, first_watch_due) = watches::open(connection).await?;
    let waiting = waiting.iter().map(|row| WaitingRow::from_cells(row)?.read()).collect::<Result<_>>()?;
    Ok(Overview { waiting, dead_letters: grouped(dead), watches, first_watch_due })
}

const SWEEP_QUARANTINE: &str = "WITH gone AS (DELETE FROM quarantine WHERE number IN
         (SELECT number FROM quarantine WHERE received_at < $1 ORDER BY received_at LIMIT $2) RETURNING 1)
     SELECT count(*) FROM gone";

pub(super) async fn sweep(connection: &Connection, retention: Retention, limit: usize) -> Result<Swept> {
    let most = rows::limit(limit);
    let mut swept = Swept::default();
    for (state, before) in retention.by_state() {
        let Some(state) = RowState::of(state) else { continue };
        let row = connection
            .row("SELECT * FROM sweep_deliveries($1, $2, $3)", &[&state.0, &ms(before), &most])
            .await?;
        let (found, events): (i64, i64) = (row.get(0), row.get(1));
        swept.deliveries += found.unsigned_abs();
        swept.events += events.unsigned_abs();
        swept.more |= found == most;
    }
    let before = ms(retention.settled_before);
    let row = connection.row("SELECT * FROM sweep_discarded($1, $2)", &[&before, &most]).await?;
    let (found, events): (i64, i64) = (row.get(0), row.get(1));
    swept.events += events.unsigned_abs();
    swept.more |= found == most;
    swept.more |= watches::sweep(connection, before, most).await? == most;
    swept.more |= health::sweep(connection, before, most).await? == most;
    swept.more |= alerts::sweep(connection, before, most).await? == most;
    swept.more |= event_log::sweep(connection, before, most).await? == most;
    swept.more |= registry::sweep_mutes(connection, before, most).await? == most;
    let before = ms(retention.merge_requests_before);
    swept.more |= merge_requests::sweep(connection, before, most).await? == most;
    let gone: i64 =
        connection.row(SWEEP_QUARANTINE, &[&ms(retention.quarantine_before), &most]).await?.get(0);
    swept.quarantined += gone.unsigned_abs();
    swept.more |= gone == most;
    Ok(swept)
}

pub(super) async fn quarantine(connection: &Connection, items: &[NewQuarantined]) -> Result<()> {
    const PUT: &str = "INSERT INTO quarantine (source, sender, id, reason, received_at, raw)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[])";
    let (mut parts, mut bytes) = (vec![Vec::new()], 0);
    for item in items {
        if bytes > 0 && bytes + item.raw.len() > MOST_BYTES {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += item.raw.len();
        parts.last_mut().expect("it has one at least").push(item);
    }
    let columns: Vec<_> = parts.iter().map(|part| QuarantineColumns::new(part)).collect();
    let values: Vec<_> = columns.iter().map(QuarantineColumns::values).collect();
    let calls: Vec<_> = values.iter().map(|values| (PUT, &values[..])).collect();
    connection.all_or_none(&calls).await.map(drop)
}

/// The columns of items for quarantine.
struct QuarantineColumns<'a> {
    sources: Vec<&'a str>,
    senders: Vec<Option<&'a str>>,
    ids: Vec<Option<&'a str>>,
    reasons: Vec<Cow<'a, str>>,
    moments: Vec<i64>,
    raws: Vec<&'a [u8]>,
}

impl<'a> QuarantineColumns<'a> {
    fn new(items: &[&'a NewQuarantined]) -> Self {
        Self {
            sources: items.iter().map(|item| item.source).collect(),
            senders: items.iter().map(|item| item.sender.as_deref()).collect(),
            ids: items.iter().map(|item| item.id.as_ref().map(crate::event::EventId::as_str)).collect(),
            reasons: items.iter().map(|item| rows::text(&item.reason)).collect(),
            moments: items.iter().map(|item| ms(item.received_at)).collect(),
            raws: items.iter().map(|item| item.raw.as_ref()).collect(),
        }
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 6] {
        [&self.sources, &self.senders, &self.ids, &self.reasons, &self.moments, &self.raws]
    }
}

pub(super) async fn quarantine_use(connection: &Connection) -> Result<Vec<QuarantineUse>> {
    let found = connection.query(QUARANTINE_USE, &[]).await?;
    found.iter().map(|row| Ok(QuarantineUseRow::from_cells(row)?.read())).collect()
}

pub(super) async fn list_quarantined(
    connection: &Connection,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Quarantined>> {
    const LIST: &str = concat!(
        "SELECT ",
        quarantine_columns!(),
        " FROM quarantine WHERE number < $1 ORDER BY number DESC LIMIT $2"
    );
    let found = connection.query(LIST, &[&before.unwrap_or(i64::MAX), &rows::limit(limit)]).await?;
    found.iter().map(|row| QuarantineRow::from_cells(row)?.read()).collect()
}

pub(super) async fn one_quarantined(
    connection: &Connection,
    number: i64,
) -> Result<Option<(Quarantined, bytes::Bytes)>> {
    const ONE: &str = concat!("SELECT ", quarantine_columns!(), ", raw FROM quarantine WHERE number = $1");
    let found = connection.query(ONE, &[&number]).await?;
    found.first().map(|row| Ok((QuarantineRow::from_cells(row)?.read()?, bytes(row, "raw")))).transpose()
}
