//! The store in PostgreSQL: for several nodes, or where a database is already operated.
//!
//! Each change is a function of the database (`functions.sql`, `nodes.sql`, `watches.sql`, `alerts.sql`,
//! `registry.sql`): one transaction and one round trip. Changes
//! run one after another under one lock, as SQLite's writer runs them. [`membership`] knows which nodes are alive.
//! Rendezvous hashing assigns shares to them. The table `workers` says which node works a share, because the share's
//! pace is in that node's memory. If a share moves to another node, that node waits until the former one has no leases
//! in the share. [`connection`] reconnects after an outage; until then each call returns that the store is unavailable.
//! [`outbox`], [`ledger`] and [`registry`] translate batches into arrays and rows into values. [`notifications`] tells
//! a node what other nodes changed.
//!
//! If a connection breaks while a change is being committed, the caller can't know whether the change was made. It may call
//! again: dispatching again changes nothing, a repeated settlement leaves a second record, a repeated event is answered as
//! known, and a repeated change of an integration is answered as outdated. Rows that such a call leased would be
//! attempted by no node, and later rows of their lanes would overtake them. [`unconfirmed_leases`] therefore releases
//! these leases before anything else is leased. If that fails, nothing renews these leases, and they lapse.
//!
//! A session is set up once for each connection, so a pooler that assigns connections per transaction does not work.

mod alerts;
mod connection;
mod event_log;
mod event_records;
mod health;
mod holds;
mod ledger;
mod membership;
mod merge_requests;
mod notifications;
mod outbox;
mod registry;
mod rows;
mod schema;
#[cfg(test)]
mod tests;
mod tls;
mod unconfirmed_leases;
mod watches;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::columns::EventColumns;
use super::last_depth::LastDepth;
use super::merge_requests::MergeRequests;
use super::registry::AuditEntry;
use super::seal::Keyring;
use super::{
    AlertReport, Alerts, AmongNodes, Cancel, Claim, Claimed, ClaimedWatches, Delivery, DeliveryDetail,
    DeliveryFilter, DeliveryId, DeliveryLine, Depth, DestinationKey, Dispatched, EventLog, HealthRecord,
    Hold, HoldKey, Inbox, LatestWaits, Lease, Ledger, LoggedEvent, NewHealth, NewQuarantined, NodeId,
    NotedAlert, Outbox, Overview, Portion, Quarantine, QuarantineUse, Quarantined, Redirected, Resend,
    Result, Retention, Settled, SettledWatch, StoreError, StoredEvent, Swept, Watch, Watches,
};
use crate::call::BuildState;
use crate::event::Event;
use crate::integration::{Fingerprint, IntegrationId};
use crate::settings::Secret;
use connection::Connection;
use membership::Membership;
pub use notifications::{Listener, Notification};
use rows::{ms, stored_event, text};
use unconfirmed_leases::UnconfirmedLeases;

/// The default of the client for TCP keepalive, which shows that the URL sets none.
const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(2 * 60 * 60);
/// If sent data is not confirmed for this time, the connection counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(8);

/// A store in a PostgreSQL database, under the schema `forgebell`.
pub struct Postgres {
    config: tokio_postgres::Config,
    tls: tls::Tls,
    /// For changes, which run one at a time anyway.
    writer: Arc<Connection>,
    /// For the pipeline: short and frequent queries.
    reader: Connection,
    /// For people and gauges: queries that may read much.
    people: Connection,
    keys: Keyring,
    unconfirmed: UnconfirmedLeases,
    last_depth: LastDepth,
    /// This node's membership, after it has joined the other nodes.
    membership: OnceLock<Arc<Membership>>,
}

impl Postgres {
    /// Opens the store for a daemon, and migrates its schema. The store makes no key, because all nodes need the same one.
    ///
    /// # Errors
    /// The store is unavailable or broken, or a key of its secrets is missing.
    pub async fn open(url: &Secret, ca_file: Option<&Path>, keys: Keyring) -> Result<Self> {
        let store = Self::connect(url, ca_file, keys)?;
        schema::migrate(&store.writer).await?;
        store.keys.expect_all(&store.marks().await?)?;
        Ok(store)
    }

    /// Migrates the schema. Returns the version before and after.
    pub async fn migrate(url: &Secret, ca_file: Option<&Path>) -> Result<(i64, i64)> {
        schema::migrate(&Self::connect(url, ca_file, Keyring::none())?.writer).await
    }

    /// Opens the store beside daemons, for a command. Calls that need no secret work without a key.
    pub async fn open_shared(url: &Secret, ca_file: Option<&Path>, keys: Keyring) -> Result<Self> {
        let store = Self::connect(url, ca_file, keys)?;
        schema::expect_current(&store.reader).await?;
        Ok(store)
    }

    /// Runs SQL, for tests.
    #[cfg(test)]
    pub(super) async fn ask(
        &self,
        sql: &'static str,
        values: connection::Values<'_>,
    ) -> Vec<tokio_postgres::Row> {
        self.people.query(sql, values).await.unwrap()
    }

    /// A listener for the changes of other nodes. It also reserves this node's name, and gives its signs of life while it
    /// runs: it has joined the other nodes with the first. `lease` is how long this node's leases last. If a former process of
    /// this node still has the name, this waits up to `timeout` for the database to notice its end.
    ///
    /// # Errors
    /// Another node has the name.
    pub async fn listener(&self, node: &NodeId, lease: Duration, timeout: Duration) -> Result<Listener> {
        let membership = Arc::new(Membership::new(node.clone(), lease));
        let writer = Arc::clone(&self.writer);
        let own = Arc::clone(&membership);
        let listener =
            Listener::open(self.config.clone(), self.tls.clone(), writer, membership, timeout).await?;
        // A store has one listener.
        let _ = self.membership.set(own);
        Ok(listener)
    }

    /// The current time for leases: the database's clock in a node's store, else the caller's.
    fn lease_now(&self, now: Timestamp) -> i64 {
        self.clock().unwrap_or_else(|| ms(now))
    }

    fn clock(&self) -> Option<i64> {
        self.membership.get().and_then(|membership| membership.clock(Instant::now()))
    }

    /// The end of a lease that is given now, by the same clock.
    fn lease_end(&self, lease: &Lease, lease_now: i64) -> i64 {
        match self.membership.get() {
            Some(membership) if membership.node == lease.node => membership.lease_end(lease_now),
            _ => ms(lease.until),
        }
    }

    fn connect(url: &Secret, ca_file: Option<&Path>, keys: Keyring) -> Result<Self> {
        let mut config: tokio_postgres::Config = tls::with_known_sslmode(url.expose())
            .parse()
            // The parser's error may quote the URL, which has a password.
            .map_err(|_| StoreError::Broken("store.url is not a valid PostgreSQL URL".to_owned()))?;
        config.connect_timeout(Duration::from_secs(10)).application_name("forgebell");
        if config.get_keepalives_idle() == DEFAULT_KEEPALIVE {
            // The database frees this node's name when it notices a lost connection. The node must notice the loss as
            // fast.
            config.keepalives_idle(Duration::from_secs(5));
            config.keepalives_interval(Duration::from_secs(2)).keepalives_retries(2);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(LOST_AFTER);
        }
        tls::require_for_remote(&mut config, url.expose());
        let tls = tls::connector(ca_file)?;
        let connection = || Connection::new(config.clone(), tls.clone());
        let (writer, reader, people) = (Arc::new(connection()), connection(), connection());
        let (unconfirmed, last_depth) = (UnconfirmedLeases::default(), LastDepth::default());
        let membership = OnceLock::new();
        Ok(Self { config, tls, writer, reader, people, keys, unconfirmed, last_depth, membership })
    }
}

#[async_trait]
impl Inbox for Postgres {
    async fn push(&self, event: &Event, received_at: Timestamp) -> Result<bool> {
        let row = EventColumns::new(event);
        let answer = self
            .writer
            .row(
                "SELECT push($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                &[
                    &row.id.as_str(),
                    &row.trigger,
                    &row.kind,
                    &row.project_id,
                    &row.project.as_deref().map(text),
                    &text(&row.subject),
                    &ms(row.occurred_at),
                    &ms(received_at),
                    &&row.raw[..],
                ],
            )
            .await?;
        Ok(answer.get(0))
    }

    async fn peek(&self, after: i64, portion: Portion) -> Result<Vec<(i64, StoredEvent)>> {
        // PostgreSQL knows the length of a large value without reading it.
        const PEEK: &str = "SELECT seq, id::text, occurred_at, raw FROM (
                 SELECT inbox.seq, id, occurred_at, raw,
                        sum(octet_length(raw)) OVER (ORDER BY inbox.seq) - octet_length(raw) AS before
                 FROM inbox JOIN events ON events.seq = inbox.seq
                 WHERE inbox.seq > $1 ORDER BY inbox.seq LIMIT $2
             ) AS oldest WHERE before < $3 ORDER BY seq";
        let (rows, bytes) = (rows::limit(portion.rows), rows::limit(portion.bytes));
        let found = self.reader.query(PEEK, &[&after, &rows, &bytes]).await?;
        found.iter().map(|row| Ok((row.get(0), stored_event(row, 1)?))).collect()
    }

    async fn discard(&self, numbers: &[i64]) -> Result<()> {
        self.writer.query("SELECT discard($1)", &[&numbers]).await.map(drop)
    }
}

impl Postgres {
    /// Calls a function that returns the rows that the node still leases.
    async fn own(&self, sql: &'static str, lease: &Lease, rows: &[DeliveryId]) -> Result<Vec<DeliveryId>> {
        let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let until = self.lease_end(lease, self.clock().unwrap_or_default());
        let own = self.writer.row(sql, &[&&*lease.node.0, &until, &ids]).await?;
        Ok(own.get::<_, Vec<i64>>(0).into_iter().map(DeliveryId).collect())
    }
}

#[async_trait]
impl Outbox for Postgres {
    async fn enqueue(&self, batch: Vec<Dispatched>, now: Timestamp) -> Result<Vec<Vec<Option<Delivery>>>> {
        let written = self.write(&batch, now).await?;
        self.log_dispatched(&batch, now).await;
        Ok(written)
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>> {
        self.hand_out(&claim).await
    }

    async fn waiting(&self, now: Timestamp, limit: usize) -> Result<Vec<(DestinationKey, Timestamp)>> {
        let most = i32::try_from(limit).unwrap_or(i32::MAX);
        let node = self.membership.get().map(|membership| &*membership.node.0);
        let values: connection::Values<'_> = &[&ms(now), &most, &node, &self.lease_now(now)];
        let found = self.reader.query("SELECT * FROM waiting($1, $2, $3, $4)", values).await?;
        found.iter().map(|row| Ok((rows::shared(row, 0), rows::moment(row.get(1))?))).collect()
    }

    async fn settle(&self, by: &NodeId, settlements: Vec<Settled>) -> Result<()> {
        self.record(by, &settlements).await
    }

    async fn redirect(&self, by: &NodeId, rows: &[Redirected]) -> Result<()> {
        let ids: Vec<i64> = rows.iter().map(|row| row.delivery.0).collect();
        let destinations: Vec<_> = rows.iter().map(|row| text(&row.destination)).collect();
        let shares: Vec<_> = rows.iter().map(|row| text(&row.share)).collect();
        let sql = "SELECT redirect($1, $2, $3, $4)";
        self.writer.query(sql, &[&&*by.0, &ids, &destinations, &shares]).await.map(drop)
    }

    async fn release(&self, by: &NodeId, rows: &[DeliveryId]) -> Result<()> {
        let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
        self.writer.query("SELECT release($1, $2)", &[&&*by.0, &ids]).await.map(drop)
    }

    async fn renew(&self, lease: Lease, rows: &[DeliveryId]) -> Result<Vec<DeliveryId>> {
        self.own("SELECT renew($1, $2, $3)", &lease, rows).await
    }

    async fn start(&self, lease: Lease, rows: &[DeliveryId]) -> Result<Vec<DeliveryId>> {
        self.own("SELECT start($1, $2, $3)", &lease, rows).await
    }

    async fn release_leases(&self, by: &NodeId, _now: Timestamp) -> Result<()> {
        self.writer.query("SELECT release_leases($1)", &[&&*by.0]).await.map(drop)
    }

    fn among_nodes(&self) -> AmongNodes {
        self.membership.get().map(|membership| membership.tell(Instant::now())).unwrap_or_default()
    }

    fn is_cut_off(&self) -> bool {
        self.membership.get().is_some_and(|own| own.cut_off_for(Instant::now()).is_some())
    }

    async fn holds(&self, now: Timestamp) -> Result<Vec<Hold>> {
        holds::holds(&self.reader, now).await
    }

    async fn end_holds(&self, keys: &[HoldKey], now: Timestamp) -> Result<()> {
        self.end_each(keys, now).await
    }

    async fn shorten_waits(&self, latest: &LatestWaits) -> Result<usize> {
        let (causes, untils): (Vec<&str>, Vec<i64>) =
            latest.holds.iter().map(|(cause, until)| (cause.name(), ms(*until))).unzip();
        let moments = [latest.delivery, latest.watch, latest.now].map(ms);
        let sql = "SELECT shorten_waits($1, $2, $3, $4, $5)";
        let row = self.writer.row(sql, &[&causes, &untils, &moments[0], &moments[1], &moments[2]]).await?;
        Ok(usize::try_from(row.get::<_, i64>(0)).unwrap_or_default())
    }

    async fn end_outdated_holds(
        &self,
        current: &[(IntegrationId, Option<Fingerprint>)],
        now: Timestamp,
    ) -> Result<usize> {
        self.end_outdated(current, now).await
    }
}

impl Postgres {
    /// Writes the log lines of written events. A lost line does not affect deliveries.
    async fn log_dispatched(&self, batch: &[Dispatched], now: Timestamp) {
        let mut lines = event_log::Lines::default();
        for dispatched in batch {
            let wanted = !dispatched.deliveries.is_empty();
            if let Some(line) = &dispatched.remembered.log {
                lines.add(&dispatched.event, line, now, wanted);
            }
        }
        if let Err(error) = lines.write(&self.writer).await {
            warn!(%error, "cannot write the event log");
        }
    }
}

#[async_trait]
impl EventLog for Postgres {
    async fn log_events(&self, events: Vec<LoggedEvent>) -> Result<()> {
        for lines in event_log::Lines::of_unwanted(&events) {
            lines.write(&self.writer).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Quarantine for Postgres {
    async fn quarantine(&self, items: Vec<NewQuarantined>) -> Result<()> {
        ledger::quarantine(&self.writer, &items).await
    }

    async fn quarantine_use(&self) -> Result<Vec<QuarantineUse>> {
        ledger::quarantine_use(&self.people).await
    }

    async fn list_quarantined(&self, before: Option<i64>, limit: usize) -> Result<Vec<Quarantined>> {
        ledger::list_quarantined(&self.people, before, limit).await
    }

    async fn quarantined(&self, number: i64) -> Result<Option<(Quarantined, Bytes)>> {
        ledger::one_quarantined(&self.people, number).await
    }

    async fn remove_quarantined(&self, number: i64, audit: AuditEntry) -> Result<bool> {
        const REMOVE: &str = "WITH gone AS (DELETE FROM quarantine WHERE number = $1 RETURNING number)
             SELECT note($2, $3, $4, $5, $6) FROM gone";
        let note = registry::Note::new(&audit);
        Ok(!self.writer.query(REMOVE, &note.after(&[&number])).await?.is_empty())
    }
}

#[async_trait]
impl Ledger for Postgres {
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryLine>> {
        ledger::list(&self.people, &filter).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>> {
        ledger::detail(&self.people, id).await
    }

    async fn resend(&self, id: DeliveryId, audit: AuditEntry) -> Result<Resend> {
        let note = registry::Note::new(&audit);
        let row = self.writer.row("SELECT resend($1, $2, $3, $4, $5, $6)", &note.after(&[&id.0])).await?;
        Ok(if row.get(0) { Resend::Done } else { Resend::NotSettled })
    }

    async fn cancel(&self, id: DeliveryId, audit: AuditEntry) -> Result<Cancel> {
        let note = registry::Note::new(&audit);
        let row = self.writer.row("SELECT cancel($1, $2, $3, $4, $5, $6)", &note.after(&[&id.0])).await?;
        Ok(match row.get::<_, &str>(0) {
            "done" => Cancel::Done,
            "leased" => Cancel::UnderWay,
            _ => Cancel::NotWaiting,
        })
    }

    async fn depth(&self, now: Timestamp) -> Result<Depth> {
        if let Some(depth) = self.last_depth.again() {
            return Ok(depth);
        }
        Ok(self.last_depth.keep(ledger::depth(&self.people, now).await?))
    }

    async fn overview(&self) -> Result<Overview> {
        ledger::overview(&self.people).await
    }

    async fn sweep(&self, retention: Retention, limit: usize) -> Result<Swept> {
        ledger::sweep(&self.writer, retention, limit).await
    }

    async fn ping(&self) -> Result<()> {
        if let Some(time) = self.membership.get().and_then(|own| own.cut_off_for(Instant::now())) {
            let why = format!("PostgreSQL has not answered for {} s; no attempt starts", time.as_secs());
            return Err(StoreError::Unavailable(why));
        }
        for connection in [&self.reader, &*self.writer] {
            tokio::select! {
                answer = connection.query("SELECT 1", &[]) => drop(answer?),
                why = connection.until_slow() => return Err(why),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl MergeRequests for Postgres {
    async fn open_merge_request(
        &self,
        project_id: i64,
        source_branch: &str,
        since: Timestamp,
    ) -> Result<Option<i64>> {
        merge_requests::open(&self.reader, project_id, source_branch, since).await
    }
}

#[async_trait]
impl Watches for Postgres {
    async fn claim_watches(
        &self,
        now: Timestamp,
        hidden_until: Timestamp,
        limit: usize,
    ) -> Result<ClaimedWatches> {
        watches::claim(&self.writer, now, hidden_until, limit).await
    }

    async fn settle_watch(&self, settled: SettledWatch) -> Result<bool> {
        watches::settle(&self.writer, &settled).await
    }

    async fn commit_statuses(&self, project_id: i64, sha: &str) -> Result<Vec<Watch>> {
        watches::of_commit(&self.people, project_id, sha).await
    }

    async fn outcome_before(&self, watch: &Watch) -> Result<Option<BuildState>> {
        watches::outcome_before(&self.people, watch).await
    }

    async fn note_health(&self, health: NewHealth) -> Result<()> {
        health::note(&self.writer, &health).await
    }

    async fn health(&self, integrations: &[IntegrationId]) -> Result<Vec<HealthRecord>> {
        health::of(&self.people, integrations).await
    }
}

#[async_trait]
impl Alerts for Postgres {
    async fn note_alerts(
        &self,
        reports: Vec<AlertReport>,
        now: Timestamp,
    ) -> Result<Vec<Option<NotedAlert>>> {
        alerts::note(&self.writer, &reports, now).await
    }
}
