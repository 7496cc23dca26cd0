//! The store in one SQLite file: the default, for one daemon.
//!
//! A writer thread commits in groups ([`thread`]). Two readers, one for the pipeline and one for people, see what is committed
//! and never wait for the writer. The operations are functions of a connection, in a file for each: [`inbox`], [`enqueue`],
//! [`keep`], [`claim`], [`settle`], [`history`], [`leases`], [`holds`], [`ledger`], [`sweep`], [`quarantine`], [`registry`].
//! [`lanes`] keeps the order within lanes. [`segments`] has the JSON of delivered events. [`schema`] opens and migrates the
//! file, [`key_file`] has the key beside it, [`place`] checks that both are still in place, and [`lock`] excludes other
//! daemons. [`backup`] copies a store and puts a copy in its place.

mod alerts;
mod backup;
mod claim;
mod enqueue;
mod event_records;
mod health;
mod history;
mod holds;
mod inbox;
mod keep;
mod key_file;
mod lanes;
mod leases;
mod ledger;
mod lock;
mod merge_requests;
mod place;
mod quarantine;
mod registry;
mod rows;
mod schema;
mod segments;
mod settle;
mod sweep;
#[cfg(test)]
mod tests;
mod thread;
mod watches;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use super::last_depth::LastDepth;
use super::merge_requests::MergeRequests;
use super::registry::AuditEntry;
use super::seal::Keyring;
use super::{
    AlertReport, Alerts, Asked, Cancel, Claim, Claimed, ClaimedWatches, Delivery, DeliveryDetail,
    DeliveryFilter, DeliveryId, DeliveryLine, Depth, DestinationKey, Dispatched, EventLog, FirstAttempts,
    HealthRecord, Hold, HoldKey, Inbox, Kept, Known, LatestWaits, Lease, Ledger, LoggedEvent, NewHealth,
    NewQuarantined, NodeId, NotedAlert, Outbox, Overview, Portion, Quarantine, QuarantineUse, Quarantined,
    Redirected, Resend, Result, Retention, Settled, SettledWatch, StoreError, StoredEvent, Swept, Watch,
    Watches,
};
use crate::call::BuildState;
use crate::event::Event;
use crate::integration::{Fingerprint, IntegrationId};
pub use backup::{Backup, CopyError, Origin as CopyOrigin, Progress, Restored, Stage};
use enqueue::Entry;
use lock::Lock;
use place::Place;
use rows::EventRow;
use segments::Segments;
use thread::Worker;

/// A store in a SQLite file. Dropping it finishes the queued commands and closes the file.
#[derive(Debug)]
pub struct Sqlite {
    // Fields are dropped in this order. The writer comes last, so that it copies the log into the file and removes it.
    /// For the pipeline: short and frequent queries.
    reader: Worker,
    /// For people and gauges: queries that may read much.
    ledger: Worker,
    writer: Worker,
    place: Arc<Place>,
    keys: Keyring,
    /// The greatest id that was given to a delivery.
    last_id: AtomicI64,
    segments: Arc<Mutex<Segments>>,
    last_depth: LastDepth,
}

impl Sqlite {
    /// Whether the daemon can make a store here.
    ///
    /// # Errors
    /// There is the key of a store whose database was lost.
    pub fn expect_no_lost_database(path: &Path) -> Result<()> {
        place::expect_no_lost_database(path, &key_file::beside_database(path))
    }

    /// Opens the store for a daemon: creates it where it is missing, migrates its schema, and locks it against other daemons.
    /// Without a given key, the store has its own, in a file beside it.
    ///
    /// # Errors
    /// The store is unavailable or broken, or a key of its secrets is missing.
    pub fn open(path: &Path, keys: Keyring) -> Result<Self> {
        let (path, keyed) = prepare(path)?;
        let lock = Lock::take(&path)?;
        lock.expect_log()?;
        let connection = schema::connect(&path)?;
        schema::migrate(&connection, &path)?;
        let keys = key_file::complete(keys, &keyed, &registry::marks(&connection)?)?;
        let key = Some(key_file::beside_database(&keyed)).filter(|key| key.exists());
        let place = Place::new(&path, Some(lock.file()?), key)?;
        lock.mark()?;
        Self::start(&path, connection, Some(lock), place, keys)
    }

    /// Opens a store beside the daemon that may be using it, for a command. Calls that need no secret work without a
    /// key.
    pub fn open_shared(path: &Path, keys: Keyring) -> Result<Self> {
        let connection = schema::connect(path)?;
        schema::expect_current(&connection, path)?;
        let (path, keyed) = place_of(path)?;
        if !lock::is_marked(&path) {
            lock::remove_log_on_close(&connection)?;
        }
        let place = Place::new(&path, None, None)?;
        Self::start(&path, connection, None, place, key_file::find(keys, &keyed))
    }

    /// Migrates a store that no daemon uses, and creates it where it is missing. Returns the version before and after.
    pub fn migrate(path: &Path) -> Result<(i64, i64)> {
        let (path, _) = prepare(path)?;
        let lock = Lock::take(&path)?;
        lock.expect_log()?;
        let connection = schema::connect(&path)?;
        let versions = schema::migrate(&connection, &path)?;
        lock.finish(&connection);
        Ok(versions)
    }

    fn start(
        path: &Path,
        connection: rusqlite::Connection,
        lock: Option<Lock>,
        place: Place,
        keys: Keyring,
    ) -> Result<Self> {
        let place = Arc::new(place);
        let last_id = AtomicI64::new(history::last_id(&connection)?);
        let segments = Arc::new(Mutex::new(Segments::beside(path)));
        let writer = Worker::writer(connection, lock, Arc::clone(&place))?;
        let reader = Worker::reader("store-reader", schema::connect(path)?)?;
        let ledger = Worker::reader("store-ledger", schema::connect(path)?)?;
        let last_depth = LastDepth::default();
        Ok(Self { reader, ledger, writer, place, keys, last_id, segments, last_depth })
    }
}

/// Creates the file where it is missing, with its folder. Returns its path without symbolic links, and the path that its key
/// lies beside.
fn prepare(path: &Path) -> Result<(PathBuf, PathBuf)> {
    schema::create_folder(path)?;
    let (path, keyed) = place_of(path)?;
    place::expect_no_lost_database(&path, &key_file::beside_database(&keyed))?;
    schema::create(&path)?;
    Ok((path, keyed))
}

/// A store's path without symbolic links, and the path that its key lies beside. Earlier versions put the key beside a
/// symbolic link.
fn place_of(path: &Path) -> Result<(PathBuf, PathBuf)> {
    let resolved = place::resolved(path)?;
    let has_key = |path: &Path| key_file::beside_database(path).exists();
    let keyed = if !has_key(&resolved) && has_key(path) { path.to_owned() } else { resolved.clone() };
    Ok((resolved, keyed))
}

#[async_trait]
impl Inbox for Sqlite {
    async fn push(&self, event: &Event, received_at: Timestamp) -> Result<bool> {
        let event = EventRow::new(event, received_at, None, None);
        self.writer.call(move |connection| inbox::push(connection, &event)).await
    }

    async fn peek(&self, after: i64, portion: Portion) -> Result<Vec<(i64, StoredEvent)>> {
        self.reader.call(move |connection| inbox::peek(connection, after, portion)).await
    }

    async fn discard(&self, numbers: &[i64]) -> Result<()> {
        let numbers = numbers.to_vec();
        self.writer.call(move |connection| inbox::discard(connection, &numbers)).await
    }
}

#[async_trait]
impl Outbox for Sqlite {
    fn first_attempts(&self) -> Option<&dyn FirstAttempts> {
        Some(self)
    }

    async fn enqueue(&self, batch: Vec<Dispatched>, now: Timestamp) -> Result<Vec<Vec<Option<Delivery>>>> {
        let entry = |dispatched| Entry::new(dispatched, now, || self.next_id());
        let batch: Vec<_> = batch.into_iter().map(entry).collect();
        self.writer.call(move |connection| enqueue::enqueue(connection, batch, now)).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>> {
        self.writer.call(move |connection| claim::claim(connection, &claim)).await
    }

    async fn waiting(&self, now: Timestamp, limit: usize) -> Result<Vec<(DestinationKey, Timestamp)>> {
        // Rows with lapsed leases wait too. Only the writer can end leases, and leases seldom lapse.
        if self.reader.call(move |connection| leases::any_lapsed(connection, now)).await? {
            self.writer.call(move |connection| leases::lapse(connection, now)).await?;
        }
        self.reader.call(move |connection| claim::waiting(connection, now, limit)).await
    }

    async fn settle(&self, by: &NodeId, settlements: Vec<Settled>) -> Result<()> {
        let by = by.clone();
        self.writer.call(move |connection| settle::settle(connection, &by, &settlements)).await
    }

    async fn redirect(&self, by: &NodeId, rows: &[Redirected]) -> Result<()> {
        let (by, rows) = (by.clone(), rows.to_vec());
        self.writer.call(move |connection| leases::redirect(connection, &by, &rows)).await
    }

    async fn release(&self, by: &NodeId, rows: &[DeliveryId]) -> Result<()> {
        let (by, rows) = (by.clone(), rows.to_vec());
        self.writer.call(move |connection| leases::release(connection, &by, &rows)).await
    }

    async fn renew(&self, lease: Lease, rows: &[DeliveryId]) -> Result<Vec<DeliveryId>> {
        let rows = rows.to_vec();
        self.writer.call(move |connection| leases::renew(connection, &lease, rows)).await
    }

    async fn start(&self, lease: Lease, rows: &[DeliveryId]) -> Result<Vec<DeliveryId>> {
        let rows = rows.to_vec();
        self.writer.call(move |connection| leases::start(connection, &lease, rows)).await
    }

    async fn release_leases(&self, _by: &NodeId, _now: Timestamp) -> Result<()> {
        self.writer.call(leases::release_leases).await
    }

    async fn holds(&self, now: Timestamp) -> Result<Vec<Hold>> {
        self.reader.call(move |connection| holds::holds(connection, now)).await
    }

    async fn end_holds(&self, keys: &[HoldKey], now: Timestamp) -> Result<()> {
        let keys = keys.to_vec();
        self.writer
            .call(move |connection| keys.iter().try_for_each(|key| holds::end(connection, key, now)))
            .await
    }

    async fn shorten_waits(&self, latest: &LatestWaits) -> Result<usize> {
        let latest = latest.clone();
        let shorten = self.writer.call(move |connection| {
            let waits = holds::shorten_waits(connection, &latest)?;
            let watched = watches::shorten(connection, latest.now, latest.watch)?;
            Ok(waits + watched + merge_requests::shorten(connection, latest.now)?)
        });
        shorten.await
    }

    async fn end_outdated_holds(
        &self,
        current: &[(IntegrationId, Option<Fingerprint>)],
        now: Timestamp,
    ) -> Result<usize> {
        let current = current.iter().cloned().collect();
        self.writer.call(move |connection| holds::end_outdated(connection, &current, now)).await
    }
}

#[async_trait]
impl FirstAttempts for Sqlite {
    fn next_id(&self) -> DeliveryId {
        DeliveryId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    async fn look_up(&self, asked: Vec<Asked>) -> Result<Vec<Known>> {
        self.reader.call(move |connection| keep::look_up(connection, &asked)).await
    }

    async fn keep(&self, by: &NodeId, batch: Arc<[Kept]>) -> Result<()> {
        let by = by.clone();
        let segments = Arc::clone(&self.segments);
        self.writer.call(move |connection| keep::keep(connection, &segments, &by, &batch)).await
    }
}

#[async_trait]
impl EventLog for Sqlite {
    async fn log_events(&self, events: Vec<LoggedEvent>) -> Result<()> {
        let row = |LoggedEvent { event, received_at, line, keeps_json }| {
            (EventRow::new(&event, received_at, None, Some(line)), keeps_json)
        };
        let events: Vec<_> = events.into_iter().map(row).collect();
        let segments = Arc::clone(&self.segments);
        let write = move |connection: &rusqlite::Connection| {
            let mut segments = segments.lock().unwrap_or_else(PoisonError::into_inner);
            for (event, keeps_json) in &events {
                let json = keeps_json.then_some(&event.event.raw);
                let location = json.and_then(|json| segments.append_if_possible(&event.event.id, json));
                event.insert_unwanted(connection, location)?;
            }
            segments.write_if_possible();
            Ok(())
        };
        self.writer.call(write).await
    }
}

#[async_trait]
impl Quarantine for Sqlite {
    async fn quarantine(&self, items: Vec<NewQuarantined>) -> Result<()> {
        self.writer.call(move |connection| quarantine::quarantine(connection, &items)).await
    }

    async fn quarantine_use(&self) -> Result<Vec<QuarantineUse>> {
        self.ledger.call(quarantine::usage).await
    }

    async fn list_quarantined(&self, before: Option<i64>, limit: usize) -> Result<Vec<Quarantined>> {
        self.ledger.call(move |connection| quarantine::list(connection, before, limit)).await
    }

    async fn quarantined(&self, number: i64) -> Result<Option<(Quarantined, Bytes)>> {
        self.ledger.call(move |connection| quarantine::one(connection, number)).await
    }

    async fn remove_quarantined(&self, number: i64, audit: AuditEntry) -> Result<bool> {
        self.writer.call(move |connection| quarantine::remove(connection, number, &audit)).await
    }
}

#[async_trait]
impl Ledger for Sqlite {
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<DeliveryLine>> {
        self.ledger.call(move |connection| ledger::list(connection, &filter)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>> {
        let segments = Arc::clone(&self.segments);
        self.ledger.call(move |connection| ledger::detail(connection, &segments, id)).await
    }

    async fn resend(&self, id: DeliveryId, audit: AuditEntry) -> Result<Resend> {
        let segments = Arc::clone(&self.segments);
        self.writer.call(move |connection| ledger::resend(connection, &segments, id, &audit)).await
    }

    async fn cancel(&self, id: DeliveryId, audit: AuditEntry) -> Result<Cancel> {
        self.writer.call(move |connection| ledger::cancel(connection, id, &audit)).await
    }

    async fn depth(&self, now: Timestamp) -> Result<Depth> {
        if let Some(depth) = self.last_depth.again() {
            return Ok(depth);
        }
        let depth = self.ledger.call(move |connection| ledger::depth(connection, now)).await?;
        Ok(self.last_depth.keep(depth))
    }

    async fn overview(&self) -> Result<Overview> {
        self.ledger.call(ledger::overview).await
    }

    async fn sweep(&self, retention: Retention, limit: usize) -> Result<Swept> {
        let segments = Arc::clone(&self.segments);
        let sweep = move |connection: &rusqlite::Connection| {
            let swept = sweep::sweep(connection, retention, limit)?;
            let segments = segments.lock().unwrap_or_else(PoisonError::into_inner);
            // Files that could not be removed are removed by a later sweep.
            let _ = segments.sweep(retention.settled_before.into());
            Ok(swept)
        };
        self.writer.call(sweep).await
    }

    async fn ping(&self) -> Result<()> {
        let look = |connection: &rusqlite::Connection| {
            connection
                .query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(()))
                .map_err(StoreError::from)
        };
        self.reader.call(look).await?;
        // The call through the writer also shows that the file can be locked for writing.
        let place = Arc::clone(&self.place);
        let has_failed = self.writer.has_failed();
        self.writer
            .call(move |connection| {
                place.check()?;
                look(connection)?;
                if has_failed {
                    // Only a write shows whether writing works again.
                    rows::change(connection, "UPDATE registry SET revision = revision", [])?;
                }
                Ok(())
            })
            .await
    }
}

#[async_trait]
impl MergeRequests for Sqlite {
    async fn open_merge_request(
        &self,
        project_id: i64,
        source_branch: &str,
        since: Timestamp,
    ) -> Result<Option<i64>> {
        let branch = source_branch.to_owned();
        self.reader.call(move |connection| merge_requests::open(connection, project_id, &branch, since)).await
    }
}

#[async_trait]
impl Watches for Sqlite {
    async fn claim_watches(
        &self,
        now: Timestamp,
        hidden_until: Timestamp,
        limit: usize,
    ) -> Result<ClaimedWatches> {
        self.writer.call(move |connection| watches::claim(connection, now, hidden_until, limit)).await
    }

    async fn settle_watch(&self, settled: SettledWatch) -> Result<bool> {
        let announce = settled.announce.as_ref().map(|event| EventRow::new(event, settled.at, None, None));
        self.writer.call(move |connection| watches::settle(connection, &settled, announce.as_ref())).await
    }

    async fn commit_statuses(&self, project_id: i64, sha: &str) -> Result<Vec<Watch>> {
        let sha = sha.to_owned();
        self.ledger.call(move |connection| watches::of_commit(connection, project_id, &sha)).await
    }

    async fn outcome_before(&self, watch: &Watch) -> Result<Option<BuildState>> {
        let watch = watch.clone();
        self.ledger.call(move |connection| watches::outcome_before(connection, &watch)).await
    }

    async fn note_health(&self, health: NewHealth) -> Result<()> {
        self.writer.call(move |connection| health::note(connection, &health)).await
    }

    async fn health(&self, integrations: &[IntegrationId]) -> Result<Vec<HealthRecord>> {
        let integrations = integrations.to_vec();
        self.ledger.call(move |connection| health::of(connection, &integrations)).await
    }
}

#[async_trait]
impl Alerts for Sqlite {
    async fn note_alerts(
        &self,
        reports: Vec<AlertReport>,
        now: Timestamp,
    ) -> Result<Vec<Option<NotedAlert>>> {
        let report = |AlertReport { key, title, event }| {
            let event = event.map(|event| EventRow::new(&event, now, None, None));
            alerts::Report { key, title, event }
        };
        let reports = reports.into_iter().map(report).collect();
        self.writer.call(move |connection| alerts::note(connection, reports, now)).await
    }
}
